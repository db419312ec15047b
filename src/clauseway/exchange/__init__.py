"""Exchange: our records in other people's formats, and theirs in ours. Nothing but translation.

    beancount   the journal as a beancount file, which an outside judge can load and balance
    hledger     … as an hledger journal; `accounting` is shared by the two
    tables      … and statements' lines as Arrow tables
    statement_csv   a statement's lines
    focus_bill  charges as a bill in FOCUS 1.2 or 1.4; `focus_columns` is the specification's table
                of columns and rules
    focus_invoices  invoices of shares as Invoice Detail of FOCUS 1.4, and the charges behind them
    cloudevents     usage as CloudEvents, written and read
    focus, opentelemetry   usage that others counted, as rows of our fields; `reports` is shared by
                    them, `usage_files` finds a file's format and reads it, `parquet_rows` reads
                    tables that others wrote
    question_files  files of questions (Parquet, CSV, JSON lines), and the same rows with answers
    extract     the agreement on a day: the source of the next three, term by term
    cedar       … as Cedar policies and entities
    rego        … as a Rego module
    odrl        … as an ODRL policy in JSON-LD

Each format is a module of its own. Knows nothing of where records are kept.
"""

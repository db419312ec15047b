"""Exchange: our records in other people's formats, and theirs in ours. Nothing but translation.

    focus           FOCUS, the FinOps specification: bills and invoices written, a cloud's bill read
    usage           usage from CloudEvents, OTLP, FOCUS and Parquet, not yet believed, and to
                    CloudEvents and FOCUS
    agreements      the agreement on a day in the languages of other engines, term by term
    journals        the journal for Beancount, hledger and as Arrow tables
    question_files  files of questions (Parquet, CSV, JSON lines), and the same rows with answers
    statement_csv   a statement's lines; statement_xlsx: as a workbook; signatures: those under a statement
    listings        listing histories as facts; litellm: LiteLLM's configuration
    cells           CSV that carries no formula, for all of them
    parquet_reading  Parquet that others wrote; parquet_output: where ours is written, pipes too
    parquet_process  the process that reads it, with bounded memory

Each format is a module of its own. Knows nothing of where records are kept.
"""

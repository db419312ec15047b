"""Exchange: translation between our records and foreign formats.

    focus           FOCUS, the FinOps specification: bills and invoices written, a cloud's bill read
    usage           usage from CloudEvents, OTLP, FOCUS and Parquet, not yet checked, and to
                    CloudEvents and FOCUS
    agreements      the agreement on a day in the languages of other engines, term by term
    journals        the journal for Beancount, hledger and as Arrow tables
    question_files  files of questions (Parquet, CSV, JSON lines), and the same rows with answers
    statement_csv   a statement's lines; statement_xlsx: as a workbook; signatures: of a statement
    listings        listing histories as facts; litellm: LiteLLM's configuration
    cells           CSV without formulas, for all formats
    parquet_reading  foreign Parquet files; parquet_output: the target of ours, a pipe too
    parquet_process  the process that reads foreign Parquet, with bounded memory

Each format has its own module. Must not know where records are kept.
"""

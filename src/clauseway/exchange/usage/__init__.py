"""Usage in foreign formats.

usage_files    the format of a file, and its rows
reported_rows  the rows that every reader returns: not yet checked, each with its line
bill_files     the rows of a bill's file, in FOCUS's columns and values
focus          FOCUS: clouds' bills as usage, and our usage as its rows
cloudevents    CloudEvents 1.0, read and written
opentelemetry  spans and the histogram of tokens, as OTLP JSON
parquet_rows   rows of foreign Parquet files
"""

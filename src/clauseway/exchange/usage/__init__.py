"""Usage in other people's formats.

usage_files    a file's format found, and its rows read
reported_rows  the rows that every reader makes: not yet believed, each with its line
focus          FOCUS: clouds' bills as usage, and our usage as its rows
cloudevents    CloudEvents 1.0, read and written
opentelemetry  spans and the histogram of tokens, as OTLP JSON
parquet_rows   rows of Parquet that others wrote
"""

"""The lake's usage as others need it: summed and priced by DuckDB or Spark, by request, by content,
and published as an Iceberg table. Reads the lake and never writes into it.

    priced      usage summed and priced, as one set of Ibis expressions; spark: over processes
    metered     sums by the hour and all that a price, a rule or a bill may depend on; sums: by day, or
                by hour and tier
    attempts    single attempts; request_rows: all rows about one request; spending: what a start
                spent; unended: those whose end a lost disk may have had
    content     usage named by its content, so that two homes can compare; block_hashes: how rows are
                hashed; spark_hashes: by Spark's workers
    past        a home as it was known at an instant
    publishing  the sealed usage as a table for other engines; iceberg: that table's format
"""

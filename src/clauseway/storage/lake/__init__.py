"""The lake: sealed usage as Parquet files: written, listed, merged, checked and read here.

lake            the lake itself: batches sealed into it, its rows read
sealed_batches  a batch as it is sealed; columns: its records as flat rows
staging         rows on their way: on disk until all are there, then in order
file_list       the list of the files, in the control database
ownership       whose lake it is: no other database removes its files
unlisted_files  files that the database does not list, and which of them may still be needed
sealed_files    the files as readers find them; checked_rows: their rows, with checksums
usage_records   each attempt once, whatever was recorded twice
query_engines   DuckDB in this process, or Spark over several; engine_files: where they find files
key_usage       what one customer's key asked, from the records
rollups         usage summed by hour; hourly_sums: those sums in the control database
stores          where files lie by name; object_store: S3 and what speaks its protocol
compaction      small files merged, old ones dropped
digests         files held against the digests they were sealed with
lost_files      files accepted as lost, and read again once they are back
imports         files that were read together, so that nothing is imported twice
quarantine      impossible usage, until somebody corrects or drops it
"""

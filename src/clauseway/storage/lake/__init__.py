"""The lake: sealed usage as Parquet files, how it is written, merged, checked, summed and read."""

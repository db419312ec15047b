"""The lake: sealed usage as Parquet files, written, merged, checked, summed and read here."""

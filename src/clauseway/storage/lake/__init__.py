"""The lake: sealed usage as Parquet files: written, listed, merged, checked and read here."""

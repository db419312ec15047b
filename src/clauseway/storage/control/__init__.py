"""The control database: its tables, its transactions, and the hash chain over all that is written
into it."""

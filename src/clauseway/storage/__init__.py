"""Storage: SQL for control data and the journal, Parquet for usage, and the joins and sums over both. Nothing else.

    control   keys, manifest of sealed batches, facts register, journal, settlements (SQLAlchemy Core; SQLite for now)
    tenants   organisations, projects, limits, budgets
    leases    which process holds how much of which budget
    lake      seals a batch of usage into Parquet; its row in the manifest is the commit
    spending  what one start of a gateway did, attempt by attempt
    usage     sums usage and joins prices through Ibis on DuckDB: revenue lines, and live counts

INVARIANT: readers of the lake list files by the manifest alone, so a batch counts once or not at all, whatever is
killed when. Facts, journal, settlements and manifest are appended and never rewritten. INVARIANT: no budget is leased
beyond its amount.

Knows nothing of what is permitted, of HTTP or of the spool's format. `lake`, `spending` and `usage` bring PyArrow,
DuckDB and Ibis and are imported by name, so that control data can be had without them.
"""

from clauseway.storage.control import ApiKey, Control, FactRow, FormerSecret, Overlap, Sealed

__all__ = ["ApiKey", "Control", "FactRow", "FormerSecret", "Overlap", "Sealed"]

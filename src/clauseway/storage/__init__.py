"""Storage: SQL for control data and the journal, Parquet for usage, and the joins and sums over both. Nothing else.

    control   keys, manifest of sealed batches, facts register, journal, settlements (SQLAlchemy Core; SQLite for now)
    actor     who is acting
    chained   the tables that the books' log chains; audit: the log; audit_check: the books held against it
    tenants   organisations, projects, limits, budgets
    leases    which process holds how much of which budget
    lake      seals a batch of usage into Parquet by event day; its row in the manifest is the commit
    files     which of the lake's files readers see
    rollups   usage summed by hour, kept in the transaction that commits a batch
    quarantine  usage that cannot be true, until it is corrected or dropped
    spending  what one start of a gateway did, attempt by attempt
    usage     sums usage and joins prices through Ibis on DuckDB: revenue lines, and live counts

INVARIANT: readers of the lake list files by the database alone, so a batch counts once or not at all, whatever is
killed when. Facts, journal, settlements and manifest are appended and never rewritten; in which file a batch's rows lie
may change, never what they say. INVARIANT: no budget is leased beyond its amount.

Knows nothing of what is permitted, of HTTP or of the spool's format. `lake`, `rollups`, `spending` and `usage` bring
PyArrow, DuckDB and Ibis and are imported by name, so that control data can be had without them.
"""

from clauseway.storage.control.control import (
    ApiKey,
    Control,
    FactRow,
    FormerSecret,
    Overlap,
    Sealed,
)

__all__ = ["ApiKey", "Control", "FactRow", "FormerSecret", "Overlap", "Sealed"]

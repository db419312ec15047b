"""Storage: SQL for control data and the journal, Parquet for usage, and the joins and sums over
both. Nothing else.

    control    the control database (SQLAlchemy Core; SQLite or PostgreSQL): keys, manifest, facts,
               journal, settlements; the books' log, and the check of the books against it
    books      vouchers, closed periods, the basis of settlements, losses, kept sums, parties' keys
    customers  organisations, projects, limits, budgets; leases of budgets to gateway processes
    lake       seals batches of usage into Parquet by event day; rows in the manifest commit them.
               Lists, merges and checks its files; quarantines impossible usage
    usage      the lake's usage summed and priced, followed to a request, published for others

INVARIANT: readers of the lake list files by the database alone, so a batch counts once or not at
all, whatever process is killed when. Facts, journal, settlements and manifest are appended and
never rewritten; rows of a batch may move to another file, but never change. INVARIANT: no budget is
leased beyond its amount.

Knows nothing of permissions, of HTTP or of the spool's format. The modules of `lake` and `usage`
bring PyArrow, DuckDB and Ibis and are imported by name, so that control data can be read without
them.
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

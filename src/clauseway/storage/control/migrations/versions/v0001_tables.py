"""The first numbered version: every table as it was then.

Frozen: what `storage/control/schema.py` says later is brought about by later versions. A home from
before the versions has some of these tables, and lacks the columns that were added to them since.
"""

from alembic import op
from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    inspect,
)
from sqlalchemy.schema import CreateColumn

revision, down_revision = "0001", None
TABLES = MetaData()
SEQUENCE = BigInteger().with_variant(Integer(), "sqlite")
DECIMAL = Numeric(38, 12).with_variant(String(48), "sqlite")
# Committed ranges of one spool and segment never overlap, whoever writes.
_EXCLUDED = (
    "ALTER TABLE manifest ADD CONSTRAINT ranges_exclude_each_other EXCLUDE USING gist ("
    "int8range(hashtextextended(spool, 0) >> 1, hashtextextended(spool, 0) >> 1, '[]') WITH &&, "
    "int8range(segment, segment, '[]') WITH &&, int8range(first_frame, end_frame) WITH &&)"
)


def upgrade() -> None:
    """Make every table that is missing, and add the columns that an older table lacks."""
    bind = op.get_bind()
    there = set(inspect(bind).get_table_names())
    TABLES.create_all(bind)
    if bind.dialect.name == "postgresql" and "manifest" not in there:
        op.execute(_EXCLUDED)
    for name in sorted(there & TABLES.tables.keys()):
        columns = {column["name"] for column in inspect(bind).get_columns(name)}
        for column in TABLES.tables[name].columns:
            if column.name not in columns:
                definition = CreateColumn(column).compile(dialect=bind.dialect)
                op.execute(f"ALTER TABLE {name} ADD COLUMN {definition}")


def downgrade() -> None:
    """Remove every table."""
    TABLES.drop_all(op.get_bind())


Table(
    "audit_breaks",
    TABLES,
    Column("sequence", SEQUENCE, autoincrement=True, nullable=False),
    Column("recorded_ns", BigInteger(), nullable=False),
    Column("row", BigInteger(), nullable=False),
    Column("head", String(length=100), nullable=False),
    Column("found", Text(), nullable=False),
    Column("problems", Integer(), nullable=False),
    Column("who", Text(), nullable=False),
    Column("why", Text(), nullable=False),
    PrimaryKeyConstraint("sequence"),
)
Table(
    "audit_head",
    TABLES,
    Column("id", Integer(), autoincrement=False, nullable=False),
    Column("sequence", BigInteger(), nullable=False),
    Column("digest", String(length=64), nullable=False),
    Column("checked", BigInteger(), nullable=False),
    Column("looked_through", BigInteger(), nullable=False),
    PrimaryKeyConstraint("id"),
)
Table(
    "audit_log",
    TABLES,
    Column("sequence", BigInteger(), autoincrement=False, nullable=False),
    Column("recorded_ns", BigInteger(), nullable=False),
    Column("who", String(length=200), nullable=False),
    Column("kind", String(length=32), nullable=False),
    Column("act", String(length=16), nullable=False),
    Column("place", String(length=64), nullable=False),
    Column("row", String(length=400), nullable=False),
    Column("subject", Text(), nullable=False),
    Column("day", Date(), nullable=True),
    Column("why", Text(), nullable=False),
    Column("content", String(length=64), nullable=False),
    Column("digest", String(length=64), nullable=False),
    PrimaryKeyConstraint("sequence"),
    Index("audit_log_by_row", "place", "row", "sequence"),
)
Table(
    "basis",
    TABLES,
    Column("sequence", SEQUENCE, autoincrement=True, nullable=False),
    Column("recorded_ns", BigInteger(), nullable=False),
    Column("kind", String(length=16), nullable=False),
    Column("name", String(length=200), nullable=False),
    Column("label", Text(), nullable=False),
    Column("digest", String(length=64), nullable=False),
    Column("who", Text(), nullable=False),
    Column("why", Text(), nullable=False),
    PrimaryKeyConstraint("sequence"),
)
Table(
    "basis_texts",
    TABLES,
    Column("digest", String(length=64), nullable=False),
    Column("body", LargeBinary(), nullable=False),
    PrimaryKeyConstraint("digest"),
)
Table(
    "budgets",
    TABLES,
    Column("id", String(length=64), nullable=False),
    Column("organisation", String(length=200), nullable=False),
    Column("project", String(length=200), nullable=False),
    Column("key_id", String(length=200), nullable=False),
    Column("cloud", String(length=200), nullable=False),
    Column("product", String(length=200), nullable=False),
    Column("period", String(length=8), nullable=False),
    Column("amount", DECIMAL, nullable=False),
    Column("currency", String(length=3), nullable=False),
    Column("created_ns", BigInteger(), nullable=False),
    Column("short_ns", BigInteger(), nullable=False),
    PrimaryKeyConstraint("id"),
    UniqueConstraint("organisation", "project", "key_id", "cloud", "product", "period"),
)
Table(
    "closes",
    TABLES,
    Column("sequence", SEQUENCE, autoincrement=True, nullable=False),
    Column("begin_day", Date(), nullable=False),
    Column("end_day", Date(), nullable=False),
    Column("receipt", String(length=64), nullable=False),
    Column("digest", String(length=64), nullable=False),
    Column("statement", Text(), nullable=False),
    Column("closed_ns", BigInteger(), nullable=False),
    PrimaryKeyConstraint("sequence"),
    UniqueConstraint("begin_day"),
    UniqueConstraint("end_day"),
)
Table(
    "dropped_days",
    TABLES,
    Column("sequence", SEQUENCE, autoincrement=True, nullable=False),
    Column("first_day", Date(), nullable=False),
    Column("kept_from", Date(), nullable=False),
    Column("rows", BigInteger(), nullable=False),
    Column("dropped_ns", BigInteger(), nullable=False),
    PrimaryKeyConstraint("sequence"),
)
Table(
    "entries",
    TABLES,
    Column("sequence", SEQUENCE, autoincrement=True, nullable=False),
    Column("id", Text(), nullable=False),
    Column("reference", Text(), nullable=False),
    Column("day", Date(), nullable=False),
    Column("narration", Text(), nullable=False),
    Column("recorded_ns", BigInteger(), nullable=False),
    PrimaryKeyConstraint("sequence"),
    UniqueConstraint("id"),
    Index("ix_entries_reference", "reference"),
)
Table(
    "facts",
    TABLES,
    Column("sequence", SEQUENCE, autoincrement=True, nullable=False),
    Column("recorded_ns", BigInteger(), nullable=False),
    Column("kind", String(length=64), nullable=False),
    Column("effective", Date(), nullable=False),
    Column("payload", Text(), nullable=False),
    Column("source", Text(), nullable=False),
    PrimaryKeyConstraint("sequence"),
)
Table(
    "imported",
    TABLES,
    Column("request_id", String(length=36), nullable=False),
    Column("attempt", Integer(), nullable=False),
    Column("content", String(length=32), nullable=False),
    Column("file", String(length=32), nullable=False),
    Column("line", BigInteger(), nullable=False),
    PrimaryKeyConstraint("request_id", "attempt"),
)
Table(
    "imported_records",
    TABLES,
    Column("id", LargeBinary(length=20), nullable=False),
    Column("content", LargeBinary(length=16), nullable=False),
    Column("import_number", Integer(), nullable=False),
    Column("file", Integer(), nullable=False),
    Column("line", BigInteger(), nullable=False),
    PrimaryKeyConstraint("id"),
    sqlite_with_rowid=False,
)
Table(
    "imports",
    TABLES,
    Column("number", SEQUENCE, autoincrement=True, nullable=False),
    Column("files", Text(), nullable=False),
    Column("started_ns", BigInteger(), nullable=False),
    Column("ended_ns", BigInteger(), nullable=False),
    PrimaryKeyConstraint("number"),
)
Table(
    "kept_sums",
    TABLES,
    Column("place", String(length=300), nullable=False),
    Column("name", String(length=64), nullable=False),
    Column("body", Text(), nullable=False),
    Column("digest", String(length=64), nullable=False),
    PrimaryKeyConstraint("place"),
)
Table(
    "keys",
    TABLES,
    Column("digest", String(length=128), nullable=False),
    Column("key_id", String(length=64), nullable=False),
    Column("organisation", Text(), nullable=False),
    Column("project", Text(), nullable=False),
    Column("seller", Text(), nullable=False),
    Column("segment", Text(), nullable=False),
    Column("created_ns", BigInteger(), nullable=False),
    Column("revoked_ns", BigInteger(), nullable=False),
    Column("role", String(length=16), server_default="member", nullable=False),
    Column("expires_ns", BigInteger(), server_default="0", nullable=False),
    PrimaryKeyConstraint("digest"),
    UniqueConstraint("key_id"),
)
Table(
    "lake_files",
    TABLES,
    Column("sequence", SEQUENCE, autoincrement=True, nullable=False),
    Column("name", String(length=300), nullable=False),
    Column("kind", String(length=8), nullable=False),
    Column("first_day", Date(), nullable=False),
    Column("last_day", Date(), nullable=False),
    Column("first_request", String(length=36), nullable=False),
    Column("last_request", String(length=36), nullable=False),
    Column("rows", BigInteger(), nullable=False),
    Column("bytes", BigInteger(), nullable=False),
    Column("digest", String(length=64), nullable=False),
    Column("sealed_ns", BigInteger(), nullable=False),
    Column("retired_ns", BigInteger(), nullable=False),
    Column("apart", Boolean(), server_default=false(), nullable=False),
    Column("places", Text(), server_default="", nullable=False),
    Column("lost_ns", BigInteger(), server_default="0", nullable=False),
    PrimaryKeyConstraint("sequence"),
    UniqueConstraint("name"),
    Index("lake_files_by_day", "kind", "retired_ns", "first_day"),
)
Table(
    "leases",
    TABLES,
    Column("sequence", SEQUENCE, autoincrement=True, nullable=False),
    Column("budget", String(length=64), nullable=False),
    Column("begin_ns", BigInteger(), nullable=False),
    Column("boot", String(length=16), nullable=False),
    Column("part", BigInteger(), nullable=False),
    Column("pid", BigInteger(), nullable=False),
    Column("serial", BigInteger(), nullable=False),
    Column("leased", DECIMAL, nullable=False),
    Column("spent", DECIMAL, nullable=False),
    Column("is_open", Boolean(), nullable=False),
    Column("opened_ns", BigInteger(), nullable=False),
    Column("heard_ns", BigInteger(), nullable=False),
    Column("spool", String(length=64), server_default="", nullable=False),
    PrimaryKeyConstraint("sequence"),
    UniqueConstraint("budget", "boot", "part"),
    Index("leases_by_period", "budget", "begin_ns"),
)
Table(
    "limits",
    TABLES,
    Column("id", String(length=64), nullable=False),
    Column("organisation", String(length=200), nullable=False),
    Column("project", String(length=200), nullable=False),
    Column("key_id", String(length=200), nullable=False),
    Column("cloud", String(length=200), nullable=False),
    Column("product", String(length=200), nullable=False),
    Column("requests_per_minute", BigInteger(), nullable=False),
    Column("tokens_per_minute", BigInteger(), nullable=False),
    Column("created_ns", BigInteger(), nullable=False),
    PrimaryKeyConstraint("id"),
    UniqueConstraint("organisation", "project", "key_id", "cloud", "product"),
)
Table(
    "losses",
    TABLES,
    Column("sequence", SEQUENCE, autoincrement=True, nullable=False),
    Column("spool", String(length=64), nullable=False),
    Column("segment", BigInteger(), nullable=False),
    Column("first_frame", BigInteger(), nullable=False),
    Column("end_frame", BigInteger(), nullable=False),
    Column("reason", Text(), nullable=False),
    Column("first_day", Date(), nullable=False),
    Column("last_day", Date(), nullable=False),
    Column("lost_ns", BigInteger(), nullable=False),
    Column("boot", String(length=16), nullable=False),
    Column("accepted_ns", BigInteger(), nullable=False),
    Column("who", String(length=200), nullable=False),
    Column("why", Text(), nullable=False),
    Column("estimate", String(length=16), nullable=False),
    Column("attempts", BigInteger(), nullable=False),
    Column("found_ns", BigInteger(), nullable=False),
    Column("file", String(length=300), server_default="", nullable=False),
    PrimaryKeyConstraint("sequence"),
    Index("losses_by_place", "spool", "segment", "first_frame"),
)
Table(
    "manifest",
    TABLES,
    Column("sequence", SEQUENCE, autoincrement=True, nullable=False),
    Column("spool", String(length=64), nullable=False),
    Column("segment", BigInteger(), nullable=False),
    Column("first_frame", BigInteger(), nullable=False),
    Column("end_frame", BigInteger(), nullable=False),
    Column("usage_file", Text(), server_default="", nullable=False),
    Column("intents_file", Text(), server_default="", nullable=False),
    Column("digest", String(length=64), nullable=False),
    Column("usage_rows", BigInteger(), nullable=False),
    Column("intent_rows", BigInteger(), nullable=False),
    Column("first_day", Date(), nullable=True),
    Column("last_day", Date(), nullable=True),
    Column("sealed_ns", BigInteger(), nullable=False),
    CheckConstraint("first_frame >= 0 AND first_frame < end_frame", name="a_range"),
    PrimaryKeyConstraint("sequence"),
    UniqueConstraint("spool", "segment", "end_frame"),
    UniqueConstraint("spool", "segment", "first_frame"),
)
Table(
    "party_keys",
    TABLES,
    Column("sequence", SEQUENCE, autoincrement=True, nullable=False),
    Column("recorded_ns", BigInteger(), nullable=False),
    Column("party", String(length=200), nullable=False),
    Column("public", String(length=64), nullable=False),
    Column("fingerprint", String(length=64), nullable=False),
    Column("who", Text(), nullable=False),
    Column("why", Text(), nullable=False),
    PrimaryKeyConstraint("sequence"),
)
Table(
    "quarantine",
    TABLES,
    Column("sequence", SEQUENCE, autoincrement=True, nullable=False),
    Column("digest", String(length=64), nullable=False),
    Column("origin", Text(), nullable=False),
    Column("line", BigInteger(), nullable=False),
    Column("flaws", Text(), nullable=False),
    Column("body", Text(), nullable=False),
    Column("state", String(length=16), nullable=False),
    Column("quarantined_ns", BigInteger(), nullable=False),
    Column("ended_ns", BigInteger(), nullable=False),
    PrimaryKeyConstraint("sequence"),
    UniqueConstraint("digest"),
    Index("ix_quarantine_state", "state"),
)
Table(
    "rollups",
    TABLES,
    Column("hour", BigInteger(), nullable=False),
    Column("organisation", String(length=200), nullable=False),
    Column("project", String(length=200), nullable=False),
    Column("seller", String(length=200), nullable=False),
    Column("cloud", String(length=200), nullable=False),
    Column("region", String(length=200), nullable=False),
    Column("product", String(length=200), nullable=False),
    Column("model", String(length=200), nullable=False),
    Column("served", BigInteger(), nullable=False),
    Column("failed", BigInteger(), nullable=False),
    Column("requests", BigInteger(), server_default="0", nullable=False),
    Column("input_tokens", BigInteger(), server_default="0", nullable=False),
    Column("cached_input_tokens", BigInteger(), server_default="0", nullable=False),
    Column("cache_write_tokens", BigInteger(), server_default="0", nullable=False),
    Column("audio_input_tokens", BigInteger(), server_default="0", nullable=False),
    Column("output_tokens", BigInteger(), server_default="0", nullable=False),
    Column("reasoning_tokens", BigInteger(), server_default="0", nullable=False),
    Column("audio_output_tokens", BigInteger(), server_default="0", nullable=False),
    Column("accepted_prediction_tokens", BigInteger(), server_default="0", nullable=False),
    Column("rejected_prediction_tokens", BigInteger(), server_default="0", nullable=False),
    Column("image_input_tokens", BigInteger(), server_default="0", nullable=False),
    Column("image_output_tokens", BigInteger(), server_default="0", nullable=False),
    Column("audio_input_milliseconds", BigInteger(), server_default="0", nullable=False),
    PrimaryKeyConstraint(
        "hour", "organisation", "project", "seller", "cloud", "region", "product", "model"
    ),
)
Table(
    "settlements",
    TABLES,
    Column("sequence", SEQUENCE, autoincrement=True, nullable=False),
    Column("receipt", String(length=64), nullable=False),
    Column("begin_day", Date(), nullable=False),
    Column("end_day", Date(), nullable=False),
    Column("body", Text(), nullable=False),
    Column("recorded_ns", BigInteger(), nullable=False),
    PrimaryKeyConstraint("sequence"),
    Index("ix_settlements_receipt", "receipt"),
)
Table(
    "spools",
    TABLES,
    Column("spool", String(length=64), nullable=False),
    Column("place", Text(), nullable=False),
    Column("registered_ns", BigInteger(), nullable=False),
    Column("released", BigInteger(), nullable=False),
    Column("segment", BigInteger(), nullable=False),
    Column("frames", BigInteger(), nullable=False),
    Column("boots", Text(), nullable=False),
    Column("is_at_rest", Boolean(), nullable=False),
    Column("missing_ns", BigInteger(), nullable=False),
    PrimaryKeyConstraint("spool"),
)
Table(
    "tenants",
    TABLES,
    Column("organisation", String(length=200), nullable=False),
    Column("project", String(length=200), nullable=False),
    Column("policy", Text(), nullable=False),
    Column("created_ns", BigInteger(), nullable=False),
    PrimaryKeyConstraint("organisation", "project"),
)
Table(
    "usage_contents",
    TABLES,
    Column("day", Date(), nullable=False),
    Column("files", String(length=64), nullable=False),
    Column("attempts", BigInteger(), nullable=False),
    Column("digest", String(length=64), nullable=False),
    PrimaryKeyConstraint("day"),
)
Table(
    "vouchers",
    TABLES,
    Column("sequence", SEQUENCE, autoincrement=True, nullable=False),
    Column("id", String(length=200), nullable=False),
    Column("kind", String(length=32), nullable=False),
    Column("day", Date(), nullable=False),
    Column("body", Text(), nullable=False),
    Column("recorded_ns", BigInteger(), nullable=False),
    PrimaryKeyConstraint("sequence"),
    UniqueConstraint("id"),
    Index("ix_vouchers_kind", "kind"),
)
Table(
    "former_secrets",
    TABLES,
    Column("digest", String(length=128), nullable=False),
    Column("key_id", String(length=64), nullable=False),
    Column("until_ns", BigInteger(), nullable=False),
    ForeignKeyConstraint(
        ["key_id"],
        ["keys.key_id"],
    ),
    PrimaryKeyConstraint("digest"),
    Index("ix_former_secrets_key_id", "key_id"),
)
Table(
    "postings",
    TABLES,
    Column("entry", SEQUENCE, nullable=False),
    Column("leg", Integer(), nullable=False),
    Column("party", Text(), nullable=False),
    Column("kind", String(length=32), nullable=False),
    Column("name", Text(), nullable=False),
    Column("about", Text(), nullable=False),
    Column("amount", DECIMAL, nullable=False),
    Column("currency", String(length=3), nullable=False),
    Column("citations", Text(), nullable=False),
    ForeignKeyConstraint(
        ["entry"],
        ["entries.sequence"],
    ),
    PrimaryKeyConstraint("entry", "leg"),
    Index("postings_by_account", "party", "kind", "name", "about"),
)

"""The control database's tables. Plain SQL types throughout, so that SQLite and PostgreSQL take
them alike."""

from decimal import Decimal
from typing import Any

from sqlalchemy import (
    DDL,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    event,
    false,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeEngine

from clauseway.metering import Unit

metadata = MetaData()

# SQLite counts up only an INTEGER primary key; PostgreSQL gives it eight bytes.
_SEQUENCE = BigInteger().with_variant(Integer(), "sqlite")


class ExactDecimal(TypeDecorator[Decimal]):
    """A decimal with every digit kept: NUMERIC if the database has it, text in SQLite, which would
    store a float."""

    impl = Numeric
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(String(48) if dialect.name == "sqlite" else Numeric(38, 12))

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        return str(value) if dialect.name == "sqlite" and value is not None else value

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        return None if value is None else Decimal(value)


keys = Table(
    "keys",
    metadata,
    Column("digest", String(128), primary_key=True),
    Column("key_id", String(64), nullable=False, unique=True),
    Column("organisation", Text, nullable=False),
    Column("project", Text, nullable=False),
    Column("seller", Text, nullable=False),
    Column("segment", Text, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    Column("revoked_ns", BigInteger, nullable=False, default=0),
    Column("role", String(16), nullable=False, server_default="member"),
    Column("expires_ns", BigInteger, nullable=False, server_default="0"),
)

# A key's secret that was replaced, and until when it is still accepted.
former_secrets = Table(
    "former_secrets",
    metadata,
    Column("digest", String(128), primary_key=True),
    Column("key_id", ForeignKey("keys.key_id"), nullable=False, index=True),
    Column("until_ns", BigInteger, nullable=False),
)

# An organisation, or (with a name of its own) one of its projects. `policy` is JSON: how its
# requests are routed.
tenants = Table(
    "tenants",
    metadata,
    Column("organisation", String(200), primary_key=True),
    Column("project", String(200), primary_key=True),
    Column("policy", Text, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
)


def _scope() -> list[Column[Any]]:
    """Return the columns of a limit's or budget's scope; empty text is any."""
    names = ("organisation", "project", "key_id", "cloud", "product")
    return [Column(name, String(200), nullable=False) for name in names]


limits = Table(
    "limits",
    metadata,
    Column("id", String(64), primary_key=True),
    *_scope(),
    Column("requests_per_minute", BigInteger, nullable=False),
    Column("tokens_per_minute", BigInteger, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    UniqueConstraint("organisation", "project", "key_id", "cloud", "product"),
)

# The share of a limit by the minute that each gateway process holds, where homes share the database.
limit_shares = Table(
    "limit_shares",
    metadata,
    Column("kind", String(8), primary_key=True),
    Column("limit_id", String(64), primary_key=True),
    Column("holder", String(16), primary_key=True),
    Column("leased", BigInteger, nullable=False),
    Column("serial", BigInteger, nullable=False),
    Column("until_ns", BigInteger, nullable=False),
)

# When a process was last refused a share.
limit_shortages = Table(
    "limit_shortages",
    metadata,
    Column("kind", String(8), primary_key=True),
    Column("limit_id", String(64), primary_key=True),
    Column("short_ns", BigInteger, nullable=False),
)

# Where identifiers of stateful resources lie, where homes share the database: what each home's own
# index holds, without what is pending there.
issued_resources = Table(
    "issued_resources",
    metadata,
    Column("identifier", Text, primary_key=True),
    Column("organisation", Text, nullable=False),
    Column("project", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("seller", Text, nullable=False),
    Column("segment", Text, nullable=False),
    Column("deployment", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("endpoint", Integer, nullable=False),
    Column("body_bytes", BigInteger, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("contents", LargeBinary, nullable=False),
    Index("issued_resources_by_owner", "organisation", "project", "endpoint", "created_ns"),
)

# When each served home last copied all that its index noted.
identifier_copies = Table(
    "identifier_copies",
    metadata,
    Column("home", String(16), primary_key=True),
    Column("copied_ns", BigInteger, nullable=False),
)

# `short_ns` is when a process was last refused a slice.
budgets = Table(
    "budgets",
    metadata,
    Column("id", String(64), primary_key=True),
    *_scope(),
    Column("period", String(8), nullable=False),
    Column("amount", ExactDecimal, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    Column("short_ns", BigInteger, nullable=False, default=0),
    UniqueConstraint("organisation", "project", "key_id", "cloud", "product", "period"),
)

# The slice of a budget that a gateway process holds in one period. While it is open `leased`
# counts, afterwards `spent`.
leases = Table(
    "leases",
    metadata,
    Column("sequence", _SEQUENCE, primary_key=True, autoincrement=True),
    Column("budget", String(64), nullable=False),
    Column("begin_ns", BigInteger, nullable=False),
    Column("boot", String(16), nullable=False),
    Column("part", BigInteger, nullable=False),
    Column("pid", BigInteger, nullable=False),
    Column("serial", BigInteger, nullable=False),
    Column("leased", ExactDecimal, nullable=False),
    Column("spent", ExactDecimal, nullable=False),
    Column("is_open", Boolean, nullable=False),
    Column("opened_ns", BigInteger, nullable=False),
    Column("heard_ns", BigInteger, nullable=False),
    Column("spool", String(64), nullable=False, server_default=""),
    # Where in that journal the lease began; -1 if the process did not say.
    Column("journal_segment", BigInteger, nullable=False, server_default="-1"),
    Column("journal_frame", BigInteger, nullable=False, server_default="-1"),
    UniqueConstraint("budget", "boot", "part"),
    Index("leases_by_period", "budget", "begin_ns"),
)

# The spools of batches that no gateway metered: what somebody imported, or let out of quarantine.
IMPORTED, LET_OUT = "import", "quarantine"

# A row is the commit of a batch: a half-open range of frames of one spool's segment, and the files
# that hold it.
manifest = Table(
    "manifest",
    metadata,
    Column("sequence", _SEQUENCE, primary_key=True, autoincrement=True),
    Column("spool", String(64), nullable=False),
    Column("segment", BigInteger, nullable=False),
    Column("first_frame", BigInteger, nullable=False),
    Column("end_frame", BigInteger, nullable=False),
    # Older homes named a batch's files here; `lake_files` lists them now.
    Column("usage_file", Text, nullable=False, server_default=""),
    Column("intents_file", Text, nullable=False, server_default=""),
    Column("digest", String(64), nullable=False),
    Column("usage_rows", BigInteger, nullable=False),
    Column("intent_rows", BigInteger, nullable=False),
    Column("first_day", Date),
    Column("last_day", Date),
    Column("sealed_ns", BigInteger, nullable=False),
    UniqueConstraint("spool", "segment", "first_frame"),
    UniqueConstraint("spool", "segment", "end_frame"),
    CheckConstraint("first_frame >= 0 AND first_frame < end_frame", name="a_range"),
)
# Committed ranges of one spool and segment never overlap, whoever writes. A spool is a range of one
# number, its hash, because a constraint over ranges alone needs no extension of the server.
event.listen(
    manifest,
    "after_create",
    DDL(  # type: ignore[no-untyped-call]
        "ALTER TABLE manifest ADD CONSTRAINT ranges_exclude_each_other EXCLUDE USING gist ("
        "int8range(hashtextextended(spool, 0) >> 1, hashtextextended(spool, 0) >> 1, '[]') "
        "WITH &&, "
        "int8range(segment, segment, '[]') WITH &&, int8range(first_frame, end_frame) WITH &&)"
    ).execute_if(dialect="postgresql"),
)

# The files that readers of the lake may see. Files merged into others are `retired`, and deleted a
# while later; `lost` files were accepted as such, and are read again once they are put back.
lake_files = Table(
    "lake_files",
    metadata,
    Column("sequence", _SEQUENCE, primary_key=True, autoincrement=True),
    Column("name", String(300), nullable=False, unique=True),
    Column("kind", String(8), nullable=False),
    Column("first_day", Date, nullable=False),
    Column("last_day", Date, nullable=False),
    Column("first_request", String(36), nullable=False),
    Column("last_request", String(36), nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("sealed_ns", BigInteger, nullable=False),
    Column("retired_ns", BigInteger, nullable=False, default=0),
    Column("apart", Boolean, nullable=False, server_default=false()),
    Column("places", Text, nullable=False, server_default=""),
    Column("lost_ns", BigInteger, nullable=False, server_default="0"),
    Index("lake_files_by_day", "kind", "retired_ns", "first_day"),
)

# The spools of gateways, registered before they are written, and how each was last seen.
spools = Table(
    "spools",
    metadata,
    Column("spool", String(64), primary_key=True),
    Column("place", Text, nullable=False),
    Column("registered_ns", BigInteger, nullable=False),
    Column("released", BigInteger, nullable=False),
    Column("segment", BigInteger, nullable=False),
    Column("frames", BigInteger, nullable=False),
    Column("boots", Text, nullable=False),
    Column("is_at_rest", Boolean, nullable=False),
    Column("missing_ns", BigInteger, nullable=False),
    Column("home", String(16), nullable=False, server_default=""),
)

# The homes that share the database, and when each last looked after its journals.
homes = Table(
    "homes",
    metadata,
    Column("home", String(16), primary_key=True),
    Column("heard_ns", BigInteger, nullable=False),
)

# Parts of a spool, or files of the lake, that cannot be read, the event days they may belong to,
# and who accepted which estimate for them.
losses = Table(
    "losses",
    metadata,
    Column("sequence", _SEQUENCE, primary_key=True, autoincrement=True),
    Column("spool", String(64), nullable=False),
    Column("segment", BigInteger, nullable=False),
    Column("first_frame", BigInteger, nullable=False),
    Column("end_frame", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("first_day", Date, nullable=False),
    Column("last_day", Date, nullable=False),
    Column("lost_ns", BigInteger, nullable=False),
    Column("boot", String(16), nullable=False),
    Column("accepted_ns", BigInteger, nullable=False),
    Column("who", String(200), nullable=False),
    Column("why", Text, nullable=False),
    Column("estimate", String(16), nullable=False),
    Column("attempts", BigInteger, nullable=False),
    Column("found_ns", BigInteger, nullable=False),
    Column("file", String(300), nullable=False, server_default=""),
    Index("losses_by_place", "spool", "segment", "first_frame"),
)

# When usage was acknowledged with one copy, its follower being away: a row once it was seen, and
# another row once it was over (`until_ns`, 0 before).
one_copy = Table(
    "one_copy",
    metadata,
    Column("sequence", _SEQUENCE, primary_key=True, autoincrement=True),
    Column("spool", String(64), nullable=False),
    Column("place", Text, nullable=False),
    Column("segment", BigInteger, nullable=False),
    Column("first_frame", BigInteger, nullable=False),
    Column("since_ns", BigInteger, nullable=False),
    Column("until_ns", BigInteger, nullable=False),
    Column("recorded_ns", BigInteger, nullable=False),
)

# Days whose single records the lake has dropped: from the first dropped day to the first kept day.
dropped_days = Table(
    "dropped_days",
    metadata,
    Column("sequence", _SEQUENCE, primary_key=True, autoincrement=True),
    Column("first_day", Date, nullable=False),
    Column("kept_from", Date, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("dropped_ns", BigInteger, nullable=False),
)

# Usage summed by hour of its event, kept up to date in the transaction that commits a batch.
rollups = Table(
    "rollups",
    metadata,
    Column("hour", BigInteger, primary_key=True),
    *(
        Column(name, String(200), primary_key=True)
        for name in ("organisation", "project", "seller", "cloud", "region", "product", "model")
    ),
    Column("served", BigInteger, nullable=False),
    Column("failed", BigInteger, nullable=False),
    *(Column(unit.column, BigInteger, nullable=False, server_default="0") for unit in Unit),
)

# Imports: files that were read together. `files` are their names and hashes, as JSON; a running
# import has no end yet.
imports = Table(
    "imports",
    metadata,
    Column("number", _SEQUENCE, primary_key=True, autoincrement=True),
    Column("files", Text, nullable=False),
    Column("started_ns", BigInteger, nullable=False),
    Column("ended_ns", BigInteger, nullable=False, default=0),
)

# Imported records: each identity (request and attempt), a hash of the content, and the place where
# it first stood. Bytes without a row id of their own: there may be as many as there are records.
imported_records = Table(
    "imported_records",
    metadata,
    Column("id", LargeBinary(20), primary_key=True),
    Column("content", LargeBinary(16), nullable=False),
    Column("import_number", Integer, nullable=False),
    Column("file", Integer, nullable=False),
    Column("line", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# The same in homes that kept it as text; emptied by the next import.
imported = Table(
    "imported",
    metadata,
    Column("request_id", String(36), primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("content", String(32), nullable=False),
    Column("file", String(32), nullable=False),
    Column("line", BigInteger, nullable=False),
)

# Impossible usage, whole as it came, until it is corrected or dropped.
quarantine = Table(
    "quarantine",
    metadata,
    Column("sequence", _SEQUENCE, primary_key=True, autoincrement=True),
    Column("digest", String(64), nullable=False, unique=True),
    Column("origin", Text, nullable=False),
    Column("line", BigInteger, nullable=False),
    Column("flaws", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("quarantined_ns", BigInteger, nullable=False),
    Column("ended_ns", BigInteger, nullable=False, default=0),
)

facts = Table(
    "facts",
    metadata,
    Column("sequence", _SEQUENCE, primary_key=True, autoincrement=True),
    Column("recorded_ns", BigInteger, nullable=False),
    Column("kind", String(64), nullable=False),
    Column("effective", Date, nullable=False),
    Column("payload", Text, nullable=False),
    Column("source", Text, nullable=False),
)

# The basis of settlements: who accepted it, when and why. No row is ever changed. An empty digest
# withdraws.
basis = Table(
    "basis",
    metadata,
    Column("sequence", _SEQUENCE, primary_key=True, autoincrement=True),
    Column("recorded_ns", BigInteger, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("name", String(200), nullable=False),
    Column("label", Text, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("who", Text, nullable=False),
    Column("why", Text, nullable=False),
)

# The texts that the basis names, whole (gzip), each once under its SHA-256.
basis_texts = Table(
    "basis_texts",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("body", LargeBinary, nullable=False),
)

# People who may write, and the kinds of rows that each was given (words apart by a space).
people = Table(
    "people",
    metadata,
    Column("account", String(200), primary_key=True),
    Column("may", Text, nullable=False),
    Column("recorded_ns", BigInteger, nullable=False),
)

# Accounts that may read the pages, and their screens (names separated by spaces).
passwords = Table(
    "passwords",
    metadata,
    Column("account", String(200), primary_key=True),
    Column("verifier", Text, nullable=False),
    Column("sees", Text, nullable=False),
    Column("recorded_ns", BigInteger, nullable=False),
)

# The kinds of rows that two people write together.
two_person_rules = Table(
    "two_person_rules",
    metadata,
    Column("kind", String(32), primary_key=True),
    Column("recorded_ns", BigInteger, nullable=False),
)

# Writes that one person asked for, and how each was decided by another: empty while it waits.
# `says` is JSON: what the rows would say.
approvals = Table(
    "approvals",
    metadata,
    Column("sequence", _SEQUENCE, primary_key=True, autoincrement=True),
    Column("kind", String(32), nullable=False),
    Column("subject", Text, nullable=False),
    Column("digest", String(64), nullable=False, index=True),
    Column("says", Text, nullable=False),
    Column("asked_by", Text, nullable=False),
    Column("asked_ns", BigInteger, nullable=False),
    Column("decision", String(16), nullable=False),
    Column("decided_by", Text, nullable=False),
    Column("decided_ns", BigInteger, nullable=False),
)

entries = Table(
    "entries",
    metadata,
    Column("sequence", _SEQUENCE, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("reference", Text, nullable=False, index=True),
    Column("day", Date, nullable=False),
    Column("narration", Text, nullable=False),
    Column("recorded_ns", BigInteger, nullable=False),
)

postings = Table(
    "postings",
    metadata,
    Column("entry", ForeignKey("entries.sequence"), primary_key=True),
    Column("leg", Integer, primary_key=True),
    Column("party", Text, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("name", Text, nullable=False),
    Column("about", Text, nullable=False),
    Column("amount", ExactDecimal, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("citations", Text, nullable=False),
    Index("postings_by_account", "party", "kind", "name", "about"),
)

settlements = Table(
    "settlements",
    metadata,
    Column("sequence", _SEQUENCE, primary_key=True, autoincrement=True),
    Column("receipt", String(64), nullable=False, index=True),
    Column("begin_day", Date, nullable=False),
    Column("end_day", Date, nullable=False),
    Column("body", Text, nullable=False),
    Column("recorded_ns", BigInteger, nullable=False),
)

# Vouchers: invoices, payments, credits, disputes and their resolutions. `body` is JSON.
vouchers = Table(
    "vouchers",
    metadata,
    Column("sequence", _SEQUENCE, primary_key=True, autoincrement=True),
    Column("id", String(200), nullable=False, unique=True),
    Column("kind", String(32), nullable=False, index=True),
    Column("day", Date, nullable=False),
    Column("body", Text, nullable=False),
    Column("recorded_ns", BigInteger, nullable=False),
)

# The periods that are closed, each with its statement as it was then. No row is ever changed.
closes = Table(
    "closes",
    metadata,
    Column("sequence", _SEQUENCE, primary_key=True, autoincrement=True),
    Column("begin_day", Date, nullable=False, unique=True),
    Column("end_day", Date, nullable=False, unique=True),
    Column("receipt", String(64), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("statement", Text, nullable=False),
    Column("closed_ns", BigInteger, nullable=False),
)

# The content of a day's usage as it was read; `files` hashes the files that it was read from
# together with that content: see `content`.
usage_contents = Table(
    "usage_contents",
    metadata,
    Column("day", Date, primary_key=True),
    Column("files", String(64), nullable=False),
    Column("attempts", BigInteger, nullable=False),
    Column("digest", String(64), nullable=False),
)

# The log of the books, a hash chain: `digest` hashes its row together with the digest of the row
# before. `content` is the digest of the row of another table that was written (see `audit`).
audit_log = Table(
    "audit_log",
    metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("recorded_ns", BigInteger, nullable=False),
    Column("who", String(200), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("act", String(16), nullable=False),
    Column("place", String(64), nullable=False),
    Column("row", String(400), nullable=False),
    Column("subject", Text, nullable=False),
    Column("day", Date),
    Column("why", Text, nullable=False),
    Column("content", String(64), nullable=False),
    Column("digest", String(64), nullable=False),
    Index("audit_log_by_row", "place", "row", "sequence"),
)

# The end of the log, in one row that every writer locks, and how far the log was checked before.
audit_head = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("sequence", BigInteger, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("checked", BigInteger, nullable=False),
    Column("looked_through", BigInteger, nullable=False),
)

# The breaks of the log that somebody stated: `row` is where the log was begun again, `head` where
# it ended before, and `found` the first of the `problems` that the check named.
audit_breaks = Table(
    "audit_breaks",
    metadata,
    Column("sequence", _SEQUENCE, primary_key=True, autoincrement=True),
    Column("recorded_ns", BigInteger, nullable=False),
    Column("row", BigInteger, nullable=False),
    Column("head", String(100), nullable=False),
    Column("found", Text, nullable=False),
    Column("problems", Integer, nullable=False),
    Column("who", Text, nullable=False),
    Column("why", Text, nullable=False),
)

# The public keys of parties that the home vouches for; a key that is withdrawn has a second row.
party_keys = Table(
    "party_keys",
    metadata,
    Column("sequence", _SEQUENCE, primary_key=True, autoincrement=True),
    Column("recorded_ns", BigInteger, nullable=False),
    Column("party", String(200), nullable=False),
    Column("public", String(64), nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("who", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("is_withdrawn", Boolean, nullable=False, server_default=false()),
)

# Sums that settlements keep to read less: their names hash their inputs, and dropping them loses
# nothing.
kept_sums = Table(
    "kept_sums",
    metadata,
    Column("place", String(300), primary_key=True),
    Column("name", String(64), nullable=False),
    Column("body", Text, nullable=False),
    Column("digest", String(64), nullable=False),
)

"""A statement in one file, with everything that a stranger needs to settle it again.

    pack      manifest.json   what is in it: name, size and SHA-256 of each part
              statement.json  the statement, byte for byte as signed
              signatures.json its signatures, if any
              books.json      its inputs: agreements, prices, rates, figures, readings, facts, credits and
                              disputes, accepted losses, times with one copy, the settlements and closes before it
              days.json       its usage by day: attempts and digest
              usage.parquet   its usage, attempt by attempt; left out of a pack with sums only

A pack is a ZIP file without compression, with exactly the parts of its manifest. It is read into a
temporary home; the reader's home only says which keys it trusts.
"""

import hashlib
import zipfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from clauseway.app.books.basis import held_agreement, settled_prices
from clauseway.app.books.settled import settlement_of
from clauseway.app.opening.home import Home
from clauseway.app.opening.home_control import open_control
from clauseway.app.opening.periods import month, unsettled
from clauseway.app.opening.places import writing
from clauseway.app.reports.equivocation import closed_otherwise
from clauseway.app.reports.handed_statements import (
    SIGNATURES_BYTES_MAX,
    STATEMENT_BYTES_MAX,
    HandedStatement,
    StatementVerification,
    beside,
    statement_in,
)
from clauseway.app.reports.pack_layout import EPOCH, MODE, UNIX, flaw_of_layout
from clauseway.app.reports.tracing import LineTrace, NotTraced, trace_line
from clauseway.app.reports.verifying import (
    Repetition,
    corrected_periods,
    performed_corrections,
    repeat,
    unchecked,
    verification,
)
from clauseway.app.usage.lake_place import store_of
from clauseway.app.usage.sealing import open_lake
from clauseway.exchange.parquet_reading import others_parquet
from clauseway.files import output_file
from clauseway.files.presence import is_there
from clauseway.ledger import Statement, statement_of
from clauseway.ledger.statement import canonical_bytes, digest_of
from clauseway.metering import Unit
from clauseway.storage.books import handed_over
from clauseway.storage.books.books import Books
from clauseway.storage.control.control import kept_open
from clauseway.storage.lake.columns import INTENT_SCHEMA, USAGE_SCHEMA, is_sound
from clauseway.storage.lake.lake import Lake
from clauseway.storage.lake.sealed_batches import Range
from clauseway.storage.usage.block_hashes import DayContent
from clauseway.storage.usage.content import counted_attempts, day_contents
from clauseway.storage.usage.past import copied
from clauseway.values import (
    NOT_JSON,
    Interval,
    InvalidInput,
    KnownAt,
    check_depth,
    counted,
    day_after,
    elements_beyond,
    exact_sum,
)

FORMAT = "clauseway-pack/1"
MANIFEST, STATEMENT, SIGNATURES = "manifest.json", "statement.json", "signatures.json"
BOOKS, DAYS, USAGE = "books.json", "days.json", "usage.parquet"
# The parts that a pack may have, and the most bytes that are read of each. Of usage they are a
# hundred million attempts.
_PARTS: Mapping[str, int] = {
    MANIFEST: 64 * 1024,
    STATEMENT: STATEMENT_BYTES_MAX,
    SIGNATURES: SIGNATURES_BYTES_MAX,
    BOOKS: 1024**3,
    DAYS: 16 * 1024**2,
    USAGE: 16 * 1024**3,
}
THE_SAME_HERE, ANOTHER_HERE, NOT_HERE = "the same", "another", "not here"
_MAY_LACK = frozenset({SIGNATURES, USAGE})
_ASK_AGAIN = "Ask for it again: clauseway statement pack MONTH writes one."
# Objects take twenty times the room of their shortest text: so many take a gigabyte at most. The rows
# that a pack may have, with all their columns, are fewer.
_ELEMENTS_MAX = 16_000_000
_ROWS = 50_000
# Longer names are not ours; a short name that is repeated a billion times is read once.
_TEXT_BYTES_MAX = 4_000
_UNITS = frozenset(unit.column for unit in Unit)
_NEVER_NULL: Sequence[str] = (
    *("request_id", "attempt", "event_ns", "event_day", "recorded_ns", "status"),
    *(field.name for field in USAGE_SCHEMA if pa.types.is_dictionary(field.type)),
)


class PackPart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of a pack, with its size and the SHA-256 of its bytes."""

    name: str
    bytes: int
    digest: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The contents of a pack. `settled` is when its home settled the statement."""

    format: str
    period: str
    receipt: str
    settled: str
    parts: tuple[PackPart, ...]


class Packed(msgspec.Struct, frozen=True, kw_only=True):
    """A written pack. `digest` is the SHA-256 of the manifest, which names all other parts."""

    file: str
    bytes: int
    digest: str
    attempts: int
    days: int


class PackSource(msgspec.Struct, frozen=True, kw_only=True):
    """Something that amounts stand on and that was taken from the pack. `here` says whether the
    reader's home has the same."""

    what: str
    digest: str
    here: str


class PackVerification(msgspec.Struct, frozen=True, kw_only=True):
    """The result of settling a pack again, and the days whose usage differs from the pack's.

    Of the closed `months_unnamed` the statement names no usage before `named_from`: a correction
    that is left out together with its usage is not missed.
    """

    repeated: StatementVerification
    digest: str
    attempts: int
    days_changed: tuple[str, ...]
    stands_on: tuple[PackSource, ...]
    named_from: date
    months_unnamed: tuple[str, ...]

    @property
    def same(self) -> bool:
        is_contradicted = any(source.here == ANOTHER_HERE for source in self.stands_on)
        return self.repeated.same and not self.days_changed and not is_contradicted


def pack_month(
    home: Home,
    period: str,
    out: Path,
    *,
    given: HandedStatement | None = None,
    beside_of: Path | None = None,
    sums: bool = False,
) -> Packed:
    """Pack a settled month's statement, or the given statement with its signatures.

    With `sums`, state usage only by day. Raise InvalidInput if this home has not settled the
    statement, or its usage has changed since.
    """
    days = month(period)
    with (
        copied(home.control, home.lake, store_of(home)) as lake,
        TemporaryDirectory(prefix="clauseway-") as folder,
    ):
        stated = given.statement if given is not None else _settled(lake, days, period)
        if stated is None or stated.as_of != days:
            raise _refused(
                "no statement to pack",
                f"it is not one of {period} as JSON",
                str(beside_of or period),
            )
        # A pack has what was settled before its month, and a restatement was settled after it.
        if stated.is_restatement:
            raise InvalidInput.of(
                what="the statement cannot be packed",
                why="it restates a closed month, which only the home that settled it can repeat",
                where=str(beside_of or period),
                remedy=f"Pack the month as it was closed: clauseway statement pack {period}.",
            )
        # Only a statement that this home can repeat is packed.
        settled_ns = Books(lake.control).settled_ns(stated.receipt)
        if settled_ns is None:
            raise _refused(
                "the statement is not from here",
                "no settlement with its receipt is recorded",
                period,
            )
        again = repeat(home, lake, stated)
        if again.blocked:
            raise _refused("the statement cannot be packed", " ".join(again.blocked), period)
        needed = _needed(again, days)
        contents = day_contents(again.view, needed)
        # Each part is canonical, so that the same month packs to the same bytes.
        parts: dict[str, bytes | Path] = {
            STATEMENT: canonical_bytes(stated),
            BOOKS: _json(handed_over.taken(lake.control, settled_ns, days.begin)),
            DAYS: _json(contents),
        }
        if beside_of is not None and is_there(beside(beside_of)):
            parts[SIGNATURES] = beside(beside_of).read_bytes()
        if not sums:
            parts[USAGE] = Path(folder) / USAGE
            _write_usage(again.view, needed, Path(folder) / USAGE)
        digest = _write(out, parts, period, stated.receipt, str(KnownAt(settled_ns)))
    attempts = sum(content.attempts for content in contents)
    return Packed(
        file=str(out),
        bytes=out.stat().st_size,
        digest=digest,
        attempts=attempts,
        days=len(contents),
    )


def verify_pack(
    path: Path, reader: Home | None = None
) -> tuple[PackVerification, HandedStatement, bytes]:
    """Settle a pack again in a temporary home. Return the result, the statement, and its signatures
    if it has any.

    For a pack with usage only by day, compare the usage of the `reader` day by day, and the amounts
    from it line by line. Raise InvalidInput if it is not a pack, or differs from its manifest.
    """
    with _unpacked(path, reader) as pack:
        given, stated, stated_days = pack.given, pack.stated, pack.days
        has_usage, has_own = pack.has_usage, pack.has_own
        with open_lake(pack.home) as lake:
            # Everything is settled again there, corrections of closed months included.
            with _as_the_packs(path):
                again = repeat(pack.home, lake, stated)
                settlement = performed_corrections(pack.home, lake, stated, again)
            there = day_contents(again.view, _needed(again, stated.as_of))
            stands_on = tuple(_sources(Books(lake.control), stated, reader or pack.home))
            named_from = again.settler.needed(stated.as_of).begin
            unnamed = tuple(
                f"{closed.begin:%Y-%m}"
                for closed in Books(lake.control).closed_receipts()
                if again.settler.needed(closed).begin < named_from
            )
        # Lines from usage that is not here stay unchecked.
        blocked = again.blocked
        if not has_usage:
            blocked = _by_sums(stated, stated_days, there, has_own=has_own)
        contradicted = closed_otherwise(reader, stated) if reader is not None else []
        done = verification(stated, settlement, blocked, [*again.remarks, *contradicted])
        if not has_usage and not has_own:
            there = list(stated_days)
            lines = (unchecked(line, " ".join(blocked)) for line in done.lines)
            done = msgspec.structs.replace(done, lines=tuple(lines), differences=())
        # Signatures cover bytes, so equal amounts in other bytes are a difference.
        if done.same and given.is_written_anew:
            done = msgspec.structs.replace(
                done, same=False, remarks=("The statement was written in other bytes.",)
            )
        changed = {content.day for content in (*stated_days, *there)} - {
            content.day for content in stated_days if content in there
        }
    verified = PackVerification(
        repeated=done,
        digest=pack.digest,
        attempts=sum(content.attempts for content in stated_days),
        days_changed=tuple(str(day) for day in sorted(changed)),
        stands_on=stands_on,
        named_from=named_from,
        months_unnamed=unnamed,
    )
    return verified, given, pack.signatures


def trace_packed(
    path: Path, line: str, request: str = "", cent: int = 0, reader: Home | None = None
) -> LineTrace:
    """Return the evidence behind a line of a pack's statement, as `trace_line` does of a home; the
    pack has no journal. Nothing is settled again: the amounts are the pack's own.

    For a pack with usage only by day, read the `reader`'s usage. Raise InvalidInput if it is not a
    pack, if it has no such line, request or cent, or if there is no usage.
    """
    with _unpacked(path, reader) as pack:
        stated, period = pack.stated, pack.stated.month
        settled = settlement_of(pack.home, period)
        if settled is None or statement_of(settled, stated.party) != stated:
            raise _bad(path, "its statement is not that of its settlement")
        if not any(own.id.startswith(line.lower()) for own in stated.lines):
            raise NotTraced.of(
                what=f"no line {line!r}",
                why=f"the statement of {period} in the pack has no such line",
                where="LINE",
                remedy=f"Take the name from its lines: clauseway statement verify {path}.",
            )
        if pack.days and not pack.has_usage and not pack.has_own:
            raise InvalidInput.of(
                what="the line cannot be opened",
                why="the pack tells its usage by day alone",
                where=str(path),
                remedy=f"Ask for the pack with its usage: clauseway statement pack {period}.",
            )
        with _as_the_packs(path, asked=("LINE", "--request", "--cent")):
            return trace_line(pack.home, line, request, cent, period=period)


def _settled(lake: Lake, days: Interval, period: str) -> Statement:
    """Return the statement of a month as closed, else as settled last."""
    settlement = Books(lake.control).standing(days)
    if settlement is None:
        raise unsettled(period, "MONTH")
    return statement_of(settlement)


def _own_usage(reader: Home | None, stated_days: Sequence[DayContent], out: Path) -> bool:
    """Write the reader's usage of a pack's days; return whether there is any."""
    if reader is None or not reader.is_begun or not stated_days:
        return False
    days = Interval(
        min(content.day for content in stated_days),
        day_after(max(content.day for content in stated_days)),
    )
    with copied(reader.control, reader.lake) as own:
        if not day_contents(own, days):
            return False
        _write_usage(own, days, out)
    return True


def _sources(books: Books, stated: Statement, reader: Home) -> Iterator[PackSource]:
    """Yield what was taken from a pack: a pack that agrees with itself may hold other prices.

    Closed months are not settled again, because the pack does not say which usage came later.
    """
    agreement, prices = stated.inputs.agreement, stated.inputs.price_book
    held = held_agreement(reader, agreement)
    yield _source("the agreement", agreement, agreement if held is not None else "")
    own_prices = settled_prices(reader, prices, KnownAt.everything()).digest
    yield _source("the price book", prices, prices if own_prices == prices else "")
    with _books_of(reader) as own:
        closed_here = set(own.closed_receipts().values()) if own is not None else set()
        for days, receipt in books.closed_receipts().items():
            if receipt in stated.inputs.closed:
                digest = digest_of(statement_of(books.settlement(receipt)))
                here = ""
                if own is not None and receipt in closed_here:
                    here = digest_of(statement_of(own.settlement(receipt)))
                what = f"{days.begin:%Y-%m} as it was closed, its statement"
                yield _source(what, digest, here)


def _source(what: str, digest: str, here: str) -> PackSource:
    standing = THE_SAME_HERE if here == digest else ANOTHER_HERE if here else NOT_HERE
    return PackSource(what=what, digest=digest, here=standing)


@contextmanager
def _books_of(home: Home) -> Iterator[Books | None]:
    """Return the books of a home; None where there are none."""
    if not home.is_begun:
        yield None
        return
    with open_control(home) as control:
        yield Books(control)


def _by_sums(
    stated: Statement,
    stated_days: Sequence[DayContent],
    there: Sequence[DayContent],
    *,
    has_own: bool,
) -> tuple[str, ...]:
    """Return why lines of a pack with usage only by day cannot be checked; empty if the reader's
    usage is the same."""
    attempts = sum(content.attempts for content in stated_days)
    days = counted(len(stated_days), "day")
    alone = f"The pack tells its usage by day alone: {counted(attempts, 'attempt')} on {days}."
    adds_up = (
        "The lines add up to what is owed"
        if _adds_up(stated)
        else "The lines do NOT add up to what is owed"
    )
    if not has_own:
        return (f"{alone} {adds_up}; nothing else of them can be checked without the usage.",)
    # Without single records, whole days are compared: any other day makes every line doubtful.
    others = {content.day for content in (*stated_days, *there)} - {
        content.day for content in stated_days if content in there
    }
    if not others:
        return ()
    named = ", ".join(map(str, sorted(others)))
    return (
        f"{alone} The usage of this home is another on {named}. {adds_up}, and this one came "
        f"out otherwise.",
    )


def _adds_up(stated: Statement) -> bool:
    """Return whether the lines of each direction sum to its total."""
    return all(
        exact_sum(
            line.amount
            for line in stated.lines
            if (line.payer, line.payee) == (direction.payer, direction.payee)
        )
        == direction.total
        for direction in stated.directions
    )


def _needed(again: Repetition, days: Interval) -> Interval:
    """Return the days whose usage the settlement and its corrections use."""
    begins = [
        again.settler.needed(period).begin
        for period in (days, *corrected_periods(again.settlement))
    ]
    return Interval(min(begins), days.end)


def _write_usage(lake: Lake, days: Interval, out: Path) -> None:
    """Write the attempts that count, in the order of their days."""
    with pq.ParquetWriter(out, USAGE_SCHEMA, compression="zstd") as writer:
        for batch in counted_attempts(lake, days):
            writer.write_table(pa.Table.from_batches([batch]).cast(USAGE_SCHEMA))


def _write(
    out: Path, parts: Mapping[str, bytes | Path], period: str, receipt: str, settled: str
) -> str:
    """Write a whole pack, or nothing; return the digest of its manifest."""
    listed = tuple(_part(name, parts[name]) for name in sorted(parts))
    manifest = _json(
        Manifest(format=FORMAT, period=period, receipt=receipt, settled=settled, parts=listed)
    )
    with (
        writing(out),
        output_file(out) as beside,
        zipfile.ZipFile(beside, "w", zipfile.ZIP_STORED, allowZip64=True) as archive,
    ):
        _add(archive, MANIFEST, manifest)
        for name in sorted(parts):
            _add(archive, name, parts[name])
    return hashlib.sha256(manifest).hexdigest()


def _part(name: str, content: bytes | Path) -> PackPart:
    if isinstance(content, bytes):
        return PackPart(name=name, bytes=len(content), digest=hashlib.sha256(content).hexdigest())
    with content.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return PackPart(name=name, bytes=content.stat().st_size, digest=digest)


def _add(archive: zipfile.ZipFile, name: str, content: bytes | Path) -> None:
    entry = zipfile.ZipInfo(name, EPOCH)
    entry.external_attr, entry.create_system = MODE, UNIX
    if isinstance(content, bytes):
        archive.writestr(entry, content)
        return
    entry.file_size = content.stat().st_size
    # The header is written before the content, and says by its size whether that needs more than 32
    # bits. Told to make room for them in any case, versions of Python write other bytes.
    with archive.open(entry, "w") as written, content.open("rb") as file:
        while chunk := file.read(1 << 20):
            written.write(chunk)


# Reading a pack that anybody may have written


class _Unpacked(msgspec.Struct, frozen=True, kw_only=True):
    """A pack in a home of its own. `digest` is that of its manifest, `days` is its usage by day.

    `has_usage` says whether the pack brings its usage, `has_own` whether the reader's usage stands
    in for it. `signatures` is empty if it has none.
    """

    home: Home
    digest: str
    given: HandedStatement
    stated: Statement
    days: tuple[DayContent, ...]
    has_usage: bool
    has_own: bool
    signatures: bytes


@contextmanager
def _unpacked(path: Path, reader: Home | None) -> Iterator[_Unpacked]:
    """Fill a temporary home from a pack, with the reader's usage if the pack has none. Raise
    InvalidInput if it is not a pack, or differs from its manifest."""
    with _opened(path) as archive, TemporaryDirectory(prefix="clauseway-") as folder:
        manifest, digest = _manifest(archive, path)
        parts = {part.name for part in manifest.parts}
        content = _read(archive, STATEMENT, manifest, path)
        # The parts must belong together before anything is settled.
        stated = _statement(content, path)
        if stated.receipt != manifest.receipt or stated.month != manifest.period:
            raise _bad(path, "its statement is not the one that its manifest names")
        days = _decoded(_read(archive, DAYS, manifest, path), tuple[DayContent, ...], path, DAYS)
        books = _decoded(
            _read(archive, BOOKS, manifest, path), handed_over.RowsByTable, path, BOOKS
        )
        signatures = _read(archive, SIGNATURES, manifest, path) if SIGNATURES in parts else b""
        # The pack's books and usage fill a home of their own.
        home = Home(Path(folder) / "home").make()
        with kept_open(home.control):
            with open_lake(home) as lake:
                _fill(lake, books, path)
                usage = Path(folder) / USAGE
                if USAGE in parts:
                    _copy(archive, manifest, usage, path)
                has_own = USAGE not in parts and _own_usage(reader, days, usage)
                if is_there(usage):
                    _seal(lake, usage, path)
            yield _Unpacked(
                home=home,
                digest=digest,
                given=HandedStatement(format="json", content=content, statement=stated),
                stated=stated,
                days=days,
                has_usage=USAGE in parts,
                has_own=has_own,
                signatures=signatures,
            )


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a pack that has only the allowed parts. Raise InvalidInput."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            names = [entry.filename for entry in entries]
            if unknown := sorted(set(names) - _PARTS.keys()):
                raise _bad(path, f"it holds {unknown[0][:80]!r}, which no pack has")
            if len(set(names)) < len(names):
                raise _bad(path, "it holds a part twice")
            if names != sorted(names, key=lambda name: (name != MANIFEST, name)):
                raise _bad(path, "its parts are in another order than a pack's")
            if missing := sorted(_PARTS.keys() - _MAY_LACK - set(names)):
                raise _bad(path, f"it lacks {missing[0]}")
            # Sizes are bounded before anything is read, against archives that swell.
            for entry in entries:
                if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
                    raise _bad(path, f"{entry.filename} is compressed or encrypted")
                if (
                    entry.file_size > _PARTS[entry.filename]
                    or entry.file_size != entry.compress_size
                ):
                    raise _bad(path, f"{entry.filename} is larger than it may be")
            if flaw := flaw_of_layout(archive, path):
                raise _bad(path, flaw)
            yield archive
    except (
        OSError,
        zipfile.BadZipFile,
        EOFError,
        NotImplementedError,
        UnicodeDecodeError,
    ) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise _bad(path, why or "it is no ZIP file") from None


def _manifest(archive: zipfile.ZipFile, path: Path) -> tuple[Manifest, str]:
    content = archive.read(MANIFEST)
    manifest = _decoded(content, Manifest, path, MANIFEST)
    if manifest.format != FORMAT:
        raise _bad(path, f"its format is {manifest.format[:40]!r}, and this version reads {FORMAT}")
    names = sorted(part.name for part in manifest.parts)
    if names != sorted(set(archive.namelist()) - {MANIFEST}):
        raise _bad(path, "its manifest names other parts than it holds")
    return manifest, hashlib.sha256(content).hexdigest()


def _read(archive: zipfile.ZipFile, name: str, manifest: Manifest, path: Path) -> bytes:
    """Return a part, checked against the manifest."""
    content = archive.read(name)
    [part] = [part for part in manifest.parts if part.name == name]
    if (len(content), hashlib.sha256(content).hexdigest()) != (part.bytes, part.digest):
        raise _bad(path, f"{name} is not what the manifest says")
    return content


def _copy(archive: zipfile.ZipFile, manifest: Manifest, out: Path, path: Path) -> None:
    """Copy the usage out of the pack, checked against the manifest."""
    [part] = [part for part in manifest.parts if part.name == USAGE]
    digest, left = hashlib.sha256(), part.bytes
    with archive.open(USAGE) as read, out.open("wb") as written:
        while chunk := read.read(1 << 20):
            left -= len(chunk)
            # More than the manifest says is refused before it fills the disk.
            if left < 0:
                break
            digest.update(chunk)
            written.write(chunk)
    if left or digest.hexdigest() != part.digest:
        raise _bad(path, f"{USAGE} is not what the manifest says")


def _fill(lake: Lake, rows: handed_over.RowsByTable, path: Path) -> None:
    try:
        handed_over.put(lake.control, rows)
    except handed_over.Unfit as error:
        raise _bad(path, f"{BOOKS}: {error}") from None


def _seal(lake: Lake, usage: Path, path: Path) -> None:
    """Seal the usage of a pack into its own lake."""
    words = [field.name for field in USAGE_SCHEMA if field.name != "terms" and _is_text(field.type)]
    try:
        with others_parquet(usage, _ROWS, dictionaries=words, within=path) as file:
            # An earlier version wrote no columns for units that were added since.
            names = file.schema.names
            whole = [name for name in USAGE_SCHEMA.names if name in names or name not in _UNITS]
            if names != whole:
                raise _bad(path, f"{USAGE} has other columns than usage has")
            rows = file.rows
            # The footer of a small file may claim any number of rows, and each would be read.
            if rows > usage.stat().st_size:
                raise _bad(path, f"{USAGE} says that it has {rows:,} rows, more than it has bytes")
            parts = (_rows(batch, path) for batch in file.batches)
            of = Range(spool="pack", segment=1, first_frame=0, end_frame=max(rows, 1))
            lake.seal_parts(of, _by_day(parts, path), INTENT_SCHEMA.empty_table(), 0)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise _bad(path, f"{USAGE}: {error}") from None


def _is_text(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_dictionary(kind))


def _rows(batch: pa.RecordBatch, path: Path) -> pa.Table:
    """Return rows that can be usage. Each distinct text is checked once."""
    for column in batch.columns:
        if pa.types.is_dictionary(column.type):
            longest = pc.max(pc.binary_length(column.dictionary)).as_py() or 0
            if longest > _TEXT_BYTES_MAX:
                raise _bad(path, f"{USAGE} has a text of {longest:,} bytes")
    table = pa.Table.from_batches([batch])
    columns = {field.name: _cast(table, field) for field in USAGE_SCHEMA}
    rows = pa.table(columns, schema=USAGE_SCHEMA)
    if any(rows[name].null_count for name in _NEVER_NULL):
        raise _bad(path, f"{USAGE} has an attempt without a name, a time or a party")
    days = rows["event_ns"].cast(pa.timestamp("ns")).cast(pa.date32())
    if not pc.all(pc.equal(days, rows["event_day"])).as_py():
        raise _bad(path, f"{USAGE} has an attempt on another day than that of its time")
    # Bills are imported as sums of many requests: nobody says of how many.
    if not is_sound(rows, aggregated=True):
        raise _bad(path, f"{USAGE} has counts that cannot be true")
    return rows


def _cast(table: pa.Table, field: pa.Field) -> pa.Array | pa.ChunkedArray:
    """Return a column as usage has it. One that is not there is of nulls."""
    if field.name not in table.column_names:
        return pa.nulls(len(table), field.type)
    column = table[field.name]
    return (column.cast(pa.string()) if pa.types.is_dictionary(field.type) else column).cast(
        field.type
    )


def _by_day(parts: Iterator[pa.Table], path: Path) -> Iterator[pa.Table]:
    """Yield rows in parts, each of one day. Raise InvalidInput where days are not in order."""
    before = date.min
    for part in parts:
        for day in sorted(pc.unique(part["event_day"]).to_pylist()):
            if day < before:
                raise _bad(path, f"{USAGE} is not in the order of its days")
            before = day
            yield part.filter(pc.equal(part["event_day"], pa.scalar(day, pa.date32())))


def _statement(content: bytes, path: Path) -> Statement:
    _check_elements(content, path, STATEMENT)
    try:
        with _as_the_packs(path):
            return statement_in(content)
    except NOT_JSON as error:
        raise _bad(path, f"{STATEMENT}: {error}") from None


def _check_elements(content: bytes, path: Path, name: str) -> None:
    is_long = content.count(b",") >= _ELEMENTS_MAX
    if is_long and elements_beyond(_ELEMENTS_MAX).match(content):
        raise _bad(path, f"{name} has more than {_ELEMENTS_MAX:,} members and elements")


def _decoded(content: bytes, kind: Any, path: Path, name: str) -> Any:
    _check_elements(content, path, name)
    try:
        check_depth(content)
        decoded = msgspec.json.decode(content, type=kind)
    except NOT_JSON as error:
        raise _bad(path, f"{name}: {error}") from None
    # A name that stands twice, for example: another program may take the other value.
    if content != _json(decoded):
        raise _bad(path, f"{name} is not written as a pack has it")
    return decoded


def _json(value: object) -> bytes:
    return msgspec.json.encode(value, order="sorted") + b"\n"


@contextmanager
def _as_the_packs(path: Path, asked: Collection[str] = ()) -> Iterator[None]:
    """Report problems of the temporary home as problems of the pack, because nobody can mend that
    home. Problems where something was `asked` stay."""
    try:
        yield
    except InvalidInput as error:
        if any(problem.where in asked for problem in error.problems):
            raise
        replace = msgspec.structs.replace
        raise InvalidInput(
            *(
                replace(problem, where=f"{path}, {problem.where}", remedy=_ASK_AGAIN)
                for problem in error.problems
            )
        ) from None


def _bad(path: Path, why: str) -> InvalidInput:
    return InvalidInput.of(what="no pack", why=why, where=str(path), remedy=_ASK_AGAIN)


def _refused(problem: str, why: str, where: str) -> InvalidInput:
    remedy = "Settle the month on the usage that is here, or pack it where it was settled."
    return InvalidInput.of(what=problem, why=why, where=where, remedy=remedy)

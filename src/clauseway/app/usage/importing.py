"""Importing usage that others counted: translated, checked row by row, once each.

Rows that are wrong wait in quarantine.

    files ─▶ rows ─▶ believed ─▶ staging, on disk ─▶ in order of day and request ─▶ the lake, one file a day
                  └▶ wrong ────▶ quarantine

An import is all the files of one command and counts whole or not at all: its last transaction
commits its files, its claims and what it holds in quarantine. Killed before that it has changed
nothing, and is simply given again; files that it left in the lake go once their usage is there.
"""

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from msgspec.structs import replace

from clauseway.app.opening import locks
from clauseway.app.opening.home import Home
from clauseway.app.opening.several import Opened, each_of
from clauseway.app.usage.sealing import lake_locked, open_lake
from clauseway.exchange.usage.focus import BillNames
from clauseway.exchange.usage.opentelemetry import Spans
from clauseway.exchange.usage.reported_rows import Reported, keepable
from clauseway.exchange.usage.usage_files import (
    check_format,
    format_of,
    read_usage,
    spans_in,
    unreadable,
)
from clauseway.metering import Bounds, Flaw, Used, examine
from clauseway.metering.usage_rules import content_of, imported_id, is_imported
from clauseway.metering.usage_rules import fields as known_fields
from clauseway.storage.control.schema import IMPORTED, LET_OUT
from clauseway.storage.lake import imports
from clauseway.storage.lake.checked_rows import read_rows
from clauseway.storage.lake.columns import INTENT_SCHEMA, USAGE_SCHEMA, used_table
from clauseway.storage.lake.file_list import USAGE, files_of, kept_from
from clauseway.storage.lake.imports import ImportedFile, ImportedRow, identity_of
from clauseway.storage.lake.lake import Lake
from clauseway.storage.lake.quarantine import (
    DROPPED,
    REPLAYED,
    Flawed,
    Holding,
    QuarantinedRow,
    end,
    held,
    hold,
    judge,
)
from clauseway.storage.lake.sealed_batches import Range
from clauseway.storage.lake.staging import Placed, Repeat, Staging, Untagged
from clauseway.values import (
    Interval,
    InvalidInput,
    Problem,
    day_after,
    day_of,
    refuse_any,
    start_of_day_ns,
)

# Rows that are checked together, and held in memory: some 5 kB each.
_ROWS = 10_000
# Clocks differ: an event this far ahead of our clock is not yet in the future.
_SKEW_NS = 300 * 1_000_000_000


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """The result of importing files.

    `again` were imported before; `skipped` are no usage, by reason.

    INVARIANT: rows = imported + again + quarantined + skipped.
    """

    rows: int = 0
    imported: int = 0
    again: int = 0
    quarantined: int = 0
    skipped: dict[str, int] = {}


class ImportSource(msgspec.Struct, frozen=True, kw_only=True):
    """The reading of a file: its format, fields for rows that leave them out, and the source of
    its ids."""

    format: str = ""
    fields: Mapping[str, str] = {}
    source: str = ""


OnProgress = Callable[[str, Imported], object]
OnWait = Callable[[], object]


def silently() -> None:
    """Say nothing of waiting."""


def import_usage(
    home: Home,
    opened: Opened,
    paths: Sequence[Path],
    source: ImportSource,
    report: OnProgress,
    on_wait: OnWait = silently,
) -> Imported:
    """Import files as one, and report the progress.

    Rows that are wrong go into quarantine.

    `on_wait` is called before waiting for another import into this home. Raise InvalidInput where a
    file cannot be read, or is none of its format, or where nothing in them was understood; then
    nothing has changed.
    """
    _check_fields(source.fields)
    if source.format:
        check_format(source.format)
    files = [_File(path, source.format) for path in paths]
    names = BillNames.of(opened.catalog)
    spans = spans_in((file.path, file.form) for file in files)
    if not home.is_begun:
        _check_before_home(files, names, spans)
    # One import at a time: another's claims are not yet records, and a dead one's are given back.
    with locks.locked(home, "import", on_wait), open_lake(home) as lake:
        started_ns = time.time_ns()
        number = imports.begin(lake.control, [file.imported for file in files], started_ns)
        staging = Staging(home.root / "importing")
        # Nothing is written into the lake before every file is read and understood.
        try:
            bounds = bounds_of(opened)
            run = _Run(lake, bounds, names, spans, source, files, staging)
            done = run.read(report)
            _check_understood(done.rows, done.skipped, paths)
            return run.seal(home, number, done, report)
        finally:
            staging.close()


def _check_before_home(files: Sequence["_File"], names: BillNames, spans: Spans) -> None:
    """Read each file up to a row with usage, so that files of another format, or without any usage,
    make no home."""
    rows, skipped = 0, Counter[str]()
    for file in files:
        for chunk in read_usage(file.path, file.form, names, _ROWS, spans):
            rows += len(chunk)
            skipped.update(row.skipped for row in chunk if row.skipped)
            if rows > skipped.total():
                break
    _check_understood(rows, skipped, [file.path for file in files])


def bounds_of(opened: Opened) -> Bounds:
    """Return the names and days that usage may have, by the agreements and the present."""
    catalog = opened.catalog
    first = min(asked.agreement.amendments[0].effective for asked in each_of(opened))
    return Bounds(
        products=frozenset(catalog.products),
        clouds=catalog.clouds,
        sellers=catalog.parties,
        first_ns=start_of_day_ns(first),
        last_ns=time.time_ns() + _SKEW_NS,
    )


class _File:
    def __init__(self, path: Path, form: str) -> None:
        self.path = path
        self.imported = ImportedFile(path.name, _hash_of(path))
        self.form = form or format_of(path)
        # Bills have no ids: two rows of a file that are about the same are a mistake. Events come
        # twice as they please.
        self.repeats_are_wrong = self.form == "focus"


class _Believed(msgspec.Struct, frozen=True):
    """A row that is believed: the record, and where it came from."""

    used: Used
    origin: Placed


class _Run:
    """An import on its way into the lake."""

    def __init__(
        self,
        lake: Lake,
        bounds: Bounds,
        names: BillNames,
        spans: Spans,
        source: ImportSource,
        files: Sequence[_File],
        staging: Staging,
    ) -> None:
        self._lake, self._bounds, self._names, self._source = lake, bounds, names, source
        self._spans, self._files, self._staging = spans, files, staging
        self._kept_from = kept_from(lake.control) or date.min
        self._now_ns = time.time_ns()
        self._rows = self._again = self._flawed = 0
        self._skipped: dict[str, int] = {}

    def read(self, report: OnProgress) -> Imported:
        """Read the files into the staging; the figures, in which what came twice among them is
        not yet known."""
        for place, file in enumerate(self._files):
            number = 0
            for chunk in read_usage(file.path, file.form, self._names, _ROWS, self._spans):
                self._read(place, number, chunk)
                number += len(chunk)
                report(file.path.name, self._figures(imported=0))
        return self._figures(
            imported=self._rows - self._again - self._flawed - sum(self._skipped.values())
        )

    def seal(self, home: Home, number: int, read: Imported, report: OnProgress) -> Imported:
        """Write the new records into the lake, in order, and commit the import.

        The figures as they are then.
        """
        # Rows of an earlier import were left out on reading; these came twice in these files.
        for repeat in self._staging.repeats():
            self._repeated(repeat)
        new = read.imported - (self._again - read.again) - (self._flawed - read.quarantined)
        imports.claim(self._lake.control, number, self._staging.claims())
        holding = [Holding(0, 0)]

        def also(connection: Any) -> None:
            imports.end(connection, number, time.time_ns())
            holding[0] = hold(connection, self._staging.held(), self._now_ns)

        # The import ends in the transaction that commits its records. The claims of one that never
        # ends are given back by the next.
        with lake_locked(home):
            if new:
                of = Range(spool=IMPORTED, segment=number, first_frame=0, end_frame=self._rows)
                parts = _reporting(self._staging.parts(), read, report)
                no_intents = INTENT_SCHEMA.empty_table()
                self._lake.seal_parts(of, parts, no_intents, self._now_ns, also=also)
            else:
                with self._lake.control.writing() as connection:
                    also(connection)
        return Imported(
            rows=self._rows,
            imported=new,
            # A row that was wrong once, and was corrected or dropped since, was there before too.
            again=self._again + holding[0].ended,
            quarantined=holding[0].waiting,
            skipped=self._skipped,
        )

    def _figures(self, imported: int) -> Imported:
        return Imported(
            rows=self._rows,
            imported=imported,
            again=self._again,
            quarantined=self._flawed,
            skipped=dict(self._skipped),
        )

    def _read(self, place: int, first: int, chunk: Sequence[Reported]) -> None:
        self._rows += len(chunk)
        believed: list[_Believed] = []
        for number, read in enumerate(chunk, first):
            if read.skipped:
                self._skipped[read.skipped] = self._skipped.get(read.skipped, 0) + 1
                continue
            # A row is kept as it came, beside its flaws, unless it is believed.
            row = self._completed(read.fields)
            body, unkept = _body_of(row)
            unreadable = read.unreadable or unkept
            examined = (
                (Flaw("row", unreadable),)
                if unreadable
                else _examined(row, self._bounds, self._kept_from)
            )
            if isinstance(examined, Used):
                origin = Placed(*_claimed(examined), place, number, read.line, body)
                if read.untagged_id:
                    request = imported_id(row["source"], read.untagged_id)
                    claimed = _claimed(replace(examined, request=request))
                    origin = replace(origin, untagged=Untagged(*claimed, read.untagged_id))
                believed.append(_Believed(examined, origin))
            else:
                self._hold(place, read.line, body, examined)
        self._stage(place, believed)

    def _completed(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        row: dict[str, Any] = dict(self._source.fields)
        # Flags hold for what a row leaves out or empty.
        row |= {name: value for name, value in fields.items() if value is not None and value != ""}
        if self._source.source:
            row["source"] = self._source.source
        product = row.get("product")
        if isinstance(product, str) and product not in self._bounds.products:
            row["product"] = _product_named(product, self._bounds.products)
            row.setdefault("model", product)
        return row

    def _stage(self, place: int, believed: Sequence[_Believed]) -> None:
        """Keep what nobody imported before; of the rest say what it is."""
        origins = [record.origin for record in believed]
        identities = [origin.identity for origin in origins]
        identities += [origin.untagged.identity for origin in origins if origin.untagged]
        before = imports.seen(self._lake.control, identities)
        metered = _metered(
            self._lake, [record.used for record in believed if not is_imported(record.used.request)]
        )
        # New, contradicting an earlier import, or the same again.
        new: list[_Believed] = []
        for record in believed:
            origin = self._retagged(record.origin, before)
            then = before.get(origin.identity)
            if then is None and origin.identity not in metered:
                new.append(_Believed(record.used, origin))
            elif then is not None and (why := self._wrong_again(origin, then)):
                self._hold(place, origin.line, origin.body, (Flaw("id", why),))
            else:
                self._again += 1
        if new:
            self._staging.add(
                used_table([record.used for record in new], self._now_ns),
                [record.origin for record in new],
            )

    def _retagged(self, origin: Placed, before: Mapping[bytes, imports.Seen]) -> Placed:
        """Return a tagged row as the charge that came before with other tags, if one did."""
        untagged = origin.untagged
        if origin.identity in before or untagged is None or untagged.identity not in before:
            return origin
        # Two charges of a file may differ in their tags alone.
        if before[untagged.identity].file.digest == self._files[origin.file].imported.digest:
            return replace(origin, untagged=None)
        return replace(
            origin,
            identity=untagged.identity,
            content=untagged.content,
            body=_with_id(origin.body, untagged.id),
            untagged=None,
        )

    def _wrong_again(self, origin: Placed, then: imports.Seen) -> str:
        """Return why a record that was imported before may not come again so, or nothing."""
        if then.content != origin.content:
            return _contradiction(then.line, then.file.name)
        file = self._files[origin.file]
        same_file = then.file.digest == file.imported.digest
        if file.repeats_are_wrong and same_file and then.line != origin.line:
            return _same_charge(then.line)
        return ""

    def _repeated(self, repeat: Repeat) -> None:
        """Count a row whose record stood before it in this import; hold a row that contradicts
        it."""
        first = self._files[repeat.first_file].imported.name
        wrong = ""
        if not repeat.same:
            wrong = _contradiction(repeat.first_line, first)
        elif self._files[repeat.file].repeats_are_wrong and repeat.first_file == repeat.file:
            wrong = _same_charge(repeat.first_line)
        if wrong:
            body = repeat.body
            if repeat.untagged_id is not None:
                body = _with_id(body, repeat.untagged_id)
            self._hold(repeat.file, repeat.line, body, (Flaw("id", wrong),))
        else:
            self._again += 1

    def _hold(self, place: int, line: int, body: str, flaws: tuple[Flaw, ...]) -> None:
        origin = self._files[place].imported.name
        self._staging.hold([Flawed(origin=origin, line=line, flaws=flaws, body=body)])
        self._flawed += 1


def _examined(row: Mapping[str, Any], bounds: Bounds, first: date) -> Used | tuple[Flaw, ...]:
    """Return the record of a row, or why it is wrong. Days before the `first` were dropped."""
    examined = examine(row, bounds)
    if isinstance(examined, Used) and day_of(examined.event_ns) < first:
        why = f"single records before {first} were dropped, so no more of them are taken"
        return (Flaw("event_ns", why),)
    return examined


def _contradiction(line: int, name: str) -> str:
    return f"it came before with other figures, in row {line} of {name}"


def _same_charge(line: int) -> str:
    return f"the same charge as row {line} of this file"


def _reporting(parts: Iterable[pa.Table], read: Imported, report: OnProgress) -> Iterator[pa.Table]:
    """Pass the parts on and report the number of rows written so far."""
    written = 0
    for part in parts:
        yield part
        written += part.num_rows
        report("sealed", replace(read, imported=written))


def _check_understood(rows: int, skipped: Mapping[str, int], paths: Sequence[Path]) -> None:
    """Raise InvalidInput where rows were read and every row was skipped."""
    passed = sum(skipped.values())
    if passed and passed == rows:
        reasons = sorted(skipped.items(), key=lambda item: -item[1])[:5]
        why = "; ".join(f"{count:,} × {reason}" for reason, count in reasons)
        rows_skipped = "its only row was" if passed == 1 else f"all {passed:,} rows were"
        problem = f"nothing was imported: {rows_skipped} skipped"
        remedy = (
            "Give a file with usage in it; `clauseway usage import --help` says which formats "
            "are read."
        )
        where = ", ".join(map(str, paths[:3]))
        raise InvalidInput.of(what=problem, why=why, where=where, remedy=remedy)


def _check_fields(names: Iterable[str]) -> None:
    wrong = [_no_field(name) for name in names if name not in set(known_fields())]
    refuse_any(wrong)


def _check_cleared(names: Sequence[str], rows: Iterable[QuarantinedRow]) -> None:
    """Check that what is to be taken away is a field of usage, or of one of the rows."""
    others = set(names) - set(known_fields())
    if others:
        others -= {name for row in rows for name in msgspec.json.decode(row.body)}
    refuse_any(
        [
            Problem(
                what=f"{name!r} is in none of these rows",
                why="so there is nothing to clear",
                where="--set",
                remedy="`clauseway usage quarantine show NUMBER` names the fields of a row.",
            )
            for name in sorted(others)
        ]
    )


def _body_of(row: Mapping[str, Any]) -> tuple[str, str]:
    """Return a row as it came, as JSON; and why it cannot be kept so, where it cannot."""
    try:
        return msgspec.json.encode(row, enc_hook=str).decode(), ""
    except UnicodeEncodeError:
        why = "text in it is no Unicode"
    except OverflowError:
        why = "a number in it is beyond all bounds"
    except RecursionError:
        return msgspec.json.encode({"row": str(type(row))}).decode(), "it is nested too deep"
    return msgspec.json.encode(keepable(row), enc_hook=str).decode(), why


def listed(
    home: Home, *, with_ended: bool = False, numbers: Sequence[int] = ()
) -> list[QuarantinedRow]:
    """Return the quarantine. Raise InvalidInput for a number that is not in it."""
    with open_lake(home) as lake:
        rows = held(lake.control, with_ended=with_ended or bool(numbers), numbers=numbers)
    _check_numbers(numbers, rows)
    return rows


def drop(home: Home, numbers: Sequence[int]) -> list[QuarantinedRow]:
    """Drop rows for good; they stay on the list of what was dropped. Raise InvalidInput."""
    with lake_locked(home), open_lake(home) as lake:
        rows = _still_open(lake, numbers)
        with lake.control.writing() as connection:
            end(connection, [row.number for row in rows], DROPPED, time.time_ns())
    return rows


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a replay: the rows that are in the lake now, and those that are still wrong,
    with why."""

    replayed: tuple[int, ...]
    still: dict[int, tuple[Flaw, ...]]


def replay(
    home: Home,
    opened: Opened,
    numbers: Sequence[int],
    corrections: Mapping[str, str],
    on_wait: OnWait = silently,
) -> Replayed:
    """Check quarantined rows again, with corrections to their fields, and import those that are
    believed now.

    `on_wait` is called before waiting for another import into this home.

    No numbers: all that are open. A correction of nothing (`field=`) takes the field away, also a
    field of the row that is none of usage, as a meter of a bill. Raise InvalidInput.
    """
    _check_fields(name for name, value in corrections.items() if value)
    bounds, now_ns = bounds_of(opened), time.time_ns()
    done: list[int] = []
    still: dict[int, tuple[Flaw, ...]] = {}
    judged: dict[int, tuple[Flaw, ...]] = {}
    with locks.locked(home, "import", on_wait), lake_locked(home), open_lake(home) as lake:
        waiting_rows, first = _still_open(lake, numbers), kept_from(lake.control) or date.min
        _check_cleared([name for name, value in corrections.items() if not value], waiting_rows)
        for waiting in waiting_rows:
            row = {**msgspec.json.decode(waiting.body), **corrections}
            # A row that names what it is not is corrected by leaving that out.
            row = {name: value for name, value in row.items() if value != ""}
            examined = _examined(row, bounds, first)
            if isinstance(examined, Used):
                examined = _replay_row(lake, waiting, examined, now_ns)
            if isinstance(examined, Used):
                done.append(waiting.number)
            else:
                still[waiting.number] = examined
                judged |= _judged_anew(waiting, bounds, first)
        if judged:
            with lake.control.writing() as connection:
                judge(connection, judged)
    return Replayed(replayed=tuple(done), still=still)


def _judged_anew(
    waiting: QuarantinedRow, bounds: Bounds, first: date
) -> dict[int, tuple[Flaw, ...]]:
    """Return why a row as it came is wrong now, where the reasons kept are others: products and
    parties may have been added since."""
    flaws = _examined(msgspec.json.decode(waiting.body), bounds, first)
    if isinstance(flaws, Used) or flaws == waiting.flaws:
        return {}
    return {waiting.number: flaws}


def _replay_row(
    lake: Lake, waiting: QuarantinedRow, used: Used, now_ns: int
) -> Used | tuple[Flaw, ...]:
    """Import a row that is believed now, and close its entry in the same transaction."""
    claim = ImportedRow(*_claimed(used), 0, waiting.line)
    before = imports.seen(lake.control, [claim.identity]).get(claim.identity)
    if is_imported(used.request) and before is not None:
        if before.content != claim.content:
            why = "it was imported before with other figures; give it another id, or drop it"
            return (Flaw("id", why),)
        with lake.control.writing() as connection:
            end(connection, [waiting.number], REPLAYED, now_ns)
        return used

    # The claim and the entry's end are committed with the row.
    def also(connection: Any) -> None:
        if is_imported(used.request):
            imports.claim_single(connection, claim)
        end(connection, [waiting.number], REPLAYED, now_ns)

    of = Range(spool=LET_OUT, segment=waiting.number, first_frame=0, end_frame=1)
    lake.seal_tables(of, used_table([used], now_ns), INTENT_SCHEMA.empty_table(), now_ns, also=also)
    return used


def _still_open(lake: Lake, numbers: Sequence[int]) -> list[QuarantinedRow]:
    rows = held(lake.control, numbers=numbers)
    _check_numbers(numbers, rows)
    return rows


def _check_numbers(numbers: Sequence[int], rows: Iterable[QuarantinedRow]) -> None:
    missing = sorted(set(numbers) - {row.number for row in rows})
    if missing:
        problem = (
            f"{', '.join(map(str, missing))} in quarantine: there is no such row, or not any more"
        )
        remedy = "`clauseway usage quarantine list` shows what there is."
        raise InvalidInput.of(
            what=problem, why="nothing waits under it", where="NUMBER", remedy=remedy
        )


def _metered(lake: Lake, rows: Sequence[Used]) -> set[bytes]:
    """Return those of the rows that are in the lake because a gateway metered them, or a lake
    was imported whole."""
    if not rows:
        return set()
    names = {
        (str(used.request), used.attempt): identity_of(used.request, used.attempt) for used in rows
    }
    # Files are ordered by request, so most of them are skipped by their first and last ids.
    ids = sorted(key[0] for key in names)
    between = (pc.field("request_id") >= ids[0]) & (pc.field("request_id") <= ids[-1])
    metered: set[bytes] = set()
    first, last = (day_of(outer(used.event_ns for used in rows)) for outer in (min, max))
    near = [
        file
        for file in files_of(lake.control, USAGE, Interval(first, day_after(last)))
        if file.first_request <= ids[-1] and file.last_request >= ids[0]
    ]
    lake.sealed.fetch(near)
    for file in near:
        table = read_rows(lake.root / file.name, columns=["request_id", "attempt"], filters=between)
        keys = zip(table["request_id"].to_pylist(), table["attempt"].to_pylist(), strict=True)
        metered |= {names[key] for key in keys if key in names}
    return metered


def _claimed(used: Used) -> tuple[bytes, bytes]:
    """Return the identity of a record, and a hash of its content."""
    content = hashlib.blake2b(content_of(used), digest_size=16).digest()
    return identity_of(used.request, used.attempt), content


def _with_id(body: str, identity: str) -> str:
    return msgspec.json.encode(msgspec.json.decode(body) | {"id": identity}).decode()


def _hash_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "md5").hexdigest()
    except OSError as error:
        raise InvalidInput(unreadable(path, error)) from None


def _product_named(name: str, products: frozenset[str]) -> str:
    """Return the product behind a model's name: `openai.gpt-5.4` and `gpt-5.4-2026-03-05` are
    gpt-5.4."""
    # A dated name ends in eleven characters such as `-2026-03-05`.
    plain = name.rpartition("/")[2].removeprefix("openai.")
    dated = plain[:-11] if len(plain) > 11 and plain[-11:].replace("-", "").isdecimal() else plain
    return next((product for product in (plain, dated) if product in products), name)


def _no_field(name: str) -> Problem:
    return Problem(
        what=f"{name!r} is not a field of usage",
        why="no row has it",
        where="--set",
        remedy=f"One of {', '.join(known_fields())}.",
    )


assert set(USAGE_SCHEMA.names) - {"event_day"} <= set(known_fields()), (
    "an export would not come back"
)

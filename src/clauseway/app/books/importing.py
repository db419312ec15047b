"""Importing usage that others counted: translated, checked row by row, once each; what is wrong waits in quarantine.

    files ─▶ rows ─▶ believed ─▶ staging, on disk ─▶ in order of day and request ─▶ the lake, one file a day
                  └▶ wrong ────▶ quarantine

An import is all the files of one command and counts whole or not at all: its last transaction commits its files, its
claims and what it holds in quarantine. Killed before that it has changed nothing, and is simply given again.
"""

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from clauseway.app.books.sealing import alone, open_lake
from clauseway.app.opening import locks
from clauseway.app.opening.home import Home
from clauseway.app.opening.several import Opened, each_of
from clauseway.exchange.reports import Reported, keepable
from clauseway.exchange.usage_files import check_format, format_of, read_usage
from clauseway.metering import Bounds, Flaw, Used, examine
from clauseway.metering.checks import content_of, is_imported
from clauseway.metering.checks import fields as known_fields
from clauseway.storage.lake import imports
from clauseway.storage.lake.batches import Range
from clauseway.storage.lake.columns import INTENT_SCHEMA, USAGE_SCHEMA, used_table
from clauseway.storage.lake.digests import read_rows
from clauseway.storage.lake.files import USAGE, files_of, kept_from
from clauseway.storage.lake.imports import Claim, ImportedFile, identity_of
from clauseway.storage.lake.lake import Lake
from clauseway.storage.lake.quarantine import (
    DROPPED,
    REPLAYED,
    Flawed,
    Held,
    Holding,
    end,
    held,
    hold,
)
from clauseway.storage.lake.staging import Placed, Repeat, Staging
from clauseway.values import Interval, InvalidInput, Problem, day_after, day_of, start_of_day_ns

SPOOL = "import"
REPLAYS = "quarantine"
# Rows that are checked together: what is in memory of a file, some 5 kB each.
_ROWS = 10_000
# Clocks differ: what is told this long ahead of ours is not yet the future.
_SKEW_NS = 300 * 1_000_000_000


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the rows of some files. `again` were imported before; `skipped` are no usage, by reason.

    INVARIANT: rows = imported + again + quarantined + skipped.
    """

    rows: int = 0
    imported: int = 0
    again: int = 0
    quarantined: int = 0
    skipped: dict[str, int] = {}


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """How a file is read: its format, fields that hold where a row says nothing, and the source of its ids."""

    format: str = ""
    fields: Mapping[str, str] = {}
    source: str = ""


Told = Callable[[str, Imported], object]
OnWait = Callable[[], object]


def silently() -> None:
    """Say nothing of waiting."""


def import_usage(
    home: Home,
    opened: Opened,
    paths: Sequence[Path],
    source: Source,
    told: Told,
    on_wait: OnWait = silently,
) -> Imported:
    """Import files as one, telling what is done and how far it is. Rows that are wrong go into quarantine.

    `on_wait` is called before waiting for another import into this home.
    Raises InvalidInput where a file cannot be read, or is none of its format, or where nothing in them was understood;
    then nothing has changed.
    """
    _check_fields(source.fields)
    if source.format:
        check_format(source.format)
    files = [_File(path, source.format) for path in paths]
    with _importing(home, on_wait), open_lake(home) as lake:
        started_ns = time.time_ns()
        number = imports.begin(lake.control, [file.told for file in files], started_ns)
        staging = Staging(home.root / "importing")
        try:
            bounds = bounds_of(opened)
            run = _Run(lake, bounds, source, files, staging)
            done = run.read(told)
            _check_understood(done, paths)
            return run.seal(home, number, done, told)
        finally:
            staging.close()


def _importing(home: Home, on_wait: OnWait) -> AbstractContextManager[None]:
    """One import at a time: another's claims are not yet records, and a dead one's are given back."""
    return locks.alone(home, "import", on_wait)


def bounds_of(opened: Opened) -> Bounds:
    """What usage may name and when it may lie, by the agreements and the present."""
    catalog = opened.catalog
    first = min(one.agreement.amendments[0].effective for one in each_of(opened))
    return Bounds(
        products=frozenset(catalog.products),
        clouds=catalog.clouds,
        sellers=catalog.parties,
        first_ns=start_of_day_ns(first),
        last_ns=time.time_ns() + _SKEW_NS,
    )


class _File:
    """A file of an import."""

    def __init__(self, path: Path, form: str) -> None:
        self.path = path
        self.told = ImportedFile(path.name, _hash_of(path))
        self.form = form or format_of(path)
        # Bills have no ids: two rows of a file that are about the same are a mistake. Events come twice as they please.
        self.repeats_are_wrong = self.form == "focus"


class _Believed(msgspec.Struct, frozen=True):
    """A row that is believed: its number and line in its file, its fields as they came (JSON), and the record."""

    number: int
    line: int
    body: str
    used: Used
    identity: bytes
    content: bytes


class _Run:
    """An import on its way into the lake."""

    def __init__(
        self, lake: Lake, bounds: Bounds, source: Source, files: Sequence[_File], staging: Staging
    ) -> None:
        self._lake, self._bounds, self._source = lake, bounds, source
        self._files, self._staging = files, staging
        self._kept_from = kept_from(lake.control) or date.min
        self._now_ns = time.time_ns()
        self._rows = self._again = self._flawed = 0
        self._skipped: dict[str, int] = {}

    def read(self, told: Told) -> Imported:
        """Read the files into the staging; the figures, in which what came twice among them is not yet known."""
        for place, file in enumerate(self._files):
            number = 0
            for chunk in read_usage(file.path, file.form, self._bounds.products, _ROWS):
                self._read(place, number, chunk)
                number += len(chunk)
                told(file.path.name, self._figures(imported=0))
        return self._figures(
            imported=self._rows - self._again - self._flawed - sum(self._skipped.values())
        )

    def seal(self, home: Home, number: int, read: Imported, told: Told) -> Imported:
        """Write what is new into the lake, in order, and commit the import. The figures as they are then."""
        for repeat in self._staging.repeats():
            self._repeated(repeat)
        new = read.imported - (self._again - read.again) - (self._flawed - read.quarantined)
        imports.claim(self._lake.control, number, self._staging.claims())
        holding = [Holding(0, 0)]

        def also(connection: Any) -> None:
            imports.end(connection, number, time.time_ns())
            holding[0] = hold(connection, self._staging.held(), self._now_ns)

        with alone(home):
            if new:
                of = Range(spool=SPOOL, segment=number, first_frame=0, end_frame=self._rows)
                parts = _telling(self._staging.parts(), read, told)
                no_intents = INTENT_SCHEMA.empty_table()
                self._lake.seal_parts(of, parts, no_intents, self._now_ns, also=also)
            else:
                with self._lake.control.writing() as connection:
                    also(connection)
        return Imported(
            rows=self._rows,
            imported=new,
            # What was wrong once, and was corrected or dropped since, was there before too.
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
        for number, one in enumerate(chunk, first):
            if one.skipped:
                self._skipped[one.skipped] = self._skipped.get(one.skipped, 0) + 1
                continue
            row = self._completed(one.fields)
            body, unkept = _body_of(row)
            unreadable = one.unreadable or unkept
            found = (Flaw("row", unreadable),) if unreadable else self._examined(row)
            if isinstance(found, Used):
                identity = identity_of(found.request, found.attempt)
                believed.append(
                    _Believed(number, one.line, body, found, identity, _content_of(found))
                )
            else:
                self._hold(place, one.line, body, found)
        self._stage(place, believed)

    def _completed(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        row: dict[str, Any] = dict(self._source.fields)
        row |= {name: value for name, value in fields.items() if value is not None and value != ""}
        if self._source.source:
            row["source"] = self._source.source
        product = row.get("product")
        if isinstance(product, str) and product not in self._bounds.products:
            row["product"] = _product_named(product, self._bounds.products)
            row.setdefault("model", product)
        return row

    def _examined(self, row: Mapping[str, Any]) -> Used | tuple[Flaw, ...]:
        found = examine(row, self._bounds)
        if isinstance(found, Used) and day_of(found.event_ns) < self._kept_from:
            why = f"single records before {self._kept_from} were dropped, so no more of them are taken"
            return (Flaw("event_ns", why),)
        return found

    def _stage(self, place: int, believed: Sequence[_Believed]) -> None:
        """Keep what nobody imported before; of the rest say what it is."""
        before = imports.seen(self._lake.control, (one.identity for one in believed))
        metered = _metered(
            self._lake, [one.used for one in believed if not is_imported(one.used.request)]
        )
        new: list[_Believed] = []
        for one in believed:
            then = before.get(one.identity)
            if then is None and one.identity not in metered:
                new.append(one)
            elif then is not None and (why := self._wrong_again(place, one, then)):
                self._hold(place, one.line, one.body, (Flaw("id", why),))
            else:
                self._again += 1
        if new:
            placed = [
                Placed(one.identity, one.content, place, one.number, one.line, one.body)
                for one in new
            ]
            self._staging.add(used_table([one.used for one in new], self._now_ns), placed)

    def _wrong_again(self, place: int, one: _Believed, then: imports.Seen) -> str:
        """Why a record that was imported before may not come again so, or nothing."""
        if then.content != one.content:
            return _otherwise(then.line, then.file.name)
        file = self._files[place]
        same_file = then.file.digest == file.told.digest
        if file.repeats_are_wrong and same_file and then.line != one.line:
            return _same_charge(then.line)
        return ""

    def _repeated(self, repeat: Repeat) -> None:
        """A row whose record stood before it in this import."""
        first = self._files[repeat.first_file].told.name
        wrong = ""
        if not repeat.same:
            wrong = _otherwise(repeat.first_line, first)
        elif self._files[repeat.file].repeats_are_wrong and repeat.first_file == repeat.file:
            wrong = _same_charge(repeat.first_line)
        if wrong:
            self._hold(repeat.file, repeat.line, repeat.body, (Flaw("id", wrong),))
        else:
            self._again += 1

    def _hold(self, place: int, line: int, body: str, flaws: tuple[Flaw, ...]) -> None:
        origin = self._files[place].told.name
        self._staging.hold([Flawed(origin=origin, line=line, flaws=flaws, body=body)])
        self._flawed += 1


def _otherwise(line: int, name: str) -> str:
    return f"it came before with other figures, in row {line} of {name}"


def _same_charge(line: int) -> str:
    return f"the same charge as row {line} of this file"


def _telling(parts: Iterable[pa.Table], read: Imported, told: Told) -> Iterator[pa.Table]:
    """Pass parts on, telling how many rows of them are written."""
    written = 0
    for part in parts:
        yield part
        written += part.num_rows
        told("sealed", msgspec.structs.replace(read, imported=written))


def _check_understood(read: Imported, paths: Sequence[Path]) -> None:
    """Raise InvalidInput where rows were read and every one was passed over."""
    passed = sum(read.skipped.values())
    if passed and passed == read.rows:
        reasons = sorted(read.skipped.items(), key=lambda item: -item[1])[:5]
        why = "; ".join(f"{count:,} × {reason}" for reason, count in reasons)
        what = f"nothing was imported: all {passed:,} rows were passed over"
        todo = "Give a file with usage in it; `clauseway usage import --help` says which formats are read."
        where = ", ".join(map(str, paths[:3]))
        raise InvalidInput(Problem(what=what, why=why, where=where, todo=todo))


def _check_fields(names: Iterable[str]) -> None:
    wrong = [_no_field(name, "--set") for name in names if name not in set(known_fields())]
    if wrong:
        raise InvalidInput(*wrong)


def _body_of(row: Mapping[str, Any]) -> tuple[str, str]:
    """A row as it came, as JSON; and why it cannot be kept so, where it cannot."""
    try:
        return msgspec.json.encode(row, enc_hook=str).decode(), ""
    except UnicodeEncodeError:
        why = "text in it is no Unicode"
    except OverflowError:
        why = "a number in it is beyond all bounds"
    except RecursionError:
        return msgspec.json.encode({"row": str(type(row))}).decode(), "it is nested too deep"
    return msgspec.json.encode(keepable(row), enc_hook=str).decode(), why


def listed(home: Home, *, with_ended: bool = False, numbers: Sequence[int] = ()) -> list[Held]:
    """The quarantine. Raises InvalidInput for a number that is not in it."""
    with open_lake(home) as lake:
        found = held(lake.control, with_ended=with_ended or bool(numbers), numbers=numbers)
    _check_numbers(numbers, found)
    return found


def drop(home: Home, numbers: Sequence[int]) -> list[Held]:
    """Drop rows for good; they stay on the list of what was dropped. Raises InvalidInput."""
    with open_lake(home) as lake, alone(home):
        found = _still_open(lake, numbers)
        with lake.control.writing() as connection:
            end(connection, [one.number for one in found], DROPPED, time.time_ns())
    return found


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """What a replay came to: the rows that are in the lake now, and those that are still wrong, with why."""

    replayed: tuple[int, ...]
    still: dict[int, tuple[Flaw, ...]]


def replay(
    home: Home,
    opened: Opened,
    numbers: Sequence[int],
    corrections: Mapping[str, str],
    on_wait: OnWait = silently,
) -> Replayed:
    """Check quarantined rows again, with corrections to their fields, and import those that are believed now.

    `on_wait` is called before waiting for another import into this home.

    No numbers: all that are open. A correction of nothing (`field=`) takes the field away. Raises InvalidInput.
    """
    _check_fields(corrections)
    bounds, now_ns = bounds_of(opened), time.time_ns()
    done: list[int] = []
    still: dict[int, tuple[Flaw, ...]] = {}
    with _importing(home, on_wait), open_lake(home) as lake, alone(home):
        for one in _still_open(lake, numbers):
            row = {**msgspec.json.decode(one.body), **corrections}
            # A row that names what it is not is corrected by leaving that out.
            found = examine({name: value for name, value in row.items() if value != ""}, bounds)
            if isinstance(found, Used):
                found = _replay_one(lake, one, found, corrections, now_ns)
            if isinstance(found, Used):
                done.append(one.number)
            else:
                still[one.number] = found
    return Replayed(replayed=tuple(done), still=still)


def _replay_one(
    lake: Lake, one: Held, used: Used, corrections: Mapping[str, str], now_ns: int
) -> Used | tuple[Flaw, ...]:
    """Import a row that is believed now, and close its entry in the same transaction."""
    claim = Claim(identity_of(used.request, used.attempt), _content_of(used), 0, one.line)
    before = imports.seen(lake.control, [claim.identity]).get(claim.identity)
    if is_imported(used.request) and before is not None:
        if before.content != claim.content:
            return (
                Flaw(
                    "id",
                    "it was imported before with other figures; give it another id, or drop it",
                ),
            )
        with lake.control.writing() as connection:
            end(connection, [one.number], REPLAYED, now_ns)
        return used

    def also(connection: Any) -> None:
        if is_imported(used.request):
            imports.claim_single(connection, claim)
        end(connection, [one.number], REPLAYED, now_ns)

    of = Range(spool=REPLAYS, segment=one.number, first_frame=0, end_frame=1)
    lake.seal_tables(of, used_table([used], now_ns), INTENT_SCHEMA.empty_table(), now_ns, also=also)
    return used


def _still_open(lake: Lake, numbers: Sequence[int]) -> list[Held]:
    found = held(lake.control, numbers=numbers)
    _check_numbers(numbers, found)
    return found


def _check_numbers(numbers: Sequence[int], found: Iterable[Held]) -> None:
    missing = sorted(set(numbers) - {one.number for one in found})
    if missing:
        what = (
            f"{', '.join(map(str, missing))} in quarantine: there is no such row, or not any more"
        )
        todo = "`clauseway usage quarantine list` shows what there is."
        raise InvalidInput(
            Problem(what=what, why="nothing waits under it", where="NUMBER", todo=todo)
        )


def _metered(lake: Lake, rows: Sequence[Used]) -> set[bytes]:
    """Those of the rows that are in the lake because a gateway metered them, or a lake was imported whole."""
    if not rows:
        return set()
    names = {
        (str(used.request), used.attempt): identity_of(used.request, used.attempt) for used in rows
    }
    ids = sorted(key[0] for key in names)
    between = (pc.field("request_id") >= ids[0]) & (pc.field("request_id") <= ids[-1])
    found: set[bytes] = set()
    first, last = (day_of(outer(used.event_ns for used in rows)) for outer in (min, max))
    for file in files_of(lake.control, USAGE, Interval(first, day_after(last))):
        if file.first_request > ids[-1] or file.last_request < ids[0]:
            continue
        table = read_rows(lake.root / file.name, columns=["request_id", "attempt"], filters=between)
        keys = zip(table["request_id"].to_pylist(), table["attempt"].to_pylist(), strict=True)
        found |= {names[key] for key in keys if key in names}
    return found


def _content_of(used: Used) -> bytes:
    return hashlib.blake2b(content_of(used), digest_size=16).digest()


def _hash_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "md5").hexdigest()
    except OSError as error:
        raise InvalidInput(_unreadable(path, error.strerror or str(error))) from None


def _product_named(name: str, products: frozenset[str]) -> str:
    """The product behind a model's name: `openai.gpt-5.4` and `gpt-5.4-2026-03-05` are gpt-5.4."""
    plain = name.rpartition("/")[2].removeprefix("openai.")
    dated = plain[:-11] if len(plain) > 11 and plain[-11:].replace("-", "").isdecimal() else plain
    return next((found for found in (plain, dated) if found in products), name)


def _no_field(name: str, where: str) -> Problem:
    return Problem(
        what=f"{name!r} is no field of usage",
        why="no row has it",
        where=where,
        todo=f"One of {', '.join(known_fields())}.",
    )


def _unreadable(path: Path, why: str) -> Problem:
    return Problem(
        what="the file cannot be read", why=why, where=str(path), todo="Give a readable file."
    )


assert set(USAGE_SCHEMA.names) - {"event_day"} <= set(known_fields()), (
    "an export would not come back"
)

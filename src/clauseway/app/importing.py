"""Importing usage that others counted: translated, checked row by row, once each; what is wrong waits in quarantine."""

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from clauseway.app.home import Home
from clauseway.app.sealing import alone, open_lake
from clauseway.app.several import Opened, each_of
from clauseway.exchange.cloudevents import read_cloudevents
from clauseway.exchange.focus import MissingColumns, read_focus
from clauseway.exchange.opentelemetry import read_opentelemetry
from clauseway.exchange.reports import Reported
from clauseway.metering import Bounds, Flaw, Used, examine
from clauseway.metering.checks import fields as known_fields
from clauseway.metering.checks import is_imported
from clauseway.storage.batches import Range
from clauseway.storage.columns import INTENT_SCHEMA, USAGE_SCHEMA, used_table
from clauseway.storage.imports import Key, Seen, remember, seen
from clauseway.storage.lake import Lake
from clauseway.storage.quarantine import DROPPED, REPLAYED, Flawed, Held, end, held, hold
from clauseway.values import Interval, InvalidInput, Problem, day_after, day_of, start_of_day_ns

SPOOL = "import"
REPLAYS = "quarantine"
# Rows that are checked and committed together: what is in memory, and what an interruption repeats.
_ROWS = 20_000
# Clocks differ: what is told this long ahead of ours is not yet the future.
_SKEW_NS = 300 * 1_000_000_000
_NOT_READ = ("event_day", "recorded_ns")
FORMATS = ("focus", "cloudevents", "opentelemetry", "parquet")


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the rows of some files. `again` were imported before; `skipped` are no usage, by reason."""

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


def import_usage(
    home: Home, opened: Opened, paths: Sequence[Path], source: Source, told: Callable[[Path, Imported], None]
) -> Imported:
    """Import files, telling how far it is. Rows that are wrong go into quarantine, the others on.

    Raises InvalidInput where a file cannot be read, or is none of its format; what came before it stays imported.
    """
    bounds = bounds_of(opened)
    for name in source.fields:
        if name not in set(known_fields()):
            raise InvalidInput(_no_field(name, "--set"))
    total = Imported()
    started_ns = time.time_ns()
    for number, path in enumerate(paths):
        run = _Run(home, bounds, source, path, started_ns + number)
        for so_far in run.through(total):
            total = so_far
            told(path, total)
    return total


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


class _Run:
    """One file on its way into the lake."""

    def __init__(self, home: Home, bounds: Bounds, source: Source, path: Path, number: int) -> None:
        self._home, self._bounds, self._source, self._path, self._number = home, bounds, source, path, number
        self._format = source.format or _format_of(path)
        self._file = _hash_of(path)
        # Bills have no ids: two rows of a file that are about the same are a mistake. Events come twice as they please.
        self._repeats_are_wrong = self._format == "focus"

    def through(self, total: Imported) -> Iterator[Imported]:
        """Import chunk by chunk; after each, the figures so far."""
        rows, first = _reader(self._format, self._path, self._bounds), 0
        while chunk := list(_read(rows, self._path)):
            total = self._chunk(chunk, first, total)
            first += len(chunk)
            yield total

    def _chunk(self, chunk: Sequence[Reported], first: int, total: Imported) -> Imported:
        skipped = dict(total.skipped)
        flawed: list[Flawed] = []
        believed: list[tuple[int, dict[str, Any], Used]] = []
        for one in chunk:
            if one.skipped:
                skipped[one.skipped] = skipped.get(one.skipped, 0) + 1
                continue
            row = self._completed(one.fields)
            found = (Flaw("row", one.unreadable),) if one.unreadable else examine(row, self._bounds)
            if isinstance(found, Used):
                believed.append((one.line, row, found))
            else:
                flawed.append(self._flawed(one.line, row, found))
        with open_lake(self._home) as lake, alone(self._home):
            new, again, wrong = self._new(lake, believed)
            flawed += wrong
            imported, held_now = self._commit(lake, first, len(chunk), new, flawed)
        return Imported(
            rows=total.rows + len(chunk),
            imported=total.imported + imported,
            again=total.again + again,
            quarantined=total.quarantined + held_now,
            skipped=skipped,
        )

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

    def _new(
        self, lake: Lake, believed: Sequence[tuple[int, dict[str, Any], Used]]
    ) -> tuple[list[tuple[Used, Seen]], int, list[Flawed]]:
        """Those that nobody imported before, how many were, and those that say otherwise than before."""
        keys = [_key(used) for _, _, used in believed]
        before = seen(lake.control, keys)
        metered = _metered(lake, [used for _, _, used in believed if not is_imported(used.request)])
        new: list[tuple[Used, Seen]] = []
        wrong: list[Flawed] = []
        again = 0
        for (line, row, used), key in zip(believed, keys, strict=True):
            now = Seen(_content_of(used), self._file, line)
            then = before.setdefault(key, now)
            if then is now:
                if key in metered:
                    again += 1
                else:
                    new.append((used, now))
            elif then.content != now.content:
                place = f"row {then.line} of this file" if then.file == self._file else f"row {then.line} of another"
                wrong.append(self._flawed(line, row, (Flaw("id", f"it came before with other figures, in {place}"),)))
            elif self._repeats_are_wrong and then.file == self._file and then.line != line:
                wrong.append(self._flawed(line, row, (Flaw("id", f"the same charge as row {then.line} of this file"),)))
            else:
                again += 1
        return new, again, wrong

    def _flawed(self, line: int, row: Mapping[str, Any], flaws: tuple[Flaw, ...]) -> Flawed:
        body = msgspec.json.encode(row, enc_hook=str).decode()
        return Flawed(origin=self._path.name, line=line, flaws=flaws, body=body)

    def _commit(
        self, lake: Lake, first: int, rows: int, new: Sequence[tuple[Used, Seen]], flawed: Sequence[Flawed]
    ) -> tuple[int, int]:
        """Seal what is new and hold what is wrong, together; how many of each."""
        now_ns, holding = time.time_ns(), [0]

        def also(connection: Any) -> None:
            remember(connection, [(_key(used), record) for used, record in new])
            holding[0] = hold(connection, flawed, now_ns)

        if not new:
            with lake.control.writing() as connection:
                also(connection)
            return 0, holding[0]
        of = Range(spool=SPOOL, segment=self._number, first_frame=first, end_frame=first + rows)
        lake.seal_tables(
            of, used_table([used for used, _ in new], now_ns), INTENT_SCHEMA.empty_table(), now_ns, also=also
        )
        return len(new), holding[0]


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


def replay(home: Home, opened: Opened, numbers: Sequence[int], corrections: Mapping[str, str]) -> Replayed:
    """Check quarantined rows again, with corrections to their fields, and import those that are believed now.

    No numbers: all that are open. A correction of nothing (`field=`) takes the field away. Raises InvalidInput.
    """
    for name in corrections:
        if name not in set(known_fields()):
            raise InvalidInput(_no_field(name, "--set"))
    bounds, now_ns = bounds_of(opened), time.time_ns()
    done: list[int] = []
    still: dict[int, tuple[Flaw, ...]] = {}
    with open_lake(home) as lake, alone(home):
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
    key, record = _key(used), Seen(_content_of(used), one.origin[:32], one.line)
    before = seen(lake.control, [key])
    if is_imported(used.request) and key in before:
        if before[key].content != record.content:
            return (Flaw("id", "it was imported before with other figures; give it another id, or drop it"),)
        with lake.control.writing() as connection:
            end(connection, [one.number], REPLAYED, now_ns)
        return used

    def also(connection: Any) -> None:
        if is_imported(used.request):
            remember(connection, [(key, record)])
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
        what = f"{', '.join(map(str, missing))} in quarantine: there is no such row, or not any more"
        todo = "`clauseway usage quarantine list` shows what there is."
        raise InvalidInput(Problem(what=what, why="nothing waits under it", where="NUMBER", todo=todo))


def _metered(lake: Lake, rows: Sequence[Used]) -> set[Key]:
    """Those of the rows that are in the lake because a gateway metered them, or a lake was imported whole."""
    if not rows:
        return set()
    wanted = {_key(used) for used in rows}
    ids = sorted(key[0] for key in wanted)
    between = (pc.field("request_id") >= ids[0]) & (pc.field("request_id") <= ids[-1])
    found: set[Key] = set()
    first, last = (day_of(outer(used.event_ns for used in rows)) for outer in (min, max))
    for path in lake.files(Interval(first, day_after(last))):
        table = pq.read_table(path, columns=["request_id", "attempt"], filters=between)
        found |= wanted & set(zip(table["request_id"].to_pylist(), table["attempt"].to_pylist(), strict=True))
    return found


def _key(used: Used) -> Key:
    return str(used.request), used.attempt


def _content_of(used: Used) -> str:
    return hashlib.blake2b(msgspec.json.encode(used), digest_size=16).hexdigest()


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


def _format_of(path: Path) -> str:
    """The format of a file, from its name and its beginning. Raises InvalidInput."""
    ending = path.suffix.lower()
    try:
        if ending == ".csv":
            return "focus"
        if ending == ".parquet":
            return "parquet" if "request_id" in pq.read_schema(path).names else "focus"
        with path.open("rb") as file:
            beginning = file.read(4096)
    except (OSError, pa.ArrowException) as error:
        raise InvalidInput(_unreadable(path, str(error))) from None
    if b'"specversion"' in beginning:
        return "cloudevents"
    if b'"resourceSpans"' in beginning or b'"resourceMetrics"' in beginning:
        return "opentelemetry"
    raise InvalidInput(
        Problem(
            what="the format is not recognised",
            why="neither its name nor its beginning tells it",
            where=str(path),
            todo=f"Name it with --format: {', '.join(FORMATS)}.",
        )
    )


def _reader(form: str, path: Path, bounds: Bounds) -> Iterator[Reported]:
    if form == "focus":
        return read_focus(path, bounds.products)
    if form == "cloudevents":
        return read_cloudevents(path)
    if form == "opentelemetry":
        return read_opentelemetry(path)
    if form == "parquet":
        return _read_own(path)
    todo = f"One of {', '.join(FORMATS)}."
    raise InvalidInput(
        Problem(what=f"{form!r} is no format", why="nothing reads it", where="--format", todo=todo)
    )  # fmt: skip


def _read(rows: Iterator[Reported], path: Path) -> Iterator[Reported]:
    """The next rows. Raises InvalidInput where the file is not what it should be."""
    try:
        yield from islice(rows, _ROWS)
    except MissingColumns as error:
        what, why = "it is no FOCUS file", f"it has no {error}"
        todo = "Export usage with the columns of FOCUS 1.2, or name another --format."
        raise InvalidInput(Problem(what=what, why=why, where=str(path), line=1, todo=todo)) from None
    except (OSError, pa.ArrowException) as error:
        raise InvalidInput(_unreadable(path, str(error))) from None


def _read_own(path: Path) -> Iterator[Reported]:
    """Our own export: the lake's columns."""
    with pq.ParquetFile(path) as file:
        line = 0
        wanted = [name for name in file.schema_arrow.names if name not in _NOT_READ]
        for batch in file.iter_batches(_ROWS, columns=wanted):
            for row in batch.to_pylist():
                line += 1
                yield Reported(line=line, fields=row)


def _no_field(name: str, where: str) -> Problem:
    return Problem(
        what=f"{name!r} is no field of usage",
        why="no row has it",
        where=where,
        todo=f"One of {', '.join(known_fields())}.",
    )


def _unreadable(path: Path, why: str) -> Problem:
    return Problem(what="the file cannot be read", why=why, where=str(path), todo="Give a readable file.")


assert set(USAGE_SCHEMA.names) - set(_NOT_READ) <= set(known_fields()), "an export would not come back"

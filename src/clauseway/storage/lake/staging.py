"""Rows on their way into the lake: on disk until all of them are there, then in order, whatever
order they came in.

    add ─▶ runs (Parquet) ─▶ repeats · claims · parts, each sorted by the engine within its memory
    hold ─▶ flawed rows, one after the other

So an import takes the same memory at any size, and its rows lie in the lake as one file a day. The
folder belongs to one import and is emptied before the next: the rows of a killed import are worth
nothing.
"""

import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import ibis
import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from ibis import _
from ibis.expr.types import Table

from clauseway.storage.lake import query_engines
from clauseway.storage.lake.columns import USAGE_SCHEMA
from clauseway.storage.lake.imports import ImportedRow
from clauseway.storage.lake.quarantine import Flawed
from clauseway.storage.lake.query_engines import built, connected, read_files_alike

# The limit counts the engine's buffers alone, not the rows its threads decode and hand out. One
# thread is enough: reading and writing the rows in Python takes twenty times as long. See
# docs/choices/0070.
_ENGINE_MEMORY = "200MB"
_ENGINE_THREADS = 1
_PART_ROWS = 131_072  # a row group of the lake
_READ_ROWS = 20_000
_OF_ROW = ("identity", "content", "file", "row", "line", "body")
_OF_UNTAGGED = {"untagged": "identity", "untagged_content": "content", "untagged_id": "id"}
_KEYS = pa.schema(
    [
        ("identity", pa.binary(20)),
        ("content", pa.binary(16)),
        ("file", pa.int32()),
        ("row", pa.int64()),
        ("line", pa.int64()),
        ("body", pa.string()),
        ("untagged", pa.binary(20)),
        ("untagged_content", pa.binary(16)),
        ("untagged_id", pa.string()),
    ]
)
_FLAWED = msgspec.json.Decoder(Flawed)


class Untagged(msgspec.Struct, frozen=True):
    """A tagged row as it would be without its tags: its identity, content and id."""

    identity: bytes
    content: bytes
    id: str


class Placed(msgspec.Struct, frozen=True):
    """The origin and content of a row: its identity, a hash of its content, file, row, line and
    body; and what it would be without its tags, where it has some."""

    identity: bytes
    content: bytes
    file: int
    row: int
    line: int
    body: str
    untagged: Untagged | None = None


class Repeat(msgspec.Struct, frozen=True, kw_only=True):
    """A row whose record stood before it in the import, in `first_file` and `first_line`, with the
    `same` content or not. `untagged_id` is set where the earlier row, in another file, has other
    tags."""

    file: int
    line: int
    body: str
    first_file: int
    first_line: int
    same: bool
    untagged_id: str | None


class Staging:
    """The rows of one import, in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self._held = (folder / "held.jsonl").open("wb")
        self._runs: list[Path] = []
        self._con = connected(
            ibis.duckdb.connect(
                memory_limit=_ENGINE_MEMORY,
                threads=_ENGINE_THREADS,
                temp_directory=str(folder / "engine"),
                preserve_insertion_order=False,
            ).con
        )
        # A command prints what it says itself.
        self._con.con.execute("SET enable_progress_bar = false")

    def close(self) -> None:
        """Release everything, also on disk."""
        self._con.disconnect()
        self._held.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def add(self, usage: pa.Table, placed: Sequence[Placed]) -> None:
        """Add rows (`USAGE_SCHEMA`), each with its origin."""
        columns = {name: [getattr(origin, name) for origin in placed] for name in _OF_ROW}
        for name, of_untagged in _OF_UNTAGGED.items():
            columns[name] = [
                getattr(origin.untagged, of_untagged) if origin.untagged else None
                for origin in placed
            ]
        keys = pa.table(columns, schema=_KEYS)
        for name in usage.column_names:
            keys = keys.append_column(usage.schema.field(name), usage[name])
        path = self._folder / f"run-{len(self._runs):08d}.parquet"
        # Uncompressed is no quicker, and three times as large.
        pq.write_table(keys, path, compression="lz4", write_statistics=False)
        self._runs.append(path)

    def hold(self, flawed: Iterable[Flawed]) -> None:
        """Keep flawed rows for the transaction that ends the import."""
        for row in flawed:
            self._held.write(msgspec.json.encode(row) + b"\n")

    def held(self) -> Iterator[Flawed]:
        """Yield the flawed rows, in the order they came."""
        self._held.flush()
        with (self._folder / "held.jsonl").open("rb") as lines:
            for line in lines:
                yield _FLAWED.decode(line)

    def repeats(self) -> Iterator[Repeat]:
        """Yield the rows whose record stood before them, in their file or in an earlier one."""
        if not self._runs:
            return
        self._rows = read_files_alike(self._con, self._runs)
        self._repeated = query_engines.held(self._con, [built(self._con, _repeated, self._rows)])
        with_bodies = built(self._con, _with_bodies, self._repeated, self._rows)
        for batch in self._read(with_bodies, _READ_ROWS):
            for row in batch.to_pylist():
                yield Repeat(**row)

    def claims(self) -> Iterator[ImportedRow]:
        """Yield each record once, and once what tagged ones are without their tags, in the order of
        their identities. After `repeats`."""
        if not self._runs:
            return
        claims = built(self._con, _claims, self._rows, self._repeated)
        for batch in self._read(claims, _READ_ROWS):
            for row in batch.to_pylist():
                yield ImportedRow(**row)

    def parts(self) -> Iterator[pa.Table]:
        """Yield each record once as usage, day by day and by request, in parts of one day each.
        After `repeats`."""
        if not self._runs:
            return
        in_order = built(self._con, _in_order, self._rows, self._repeated)
        # A part ends with its day or with a full row group.
        part: list[pa.Table] = []
        for rows in _of_one_day(self._read(in_order, _READ_ROWS)):
            if part and _is_full(part, rows):
                yield pa.concat_tables(part).unify_dictionaries()
                part = []
            part.append(rows)
        if part:
            yield pa.concat_tables(part).unify_dictionaries()

    def _read(self, wanted: Table, rows: int) -> Iterator[pa.RecordBatch]:
        yield from self._con.con.sql(self._con.compile(wanted)).to_arrow_reader(rows)


def _repeated(rows: Table) -> Table:
    """Return all but the first row of each record, by file and row, with what the first says; and
    the rows of charges that an earlier file has with other tags."""
    window = ibis.window(group_by=[_.identity], order_by=[_.file, _.row])
    charges = ibis.window(group_by=[_.charge], order_by=[_.file, _.row])
    ranked = rows.drop("body").mutate(charge=ibis.coalesce(_.untagged, _.identity))
    ranked = ranked.mutate(
        place=ibis.row_number().over(window),
        same=_.content == _.content.first().over(window),
        first_file=_.file.first().over(window),
        first_line=_.line.first().over(window),
        charge_content=ibis.coalesce(_.untagged_content, _.content),
        charge_file=_.file.first().over(charges),
        charge_line=_.line.first().over(charges),
    )
    by_identity = ranked.filter(_.place > 0).mutate(untagged_id=ibis.null(str))
    by_charge = ranked.mutate(same=_.charge_content == _.charge_content.first().over(charges))
    by_charge = by_charge.filter(_.place == 0, _.charge_file < _.file)
    by_charge = by_charge.mutate(first_file=_.charge_file, first_line=_.charge_line)
    columns = ("file", "row", "line", "first_file", "first_line", "same", "untagged_id")
    return by_identity.select(*columns).union(by_charge.select(*columns))


def _with_bodies(repeated: Table, rows: Table) -> Table:
    bodies = rows.select("file", "row", "body")
    joined = repeated.inner_join(bodies, ["file", "row"]).order_by(_.file, _.row)
    return joined.drop("row")


def _claims(rows: Table, repeated: Table) -> Table:
    once = rows.anti_join(repeated, ["file", "row"])
    # Of several rows without their tags the first counts; a row that has none goes before all.
    place = ibis.row_number().over(group_by=[_.untagged], order_by=[_.file, _.row])
    untagged = once.filter(_.untagged.notnull()).mutate(place=place).filter(_.place == 0)
    untagged = untagged.anti_join(once, [(untagged.untagged, once.identity)])
    untagged = untagged.mutate(identity=_.untagged, content=_.untagged_content)
    columns = ImportedRow.__struct_fields__
    return once.select(*columns).union(untagged.select(*columns)).order_by(_.identity)


def _in_order(rows: Table, repeated: Table) -> Table:
    usage = rows.anti_join(repeated, ["file", "row"]).select(*USAGE_SCHEMA.names)
    return usage.order_by(_.event_day, _.request_id, _.attempt)


def _of_one_day(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Yield slices of batches that are in the order of days, each slice of one day."""
    for batch in batches:
        rows = pa.Table.from_batches([batch]).cast(USAGE_SCHEMA)
        at = 0
        for day in pc.value_counts(rows["event_day"]).to_pylist():
            yield rows.slice(at, day["counts"])
            at += day["counts"]


def _is_full(part: Sequence[pa.Table], following: pa.Table) -> bool:
    """True if a part ends before the rows that follow: with its day, or with a row group."""
    is_same_day = part[-1]["event_day"][0] == following["event_day"][0]
    return not is_same_day or sum(rows.num_rows for rows in part) + following.num_rows > _PART_ROWS

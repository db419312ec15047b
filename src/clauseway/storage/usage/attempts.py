"""Single attempts from the lake, each once, to follow a sum down to its requests or to hand usage
on."""

from collections.abc import Iterator, Mapping
from typing import Any

import ibis
import msgspec
from ibis import _
from ibis.expr.types import Table

from clauseway.metering import RequestId, Status, Unit, Used
from clauseway.storage.lake.lake import Lake
from clauseway.storage.lake.query_engines import duckdb_engine
from clauseway.storage.usage.priced import priced_once, sealed_usage
from clauseway.values import Interval

# Rows read at a time: enough to be quick, little enough that any period fits into memory.
_CHUNK_ROWS = 20_000
# Fields whose column has another name, another type or no value in older files.
_READ_APART = ("request", "status", "terms", "tier", "units")


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """The selected attempts: those with event days in `days`, and with each name that is given."""

    days: Interval
    seller: str = ""
    cloud: str = ""
    product: str = ""
    request_id: str = ""


def attempts(
    lake: Lake, selection: Selection, first: int = 0, last: int = 0, skipped: int = 0
) -> Iterator[Used]:
    """Yield the attempts in order of event time, then record id. With `first` or `last`, yield only
    so many from that end; the `first` are counted behind the `skipped`.

    Failed attempts and attempts lost in a crash have no charge and are left out.
    """
    with duckdb_engine() as con:
        usage = sealed_usage(con, lake, selection.days)
        if usage is None:
            return
        chosen = priced_once(selected(usage, selection))
        # Either end is limited by itself; a request for both unites them.
        ends = []
        if first:
            in_order = chosen.order_by(_.event_ns, _.request_id, _.attempt)
            ends.append(in_order.limit(first, offset=skipped))
        if last:
            ends.append(
                chosen.order_by(_.event_ns.desc(), _.request_id.desc(), _.attempt.desc()).limit(
                    last
                )
            )
        if ends:
            chosen = ibis.union(*ends, distinct=True) if len(ends) > 1 else ends[0]
        cursor = con.raw_sql(con.compile(chosen.order_by(_.event_ns, _.request_id, _.attempt)))
        names = [column[0] for column in cursor.description]
        while rows := cursor.fetchmany(_CHUNK_ROWS):
            for row in rows:
                yield _used(dict(zip(names, row, strict=True)))


def selected(usage: Table, selection: Selection) -> Table:
    """Return the usage that has each name of a selection."""
    named = {
        name: getattr(selection, name) for name in ("seller", "cloud", "product", "request_id")
    }
    for name, wanted in named.items():
        if wanted:
            usage = usage.filter(usage[name].cast("string") == wanted)
    return usage


def _used(row: Mapping[str, Any]) -> Used:
    """Return a row of the lake as the record that it was."""
    plain = {name: row[name] for name in Used.__struct_fields__ if name not in _READ_APART}
    return Used(
        request=RequestId.parse(row["request_id"]),
        status=Status(row["status"]),
        terms=tuple(row["terms"] or ()),
        tier=row["tier"] or "",
        units=tuple((unit, row[unit.column]) for unit in Unit if row[unit.column] is not None),
        **plain,
    )

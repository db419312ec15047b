"""Usage summed by day, buyer and place, and by what its price depends on: what a bill is written from."""

from collections.abc import Iterator, Mapping
from datetime import date

import msgspec
from ibis import _

from clauseway.metering import Unit
from clauseway.pricing import PriceTable, Sale
from clauseway.storage.lake import Lake
from clauseway.storage.usage import _columns, _places, _priced_once, _sale, _told_apart, _usage, engine
from clauseway.values import Interval

_CHUNK_ROWS = 20_000


class DaySum(msgspec.Struct, frozen=True, kw_only=True):
    """Attempts of one day and project that have one price. `sale` stands for all of them, the length of their context
    included; `units` are as reported, wholes and parts."""

    day: date
    organisation: str
    project: str
    sale: Sale
    attempts: int
    units: Mapping[Unit, int]


def day_sums(lake: Lake, prices: PriceTable, days: Interval) -> Iterator[DaySum]:
    """The attempts that count on the event days, summed as finely as these prices tell them apart."""
    with engine() as con:
        usage = _usage(con, lake, days)
        if usage is None:
            return
        grain = prices.grain(_places(con, lake, days))
        sums = (
            _told_apart(_priced_once(usage), grain)
            .group_by("event_day", "organisation", "project", *_columns(grain))
            .agg(**{unit.column: _[unit.column].sum() for unit in Unit}, attempts=_.count())
        )
        found = con.raw_sql(con.compile(sums))
        names = [column[0] for column in found.description]
        while rows := found.fetchmany(_CHUNK_ROWS):
            for values in rows:
                row = dict(zip(names, values, strict=True))
                units = {unit: int(row[unit.column]) for unit in Unit if row[unit.column] is not None}
                yield DaySum(
                    day=row["event_day"],
                    organisation=row["organisation"],
                    project=row["project"],
                    sale=_sale(row),
                    attempts=row["attempts"],
                    units=units,
                )

"""The usage of one customer's key, from the records: the hourly sums know no keys.

It costs a pass over the records of its days, where the sums cost the same for a year as for a day.
"""

from collections.abc import Sequence
from decimal import Decimal

import msgspec
from ibis import _

from clauseway.metering import Unit
from clauseway.storage.lake.file_list import USAGE, files_of
from clauseway.storage.lake.hourly_sums import Usage
from clauseway.storage.lake.lake import Lake
from clauseway.storage.lake.query_engines import duckdb_engine
from clauseway.storage.lake.usage_records import days_of, hour_of, is_served, once
from clauseway.values import Interval

_PICODOLLARS = Decimal(10) ** -12


class ChargedUsage(msgspec.Struct, frozen=True, kw_only=True):
    """Sums of usage, and the provisional charges in USD that its gateways counted for it."""

    usage: Usage
    charged: Decimal


class _Total(msgspec.Struct, kw_only=True):
    served: int = 0
    failed: int = 0
    charge_picodollars: int = 0
    units: dict[str, int] = msgspec.field(default_factory=dict)


def usage_of_key(
    lake: Lake, key_id: str, by: Sequence[str], days: Interval | None = None
) -> list[ChargedUsage]:
    """Return the usage of a key, each attempt once, summed by some of hour, organisation, project,
    seller, cloud, region, product, model, request, in their order.

    Raise LakeDamaged at the first day with a file that is missing or changed.
    """
    totals: dict[tuple[str, ...], _Total] = {}
    for day in days_of(files_of(lake.control, USAGE, days), days):
        for row in _summed(lake, key_id, by, day):
            total = totals.setdefault(tuple(str(row[name]) for name in by), _Total())
            total.served += row["served"]
            total.failed += row["failed"]
            total.charge_picodollars += row["charge_picodollars"]
            for unit in Unit:
                if row[unit.column]:
                    total.units[unit.column] = total.units.get(unit.column, 0) + row[unit.column]
    return [
        ChargedUsage(
            usage=Usage(key=key, served=total.served, failed=total.failed, units=total.units),
            charged=total.charge_picodollars * _PICODOLLARS,
        )
        for key, total in sorted(totals.items())
    ]


def _summed(lake: Lake, key_id: str, by: Sequence[str], day: Interval) -> list[dict[str, int]]:
    files = files_of(lake.control, USAGE, day)
    lake.sealed.require_sound(files)
    counts = is_served(_.status)
    with duckdb_engine() as con:
        of_key = once(con, [lake.sealed.path(file) for file in files], day).filter(
            _.key_id == key_id
        )
        summed = (
            of_key.mutate(hour=hour_of(_.event_ns), request=_.request_id)
            .group_by(*by)
            .agg(
                served=counts.sum(),
                failed=(~counts).sum(),
                charge_picodollars=_.charge_picodollars.sum(),
                **{unit.column: _[unit.column].sum(where=counts).fill_null(0) for unit in Unit},
            )
        )
        return list(con.to_pyarrow(summed).to_pylist())

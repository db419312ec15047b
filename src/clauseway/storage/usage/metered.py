"""Sealed usage summed by hour and by everything that a price, a rule or a bill may depend on.

Finer than a statement and far coarser than the attempts: comparisons of months or bills read these
sums alone.
"""

from collections.abc import Iterable, Mapping, Sequence

import ibis
import msgspec
from ibis import _
from ibis.expr.types import Table

from clauseway.metering import Unit
from clauseway.storage.lake.lake import Lake
from clauseway.storage.lake.query_engines import built, duckdb_engine
from clauseway.storage.lake.usage_records import FIRST_IMPORTED, hour_of
from clauseway.storage.usage.priced import priced_once, rows_of, sealed_usage, sums_many
from clauseway.values import DAY_NS, Interval

_BY = (
    "hour",
    "organisation",
    "seller",
    "segment",
    "cloud",
    "region",
    "product",
    "endpoint",
    "tier",
    "status",
    "is_late",
)


class MeteredSum(msgspec.Struct, frozen=True, kw_only=True):
    """The attempts of one hour (since 1970) that are alike. `units` are as reported, wholes and
    parts.

    `tier` is the service tier that the cloud reported, or empty. `context` is one more than the
    longest of the given steps that their inputs exceed, 0 for none. `is_late` if they were recorded
    more than a day after the event; imported records never are. `first_request` and `last_request`
    are the least and greatest id.
    """

    hour: int
    organisation: str
    seller: str
    segment: str
    cloud: str
    region: str
    product: str
    endpoint: int
    tier: str
    status: int
    is_late: bool
    context: int
    attempts: int
    first_request: str
    last_request: str
    units: Mapping[Unit, int]


def metered_sums(
    lake: Lake, days: Interval, steps: Sequence[int] = (), buyers: Iterable[str] = ()
) -> list[MeteredSum]:
    """Return the metered usage of the event days, each attempt that counts once, in order of the
    hour and the rest.

    `steps` are the lengths of context (input tokens) at which a price changes, ascending; `buyers`
    the organisations that have prices of their own: all others are summed under no name.
    """
    with duckdb_engine() as con:
        usage = sealed_usage(con, lake, days)
        if usage is None:
            return []
        sums = built(con, _summed, usage, tuple(steps), frozenset(buyers))
        return [_sum(row) for row in rows_of(con, sums)]


def _summed(usage: Table, steps: Sequence[int], buyers: Iterable[str]) -> Table:
    counted = priced_once(usage)
    # A step is named by its first length: above 200,000 begins at 200,001.
    context = ibis.literal(0)
    for step in steps:
        context = (counted.input_tokens.fill_null(0) > step).ifelse(step + 1, context)
    attempts = counted.mutate(
        hour=hour_of(_.event_ns),
        is_late=(_.recorded_ns - _.event_ns > DAY_NS) & (_.request_id < FIRST_IMPORTED),
        organisation=_.organisation.cast("string")
        .isin(sorted(buyers))
        .ifelse(_.organisation.cast("string"), "")
        if buyers
        else ibis.literal(""),
        # A sum of many requests has no length: it takes the lowest step.
        context=sums_many(counted).ifelse(0, context),
        tier=_.tier.fill_null(""),
    )
    return (
        attempts.group_by(*_BY, "context")
        .agg(
            attempts=_.count(),
            first_request=_.request_id.min(),
            last_request=_.request_id.max(),
            **{unit.column: _[unit.column].sum() for unit in Unit},
        )
        .order_by(*_BY, "context")
    )


def _sum(row: Mapping[str, object]) -> MeteredSum:
    named = {name: row[name] for name in MeteredSum.__struct_fields__ if name != "units"}
    units = {unit: int(str(row[unit.column])) for unit in Unit if row[unit.column] is not None}
    return msgspec.convert(
        named | {"units": {int(unit): count for unit, count in units.items()}}, MeteredSum
    )

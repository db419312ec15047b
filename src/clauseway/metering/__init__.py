"""Metering: the usage of each attempt, unit by unit, each token counted once. Knows no prices.

`records` is the schema of the records that the gateway writes and sealing puts into the lake; it is
final: fields are added at the end of a record or as units, never changed. `units` says which unit
is contained in which. `checks` is the one table of rules that usage must pass to be believed,
whoever reports it.
"""

from clauseway.metering.checks import Bounds, Flaw, Used, examine, flaws_of_units, imported_id
from clauseway.metering.records import (
    IS_ESTIMATE,
    SERVED,
    Buyer,
    Deployment,
    Intent,
    RequestId,
    Ruling,
    Status,
    UsageRecord,
)
from clauseway.metering.units import Unit, billable, problems_of

__all__ = [
    "IS_ESTIMATE",
    "SERVED",
    "Bounds",
    "Buyer",
    "Deployment",
    "Flaw",
    "Intent",
    "RequestId",
    "Ruling",
    "Status",
    "Unit",
    "UsageRecord",
    "Used",
    "billable",
    "examine",
    "flaws_of_units",
    "imported_id",
    "problems_of",
]

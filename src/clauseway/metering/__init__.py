"""Metering: the usage of each attempt, unit by unit, each token counted once. Knows no prices.

    records      what the gateway writes and sealing puts into the lake: an intent, then usage
    units        billable units, and which of them is contained in which
    usage_rules  the one table of rules that usage must pass to be believed, whoever reports it
    endpoints    the endpoints by name, each with the code that the spool records

INVARIANT: the schema of the records is final. Fields are added at the end of a record or as units,
never changed; no code of an endpoint changes.
"""

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
    request_ids_of,
)
from clauseway.metering.units import Unit, billable, problems_of
from clauseway.metering.usage_rules import Bounds, Flaw, Used, examine, flaws_of_units, imported_id

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
    "request_ids_of",
]

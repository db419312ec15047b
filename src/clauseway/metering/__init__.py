"""Metering: what was used, unit by unit, each token counted once. Knows no prices.

`records` is the schema of what is written beside the gateway and sealed into the lake; it is final: fields are added
at the end of a record or as units, never changed. `units` says which unit is contained in which.
"""

from clauseway.metering.records import Buyer, Deployment, Intent, RequestId, Ruling, Status, UsageRecord
from clauseway.metering.units import Unit, billable, problems_of

__all__ = [
    "Buyer",
    "Deployment",
    "Intent",
    "RequestId",
    "Ruling",
    "Status",
    "Unit",
    "UsageRecord",
    "billable",
    "problems_of",
]

"""The plan a gateway serves by, and the settings and the business time that it is read with.

    contents  what a plan's file says: routes already decided, refusals already worded, keys,
              limits, budgets
    file      how the file lies on disk: a short line, then lines with parts of its lists
    settings  what an operator sets of a process; limits: every limit, with its reason and bounds
    clock     business time, which says which of the plan's routes holds
    steps     long work on the loop that serves requests, a little at a time

Knows no cloud, no request, no socket and no rule.
"""

from clauseway.gateway.plan.contents import (
    USAGE_PATIENCE_S,
    Auth,
    Budget,
    Epoch,
    Key,
    Lack,
    Plan,
    PlannedRetirement,
    Policy,
    Prices,
    RateLimit,
    Refusal,
    Route,
    SpendCommitment,
    Target,
    Unserved,
    UsageQuestion,
)

__all__ = [
    "USAGE_PATIENCE_S",
    "Auth",
    "Budget",
    "Epoch",
    "Key",
    "Lack",
    "Plan",
    "PlannedRetirement",
    "Policy",
    "Prices",
    "RateLimit",
    "Refusal",
    "Route",
    "SpendCommitment",
    "Target",
    "Unserved",
    "UsageQuestion",
]

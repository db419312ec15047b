"""Limits and budgets: what customers may still ask and spend. Money in picodollars; seconds are
arguments.

    allowances    all limits and budgets of one process, by key; lives through changes of the plan
    windows       limits by the minute, as windows that slide
    limit_shares  this process's shares of such limits, where others keep them too
    slices        this process's slices of budgets, spent and reserved
    leases        what is asked of the lease server that the present plan names, and its socket
    shortage      which limit or budget is used up, in words and figures

INVARIANT: no process spends of a budget what it has not leased.
Knows no clouds, no prices and no answers: amounts come from whoever reserves.
"""

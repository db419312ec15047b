"""The customers, and the slices of budgets and limits that are leased to gateways.

tenants       organisations, their projects, limits, budgets
leases        the slice of a budget that each gateway process holds
ended_secrets  secrets that a write ended: of revoked keys, and those that were replaced
limit_shares  shares of limits, in memory or in the database
issued_resources  where identifiers lie, where homes share the database
"""

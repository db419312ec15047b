"""The customers, and the slices of budgets and limits that are leased to gateways.

tenants       organisations, their projects, limits, budgets
leases        the slice of a budget that each gateway process holds
limit_shares  shares of limits, in memory or in the database
issued_resources  where identifiers lie, where homes share the database
"""

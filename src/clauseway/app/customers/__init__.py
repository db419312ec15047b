"""The customers of a home: organisations and projects, keys, limits, budgets and their leases.

tenants       organisations, their projects, and how the requests of each are routed
keys          made, shown once, rotated, revoked
allowances    limits by the minute and budgets
leasing       slices of budgets and shares of limits, granted to gateways
limit_shares  shares of limits that several gateways keep together
shared_identifiers  what homes that share a database issued
holders       the processes that hold leases, and which of them are gone
"""

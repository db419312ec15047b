"""The customers of a home: organisations and projects, keys, limits, budgets and their leases."""

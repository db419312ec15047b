"""The customers, and the slices of budgets and limits that are leased to gateways."""

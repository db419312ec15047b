"""Who buys, and what of budgets and limits is leased to gateways."""

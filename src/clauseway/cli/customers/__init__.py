"""Commands for who buys: organisations, projects, keys, limits and budgets."""

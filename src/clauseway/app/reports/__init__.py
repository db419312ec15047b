"""Reports on a home, which change nothing in it: statements, packs, their verification,
forecasts, reconciliations."""

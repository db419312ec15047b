"""Reports on a home: statements, packs, their verification, forecasts, reconciliations. Some seal
first what its gateways have written; they change nothing else."""

"""Measure the product's costs beside its peers. `python -m bench.run` writes `bench/results.json`.

A benchmark is a module with `measure(effort) -> list[Result]` and a line in `run.BENCHMARKS`.
"""

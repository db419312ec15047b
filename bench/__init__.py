"""What the product costs, beside its peers. `python -m bench.run` measures and writes `bench/results.json`.

A benchmark is a module with `measure(effort) -> list[Result]` and a line in `run.BENCHMARKS`.
"""

"""Decisions: one look-up beside other engines, compiling a table, a file of ten million questions."""

import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import cedarpy
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import zen
from regopy import Interpreter

from bench.results import Effort, Result, result
from clauseway import KnownAt, open_agreement
from clauseway.decisions import all_questions, compile_table

# One decision is to take at most this part of what the fastest of the others takes.
_TIMES_FASTER = 80
_COMPILED_MS, _SYNTHETIC_S, _SYNTHETIC_MB, _DOUBLED, _BATCH_S = 100, 5, 500, 2.3, 10
_BATCH_ROWS = 10_000_000
_BATCH_ROUNDS = 3
_DAY = date(2026, 5, 1)


def measure(effort: Effort) -> list[Result]:
    """Everything, in a few minutes."""
    return [one_decision(effort), compile_built_in(effort), compile_synthetic(effort), batch()]


def one_decision(effort: Effort) -> Result:
    """May OpenAI serve GPT-5.5 on AWS? Ours answers with its citations; the others are given a rule or two."""
    contenders = {"ours": _ours(), "cedarpy": _cedar(), "zen-engine": _zen(), "regopy": _rego()}
    runs: dict[str, list[float]] = {who: [] for who in contenders}
    for _ in range(effort.rounds):
        for who, ask in contenders.items():
            runs[who].append(_ns_each(ask, effort.seconds / 10))
    fastest = min(sorted(runs[who])[effort.rounds // 2] for who in contenders if who != "ours")
    notes = {
        "times faster": f"{fastest / sorted(runs['ours'])[effort.rounds // 2]:.0f} than the fastest of the others"
    }
    return result("decision/one", "ns", fastest / _TIMES_FASTER, runs, notes)


def _ns_each(ask: Callable[[], object], seconds: float) -> float:
    """Nanoseconds a call, over calls enough to fill the time."""
    calls, spent = 1, 0
    while spent < seconds * 1e9:
        calls *= 2
        begin = time.perf_counter_ns()
        for _ in range(calls):
            ask()
        spent = time.perf_counter_ns() - begin
    return spent / calls


def _ours() -> Callable[[], tuple[object, ...]]:
    opened = open_agreement()
    table = compile_table(
        opened.agreement,
        opened.catalog,
        opened.facts,
        KnownAt.everything(),
        opened.agreement.default_readings(),
    )
    look_up = table.look_up

    def ask() -> tuple[object, ...]:
        verdict = look_up("serve", "openai", "gpt-5.5", "aws", as_of=_DAY)
        first = verdict.reasons[0]
        return verdict.outcome, first.document, first.line

    assert ask()[:2] == ("permitted", "A5.md")
    return ask


_CEDAR = """
permit (principal == Party::"openai", action == Action::"serve", resource in Class::"api")
when { context.as_of >= 20260427 };
forbid (principal, action == Action::"serve", resource in Class::"api")
when { context.as_of < 20260427 && context.cloud != "azure" };
"""


def _cedar() -> Callable[[], object]:
    policies = cedarpy.PolicySet.from_str(_CEDAR)
    product = {
        "uid": {"type": "Product", "id": "gpt-5.5"},
        "attrs": {},
        "parents": [{"type": "Class", "id": "api"}],
    }
    entities = cedarpy.Entities.from_json_str(json.dumps([product]))
    request = {
        "principal": 'Party::"openai"',
        "action": 'Action::"serve"',
        "resource": 'Product::"gpt-5.5"',
        "context": {"cloud": "aws", "as_of": 20260501},
    }

    def ask() -> object:
        return cedarpy.is_authorized(request, policies, entities).allowed

    assert ask() is True
    return ask


def _zen() -> Callable[[], object]:
    columns = [("party", "party"), ("action", "action"), ("class", "class"), ("as_of", "as_of")]
    rule = {
        "_id": "r1",
        "party": '"openai"',
        "action": '"serve"',
        "class": '"api"',
        "as_of": ">= 20260427",
    }
    table = {
        "hitPolicy": "first",
        "inputs": [{"id": name, "name": name, "field": field} for name, field in columns],
        "outputs": [{"id": "outcome", "name": "outcome", "field": "outcome"}],
        "rules": [rule | {"outcome": '"permitted"'}, {"_id": "r2", "outcome": '"forbidden"'}],
    }
    graph = {
        "nodes": [
            {"id": "in", "name": "in", "type": "inputNode", "content": {}},
            {"id": "rules", "name": "rules", "type": "decisionTableNode", "content": table},
            {"id": "out", "name": "out", "type": "outputNode", "content": {}},
        ],
        "edges": [
            {"id": "e1", "sourceId": "in", "targetId": "rules", "type": "edge"},
            {"id": "e2", "sourceId": "rules", "targetId": "out", "type": "edge"},
        ],
    }
    decision = zen.ZenEngine().create_decision(json.dumps(graph))
    asked = {
        "party": "openai",
        "action": "serve",
        "class": "api",
        "cloud": "aws",
        "as_of": 20260501,
    }

    def ask() -> object:
        return decision.evaluate(asked)["result"]["outcome"]

    assert ask() == "permitted"
    return ask


_REGO = """
package agreement
default outcome := "forbidden"
outcome := "permitted" if {
  input.party == "openai"
  input.action == "serve"
  data.class[input.product] == "api"
  input.as_of >= 20260427
}
"""


def _rego() -> Callable[[], object]:
    rego = Interpreter()
    rego.add_module("agreement", _REGO)
    rego.add_data({"class": {"gpt-5.5": "api"}})
    bundle = rego.build("data.agreement.outcome")
    rego.set_input(
        {
            "party": "openai",
            "action": "serve",
            "product": "gpt-5.5",
            "cloud": "aws",
            "as_of": 20260501,
        }
    )

    def ask() -> object:
        return rego.query_bundle(bundle)

    assert "permitted" in str(ask())
    return ask


def compile_built_in(effort: Effort) -> Result:
    """Every verdict of the built-in agreement, over all days."""
    opened = open_agreement()
    readings = opened.agreement.default_readings()
    runs = []
    for _ in range(effort.rounds):
        begin = time.perf_counter()
        table = compile_table(
            opened.agreement, opened.catalog, opened.facts, KnownAt.everything(), readings
        )
        table.decide_all()
        runs.append((time.perf_counter() - begin) * 1e3)
    rows, situations, verdicts = table.size
    notes = {"table": f"{rows} rows, {situations} situations, {verdicts:,} verdicts, each decided"}
    return result("decision/compile-built-in", "ms", _COMPILED_MS, {"ours": runs}, notes)


_CHILD = """
import sys, time
from bench.memory import peak_megabytes
from bench.synthetic import synthetic
from clauseway import KnownAt
from clauseway.decisions import compile_table
written = synthetic(int(sys.argv[1]))
begin = time.perf_counter()
table = compile_table(*written, KnownAt.everything(), {})
print(time.perf_counter() - begin, peak_megabytes(), *table.size)
"""


def compile_synthetic(effort: Effort) -> Result:
    """100 amendments × 50 terms × 200 products × 20 clouds, each time in a process of its own; and twice of it."""
    # By turns, because the machine itself is not the same from minute to minute.
    pairs = [(_compiled(100), _compiled(200)) for _ in range(effort.rounds)]
    once, twice = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    seconds, doubled = [pair[0] for pair in once], [pair[0] for pair in twice]
    peak = max(pair[1] for pair in once)
    ratio = sorted(doubled)[effort.rounds // 2] / sorted(seconds)[effort.rounds // 2]
    rows, situations, verdicts = (int(number) for number in once[0][2:])
    notes = {
        "memory": f"{peak:.0f} MB at most, the interpreter's included; the goal is {_SYNTHETIC_MB}",
        "twice the amendments": f"{ratio:.2f} times as long; the goal is {_DOUBLED}",
        "table": f"{rows:,} rows and {situations:,} situations; their {verdicts:,} verdicts are decided when asked for",
    }
    measured = result("decision/compile-synthetic", "s", _SYNTHETIC_S, {"ours": seconds}, notes)
    if peak > _SYNTHETIC_MB or ratio > _DOUBLED:
        return msgspec.structs.replace(measured, met=False)
    return measured


def _compiled(amendments: int) -> list[float]:
    """Seconds, peak megabytes, and the table's size."""
    child = subprocess.run(
        [sys.executable, "-c", _CHILD, str(amendments)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[1],
    )
    return [float(number) for number in child.stdout.split()]


_COMMAND = "from clauseway.cli import main; main()"


def batch() -> Result:
    """Ten million questions, drawn at random from all there are over eleven years of days, from file to file."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "questions.parquet", Path(folder) / "answers.parquet"
        _write_questions(source)
        command = ["-c", _COMMAND, "decide", "--batch", str(source), "--out", str(target)]
        runs = []
        for _ in range(_BATCH_ROUNDS):
            begin = time.perf_counter()
            subprocess.run([sys.executable, *command], check=True, capture_output=True)
            runs.append(time.perf_counter() - begin)
        assert pq.ParquetFile(target).metadata.num_rows == _BATCH_ROWS
    notes = {
        "rate": f"{_BATCH_ROWS / sorted(runs)[_BATCH_ROUNDS // 2]:,.0f} questions a second, the start included"
    }
    return result("decision/batch-10m", "s", _BATCH_S, {"ours": runs}, notes)


def _write_questions(path: Path) -> None:
    opened = open_agreement()
    draw = random.Random(1)
    everything = list(
        all_questions(opened.agreement, opened.catalog, as_of=_DAY, known_at=KnownAt.everything())
    )
    days = [date(2023, 1, 1) + timedelta(days=number) for number in range(4_000)]
    fields = ("action", "party", "product", "cloud", "to", "segment")
    with pq.ParquetWriter(
        path, pa.schema([*((field, pa.string()) for field in fields), ("as_of", pa.date32())])
    ) as file:
        for _ in range(10):
            asked = draw.choices(everything, k=_BATCH_ROWS // 10)
            columns = {field: [getattr(question, field) for question in asked] for field in fields}
            file.write_table(
                pa.table({**columns, "as_of": draw.choices(days, k=len(asked))}, schema=file.schema)
            )

"""Heavy libraries that a process loads before it does anything: users wait for each of them at every start."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

# Each takes from 0.05 s (Starlette) to 0.6 s (Ibis with sqlglot) of a core of 2026.
HEAVY = {
    "alembic",
    "botocore",
    "cryptography",
    "duckdb",
    "httpx",
    "ibis",
    "jinja2",
    "numpy",
    "opentelemetry",
    "pandas",
    "prometheus_client",
    "pyarrow",
    "requests",
    "rich",
    "ruamel",
    "sqlalchemy",
    "sqlalchemy.dialects.postgresql",
    "sqlglot",
    "starlette",
    "uvicorn",
}
TABLES = {"rich"}
DATABASE = TABLES | {"sqlalchemy"}
PAGES = DATABASE | {"jinja2", "starlette"}
# A command | the libraries that it may load: no engine (Ibis, sqlglot, PyArrow, NumPy) where nothing is counted
STARTS = [
    ("clauseway.cli", set[str]()),
    ("clauseway.gateway.__main__", set[str]()),
    ("clauseway.sandbox.__main__", {"botocore", "cryptography", "requests", "uvicorn"}),
    ("clauseway.cli.gateway.serve", PAGES),
    ("clauseway.app.running.pages_process", PAGES | {"uvicorn"}),
    ("clauseway.cli.agreement.decide", set[str]()),
    ("clauseway.cli.agreement.terms", TABLES),
    ("clauseway.cli.customers.tenancy", DATABASE),
    ("clauseway.cli.money.journal", DATABASE),
    ("clauseway.cli.money.price", DATABASE),
    ("clauseway.cli.money.statement", PAGES),
    ("clauseway.cli.money.forecast", PAGES),
    ("clauseway.cli.gateway.models", DATABASE),
    ("clauseway.cli.gateway.sandbox", DATABASE | {"botocore", "cryptography", "requests", "uvicorn"}),
]


@pytest.mark.parametrize(("module", "may_load"), STARTS, ids=[module for module, _ in STARTS])
def test_a_process_loads_what_it_needs_to_start(module: str, may_load: set[str]) -> None:
    listing = f"import {module}, sys; print('\\n'.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", listing], capture_output=True, text=True, check=True).stdout.split()
    assert HEAVY & {*loaded} - may_load == set()


EVERY_COMMAND = """
import gc, sys
from clauseway.cli.commands import COMMANDS

def load(commands):
    for command in commands.values():
        command.load()
        load(getattr(command, "below", {}))

load(COMMANDS)
print(gc.isenabled(), gc.get_freeze_count() > 100_000, "duckdb" in sys.modules or "_duckdb" in sys.modules)
"""


def test_what_commands_load_is_frozen_and_duckdb_is_not_among_it() -> None:
    """Frozen, its objects would outlive Python, and its binding would print each as a leak."""
    done = subprocess.run([sys.executable, "-c", EVERY_COMMAND], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True", "False"]
    assert done.stderr == ""


def test_a_child_process_is_loaded_without_looks_for_garbage(tmp_path: Path) -> None:
    """A look walks all that was loaded before: looks were a third of each start of the pages."""
    package = tmp_path / "probe"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(
        "import gc\n"
        "looked = gc.isenabled()\n"
        "def main(arguments):\n"
        "    print(looked, gc.isenabled(), gc.get_freeze_count() > 1_000, *arguments)\n"
        "    return 7\n"
    )
    command = [sys.executable, "-m", "clauseway.start", "probe", "--port", "0"]
    paths = os.pathsep.join([str(tmp_path), *sys.path])
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={"PYTHONPATH": paths})
    assert (done.returncode, done.stdout.split()) == (7, ["False", "True", "True", "--port", "0"]), done.stderr

"""Without the libraries of an extra: what needs them says which to install, and nothing else needs them."""

import subprocess
import sys
from pathlib import Path

import pytest

from clauseway.storage import Control

ASK = ("--action", "serve", "--party", "openai", "--product", "gpt-5.5", "--cloud", "aws")
# Runs a command in an interpreter in which some libraries cannot be imported.
WITHOUT = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {missing!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
from clauseway.cli import main
main({arguments!r})
"""


def run_without(missing: set[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    program = WITHOUT.format(missing=missing, arguments=list(arguments))
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)


# what is missing | what is asked for | the flag or command that needs it | what to install
NEEDED = [
    (
        {"vl_convert"},
        ("agreement", "timeline", *ASK, "--png", "{folder}/rights.png"),
        "--png",
        "pip install 'clauseway[charts]'",
    ),
    ({"pyarrow"}, ("decide", "--batch", "{folder}/x.parquet"), "--batch", "pip install 'clauseway[settle]'"),
    ({"pyarrow"}, ("settle", "--period", "2026-05"), "settle", "pip install 'clauseway[settle]'"),
    ({"cryptography"}, ("party", "key", "create", "--party", "openai"), "party", "pip install 'clauseway[signing]'"),
    ({"ibis"}, ("settle", "--period", "2026-05"), "settle", "pip install 'clauseway[settle]'"),
]


@pytest.mark.parametrize(("missing", "arguments", "where", "todo"), NEEDED)
def test_what_needs_an_extra_names_it(
    missing: set[str], arguments: tuple[str, ...], where: str, todo: str, tmp_path: Path
) -> None:
    done = run_without(missing, *(argument.format(folder=tmp_path) for argument in arguments), "--home", str(tmp_path))
    assert done.returncode == 3, done.stderr + done.stdout
    assert f"  {where}: " in done.stderr
    assert "is not installed" in done.stderr
    assert todo in done.stderr
    assert not list(tmp_path.iterdir())


def test_publishing_a_lake_names_its_extra(tmp_path: Path) -> None:
    Control.open(tmp_path / "control.db").close()
    done = run_without({"fastavro"}, "lake", "publish", "--home", str(tmp_path))
    assert (done.returncode, "pip install 'clauseway[iceberg]'" in done.stderr) == (3, True), done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["control.db"]
    # The other commands of the group do without.
    assert run_without({"fastavro"}, "lake", "show", "--home", str(tmp_path)).returncode == 0


def test_without_any_extra_questions_are_answered_and_pictures_drawn(tmp_path: Path) -> None:
    missing = {"vl_convert", "pyarrow", "ibis", "duckdb", "pandas", "numpy"}
    (tmp_path / "home").mkdir()
    done = run_without(missing, "decide", *ASK, "--as-of", "2026-05-01", "--home", str(tmp_path / "home"))
    assert done.stdout.startswith("PERMITTED"), done.stderr
    done = run_without(
        missing, "agreement", "timeline", *ASK, "--svg", str(tmp_path / "r.svg"), "--home", str(tmp_path / "home")
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "r.svg").read_text().startswith("<svg")

"""Without the libraries of an extra: what needs them says which to install, and nothing else needs them."""

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import spark_judge
from clauseway import cli
from clauseway.gateway.credentials.source import KINDS
from clauseway.storage import Control
from deployments import deployment

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"
EXTRAS = tomllib.loads(PYPROJECT.read_text())["project"]["optional-dependencies"]
PATIENCE_S = 600.0  # an upper bound for a busy machine, never the measure
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


def run_without(
    missing: set[str], *arguments: str, environment: Mapping[str, str] = {}
) -> subprocess.CompletedProcess[str]:
    program = WITHOUT.format(missing=missing, arguments=list(arguments))
    return subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
        env=os.environ | environment,
    )


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
    (
        {"cryptography"},
        ("party", "key", "create", "--party", "openai"),
        "party key create",
        "pip install 'clauseway[signing]'",
    ),
    ({"botocore"}, ("gateway", "sandbox"), "gateway sandbox", "pip install 'clauseway[sandbox]'"),
    ({"uvloop"}, ("gateway", "replay"), "gateway replay", "pip install 'clauseway[sandbox]'"),
    ({"httptools"}, ("doctor",), "doctor", "pip install 'clauseway[server]'"),
    ({"uvloop"}, ("up",), "up", "pip install 'clauseway[all]'"),
    ({"anyio"}, ("mcp",), "mcp", "pip install 'clauseway[mcp]'"),
    ({"pyarrow"}, ("mcp",), "mcp", "pip install 'clauseway[mcp]'"),
    ({"ibis"}, ("settle", "--period", "2026-05"), "settle", "pip install 'clauseway[settle]'"),
]


@pytest.mark.parametrize(("missing", "arguments", "where", "remedy"), NEEDED)
def test_what_needs_an_extra_names_it(
    missing: set[str], arguments: tuple[str, ...], where: str, remedy: str, tmp_path: Path
) -> None:
    done = run_without(missing, *(argument.format(folder=tmp_path) for argument in arguments), "--home", str(tmp_path))
    assert done.returncode == 3, done.stderr + done.stdout
    assert f"  {where}: " in done.stderr
    assert "is not installed" in done.stderr
    assert remedy in done.stderr
    assert not list(tmp_path.iterdir())


def test_public_keys_are_trusted_and_withdrawn_without_a_library_of_signatures(tmp_path: Path) -> None:
    """A key that leaked is withdrawn where nothing is signed, too."""
    public = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="  # RFC 8032, section 7.1, test 1
    key = ("--party", "openai", "--home", str(tmp_path))
    asked = [
        ("party", "key", "trust", "--public-key", public, *key),
        ("party", "key", "list", "--home", str(tmp_path)),
        ("party", "key", "withdraw", public, "--why", "it leaked", *key),
    ]
    for words in asked:
        done = run_without({"cryptography"}, *words)
        assert done.returncode == 0, done.stderr


# what is asked | the command that it tells of | its line | what to install
HELP = [
    (("up", "--help"), "up", "Play the night of the amendment: clouds, gateway,", "pip install 'clauseway[all]'"),
    (("settle", "-h"), "settle", "Settle a month from metered usage,", "pip install 'clauseway[settle]'"),
    (("help", "settle"), "settle", "Settle a month from metered usage,", "pip install 'clauseway[settle]'"),
    (("lake", "publish", "--help"), "lake", "The sealed usage on disk,", "pip install 'clauseway[settle]'"),
]


@pytest.mark.parametrize(("words", "command", "line", "remedy"), HELP)
def test_help_says_what_a_command_does_and_what_to_install(
    words: tuple[str, ...], command: str, line: str, remedy: str
) -> None:
    done = run_without({"pyarrow", "uvloop"}, *words)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"Usage: clauseway {command} …\n\n  {line}")
    assert remedy in done.stdout


@pytest.mark.parametrize("words", ["clauseway lake s", "clauseway settle --p"])
def test_a_shell_that_completes_such_a_command_is_told_nothing(words: str) -> None:
    """Any output of a completion lands in the line that somebody types."""
    at = str(words.count(" "))
    asked = {"_CLAUSEWAY_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": at}
    done = run_without({"pyarrow"}, environment=asked)
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize("library", ["pyspark", "pandas"])
def test_a_second_opinion_names_its_extra_before_anything_is_accepted(library: str, tmp_path: Path) -> None:
    """Spark is there; what Ibis needs to ask it is in the same extra."""
    try:
        spark = spark_judge.settings()
    except spark_judge.Unavailable as reason:
        pytest.skip(f"no Spark: {reason}")
    home = ("--home", str(tmp_path))
    day = ("--from", "2026-05-01", "--until", "2026-05-02")
    assert run_without(set(), "usage", "expand", "--scale", "1/50000", *day, *home).returncode == 0
    accepted = ("--assume", "share-openai-microsoft", "--assume", "share-microsoft-openai", "--assume", "cap")
    asked = ("settle", "--period", "2026-05", *accepted, "--second-opinion", "spark", *home)
    done = run_without({library}, *asked, environment=spark)
    assert done.returncode == 3, done.stderr
    assert f"it needs {library}" in done.stderr
    assert "pip install 'clauseway[spark]'" in done.stderr
    assert "Accepted by" not in done.stderr + done.stdout


@pytest.mark.parametrize(
    "asked",
    [
        # The list has this model, and no book that comes with us does.
        ("gpt-4.1", "--cloud", "openai-own"),
        # The shipped book has this model from a later day.
        ("gpt-5.5", "--cloud", "azure", "--as-of", "2026-04-22"),
    ],
)
def test_a_price_that_only_the_public_list_has_names_its_extra(asked: tuple[str, ...], tmp_path: Path) -> None:
    program = """
import sys

sys.modules["genai_prices"] = None
from clauseway.cli import main
main({arguments!r})
"""
    arguments = ["price", *asked, "--home", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-c", program.format(arguments=arguments)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 3, done.stderr + done.stdout
    assert "The public list prices are not installed: pip install 'clauseway[settle]'." in " ".join(done.stderr.split())


def test_an_import_names_the_extra_that_its_clouds_need(tmp_path: Path) -> None:
    file, home = tmp_path / "config.yaml", tmp_path / "home"
    file.write_text(
        "model_list:\n  - {model_name: gemini, litellm_params: {model: vertex_ai/gemini-2.5-pro, vertex_project: p}}\n"
    )
    done = run_without({"google"}, "config", "import", "litellm", str(file), "--home", str(home))
    assert done.returncode == 0, done.stderr
    assert "pip install 'clauseway[google]'" in done.stdout.partition("Next")[2]


def test_a_failure_of_ours_is_json_where_that_was_asked_for() -> None:
    """No extra brings this library: the installation is broken."""
    done = run_without({"markdown_it"}, "decide", *ASK, "--json")
    assert done.returncode == 1
    error = json.loads(done.stdout)["error"]
    assert error["type"] == "internal_error"
    [problem] = error["problems"]
    assert problem["what"] == "ModuleNotFoundError: No module named 'markdown_it'"
    assert (problem["where"], "CLAUSEWAY_DEBUG=1" in problem["remedy"]) == ("clauseway decide", True)


@pytest.mark.parametrize(("written", "shows"), [("1", True), ("0", False)])
def test_a_failure_of_ours_shows_where_it_came_from_if_that_is_switched_on(written: str, shows: bool) -> None:
    done = run_without({"markdown_it"}, "decide", *ASK, environment={"CLAUSEWAY_DEBUG": written})
    assert (done.returncode, "Traceback" in done.stderr) == (1, shows), done.stderr


def test_publishing_and_moving_a_lake_name_their_extras(tmp_path: Path) -> None:
    Control.open(tmp_path / "control.db").close()
    done = run_without({"fastavro"}, "lake", "publish", "--home", str(tmp_path))
    assert (done.returncode, "pip install 'clauseway[iceberg]'" in done.stderr) == (3, True), done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["control.db"]
    moved = run_without({"obstore"}, "lake", "move", "--to", "s3://bucket/lake", "--home", str(tmp_path))
    assert (moved.returncode, "pip install 'clauseway[object-storage]'" in moved.stderr) == (3, True), moved.stderr
    # The other commands of the group do without.
    assert run_without({"fastavro", "obstore"}, "lake", "show", "--home", str(tmp_path)).returncode == 0


def test_without_any_extra_questions_are_answered_and_pictures_drawn(tmp_path: Path) -> None:
    missing = {"vl_convert", "pyarrow", "ibis", "duckdb", "pandas", "numpy"}
    missing |= {"anyio", "h11", "httptools", "starlette", "uvicorn", "uvloop", "wsproto"}
    (tmp_path / "home").mkdir()
    done = run_without(missing, "decide", *ASK, "--as-of", "2026-05-01", "--home", str(tmp_path / "home"))
    assert done.stdout.startswith("PERMITTED"), done.stderr
    done = run_without(
        missing, "agreement", "timeline", *ASK, "--svg", str(tmp_path / "r.svg"), "--home", str(tmp_path / "home")
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "r.svg").read_text().startswith("<svg")
    (tmp_path / "home/clauseway.toml").write_text(deployment())
    done = run_without(missing, "config", "check", "--home", str(tmp_path / "home"))
    assert done.returncode == 0, done.stderr


# Loaded by every interpreter that starts with this folder in its path: children lack what their parent lacks.
HIDING = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {missing!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
"""
CONFIGURATION = """
[gateway]
port = 0

[telemetry]
metrics = true
metrics_port = 0
otlp_endpoint = "http://127.0.0.1:9"
"""
# what is missing | what is started | what needs it | what to install
OF_CHILDREN = [
    (
        {"botocore"},
        ("gateway", "sandbox", "--openai-port", "0"),
        "gateway sandbox: it needs botocore",
        "clauseway[sandbox]",
    ),
    ({"uvicorn"}, ("gateway", "sandbox"), "gateway sandbox: it needs uvicorn", "clauseway[sandbox]"),
    (
        {"prometheus_client"},
        ("serve", "--pages-port", "0"),
        "telemetry.metrics: it needs prometheus_client",
        "clauseway[server]",
    ),
    (
        {"opentelemetry"},
        ("serve", "--pages-port", "0"),
        "telemetry.otlp_endpoint: it needs opentelemetry",
        "clauseway[telemetry]",
    ),
    ({"uvloop"}, ("serve", "--pages-port", "0"), "serve: it needs uvloop", "clauseway[server]"),
    ({"httptools"}, ("serve", "--pages-port", "0"), "serve: it needs httptools", "clauseway[server]"),
    ({"uvicorn"}, ("serve", "--pages-port", "0"), "serve: it needs uvicorn", "clauseway[server]"),
    ({"pyarrow"}, ("serve", "--pages-port", "0"), "serve: it needs pyarrow", "clauseway[server]"),
]


@pytest.mark.parametrize(("missing", "arguments", "why", "extra"), OF_CHILDREN)
def test_what_a_child_lacks_is_told_with_the_line_to_install_it(
    missing: set[str], arguments: tuple[str, ...], why: str, extra: str, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(HIDING.format(missing=missing))
    home = tmp_path / "home"
    home.mkdir()
    (home / "clauseway.toml").write_text(CONFIGURATION + deployment())
    done = subprocess.run(
        [sys.executable, "-m", "clauseway", *arguments, "--home", str(home)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(tmp_path), *sys.path[1:]))},
    )
    assert done.returncode == 3, done.stderr + done.stdout
    assert why in done.stderr
    assert f"pip install '{extra}'" in done.stderr
    if why.startswith("serve: "):
        assert [path.name for path in home.iterdir()] == ["clauseway.toml"]


def parts_of(extra: str) -> set[str]:
    """The extras that an extra is made of, and those that these are made of."""
    parts: set[str] = set()
    for asked in map(Requirement, EXTRAS[extra]):
        if asked.name == "clauseway":
            parts |= asked.extras.union(*map(parts_of, asked.extras))
    return parts


def test_every_extra_that_is_named_is_one() -> None:
    by_credentials = {kind.extra for kind in KINDS.values()} - {""}
    assert {*cli._EXTRAS.values(), *cli._BY_COMMAND.values(), *by_credentials} <= EXTRAS.keys()


def test_an_extra_that_stands_for_others_is_made_of_them() -> None:
    assert cli._PARTS.keys() == set(cli._BY_COMMAND.values())
    for whole, parts in cli._PARTS.items():
        assert parts <= parts_of(whole)
    assert parts_of("all") | {"all", "spark", "oracle-principals"} == EXTRAS.keys()


@pytest.mark.parametrize("extra", ["iceberg", "mcp", "object-storage", "server", "signing", "spark"])
def test_an_extra_whose_commands_settle_or_read_the_lake_brings_what_that_needs(extra: str) -> None:
    """`statement sign` settles the month again before it signs."""
    assert "settle" in parts_of(extra)


def test_a_month_is_settled_without_pandas_and_numpy(tmp_path: Path) -> None:
    """Ibis brings both in its own extra for DuckDB; a server has neither, and everything is Arrow."""
    missing, home = {"pandas", "numpy"}, ("--home", str(tmp_path))
    days = ("--from", "2026-05-01", "--until", "2026-05-02")
    accepted = ("--assume", "share-openai-microsoft", "--assume", "share-microsoft-openai", "--assume", "cap")
    for words in (
        ("usage", "expand", "--scale", "1/50000", *days),
        ("settle", "--period", "2026-05", *accepted),
        ("usage", "show"),
        ("export", "parquet", "--out", str(tmp_path / "out")),
        ("lake", "check"),
        ("books", "close", "2026-05"),
    ):
        done = run_without(missing, *words, *home)
        assert done.returncode == 0, f"{words}: {done.stderr}"

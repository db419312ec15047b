"""`decide --trace`, `verify`, `prove` and `check` from the command line: what is printed, and with which exit code."""

import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from clauseway.agreement import builtin
from in_process import run

CLAUSEWAY = Path(sys.executable).parent / "clauseway"
BUILT_IN = Path(builtin.__path__[0]) / "openai-microsoft"
SERVE = ("--action", "serve", "--party", "openai", "--product", "api.stateless", "--cloud", "aws")
OLD_DAYS = ("--from", "2023-01-23", "--until", "2026-04-26")


def answer(*arguments: str, code: int, given: str = "") -> dict[str, Any]:
    done = run(*arguments, "--json", given=given)
    assert done.returncode == code, done.stderr or done.stdout
    result = json.loads(done.stdout)
    assert isinstance(result, dict)
    return result


# --- decide ----------------------------------------------------------------------------------------------------------


def test_the_trace_stands_in_the_json_only_where_asked_for() -> None:
    question = ("decide", *SERVE, "--as-of", "2026-03-15")
    assert "trace" not in answer(*question, code=2)
    traced = answer(*question, "--trace", code=2)["trace"]
    [ended] = [step for step in traced if step["term"] == "A1.workloads"]
    assert (ended["finding"], ended["applies"]) == ("ended", False)
    assert "2025-10-28 by A3.lifts-workloads" in ended["why"]
    assert [step["term"] for step in traced if step["bearing"] == "forbids"] == ["A4.api", "A3.api"]


def test_a_person_reads_the_trace_and_what_would_change_the_answer() -> None:
    text = run("decide", *SERVE, "--as-of", "2026-03-15", "--trace").stdout
    assert "What would change this\n  from 2026-04-27: conditional\n  up to 2023-01-22: unstated\n" in text
    assert "Trace\n" in text
    assert "A4.api (exclusivity)" in text
    assert "outside" in text


def test_what_would_change_stands_in_the_json() -> None:
    changes = answer("decide", *SERVE, "--as-of", "2026-03-15", code=2)["would_change"]
    assert changes[0] == {"kind": "later", "as_of": "2026-04-27", "outcome": "conditional"}


def test_a_proof_takes_every_place_that_a_question_takes() -> None:
    asked = (
        "--action",
        "serve",
        "--party",
        "openai",
        "--product",
        "gpt-5.5",
        "--cloud",
        "aws",
        "--region",
        "us-east-1",
    )
    assert answer("decide", *asked, "--as-of", "2026-05-01", code=0)["outcome"] == "permitted"
    proved = answer("prove", "--always", "permitted", *asked, "--from", "2026-05-01", "--until", "2026-05-01", code=0)
    assert proved["holds"] is True


# --- verify ----------------------------------------------------------------------------------------------------------

DECIDE = (
    "decide",
    "--action",
    "serve",
    "--party",
    "openai",
    "--product",
    "new-model",
    "--cloud",
    "aws",
    "--as-of",
    "2026-05-01",
    "--reading",
    "R1=or",
    "--suppose",
    "answer:new-model:can+declines=2026-04-29",
    "--json",
)


@pytest.fixture(scope="module")
def receipt() -> str:
    done = run(*DECIDE)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_receipt_is_verified_from_a_file_and_from_a_pipe(receipt: str, tmp_path: Path) -> None:
    (tmp_path / "receipt.json").write_text(receipt)
    assert answer("verify", str(tmp_path / "receipt.json"), code=0)["same"] is True
    assert run("verify", "-", given=receipt).stdout.startswith("SAME\n")


def test_what_a_receipt_answers_is_told_with_it() -> None:
    """A receipt that is the same may answer something else than was said of it."""
    supposing = ("--as-of", "2026-03-15", "--known-at", "2026-04-01", "--suppose", "milestone=2026-03-15")
    decided = answer("decide", *SERVE, *supposing, "--reading", "R1=or", code=0)
    asked = [
        "  PERMITTED openai: serve api.stateless on aws",
        "  as of 2026-03-15 · known at 2026-04-01T23:59:59Z",
        "  read with R1=or, R3=a4, R5=new, R6=listed",
        "  supposing milestone=2026-03-15",
    ]
    verified = run("verify", "-", given=json.dumps(decided)).stdout.splitlines()
    assert verified == ["SAME", *asked, f"receipt {decided['receipt']['id']}"]
    forged = run("verify", "-", given=json.dumps(decided | {"outcome": "forbidden"})).stdout.splitlines()
    assert forged == ["DIFFERS", *asked, "", "outcome", "  recorded: forbidden", "  now:      permitted"]


def test_a_receipt_of_any_length_is_not_read_into_memory(tmp_path: Path) -> None:
    long = tmp_path / "receipt.json"
    with long.open("wb") as file:
        file.truncate((16 << 20) + 1)
    for refused in (run("verify", str(long)), run("verify", "-", given=" " * ((16 << 20) + 1))):
        assert (refused.returncode, "it has more than 16 MB" in " ".join(refused.stderr.split())) == (3, True)


def test_a_receipt_in_which_a_name_stands_twice_is_refused(receipt: str) -> None:
    """One reader would take the outcome that was decided, another the one that was written before it."""
    forged = receipt.replace('"outcome"', '"outcome": "forbidden", "outcome"', 1)
    refused = run("verify", "-", given=forged)
    assert (refused.returncode, "`outcome` stands twice" in refused.stderr) == (3, True)


# what was changed in the receipt, and what verify says differs
CHANGED = [
    ({"outcome": "forbidden"}, ["outcome"]),
    ({"receipt": {"engine": "clauseway-decisions/0"}}, ["engine version"]),
    ({"receipt": {"meaning": "0" * 64}}, ["agreement"]),
    ({"receipt": {"facts": "0" * 64}}, ["facts"]),
    ({"receipt": {"id": "0" * 32}}, ["receipt"]),
    ({"reasons": []}, ["reasons"]),
    ({"known_at": "2026-05-01T00:00:00Z"}, ["known at"]),
    ({"question": {"segment": "government"}}, ["receipt"]),
    ({"question": {"suppositions": []}}, ["facts", "outcome", "reasons", "conditions", "receipt"]),
]


@pytest.mark.parametrize(("changed", "differs"), CHANGED)
def test_what_differs_is_said(receipt: str, changed: dict[str, Any], differs: list[str]) -> None:
    recorded = json.loads(receipt)
    for key, value in changed.items():
        recorded[key] = recorded[key] | value if isinstance(value, dict) else value
    result = answer("verify", "-", given=json.dumps(recorded), code=2)
    assert [difference["what"] for difference in result["differences"] if difference["what"] != "turns on"] == differs


def test_knowledge_of_any_year_is_verified() -> None:
    for known_at in ("0001-01-01", "1969-07-20", "9999-12-30"):
        done = run("decide", *SERVE, "--as-of", "2026-03-15", "--known-at", known_at, "--json")
        assert answer("verify", "-", given=done.stdout, code=0)["same"] is True


def test_another_meaning_differs_and_another_layout_is_noted(receipt: str, tmp_path: Path) -> None:
    shutil.copytree(BUILT_IN, tmp_path / "mine", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "mine" / "A5.md").write_text((BUILT_IN / "A5.md").read_text() + "\n")
    result = answer("verify", "-", "--agreement", str(tmp_path / "mine"), given=receipt, code=0)
    assert [note["what"] for note in result["notes"]] == ["text of the agreement"]
    text = run("verify", "-", "--agreement", str(tmp_path / "mine"), given=receipt).stdout
    assert "The text of the agreement was edited since, without a change of meaning." in text
    definitions = (BUILT_IN / "agreement.md").read_text()
    (tmp_path / "mine" / "agreement.md").write_text(definitions.replace("segments: [any,", "segments: [any, other,"))
    result = answer("verify", "-", "--agreement", str(tmp_path / "mine"), given=receipt, code=2)
    assert [difference["what"] for difference in result["differences"]] == ["agreement", "receipt"]


def test_a_receipt_of_several_agreements_needs_them_again(tmp_path: Path) -> None:
    assert run("agreement", "new", str(tmp_path / "ours")).returncode == 0
    both = ("--agreement", str(tmp_path / "ours"), "--agreement", str(BUILT_IN))
    done = run("decide", *SERVE, "--as-of", "2026-03-15", *both, "--json")
    assert done.returncode == 2, done.stderr
    assert answer("verify", "-", *both, given=done.stdout, code=0)["same"] is True
    assert answer("verify", "-", given=done.stdout, code=2)["differences"][0]["what"] == "agreement"


@pytest.mark.parametrize(
    "given", ["", "{", "[]", '{"a":' + "[" * 100_000, '{"outcome": "permitted"}', "\x00", '{"error": {}}']
)
def test_what_is_no_receipt_is_refused(given: str) -> None:
    result = answer("verify", "-", given=given, code=3)
    assert result["error"]["problems"][0]["where"] == "-"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("known_at_ns", "yesterday"),
        ("known_at_ns", "9" * 40),
        ("known_at_ns", "-" + "9" * 40),
        ("as_of", "9999-12-31"),
        ("action", "host"),
        ("suppositions", ["rain=2026-01-01"]),
        ("readings", {"R1": "maybe"}),
        ("region", "\x00"),
    ],
)
def test_a_receipt_whose_question_is_none_is_refused(receipt: str, key: str, value: object) -> None:
    recorded = json.loads(receipt)
    recorded["question"][key] = value
    assert answer("verify", "-", given=json.dumps(recorded), code=3)["error"]["problems"]


def test_a_receipt_that_is_not_there_is_refused(tmp_path: Path) -> None:
    (problem,) = answer("verify", str(tmp_path / "none.json"), code=3)["error"]["problems"]
    assert (problem["where"], problem["why"]) == (str(tmp_path / "none.json"), "No such file or directory")
    assert run("verify", str(tmp_path)).returncode == 3


# --- prove -----------------------------------------------------------------------------------------------------------


def test_a_claim_that_holds() -> None:
    result = answer("prove", "--never", "permitted", *SERVE, "--segment", "any", *OLD_DAYS, code=0)
    assert (result["holds"], result["combinations"], result["days"]) == (True, 1, 1190)
    assert result["counterexample"] is None


def test_a_counterexample_is_a_decision_that_can_be_verified() -> None:
    result = answer("prove", "--never", "permitted", *SERVE, *OLD_DAYS, code=2)
    example = result["counterexample"]
    assert (example["question"]["as_of"], example["question"]["segment"]) == ("2025-10-28", "us-national-security")
    assert example["outcome"] == "permitted"
    assert answer("verify", "-", given=json.dumps(example), code=0)["same"] is True


def test_the_whole_domain_is_walked() -> None:
    done = run("prove", "--never", "unstated", "--known-at", "2026-06-01")
    assert done.returncode == 0
    head, _, walked, known = done.stdout.splitlines()
    assert (head, known) == ("HOLDS never unstated", "known at 2026-06-01T23:59:59Z")
    assert re.fullmatch(r"[\d,]{5} combinations from 2023-01-23 on, without end, in \d+ stretches", walked)


def test_under_every_reading_a_counterexample_names_its_readings() -> None:
    runtime = ("--action", "serve", "--party", "openai", "--product", "stateful-runtime", "--cloud", "aws")
    claim = ("prove", "--never", "permitted", *runtime, "--segment", "any", "--until", "2026-02-26")
    assert answer(*claim, code=0)["readings"] == [{"R1": "and", "R3": "a4", "R5": "new", "R6": "listed"}]
    result = answer(*claim, "--every-reading", code=2)
    assert len(result["readings"]) == 16
    assert result["counterexample"]["question"]["readings"]["R3"] == "a3"
    shown = run(*claim, "--every-reading").stdout
    assert "\n  read with R1=and, R3=a3, R5=new, R6=listed\n" in shown
    assert "in 3 stretches, under each of 16 choices of readings\n" in shown


@pytest.mark.parametrize(
    ("arguments", "where"),
    [
        (("prove",), "--never"),
        (("prove", "--never", "permitted", "--always", "permitted"), "--never"),
        (("prove", "--never", "allowed"), "--never"),
        (("prove", "--always", "permitted", "--party", "opnai"), "--party"),
        (("prove", "--always", "permitted", "--from", "2026-02-30"), "--from"),
        (("prove", "--always", "permitted", "--from", "2026-02-03", "--until", "2026-02-02"), "--until"),
        (("prove", "--always", "permitted", "--reading", "R1=maybe"), "--reading R1"),
        (("prove", "--always", "permitted", "--suppose", "rain=2026-01-01"), "--suppose"),
        (("agreement", "check", "--watch"), "--watch"),
        (("agreement", "check", "/nowhere"), "/nowhere"),
    ],
)
def test_what_is_wrong_is_told(arguments: tuple[str, ...], where: str) -> None:
    assert answer(*arguments, code=3)["error"]["problems"][0]["where"] == where


# --- check -----------------------------------------------------------------------------------------------------------

ONLY_OCI = """
## 5.11 All on one cloud

```yaml term
id: A5.only
kind: exclusivity
actions: [serve]
products: [api]
only: {clouds: [oci]}
source: [P]
```
"""


def mine(folder: Path, more: str = "") -> Path:
    shutil.copytree(BUILT_IN, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "A4.md").write_text((BUILT_IN / "A4.md").read_text() + more.replace("A5.", "A4.").replace("5.11", "4.11"))
    return folder


def test_the_built_in_agreement_is_sound() -> None:
    result = answer("agreement", "check", code=0)
    assert (result["sound"], result["counts"]["error"]) == (True, 0)


def test_check_names_a_question_for_each_term() -> None:
    effects = {effect["term"]: effect for effect in answer("agreement", "check", code=0)["effects"]}
    assert (effects["A1.ownership"]["outcome"], effects["A1.ownership"]["without"]) == ("forbidden", "unstated")
    text = run("agreement", "check", "--effects").stdout
    assert "A1.capacity  without it conditional → with it forbidden\n  decide --action contract-compute" in text
    assert "A1.share-microsoft-openai  without it not due → with it due\n  decide --action share-revenue" in text
    assert "A2.api  without it forbidden → with it forbidden, for other reasons\n" in text
    assert "A5.stake  no effect on any answer: a term of kind stake is shown" in text


def test_an_agreement_that_contradicts_itself_is_not(tmp_path: Path) -> None:
    folder = mine(tmp_path / "mine", ONLY_OCI)
    result = answer("agreement", "check", str(folder), code=2)
    first = result["remarks"][0]
    assert (first["severity"], first["kind"], first["document"]) == ("error", "conflict", "A4.md")
    assert "id: A4.only" in (folder / "A4.md").read_text().split("\n")[first["line"] - 1]
    text = run("agreement", "check", str(folder)).stdout
    assert text.startswith(f"error A4.md:{first['line']}  ")
    counts = " · ".join(f"{result['counts'][name]} {name}s" for name in ("error", "warning", "note"))
    assert text.endswith(f": not sound ({counts})\ntext {result['digest']}\n")


def test_watching_checks_again_when_a_file_changes_and_ends_with_zero(tmp_path: Path) -> None:
    folder = mine(tmp_path / "mine")
    watching = subprocess.Popen(
        [CLAUSEWAY, "agreement", "check", str(folder), "--watch"], stdout=subprocess.PIPE, text=True
    )
    assert watching.stdout is not None
    try:
        assert "sound" in _until_counted(watching.stdout)
        (folder / "A4.md").write_text(
            (folder / "A4.md").read_text() + ONLY_OCI.replace("A5.", "A4.").replace("5.11", "4.11")
        )
        assert "not sound" in _until_counted(watching.stdout)
    finally:
        watching.send_signal(signal.SIGINT)
        code = watching.wait(timeout=60)
    assert code == 0


def _until_counted(lines: Any) -> str:
    """The line that sums a check up."""
    return next(str(line) for line in lines if "warning" in line and "·" in line)


@pytest.mark.parametrize("command", ["verify", "prove", "agreement check"])
def test_help_of_each_teaches_by_example(command: str) -> None:
    done = run(*command.split(), "--help")
    assert done.returncode == 0
    assert f"  clauseway {command}" in done.stdout
    assert "--json" in done.stdout

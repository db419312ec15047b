"""The night of the amendment, run as a person runs it, and its statements against arithmetic written out by hand.

The token counts below were summed from the trace's sample without the product: by seller, cloud and model, for the rows
that fall on 26 April (before the amendment), on 27 to 30 April, and on 1 and 2 May. Prices are USD per million tokens.
"""

import json
import re
import shlex
import shutil
import subprocess
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from beancount import loader

import in_process
from in_process import CLAUSEWAY

D = Decimal

# Each line: input tokens × price + output tokens × price, for gpt-5.4, then for gpt-5.5.
MICROSOFT_26_APRIL = (86_798 * D("2.50") + 22_786 * D("15.00") + 102_110 * D("5.00") + 24_271 * D("30.00")) / 10**6
OPENAI_26_APRIL = (125_521 * D("2.50") + 31_392 * D("15.00") + 147_854 * D("5.00") + 30_334 * D("30.00")) / 10**6
OPENAI_AZURE_APRIL = (692_770 * D("2.50") + 115_656 * D("15.00") + 738_809 * D("5.00") + 124_759 * D("30.00")) / 10**6
OPENAI_AWS_APRIL = (599_256 * D("2.75") + 83_852 * D("16.50") + 569_795 * D("5.50") + 84_953 * D("33.00")) / 10**6
OPENAI_AZURE_MAY = (243_272 * D("2.50") + 55_711 * D("15.00") + 230_056 * D("5.00") + 55_411 * D("30.00")) / 10**6
OPENAI_AWS_MAY = (189_139 * D("2.75") + 42_198 * D("16.50") + 193_836 * D("5.50") + 44_828 * D("33.00")) / 10**6

# Twenty percent, in cents. From 27 April Microsoft pays nothing; OpenAI pays on what it sold on either cloud, and a
# month's share is the difference between the rounded cumulative shares at its two ends.
MICROSOFT_OWES_APRIL = D("0.36")  # 20 % of 1.797465 = 0.359493
OPENAI_OWES_APRIL_OLD = D("0.49")  # 20 % of 2.4339725 = 0.4867945
OPENAI_OWES_APRIL_NEW = D("3.97")  # 20 % of 10.90358 + 8.9688335 = 19.8724135 is 3.9744827
OPENAI_OWES_MAY = D("1.61")  # 20 % of 19.8724135 + 4.256455 + 3.76182125 = 27.89068975 is 5.57813795, so 5.58 − 3.97


def run(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = in_process.run(*arguments)
    assert done.returncode == code, (done.returncode, done.stdout[-3000:], done.stderr[-3000:])
    return done


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The whole sample, replayed and settled."""
    home = tmp_path_factory.mktemp("night")
    command = [str(CLAUSEWAY), "up", "--once", "--json", "--home", str(home)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, (done.stdout[-3000:], done.stderr[-3000:])
    result = json.loads(done.stdout)
    assert isinstance(result, dict)
    return result


def test_what_is_printed_can_be_pasted(tmp_path: Path) -> None:
    """Whatever the folder is called, and whatever figure was given."""
    accepted = ("share-openai-microsoft", "share-microsoft-openai", "cap=USD 30 billion")
    figures = [word for figure in accepted for word in ("--assume", figure)]
    command = [str(CLAUSEWAY), "up", "--once", "--limit", "1", "--home", str(tmp_path / "a new home"), *figures]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, (done.stdout[-3000:], done.stderr[-3000:])
    [settle] = re.findall(r"clauseway settle (.*?) \(and 2026-05\)", " ".join(done.stdout.split()))
    assert shlex.split(settle) == ["--period", "2026-04", *figures]
    [statement] = re.findall(r"^   The data is in .*: (clauseway statement .*)$", done.stdout, re.MULTILINE)
    assert "Statement of May 2026" in run(*shlex.split(statement)[1:]).stdout


def test_before_the_amendment_aws_is_refused_and_from_then_on_served(night: dict[str, Any]) -> None:
    # 87 + 90 requests asked for AWS on 26 April; 465 + 463 in the rest of April and 174 + 173 in May.
    assert night["progress"]["refused"] == {"aws": 177}
    assert night["progress"]["served"] == {"aws": 1275, "azure": 3390}
    assert night["progress"]["failed"] == {}


def test_the_shares_above_are_twenty_percent_of_the_bases_above() -> None:
    bases = (
        MICROSOFT_26_APRIL,
        OPENAI_26_APRIL,
        OPENAI_AZURE_APRIL,
        OPENAI_AWS_APRIL,
        OPENAI_AZURE_MAY,
        OPENAI_AWS_MAY,
    )
    assert bases == tuple(map(D, ("1.797465", "2.4339725", "10.90358", "8.9688335", "4.256455", "3.76182125")))


def test_the_statements_equal_the_hand_calculation(night: dict[str, Any]) -> None:
    april, may = (totals(statement) for statement in night["statements"])
    assert april == {
        ("microsoft", "openai"): MICROSOFT_OWES_APRIL,
        ("openai", "microsoft"): OPENAI_OWES_APRIL_OLD + OPENAI_OWES_APRIL_NEW,
    }
    assert may == {("microsoft", "openai"): D("0.00"), ("openai", "microsoft"): OPENAI_OWES_MAY}


def totals(statement: dict[str, Any]) -> dict[tuple[str, str], Decimal]:
    return {(direction["payer"], direction["payee"]): D(direction["total"]) for direction in statement["directions"]}


def test_april_is_cut_by_the_amendment_and_every_line_names_its_clause(night: dict[str, Any]) -> None:
    shares = [share for direction in night["statements"][0]["directions"] for share in direction["shares"]]
    assert [(share["term"], share["days"]["begin"], share["days"]["end"], D(share["amount"])) for share in shares] == [
        ("A1.share-microsoft-openai", "2026-04-01", "2026-04-27", MICROSOFT_OWES_APRIL),
        ("A1.share-openai-microsoft", "2026-04-01", "2026-04-27", OPENAI_OWES_APRIL_OLD),
        ("A5.share-openai-microsoft", "2026-04-27", "2026-05-01", OPENAI_OWES_APRIL_NEW),
    ]
    for share in shares:
        assert sum((D(line["amount"]) for line in share["lines"]), D(0)) == D(share["amount"])
        for line in share["lines"]:
            assert line["citation"]["document"] in ("A1.md", "A5.md")
            assert line["citation"]["line"] > 0
    ended = [
        direction["ended"] for direction in night["statements"][1]["directions"] if direction["payer"] == "microsoft"
    ]
    assert [(end["day"], end["citation"]["amendment"]) for end in ended] == [("2026-04-27", "A5")]


def test_the_cap_is_stated_and_so_is_every_assumption(night: dict[str, Any]) -> None:
    may = night["statements"][1]
    [share] = [share for direction in may["directions"] for share in direction["shares"]]
    cap = share["cap"]
    assert D(cap["cap"]) == D(38_000_000_000)
    assert (D(cap["consumed_before"]), D(cap["consumed"])) == (OPENAI_OWES_APRIL_NEW, OPENAI_OWES_MAY)
    assert [(assumption["name"], assumption["standing"]) for assumption in may["assumptions"]] == [
        ("cap", "reported"),
        ("cap-counts", "ours"),
        ("revenue-owner", "ours"),
        ("share-openai-microsoft", "reported"),
        ("wholesale", "ours"),
    ]


@pytest.fixture
def book(night: dict[str, Any], tmp_path: Path) -> Path:
    """A copy of the night's data to settle anew: no test changes another's book."""
    return Path(shutil.copytree(night["home"], tmp_path / "book", ignore=shutil.ignore_patterns("*.sock")))


def test_without_an_accepted_figure_nothing_is_settled_and_the_figure_is_named(book: Path) -> None:
    names = ("share-openai-microsoft", "share-microsoft-openai", "cap")
    withdrawn = [part for name in names for part in ("--withdraw", name)]
    run("basis", "assume", *withdrawn, "--why", "never agreed", "--home", str(book))
    journal = run("export", "beancount", "--home", str(book)).stdout
    refused = run("settle", "--period", "2026-05", "--home", str(book), code=3)
    assert "share-openai-microsoft is undisclosed" in refused.stderr
    assert "cap is undisclosed" in refused.stderr
    assert "--assume cap" in refused.stderr
    assert "share-microsoft-openai" not in refused.stderr  # not in force in May, so nobody needs it
    assert run("export", "beancount", "--home", str(book)).stdout == journal


def test_a_small_cap_is_crossed_and_never_by_a_cent(book: Path) -> None:
    run("basis", "assume", "cap=5.00", "--why", "a small one", "--home", str(book))
    for period in ("2026-04", "2026-05"):
        settled = json.loads(run("settle", "--period", period, "--home", str(book), "--json").stdout)
    [share] = [share for direction in settled["directions"] for share in direction["shares"]]
    assert D(share["amount"]) == D("1.03")  # 5.00 less the 3.97 of April; without a cap it were 1.61
    assert D(share["cap"]["remaining"]) == 0
    assert share["cap"]["reached"]["day"] in ("2026-05-01", "2026-05-02")
    assert share["cap"]["reached"]["request_id"].startswith("req_")


def test_settling_again_on_the_same_usage_posts_nothing(book: Path) -> None:
    before = run("export", "beancount", "--home", str(book)).stdout
    accept = ("--assume", "share-openai-microsoft", "--assume", "cap")
    run("settle", "--period", "2026-05", *accept, "--home", str(book))
    assert run("export", "beancount", "--home", str(book)).stdout == before


def test_the_journal_balances_before_an_outside_judge(book: Path, tmp_path: Path) -> None:
    journal = tmp_path / "journal.beancount"
    journal.write_text(run("export", "beancount", "--home", str(book)).stdout)
    entries, errors, _ = loader.load_file(str(journal))
    assert not errors
    transactions = [entry for entry in entries if hasattr(entry, "postings")]
    assert len(transactions) == 2 + 2 + 4 + 4  # lines of the statements: April old ×2, April new, May


def test_a_party_reads_its_own_statement(book: Path) -> None:
    result = json.loads(
        run("statement", "--period", "2026-04", "--party", "microsoft", "--home", str(book), "--json").stdout
    )
    assert result["party"] == "microsoft"
    assert len(result["directions"]) == 2
    stranger = run("statement", "--period", "2026-04", "--party", "oracle", "--home", str(book), code=3)
    assert "oracle has no line in 2026-04" in stranger.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("settle", "--period", "2026-13"), "is not a month"),
        (("settle", "--period", "2026-05", "--assume", "capp"), "unknown assumption"),
        (("settle", "--period", "2026-05", "--assume", "cap=lots"), "cannot be read"),
        (("statement", "--period", "2027-01"), "is not settled"),
        (("statement", "--period", "2026-05", "--party", "nobody"), "unknown name"),
    ],
)
def test_bad_input_is_refused_in_words(book: Path, arguments: tuple[str, ...], says: str) -> None:
    refused = run(*arguments, "--home", str(book), code=3)
    assert says in refused.stderr
    assert "Traceback" not in refused.stderr

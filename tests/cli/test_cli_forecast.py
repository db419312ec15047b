"""`forecast` as a person calls it: table, picture, JSON, and what it refuses."""

import shutil
from decimal import Decimal as D
from pathlib import Path
from xml.etree import ElementTree

import pytest

from clauseway.app.opening.home import Home
from clauseway.app.opening.library import documents_of
from in_process import answer, run
from metered_months import ACCEPTED, assumed, metered_home


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """April and May 2026, settled."""
    home = metered_home(tmp_path_factory.mktemp("months"))
    for period in ("2026-04", "2026-05"):
        flags = ["--home", str(home.root), *assumed()]
        assert run("settle", "--period", period, *flags).returncode == 0
    return home


def test_what_is_due_each_year_and_when_the_cap_is_reached(home: Home, tmp_path: Path) -> None:
    flags = ["--home", str(home.root), "--growth", "0%", "--assume", "share-openai-microsoft", "--assume", "cap=500"]
    svg, png = tmp_path / "ahead.svg", tmp_path / "ahead.png"
    result = run("forecast", *flags, "--svg", str(svg), "--png", str(png))
    assert (result.returncode, result.stderr) == (0, "")
    said = " ".join(result.stdout.split())
    # Settled: 20 % of 100 in April from the 27th on, and of 344 in May. Then 68.80 a month.
    given = "cap = 500, given (USD 38,000,000,000 was reported)"
    for words in ("Settled so far: 88.80", given, "share OpenAI Microsoft = 20 % (reported)"):
        assert words in said, result.stdout
    assert "cap 500.00" in ElementTree.fromstring(svg.read_text()).find(".//*[@class='cap-label']").text  # type: ignore[operator,union-attr]
    assert png.read_bytes().startswith(b"\x89PNG")
    [outlook] = answer("forecast", *flags)["forecast"]["outlooks"]
    # 411.20 are left: five months of 68.80 are 344.00, and 67.20 of November's 68.80.
    assert outlook["reached"]["likely"] == "2026-11-30"
    assert [(year["year"], D(year["due"]["mid"])) for year in outlook["years"]] == [
        (2026, D("500.00")),
        *((year, D(0)) for year in (2027, 2028, 2029, 2030)),
    ]
    # 88.80 + 7 × 68.80 = 570.40, and twelve times 68.80 a year from then on.
    assert [D(year["saved"]["mid"]) for year in outlook["years"]] == [D("70.40"), *[D("825.60")] * 4]


def test_figures_of_the_latest_settlement_hold_where_none_is_named(home: Home) -> None:
    result = answer("forecast", "--home", str(home.root), "--growth", "1%..2%", "--until", "2027")
    assert {assumption["name"] for assumption in result["forecast"]["assumptions"] if assumption["accepted"]} == set(
        ACCEPTED
    ) - {"share-microsoft-openai"}
    assert [year["year"] for year in result["forecast"]["outlooks"][0]["years"]] == [2026, 2027]


def test_the_agreement_that_the_home_holds_is_looked_ahead_of(home: Home, tmp_path: Path) -> None:
    ours, copy = tmp_path / "ours", tmp_path / "copy"
    ours.mkdir()
    for name, text in documents_of(None).items():
        (ours / name).write_text(text.replace("through: 2030-12-31", "through: 2029-06-10"))
    shutil.copytree(home.root, copy)
    assert run("basis", "agreement", str(ours), "--why", "as signed", "--home", str(copy)).returncode == 0
    [outlook] = answer("forecast", "--home", str(copy), "--growth", "0%")["forecast"]["outlooks"]
    assert (outlook["end"], outlook["months"][-1]["end"]) == ("2029-06-11", "2029-06-11")
    # A flag looks ahead under another agreement.
    [outlook] = answer("forecast", "--home", str(copy), "--growth", "0%", "--agreement", "openai-microsoft")[
        "forecast"
    ]["outlooks"]
    assert outlook["end"] == "2031-01-01"


# growth, cap → what the text says of them; each year: settled, due (middle, low, high), saved
SHOWN = [
    # 88.80 were settled, 20.00 of them in April.
    (
        "0%",
        "50",
        "Cap 50.00 (cap): already exceeded by 38.80, since the statement of May 2026.",
        "2027 0.00 0.00 0.00 0.00 825.60",
    ),
    ("0%", "15", "exceeded by 73.80, since the statement of April 2026.", "2027 0.00 0.00 0.00 0.00 825.60"),
    ("0%", "88.80", "Cap 88.80 (cap), 0.00 remaining: reached on 31 May 2026.", "2027 0.00 0.00 0.00 0.00 825.60"),
    (
        "2%..8%",
        "500",
        "likely 4 November 2026, at the earliest 24 October 2026, at the latest 18 November 2026.",
        "2027 0.00 0.00 0.00 0.00 1,617.96 (1,081 to 2,417)",
    ),
    (
        "2%..8%",
        "9000000",
        "not reached by the end of the forecast.",
        "2027 0.00 1,617.96 1,081.15 2,416.62 0.00",
    ),
]


@pytest.mark.parametrize(("growth", "cap", "reached", "year"), SHOWN)
def test_people_read_when_the_cap_is_reached(home: Home, growth: str, cap: str, reached: str, year: str) -> None:
    figures = ("--assume", "share-openai-microsoft", "--assume", f"cap={cap}")
    said = " ".join(run("forecast", "--home", str(home.root), "--growth", growth, *figures).stdout.split())
    assert reached in said
    assert year in said
    assert "of the paths" not in said, "an assumed growth draws none"


REFUSED = [
    ([], "too little history"),
    (["--growth", "5"], "--growth"),
    (["--growth", "8%..2%"], "--growth"),
    (["--growth", "5000%"], "--growth"),
    (["--growth", "5%", "--until", "3000"], "--until"),
    (["--growth", "5%", "--until", "2025"], "2025 cannot be the last year: months are settled through 2026-05"),
    (["--growth", "5%", "--assume", "cap=much"], "--assume"),
    (["--growth", "5%", "--svg", "/no/such/folder/a.svg"], "/no/such/folder/a.svg"),
]


@pytest.mark.parametrize(("more", "words"), REFUSED)
def test_what_is_given_wrongly_is_refused(home: Home, more: list[str], words: str) -> None:
    result = run("forecast", "--home", str(home.root), *more)
    assert result.returncode == 3
    assert words in result.stderr


def test_without_a_settled_month_there_is_nothing_to_go_on_from(tmp_path: Path) -> None:
    recorded = ("milestone", "--effective", "2030-01-01", "--source", "a letter")
    assert run("fact", "record", *recorded, "--home", str(tmp_path / "empty")).returncode == 0
    result = run("forecast", "--home", str(tmp_path / "empty"), "--growth", "5%")
    assert result.returncode == 3
    assert "nothing is settled" in result.stderr

"""Commitments: what counts, what is left, where the pace leads; and the command over a home with metered spend."""

import json
from contextlib import closing
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import select

from clauseway.app.opening.configuration import CommitmentWritten
from clauseway.app.opening.home import Home
from clauseway.app.opening.several import open_agreements
from clauseway.app.running.commitments import BurnDown, burn_down, counts
from clauseway.app.running.serving import ServeOptions, present_plan
from clauseway.cli import run
from clauseway.ledger import RevenueLine
from clauseway.storage import Control
from clauseway.storage.books.kept_sums import KeptSum, keep_sums
from clauseway.storage.control import schema
from deployments import deployment

MACC = CommitmentWritten(
    name="macc", kind="macc", amount=Decimal(1000), begin=date(2026, 5, 1), end=date(2026, 8, 1), clouds=("azure",)
)


def line(day: str, amount: str, cloud: str = "azure", seller: str = "microsoft", product: str = "p") -> RevenueLine:
    return RevenueLine(
        event_day=date.fromisoformat(day), seller=seller, cloud=cloud, product=product, amount=Decimal(amount)
    )


def daily(begin: str, days: int, amount: str) -> list[RevenueLine]:
    first = date.fromisoformat(begin)
    return [line(str(first + timedelta(days=day)), amount) for day in range(days)]


COUNTING = [
    (line("2026-05-01", "1"), True),
    (line("2026-04-30", "1"), False),
    (line("2026-07-31", "1"), True),
    (line("2026-08-01", "1"), False),  # `until` is excluded
    (line("2026-05-01", "1", cloud="aws"), False),
    (line("2026-05-01", "1", seller="openai"), True),  # any seller counts
]


@pytest.mark.parametrize(("charged", "does"), COUNTING)
def test_what_counts(charged: RevenueLine, does: bool) -> None:
    assert counts(MACC, charged) is does


# spend until the end of the day → what is told
TOLD: list[tuple[list[RevenueLine], str, dict[str, object]]] = [
    # 10 days at 30 a day: 300 of 1,000; the 700 left take 24 more days (23.3), until 3 June.
    (
        daily("2026-05-01", 10, "30"),
        "2026-05-10",
        {
            "spent": Decimal(300),
            "left": Decimal(700),
            "a_day": Decimal("30.00"),
            "days_left": 82,
            "reaches": date(2026, 6, 3),
            "lapses": Decimal("0.00"),
            "outlook": "on course",
        },
    ),
    # 10 days at 5 a day: 50; 82 more days bring 410; 540 would lapse.
    (
        daily("2026-05-01", 10, "5"),
        "2026-05-10",
        {"spent": Decimal(50), "reaches": None, "lapses": Decimal("540.00"), "outlook": "short"},
    ),
    # The pace is that of four weeks: 20 a day in May, nothing since.
    (
        daily("2026-05-01", 10, "20"),
        "2026-06-30",
        {"spent": Decimal(200), "a_day": Decimal("0.00"), "reaches": None, "outlook": "short"},
    ),
    (daily("2026-05-01", 10, "100"), "2026-05-10", {"left": Decimal(0), "outlook": "met", "reaches": None}),
    ([], "2026-04-30", {"outlook": "not begun", "days_left": 92, "spent": Decimal(0)}),
    (daily("2026-05-01", 10, "30"), "2026-07-31", {"outlook": "lapsed", "left": Decimal(700), "days_left": 0}),
    # Usage after the day is not known on it.
    (daily("2026-05-01", 20, "30"), "2026-05-10", {"spent": Decimal(300)}),
]


@pytest.mark.parametrize(("lines", "day", "expected"), TOLD)
def test_a_burn_down(lines: list[RevenueLine], day: str, expected: dict[str, object]) -> None:
    burn: BurnDown = burn_down(MACC, lines, date.fromisoformat(day))
    assert {name: getattr(burn, name) for name in expected} == expected


COMMITMENT = """
[[commitment]]
name = "macc"
kind = "macc"
amount = 1000
from = 2026-01-01
until = 2027-01-01
"""


def test_the_command_tells_of_a_home(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "clauseway.toml").write_text(deployment())
    assert run(["gateway", "commitments", "--home", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "No [[commitment]] is configured.\n"
    with (tmp_path / "clauseway.toml").open("a") as file:
        file.write(COMMITMENT)
    assert run(["gateway", "commitments", "--home", str(tmp_path), "--as-of", "2026-05-31", "--json"]) == 0
    (commitment,) = json.loads(capsys.readouterr().out)["commitments"]
    assert (commitment["name"], commitment["spent"], commitment["days_left"], commitment["outlook"]) == (
        "macc",
        "0",
        214,
        "short",
    )
    assert run(["gateway", "commitments", "--home", str(tmp_path), "--as-of", "2026-05-31"]) == 0
    headings, row, below = capsys.readouterr().out.splitlines()
    assert headings.split() == ["commitment", "until", "amount", "spent", "left", "days", "a", "day", "outlook"]
    said = "macc 2027-01-01 1,000.00 0.00 1,000.00 214 0.00 1,000.00 would lapse at this pace"
    assert " ".join(row.split()) == said
    assert below == "USD; `until` is excluded, the pace is that of the last four weeks."


BILL = """\
ChargeCategory,ChargePeriodStart,ChargePeriodEnd,ConsumedQuantity,ConsumedUnit,ProviderName,InvoiceIssuerName,\
SubAccountName,RegionId,SkuMeter,BilledCost
Usage,2026-05-01T00:00:00Z,2026-05-02T00:00:00Z,2,1M Tokens,Microsoft,Microsoft,acme,eastus2,gpt 5.4 Inp glbl,5
Usage,2026-01-05T00:00:00Z,2026-01-06T00:00:00Z,9,1M Tokens,Microsoft,Microsoft,acme,eastus2,gpt 5.4 Inp glbl,9
"""


def test_usage_without_a_price_is_told_and_stops_no_gateway(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In January nothing was known of a price for gpt-5.4. A plan counts what has one."""
    (tmp_path / "bill.csv").write_text(BILL)
    home = Home(tmp_path / "home").make()
    home.configuration.write_text(deployment() + COMMITMENT)
    assert run(["usage", "import", str(tmp_path / "bill.csv"), "--home", str(home.root)]) == 0
    capsys.readouterr()
    assert run(["gateway", "commitments", "--home", str(home.root)]) == 3
    assert "usage has no price: no price for input_tokens of gpt-5.4" in " ".join(capsys.readouterr().err.split())
    plan = present_plan(ServeOptions(home=home, opened=open_agreements([]), configuration=home.configuration))
    assert [commitment.left for commitment in plan.commitments] == [(1000 - 5) * 10**12]


def test_a_plan_sums_the_days_that_changed(tmp_path: Path) -> None:
    """Sums kept of a day are used until usage of the day comes."""
    (tmp_path / "bill.csv").write_text(BILL)
    home = Home(tmp_path / "home").make()
    home.configuration.write_text(deployment() + COMMITMENT)
    serving = ServeOptions(home=home, opened=open_agreements([]), configuration=home.configuration)

    def left() -> int:
        (commitment,) = present_plan(serving).commitments
        return commitment.left

    assert run(["usage", "import", str(tmp_path / "bill.csv"), "--home", str(home.root)]) == 0
    assert left() == (1000 - 5) * 10**12
    with closing(Control.open(home.control)) as control:
        with control.reading() as connection:
            kept = schema.kept_sums
            row = connection.execute(select(kept).where(kept.c.place == "known charges of 2026-05-01")).one()
        keep_sums(control, [KeptSum(row.place, row.name, row.body.replace('"amount":"5', '"amount":"7'))])
    assert left() == (1000 - 7) * 10**12
    (tmp_path / "more.csv").write_text(BILL.replace(",2,1M", ",4,1M").replace("acme", "beta"))
    assert run(["usage", "import", str(tmp_path / "more.csv"), "--home", str(home.root)]) == 0
    assert left() == (1000 - 5 - 10) * 10**12

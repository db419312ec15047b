"""`reconcile` as a person calls it: what it prints, and what it exits with."""

import csv
from decimal import Decimal as D
from pathlib import Path

import pytest

from clauseway.app.opening.home import Home
from in_process import answer, run
from metered_months import assumed, metered_home


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """April and May, settled: only of a settled month is there a bill."""
    home = metered_home(tmp_path_factory.mktemp("months"))
    for period in ("2026-04", "2026-05"):
        assert run("settle", "--period", period, *assumed(), home=home.root).returncode == 0
    return home


@pytest.fixture(scope="module")
def bill(home: Home) -> Path:
    path = home.root / "may.csv"
    flags = ["--home", str(home.root), "--out", str(path)]
    assert run("export", "focus", "--period", "2026-05", *flags).returncode == 0
    return path


def flags(home: Home, bill: Path) -> list[str]:
    return ["--bill", str(bill), "--home", str(home.root)]


@pytest.mark.parametrize(("version", "ending"), [("1.2", "csv"), ("1.4", "csv"), ("1.4", "parquet")])
def test_the_bill_we_export_is_matched_by_the_meter_it_came_from(
    home: Home, tmp_path: Path, version: str, ending: str
) -> None:
    bill = tmp_path / f"may.{ending}"
    written = ("--focus-version", version, "--period", "2026-05", "--out", str(bill))
    assert run("export", "focus", *written, home=home.root).returncode == 0
    result = run("usage", "reconcile", *flags(home, bill))
    assert (result.returncode, result.stderr) == (0, "")
    assert "Everything is matched." in result.stdout
    outcome = answer("usage", "reconcile", *flags(home, bill))
    # 5 to 7 May: 200 + 144 + 100.
    assert (D(outcome["found"]["metered"]), D(outcome["found"]["billed"])) == (D(444), D(444))


def test_a_difference_is_told_with_its_row_and_request_and_exits_with_two(home: Home, bill: Path) -> None:
    changed = bill.with_name("changed.csv")
    lines = bill.read_text().splitlines()
    changed.write_text("\n".join([*lines, lines[-1], ""]))
    result = run("usage", "reconcile", *flags(home, changed))
    assert result.returncode == 2
    said = " ".join(result.stdout.split())
    for words in (
        "quantity differs",
        "duplicate: row 9 repeats row 8",
        "likely duplicate",
        "requests req_",
        "At stake:",
    ):
        assert words in said, result.stdout
    assert answer("usage", "reconcile", *flags(home, changed), code=2)["found"]["by_cause"].keys() == {"duplicate"}


def written(bill: Path, name: str, rows: list[dict[str, str]]) -> Path:
    path = bill.with_name(name)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_people_read_of_days_and_currencies_that_are_missing(home: Home, bill: Path) -> None:
    rows = list(csv.DictReader(bill.open()))
    gone = written(bill, "gone.csv", [row for row in rows if not row["ChargePeriodStart"].startswith("2026-05-05")])
    yen = written(bill, "yen.csv", [rows[0] | {"BillingCurrency": "JPY"}, *rows[1:]])
    for changed, words in (
        (gone, "2026-05-05 azure: the whole day is missing on the bill, -200.00 2 items At stake: 200.00 USD."),
        (yen, "30.0 JPY have no rate and are in no amount."),
    ):
        done = run("usage", "reconcile", *flags(home, changed), "--tolerance", "0.01", "--quantity-tolerance", "5")
        said = " ".join(done.stdout.split())
        assert (done.returncode, words in said) == (2, True), said
        assert "equal up to 0.01 USD and 5 units an item; prices as known at 20" in said


# The flags · where the mistake is, and what is said of it.
WRONG = [
    (["--tolerance", "little"], "--tolerance", "'little' is not a tolerance"),
    (["--rate", "euro=1"], "--rate", "'euro=1' is not a rate"),
    (["--cost", "Cost"], "--cost", "unknown column 'Cost': FOCUS has no such cost"),
    (["--period", "May"], "--period", "May"),
    (["--cloud", "azre"], "--cloud", "Did you mean 'azure'?"),
    (["--seller", "opnai"], "--seller", "Did you mean 'openai'?"),
    (["--billed-as", "eastus2"], "--billed-as", "'eastus2' is not a name and a value"),
    (["--billed-as", "eastus3=global"], "--billed-as", "Did you mean 'eastus2'?"),
]


@pytest.mark.parametrize(("more", "where", "words"), WRONG)
def test_what_is_given_wrongly_is_refused(home: Home, bill: Path, more: list[str], where: str, words: str) -> None:
    result = run("usage", "reconcile", *flags(home, bill), *more)
    assert result.returncode == 3
    assert f"\n  {where}: " in result.stderr
    assert words in " ".join(result.stderr.split())


def test_a_bill_that_is_not_there_is_refused(home: Home) -> None:
    result = run("usage", "reconcile", *flags(home, Path("none.csv")))
    assert (result.returncode, "none.csv" in result.stderr) == (3, True)


def test_what_lies_beside_usage_is_told_as_the_table_shows_it(home: Home, bill: Path) -> None:
    """7.005 and −3.335 are 3.67 together, so they are shown as 7.00 and −3.33."""
    rows = list(csv.DictReader(bill.open()))
    rows.append(rows[0] | {"ChargeCategory": "Tax", "ContractedCost": "7.005"})
    rows.append(rows[0] | {"ChargeCategory": "Credit", "ContractedCost": "-3.335"})
    changed = written(bill, "beside.csv", rows)
    result = run("usage", "reconcile", *flags(home, changed))
    said = " ".join(result.stdout.split())
    assert result.returncode == 2
    assert "All usage that was compared is matched. Beside it on the bill: taxes 7.00, credits -3.33 USD." in said
    assert "taxes 1 – – 7.00 credits 1 – – -3.33" in said
    assert "in all 0.00 444.00 447.67" in said


def test_another_quantity_for_the_same_amount_is_not_told_as_matched(home: Home, bill: Path) -> None:
    first, *others = csv.DictReader(bill.open())
    changed = written(bill, "quantity.csv", [first | {"ConsumedQuantity": "7"}, *others])
    result = run("usage", "reconcile", *flags(home, changed))
    said = " ".join(result.stdout.split())
    assert (result.returncode, "quantity differs 1 0.00 30.00 30.00" in said) == (2, True)
    assert said.endswith("At stake: 0.00 USD."), said


def test_of_many_rows_that_cannot_be_read_the_rest_is_counted(home: Home, bill: Path) -> None:
    rows = list(csv.DictReader(bill.open()))
    changed = written(bill, "unread.csv", rows + [rows[0] | {"ConsumedQuantity": "many"}] * 42)
    said = run("usage", "reconcile", *flags(home, changed)).stdout
    assert said.count("The row was left out.") == 40
    assert "\n  … and 2 more: --json has all of them.\n" in said

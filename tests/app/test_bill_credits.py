"""Credits on a bill in FOCUS: rows below zero, so that the bill sums to the base of the month's statement."""

import csv
import io
from decimal import Decimal as D
from pathlib import Path

import pytest

from clauseway.exchange.focus.focus_columns import VERSIONS
from in_process import answer, run
from metered_months import assumed, metered_home

ON_AWS = "req_00000000000000070000000000000006"
FIRST_OF_MAY = "req_00000000000000070000000000000005"
DAY = ("--sold-on", "2026-05-07", "--seller", "microsoft", "--cloud", "azure", "--product", "gpt-5.4")

# Of May's 200.00, 144.00 and 100.00: a part of a request by a credit, a part of another by a dispute that was upheld,
# and a part of a day's sales. A dispute that is open, and one that was rejected, take nothing back.
TAKEN_BACK = (
    ("credit", "--id", "n1", "--request", ON_AWS, "--amount", "44.00", "--reason", '=an "outage"'),
    ("dispute", "open", "--id", "d1", "--request", FIRST_OF_MAY, "--amount", "50.00"),
    ("dispute", "resolve", "d1", "--id", "a1", "--upheld"),
    ("dispute", "open", "--id", "d2", "--request", FIRST_OF_MAY, "--amount", "10.00"),
    ("dispute", "resolve", "d2", "--id", "a2", "--rejected"),
    ("credit", "--id", "n2", *DAY, "--amount", "25.00"),
)
# voucher, account, its type, project, seller, day, cost
CREDITS = [
    ("d1", "Contoso", "Organisation", "search", "openai", "2026-05-05", "-50.0"),
    ("n1", "Contoso", "Organisation", "search", "openai", "2026-05-06", "-44.0"),
    ("n2", "microsoft", "Seller", "", "microsoft", "2026-05-07", "-25.0"),
]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_bill_with_its_credits_sums_to_the_base_of_the_statement(tmp_path: Path, version: str) -> None:
    home = metered_home(tmp_path / "home").root
    answer("settle", "--period", "2026-04", *assumed(), home=home)
    for voucher in TAKEN_BACK:
        assert run("books", *voucher, home=home).returncode == 0
    lines = answer("settle", "--period", "2026-05", *assumed(), home=home)["lines"]
    bill = run("export", "focus", "--period", "2026-05", "--focus-version", version, home=home).stdout
    rows = list(csv.DictReader(io.StringIO(bill)))
    credits_ = [row for row in rows if row["ChargeCategory"] == "Credit"]
    assert [
        (
            row["ChargeDescription"].partition(":")[0],
            row["BillingAccountId"],
            row["BillingAccountType"],
            row["SubAccountId"],
            row["InvoiceIssuerName"],
            row["ChargePeriodStart"][:10],
            row["BilledCost"],
        )
        for row in credits_
    ] == CREDITS
    # Only what openai sells is in May's base.
    billed = sum(D(row["BilledCost"]) for row in rows if row["InvoiceIssuerName"] == "openai")
    assert billed == sum(D(line["base"]) for line in lines) == 200 + 144 - 50 - 44


def test_a_bill_of_what_was_known_before_has_no_credit_that_came_later(tmp_path: Path) -> None:
    home = metered_home(tmp_path / "home").root
    answer("settle", "--period", "2026-05", *assumed(), home=home)
    assert run("books", *TAKEN_BACK[0], home=home).returncode == 0
    before = run("export", "focus", "--period", "2026-05", "--known-at", "2026-06-01", home=home).stdout
    assert ",Credit," not in before
    assert ",Credit," in run("export", "focus", "--period", "2026-05", home=home).stdout


def test_what_others_credit_on_ones_clouds_is_billed_at_zero(tmp_path: Path) -> None:
    home = metered_home(tmp_path / "home").root
    answer("settle", "--period", "2026-05", *assumed(), home=home)
    assert run("books", *TAKEN_BACK[1], home=home).returncode == 0
    assert run("books", *TAKEN_BACK[2], home=home).returncode == 0
    bill = run("export", "focus", "--period", "2026-05", "--party", "microsoft", home=home).stdout
    [row] = [row for row in csv.DictReader(io.StringIO(bill)) if row["ChargeCategory"] == "Credit"]
    assert (row["BilledCost"], row["EffectiveCost"], row["ProviderName"]) == ("0.0", "-50.0", "microsoft")

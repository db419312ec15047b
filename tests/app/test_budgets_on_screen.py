"""Budgets and keys on the engineer's screen: whose they are, in words, and those that matter first where there are
many."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from clauseway.app.customers.allowances import GivenScope, set_budget
from clauseway.app.customers.keys import create_key
from clauseway.app.opening.home import Home
from clauseway.app.opening.library import OpenAgreement, open_agreement
from clauseway.app.reports.spend import Spend
from clauseway.app.screens.engineer_page import engineer_page
from clauseway.app.screens.request_rate import RequestRate
from clauseway.web.engineer import EngineerContext

# organisation, project · product, cloud → as commands take it, as the screen says it
WHOSE = [
    ("acme", "", "", "", "organisation acme", "organisation acme"),
    ("acme", "search", "", "", "project acme/search", "project search of acme"),
    ("acme", "risk desk", "", "", "project acme/risk desk", "project risk desk of acme"),
    ("acme", "eu/search", "", "", "project acme/eu/search", "project eu/search of acme"),
    (
        "acme",
        "risk desk",
        "gpt-5.5",
        "azure",
        "project acme/risk desk for gpt-5.5 on azure",
        "project risk desk of acme for gpt-5.5 on Azure",
    ),
]


def screen(home: Home, opened: OpenAgreement) -> EngineerContext:
    return engineer_page(
        home,
        opened,
        None,
        RequestRate(),
        spent_today=Spend(Decimal(0), unpriced=0),
        down="no gateway",
        gateway_url="http://127.0.0.1/v1",
        snippets=(),
        alerts=(),
    )


@pytest.mark.parametrize(("organisation", "project", "product", "cloud", "as_commands", "on_screen"), WHOSE)
def test_whose_a_budget_is(
    tmp_path: Path, organisation: str, project: str, product: str, cloud: str, as_commands: str, on_screen: str
) -> None:
    home, opened = Home(tmp_path), open_agreement()
    create_key(home, opened.catalog, organisation=organisation, project=project or "p", seller="openai", segment="any")
    scope = GivenScope(organisation=organisation, project=project, product=product, cloud=cloud)
    assert set_budget(home, opened.catalog, scope, "10", "month").whose == as_commands
    page = screen(home, opened)
    [budget] = page.budgets
    assert budget.whose == on_screen


def test_of_many_customers_the_fullest_budgets_and_the_next_keys_are_shown(tmp_path: Path) -> None:
    """The screen is fetched anew every two seconds: it does not grow with the customers."""
    home, opened = Home(tmp_path), open_agreement()
    today = datetime.now(UTC).date()
    for number in range(25):
        name, expires = f"customer {number}", today + timedelta(days=10 + number)
        whose = {"organisation": name, "project": "p", "seller": "openai", "segment": "any"}
        create_key(home, opened.catalog, **whose, expires=expires)
        set_budget(home, opened.catalog, GivenScope(organisation=name), "10" if number < 24 else "0", "month")
    page = screen(home, opened)
    assert [page.budgets[0].whose, page.budgets[1].whose] == ["organisation customer 24", "organisation customer 0"]
    assert (len(page.budgets), page.budgets_further) == (20, 5)
    assert [key.whose for key in page.keys] == [f"customer {number}, project p" for number in range(20)]
    assert page.keys_further == 5

"""Budgets on the engineer's screen: whose they are, in words."""

from decimal import Decimal
from pathlib import Path

import pytest

from clauseway.app.customers.allowances import GivenScope, set_budget
from clauseway.app.customers.keys import create_key
from clauseway.app.opening.home import Home
from clauseway.app.opening.library import open_agreement
from clauseway.app.reports.spend import Spend
from clauseway.app.screens.engineer_page import engineer_page
from clauseway.app.screens.request_rate import RequestRate

# organisation, project · product, cloud → as commands take it, as the screen says it
WHOSE = [
    ("acme", "", "", "", "organisation acme", "organisation acme"),
    ("acme", "search", "", "", "project acme/search", "project search of acme"),
    ("acme", "risk desk", "", "", "project acme/risk desk", "project risk desk of acme"),
    ("acme/eu", "search", "", "", "project acme/eu/search", "project search of acme/eu"),
    (
        "acme",
        "risk desk",
        "gpt-5.5",
        "azure",
        "project acme/risk desk for gpt-5.5 on azure",
        "project risk desk of acme for gpt-5.5 on Azure",
    ),
]


@pytest.mark.parametrize(("organisation", "project", "product", "cloud", "as_commands", "on_screen"), WHOSE)
def test_whose_a_budget_is(
    tmp_path: Path, organisation: str, project: str, product: str, cloud: str, as_commands: str, on_screen: str
) -> None:
    home, opened = Home(tmp_path), open_agreement()
    create_key(home, opened.catalog, organisation=organisation, project=project or "p", seller="openai", segment="any")
    scope = GivenScope(organisation=organisation, project=project, product=product, cloud=cloud)
    assert set_budget(home, opened.catalog, scope, "10", "month").whose == as_commands
    page = engineer_page(
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
    [budget] = page.budgets
    assert budget.whose == on_screen

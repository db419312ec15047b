"""The engineer's screen: budgets and keys, whose they are, in words, and those that matter first where there are many;
requests that earlier gateways did not serve."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from clauseway.app.customers.allowances import GivenScope, ListedBudget, set_budget
from clauseway.app.customers.keys import create_key
from clauseway.app.opening.home import Home
from clauseway.app.opening.library import OpenAgreement, open_agreement
from clauseway.app.reports.spend import Spend
from clauseway.app.screens import engineer_page as engineers
from clauseway.app.screens.engineer_page import engineer_page
from clauseway.app.screens.gateway_glances import Glance
from clauseway.app.screens.request_rate import RequestRate
from clauseway.storage.customers.tenants import LimitScope
from clauseway.web.engineer import EngineerContext
from clauseway.wording.names import Wording

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
        name, expires = f"customer {number}", today + timedelta(days=40 - number)
        whose = {"organisation": name, "project": "p", "seller": "openai", "segment": "any"}
        create_key(home, opened.catalog, **whose, expires=expires)
        set_budget(home, opened.catalog, GivenScope(organisation=name), "10" if number < 24 else "0", "month")
    page = screen(home, opened)
    assert [page.budgets[0].whose, page.budgets[1].whose] == ["organisation customer 24", "organisation customer 0"]
    assert (len(page.budgets), page.budgets_further) == (20, 5)
    assert [key.whose for key in page.keys] == [f"customer {number}, project p" for number in range(24, 4, -1)]
    assert [key.is_soon for key in page.keys] == [number >= 10 for number in range(24, 4, -1)], "within 30 days"
    assert page.keys_further == 5


# In USD: a budget, what is spent of it and what gateways hold beyond → what is left, percent spent, percent held
LEFT = [
    ("100", "30", "50", "20.00 left", 30, 50),
    ("100", "30", "70", "0.00 left", 30, 70),
    ("100", "80", "30", "10.00 too much", 80, 20),
    ("0", "0", "0", "0.00 left", 100, 0),
]


@pytest.mark.parametrize(("amount", "spent", "leased", "left", "percent", "held"), LEFT)
def test_what_is_left_of_a_budget(amount: str, spent: str, leased: str, left: str, percent: int, held: int) -> None:
    budget = ListedBudget(
        id="bud_1",
        whose="organisation acme",
        scope=LimitScope(organisation="acme", project="", key_id="", cloud="", product=""),
        period="month",
        begin="",
        end="",
        amount=Decimal(amount),
        spent=Decimal(spent),
        leased=Decimal(leased),
        left=Decimal(amount) - Decimal(spent) - Decimal(leased),
        currency="USD",
    )
    shown = engineers._budget(Wording.of([open_agreement()]), budget)
    assert (shown.left, shown.percent, shown.held_percent) == (left, percent, held)


def test_an_error_is_what_a_server_answers_from_500_on() -> None:
    glance = Glance(statuses={"200": 6, "404": 1, "499": 1, "500": 1, "503": 1})
    tiles = engineers._strip(glance, RequestRate(), Spend(Decimal(0), unpriced=0), [])
    assert [(tile.value, tile.note) for tile in tiles if tile.label == "errors"] == [("20.00%", "2 of 10")]


@pytest.mark.parametrize(("is_long", "ids"), [(False, "r4 r3 r2 r1"), (True, "r4 r3 r2")])
def test_of_a_file_of_refusals_whole_lines_are_read_and_each_request_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_long: bool, ids: str
) -> None:
    """A gateway died in the middle of the last line; of a long file the end is read, from the middle of a line on."""
    home, views = Home(tmp_path).make(), [{"id": f"r{number}", "event_ns": str(number)} for number in range(1, 5)]
    home.logs.mkdir(exist_ok=True)
    lines = [json.dumps(view) for view in views]
    (home.logs / "gateway-refused.jsonl").write_text("\n".join([*lines, lines[0][:9]]))
    if is_long:
        monkeypatch.setattr(engineers, "_TAIL_BYTES", len("\n".join([*lines[1:], lines[0][:9]])) + 5)
    kept = engineers._not_served(home, Glance(not_served=(views[3],)))
    assert " ".join(view["id"] for view in kept) == ids

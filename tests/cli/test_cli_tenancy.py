"""`organisation`, `project`, `key`, `limit` and `budget` from the command line."""

import io
import json
import re
import sys
from datetime import datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from clauseway.app.customers.allowances import ListedBudget
from clauseway.app.customers.tenants import ensure_tenant
from clauseway.app.opening.home import home_at
from clauseway.app.opening.home_control import open_control
from clauseway.cli import run
from clauseway.cli.customers.tenancy import bar, money
from clauseway.storage.control.actor import acting
from clauseway.storage.customers.tenants import LimitScope

NO_KEY = "key_0000000000000000"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CLAUSEWAY_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


class Commands:
    """Runs commands in this process."""

    def __init__(self, captured: pytest.CaptureFixture[str]) -> None:
        self._captured = captured

    def __call__(self, line: str, code: int = 0) -> str:
        result = run(line.split())
        out, err = self._captured.readouterr()
        assert result == code, out + err
        return out if code == 0 else out + err

    def json(self, line: str, code: int = 0) -> Any:
        return json.loads(self(f"{line} --json", code))


@pytest.fixture
def clauseway(capsys: pytest.CaptureFixture[str]) -> Commands:
    return Commands(capsys)


def test_from_an_organisation_to_its_budget(clauseway: Commands) -> None:
    assert clauseway.json("organisation create acme")["keys"] == 0
    assert clauseway.json("project create acme search")["project"] == "search"
    made = clauseway.json("key create --organisation acme --project search --seller openai --role auditor")
    assert (made["role"], made["expires"], len(made["secret"])) == ("auditor", "", 46)
    limit = clauseway.json("limit set --organisation acme --requests 600 --tokens 400000")
    assert limit["whose"] == "organisation acme"
    budget = clauseway.json(
        "budget set --organisation acme --project search --cloud aws --amount 1_200.50 --period day"
    )
    assert (budget["whose"], budget["amount"], budget["left"]) == ("project acme/search on aws", "1200.50", "1200.50")
    begin, end = (datetime.fromisoformat(budget[bound]) for bound in ("begin", "end"))
    assert (begin.time(), end - begin) == (time(0), timedelta(days=1))
    fraction = clauseway.json("budget set --organisation acme --amount 0.0125")
    assert (fraction["amount"], fraction["left"]) == ("0.0125", "0.0125")
    clauseway(f"budget remove {fraction['id']}")
    shown = clauseway("budget list")
    assert "1,200.50" in shown
    assert "░" * 12 in shown
    assert "400,000" in clauseway("limit list")
    assert "auditor" in clauseway("key list")
    assert clauseway.json(f"limit remove {limit['id']}") == {"removed": limit["id"]}
    assert clauseway.json(f"budget remove {budget['id']}") == {"removed": budget["id"]}
    assert (clauseway.json("limit list"), clauseway.json("budget list")) == ([], [])


# The command that sets something · what is set first, and by whoever comes second · what the second is told
SET_TWICE = [
    ("budget set --organisation acme", "--amount 100", "--amount 50", "100.00 USD"),
    ("budget set --organisation acme", "--amount 0.0125", "--amount 50", "0.0125 USD"),
    ("limit set --organisation acme", "--requests 60 --tokens 9_000", "--requests 60", "60 requests and 9,000 tokens"),
    ("limit set --organisation acme", "--tokens 9_000", "--requests 60", "9,000 tokens"),
    ("organisation set acme", "--cloud azure", "--strategy cheapest", "primary-first · clouds azure"),
    ("project set acme search", "--residency eu", "--cloud aws", "primary-first · residency eu"),
]


@pytest.mark.parametrize(("command", "first", "second", "expected"), SET_TWICE)
def test_whoever_replaces_what_another_has_set_is_told(
    clauseway: Commands, command: str, first: str, second: str, expected: str
) -> None:
    clauseway("organisation create acme")
    clauseway("project create acme search")
    assert "replaces" not in clauseway(f"{command} {first}")
    assert "replaces" not in clauseway(f"{command} {first}"), "the same again"
    said = clauseway(f"{command} {second}")
    assert re.search(
        rf"It replaces {re.escape(expected)}, set by {acting()} at \d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\dZ\.", said
    )
    replaced = clauseway.json(f"{command} {first}")["replaced"]
    assert replaced["who"] == acting()


def test_how_requests_are_routed(clauseway: Commands) -> None:
    clauseway("organisation create acme")
    clauseway("project create acme search")
    clauseway("organisation set acme --cloud azure --cloud aws --residency eu")
    answer = clauseway.json("project set acme search --cloud aws --strategy pinned --pinned aws-eu --on-leave drain")
    assert answer["holds"]["clouds"] == ["aws"]
    assert "pinned to aws-eu · clouds aws · residency eu · drain" in clauseway("project show acme search")
    assert "it says itself: strategy, pinned, clouds, on-leave" in clauseway("project show acme search")
    assert [project["project"] for project in clauseway.json("project list acme")] == ["search"]
    assert "clouds azure, aws" in clauseway("organisation list")


def test_a_key_from_its_making_to_its_end(clauseway: Commands) -> None:
    made = clauseway.json("key create --organisation acme --seller openai --expires 2100-01-01")
    rotated = clauseway.json(f"key rotate {made['key_id']} --grace-hours 1")
    assert rotated["key_id"] == made["key_id"]
    assert rotated["secret"] != made["secret"]
    (listed,) = clauseway.json("key list")
    assert (listed["state"], listed["expires"]) == ("active", "2100-01-01T00:00:00Z")
    assert listed["former_until"]
    assert "secret" not in listed
    assert "has 1 active key:" in clauseway("organisation remove acme", 3)
    assert clauseway.json(f"key revoke {made['key_id']}")["state"] == "revoked"
    assert clauseway.json("key list") == []
    assert len(clauseway.json("key list --with-revoked")) == 1
    clauseway("organisation remove acme")
    assert clauseway.json("organisation list") == []


def rows(shown: str) -> list[str]:
    """Each line printed, with its columns one space apart."""
    return [" ".join(line.split()) for line in shown.splitlines()]


# The command · what it prints where there is nothing.
NOTHING = [
    ("organisation list", "Nobody yet. `clauseway organisation create NAME` begins."),
    ("key list", "There is no key. `clauseway key create` makes one."),
    ("limit list", "No limit is set. `clauseway limit set` sets one."),
    ("budget list", "No budget is set. `clauseway budget set` sets one."),
]


def test_what_lists_print(clauseway: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    clauseway("organisation create acme")
    clauseway("organisation remove acme")
    assert [rows(clauseway(command)) for command, _ in NOTHING] == [[said] for _, said in NOTHING]
    clauseway("organisation create acme")
    assert rows(clauseway("organisation show acme")) == ["acme, no active key", "routing: primary-first"]
    made = rows(clauseway("key create --organisation acme --project search --seller openai --expires 2100-01-01"))
    key, secret = made[0].split()[0], made[1].removeprefix("secret: ")
    assert made[0] == f"{key} for acme (search), buying from openai"
    assert made[2].startswith("This is the only time it is shown.")
    assert rows(clauseway("project show acme search")) == [
        "acme/search, one active key",
        "routing: primary-first",
        "all of it is the organisation's",
    ]
    second = clauseway.json("key create --organisation acme --seller openai --role auditor --segment consumer")
    assert rows(clauseway("organisation show acme"))[0] == "acme, 2 active keys"
    former = clauseway.json(f"key rotate {second['key_id']} --grace-hours 1") and clauseway.json("key list")[1]
    assert rows(clauseway("key list")) == [
        "id organisation project seller segment role state",
        f"{key} acme search openai any member active, until 2100-01-01T00:00:00Z",
        f"{second['key_id']} acme default openai consumer auditor active, former secret until {former['former_until']}",
    ]
    for given, said in (
        (secret, f"{key} of acme (search), active: its present secret."),
        (second["secret"], f"{second['key_id']} of acme (default), active: a former secret."),
    ):
        monkeypatch.setattr(sys, "stdin", io.StringIO(given))
        assert clauseway("key find") == f"{said}\n"
    assert clauseway(f"key revoke {key}") == f"{key} of acme (search) is revoked.\n"
    assert [row.split()[:3] for row in rows(clauseway("organisation list"))] == [
        ["organisation", "project", "keys"],
        ["acme", "1", "primary-first"],
        ["acme", "default", "1"],
        ["acme", "search", "0"],
    ]
    assert rows(clauseway("key list --with-revoked"))[1] == f"{key} acme search openai any member revoked"
    limit = clauseway.json("limit set --organisation acme --requests 6000")["id"]
    assert rows(clauseway("limit list")) == ["id whose requests/min tokens/min", f"{limit} organisation acme 6,000 –"]
    assert clauseway(f"limit remove {limit}") == f"{limit} is removed.\n"
    budget = clauseway.json("budget set --organisation acme --amount 1200 --period total")["id"]
    assert rows(clauseway("budget list")) == [
        "id whose period amount spent leased left",
        f"{budget} organisation acme total 1,200.00 0.00 0.00 1,200.00 ░░░░░░░░░░░░",
        "USD. █ spent, ▒ leased to running gateways, ░ left.",
    ]
    heading, row, _ = clauseway("budget list").splitlines()
    assert [heading.index(name) + len(name) for name in ("amount", "left")] == [
        row.index("1,200.00") + 8,
        row.rindex("1,200.00") + 8,
    ], "figures stand under the end of their heading"
    assert clauseway(f"budget remove {budget}") == f"{budget} is removed.\n"
    monthly = clauseway.json("budget set --organisation acme --amount 5 --period month")
    assert rows(clauseway("budget list"))[1].split()[3] == monthly["begin"][:7]
    clauseway("project create acme chat")
    assert clauseway.json("project remove acme chat") == {"removed": "acme/chat"}
    assert clauseway("project remove acme search") == "acme/search is removed, with its limits and budgets.\n"


# Of an amount: what is spent, what gateways hold · the bar.
BARS = [
    ("12", "3", "2", "███▒▒░░░░░░░"),
    ("12", "0", "0.9", "░░░░░░░░░░░░"),
    ("12", "13", "0", "████████████"),
    ("12", "11", "2", "███████████▒"),
    ("0", "0", "0", "████████████"),
]


@pytest.mark.parametrize(("amount", "spent", "leased", "shown"), BARS)
def test_the_bar_of_a_budget(amount: str, spent: str, leased: str, shown: str) -> None:
    budget = ListedBudget(
        id="bud_0",
        whose="organisation acme",
        scope=LimitScope(organisation="acme"),
        period="total",
        begin="",
        end="",
        currency="USD",
        amount=Decimal(amount),
        spent=Decimal(spent),
        leased=Decimal(leased),
        left=Decimal(amount) - Decimal(spent) - Decimal(leased),
    )
    assert bar(budget) == shown


def test_a_key_is_found_by_its_secret(clauseway: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    made = clauseway.json("key create --organisation acme --seller openai")
    rotated = clauseway.json(f"key rotate {made['key_id']}")
    clauseway.json("key create --organisation other --seller openai")
    for secret, is_former in ((made["secret"], True), (rotated["secret"], False)):
        monkeypatch.setattr(sys, "stdin", io.StringIO(f"{secret}\n"))
        matched = clauseway.json("key find")
        assert (matched["key"]["key_id"], matched["is_former"]) == (made["key_id"], is_former)
    monkeypatch.setattr(sys, "stdin", io.StringIO(rotated["secret"][:-1]))
    refused = clauseway("key find", 3)
    assert "no key of this home has that secret" in refused
    assert rotated["secret"][:-1] not in refused


# A command line → what is wrong with it. acme/search exists, with a key; so does acme/chat.
BAD = [
    ("organisation create acme", ["organisation acme exists"]),
    ("project create acme search", ["project acme/search exists"]),
    ("project create nobody search", ["there is no organisation nobody"]),
    ("organisation show nobody", ["there is no organisation nobody"]),
    ("project show acme nothing", ["there is no project acme/nothing", "chat, search"]),
    ("project list nobody", ["there is no organisation nobody"]),
    ("organisation remove acme", ["has 1 active key:"]),
    ("project remove acme search", ["has 1 active key:"]),
    ("organisation set nobody", ["there is no organisation nobody"]),
    (
        "organisation set acme --strategy best --cloud moon --seller me --on-leave stay",
        ["'best'", "'moon'", "'me'", "'stay'", "commitment"],
    ),
    ("organisation set acme --strategy pinned", ["without its deployment"]),
    ("project set acme search --pinned azure-eu", ["without its deployment"]),
    (
        "key create --organisation acme --seller nobody --segment none --role king --expires 2020-01-01",
        ["'nobody'", "'none'", "'king'", "2020-01-01 has begun"],
    ),
    ("key create --organisation acme --seller openai --role admin", ["'admin'", "Known: auditor, member"]),
    ("key create --organisation acme --seller openai --expires tomorrow", ["'tomorrow' is not a day"]),
    ("key create --organisation acme", ["seller"]),
    (f"key rotate {NO_KEY}", ["there is no active key"]),
    ("key rotate KEY --grace-hours 100000", ["100000 hours of grace"]),
    (f"key revoke {NO_KEY}", ["there is no active key"]),
    ("limit set --organisation acme", ["nothing is limited"]),
    ("limit set --requests 5", ["nobody is named"]),
    ("limit set --organisation acme --requests -5", ["--requests: '-5' cannot be taken"]),
    ("limit set --organisation acme --requests five", ["--requests: 'five' cannot be taken"]),
    (
        "limit set --organisation nobody --requests 1 --cloud moon --product gpt-0",
        ["there is no organisation nobody", "'moon'", "'gpt-0'"],
    ),
    ("limit set --organisation acme --project nothing --requests 1", ["there is no project acme/nothing"]),
    (f"limit set --key {NO_KEY} --requests 1", ["no active key has that id"]),
    ("limit set --key KEY --organisation other --requests 1", ["it is of acme/search"]),
    ("limit set --key KEY --project chat --requests 1", ["it is of acme/search"]),
    ("limit remove lim_0", ["there is no limit 'lim_0'"]),
    ("budget set --organisation acme --amount lots --period week", ["'lots' is not an amount", "'week'"]),
    ("budget set --organisation acme --amount -1", ["'-1' is not an amount"]),
    ("budget set --organisation acme --amount 12,50", ["'12,50' is not an amount", "Write 12.50 or 1250 "]),
    ("limit set --organisation acme --requests 1,5", ["--requests: '1,5' cannot be taken"]),
    ("budget set --organisation acme --amount NaN", ["'NaN' is not an amount"]),
    ("budget set --organisation acme --amount 1e999999", ["is not an amount"]),
    ("budget set --organisation acme --amount 0.0000000000001", ["more decimal places than the 12"]),
    ("budget set --amount 5", ["nobody is named"]),
    ("budget set --organisation acme", ["amount"]),
    ("budget remove bud_0", ["there is no budget 'bud_0'"]),
]


def test_bad_input_is_refused_whole_with_every_problem(clauseway: Commands) -> None:
    made = clauseway.json("key create --organisation acme --project search --seller openai")
    clauseway("project create acme chat")
    before = (clauseway.json("organisation list"), clauseway.json("key list"))
    for line, problems in BAD:
        result = clauseway(line.replace("KEY", made["key_id"]), 3)
        assert [problem for problem in problems if problem not in result] == [], (line, result)
    assert (clauseway.json("organisation list"), clauseway.json("key list")) == before
    assert (clauseway.json("limit list"), clauseway.json("budget list")) == ([], [])


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "is no value"),
        (" ", "is no value"),
        ("a\nb", "is not a name"),
        (" a", "is not a name"),
        ("x" * 201, "is not a name"),
    ],
)
def test_names_that_are_none(name: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["organisation", "create", name]) == 3
    assert says in capsys.readouterr().err
    assert run(["organisation", "create", "acme"]) == 0
    assert run(["project", "create", "acme", name]) == 3


@pytest.mark.parametrize("flag", ["--region", "--residency", "--certification"])
def test_places_and_certifications_have_names(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A deployment has no such name either: nothing would be left to be served."""
    assert run(["organisation", "create", "acme"]) == 0
    for name in (" eu", "eu ", "e\tu"):
        assert run(["organisation", "set", "acme", flag, name]) == 3
        assert f"{flag}: {name!a} is not a name" in capsys.readouterr().err


def test_a_slash_parts_an_organisation_from_its_project(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["organisation", "create", "a/b"]) == 3
    assert run(["key", "create", "--organisation", "a/b", "--seller", "openai"]) == 3
    assert capsys.readouterr().err.count("organisation: 'a/b' is not a name of an organisation") == 2
    assert run(["organisation", "create", "a"]) == 0
    assert run(["project", "create", "a", "b/c"]) == 0
    # One that is there from before has its keys all the same.
    with open_control(home_at(None)) as control:
        ensure_tenant(control, "a/b", "")
    assert run(["key", "create", "--organisation", "a/b", "--seller", "openai"]) == 0


# An amount in USD as a table shows it.
SHOWN = [
    ("0", "0.00"),
    ("25000", "25,000.00"),
    ("0.019", "0.02"),
    ("0.0095", "0.0095"),
    ("0.000000123456", "0.00000012"),
    ("-0.00002", "-0.00002"),
    ("-12.5", "-12.50"),
]


@pytest.mark.parametrize(("amount", "shown"), SHOWN)
def test_money_in_a_table(amount: str, shown: str) -> None:
    assert money(Decimal(amount)) == shown


def test_what_was_recorded_by_name_can_be_limited(clauseway: Commands) -> None:
    clauseway("organisation create acme")
    line = "limit set --organisation acme --product whisper-9 --requests 4"
    refused = clauseway(line, 3)
    assert "the agreement does not name it" in refused
    assert "Names of another agreement: --agreement FOLDER." in refused
    recorded = "fact record product --product whisper-9 --class api.stateless --effective 2024-01-01 --source a-page"
    clauseway(recorded)
    assert clauseway.json(line)["whose"] == "organisation acme for whisper-9"
    budget = clauseway.json("budget set --organisation acme --product whisper-9 --amount 4")
    assert budget["whose"] == "organisation acme for whisper-9"


def test_what_no_agreement_names_can_be_limited_as_it_can_be_served(clauseway: Commands) -> None:
    clauseway("organisation create acme")
    limit = clauseway.json("limit set --organisation acme --product gpt-4o-mini --requests 4")
    budget = clauseway.json("budget set --organisation acme --product gpt-4o-mini --amount 4")
    assert {limit["whose"], budget["whose"]} == {"organisation acme for gpt-4o-mini"}


# whose key is made · who was there before and is nearly so named
NEARLY_NAMED = [
    ("acme", "search", None),
    ("acmee", "default", "acme"),
    ("ACME", "default", "acme"),
    ("acme", "serch", "search"),
    ("contoso", "search", None),
    ("store-18", "default", None),  # the stores are numbered
    ("acme", "default", None),
]


@pytest.mark.parametrize(("organisation", "project", "nearly"), NEARLY_NAMED)
def test_a_key_that_begins_an_organisation_names_the_near_one(
    organisation: str, project: str, nearly: str | None, clauseway: Commands
) -> None:
    """A slip in a name would begin another customer, without the limits and budgets of the one meant."""
    for known in ("acme --project search", "acme", "store-17"):
        clauseway(f"key create --organisation {known} --seller openai")
    asked = f"key create --organisation {organisation} --project {project} --seller openai"
    shown = clauseway(asked)
    assert ("was there before" in shown, f"; {nearly} was" in shown) == (nearly is not None,) * 2
    assert "nearly_named" not in clauseway.json(asked)  # by now it is there


def test_a_key_of_a_seller_without_a_deployment_says_so(clauseway: Commands) -> None:
    """Every request of it would be refused."""
    asked = "key create --organisation acme --seller microsoft"
    assert "sold_by" not in clauseway.json(asked)  # the configuration may lie elsewhere
    configuration = home_at(None).configuration
    configuration.write_text('[[deployment]]\nseller = "openai"\n[[deployment]]\nseller = "amazon"\n')
    shown = " ".join(clauseway(asked).split())
    assert "No deployment of the configuration in this home is sold by microsoft, only by openai and amazon" in shown
    assert clauseway.json(asked)["sold_by"] == ["openai", "amazon"]
    assert "sold_by" not in clauseway.json("key create --organisation acme --seller amazon")


def test_an_unknown_organisation_is_answered_with_the_nearest(clauseway: Commands) -> None:
    for number in range(60):
        clauseway(f"organisation create customer-{number}")
    assert "Did you mean 'customer-7'?" in clauseway("limit set --organisation custmer-7 --requests 5", 3)
    far = clauseway("limit set --organisation zz --requests 5", 3)
    assert "customer-0," in far
    assert "and 10 more. Create it with `clauseway organisation create zz`, or" in far
    assert "`clauseway project create customer-7 b`" in clauseway("project show customer-7 b", 3)

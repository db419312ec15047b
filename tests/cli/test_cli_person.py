"""Rights to write, and acts that two people do together: each line is a command and who runs it."""

import pwd
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest

import settled_book
from clauseway.ledger.vouchers import Voucher
from clauseway.storage.control import actor
from clauseway.storage.control.chained import CHAINED
from clauseway.storage.control.people import FOR_TWO, FREE, ROLES
from in_process import answer, run

# Two accounts that every system has.
ANNA, BOB = "daemon", "bin"
# One that no system has, as in a container: its name has a space.
NAMELESS = "uid 54321"
CREDIT = f"books credit --id n-1 --request {settled_book.request(7)} --amount 0.50 --reason outage --dated 2026-06-01"
DISPUTE = f"books dispute open --id d-1 --request {settled_book.request(10)} --reason late --dated 2026-06-01"
RESOLVE = "books dispute resolve d-1 --id r-1 --upheld --dated 2026-06-02"
ASSUME = "basis assume cap=30_000_000_000 --why contract"
CLOSE = "books close 2026-04"
INVOICE = "books invoice --period 2026-04 --payer openai --payee microsoft --dated 2026-05-04"
LAUNCH = "fact record launch --product gpt-5.5 --cloud aws --stage preview --effective 2026-05-01 --source letter"
PRICES = "product,cloud,seller,region,unit,begin,end,known_at,usd_per_million,source\n"
USAGE = (
    '{"specversion": "1.0", "type": "org.clauseway.usage.v1", "source": "/bill", "id": "1",'
    ' "time": "2026-05-22T12:00:00Z", "data": {"cloud": "azure", "product": "gpt-5.5",'
    ' "units": {"input_tokens": 1200}}}'
)

As = Callable[..., Any]


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return settled_book.make(tmp_path_factory.mktemp("people") / "home").root


@pytest.fixture
def by(book: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> As:
    """Run a command as somebody who logged in: what it says as JSON, or the problem it is refused with."""
    home, login = Path(shutil.copytree(book, tmp_path / "home")), tmp_path / "login"
    monkeypatch.setattr(actor, "LOGIN_ACCOUNT", login)

    usage = tmp_path / "usage.jsonl"
    usage.write_text(USAGE)

    def told(account: str, command: str, *words: str, refused: bool = False, typed: str = "") -> Any:
        nameless = account.removeprefix("uid ")
        login.write_text(nameless if nameless != account else str(pwd.getpwnam(account).pw_uid))
        line = [*command.format(usage=usage).split(), *words, "--home", str(home)]
        said = answer(*line, code=3 if refused else 0, given=typed)
        return said["error"]["problems"][0] if refused else said

    return told


def test_every_kind_of_row_has_a_role_or_a_reason_to_have_none() -> None:
    kinds = {kind for chained in CHAINED for kind in chained.kinds}
    named = [kind for group in ROLES.values() for kind in group]
    assert sorted([*named, *FREE]) == sorted(kinds)
    assert set(FOR_TWO) <= set(named)


def test_every_voucher_is_a_kind_of_row() -> None:
    [vouchers] = [chained for chained in CHAINED if chained.place == "vouchers"]
    tags = {kind.__struct_config__.tag for kind in get_args(Voucher)}
    assert tags == set(vouchers.kinds)


def test_as_long_as_nobody_is_named_every_account_may_write(by: As) -> None:
    assert by(ANNA, "person list") == {"people": [], "for_two": []}
    assert by(ANNA, CREDIT)["id"] == "n-1"


# The rights of an account, the command, and the kind that is refused (none: it is done).
RIGHTS = [
    ("books", CREDIT, ""),
    ("credit", CREDIT, ""),
    ("dispute", CREDIT, "credit"),
    ("customers", CREDIT, "credit"),
    ("books", ASSUME, "basis"),
    ("basis", ASSUME, ""),
    ("books", CLOSE, ""),
    ("basis", CLOSE, "close"),
    ("customers", "key create --organisation fabrikam --seller openai", ""),
    ("basis", "key create --organisation fabrikam --seller openai", "organisation"),
    ("organisation", "organisation create fabrikam", ""),
    ("books", "organisation create fabrikam", "organisation"),
    ("usage", "usage import {usage} --set organisation=fabrikam --set seller=openai", ""),
    ("books", "usage import {usage} --set organisation=fabrikam --set seller=openai", "import"),
    ("facts", LAUNCH, ""),
    ("books", LAUNCH, "fact"),
    ("books", "person add bin --may books", "person"),
    ("books", "person two credit", "rule"),
    ("books", "settle --period 2026-05", ""),
    ("people", "party key create --party openai", "party-key"),
]


@pytest.mark.parametrize(("may", "command", "refused"), RIGHTS)
def test_a_person_writes_what_they_were_given(by: As, may: str, command: str, refused: str) -> None:
    by(ANNA, f"person add {ANNA} --may people")
    by(ANNA, f"person add {BOB} --may {may}")
    said = by(BOB, command, refused=bool(refused))
    if refused:
        assert said["what"] == f"{BOB} may not write: {refused}"
        assert "clauseway person add" in said["remedy"]


def test_a_remedy_names_an_account_as_a_shell_takes_it(by: As) -> None:
    def command_of(said: dict[str, str]) -> list[str]:
        return shlex.split(said["remedy"].partition("clauseway ")[2].removesuffix("…"))

    unnamed = command_of(by(NAMELESS, "person add 54321 --may people", refused=True))
    assert unnamed == ["person", "add", NAMELESS, "--may", "people", "--may"]
    by(NAMELESS, "person add", NAMELESS, "--may", "people")
    assert command_of(by(NAMELESS, CREDIT, refused=True)) == ["person", "add", NAMELESS, "--may"]


# A command of each kind, in an order in which they can all be run.
COMMANDS_BY_KIND = [
    ("organisation", "organisation create fabrikam"),
    ("project", "project create fabrikam search"),
    ("key", "key create --organisation fabrikam --project search --seller openai"),
    ("limit", "limit set --organisation fabrikam --requests 5"),
    ("budget", "budget set --organisation fabrikam --amount 10"),
    ("fact", LAUNCH),
    ("close", CLOSE),
    ("invoice", f"{INVOICE} --id i-1"),
    ("payment", "books payment i-1 --id p-1 --amount 0.01 --dated 2026-06-01"),
    ("reversal", "books payment --id v-1 --reverse p-1 --reason returned --dated 2026-06-02"),
    ("basis", ASSUME),
    ("settlement", "settle --period 2026-05"),
    ("credit", CREDIT),
    ("dispute", DISPUTE),
    ("resolution", RESOLVE),
    ("import", "usage import {usage} --set organisation=fabrikam --set seller=openai"),
    ("party-key", "party key create --party openai"),
    ("person", "person add sys --may facts"),
    ("rule", "person two credit"),
]


@pytest.mark.parametrize("role", ROLES)
def test_each_role_writes_its_own_kinds_and_no_other(by: As, role: str) -> None:
    by(ANNA, f"person add {ANNA} {' '.join(f'--may {each}' for each in ROLES)}")
    by(ANNA, f"person add {BOB} --may {role}")
    for kind, command in COMMANDS_BY_KIND:
        may = kind in ROLES[role]
        said = by(BOB, command, refused=not may)
        if not may:
            assert said["what"] == f"{BOB} may not write: {kind}"
            by(ANNA, command)


def test_the_table_of_roles_has_a_command_for_each_kind() -> None:
    page = (Path(__file__).parents[2] / "docs/roles.md").read_text()
    rows = re.findall(r"(?m)^\| `clauseway ([^`]+)` \| `([\w-]+)` \| `(\w+)` \|$", page)
    assert [(kind, role) for _, kind, role in rows] == [(kind, role) for role, kinds in ROLES.items() for kind in kinds]
    run_here = dict(COMMANDS_BY_KIND)
    for command, kind, _ in rows:
        words, flags = command.partition(" --")[::2]
        if kind in run_here:
            assert run_here[kind].startswith(words)
            assert not flags or f"--{flags}" in run_here[kind]
        assert run(*words.split(), "--help").returncode == 0


def test_the_roles_of_people_are_those_of_the_table() -> None:
    page = (Path(__file__).parents[2] / "docs/roles.md").read_text()
    table = page.partition("| role | what it may write |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(ROLES)


def test_whoever_is_not_named_writes_nothing_and_reads_on(by: As) -> None:
    by(ANNA, f"person add {ANNA} --may people --may books")
    assert by(BOB, CREDIT, refused=True)["why"] == f"{BOB} was given nothing"
    assert by(BOB, "books dispute list") == []
    assert [row["who"] for row in by(BOB, "audit log --kind person")] == [ANNA]
    assert by(BOB, "audit verify")["problems"] == []


def test_nobody_gives_themselves_a_right(by: As) -> None:
    by(ANNA, f"person add {ANNA} --may people")
    assert by(BOB, f"person add {BOB} --may people", refused=True)["what"] == f"{BOB} may not write: person"
    assert [person["account"] for person in by(ANNA, "person list")["people"]] == [ANNA]


@pytest.mark.parametrize(
    ("command", "what"),
    [
        (f"person add {BOB} --may people", "nobody is named yet"),
        (f"person add {ANNA} --may books", "nobody is named yet"),
        (f"person add {ANNA} --may bokos", "'bokos' is nothing that somebody may write"),
        ("person two credits", "'credits' is nothing that somebody may write"),
        ("person two person", "'person' is nothing that somebody may write"),
        (f"person remove {BOB}", f"{BOB} is not named"),
        ("person withdraw 7", "nothing waits under 7"),
    ],
)
def test_what_cannot_be_set_is_refused_and_changes_nothing(by: As, command: str, what: str) -> None:
    assert by(ANNA, command, refused=True)["what"] == what
    assert by(ANNA, "person list") == {"people": [], "for_two": []}


def test_somebody_can_always_name_people(by: As) -> None:
    by(ANNA, f"person add {ANNA} --may people")
    by(ANNA, f"person add {BOB} --may books")
    assert by(ANNA, f"person remove {ANNA}", refused=True)["what"] == "nobody could name people any more"
    assert by(ANNA, f"person add {ANNA} --may books", refused=True)["what"] == "nobody could name people any more"
    by(ANNA, f"person remove {BOB}")
    by(ANNA, f"person remove {ANNA}")
    assert by(BOB, CREDIT)["id"] == "n-1"


# An act that needs two people, the command, and where its write is seen.
TOGETHER = [
    ("credit", "", CREDIT, "credit n-1"),
    ("dispute", "", DISPUTE, "dispute d-1"),
    ("resolution", DISPUTE, RESOLVE, "resolution r-1"),
    ("close", "", CLOSE, "close 2026-04 "),
    ("basis", "", ASSUME, "basis assumption/cap/30_000_000_000"),
    ("invoice", CLOSE, INVOICE, "invoice microsoft-openai-2026-04"),
]


@pytest.mark.parametrize(("kind", "before", "command", "subject"), TOGETHER)
def test_two_people_write_together(by: As, kind: str, before: str, command: str, subject: str) -> None:
    if before:
        by(ANNA, before)
    by(ANNA, f"person two {kind}")
    log = by(ANNA, f"audit log --kind {kind}")
    asked = by(ANNA, command, refused=True)
    assert asked["what"].startswith(subject)
    assert asked["what"].endswith("waits for a second person")
    assert by(ANNA, command, refused=True) == asked, "who asked does not do it alone"
    assert by(ANNA, f"audit log --kind {kind}") == log, "nothing is written"
    [waiting] = by(BOB, "person waiting")
    assert (waiting["kind"], waiting["asked_by"]) == (kind, ANNA)
    by(BOB, command)
    assert by(BOB, "person waiting") == []
    [row] = by(BOB, f"audit log --kind {kind}")[len(log) :]
    assert (row["who"], f"{row['kind']} {row['subject']}".startswith(subject)) == (BOB, True)
    approved = by(BOB, "audit log --kind approval")[-1]
    assert (approved["who"], approved["act"], approved["why"]) == (BOB, "changed", f"asked for by {ANNA}")
    assert by(BOB, "audit verify")["problems"] == []


def test_the_second_person_asks_for_the_same_or_is_told_what_differs(by: As) -> None:
    by(ANNA, "person two credit")
    by(ANNA, CREDIT, refused=True)
    other = CREDIT.replace("0.50", "0.60")
    differs = by(BOB, other, refused=True)
    assert f"{ANNA} asked for it otherwise" in differs["remedy"]
    assert "amount 0.50, not 0.60" in differs["remedy"]
    assert "clauseway person withdraw 1" in differs["remedy"]
    assert len(by(BOB, "person waiting")) == 2
    by(BOB, "person withdraw 1")
    by(ANNA, other)
    assert by(ANNA, "person waiting") == []


def test_a_book_of_prices_needs_two_with_the_same_file(by: As, tmp_path: Path) -> None:
    book = tmp_path / "book.csv"
    book.write_text(f"{PRICES}gpt-5.5,azure,openai,,input_tokens,2026-01-01,,2026-01-01,2.50,list\n")
    by(ANNA, "person two basis")
    by(ANNA, "basis prices", str(book), "--why", "list of June", refused=True)
    book.write_text(f"{PRICES}gpt-5.5,azure,openai,,input_tokens,2026-01-01,,2026-01-01,2.60,list\n")
    changed = by(BOB, "basis prices", str(book), "--why", "seen", refused=True)
    assert f"{ANNA} asked for it otherwise" in changed["remedy"]
    by(ANNA, "basis prices", str(book), "--why", "mended")
    assert [row["asked_by"] for row in by(BOB, "person waiting")] == [ANNA]


def test_one_person_does_not_end_the_rule_or_name_a_second_self(by: As) -> None:
    by(ANNA, f"person add {ANNA} --may people --may books")
    by(ANNA, f"person add {BOB} --may people --may books")
    by(ANNA, "person two credit")
    for command in ("person two", "person add nobody --may books", f"person remove {BOB}"):
        assert by(ANNA, command, refused=True)["what"].endswith("waits for a second person")
    by(BOB, "person two")
    assert by(BOB, "person list")["for_two"] == []
    assert by(ANNA, CREDIT)["id"] == "n-1"


def test_the_second_person_needs_the_right_too(by: As) -> None:
    by(ANNA, f"person add {ANNA} --may people --may books")
    by(ANNA, f"person add {BOB} --may basis")
    by(ANNA, "person two credit")
    by(ANNA, CREDIT, refused=True)
    assert by(BOB, CREDIT, refused=True)["what"] == f"{BOB} may not write: credit"


def test_people_read_what_waits_as_a_table(by: As, book: Path, tmp_path: Path) -> None:
    by(ANNA, "person two credit")
    by(ANNA, CREDIT, refused=True)
    shown = run("person", "waiting", "--home", str(tmp_path / "home"), columns=200).stdout
    assert "credit n-1" in shown
    assert re.search(r" \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ ", shown), "an instant says that it is of UTC"
    assert "amount=0.50" in shown
    [waits] = by(BOB, "person waiting")
    home = ("--home", str(tmp_path / "home"))
    withdrawn = run("person", "withdraw", str(waits["number"]), *home)
    assert (withdrawn.returncode, withdrawn.stdout) == (0, f"{waits['number']} waits no longer.\n")
    assert run("person", "waiting", *home).stdout == "Nothing waits.\n"
    assert run("person", "list", "--home", str(tmp_path / "home")).stdout.splitlines() == [
        "Nobody is named: every account may write everything.",
        "Two people write together: credit",
    ]


SECRET = "a long enough sentence"


def test_somebody_is_given_a_password_and_screens(by: As) -> None:
    assert by(ANNA, "person readers") == []
    assert by(ANNA, "person password carol --sees lawyer --sees auditor", typed=SECRET)["sees"] == ["lawyer", "auditor"]
    assert by(ANNA, "person password dora", typed=SECRET)["sees"] == ["engineer", "lawyer", "finance", "auditor"]
    by(ANNA, "person password carol", typed=f"{SECRET} 2\n")
    assert [(each["account"], len(each["sees"])) for each in by(BOB, "person readers")] == [("carol", 2), ("dora", 4)]
    by(ANNA, "person password dora --remove")
    acts = [(row["act"], row["subject"]) for row in by(BOB, "audit log --kind password")]
    assert [act for act, _ in acts] == ["added", "added", "changed", "removed"]
    assert SECRET not in str(by(BOB, "audit log"))
    assert by(BOB, "audit verify")["problems"] == []


@pytest.mark.parametrize(
    ("command", "typed", "what"),
    [
        ("person password carol", "short", "a password of 5 characters"),
        ("person password carol", "", "a password of 0 characters"),
        ("person password carol", "x" * 201, "a password of 201 characters"),
        ("person password carol --sees money", SECRET, "'money' is no screen"),
        ("person password carol --remove", "", "carol has no password"),
    ],
)
def test_what_is_no_password_is_refused(by: As, command: str, typed: str, what: str) -> None:
    assert by(ANNA, command, typed=typed, refused=True)["what"] == what
    assert by(ANNA, "person readers") == []


def test_whoever_is_named_changes_their_own_password_and_nothing_beside_it(by: As) -> None:
    by(ANNA, f"person add {ANNA} --may people")
    by(ANNA, f"person add {BOB} --may books")
    by(ANNA, f"person password {BOB} --sees finance", typed=SECRET)
    by(BOB, f"person password {BOB}", typed=f"{SECRET} 2")
    for command in (
        f"person password {BOB} --sees lawyer",
        f"person password {BOB} --remove",
        f"person password {ANNA}",
    ):
        assert by(BOB, command, typed=SECRET, refused=True)["what"] == f"{BOB} may not write: password"
    assert by(ANNA, "person readers") == [{"account": BOB, "sees": ["finance"]}]

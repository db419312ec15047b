"""The auditor's screen over a home with two settled months: what repeats, what was edited, both clocks of a fact."""

import base64
import html
import json
import re
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from starlette.testclient import TestClient

import settled_book
from clauseway.agreement import Launch
from clauseway.app.agreements.explaining import explain
from clauseway.app.books.audit_log import restart_log
from clauseway.app.books.party_keys import create_key
from clauseway.app.books.trusted_keys import trusted_keys, withdraw_key
from clauseway.app.opening.home import Home
from clauseway.app.opening.library import open_agreement
from clauseway.app.opening.several import each_of, open_agreements
from clauseway.app.reports.handed_statements import (
    DIFFERS,
    LineCheck,
    StatementVerification,
    beside,
    read_statement,
)
from clauseway.app.reports.signing import sign
from clauseway.app.screens.auditor_page import auditor_page, check_page, statement_check
from clauseway.ledger.assumptions import ESTIMATED, Assumption
from clauseway.storage.control.actor import acting
from clauseway.values import KnownAt
from clauseway.wording.names import Wording
from database_connections import connections_made, queries_asked
from home_pages import pages_client


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return settled_book.make(tmp_path_factory.mktemp("book"))


@pytest.fixture(scope="module")
def client(home: Home) -> Iterator[TestClient]:
    with pages_client(home) as pages:
        yield pages


@pytest.mark.parametrize(
    "page", ["/lawyer", "/lawyer/compare", "/engineer", "/finance", "/auditor", "/statement/2026-05"]
)
def test_a_page_is_read_by_one_connection(client: TestClient, page: str) -> None:
    with connections_made() as made:
        assert client.get(page).status_code == 200
    assert len(made) == 1


def test_of_many_facts_the_screen_has_the_latest_known(home: Home) -> None:
    opened = open_agreement()
    count = len(opened.facts.facts)
    launch = next(fact for fact in opened.facts.facts if isinstance(fact, Launch))
    later = [
        msgspec.structs.replace(launch, known=KnownAt.parse(f"2027-01-01T00:{number // 60:02}:{number % 60:02}Z"))
        for number in range(300)
    ]
    many = msgspec.structs.replace(opened, facts=opened.facts.with_facts(later))
    screen = auditor_page(home, many, {}, KnownAt.everything(), ())
    assert (len(screen.facts), screen.facts_left_out) == (200, count + 100)
    assert [screen.facts[at].known_at for at in (0, -1)] == ["2027-01-01T00:01:40Z", "2027-01-01T00:04:59Z"]


@pytest.mark.parametrize(("page", "read_again"), [("/", 0), ("/auditor", 0), ("/finance", 1)])
def test_a_month_that_was_read_is_not_read_again(home: Home, page: str, read_again: int) -> None:
    """A settlement may have ten thousand lines. Finance shows that of the latest month."""
    with pages_client(home) as pages:
        before = pages.get(page)
        with queries_asked("settlements") as asked:
            after = pages.get(page)
    assert before.status_code == after.status_code == 200
    assert sum("settlements.body" in query for query in asked) == read_again


def test_a_settled_month_repeats_to_the_byte(client: TestClient) -> None:
    assert "/auditor/check/2026-04" in client.get("/auditor").text
    assert "repeats to the byte" in client.get("/auditor/check/2026-04").text


@pytest.mark.parametrize(
    ("subject", "said"), [("2031-01", "no statement for January 2031"), ("soon", "is not a month")]
)
def test_what_cannot_be_repeated_is_not_found(client: TestClient, subject: str, said: str) -> None:
    answer = client.get(f"/auditor/check/{subject}")
    assert answer.status_code == 404
    assert said in answer.text


def test_a_damaged_lake_is_no_fault_of_the_address(tmp_path: Path) -> None:
    own = settled_book.make(tmp_path)
    for file in own.lake.glob("usage/*/*.parquet"):
        file.write_bytes(file.read_bytes()[:-1] + b"?")
    with pages_client(own) as pages:
        answer = pages.get("/auditor/check/2026-05")
    assert answer.status_code == 500
    assert "lake check" in answer.text


def test_a_fact_has_both_clocks_and_opens_its_place(client: TestClient) -> None:
    page = client.get("/auditor").text
    assert 'data-label="Holds from">28 April 2026</td>' in page
    assert "/text?document=facts.md&amp;line=" in page


def test_the_evidence_of_a_month_is_a_file(client: TestClient) -> None:
    file = client.get("/download/evidence/2026-04/pack")
    assert file.status_code == 200
    assert file.content.startswith(b"PK")


# -- a decision that was handed over


def decided(outcome: str = "") -> str:
    """A decision as `decide --json` prints it, with another outcome where one is given."""
    opened = open_agreements([])
    asked = {"action": "serve", "party": "openai", "product": "gpt-5.5", "cloud": "aws"}
    _, question = opened.asking((), as_of="2026-03-15", known_at="2026-03-15", reading={}, **asked)
    written = json.loads(msgspec.json.encode(explain(opened, question)))
    return json.dumps(written | ({"outcome": outcome} if outcome else {}))


def asked_again(client: TestClient, receipt: str) -> str:
    page = client.post("/auditor/decision", data={"receipt": receipt})
    assert page.status_code == 200
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page.text.partition("<main")[2])).split())


def test_a_decision_that_was_handed_over_is_asked_again(client: TestClient) -> None:
    assert "/auditor/decision" in client.get("/auditor").text
    page = asked_again(client, decided())
    assert "repeats" in page
    assert "OpenAI serves gpt-5.5 on AWS" in page
    assert "On 15 March 2026" in page


def test_a_decision_with_another_outcome_says_what_was_recorded_and_what_is_now(client: TestClient) -> None:
    page = asked_again(client, decided("permitted"))
    assert "does not repeat" in page
    assert "outcome permitted forbidden" in page


@pytest.mark.parametrize(
    "receipt", ["{", "{}", "<script>alert(1)</script>", '{"outcome": 1}', decided().replace("openai", "nobody")]
)
def test_a_decision_that_cannot_be_read_or_asked_is_told_and_stays_as_it_was_typed(
    client: TestClient, receipt: str
) -> None:
    page = client.post("/auditor/decision", data={"receipt": receipt})
    assert page.status_code == 200
    assert page.text.partition('role="alert"')[2].partition("</p>")[0]
    [kept] = re.findall(r"<textarea[^>]*>\n(.*?)</textarea>", page.text, re.DOTALL)
    assert html.unescape(kept) == receipt


# -- a statement that was handed over


@pytest.fixture(scope="module")
def signed(home: Home, client: TestClient, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """April's statement as JSON, and OpenAI's signature under it."""
    path = tmp_path_factory.mktemp("signed") / "april.json"
    path.write_bytes(client.get("/download/statement/2026-04/json").content)
    create_key(home, "openai")
    sign(home, path, read_statement(path), "openai", None)
    return path.read_text(), beside(path).read_text()


def handed(client: TestClient, statement: str, signatures: str = "") -> str:
    page = client.post("/auditor/handed", data={"statement": statement, "signatures": signatures})
    assert page.status_code == 200
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page.text.partition("</form>")[2])).split())


def test_a_statement_that_was_handed_over_is_performed_again_with_its_signatures(
    client: TestClient, signed: tuple[str, str]
) -> None:
    page = handed(client, *signed)
    assert "repeats to the byte The statement of April 2026, settled again" in page
    assert "holds OpenAI signed on" in page
    assert "these bytes were signed, its key is trusted here" in page


# how the text comes, and whether it repeats to the byte
WRITTEN: dict[str, tuple[Callable[[str], str], bool]] = {
    "lines end as a form sends them": (lambda text: text.replace("\n", "\r\n"), True),
    "without the last line's end": (lambda text: text.rstrip("\n"), True),
    "with an empty line around it": (lambda text: f"\n{text}\n", True),
    "with a member that nobody signed": (
        lambda text: text.replace("{", '{"remark": "all of it is accepted",', 1),
        False,
    ),
    "with an amount that stands twice": (
        lambda text: text.replace('"amount":', '"amount": "999.00", "amount":', 1),
        False,
    ),
    "laid out otherwise": (lambda text: json.dumps(json.loads(text)), False),
}


@pytest.mark.parametrize("case", WRITTEN)
def test_a_statement_in_other_bytes_than_those_that_are_signed_does_not_repeat(
    client: TestClient, signed: tuple[str, str], case: str
) -> None:
    written, repeats = WRITTEN[case]
    page = handed(client, written(signed[0]), signed[1])
    assert ("repeats to the byte" in page, "these bytes were signed" in page) == (repeats, repeats)
    assert ("it was written anew" in page, "another statement was signed" in page) == (not repeats, not repeats)


def test_without_its_signatures_it_is_performed_again_alone(client: TestClient, signed: tuple[str, str]) -> None:
    page = handed(client, signed[0])
    assert "repeats to the byte" in page
    assert "No signatures were given with it." in page


def test_a_line_that_was_changed_is_told_by_both(client: TestClient, signed: tuple[str, str]) -> None:
    statement = json.loads(signed[0])
    line = statement["lines"][0]
    line["amount"] = str(Decimal(line["amount"]) + 1)
    page = handed(client, json.dumps(statement), signed[1])
    assert "does not repeat" in page
    assert f"line {line['id']} says otherwise than what was signed" in page
    assert ">holds</span>" not in page, "what was signed is another statement"
    assert "another statement was signed" in page


def test_a_signature_of_other_bytes_and_one_of_an_unknown_key_do_not_hold(
    client: TestClient, signed: tuple[str, str]
) -> None:
    forged = json.loads(signed[1])
    forged["signatures"][0]["at"] = "2020-01-01T00:00:00Z"
    assert "does not hold OpenAI signed on 1 January 2020, 00:00:00 UTC other bytes were signed" in handed(
        client, signed[0], json.dumps(forged)
    )
    foreign = json.loads(signed[1])
    foreign["signatures"][0]["key"] = base64.b64encode(bytes(32)).decode()
    assert "nobody here vouches for its key" in handed(client, signed[0], json.dumps(foreign))


def test_a_signature_by_a_key_that_was_withdrawn_says_by_whom_and_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLAUSEWAY_KEYS", str(tmp_path / "keys"))
    home = settled_book.make(tmp_path / "home")
    april = tmp_path / "april.json"
    with pages_client(home) as pages:
        april.write_bytes(pages.get("/download/statement/2026-04/json").content)
        create_key(home, "openai")
        sign(home, april, read_statement(april), "openai", None)
        [public] = trusted_keys(home)["openai"]
        withdraw_key(home, "openai", public, "the laptop was stolen")
        page = handed(pages, april.read_text(), beside(april).read_text())
    assert "does not hold OpenAI signed" in page
    assert f"its key was withdrawn by {acting()} on" in page
    assert "the laptop was stolen" in page


@pytest.mark.parametrize(
    ("statement", "signatures", "said"),
    [
        ("{}", "", "no statement"),
        ("line,period,\n", "", "a statement in csv cannot be read on this page"),
        ("\x00<script>", "", "it is not a statement"),
        (None, "{", "signatures"),
    ],
)
def test_what_cannot_be_read_is_told_and_stays_as_it_was_typed(
    client: TestClient, home: Home, signed: tuple[str, str], statement: str | None, signatures: str, said: str
) -> None:
    sent = {"statement": signed[0] if statement is None else statement, "signatures": signatures}
    page = client.post("/auditor/handed", data=sent)
    assert page.status_code == 200
    alert = html.unescape(page.text.partition('role="alert"')[2].partition("</p>")[0])
    assert said in alert
    assert str(home.root) not in alert
    assert tempfile.gettempdir() not in alert
    kept = [html.unescape(each) for each in re.findall(r"<textarea[^>]*>\n(.*?)</textarea>", page.text, re.DOTALL)]
    assert kept == list(sent.values())


# The screen in an interpreter that has no library of signatures.
WITHOUT_SIGNATURES = """
import json, sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "cryptography":
            raise ModuleNotFoundError("No module named 'cryptography'", name="cryptography")

sys.meta_path.insert(0, Missing())

from pathlib import Path
from starlette.testclient import TestClient
from clauseway.app.opening.home import Home
from clauseway.app.opening.several import open_agreements
from clauseway.app.running.pages_process import HomePages
from clauseway.gateway.plan.clock import system_clock
from clauseway.web.pages import create_app

home, given = Home(Path(sys.argv[1])), json.load(sys.stdin)
source = HomePages(home, open_agreements([]), system_clock, "http://127.0.0.1/v1")
with TestClient(create_app(source, hosts=["*"]), raise_server_exceptions=False) as pages:
    screen = pages.get("/auditor")
    shown = [pages.post("/auditor/handed", data=each) for each in given]
    print(json.dumps([[answer.status_code, answer.text] for answer in (screen, *shown)]))
"""


def test_without_a_library_of_signatures_all_but_signatures_is_shown(home: Home, signed: tuple[str, str]) -> None:
    statement, signatures = signed
    given = [{"statement": statement, "signatures": ""}, {"statement": statement, "signatures": signatures}]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_SIGNATURES, str(home.root)],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    screen, alone, with_signatures = json.loads(done.stdout)
    assert screen[0] == 200
    assert "SHA256:" in screen[1], "the trusted keys"
    assert "repeats to the byte" in alone[1]
    assert with_signatures[0] == 200
    assert "pip install 'clauseway[signing]'" in html.unescape(with_signatures[1])


def test_books_that_were_edited_are_told_to_be(client: TestClient, home: Home, tmp_path: Path) -> None:
    assert "as they were written" in client.get("/auditor/check/books").text
    with sqlite3.connect(home.control) as books:
        books.execute("UPDATE settlements SET receipt = receipt || 'x' WHERE sequence = 2")
    page = client.get("/auditor/check/books").text
    assert "not as they were written" in page


def test_books_whose_log_was_begun_again_say_what_was_broken_before(tmp_path: Path) -> None:
    home = settled_book.make(tmp_path / "home")
    with closing(sqlite3.connect(home.embedded_control)) as books, books:
        books.execute("DELETE FROM audit_log WHERE sequence = 2")
    restart_log(home, "a bad disk")
    shown = check_page(home, open_agreements([]), "books")
    assert shown is not None
    assert (shown.holds, shown.said) == (False, "not as they were written")
    assert any("log row 2 is missing" in remark for remark in shown.remarks)


def test_the_log_is_folded_by_day_the_latest_open_if_it_is_short(client: TestClient) -> None:
    page = client.get("/auditor").text
    days = re.findall(r'<details class="fine log-day" id="log-(\S+)"( open)?><summary>([^:]+): (\d+) entr', page)
    assert [day for day, *_ in days] == sorted({day for day, *_ in days}, reverse=True)
    assert [bool(is_open) for _, is_open, *_ in days] == [int(days[0][3]) <= 12, *[False] * (len(days) - 1)]
    listed = page[page.index('id="log"') : page.index('id="facts"')]
    assert sum(int(count) for *_, count in days) == listed.count('<th scope="row">')


def test_a_withdrawn_key_says_who_withdrew_it_and_when(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAUSEWAY_KEYS", str(tmp_path / "keys"))
    home = Home(tmp_path / "home").make()
    create_key(home, "openai")
    [public] = trusted_keys(home)["openai"]
    withdraw_key(home, "openai", public, "it leaked")
    page = pages_client(home).get("/auditor").text
    assert re.search(rf"OpenAI <code>\S+</code> withdrawn by {acting()} on \d+ \w+ \d{{4}}: it leaked", page)


def test_launches_say_the_result_in_a_sentence(client: TestClient) -> None:
    page = client.get("/auditor/launches").text
    verdict = r'<p class="verdict \w+">(No breach was found|One breach was found|[\d,]+ breaches were found)'
    assert re.search(verdict + r"(; [\d,]+ of [\d,]+ products cannot be told| among [\d,]+ products?)\.</p>", page)


def test_a_check_says_by_how_much_a_line_differs_and_which_estimates_it_has() -> None:
    line = LineCheck(
        line="8k0ptevr",
        of="gpt-5.5 on aws",
        stated=Decimal("1.20"),
        verdict=DIFFERS,
        differs_by=Decimal("-0.20"),
        because="",
    )
    lost = Assumption(
        name="lost-1", value="3.50 USD", standing=ESTIMATED, text="Usage that was lost.", source="", accepted=True
    )
    done = StatementVerification(
        period="2026-05",
        party="",
        digest="d1",
        same=False,
        differences=(),
        remarks=(),
        lines=(line,),
        estimates=(lost,),
    )
    page = statement_check(Wording.of(each_of(open_agreements([]))), done, "clauseway statement verify 2026-05")
    assert page.lines == (("8k0ptevr", "gpt-5.5 on AWS 1.20", "differs by -0.20"),)
    assert page.remarks == ("Digest d1.", "lost-1 = 3.50 USD: Usage that was lost.")

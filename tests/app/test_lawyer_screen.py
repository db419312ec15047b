"""The lawyer's screen over the built-in agreement: it answers as `decide` does, and its links ask what they say."""

import html
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from clauseway.app.agreements.comparing import compare_sides
from clauseway.app.opening.home import Home
from clauseway.app.opening.several import each_of, open_agreements
from clauseway.app.running.pages_process import HomePages
from clauseway.gateway.plan.clock import system_clock
from clauseway.web import create_app
from clauseway.web.lawyer import QUESTION_QUERY

OPENED = open_agreements([])
ASKED = {"action": "serve", "party": "openai", "product": "gpt-5.5", "cloud": "aws"}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """The pages of an empty home."""
    home = Home(tmp_path_factory.mktemp("home"))
    with TestClient(create_app(HomePages(home, OPENED, system_clock, "http://127.0.0.1/v1"), hosts=["*"])) as pages:
        yield pages


def verdict(page: str) -> str:
    [said] = re.findall(r'class="verdict \w+">([^<]*)<', page)
    return str(said)


QUESTIONS = [
    (ASKED | {"as_of": "2026-04-26"}, "forbidden", "A4.md, line 20"),
    (ASKED | {"as_of": "2026-04-27"}, "permitted", "A5.md, line 24"),
    (ASKED | {"as_of": "2026-05-01", "product": "new-model"}, "conditional", "A5.md, line 51"),
    (ASKED | {"as_of": "2026-05-01", "known_at": "2026-03-31"}, "forbidden", "A4.md, line 20"),
    (
        {"action": "share-revenue", "party": "openai", "to": "microsoft", "as_of": "2027-01-01"},
        "due",
        "A5.md, line 149",
    ),
]


@pytest.mark.parametrize(("asked", "said", "place"), QUESTIONS)
def test_a_question_is_answered_in_a_word_beside_its_clause(
    client: TestClient, asked: dict[str, str], said: str, place: str
) -> None:
    page = client.get("/lawyer", params=asked).text
    assert verdict(page) == said
    assert f">{place}</a>" in page


def test_its_form_has_a_field_for_every_part_of_a_question(client: TestClient) -> None:
    fields = set(re.findall(r'<(?:select|input)[^>]* name="([^"]+)"', client.get("/lawyer", params=ASKED).text))
    assert fields == set(QUESTION_QUERY)


def test_what_it_says_would_change_the_answer_changes_it_so(client: TestClient) -> None:
    page = client.get("/lawyer", params=ASKED | {"as_of": "2026-05-01", "product": "new-model"}).text
    ways = re.findall(r'class="button" href="([^"]*)">.*?<b class="outcome \w+">([^<]*)</b>', page)
    assert {said for _, said in ways} >= {"permitted", "forbidden"}
    for address, said in ways:
        assert verdict(client.get(html.unescape(address)).text) == said, address


def test_its_link_asks_the_same_again(client: TestClient) -> None:
    page = client.get("/lawyer", params=ASKED).text
    receipt, link = r"Receipt <code>([^<]*)</code>", r'href="([^"]*)">The link to this answer'
    [address] = re.findall(link, page)
    again = client.get(html.unescape(address)).text
    assert re.findall(receipt, again) == re.findall(receipt, page)
    assert re.findall(link, again) == [address]


def test_asked_nothing_it_answers_what_the_agreement_is_about(client: TestClient) -> None:
    page = client.get("/lawyer").text
    assert "OpenAI serves" in page
    assert verdict(page) == "permitted"


# What is typed · the field that it is wrong in · what is said there
MISTAKES = [
    ({"party": "opnai"}, "party", "Did you mean"),
    ({"product": "<b>x</b>"}, "product", "Unknown name"),
    ({"cloud": "moon"}, "cloud", "Unknown name"),
    ({"as_of": "2026-13-01"}, "as_of", "is not a day"),
    ({"known_at": "soon"}, "known_at", "is not a day"),
    ({"reading": "R1=perhaps"}, "reading-R1", "perhaps"),
    ({"reading": "R9=or"}, "reading-unknown-1", "R9"),
    ({"suppose": "milestone"}, "suppose-1", "milestone"),
    ({"action": "borrow"}, "action", "Unknown name"),
]


@pytest.mark.parametrize(("typed", "field", "said"), MISTAKES)
def test_a_mistake_stays_in_its_field_which_says_so(
    client: TestClient, typed: dict[str, str], field: str, said: str
) -> None:
    page = client.get("/lawyer", params=ASKED | typed)
    assert page.status_code == 200
    assert 'class="verdict' not in page.text
    [problem] = re.findall(rf'id="problem-{field}">([^<]*)<', page.text)
    assert said in html.unescape(problem)
    [value] = typed.values()
    assert f'value="{html.escape(value)}"' in page.text
    assert "<b>x</b>" not in page.text


def test_every_place_that_is_cited_opens_its_clause(client: TestClient) -> None:
    cited = {
        (term.citation.document, term.citation.line)
        for asked in each_of(OPENED)
        for amendment in asked.agreement.amendments
        for term in amendment.terms
    }
    for document, line in sorted(cited):
        page = client.get("/text", params={"document": document, "line": line}).text
        [named] = re.findall(r'<section id="named".*?</section>', page, re.DOTALL)
        assert "<pre" in named, (document, line)


@pytest.mark.parametrize("document", ["", "A9.md", "../../etc/passwd", "<script>"])
def test_a_document_that_is_none_is_not_found(client: TestClient, document: str) -> None:
    answer = client.get("/text", params={"document": document, "line": "²"})
    assert answer.status_code == 404
    assert "no such document" in answer.text


def test_a_line_that_is_none_marks_nothing(client: TestClient, tmp_path: Path) -> None:
    answer = client.get("/text", params={"document": "A4.md", "line": "²"})
    assert answer.status_code == 200
    assert 'id="named"' not in answer.text


def test_two_amendments_are_compared_as_the_command_compares_them(client: TestClient) -> None:
    page = client.get("/lawyer/compare", params={"before": "A4", "after": "A5"}).text
    comparison = compare_sides(OPENED, ["A4", "A5"], (), (), {})
    for group in comparison.groups:
        assert html.escape(group.sentence) in page.replace("&#34;", "&quot;").replace("&#39;", "&#x27;")


def test_an_amendment_that_is_none_is_told_and_stays_in_its_field(client: TestClient) -> None:
    page = client.get("/lawyer/compare", params={"before": "A4", "after": "<b>A9</b>"}).text
    assert "there is no amendment" in page
    assert 'value="&lt;b&gt;A9&lt;/b&gt;" selected' in page
    assert "<b>A9" not in page

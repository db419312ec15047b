"""The lawyer's screen over the built-in agreement: it answers as `decide` does, and its links ask what they say."""

import html
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, expect
from starlette.testclient import TestClient

from clauseway.app.agreements.comparing import compare_sides
from clauseway.app.opening.home import Home
from clauseway.app.opening.several import each_of, open_agreements
from clauseway.app.running.pages_process import HomePages
from clauseway.gateway.plan.clock import system_clock
from clauseway.web.lawyer import QUESTION_QUERY
from clauseway.web.pages import create_app
from home_pages import pages_client
from served_pages import serving

OPENED = open_agreements([])
ASKED = {"action": "serve", "party": "openai", "product": "gpt-5.5", "cloud": "aws"}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """The pages of an empty home."""
    home = Home(tmp_path_factory.mktemp("home"))
    with pages_client(home) as pages:
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


@pytest.mark.parametrize("written", [str.upper, str.title, " {} ".format])
@pytest.mark.parametrize("part", ["party", "product", "cloud", "action"])
def test_an_address_takes_names_in_any_case(client: TestClient, part: str, written: Callable[[str], str]) -> None:
    asked = ASKED | {"as_of": "2026-04-26"}
    page = client.get("/lawyer", params=asked | {part: written(asked[part])}).text
    assert verdict(page) == "forbidden"
    link = r'href="([^"]*)">The link to this answer'
    pages = (page, client.get("/lawyer", params=asked).text)
    again, same = (re.sub("known_at=[^&]*", "", re.findall(link, each)[0]) for each in pages)
    assert again == same


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


# The typed text · the field that is wrong · the field's message
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


@pytest.mark.parametrize("address", ["/lawyer", "/auditor", "/auditor/launches"])
def test_of_several_agreements_every_link_opens_its_text(tmp_path: Path, address: str) -> None:
    several = open_agreements(["openai-microsoft", "anthropic-clouds"])
    pages = pages_client(Home(tmp_path).make(), several)
    links = {html.unescape(link) for link in re.findall(r'href="(/text[^"]*)"', pages.get(address).text)}
    assert links
    assert {link: pages.get(link).status_code for link in links} == dict.fromkeys(links, 200)


def test_the_first_document_opens_where_none_is_named(client: TestClient) -> None:
    answer = client.get("/text")
    assert (answer.status_code, "agreement.md" in answer.text) == (200, True)


def test_an_amendment_opens_under_its_title_and_days(client: TestClient) -> None:
    page = client.get("/text", params={"document": "A4.md"}).text
    assert "<h1>A4 The joint statement</h1>" in page
    assert "A4.md, announced on 27 February 2026, in effect from 27 February 2026" in page
    assert "<h1>facts.md</h1>" in client.get("/text", params={"document": "facts.md"}).text


@pytest.mark.parametrize("document", ["A9.md", "../../etc/passwd", "<script>"])
def test_a_document_that_is_none_is_not_found(client: TestClient, document: str) -> None:
    answer = client.get("/text", params={"document": document, "line": "²"})
    assert answer.status_code == 404
    assert "no such document" in answer.text


@pytest.mark.parametrize("line", ["²", "0", "9999", "x"])
def test_a_line_that_is_none_is_refused_and_none_marks_nothing(client: TestClient, line: str) -> None:
    answer = client.get("/text", params={"document": "A4.md", "line": line})
    assert (answer.status_code, "A4.md has " in answer.text) == (400, True)
    assert 'id="named"' not in client.get("/text", params={"document": "A4.md"}).text


# The question's address · what its fields say
UNFINISHED = [
    ("product=gpt-5.5&cloud=aws", "No name is given: the question needs one. Known: amazon,"),
    ("party=openai&action=share-revenue", "Name the other party with “to”."),
]


@pytest.mark.parametrize(("asked", "said"), UNFINISHED)
def test_a_field_says_what_to_do_in_the_words_of_the_form(client: TestClient, asked: str, said: str) -> None:
    page = client.get(f"/lawyer?{asked}").text
    assert said in page
    assert "unknown name" not in page.lower()
    assert not re.search(r'class="problem"[^>]*>[^<]*--', page)


def test_two_amendments_are_compared_as_the_command_compares_them(client: TestClient) -> None:
    page = client.get("/lawyer/compare", params={"before": "A4", "after": "A5"}).text
    comparison = compare_sides(OPENED, ["A4", "A5"], (), (), {})
    said = " ".join(html.unescape(re.sub(r"<[^>]+>", "", page)).split())
    for group in comparison.groups:
        assert " ".join(group.sentence.split()) in said
    assert page.index("combinations are answered otherwise") < page.index('<ol class="plain-words">')
    assert '<b class="outcome forbidden">forbidden</b> → <b class="outcome permitted">permitted</b>' in page


def test_an_amendment_that_is_none_is_told_and_stays_in_its_field(client: TestClient) -> None:
    page = client.get("/lawyer/compare", params={"before": "A4", "after": "<b>A9</b>"}).text
    assert "There is no amendment" in page
    assert 'value="&lt;b&gt;A9&lt;/b&gt;" selected' in page
    assert "<b>A9" not in page


# -- both clocks


def test_the_question_is_drawn_over_time_with_the_points_of_knowledge(client: TestClient) -> None:
    page = client.get("/lawyer", params=ASKED | {"as_of": "2026-04-26", "known_at": "2026-03-31"}).text
    drawn = page.partition('data-part="timeline"')[2].partition('id="sliders"')[0]
    bars = re.findall(r"<title>([^<]*)</title>", drawn)
    assert any("forbidden, " in html.unescape(bar) for bar in bars)
    assert not any("permitted, " in html.unescape(bar) for bar in bars), "A5 was not known then"
    points = re.findall(r'<li data-value="([^"]*)">([^<]*)</li>', page)
    assert points[-1] == ("", "now")
    assert any(label.startswith("27 April 2026: A5") for _, label in points)
    latest = max(place for place, (day, _) in enumerate(points) if day and day <= "2026-03-31")
    assert f'id="slide-known-at" min="0" max="{len(points) - 1}" value="{latest}"' in page


def test_where_nothing_was_known_nothing_is_stated_on_any_day(client: TestClient) -> None:
    page = client.get("/lawyer", params=ASKED | {"as_of": "2026-05-01", "known_at": "0001-01-01"})
    assert page.status_code == 200
    drawn = page.text.partition('data-part="timeline"')[2].partition('id="sliders"')[0]
    bars = [html.unescape(bar) for bar in re.findall(r"<title>([^<]*)</title>", drawn)]
    assert [bar for bar in bars if re.search("permitted|forbidden|conditional", bar)] == []
    assert any("unstated" in bar for bar in bars)


def test_below_an_answer_stand_the_terms_of_its_day(client: TestClient) -> None:
    before, after = (
        client.get("/lawyer", params=ASKED | {"as_of": day}).text.partition("The agreement on")[2]
        for day in ("2025-06-01", "2026-05-01")
    )
    assert before.lstrip().startswith("1 June 2025")
    assert "across any cloud" in after
    assert "across any cloud" not in before


def years_drawn(page: str) -> list[int]:
    return [int(year) for year in re.findall(r'<text class="year[^>]*>(\d{4})<', page)]


def test_the_picture_holds_the_day_that_is_asked_for_and_some_years_after_it(client: TestClient) -> None:
    for day, first, last in [
        ("2026-05-01", 2023, 2030),
        ("2035-05-01", 2023, 2039),
        ("2020-05-01", 2020, 2026),
        ("2999-05-01", 2023, 2026),
        ("0001-01-01", 2023, 2026),
    ]:
        years = years_drawn(client.get("/lawyer", params=ASKED | {"as_of": day}).text)
        assert (years[0], years[-1]) == (first, last), day


def test_now_is_the_last_point_of_knowledge_also_where_it_is_named(client: TestClient) -> None:
    for known_at in ("", "2026-11-01"):
        page = client.get("/lawyer", params=ASKED | {"as_of": "2026-05-01", "known_at": known_at}).text
        [(most, present)] = re.findall(r'id="slide-known-at" min="0" max="(\d+)" value="(\d+)"', page)
        assert present == most


def test_people_read_seconds_and_the_link_keeps_every_digit(client: TestClient) -> None:
    page = client.get(
        "/lawyer", params=ASKED | {"as_of": "2026-05-01", "known_at": "2026-05-02T10:00:00.123456789Z"}
    ).text
    assert "as known on 2 May 2026, 10:00:00 UTC</p>" in page
    assert "known_at=2026-05-02T10%3A00%3A00.123456789Z" in page


def test_a_reading_is_switched_and_switched_back(client: TestClient) -> None:
    def switches(page: str) -> dict[str, tuple[str, bool]]:
        matches = re.findall(r'<a class="button" href="([^"]*)"( aria-current="true")?>([^<]*)</a>', page)
        return {label: (html.unescape(address), bool(chosen)) for address, chosen, label in matches}

    asked = client.get("/lawyer", params=ASKED | {"as_of": "2026-04-26"}).text
    assert (switches(asked)["a4 (usual)"][1], switches(asked)["a3"][1]) == (True, False)
    read_otherwise = client.get(switches(asked)["a3"][0]).text
    assert (switches(read_otherwise)["a4 (usual)"][1], switches(read_otherwise)["a3"][1]) == (False, True)
    back = client.get(switches(read_otherwise)["a4 (usual)"][0]).text
    assert switches(back)["a4 (usual)"][1]


@pytest.mark.browser
def test_a_clock_is_slid_by_keyboard_and_the_answer_follows(browser: Browser, tmp_path: Path) -> None:
    pages = HomePages(Home(tmp_path / "home"), OPENED, system_clock, "http://127.0.0.1/v1")
    with serving(create_app(pages)) as url:
        context = browser.new_context()
        page = context.new_page()
        errors: list[str] = []
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.goto(f"{url}/lawyer?{urlencode(ASKED | {'as_of': '2026-04-26'})}")
        expect(page.locator(".verdict")).to_have_text("forbidden")
        slider = page.get_by_label("On 26 April 2026", exact=True)
        slider.focus()
        page.keyboard.press("ArrowRight")
        expect(page.locator(".verdict")).to_have_text("permitted")
        expect(page.get_by_label("On 27 April 2026", exact=True)).to_be_focused()
        expect(page.locator("#field-as_of")).to_have_value("2026-04-27")
        expect(page).to_have_url(re.compile("as_of=2026-04-27"))
        page.get_by_label("As known at").focus()
        page.keyboard.press("Home")
        expect(page.locator(".verdict")).to_have_text("forbidden")
        assert errors == []
        context.close()

"""Every page that people read, from the home of the night: no identifier stands where a person expects a name.

The night (`clauseway up`) leaves two settled months and a running gateway. A walk follows every link from the first
page; forms are sent as their readers would. Text in `<code>`, `<pre>` and fields is there to be copied and stays raw.
"""

import io
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple
from urllib.error import HTTPError
from urllib.parse import parse_qsl, urlencode, urlsplit
from urllib.request import urlopen

import pytest

from clauseway.app.books.basis import basis_of
from clauseway.app.books.handing_over import ExportScope, focus_bill, print_focus
from clauseway.app.opening.home import Home
from clauseway.app.opening.library import open_agreement
from clauseway.exchange.focus.bill import bill_columns
from clauseway.values import KnownAt
from clauseway.web.page import WebPage
from clauseway.web.page_list import PAGES, PageSource
from in_process import run

CLAUSEWAY = Path(sys.executable).parent / "clauseway"
DRAFT = """---
id: A6
title: The share is over
announced: 2026-04-28
effective: 2026-04-29
sources: [P]
---

# A6

## 1 The share is over

OpenAI pays Microsoft no share any more.

```yaml change
id: A6.ends
ends: [A5.share-openai-microsoft]
source: [P]
```
"""
DECIDED = (
    *("--action", "serve", "--party", "openai", "--product", "gpt-5.5", "--cloud", "aws"),
    *("--as-of", "2026-03-15", "--known-at", "2026-06-01", "--suppose", "milestone=2026-03-01"),
)
# Values that the engineer's screen shows beside the night's requests.
GIVEN_TO_CUSTOMERS = (
    "budget set --organisation openai-customer --project night --cloud aws --amount 100",
    "key create --organisation openai-customer --project night --seller openai --expires 2099-01-01",
)
# A word of each form's answer, where the answer could be read.
ANSWERED = {
    "/finance/bill": "does not agree",
    "/lawyer/draft": "what is answered otherwise",
    "/auditor/decision": "repeats",
    "/auditor/handed": "repeats to the byte",
}
# A term or a change by its identifier; those of the draft stand in no document.
TERM = re.compile(r"\bA\d\.(?!md\b)[a-z][\w-]*")
DRAFTED = {"A6.ends"}
# Behind the address of a form's answer.
SENT = " sent"
# Pages alike but for their subject, of which so many are read.
ALIKE_MAX = 4
TO_COPY = {"script", "style", "head", "code", "pre", "textarea"}
WITHOUT_END = {"meta", "link", "br", "input", "hr", "img", "col"}
INLINE = {"a", "b", "span", "q", "time", "strong", "em", "output", "code", "i", "tspan"}
READ_ALOUD = ("aria-label", "title", "alt")
NAMES = "|".join(
    sorted(map(re.escape, open_agreement().catalog.parties | open_agreement().catalog.clouds), reverse=True)
)
# Hyphenated words that a reader knows: names that the operator of the night gave, a client's name, and
# a word of a source's passage. The agreement's own are read from it.
GIVEN = {
    *("openai-direct", "azure-openai", "bedrock-mantle", "openai-customer", "microsoft-customer"),
    *("openai-python", "non-exclusive"),
}
# Raw values that a person should not have to read, and the pattern of each.
RAW = {
    "a party or a cloud by its identifier": rf"(?<![\w.:/-])(?:{NAMES})(?![\w/-]|[.:]\w)",
    "names with signs between them": r"(?<![\w.])[a-z][\w-]*[:/][a-z][\w-]*(?:[:/][\w.-]+)*",
    "an instant as a file writes it": r"\b\d{4}-\d\d-\d\dT\d\d",
    "a day as a file writes it": r"(?<![\w=/-])\d{4}-\d\d-\d\d(?![\w-])",
    "a month as a file writes it": r"(?<![\w=/-])\d{4}-\d\d(?![\w-])",
    "a field by its identifier": r"\b(?!req_)[a-z]+_[a-z_]+\b",
    "a fact as a command takes it": r"\w=\d{4}-\d\d-\d\d",
    "a field of a record": r"\bsigned\.\w+",
    "nothing by the name that Python gives it": r"\bNone\b",
    "a brace": r"[{}]",
}


# A word of the language (`data-centre`), a name of the agreement (`managed-agents`), or an identifier of ours.
HYPHENATED = re.compile(r"(?<![\w.:/-])[a-z]+(?:-[a-z]+)+(?![\w/-])")


def words_of_the_agreement() -> set[str]:
    """The hyphenated words of the agreement's text, and the names that it defines."""
    opened = open_agreement()
    agreement, catalog = opened.agreement, opened.catalog
    written = [
        *(re.sub(r"```.*?```", "", text, flags=re.DOTALL) for text in opened.documents.values()),
        *agreement.sources.values(),
        *(reading.citation.text for reading in agreement.readings.values()),
    ]
    options = {option for reading in agreement.readings.values() for option in reading.options}
    return {*HYPHENATED.findall("\n".join(written)), *catalog.products, *catalog.classes, *catalog.segments, *options}


class VisibleText(HTMLParser):
    """The texts of a page as a person reads or hears them, one for each block; and the addresses of its links."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        # Those of them with a link to the agreement's text.
        self.citing: list[str] = []
        self.links: list[str] = []
        self._open: list[str] = []
        self._text, self._cites = "", False
        self.feed(page)
        self._ended()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag not in INLINE:
            self._ended()
        if tag == "a":
            self.links.append(given.get("href", ""))
            self._cites |= self.links[-1].startswith("/text?")
        self.texts += [given[name] for name in READ_ALOUD if given.get(name)]
        if tag not in WITHOUT_END:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass
        if tag not in INLINE:
            self._ended()

    def handle_data(self, data: str) -> None:
        if TO_COPY.isdisjoint(self._open):
            self._text += data

    def _ended(self) -> None:
        if text := " ".join(self._text.split()):
            self.texts.append(text)
            self.citing += [text] * self._cites
        self._text, self._cites = "", False


def kind(address: str) -> str:
    """An address without its subject, and the names of its query."""
    parts = urlsplit(address)
    for page in sorted(PAGES, key=lambda page: "{" in page.path):
        if re.fullmatch(re.sub(r"{\w+}", "[^/]+", page.path), parts.path):
            return " ".join([page.path, *dict(parse_qsl(parts.query))])
    return ""


def read(address: str, form: Mapping[str, str] | None = None) -> str:
    try:
        with urlopen(address, urlencode(form).encode() if form else None, timeout=60) as answer:
            page: str = answer.read().decode()
    except HTTPError as error:
        page = error.read().decode()
    return page


def raw_in(texts: list[str]) -> Iterator[str]:
    known = GIVEN | words_of_the_agreement()
    for text in texts:
        for word in set(HYPHENATED.findall(text)) - known:
            yield f"an identifier of ours, {word!r}: {text[:200]}"
        for what, looks in RAW.items():
            if match := re.search(looks, text):
                yield f"{what}, {match[0]!r}: {text[:200]}"


class Night(NamedTuple):
    """The address of the pages once the night is settled, and the home behind them."""

    address: str
    home: Home


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    command = [str(CLAUSEWAY), "up", "--home", str(tmp_path_factory.mktemp("night"))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as up:
        assert up.stdout is not None
        printed = ""
        while "Ctrl-C" not in printed and (line := up.stdout.readline()):
            printed += line
        address, home = re.search(r"Open (http://\S+)/", printed), re.search(r"data is in (\S+):", printed)
        assert address is not None, printed
        assert home is not None, printed
        for given in GIVEN_TO_CUSTOMERS:
            done = run(*given.split(), home=Path(home[1]))
            assert done.returncode == 0, done.stderr
        yield Night(address[1], Home(Path(home[1])))
        up.send_signal(signal.SIGINT)


def forms_of(night: Night) -> dict[str, dict[str, str]]:
    """Return the forms that the readers send, by the page that they send them to."""
    basis = basis_of(night.home)
    agreement, prices = open_agreement(), basis.prices(KnownAt.everything())
    bill = focus_bill(night.home, agreement, prices, ExportScope(period="2026-04", party=""))
    explained = run("decide", *DECIDED, "--json").stdout
    statement = read(f"{night.address}/download/statement/2026-05/json")
    written = io.StringIO(newline="")
    print_focus([*bill, next(iter(bill))], bill_columns(), "csv", written)
    return {
        "/finance/bill": {"bill": written.getvalue()},
        "/lawyer/draft": {"draft": DRAFT},
        "/auditor/decision": {"receipt": explained},
        "/auditor/handed": {"statement": statement},
    }


def of_kind(page: WebPage[PageSource], pages: Mapping[str, VisibleText]) -> list[tuple[str, VisibleText]]:
    return [
        (address, read_there)
        for address, read_there in pages.items()
        if kind(address.removesuffix(SENT)).partition(" ")[0] == page.path
    ]


@pytest.fixture(scope="module")
def pages(night: Night) -> dict[str, VisibleText]:
    """Return the text that a person reads on each page, by its address."""
    texts: dict[str, VisibleText] = {}
    alike: Counter[str] = Counter()
    ahead = [page.path for page in PAGES if "{" not in page.path]
    while ahead:
        address = ahead.pop(0).partition("#")[0]
        if address in texts or not kind(address) or alike[kind(address)] == ALIKE_MAX:
            continue
        alike[kind(address)] += 1
        page = VisibleText(read(night.address + address))
        texts[address] = page
        ahead += page.links
    for address, form in forms_of(night).items():
        texts[address + SENT] = VisibleText(read(night.address + address, form))
    return texts


def test_the_walk_comes_to_every_page_and_each_form_is_answered(pages: dict[str, VisibleText]) -> None:
    assert {kind(address.removesuffix(SENT)).partition(" ")[0] for address in pages} == {page.path for page in PAGES}
    for address, answered in ANSWERED.items():
        texts = pages[address + SENT].texts
        assert any(answered in text for text in texts), texts


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_says_in_words_what_it_shows(page: WebPage[PageSource], pages: dict[str, VisibleText]) -> None:
    raw = [
        f"{address}: {problem}" for address, read_there in of_kind(page, pages) for problem in raw_in(read_there.texts)
    ]
    assert raw == []


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "text"], ids=lambda page: page.name)
def test_every_clause_that_a_page_names_opens_its_text(
    page: WebPage[PageSource], pages: dict[str, VisibleText]
) -> None:
    for address, read_there in of_kind(page, pages):
        named, opened = (set(TERM.findall(" ".join(each))) for each in (read_there.texts, read_there.citing))
        assert named - opened == DRAFTED & named, address


def test_launches_name_their_clause_and_open_the_facts_of_its_agreement(pages: dict[str, VisibleText]) -> None:
    launches = pages["/auditor/launches"]
    assert "A5.ship-first" in TERM.findall(" ".join(launches.citing))
    assert any(re.match(r"/text\?document=facts\.md&line=\d+#named", link) for link in launches.links)

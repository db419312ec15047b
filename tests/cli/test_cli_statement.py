"""A statement in every format, opened line by line, repeated, signed and disputed: on two months made by hand."""

import base64
import csv
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from datetime import date
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import msgspec
import pypdf
import pytest
from bench.price_tables import open_prices
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pypdf.generic import BooleanObject, DictionaryObject
from rich.console import Console

import settled_book
from clauseway.app.books.basis import change_prices
from clauseway.app.books.settled import statement
from clauseway.app.books.settling import settle_month
from clauseway.app.opening.home import Home
from clauseway.app.opening.library import built_in_documents, open_agreement
from clauseway.app.reports.handed_statements import CANNOT_BE_CHECKED, DIFFERS, THE_SAME, LineCheck
from clauseway.app.reports.statement_formats import FORMATS
from clauseway.app.reports.statements import statement_context
from clauseway.app.reports.verifying import verify_statement
from clauseway.cli.money.statement_text import print_statement
from clauseway.cli.money.trace_text import _which_requests
from clauseway.ledger import Statement
from clauseway.values import InvalidInput
from clauseway.web.contexts import DueLine, StatementContext, StatementSection
from clauseway.web.documents import statement_html
from clauseway.web.pdf import statement_pdf
from database_connections import connections_made
from in_process import answer, run
from metered_months import BOOK, IN, MILLION, OUT, SOLD, Sold, assumed, metered_home
from work_done import calls_in

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Two settled months that no test changes."""
    return settled_book.make(tmp_path_factory.mktemp("book") / "home")


@pytest.fixture
def own(book: Home, tmp_path: Path) -> Home:
    """A copy to change."""
    return Home(Path(shutil.copytree(book.root, tmp_path / "own")))


@pytest.fixture(autouse=True)
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CLAUSEWAY_KEYS", str(tmp_path / "keys"))
    return tmp_path / "keys"


# Commands that read several parts of a home's books.
OF_THE_BOOKS = [
    ("settle", "--period", "2026-04"),
    ("settle", "--period", "2026-04", "--under", "A3"),
    ("statement", "--period", "2026-04"),
    ("basis",),
    ("price", "gpt-5.4", "--cloud", "azure"),
    ("export", "focus", "--period", "2026-04"),
    ("books", "credit", "--id", "note", "--request", settled_book.request(1), "--reason", "late"),
]


@pytest.mark.parametrize("words", OF_THE_BOOKS, ids=" ".join)
def test_a_command_opens_the_database_once(own: Home, words: tuple[str, ...]) -> None:
    """To open it takes SQLite and SQLAlchemy three milliseconds: a settlement opened it sixteen times."""
    with connections_made() as made:
        done = run(*words, home=own.root)
    assert done.returncode == 0, done.stderr
    assert len(made) == 1


def printed(home: Home, *arguments: str, code: int = 0) -> str:
    done = run("statement", *arguments, "--home", str(home.root))
    assert done.returncode == code, done.stderr + done.stdout
    return done.stdout


def told(home: Home, *arguments: str, code: int = 0) -> Any:
    return answer("statement", *arguments, "--home", str(home.root), code=code)


def written(home: Home, path: Path, *arguments: str, period: str = "2026-05") -> Path:
    printed(home, "--period", period, "--out", str(path), *arguments)
    return path


# Formats


# Assumptions of the statement of May, as people read them.
ASSUMED = "cap = USD 38,000,000,000 (reported) · share OpenAI Microsoft = 20 % (reported)"


def test_every_format_says_the_same(book: Home) -> None:
    stated = json.loads(printed(book, "--period", "2026-05", "--party", "microsoft", "--format", "json"))
    rows = list(csv.DictReader(io.StringIO(printed(book, "--period", "2026-05", "--format", "csv"))))
    may = statement(book, "2026-05", "microsoft")
    assert may is not None
    sheets = [" ".join(page.extract_text().split()) for page in pypdf.PdfReader(io.BytesIO(FORMATS["pdf"](may))).pages]
    texts = {"pdf": " ".join(sheets), "html": FORMATS["html"](may).decode()}
    texts["terminal"] = " ".join(printed(book, "--period", "2026-05", "--party", "microsoft").split())
    assert [(row["line"], D(row["base_usd"]), D(row["amount_usd"])) for row in rows] == [
        (line["id"], D(line["base"]), D(line["amount"])) for line in stated["lines"]
    ]
    for line in stated["lines"]:
        base = f"{D(line['base']).normalize():f}".ljust(4, "0")
        for kind, text in texts.items():
            for part in (line["id"], line["amount"], base, "A5.md"):
                assert part in text, f"{kind} lacks {part}"
    for name, text in texts.items():
        assert stated["receipt"][:12] in text, name
    for number, sheet in enumerate(sheets, 1):
        assert f"Assumed: {ASSUMED}" in sheet, number
    for name, text in texts.items():
        # The receipt repeats what commands take; everything else is prose.
        read = re.sub(r"<[^>]+>", " ", text.partition("<body")[2] or text)
        prose = re.split(r"\breceipt\b", read, flags=re.IGNORECASE)[0]
        assert ASSUMED in prose, name
        assert re.findall(r"USD \d{4,}|(?<![\w.-])\d{4}-\d\d-\d\d", prose) == [], name


def test_lines_sum_to_the_totals(book: Home) -> None:
    for period in ("2026-04", "2026-05"):
        stated = json.loads(printed(book, "--period", period, "--format", "json"))
        for direction in stated["directions"]:
            pair = direction["payer"], direction["payee"]
            lines = [D(line["amount"]) for line in stated["lines"] if (line["payer"], line["payee"]) == pair]
            assert sum(lines, D(0)) == D(direction["total"])


def test_the_pdf_is_whole(book: Home) -> None:
    april = statement(book, "2026-04")
    assert april is not None
    reader = pypdf.PdfReader(io.BytesIO(FORMATS["pdf"](april)))
    assert reader.metadata is not None
    assert reader.metadata.title == "Statement of April 2026"
    assert reader.metadata.creation_date is None
    assert "/StructTreeRoot" in reader.root_object  # tagged, for those who hear it
    # It says that it is PDF/UA-1 (ISO 14289-1); Typst writes it so or not at all.
    assert reader.xmp_metadata is not None
    assert b"<pdfuaid:part>1</pdfuaid:part>" in reader.xmp_metadata.stream.get_data()
    preferences = reader.root_object["/ViewerPreferences"]
    assert isinstance(preferences, DictionaryObject)
    assert preferences["/DisplayDocTitle"] == BooleanObject(True)


def test_a_statement_that_assumes_nothing_has_no_heading_for_assumptions(book: Home) -> None:
    april = statement(book, "2026-04")
    assert april is not None
    for assumptions, is_headed in ((april.assumptions, True), ((), False)):
        context = statement_context(msgspec.structs.replace(april, assumptions=assumptions))
        printed_text = io.StringIO()
        print_statement(Console(file=printed_text, width=200), context)
        pdf = pypdf.PdfReader(io.BytesIO(statement_pdf(context)))
        texts = [printed_text.getvalue(), statement_html(context), "".join(page.extract_text() for page in pdf.pages)]
        assert [bool(re.search("Assumptions|ASSUMPTIONS", text)) for text in texts] == [is_headed] * 3


def test_names_are_data_in_the_pdf_and_the_page() -> None:
    """A name that means something to the typesetter, or to a browser, is printed as it stands."""
    from_agreement = '#panic("x") *bold* $x$ <script>alert(1)</script> [link] \\ // @ref'
    sample = statement_saying(from_agreement)
    text = pypdf.PdfReader(io.BytesIO(statement_pdf(sample))).pages[0].extract_text()
    assert " ".join(from_agreement.split()) in " ".join(text.split())
    assert "<script>alert" not in statement_html(sample)


@pytest.mark.parametrize(
    ("text", "missing"), [("Zwölf · Δώδεκα · Двенадцать · ≤ 5 % → €", ""), ("Share of 日本", "日")]
)
def test_a_pdf_has_all_of_a_text_or_is_refused(text: str, missing: str) -> None:
    sample = statement_saying(text)
    assert text in statement_html(sample)
    if not missing:
        assert text in pypdf.PdfReader(io.BytesIO(statement_pdf(sample))).pages[0].extract_text()
        return
    with pytest.raises(InvalidInput) as refused:
        statement_pdf(sample)
    (problem,) = refused.value.problems
    assert missing in problem.why
    assert "HTML" in problem.remedy


def test_the_pdf_and_the_page_say_the_days_of_a_section_and_of_each_payment() -> None:
    due = DueLine(
        label="OpenAI to Microsoft",
        through=date(2026, 6, 30),
        due=date(2026, 8, 14),
        amount="1.86",
        withheld="0.19",
        paid="1.67",
    )
    section = StatementSection(
        heading="openai pays microsoft",
        payer="openai",
        payee="microsoft",
        begin=date(2026, 5, 4),
        end=date(2026, 5, 18),
        lines=(),
        subtotal="1.86",
    )
    sample = msgspec.structs.replace(statement_saying("Statement"), calendar=(due,), sections=(section,))
    [sheet] = pypdf.PdfReader(io.BytesIO(statement_pdf(sample))).pages
    assert "May 2026 · amounts in USD" in sheet.extract_text()
    for text in (sheet.extract_text(), re.sub(r"<[^>]+>", " ", statement_html(sample))):
        said = " ".join(text.split())
        assert "14 August 2026 OpenAI to Microsoft, through 30 June 2026 1.86 0.19 1.67" in said
        assert "4 to 17 May 2026" in said


def statement_saying(text: str) -> StatementContext:
    return msgspec.convert(
        {
            "period": "2026-05",
            "title": text,
            "currency": "USD",
            "sections": [],
            "totals": [{"label": text, "amount": "1.00"}],
            "assumptions": [],
            "receipt": [],
            "digest": "5e" * 32,
            "assumed": text,
        },
        StatementContext,
    )


@pytest.mark.parametrize(
    ("library", "module", "arguments", "extra"),
    [
        ("typst", "clauseway.web.pdf", ("--period", "2026-05", "--format", "pdf"), "clauseway[documents]"),
        (
            "cryptography",
            "clauseway.app.books.party_keys",
            ("sign", "{may}", "--party", "openai"),
            "clauseway[signing]",
        ),
    ],
)
def test_without_its_library_a_command_says_what_to_install(
    book: Home,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    library: str,
    module: str,
    arguments: tuple[str, ...],
    extra: str,
) -> None:
    may = written(book, tmp_path / "may.json")
    for name in (module, "clauseway.app.reports.signing"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    for name in [name for name in sys.modules if name.partition(".")[0] == library]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    done = run("statement", *(argument.format(may=may) for argument in arguments), "--home", str(book.root))
    assert done.returncode == 3
    assert extra in done.stderr
    assert told(book, "--period", "2026-05")["lines"]


_ELSEWHERE = """
import hashlib, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import settled_book
from clauseway.app.books.settled import statement
from clauseway.app.reports.statement_formats import FORMATS
home = settled_book.make(Path({home!r}))
for name, write in FORMATS.items():
    print(name, hashlib.sha256(write(statement(home, "2026-05", "microsoft"))).hexdigest())
settled_book.stop()
"""


def test_another_process_in_another_place_writes_the_same_bytes(book: Home, tmp_path: Path) -> None:
    program = _ELSEWHERE.format(tests=str(ROOT / "tests"), home=str(tmp_path / "elsewhere"))
    environment = {**os.environ, "TZ": "Asia/Kathmandu", "LC_ALL": "de_DE.UTF-8", "PYTHONHASHSEED": "7"}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, env=environment, timeout=100
    )
    assert done.returncode == 0, done.stderr
    may = statement(book, "2026-05", "microsoft")
    assert may is not None
    here = {name: hashlib.sha256(write(may)).hexdigest() for name, write in FORMATS.items()}
    assert dict(line.split() for line in done.stdout.splitlines()) == here


def test_both_parties_name_a_line_alike(book: Home) -> None:
    openai, microsoft = (
        {line["id"]: line for line in told(book, "--period", "2026-04", "--party", party)["lines"]}
        for party in ("openai", "microsoft")
    )
    assert openai == microsoft
    assert len(openai) == 4


# Opening


def test_a_line_opens_down_to_its_requests(book: Home) -> None:
    trace = told(book, "explain", "yrg9d4g2")  # gpt-5.4 on azure, sold by OpenAI, from 27 April
    assert (D(trace["charged"]), trace["days"]) == (
        D("0.22"),
        [{"day": "2026-04-27", "requests": 1, "charged": "0.220000000000"}],
    )
    assert [(price["unit"], price["quantity"], D(price["usd_per_million"])) for price in trace["prices"]] == [
        ("cached_input_tokens", 80_000, D("0.25")),
        ("input_tokens", 20_000, D("2.5")),
        ("output_tokens", 10_000, D(15)),
    ]
    [request] = trace["requests"]
    assert request | {"units": []} == {
        "request_id": settled_book.request(4),
        "attempt": 1,
        "at": "2026-04-27T00:00:00Z",
        "organisation": "Contoso",
        "project": "search",
        "cloud": "azure",
        "region": "eastus2",
        "model": "gpt-5.4-2026-03-05",
        "upstream_id": "up-4",
        "decision": "d1",
        "terms": ["A1.licence", "A5.any-cloud"],
        "units": [],
        "charged": "0.220000000000",
        "share_before": None,
        "share_after": None,
    }
    headings = [_which_requests(*counts) for counts in ((1, 1), (1, 117), (6, 117))]
    assert headings == [
        "Requests, all of them",
        "One request of 117",
        "Requests, the first and the last 3 of 117; any other: --request ID",
    ]
    legs = [leg["amount"] for entry in trace["entries"] for leg in entry["postings"]]
    assert sorted(map(D, legs)) == [D("-0.04"), D("-0.04"), D("0.04"), D("0.04")]
    [clause] = trace["clauses"]
    assert (clause["citation"]["document"], clause["title"][:3]) == ("A5.md", "5.7")
    assert clause["text"].startswith("OpenAI pays Microsoft a share through 2030")
    assert trace["remarks"] == []


def test_a_line_shows_prices_in_other_currencies_in_dollars(tmp_path: Path) -> None:
    """2 EUR for input and 10 for output, at 1.10 and from 6 May at 1.20: a million each on two days, 13.20 + 14.40."""
    euros = "\n".join(f"{line},EUR" for line in BOOK.splitlines()[1:])
    header = BOOK.splitlines()[0].replace("usd_per_million", "per_million")
    units = {IN: MILLION, OUT: MILLION}
    sold = [Sold("2026-05-05", 1, 1, units), Sold("2026-05-06", 1, 1, units)]
    home = metered_home(tmp_path / "home", sold, f"{header},currency\n{euros}\n")
    rates = tmp_path / "rates.csv"
    rates.write_text("day,base,quote,rate\n2026-05-01,EUR,USD,1.10\n2026-05-06,EUR,USD,1.20\n")
    settled = answer("settle", "--period", "2026-05", *assumed(), "--rates", str(rates), home=home.root)
    trace = told(home, "explain", settled["lines"][0]["id"])
    assert D(trace["charged"]) == D("27.60")
    assert [
        (unit["unit"], D(unit["usd_per_million"]), D(unit["charged"]), unit["source"]) for unit in trace["prices"]
    ] == [
        ("input_tokens", D("2.20"), D("2.20"), "ours: EUR 2 at 1.1"),
        ("input_tokens", D("2.40"), D("2.40"), "ours: EUR 2 at 1.2"),
        ("output_tokens", D("11.00"), D("11.00"), "ours: EUR 10 at 1.1"),
        ("output_tokens", D("12.00"), D("12.00"), "ours: EUR 10 at 1.2"),
    ]
    for request in trace["requests"]:
        assert sum(D(unit["charged"]) for unit in request["units"]) == D(request["charged"])


# cent of the line's 0.14 | the request that earned it: 20 % of 0.22 is 0.044, then 20 % of 0.495 is 0.099
@pytest.mark.parametrize(
    ("cent", "number", "moved"), [(1, 8, "0.044"), (4, 8, "0.044"), (5, 9, "0.143"), (14, 9, "0.143")]
)
def test_a_cent_leads_to_its_request(book: Home, cent: int, number: int, moved: str) -> None:
    [request] = told(book, "explain", "2pa4zs7k", "--cent", str(cent))["requests"]
    assert request["request_id"] == settled_book.request(number)
    assert D(request["share_after"]) == D(moved)


def test_the_cent_that_rounding_gave_is_the_last_requests(book: Home) -> None:
    """72 cents of 20 % of 3.575, which is 0.715: the last half cent is nobody's own."""
    [request] = told(book, "explain", "bem8ag6t", "--cent", "72")["requests"]
    assert request["request_id"] == settled_book.request(5)


def test_what_came_later_is_remarked(own: Home) -> None:
    settled_book.seal(own, [(12, "05-02", 9, 1, 2, (1000, 0, 1000))])
    assert "usage came after it was settled" in told(own, "explain", "2pa4zs7k")["remarks"][0]


def test_a_correction_of_a_closed_month_is_a_line_that_opens(own: Home) -> None:
    assert run("books", "close", "2026-04", "--home", str(own.root)).returncode == 0
    settled_book.seal(own, [(12, "04-28", 9, 1, 2, (100_000, 0, 10_000))])  # 0.1 × 2.75 + 0.01 × 16.50 = 0.44
    settled_book.settle(own, "2026-05")
    stated = told(own, "--period", "2026-05")
    [line] = [line for line in stated["lines"] if line["corrects"]]
    assert (line["corrects"], D(line["base"]), line["amount"]) == ("2026-04", D("0.44"), "0.09")  # 20 % of 4.235 − 0.76
    assert sum(D(line["amount"]) for line in stated["lines"]) == D("0.69")
    trace = told(own, "explain", line["id"])
    assert trace["remarks"][0] == "It corrects 2026-04: 0.72 was stated and 0.81 is due."
    assert trace["working"][:3] == [
        "stated before: 1 request, charged 3.575; 20 % of it is 0.715, stated as 0.72",
        "due now: 2 requests, charged 4.015; 20 % of it is 0.803, due as 0.81",
        "difference: 1 request, charged 0.44; 0.81 less 0.72 is 0.09",
    ]
    assert [request["request_id"] for request in trace["requests"]] == [
        settled_book.request(5),
        settled_book.request(12),
    ]
    assert [entry["id"].split("|")[0] for entry in trace["entries"]] == ["correction"]
    # The line that is corrected shows both entries.
    entries = told(own, "explain", "bem8ag6t")["entries"]
    assert [entry["id"].split("|")[0] for entry in entries] == ["accrual", "correction"]
    assert all(told(own, "verify", period)["repeated"]["same"] for period in ("2026-04", "2026-05"))


# Repeating


def test_a_statement_without_lines_is_repeated_from_what_names_it(own: Home, tmp_path: Path) -> None:
    """A row of CSV is a line, so a month without usage leaves only the heads of the columns."""
    settled_book.settle(own, "2026-06")
    for name in ("june.json", "june.xlsx"):
        assert told(own, "verify", str(written(own, tmp_path / name, period="2026-06")))["repeated"]["same"]
    csv = written(own, tmp_path / "june.csv", period="2026-06")
    refused = run("statement", "verify", str(csv), home=own.root)
    assert refused.returncode == 3
    assert "it has no lines, and only lines name the statement" in refused.stderr


def test_what_is_here_is_repeated(book: Home, tmp_path: Path) -> None:
    for name in ("may.json", "may.html", "may.csv", "may.pdf"):
        done = told(book, "verify", str(written(book, tmp_path / name, "--party", "microsoft")))
        assert done["repeated"]["same"], done
    assert told(book, "verify", "2026-04")["repeated"]["same"]


def test_the_agreement_of_a_statement_is_looked_up_once(book: Home) -> None:
    stated = statement(book, "2026-05")
    assert stated is not None
    assert calls_in(lambda: verify_statement(book, stated))["settled_agreement"] == 1


def test_later_usage_does_not_disturb_the_repetition(own: Home, tmp_path: Path) -> None:
    may = written(own, tmp_path / "may.json")
    settled_book.seal(own, [(12, "05-02", 9, 1, 2, (1000, 0, 1000))])
    settled_book.settle(own, "2026-05")
    assert told(own, "verify", str(may))["repeated"]["same"]
    now = told(own, "verify", "2026-05")["repeated"]
    assert now["same"]
    assert now["digest"] != told(own, "verify", str(may))["repeated"]["digest"]


def test_a_home_that_settled_nothing_repeats_from_usage_known_by_then(tmp_path: Path) -> None:
    """May was settled by what was known by the end of June: not by prices of August, nor by usage of September."""
    dearer = "gpt-5.4,,,,input_tokens,2026-05-01,,2026-08-01,9.00,ours\n"
    ours = metered_home(tmp_path / "ours", book=BOOK + dearer)
    prices = open_prices(settled_book.KNOWN, ours.root / "book.csv")
    settle_month(ours, open_agreement(), prices, "2026-05", settled_book.ACCEPTED, {})
    late = Sold("2026-05-06", 1, 2, {IN: MILLION}, late=120)
    theirs = metered_home(tmp_path / "theirs", [*SOLD, late], BOOK + dearer)
    stated = statement(ours, "2026-05")
    assert stated is not None
    assert verify_statement(theirs, stated).same


def handed_with(stated: Statement, **inputs: object) -> Statement:
    """The statement with a cent more on its first line, its second under another name, and these inputs instead."""
    first, second, *rest = stated.lines
    more, other = msgspec.structs.replace(first, amount=D("0.15")), msgspec.structs.replace(second, id="other")
    lines = (more, other, *rest)
    return msgspec.structs.replace(stated, lines=lines, inputs=msgspec.structs.replace(stated.inputs, **inputs))


OTHER_USAGE = {"usage": "0" * 64, "attempts": 12}
LACKING = "The usage that was settled is not in this lake: it had 12 attempts in the period, and there are 5 here."
UNCHECKED = (CANNOT_BE_CHECKED, "0", LACKING)
# inputs that it states · verdict, difference and reason of the first line, of the other and of the second
CHECKED: list[tuple[dict[str, object], list[tuple[str, str, str]]]] = [
    ({}, [(DIFFERS, "-0.01", ""), (DIFFERS, "-0.30", ""), (DIFFERS, "0.30", "")]),
    (OTHER_USAGE, [UNCHECKED, UNCHECKED, UNCHECKED]),
]


@pytest.mark.parametrize(("inputs", "said"), CHECKED, ids=["same usage", "other usage"])
def test_each_line_says_by_how_much_it_differs_or_why_it_cannot_be_checked(
    book: Home, inputs: dict[str, object], said: list[tuple[str, str, str]]
) -> None:
    stated = statement(book, "2026-05")
    assert stated is not None
    aws, azure, newer = stated.lines
    first, other, second = said
    assert list(verify_statement(book, handed_with(stated, **inputs)).lines) == [
        LineCheck(
            line=name,
            of=f"{line.product} on {line.cloud}, sold by openai",
            stated=D(amount),
            verdict=verdict,
            differs_by=D(differs_by),
            because=because,
        )
        for name, line, amount, (verdict, differs_by, because) in (
            (aws.id, aws, "0.15", first),
            ("other", azure, "0.30", other),
            (newer.id, newer, "0.16", (THE_SAME, "0", "")),
            (azure.id, azure, "0", second),
        )
    ]


def test_a_month_is_repeated_with_the_prices_it_was_settled_with(own: Home, tmp_path: Path) -> None:
    """Its own book is gone afterwards, and the shipped one says otherwise."""
    prices = tmp_path / "own.csv"
    header = "product,cloud,seller,region,unit,begin,end,known_at,usd_per_million,source"
    lines = [
        f"gpt-5.4,aws,openai,,{unit},2026-04-27,,2026-04-27,{price},a letter"
        for unit, price in (("input_tokens", "2.00"), ("cached_input_tokens", "0.275"), ("output_tokens", "16.50"))
    ]
    prices.write_text("\n".join([header, *lines]) + "\n")
    change_prices(own, "a letter", file=prices, of_this_version=False, alone=False)
    settle_month(own, open_agreement(), open_prices(settled_book.KNOWN, prices), "2026-05", settled_book.ACCEPTED, {})
    prices.unlink()
    change_prices(own, "it was for May alone", file=None, of_this_version=False, alone=True)
    assert told(own, "verify", "2026-05")["repeated"]["same"]
    trace = told(own, "explain", "2pa4zs7k")
    assert ("input_tokens", "2.000000", "a letter") in [
        (price["unit"], price["usd_per_million"], price["source"]) for price in trace["prices"]
    ]


def edited(edit: Callable[[dict[str, Any]], None]) -> Callable[[bytes], bytes]:
    def change(content: bytes) -> bytes:
        stated = json.loads(content)
        edit(stated)
        return json.dumps(stated, indent=2, sort_keys=True).encode() + b"\n"

    return change


def set_amount(stated: dict[str, Any]) -> None:
    stated["lines"][0]["amount"] = "0.15"


def drop_line(stated: dict[str, Any]) -> None:
    del stated["lines"][0]


def other_cap(stated: dict[str, Any]) -> None:
    stated["assumptions"][0]["value"] = "USD 1"


def other_batch(stated: dict[str, Any]) -> None:
    stated["inputs"]["batches"] = ["gateway-9/1/0-1:5e"]


def other_working(stated: dict[str, Any]) -> None:
    stated["directions"][-1]["shares"][0]["amount"] = "7.77"


# what was changed | what is said
TAMPERED: list[tuple[Callable[[bytes], bytes], str]] = [
    (edited(set_amount), "line 2pa4zs7k: amount is stated as 0.15, found as 0.14"),
    (edited(drop_line), "line 2pa4zs7k: the line is stated as nothing, found as gpt-5.4 on aws, sold by openai: 0.14"),
    (edited(other_cap), "total: openai to microsoft is stated as 0.60, found as 0.24"),
    (edited(other_batch), "Not in this lake: 1 batch of usage, the first gateway-9/1/0-1:5e."),
    (edited(other_working), '"amount":"7.77"'),
    (lambda content: content.replace(b"  ", b" "), "The file says the same in other bytes"),
]


@pytest.mark.parametrize(("change", "says"), TAMPERED, ids=[says[:40] for _, says in TAMPERED])
def test_a_changed_statement_is_told_apart(
    book: Home, tmp_path: Path, change: Callable[[bytes], bytes], says: str
) -> None:
    may = written(book, tmp_path / "may.json")
    may.write_bytes(change(may.read_bytes()))
    assert says in " ".join(printed(book, "verify", str(may), code=2).split())


SPOKEN = "microsoft: the same, to the last byte\n  statement " + "a" * 64 + "\n" * 40


def other_party(stated: dict[str, Any]) -> None:
    stated["party"] = SPOKEN


def other_line(stated: dict[str, Any]) -> None:
    stated["lines"][0]["id"] = "2pa4zs7k\u202e"


def other_payee(stated: dict[str, Any]) -> None:
    stated["directions"][0]["payee"] = "openai\x1b[2J"


@pytest.mark.parametrize("edit", [other_party, other_line, other_payee])
def test_a_statement_whose_names_say_what_they_like_is_none(
    book: Home, tmp_path: Path, edit: Callable[[dict[str, Any]], None]
) -> None:
    """Its names are printed beside what was found: they could speak for it."""
    may = written(book, tmp_path / "may.json")
    may.write_bytes(edited(edit)(may.read_bytes()))
    done = run("statement", "verify", str(may), "--home", str(book.root))
    assert (done.returncode, done.stdout) == (3, "")
    assert "is not a name" in done.stderr


@pytest.mark.parametrize("part", ["[Content_Types].xml", "xl/worksheets/sheet1.xml"])
def test_an_archive_that_is_no_statement_is_refused(book: Home, tmp_path: Path, part: str) -> None:
    path = tmp_path / "may.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
        archive.writestr(part, "=" * 1_000_000)
    done = run("statement", "verify", str(path), "--home", str(book.root))
    assert done.returncode == 3
    assert "it names none of the statements" in " ".join(done.stderr.split())


def test_whoever_has_no_usage_is_told_so_and_nothing_is_made(book: Home, tmp_path: Path) -> None:
    may = written(book, tmp_path / "may.json")
    done = told(Home(tmp_path / "nowhere"), "verify", str(may), code=2)["repeated"]
    assert "it had 5 attempts in the period, and there are 0 here" in done["remarks"][0]
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("name", ["may.html", "may.pdf", "may.csv", "may.xlsx"])
def test_a_changed_print_is_told_apart(book: Home, tmp_path: Path, name: str) -> None:
    may = written(book, tmp_path / name)
    assert "the same, to the last byte" in " ".join(printed(book, "verify", str(may)).split())
    may.write_bytes(may.read_bytes() + b" ")
    assert "is not what is written of it" in " ".join(printed(book, "verify", str(may), code=2).split())


# Signing


def key(home: Home, party: str) -> str:
    made = answer("party", "key", "create", "--party", party, "--home", str(home.root))
    public = made["public_key"]
    assert isinstance(public, str)
    return public


def test_signed_by_one_and_countersigned_by_the_other(own: Home, tmp_path: Path, keys: Path) -> None:
    theirs = Home(Path(shutil.copytree(own.root, tmp_path / "theirs")))
    may = written(own, tmp_path / "may.json")
    public = key(own, "openai")
    assert (keys / "openai.key").stat().st_mode & 0o777 == 0o600
    assert not [path for path in own.root.rglob("*") if path.is_file() and b"PRIVATE KEY" in path.read_bytes()]
    signed = told(own, "sign", str(may), "--party", "openai")
    assert [(signature["party"], signature["role"], signature["valid"]) for signature in signed["signatures"]] == [
        ("openai", "signed", True)
    ]
    # The other party does not know the key yet, then it does.
    assert "nobody here vouches" in printed(theirs, "verify", str(may), code=2)
    assert (
        run("party", "key", "trust", "--party", "openai", "--public-key", public, "--home", str(theirs.root)).returncode
        == 0
    )
    key(theirs, "microsoft")
    told(theirs, "countersign", str(may), "--party", "microsoft")
    checked = told(theirs, "verify", str(may))["signing"]
    assert [(signature["role"], signature["valid"], signature["trusted"]) for signature in checked["signatures"]] == [
        ("signed", True, True),
        ("countersigned", True, True),
    ]


def test_two_statements_of_a_month_that_a_party_signed_are_told(own: Home, tmp_path: Path) -> None:
    """Each repeats, because each says what it was made from: openai gave one to one reader, the other to another."""
    first = written(own, tmp_path / "first.json")
    key(own, "openai")
    told(own, "sign", str(first), "--party", "openai")
    assert told(own, "verify", str(first), str(first), "2026-04")["equivocations"] == []
    settled_book.seal(own, [(12, "05-02", 9, 1, 2, (100_000, 0, 100_000))])
    settled_book.settle(own, "2026-05")
    second = written(own, tmp_path / "second.json")
    for file in (first, second):
        assert "the same, to the last byte" in printed(own, "verify", str(file))
    [unsigned] = told(own, "verify", str(first), "2026-05", code=2)["equivocations"]
    assert (unsigned["named"], unsigned["signed_by"]) == ([str(first), "2026-05"], [])
    told(own, "sign", str(second), "--party", "openai")
    said = printed(own, "verify", str(first), str(second), "2026-04", code=2)
    digests = [hashlib.sha256(file.read_bytes()).hexdigest() for file in (first, second)]
    both = f"{first} ({digests[0]}) and {second} ({digests[1]})"
    assert said.splitlines()[-1] == f"Two statements of 2026-05: {both}; openai signed both."


def test_statements_for_different_parties_are_compared_in_what_both_say(own: Home, tmp_path: Path) -> None:
    """Those of one settlement agree; openai gave microsoft one, and itself another."""
    parties = ("", "openai", "microsoft")
    first = [
        str(written(own, tmp_path / f"first-{party}.json", *(["--party", party] if party else []))) for party in parties
    ]
    assert told(own, "verify", *first)["equivocations"] == []
    settled_book.seal(own, [(12, "05-02", 9, 1, 2, (100_000, 0, 100_000))])
    settled_book.settle(own, "2026-05")
    second = str(written(own, tmp_path / "second.json", "--party", "openai"))
    assert [pair["parties"] for pair in told(own, "verify", *first, second, code=2)["equivocations"]] == [
        [party, "openai"] for party in parties
    ]
    digests = [hashlib.sha256(Path(file).read_bytes()).hexdigest() for file in (first[2], second)]
    assert printed(own, "verify", first[2], second, code=2).splitlines()[-1] == (
        f"Two statements of 2026-05 for microsoft and for openai: {first[2]} ({digests[0]}) and {second} "
        f"({digests[1]}); nobody signed both."
    )


def test_a_statement_of_a_month_that_was_closed_with_another_is_told(own: Home, tmp_path: Path) -> None:
    first = written(own, tmp_path / "first.json")
    pack = tmp_path / "first.pack"
    told(own, "pack", "2026-05", "--out", str(pack))
    settled_book.seal(own, [(12, "05-02", 9, 1, 2, (100_000, 0, 100_000))])
    settled_book.settle(own, "2026-05")
    for month in ("2026-04", "2026-05"):
        answer("books", "close", month, "--home", str(own.root))
    second = written(own, tmp_path / "second.json")
    digest = hashlib.sha256(second.read_bytes()).hexdigest()
    assert told(own, "verify", str(second))["repeated"]["same"]
    for source in (first, pack):
        remarks = told(own, "verify", str(source), code=2)["repeated"]["remarks"]
        assert remarks == [f"2026-05 was closed here with another statement: {digest}."]


def test_tampering_is_told_line_by_line(own: Home, tmp_path: Path) -> None:
    may = written(own, tmp_path / "may.json")
    key(own, "openai")
    told(own, "sign", str(may), "--party", "openai")
    may.write_bytes(edited(set_amount)(may.read_bytes()))
    done = told(own, "verify", str(may), code=2)["signing"]
    assert done["changed"] == ["line 2pa4zs7k says otherwise than what was signed"]
    assert [signature["valid"] for signature in done["signatures"]] == [True]
    said = run("statement", "verify", str(may), home=own.root).stdout
    assert "NOT of this statement; its key is trusted here" in said
    assert " valid;" not in said
    # Whoever changes the digests too breaks the signature.
    beside = tmp_path / "may.json.signatures.json"
    document = json.loads(beside.read_text())
    document["lines"]["2pa4zs7k"] = hashlib.sha256(b"x").hexdigest()
    beside.write_text(json.dumps(document))
    assert [signature["valid"] for signature in told(own, "verify", str(may), code=2)["signing"]["signatures"]] == [
        False
    ]


def test_a_countersignature_binds_what_it_answers(own: Home, tmp_path: Path) -> None:
    may = written(own, tmp_path / "may.json")
    for party, command in (("openai", "sign"), ("microsoft", "countersign")):
        key(own, party)
        told(own, command, str(may), "--party", party)
    beside = tmp_path / "may.json.signatures.json"
    document = json.loads(beside.read_text())
    document["signatures"][0]["at"] = "2026-01-01T00:00:00Z"
    beside.write_text(json.dumps(document))
    states = told(own, "verify", str(may), code=2)["signing"]["signatures"]
    assert [state["valid"] for state in states] == [False, False]


@pytest.mark.parametrize("place", ["the document", "the signature", "the line that is disputed"])
def test_signatures_with_words_that_nobody_signed_are_none(own: Home, tmp_path: Path, place: str) -> None:
    may = written(own, tmp_path / "may.json")
    key(own, "openai")
    told(own, "sign", str(may), "--party", "openai")
    beside = tmp_path / "may.json.signatures.json"
    document = json.loads(beside.read_text())
    signature = document["signatures"][0]
    disputed = {"line": "2pa4zs7k", "reason": "test traffic"}
    signature["disputes"].append(disputed)
    places = {"the document": document, "the signature": signature, "the line that is disputed": disputed}
    places[place]["remark"] = "microsoft has accepted it"
    beside.write_text(json.dumps(document))
    assert "unknown field `remark`" in run("statement", "verify", str(may), home=own.root).stderr
    # Other formats give the same words meanings that are not known here.
    places[place].pop("remark")
    beside.write_text(json.dumps({**document, "format": "clauseway-signatures/2"}))
    assert "its format is 'clauseway-signatures/2'" in run("statement", "verify", str(may), home=own.root).stderr
    # A name that stands twice is unknown to no reader, and each may take another of its values.
    beside.write_text(json.dumps(document).replace('"line":', '"line": "none", "line":'))
    assert "`line` stands twice" in run("statement", "verify", str(may), home=own.root).stderr


@pytest.mark.parametrize("name", ["may.json", "may.json.signatures.json"])
def test_a_file_is_read_to_the_same_depth_by_every_python(own: Home, tmp_path: Path, name: str) -> None:
    may = written(own, tmp_path / "may.json")
    key(own, "openai")
    told(own, "sign", str(may), "--party", "openai")
    document = json.loads((tmp_path / name).read_text())
    inner: list[Any] = []
    for _ in range(900):
        inner = [inner]
    (tmp_path / name).write_text(json.dumps({"deep": inner, **document}))
    assert "it nests more than 900 levels deep" in run("statement", "verify", str(may), home=own.root).stderr


@pytest.mark.parametrize(("name", "megabytes"), [("may.json", 256), ("may.json.signatures.json", 64)])
def test_a_file_of_any_length_is_not_read_into_memory(own: Home, tmp_path: Path, name: str, megabytes: int) -> None:
    may = written(own, tmp_path / "may.json")
    with (tmp_path / name).open("wb") as file:
        file.truncate((megabytes << 20) + 1)
    done = run("statement", "verify", str(may), home=own.root)
    assert (done.returncode, f"it has more than {megabytes} MB" in done.stderr) == (3, True)


# how many signed → why these are no signatures
@pytest.mark.parametrize(("times", "why"), [(0, "nobody has signed in it"), (101, "101 signatures are more than 100")])
def test_signatures_of_nobody_or_of_more_than_sign_are_none(own: Home, tmp_path: Path, times: int, why: str) -> None:
    may = written(own, tmp_path / "may.json")
    key(own, "openai")
    told(own, "sign", str(may), "--party", "openai")
    beside = tmp_path / "may.json.signatures.json"
    document = json.loads(beside.read_text())
    beside.write_text(json.dumps({**document, "signatures": document["signatures"] * times}))
    done = run("statement", "verify", str(may), home=own.root)
    assert (done.returncode, why in done.stderr) == (3, True)


# where a signature says more than who signed, and when
@pytest.mark.parametrize(
    ("member", "text"),
    [
        ("party", "microsoft countersigned: valid\n  anybody"),
        ("role", "signed, and microsoft countersigned"),
        ("at", "today: valid"),
        ("at", "2026-02-30T00:00:00Z"),
    ],
)
def test_a_signature_does_not_speak_for_itself(own: Home, tmp_path: Path, member: str, text: str) -> None:
    may = written(own, tmp_path / "may.json")
    key(own, "openai")
    told(own, "sign", str(may), "--party", "openai")
    beside = tmp_path / "may.json.signatures.json"
    document = json.loads(beside.read_text())
    document["signatures"].append({**document["signatures"][0], member: text})
    beside.write_text(json.dumps(document))
    done = run("statement", "verify", str(may), home=own.root)
    assert done.returncode == 3
    assert {"party": "is not a name", "role": "is none of", "at": "is no instant"}[member] in done.stderr


def test_a_name_with_spaces_is_quoted_beside_what_was_found(own: Home, tmp_path: Path) -> None:
    may = written(own, tmp_path / "may.json")
    key(own, "openai")
    told(own, "sign", str(may), "--party", "openai")
    beside = tmp_path / "may.json.signatures.json"
    document = json.loads(beside.read_text())
    spoken = "microsoft countersigned: valid; its key is trusted here"
    document["signatures"].append({**document["signatures"][0], "party": spoken})
    beside.write_text(json.dumps(document))
    said = " ".join(run("statement", "verify", str(may), home=own.root).stdout.split())
    assert f"'{spoken}' signed at" in said


def test_a_disputed_line_leaves_the_base_and_is_signed_for(own: Home, tmp_path: Path) -> None:
    may = written(own, tmp_path / "may.json")
    key(own, "microsoft")
    arguments = ("--party", "microsoft", "--reason", "test traffic", "--dated", "2026-06-10")
    done = told(own, "dispute", "2pa4", *arguments, "--file", str(may))
    assert [(dispute["id"], D(dispute["of"]["amount"])) for dispute in done["disputes"]] == [
        ("2pa4zs7k-2026-05-02", D("0.22")),
        ("2pa4zs7k-2026-05-03", D("0.495")),
    ]
    assert done["signing"]["signatures"][0]["disputes"] == [{"line": "2pa4zs7k", "reason": "test traffic"}]
    settled_book.settle(own, "2026-05")
    now = told(own, "--period", "2026-05")
    # 20 % of 6.81 − 0.715 = 6.095 is 1.219, so 1.22 − 0.76; what is in dispute is 0.14
    assert [direction["total"] for direction in now["directions"] if direction["payer"] == "openai"] == ["0.46"]
    assert "not line 2pa4zs7k: test traffic" in printed(own, "verify", str(may))
    trace = told(own, "explain", "2pa4zs7k")
    assert (D(trace["charged"]), D(trace["counted"])) == (D("0.715"), D(0))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda own, may: told(own, "sign", str(may), "--party", "microsoft"), "microsoft has signed it"),
        (lambda own, may: may.with_name("keys").rename(may.with_name("gone")), "no key of microsoft"),
        (lambda own, may: may.write_bytes(may.read_bytes() + b" "), "byte for byte"),
        (lambda own, may: written(own, may, period="2026-04"), "it has no line '2pa4'"),
    ],
    ids=["signed before", "no key", "other bytes", "another month"],
)
def test_a_dispute_that_cannot_be_signed_is_not_booked(
    own: Home, tmp_path: Path, spoil: Callable[[Home, Path], object], says: str
) -> None:
    may = written(own, tmp_path / "may.json")
    key(own, "microsoft")
    spoil(own, may)
    flags = ("--party", "microsoft", "--reason", "test traffic", "--file", str(may), "--home", str(own.root))
    refused = run("statement", "dispute", "2pa4", *flags)
    assert (refused.returncode, says in refused.stderr) == (3, True), refused.stderr
    assert answer("books", "dispute", "list", "--home", str(own.root)) == []


def test_a_written_statement_is_told(book: Home, tmp_path: Path) -> None:
    may = tmp_path / "may.pdf"
    shown = printed(book, "--period", "2026-05", "--out", str(may))
    assert shown == f"{may}: {may.stat().st_size:,} bytes\n"
    assert told(book, "--period", "2026-05", "--out", str(may)) == {"file": str(may), "bytes": may.stat().st_size}
    assert may.read_bytes().startswith(b"%PDF")


# Terms of payment


def test_the_calendar_of_a_share_with_terms_of_payment(tmp_path: Path) -> None:
    """45 days after the quarter, 5 % withheld: 20 % of 3.015 is 0.60 in May; 0.03 withheld."""
    folder = tmp_path / "agreement"
    folder.mkdir()
    for name, text in built_in_documents("openai-microsoft").items():
        terms = "cap: cap\npayment: {every: quarter, due-days: 45}\nwithholding: 5 %\n"
        (folder / name).write_text(text.replace("cap: cap\n", terms) if name == "A5.md" else text)
    home = Home(tmp_path / "home").make()
    settled_book.seal(home)
    prices, opened = open_prices(settled_book.KNOWN), open_agreement(folder)
    for period in ("2026-04", "2026-05"):
        settle_month(home, opened, prices, period, settled_book.ACCEPTED, {})
    at = ("--period", "2026-05")
    [due] = [due for due in told(home, *at)["dues"] if due["payer"] == "openai"]
    assert (due["through"], due["due"], due["amount"], due["withheld"]) == ("2026-06-30", "2026-08-14", "0.60", "0.03")
    text = " ".join(printed(home, *at).split())
    assert "Paid every quarter, due 45 days after its last day." in text
    assert "5 % is withheld from each payment." in text
    assert "0.60 USD through 30 June 2026, due 14 August 2026; withheld 0.03, paid 0.57" in text
    may = statement(home, "2026-05")
    assert may is not None
    assert "14 August 2026" in FORMATS["html"](may).decode()
    assert "14 August 2026" in pypdf.PdfReader(io.BytesIO(FORMATS["pdf"](may))).pages[0].extract_text()
    assert ",2026-08-14," in FORMATS["csv"](may).decode()


# Bad input


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "no period"),
        (("--period", "2026-5"), "is not a month"),
        (("--period", "2027-01"), "is not settled"),
        (("--period", "2026-05", "--party", "nobody"), "unknown name 'nobody'"),
        (("--period", "2026-05", "--format", "docx"), "unknown format 'docx'"),
        (("--period", "2026-05", "--out", "/tmp/may.docx"), "no format 'docx' for a file"),
        (("--period", "2026-05", "--format", "csv", "--json"), "they ask for two formats"),
        (("--period", "2026-05", "--out", "/no/folder/may.pdf"), "cannot be written"),
        (("explain", "zzzzzzzz"), "no line 'zzzzzzzz'"),
        (("explain", ""), "'' is no value"),
        (("explain", "2pa4", "--cent", "15"), "the line amounts to 0.14"),
        (("explain", "2pa4", "--request", "req_0"), "no request 'req_0'"),
        (("verify", "2027-01"), "is not settled"),
        (("verify", "/no/file.json"), "no statement"),
        (("verify", str(ROOT / "README.md")), "it is not a statement"),
        (("sign", "/no/file.json", "--party", "openai"), "no statement"),
        (("dispute", "2pa4", "--party", "amazon", "--reason", "x"), "neither pays nor is paid"),
    ],
)
def test_bad_input_is_refused_in_words(book: Home, arguments: tuple[str, ...], says: str) -> None:
    done = run("statement", *arguments, "--home", str(book.root))
    assert done.returncode == 3, done.stdout
    assert says in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


def test_what_cannot_be_signed_is_refused_in_words(own: Home, tmp_path: Path) -> None:
    may, pdf = written(own, tmp_path / "may.json"), written(own, tmp_path / "may.pdf")

    def refused(*arguments: str) -> str:
        done = run(*arguments, "--home", str(own.root))
        assert done.returncode == 3, done.stdout
        return done.stderr

    assert "no key of openai" in refused("statement", "sign", str(may), "--party", "openai")
    assert not (tmp_path / "may.json.signatures.json").exists()
    key(own, "openai")
    assert "openai has a key" in refused("party", "key", "create", "--party", "openai")
    assert "is not a public key" in refused("party", "key", "trust", "--party", "openai", "--public-key", "c2hvcnQ=")
    assert "unknown name 'nobody'" in refused("party", "key", "create", "--party", "nobody")
    assert "nobody has signed it yet" in refused("statement", "countersign", str(may), "--party", "openai")
    assert "what is signed is the statement's JSON" in refused("statement", "sign", str(pdf), "--party", "openai")
    assert "neither pays nor is paid" in refused("statement", "sign", str(may), "--party", "oracle")
    told(own, "sign", str(may), "--party", "openai")
    assert "openai has signed it" in refused("statement", "sign", str(may), "--party", "openai")
    (tmp_path / "may.json.signatures.json").write_text('{"format": "other"}')
    assert "no signatures" in refused("statement", "verify", str(may))


def test_a_signature_is_ed25519_over_the_document(own: Home, tmp_path: Path) -> None:
    """Checked by the library alone, so that anybody can."""
    may = written(own, tmp_path / "may.json")
    public = key(own, "openai")
    told(own, "sign", str(may), "--party", "openai")
    document = json.loads((tmp_path / "may.json.signatures.json").read_text())
    assert document["statement"] == hashlib.sha256(may.read_bytes()).hexdigest()
    signature = base64.b64decode(document["signatures"][0]["signature"])
    document["signatures"][0]["signature"] = ""
    content = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    Ed25519PublicKey.from_public_bytes(base64.b64decode(public)).verify(signature, content)

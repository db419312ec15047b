"""`clauseway price`: the figures as arithmetic, both clocks, the book that won; and books that are refused."""

import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from clauseway.cli import run

HEADER = "product,cloud,seller,region,unit,begin,end,known_at,usd_per_million,source,buyer,discount_percent\n"
OWN = """\
gpt-5.5,azure,openai,,input_tokens,2026-05-01,,2026-04-20,4.00,agreed,Contoso,
gpt-5.5,azure,,,,2026-06-01,2026-07-01,2026-05-20,,spring,,10
gpt-5.5,aws,,,output_tokens,2026-05-01,,2026-05-15,32.00,corrected,,
gpt-5.5,azure,openai,,output_tokens,2026-05-01,,2026-04-20,30.00,agreed,Contoso,
gpt-5.5,aws,,,input_tokens,2026-05-01,,2026-05-15,5.50,as listed,,
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    file = tmp_path / "own.csv"
    file.write_text(HEADER + OWN)
    return file


def asked(capsys: pytest.CaptureFixture[str], line: str, own: Path | None = None) -> Any:
    assert run([*line.split(), "--json", *(["--prices", str(own)] if own else [])]) == 0
    return json.loads(capsys.readouterr().out)


# what is asked → USD, and unit by unit the quantity, USD per million and the book that won
PRICES = [
    # 600 × 5.50 + 400 × 0.55 + 500 × 33.00 = 3,300 + 220 + 16,500 millionths
    (
        "price gpt-5.5 --cloud aws --tokens in=1000,cached=400,out=500 --as-of 2026-05-01 --known-at 2026-06-03",
        "0.020020000000",
        [(600, "5.5", "prices.csv"), (400, "0.55", "prices.csv"), (500, "33", "prices.csv")],
    ),
    # The shipped book had recorded nothing of aws by then, and the public list had: the same price from another book.
    (
        "price gpt-5.5 --cloud aws --tokens in=1 --as-of 2026-05-01 --known-at 2026-06-02",
        "0.000005500000",
        [(1, "5.5", "genai-prices")],
    ),
    # A model's name as a cloud calls it; 1,000 × 2.75
    (
        "price openai.gpt-5.4 --cloud aws --tokens in=1000,out=0 --as-of 2026-07-01 --known-at 2026-07-01",
        "0.002750000000",
        [(1000, "2.75", "prices.csv")],
    ),
]
OWN_PRICES = [
    # 1,000 × 4.00 + 500 × 30.00
    ("--cloud azure --buyer Contoso --as-of 2026-05-01 --known-at 2026-05-01", "0.019000000000", "own.csv:2"),
    # 1,000 × 5.00 + 500 × 30.00, both less 10 %
    ("--cloud azure --as-of 2026-06-01 --known-at 2026-06-01", "0.018000000000", "own.csv:3"),
    ("--cloud azure --as-of 2026-06-01 --known-at 2026-05-19", "0.020000000000", "prices.csv"),
    # 1,000 × 5.50 + 500 × 32.00
    ("--cloud aws --as-of 2026-05-01 --known-at 2026-06-03", "0.021500000000", "own.csv:4"),
]


@pytest.mark.parametrize(("line", "usd", "parts"), PRICES)
def test_what_usage_costs(
    capsys: pytest.CaptureFixture[str], line: str, usd: str, parts: list[tuple[int, str, str]]
) -> None:
    result = asked(capsys, line)
    assert Decimal(result["amount"]) == Decimal(usd)
    for part, (quantity, price, book) in zip(result["parts"], parts, strict=True):
        assert (part["quantity"], Decimal(part["per_million"])) == (quantity, Decimal(price))
        assert Decimal(part["amount"]) == quantity * Decimal(price) / 1_000_000
        assert part["place"].startswith(book)
        assert [line["verdict"] for line in part["looked_at"]].count("won") == 1


@pytest.mark.parametrize(("line", "usd", "place"), OWN_PRICES)
def test_ones_own_book_goes_first(
    capsys: pytest.CaptureFixture[str], own: Path, line: str, usd: str, place: str
) -> None:
    result = asked(capsys, f"price gpt-5.5 {line} --tokens in=1000,out=500", own)
    assert Decimal(result["amount"]) == Decimal(usd)
    assert any(place in part["place"] for part in result["parts"])


WHYS = [
    ("own.csv:3", "skipped", "was recorded on 2026-05-20, which was not known then"),
    ("own.csv:2", "skipped", "it is for buyer Contoso, not an unnamed one"),
    ("prices.csv:7", "won", "names the most"),
    ("prices.csv:13", "skipped", "it is for cloud openai-own, not azure"),
    ("genai-prices 0", "skipped", "it is for cloud"),
]


def test_every_entry_that_was_looked_at_says_why(capsys: pytest.CaptureFixture[str], own: Path) -> None:
    result = asked(capsys, "price gpt-5.5 --cloud azure --tokens in=1 --as-of 2026-06-01 --known-at 2026-05-19", own)
    (part,) = result["parts"]
    for place, verdict, why in WHYS:
        line = next(item for item in part["looked_at"] if place in item["place"])
        assert (line["verdict"], why in line["why"]) == (verdict, True), line


def test_people_read_the_arithmetic(capsys: pytest.CaptureFixture[str], own: Path) -> None:
    line = f"price gpt-5.5 --cloud azure --tokens in=1000 --as-of 2026-06-01 --known-at 2026-06-01 --prices {own}"
    assert run(line.split()) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "input_tokens 1,000 × 4.5 = 0.004500000000" in said
    assert "10 % off" in said
    assert "hold more entries for other cases" in said


# what is asked → the warning
WARNED = [
    (
        "price openai.gpt-5.5 --cloud aws --region globl --tokens in=1000",
        "No price book names the region 'globl', so it has the price of any region. Did you mean 'global'?",
    ),
    (
        "price openai.gpt-5.5 --cloud aws --region us-east-2 --tokens in=1000",
        "No price book names the region 'us-east-2', so it has the price of any region. Known: global.",
    ),
    (
        "price gpt-5.5 --cloud azure --buyer Fabrikam --tokens in=1000",
        "No price book names the buyer 'Fabrikam', so it has the price of any buyer.",
    ),
    ("price openai.gpt-5.5 --cloud aws --region global --tokens in=1000", ""),
]


@pytest.mark.parametrize(("line", "warning"), WARNED)
def test_a_name_that_changes_no_price_is_told(capsys: pytest.CaptureFixture[str], line: str, warning: str) -> None:
    assert asked(capsys, line)["note"] == warning
    assert run(line.split()) == 0
    assert warning in " ".join(capsys.readouterr().out.split())


REFUSED = [
    (
        "price gpt-5.4 --cloud oracle --tokens in=1",
        "unknown cloud 'oracle': no price book names it. Known: aws, azure,",
    ),
    ("price gpt-5.5 --cloud azur", "unknown cloud 'azur': no price book names it. Did you mean 'azure'?"),
    ("price gpt-55 --cloud azure", "unknown product 'gpt-55': no price book names it. Did you mean 'gpt-5.5'?"),
    ("price zzzz --cloud azure", "unknown product 'zzzz': no price book names it. 260 products are known."),
    # These would be priced as any seller, tier and endpoint.
    (
        "price gpt-5.5 --cloud azure --seller opnai",
        "unknown seller 'opnai': no price book names it. Did you mean 'openai'?",
    ),
    ("price gpt-5.5 --cloud azure --tier flexx", "unknown tier 'flexx': no price book names it. Did you mean 'flex'?"),
    (
        "price gpt-5.5 --cloud aws --endpoint chats",
        "unknown endpoint 'chats': no price book names it. Did you mean 'chat'?",
    ),
    ("price gpt-5.5 --cloud azure --tokens in=1 --as-of 2026-04-22", "no price for input_tokens of gpt-5.5 on azure"),
    ("price gpt-5.5 --cloud azure --tokens in=1,cached=2", "the parts of input_tokens sum to 2, more than its 1"),
    ("price gpt-5.5 --cloud azure --tokens in=one", "'in=one' is not usage"),
    ("price gpt-5.5 --cloud azure --tokens in=1,000,out=1", "'000' is not usage: a comma stands between units"),
    (f"price gpt-5.5 --cloud azure --region {'r' * 201}", "it has 201 characters, more than 200"),
    ("price gpt-5.5 --cloud azure --buyer acme\u200b", "is not a name: its character 5, U+200B, cannot be seen"),
    ("price gpt-5.5", "no cloud"),
    ("price gpt-5.5 --cloud azure --as-of today", "'today' is not a day"),
    ("price check", "no book"),
]


@pytest.mark.parametrize(("line", "said"), REFUSED)
def test_what_has_no_answer(capsys: pytest.CaptureFixture[str], line: str, said: str) -> None:
    assert run(line.split()) == 3
    assert said in " ".join(capsys.readouterr().err.split())


def test_a_name_of_ones_own_is_priced_by_a_book_that_names_it_or_none(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    book = tmp_path / "own.csv"
    row = ",input_tokens,2026-05-01,,2026-05-01,{usd},agreed,,\n"
    book.write_text(HEADER + "own-model,,reseller," + row.format(usd="7.00") + ",own-cloud,," + row.format(usd="8.00"))
    at = "--tokens in=1000000 --as-of 2026-05-02"
    named = asked(capsys, f"price own-model --cloud anywhere --seller reseller {at}", book)
    unnamed = asked(capsys, f"price any-model --cloud own-cloud --seller anthropic {at}", book)
    assert [Decimal(price["amount"]) for price in (named, unnamed)] == [7, 8]


def test_a_book_is_checked(capsys: pytest.CaptureFixture[str], own: Path) -> None:
    assert run(["price", "check", str(own), "--json"]) == 0
    checked = json.loads(capsys.readouterr().out)
    assert (checked["prices"], checked["discounts"], checked["products"]) == (4, 1, ["gpt-5.5"])
    # OpenAI's list tells cached input apart; this book does not, so it is input there. Searches have no price then.
    lacked = {(gap["cloud"], gap["unit"]): gap["then"] for gap in checked["lacks"]}
    assert lacked == {
        **{(cloud, "cached_input_tokens"): "priced as input_tokens" for cloud in ("aws", "azure")},
        ("aws", "web_searches"): "refused, because it has no price",
    }
    assert run(["price", "check", str(own)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "It lacks cached_input_tokens of gpt-5.5 on azure: priced as input_tokens." in said
    own.write_text(HEADER + OWN + OWN.splitlines()[2].replace("32.00", "31.00") + "\n")
    assert run(["price", "check", str(own)]) == 3
    said = capsys.readouterr().err
    assert "own.csv:7: an ambiguous price of output_tokens: line 4 is as specific" in " ".join(said.split())


# names in a book (product, cloud, seller) · what is likely meant; empty: nothing is told
SLIPS = [
    (("gpt-5.5", "Azure", ""), "the cloud 'Azure'. Did you mean 'azure'?"),
    (("gpt-5.5", "azur", ""), "the cloud 'azur'. Did you mean 'azure'?"),
    (("gpt-5.5", "azure", "OpenAI"), "the seller 'OpenAI'. Did you mean 'openai'?"),
    (("GPT-5.5", "azure", ""), "the product 'GPT-5.5'. Did you mean 'gpt-5.5'?"),
    # Another version is another model, and an agreement of one's own names clouds of its own.
    (("gpt-5.55", "harbor-cloud", "harbor"), ""),
    (("gpt-5.5", "azure", "openai"), ""),
]


@pytest.mark.parametrize(("names", "meant"), SLIPS)
def test_a_name_that_is_nearly_another_is_told(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, names: tuple[str, str, str], meant: str
) -> None:
    """Its prices counted for nothing: the sale had the list's price, and the book was called sound."""
    book = tmp_path / "book.csv"
    row = ",".join(names) + ",,{},2026-05-01,,2026-05-01,99.00,agreed,,\n"
    book.write_text(HEADER + row.format("input_tokens") + row.format("output_tokens"))
    said = []
    for line in (
        ["price", "check", str(book)],
        ["basis", "prices", str(book), "--why", "list", "--home", str(tmp_path)],
    ):
        assert run(line) == 0
        said.append(" ".join(capsys.readouterr().out.split()))
    remark = f"Nothing else names {meant} What this book states of it counts for no other." if meant else ""
    assert [(remark in text, "Did you mean" in text) for text in said] == [(True, bool(meant))] * 2


@pytest.mark.parametrize(
    "names", [("gpt-5.5\u200b", "azure", ""), ("gpt-5.5", "\u2060azure", ""), ("", "", "openai\u3164")]
)
def test_a_name_with_a_character_that_cannot_be_seen_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, names: tuple[str, str, str]
) -> None:
    book = tmp_path / "book.csv"
    book.write_text(HEADER + ",".join(names) + ",,input_tokens,2026-05-01,,2026-05-01,99.00,agreed,,\n")
    assert run(["price", "check", str(book)]) == 3
    said = " ".join(capsys.readouterr().err.split())
    assert "book.csv:2" in said
    assert "cannot be seen" in said


def test_a_book_saved_by_a_spreadsheet_is_the_same_book(capsys: pytest.CaptureFixture[str], own: Path) -> None:
    """Excel's "CSV UTF-8" begins with a byte order mark, and ends its lines as Windows does."""
    digests = []
    for text in (own.read_text(), "\ufeff" + own.read_text()):
        own.write_text(text)
        assert run(["price", "check", str(own), "--json"]) == 0
        digests.append(json.loads(capsys.readouterr().out)["digest"])
    assert digests[0] == digests[1]
    rates = own.with_name("rates.csv")
    rates.write_text("\ufeffday,base,quote,rate\r\n2026-05-01,EUR,USD,1.08\r\n")
    asking = ["price", "gpt-5.5", "--cloud", "azure", "--as-of", "2026-05-02", "--rates", str(rates)]
    assert run(asking) == 0, capsys.readouterr().err


def test_a_price_in_euros_is_shown_in_both(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    book, rates = tmp_path / "euros.csv", tmp_path / "rates.csv"
    book.write_text(
        "product,cloud,seller,region,unit,begin,end,known_at,per_million,source,currency\n"
        "gpt-x,oci,,,input_tokens,2026-05-01,,2026-05-01,4.00,list,EUR\n"
    )
    rates.write_text("day,base,quote,rate\n2026-05-01,EUR,USD,1.25\n")
    line = f"price gpt-x --cloud oci --tokens in=1000 --as-of 2026-05-02 --prices {book}"
    assert run([*line.split(), "--rates", str(rates), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    # 1,000 × 4.00 EUR = 4,000 millionths, × 1.25
    assert (Decimal(result["amount"]), result["currency"]) == (Decimal("0.004"), "EUR")
    assert Decimal(result["usd"]) == Decimal("0.005")
    assert run([*line.split(), "--known-at", "2026-05-03", "--rates", str(rates)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "as of 2026-05-02 · as known at 2026-05-03" in said
    assert "unit tokens EUR per million EUR by input_tokens 1,000 × 4 = 0.004000000000" in said
    assert "0.005000000000 USD at the rate of 2026-05-02" in said
    assert run(line.split()) == 3
    assert "no rates are held" in capsys.readouterr().err


def test_a_book_that_lacks_a_whole_says_so_and_its_usage_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    half = tmp_path / "half.csv"
    half.write_text(HEADER + "gpt-5.5,azure,,,input_tokens,2026-05-01,,2026-05-01,4.00,agreed,,\n")
    assert run(["price", "check", str(half)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "It lacks output_tokens of gpt-5.5 on azure: refused, because it has no price." in said
    asking = ["price", "gpt-5.5", "--cloud", "azure", "--as-of", "2026-05-02", "--prices", str(half)]
    assert run([*asking, "--tokens", "in=1000,cached=600,out=1"]) == 3
    assert "one that prices a model prices all of its units" in " ".join(capsys.readouterr().err.split())
    # 1,000 × 4.00, the cached part with it
    assert Decimal(asked(capsys, " ".join([*asking, "--tokens", "in=1000,cached=600"]))["amount"]) == Decimal("0.004")


def test_a_sum_of_many_requests_says_that_their_length_is_not_known(capsys: pytest.CaptureFixture[str]) -> None:
    long = "price gpt-5.5 --cloud openai-own --as-of 2026-11-01 --known-at 2026-11-01 --tokens in=300000,out=0"
    first, many = asked(capsys, long), asked(capsys, f"{long} --endpoint batches.retrieve --tier default")
    assert (Decimal(first["amount"]), first["note"]) == (Decimal("3.0"), "")
    assert Decimal(many["amount"]) == Decimal("1.5")
    assert many["note"].startswith("A sum of many requests: how long each was is not known.")


def test_a_million_tokens_are_those_of_many_requests(capsys: pytest.CaptureFixture[str]) -> None:
    """One request of a million costs what long requests cost, which nobody asks for who asks for the price."""
    result = asked(capsys, "price gpt-5.5 --cloud openai-own --as-of 2026-11-01 --known-at 2026-11-01")
    assert [Decimal(part["per_million"]) for part in result["parts"]] == [Decimal("5"), Decimal("30")]
    assert "One above 272000 input tokens has another price" in result["note"]
    # The working is that of the charge: the entry for long requests did not win.
    for part in result["parts"]:
        assert [each["place"] for each in part["looked_at"] if each["verdict"] == "won"] == [part["place"]]


@pytest.mark.parametrize(
    "line",
    [
        ["price", "gpt-5.5", "--cloud", "aws", "--tokens", "in=1", "--as-of", "2026-05-01", "--prices", "long.csv"],
        ["agreement", "check", "."],
        ["agreement", "fmt", "."],
        ["config", "check", "long.toml"],
    ],
    ids=lambda line: line[1],
)
def test_a_text_that_is_too_large_is_refused_unread(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, line: list[str]
) -> None:
    """A reader takes many times a text's length of memory."""
    monkeypatch.chdir(tmp_path)
    for name in ("long.csv", "long.md", "long.toml"):
        with Path(name).open("wb") as file:
            file.truncate(1 << 40)
    assert run(line) == 3
    assert "it has more than 64 MB" in " ".join(capsys.readouterr().err.split())


def test_a_book_may_come_from_a_pipe(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Names are not read again from the pipe when they are shown: it is empty then."""
    reading, writing = os.pipe()
    with open(writing, "w") as pipe:
        pipe.write(HEADER + "gpt-5.5,azur,,,input_tokens,2026-05-01,,2026-05-01,99.00,agreed,,\n")
    try:
        assert run(["basis", "prices", f"/dev/fd/{reading}", "--why", "list", "--home", str(tmp_path)]) == 0
    finally:
        os.close(reading)
    assert "Did you mean 'azure'?" in " ".join(capsys.readouterr().out.split())

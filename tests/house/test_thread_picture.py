"""The picture at the top of README and of the site tells rooms, clauses, an answer and an amount: each is so."""

import re
from decimal import Decimal
from pathlib import Path

from clauseway import open_agreement
from in_process import answer

ROOT = Path(__file__).parents[2]
SHOWN = re.findall(r'<text class="([^"]*)"[^>]*>([^<]*)<', (ROOT / "docs/thread.svg").read_text("utf-8"))
PROSE = " ".join(text for _, text in SHOWN)


def test_each_room_is_a_package() -> None:
    rooms = {room.lower() for kind, text in SHOWN if kind == "tag room" for room in text.split(" · ")}
    assert len(rooms) > 8
    assert rooms <= {path.name for path in (ROOT / "src/clauseway").iterdir() if path.is_dir()}


def test_each_clause_is_in_the_agreement() -> None:
    clauses = {
        f"{amendment.id} {clause.number}"
        for amendment in open_agreement().agreement.amendments
        for clause in amendment.clauses
    }
    shown = set(re.findall(r"A\d \d\.\d+", PROSE))
    assert shown
    assert shown <= clauses


def test_the_answer_and_the_amount_are_what_commands_say() -> None:
    assert "openai serves gpt-5.5 on aws: permitted" in PROSE
    asked = ("--product", "gpt-5.5", "--cloud", "aws", "--as-of", "2026-05-01")
    assert answer("decide", "--action", "serve", "--party", "openai", *asked)["outcome"] == "permitted"
    [(tokens_in, tokens_out)] = re.findall(r"([\d,]+) tokens in, ([\d,]+) out", PROSE)
    counted = f"in={tokens_in.replace(',', '')},out={tokens_out.replace(',', '')}"
    price = answer("price", asked[1], *asked[2:], "--tokens", counted)
    [amount] = re.findall(r"price in force then: ([\d.]+) USD", PROSE)
    assert Decimal(price["amount"]) == Decimal(amount)

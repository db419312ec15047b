"""A revenue share with all it may say: read as written, laid out, and fit for the schema."""

from datetime import date

from jsonschema import Draft202012Validator
from small_agreement import with_edits
from test_schema import as_an_editor_reads_it, blocks

from clauseway.agreement import read_agreement, revenue_shares
from clauseway.agreement.authoring.formatting import format_document
from clauseway.agreement.authoring.json_schema import block_schema
from clauseway.agreement.language.facts import FactRegister
from clauseway.agreement.language.shares import Floor, PaymentTerm, ShareBase, Tier
from clauseway.values import KnownAt

FULL = """\
rate: rate
tiers:
  - {above: USD 1 million, rate: 8 %}
  - {above: '5000000', rate: rate}
cap: USD 2 million
cap-opening: USD 1000
floors: [{amount: USD 500, per: month}]
base: {sellers: [maker], products: [api], clouds: [other]}
payment: {every: quarter, due-days: 45}
withholding: 5 %
late: restatement"""


def test_a_share_with_all_it_may_say() -> None:
    agreement = read_agreement(with_edits(("A1.md", 43, FULL), ("A1.md", 44, "")))
    known = KnownAt.recorded_on(date(2026, 1, 1))
    [share] = revenue_shares(agreement, FactRegister(()), known, agreement.default_readings())
    assert share.tiers == (Tier(above="USD 1 million", rate="8 %"), Tier(above="5000000", rate="rate"))
    assert share.floors == (Floor(amount="USD 500", per="month"),)
    assert share.base == ShareBase(
        sellers=frozenset({"maker"}), products=frozenset({"api"}), clouds=frozenset({"other"})
    )
    assert share.payment == PaymentTerm(every="quarter", due_days=45)
    assert (share.cap, share.cap_opening, share.withholding, share.late) == (
        "USD 2 million",
        "USD 1000",
        "5 %",
        "restatement",
    )
    assert share.end == date(2031, 1, 1)


def test_it_fits_the_schema_and_keeps_its_layout() -> None:
    text = with_edits(("A1.md", 43, FULL), ("A1.md", 44, ""))["A1.md"]
    [block] = [block for block in blocks(text) if "A1.share" in block.text]
    assert Draft202012Validator(block_schema()).is_valid(as_an_editor_reads_it(block.text))
    laid_out = format_document(text)
    assert format_document(laid_out) == laid_out
    shuffled = text.replace("late: restatement\n", "").replace("payer: maker\n", "late: restatement\npayer: maker\n")
    assert (
        format_document(shuffled.replace("{above: USD 1 million, rate: 8 %}", "{rate: 8 %, above: USD 1 million}"))
        == laid_out
    )

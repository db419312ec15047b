"""Several agreements in force at once, as people see them: timelines, proofs, differences, exports and shares."""

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from clauseway.app.agreements.comparing import compare_days
from clauseway.app.agreements.proving import claim_of, prove_claim
from clauseway.app.agreements.timelines import main_rights, rights_over_time, svg_of
from clauseway.app.opening.revenue_shares import shares_of
from clauseway.app.opening.several import OpenAgreements, each_of, figures_of, open_agreements
from clauseway.cli import main
from clauseway.decisions import Outcome
from clauseway.decisions.joint_answers import answer_of
from clauseway.decisions.searches.proof import Within
from clauseway.ledger import Inputs, RevenueLine, read_assumptions, settle
from clauseway.values import Interval, InvalidInput, KnownAt
from two_agreements import documents

DAY = date(2026, 6, 1)
NOW = KnownAt.end_of(DAY)


def folders(where: Path, *says: str) -> list[Path]:
    """A folder for each, of the agreements `north`, `south`, …: north from 2024 on, the others from March 2025 on."""
    rows = []
    for name, item in zip(("north", "south", "west"), says, strict=False):
        folder = where / name
        folder.mkdir()
        for document, text in documents(name, item, "2024-01-01" if name == "north" else "2025-03-01").items():
            (folder / document).write_text(text)
        rows.append(folder)
    return rows


def opened(where: Path, *says: str) -> OpenAgreements:
    opened = open_agreements(folders(where, *says))
    assert isinstance(opened, OpenAgreements)
    return opened


def told(capsys: pytest.CaptureFixture[str], *arguments: str | Path, code: int = 0) -> str:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    assert ended.value.code == code
    return capsys.readouterr().out


def both(where: Path, *says: str) -> list[str]:
    return [word for folder in folders(where, *says) for word in ("--agreement", str(folder))]


SELL = ("--action", "sell", "--party", "reseller", "--product", "item", "--cloud", "west")


def test_a_timeline_has_the_days_of_both_and_names_whose_clause(tmp_path: Path) -> None:
    asked = opened(tmp_path, "the reseller may sell", "only the maker sells")
    question = asked.question(action="sell", party="reseller", product="item", cloud="west", known_at=NOW)
    view = rights_over_time(asked, [question], NOW)
    assert [(span.begin, span.outcome, span.clause.split(" ")[0]) for span in view.rights[0].spans] == [
        (date(2024, 1, 1), Outcome.PERMITTED, "north"),
        (date(2025, 3, 1), Outcome.FORBIDDEN, "south"),
    ]
    assert [name for name, _, _ in view.amendments] == ["north A1", "south A1"]
    assert "south A1" in svg_of(view)


def test_the_main_rights_are_those_of_each_once(tmp_path: Path) -> None:
    asked = opened(tmp_path, "only east hosts", "only the maker sells")
    rights = main_rights(asked, NOW, {})
    alone = [len(main_rights(agreement, NOW, {})) for agreement in each_of(asked)]
    assert max(alone) <= len(rights) <= sum(alone)
    assert len({msgspec.json.encode(right) for right in rights}) == len(rights)


def test_a_proof_of_both_has_its_counterexample_explained_by_both(tmp_path: Path) -> None:
    asked = opened(tmp_path, "the reseller may sell", "only the maker sells")
    within = Within(actions=("sell",), parties=("reseller",), clouds=("west",), products=("item",))
    parts: dict[str, Any] = {"to_day": None, "known_at": "2026-06-01", "reading": {}}
    never = claim_of(["permitted"], ())
    refuted = prove_claim(asked, never, within, from_day=None, **parts)
    assert refuted.counterexample is not None
    assert (refuted.begin, refuted.counterexample.question.as_of) == (date(2024, 1, 1), date(2024, 1, 1))
    assert {answer.agreement for answer in refuted.counterexample.answers or ()} == {"north", "south"}
    assert prove_claim(asked, never, within, from_day="2025-03-01", **parts).holds


def test_what_changes_between_two_days_is_told_with_its_agreement(tmp_path: Path) -> None:
    asked = opened(tmp_path, "the reseller may sell", "only the maker sells")
    comparison = compare_days(asked, [date(2025, 2, 28), date(2025, 3, 1)], [NOW])
    assert {(change.action, change.party) for change in comparison.changed} == {
        (action, party) for action in ("serve", "sell") for party in ("reseller", "partner")
    }
    assert sum(len(list(group.combinations())) for group in comparison.groups) == len(comparison.changed)
    assert all(group.place.startswith("south A1 1.2, A1.md:") for group in comparison.groups)
    assert "eseller may no longer sell" in " ".join(group.sentence for group in comparison.groups)


def test_every_agreement_has_files_of_its_own_and_a_rule(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = both(tmp_path, "nothing more", "east first")
    for kind, ending in (("cedar", ".cedar"), ("rego", ".rego"), ("odrl", "")):
        out = tmp_path / kind
        out.mkdir()
        told(capsys, "export", kind, *flags, "--as-of", "2026-06-01", "--out", out / f"both{ending}")
        names = {path.name for path in out.iterdir()}
        beside = {
            f"both.{agreement}.{ending_beside}"
            for agreement in ("north", "south")
            for ending_beside in ("entities.json", "cedarschema")
            if kind == "cedar"
        }
        assert names == {f"both.north{ending}", f"both.south{ending}", "both.combination.txt"} | beside
    assert "no prohibition in any" in (tmp_path / "rego/both.combination.txt").read_text()
    told(capsys, "export", "rego", *flags, code=3)


def test_decide_traces_each_and_says_what_would_change_it_where(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = both(tmp_path, "the reseller may sell", "only the maker sells")
    asking = ("decide", *SELL, "--as-of", "2026-06-01", *flags, "--trace")
    result = json.loads(told(capsys, *asking, "--json", code=2))
    assert {step["agreement"] for step in result["trace"]} == {"north", "south"}
    assert result["answers"] == [
        {"agreement": "north", "outcome": "permitted"},
        {"agreement": "south", "outcome": "forbidden"},
    ]
    assert result["would_change"] == [
        {"kind": "earlier", "as_of": "2025-02-28", "outcome": "permitted", "agreements": ["south"]}
    ]
    text = told(capsys, *asking, code=2)
    assert "up to 2025-02-28: permitted (south)" in text
    assert "south only-maker (exclusivity)" in text
    (tmp_path / "receipt.json").write_text(json.dumps(result))
    assert "SAME" in told(capsys, "verify", tmp_path / "receipt.json", *flags)
    result["answers"][0]["outcome"] = "forbidden"
    (tmp_path / "edited.json").write_text(json.dumps(result))
    text = told(capsys, "verify", tmp_path / "edited.json", *flags, code=2)
    assert "north: forbidden; south: forbidden" in text
    assert "north: permitted; south: forbidden" in text


def test_commands_take_several_agreements(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = both(tmp_path, "the reseller may sell", "only the maker sells")
    assert "south A1 1.2" in told(capsys, "agreement", "timeline", *SELL, *flags)
    proof = ("prove", "--never", "permitted", "--action", "sell", "--party", "reseller", *flags)
    assert "HOLDS" in told(capsys, *proof, "--from", "2025-03-01", "--every-reading")
    days = ("agreement", "diff", "--as-of", "2025-02-28", "--as-of", "2025-03-01")
    assert "south A1 1.2" in told(capsys, *days, *flags)
    told(capsys, "agreement", "diff", "A1", *flags, code=3)


def cent_line(amount: str) -> RevenueLine:
    return RevenueLine(event_day=DAY, seller="maker", cloud="west", product="item", amount=Decimal(amount), requests=1)


def test_the_shares_of_both_are_settled(tmp_path: Path) -> None:
    """Each owes 10 % of 200: 20 by the one agreement, 20 by the other."""
    asked = opened(tmp_path, "a share is due", "a share is due")
    shares = shares_of(asked, NOW, {})
    assert [(share.term, share.citation.document) for share in shares] == [
        ("north:share", "north/A1.md"),
        ("south:share", "south/A1.md"),
    ]
    settlement = settle(
        period=Interval(date(2026, 6, 1), date(2026, 7, 1)),
        shares=shares,
        revenue=[cent_line("200.00")],
        catalog=asked.catalog,
        assumptions=read_assumptions([], figures_of(asked)),
        inputs=Inputs(agreement="", price_book="", batches=(), known_at=str(NOW), engine=""),
    )
    assert [(share.term, share.amount) for share in settlement.shares] == [
        ("north:share", Decimal("20.00")),
        ("south:share", Decimal("20.00")),
    ]


GENERAL = """  wholesale: {says: What the owner earns., value: 50 %, standing: ours, source: [T]}
  cap-counts: {says: What counts., value: from-here, standing: ours, source: [T]}
  revenue-owner: {says: Whose revenue., value: seller, standing: ours, source: [T]}
"""


def test_the_general_figures_of_one_agreement_hold_for_its_shares_alone(tmp_path: Path) -> None:
    """North's share of 10 % counts the reseller's 200 in full, up to a cap of 30, as it does by itself.

    South declares that half of it counts, and what of earlier payments counts toward the cap.
    """
    places = folders(tmp_path, "a share is due", "a share is due")
    for folder in places:
        text = (folder / "A1.md").read_text()
        capped = text.replace("{sellers: [maker]}", "{sellers: [maker], wholesale: true}\ncap: USD 30")
        (folder / "A1.md").write_text(capped)
    text = (places[1] / "agreement.md").read_text()
    (places[1] / "agreement.md").write_text(text.replace("figures:\n", f"figures:\n{GENERAL}"))
    asked = open_agreements(places)
    line = msgspec.structs.replace(cent_line("200.00"), seller="reseller", cloud="east")

    def due(*assume: str) -> dict[str, str]:
        settlement = settle(
            period=Interval(date(2026, 6, 1), date(2026, 7, 1)),
            shares=shares_of(asked, NOW, {}),
            revenue=[line],
            catalog=asked.catalog,
            assumptions=read_assumptions(assume, figures_of(asked)),
            inputs=Inputs(agreement="", price_book="", batches=(), known_at=str(NOW), engine=""),
        )
        return {share.term: str(share.amount) for share in settlement.shares}

    assert due() == {"north:share": "20.00", "south:share": "10.00"}
    assert due("cap-counts=all-payments:25") == {"north:share": "20.00", "south:share": "5.00"}


# Terms in which south's text differs from north's → the 200 of an item, and the 100 of another product, that counts.
# Both have a share of 10 % on all that the maker sells.
COUNTED = [
    ({}, {"north:share": "20.00", "south:share": "20.00"}),
    ({"item": "other"}, {"north:share": "20.00", "south:share": "10.00"}),
    # It names both products, and its base leaves out the class that the item is of in its own text.
    (
        {
            "classes: {app: {actions: [serve, sell]}}": "classes: {app: {actions: [serve, sell]}, old: {within: app}}",
            "products: {item: {class: app,": "products: {other: {class: app}, item: {class: old,",
            "base: {sellers: [maker]}": "base: {sellers: [maker], excludes: [old]}",
        },
        {"north:share": "20.00", "south:share": "10.00"},
    ),
    # It names no product that its base takes in.
    (
        {
            "{item: {class: app, first-shipped-by: 2019-01-01}}": "{}",
            "base: {sellers: [maker]}": "base: {sellers: [maker], products: [app]}",
        },
        {"north:share": "20.00", "south:share": "0.00"},
    ),
]


@pytest.mark.parametrize(("south", "due"), COUNTED)
def test_a_share_counts_the_products_that_its_own_agreement_names(
    tmp_path: Path, south: dict[str, str], due: dict[str, str]
) -> None:
    places = folders(tmp_path, "a share is due", "a share is due")
    for document in places[1].iterdir():
        text = document.read_text()
        for before, after in south.items():
            text = text.replace(before, after)
        document.write_text(text)
    asked = open_agreements(places)
    other = msgspec.structs.replace(cent_line("100.00"), product="other")
    sold = [cent_line("200.00"), *([other] if "other" in asked.catalog.products else [])]
    settlement = settle(
        period=Interval(date(2026, 6, 1), date(2026, 7, 1)),
        shares=shares_of(asked, NOW, {}),
        revenue=sold,
        catalog=asked.catalog,
        assumptions=read_assumptions([], figures_of(asked)),
        inputs=Inputs(agreement="", price_book="", batches=(), known_at=str(NOW), engine=""),
    )
    assert {share.term: str(share.amount) for share in settlement.shares} == due


def test_a_figure_that_two_declare_otherwise_is_refused(tmp_path: Path) -> None:
    places = folders(tmp_path, "a share is due", "a share is due")
    text = (places[1] / "agreement.md").read_text()
    (places[1] / "agreement.md").write_text(text.replace("value: 10 %", "value: 12 %"))
    with pytest.raises(InvalidInput, match="declared twice"):
        figures_of(open_agreements(places))


def test_one_that_is_silent_answers_for_itself(tmp_path: Path) -> None:
    asked = opened(tmp_path, "does not name the product", "nothing more")
    question = asked.question(action="sell", party="reseller", product="item", cloud="west", as_of=DAY)
    assert answer_of(asked.each[0], question).outcome is Outcome.UNSTATED


def test_what_a_home_has_recorded_counts_for_each_that_it_was_recorded_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A product added to one of them, launched for all, granted by one: the other names no such product."""
    flags = both(tmp_path, "nothing more", "east first")
    north, home = str(tmp_path / "north"), ("--home", str(tmp_path / "home"))
    common = ("--effective", "2026-05-01", "--source", "a letter", "--agreement", north, *home)
    asking = ("decide", *SELL[:4], "--product", "newer", *SELL[6:], "--as-of", "2026-06-01", *flags, *home)
    told(capsys, *asking, code=3)
    told(capsys, "fact", "record", "product", "--product", "newer", "--class", "app", *common)
    launch = ("fact", "record", "launch", "--product", "newer", "--cloud", "west", "--stage", "available")
    told(capsys, *launch, *common)
    result = json.loads(told(capsys, *asking, "--json", code=2))
    assert [answer["outcome"] for answer in result["answers"]] == ["conditional", "unstated"]
    told(capsys, "fact", "record", "grant", "--party", "reseller", "--product", "newer", *common)
    result = json.loads(told(capsys, *asking, "--json"))
    assert {reason["agreement"] for reason in result["reasons"]} == {"north"}
    assert "HOLDS" in told(
        capsys,
        "prove",
        "--always",
        "permitted",
        *SELL[:4],
        "--product",
        "newer",
        "--cloud",
        "west",
        "--from",
        "2026-06-01",
        *flags,
        *home,
    )

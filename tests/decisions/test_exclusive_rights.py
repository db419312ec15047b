"""Exclusive and sole rights, and rights from somebody who owns nothing: who may act beside the holder."""

import re

import pytest
from reference_evaluator import World

from clauseway import InvalidInput
from clauseway.agreement import Exclusivity
from clauseway.agreement.language.terms import Only
from clauseway.agreement.soundness.checking import check_agreement
from clauseway.decisions import Tables
from clauseway.decisions.trace import trace
from terms_at_hand import amendment, asking, at_hand, decided, documents, reading

SHOP = "id: A1.shop\nkind: permission\nparty: shop\nactions: [contract-compute]\nproducts: [rooms]\n"
USE = "id: A1.use\nkind: licence\nlicensor: maker\nlicensee: partner\nproducts: [rights]\n"
RIVALS_RIGHT = "\n\nid: A1.pass\nkind: permission\nparty: rival\nactions: [license]\nproducts: [rights, rooms]"
NORTH = "contract-compute {} rooms north"


@pytest.mark.parametrize(
    ("terms", "question", "outcome"),
    [
        # A permission that is neither leaves the owner free, and others to the owner's grant.
        (SHOP, NORTH.format("shop"), "permitted"),
        (SHOP, NORTH.format("maker"), "permitted"),
        (SHOP, NORTH.format("rival"), "conditional"),
        # Exclusive: nobody else, the grantor neither.
        (SHOP + "exclusive: true", NORTH.format("shop"), "permitted"),
        (SHOP + "exclusive: true", NORTH.format("maker"), "forbidden"),
        (SHOP + "exclusive: true", NORTH.format("rival"), "forbidden"),
        # Sole: nobody else but the grantor.
        (SHOP + "sole: true\ngrantor: maker", NORTH.format("shop"), "permitted"),
        (SHOP + "sole: true\ngrantor: maker", NORTH.format("maker"), "permitted"),
        (SHOP + "sole: true\ngrantor: maker", NORTH.format("rival"), "forbidden"),
        # Exclusive on one cloud alone.
        (SHOP + "exclusive: true\nclouds: [south]", NORTH.format("maker"), "permitted"),
        (SHOP + "exclusive: true\nclouds: [south]", "contract-compute maker rooms south", "forbidden"),
        # An exclusive licence leaves no other licence, and the licensor no use; a sole one leaves it its own.
        (USE, "use-under-licence maker rights", "permitted"),
        (USE + "exclusive: true", "use-under-licence partner rights", "permitted"),
        (USE + "exclusive: true", "use-under-licence maker rights", "forbidden"),
        (USE + "exclusive: true", "use-under-licence rival rights", "forbidden"),
        (USE + "exclusive: true", "license maker rights to=rival", "forbidden"),
        (USE + "exclusive: true", "license maker rights to=partner", "permitted"),
        (USE + "sole: true", "use-under-licence maker rights", "permitted"),
        (USE + "sole: true", "use-under-licence rival rights", "forbidden"),
        (USE + "sole: true", "license maker rights to=rival", "forbidden"),
        # A right from somebody who owns nothing permits nothing, unless that one may license it on.
        (SHOP + "grantor: maker", NORTH.format("shop"), "permitted"),
        (SHOP + "grantor: rival", NORTH.format("shop"), "conditional"),
        (SHOP + "grantor: rival" + RIVALS_RIGHT, NORTH.format("shop"), "permitted"),
        # Two who may license because the other says so own nothing together.
        (
            SHOP + "grantor: rival" + RIVALS_RIGHT + "\ngrantor: partner"
            "\n\nid: A1.back\nkind: permission\nparty: partner\nactions: [license]\nproducts: [rights, rooms]"
            "\ngrantor: rival",
            NORTH.format("shop"),
            "conditional",
        ),
    ],
)
def test_who_may_act_beside_the_holder(terms: str, question: str, outcome: str) -> None:
    opened = at_hand(terms)
    decision = decided(opened, question)
    assert decision.outcome == outcome
    asked = asking(opened, question, "2026-06-01")
    assert Tables(opened.agreement, opened.catalog, opened.facts).decide(asked) == decision
    assert World(opened, asked).answer() == outcome


def test_the_exclusivity_behind_a_right_has_its_scope_and_days() -> None:
    opened = at_hand(SHOP + "exclusive: true\nclouds: [south]\nthrough: 2026-12-31")
    [behind] = [term for term in opened.agreement.amendments[0].terms if isinstance(term, Exclusivity)]
    assert (behind.id, behind.only, behind.clouds) == (
        "A1.shop.exclusive",
        Only(parties=frozenset({"shop"})),
        frozenset({"south"}),
    )
    assert str(behind.through) == "2026-12-31"
    assert decided(opened, "contract-compute maker rooms south", "2026-12-31").outcome == "forbidden"
    assert decided(opened, "contract-compute maker rooms south", "2027-01-01").outcome == "permitted"


@pytest.mark.parametrize(
    ("ends", "shop", "maker"),
    [
        # Ending the right ends its exclusivity; the exclusivity may end alone, and the right goes on.
        ("ends: [A1.shop]", "conditional", "permitted"),
        ("ends: [A1.shop.exclusive]", "permitted", "permitted"),
    ],
)
def test_what_ends_a_right_ends_its_exclusivity(ends: str, shop: str, maker: str) -> None:
    texts = documents(SHOP + "exclusive: true") | {"A2.md": amendment("A2", "2026-07-01", f"id: A2.ends\n{ends}")}
    opened = reading(texts)
    for day, outcomes in (("2026-06-30", ("permitted", "forbidden")), ("2026-07-01", (shop, maker))):
        answers = tuple(decided(opened, NORTH.format(party), day).outcome for party in ("shop", "maker"))
        assert answers == outcomes


@pytest.mark.parametrize(
    ("right", "change", "outcomes"),
    [
        # Later counts of the exclusivity end with the right: nobody is kept out for nobody.
        (
            "through: 2026-12-31",
            "sets-end: [A1.shop.exclusive]\nthrough: 2027-12-31",
            {"2026-12-31": "forbidden", "2027-01-01": "permitted"},
        ),
        ("until: 2026-09-01", "sets-end: [A1.shop.exclusive]\nuntil: milestone", {"2026-09-01": "permitted"}),
        # It may end sooner.
        (
            "through: 2026-12-31",
            "sets-end: [A1.shop.exclusive]\nthrough: 2026-08-31",
            {"2026-08-31": "forbidden", "2026-09-01": "permitted"},
        ),
        # Moving the end of the right moves both.
        (
            "through: 2026-12-31",
            "sets-end: [A1.shop]\nthrough: 2027-12-31",
            {"2027-12-31": "forbidden", "2028-01-01": "permitted"},
        ),
    ],
)
def test_an_exclusivity_ends_with_its_right(right: str, change: str, outcomes: dict[str, str]) -> None:
    changing = amendment("A2", "2026-07-01", f"id: A2.ends\n{change}")
    opened = reading(documents(SHOP + "exclusive: true\n" + right) | {"A2.md": changing})
    tables = Tables(opened.agreement, opened.catalog, opened.facts)
    for day, outcome in outcomes.items():
        asked = asking(opened, NORTH.format("maker"), day)
        assert opened.answer(asked).outcome == outcome
        assert tables.decide(asked) == opened.answer(asked)
        assert World(opened, asked).answer() == outcome


def test_a_change_that_an_earlier_end_of_the_right_leaves_idle_is_told() -> None:
    changing = amendment("A2", "2026-07-01", "id: A2.longer\nsets-end: [A1.shop.exclusive]\nthrough: 2027-12-31")
    opened = reading(documents(SHOP + "exclusive: true\nthrough: 2026-12-31") | {"A2.md": changing})
    [remark] = [remark for remark in check_agreement(opened.agreement, opened.facts) if remark.kind == "idle-change"]
    assert remark.what == "A2.longer changes nothing of A1.shop.exclusive"
    assert remark.why == "it ends with A1.shop, whose end this does not move"
    assert remark.remedy == "Set the end of A1.shop, which moves both."


def test_a_permission_may_hold_despite_the_exclusivity_of_a_right() -> None:
    despite = "\n\nid: A1.rival\nkind: permission\nparty: rival\nactions: [contract-compute]\nproducts: [rooms]\n"
    opened = at_hand(SHOP + "exclusive: true" + despite + "despite: [A1.shop.exclusive]")
    assert decided(opened, NORTH.format("rival")).outcome == "permitted"
    assert decided(opened, NORTH.format("partner")).outcome == "forbidden"


@pytest.mark.parametrize(
    ("terms", "refusal"),
    [
        (SHOP + "exclusive: true\nsole: true\ngrantor: maker", "A1.shop is exclusive and sole"),
        (SHOP + "sole: true", "A1.shop does not say who else may"),
        (SHOP.replace("party: shop", "party: anyone") + "exclusive: true", "A1.shop is for anyone alone"),
        (SHOP.replace("party: shop", "party: anyone") + "grantor: maker", "A1.shop has a grantor"),
        (SHOP + "grantor: shop", "A1.shop is its holder's own grant"),
        (SHOP + "grantor: nobody", "unknown party 'nobody'"),
        (USE + "exclusive: true\nsole: true", "A1.use is exclusive and sole"),
        # A licence is kept to places by what it carries; a share is settled by product, cloud and seller.
        (USE + "regions: [elsewhere]", "use-under-licence takes no regions"),
        (
            "id: s\nkind: revenue-share\npayer: shop\npayee: maker\nrate: 5 %\n"
            "base: {sellers: [shop], regions: [elsewhere]}",
            "a base takes no regions",
        ),
    ],
)
def test_what_is_refused(terms: str, refusal: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(refusal)):
        reading(documents(terms))


@pytest.mark.parametrize(
    ("terms", "question", "product"),
    [
        (SHOP + "grantor: rival", NORTH.format("shop"), "rooms"),
        (USE.replace("licensor: maker", "licensor: rival"), "use-under-licence partner rights", "rights"),
    ],
)
def test_a_trace_says_that_nobody_could_give_a_right(terms: str, question: str, product: str) -> None:
    opened = at_hand(terms)
    asked = asking(opened, question, "2026-06-01")
    traced = trace(opened.agreement, opened.catalog, opened.facts, asked, opened.answer(asked))
    [why] = [line.why for line in traced if line.term in ("A1.shop", "A1.use")]
    assert why == f"rival gives it, and neither owns {product} nor may license it on"


# A key of a right, which its exclusivity has too · the field.
SHARED = [
    ("begins: 2026-03-01", "begins"),
    ("until: 2027-01-01", "until"),
    ("through: 2027-01-01", "through"),
    ("from: notice", "from_"),
    ("while: notice", "while_"),
    ("while-no: notice", "while_no"),
    ("under: {R1: narrow}", "under"),
    ("clouds: [north]", "clouds"),
    ("sellers: [shop]", "sellers"),
    ("segments: [state]", "segments"),
    ("regions: [eu]", "regions"),
]


@pytest.mark.parametrize(("key", "field"), SHARED)
def test_an_exclusivity_holds_when_and_where_its_right_holds(key: str, field: str) -> None:
    texts = documents(f"{SHOP.replace('contract-compute', 'sell').replace('rooms', 'apps')}exclusive: true\n{key}")
    defined = (
        "readings:\n  R1: {says: It reads both ways., source: [T], options: [wide, narrow]}\n"
        "events:\n  notice: {says: Notice is given., source: [T]}\nregions: {eu: {}}\nrules:"
    )
    texts["agreement.md"] = texts["agreement.md"].replace("rules:", defined, 1)
    written = reading(texts).agreement.terms_by_id
    right, exclusivity = written["A1.shop"], written["A1.shop.exclusive"]
    assert getattr(exclusivity, field) == getattr(right, field) != getattr(written["own"], field, frozenset())

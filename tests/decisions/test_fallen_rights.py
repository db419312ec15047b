"""A right lives as long as whoever gave it may give it: what it was is cited once it ended, fell or was withdrawn."""

import pytest
from reference_evaluator import World

from clauseway import OpenAgreement
from clauseway.app.agreements.checking import carried_in_vain, rights_that_fall
from clauseway.app.agreements.term_rows import terms_view
from clauseway.decisions import Tables
from clauseway.decisions.findings.fallen import fallen_rights
from clauseway.decisions.findings.ungiven import never_given
from clauseway.decisions.trace import trace
from terms_at_hand import amendment, asking, documents, reading

# The partner uses what is the maker's, and serves its apps; a rival may license the maker's rights on.
USE = "id: A1.use\nkind: licence\nlicensor: maker\nlicensee: partner\nproducts: [rights]"
CARRIES = USE.replace("A1.use", "A1.carry") + "\ncarries:\n  - products: [apps]"
PASSES = "id: A1.pass\nkind: permission\nparty: rival\nactions: [license]\nproducts: [rights, rooms, apps]"
UNDER = "id: A1.under\nkind: licence\nlicensor: rival\nlicensee: shop\nproducts: [rights]"
ROOMS = "id: A1.rooms\nkind: permission\nparty: shop\ngrantor: rival\nactions: [contract-compute]\nproducts: [rooms]"
BOTH = (
    "id: A1.both\nkind: permission\nparty: shop\ngrantor: maker\nactions: [sell, contract-compute]"
    "\nproducts: [apps, rooms]\nexclusive: true"
)
EXCLUSIVE = "\nexclusive: true"
SOLE = "\nsole: true"
LETS_ALONE, LICENSES_ALONE = f"{ROOMS}{EXCLUSIVE}\n\n{PASSES}", f"{UNDER}{EXCLUSIVE}\n\n{PASSES}"
KEPT = "id: A1.kept\nkind: exclusivity\nactions: [use-under-licence]\nproducts: [rights]\nonly: {parties: [partner]}"
# On 1 July 2026.
SOLD = "id: A2.sold\nends: [own]\n\nid: A2.owns\nkind: ownership\nparty: rival\nproducts: [apps, rooms, rights]"
PART_SOLD = "id: A2.owns\nkind: ownership\nparty: rival\nproducts: [rights]"
APPS_SOLD = PART_SOLD.replace("rights", "apps")
NO_MORE = "id: A2.no-more\nends: [A1.pass]"

PARTNER, SHOP, RIVAL = (f"use-under-licence {party} rights" for party in ("partner", "shop", "rival"))
MAKER = "use-under-licence maker rights"
LET = "contract-compute {} rooms north"
BEFORE, AFTER, LATER = "2026-06-30", "2026-07-01", "2027-03-01"


def changed(terms: str, *later: str, facts: tuple[str, ...] = ()) -> OpenAgreement:
    """The agreement whose second document takes effect on 1 July 2026, and whose third on 1 January 2027."""
    days = ("2026-07-01", "2027-01-01")
    texts = documents(terms, facts)
    for number, (day, blocks) in enumerate(zip(days, later, strict=False), start=2):
        texts |= {f"A{number}.md": amendment(f"A{number}", day, blocks)}
    return reading(texts)


def answered(opened: OpenAgreement, question: str, day: str) -> tuple[str, list[str]]:
    """The outcome, and what is cited; as engine, table and reference evaluator say."""
    asked = asking(opened, question, day)
    decision = opened.answer(asked)
    assert Tables(opened.agreement, opened.catalog, opened.facts).decide(asked) == decision
    assert World(opened, asked).answer() == decision.outcome
    assert trace(opened.agreement, opened.catalog, opened.facts, asked, decision)
    return decision.outcome, [reason.term for reason in decision.reasons]


@pytest.mark.parametrize(
    ("terms", "later", "question", "day", "outcome", "cited"),
    [
        # An exclusivity that a right wrote lives as long as the right: the new owner is free, and so are others.
        (USE + EXCLUSIVE, SOLD, RIVAL, BEFORE, "forbidden", ["A1.use.exclusive"]),
        (USE + EXCLUSIVE, SOLD, RIVAL, AFTER, "permitted", ["A1.use.exclusive", "A2.owns", "owner"]),
        (
            USE + EXCLUSIVE,
            SOLD,
            "license rival rights to=shop",
            AFTER,
            "permitted",
            ["A1.use.exclusive", "A2.owns", "owner"],
        ),
        (USE + EXCLUSIVE, SOLD, MAKER, AFTER, "conditional", ["A1.use.exclusive", "A2.sold", "own", "grant"]),
        (USE + EXCLUSIVE, SOLD, SHOP, AFTER, "conditional", ["A1.use.exclusive", "grant"]),
        (
            USE + SOLE,
            SOLD,
            "license rival rights to=shop",
            AFTER,
            "permitted",
            ["A1.use.exclusive", "A2.owns", "owner"],
        ),
        # Where a part of the products was sold, the rest stays reserved.
        (BOTH, APPS_SOLD, "sell rival app south", AFTER, "permitted", ["A1.both.exclusive", "A2.owns", "owner"]),
        (
            BOTH,
            APPS_SOLD,
            "sell shop app south",
            AFTER,
            "conditional",
            ["A1.both.exclusive", "A2.owns", "A1.both", "grant"],
        ),
        (BOTH, APPS_SOLD, LET.format("shop"), AFTER, "permitted", ["A1.both.exclusive", "own", "A1.both"]),
        (BOTH, APPS_SOLD, LET.format("rival"), AFTER, "forbidden", ["A1.both.exclusive"]),
        # The same where the grantor may license on no more.
        (LETS_ALONE, NO_MORE, LET.format("maker"), BEFORE, "forbidden", ["A1.rooms.exclusive"]),
        (LETS_ALONE, NO_MORE, LET.format("maker"), AFTER, "permitted", ["A1.rooms.exclusive", "own", "owner"]),
        (LETS_ALONE, NO_MORE, LET.format("partner"), AFTER, "conditional", ["A1.rooms.exclusive", "grant"]),
        (LICENSES_ALONE, NO_MORE, MAKER, BEFORE, "forbidden", ["A1.under.exclusive"]),
        (LICENSES_ALONE, NO_MORE, MAKER, AFTER, "permitted", ["A1.under.exclusive", "own", "owner"]),
        # An exclusivity of somebody who never could give the right keeps nobody out.
        (
            ROOMS + EXCLUSIVE,
            NO_MORE.replace("A1.pass", "A1.rooms"),
            LET.format("maker"),
            BEFORE,
            "permitted",
            ["own", "owner"],
        ),
        # One that the text states by itself stays.
        (KEPT, SOLD, RIVAL, AFTER, "forbidden", ["A1.kept"]),
        # A licence that fell with its licensor's right: forbidden, with what ended that right, and the licence.
        (USE, SOLD, PARTNER, BEFORE, "permitted", ["A1.use"]),
        (USE, SOLD, PARTNER, AFTER, "forbidden", ["A2.sold", "own", "A2.owns", "A1.use", "licensee"]),
        (USE, PART_SOLD, PARTNER, AFTER, "forbidden", ["A2.owns", "A1.use", "licensee"]),
        (
            CARRIES,
            SOLD,
            "serve partner app north",
            AFTER,
            "forbidden",
            ["A2.sold", "own", "A2.owns", "A1.carry", "licensee"],
        ),
        (
            CARRIES,
            SOLD,
            "sell partner app north",
            AFTER,
            "forbidden",
            ["A2.sold", "own", "A2.owns", "A1.carry", "licensee"],
        ),
        (UNDER + "\n\n" + PASSES, NO_MORE, SHOP, BEFORE, "permitted", ["A1.under"]),
        (UNDER + "\n\n" + PASSES, NO_MORE, SHOP, AFTER, "forbidden", ["A2.no-more", "A1.pass", "A1.under", "licensee"]),
        # The rival's permission names the maker, who sold: the shop's licence fell with both.
        (
            UNDER + "\n\n" + PASSES + "\ngrantor: maker",
            SOLD.replace("rival", "partner"),
            SHOP,
            AFTER,
            "forbidden",
            ["A2.sold", "own", "A2.owns", "A1.pass", "A1.under", "licensee"],
        ),
        # A licence that ended, whatever became of its licensor.
        (USE + "\nthrough: 2026-05-31", SOLD, PARTNER, BEFORE, "forbidden", ["A1.use", "licensee"]),
        (USE + "\nthrough: 2026-05-31", SOLD, PARTNER, AFTER, "forbidden", ["A1.use", "licensee"]),
        (
            USE + "\nthrough: 2026-12-31",
            SOLD,
            PARTNER,
            LATER,
            "forbidden",
            ["A2.sold", "own", "A2.owns", "A1.use", "licensee"],
        ),
        (UNDER + "\nthrough: 2026-05-31\n\n" + PASSES, NO_MORE, SHOP, AFTER, "forbidden", ["A1.under", "licensee"]),
        # A licence that nobody could give was never a right: its end takes nothing away.
        (UNDER, "id: A2.end\nends: [A1.under]", SHOP, BEFORE, "conditional", ["grant"]),
        (UNDER, "id: A2.end\nends: [A1.under]", SHOP, AFTER, "conditional", ["grant"]),
        (UNDER + "\nthrough: 2026-05-31", SOLD, SHOP, AFTER, "conditional", ["grant"]),
        # One that its licensor came to own counts from then on.
        (UNDER, SOLD, SHOP, AFTER, "permitted", ["A1.under"]),
        # A permission that ended, or fell: conditional on a new grant, and cited.
        (
            ROOMS + "\n\n" + PASSES,
            NO_MORE,
            LET.format("shop"),
            AFTER,
            "conditional",
            ["A2.no-more", "A1.pass", "A1.rooms", "grant"],
        ),
        (
            ROOMS + "\nthrough: 2026-05-31\n\n" + PASSES,
            NO_MORE,
            LET.format("shop"),
            AFTER,
            "conditional",
            ["A1.rooms", "grant"],
        ),
        (
            ROOMS.replace("grantor: rival\n", ""),
            "id: A2.end\nends: [A1.rooms]",
            LET.format("shop"),
            AFTER,
            "conditional",
            ["A2.end", "A1.rooms", "grant"],
        ),
        # A declaration of the owner about itself was no right that somebody gave.
        (
            "id: A1.own-rooms\nkind: permission\nparty: maker\nactions: [contract-compute]\nproducts: [rooms]"
            "\nthrough: 2026-05-31",
            SOLD,
            LET.format("maker"),
            AFTER,
            "conditional",
            ["A2.sold", "own", "grant"],
        ),
    ],
)
def test_a_right_that_fell(terms: str, later: str, question: str, day: str, outcome: str, cited: list[str]) -> None:
    assert answered(changed(terms, later), question, day) == (outcome, cited)


def test_a_trace_names_the_terms_by_which_a_right_was_passed_on() -> None:
    passes = PASSES + "\ngrantor: partner"
    first = "id: A1.first\nkind: permission\nparty: partner\ngrantor: maker\nactions: [license]\nproducts: [rights]"
    opened = changed(f"{UNDER}\n\n{passes}\n\n{first}")
    asked = asking(opened, SHOP, BEFORE)
    traced = trace(opened.agreement, opened.catalog, opened.facts, asked, opened.answer(asked))
    assert {step.term: step.why for step in traced if step.applies} == {
        "own": "it is in force and reaches this; other terms decide",
        "A1.under": "it permits this: rival gives it by A1.pass, by A1.first",
        "A1.pass": "A1.under rests on it: it may be licensed on",
        "A1.first": "A1.under rests on it: it may be licensed on",
    }


def test_who_held_a_right_is_told_what_ended_last() -> None:
    """An exclusivity that ended before the right did is cited behind it, one that ended later before it."""
    old = "id: A1.old\nkind: exclusivity\nactions: [contract-compute]\nproducts: [rooms]\nonly: {parties: [maker]}"
    let = ROOMS.replace("grantor: rival\n", "")
    for old_until, until, cited in (
        ("2026-03-31", "2026-05-31", ["A1.rooms", "A1.old", "grant"]),
        ("2026-05-31", "2026-03-31", ["A1.old", "A1.rooms", "grant"]),
    ):
        opened = changed(f"{old}\nthrough: {old_until}\n\n{let}\nthrough: {until}")
        assert answered(opened, LET.format("shop"), BEFORE) == ("conditional", cited)


GRANTED = "kind: grant, party: shop, product: rights, effective: 2026-02-01"
WITHDRAWN = "kind: withdrawal, party: shop, product: rights, effective: 2026-05-01"
ANEW = GRANTED.replace("2026-02-01", "2026-06-01")


@pytest.mark.parametrize(
    ("facts", "day", "outcome", "cited", "said"),
    [
        ((), "2026-06-01", "conditional", ["grant"], "no grant is recorded"),
        ((GRANTED,), "2026-06-01", "permitted", [], ""),
        ((GRANTED, WITHDRAWN), "2026-04-30", "permitted", [], ""),
        (
            (GRANTED, WITHDRAWN),
            "2026-05-01",
            "conditional",
            ["withdrawal:shop:rights", "grant:shop:rights", "grant"],
            "the last grant was withdrawn on 2026-05-01",
        ),
        ((GRANTED, WITHDRAWN, ANEW), "2026-06-01", "permitted", [], ""),
        (
            (f"{GRANTED}, through: 2026-04-30",),
            "2026-05-01",
            "conditional",
            ["grant:shop:rights", "grant"],
            "the last grant ended on 2026-05-01",
        ),
    ],
)
def test_a_grant_that_is_over(facts: tuple[str, ...], day: str, outcome: str, cited: list[str], said: str) -> None:
    opened = changed("", facts=facts)
    answer, terms = answered(opened, SHOP, day)
    assert answer == outcome
    assert outcome == "permitted" or terms == cited
    conditions = opened.answer(asking(opened, SHOP, day)).conditions
    assert [condition.text for condition in conditions] == ([f"maker must grant it to shop; {said}."] if said else [])


APPS = GRANTED.replace("rights", "apps")
APPS_WITHDRAWN = f"{WITHDRAWN}, segment: state".replace("rights", "apps")
FELL = ["A2.sold", "own", "A2.owns", "grant:shop:rights", "grant"]
MAKERS = "id: A1.still\nkind: permission\nparty: maker\nactions: [license]\nproducts: [rights]"


@pytest.mark.parametrize(
    ("terms", "later", "facts", "day", "outcome", "cited"),
    [
        ("", SOLD, (GRANTED,), BEFORE, "permitted", ["own", "owner", "grant:shop:rights"]),
        ("", SOLD, (GRANTED,), AFTER, "conditional", FELL),
        # It was over before its grantor sold.
        (
            "",
            SOLD,
            (GRANTED, WITHDRAWN),
            AFTER,
            "conditional",
            ["withdrawal:shop:rights", "grant:shop:rights", "grant"],
        ),
        # Whoever may license it on can let it stand, and the new owner grants anew.
        (MAKERS, SOLD, (GRANTED,), AFTER, "permitted", ["A2.owns", "owner", "grant:shop:rights"]),
        (
            "",
            SOLD,
            (GRANTED, ANEW.replace("2026-06-01", AFTER)),
            AFTER,
            "permitted",
            ["A2.owns", "owner", "grant:shop:rights"],
        ),
        # One that was recorded before anybody owned it is the first owner's.
        (
            "",
            SOLD,
            (GRANTED.replace("2026-02-01", "2025-11-01"),),
            BEFORE,
            "permitted",
            ["own", "owner", "grant:shop:rights"],
        ),
        ("", SOLD, (GRANTED.replace("2026-02-01", "2025-11-01"),), AFTER, "conditional", FELL),
    ],
)
def test_a_grant_falls_with_the_ownership_of_whoever_gave_it(
    terms: str, later: str, facts: tuple[str, ...], day: str, outcome: str, cited: list[str]
) -> None:
    assert answered(changed(terms, later, facts=facts), SHOP, day) == (outcome, cited)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ((GRANTED,), ["grant:shop:rights=2026-02-01 falls on 2026-07-01 for rights"]),
        ((f"{GRANTED}, through: 2026-06-30",), []),
        ((GRANTED, WITHDRAWN), []),
        (
            (APPS, APPS_WITHDRAWN),
            ["grant:shop:apps=2026-02-01 falls on 2026-07-01 for apps"],
        ),
        ((GRANTED.replace("2026-02-01", AFTER),), []),
    ],
)
def test_a_grant_that_falls_is_told(facts: tuple[str, ...], expected: list[str]) -> None:
    opened = changed("", APPS_SOLD if APPS in facts else SOLD, facts=facts)
    fallen = fallen_rights(opened.agreement, opened.catalog, opened.facts)
    assert [remark.what for remark in rights_that_fall(opened.agreement, fallen)] == expected


def test_a_carve_out_alone_permits_nothing() -> None:
    kept = KEPT + "\nexcept:\n  - products: [rights]"
    assert answered(changed(kept), MAKER, BEFORE) == ("permitted", ["A1.kept", "own"])


@pytest.mark.parametrize(
    ("terms", "later", "expected"),
    [
        (USE + EXCLUSIVE, SOLD, ["A1.use falls on 2026-07-01 for rights, and A1.use.exclusive with it"]),
        (BOTH, APPS_SOLD, ["A1.both falls on 2026-07-01 for apps, and A1.both.exclusive with it"]),
        (UNDER + "\n\n" + PASSES, NO_MORE, ["A1.under falls on 2026-07-01 for rights"]),
        # A right that ends before, or with, its giver's does not fall; nor one to what its giver comes to own.
        (USE + "\nthrough: 2026-06-30", SOLD, []),
        (USE, SOLD.replace("[own]", "[own, A1.use]"), []),
        (UNDER, SOLD, []),
    ],
)
def test_a_right_that_falls_is_told(terms: str, later: str, expected: list[str]) -> None:
    opened = changed(terms, later)
    fallen = fallen_rights(opened.agreement, opened.catalog, opened.facts)
    remarks = list(rights_that_fall(opened.agreement, fallen))
    assert [remark.what for remark in remarks] == expected
    assert all("A2." in remark.why and "A2.md:" in remark.why for remark in remarks)


IN_VAIN = (
    "part 1 of what A1.under carries lets shop do nothing with apps",
    "rival neither owns apps nor may license it on, on any day of A1.under",
)
RIGHTS_ALONE = PASSES.replace("rights, rooms, apps", "rights")
CARRIED = UNDER + "\ncarries:\n  - {actions: [sell], products: [apps]}"
FROM_MAKER = RIGHTS_ALONE + "\ngrantor: maker"
FROM_PARTNER = RIGHTS_ALONE + "\ngrantor: partner"
PARTNERS = RIGHTS_ALONE.replace("A1.pass", "A1.up").replace("rival", "partner")
ANYTHING = UNDER + "\ncarries:\n  - {actions: [sell]}"
APP_TOO = PASSES.replace("rights, rooms, apps", "rights, app")
INTO = "If rival may pass it on, write apps into the products of {}; else take apps out of the part."
ANEW_WRITTEN = (
    "If rival may pass it on, write a permission of rival with actions: [license] and products: [apps, rights]; "
    "else take apps out of the part."
)


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        (f"{CARRIED}\n\n{RIGHTS_ALONE}", INTO.format("A1.pass")),
        (f"{CARRIED}\n\n{FROM_MAKER}", INTO.format("A1.pass")),
        (f"{CARRIED}\n\n{FROM_PARTNER}\n\n{PARTNERS}", INTO.format("A1.pass and A1.up")),
        (f"{CARRIED}\n\n{RIGHTS_ALONE}\nunder: {{R1: a}}", INTO.format("A1.pass")),
        (CARRIED, ANEW_WRITTEN),
        # Rights that the licensor may license on: on some day, under some reading, by an event; and its own products.
        (f"{CARRIED}\n\n{PASSES}", None),
        (f"{CARRIED}\n\n{PASSES}\nthrough: 2026-03-01", None),
        (f"{CARRIED}\n\n{PASSES}\nfrom: milestone", None),
        (f"{CARRIED}\n\n{PASSES}\nunder: {{R1: b}}", None),
        (CARRIED.replace("licensor: rival", "licensor: maker"), None),
        # Of a part that names no products, what it can give is enough.
        (f"{ANYTHING}\n\n{RIGHTS_ALONE}", INTO.format("A1.pass")),
        (f"{ANYTHING}\n\n{APP_TOO}", None),
        (UNDER, None),
    ],
)
def test_what_a_licence_carries_and_its_licensor_can_never_give_is_told(terms: str, expected: str | None) -> None:
    texts = documents(terms)
    texts["agreement.md"] = texts["agreement.md"].replace(
        "rules:\n", "readings: {R1: {says: Two ways., source: [T], options: [a, b]}}\nrules:\n"
    )
    opened = reading(texts)
    ungiven = never_given(opened.agreement, opened.catalog, opened.facts)
    remarks = [(remark.what, remark.why, remark.remedy) for remark in carried_in_vain(opened.agreement, ungiven)]
    assert remarks == ([(*IN_VAIN, expected)] if expected else [])


def test_of_a_class_of_which_some_can_be_given_only_the_rest_is_told() -> None:
    opened = reading(documents(f"{CARRIED}\n\n{APP_TOO}"))
    [right] = never_given(opened.agreement, opened.catalog, opened.facts)
    assert right.products == ("tool",)


PAUSES = f"{PASSES}\nwhile-no: milestone"


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        (PAUSES, ["A1.under falls on 2026-05-01 for rights"]),
        (
            PAUSES.replace("milestone", "stop"),
            ["A1.under falls on 2026-05-01 for rights; from 2026-06-01 it counts again"],
        ),
    ],
)
def test_a_right_that_falls_by_an_event_is_told(terms: str, expected: list[str]) -> None:
    facts = (
        "kind: milestone, effective: 2026-05-01",
        "kind: event, event: stop, effective: 2026-05-01, through: 2026-05-31",
    )
    texts = documents(f"{UNDER}\n\n{terms}", facts)
    texts["agreement.md"] = texts["agreement.md"].replace(
        "rules:\n", "events: {stop: {says: S., source: [T]}}\nrules:\n"
    )
    opened = reading(texts)
    fallen = fallen_rights(opened.agreement, opened.catalog, opened.facts)
    remarks = list(rights_that_fall(opened.agreement, fallen))
    assert [remark.what for remark in remarks] == expected
    [passes] = [row for row in terms_view(opened, "2026-04-01", None, {}).terms if row.kind == "permission"]
    assert (passes.until, passes.again) == ("2026-05-01", "2026-06-01" if "again" in expected[0] else "")

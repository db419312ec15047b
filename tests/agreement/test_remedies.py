"""A refusal names another way to write the clause. Each such way is written here, read, and decides as it says."""

from collections.abc import Iterable

import pytest

from clauseway import InvalidInput, OpenAgreement
from terms_at_hand import decided, documents, reading

EVENTS = """events:
  a: {says: The one., source: [T]}
  b: {says: The other., source: [T]}
"""
# The first goes on from 1 March and the other from 1 May, both for good.
BOTH = (
    "kind: event, event: a, effective: 2026-03-01",
    "kind: event, event: b, effective: 2026-05-01",
)
DAYS = ("2026-02-01", "2026-04-01", "2026-06-01")


def at_hand(terms: str, facts: Iterable[str] = ()) -> OpenAgreement:
    texts = documents(terms, facts)
    texts["agreement.md"] = texts["agreement.md"].replace("rules:\n", EVENTS + "rules:\n")
    return reading(texts)


def remedy_of(terms: str) -> str:
    with pytest.raises(InvalidInput) as refused:
        at_hand(terms)
    [problem] = refused.value.problems
    assert problem.line
    return f"{problem.why}. {problem.remedy}"


SELLS = "id: t\nkind: permission\nparty: shop\nactions: [sell]\nproducts: [apps]\n"
# The refused question · its remedy · a question that follows it · may the shop sell in February, April and June?
TIMED = [
    ("from: [a, b]", "from: a with while: b, if b goes on for good", ["from: a\nwhile: b"], "no no yes"),
    ("from: [a, b]", "for the earlier, a term for each", ["from: a", "from: b"], "no yes yes"),
    ("until: [b, a]", "until: a with while-no: b, if b goes on for good", ["until: b\nwhile-no: a"], "yes no no"),
    ("until: [a, b]", "for the later, a term for each", ["until: a", "until: b"], "yes yes no"),
    ("while: [a, b]", "from: a with while: b, if a goes on for good", ["from: a\nwhile: b"], "no no yes"),
    ("while: [a, b]", "for either, a term for each", ["while: a", "while: b"], "no yes yes"),
    ("while-no: [a, b]", "until: a with while-no: b, if a goes on for good", ["until: a\nwhile-no: b"], "yes no no"),
]


@pytest.mark.parametrize(("refused", "remedy", "written", "may"), TIMED)
def test_two_events(refused: str, remedy: str, written: list[str], may: str) -> None:
    assert remedy in remedy_of(SELLS + refused)
    terms = "\n\n".join(SELLS.replace("id: t", f"id: t{n}") + timed for n, timed in enumerate(written))
    opened = at_hand(terms, BOTH)
    outcomes = [decided(opened, "sell shop app own", day).outcome for day in DAYS]
    assert ["yes" if outcome == "permitted" else "no" for outcome in outcomes] == may.split()


EXCLUSIVE = "id: x\nkind: exclusivity\nactions: [sell]\nproducts: [apps]\nonly: {parties: [partner]}\n"
LICENCE = "id: l\nkind: licence\nlicensor: maker\nlicensee: shop\nproducts: [rights]\n"
SHARE = "id: s\nkind: revenue-share\npayer: shop\npayee: maker\nrate: 5 %\n"
# The refused question · its remedy · a question that follows the remedy · another question · its answer.
WRITTEN = [
    (
        EXCLUSIVE + "except: [{parties: [shop]}]",
        "kind: permission with party: and despite: [ID of this term]",
        EXCLUSIVE + "\n" + SELLS + "despite: [x]",
        "sell shop app own",
        "permitted",
    ),
    (
        LICENCE + "clouds: [north]",
        "carries: [{actions: [sell], clouds: [...]}]",
        LICENCE + "carries: [{actions: [sell], clouds: [north]}]",
        "sell shop app north",
        "permitted",
    ),
    (
        SHARE + "base: {sellers: [shop], segments: [state]}",
        "Keep it to products: or clouds:",
        SHARE + "base: {sellers: [shop], clouds: [north]}",
        "share-revenue shop to=maker",
        "permitted",
    ),
    (
        SHARE + "base: {sellers: [shop]}\nwhile: a",
        "Write until: with the event, and a share of its own for what comes after",
        SHARE
        + "base: {sellers: [shop]}\nuntil: a\n\n"
        + SHARE.replace("id: s", "id: s2")
        + "base: {sellers: [shop]}\nfrom: b",
        "share-revenue shop to=maker",
        "permitted",
    ),
    (
        SHARE + "base: {sellers: [shop]}\ncap: [USD 5, USD 6]",
        "For a cap a year, write a share for each year",
        SHARE
        + "base: {sellers: [shop]}\ncap: USD 5\nthrough: 2026-12-31\n\n"
        + SHARE.replace("id: s", "id: s2")
        + "base: {sellers: [shop]}\ncap: USD 6\nbegins: 2027-01-01",
        "share-revenue shop to=maker",
        "permitted",
    ),
    (
        "id: t\nkind: most-favoured-customer\nparties: [shop]",
        "Keep it as prose; write the price that it comes to into the price book, with buyer and from, and give back "
        "what was charged too much with clauseway books credit.",
        "id: t\nkind: context\nparties: [shop]",
        "sell shop app own",
        "conditional",
    ),
    (
        "id: t\nkind: minimum-purchase\nparty: shop",
        "kind: commitment with party:, to: and about:",
        "id: t\nkind: commitment\nparty: shop\nto: maker\nabout: It buys a million.",
        "sell shop app own",
        "conditional",
    ),
    (
        "id: t\nkind: volume-commitment\nparty: shop\nto: maker\nabout: A million.",
        "kind: commitment with party:, to: and about:",
        "id: t\nkind: commitment\nparty: shop\nto: maker\nabout: A million.",
        "sell shop app own",
        "conditional",
    ),
    (
        "id: t\nkind: appointment\nparty: shop",
        "Write kind: permission with party:, actions: [sell] and products:",
        SELLS,
        "sell shop app own",
        "permitted",
    ),
    (
        "id: t\nkind: exclusive-distribution\nparty: shop",
        "exclusive: true keeps out everybody else",
        SELLS + "exclusive: true",
        "sell maker app own",
        "forbidden",
    ),
    (
        "id: t\nkind: non-compete\nparties: [shop]",
        "Write kind: prohibition with parties:, actions: and products:",
        "id: t\nkind: prohibition\nparties: [maker]\nactions: [sell]\nproducts: [apps]",
        "sell maker app own",
        "forbidden",
    ),
    (
        "id: t\nkind: undertaking\nparties: [shop]\nprice: USD 5",
        "Write kind: revenue-share with rate: and base: for a part of what is sold",
        "id: t\nkind: undertaking\nparties: [shop]\n\n" + SHARE.replace("id: s", "id: u") + "base: {sellers: [shop]}",
        "share-revenue shop to=maker",
        "permitted",
    ),
    (
        LICENCE + "fee: USD 5",
        "kind: commitment with party:, to: and about: for a fixed sum",
        LICENCE + "\nid: c\nkind: commitment\nparty: shop\nto: maker\nabout: USD 5.",
        "use-under-licence shop rights",
        "permitted",
    ),
    (
        EXCLUSIVE.replace("[sell]", "[audit]"),
        "keep what it means as prose, or as kind: undertaking with parties:",
        "id: x\nkind: undertaking\nparties: [shop]",
        "sell shop app own",
        "conditional",
    ),
    (
        "id: t\nkind: shortfall\nparty: shop",
        "floors: [{amount: USD 100, per: month}] in its kind: revenue-share",
        SHARE + "base: {sellers: [shop]}\nfloors: [{amount: USD 100, per: month}]",
        "share-revenue shop to=maker",
        "permitted",
    ),
    (
        "id: t\nkind: refund\nparty: shop",
        "Keep it as prose, or write kind: context with parties:",
        "id: t\nkind: context\nparties: [shop]",
        "sell shop app own",
        "conditional",
    ),
    (
        "id: t\nkind: audit-rights\nparty: shop",
        "keep as prose what none of them says, or as kind: context",
        "id: t\nkind: context\nparties: [shop]",
        "sell shop app own",
        "conditional",
    ),
    (
        SELLS + "sole: true",
        "Write grantor:",
        SELLS + "sole: true\ngrantor: maker",
        "sell shop app own",
        "permitted",
    ),
    (
        SELLS.replace("[sell]", "[license]").replace("apps", "rights") + "licensees: [partner]",
        "kind: exclusivity with actions: [license], products: and only: {licensees: [...]}",
        SELLS.replace("[sell]", "[license]").replace("apps", "rights")
        + "\nid: x\nkind: exclusivity\nactions: [license]\nproducts: [rights]\nonly: {licensees: [partner]}",
        "license shop rights to=rival",
        "forbidden",
    ),
    (
        "id: c\nkind: commitment\nparty: shop\nto: maker\nabout: It buys.\namount: USD 5 million",
        'as in about: "USD 5 million a year"',
        'id: c\nkind: commitment\nparty: shop\nto: maker\nabout: "USD 5 million a year"',
        "sell shop app own",
        "conditional",
    ),
    (
        "id: r\nkind: refusal-right\nholder: partner\nactions: [sell]\nproducts: [apps]\ndays: 30",
        "clauseway fact record offer --answer-by DAY",
        "id: r\nkind: refusal-right\nholder: partner\nactions: [sell]\nproducts: [apps]",
        "sell maker app own",
        "conditional",
    ),
    (
        SELLS + "clouds: []",
        "Delete clouds:, which is then any",
        SELLS,
        "sell shop app own",
        "permitted",
    ),
    (
        EXCLUSIVE.replace("[sell]", "[sell, license]") + "clouds: [north]",
        "write it in a term of its own without that",
        EXCLUSIVE + "clouds: [north]",
        "sell shop app north",
        "forbidden",
    ),
    # Terms of resellers, minimum commitments and joint licences.
    (
        SHARE + "base: {sellers: [shop]}\ntiers: [{above: USD 5, rate: 4 %, per: year}]",
        "Write a share for each year",
        SHARE + "base: {sellers: [shop]}\ntiers: [{above: USD 5, rate: 4 %}]\nthrough: 2026-12-31",
        "share-revenue shop to=maker",
        "permitted",
    ),
    (
        SHARE + "base: {sellers: [shop]}\nfloors: [{amount: USD 5, per: year, begins: 04-01}]",
        "a year, a quarter and a month are those of the calendar. Write a share for each year, with the days on which "
        "it begins and ends, each with floors: [{amount: USD 100, per: total}]",
        SHARE + "base: {sellers: [shop]}\nfloors: [{amount: USD 5, per: total}]\nthrough: 2027-03-31",
        "share-revenue shop to=maker",
        "permitted",
    ),
    (
        SHARE + "base: {sellers: [shop]}\nfloors: [{amount: USD 5, per: year, roll-over: 10 %}]",
        "For one minimum over several years write per: total",
        SHARE + "base: {sellers: [shop]}\nfloors: [{amount: USD 5, per: total}]\nthrough: 2028-12-31",
        "share-revenue shop to=maker",
        "permitted",
    ),
    (
        "id: o\nkind: ownership\nparties: [maker, shop]\nparty: maker\nproducts: [apps]",
        "kind: permission with grantor: and actions: [serve, sell, license]",
        SELLS.replace("[sell]", "[serve, sell]") + "grantor: maker",
        "serve shop app own",
        "permitted",
    ),
    (
        LICENCE + "sublicensable: true",
        "Write beside it kind: permission with party:, grantor:, actions: [license]",
        LICENCE + "\nid: p\nkind: permission\nparty: shop\ngrantor: maker\nactions: [license]\nproducts: [rights]",
        "license shop rights to=rival",
        "permitted",
    ),
    (
        "id: e\nkind: source-code-escrow\nparty: shop",
        "Define the release under events: in agreement.md and write kind: licence with from: EVENT",
        LICENCE + "from: a",
        "use-under-licence shop rights",
        "permitted",
    ),
    (
        "id: d\nkind: volume-discount\nparty: shop",
        "Write a line with the price, or with discount_percent and buyer",
        "id: d\nkind: context\nparties: [shop]",
        "sell shop app own",
        "conditional",
    ),
]


# Clauses that hang on what happens: the kind that an author may write · its remedy · the same in that way · whether the
# shop may sell in February, April and June. The first event goes on from 1 March.
HANGING = [
    ("termination", "write until: a under each term that it ends", SELLS + "until: a", "yes no no"),
    ("change-of-control", "write until: a under each term that it ends", SELLS + "until: a", "yes no no"),
    ("notice-and-cure", "or while-no: a where it only pauses", SELLS + "while-no: a", "yes no no"),
    ("renewal", "from: a where it begins a term", SELLS + "from: a", "no yes yes"),
]


@pytest.mark.parametrize(("kind", "remedy", "written", "may"), HANGING)
def test_what_hangs_on_an_event_is_written_with_events(kind: str, remedy: str, written: str, may: str) -> None:
    said = remedy_of(f"id: t\nkind: {kind}\nparties: [shop]").replace("EVENT", "a")
    assert "Define what happens under events: in agreement.md" in said
    assert remedy in said
    opened = at_hand(written, BOTH)
    outcomes = [decided(opened, "sell shop app own", day).outcome for day in DAYS]
    assert ["yes" if outcome == "permitted" else "no" for outcome in outcomes] == may.split()


@pytest.mark.parametrize(("refused", "remedy", "written", "question", "outcome"), WRITTEN)
def test_another_way_to_say_it(refused: str, remedy: str, written: str, question: str, outcome: str) -> None:
    assert remedy in remedy_of(refused)
    assert decided(at_hand(written, BOTH), question).outcome == outcome


CHANGE = "id: c\n{}\nsource: [T]"
RIGHT = SELLS + "exclusive: true"


@pytest.mark.parametrize(
    ("changed", "remedy"),
    [
        ("sets-scope: {regions: [eu]}", "Write ends: [ID] in this change, and under the same clause a term"),
        ("sets-end: [t]\nuntil: 2030-01-01", "Write until: or through: under t itself."),
        ("sets-end: [t.exclusive]\nuntil: 2030-01-01", "write its exclusivity as a term: kind: exclusivity"),
    ],
)
def test_another_way_to_change(changed: str, remedy: str) -> None:
    texts = documents(RIGHT)
    [name] = [name for name in texts if name not in ("agreement.md", "facts.md")]
    texts[name] += f"\n## 99.1 A change\n\nIt changes.\n\n```yaml change\n{CHANGE.format(changed)}\n```\n"
    with pytest.raises(InvalidInput) as refused:
        reading(texts)
    assert remedy in " ".join(problem.remedy for problem in refused.value.problems)


def test_an_exclusivity_that_ends_before_its_right_in_one_document() -> None:
    opened = at_hand(SELLS + "\n" + EXCLUSIVE.replace("[partner]", "[shop]") + "until: 2026-05-01")
    days = [decided(opened, "sell maker app own", day).outcome for day in DAYS]
    assert days == ["forbidden", "forbidden", "permitted"]


def test_business_days_are_counted_as_calendar_days() -> None:
    texts = documents(SELLS + "until: over")
    events = "events:\n  n: {says: N., source: [T]}\n  over: {says: O., source: [T], after: n, business-days: 10}\n"
    texts["agreement.md"] = texts["agreement.md"].replace("rules:\n", events + "rules:\n")
    with pytest.raises(InvalidInput, match="calendar days that cover them"):
        reading(texts)
    texts["agreement.md"] = texts["agreement.md"].replace("business-days: 10", "days: 14")
    reading(texts)


@pytest.mark.parametrize(("kind", "near"), [("permision", "permission"), ("prohibiton", "prohibition")])
def test_a_near_kind_is_named(kind: str, near: str) -> None:
    assert remedy_of(SELLS.replace("kind: permission", f"kind: {kind}")).endswith(f"Did you mean {near!r}?")


def test_a_floor_above_the_cap_names_both_lines() -> None:
    remedy = remedy_of(SHARE + "base: {sellers: [shop]}\ncap: USD 2000\nfloors: [{amount: USD 2001, per: month}]")
    assert remedy == ("its cap in line 28 lets no more than USD 2000 be due in all. Lower the floor, or raise the cap.")
    at_hand(SHARE + "base: {sellers: [shop]}\ncap: USD 2000\nfloors: [{amount: USD 2000, per: month}]")

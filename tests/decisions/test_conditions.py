"""Ship-first and rights of first refusal: their demands, and the terms cited once they are met.

`own` is the maker's cloud, `north` the partner's, `south` a rival's. The maker owns everything. All is asked of
1 June 2026.
"""

import pytest

from terms_at_hand import at_hand, cited, decided, documents, reading

SHIP_FIRST = """
id: t
kind: precedence
party: maker
first: north
actions: [serve]
products: [apps]
since: 2026-02-01
binds: every-product
"""
SINCE_FEBRUARY = SHIP_FIRST.replace("every-product", "first-shipped-since")
A_MONTH_AHEAD = SHIP_FIRST + "lead-days: 30"
UNLESS_BOTH = SHIP_FIRST + "unless: cannot-and-declines"
UNLESS_EITHER = SHIP_FIRST + "unless: cannot-or-declines"
FIRST_REFUSAL = """
id: t
kind: refusal-right
holder: partner
actions: [sell]
products: [apps]
"""
OF_RESALE = FIRST_REFUSAL + "subject: resale"
LAUNCH = "kind: launch, product: app, stage: available, cloud: %s, effective: %s"
PREVIEW = LAUNCH.replace("available", "preview")
ANSWER = "kind: answer, product: app, effective: 2026-02-01, can: %s, declines: %s"
OFFER = "kind: offer, effective: 2026-02-01, subject: %s, passed: %s"


def test_a_condition_of_the_hosting_and_of_the_sale_is_said_once() -> None:
    """The maker hosts what the shop sells: it must ship first for itself, and for whom it lets sell."""
    decision = decided(at_hand(SHIP_FIRST), "serve maker app own seller=shop")
    assert [condition.term for condition in decision.conditions] == ["t", "grant"]


# The term · what happened · the question → what is still needed, and which facts would meet it.
OPEN = [
    (
        SHIP_FIRST,
        (),
        "serve maker app own",
        "app must first ship on north; no launch there is recorded.",
        ["launch:app:north:available"],
    ),
    (
        SHIP_FIRST,
        (LAUNCH % ("south", "2026-02-10"),),
        "serve maker app own",
        "app must first ship on north; no launch there is recorded.",
        ["launch:app:north:available"],
    ),
    (
        SHIP_FIRST,
        (),
        "serve maker apps own",
        "apps must first ship on north; name a product, because launches and answers are recorded of products.",
        [],
    ),
    # A launch of today has no lead today.
    (
        A_MONTH_AHEAD,
        (),
        "serve maker app own",
        "app must first ship on north and be there for 30 days; no launch there is recorded.",
        [],
    ),
    (
        A_MONTH_AHEAD,
        (LAUNCH % ("north", "2026-05-20"),),
        "serve maker app own",
        "app must first ship on north and be there for 30 days; those days are not over.",
        [],
    ),
    (
        A_MONTH_AHEAD,
        (LAUNCH % ("north", "2026-06-01"),),
        "serve maker app own",
        "app must first ship on north and be there for 30 days; those days are not over.",
        [],
    ),
    (
        A_MONTH_AHEAD.replace("30", "1"),
        (),
        "serve maker app own",
        "app must first ship on north and be there for 1 day; no launch there is recorded.",
        [],
    ),
    # One launch there has begun to count, though another is to come.
    (
        A_MONTH_AHEAD,
        (LAUNCH % ("north", "2026-05-20"), LAUNCH % ("north", "2026-07-01")),
        "serve maker app own",
        "app must first ship on north and be there for 30 days; those days are not over.",
        [],
    ),
    (
        A_MONTH_AHEAD,
        (LAUNCH % ("south", "2026-02-01"),),
        "serve maker app own",
        "app must first ship on north and be there for 30 days; no launch there is recorded.",
        [],
    ),
    (
        UNLESS_BOTH,
        (),
        "serve maker app own",
        "app must first ship on north, unless partner cannot and chooses not to support it; no "
        "launch there is recorded, "
        "and no answer of it is recorded.",
        ["launch:app:north:available", "answer:app:cannot+declines"],
    ),
    (
        UNLESS_BOTH,
        (ANSWER % ("true", "true"),),
        "serve maker app own",
        "app must first ship on north, unless partner cannot and chooses not to support it; no "
        "launch there is recorded, "
        "and its recorded answer does not lift this.",
        ["launch:app:north:available", "answer:app:cannot+declines"],
    ),
    (
        UNLESS_EITHER,
        (),
        "serve maker app own",
        "app must first ship on north, unless partner cannot or chooses not to support it; no launch "
        "there is recorded, "
        "and no answer of it is recorded.",
        [
            "launch:app:north:available",
            "answer:app:cannot+declines",
            "answer:app:cannot+chooses",
            "answer:app:can+declines",
        ],
    ),
    # Each product is a deal of its own, unless the right is to one deal.
    (
        FIRST_REFUSAL,
        (),
        "sell maker app own",
        "It must first be offered to partner, and partner must pass.",
        ["offer:app:passed"],
    ),
    (
        FIRST_REFUSAL,
        (OFFER % ("tool", "true"),),
        "sell maker app own",
        "It must first be offered to partner, and partner must pass.",
        ["offer:app:passed"],
    ),
    (
        FIRST_REFUSAL,
        (OFFER % ("app", "false"),),
        "sell maker app own",
        "partner must pass on what it was offered on 2026-02-01.",
        ["offer:app:passed"],
    ),
    (
        FIRST_REFUSAL,
        (),
        "sell maker apps own",
        "It must first be offered to partner, and partner must pass; name a product, because each is "
        "offered by itself.",
        [],
    ),
    (
        OF_RESALE,
        (),
        "sell maker apps own",
        "It must first be offered to partner, and partner must pass.",
        ["offer:resale:passed"],
    ),
]


@pytest.mark.parametrize(("terms", "facts", "question", "text", "needs"), OPEN)
def test_what_is_still_needed(terms: str, facts: tuple[str, ...], question: str, text: str, needs: list[str]) -> None:
    decision = decided(at_hand(terms, facts), question)
    assert decision.outcome == "conditional"
    [condition] = decision.conditions
    assert (condition.term, condition.text, list(condition.needs)) == ("t", text, needs)
    assert [(reason.bearing, reason.term) for reason in decision.reasons] == [("conditions", "t")]


# The term · what happened · the question → what is cited behind the owner's freedom.
MET = [
    (
        SHIP_FIRST,
        (LAUNCH % ("north", "2026-06-01"),),
        "serve maker app own",
        ["meets launch:app:north:available", "conditions t: met"],
    ),
    # The first launch there is cited.
    (
        SHIP_FIRST,
        (PREVIEW % ("north", "2026-02-01"), LAUNCH % ("north", "2026-03-01")),
        "serve maker app own",
        ["meets launch:app:north:preview", "conditions t: met"],
    ),
    (
        A_MONTH_AHEAD,
        (LAUNCH % ("north", "2026-05-02"),),
        "serve maker app own",
        ["meets launch:app:north:available", "conditions t: met"],
    ),
    # Shipped anywhere before the day, it is not bound: the first of its launches counts.
    (
        SINCE_FEBRUARY,
        (LAUNCH % ("own", "2026-01-10"), LAUNCH % ("north", "2026-03-01")),
        "serve maker app south",
        ["not-bound t: app had first shipped by 2026-01-10"],
    ),
    (
        SINCE_FEBRUARY,
        (LAUNCH % ("own", "2026-02-01"), LAUNCH % ("north", "2026-03-01")),
        "serve maker app south",
        ["meets launch:app:north:available", "conditions t: met"],
    ),
    (
        UNLESS_BOTH,
        (ANSWER % ("false", "true"),),
        "serve maker app own",
        ["meets answer:app", "conditions t: the exception applies"],
    ),
    (
        UNLESS_EITHER,
        (ANSWER % ("true", "true"),),
        "serve maker app own",
        ["meets answer:app", "conditions t: the exception applies"],
    ),
    (
        UNLESS_EITHER,
        (ANSWER % ("false", "false"),),
        "serve maker app own",
        ["meets answer:app", "conditions t: the exception applies"],
    ),
    (FIRST_REFUSAL, (OFFER % ("app", "true"),), "sell maker app own", ["meets offer:app", "conditions t"]),
    (OF_RESALE, (OFFER % ("resale", "true"),), "sell maker app own", ["meets offer:resale", "conditions t"]),
]


@pytest.mark.parametrize(("terms", "facts", "question", "because"), MET)
def test_why_nothing_is_needed_any_more(terms: str, facts: tuple[str, ...], question: str, because: list[str]) -> None:
    decision = decided(at_hand(terms, facts), question)
    assert (decision.outcome, decision.conditions) == ("permitted", ())
    assert cited(decision) == ["permits own", "rule owner", *because]


# An exception that a term makes · whether the operator can, and declines → whether the answer lifts ship-first.
LIFTED = [
    (UNLESS_BOTH, ("false", "true"), True),
    (UNLESS_BOTH, ("false", "false"), False),
    (UNLESS_BOTH, ("true", "true"), False),
    (UNLESS_BOTH, ("true", "false"), False),
    (UNLESS_EITHER, ("false", "true"), True),
    (UNLESS_EITHER, ("false", "false"), True),
    (UNLESS_EITHER, ("true", "true"), True),
    (UNLESS_EITHER, ("true", "false"), False),
    (SHIP_FIRST, ("false", "true"), False),
]


@pytest.mark.parametrize(("terms", "answer", "lifted"), LIFTED)
def test_which_answer_lifts_ship_first(terms: str, answer: tuple[str, str], lifted: bool) -> None:
    decision = decided(at_hand(terms, (ANSWER % answer,)), "serve maker app own")
    assert decision.outcome == ("permitted" if lifted else "conditional")


# The maker must first offer hosting to the partner. Who sells on whose cloud → what is needed.
HOSTED = [
    ("maker app north", []),
    ("maker app south", ["t"]),
    ("shop app north", ["grant"]),
    ("shop app south", ["grant", "t"]),
]


@pytest.mark.parametrize(("sale", "needed"), HOSTED)
def test_what_the_holder_hosts_need_not_be_offered_to_it(sale: str, needed: list[str]) -> None:
    decision = decided(at_hand(FIRST_REFUSAL.replace("sell", "serve")), f"sell {sale}")
    assert [condition.term for condition in decision.conditions] == needed


def test_an_answer_that_waits_for_a_grant_alone_cites_no_offer_that_was_passed() -> None:
    decision = decided(at_hand(FIRST_REFUSAL, (OFFER % ("app", "true"),)), "sell shop app own")
    assert decision.outcome == "conditional"
    assert [(reason.bearing, reason.term) for reason in decision.reasons] == [("rule", "grant")]


def test_what_anyone_may_do_is_cited_before_what_met_its_condition() -> None:
    for_anyone = "\nid: g\nkind: permission\nparty: anyone\nactions: [serve, sell]\nproducts: [apps]\n"
    bound = FIRST_REFUSAL + "grantor: shop\n" + for_anyone
    assert decided(at_hand(bound), "sell shop app own").outcome == "conditional"
    decision = decided(at_hand(bound, (OFFER % ("app", "true"),)), "sell shop app own")
    assert decision.outcome == "permitted"
    reasons = [(reason.bearing, reason.term) for reason in decision.reasons]
    assert reasons == [("permits", "g"), ("meets", "offer:app"), ("conditions", "t")]


# Nobody owns the apps. The terms · the question → the outcome, and what is cited first.
TO_SERVE = "\nid: p\nkind: permission\nparty: anyone\nactions: [%s]\nproducts: [apps]\n"
RESERVED = "\nid: e\nkind: exclusivity\nactions: [serve]\nproducts: [apps]\nonly: {clouds: [north]}\n"
UNOWNED = [
    ("", "serve maker app own", "unstated", "owner"),
    # Where nobody could give a right, nothing is forbidden either.
    (RESERVED, "serve maker app own", "unstated", "owner"),
    # It needs a right to sell, too, and nobody could give one.
    (TO_SERVE % "serve", "serve shop app north", "unstated", "owner"),
    (TO_SERVE % "serve" + RESERVED, "serve shop app north", "unstated", "owner"),
    (TO_SERVE % "serve" + RESERVED, "serve shop app south", "forbidden", "e"),
    (TO_SERVE % "serve, sell" + RESERVED, "serve shop app south", "forbidden", "e"),
    (TO_SERVE % "serve, sell", "serve shop app south", "permitted", "p"),
]


@pytest.mark.parametrize(("terms", "question", "outcome", "because"), UNOWNED)
def test_what_nobody_owns_is_unstated_but_for_what_anyone_may_do(
    terms: str, question: str, outcome: str, because: str
) -> None:
    owned = "id: own\nkind: ownership\nparty: maker\nproducts: [rooms]"
    decision = decided(at_hand(terms, owned=owned), question)
    assert (decision.outcome, decision.reasons[0].term) == (outcome, because)


# The place of a remark · a question → the terms cited with it.
REMARKED = [
    ("precedence", "serve maker app own", ["conditions t", "commentary K1"]),
    ("grant", "serve maker app own", ["conditions t"]),
    ("grant", "use-under-licence shop rights", ["rule grant", "commentary K1"]),
]


@pytest.mark.parametrize(("bears_on", "question", "because"), REMARKED)
def test_a_remark_is_cited_with_what_it_bears_on(bears_on: str, question: str, because: list[str]) -> None:
    texts = documents(SHIP_FIRST)
    remark = f"K1: {{says: It was meant so., source: [T], bears-on: {bears_on}, from: A1}}"
    texts["agreement.md"] = texts["agreement.md"].replace("rules:\n", f"commentary:\n  {remark}\nrules:\n", 1)
    reasons = decided(reading(texts), question).reasons
    assert [f"{reason.bearing} {reason.term}" for reason in reasons] == because

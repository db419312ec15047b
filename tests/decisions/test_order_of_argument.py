"""In which order an answer is argued: whose right is asked first, and what is cited for it.

`own` is the maker's cloud, `north` the partner's, `south` a rival's. The maker owns everything, unless a row says
otherwise. All is asked of 1 June 2026.
"""

import pytest

from terms_at_hand import OWNED, amendment, at_hand, cited, decided, documents, reading

LAUNCH = "kind: launch, product: app, stage: available, cloud: %s, effective: %s"
OFFER_PASSED = "kind: offer, effective: 2026-02-01, subject: rights, passed: true"
GRANTED = "kind: grant, party: shop, product: app, effective: 2026-02-01, through: %s"
ROOMS_ALONE = OWNED.replace("[apps, rooms, rights]", "[rooms]")


def permission(term: str, party: str, actions: str, products: str = "apps") -> str:
    return f"id: {term}\nkind: permission\nparty: {party}\nactions: [{actions}]\nproducts: [{products}]\n\n"


def reserved(actions: str, only: str, products: str = "apps", beside: str = "") -> str:
    return f"id: t\nkind: exclusivity\nactions: [{actions}]\nproducts: [{products}]\nonly: {{{only}}}\n{beside}\n\n"


LICENSED = "id: l\nkind: licence\nlicensor: maker\nlicensee: partner\nproducts: [rights]\n"
CARRIED = """carries:
- {actions: [serve], products: [apps], clouds: [south]}
- {actions: [sell], products: [apps], clouds: [north]}
"""
FIRST_REFUSAL = """
id: r
kind: refusal-right
holder: %s
actions: [license]
products: [rights]
subject: rights

"""
BY_ITS_HOST = reserved("serve", "parties: [maker, partner]")
FREE = ["permits own", "rule owner"]

# The terms · what happened · the question → the outcome, and all that is cited.
ARGUED = [
    # A permission that the owner has is cited instead of its ownership, behind what lets the act pass.
    (permission("g", "maker", "serve"), (), "sell maker app north", "permitted", ["permits g"]),
    (
        permission("g", "maker", "serve") + reserved("serve", "clouds: [north]"),
        (),
        "sell maker app north",
        "permitted",
        ["permits g", "inside t"],
    ),
    (
        permission("g", "maker", "serve")
        + reserved("serve", "clouds: [north]", beside="except: [{segments: [state]}]"),
        (),
        "sell maker app own segment=state",
        "permitted",
        ["exempts t", "permits g"],
    ),
    # A permission overrides the term that it names as long as it holds itself.
    (
        permission("g", "maker", "serve").strip() + "\ndespite: [t]\n\n" + reserved("serve", "clouds: [north]"),
        (),
        "serve maker app own",
        "permitted",
        ["permits g"],
    ),
    (
        permission("g", "maker", "serve").strip()
        + "\ndespite: [t]\nthrough: 2026-03-31\n\n"
        + reserved("serve", "clouds: [north]"),
        (),
        "serve maker app own",
        "forbidden",
        ["forbids t"],
    ),
    # The owner hosts where it has launched, from the day of the launch on, and the operator elsewhere.
    (BY_ITS_HOST, (), "sell maker app south", "forbidden", ["forbids t"]),
    (
        BY_ITS_HOST,
        (LAUNCH % ("south", "2026-06-01"),),
        "sell maker app south",
        "permitted",
        ["inside t", "permits own"],
    ),
    (BY_ITS_HOST, (LAUNCH % ("south", "2026-06-02"),), "sell maker app south", "forbidden", ["forbids t"]),
    (BY_ITS_HOST, (LAUNCH % ("own", "2026-02-01"),), "sell maker app south", "forbidden", ["forbids t"]),
    # A sublicensor must itself be a party that may be licensed.
    (
        reserved("license", "licensees: [partner]", "rights"),
        (),
        "license shop rights to=partner",
        "forbidden",
        ["forbids t"],
    ),
    (
        reserved("license", "licensees: [partner]", "rights"),
        (),
        "license partner rights to=maker",
        "conditional",
        ["rule grant"],
    ),
    # Of what it serves and sells, a party may have the one by anyone's permission and the other by its own.
    (
        permission("p", "anyone", "serve") + permission("g", "shop", "sell"),
        (),
        "serve shop app north",
        "permitted",
        ["permits p", "permits g"],
    ),
    # Of several parts of a licence, it is enough that one covers the act.
    (
        LICENSED + CARRIED,
        (),
        "sell partner app north",
        "permitted",
        ["permits l", *FREE],
    ),
    # A right that a licence gave and lost, a permission gives again.
    (
        LICENSED + "through: 2026-03-31\n",
        (),
        "use-under-licence partner rights",
        "forbidden",
        ["ended l", "rule licensee"],
    ),
    (
        LICENSED + "through: 2026-03-31\n\n" + permission("g", "partner", "use-under-licence", "rights"),
        (),
        "use-under-licence partner rights",
        "permitted",
        [*FREE, "permits g"],
    ),
    # A use is forbidden where the owner may not license it, and waits for a grant where it may.
    (
        "id: n\nkind: prohibition\nparties: [maker]\nactions: [license]\nproducts: [rights]",
        (),
        "use-under-licence shop rights",
        "forbidden",
        ["forbids n", "rule grant"],
    ),
    (
        reserved("license", "licensees: [partner]", "rights"),
        (),
        "use-under-licence shop rights",
        "forbidden",
        ["forbids t", "rule grant"],
    ),
    (
        reserved("license", "licensees: [partner]", "rights"),
        (),
        "use-under-licence partner rights",
        "conditional",
        ["rule grant"],
    ),
    # Met conditions are cited last, and missing ones after the rule on grants.
    (
        FIRST_REFUSAL % "partner" + permission("g", "shop", "use-under-licence", "rights"),
        (OFFER_PASSED,),
        "use-under-licence shop rights",
        "permitted",
        [*FREE, "permits g", "meets offer:rights", "conditions r"],
    ),
    (FIRST_REFUSAL % "partner", (), "use-under-licence shop rights", "conditional", ["rule grant", "conditions r"]),
    # Of what gave or kept a right before, the latest to end is cited first.
    (
        reserved("sell", "sellers: [shop]", beside="through: 2026-03-31"),
        (GRANTED % "2026-04-30",),
        "sell shop app own",
        "conditional",
        ["ended grant:shop:app", "ended t", "rule grant"],
    ),
    (
        reserved("sell", "sellers: [shop]", beside="through: 2026-04-30"),
        (GRANTED % "2026-03-31",),
        "sell shop app own",
        "conditional",
        ["ended t", "ended grant:shop:app", "rule grant"],
    ),
    # A seller is not told of the terms that once kept others from hosting.
    (
        reserved("serve", "clouds: [own]", beside="through: 2026-04-30"),
        (),
        "sell shop app own",
        "conditional",
        ["rule grant"],
    ),
    (
        reserved("license", "licensees: [partner]", "rights", beside="through: 2026-04-30"),
        (),
        "license shop rights to=rival",
        "conditional",
        ["ended t", "rule grant"],
    ),
]


@pytest.mark.parametrize(("terms", "facts", "question", "outcome", "because"), ARGUED)
def test_what_an_answer_rests_on(
    terms: str, facts: tuple[str, ...], question: str, outcome: str, because: list[str]
) -> None:
    decision = decided(at_hand(terms, facts), question)
    assert decision.outcome == outcome
    assert [f"{reason.bearing} {reason.term}" for reason in decision.reasons] == because


# Acts of anyone on products that nobody owns → the outcome, and the terms cited.
UNOWNED = [
    (
        permission("p", "anyone", "license", "rights") + reserved("license", "licensees: [partner]", "rights"),
        (),
        "license shop rights to=partner",
        "permitted",
        ["permits p"],
    ),
    # A launch makes nobody the host of what nobody owns.
    (
        permission("p", "anyone", "sell") + reserved("serve", "parties: [rival]"),
        (LAUNCH % ("south", "2026-02-01"),),
        "sell shop app south",
        "permitted",
        ["permits p"],
    ),
    (
        permission("p", "anyone", "sell") + reserved("serve", "parties: [rival]"),
        (),
        "sell shop app north",
        "forbidden",
        ["forbids t"],
    ),
]


@pytest.mark.parametrize(("terms", "facts", "question", "outcome", "because"), UNOWNED)
def test_what_anyone_may_do_of_what_nobody_owns(
    terms: str, facts: tuple[str, ...], question: str, outcome: str, because: list[str]
) -> None:
    decision = decided(at_hand(terms, facts, owned=ROOMS_ALONE), question)
    assert decision.outcome == outcome
    assert [f"{reason.bearing} {reason.term}" for reason in decision.reasons] == because


OWNERSHIP = "id: A1.own\nkind: ownership\nparty: maker\nproducts: [apps, rooms, rights]\n%s"
TO_RIVAL = "id: A2.own\nkind: ownership\nparty: rival\nproducts: [apps]"
# How the maker's ownership ends, and what amendments change → the question, the outcome, and what is cited.
NO_OWNER_ANY_MORE = [
    (
        "through: 2026-04-30",
        "",
        "serve maker app own",
        "unstated",
        ["ended A1.own: A1.own ended on 2026-05-01", "rule owner: nobody owns app"],
    ),
    (
        "until: milestone",
        "",
        "serve shop app own",
        "unstated",
        ["ended A1.own: A1.own ended on 2026-04-01", "meets milestone", "rule owner: nobody owns app"],
    ),
    (
        "",
        "id: A2.c\nends: [A1.own]",
        "license maker rights to=shop",
        "unstated",
        [
            "ended A2.c: A1.own ended on 2026-05-01",
            "ended A1.own: A1.own ended on 2026-05-01",
            "rule owner: nobody owns rights",
        ],
    ),
    # An ownership that was ended before it began is not cited.
    (
        "begins: 2026-05-15",
        "id: A2.c\nends: [A1.own]",
        "serve maker app own",
        "unstated",
        ["rule owner: nobody owns app"],
    ),
    # The former owner needs a grant of the new one, and nobody else is told of what the former owned.
    (
        "through: 2026-04-30",
        TO_RIVAL,
        "serve maker app own",
        "conditional",
        ["ended A1.own: A1.own ended on 2026-05-01", "rule grant"],
    ),
    ("through: 2026-04-30", TO_RIVAL, "serve shop app own", "conditional", ["rule grant"]),
    ("through: 2026-04-30", TO_RIVAL, "serve rival app own", "permitted", ["permits A2.own", "rule owner"]),
]


@pytest.mark.parametrize(("end", "changed", "question", "outcome", "because"), NO_OWNER_ANY_MORE)
def test_an_ownership_that_ended_is_cited_where_its_end_decides(
    end: str, changed: str, question: str, outcome: str, because: list[str]
) -> None:
    facts = ("kind: milestone, effective: 2026-04-01",) if "milestone" in end else ()
    texts = documents("", facts, owned=OWNERSHIP % end)
    if changed:
        texts["A2.md"] = amendment("A2", "2026-05-01", changed)
    decision = decided(reading(texts), question)
    assert decision.outcome == outcome
    assert cited(decision) == because


@pytest.mark.parametrize(("day", "outcome"), [("2026-06-01", "permitted"), ("2026-06-02", "conditional")])
def test_a_launch_on_its_own_cloud_lets_the_operator_sell_from_its_day_on(day: str, outcome: str) -> None:
    opened = at_hand("", (LAUNCH % ("north", day),), "launch: It grants resale there.")
    assert decided(opened, "sell partner app north").outcome == outcome


# The server and the seller, with their rights → the grants that the owner is asked for.
LACKING = [
    ("", (), "maker must grant it to shop; no grant is recorded."),
    ("", (GRANTED % "2026-03-31",), "maker must grant it to shop; the last grant ended on 2026-04-01."),
    (permission("g", "shop", "sell"), (), "maker must grant it to shop; no grant is recorded."),
    (
        permission("g", "shop", "serve"),
        (),
        "shop may serve it for another seller; to sell it too, maker must grant it to shop; no grant is recorded.",
    ),
]


@pytest.mark.parametrize(("terms", "facts", "text"), LACKING)
def test_what_the_owner_is_asked_to_grant(terms: str, facts: tuple[str, ...], text: str) -> None:
    [condition] = decided(at_hand(terms, facts), "serve shop app south").conditions
    assert condition.text == text


SHARED = """
id: %s
kind: revenue-share
payer: maker
payee: partner
rate: 20 %%
base: {sellers: [maker], products: [%s], clouds: [%s]}
"""
# Of shares of revenue · the question → the outcome, and all that is cited.
SHARES = [
    (SHARED % ("t", "apps", "north"), "app north", "permitted", ["permits t: due"]),
    (SHARED % ("t", "apps", "north"), "app south", "forbidden", ["forbids t: sales on that cloud are in no base"]),
    (SHARED % ("t", "tool", "north"), "app north", "forbidden", ["forbids t: app is in no base"]),
    (
        SHARED % ("t", "tool", "north") + SHARED % ("u", "app", "south"),
        "app north",
        "forbidden",
        ["forbids t: sales on that cloud are in no base", "forbids u: sales on that cloud are in no base"],
    ),
    (SHARED % ("t", "apps", "north"), "cloud=north", "permitted", ["permits t: due"]),
    (SHARED % ("t", "apps", "north"), "cloud=south", "forbidden", ["forbids t: sales on that cloud are in no base"]),
    # A base without clouds takes in the sales on each.
    (SHARED.replace(", clouds: [%s]", "") % ("t", "apps"), "cloud=south", "permitted", ["permits t: due"]),
    (
        SHARED % ("t", "apps", "north") + "through: 2026-03-31",
        "app north",
        "forbidden",
        ["ended t: t ended on 2026-04-01", "rule share"],
    ),
    # A term that was to begin with an event that never came has not ended.
    (
        SHARED % ("t", "apps", "north") + "from: milestone\nthrough: 2026-03-31",
        "app north",
        "forbidden",
        ["rule share"],
    ),
]


@pytest.mark.parametrize(("terms", "question", "outcome", "because"), SHARES)
def test_why_a_share_is_due_or_not(terms: str, question: str, outcome: str, because: list[str]) -> None:
    decision = decided(at_hand(terms), f"share-revenue maker {question} to=partner")
    assert decision.outcome == outcome
    assert cited(decision) == because


def test_a_share_that_is_to_begin_is_not_cited_as_ended() -> None:
    texts = documents("") | {"A2.md": amendment("A2", "2027-01-01", SHARED % ("t", "apps", "north"), "2026-01-01")}
    decision = decided(reading(texts), "share-revenue maker app north to=partner")
    assert [(reason.bearing, reason.term) for reason in decision.reasons] == [("rule", "share")]

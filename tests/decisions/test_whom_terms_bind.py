"""Whom each kind of term binds, and which goes before which: tables a lawyer can read.

`own` is the maker's cloud, `north` the partner's, `south` a rival's. The maker owns everything. Each block of the
tables is the terms, then questions with what they come to and the term or rule that is cited first.
"""

from collections.abc import Iterator
from datetime import date

import msgspec
import pytest
from generated_agreements import agreements
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from clauseway import InvalidInput, KnownAt, OpenAgreement
from clauseway.agreement import Exclusivity, boundaries
from clauseway.agreement.language.terms import Only
from clauseway.decisions import Tables, all_questions, ask
from soak import examples
from terms_at_hand import asking, at_hand, decided, documents, reading

ON_SELL = """
id: t
kind: exclusivity
actions: [sell]
products: [apps]
only: {clouds: [north]}
"""
SHIP_FIRST_ON_SALE = """
id: t
kind: precedence
party: maker
first: north
actions: [sell]
products: [apps]
binds: every-product
since: 2026-01-01
unless: cannot-and-declines
"""
REFUSAL_ON_SALE = """
id: t
kind: refusal-right
holder: partner
actions: [sell]
products: [apps]
subject: apps
"""
SERVED_BY_TWO = """
id: t
kind: exclusivity
actions: [serve]
products: [apps]
only: {parties: [maker, partner]}

id: g
kind: permission
party: rival
actions: [serve, sell]
products: [apps]
"""
USED_BY_PARTNER = """
id: t
kind: exclusivity
actions: [use-under-licence]
products: [rights]
only: {parties: [partner]}

id: g
kind: permission
party: rival
actions: [use-under-licence]
products: [rights]

id: l
kind: licence
licensor: maker
licensee: partner
products: [rights]
"""
ALL_TO_PARTNER = """
id: t
kind: exclusivity
actions: [serve, sell]
products: [apps]
only: {parties: [partner]}

id: g
kind: permission
party: partner
actions: [serve, sell]
products: [apps]
"""
LICENSED_BY_NOBODY = """
id: t
kind: licence
licensor: rival
licensee: shop
products: [rights]
carries: [{actions: [sell], products: [apps]}]
"""
LICENSED_ON = (
    LICENSED_BY_NOBODY
    + """
id: g
kind: permission
party: rival
actions: [license]
products: [rights, apps]
"""
)
PUBLIC = """
id: t
kind: permission
party: anyone
actions: [serve, sell]
products: [apps]
%s
id: e
kind: exclusivity
actions: [serve]
products: [app]
only: {clouds: [north]}
"""
PARTNER_SHIPS_FIRST = """
id: t
kind: precedence
party: partner
first: north
actions: [serve]
products: [apps]
binds: every-product
since: 2026-01-01
unless: cannot-and-declines

id: g
kind: permission
party: partner
actions: [serve, sell]
products: [apps]
"""
ROOMS_TO_PARTNER_FIRST = """
id: t
kind: refusal-right
holder: partner
actions: [contract-compute]
products: [rooms]
subject: rooms

id: g
kind: permission
party: partner
actions: [contract-compute]
products: [rooms]
"""
PARTNER_MUST_OFFER = """
id: t
kind: refusal-right
holder: maker
grantor: partner
actions: [sell]
products: [apps]
subject: resale

id: g
kind: permission
party: partner
actions: [serve, sell]
products: [apps]
"""
KEPT_BY_THE_OWNER = """
id: t
kind: refusal-right
holder: maker
actions: [sell]
products: [apps]
subject: resale

id: g
kind: permission
party: partner
actions: [serve, sell]
products: [apps]
"""
PROHIBITED = """
id: t
kind: prohibition
parties: [maker]
actions: [serve]
products: [apps]
clouds: [own, south]
except: [{segments: [state]}]

id: g
kind: permission
party: shop
actions: [sell]
products: [apps]
"""
NOBODY_IN_THE_STATE = """
id: t
kind: prohibition
parties: [anyone]
actions: [sell]
products: [apps]
segments: [state]

id: g
kind: permission
party: partner
actions: [serve, sell]
products: [apps]
clouds: [north]
despite: [t]
"""

# An exclusive appointment to sell, and who may host: reserved to the appointee as a party or as a seller.
APPOINTED = """
id: t
kind: exclusivity
actions: [sell]
products: [apps]
only: {%s: [shop]}

id: g
kind: permission
party: shop
actions: [sell]
products: [apps]

id: l
kind: licence
licensor: maker
licensee: partner
products: [rights]
carries: [{actions: [serve, sell], products: [apps], clouds: [north]}]
"""
HOSTED_FOR_THE_APPOINTEE = """
sell shop app north                        | permitted   | t
serve partner app north seller=shop        | permitted   | l
serve partner app north seller=rival       | forbidden   | t
serve partner app north                    | forbidden   | t
serve maker app own seller=shop            | permitted   | own
serve maker app own                        | forbidden   | t
serve rival app south seller=shop          | conditional | grant
"""

# A party that may host and not sell serves for others alone; one that sells what it serves needs both rights.
HOSTS = """
id: h
kind: permission
party: partner
actions: [serve]
products: [apps]

id: s
kind: permission
party: %s
actions: [sell]
products: [apps]

id: p
kind: permission
party: anyone
actions: [%s]
products: [tool]
"""
HOSTS_AND_SELLS_NOTHING = """
serve partner app north seller=shop        | permitted   | own
serve partner app north seller=maker       | permitted   | own
serve partner app north seller=rival       | conditional | grant
serve partner app north                    | conditional | grant
serve shop app south                       | conditional | grant
serve rival tool south                     | conditional | grant
"""
HOSTS_AND_SELLS = """
serve partner app north                    | permitted   | own
serve partner tool north                   | permitted   | p
serve shop tool south                      | conditional | grant
serve maker app own                        | permitted   | own
"""

TABLES = [
    (HOSTS % ("shop", "serve"), HOSTS_AND_SELLS_NOTHING),
    (HOSTS % ("partner", "sell"), HOSTS_AND_SELLS),
    (APPOINTED % "parties", HOSTED_FOR_THE_APPOINTEE),
    (APPOINTED % "sellers", HOSTED_FOR_THE_APPOINTEE),
    # Terms on sales bind the owner, as they bind others, and the owner's serving of what it sells.
    (
        ON_SELL,
        """
sell maker app north                       | permitted   | t
sell maker app south                       | forbidden   | t
serve maker app north                      | permitted   | own
serve maker app south                      | forbidden   | t
serve maker app south seller=shop          | forbidden   | t
sell shop app south                        | forbidden   | t
""",
    ),
    (
        SHIP_FIRST_ON_SALE,
        """
sell maker app south                       | conditional | t
sell maker app north                       | permitted   | own
serve maker app south                      | conditional | t
serve maker app north                      | permitted   | own
sell shop app south                        | conditional | grant, t
""",
    ),
    (
        REFUSAL_ON_SALE,
        """
sell maker app own                         | conditional | t
sell partner app own                       | conditional | grant
sell shop app own                          | conditional | grant, t
serve maker app own                        | conditional | t
serve maker app own seller=partner         | conditional | grant
""",
    ),
    # A licence to the holder is what a first refusal is for.
    (
        REFUSAL_ON_SALE.replace("[sell]", "[license]").replace("[apps]", "[rights]"),
        """
license maker rights to=shop               | conditional | t
license maker rights to=partner            | permitted   | own
license shop rights to=partner             | conditional | grant
license shop rights to=rival               | conditional | grant, t
use-under-licence partner rights           | conditional | grant
use-under-licence shop rights              | conditional | grant, t
""",
    ),
    # An exclusivity on hosting binds whoever hosts; inside, it permits nothing.
    (
        SERVED_BY_TWO,
        """
serve maker app own                        | permitted   | t
sell rival app north                       | permitted   | t
sell rival app south                       | forbidden   | t
serve rival app south                      | forbidden   | t
sell shop app north                        | conditional | grant
serve partner app north                    | conditional | grant
sell maker app south                       | forbidden   | t
""",
    ),
    # An exclusivity on use binds everybody outside it, the owner included.
    (
        USED_BY_PARTNER,
        """
use-under-licence partner rights           | permitted   | l
use-under-licence rival rights             | forbidden   | t
use-under-licence shop rights              | forbidden   | t
use-under-licence maker rights             | forbidden   | t
""",
    ),
    # A right reserved to a partner is the partner's, though the owner itself may not.
    (
        ALL_TO_PARTNER,
        """
serve partner app north                    | permitted   | t
sell partner app north                     | permitted   | t
serve maker app own                        | forbidden   | t
sell maker app north                       | forbidden   | t
sell partner app south                     | forbidden   | t
sell rival app north                       | forbidden   | t
""",
    ),
    # Only the owner, or who may license on, gives a licence.
    (
        LICENSED_BY_NOBODY,
        """
use-under-licence shop rights              | conditional | grant
sell shop app own                          | conditional | grant
""",
    ),
    (
        LICENSED_ON,
        """
use-under-licence shop rights              | permitted   | t
sell shop app own                          | permitted   | t
""",
    ),
    # A public permission yields to an exclusivity, unless it names it.
    (
        PUBLIC % "",
        """
serve maker app south                      | forbidden   | e
sell shop app south                        | forbidden   | e
serve rival app south                      | forbidden   | e
sell shop tool south                       | permitted   | t
sell shop app north                        | permitted   | t
""",
    ),
    (
        PUBLIC % "despite: [e]\n",
        """
serve maker app south                      | permitted   | t
sell shop app south                        | permitted   | t
""",
    ),
    (
        PUBLIC % "despite: [any]\n",
        """
serve rival app south                      | permitted   | t
""",
    ),
    # A precedence binds the party it names, whoever that is.
    (
        PARTNER_SHIPS_FIRST,
        """
serve partner app south                    | conditional | t
serve partner app north                    | permitted   | own
serve maker app south                      | permitted   | own
sell shop app south                        | conditional | grant
""",
    ),
    # A right of first refusal binds its grantor, never its holder.
    (
        ROOMS_TO_PARTNER_FIRST,
        """
contract-compute maker rooms south         | conditional | t
contract-compute partner rooms south       | permitted   | own
contract-compute shop rooms south          | conditional | grant, t
""",
    ),
    (
        PARTNER_MUST_OFFER,
        """
sell partner app north                     | conditional | t
sell maker app own                         | permitted   | own
sell shop app own                          | conditional | grant
""",
    ),
    # An owner that holds the right to its own products binds nobody by it.
    (
        KEPT_BY_THE_OWNER,
        """
sell partner app north                     | permitted   | own
sell maker app own                         | permitted   | own
""",
    ),
    # A prohibition binds the parties it names.
    (
        PROHIBITED,
        """
serve maker app own                        | forbidden   | t
serve maker app north                      | permitted   | own
serve maker app own segment=state          | permitted   | t
sell shop app north                        | permitted   | own
sell shop app own                          | forbidden   | t
""",
    ),
    (
        NOBODY_IN_THE_STATE,
        """
sell maker app own                         | permitted   | own
sell maker app own segment=state           | forbidden   | t
sell shop app own segment=state            | forbidden   | t
sell partner app north segment=state       | permitted   | own
sell partner app own segment=state         | forbidden   | t
""",
    ),
]


def rows(tables: list[tuple[str, str]]) -> Iterator[tuple[str, str, str, str]]:
    for terms, table in tables:
        for line in table.strip().splitlines():
            question, outcome, because = (part.strip() for part in line.split("|"))
            yield terms, question, outcome, because


@pytest.mark.parametrize(("terms", "question", "outcome", "because"), list(rows(TABLES)))
def test_decided(terms: str, question: str, outcome: str, because: str) -> None:
    decision = decided(at_hand(terms), question)
    assert decision.outcome == outcome, decision.reasons
    if outcome == "conditional":
        assert ", ".join(sorted(condition.term for condition in decision.conditions)) == because
    else:
        assert decision.reasons[0].term == because, decision.reasons


def test_what_is_served_and_never_sold_needs_a_right_to_serve_alone() -> None:
    labs = {
        "classes:\n": "classes:\n  lab: {actions: [serve]}\n  shelf: {actions: [serve, sell]}\n",
        "products: [apps, ": "products: [lab, shelf, apps, ",
    }
    for products, outcomes in (("lab, shelf", ("permitted", "conditional")), ("apps", ("conditional",) * 2)):
        texts = documents((HOSTS % ("shop", "serve")).replace("[apps]", f"[{products}]", 1))
        for old, new in labs.items():
            texts = {name: text.replace(old, new) for name, text in texts.items()}
        opened = reading(texts)
        tables = Tables(opened.agreement, opened.catalog, opened.facts)
        for name, outcome in zip(("lab", "shelf"), outcomes, strict=True):
            asked = asking(opened, f"serve partner {name} north", "2026-06-01")
            assert opened.answer(asked).outcome == outcome
            assert tables.decide(asked) == opened.answer(asked)


def test_the_condition_of_a_host_that_may_not_sell_says_so() -> None:
    [condition] = decided(at_hand(HOSTS % ("shop", "serve")), "serve partner app north").conditions
    assert condition.text == (
        "partner may serve it for another seller; to sell it too, maker must grant it to partner; no grant is recorded."
    )


def test_an_exclusivity_permits_nobody() -> None:
    decision = decided(at_hand(SERVED_BY_TWO), "sell rival app north")
    assert {reason.term for reason in decision.reasons if reason.bearing == "permits"} == {"g", "own"}
    assert ("inside", "t") in {(reason.bearing, reason.term) for reason in decision.reasons}


def test_the_owner_hosts_where_it_launched_and_the_operator_elsewhere() -> None:
    launched = "kind: launch, product: app, cloud: south, stage: available, effective: 2026-02-01"
    for facts, outcome in (((), "forbidden"), ((launched,), "permitted")):
        assert decided(at_hand(SERVED_BY_TWO, facts), "sell maker app south").outcome == outcome


def test_a_launch_grants_resale_only_where_the_agreement_says_so() -> None:
    launched = ("kind: launch, product: app, cloud: north, stage: available, effective: 2026-02-01",)
    silent = decided(at_hand("", launched), "sell partner app north")
    stated = decided(at_hand("", launched, "launch: It grants resale there."), "sell partner app north")
    assert (silent.outcome, stated.outcome) == ("conditional", "permitted")
    assert "launch" in {reason.term for reason in stated.reasons if reason.bearing == "rule"}


# --- what the reader refuses -----------------------------------------------------------------------------------------

REFUSED = [
    (ON_SELL + "except: [{}]\n", "carve-out 1 of t names nothing"),
    (ON_SELL.replace("[sell]", "[sell, license]"), "license takes no clouds"),
    (ON_SELL.replace("{clouds: [north]}", "{licensees: [shop]}"), "sell takes no licensees"),
    (
        ON_SELL.replace("[sell]", "[license]").replace("clouds: [north]", "parties: [shop]") + "segments: [state]\n",
        "license takes no segments",
    ),
    (ON_SELL.replace("sell", "fly"), "unknown action 'fly'"),
    (PROHIBITED.replace("[maker]", "[]"), "'parties' does not fit"),
    (LICENSED_BY_NOBODY.replace("[{actions: [sell], products: [apps]}]", "[{}]"), "t carries an empty scope"),
    (SHIP_FIRST_ON_SALE.replace("[sell]", "[license]").replace("[apps]", "[rights]"), "license takes no clouds"),
    (
        REFUSAL_ON_SALE.replace("[sell]", "[use-under-licence]").replace("[apps]", "[rights]"),
        "use-under-licence is offered by licensing",
    ),
    (PUBLIC % "despite: [nothing-of-the-kind]\n", "unknown term 'nothing-of-the-kind'"),
    (REFUSAL_ON_SALE.replace("holder: partner", "holder: partner\ngrantor: partner"), "t binds its own holder"),
]


def test_an_action_of_ones_own_is_refused_with_those_that_there_are() -> None:
    """Nobody is told to define it: a definition would be refused too."""
    with pytest.raises(InvalidInput) as refused:
        at_hand(ON_SELL.replace("sell", "audit"))
    [problem] = refused.value.problems
    assert problem.why == (
        "no act of this name is decided; keep what it means as prose, or as kind: undertaking with parties:, "
        "which decides nothing and is shown"
    )
    assert problem.remedy == ("Write one of: contract-compute, license, sell, serve, use-under-licence.")


@pytest.mark.parametrize(("terms", "what"), REFUSED, ids=[what for _, what in REFUSED])
def test_refused(terms: str, what: str) -> None:
    """A term that the engine could not execute is refused where it stands, with the words to write instead."""
    with pytest.raises(InvalidInput) as refused:
        at_hand(terms)
    assert what in [problem.what for problem in refused.value.problems], refused.value.problems
    assert all(problem.why and problem.remedy for problem in refused.value.problems)


# --- facts -----------------------------------------------------------------------------------------------------------

GRANTED = "kind: grant, party: shop, product: app, effective: 2026-02-01"
TAKEN = "kind: withdrawal, party: shop, effective: 2026-05-01"
KEPT = [
    # facts | question | days with their outcomes
    (
        (f"{GRANTED}, through: 2026-03-31, cloud: south",),
        "sell shop app south",
        {
            "2026-01-31": "conditional",
            "2026-02-01": "permitted",
            "2026-03-31": "permitted",
            "2026-04-01": "conditional",
        },
    ),
    ((f"{GRANTED}, cloud: south",), "sell shop app own", {"2026-03-01": "conditional"}),
    ((f"{GRANTED}, segment: state",), "sell shop app own segment=state", {"2026-03-01": "permitted"}),
    ((f"{GRANTED}, segment: state",), "sell shop app own", {"2026-03-01": "conditional"}),
    (
        (GRANTED, "kind: withdrawal, party: shop, product: app, effective: 2026-05-01"),
        "sell shop app own",
        {"2026-04-30": "permitted", "2026-05-01": "conditional"},
    ),
    (
        (
            GRANTED,
            "kind: withdrawal, party: shop, product: app, effective: 2026-05-01",
            "kind: grant, party: shop, product: app, effective: 2026-06-01",
        ),
        "sell shop app own",
        {"2026-05-31": "conditional", "2026-06-01": "permitted"},
    ),
    # A withdrawal takes what it covers, whatever the grant is kept to; the rest goes on.
    *(
        (
            (GRANTED, f"{TAKEN}, {kept}"),
            f"sell shop app {cloud} segment={segment}",
            {"2026-04-30": "permitted", "2026-05-01": outcome},
        )
        for kept, cloud, segment, outcome in [
            ("product: app, cloud: south", "south", "state", "conditional"),
            ("product: app, cloud: south", "own", "state", "permitted"),
            ("product: app, segment: state", "own", "state", "conditional"),
            ("product: app, segment: state", "own", "any", "permitted"),
            ("product: app, cloud: south, segment: state", "south", "any", "permitted"),
            ("product: apps", "own", "any", "conditional"),
            ("product: tool", "own", "any", "permitted"),
        ]
    ),
    *(
        (
            (f"{GRANTED}, cloud: south", f"{TAKEN}, product: app, {kept}"),
            "sell shop app south segment=state",
            {"2026-04-30": "permitted", "2026-05-01": outcome},
        )
        for kept, outcome in [("segment: state", "conditional"), ("cloud: north", "permitted")]
    ),
    *(
        (
            (GRANTED.replace("app,", "apps,"), f"{TAKEN}, product: tool"),
            f"sell shop {product} own",
            {"2026-04-30": "permitted", "2026-05-01": outcome},
        )
        for product, outcome in [("app", "permitted"), ("tool", "conditional"), ("apps", "permitted")]
    ),
    # A right that never was: no day remains on which it was granted.
    (
        (
            f"{GRANTED}, id: g1",
            "kind: retraction, corrects: g1, effective: 2026-05-01",
        ),
        "sell shop app own",
        {"2026-04-30": "conditional", "2026-05-01": "conditional"},
    ),
]
OFFERED = "kind: offer, subject: rooms, effective: 2026-02-01, passed"
DEALS = [
    (
        (f"{OFFERED}: true",),
        "contract-compute maker rooms south",
        {"2026-01-31": "conditional", "2026-02-01": "permitted"},
    ),
    # The latest offer counts: another deal is offered anew.
    (
        (f"{OFFERED}: true", "kind: offer, subject: rooms, effective: 2026-03-01, passed: false"),
        "contract-compute maker rooms south",
        {"2026-02-28": "permitted", "2026-03-01": "conditional"},
    ),
    # After its last day silence is a pass.
    (
        (f"{OFFERED}: false, answer-by: 2026-02-28",),
        "contract-compute maker rooms south",
        {"2026-02-28": "conditional", "2026-03-01": "permitted"},
    ),
]
LEADING = SHIP_FIRST_ON_SALE.replace("unless: cannot-and-declines", "lead-days: 30")
LEADS = [
    (
        ("kind: launch, product: app, cloud: north, stage: preview, effective: 2026-02-01",),
        "sell maker app south",
        {"2026-02-01": "conditional", "2026-03-02": "conditional", "2026-03-03": "permitted"},
    ),
    # Without an exception no answer lifts it.
    (
        ("kind: answer, product: app, can: false, declines: true, effective: 2026-02-01",),
        "sell maker app south",
        {"2026-03-03": "conditional"},
    ),
]
# Rights that a licence gave end with it, and a grant gives them again.
LICENSED = """
id: t
kind: licence
licensor: maker
licensee: partner
products: [rights]
carries:
  - {actions: [serve, sell], products: [apps]}
through: 2026-03-31
"""
REGAINED = [
    ((), "sell partner app north", {"2026-03-31": "permitted", "2026-04-01": "forbidden"}),
    (
        ("kind: grant, party: partner, product: app, effective: 2026-05-01",),
        "sell partner app north",
        {"2026-04-30": "forbidden", "2026-05-01": "permitted"},
    ),
]
SHARED = """
id: t
kind: revenue-share
payer: maker
payee: partner
rate: 20 %
base: {sellers: [maker], products: [apps], excludes: [tool], clouds: [north]}
"""


@pytest.mark.parametrize(
    ("question", "outcome"),
    [
        ("share-revenue maker to=partner", "permitted"),
        ("share-revenue maker app to=partner", "permitted"),
        ("share-revenue maker app north to=partner", "permitted"),
        ("share-revenue maker app south to=partner", "forbidden"),
        ("share-revenue maker tool to=partner", "forbidden"),
        ("share-revenue maker rooms to=partner", "forbidden"),
        ("share-revenue partner to=maker", "forbidden"),
    ],
)
def test_a_share_is_due_of_what_its_base_takes_in(question: str, outcome: str) -> None:
    """The base that settles is the base that is asked about."""
    opened = at_hand(SHARED)
    tables = Tables(opened.agreement, opened.catalog, opened.facts)
    asked = asking(opened, question, "2026-06-01")
    assert opened.answer(asked).outcome == outcome, opened.answer(asked).reasons
    assert tables.decide(asked) == opened.answer(asked)


def test_a_share_as_a_whole_is_due_whatever_its_base_leaves_out() -> None:
    """A class of the base is left out: nothing is said of the others by asking for none."""
    opened = at_hand(SHARED.replace("products: [apps], excludes: [tool]", "products: [app, tool], excludes: [tool]"))
    for question, outcome in (
        ("share-revenue maker to=partner", "permitted"),
        ("share-revenue maker app to=partner", "permitted"),
        ("share-revenue maker tool to=partner", "forbidden"),
    ):
        asked = asking(opened, question, "2026-06-01")
        assert opened.answer(asked).outcome == outcome
        assert Tables(opened.agreement, opened.catalog, opened.facts).decide(asked) == opened.answer(asked)


def test_of_shares_that_ended_the_last_is_cited() -> None:
    late = SHARED.replace("id: t", "id: late") + "through: 2026-04-30"
    early = SHARED.replace("id: t", "id: early").replace("apps", "app") + "through: 2026-02-28"
    for terms in (late + "\n\n" + early, early + "\n\n" + late):
        decision = decided(at_hand(terms), "share-revenue maker to=partner")
        assert decision.outcome == "forbidden"
        assert decision.reasons[0].term == "late"


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ((), "It must first be offered to partner, and partner must pass."),
        ((f"{OFFERED}: false",), "partner must pass on what it was offered on 2026-02-01."),
        (
            (f"{OFFERED}: false, answer-by: 2026-07-31",),
            "partner must pass on what it was offered on 2026-02-01; silence through 2026-07-31 counts as a pass.",
        ),
    ],
)
def test_a_condition_says_what_was_offered_and_what_silence_means(facts: tuple[str, ...], said: str) -> None:
    opened = at_hand(ROOMS_TO_PARTNER_FIRST, facts)
    asked = asking(opened, "contract-compute maker rooms south", "2026-06-01")
    [condition] = opened.answer(asked).conditions
    assert condition.text == said
    assert Tables(opened.agreement, opened.catalog, opened.facts).decide(asked) == opened.answer(asked)


def test_a_product_that_no_term_can_name_is_answered_by_no_rule_of_days() -> None:
    opened = at_hand("")
    question = ask(
        opened.agreement,
        opened.catalog,
        action="serve",
        party="maker",
        product="stranger",
        cloud="own",
        as_of=date(2026, 6, 1),
        known_at=KnownAt.everything(),
        unnamed=("stranger",),
    )
    [reason] = opened.answer(question).reasons
    assert reason.note == "it does not name stranger"
    assert reason.text == "The agreement defines no such name, so no term of it says anything about it."
    assert reason.line == 12  # where classes are defined


HAPPENED = [
    (terms, *row)
    for terms, rows_of in (("", KEPT), (ROOMS_TO_PARTNER_FIRST, DEALS), (LEADING, LEADS), (LICENSED, REGAINED))
    for row in rows_of
]


@pytest.mark.parametrize(("terms", "facts", "question", "days"), HAPPENED)
def test_what_happened(terms: str, facts: tuple[str, ...], question: str, days: dict[str, str]) -> None:
    """By the engine, and by the compiled table."""
    opened = at_hand(terms, facts)
    tables = Tables(opened.agreement, opened.catalog, opened.facts)
    for day, outcome in days.items():
        assert decided(opened, question, day).outcome == outcome, day
        assert tables.decide(asking(opened, question, day)) == decided(opened, question, day)


# --- two ways to write an exclusive appointment to sell --------------------------------------------------------------


def appointing(opened: OpenAgreement, names: frozenset[str], *, as_sellers: bool) -> OpenAgreement:
    """The agreement with each exclusivity kept to selling and reserved to these, as sellers or as parties."""
    only = Only(sellers=names) if as_sellers else Only(parties=names)
    amendments = tuple(
        msgspec.structs.replace(
            amendment,
            terms=tuple(
                msgspec.structs.replace(term, actions=frozenset({"sell"}), only=only)
                if isinstance(term, Exclusivity)
                else term
                for term in amendment.terms
            ),
        )
        for amendment in opened.agreement.amendments
    )
    agreement = msgspec.structs.replace(opened.agreement, amendments=amendments)
    return OpenAgreement(agreement, opened.catalog, opened.facts)


@settings(
    max_examples=examples(15),
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(opened=agreements(), data=st.data())
def test_what_is_reserved_to_parties_that_sell_is_reserved_to_sellers(
    opened: OpenAgreement, data: st.DataObject
) -> None:
    names = data.draw(st.frozensets(st.sampled_from(sorted(opened.catalog.parties)), min_size=1, max_size=2))
    written = [appointing(opened, names, as_sellers=as_sellers) for as_sellers in (False, True)]
    everything = KnownAt.everything()
    day = data.draw(st.sampled_from(boundaries(opened.agreement, opened.facts, everything)))
    asked = all_questions(opened.agreement, opened.catalog, as_of=day, known_at=everything, every_seller=True)
    for question in list(asked)[data.draw(st.integers(0, 10)) :: 11]:
        by_party, by_seller = (block.answer(question).outcome for block in written)
        assert by_party == by_seller, question

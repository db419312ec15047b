"""Exclusivities cited as lifted, and the words that place an act inside one or let it pass.

`own` is the maker's cloud, `north` the partner's, `south` a rival's. The maker owns everything.
"""

import pytest

from clauseway import OpenAgreement
from clauseway.decisions import Tables
from terms_at_hand import asking, cited, decided, documents, reading

REGIONS = "regions: {east: {own: [own-1]}, west: {own: [own-2]}}\n"
EVENTS = """events:
  cure: {says: The breach is cured., source: [T]}
  breach: {says: A material breach., over-by: cure, source: [T]}
"""
# Of a breach from March to June.
BREACHED = (
    "kind: event, event: breach, effective: 2026-03-01",
    "kind: event, event: cure, effective: 2026-07-01",
)
SERVED_ON_NORTH = """
id: t
kind: exclusivity
actions: [serve]
products: [apps]
only: {clouds: [north]}
"""
RESERVED_LICENCE = """
id: t
kind: exclusivity
actions: [license]
products: [rights]
only: {licensees: [partner]}
"""
SOLD_BY_THE_MAKER = SERVED_ON_NORTH.replace("clouds: [north]", "sellers: [maker]")
SOLD_ON_NORTH = SERVED_ON_NORTH.replace("[serve]", "[sell]")
UNTIL_APRIL = "through: 2026-03-31\n"
LATE = SOLD_ON_NORTH.replace("id: t", "id: late") + "through: 2026-05-31\n"
PAUSED = "while-no: breach\n"
# An exclusive licence by a rival, which may license on through April, or never may.
BY_THE_RIVAL = """
id: use
kind: licence
licensor: rival
licensee: partner
products: [rights]
exclusive: true
"""
TO_MAY = "through: 2026-05-31\n"
MAY_PASS_ON = """
id: pass
kind: permission
party: rival
actions: [license]
products: [rights]
through: 2026-04-30
"""
# The shop may sell what is served elsewhere, by the maker, by whoever owns the app, or by the rival, which does not.
DESPITE = """
id: g
kind: permission
party: shop
actions: [serve, sell]
products: [apps]
despite: [t]
"""
FELL = "ended use.exclusive: use.exclusive fell on 2026-05-01: rival could give it no more"
FREE = ["permits own", "rule owner"]

# The terms · the question · a day → all that is cited.
CITED = [
    (SERVED_ON_NORTH + UNTIL_APRIL, "serve maker app south", "2026-03-31", ["forbids t: reserved to north"]),
    (SERVED_ON_NORTH + UNTIL_APRIL, "serve maker app south", "2026-04-01", ["ended t: t ended on 2026-04-01", *FREE]),
    (SERVED_ON_NORTH, "serve maker app north", "2026-04-01", ["inside t: reserved to north", "permits own"]),
    (
        SERVED_ON_NORTH + "except: [{segments: [state]}]",
        "serve maker app own segment=state",
        "2026-04-01",
        ["exempts t: the carve-out for state", "permits own"],
    ),
    (
        SERVED_ON_NORTH + "except: [{sellers: [shop, maker]}]",
        "serve maker app own",
        "2026-04-01",
        ["exempts t: the carve-out for sales by maker or shop", "permits own"],
    ),
    (
        SERVED_ON_NORTH + "except: [{regions: [west, east]}]",
        "serve maker app own region=east",
        "2026-04-01",
        ["exempts t: the carve-out for places in east or west", "permits own"],
    ),
    (
        SERVED_ON_NORTH + "except: [{segments: [state], sellers: [maker], regions: [east]}]",
        "serve maker app own segment=state region=east",
        "2026-04-01",
        ["exempts t: the carve-out for state, sales by maker, places in east", "permits own"],
    ),
    (
        SERVED_ON_NORTH + "except: [{clouds: [own]}]",
        "serve maker app own segment=state",
        "2026-04-01",
        ["exempts t: the carve-out for state", "permits own"],
    ),
    (
        RESERVED_LICENCE + "except: [{products: [rights]}]",
        "license maker rights to=shop",
        "2026-04-01",
        ["exempts t: its carve-out", "permits own"],
    ),
    # Of two carve-outs that cover an act, the first is cited; of an act that lies inside, none.
    (
        SERVED_ON_NORTH + "except: [{segments: [state]}, {sellers: [maker]}]",
        "serve maker app own segment=state",
        "2026-04-01",
        ["exempts t: the carve-out for state", "permits own"],
    ),
    (
        SERVED_ON_NORTH + "except: [{segments: [state]}]",
        "serve maker app north segment=state",
        "2026-04-01",
        ["inside t: reserved to north", "permits own"],
    ),
    # Sales are reserved to a seller, whoever hosts for whom.
    (
        SOLD_BY_THE_MAKER,
        "serve maker app own seller=maker",
        "2026-04-01",
        ["inside t: reserved to maker", "permits own"],
    ),
    (SOLD_BY_THE_MAKER, "serve maker app own seller=shop", "2026-04-01", ["forbids t: reserved to maker"]),
    # The names of those to whom something is reserved come in the order of the alphabet.
    (
        SERVED_ON_NORTH.replace("[north]", "[south, north]"),
        "serve maker app own",
        "2026-04-01",
        ["forbids t: reserved to north, south"],
    ),
    # A permission that names the term goes before it, whoever hosts; not so one from somebody who owns nothing.
    (f"{SERVED_ON_NORTH}\n{DESPITE}", "sell shop app south", "2026-04-01", ["permits own", "rule owner", "permits g"]),
    (
        f"{SERVED_ON_NORTH}\n{DESPITE}grantor: rival",
        "sell shop app south",
        "2026-04-01",
        ["forbids t: reserved to north"],
    ),
    (f"{SERVED_ON_NORTH}\n{DESPITE}", "sell rival app south", "2026-04-01", ["forbids t: reserved to north"]),
    # Of what the owner sells, the hosting is cited too; of what it serves, the hosting alone.
    (SERVED_ON_NORTH, "sell maker app north", "2026-04-01", ["inside t: reserved to north", "permits own"]),
    (SOLD_ON_NORTH, "serve maker app north", "2026-04-01", FREE),
    # Of several, the last that was lifted.
    (
        f"{SOLD_ON_NORTH}{UNTIL_APRIL}\n{LATE}",
        "sell maker app own",
        "2026-06-01",
        ["ended late: late ended on 2026-06-01", *FREE],
    ),
    (
        f"{LATE}\n{SOLD_ON_NORTH}{UNTIL_APRIL}",
        "sell shop app own",
        "2026-06-01",
        ["ended late: late ended on 2026-06-01", "rule grant"],
    ),
    # A reservation of another product is not cited.
    (
        f"{SOLD_ON_NORTH}{UNTIL_APRIL}\n{LATE.replace('apps', 'tool')}",
        "sell maker app own",
        "2026-06-01",
        ["ended t: t ended on 2026-04-01", *FREE],
    ),
    # One that paused and is in force again was not lifted.
    (SOLD_ON_NORTH + PAUSED, "sell shop app north", "2026-02-28", ["rule grant"]),
    (
        SOLD_ON_NORTH + PAUSED,
        "sell shop app north",
        "2026-03-01",
        ["ended t: paused: t, while breach goes on", "meets event:breach", "rule grant"],
    ),
    (SOLD_ON_NORTH + PAUSED, "sell shop app north", "2026-07-01", ["rule grant"]),
    (
        SOLD_ON_NORTH + PAUSED + "through: 2026-08-31\n",
        "sell shop app north",
        "2026-09-01",
        ["ended t: t ended on 2026-09-01", "rule grant"],
    ),
    # Products reserved by a licence fall with it, and do not end once more.
    (
        f"{BY_THE_RIVAL}\n{MAY_PASS_ON}",
        "license maker rights to=partner",
        "2026-04-30",
        ["inside use.exclusive: reserved to partner", "permits own"],
    ),
    (
        f"{BY_THE_RIVAL}\n{MAY_PASS_ON}",
        "license maker rights to=shop",
        "2026-04-30",
        ["forbids use.exclusive: reserved to partner"],
    ),
    (f"{BY_THE_RIVAL}\n{MAY_PASS_ON}", "license maker rights to=shop", "2026-05-01", [FELL, *FREE]),
    (f"{BY_THE_RIVAL}{TO_MAY}\n{MAY_PASS_ON}", "license maker rights to=shop", "2026-05-31", [FELL, *FREE]),
    (f"{BY_THE_RIVAL}{TO_MAY}\n{MAY_PASS_ON}", "license maker rights to=shop", "2026-06-01", [FELL, *FREE]),
    # A licence that nobody could give reserved nothing.
    (BY_THE_RIVAL + TO_MAY, "license maker rights to=shop", "2026-05-31", FREE),
    (BY_THE_RIVAL + TO_MAY, "license maker rights to=shop", "2026-06-01", FREE),
    # Nor does it keep anybody from giving the owner what is its own.
    (
        f"{BY_THE_RIVAL}\n{MAY_PASS_ON}",
        "license shop rights to=rival",
        "2026-04-30",
        ["forbids use.exclusive: reserved to partner"],
    ),
    (f"{BY_THE_RIVAL}\n{MAY_PASS_ON}", "license partner rights to=maker", "2026-04-30", ["rule grant"]),
]


def opened_with(terms: str) -> OpenAgreement:
    texts = documents(terms, BREACHED)
    defined = EVENTS + (REGIONS if "regions:" in terms else "") + "rules:\n"
    texts["agreement.md"] = texts["agreement.md"].replace("rules:\n", defined)
    return reading(texts)


@pytest.mark.parametrize(("terms", "question", "day", "because"), CITED)
def test_what_is_cited_of_exclusivities(terms: str, question: str, day: str, because: list[str]) -> None:
    """By the engine, and by the compiled table."""
    opened = opened_with(terms)
    decision = decided(opened, question, day)
    assert cited(decision) == because
    assert Tables(opened.agreement, opened.catalog, opened.facts).decide(asking(opened, question, day)) == decision

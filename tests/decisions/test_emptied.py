"""A right that another term empties is told: all that it grants is forbidden, wherever and whenever it grants it."""

import pytest
from generated_agreements import READINGS, agreements
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from reference_evaluator import World

from clauseway import KnownAt, OpenAgreement, open_agreement
from clauseway.agreement import boundaries
from clauseway.agreement.soundness.checking import check_agreement, remarks_on
from clauseway.agreement.soundness.lives import Lives
from clauseway.app.agreements.checking import empty_rights, nobody_left, reserved_in_vain
from clauseway.decisions import all_questions
from clauseway.decisions.findings.emptied import Emptied, emptied
from clauseway.decisions.findings.outlived import outlived_rights
from clauseway.decisions.findings.reserved import reserved_to_nobody
from clauseway.decisions.question import RESTS_ON
from soak import examples
from terms_at_hand import amendment, at_hand, documents, reading

NOBODY = "id: p\nkind: prohibition\nparties: [%s]\nactions: [%s]\nproducts: [apps]%s\n\n"
SHOP = "id: g\nkind: permission\nparty: shop\nactions: [%s]\nproducts: [app]%s"
LICENSED = """id: l
kind: licence
licensor: maker
licensee: shop
products: [rights]
carries: [{actions: [serve, sell], products: [apps]}]"""
ONLY_RIVAL = "id: x\nkind: exclusivity\nactions: [sell]\nproducts: [apps]\nonly: {%s: [rival]}\n\n"

# The terms · what `check` says of a right that is left empty, wholly (error) or for one action (warning).
TABLE = [
    (NOBODY % ("anyone", "sell", "") + SHOP % ("sell", ""), "error g grants nothing that is not forbidden by p"),
    (
        NOBODY % ("shop", "sell", "") + SHOP % ("serve, sell", ""),
        "warning g grants no way to sell that is not forbidden by p",
    ),
    # A sale is hosted, whoever hosts it: where nobody may serve, nobody can sell.
    (
        NOBODY % ("anyone", "serve", "") + LICENSED,
        "warning l grants no way to serve or sell that is not forbidden by p",
    ),
    # By the right to license on it gave a licence that is exclusive: that the right is still for.
    (
        "id: on\nkind: permission\nparty: rival\ngrantor: maker\nactions: [license]\nproducts: [rights]\n\n"
        + LICENSED.replace("licensor: maker", "licensor: rival")
        + "\nexclusive: true",
        "",
    ),
    (NOBODY % ("shop", "serve, sell", "") + SHOP % ("sell", "\ndespite: [p]"), ""),
    (NOBODY % ("shop", "sell", "\nclouds: [north]") + SHOP % ("sell", ""), ""),
    (
        NOBODY % ("shop", "sell", "\nclouds: [north]") + SHOP % ("sell", "\nclouds: [north]"),
        "error g grants nothing that is not forbidden by p",
    ),
    (NOBODY % ("shop", "sell", "\nuntil: 2026-03-01") + SHOP % ("sell", ""), ""),
    # An event may leave days to the right: it stands by until then, or while the event goes on or does not.
    *(
        (NOBODY % ("shop", "sell", f"\n{key}: milestone") + SHOP % ("serve, sell", ""), "")
        for key in ("until", "while-no")
    ),
    (
        NOBODY % ("shop", "sell", "\nuntil: milestone") + SHOP % ("serve, sell", "\nuntil: milestone"),
        "warning g grants no way to sell that is not forbidden by p",
    ),
    (
        NOBODY % ("shop", "sell", "\nwhile-no: milestone")
        + NOBODY.replace("p\n", "q\n", 1) % ("shop", "sell", "")
        + SHOP % ("sell", ""),
        "error g grants nothing that is not forbidden by p and q",
    ),
    # Another right lets it pass from the event on, despite what forbids it.
    (
        NOBODY % ("shop", "sell", "") + SHOP % ("sell", "") + "\n\nid: h\nkind: permission\nparty: shop\n"
        "actions: [sell]\nproducts: [app]\ndespite: [p]\nfrom: milestone",
        "",
    ),
    # The exclusive seller's host keeps its right to serve, however the appointment is written.
    (ONLY_RIVAL % "sellers" + LICENSED, "warning l grants no way to sell that is not forbidden by x"),
    (ONLY_RIVAL % "parties" + LICENSED.replace("serve, sell", "serve"), ""),
    (ONLY_RIVAL % "sellers" + LICENSED.replace("serve, sell", "serve"), ""),
]


RESERVED = "id: x\nkind: exclusivity\nactions: [sell]\nproducts: [app]\nonly: {%s}%s\n\n"
HOSTED = "id: h\nkind: permission\nparty: shop\nactions: [serve, sell]\nproducts: [app]\nclouds: [north]\n"
SERVED = "id: x\nkind: exclusivity\nactions: [serve, sell]\nproducts: [app]\nclouds: [north]\nonly: {parties: [shop]}%s"
LATER = "id: q\nkind: prohibition\nparties: [%s]\nactions: [%s]\nproducts: [apps]\nclouds: [north]"
WAITING = "id: %s\nkind: permission\nparty: %s\nactions: [serve, sell]\nproducts: [apps]\nclouds: [%s]\n%s\n\n"

# A right reserved to a party whom other terms forbid it is nobody's. Terms in A1, terms in A2 · the words of `check`.
NOBODY_LEFT = [
    (
        RESERVED % ("parties: [shop]", "") + NOBODY % ("shop", "sell", ""),
        "",
        "error nobody may sell app: x reserves it to shop, and p forbids it to shop",
    ),
    (
        RESERVED % ("sellers: [shop]", "") + NOBODY % ("anyone", "sell", ""),
        "",
        "error nobody may sell app: x reserves it to shop, and p forbids it to shop",
    ),
    # Of two that it is reserved to, one may.
    (RESERVED % ("parties: [shop, rival]", "") + NOBODY % ("shop", "sell", ""), "", ""),
    # The prohibition keeps to a cloud, or leaves a carve-out: there is a way.
    (RESERVED % ("parties: [shop]", "") + NOBODY % ("shop", "sell", "\nclouds: [north]"), "", ""),
    (RESERVED % ("parties: [shop]", "") + NOBODY % ("shop", "sell", "\nexcept: [{segments: [state]}]"), "", ""),
    (
        RESERVED % ("parties: [shop]", "\nclouds: [north]") + NOBODY % ("shop", "sell", "\nclouds: [north]"),
        "",
        "error nobody may sell app on north: x reserves it to shop, and p forbids it to shop",
    ),
    # A sale is hosted: on the clouds where it is reserved to be sold nobody may serve.
    (
        RESERVED % ("clouds: [north]", "") + NOBODY % ("anyone", "serve", "\nclouds: [north]"),
        "",
        "error nobody may sell app: x reserves it to north, and p forbids it there",
    ),
    # The seller's host is kept out by the exclusivity itself, or by another term.
    (
        HOSTED + "exclusive: true",
        "",
        "error nobody may sell app on north: h.exclusive reserves it to shop, and h.exclusive forbids partner to serve "
        "what shop sells",
    ),
    (
        HOSTED + "\n\n" + SERVED % "",
        "",
        "error nobody may sell app on north: x reserves it to shop, and x forbids partner to serve what shop sells",
    ),
    (HOSTED + "\n\n" + SERVED % "\nexcept: [{sellers: [shop]}]", "", ""),
    (
        RESERVED % ("parties: [shop]", "\nclouds: [north]") + NOBODY % ("partner", "serve", ""),
        "",
        "error nobody may sell app on north: x reserves it to shop, and p forbids partner to serve what shop sells",
    ),
    # From a later amendment on.
    (
        RESERVED % ("parties: [shop]", "\nclouds: [north]"),
        LATER % ("shop", "sell"),
        "warning nobody may sell app on north from 2026-07-01: x reserves it to shop, and q forbids it to shop",
    ),
    # Until the first of the two ends.
    (
        RESERVED % ("parties: [shop]", "\nclouds: [north]\nthrough: 2027-12-31"),
        LATER % ("shop", "sell") + "\nuntil: 2027-07-01",
        "warning nobody may sell app on north from 2026-07-01 through 2027-06-30: x reserves it to "
        "shop, and q forbids it "
        "to shop",
    ),
    # Of two that forbid it, the first to end frees nobody.
    (
        RESERVED % ("parties: [shop]", "\nclouds: [north]"),
        LATER % ("shop", "sell") + "\nuntil: 2027-07-01\n\n" + (LATER % ("anyone", "sell")).replace("id: q", "id: r"),
        "warning nobody may sell app on north from 2026-07-01: x reserves it to shop, and q and r forbid it to shop",
    ),
    (
        RESERVED % ("parties: [shop]", "\nthrough: 2026-12-31") + NOBODY % ("shop", "sell", ""),
        "",
        "error nobody may sell app through 2026-12-31: x reserves it to shop, and p forbids it to shop",
    ),
    (RESERVED % ("parties: [shop]", "\nclouds: [north]\nuntil: 2026-07-01"), LATER % ("shop", "sell"), ""),
    # Only a right to what is reserved is told, and only where an event may bring it back while that lasts.
    (
        RESERVED % ("parties: [shop]", "\nclouds: [north]")
        + (RESERVED % ("parties: [rival]", "\nclouds: [south]")).replace("id: x", "id: y")
        + WAITING % ("r", "rival", "south", "begins: 2026-09-01\nwhile-no: milestone"),
        LATER % ("shop", "sell"),
        "warning nobody may sell app on north from 2026-07-01: x reserves it to shop, and q forbids it to shop",
    ),
    (
        RESERVED % ("parties: [shop]", "\nclouds: [north]\nthrough: 2026-08-31")
        + WAITING % ("r", "shop", "north", "begins: 2026-09-01\nwhile-no: milestone"),
        LATER % ("shop", "sell") + "\nthrough: 2026-12-31",
        "warning nobody may sell app on north from 2026-07-01 through 2026-08-31: x reserves it to shop, and q forbids "
        "it to shop",
    ),
    # The right holds all the while; what forbids it goes before it.
    (
        RESERVED % ("parties: [shop]", "\nclouds: [north]") + WAITING % ("r", "shop", "north", "while-no: milestone"),
        LATER % ("shop", "sell"),
        "warning nobody may sell app on north from 2026-07-01: x reserves it to shop, and q forbids it to shop",
    ),
    # One of the two may not sell, the other has no host: the sale is forbidden, not the hosting alone.
    (
        RESERVED % ("parties: [shop, rival]", "\nclouds: [north]")
        + NOBODY % ("rival", "sell", "")
        + (NOBODY % ("partner", "serve", "")).replace("id: p", "id: q"),
        "",
        "error nobody may sell app on north: x reserves it to rival, shop, and p and q forbid it to rival, shop",
    ),
    # The right has ended, and no term forbids anything.
    (
        "id: l\nkind: licence\nlicensor: maker\nlicensee: shop\nproducts: [rights]\nthrough: 2026-06-30\n\n"
        "id: x\nkind: exclusivity\nactions: [use-under-licence]\nproducts: [rights]\nonly: {parties: [shop]}",
        "",
        "",
    ),
    # An event may free it.
    (
        RESERVED % ("parties: [shop]", "\nuntil: milestone") + NOBODY % ("shop", "sell", "\nwhile-no: milestone"),
        "",
        "error nobody may sell app, on the days that events leave to both (x until: milestone, p while-no: milestone): "
        "x reserves it to shop, and p forbids it to shop",
    ),
]


@pytest.mark.parametrize(("terms", "later", "said"), NOBODY_LEFT)
def test_what_is_reserved_to_whom_it_is_forbidden_is_told(terms: str, later: str, said: str) -> None:
    texts = documents(terms) | ({"A2.md": amendment("A2", "2026-07-01", later)} if later else {})
    opened = reading(texts)
    lives = Lives(opened.agreement, opened.facts, RESTS_ON)
    closed = reserved_to_nobody(opened.agreement, opened.catalog, opened.facts)
    remarks = nobody_left(lives, remarks_on(lives), closed)
    assert [f"{remark.severity.value} {remark.what}" for remark in remarks] == ([said] if said else [])


def test_what_an_event_ended_is_reserved_no_longer() -> None:
    """A prohibition leaves nobody from March on, until an event ends the exclusivity in May."""
    terms = RESERVED.replace("[sell]", "[serve]") % ("parties: [shop]", "\nuntil: milestone\nthrough: 2026-12-31")
    terms += "id: p\nkind: prohibition\nparties: [shop]\nactions: [serve]\nproducts: [app]\nbegins: 2026-03-01"
    opened = at_hand(terms, ("kind: milestone, effective: 2026-05-01",))
    [closed] = {act.until for act in reserved_to_nobody(opened.agreement, opened.catalog, opened.facts)}
    assert str(closed) == "2026-05-01"


USED = "id: use\nkind: licence\nlicensor: maker\nlicensee: partner\nproducts: [rights]\nthrough: 2026-06-30"
USED_ANEW = USED.replace("use", "again", 1).replace("through: 2026-06-30", "begins: 2026-09-01")
KEPT = "id: kept\nkind: exclusivity\nactions: [use-under-licence]\nproducts: [rights]\nonly: {parties: [partner]}"
SOLD = "id: sold\nkind: permission\nparty: shop\nactions: [sell]\nproducts: [apps]"
SALE = RESERVED % ("parties: [shop]", "")
GRANTED = "kind: grant, party: shop, product: app, effective: 2026-02-01, through: 2026-12-31"
OUTLIVED: list[tuple[str, str, tuple[str, ...], str]] = [
    # terms | changed on 1 July 2026 | facts | what is told
    (
        f"{USED}\n\n{KEPT}",
        "",
        (),
        "nobody may use-under-licence rights from 2026-07-01 unless it is granted anew: kept goes on, and use does not",
    ),
    (
        f"{SOLD}\n\n{SALE}",
        "id: end\nends: [sold]",
        (),
        "nobody may sell app from 2026-07-01 unless it is granted anew: x goes on, and sold does not",
    ),
    (
        SALE,
        "",
        (GRANTED,),
        "nobody may sell app from 2027-01-01 unless it is granted anew: x goes on, and grant:shop:app does not",
    ),
    (
        f"{USED}\n\n{KEPT}\n\n{USED_ANEW}",
        "",
        (),
        "nobody may use-under-licence rights from 2026-07-01 through 2026-08-31 unless it is granted "
        "anew: kept goes on, "
        "and use does not",
    ),
    # Until nothing is reserved any more; an event may end that before.
    (
        f"{USED}\n\n{KEPT}\nthrough: 2026-12-31\nuntil: milestone",
        "",
        (),
        "nobody may use-under-licence rights from 2026-07-01 through 2026-12-31, on the days that events leave to it "
        "(kept until: milestone) unless it is granted anew: kept goes on, and use does not",
    ),
    # A reservation that goes on brings nothing back, though it waits for an event too.
    (
        f"{SOLD}\nthrough: 2026-07-31\n\n{SALE.strip()}\nwhile-no: milestone",
        "",
        (),
        "nobody may sell app from 2026-08-01, on the days that events leave to it (x while-no: milestone) unless it is "
        "granted anew: x goes on, and sold does not",
    ),
    # It ends with the right, or somebody else is inside, or the right never was, or it only pauses.
    (f"{USED}\n\n{KEPT}\nthrough: 2026-06-30", "", (), ""),
    (f"{USED}\nexclusive: true", "", (), ""),
    (f"{USED}\n\n{KEPT.replace('[partner]', '[partner, maker]')}", "", (), ""),
    (KEPT, "", (), ""),
    (f"{SOLD}\nwhile: milestone\n\n{SALE}", "", ("kind: milestone, effective: 2026-05-01",), ""),
]


@pytest.mark.parametrize(("terms", "later", "facts", "said"), OUTLIVED)
def test_what_stays_reserved_to_whom_has_lost_its_right_is_told(
    terms: str, later: str, facts: tuple[str, ...], said: str
) -> None:
    texts = documents(terms, facts) | ({"A2.md": amendment("A2", "2026-07-01", later)} if later else {})
    opened = reading(texts)
    outlived = outlived_rights(opened.agreement, opened.catalog, opened.facts)
    lives = Lives(opened.agreement, opened.facts, RESTS_ON)
    assert [remark.what for remark in reserved_in_vain(lives, outlived)] == ([said] if said else [])


def told(opened: OpenAgreement) -> list[str]:
    checked = check_agreement(opened.agreement, opened.facts, RESTS_ON)
    empty = emptied(opened.agreement, opened.catalog, opened.facts)
    return [f"{right.severity.value} {right.what}" for right in empty_rights(opened.agreement, checked, empty)]


@pytest.mark.parametrize(("terms", "said"), TABLE)
def test_a_right_that_is_emptied_is_told(terms: str, said: str) -> None:
    assert told(at_hand(terms)) == ([said] if said else [])


# A term that forbids a use, and licensing to its party too · its id.
USE_FORBIDDEN = [
    (
        "id: l\nkind: licence\nlicensor: maker\nlicensee: partner\nproducts: [rights]\nexclusive: true",
        "l.exclusive",
    ),
    (
        "id: p\nkind: prohibition\nparties: [anyone]\nactions: [license, use-under-licence]\nproducts: [rights]",
        "p",
    ),
]


@pytest.mark.parametrize(("forbids", "name"), USE_FORBIDDEN)
def test_a_use_that_is_emptied_is_freed_as_check_says(forbids: str, name: str) -> None:
    """A use by permission needs the owner's licensing besides, which its own `despite` does not free."""
    use = "\n\nid: u\nkind: permission\nparty: shop\nactions: [use-under-licence]\nproducts: [rights]"
    despite = f"\ndespite: [{name}]"
    license_ = f"\n\nid: o\nkind: permission\nparty: maker\nactions: [license]\nproducts: [rights]{despite}"
    for terms in (forbids + use, forbids + use + despite):
        [remark] = empty_rights(at_hand(terms).agreement, (), found(at_hand(terms)))
        assert remark.what == f"u grants nothing that is not forbidden by {name}"
        assert remark.remedy.startswith(
            f"Write `despite: [{name}]` under u, and the same under a permission of maker with actions: [license] "
            "(which lets it license to anyone), if it is meant to hold against that; else delete u, or end "
        )
    assert told(at_hand(forbids + use + despite + license_)) == []


def found(opened: OpenAgreement) -> tuple[Emptied, ...]:
    return emptied(opened.agreement, opened.catalog, opened.facts)


@pytest.mark.parametrize("name", ["openai-microsoft", "anthropic-clouds"])
def test_the_agreements_that_ship_empty_no_right(name: str) -> None:
    opened = open_agreement(name)
    assert told(opened) == []
    assert reserved_to_nobody(opened.agreement, opened.catalog, opened.facts) == ()
    assert outlived_rights(opened.agreement, opened.catalog, opened.facts) == ()


@settings(
    max_examples=examples(8),
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(opened=agreements(), data=st.data())
def test_the_reference_evaluator_forbids_what_an_emptied_permission_grants(
    opened: OpenAgreement, data: st.DataObject
) -> None:
    empty = {right.term: right.actions for right in emptied(opened.agreement, opened.catalog, opened.facts)}
    readings = {name: data.draw(st.sampled_from(options)) for name, options in READINGS.items()}
    everything = KnownAt.everything()
    for day in boundaries(opened.agreement, opened.facts, everything):
        asked = list(all_questions(opened.agreement, opened.catalog, as_of=day, known_at=everything, readings=readings))
        for question in asked[:: data.draw(st.integers(5, 9))]:
            world = World(opened, question)
            deed = world.deed(question.action, question.party)
            covering = [
                term.id
                for term in world.of("permission")
                if question.action in empty.get(term.id, ())
                and term.party in (deed.party, "anyone")
                and world.covers(term, deed)
                and world.by_right(term, deed)
            ]
            assert not covering or world.answer() == "forbidden", (covering, question)

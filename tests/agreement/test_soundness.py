"""Remarks of `check` on small agreements, one kind at a time, and near misses without a remark."""

from datetime import date

import pytest

import terms_at_hand as hand
from clauseway import InvalidInput, KnownAt, OpenAgreement, Outcome, open_agreement
from clauseway.agreement import FactRegister, read_agreement
from clauseway.agreement.soundness.checking import check_agreement
from clauseway.agreement.soundness.remarks import Remark, Severity
from clauseway.decisions import Question, all_questions
from clauseway.decisions.question import RESTS_ON
from terms_at_hand import at_hand, decided

DEFINITIONS = """\
---
id: small
title: A small agreement
---

```yaml definitions
sources:
  T: the text
  ours: our own reading
parties: [maker, buyer, rival]
clouds: {own: maker, other: buyer, third: rival}
segments: [trade, state]
classes:
  api: {}
  chat: {within: api, actions: [serve, sell]}
  voice: {within: api, actions: [serve, sell]}
  ip: {actions: [license, use-under-licence]}
products:
  chat-1: {class: chat}
rules:
  unstated: Nothing is stated.
  owner: The owner may do what nothing forbids.
  grant: Others need a grant.
  share: A share is due where a term says so.
  licensee: A right ends with its licence.
readings:
  R1: {says: It reads both ways., source: [T], options: [a, b]}
figures:
  rate: {says: The rate., value: 10 %, standing: ours, source: [T]}
```
"""
FRONT = """\
---
id: {id}
title: An amendment
announced: {announced}
effective: {day}
sources: [T]
---
"""
# R1 is used and nothing else is said.
OWNS = "id: A1.owns, kind: ownership, party: maker, products: [api, ip]"
STAKE = "id: A1.stake, kind: stake, holder: buyer, of: maker, about: some, under: {R1: b}"


def documents(
    a1: list[str], a2: list[str], definitions: str = DEFINITIONS, a2_announced: str = "2025-01-01"
) -> dict[str, str]:
    """Each line is a term, or a change where it has no kind, under a clause of its own."""
    texts = {"agreement.md": definitions}
    days = (("A1", "2024-01-01", "2024-01-01", a1), ("A2", a2_announced, "2025-01-01", a2))
    for name, announced, day, blocks in days:
        clauses = []
        for number, block in enumerate(blocks, start=1):
            kind = "term" if " kind: " in block else "change"
            sourced = block if " source: " in block else f"{block}, source: [T]"
            clauses.append(f"\n## {number}.1 A clause\n\nIt says so.\n\n```yaml {kind}\n{{{sourced}}}\n```\n")
        texts[f"{name}.md"] = FRONT.format(id=name, announced=announced, day=day) + "".join(clauses)
    return texts


def remarks_on(texts: dict[str, str]) -> tuple[Remark, ...]:
    return check_agreement(read_agreement(texts), FactRegister(), RESTS_ON)


def said(remark: Remark) -> str:
    return f"{remark.severity} {remark.kind}: {remark.what}"


SERVE_ON_OTHER = "id: A1.only, kind: exclusivity, actions: [serve], products: [api], only: {clouds: [other]}"
SERVE_ON_OWN = "id: A2.only, kind: exclusivity, actions: [serve], products: [chat], only: {clouds: [own]}"
SALE_BY_MAKER = "id: A1.sale, kind: exclusivity, actions: [sell], products: [api], only: {parties: [maker]}"
TO_BUYER = "id: A1.to, kind: exclusivity, actions: [license], products: [ip], only: {licensees: [buyer]}"
ENDS_ONLY = "id: A2.ends, ends: [A1.only]"

# The maker sells all that it owns.
SOLD = "id: A2.sold, ends: [A1.owns]"
SOLD_FROM = "id: A2.owns, kind: ownership, party: rival, products: [api, ip]"

SHARE_1 = "id: A1.share, kind: revenue-share, payer: maker, payee: buyer, rate: rate, base: {sellers: [maker]}"
SHARE_2 = SHARE_1.replace("A1.share", "A2.share")
# Of a share that states its own rate the figure is used all the same.
TAXED = "withholding: rate, "

SERVE_BY_RIVAL = "id: A1.lets, kind: permission, party: rival, actions: [serve], products: [chat]"
NOT_BY_RIVAL = "id: A1.not, kind: prohibition, parties: [rival], actions: [serve], products: [chat]"

FIRST = (
    "id: A1.first, kind: precedence, party: maker, first: other, actions: [serve], products: [api], "
    "binds: first-shipped-since, since: 2024-01-01, unless: cannot-or-declines"
)
FIRST_ON_OWN = FIRST.replace("A1.first", "A2.first").replace("first: other", "first: own")

# what A1 says · what A2 says · the remark on it
FOUND = [
    (
        "two clouds that are to be the first",
        [FIRST],
        [FIRST_ON_OWN],
        "error conflict: A1.first and A2.first wait for one another: maker can serve chat first on "
        "neither other nor own",
    ),
    (
        "two first clouds for one segment",
        [FIRST],
        [FIRST_ON_OWN.replace("first-shipped-since", "every-product") + ", segments: [state]"],
        "error conflict: A1.first and A2.first wait for one another: maker can serve chat first on "
        "neither other nor own",
    ),
    (
        "the same again, from a milestone",
        [SERVE_BY_RIVAL],
        [SERVE_BY_RIVAL.replace("A1", "A2") + ", from: milestone"],
        "warning overlap: A2.lets says what A1.lets says",
    ),
    (
        "a share of the same sales at another rate",
        [SHARE_1],
        [SHARE_2.replace("rate: rate", "rate: 5 %")],
        "warning overlap: A2.share takes a share of what A1.share takes a share of",
    ),
    ("two clouds", [SERVE_ON_OTHER], [SERVE_ON_OWN], "error conflict: A1.only and A2.only leave no way to serve chat"),
    (
        "two clouds, for a shorter time under one reading",
        [SERVE_ON_OTHER],
        [SERVE_ON_OWN, "id: A2.shorter, sets-end: [A1.only], through: 2026-12-31, under: {R1: b}"],
        "error conflict: A1.only and A2.only leave no way to serve chat",
    ),
    (
        "two sellers",
        [SALE_BY_MAKER],
        ["id: A2.sale, kind: exclusivity, actions: [sell], products: [voice], only: {parties: [buyer]}"],
        "error conflict: A1.sale and A2.sale leave no way to sell voice",
    ),
    (
        "two licensees",
        [TO_BUYER],
        ["id: A2.to, kind: exclusivity, actions: [license], products: [ip], only: {licensees: [rival]}"],
        "error conflict: A1.to and A2.to leave no way to license ip",
    ),
    (
        "a carve-out for one segment leaves the others",
        [SERVE_ON_OTHER],
        [SERVE_ON_OWN + ", except: [{segments: [state]}]"],
        "error conflict: A1.only and A2.only leave no way to serve chat",
    ),
    (
        "under one reading only",
        [SERVE_ON_OTHER],
        [SERVE_ON_OWN + ", under: {R1: b}"],
        "error conflict: A1.only and A2.only leave no way to serve chat",
    ),
    (
        "first refusal of somebody who passes the right on",
        [
            "id: A1.passes, kind: permission, party: buyer, grantor: maker, actions: [license], products: [ip]",
            "id: A1.first, kind: refusal-right, holder: rival, grantor: buyer, actions: [license], products: [ip]",
        ],
        [],
        "warning binds-one-link: A1.first binds buyer, and nobody to whom buyer licenses ip on",
    ),
    (
        "an extension that drops the milestone",
        [SERVE_ON_OTHER + ", until: milestone"],
        ["id: A2.later, sets-end: [A1.only], through: 2027-12-31"],
        "note drops-event: A2.later lets A1.only go on past milestone",
    ),
    (
        "customers of no named segment alone",
        [SERVE_ON_OTHER + ", segments: [any]"],
        [],
        "warning any-segment: A1.only leaves out state, trade customers",
    ),
    (
        "a carve-out for customers of no named segment",
        [SERVE_ON_OTHER + ", except: [{clouds: [own]}, {segments: [any]}]"],
        [],
        "warning any-segment: carve-out 2 of A1.only leaves out state, trade customers",
    ),
    (
        "carve-outs for customers of no named segment, and of one",
        [SERVE_ON_OTHER + ", except: [{segments: [any]}, {segments: [state], clouds: [own]}]"],
        [],
        "warning any-segment: carve-out 1 of A1.only leaves out trade customers",
    ),
    (
        "what a licence carries for customers of no named segment",
        [
            "id: A1.l, kind: licence, licensor: maker, licensee: buyer, products: [ip], "
            "carries: [{actions: [sell], products: [chat], segments: [any]}]"
        ],
        [],
        "warning any-segment: part 1 of A1.l leaves out state, trade customers",
    ),
    (
        "two owners",
        [],
        ["id: A2.owns, kind: ownership, party: buyer, products: [voice]"],
        "error conflict: voice has two owners",
    ),
    (
        "a buyer may sell, and may not",
        [SALE_BY_MAKER],
        ["id: A2.sells, kind: permission, party: buyer, actions: [sell], products: [chat]"],
        "error contradicted-grant: A1.sale forbids all that A2.sells grants",
    ),
    (
        "of two classes one is forbidden",
        ["id: A1.sale, kind: exclusivity, actions: [sell], products: [voice], only: {parties: [maker]}"],
        ["id: A2.sells, kind: permission, party: buyer, actions: [sell], products: [api]"],
        "warning contradicted-grant: A1.sale forbids sell of voice, that A2.sells grants",
    ),
    (
        "a cloud is permitted by name, and reserved away",
        [SERVE_ON_OTHER],
        ["id: A2.here, kind: permission, party: maker, actions: [serve], products: [chat], clouds: [own]"],
        "error contradicted-grant: A1.only forbids all that A2.here grants",
    ),
    (
        "a sale rests on serving there",
        [SERVE_ON_OTHER],
        ["id: A2.sells, kind: permission, party: rival, actions: [sell], products: [chat], clouds: [third]"],
        "error contradicted-grant: A1.only forbids all that A2.sells grants",
    ),
    (
        "a licence carries a sale that is another's",
        [SALE_BY_MAKER],
        [
            "id: A2.licence, kind: licence, licensor: maker, licensee: buyer, products: [ip], "
            "carries: [{actions: [sell], products: [chat]}]"
        ],
        "error contradicted-grant: A1.sale forbids all that A2.licence grants",
    ),
    (
        "a second licensee beside an exclusive one",
        [TO_BUYER],
        ["id: A2.licence, kind: licence, licensor: maker, licensee: rival, products: [ip]"],
        "error contradicted-grant: A1.to forbids the licence of ip that A2.licence grants",
    ),
    (
        "two clouds for one seller",
        [SERVE_ON_OTHER + ", sellers: [buyer, rival]"],
        [SERVE_ON_OWN + ", sellers: [rival]"],
        "error conflict: A1.only and A2.only leave no way to serve chat",
    ),
    (
        "two sellers of what is served",
        ["id: A1.by, kind: exclusivity, actions: [serve], products: [api], only: {sellers: [buyer]}"],
        ["id: A2.by, kind: exclusivity, actions: [serve], products: [chat], only: {sellers: [rival]}"],
        "error conflict: A1.by and A2.by leave no way to serve chat",
    ),
    (
        "on one cloud a buyer may sell, and may not",
        [SALE_BY_MAKER + ", clouds: [own]"],
        ["id: A2.sells, kind: permission, party: buyer, actions: [sell], products: [chat], clouds: [own, other]"],
        "warning contradicted-grant: A1.sale forbids sell of chat on own, that A2.sells grants",
    ),
    (
        "to some customers a buyer may sell, and may not",
        [SALE_BY_MAKER + ", segments: [state], sellers: [buyer, rival]"],
        ["id: A2.sells, kind: permission, party: buyer, actions: [sell], products: [chat]"],
        "warning contradicted-grant: A1.sale forbids sell of chat for state sold by buyer, rival, that A2.sells grants",
    ),
    (
        "a carve-out for a seller of whom it says nothing",
        [SERVE_ON_OTHER + ", sellers: [buyer], except: [{sellers: [rival]}]"],
        [],
        "warning idle-carve-out: carve-out 1 of A1.only covers nothing of it",
    ),
    (
        "the same again",
        [SERVE_ON_OTHER],
        [
            "id: A2.only, kind: exclusivity, actions: [serve], products: [api], only: {clouds: "
            "[other]}, until: milestone"
        ],
        "warning overlap: A2.only says what A1.only says",
    ),
    (
        "two shares of one base",
        ["id: A1.share, kind: revenue-share, payer: maker, payee: buyer, rate: rate, base: {sellers: [maker]}"],
        ["id: A2.share, kind: revenue-share, payer: maker, payee: buyer, rate: rate, base: {sellers: [maker]}"],
        "warning overlap: A2.share says what A1.share says",
    ),
    (
        "no product in it takes its action",
        ["id: A1.p, kind: permission, party: buyer, actions: [license], products: [api]"],
        [],
        "warning unreachable: A1.p reaches nothing",
    ),
    (
        "a scope without products",
        ["id: A1.p, kind: permission, party: buyer, actions: [serve], products: []"],
        [],
        "warning unreachable: A1.p reaches nothing",
    ),
    (
        "reserved to everything",
        ["id: A1.all, kind: exclusivity, actions: [serve], products: [api], only: {clouds: [own, other, third]}"],
        [],
        "warning unreachable: A1.all reaches nothing",
    ),
    (
        "a carve-out of what it does not cover",
        [SERVE_ON_OTHER + ", except: [{products: [ip]}]"],
        [],
        "warning idle-carve-out: carve-out 1 of A1.only covers nothing of it",
    ),
    (
        "every cloud is excepted",
        [
            "id: A1.first, kind: refusal-right, holder: buyer, actions: [serve], products: [api], "
            "except-clouds: [own, other, third], subject: capacity"
        ],
        [],
        "warning unreachable: A1.first reaches nothing",
    ),
    (
        "the same twice in one amendment",
        [SERVE_ON_OTHER, SERVE_ON_OTHER.replace("A1.only", "A1.again")],
        [],
        "warning overlap: A1.again says what A1.only says",
    ),
    (
        "two shares of one base in one amendment",
        [SHARE_1, SHARE_1.replace("A1.share", "A1.too")],
        [],
        "warning overlap: A1.too says what A1.share says",
    ),
    (
        "two shares with sales in common",
        [SHARE_1],
        [SHARE_2.replace("[maker]}", "[maker, buyer], products: [chat]}")],
        "note shared-twice: A1.share and A2.share both take a share of what maker sells of chat",
    ),
    (
        "a share of what nobody sells",
        [SHARE_1.replace("[maker]}", "[maker], excludes: [api]}")],
        [],
        "warning unreachable: A1.share reaches nothing",
    ),
    (
        "a share of nothing",
        [SHARE_1.replace("rate: rate", TAXED + "rate: 0 %")],
        [],
        "warning idle-share: nothing is due by A1.share",
    ),
    (
        "a share of what other sellers pay alone",
        [SHARE_1.replace("[maker]}", "[], wholesale: true}")],
        [],
        "note whole-price: A1.share counts the whole price of what others sell",
    ),
    ("a cap of nothing", [SHARE_1 + ", cap: USD 0"], [], "warning idle-share: nothing is due by A1.share"),
    (
        "an exception from what is not in the base",
        [SHARE_1.replace("[maker]}", "[maker], wholesale-except: [rival]}")],
        [],
        "warning idle-share: wholesale-except: of A1.share has no effect",
    ),
    (
        "what is excluded from a base that does not hold it",
        [SHARE_1.replace("[maker]}", "[maker], products: [chat], excludes: [voice]}")],
        [],
        "warning idle-share: excludes: voice of A1.share has no effect",
    ),
    (
        "what is excluded and never sold",
        [SHARE_1.replace("[maker]}", "[maker], excludes: [ip]}")],
        [],
        "warning idle-share: excludes: ip of A1.share has no effect",
    ),
    (
        "a seller of the base excepted from other sellers",
        [SHARE_1.replace("[maker]}", "[maker], wholesale: true, wholesale-except: [maker]}")],
        [],
        "warning idle-share: wholesale-except: maker of A1.share has no effect",
    ),
    (
        "all other sellers excepted",
        [SHARE_1.replace("[maker]}", "[maker], wholesale: true, wholesale-except: [buyer, rival]}")],
        [],
        "warning idle-share: wholesale: of A1.share has no effect",
    ),
    (
        "a floor by the end of a share that never ends",
        [SHARE_1 + ", floors: [{amount: USD 500, per: total}]"],
        [],
        "warning idle-share: the floor in total of A1.share never comes due",
    ),
    (
        "a floor that the floors of shorter periods reach",
        [SHARE_1 + ", floors: [{amount: USD 500, per: month}, {amount: USD 100, per: year}]"],
        [],
        "warning idle-share: the floor of USD 100 a year of A1.share adds nothing",
    ),
    (
        "a carve-out for who is reserved it anyway",
        [
            "id: A1.by, kind: exclusivity, actions: [serve], products: [api], only: {sellers: [maker]}, "
            "except: [{sellers: [maker]}]"
        ],
        [],
        "warning idle-carve-out: carve-out 1 of A1.by covers nothing of it",
    ),
    (
        "a carve-out of a sale for the party that it is reserved to",
        [SALE_BY_MAKER + ", except: [{sellers: [maker]}]"],
        [],
        "warning idle-carve-out: carve-out 1 of A1.sale covers nothing of it",
    ),
    (
        "a licence that carries the same twice",
        [
            "id: A1.l, kind: licence, licensor: maker, licensee: buyer, products: [ip], "
            "carries: [{actions: [sell], products: [api]}, {actions: [sell], products: [chat]}]"
        ],
        [],
        "note within-carve-out: part 2 of A1.l lies within its part 1",
    ),
    (
        "despite anything, where nothing is forbidden",
        ["id: A1.s, kind: permission, party: buyer, actions: [sell], products: [chat], despite: [any]"],
        [],
        "note despite-nothing: despite: [any] of A1.s has no effect yet",
    ),
    (
        "despite a term that pauses whenever the right does not",
        [
            "id: A1.no, kind: prohibition, parties: [buyer], actions: [sell], products: [chat], while: milestone",
            "id: A1.s, kind: permission, party: buyer, actions: [sell], products: [chat], while-no: milestone, "
            "despite: [A1.no]",
        ],
        [],
        "warning despite-in-vain: despite: [A1.no] of A1.s has no effect",
    ),
    (
        "all of a share is withheld",
        [SHARE_1 + ", withholding: 100 %"],
        [],
        "warning idle-share: buyer receives nothing by A1.share",
    ),
    # 10 % of USD 50 million are the whole cap.
    (
        "a tier beyond the cap",
        [
            SHARE_1.replace(
                "rate: rate", TAXED + "rate: 10 %, cap: USD 5 million, tiers: [{above: USD 50 million, rate: 5 %}]"
            )
        ],
        [],
        "warning idle-share: the tier above USD 50 million of A1.share is never reached",
    ),
    (
        "a carve-out of all",
        [SERVE_ON_OTHER + ", except: [{clouds: [own, third]}]"],
        [],
        "warning unreachable: A1.only reaches nothing",
    ),
    (
        "carve-outs that together are all",
        [
            "id: A1.no, kind: prohibition, parties: [maker], actions: [serve], products: [api], "
            "except: [{products: [chat]}, {products: [voice]}]"
        ],
        [],
        "warning unreachable: A1.no reaches nothing",
    ),
    (
        "a right within another",
        ["id: A1.sells, kind: permission, party: buyer, actions: [serve, sell], products: [api]"],
        ["id: A2.sells, kind: permission, party: buyer, actions: [sell], products: [chat], clouds: [own]"],
        "note within: A2.sells grants nothing that A1.sells does not grant",
    ),
    (
        "despite a term about other products",
        ["id: A1.no, kind: prohibition, parties: [anyone], actions: [sell], products: [voice]"],
        ["id: A2.sells, kind: permission, party: buyer, actions: [sell], products: [chat], despite: [A1.no]"],
        "warning despite-in-vain: despite: [A1.no] of A2.sells has no effect",
    ),
    (
        "despite a term that forbids another party",
        ["id: A1.no, kind: prohibition, parties: [rival], actions: [sell], products: [chat]"],
        ["id: A2.sells, kind: permission, party: buyer, actions: [sell], products: [chat], despite: [A1.no]"],
        "warning despite-in-vain: despite: [A1.no] of A2.sells has no effect",
    ),
    (
        "despite what forbids nothing",
        [],
        ["id: A2.sells, kind: permission, party: buyer, actions: [sell], products: [chat], despite: [A1.owns]"],
        "warning despite-in-vain: despite: [A1.owns] of A2.sells has no effect",
    ),
    (
        "a prohibition of a part of what is granted",
        ["id: A1.sells, kind: permission, party: buyer, actions: [sell], products: [api]"],
        ["id: A2.no, kind: prohibition, parties: [buyer], actions: [sell], products: [api], segments: [state]"],
        "note narrowed: A2.no forbids some of what A1.sells grants: sell of chat from 2025-01-01",
    ),
    (
        "a prohibition of all that was granted before",
        ["id: A1.sells, kind: permission, party: buyer, actions: [sell], products: [chat]"],
        ["id: A2.no, kind: prohibition, parties: [anyone], actions: [sell], products: [chat]"],
        "note narrowed: A2.no forbids some of what A1.sells grants: sell of chat from 2025-01-01",
    ),
    (
        "a product beside its class",
        ["id: A1.sells, kind: permission, party: buyer, actions: [sell], products: [chat-1, chat, voice]"],
        [],
        "note within-class: A1.sells names chat-1 beside chat, in which it lies",
    ),
    (
        "a class beside a wider one, in a carve-out",
        [
            "id: A1.only, kind: exclusivity, actions: [serve], products: [api], only: {clouds: [other]}, "
            "except: [{products: [api, chat], segments: [state]}]"
        ],
        [],
        "note within-class: carve-out 1 of A1.only names chat beside api, in which it lies",
    ),
    (
        "a product beside its class in what a base excludes",
        [SHARE_1.replace("[maker]}", "[maker], excludes: [chat, chat-1]}")],
        [],
        "note within-class: A1.share names chat-1 beside chat, in which it lies",
    ),
    (
        "a tier at the rate below it",
        [
            SHARE_1.replace(
                "rate: rate", TAXED + "rate: 10 %, tiers: [{above: USD 5, rate: 8 %}, {above: USD 9, rate: 8.0 %}]"
            )
        ],
        [],
        "warning idle-share: the tier above USD 9 of A1.share changes nothing",
    ),
    (
        "a tier at the figure below it",
        [SHARE_1.replace("rate: rate", "rate: rate, tiers: [{above: USD 5, rate: rate}]")],
        [],
        "warning idle-share: the tier above USD 5 of A1.share changes nothing",
    ),
    (
        "a party beside anyone",
        ["id: A1.no, kind: prohibition, parties: [anyone, rival], actions: [serve], products: [chat]"],
        [],
        "note beside-anyone: A1.no names rival beside anyone",
    ),
    (
        "kept to one cloud, and reserved to another",
        [SERVE_ON_OTHER + ", clouds: [own]"],
        [],
        "warning reserves-nothing: A1.only reserves nothing: it is kept to own, and other lies outside",
    ),
    (
        "kept to a cloud, and reserved to it",
        [SERVE_ON_OTHER + ", clouds: [other]"],
        [],
        "warning unreachable: A1.only reaches nothing",
    ),
    (
        "an end that the term has",
        [SERVE_ON_OTHER + ", through: 2030-12-31"],
        ["id: A2.moves, sets-end: [A1.only], until: 2031-01-01"],
        "note idle-change: A2.moves changes nothing of A1.only",
    ),
    (
        "an end by the event that the term waits for",
        [SERVE_ON_OTHER + ", until: milestone"],
        ["id: A2.moves, sets-end: [A1.only], until: milestone"],
        "note idle-change: A2.moves changes nothing of A1.only",
    ),
    (
        "an end that an exclusive right has",
        [
            "id: A1.sells, kind: permission, party: buyer, actions: [sell], products: [api], exclusive: true, "
            "through: 2030-12-31"
        ],
        ["id: A2.moves, sets-end: [A1.sells], through: 2030-12-31"],
        "note idle-change: A2.moves changes nothing of A1.sells",
    ),
    (
        "a right to sell that is kept to another seller",
        ["id: A1.sells, kind: permission, party: buyer, actions: [sell], products: [chat], sellers: [rival]"],
        [],
        "warning unreachable: A1.sells reaches nothing",
    ),
    (
        "a right to serve and to sell that is kept to another seller",
        ["id: A1.sells, kind: permission, party: buyer, actions: [serve, sell], products: [chat], sellers: [rival]"],
        [],
        "warning not-its-seller: A1.sells lets buyer sell nothing",
    ),
    (
        "a licence that carries another's sales",
        [
            "id: A1.l, kind: licence, licensor: maker, licensee: buyer, products: [ip], "
            "carries: [{actions: [sell], products: [chat], sellers: [rival]}]"
        ],
        [],
        "warning not-its-seller: A1.l lets buyer sell nothing",
    ),
    (
        "a prohibition to sell that is kept to another seller",
        ["id: A1.no, kind: prohibition, parties: [buyer], actions: [sell], products: [chat], sellers: [rival]"],
        [],
        "warning unreachable: A1.no reaches nothing",
    ),
    (
        "a right of its own that outlives an ownership",
        ["id: A1.sells, kind: permission, party: maker, actions: [sell], products: [chat]"],
        [SOLD, SOLD_FROM],
        "warning outlives-owner: A1.sells goes on when maker owns chat no more, from 2025-01-01",
    ),
    (
        "another's right that outlives the ownership of whoever gave it",
        ["id: A1.sells, kind: permission, party: buyer, actions: [sell], products: [voice, chat-1]"],
        [SOLD, SOLD_FROM],
        "warning outlives-owner: A1.sells goes on when maker owns chat-1, voice no more, from 2025-01-01",
    ),
    (
        "the id of another amendment",
        [SERVE_ON_OTHER.replace("A1.only", "A3.only")],
        [],
        "note misplaced: A3.only stands in amendment A1",
    ),
    (
        "our own reading",
        [SERVE_ON_OTHER + ", source: [ours]"],
        [],
        "note uncited: A1.only rests on our own reading alone",
    ),
    (
        "a change of ours",
        [SERVE_ON_OTHER],
        [ENDS_ONLY + ", source: [ours]"],
        "note uncited: A2.ends rests on our own reading alone",
    ),
]


# Remarks whose first word is the term at whose line they stand.
ABOUT_THE_FIRST = (
    "binds-one-link",
    "unreachable",
    "overlap",
    "uncited",
    "within",
    "narrowed",
    "outlives-owner",
)


@pytest.mark.parametrize(("a1", "a2", "expected"), [row[1:] for row in FOUND], ids=[row[0] for row in FOUND])
def test_what_is_said(a1: list[str], a2: list[str], expected: str) -> None:
    texts = documents([OWNS, STAKE, *a1], a2)
    # The small agreement has no figure `wholesale`; what is said of that is of one row alone.
    [remark] = (remark for remark in remarks_on(texts) if remark.kind != "whole-price" or remark.kind in expected)
    assert said(remark) == expected
    assert remark.why
    assert remark.remedy
    about = remark.what.split()[0] if remark.kind in ABOUT_THE_FIRST else ("A2." if a2 else "A1.")
    line = texts[remark.document].split("\n")[remark.line - 1]
    assert about in line or remark.kind in ("contradicted-grant", "misplaced")


# Nothing is said of these.
NEAR_MISSES = [
    ("nothing but an owner", [], []),
    ("one after the other", [SERVE_ON_OTHER], [SERVE_ON_OWN, ENDS_ONLY]),
    ("of readings that exclude each other", [SERVE_ON_OTHER + ", under: {R1: a}"], [SERVE_ON_OWN + ", under: {R1: b}"]),
    (
        "of segments that exclude each other",
        [SERVE_ON_OTHER + ", segments: [trade]"],
        [SERVE_ON_OWN + ", segments: [state]"],
    ),
    (
        "for sellers that exclude each other",
        [SERVE_ON_OTHER + ", sellers: [buyer]"],
        [SERVE_ON_OWN + ", sellers: [maker, rival]"],
    ),
    (
        "a permission on the cloud that is not reserved",
        [SALE_BY_MAKER + ", clouds: [own]"],
        ["id: A2.sells, kind: permission, party: buyer, actions: [sell], products: [chat], clouds: [other]"],
    ),
    ("kept to two clouds, and reserved to one of them", [SERVE_ON_OTHER + ", clouds: [own, other]"], []),
    (
        "carve-outs for customers of no named segment, and of each",
        [SERVE_ON_OTHER + ", except: [{segments: [any]}, {segments: [state, trade], clouds: [own]}]"],
        [],
    ),
    (
        "a carve-out for the seller whom the other is about",
        [SERVE_ON_OTHER + ", except: [{sellers: [rival]}]"],
        [SERVE_ON_OWN + ", sellers: [rival]"],
    ),
    (
        "a carve-out for the other cloud",
        [SERVE_ON_OTHER + ", except: [{products: [chat], clouds: [own]}]"],
        [SERVE_ON_OWN],
    ),
    (
        "clouds that both allow",
        [SERVE_ON_OTHER],
        ["id: A2.only, kind: exclusivity, actions: [serve], products: [chat], only: {clouds: [own, other]}"],
    ),
    (
        "a cloud and a party",
        [SERVE_ON_OTHER],
        ["id: A2.by, kind: exclusivity, actions: [serve], products: [api], only: {parties: [maker]}"],
    ),
    (
        "a permission of any cloud, where one is left",
        [SERVE_ON_OTHER],
        ["id: A2.any, kind: permission, party: maker, actions: [serve], products: [api]"],
    ),
    (
        "a permission for who may sell",
        [SALE_BY_MAKER],
        ["id: A2.sells, kind: permission, party: maker, actions: [sell], products: [api]"],
    ),
    (
        "a permission for anyone",
        [SALE_BY_MAKER],
        ["id: A2.sells, kind: permission, party: anyone, actions: [sell], products: [chat]"],
    ),
    (
        "a licence to the exclusive licensee",
        [TO_BUYER],
        ["id: A2.licence, kind: licence, licensor: maker, licensee: buyer, products: [ip]"],
    ),
    ("the same again, once the first ended", [SERVE_ON_OTHER], [ENDS_ONLY, SERVE_ON_OTHER.replace("A1.", "A2.")]),
    # The event may come before the right ends, which has no end.
    (
        "an exclusivity that an event ends, and its right goes on",
        ["id: A1.sells, kind: permission, party: buyer, actions: [sell], products: [api], exclusive: true"],
        ["id: A2.opens, sets-end: [A1.sells.exclusive], until: milestone"],
    ),
    (
        "two shares of different products",
        [SHARE_1.replace("[maker]}", "[maker], products: [voice]}")],
        [SHARE_2.replace("[maker]}", "[maker], products: [chat]}")],
    ),
    (
        "two shares of the same sales for two payees",
        [SHARE_1],
        [SHARE_2.replace("payee: buyer", "payee: rival").replace("[maker]}", "[maker], products: [chat]}")],
    ),
    (
        "a minimum beside a share",
        [SHARE_1],
        [SHARE_2.replace("rate: rate", "rate: 0 %, floors: [{amount: USD 5, per: month}]")],
    ),
    ("a floor by the end of a share", [SHARE_1 + ", floors: [{amount: USD 500, per: total}], until: milestone"], []),
    (
        "a floor by the end that a later change gives a share",
        [SHARE_1 + ", floors: [{amount: USD 500, per: total}]"],
        ["id: A2.ends, sets-end: [A1.share], until: milestone"],
    ),
    # Of 28 days in February a floor by the month is the lower one.
    (
        "floors of a month and a year of which either may be the higher one",
        [SHARE_1 + ", floors: [{amount: USD 500, per: month}, {amount: USD 5990, per: year}]"],
        [],
    ),
    (
        "a carve-out for another seller than it is reserved to",
        [
            "id: A1.by, kind: exclusivity, actions: [serve], products: [api], only: {sellers: [maker]}, "
            "except: [{sellers: [maker, rival]}]"
        ],
        [],
    ),
    (
        "a tier below the cap",
        [
            SHARE_1.replace(
                "rate: rate", TAXED + "rate: 10 %, cap: USD 5 million, tiers: [{above: USD 9 million, rate: 5 %}]"
            )
        ],
        [],
    ),
    (
        "two classes in a wider one, and a product in another list",
        [SERVE_ON_OTHER + ", except: [{products: [chat-1]}]"],
        ["id: A2.sells, kind: permission, party: buyer, actions: [sell], products: [chat, voice]"],
    ),
    # An assumption may give the figure another value.
    (
        "a tier at a figure whose value is the rate below it",
        [SHARE_1.replace("rate: rate", "rate: 10 %, tiers: [{above: USD 5, rate: rate}]")],
        [],
    ),
    (
        "an end a day later",
        [SERVE_ON_OTHER + ", until: 2030-12-31"],
        ["id: A2.moves, sets-end: [A1.only], through: 2030-12-31"],
    ),
    (
        "an event beside the end that the term has",
        [SERVE_ON_OTHER + ", through: 2030-12-31"],
        ["id: A2.moves, sets-end: [A1.only], through: 2030-12-31, until: milestone"],
    ),
    (
        "an end that the term has under one reading only",
        [SERVE_ON_OTHER + ", through: 2030-12-31"],
        [
            "id: A2.may, sets-end: [A1.only], through: 2029-12-31, under: {R1: b}",
            "id: A2.moves, sets-end: [A1.only], through: 2028-12-31, under: {R1: a}",
        ],
    ),
    (
        "a right to serve what another sells",
        ["id: A1.hosts, kind: permission, party: buyer, actions: [serve], products: [chat], sellers: [rival]"],
        [],
    ),
    (
        "a right to sell as itself or for another",
        [
            "id: A1.sells, kind: permission, party: buyer, actions: [serve, sell], products: [chat], "
            "sellers: [rival, buyer]"
        ],
        [],
    ),
    (
        "a prohibition to sell of anyone, kept to a seller",
        ["id: A1.no, kind: prohibition, parties: [anyone], actions: [sell], products: [chat], sellers: [rival]"],
        [],
    ),
    (
        "a right of the new owner",
        ["id: A1.sells, kind: permission, party: rival, actions: [sell], products: [chat]"],
        [SOLD, SOLD_FROM],
    ),
    (
        "a right that ends with the ownership",
        ["id: A1.sells, kind: permission, party: buyer, actions: [sell], products: [chat], until: 2025-01-01"],
        [SOLD, SOLD_FROM],
    ),
    (
        "a right that anyone has",
        ["id: A1.sells, kind: permission, party: anyone, actions: [sell], products: [chat]"],
        [SOLD, SOLD_FROM],
    ),
    (
        "a right that falls with its grantor's",
        ["id: A1.sells, kind: permission, party: buyer, grantor: maker, actions: [sell], products: [chat]"],
        [SOLD, SOLD_FROM],
    ),
    (
        "a right after the sale",
        [],
        [SOLD, SOLD_FROM, "id: A2.sells, kind: permission, party: buyer, actions: [sell], products: [chat]"],
    ),
    ("a carve-out of all clouds but one", [SERVE_ON_OTHER + ", except: [{clouds: [own]}]"], []),
    (
        "a right that outlives the wider one",
        ["id: A1.sells, kind: permission, party: buyer, actions: [sell], products: [api], through: 2027-01-01"],
        ["id: A2.sells, kind: permission, party: buyer, actions: [sell], products: [chat]"],
    ),
    (
        "a right and what is excepted from it, in one amendment",
        [
            "id: A1.sells, kind: permission, party: buyer, actions: [sell], products: [api]",
            "id: A1.no, kind: prohibition, parties: [buyer], actions: [sell], products: [api], segments: [state]",
        ],
        [],
    ),
    (
        "a right beside a wider one that waits for an event",
        ["id: A1.sells, kind: permission, party: buyer, actions: [sell], products: [api], from: milestone"],
        ["id: A2.sells, kind: permission, party: buyer, actions: [sell], products: [chat]"],
    ),
    (
        "a right that a prohibition takes away once an event happens",
        ["id: A1.sells, kind: permission, party: buyer, actions: [sell], products: [api]"],
        ["id: A2.no, kind: prohibition, parties: [buyer], actions: [sell], products: [chat], from: milestone"],
    ),
    (
        "despite a term that it meets",
        ["id: A1.no, kind: prohibition, parties: [buyer], actions: [sell], products: [api]"],
        ["id: A2.sells, kind: permission, party: buyer, actions: [sell], products: [chat], despite: [A1.no]"],
    ),
    (
        "first refusal of an owner who licenses",
        ["id: A1.first, kind: refusal-right, holder: rival, grantor: maker, actions: [sell], products: [chat]"],
        [],
    ),
    (
        "an extension that says the milestone again",
        [SERVE_ON_OTHER + ", until: milestone, through: 2026-12-31"],
        ["id: A2.later, sets-end: [A1.only], until: milestone, through: 2027-12-31"],
    ),
    ("all customers, by name", [SERVE_ON_OTHER + ", segments: [any, state, trade]"], []),
    (
        "one until a milestone, the other from it",
        [SERVE_ON_OTHER + ", until: milestone"],
        [SERVE_ON_OWN + ", from: milestone"],
    ),
    ("one while the other pauses", [SERVE_ON_OTHER + ", while-no: milestone"], [SERVE_ON_OWN + ", while: milestone"]),
    ("a milestone that was never recorded", [SERVE_ON_OTHER + ", until: milestone"], []),
    (
        "two owners, where a change hands over at an event",
        [],
        ["id: A2.hands-over, sets-end: [A1.owns], until: milestone", SOLD_FROM + ", from: milestone"],
    ),
    (
        "two exclusivities, where a change hands over at an event",
        [SERVE_ON_OTHER],
        ["id: A2.hands-over, sets-end: [A1.only], until: milestone", SERVE_ON_OWN + ", from: milestone"],
    ),
    ("a share until a milestone, another from it", [SHARE_1 + ", until: milestone"], [SHARE_2 + ", from: milestone"]),
    (
        "a permission while the same pauses",
        [SERVE_BY_RIVAL + ", while: milestone"],
        [SERVE_BY_RIVAL.replace("A1", "A2") + ", while-no: milestone"],
    ),
    (
        "a permission until a milestone, the same while it goes on",
        [SERVE_BY_RIVAL + ", until: milestone"],
        [SERVE_BY_RIVAL.replace("A1", "A2") + ", while: milestone"],
    ),
    (
        "a narrower right that is left when a milestone ends the wider one",
        [SERVE_BY_RIVAL + ", until: milestone"],
        [SERVE_BY_RIVAL.replace("A1", "A2") + ", clouds: [third]"],
    ),
    (
        "a narrower right that another milestone ends than the wider one",
        [SERVE_BY_RIVAL],
        [
            "id: A2.moves, sets-end: [A1.lets], until: milestone",
            SERVE_BY_RIVAL.replace("A1", "A2") + ", clouds: [third]",
        ],
    ),
    (
        "a narrower right under every reading",
        [SERVE_BY_RIVAL + ", under: {R1: a}"],
        [SERVE_BY_RIVAL.replace("A1", "A2") + ", clouds: [third]"],
    ),
    (
        "two prohibitions, of which a right holds against one",
        [NOT_BY_RIVAL, SERVE_BY_RIVAL + ", despite: [A1.not]"],
        [NOT_BY_RIVAL.replace("A1", "A2") + ", while: milestone"],
    ),
    ("ship-first of two parties", [FIRST], [FIRST_ON_OWN.replace("party: maker", "party: buyer")]),
    ("ship-first of other products", [FIRST.replace("[api]", "[voice]")], [FIRST_ON_OWN.replace("[api]", "[chat]")]),
    ("ship-first for other segments", [FIRST + ", segments: [trade]"], [FIRST_ON_OWN + ", segments: [state]"]),
    (
        "ship-first of what ships after the other's end",
        [FIRST + ", through: 2025-12-31"],
        [FIRST_ON_OWN.replace("since: 2024", "since: 2026")],
    ),
    ("ship-first taking turns by an event", [FIRST + ", until: milestone"], [FIRST_ON_OWN + ", from: milestone"]),
    (
        "ship-first the same cloud twice, the second with a lead",
        [FIRST],
        [FIRST_ON_OWN.replace("first: own", "first: other") + ", lead-days: 3"],
    ),
]


@pytest.mark.parametrize(("a1", "a2"), [row[1:] for row in NEAR_MISSES], ids=[row[0] for row in NEAR_MISSES])
def test_what_is_not_said(a1: list[str], a2: list[str]) -> None:
    assert [said(remark) for remark in remarks_on(documents([OWNS, STAKE, *a1], a2))] == []


def test_a_term_hands_over_to_one_that_begins_some_days_after_the_event_that_ends_it() -> None:
    events = "events:\n  e: {says: E., source: [T]}\n  later: {says: L., source: [T], after: e, days: 0}\nfigures:"
    sold = [SERVE_ON_OTHER + ", until: e"], [SERVE_ON_OWN + ", from: later"]
    assert remarks_on(documents([OWNS, STAKE, *sold[0]], sold[1], DEFINITIONS.replace("figures:", events))) == ()
    # The other way about, both are in force between the two events.
    back = [SERVE_ON_OTHER + ", until: later"], [SERVE_ON_OWN + ", from: e"]
    [remark] = remarks_on(documents([OWNS, STAKE, *back[0]], back[1], DEFINITIONS.replace("figures:", events)))
    assert said(remark) == "error conflict: A1.only and A2.only leave no way to serve chat"
    assert "2025-01-01, on the days that events leave to both (A1.only until: later, A2.only from: e)" in remark.why


def test_a_change_hands_over_only_from_its_day_on() -> None:
    begins = SOLD_FROM.replace("A2.owns", "A1.other") + ", from: milestone"
    hands_over = "id: A2.hands-over, sets-end: [A1.owns], until: milestone"
    [remark] = remarks_on(documents([OWNS, STAKE, begins], [hands_over]))
    assert said(remark).startswith("error conflict")
    assert "(A1.owns until: milestone, A1.other from: milestone)" in remark.why


def test_terms_take_turns_only_if_the_first_to_begin_is_the_one_that_ends() -> None:
    """Else the milestone may come before the second begins, and both hold until it comes again."""
    remarks = remarks_on(
        documents([OWNS, STAKE, SERVE_ON_OTHER + ", from: milestone"], [SERVE_ON_OWN + ", until: milestone"])
    )
    assert [said(remark) for remark in remarks] == ["error conflict: A1.only and A2.only leave no way to serve chat"]


@pytest.mark.parametrize(
    ("announced", "expected"),
    [
        # Known from the day on which A1 was: nobody could ever have expected it to come.
        ("2024-01-01", ["warning dead: A1.only is never in force"]),
        # Until then it was to come in 2026.
        ("2025-01-01", ["note never-begins: A1.only never begins: A2.ends ends it before 2026-01-01"]),
    ],
)
def test_a_term_that_is_ended_before_it_begins_is_dead_unless_it_was_once_to_come(
    announced: str, expected: list[str]
) -> None:
    texts = documents([OWNS, STAKE, SERVE_ON_OTHER + ", begins: 2026-01-01"], [ENDS_ONLY], a2_announced=announced)
    assert [said(remark) for remark in remarks_on(texts)] == expected


def test_a_class_without_an_owner_is_a_gap_with_its_line() -> None:
    texts = documents(["id: A1.owns, kind: ownership, party: maker, products: [chat, ip]", STAKE], [])
    gap, idle = remarks_on(texts)
    assert said(gap) == "warning gap: nobody owns voice from 2024-01-01"
    assert said(idle) == "note idle: voice is defined and never mentioned"
    assert "  voice:" in texts["agreement.md"].split("\n")[gap.line - 1]


def test_an_ownership_that_ends_leaves_a_gap() -> None:
    voice = "id: A1.voice, kind: ownership, party: maker, products: [voice], through: 2026-12-31"
    texts = documents(["id: A1.owns, kind: ownership, party: maker, products: [chat, ip]", STAKE, voice], [])
    assert [said(remark) for remark in remarks_on(texts)] == ["warning gap: nobody owns voice from 2027-01-01"]


def test_a_gap_that_closes_is_told_with_its_last_day() -> None:
    voice = "id: A1.voice, kind: ownership, party: maker, products: [voice], begins: 2027-01-01"
    texts = documents(["id: A1.owns, kind: ownership, party: maker, products: [chat, ip]", STAKE, voice], [])
    assert [said(remark) for remark in remarks_on(texts)] == [
        "warning gap: nobody owns voice from 2024-01-01 through 2026-12-31"
    ]


# Words of A1 and A2 beside an end · the reason for the remark.
TOGETHER = [
    (SERVE_ON_OTHER, SERVE_ON_OWN, "and both are in force from 2025-01-01 through 2026-12-31"),
    (SERVE_ON_OTHER, SERVE_ON_OTHER.replace("A1", "A2"), "both are in force from 2025-01-01 through 2026-12-31"),
    (
        SHARE_1,
        SHARE_2.replace("[maker]}", "[maker], products: [chat]}"),
        "both are in force from 2025-01-01 through 2026-12-31",
    ),
]


@pytest.mark.parametrize(("a1", "a2", "why"), TOGETHER)
def test_terms_that_meet_for_a_time_are_told_with_their_last_day_together(a1: str, a2: str, why: str) -> None:
    [remark] = remarks_on(documents([OWNS, STAKE, a1 + ", through: 2026-12-31"], [a2]))
    assert why in remark.why


# Words of A1 beside the maker's ownership · words of A2 · the remedy for two terms that say the same.
DOUBLES = [
    ("for good", [SERVE_BY_RIVAL, SERVE_BY_RIVAL.replace("lets", "too")], [], "Delete A1.too."),
    (
        "for good, in another amendment",
        [SERVE_BY_RIVAL],
        [SERVE_BY_RIVAL.replace("A1", "A2")],
        "End A1.lets in a change of A2, or delete A2.lets.",
    ),
    (
        "the later begins by an event",
        [SERVE_BY_RIVAL],
        [SERVE_BY_RIVAL.replace("A1", "A2") + ", from: milestone"],
        "Delete A2.lets.",
    ),
    (
        "an event begins both, and may be over when the later could begin",
        [SERVE_BY_RIVAL + ", from: milestone"],
        [SERVE_BY_RIVAL.replace("A1", "A2") + ", from: milestone"],
        "Delete A2.lets.",
    ),
    (
        "an event ends the earlier",
        [SERVE_BY_RIVAL + ", until: milestone"],
        [SERVE_BY_RIVAL.replace("A1", "A2")],
        "End A1.lets in a change of A2.",
    ),
    (
        "an event ends the earlier, in one amendment",
        [SERVE_BY_RIVAL + ", until: milestone", SERVE_BY_RIVAL.replace("lets", "too")],
        [],
        "Delete A1.lets.",
    ),
    (
        "one stands under a reading",
        [SERVE_BY_RIVAL + ", under: {R1: a}"],
        [SERVE_BY_RIVAL.replace("A1", "A2")],
        "End A1.lets in a change of A2.",
    ),
    (
        "each stands longer than the other",
        [SERVE_BY_RIVAL + ", until: milestone"],
        [SERVE_BY_RIVAL.replace("A1", "A2") + ", through: 2026-12-31"],
        "Nothing, if each is to hold where the other does not; else end or delete one of them.",
    ),
]


@pytest.mark.parametrize(("a1", "a2", "remedy"), [row[1:] for row in DOUBLES], ids=[row[0] for row in DOUBLES])
def test_what_is_advised_of_doubles_changes_no_answer(a1: list[str], a2: list[str], remedy: str) -> None:
    remarks = remarks_on(documents([OWNS, STAKE, *a1], a2))
    assert [remark.remedy for remark in remarks if remark.kind == "overlap"] == [remedy]


# Two terms that meet · what the one waits for.
WAITING = [
    (SALE_BY_MAKER, "id: A2.sells, kind: permission, party: buyer, actions: [sell], products: [chat]", "A1.sale until"),
    (SERVE_ON_OTHER, SERVE_ON_OWN, "A2.only until"),
    (
        SALE_BY_MAKER,
        "id: A2.sells, kind: permission, party: buyer, actions: [sell], products: [chat]",
        "A1.sale while-no",
    ),
    (TO_BUYER, "id: A2.licence, kind: licence, licensor: maker, licensee: rival, products: [ip]", "A1.to while"),
    (SERVE_BY_RIVAL, SERVE_BY_RIVAL.replace("A1", "A2"), "A2.lets from"),
    (SHARE_1, SHARE_2.replace("[maker]}", "[maker], products: [chat]}"), "A2.share from"),
    (
        "id: A1.passes, kind: permission, party: buyer, grantor: maker, actions: [license], products: [ip]",
        "id: A2.first, kind: refusal-right, holder: rival, grantor: buyer, actions: [license], products: [ip]",
        "A2.first from",
    ),
]


@pytest.mark.parametrize(("a1", "a2", "waits"), WAITING)
def test_of_terms_that_wait_for_events_no_day_is_told_on_which_both_hold(a1: str, a2: str, waits: str) -> None:
    term, key = waits.split()
    a1, a2 = (f"{text}, {key}: milestone" if f"id: {term}," in text else text for text in (a1, a2))
    [remark] = remarks_on(documents([OWNS, STAKE, a1], [a2]))
    assert f"from 2025-01-01, on the days that events leave to both ({waits}: milestone)" in remark.why


def test_what_anyone_may_do_needs_no_owner() -> None:
    public = "id: A1.public, kind: permission, party: anyone, actions: [serve, sell], products: [voice]"
    texts = documents(["id: A1.owns, kind: ownership, party: maker, products: [chat, ip]", STAKE, public], [])
    assert remarks_on(texts) == ()


# The products that may be licensed to the buyer alone, and those licensed to the rival · what is said.
LICENSED = [
    ("ip", "ip", ["error contradicted-grant: A1.to forbids the licence of ip.code that A2.licence grants"]),
    ("ip.code", "ip", ["warning contradicted-grant: A1.to forbids the licence of ip.code that A2.licence grants"]),
    ("ip.code", "ip.text", []),
]


@pytest.mark.parametrize(("reserved", "licensed", "expected"), LICENSED)
def test_a_licence_past_the_licensee_is_told_of_what_can_be_licensed(
    reserved: str, licensed: str, expected: list[str]
) -> None:
    """The wider class takes no action, so nobody can license it as such."""
    actions = "actions: [license, use-under-licence]}"
    classes = "".join(f"\n  {name}: {{within: ip, {actions}" for name in ("ip.code", "ip.text"))
    definitions = DEFINITIONS.replace(f"ip: {{{actions}", f"ip: {{}}{classes}")
    licence = f"id: A2.licence, kind: licence, licensor: maker, licensee: rival, products: [{licensed}]"
    texts = documents([OWNS, STAKE, TO_BUYER.replace("[ip]", f"[{reserved}]")], [licence], definitions)
    assert [said(remark) for remark in remarks_on(texts) if remark.kind != "whole-price"] == expected


def test_idle_definitions_and_prose_alone() -> None:
    more = DEFINITIONS.replace("  ip: {", "  toys: {}\n  ip: {").replace(
        "  R1:", "  R9: {says: It may., source: [T], options: [x, y]}\n  R1:"
    )
    texts = documents([OWNS, STAKE], [], more)
    texts["A2.md"] += "\n## 9.1 Goodwill\n\nBoth mean well.\n"
    assert [said(remark) for remark in remarks_on(texts)] == [
        "note not-formalised: clause 9.1 (Goodwill) stands in prose only",
        "note idle: toys is defined and never mentioned",
        "note idle: R9 is defined and never mentioned",
    ]


# With regions: what A1 says · what A2 says · the remarks.
IN_EU, IN_US = ", regions: [eu]", ", regions: [us]"
IN_REGIONS = [
    (
        "two clouds in one region",
        [SERVE_ON_OTHER + ", regions: [eu, us]"],
        [SERVE_ON_OWN + IN_US],
        ["error conflict: A1.only and A2.only leave no way to serve chat"],
    ),
    ("in regions that exclude each other", [SERVE_ON_OTHER + IN_EU], [SERVE_ON_OWN + IN_US], []),
    ("elsewhere", [SERVE_ON_OTHER + IN_EU], [SERVE_ON_OWN + ", regions: [elsewhere]"], []),
    (
        "regions of which only some are reserved, and the rest is another's",
        ["id: A1.eu, kind: exclusivity, actions: [serve], products: [api], only: {regions: [eu]}, regions: [eu, us]"],
        ["id: A2.rest, kind: exclusivity, actions: [serve], products: [api], only: {regions: [elsewhere]}"],
        [],
    ),
    (
        "two regions",
        ["id: A1.eu, kind: exclusivity, actions: [serve], products: [api], only: {regions: [eu]}"],
        ["id: A2.us, kind: exclusivity, actions: [serve], products: [chat], only: {regions: [us]}"],
        ["error conflict: A1.eu and A2.us leave no way to serve chat"],
    ),
    (
        "a region is permitted by name, and reserved away",
        ["id: A1.eu, kind: exclusivity, actions: [serve], products: [api], only: {regions: [eu]}"],
        ["id: A2.us, kind: permission, party: maker, actions: [serve], products: [chat], regions: [us]"],
        ["error contradicted-grant: A1.eu forbids all that A2.us grants"],
    ),
    (
        "despite a term about another region",
        ["id: A1.no, kind: prohibition, parties: [buyer], actions: [sell], products: [api], regions: [eu]"],
        [
            "id: A2.us, kind: permission, party: buyer, actions: [sell], products: [chat], regions: "
            "[us], despite: [A1.no]"
        ],
        ["warning despite-in-vain: despite: [A1.no] of A2.us has no effect"],
    ),
    (
        "a cloud that has no place there",
        [SERVE_ON_OWN.replace("A2", "A1") + ", regions: [eu, us, uk]"],
        [],
        ["warning no-place: A1.only reserves serve in uk to own, with no place there"],
    ),
    (
        "a right on a cloud that has no place there",
        [],
        ["id: A2.us, kind: permission, party: buyer, actions: [serve], products: [chat], clouds: [own], regions: [uk]"],
        ["warning no-place: A2.us names own in uk, with no place there"],
    ),
    (
        "a carve-out on a cloud that has no place there",
        [],
        [
            "id: A2.no, kind: prohibition, parties: [buyer], actions: [serve], products: [chat], "
            "except: [{clouds: [own], regions: [uk, eu]}]"
        ],
        ["warning no-place: carve-out 1 of A2.no names own in uk, with no place there"],
    ),
    (
        "kept in every region",
        ["id: A1.all, kind: exclusivity, actions: [serve], products: [api], only: {regions: [eu, us, uk, elsewhere]}"],
        [],
        ["warning unreachable: A1.all reaches nothing"],
    ),
    (
        "nothing tells them apart",
        [],
        [],
        [
            "note idle: eu is defined and never mentioned",
            "note idle: us is defined and never mentioned",
            "note idle: uk is defined and never mentioned",
        ],
    ),
]


@pytest.mark.parametrize(("a1", "a2", "expected"), [row[1:] for row in IN_REGIONS], ids=[row[0] for row in IN_REGIONS])
def test_what_is_said_of_regions(a1: list[str], a2: list[str], expected: list[str]) -> None:
    definitions = DEFINITIONS.replace(
        "segments:", "regions:\n  eu: {own: [own-1]}\n  us: {}\n  uk: {third: [third-1]}\nsegments:"
    )
    assert [said(remark) for remark in remarks_on(documents([OWNS, STAKE, *a1], a2, definitions))] == expected


def test_the_built_in_agreement_has_no_error() -> None:
    opened = open_agreement()
    remarks = check_agreement(opened.agreement, opened.facts, RESTS_ON)
    assert [said(remark) for remark in remarks if remark.severity is not Severity.NOTE] == [
        "warning overlap: A4.api says what A3.api says",
        "warning overlap: A4.joint-api says what A3.joint-api says",
        "warning overlap: A5.licence-research says what A3.licence-research says",
    ]
    prose = [(remark.document, remark.line) for remark in remarks if remark.kind == "not-formalised"]
    assert prose == [("A4.md", 11), ("A4.md", 103)]


def test_the_gravest_stands_first() -> None:
    remarks = remarks_on(documents([OWNS, STAKE, SERVE_ON_OTHER + ", source: [ours]"], [SERVE_ON_OWN]))
    assert [remark.severity for remark in remarks] == [Severity.ERROR, Severity.NOTE]


def test_an_agreement_knows_the_lines_of_its_definitions() -> None:
    agreement = read_agreement(documents([OWNS], []))
    assert agreement.lines["classes", "chat"] == 15


CONFLICTS = [row for row in FOUND if "leave no way to" in row[3]]


@pytest.mark.parametrize(("a1", "a2", "said"), [row[1:] for row in CONFLICTS], ids=[row[0] for row in CONFLICTS])
def test_a_conflict_leaves_no_way_as_the_engine_decides(a1: list[str], a2: list[str], said: str) -> None:
    """For some segment, reading and seller: not the owner, on any cloud or to anyone; of a sale, only the owner."""
    action, product = said.split()[-2:]
    agreement = read_agreement(documents([OWNS, STAKE, *a1], a2))
    opened = OpenAgreement(agreement, agreement.catalog, FactRegister())
    questions = [
        question
        for reading in ("a", "b")
        for question in all_questions(
            agreement, opened.catalog, as_of=date(2025, 6, 1), known_at=KnownAt.everything(), readings={"R1": reading}
        )
        if (question.action, question.product) == (action, product) and question.to != "maker"
        if (question.party == "maker") is (action != "sell")
    ]
    ways = set(map(_way, questions))
    assert ways
    assert ways - {_way(question) for question in questions if opened.answer(question).outcome is not Outcome.FORBIDDEN}


def _way(question: Question) -> tuple[str, ...]:
    seller = question.seller if question.action == "serve" else ""
    return question.segment, question.readings["R1"], seller


NOT_OWNED = "id: t\nkind: prohibition\nparties: [shop]\nactions: [contract-compute]\nproducts: [rooms]"


def test_what_forbids_something_that_nobody_owns_is_an_error_and_the_answer_says_so() -> None:
    opened = at_hand(NOT_OWNED, owned="id: own\nkind: ownership\nparty: maker\nproducts: [apps, rights]")
    said = [
        f"{remark.severity.value} {remark.what}. {remark.remedy}"
        for remark in check_agreement(opened.agreement, opened.facts, RESTS_ON)
        if remark.kind == "unowned"
    ]
    assert said == [
        "error t forbids nothing: nobody owns rooms. Write a term of kind: ownership with party: and products: [rooms]."
    ]
    decision = decided(opened, "contract-compute shop rooms own")
    assert (decision.outcome, [reason.note for reason in decision.reasons]) == ("unstated", ["nobody owns rooms"])
    assert decided(at_hand(NOT_OWNED), "contract-compute shop rooms own").outcome == "forbidden"


def test_where_readings_are_too_many_it_is_said() -> None:
    """Nine readings of two options each: 512 ways, of which 256 are looked at."""
    named = range(9)
    readings = "readings:\n" + "".join(
        f"  R{n}: {{says: It may mean either., source: [T], options: [yes, no]}}\n" for n in named
    )
    terms = "\n\n".join(
        f"id: A1.t{n}\nkind: prohibition\nparties: [rival]\nactions: [sell]\nproducts: [apps]\nunder: {{R{n}: no}}"
        for n in named
    )
    texts = hand.documents(terms)
    texts["agreement.md"] = texts["agreement.md"].replace("rules:\n", readings + "rules:\n")
    opened = hand.reading(texts)
    [said] = [
        remark for remark in check_agreement(opened.agreement, opened.facts) if remark.kind == "readings-left-out"
    ]
    assert said.what == "terms were compared under 256 combinations of readings"
    assert "512 ways" in said.why


def test_a_minimum_beside_a_share_is_no_copy_of_it() -> None:
    share = "id: A%d.s\nkind: revenue-share\npayer: shop\npayee: maker\nrate: %s\nbase: {sellers: [shop]}%s"
    for rate, floors, count in (("10 %", "", 1), ("0 %", "\nfloors: [{amount: USD 5, per: month}]", 0)):
        later = {"A2.md": hand.amendment("A2", "2026-07-01", share % (2, rate, floors))}
        opened = hand.reading(hand.documents(share % (1, "5 %", "")) | later)
        remarks = check_agreement(opened.agreement, opened.facts)
        assert len([remark for remark in remarks if remark.kind == "overlap"]) == count


def test_a_change_of_a_rescinded_amendment_is_not_blamed() -> None:
    lets = "id: A1.lets\nkind: permission\nparty: shop\nactions: [sell]\nproducts: [apps]"
    texts = hand.documents(lets) | {
        "A2.md": hand.amendment("A2", "2026-07-01", "id: A2.ends\nends: [A1.lets]", "2026-03-01"),
        "A3.md": hand.amendment("A3", "2026-06-01", "id: A3.takes-back\nrescinds: [A2]"),
    }
    opened = hand.reading(texts)
    assert [remark for remark in check_agreement(opened.agreement, opened.facts) if remark.kind == "idle-change"] == []
    # Nor one that sets the end that a term has.
    texts["A1.md"] = texts["A1.md"].replace("products: [apps]\nsource", "products: [apps]\nuntil: 2027-01-01\nsource")
    texts["A2.md"] = hand.amendment(
        "A2", "2026-07-01", "id: A2.sets\nsets-end: [A1.lets]\nuntil: 2027-01-01", "2026-03-01"
    )
    opened = hand.reading(texts)
    assert [remark for remark in check_agreement(opened.agreement, opened.facts) if remark.kind == "idle-change"] == []
    del texts["A3.md"]
    opened = hand.reading(texts)
    assert [
        remark.term for remark in check_agreement(opened.agreement, opened.facts) if remark.kind == "idle-change"
    ] == ["A2.sets"]


def test_a_withdrawal_of_what_was_not_granted_is_noted() -> None:
    granted = "kind: grant, party: shop, product: app, cloud: north, effective: 2026-02-01, through: 2026-04-30"
    withdrawn = [
        f"kind: withdrawal, party: {party}, product: {product}, {kept}effective: {day}"
        for party, product, kept, day in [
            ("shop", "apps", "segment: state, ", "2026-03-01"),
            ("shop", "tool", "", "2026-03-02"),
            ("shop", "app", "cloud: south, segment: state, ", "2026-03-03"),
            ("rival", "app", "", "2026-03-04"),
            ("shop", "app", "", "2026-01-05"),
            ("shop", "app", "", "2026-05-06"),
        ]
    ]
    opened = at_hand("", (granted, *withdrawn))
    said = [remark for remark in check_agreement(opened.agreement, opened.facts) if remark.kind == "idle-withdrawal"]
    assert [remark.why for remark in said] == [
        "no grant of tool to shop was in effect on 2026-03-02",
        "no grant of app to shop on south for state customers was in effect on 2026-03-03",
        "no grant of app to rival was in effect on 2026-03-04",
        "no grant of app to shop was in effect on 2026-01-05",
        "no grant of app to shop was in effect on 2026-05-06",
    ]


@pytest.mark.parametrize(
    ("scopes", "expected"),
    [
        (["{clouds: [north]}", "{clouds: [north], segments: [state]}"], ["2 of x lies within its carve-out 1"]),
        (["{clouds: [north], products: [app]}", "{clouds: [north, south]}"], ["1 of x lies within its carve-out 2"]),
        (
            ["{actions: [sell], clouds: [north]}", "{actions: [sell], products: [apps], clouds: [north]}"],
            ["2 of x lies within its carve-out 1"],
        ),
        (["{clouds: [north]}", "{segments: [state]}"], []),
        (["{clouds: [north]}", "{clouds: [north, south], segments: [state]}"], []),
        (["{products: [app], clouds: [north]}", "{products: [tool], clouds: [north]}"], []),
    ],
)
def test_a_carve_out_within_another_is_noted(scopes: list[str], expected: list[str]) -> None:
    written = "".join(f"\n  - {scope}" for scope in scopes)
    kept = f"id: x\nkind: exclusivity\nactions: [sell]\nproducts: [apps]\nonly: {{parties: [maker]}}\nexcept:{written}"
    opened = at_hand(kept)
    remarks = check_agreement(opened.agreement, opened.facts)
    said = [remark.what for remark in remarks if remark.kind == "within-carve-out"]
    assert said == [f"carve-out {each}" for each in expected]


WHOLESALE = "id: s\nkind: revenue-share\npayer: %s\npayee: shop\nrate: 10 %%\nbase: {sellers: [%s], wholesale: true%s}"


@pytest.mark.parametrize("owned", ["", "id: lets\nkind: permission\nparty: rival\nactions: [sell]\nproducts: [apps]"])
def test_who_can_earn_nothing_from_others_pays_no_share_of_it(owned: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        at_hand(WHOLESALE % ("rival", "rival", "") + "\n\n" + owned)
    [problem] = refused.value.problems
    assert problem.what == "rival earns nothing from the other sellers in s"
    assert problem.remedy == "Take wholesale: out, or write an ownership of rival, or let whoever owns it pay."
    assert problem.line


@pytest.mark.parametrize(
    ("payer", "more", "base", "expected"),
    [
        ("maker", "", "", []),
        # A party that may license on earns from its licensees.
        ("rival", "id: on\nkind: permission\nparty: rival\nactions: [license]\nproducts: [rights]", "", []),
        (
            "rival",
            "id: owns\nkind: ownership\nparty: rival\nproducts: [app]\nbegins: 2027-01-01",
            "",
            ["apps, which rival does not own from 2026-01-01 through 2026-12-31"],
        ),
        (
            "rival",
            "id: owns\nkind: ownership\nparty: rival\nproducts: [app]\nthrough: 2027-12-31",
            ", products: [app]",
            ["app, which rival does not own from 2028-01-01"],
        ),
        ("rival", "id: owns\nkind: ownership\nparty: rival\nproducts: [app]", ", products: [app]", []),
    ],
)
def test_a_share_of_what_others_sell_of_what_its_payer_does_not_own(
    payer: str, more: str, base: str, expected: list[str]
) -> None:
    opened = at_hand(WHOLESALE % (payer, payer, base) + "\n\n" + more)
    said = [remark.what for remark in check_agreement(opened.agreement, opened.facts) if remark.kind == "others-sales"]
    assert said == [f"s takes a share of what others sell of {each}" for each in expected]


CAPPED = "id: A1.%s\nkind: revenue-share\npayer: maker\npayee: shop\nrate: 10 %%\ncap: %s\nbase: {sellers: [maker]}\n%s"
SHARE = "id: A1.s\nkind: revenue-share\npayer: maker\npayee: shop\nrate: part\nbase: {sellers: [maker]}"
OTHERS_TOO = SHARE.replace("[maker]", "[maker], wholesale: true")
FIRST, SECOND = CAPPED % ("first", "USD 100", "through: 2026-06-30"), CAPPED % ("then", "USD 100", "begins: 2026-07-01")
WITH_OPENING = CAPPED % ("then", "USD 100", "cap-opening: USD 40\nbegins: 2026-07-01")
# The shares · the figures beside `part`, with their values · what is said of figures, prices and caps.
OF_FIGURES = [
    (SHARE, {}, []),
    (SHARE, {"revenue-owner": "host"}, []),
    (SHARE, {"fee": "USD 5"}, ["note idle: fee is defined and has no effect"]),
    (SHARE, {"wholesale": "85 %"}, ["note idle: wholesale is defined and has no effect"]),
    (SHARE, {"cap-counts": "own"}, ["note idle: cap-counts is defined and has no effect"]),
    (SHARE, {"revenue_owner": "host"}, ["warning idle: revenue_owner is defined and has no effect"]),
    (OTHERS_TOO, {"wholesale": "85 %"}, []),
    (OTHERS_TOO, {}, ["note whole-price: A1.s counts the whole price of what others sell"]),
    (
        OTHERS_TOO,
        {"wholesal": "85 %"},
        [
            "note whole-price: A1.s counts the whole price of what others sell",
            "warning idle: wholesal is defined and has no effect",
        ],
    ),
    (f"{SHARE}\n\n{FIRST}", {}, []),
    (
        f"{SHARE}\n\n{FIRST}\n\n{SECOND}",
        {},
        ["note cap-from-nothing: the cap of A1.then counts nothing of what A1.first paid"],
    ),
    (f"{SHARE}\n\n{FIRST}\n\n{WITH_OPENING}", {}, []),
    (f"{SHARE}\n\n{FIRST}\n\n{SECOND}", {"cap-counts": "all-payments:40"}, []),
    (f"{SHARE}\n\n{FIRST}\n\n{CAPPED % ('then', 'USD 100', '')}", {}, []),
    # One figure as the cap of two shares is no cap over both.
    (
        f"{SHARE}\n\n{CAPPED % ('a', 'most', '')}\n\n{CAPPED % ('b', 'most', '')}",
        {"most": "USD 100"},
        ["note caps-apart: A1.a and A1.b each have a cap of their own, and name most"],
    ),
    (
        f"{SHARE}\n\n{CAPPED % ('a', 'most', 'through: 2026-06-30')}\n\n{CAPPED % ('b', 'most', 'begins: 2026-07-01')}",
        {"most": "USD 100", "cap-counts": "all-payments:40"},
        [],
    ),
]


@pytest.mark.parametrize(("shares", "figures", "expected"), OF_FIGURES)
def test_what_is_said_of_figures_prices_and_caps(shares: str, figures: dict[str, str], expected: list[str]) -> None:
    texts = hand.documents(shares)
    lines = [
        f"  {name}: {{says: A figure., value: '{value}', standing: ours, source: [T]}}"
        for name, value in {"part": "10 %", **figures}.items()
    ]
    texts["agreement.md"] = texts["agreement.md"].replace("rules:", "\n".join(["figures:", *lines, "rules:"]))
    opened = hand.reading(texts)
    remarks = check_agreement(opened.agreement, opened.facts)
    kinds = ("idle", "whole-price", "cap-from-nothing", "caps-apart")
    about = [
        remark
        for remark in remarks
        if remark.kind in kinds and (remark.term in figures or remark.term.startswith("A1."))
    ]
    assert sorted(map(said, about)) == expected
    assert all(remark.line and remark.remedy for remark in about)


def test_the_event_of_a_term_that_has_ended_is_not_dropped() -> None:
    ended = "id: A1.x\nkind: permission\nparty: shop\nactions: [sell]\nproducts: [apps]\nuntil: milestone"
    happened = ("kind: milestone, effective: 2026-03-01",)
    later = hand.amendment("A2", "2026-06-01", "id: A2.c\nsets-end: [A1.x]\nthrough: 2027-12-31")
    for facts, expected in ((happened, ["idle-change"]), ((), ["drops-event"])):
        opened = hand.reading(hand.documents(ended, facts) | {"A2.md": later})
        assert [
            remark.kind for remark in check_agreement(opened.agreement, opened.facts) if remark.term == "A2.c"
        ] == expected


@pytest.mark.parametrize(
    ("through", "on", "expected"),
    [
        ("2026-12-31", "2027-01-01", ["until: term-end of A1.x has no effect"]),
        ("2026-12-31", "2026-12-31", []),
        ("2027-06-30", "2027-01-01", []),
    ],
)
def test_an_event_that_comes_about_after_the_last_day_ends_nothing(through: str, on: str, expected: list[str]) -> None:
    """Extending the event puts it off, never forward."""
    term = "id: A1.x\nkind: permission\nparty: shop\nactions: [sell]\nproducts: [apps]\nuntil: term-end"
    texts = hand.documents(f"{term}\nthrough: {through}")
    renewed = "  renewal: {says: It is renewed., source: [T]}\n"
    event = f"  term-end: {{says: It ends., on: {on}, extended-by: renewal, days: 365, source: [T]}}\n"
    texts["agreement.md"] = texts["agreement.md"].replace("rules:", f"events:\n{renewed}{event}rules:", 1)
    opened = hand.reading(texts)
    assert [
        remark.what for remark in check_agreement(opened.agreement, opened.facts) if remark.kind == "idle-end"
    ] == expected


@pytest.mark.parametrize(
    ("file", "expected"), [("A1.md", []), ("first.md", []), ("A3.md", ["A3.md:1 amendment A1 stands in A3.md"])]
)
def test_a_file_named_after_another_amendment_is_noted(file: str, expected: list[str]) -> None:
    opened = hand.reading({file if name == "A1.md" else name: text for name, text in hand.documents("").items()})
    assert [
        f"{remark.document}:{remark.line} {remark.what}"
        for remark in check_agreement(opened.agreement, opened.facts)
        if remark.kind == "misplaced"
    ] == expected


@pytest.mark.parametrize(
    ("product", "expected"), [("right", ["launch:right:north:available=2026-02-01 changes nothing"]), ("app", [])]
)
def test_a_launch_of_what_is_on_no_cloud_changes_nothing(product: str, expected: list[str]) -> None:
    facts = (f"kind: launch, product: {product}, cloud: north, stage: available, effective: 2026-02-01",)
    texts = hand.documents("", facts)
    texts["agreement.md"] = texts["agreement.md"].replace("products:\n", "products:\n  right: {class: rights}\n", 1)
    opened = hand.reading(texts)
    assert [
        remark.what for remark in check_agreement(opened.agreement, opened.facts) if remark.kind == "idle-fact"
    ] == expected


def test_what_is_kept_and_reserved_to_the_same_is_named() -> None:
    [remark] = remarks_on(documents([OWNS, STAKE, SERVE_ON_OTHER + ", clouds: [other]"], []))
    assert remark.why == "it is kept to other and reserved to the same, so nothing lies outside it"


def test_a_region_that_a_grant_alone_names_is_not_idle() -> None:
    facts = ("kind: grant, party: shop, product: app, region: eu, effective: 2026-02-01",)
    for recorded, expected in ((facts, []), ((), ["eu is defined and never mentioned"])):
        texts = hand.documents("", recorded)
        texts["agreement.md"] = texts["agreement.md"].replace("segments:", "regions: {eu: {own: [own-1]}}\nsegments:")
        opened = hand.reading(texts)
        remarks = check_agreement(opened.agreement, opened.facts)
        assert [remark.what for remark in remarks if remark.kind == "idle"] == expected


def test_no_case_is_excepted_from_what_a_right_writes() -> None:
    older = "id: A1.l\nkind: licence\nlicensor: maker\nlicensee: shop\nproducts: [rights]"
    sole = "id: A2.l\nkind: licence\nlicensor: maker\nlicensee: rival\nproducts: [rights]\nsole: true"
    opened = hand.reading(hand.documents(older) | {"A2.md": hand.amendment("A2", "2026-06-01", sole)})
    [said] = [
        remark for remark in check_agreement(opened.agreement, opened.facts) if remark.kind == "contradicted-grant"
    ]
    assert said.remedy == (
        "End A2.l.exclusive or A1.l in a change, or write A2.l.exclusive as a term of its own (kind: exclusivity) that "
        "lets the case pass, in place of exclusive: or sole: under A2.l."
    )


def test_a_term_that_its_author_named_as_rights_name_theirs_is_like_any_other() -> None:
    """Nothing but the name of A1.sale.exclusive is that of the exclusivity that a right writes; A1.sale is no such."""
    sale = "id: A1.sale\nkind: permission\nparty: shop\nactions: [sell]\nproducts: [apps]"
    only = "id: A1.sale.exclusive\nkind: exclusivity\nactions: [serve]\nproducts: [apps, app]\nonly: {clouds: [north]}"
    own = "id: A2.own\nkind: permission\nparty: maker\nactions: [serve]\nproducts: [apps]\nclouds: [own]"
    ends = "id: A3.ends\nends: [A1.sale]"
    texts = hand.documents(f"{sale}\n\n{only}") | {"A2.md": hand.amendment("A2", "2026-06-01", own)}
    opened = hand.reading(texts)
    remarks = {remark.kind: remark for remark in check_agreement(opened.agreement, opened.facts)}
    assert remarks["within-class"].what == "A1.sale.exclusive names app beside apps, in which it lies"
    assert remarks["contradicted-grant"].remedy == (
        "End A1.sale.exclusive or A2.own in a change, write despite: [A1.sale.exclusive] under A2.own, or except the "
        "case from A1.sale.exclusive."
    )
    texts["A3.md"] = hand.amendment("A3", "2026-07-01", ends)
    after = hand.reading(texts)
    assert decided(after, "serve maker app own", as_of="2026-08-01").outcome == "forbidden"


def test_of_what_nobody_owns_a_share_is_due_all_the_same() -> None:
    share = "id: s\nkind: revenue-share\npayer: maker\npayee: shop\nrate: 10 %\nbase: {sellers: [maker]}"
    opened = at_hand(share, owned="id: own\nkind: ownership\nparty: maker\nproducts: [rooms, rights]")
    [gap] = [remark for remark in check_agreement(opened.agreement, opened.facts) if remark.kind == "gap"]
    assert gap.why == (
        "no ownership in force names it, and nobody could grant it: every answer about what may be done with it is "
        "unstated, unless a permission of anyone covers the act"
    )
    assert decided(opened, "sell maker app own").outcome == "unstated"
    assert decided(opened, "share-revenue maker app to=shop").outcome == "permitted"


def test_a_fact_that_no_term_lets_count_is_noted() -> None:
    facts = (
        "kind: grant, party: maker, product: app, effective: 2026-02-01",
        "kind: grant, party: shop, product: app, effective: 2026-02-01",
        "kind: answer, product: app, can: true, declines: true, effective: 2026-02-01",
        "kind: milestone, effective: 2026-03-01",
    )
    opened = at_hand("", facts)
    said = [remark.why for remark in check_agreement(opened.agreement, opened.facts) if remark.kind == "idle-fact"]
    assert said == [
        "maker owned app on 2026-02-01, and grants itself nothing",
        "no ship-first of app asks for an answer",
        "no term and no event waits for the milestone",
    ]
    waits = (
        "id: p\nkind: precedence\nparty: maker\nfirst: north\nactions: [serve]\nproducts: [apps]\nbinds: every-product"
        "\nsince: 2026-01-01\nunless: cannot-and-declines\nuntil: milestone"
    )
    opened = at_hand(waits, facts[1:])
    assert not [remark for remark in check_agreement(opened.agreement, opened.facts) if remark.kind == "idle-fact"]


def test_a_class_without_actions_is_told_that_it_has_none_from_its_wider_class() -> None:
    definitions = hand.DEFINITIONS.replace("  rooms: ", "  apps.games: {within: apps}\n  rooms: ") % ""
    texts = hand.documents("id: A1.only\nkind: permission\nparty: shop\nactions: [sell]\nproducts: [apps.games]")
    texts["agreement.md"] = definitions.replace("  app: ", "  chess: {class: apps.games}\n  app: ")
    opened = hand.reading(texts)
    [remark] = [each for each in check_agreement(opened.agreement, opened.facts) if each.kind == "unreachable"]
    assert (
        remark.why
        == "no product or class in apps.games takes sell: each lists its own actions:, and has none from apps"
    )
    with pytest.raises(InvalidInput) as refused:
        opened.decide(action="sell", party="shop", product="chess", cloud="own")
    assert refused.value.problems[0].remedy == (
        "sell takes apps. Write sell under actions: of apps.games, too: it takes none from apps."
    )


def test_a_term_that_a_day_ends_before_it_begins_never_begins_whatever_event_lets_it() -> None:
    """The breach that would let the right begin has come, and may be over by its first day and come again."""
    events = "events:\n  breach: {says: b, source: [T], over-by: cure}\n  cure: {says: c, source: [T]}\nrules:\n"
    right = "id: A1.p\nkind: permission\nparty: shop\nactions: [sell]\nproducts: [apps]\nfrom: breach"
    texts = hand.documents("", ["kind: event, event: breach, effective: 2026-05-15"]) | {
        "A2.md": hand.amendment("A2", "2026-06-01", right, "2026-01-01"),
        "A3.md": hand.amendment("A3", "2026-05-01", "id: A3.c\nsets-end: [A1.p]\nthrough: 2026-05-10", "2026-02-01"),
    }
    texts["agreement.md"] = texts["agreement.md"].replace("rules:\n", events)
    opened = hand.reading(texts)
    said = [each.what for each in check_agreement(opened.agreement, opened.facts) if each.kind == "never-begins"]
    assert said == ["A1.p never begins: A3.c ends it before 2026-06-01"]

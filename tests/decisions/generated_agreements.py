"""Agreements drawn at random: every kind of term that bears on a decision, every kind of change and fact.

Some tell sellers apart, some tell regions apart, and some do neither.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from typing import NamedTuple

import msgspec
from hypothesis import strategies as st

from clauseway.agreement import (
    Agreement,
    Amendment,
    Answer,
    Change,
    Choice,
    Commentary,
    Exclusivity,
    FactRegister,
    Grant,
    Launch,
    Licence,
    Milestone,
    Offer,
    Ownership,
    Permission,
    Precedence,
    Prohibition,
    Reading,
    RefusalRight,
    RevenueShareTerm,
    Scope,
    ShareBase,
    Withdrawal,
)
from clauseway.agreement.language.definitions import RULES, STATED_RULES, Event
from clauseway.agreement.language.facts import EventHappened, Fact
from clauseway.agreement.language.terms import MILESTONE, AnyTerm, Only
from clauseway.agreement.reading.exclusive import with_changes_of_both, with_exclusivities
from clauseway.app.opening.library import OpenAgreement
from clauseway.catalog import Catalog, Product, ProductClass
from clauseway.values import Citation, KnownAt

PARTIES = ("maker", "north", "south", "east")
CLOUDS = {"cloud-n": "north", "cloud-s": "south", "cloud-e": "east", "cloud-m": "maker"}
SEGMENTS = ("any", "school", "bank")
REGIONS = {
    "inland": {"cloud-n": frozenset({"n-one", "n-two"}), "cloud-s": frozenset({"s-one"})},
    "coast": {"cloud-n": frozenset({"n-three"}), "cloud-e": frozenset({"s-one"})},
}
HOSTED = frozenset({"serve", "sell"})
CLASSES = {
    "tools": ProductClass(id="tools"),
    "tools.hand": ProductClass(id="tools.hand", within="tools", actions=HOSTED),
    "tools.power": ProductClass(id="tools.power", within="tools", actions=HOSTED),
    "space": ProductClass(id="space", actions=frozenset({"contract-compute"})),
    "plans": ProductClass(id="plans", actions=frozenset({"license", "use-under-licence"})),
}
PRODUCTS = {
    "hammer": Product(id="hammer", product_class="tools.hand"),
    "saw": Product(id="saw", product_class="tools.hand", first_shipped_by=date(2030, 1, 5)),
    "drill": Product(id="drill", product_class="tools.power"),
    "blueprint": Product(id="blueprint", product_class="plans"),
}
CATALOG = Catalog(
    parties=frozenset(PARTIES),
    clouds=frozenset(CLOUDS),
    operators=CLOUDS,
    segments=frozenset(SEGMENTS),
    classes=CLASSES,
    products=PRODUCTS,
    events=frozenset({"notice", "cure", "breach"}),
)
ACTIONS = ("serve", "sell", "license", "use-under-licence", "contract-compute")
BEGIN = date(2030, 1, 1)
READINGS = {"X": ("strict", "loose"), "Y": ("near", "far")}

_days = st.integers(0, 60).map(lambda days: BEGIN + timedelta(days=days))
_products = st.frozensets(st.sampled_from((*CLASSES, *PRODUCTS)), min_size=1, max_size=3)
# Actions that take a cloud, a seller, a licensee: the reader refuses a term that says otherwise.
HOSTED_AND_SOLD = ("serve", "sell")
PLACED = (*HOSTED_AND_SOLD, "contract-compute")
LICENSED = ("license", "use-under-licence")


def _some_of(actions: Sequence[str]) -> st.SearchStrategy[frozenset[str]]:
    return st.frozensets(st.sampled_from(tuple(actions)), min_size=1, max_size=3)


_party = st.sampled_from(PARTIES)
_clouds = st.frozensets(st.sampled_from(tuple(CLOUDS)), max_size=2)
_none = st.just(frozenset[str]())
_seldom = st.sampled_from((False, False, False, True))


class _Where(NamedTuple):
    """Actions, and what scopes on them may say beside products: the reader refuses what an action does not take."""

    actions: st.SearchStrategy[frozenset[str]]
    clouds: st.SearchStrategy[frozenset[str]]
    trade: dict[str, st.SearchStrategy[frozenset[str]]]
    scopes: st.SearchStrategy[tuple[Scope, ...]]
    only: st.SearchStrategy[Only]

    @classmethod
    def placed(cls, sellers: bool, regions: bool, actions: Sequence[str]) -> "_Where":
        trade = {"segments": _none | st.frozensets(st.sampled_from(SEGMENTS[1:]), max_size=2)}
        reserved = [
            st.builds(Only, clouds=st.frozensets(st.sampled_from(tuple(CLOUDS)), min_size=1, max_size=2)),
            st.builds(Only, parties=st.frozensets(_party, min_size=1, max_size=2)),
        ]
        if sellers:
            trade["sellers"] = _none | st.frozensets(_party, max_size=2)
            reserved.append(st.builds(Only, sellers=st.frozensets(_party, min_size=1, max_size=2)))
        if regions:
            named = st.sampled_from((*REGIONS, "elsewhere"))
            trade["regions"] = _none | st.frozensets(named, max_size=2)
            reserved.append(st.builds(Only, regions=st.frozensets(named, min_size=1, max_size=2)))
        return cls(_some_of(actions), _clouds, trade, cls._scopes(actions, _clouds, trade), st.one_of(reserved))

    @classmethod
    def licensed(cls, actions: Sequence[str] = LICENSED) -> "_Where":
        reserved = [
            st.builds(Only, parties=st.frozensets(_party, min_size=1, max_size=2)),
            st.builds(Only, licensees=st.frozensets(_party, min_size=1, max_size=2)),
        ]
        return cls(_some_of(actions), _none, {}, cls._scopes(actions, _none, {}), st.one_of(reserved))

    @staticmethod
    def _scopes(
        actions: Sequence[str],
        clouds: st.SearchStrategy[frozenset[str]],
        trade: dict[str, st.SearchStrategy[frozenset[str]]],
    ) -> st.SearchStrategy[tuple[Scope, ...]]:
        said = st.builds(
            Scope, actions=_none | _some_of(actions), products=_none | _products, clouds=clouds, **trade
        ).filter(lambda scope: scope != Scope())
        return st.lists(said, max_size=2).map(tuple)


class _Wheres(NamedTuple):
    """The ways in which terms of one agreement may be scoped."""

    hosted: _Where
    contracted: _Where
    licensed: _Where
    offered: _Where

    @classmethod
    def of(cls, sellers: bool, regions: bool) -> "_Wheres":
        return cls(
            hosted=_Where.placed(sellers, regions, HOSTED_AND_SOLD),
            contracted=_Where.placed(False, regions, PLACED),
            licensed=_Where.licensed(),
            offered=_Where.licensed(("license",)),
        )


_WHERE = {places: _Wheres.of(*places) for places in ((False, False), (True, False), (False, True), (True, True))}
_binds = st.sampled_from(
    (
        Choice("", {"": "first-shipped-since"}),
        Choice("", {"": "every-product"}),
        Choice("X", {"strict": "every-product", "loose": "first-shipped-since"}),
    )
)
_unless = st.sampled_from(
    (
        Choice("", {"": "cannot-and-declines"}),
        Choice("Y", {"near": "cannot-and-declines", "far": "cannot-or-declines"}),
    )
)


def cited(term: str, amendment: str) -> Citation:
    number = term.rpartition(".")[2]
    return Citation(
        term=term,
        amendment=amendment,
        document=f"{amendment}.md",
        line=int(number) + 2 if number.isdigit() else 1,
        source="ours",
        text=f"{term} says so.",
    )


EVENTS = {
    event.id: event
    for event in (
        Event(id="notice", citation=cited("notice", "agreement")),
        Event(id="cure", citation=cited("cure", "agreement")),
        Event(id="breach", citation=cited("breach", "agreement"), over_by="cure"),
        Event(id="end", citation=cited("end", "agreement"), after="notice", days=9, prevented_by="cure"),
        Event(id="expiry", citation=cited("expiry", "agreement"), on=date(2030, 1, 30), extended_by="notice", days=8),
    )
}


def _exclusivity(wheres: _Wheres, **common: st.SearchStrategy[object]) -> st.SearchStrategy[AnyTerm]:
    return st.one_of(
        [
            st.builds(
                Exclusivity,
                actions=where.actions,
                products=_products,
                only=where.only,
                clouds=_none | where.clouds,
                except_=where.scopes,
                **where.trade,
                **common,
            )
            for where in (wheres.hosted, wheres.hosted, wheres.contracted, wheres.licensed)
        ]
    )


def _prohibition(wheres: _Wheres, **common: st.SearchStrategy[object]) -> st.SearchStrategy[AnyTerm]:
    parties = st.frozensets(_party, min_size=1, max_size=2) | st.just(frozenset({"anyone"}))
    return st.one_of(
        [
            st.builds(
                Prohibition,
                parties=parties,
                actions=where.actions,
                products=_products,
                clouds=_none | where.clouds,
                except_=where.scopes,
                **where.trade,
                **common,
            )
            for where in (wheres.hosted, wheres.contracted, wheres.licensed)
        ]
    )


def _permission(wheres: _Wheres, **common: st.SearchStrategy[object]) -> st.SearchStrategy[AnyTerm]:
    party = st.sampled_from((*PARTIES, "anyone"))
    despite = st.frozensets(st.sampled_from(("any", *(f"B{at}.{term}" for at in range(2) for term in range(3)))))
    return st.one_of(
        [
            st.builds(
                Permission,
                party=party,
                actions=where.actions,
                products=_products,
                clouds=where.clouds,
                despite=_none | despite,
                grantor=st.sampled_from(("", "", "maker", "north")),
                exclusive=_seldom,
                sole=_seldom,
                **where.trade,
                **common,
            ).map(_granted)
            for where in (wheres.hosted, wheres.contracted, wheres.licensed)
        ]
    )


def _granted(permission: Permission) -> Permission:
    """Nobody grants what is left to anyone, and nobody grants itself anything: the reader refuses both."""
    own = permission.party in ("anyone", permission.grantor)
    grantor = "" if own else permission.grantor
    exclusive = permission.exclusive and permission.party != "anyone"
    return msgspec.structs.replace(
        permission, grantor=grantor, exclusive=exclusive, sole=permission.sole and bool(grantor) and not exclusive
    )


def _precedence(wheres: _Wheres, **common: st.SearchStrategy[object]) -> st.SearchStrategy[AnyTerm]:
    return st.one_of(
        [
            st.builds(
                Precedence,
                party=_party,
                first=st.sampled_from(tuple(CLOUDS)),
                actions=where.actions,
                products=_products,
                binds=_binds,
                unless=st.just(None) | _unless,
                since=_days,
                lead_days=st.sampled_from((0, 0, 7)),
                **where.trade,
                **common,
            )
            for where in (wheres.hosted, wheres.contracted)
        ]
    )


def _refusal_right(wheres: _Wheres, **common: st.SearchStrategy[object]) -> st.SearchStrategy[AnyTerm]:
    return st.one_of(
        [
            st.builds(
                RefusalRight,
                holder=st.just(holder),
                grantor=st.sampled_from(("", "", *others)),
                actions=where.actions,
                products=_products,
                except_clouds=where.clouds,
                subject=st.sampled_from(("hall", "yard", "", "")),
                **where.trade,
                **common,
            )
            for holder in PARTIES
            for others in [[party for party in PARTIES if party != holder]]
            for where in (wheres.hosted, wheres.contracted, wheres.offered)
        ]
    )


def _licence(wheres: _Wheres, **common: st.SearchStrategy[object]) -> st.SearchStrategy[AnyTerm]:
    return st.builds(
        Licence,
        licensor=st.sampled_from(("maker", "maker", "north")),
        licensee=_party,
        products=_products,
        carries=wheres.hosted.scopes,
        exclusive=_seldom,
        **common,
    )


def _revenue_share(_: _Wheres, **common: st.SearchStrategy[object]) -> st.SearchStrategy[AnyTerm]:
    base = st.builds(ShareBase, sellers=_none, excludes=_none | _products, products=_none | _products, clouds=_clouds)
    return st.builds(RevenueShareTerm, payer=_party, payee=_party, rate=st.just("rate"), base=base, **common)


def _ownership(_: _Wheres, **common: st.SearchStrategy[object]) -> st.SearchStrategy[AnyTerm]:
    return st.builds(Ownership, party=st.sampled_from(("maker", "maker", "north")), products=_products, **common)


# Each kind that changes an answer, and how often it is drawn.
KINDS_DRAWN: Mapping[type[AnyTerm], tuple[Callable[..., st.SearchStrategy[AnyTerm]], int]] = {
    Exclusivity: (_exclusivity, 2),
    Prohibition: (_prohibition, 1),
    Permission: (_permission, 2),
    Precedence: (_precedence, 1),
    RefusalRight: (_refusal_right, 1),
    Licence: (_licence, 1),
    RevenueShareTerm: (_revenue_share, 1),
    Ownership: (_ownership, 1),
}
_KINDS = tuple(drawn for drawn, times in KINDS_DRAWN.values() for _ in range(times))


_number = st.integers(0, len(_KINDS) - 1)
_ends = st.sampled_from(("never", "never", "through", "until", MILESTONE, *EVENTS))
_keys = st.sampled_from(("", "", "", "from_", "while_", "while_no"))
_events = st.sampled_from(tuple(EVENTS))


@functools.cache
def _drawn(places: tuple[bool, bool]) -> Sequence[st.SearchStrategy[AnyTerm]]:
    """Terms of each kind without what they have of their amendment. Hypothesis checks a strategy when it first draws
    from it: one made anew for each term would be checked for each."""
    common = {
        "id": st.just(""),
        "citation": st.just(cited("", "")),
        "begins": st.just(BEGIN),
        "under": st.sampled_from(({}, {}, {"X": "strict"}, {"Y": "far"})),
    }
    return [kind(_WHERE[places], **common) for kind in _KINDS]


@st.composite
def _terms(draw: st.DrawFn, places: tuple[bool, bool], name: str, amendment: str, begins: date) -> AnyTerm:
    # By its number: among all the ways that kinds have, a kind with many would be drawn most.
    term, ends, day = draw(_drawn(places)[draw(_number)]), draw(_ends), draw(_days)
    own: dict[str, object] = {
        "id": name,
        "citation": cited(name, amendment),
        "begins": begins,
        "through": day if ends == "through" else None,
        "until": {"until": str(day), **{name: name for name in (MILESTONE, *EVENTS)}}.get(ends, ""),
    }
    if not isinstance(term, RevenueShareTerm) and (key := draw(_keys)):
        own[key] = draw(_events)
    kept: AnyTerm = msgspec.structs.replace(term, **own)
    return kept


@st.composite
def _amendments(
    draw: st.DrawFn,
    places: tuple[bool, bool],
    number: int,
    effective: date,
    earlier: Sequence[str],
    count: tuple[int, int],
) -> Amendment:
    name = f"B{number}"
    announced = draw(_days)
    terms = [
        draw(_terms(places, f"{name}.{index}", name, effective))
        for index in range(draw(st.integers(count[0] if earlier else count[0] + 1, count[1])))
    ]
    if not earlier:
        owned = Ownership(
            id="B0.own", citation=cited("B0.own", name), begins=effective, party="maker", products=frozenset(CLASSES)
        )
        terms.insert(0, owned)
    touched = draw(st.lists(st.sampled_from(earlier), unique=True, max_size=4)) if earlier else []
    half = len(touched) // 2
    changes = [Change(id=f"{name}.ends", citation=cited(f"{name}.ends", name), ends=tuple(touched[:half]))]
    moved = Change(
        id=f"{name}.moves",
        citation=cited(f"{name}.moves", name),
        sets_end=tuple(touched[half:]),
        until=draw(st.sampled_from((MILESTONE, str(draw(_days))))),
        under=draw(st.sampled_from(({}, {"X": "loose"}))),
    )
    return Amendment(
        id=name,
        title=name,
        document=f"{name}.md",
        announced=announced,
        effective=effective,
        known=KnownAt.recorded_on(announced),
        clauses=(),
        terms=with_exclusivities(terms),
        changes=(*changes, moved),
        rank=draw(st.integers(0, 3)),
    )


@functools.cache
def _stated(regions: bool) -> st.SearchStrategy[Fact]:
    """Facts of every kind, all effective on the first day."""
    product = st.sampled_from(tuple(PRODUCTS))
    common = {"effective": st.just(BEGIN), "known": st.just(KnownAt.always()), "citation": st.just(cited("", "facts"))}
    cloud, stage = st.sampled_from(tuple(CLOUDS)), st.sampled_from(("announced", "preview", "available"))
    ends = st.integers(0, 30).map(lambda days: BEGIN + timedelta(days=days))
    kept = {
        "cloud": st.sampled_from(("", "", *CLOUDS)),
        "segment": st.sampled_from(("", "", *SEGMENTS)),
        "region": st.sampled_from(("", *REGIONS)) if regions else st.just(""),
    }
    subject, granted = st.sampled_from(("hall", "yard", "hammer", "blueprint")), st.sampled_from((*PRODUCTS, *CLASSES))
    kinds: list[st.SearchStrategy[Fact]] = [
        # Launches bear on most: who hosts, ship-first, what is granted with them.
        st.builds(Launch, product=product, cloud=cloud, stage=stage, **common),
        st.builds(Launch, product=product, cloud=cloud, stage=st.just("available"), **common),
        st.builds(Answer, product=product, can=st.booleans(), declines=st.booleans(), **common),
        st.builds(Offer, subject=subject, passed=st.booleans(), answer_by=st.just(None) | ends, **common),
        st.builds(Grant, party=_party, product=granted, through=st.just(None) | ends, **kept, **common),
        st.builds(Withdrawal, party=_party, product=granted, **kept, **common),
        st.builds(Milestone, **common),
        st.builds(
            EventHappened,
            event=st.sampled_from(("notice", "cure", "breach")),
            through=st.none() | st.just(BEGIN + timedelta(days=5)),
            **common,
        ),
    ]
    return st.one_of(kinds)


@st.composite
def _facts(draw: st.DrawFn, regions: bool) -> Fact:
    fact, effective, recorded = draw(_stated(regions)), draw(_days), draw(_days)
    later = effective - BEGIN
    moved = {name: day + later for name in ("answer_by", "through") if (day := getattr(fact, name, None))}
    return msgspec.structs.replace(
        fact,
        effective=effective,
        known=draw(st.sampled_from((KnownAt.recorded_on(recorded), KnownAt.always()))),
        citation=cited(f"fact:{getattr(fact, 'product', '')}:{effective}", "facts"),
        **moved,
    )


@st.composite
def agreements(draw: st.DrawFn, terms: tuple[int, int] = (2, 7)) -> OpenAgreement:
    """An agreement of one to four amendments, each of so many terms, with its register of facts."""
    days = sorted(draw(st.lists(_days, min_size=1, max_size=4, unique=True)))
    places = draw(st.sampled_from(tuple(_WHERE)))
    catalog = msgspec.structs.replace(CATALOG, regions=REGIONS) if places[1] else CATALOG
    amendments: list[Amendment] = []
    for number, effective in enumerate(days):
        earlier = [term.id for amendment in amendments for term in amendment.terms]
        amendments.append(draw(_amendments(places, number, effective, earlier, terms)))
    agreement = Agreement(
        id="generated",
        title="A generated agreement",
        text_digest="generated",
        meaning_digest="generated",
        catalog=catalog,
        sources={},
        rules={name: cited(name, "agreement") for name in (*RULES, *draw(st.sampled_from(((), STATED_RULES))))},
        readings={
            name: Reading(id=name, options=options, citation=cited(name, "agreement"))
            for name, options in READINGS.items()
        },
        commentary=tuple(
            Commentary(
                id=f"C{number}",
                bears_on=bears_on,
                from_amendment=amendment.id,
                citation=cited(f"C{number}", "agreement"),
            )
            for number, amendment in enumerate(amendments)
            for bears_on in [draw(st.sampled_from(("precedence", "grant")))]
        ),
        figures={},
        events=EVENTS,
        amendments=tuple(with_changes_of_both(amendments)),
    )
    facts = FactRegister().with_facts(draw(st.lists(_facts(places[1]), max_size=12)))
    return OpenAgreement(agreement, catalog, facts)

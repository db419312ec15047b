"""The launch audit compares evidence of launches with the ship-first clause.

Evidence is a list of shipments. A listing shows the latest possible day of an offer; a recorded
launch gives the day itself. For each product and each other cloud the audit finds the order of the
shipments, and checks whether the clause bound the product. A breach is a bound product that shipped
elsewhere before it shipped on the first cloud, with no recorded answer that lifts the clause. Where
the evidence cannot tell, the finding says so, and there is no breach.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from enum import StrEnum

import msgspec

from clauseway.agreement import Agreement, FactRegister, Launch, Precedence, in_force
from clauseway.catalog import Catalog
from clauseway.decisions.conditions import lifts
from clauseway.values import Citation, KnownAt, counted

# A listing may appear some days after the launch. A listing within these days of the clause's day
# cannot show on which side of that day the launch was.
LISTING_LAG = timedelta(days=7)


class Order(StrEnum):
    """The order in which a product shipped on the first cloud and on another, by the evidence."""

    FIRST = "first"
    LATER = "later"
    CANNOT_TELL = "cannot tell"
    NOWHERE_ELSE = "nowhere else"
    OUTSIDE = "outside"


class Bound(StrEnum):
    """The answer to: did the clause bind the product?"""

    YES = "yes"
    NO = "no"
    CANNOT_TELL = "cannot tell"


class Shipment(msgspec.Struct, frozen=True, kw_only=True):
    """Evidence that a product shipped. `cloud` is empty for a direct offering or a resale.

    `effective`: the day it shipped; for a listing (`listed`), the latest possible day.
    `known`: when the evidence became known.
    `opening`: the product was already listed when observation began.
    `document` and `line`: where the agreement's text states it; empty and 0 for a listing.
    `by_maker`: offered by the maker or by a cloud, not by a reseller.
    """

    product: str
    cloud: str
    seller: str
    effective: date
    known: KnownAt
    evidence: str
    why: str
    document: str = ""
    line: int = 0
    commit: str = ""
    by_maker: bool = True
    listed: bool = False
    opening: bool = False
    open_weights: bool = False


class AuditFinding(msgspec.Struct, frozen=True, kw_only=True):
    """The finding for one product on one other cloud (`cloud` is empty where there is no other).

    `on_first` and `elsewhere` hold all the evidence, the earliest first. The earliest decides.
    `first_seen` may be a direct offering or a resale.
    """

    product: str
    cloud: str
    order: Order
    bound: Bound
    breach: bool
    why: str
    why_bound: str
    on_first: tuple[Shipment, ...]
    elsewhere: tuple[Shipment, ...]
    first_seen: Shipment
    term: Citation | None


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """All findings, and the cloud on which products must ship first."""

    first: str
    findings: tuple[AuditFinding, ...]

    @property
    def breaches(self) -> tuple[AuditFinding, ...]:
        return tuple(finding for finding in self.findings if finding.breach)


def shipments_on_record(facts: FactRegister) -> list[Shipment]:
    """Return the launches of a register as evidence. A mere announcement is no shipment."""
    return [
        Shipment(
            product=fact.product,
            cloud=fact.cloud,
            seller=fact.citation.source,
            effective=fact.effective,
            known=fact.known,
            evidence=f"{fact.citation.document}:{fact.citation.line} {fact.stage}",
            why=fact.citation.text,
            document=fact.citation.document,
            line=fact.citation.line,
        )
        for fact in facts.facts
        if isinstance(fact, Launch) and fact.shipped
    ]


def audit_launches(
    agreement: Agreement,
    catalog: Catalog,
    facts: FactRegister,
    evidence: Iterable[Shipment],
    known_at: KnownAt,
    readings: Mapping[str, str],
) -> Audit | None:
    """Audit every product in the evidence, as known at `known_at`.

    Return None if no amendment has a ship-first clause.
    """
    terms = [
        term
        for amendment in agreement.amendments
        for term in amendment.terms
        if isinstance(term, Precedence)
    ]
    if not terms:
        return None
    case = _Case(agreement, catalog, facts.known(known_at), known_at, readings, terms[-1])
    # Evidence that was not known then could not have been held against anybody.
    known_shipments = [shipment for shipment in evidence if shipment.known <= known_at]
    known_shipments += shipments_on_record(case.facts)
    products: dict[str, list[Shipment]] = {}
    for shipment in sorted(known_shipments, key=_in_order):
        products.setdefault(shipment.product, []).append(shipment)
    findings = [finding for name in sorted(products) for finding in _product(case, products[name])]
    return Audit(first=case.first, findings=tuple(findings))


def _in_order(shipment: Shipment) -> tuple[object, ...]:
    """Sort shipments by time, and those of one time by name, in whatever order they were given."""
    return (
        shipment.effective,
        shipment.known.instant_ns,
        shipment.cloud,
        shipment.seller,
        shipment.evidence,
    )


class _Case(msgspec.Struct, frozen=True):
    agreement: Agreement
    catalog: Catalog
    facts: FactRegister
    known_at: KnownAt
    readings: Mapping[str, str]
    # The latest ship-first clause, known or not. It names the cloud the others are compared with.
    term: Precedence

    @property
    def first(self) -> str:
        return self.term.first

    def clause(self, day: date) -> Precedence | None:
        """Return the clause in force on a day that puts this cloud first, or None."""
        force = in_force(self.agreement, self.facts, day, self.known_at, self.readings)
        for state in force.states:
            if (
                state.in_force
                and isinstance(state.term, Precedence)
                and state.term.first == self.first
            ):
                return state.term
        return None


def _product(case: _Case, shipments: Sequence[Shipment]) -> list[AuditFinding]:
    """Return a product's findings. `shipments` are those of the product, the earliest first."""
    clouds: dict[str, list[Shipment]] = {}
    for shipment in shipments:
        clouds.setdefault(shipment.cloud, []).append(shipment)
    elsewhere = [clouds[cloud] for cloud in clouds if cloud not in ("", case.first)]
    return [
        _finding(case, shipments, clouds.get(case.first, []), cloud_shipments)
        for cloud_shipments in elsewhere or [[]]
    ]


def _finding(
    case: _Case,
    shipments: Sequence[Shipment],
    on_first: Sequence[Shipment],
    elsewhere: Sequence[Shipment],
) -> AuditFinding:
    clause = case.clause(elsewhere[0].effective if elsewhere else shipments[-1].effective)
    order, why = _order(case, shipments, next(iter(on_first), None), next(iter(elsewhere), None))
    bound, why_bound = _bound(case, shipments, clause)
    if order is Order.LATER and clause and (lifted := _lifted(case, clause, elsewhere[0])):
        bound, why_bound = Bound.NO, lifted
    return AuditFinding(
        product=shipments[0].product,
        cloud=elsewhere[0].cloud if elsewhere else "",
        order=order,
        bound=bound,
        breach=order is Order.LATER and bound is Bound.YES,
        why=why,
        why_bound=why_bound,
        on_first=tuple(on_first),
        elsewhere=tuple(elsewhere),
        first_seen=shipments[0],
        term=clause.citation if clause else None,
    )


def _order(
    case: _Case,
    shipments: Sequence[Shipment],
    on_first: Shipment | None,
    elsewhere: Shipment | None,
) -> tuple[Order, str]:
    if outside := _outside(case, shipments):
        return Order.OUTSIDE, outside
    if elsewhere is None and on_first is None:
        return (
            Order.NOWHERE_ELSE,
            "seen directly or at resellers only, which is a launch on no cloud",
        )
    if elsewhere is None:
        return Order.NOWHERE_ELSE, f"on {case.first} only"
    if on_first is None:
        return Order.CANNOT_TELL, f"on {elsewhere.cloud}, and nothing is on record on {case.first}"
    if elsewhere.commit and elsewhere.commit == on_first.commit:
        return Order.CANNOT_TELL, "one commit lists both"
    if elsewhere.effective == on_first.effective:
        return Order.CANNOT_TELL, "both on one day"
    days = (elsewhere.effective - on_first.effective).days
    later = elsewhere if days > 0 else on_first
    if later.opening:
        return Order.CANNOT_TELL, f"already listed on {later.cloud} when observation there began"
    if later.listed and abs(days) < LISTING_LAG.days:
        # A product listed only a few days later may have shipped first.
        apart = "one day" if abs(days) == 1 else f"{abs(days)} days"
        return Order.CANNOT_TELL, f"{apart} apart, and the listing may lag"
    if days > 0:
        return Order.FIRST, f"{counted(days, 'day')} before {elsewhere.cloud}"
    return Order.LATER, f"{counted(-days, 'day')} after {elsewhere.cloud}"


def _bound(
    case: _Case, shipments: Sequence[Shipment], term: Precedence | None
) -> tuple[Bound, str]:
    product, earliest = shipments[0].product, shipments[0]
    if outside := _outside(case, shipments):
        return Bound.NO, outside
    if term is None:
        return Bound.NO, "no such clause was in force, as known then"
    catalog_entry = case.catalog.products.get(product)
    if term.binds.under(case.readings) == "every-product":
        return Bound.YES, "the clause binds every product, as it is read here"
    by = earliest.effective
    if catalog_entry and catalog_entry.first_shipped_by:
        by = min(by, catalog_entry.first_shipped_by)
    if by < term.since:
        return Bound.NO, f"first shipped by {by}, before {term.since}"
    return _bound_since(shipments, term)


def _bound_since(shipments: Sequence[Shipment], term: Precedence) -> tuple[Bound, str]:
    """Decide whether a product first seen on or after the clause's day also first shipped then."""
    earliest = shipments[0]
    if earliest.listed and earliest.opening:
        return Bound.CANNOT_TELL, "already listed when observation began"
    if earliest.listed and not any(shipment.by_maker for shipment in shipments):
        return Bound.CANNOT_TELL, f"seen at resellers only, from {earliest.effective} on"
    if not earliest.listed:
        return Bound.YES, f"first shipped on {earliest.effective}, not before {term.since}"
    if earliest.listed and earliest.cloud and (maker := _maker_later(shipments)):
        return (
            Bound.CANNOT_TELL,
            f"first listed on {earliest.effective} on {earliest.cloud}, "
            f"and by its maker not before {maker.effective}: "
            f"the listing may lag, perhaps since before {term.since}",
        )
    if earliest.effective < term.since + LISTING_LAG:
        return (
            Bound.CANNOT_TELL,
            f"first listed on {earliest.effective}, the latest possible day: "
            f"perhaps before {term.since}",
        )
    return Bound.YES, f"first listed on {earliest.effective}, not before {term.since}"


def _maker_later(shipments: Sequence[Shipment]) -> Shipment | None:
    """Return the maker's own listing if it came after a cloud's, else None.

    A model exists before a cloud hosts it. So where a cloud lists it first, the maker listed late.
    """
    direct = [
        shipment
        for shipment in shipments
        if shipment.by_maker and not shipment.cloud and shipment.listed
    ]
    return (
        direct[0] if direct and direct[0].known.instant_ns > shipments[0].known.instant_ns else None
    )


def _lifted(case: _Case, term: Precedence, elsewhere: Shipment) -> str:
    """Name the recorded answer of the first cloud's operator that lifted the clause by then.

    Return an empty text if there is no such answer.
    """
    answer = case.facts.answer(elsewhere.product, elsewhere.effective)
    if answer is None:
        return ""
    return (
        f"lifted by the answer of {answer.effective}" if lifts(term, answer, case.readings) else ""
    )


def _outside(case: _Case, shipments: Sequence[Shipment]) -> str:
    """Return why a product lies outside the clause; empty where it lies inside."""
    if any(shipment.open_weights for shipment in shipments):
        return "open weights: anyone may serve them"
    product = shipments[0].product
    # A product that the catalog does not name is assumed to lie inside the clause.
    if product not in case.catalog.products:
        return ""
    covers = any(case.catalog.belongs(product, scope) for scope in case.term.products)
    return "" if covers else f"not of the products that {case.term.id} covers"

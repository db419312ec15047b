"""The launch audit over a listing history: the sample that ships, or a file.

Rows for people and machines.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from importlib import resources
from pathlib import Path

import msgspec

from clauseway.app.opening.library import OpenAgreement, day_given, known_point
from clauseway.app.opening.places import read_text
from clauseway.decisions import (
    Audit,
    AuditFinding,
    Bound,
    Order,
    Shipment,
    audit_launches,
    check_readings,
)
from clauseway.exchange.listings import (
    KNOWN,
    PROVIDERS,
    RESALE,
    UNKNOWN,
    Listing,
    PriceObservation,
    Provider,
    price_in_force,
    price_observations,
    provider_of,
    providers_with,
    read_listings,
    shipments,
)
from clauseway.values import InvalidInput, KnownAt, Problem, refuse_any

_SAMPLE = "models_dev_openai_listings.csv"


class EvidenceRow(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of evidence: by this day a product was seen on a cloud, known since an instant.

    `document` and `line` say where the agreement's text states it; empty and 0 for a listing.
    """

    seller: str
    cloud: str
    day: date
    known: str
    evidence: str
    listed: bool
    why: str
    document: str
    line: int


class AuditRow(msgspec.Struct, frozen=True, kw_only=True):
    """A product on one other cloud, or on none (`cloud` is empty)."""

    product: str
    cloud: str
    order: Order
    why: str
    bound: Bound
    why_bound: str
    breach: bool
    term: str
    on_first: tuple[EvidenceRow, ...]
    elsewhere: tuple[EvidenceRow, ...]
    first_seen: EvidenceRow


class ProviderRow(msgspec.Struct, frozen=True, kw_only=True):
    """A provider whose listings count for a host, on somebody's word.

    `standing`: assumed (ours) or chosen (the caller's); `host` is the cloud on which it launches
    things, empty where it launches them on none.
    """

    provider: str
    host: str
    standing: str
    why: str


class AuditView(msgspec.Struct, frozen=True, kw_only=True):
    """The audit as known at a point. `first` is the cloud that comes first.

    `providers` names the assumptions in it: where those providers host whose names do not say it.
    """

    title: str
    listings: str
    known_at: str
    readings: Mapping[str, str]
    first: str
    breaches: int
    providers: tuple[ProviderRow, ...]
    rows: tuple[AuditRow, ...]


class StatedPrice(msgspec.Struct, frozen=True, kw_only=True):
    """A price that a provider stated, USD per million tokens as decimal text, empty where none
    was stated."""

    provider: str
    model: str
    input: str
    output: str
    cache_read: str
    effective: date
    known: str
    commit: str
    corrects: str


def open_listings(path: Path | None = None) -> tuple[str, tuple[Listing, ...]]:
    """Return the name and the events of a listing history, by default the sample.

    Raise InvalidInput with every problem.
    """
    if path is None:
        sample = resources.files("clauseway.exchange") / "data" / _SAMPLE
        return _SAMPLE, read_listings(_SAMPLE, sample.read_text("utf-8"))
    return str(path), read_listings(str(path), read_text(path))


def launch_audit(
    opened: OpenAgreement,
    listings: Path | None = None,
    known_at: str | None = None,
    reading: Mapping[str, str] | None = None,
    hosts: Mapping[str, str] | None = None,
) -> AuditView:
    """Return whether each product shipped first on the cloud that the agreement puts first.

    `hosts` says of providers where they host: a cloud, `resale` or `unknown`. Raise InvalidInput.
    """
    name, events = open_listings(listings)
    _check_hosts(hosts or {}, events, opened)
    providers = providers_with(hosts or {})
    point = known_point(known_at)
    readings = check_readings(opened.agreement, reading or {})
    evidence = shipments(events, point, providers)
    audit = audit_launches(
        opened.agreement, opened.catalog, opened.facts, evidence, point, readings
    )
    if audit is None:
        remedy = "Add a term of kind precedence, or audit another agreement."
        raise InvalidInput.of(
            what="nothing to audit",
            why="no term puts a cloud first",
            where=opened.agreement.id,
            remedy=remedy,
        )
    # Only what the evidence rests on is stated as assumed.
    seen = {shipment.seller for shipment in evidence}
    assumed = tuple(row for row in _providers(seen, providers) if row.standing != KNOWN)
    return _view(opened, name, point, readings, audit, assumed)


def _providers(names: Iterable[str], providers: Mapping[str, Provider]) -> Iterator[ProviderRow]:
    for name in sorted(names):
        provider = provider_of(name, providers)
        yield ProviderRow(
            provider=name, host=provider.cloud, standing=provider.standing, why=provider.why
        )


def _check_hosts(
    hosts: Mapping[str, str], events: Sequence[Listing], opened: OpenAgreement
) -> None:
    """Refuse providers that list nothing, and hosts that nobody knows."""
    listing = {event.provider for event in events}
    # Providers may host on clouds that this agreement does not name.
    clouds = {
        *opened.catalog.clouds,
        *(provider.cloud for provider in PROVIDERS.values() if provider.cloud),
    }
    problems = []
    for name, host in hosts.items():
        if name not in listing:
            problem, remedy = f"unknown provider {name!r}", f"Known: {', '.join(sorted(listing))}."
            problems.append(
                Problem(what=problem, why="it lists nothing", where="--provider", remedy=remedy)
            )
        if host not in (RESALE, UNKNOWN, *clouds):
            problem, remedy = (
                f"unknown host {host!r}",
                f"Known: {', '.join((RESALE, UNKNOWN, *sorted(clouds)))}.",
            )
            problems.append(
                Problem(
                    what=problem,
                    why="no cloud is called so",
                    where=f"--provider {name}",
                    remedy=remedy,
                )
            )
    refuse_any(problems)


def listed_prices(
    model: str, listings: Path | None = None, as_of: str | None = None, known_at: str | None = None
) -> tuple[StatedPrice, ...]:
    """Return the listed prices of a model, oldest first; with `as_of`, the price in force on that
    day. Both as known at a point, by default now. Raise InvalidInput for a model that nobody
    lists."""
    point, day = known_point(known_at), day_given(as_of, "--as-of")
    _, events = open_listings(listings)
    observations = [
        observation
        for observation in price_observations(events)
        if model in (observation.product, observation.model)
    ]
    if not observations:
        remedy = "Name it as a provider does, for example gpt-5."
        raise InvalidInput.of(
            what=f"{model!r} is not listed",
            why="no event names it",
            where="--model",
            remedy=remedy,
        )
    # A model listed only after that point is known, and has no price yet.
    shown = [observation for observation in observations if observation.known <= point]
    if day is not None:
        shown = price_in_force(shown, day, point)
    return tuple(_price(observation) for observation in shown)


def _view(
    opened: OpenAgreement,
    name: str,
    point: KnownAt,
    readings: Mapping[str, str],
    audit: Audit,
    providers: tuple[ProviderRow, ...],
) -> AuditView:
    return AuditView(
        title=opened.agreement.title,
        listings=name,
        known_at=str(point),
        readings=readings,
        first=audit.first,
        breaches=len(audit.breaches),
        providers=providers,
        rows=tuple(_row(finding) for finding in audit.findings),
    )


def _row(finding: AuditFinding) -> AuditRow:
    return AuditRow(
        product=finding.product,
        cloud=finding.cloud,
        order=finding.order,
        why=finding.why,
        bound=finding.bound,
        why_bound=finding.why_bound,
        breach=finding.breach,
        term=f"{finding.term.term} ({finding.term.document}:{finding.term.line})"
        if finding.term
        else "",
        on_first=tuple(map(_evidence, finding.on_first)),
        elsewhere=tuple(map(_evidence, finding.elsewhere)),
        first_seen=_evidence(finding.first_seen),
    )


def _evidence(shipment: Shipment) -> EvidenceRow:
    return EvidenceRow(
        seller=shipment.seller,
        cloud=shipment.cloud,
        day=shipment.effective,
        known=str(shipment.known),
        evidence=shipment.evidence,
        listed=shipment.listed,
        why=shipment.why,
        document=shipment.document,
        line=shipment.line,
    )


def _price(observation: PriceObservation) -> StatedPrice:
    return StatedPrice(
        provider=observation.provider,
        model=observation.model,
        input=_text(observation.input),
        output=_text(observation.output),
        cache_read=_text(observation.cache_read),
        effective=observation.effective,
        known=str(observation.known),
        commit=observation.commit,
        corrects=observation.corrects,
    )


def _text(price: object) -> str:
    return "" if price is None else str(price)

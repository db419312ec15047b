"""Listing histories as facts: who listed which model, repriced it or took it down, and when that
became known.

A history is CSV with the columns of models.dev's events (`data/README.md`). The commit time is when
an event became known; the listing itself happened by then at the latest, and how much earlier is
unknown. Models that a provider lists within its first days in a history had been listed before: the
catalogue was being filled.

A listing names a *provider*. `PROVIDERS` says where it hosts, with the reason and its standing: a
resale of models that another cloud hosts is not another host, but no listing marks a resale. A
caller with better knowledge names the provider (`providers_with`).
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from io import StringIO
from typing import Protocol

import msgspec

from clauseway.decisions import Shipment
from clauseway.exchange.cells import CsvRow, csv_rows
from clauseway.values import (
    BadNumber,
    InvalidInput,
    KnownAt,
    Problem,
    day_of,
    instant_ns,
    read_decimal,
    refuse_any,
)

# A provider that came new into the catalogue was filled in over its first days.
OPENING = timedelta(days=7)


class _Wrong(Protocol):
    """Notes a problem of a cell."""

    def __call__(self, message: str, why: str, remedy: str) -> None: ...


class Provider(msgspec.Struct, frozen=True):
    """The provider of a listing. `cloud` is the host of its models, if that is a launch on a cloud;
    `maker` is true for the model's own maker.

    `standing`: known (its name says it), assumed (by us), chosen (by the caller).
    """

    cloud: str
    why: str
    maker: bool = False
    standing: str = "known"


KNOWN, ASSUMED, CHOSEN = "known", "assumed", "chosen"
# Words that mean: this provider has no cloud of its own.
RESALE, UNKNOWN = "resale", "unknown"
_RESALE = "resale of what Azure hosts: a launch on no other cloud"
PROVIDERS: Mapping[str, Provider] = {
    "openai": Provider(
        "",
        "OpenAI's direct offering: it dates the first shipment and is a launch on no cloud",
        True,
    ),
    "azure": Provider("azure", "Microsoft's own cloud"),
    "azure-cognitive-services": Provider("azure", "Microsoft's own cloud, under another name"),
    "amazon-bedrock": Provider("aws", "Amazon's own service on AWS"),
    "google-vertex": Provider("google-cloud", "Google's own service on its cloud"),
    "cloudflare-workers-ai": Provider("cloudflare", "Cloudflare's own network"),
    # The hosts behind these are our reading of their documentation, not evidence in any listing.
    "github-models": Provider("", _RESALE, standing=ASSUMED),
    "github-copilot": Provider("", _RESALE, standing=ASSUMED),
    "sap-ai-core": Provider("", _RESALE, standing=ASSUMED),
    "databricks": Provider("", _RESALE, standing=ASSUMED),
    "snowflake-cortex": Provider("", _RESALE, standing=ASSUMED),
    "openrouter": Provider(
        "", "a router to the endpoints of others: a launch on no cloud", standing=ASSUMED
    ),
}
_UNKNOWN = Provider(
    "", "no host is on record for this provider: a launch on no cloud", standing=ASSUMED
)
# How people write the providers of listings, and a cloud that only listings name. Any other stays
# as the listing has it.
NAMES: Mapping[str, str] = {
    "amazon-bedrock": "Amazon Bedrock",
    "azure-cognitive-services": "Azure AI Services",
    "google-vertex": "Google Vertex AI",
    "cloudflare-workers-ai": "Cloudflare Workers AI",
    "cloudflare": "Cloudflare",
    "github-models": "GitHub Models",
    "github-copilot": "GitHub Copilot",
    "sap-ai-core": "SAP AI Core",
    "databricks": "Databricks",
    "snowflake-cortex": "Snowflake Cortex",
    "openrouter": "OpenRouter",
}

_COLUMNS = (
    "provider",
    "model",
    "committed_at",
    "commit",
    "event",
    "input_usd_per_mtok",
    "output_usd_per_mtok",
    "cache_read_usd_per_mtok",
    "open_weights",
)
# A million tokens for a million dollars is a slip of the pen.
_PRICE_BELOW = 1_000_000
_EVENTS = ("listed", "price", "removed")
# OpenAI's models among those of other vendors, by the names it gives them.
_OPENAI = re.compile(r"(gpt|chatgpt|codex|text-embedding-(3|ada))-|o[134](-|$)")
# Providers' own additions to a model's name, in front of it and behind it.
_BEFORE = re.compile(r"^(~|@cf/|us-gov\.|databricks-)*(openai(/|\.|-|%2F))?")
_BEHIND = re.compile(r"(-1:0|:free|:exacto|-maas|-latest)$")
# Databricks writes gpt-5-4 for gpt-5.4.
_DASHED = re.compile(r"^(gpt-\d)-(\d)(?=-|$)")


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """An event of a history. `product` is the model's name without the provider's additions.

    Prices are USD per million tokens, None if not stated; `opening`: the history of this provider
    was still being entered.
    """

    provider: str
    model: str
    product: str
    event: str
    known: KnownAt
    commit: str
    input: Decimal | None
    output: Decimal | None
    cache_read: Decimal | None
    open_weights: bool
    opening: bool
    line: int

    @property
    def day(self) -> date:
        """Return the latest possible day of the event (UTC)."""
        return day_of(self.known.instant_ns)

    @property
    def prices(self) -> tuple[Decimal | None, Decimal | None, Decimal | None]:
        return (self.input, self.output, self.cache_read)


class PriceObservation(msgspec.Struct, frozen=True, kw_only=True):
    """Prices that a provider stated, USD per million tokens.

    `effective`: from this day at the latest; `known`: since when that is known. A correction
    (`corrects` names the commit) has the effective day of the price it corrects.
    """

    provider: str
    model: str
    product: str
    input: Decimal | None
    output: Decimal | None
    cache_read: Decimal | None
    effective: date
    known: KnownAt
    commit: str
    corrects: str = ""


# Reading


def read_listings(name: str, text: str) -> tuple[Listing, ...]:
    """Return the events on OpenAI's models, in the order in which they became known. Raise
    InvalidInput with all problems."""
    problems: list[Problem] = []
    listings: list[Listing] = []
    rows = csv_rows(StringIO(text, newline=""))
    heading = next(rows, CsvRow(1, 1, []))
    refuse_any(_not_csv(heading, name))
    _check_columns(heading.cells, name)
    for row in rows:
        problems += _not_csv(row, name)
        if row.cells:
            cells = dict(zip(heading.cells, row.cells, strict=False))
            read = _listing(cells, name, row.last, problems)
            if read is not None:
                listings.append(read)
    refuse_any(problems)
    # A router's own alias (`~…`), such as for the newest model, is not a product.
    return tuple(
        listing
        for listing in _with_opening(listings)
        if _OPENAI.match(listing.product) and not listing.model.startswith("~")
    )


def _not_csv(row: CsvRow, name: str) -> list[Problem]:
    """Return why the lines of a row are no CSV, where they are none."""
    if not row.problem:
        return []
    remedy = "Give a CSV as spreadsheets write it, in UTF-8; close each quotation mark."
    return [
        Problem(what="not valid CSV", why=row.problem, where=name, line=row.first, remedy=remedy)
    ]


def _check_columns(names: Iterable[str], name: str) -> None:
    missing = [column for column in _COLUMNS if column not in names]
    if missing:
        remedy = f"Give a CSV with the columns {', '.join(_COLUMNS)}."
        message = f"no column {', '.join(map(repr, missing))}"
        raise InvalidInput.of(what=message, why="it is needed", where=name, line=1, remedy=remedy)


def _listing(
    row: Mapping[str, str], name: str, line: int, problems: list[Problem]
) -> Listing | None:
    cells = {column: row.get(column, "").strip() for column in _COLUMNS}
    before = len(problems)

    def wrong(message: str, why: str, remedy: str) -> None:
        problems.append(Problem(what=message, why=why, where=name, line=line, remedy=remedy))

    # Read every cell before giving up the row, so that all its mistakes are reported.
    if cells["event"] not in _EVENTS:
        wrong(
            f"unknown event {cells['event']!r}",
            "nothing else happens to a listing",
            f"Write {', '.join(_EVENTS)}.",
        )
    for column in ("provider", "model", "commit"):
        if not cells[column]:
            wrong(f"no {column}", "the cell is empty", f"Name the {column}.")
    try:
        known_at = KnownAt(_instant(cells["committed_at"]), line)
    except (ValueError, OverflowError) as error:
        wrong(
            f"{cells['committed_at']!r} is not a time",
            str(error),
            "Write it as 2026-04-27T08:00:00+00:00.",
        )
        # A placeholder, so that the other cells are read too; the problem drops the row.
        known_at = KnownAt.always()
    prices = [_price(cells[column], wrong) for column in _COLUMNS[5:8]]
    if len(problems) > before:
        return None
    return Listing(
        provider=cells["provider"],
        model=cells["model"],
        product=product_of(cells["model"]),
        event=cells["event"],
        known=known_at,
        commit=cells["commit"],
        input=prices[0],
        output=prices[1],
        cache_read=prices[2],
        open_weights=cells["open_weights"] == "True",
        opening=False,
        line=line,
    )


def _instant(text: str) -> int:
    """Return an instant with its offset from UTC, as nanoseconds since 1970."""
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError("it has no offset from UTC")
    return instant_ns(instant)


def _price(text: str, wrong: _Wrong) -> Decimal | None:
    if not text:
        return None
    try:
        price = read_decimal(text, exponent=True)
        if price < _PRICE_BELOW:
            return price
        raise BadNumber(f"it is not below {_PRICE_BELOW}", "Write USD per million tokens.")
    except BadNumber as error:
        wrong(f"{text!r} is not a price", error.why, error.remedy)
    return None


def product_of(model: str) -> str:
    """Return a model's own name, without the provider's additions."""
    return _DASHED.sub(r"\1.\2", _BEHIND.sub("", _BEFORE.sub("", model)))


def _with_opening(listings: Iterable[Listing]) -> Iterator[Listing]:
    """Yield the listings in the order of knowledge, marked while the provider's history was still
    being entered."""
    began: dict[str, date] = {}
    for listing in sorted(listings, key=lambda listed: listed.known):
        first = began.setdefault(listing.provider, listing.day)
        yield msgspec.structs.replace(listing, opening=listing.day < first + OPENING)


# Facts


def providers_with(chosen: Mapping[str, str]) -> Mapping[str, Provider]:
    """Return the providers, with the caller's choices: a host cloud, a resale, or unknown."""
    words = {
        RESALE: Provider("", "a resale: a launch on no other cloud", standing=CHOSEN),
        UNKNOWN: Provider("", "where it hosts is not known: a launch on no cloud", standing=CHOSEN),
    }
    own = {
        name: words.get(host) or Provider(host, f"it hosts on {host}", standing=CHOSEN)
        for name, host in chosen.items()
    }
    return {**PROVIDERS, **own}


def provider_of(name: str, providers: Mapping[str, Provider]) -> Provider:
    return providers.get(name, _UNKNOWN)


def shipments(
    listings: Iterable[Listing], known_at: KnownAt, providers: Mapping[str, Provider]
) -> list[Shipment]:
    """Return the listings known at a point, as evidence of shipments: each model's first at each
    provider.

    Among listings of one commit the first by name counts.
    """
    listings = list(listings)
    open_weights = {
        listing.product
        for listing in listings
        if listing.open_weights or listing.product.startswith("gpt-oss")
    }
    first: dict[tuple[str, str], Listing] = {}
    for listing in sorted(
        listings, key=lambda listed: (listed.known.instant_ns, listed.model, listed.commit)
    ):
        if listing.event == "listed" and listing.known <= known_at:
            first.setdefault((listing.provider, listing.product), listing)
    return [
        _shipment(
            listing, provider_of(listing.provider, providers), listing.product in open_weights
        )
        for listing in first.values()
    ]


def _shipment(listing: Listing, provider: Provider, open_weights: bool) -> Shipment:
    return Shipment(
        product=listing.product,
        cloud=provider.cloud,
        seller=listing.provider,
        by_maker=provider.maker or bool(provider.cloud),
        effective=listing.day,
        known=listing.known,
        evidence=f"{listing.provider} {listing.model} {listing.commit}",
        why=provider.why,
        commit=listing.commit,
        listed=True,
        opening=listing.opening,
        open_weights=open_weights,
    )


def price_observations(listings: Iterable[Listing]) -> list[PriceObservation]:
    """Return the stated prices, in the order in which they became known. A withdrawn price is no
    longer stated.

    A price that only gains digits (0.13, then 0.125) is no new price: it corrects the rounded price
    stated before, from the day on which that took effect.
    """
    last: dict[tuple[str, str], PriceObservation] = {}
    observations: list[PriceObservation] = []
    for listing in sorted(listings, key=lambda listed: listed.known):
        before = last.get((listing.provider, listing.model))
        # A removal leaves the last price known, so a model listed again at that price states
        # nothing new.
        if listing.event == "removed" or (before is not None and _prices(before) == listing.prices):
            continue
        corrects = (
            before
            if before is not None and _only_gains_digits(_prices(before), listing.prices)
            else None
        )
        observed = PriceObservation(
            provider=listing.provider,
            model=listing.model,
            product=listing.product,
            input=listing.input,
            output=listing.output,
            cache_read=listing.cache_read,
            effective=corrects.effective if corrects else listing.day,
            known=listing.known,
            commit=listing.commit,
            corrects=corrects.commit if corrects else "",
        )
        last[listing.provider, listing.model] = observed
        observations.append(observed)
    return observations


def price_in_force(
    observations: Iterable[PriceObservation], as_of: date, known_at: KnownAt
) -> list[PriceObservation]:
    """Return each provider's and model's price on a day, as known at a point.

    The latest price in effect wins; among prices of one day, the one known last.
    """
    latest: dict[tuple[str, str], PriceObservation] = {}
    for observed in sorted(observations, key=lambda price: (price.effective, price.known)):
        if observed.effective <= as_of and observed.known <= known_at:
            latest[observed.provider, observed.model] = observed
    return list(latest.values())


def _prices(observed: PriceObservation) -> tuple[Decimal | None, Decimal | None, Decimal | None]:
    return (observed.input, observed.output, observed.cache_read)


def _only_gains_digits(before: Iterable[Decimal | None], after: Iterable[Decimal | None]) -> bool:
    return all(_gains_digits(*pair) for pair in zip(before, after, strict=True))


def _gains_digits(before: Decimal | None, after: Decimal | None) -> bool:
    """True if a price is the one before, or rounds (half up) to it at the places that were
    stated."""
    if before is None or after is None:
        return before == after
    return before in (after, after.quantize(before, ROUND_HALF_UP))

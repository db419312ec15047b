"""Public list prices as a price book: those that the library genai-prices carries, each with the
day it began.

Where a price has no day it counts as listed since 1970; a price is known from the day on which it
began, because it was public from then on. The library is part of the extra `settle`; without it
there is no list, and nothing is guessed.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from functools import cache, lru_cache
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

import msgspec

from clauseway.catalog.cloud_names import CLOUD_NAMES
from clauseway.metering import Unit
from clauseway.pricing import Conditions, PriceBook, PriceEntry
from clauseway.values import FOREVER, Interval, KnownAt, round_half_even

_LIBRARY = "genai_prices"
_ALWAYS = date(1970, 1, 1)
# Lister → the host cloud whose prices it lists. A listing says nothing of other clouds.
_CLOUDS = {name: names.cloud for names in CLOUD_NAMES for name in names.listings}
# Listed per million, and counted here.
_UNITS: Mapping[str, Unit] = {
    "input_mtok": Unit.INPUT_TOKENS,
    "cache_read_mtok": Unit.CACHED_INPUT_TOKENS,
    "cache_write_mtok": Unit.CACHE_WRITE_TOKENS,
    "cache_write_1h_mtok": Unit.CACHE_WRITE_1H_TOKENS,
    "input_audio_mtok": Unit.AUDIO_INPUT_TOKENS,
    "input_image_mtok": Unit.IMAGE_INPUT_TOKENS,
    "output_mtok": Unit.OUTPUT_TOKENS,
    "output_reasoning_mtok": Unit.REASONING_TOKENS,
    "output_audio_mtok": Unit.AUDIO_OUTPUT_TOKENS,
    "output_image_mtok": Unit.IMAGE_OUTPUT_TOKENS,
}
# The library's words for how a request was served, and whether the answer names the tier or the way
# it was sent does.
_TIER_KEYS = ("service_tier", "processing")
_PICOS_PER_MILLION = Decimal(1_000_000)


@cache
def list_book() -> PriceBook:
    """Return the list prices; an empty book where the library is not installed."""
    if find_spec(_LIBRARY) is None:
        return PriceBook(name="no list prices", digest=hashlib.sha256().hexdigest(), entries=())
    name = f"genai-prices {version('genai-prices')}"
    data = import_module(f"{_LIBRARY}.data")
    entries = tuple(
        entry
        for provider in data.providers
        if provider.id in _CLOUDS
        for model in provider.models
        for entry in _entries(provider.id, model, name)
    )
    return listed_book(name, msgspec.json.encode(entries).decode())


def listed_now(provider: str, model: str, day: date) -> list[PriceEntry]:
    """Return what a vendor lists for a model on a day, under whatever name the vendor has for it.

    Empty where nothing is listed, and where the library is not installed.
    """
    if not (lists := _listed_by(provider)):
        return []
    name = f"genai-prices {version('genai-prices')}"
    return [
        entry
        for each in lists
        if (listed_model := each.find_model(model)) is not None
        for entry in _entries(provider, listed_model, name)
        if entry.interval.begin <= day < entry.interval.end
    ]


def is_listed(provider: str, model: str) -> bool:
    """Return whether a vendor lists a model under a name of its own or another that it means."""
    return any(each.find_model(model) is not None for each in _listed_by(provider))


def listed_names(provider: str) -> list[str]:
    """Return the names of the models that a vendor lists, as the list has them."""
    return [model.id for each in _listed_by(provider) for model in each.models]


def _listed_by(provider: str) -> list[Any]:
    """Return the list of a vendor; none where the library is not installed."""
    if find_spec(_LIBRARY) is None:
        return []
    listed = import_module(f"{_LIBRARY}.data").providers
    return [each for each in listed if each.id == provider]


# A home's book is read by every command and page, and seldom changes.
@lru_cache(maxsize=4)
def listed_book(name: str, text: str) -> PriceBook:
    """Return a list of prices from its text, as `list_book` wrote it. Raise msgspec.DecodeError."""
    entries = msgspec.json.decode(text, type=tuple[PriceEntry, ...]) if text else ()
    return PriceBook(
        name=name, digest=hashlib.sha256(text.encode()).hexdigest(), entries=entries, text=text
    )


def _entries(provider: str, model: Any, book: str) -> Iterator[PriceEntry]:
    """Yield the prices of a model, in every tier.

    One with prices by the minute of the day is left out.
    """
    stretches = _stretches(model)
    variants = [variant for variant in model.price_variants or () if _tier(variant)]
    if stretches is None or any(_begin(variant.constraint) is None for variant in variants):
        return
    product, region = _product(provider, model.id)
    source = f"genai-prices: {provider} lists {model.id}"
    for key, unit in _UNITS.items():
        steps = sorted(
            {step for _, prices in stretches for step in _steps(getattr(prices, key, None))}
        )
        # Dated prices in the default tier, then the variants of other tiers.
        for days, tier, price in [
            *((days, "", getattr(prices, key, None)) for days, prices in stretches),
            *(
                (
                    Interval(_begin(variant.constraint) or _ALWAYS),
                    _tier(variant),
                    getattr(variant.prices, key, None),
                )
                for variant in variants
            ),
        ]:
            for above in _lengths(price, tier, steps):
                yield PriceEntry(
                    conditions=Conditions(
                        (product, _CLOUDS.get(provider, ""), "", region, "", tier, ""), above
                    ),
                    unit=unit,
                    interval=days,
                    known_at=KnownAt.recorded_on(days.begin),
                    price=_picos(_at(price, above)),
                    source=source,
                    line=0,
                    book=book,
                )


def _stretches(model: Any) -> list[tuple[Interval, Any]] | None:
    """Return the days on which each set of prices holds; None where it is not days that decide."""
    if not isinstance(model.prices, list):
        return [(Interval(_ALWAYS), model.prices)]
    dated = [(_begin(price.constraint), price.prices) for price in model.prices]
    begins = [begin for begin, _ in dated if begin is not None]
    if len(begins) < len(dated) or begins != sorted(set(begins)):
        return None
    # Before the first of them the library takes the first.
    ends = [end for _, end in pairwise([*begins, FOREVER])]
    return [
        (Interval(_ALWAYS if place == 0 else begins[place], ends[place]), prices)
        for place, (_, prices) in enumerate(dated)
    ]


def _begin(constraint: Any) -> date | None:
    if constraint is None:
        return _ALWAYS
    begin = getattr(constraint, "start_date", None)
    assert begin is None or isinstance(begin, date), f"{begin!r} is no day"
    return begin


def _tier(variant: Any) -> str:
    """Return the tier that a variant is for; empty where it is for something else."""
    if len(variant.when) != 1:
        return ""
    return next((str(variant.when[key]) for key in _TIER_KEYS if key in variant.when), "")


def _product(provider: str, model: str) -> tuple[str, str]:
    """Return the catalog's name, and the region where it is part of the listed one."""
    region = "global" if model.startswith("global.") else ""
    bare = model.removeprefix("global.").removeprefix("regional.")
    return (bare.removeprefix("openai.") if provider == "aws" else bare), region


def _steps(price: Any) -> Iterable[int]:
    return [tier.start for tier in getattr(price, "tiers", ())]


def _lengths(price: Any, tier: str, steps: Iterable[int]) -> Iterable[int]:
    """Return the lengths of context above which the book needs a line for a price.

    The price of a tier needs one at the steps of the other tiers too: its own steps may be fewer.
    """
    if price is None:
        return ()
    return (0, *sorted({*_steps(price), *(steps if tier else ())}))


def _at(price: Any, above: int) -> Decimal:
    """Return the price of a request with more input tokens than `above`."""
    if isinstance(price, Decimal):
        return price
    price_at = price.base
    for tier in price.tiers:
        if tier.start <= above and above:
            price_at = tier.price
    assert isinstance(price_at, Decimal), f"{price_at!r} is no price"
    return price_at


def _picos(usd_per_million: Decimal) -> int:
    return int(round_half_even(usd_per_million * _PICOS_PER_MILLION, Decimal(1)))

"""The price books in use: an operator's own over the shipped one over the public list; and the
working of one price."""

import re
from collections.abc import Iterable, Iterator, Mapping, Set
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from importlib import resources
from pathlib import Path

import msgspec

from clauseway.app.opening.list_prices import list_book
from clauseway.app.opening.places import read_text
from clauseway.ledger.exchange_rates import Rates, read_rates
from clauseway.metering import Unit, problems_of
from clauseway.metering.endpoints import ENDPOINTS, TIERS, has_length
from clauseway.metering.units import BY_COLUMN, WHOLES, WHOLES_OF
from clauseway.pricing import (
    ChargeLine,
    PriceBook,
    PriceEntry,
    PriceTable,
    Sale,
    UnknownPrice,
    parse_book,
)
from clauseway.pricing.price_conditions import NAMES
from clauseway.pricing.price_table import in_context
from clauseway.pricing.working import Considered, considered
from clauseway.values import (
    USD,
    BadNumber,
    InvalidInput,
    Problem,
    counted,
    exact_product,
    nearest_name,
    parse_day,
    problem_of_name,
    read_whole,
    refuse_any,
    suggestion,
)

# Short names for the units in every bill.
_SHORT: Mapping[str, Unit] = {
    "in": Unit.INPUT_TOKENS,
    "cached": Unit.CACHED_INPUT_TOKENS,
    "out": Unit.OUTPUT_TOKENS,
    "reasoning": Unit.REASONING_TOKENS,
}
SHIPPED = "prices.csv"
# The remedy for usage without a price.
TODO_PRICE = "Add the price to a book of yours and accept that: clauseway basis prices FILE --why …"
# A price is of a product on a cloud; the other names narrow it.
_PRICED_BY = ("product", "cloud")
# Names that no list can hold: a cloud opens regions, and anybody may buy.
_NARROWED_BY = ("region", "buyer")
# How much of two names has to be the same for one to be taken for a slip of the other.
_SAME_LEAST = 0.85
# The longest list of names that is shown, in characters.
_MOST_NAMED = 400
_SNAPSHOT = re.compile(r"-\d{4}-\d\d-\d\d$")


def shipped_books() -> tuple[PriceBook, PriceBook]:
    """Return the books that come with this version: the shipped one, and the public list."""
    return _shipped(), list_book()


def own_rates(path: Path) -> Rates:
    """Return the exchange rates that the operator supplies. Raise InvalidInput with every problem
    in them."""
    rates = read_rates(read_text(path, "the rates", "utf-8-sig"), str(path))
    return Rates(rates.all, path.name, rates.digest, rates.text)


@cache
def _shipped() -> PriceBook:
    book = resources.files("clauseway.pricing") / "data" / SHIPPED
    return parse_book(book.read_text("utf-8"), SHIPPED)


def _names_unseen(book: PriceBook, path: Path) -> Iterator[Problem]:
    """Yield the names that no request could have, as one that ends in a character of no width: the
    price would count for nothing. Books that homes hold from before are read as they are."""
    for entry in book.entries:
        for name in filter(None, entry.conditions.names):
            if (problem := problem_of_name(name, str(path), entry.line)) is not None:
                yield problem


def own_book(path: Path) -> PriceBook:
    """Return a book of the operator's, named after its file.

    Raise InvalidInput with everything wrong in it.
    """
    book = parse_book(read_text(path, "the price book", "utf-8-sig"), str(path))
    refuse_any(_names_unseen(book, path))
    # Books are distinguished by their names: an operator's file may be called as the shipped one
    # is.
    name = path.name if path.name != SHIPPED else f"own {path.name}"
    entries = tuple(msgspec.structs.replace(entry, book=name) for entry in book.entries)
    return msgspec.structs.replace(book, name=name, entries=entries)


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """An entry that was looked at: where it stands, what it says, and whether and why it won.

    Where it `holds`, product, cloud and all its other conditions are those of the sale.
    """

    place: str
    verdict: str
    why: str
    says: str
    conditions: str
    source: str
    holds: bool


class ChargePart(msgspec.Struct, frozen=True, kw_only=True):
    """One unit's part of a charge.

    `per_million` × `quantity` / 1,000,000 = `amount`, every digit kept.
    """

    unit: str
    quantity: int
    per_million: Decimal
    amount: Decimal
    place: str
    source: str
    looked_at: tuple[Looked, ...]


class PriceWorking(msgspec.Struct, frozen=True, kw_only=True):
    """A charge and how it came about.

    `books` in the order in which they go before each other; `usd` is the amount at the rate of the
    day, where it is in another currency.
    """

    product: str
    cloud: str
    seller: str
    region: str
    buyer: str
    tier: str
    endpoint: str
    at: date
    hour: int
    known_at: str
    books: tuple[str, ...]
    parts: tuple[ChargePart, ...]
    amount: Decimal
    currency: str
    usd: Decimal | None = None
    note: str = ""


class UnlistedUnit(msgspec.Struct, frozen=True, kw_only=True):
    """A unit that a book does not list for a model that it prices, and what becomes of it."""

    product: str
    cloud: str
    unit: str
    then: str


class CheckedBook(msgspec.Struct, frozen=True, kw_only=True):
    """A sound book: what it holds, what it lacks of the models that it prices (on a cloud, empty for
    any), and the names in it that are nearly those of other books."""

    file: str
    prices: int
    discounts: int
    products: tuple[str, ...]
    first_day: date | None
    digest: str
    lacks: tuple[UnlistedUnit, ...] = ()
    slips: tuple[str, ...] = ()


# A million tokens each way. Of one request they would be priced as a long one.
USUAL_TOKENS = "in=1000000,out=1000000,requests=1000"


def show_working(
    table: PriceTable, sale: Sale, at: date, tokens: str, sellers: Iterable[str]
) -> PriceWorking:
    """Price so many tokens (`in=1000,cached=400,out=500`) and show how.

    `sellers` are the parties of the agreements. Raise InvalidInput, also for a sale without a
    cloud, for a name that nothing knows, and for a price that no book has.
    """
    if not sale.cloud:
        why, remedy = "prices differ from cloud to cloud", "Name the host cloud, as azure."
        raise InvalidInput.of(what="no cloud", why=why, where="--cloud", remedy=remedy)
    sale = msgspec.structs.replace(sale, product=_known_product(table, sale.product))
    _check_names(table, sale, sellers)
    report = _report(tokens)
    try:
        charge = table.charge(sale, at, report)
    except UnknownPrice as error:
        raise InvalidInput(_unknown(error)) from None
    return PriceWorking(
        product=sale.product,
        cloud=sale.cloud,
        seller=sale.seller,
        region=sale.region,
        buyer=sale.buyer,
        tier=sale.tier,
        endpoint=sale.endpoint,
        at=at,
        hour=sale.hour,
        known_at=str(table.known_at),
        books=tuple(book.name for book in table.books),
        parts=tuple(_part(table, sale, at, report, line) for line in charge.lines),
        amount=charge.amount,
        currency=charge.currency,
        usd=None
        if charge.currency == USD
        else exact_product(charge.amount, table.usd(charge.currency, at)),
        note=" ".join(
            filter(None, [_of_length(table, sale, report), *_without_entry(table, sale)])
        ),
    )


def _check_names(table: PriceTable, sale: Sale, sellers: Iterable[str]) -> None:
    """Raise InvalidInput for a name that no book has and nothing else knows: a misspelt tier would
    be priced as any."""
    known: Mapping[str, Iterable[str]] = {
        "product": (),
        "cloud": (),
        "seller": sellers,
        "tier": filter(None, TIERS),
        "endpoint": ENDPOINTS,
    }
    problems = [
        Problem(
            what=f"unknown {part} {name!r}",
            why="no price book names it",
            where="MODEL" if part == "product" else f"--{part}",
            remedy=_named_instead(name, names, part),
        )
        for part, others in known.items()
        if (name := getattr(sale, part))
        and name not in (names := {*_named(table, part), *others})
        and not (part in _PRICED_BY and _prices_any(table, part))
    ]
    # Regions and buyers have any name: one that is none would be priced as one without entries.
    problems += [
        problem
        for part, name in (("region", sale.region), ("buyer", sale.buyer))
        if name and (problem := problem_of_name(name, f"--{part}"))
    ]
    refuse_any(problems)


def _named_instead(name: str, names: set[str], part: str) -> str:
    remedy = suggestion(name, names)
    if part == "product" and len(remedy) > _MOST_NAMED:
        remedy = f"{len(names):,} products are known."
    own = "One of your own: add it to a price book and name that with --prices."
    return " ".join(filter(None, [remedy, own, _lists_missing()]))


def _lists_missing() -> str:
    """Say how to get the public list prices, where this installation has none."""
    if list_book().entries:
        return ""
    return "The public list prices are not installed: pip install 'clauseway[settle]'."


def _without_entry(table: PriceTable, sale: Sale) -> Iterator[str]:
    """Yield a warning for each name that only narrows a price and that no book knows: a price of
    any region is one of that region too, so a misspelt region would go unnoticed."""
    for part in _NARROWED_BY:
        name = getattr(sale, part)
        if name and name not in (names := _named(table, part)):
            yield f"No price book names the {part} {name!r}, so it has the price of any {part}."
            yield suggestion(name, names) if names else ""


def _named(table: PriceTable, part: str) -> set[str]:
    """Return what the books name of a part."""
    place = NAMES.index(part)
    every = (entry.conditions.names[place] for book in table.books for entry in book.entries)
    return {name for name in every if name}


def _prices_any(table: PriceTable, part: str) -> bool:
    """Return whether an entry has a price for any name of a part."""
    place = NAMES.index(part)
    entries = (entry for book in table.books for entry in book.entries)
    return any(not entry.conditions.names[place] for entry in entries if not entry.is_discount)


def _unknown(error: UnknownPrice) -> Problem:
    own = "Add it to a price book of yours: name it with --prices to try, `clauseway basis prices` to hold it."
    remedy = " ".join(filter(None, [own, _lists_missing()]))
    return Problem(what="unknown price", why=str(error), where="price book", remedy=remedy)


def _of_length(table: PriceTable, sale: Sale, report: Mapping[Unit, int]) -> str:
    """Return a warning where usage sums many requests and their length changes the price."""
    place = Sale(sale.product, sale.cloud, sale.seller, sale.region)
    step = min(table.grain([place]).dear.values(), default=0)
    if not step or has_length(sale.endpoint, report.get(Unit.REQUESTS, 1)):
        return ""
    return (
        f"A sum of many requests: how long each was is not known. One above {step} input "
        f"tokens has another price."
    )


def check_book(path: Path, sellers: Iterable[str]) -> CheckedBook:
    """Check a book of the operator's. `sellers` are the parties of the agreements.

    Raise InvalidInput with everything wrong in it.
    """
    book = own_book(path)
    return CheckedBook(
        file=str(path),
        prices=sum(not entry.is_discount for entry in book.entries),
        discounts=sum(entry.is_discount for entry in book.entries),
        products=tuple(
            sorted({entry.conditions.product or "any product" for entry in book.entries})
        ),
        first_day=min((entry.interval.begin for entry in book.entries), default=None),
        digest=book.digest,
        lacks=tuple(_lacks(book, (_shipped(), list_book()))),
        slips=tuple(slips_in(book, frozenset(sellers))),
    )


def slips_in(book: PriceBook, sellers: Set[str]) -> Iterator[str]:
    """Yield the names that other books and agreements write otherwise: prices under them count for
    nothing that the others price. `sellers` are the parties of the agreements.

    A product's name counts as a slip only if it differs in capitals alone: a close name is another
    version.
    """
    others = (_shipped(), list_book())
    for at, part in enumerate(NAMES[:3]):
        known = {entry.conditions.names[at] for each in others for entry in each.entries}
        known |= sellers if part == "seller" else frozenset()
        least = 1.0 if part == "product" else _SAME_LEAST
        for name in sorted({entry.conditions.names[at] for entry in book.entries} - known):
            if meant := nearest_name(name, known, least):
                yield (
                    f"Nothing else names the {part} {name!r}. Did you mean {meant!r}? What this "
                    "book states of it counts for no other."
                )


def _lacks(book: PriceBook, others: Iterable[PriceBook]) -> Iterator[UnlistedUnit]:
    """Yield the units that other books price, and this one leaves without a price, for the same
    models."""
    prices = [entry for entry in book.entries if not entry.is_discount]
    beside = [
        entry for other_book in others for entry in other_book.entries if not entry.is_discount
    ]
    for product, cloud in sorted({entry.conditions.names[:2] for entry in prices}):
        listed = _units_of(prices, product, cloud)
        # Units that others price for it; where none does, the two that every text model has.
        expected = (_units_of(beside, product, cloud) if product else set()) or {
            Unit.INPUT_TOKENS,
            Unit.OUTPUT_TOKENS,
        }
        for unit in sorted(expected - listed):
            wholes = WHOLES_OF.get(unit, ())
            whole = next((whole for whole in wholes if whole in listed), None)
            if whole is not None:
                then = f"priced as {whole.column}"
            else:
                then = (
                    "refused, because it has no price"
                    if unit in WHOLES or wholes
                    else "free of charge"
                )
            yield UnlistedUnit(
                product=product or "any product", cloud=cloud, unit=unit.column, then=then
            )


def _units_of(entries: Iterable[PriceEntry], product: str, cloud: str) -> set[Unit]:
    return {
        entry.unit
        for entry in entries
        if entry.unit is not None
        and entry.conditions.product in ("", product)
        and (not cloud or entry.conditions.names[1] in ("", cloud))
    }


def moment(text: str) -> tuple[date, int]:
    """`2026-05-01`, or `2026-05-01T22:30`, as a day and the hour of the week (UTC; -1 where none
    is named)."""
    if "T" not in text:
        return parse_day(text, "--as-of"), -1
    try:
        instant = datetime.fromisoformat(text.removesuffix("Z"))
        if instant.tzinfo is not None:
            raise ValueError("times are UTC")
    except ValueError as error:
        remedy = "Write 2026-05-01, or 2026-05-01T22:30."
        raise InvalidInput.of(
            what=f"{text!r} is not a time", why=str(error), where="--as-of", remedy=remedy
        ) from None
    return instant.date(), instant.weekday() * 24 + instant.hour


def _part(
    table: PriceTable, sale: Sale, at: date, report: Mapping[Unit, int], line: ChargeLine
) -> ChargePart:
    candidates = considered(table, sale, line.unit, at, in_context(sale, report).context)
    return ChargePart(
        unit=line.unit.column,
        quantity=line.quantity,
        per_million=Decimal(line.price).scaleb(-6),
        amount=Decimal(line.amount).scaleb(-12),
        place=line.place,
        source=line.source,
        looked_at=tuple(map(_looked, candidates)),
    )


def _looked(candidate: Considered) -> Looked:
    entry = candidate.entry
    price = f"{Decimal(entry.price).scaleb(-6).normalize():f} {entry.currency} per million"
    return Looked(
        place=entry.place,
        verdict=candidate.verdict,
        why=candidate.why,
        says=f"{entry.percent.normalize():f} % off" if entry.is_discount else price,
        conditions=_wording(entry),
        source=entry.source,
        holds=candidate.holds,
    )


def _wording(entry: PriceEntry) -> str:
    conditions = entry.conditions
    named = [
        f"{name} {value}" for name, value in zip(NAMES, conditions.names, strict=True) if value
    ]
    above = [f"above {conditions.above} input tokens"] if conditions.above else []
    hours = [f"in {counted(len(conditions.hours), 'hour')} of the week"] if conditions.hours else []
    return ", ".join([*named, *above, *hours, f"from {entry.interval.begin}"])


def _known_product(table: PriceTable, name: str) -> str:
    """Return the product of a model's name: a cloud's prefix and the day of a snapshot are no
    part of it."""
    products = _named(table, "product")
    bare = name.removeprefix("openai.")
    return next(
        (spelling for spelling in (name, bare, _SNAPSHOT.sub("", bare)) if spelling in products),
        name,
    )


def _report(text: str) -> Mapping[Unit, int]:
    """Parse `in=1000,cached=400,out=500`. Raise InvalidInput for unknown units, invalid numbers and
    parts above their wholes."""
    report: dict[Unit, int] = {}
    problems = []
    for part in filter(None, text.split(",")):
        name, _, count = part.strip().partition("=")
        unit = _SHORT.get(name) or BY_COLUMN.get(name)
        remedy = f"Write in=1000,out=500; the units are {', '.join([*_SHORT, *BY_COLUMN])}."
        try:
            if part.strip().isdecimal():
                why = "a comma stands between units, so it cannot group digits"
                raise BadNumber(why, "Write the digits alone: in=1000,out=500.")
            if unit is None or unit in report:
                raise BadNumber("it is not a unit, or it is named twice", remedy)
            report[unit] = read_whole(count)
        except BadNumber as error:
            problems.append(error.problem(f"{part!r} is not usage", "--tokens"))
    problems += [
        Problem(
            what="usage that cannot be",
            why=why,
            where="--tokens",
            remedy="Give the whole and its parts as reported.",
        )
        for why in problems_of(report)
    ]
    refuse_any(problems)
    return report


@contextmanager
def refusing_unpriced() -> Iterator[None]:
    """Raise InvalidInput for usage without a price."""
    problem, remedy = "usage has no price", TODO_PRICE
    try:
        yield
    except UnknownPrice as error:
        raise InvalidInput(
            *(
                Problem(what=problem, why=f"no price for {text}", where="price book", remedy=remedy)
                for text in error.sentences
            )
        ) from None

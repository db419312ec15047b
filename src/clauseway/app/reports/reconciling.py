"""A cloud's bill compared with the meter: read the bill, price what was metered, find what differs
and likely why.

The bill says what it covers: its billing period, its clouds, and the sellers its invoices come
from. Metered usage of these is compared, and nothing else. What was metered is priced group by
group, so that usage without a price is a finding of its own and not the end.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import msgspec

from clauseway.app.opening.home import Home
from clauseway.app.opening.several import Opened
from clauseway.app.usage.sealing import open_lake, seal
from clauseway.catalog import Catalog
from clauseway.exchange.focus.bill_fields import COSTS
from clauseway.exchange.focus.bill_rows import Bill, UncomparedRow, UnreadRow, read_bill
from clauseway.exchange.usage.focus import BillNames
from clauseway.ledger.reconciliation import (
    DISCOUNT,
    KNOWN_LATER,
    NOT_COMPARED,
    OTHER_DAY,
    OTHER_PLACE,
    OTHER_TIER,
    BillComparison,
    Billed,
    ItemPlace,
    Metered,
    OtherPrice,
    Tolerance,
    UncomparedCharge,
    reconcile,
)
from clauseway.metering import IS_ESTIMATE, Unit, billable
from clauseway.metering.endpoints import ENDPOINT_NAMES, tier_of
from clauseway.pricing import PriceEntry, PriceTable, Sale
from clauseway.pricing.price_conditions import NAMES
from clauseway.storage.lake.lake import Lake
from clauseway.storage.usage.metered import MeteredSum, metered_sums
from clauseway.values import (
    EPOCH_HOUR,
    HOURS_OF_WEEK,
    USD,
    BadNumber,
    Interval,
    InvalidInput,
    KnownAt,
    Problem,
    check_known,
    counted,
    exact_product,
    is_currency,
    read_decimal,
    read_pairs,
    refuse_any,
)

_HOURS = 24
_AS_METERED: Mapping[str, str] = {}
_HUNDRED = Decimal(100)
_TIER, _BUYER = NAMES.index("tier"), NAMES.index("buyer")


class ReconcilingScope(msgspec.Struct, frozen=True, kw_only=True):
    """The scope of a comparison: days, clouds and sellers; no seller named is all. `regions` are the
    names that the bill has for regions of the meter, where they differ."""

    days: Interval
    clouds: tuple[str, ...]
    sellers: tuple[str, ...]
    regions: Mapping[str, str] = {}


class Reconciliation(msgspec.Struct, frozen=True, kw_only=True):
    """A bill compared with the meter.

    `cost` is the bill's column that was compared; `unread` are rows left out, of which `uncounted`
    have a cost that cannot be read either. Amounts are USD.
    """

    bill: str
    cost: str
    scope: ReconcilingScope
    known_at: str
    price_book: str
    rows: int
    found: BillComparison
    unread: tuple[UnreadRow, ...]
    uncounted: int

    @property
    def is_matched(self) -> bool:
        return self.found.is_matched and not self.unread

    @property
    def is_whole(self) -> bool:
        """Return whether the matched rows are the whole bill, to its own total."""
        return self.found.is_whole and not self.unread


def reconcile_bill(
    home: Home,
    opened: Opened,
    prices: PriceTable,
    path: Path,
    *,
    tolerance: Tolerance,
    cost: str = COSTS[0],
    days: Interval | None = None,
    clouds: Sequence[str] = (),
    sellers: Sequence[str] = (),
    rates: Mapping[str, Decimal] | None = None,
    regions: Mapping[str, str] = _AS_METERED,
) -> Reconciliation:
    """Compare a bill with metered usage. Seal the spools first; change and post nothing else.

    `days`, `clouds` and `sellers` narrow what the bill covers. `regions` maps a region of the meter
    to its name on the bill: usage is priced by its own region, and compared under that name,
    together with all that has the name. Raise InvalidInput: a bill that cannot be read.
    """
    check_cost(cost)
    bill = read_bill(path, BillNames.of(opened.catalog, _priced(prices)), cost)
    seal(home)
    with open_lake(home) as lake:
        scope = _scope(bill, days, clouds, sellers, path)
        # A bill may count a request on the day before or after ours.
        around = Interval(scope.days.begin - timedelta(days=1), scope.days.end + timedelta(days=1))
        metered = list(sums_of(lake, around, prices))
    _check_scope(scope, bill, metered, opened.catalog)
    in_clouds = {usage.region for usage in metered if usage.cloud in scope.clouds}
    check_known(
        "--billed-as", regions, in_clouds, "nothing was metered there on these days and clouds"
    )
    scope = msgspec.structs.replace(scope, regions=regions)
    sums = [usage for usage in metered if usage.cloud in scope.clouds]
    scope = _sold_by(scope, sums, bill, sellers)
    covered = [usage for usage in sums if not scope.sellers or usage.seller in scope.sellers]
    rows, left = _compared(bill, scope, sellers)
    # Taxes, credits and rows outside the scope are charged, and not compared.
    beside = [_charge(row, row.kind, prices, rates or {}) for row in bill.beside]
    beside += [_charge(row, NOT_COMPARED, prices, rates or {}) for row in left]
    rows = [_in_usd(_as_covered(row, bill), prices, rates or {}) for row in rows]
    reconciled = reconcile(
        [
            msgspec.structs.replace(part, region=_on_bill(part.region, bill, regions))
            for usage in covered
            for part in _parts(usage, prices)
        ],
        rows,
        days=scope.days,
        tolerance=tolerance,
        rates=rates,
        others=_other_prices(prices, regions),
        beside=beside,
    )
    return Reconciliation(
        bill=str(path),
        cost=cost,
        scope=scope,
        known_at=str(prices.known_at),
        price_book=prices.digest,
        rows=len(rows),
        found=reconciled,
        unread=bill.unread,
        uncounted=bill.uncounted,
    )


def regions_of(items: Sequence[str]) -> dict[str, str]:
    """`global=eastus2` items: a region of the meter, and its name on the bill. Raise InvalidInput
    naming every bad one."""
    regions: dict[str, str] = {}
    for metered, billed in read_pairs(items, "--billed-as", "global=eastus2"):
        if regions.setdefault(metered, billed) != billed:
            raise InvalidInput.of(
                what=f"{metered} has two names on the bill",
                why=f"{regions[metered]} and {billed}",
                where="--billed-as",
                remedy="Give each region of the meter once.",
            )
    return regions


def rates_of(items: Sequence[str]) -> dict[str, Decimal]:
    """`EUR=1.08` items: USD for one unit of a currency. Raise InvalidInput naming every bad one."""
    rates: dict[str, Decimal] = {}
    problems = []
    for currency, value in read_pairs(items, "--rate", "EUR=1.08"):
        remedy = "Write EUR=1.08: USD for one euro. Each currency once."
        try:
            rate = read_decimal(value)
            if not is_currency(currency) or not rate or currency == USD or currency in rates:
                raise BadNumber(
                    "not a currency with a rate above zero, or it is given already", remedy
                )
        except BadNumber as error:
            item = f"{currency}={value}"
            problems.append(error.problem(f"{item!r} is not a rate", "--rate"))
        else:
            rates[currency] = rate
    refuse_any(problems)
    return rates


def tolerance_of(amount: str, quantity: str) -> Tolerance:
    """Return a tolerance from text. Raise InvalidInput."""
    given = {"--tolerance": amount, "--quantity-tolerance": quantity}
    problems = []
    numbers = []
    for flag, text in given.items():
        try:
            numbers.append(read_decimal(text))
        except BadNumber as error:
            problems.append(error.problem(f"{text!r} is not a tolerance", flag))
    refuse_any(problems)
    return Tolerance(amount=numbers[0], quantity=numbers[1])


def check_cost(cost: str) -> None:
    """Raise InvalidInput for a column that is none of FOCUS' costs."""
    if cost not in COSTS:
        remedy = f"Name one of {', '.join(COSTS)}."
        why = "FOCUS has no such cost"
        raise InvalidInput.of(
            what=f"unknown column {cost!r}", why=why, where="--cost", remedy=remedy
        )


def _priced(prices: PriceTable) -> set[str]:
    """Return the products that have a price."""
    return {entry.conditions.product for book in prices.books for entry in book.entries} - {""}


def _scope(
    bill: Bill, days: Interval | None, clouds: Sequence[str], sellers: Sequence[str], path: Path
) -> ReconcilingScope:
    if not bill.rows:
        count = (
            f"{counted(len(bill.unread), 'row')} could not be read"
            if bill.unread
            else "it has no row of category Usage"
        )
        problems = [
            Problem(
                what=f"{row.field} cannot be read",
                why=row.reason,
                where=str(path),
                line=row.line,
                remedy="Correct the row, or export the bill again.",
            )
            # A few rows show what is wrong; a bill may have millions.
            for row in bill.unread[:20]
        ]
        remedy = "Give a bill with usage."
        raise InvalidInput(
            Problem(what="the bill has no usage", why=count, where=str(path), remedy=remedy),
            *problems,
        )
    all_days = [row.day for row in bill.rows]
    begin, end = bill.period or (min(all_days), max(all_days) + timedelta(days=1))
    # Rows may lie outside the period that the bill states; they are compared too.
    stated = Interval(min(begin, min(all_days)), max(end, max(all_days) + timedelta(days=1)))
    named = tuple(sorted({row.cloud for row in bill.rows}))
    return ReconcilingScope(
        days=days or stated, clouds=tuple(sorted(clouds)) or named, sellers=tuple(sorted(sellers))
    )


def _check_scope(
    scope: ReconcilingScope, bill: Bill, metered: Sequence[MeteredSum], catalog: Catalog
) -> None:
    """Raise InvalidInput for a cloud or seller that neither the bill, the meter nor the agreement
    names."""
    why = "neither the bill, nor what was metered, nor the agreement names it"
    clouds, sellers = set(catalog.clouds), set(catalog.parties)
    for row in bill.rows:
        clouds.add(row.cloud)
        sellers.add(row.seller)
    for usage in metered:
        clouds.add(usage.cloud)
        sellers.add(usage.seller)
    check_known("--cloud", scope.clouds, clouds, why)
    check_known("--seller", scope.sellers, sellers, why)


def _sold_by(
    scope: ReconcilingScope, sums: Sequence[MeteredSum], bill: Bill, given: Sequence[str]
) -> ReconcilingScope:
    """Return the sellers that issue the bill's invoices, as far as they sold metered usage."""
    if given:
        return scope
    issuers = {row.seller for row in bill.rows if row.cloud in scope.clouds}
    metered = {usage.seller for usage in sums}
    return msgspec.structs.replace(
        scope, sellers=tuple(sorted(issuers)) if issuers & metered else ()
    )


def _compared(
    bill: Bill, scope: ReconcilingScope, sellers: Sequence[str]
) -> tuple[list[Billed], list[Billed]]:
    """Return the rows in the scope, and the rows outside it: of another day, cloud or seller."""
    rows: list[Billed] = []
    left: list[Billed] = []
    for row in bill.rows:
        is_sold = not sellers or not row.seller or row.seller in sellers
        is_within = row.day in scope.days and row.cloud in scope.clouds and is_sold
        (rows if is_within else left).append(row)
    return rows, left


def _charge(
    row: Billed | UncomparedRow, kind: str, prices: PriceTable, rates: Mapping[str, Decimal]
) -> UncomparedCharge:
    """Return a row that is not compared, in USD at its day's rate if there is a rate."""
    rate = (
        None
        if row.currency in rates or row.day is None
        else usd_rate(prices, row.currency, row.day)
    )
    if rate is None:
        return UncomparedCharge(kind=kind, cost=row.cost, currency=row.currency)
    return UncomparedCharge(kind=kind, cost=exact_product(row.cost, rate), currency=USD)


def _as_covered(row: Billed, bill: Bill) -> Billed:
    return row if bill.has_regions else msgspec.structs.replace(row, region="")


def _in_usd(row: Billed, prices: PriceTable, rates: Mapping[str, Decimal]) -> Billed:
    """Return a row in USD at its day's rate, if the rates have that day and no rate is given for
    the whole bill."""
    if row.currency in rates or (rate := usd_rate(prices, row.currency, row.day)) is None:
        return row
    step = exact_product(row.cost_step, rate)
    return msgspec.structs.replace(
        row, cost=exact_product(row.cost, rate), currency=USD, cost_step=step
    )


def sums_of(lake: Lake, days: Interval, prices: PriceTable) -> list[MeteredSum]:
    """Return metered usage, grouped by everything that a price may depend on."""
    conditions = [entry.conditions for book in prices.books for entry in book.entries]
    steps = sorted({condition.above for condition in conditions} - {0})
    return metered_sums(
        lake, days, steps, {condition.names[_BUYER] for condition in conditions} - {""}
    )


def sale_of(usage: MeteredSum) -> Sale:
    """Return everything that the price of an hour's usage depends on."""
    tier = tier_of(usage.endpoint, usage.tier)
    return Sale(
        product=usage.product,
        cloud=usage.cloud,
        seller=usage.seller,
        region=usage.region,
        buyer=usage.organisation,
        tier=tier,
        endpoint=ENDPOINT_NAMES.get(usage.endpoint, ""),
        context=usage.context,
        hour=(usage.hour + EPOCH_HOUR) % HOURS_OF_WEEK,
    )


def usd_rate(prices: PriceTable, currency: str, day: date) -> Decimal | None:
    """Return USD for one unit of a currency on a day; None without a rate."""
    try:
        return prices.usd(currency, day)
    except InvalidInput:
        return None


def _on_bill(region: str, bill: Bill, regions: Mapping[str, str]) -> str:
    """Return the name that the bill has for a region of the meter."""
    return regions.get(region, region) if bill.has_regions else ""


def _parts(usage: MeteredSum, prices: PriceTable) -> Iterator[Metered]:
    """Yield the metered units, each token once, with their charges; only wholes if nothing has a
    price."""
    day = date(1970, 1, 1) + timedelta(days=usage.hour // _HOURS)
    row = prices.row(sale_of(usage), day)
    for unit, quantity in sorted(billable(usage.units, frozenset(row.prices)).items()):
        if quantity:
            price = row.prices.get(unit)
            rate = usd_rate(prices, row.currency, day)
            yield Metered(
                hour=usage.hour,
                cloud=usage.cloud,
                seller=usage.seller,
                region=usage.region,
                product=usage.product,
                unit=unit,
                quantity=quantity,
                # Usage without a price or a rate has no amount: that is a finding of its own, and
                # not the end.
                amount=None
                if price is None or rate is None
                else exact_product(Decimal(quantity * price).scaleb(-12), rate),
                attempts=usage.attempts,
                is_estimated=usage.status in IS_ESTIMATE,
                is_late=usage.is_late,
                first_request=usage.first_request,
                last_request=usage.last_request,
            )


def _other_prices(
    prices: PriceTable, regions: Mapping[str, str]
) -> Callable[[ItemPlace, str, date], Sequence[OtherPrice]]:
    """Return the prices of the books for a unit of a product, each with the cause that would
    explain a bill at that price."""
    metered_as: dict[str, list[str]] = {}
    for metered, billed in regions.items():
        metered_as.setdefault(billed, []).append(metered)
    # A price that was recorded later may be the one that the bill was made by.
    everything = PriceTable(prices.books, KnownAt.everything())

    def others(place: ItemPlace, seller: str, day: date) -> list[OtherPrice]:
        candidates = []
        for region in (*metered_as.get(place.region, ()), place.region):
            sale = Sale(place.product, place.cloud, seller, region)
            for entry in prices.looked_at(sale, place.unit):
                rate = usd_rate(prices, entry.currency, day)
                if not entry.is_discount and rate is not None:
                    candidates.append(_other(entry, sale, day, prices.known_at, rate))
            candidates += _discounts(prices, everything, sale, place.unit, day)
        return candidates

    return others


def _other(
    entry: PriceEntry, sale: Sale, day: date, known_at: KnownAt, rate: Decimal
) -> OtherPrice:
    """Return an entry's price at the rate of the day, and the cause that would explain it."""
    price = exact_product(Decimal(entry.price).scaleb(-12), rate)
    per_million = f"{Decimal(entry.price).scaleb(-6).normalize():f} {entry.currency}"
    says = f"{per_million} per million ({entry.place})"
    miss = entry.conditions.miss(sale)
    # The first condition that keeps the entry from being the price, the plainest before others.
    if entry.known_at.instant_ns > known_at.instant_ns:
        return OtherPrice(
            price=price, cause=KNOWN_LATER, detail=f"{says}, recorded on {entry.known_at.day}"
        )
    tier = entry.conditions.names[_TIER]
    if tier and tier != sale.tier:
        return OtherPrice(price=price, cause=OTHER_TIER, detail=f"{says}, of the tier {tier}")
    if entry.conditions.above:
        return OtherPrice(
            price=price,
            cause=OTHER_TIER,
            detail=f"{says}, for more than {entry.conditions.above} input tokens",
        )
    if day not in entry.interval:
        until = (
            ""
            if entry.interval.end == date.max
            else f" until {entry.interval.end - timedelta(days=1)}"
        )
        return OtherPrice(
            price=price, cause=OTHER_DAY, detail=f"{says}, from {entry.interval.begin}{until}"
        )
    return OtherPrice(
        price=price, cause=OTHER_PLACE, detail=f"{says}; {miss or 'another entry goes before it'}"
    )


def _discounts(
    prices: PriceTable, everything: PriceTable, sale: Sale, unit: Unit, day: date
) -> Iterator[OtherPrice]:
    """Yield the list price for a discounted price, and the discounted for the list price."""
    row = prices.row(sale, day)
    won, rate = row.won.get(unit), usd_rate(prices, row.currency, day)
    if won is None or rate is None:
        return
    listed = exact_product(Decimal(won.entry.price).scaleb(-12), rate)
    if won.discount is not None:
        yield _without(won.discount, listed)
        return
    for entry in everything.looked_at(sale, unit):
        if not entry.is_discount:
            continue
        # Usage of all buyers is compared together: a buyer's own discount was taken off a part.
        if _holds_for_its_buyer(entry, sale, day, prices.known_at):
            yield _without(entry, listed)
        # A discount that does not hold here may be what the bill took off all the same.
        kept = exact_product(listed, (_HUNDRED - entry.percent).scaleb(-2))
        detail = (
            f"less the {entry.percent.normalize():f} % of {entry.place}, which does not hold here"
        )
        yield OtherPrice(price=kept, cause=DISCOUNT, detail=detail)


def _without(discount: PriceEntry, listed: Decimal) -> OtherPrice:
    percent = f"{discount.percent.normalize():f} %"
    detail = f"the list price, without the {percent} of {discount.place}"
    return OtherPrice(price=listed, cause=DISCOUNT, detail=detail)


def _holds_for_its_buyer(entry: PriceEntry, sale: Sale, day: date, known_at: KnownAt) -> bool:
    """Return whether a buyer's own discount was in force on a day for this usage."""
    buyer = entry.conditions.names[_BUYER]
    is_in_force = day in entry.interval and entry.known_at.instant_ns <= known_at.instant_ns
    return (
        bool(buyer)
        and is_in_force
        and entry.conditions.matches(msgspec.structs.replace(sale, buyer=buyer))
    )

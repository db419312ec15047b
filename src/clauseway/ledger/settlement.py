"""Settling a period: every share in force in it, on cumulative totals, clipped exactly at its cap.

    share due up to a day = min(round(rate × cumulative base since the share began), cap)
    share of a period     = due at its end − due at its begin

so a period's share may be negative where credits outweigh sales, and a credit reopens the cap. Lines are the period's
share split by largest remainder over what each line moved the capped share, in order of event time.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import NamedTuple

import msgspec

from clauseway.agreement.shares import RevenueShare
from clauseway.catalog import Catalog
from clauseway.ledger.assumptions import Assumption, Assumptions
from clauseway.ledger.revenue import RevenueLine, SaleRecord, counted
from clauseway.values import (
    Citation,
    Interval,
    InvalidInput,
    Problem,
    allocate,
    exact_product,
    exact_sum,
    round_half_even,
)

# Finer than any product of a charge (12 places), a wholesale percentage and a rate that people agree on.
_FINEST = Decimal("1e-24")


class Inputs(msgspec.Struct, frozen=True, kw_only=True):
    """What a settlement was made from, by hash or name, so that the same inputs can be shown to give the same result.

    `batches` name the sealed usage; `known_at` is the clock of knowledge, `engine` the version that settled.
    """

    agreement: str
    price_book: str
    batches: tuple[str, ...]
    known_at: str
    engine: str
    facts: str = ""


class ShareLine(msgspec.Struct, frozen=True, kw_only=True):
    """One product on one host cloud by one seller, in one share and period. `amount` is USD in cents.

    `base` is the period's, `base_cumulative` counts since the share began. `requests` are those behind `base`.
    """

    id: str
    product: str
    cloud: str
    seller: str
    requests: int
    base: Decimal
    base_cumulative: Decimal
    rate: Decimal
    amount: Decimal
    citation: Citation


class CapReached(msgspec.Struct, frozen=True, kw_only=True):
    """When a cap was reached: the day, and where the day's sales are known in order, the attempt that reached it."""

    day: date
    event_ns: int | None = None
    request_id: str = ""
    attempt: int = 0


class CapState(msgspec.Struct, frozen=True, kw_only=True):
    """A cap before, in and after the period, in USD. `opening` was consumed by what was paid before the share began."""

    name: str
    cap: Decimal
    opening: Decimal
    consumed_before: Decimal
    consumed: Decimal
    remaining: Decimal
    reached: CapReached | None


class ShareResult(msgspec.Struct, frozen=True, kw_only=True):
    """One share in one period. `begin` and `end` are the share's, `days` those on which it is in force in the period.

    Bases and shares `_before` are cumulative at the period's begin, those `_after` at its end; all in USD.
    """

    term: str
    payer: str
    payee: str
    begin: date
    end: date
    days: Interval
    rate_name: str
    rate: Decimal
    base_before: Decimal
    base: Decimal
    base_after: Decimal
    share_before: Decimal
    amount: Decimal
    share_after: Decimal
    lines: tuple[ShareLine, ...]
    cap: CapState | None
    citation: Citation
    ended_by: Citation | None


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """A direction in which nothing is due from `day` on, and the clause that says so."""

    payer: str
    payee: str
    term: str
    day: date
    citation: Citation


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """A period settled. `needs_order` names the days in which a cap fell and whose sales were not given in order:
    there the total is exact, and the split over that day's lines is in proportion. `receipt` hashes all inputs.
    """

    period: Interval
    shares: tuple[ShareResult, ...]
    ended: tuple[Ended, ...]
    assumptions: tuple[Assumption, ...]
    needs_order: tuple[date, ...]
    inputs: Inputs
    receipt: str


def settle(
    *,
    period: Interval,
    shares: Sequence[RevenueShare],
    revenue: Sequence[RevenueLine],
    catalog: Catalog,
    assumptions: Assumptions,
    inputs: Inputs,
    ordered: Mapping[date, Sequence[SaleRecord]] | None = None,
) -> Settlement:
    """Settle the days of `period`.

    `revenue` holds every line since the earliest share in force began, in any order and any split. `ordered` gives the
    sales one by one for days in which a cap falls (see `Settlement.needs_order`). Raises InvalidInput naming every
    undisclosed figure that this needs and nobody accepted, and every product the catalog does not know.
    """
    in_force = [share for share in shares if not _days(share, period).is_empty]
    names = [name for share in in_force for name in (share.rate, share.cap) if name]
    problems = assumptions.undisclosed(names) + _unknown_products(revenue, catalog)
    if problems:
        raise InvalidInput(*problems)
    used = assumptions.used(names)
    settled = [
        _Share(share, period, revenue, catalog, assumptions, ordered or {})
        for share in sorted(in_force, key=lambda share: (share.payer, share.payee, share.begin, share.term))
    ]
    return Settlement(
        period=period,
        shares=tuple(share.result() for share in settled),
        ended=_ended(shares, period),
        assumptions=used,
        needs_order=tuple(sorted({day for share in settled for day in share.needs_order})),
        inputs=inputs,
        receipt=_receipt(period, shares, used, inputs),
    )


def _days(share: RevenueShare, period: Interval) -> Interval:
    return Interval(share.begin, share.end).intersect(period)


def _unknown_products(revenue: Iterable[RevenueLine], catalog: Catalog) -> list[Problem]:
    known = catalog.products.keys() | catalog.classes.keys()
    return [
        Problem(
            what=f"product {product!r} was sold",
            why="the catalog does not say which class it belongs to, so no base can take or leave it",
            where="usage",
            todo="Add the product to the agreement's catalog.",
        )
        for product in sorted({line.product for line in revenue} - known)
    ]


def _ended(shares: Sequence[RevenueShare], period: Interval) -> tuple[Ended, ...]:
    """The directions whose last share ended in the period or before it."""
    last: dict[tuple[str, str], RevenueShare] = {}
    for share in sorted(shares, key=lambda share: share.end):
        last[share.payer, share.payee] = share
    return tuple(
        Ended(payer=payer, payee=payee, term=share.term, day=share.end, citation=share.ended_by or share.citation)
        for (payer, payee), share in sorted(last.items())
        if share.end <= period.end
    )


def _receipt(
    period: Interval, shares: Sequence[RevenueShare], assumptions: Sequence[Assumption], inputs: Inputs
) -> str:
    """The hash of everything that went in. The shares are in it as they were read: readings and suppositions move them.

    Usage batches and shares count as sets: their order changes nothing.
    """
    inputs = msgspec.structs.replace(inputs, batches=tuple(sorted(inputs.batches)))
    stated = (period, sorted(shares, key=lambda share: share.term), assumptions, inputs)
    return hashlib.sha256(msgspec.json.encode(stated, order="sorted")).hexdigest()


class _Key(NamedTuple):
    """What a statement line is of. In a line's id the parts stand in this order."""

    product: str
    cloud: str
    seller: str


class _Share:
    """One share being settled: its base by day and line, and where the cap falls."""

    def __init__(
        self,
        share: RevenueShare,
        period: Interval,
        revenue: Sequence[RevenueLine],
        catalog: Catalog,
        assumptions: Assumptions,
        ordered: Mapping[date, Sequence[SaleRecord]],
    ) -> None:
        self.share, self.days = share, _days(share, period)
        self.catalog, self.assumptions, self.ordered = catalog, assumptions, ordered
        self.rate = assumptions.percentage(share.rate)
        self.cap = assumptions.amount(share.cap) if share.cap else None
        opening = assumptions.opening_balance if self.cap is not None else Decimal(0)
        self.opening = opening if self.cap is None else min(opening, self.cap)
        self.limit = None if self.cap is None else self.cap - self.opening
        self.needs_order: list[date] = []
        self.reached: CapReached | None = None
        self.base, self.requests = self._base_by_day(revenue)

    def _base_by_day(
        self, revenue: Sequence[RevenueLine]
    ) -> tuple[dict[date, dict[_Key, Decimal]], dict[tuple[date, _Key], int]]:
        """The base of every day from the share's begin to the period's end, by line; and the requests behind it."""
        base: dict[date, dict[_Key, Decimal]] = {}
        requests: dict[tuple[date, _Key], int] = {}
        upto = Interval(self.share.begin, self.days.end)
        for line in revenue:
            if line.event_day in upto:
                amount = counted(line, self.share.base, self.catalog, self.assumptions)
                if amount:
                    key, day = _Key(line.product, line.cloud, line.seller), line.event_day
                    of_day = base.setdefault(day, {})
                    of_day[key] = exact_sum((of_day.get(key, Decimal(0)), amount))
                    requests[day, key] = requests.get((day, key), 0) + line.requests
        return dict(sorted(base.items())), requests

    def result(self) -> ShareResult:
        weights = self._weights()
        before, after = self._cumulative(self.days.begin), self._cumulative(self.days.end)
        due_before, due_after = self._due(before), self._due(after)
        amount = due_after - due_before
        share = self.share
        return ShareResult(
            term=share.term,
            payer=share.payer,
            payee=share.payee,
            begin=share.begin,
            end=share.end,
            days=self.days,
            rate_name=share.rate,
            rate=self.rate,
            base_before=before,
            base=exact_sum((after, before.copy_negate())),
            base_after=after,
            share_before=due_before,
            amount=amount,
            share_after=due_after,
            lines=self._lines(amount, weights),
            cap=self._cap_state(due_before, amount, due_after),
            citation=share.citation,
            ended_by=share.ended_by,
        )

    def _cumulative(self, until: date) -> Decimal:
        """The base since the share began, up to and without `until`."""
        return exact_sum(amount for day, of_day in self.base.items() if day < until for amount in of_day.values())

    def _clip(self, share: Decimal) -> Decimal:
        return share if self.limit is None else min(share, self.limit)

    def _due(self, base: Decimal) -> Decimal:
        """The share due on a cumulative base: rounded to cents, then clipped, so never a cent above the cap."""
        return self._clip(round_half_even(exact_product(self.rate, base)))

    def _weights(self) -> dict[_Key, Decimal]:
        """How much each line moved the capped share within the period, unrounded, in order of event time."""
        weights: dict[_Key, Decimal] = {}
        base = Decimal(0)
        for day, of_day in self.base.items():
            moved, base_after = self._moved(day, base, of_day)
            if day in self.days:
                for key, weight in moved.items():
                    weights[key] = exact_sum((weights.get(key, Decimal(0)), weight))
            base = base_after
        return weights

    def _moved(self, day: date, base: Decimal, of_day: Mapping[_Key, Decimal]) -> tuple[dict[_Key, Decimal], Decimal]:
        """What each line of a day moved the capped share, and the cumulative base after it."""
        base_after = exact_sum((base, *of_day.values()))
        before, after = exact_product(self.rate, base), exact_product(self.rate, base_after)
        limit = after if self.limit is None else self.limit
        if self.reached is None and self.limit is not None and self._due(base_after) == self.limit:
            self.reached = CapReached(day=day)
        if day in self.ordered:
            return self._moved_in_order(day, base, of_day), base_after
        if max(before, after) <= limit:
            return {key: exact_product(self.rate, amount) for key, amount in of_day.items()}, base_after
        if min(before, after) >= limit:
            return dict.fromkeys(of_day, Decimal(0)), base_after
        if day in self.days:
            self.needs_order.append(day)
        moved = exact_sum((self._clip(after), self._clip(before).copy_negate()))
        by_id = allocate(moved, [("|".join(key), amount) for key, amount in of_day.items()], _FINEST)
        return {key: by_id["|".join(key)] for key in of_day}, base_after

    def _moved_in_order(self, day: date, base: Decimal, of_day: Mapping[_Key, Decimal]) -> dict[_Key, Decimal]:
        """The same from the day's sales one by one, by event time and then record id."""
        moved = dict.fromkeys(of_day, Decimal(0))
        seen = dict.fromkeys(of_day, Decimal(0))
        for sale in sorted(self.ordered[day]):
            amount = counted(sale, self.share.base, self.catalog, self.assumptions)
            if not amount:
                continue
            key, base_after = _Key(sale.product, sale.cloud, sale.seller), exact_sum((base, amount))
            before, after = (self._clip(exact_product(self.rate, at)) for at in (base, base_after))
            moved[key] = exact_sum((moved[key], after, before.copy_negate()))
            seen[key] = exact_sum((seen[key], amount))
            self._notice(day, sale, base_after)
            base = base_after
        assert seen == of_day, f"the sales of {day} in order do not sum to the day's revenue"
        return moved

    def _notice(self, day: date, sale: SaleRecord, base: Decimal) -> None:
        """Remember the first sale at which the share due equals the cap."""
        known = self.reached is not None and (self.reached.day != day or self.reached.request_id)
        if not known and self.limit is not None and self._due(base) == self.limit:
            at = {"event_ns": sale.event_ns, "request_id": sale.request_id, "attempt": sale.attempt}
            self.reached = msgspec.structs.replace(self.reached or CapReached(day=day), **at)

    def _lines(self, amount: Decimal, weights: Mapping[_Key, Decimal]) -> tuple[ShareLine, ...]:
        ids = {key: "|".join((self.share.term, *key)) for key in sorted(weights)}
        amounts = allocate(amount, [(ids[key], weights[key]) for key in ids])
        return tuple(self._line(key, line, amounts[line]) for key, line in ids.items())

    def _line(self, key: _Key, line: str, amount: Decimal) -> ShareLine:
        since = {day: of_day[key] for day, of_day in self.base.items() if key in of_day}
        return ShareLine(
            id=line,
            product=key.product,
            cloud=key.cloud,
            seller=key.seller,
            requests=sum(count for (day, of), count in self.requests.items() if of == key and day in self.days),
            base=exact_sum(base for day, base in since.items() if day in self.days),
            base_cumulative=exact_sum(since.values()),
            rate=self.rate,
            amount=amount,
            citation=self.share.citation,
        )

    def _cap_state(self, due_before: Decimal, amount: Decimal, due_after: Decimal) -> CapState | None:
        if self.cap is None or self.limit is None:
            return None
        return CapState(
            name=self.share.cap,
            cap=self.cap,
            opening=self.opening,
            consumed_before=due_before,
            consumed=amount,
            remaining=self.limit - due_after,
            reached=self.reached,
        )

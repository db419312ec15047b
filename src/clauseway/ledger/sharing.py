"""One share being settled: its base by day and line, its top-ups, where the cap falls, and how each
line moved the share.

    sales of a day ─▶ base by line ─▶ cumulative base ─▶ scale ─▶ + top-ups
                                       ─▶ rounded ─▶ clipped at the cap

A day within which neither a band begins nor the cap falls is one step: each line moved the share by
its rate. Any other day needs its sales one by one, in order of event time.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from itertools import accumulate
from typing import NamedTuple

from clauseway.agreement.language.shares import RevenueShare
from clauseway.catalog import Catalog
from clauseway.ledger.assumptions import Assumptions
from clauseway.ledger.carrying import Carried, CarriedLine, MonthEnd
from clauseway.ledger.floors import Least, TopUp, top_ups
from clauseway.ledger.revenue import Counting, RevenueLine, SaleRecord, left_of_sales
from clauseway.ledger.scale import Band, Scale
from clauseway.ledger.settlement import MINIMUM, CapReached, CapState, ShareLine, ShareResult
from clauseway.values import (
    Interval,
    allocate,
    exact_product,
    exact_sum,
    last_digit,
    round_half_even,
)

# Finer than most products of a charge (12 places), a wholesale percentage and a rate that people
# agree on; a charge that was converted from another currency has up to 24 places of its own.
_FINEST = Decimal("1e-24")
_ZERO = Decimal(0)


def days_in(share: RevenueShare, period: Interval) -> Interval:
    """Return the days of a period on which a share is in force."""
    return Interval(share.begin, share.end).intersect(period)


class ShareFigures:
    """The figures of a share under accepted assumptions: rate and scale, floors, withholding, cap."""

    def __init__(self, share: RevenueShare, assumptions: Assumptions) -> None:
        """`assumptions` are those that hold for the share (`Assumptions.of`)."""
        percentage, amount = assumptions.percentage, assumptions.amount
        self.rate = percentage(share.rate)
        bands = [Band(amount(tier.above), percentage(tier.rate)) for tier in share.tiers]
        self.scale = Scale(self.rate, bands)
        self.floors = [Least(floor.per, amount(floor.amount)) for floor in share.floors]
        self.withholding = percentage(share.withholding) if share.withholding else _ZERO
        self.cap = amount(share.cap) if share.cap else None
        counted = amount(share.cap_opening) if share.cap_opening else assumptions.opening_balance
        # The amount counted toward the cap before the share began, and the amount left under it.
        self.opening = _ZERO if self.cap is None else min(counted, self.cap)
        self.limit = None if self.cap is None else exact_sum((self.cap, self.opening.copy_negate()))


class _Key(NamedTuple):
    """The product, cloud and seller of a statement line. In a line's id the parts stand in this
    order."""

    product: str
    cloud: str
    seller: str


class _Line:
    """The sums of a statement line while its share is settled."""

    def __init__(self) -> None:
        self.base = self.base_cumulative = self.adjusted = self.moved = Decimal(0)
        self.requests = 0


class Sharing:
    """One share being settled: its base by day and line, its top-ups, and where the cap falls."""

    def __init__(
        self,
        share: RevenueShare,
        period: Interval,
        revenue: Sequence[RevenueLine],
        catalog: Catalog,
        assumptions: Assumptions,
        ordered: Mapping[date, Sequence[SaleRecord]],
        carried: Carried | None = None,
        *,
        name: str = "",
    ) -> None:
        """`revenue` holds every line since the share began, or since the day up to which sums are
        `carried`.

        `name` is how the ids of its lines begin; by default the term's id.
        """
        self.name = name or share.term
        self.share, self.days, self.ordered = share, days_in(share, period), ordered
        self.before = carried or Carried(until=share.begin, lines=(), ends=())
        assumptions = assumptions.of(share)
        self.counting = Counting(share, catalog, assumptions)
        self.figures = ShareFigures(share, assumptions)
        self.needs_order: list[date] = []
        self.reached: CapReached | None = None
        self.lines: dict[_Key, _Line] = {}
        # The base of every day from the share's begin to the period's end, by line; and how far the
        # day's sales, credits and disputes could carry the cumulative base down and up within the
        # day.
        self.base: dict[date, dict[_Key, Decimal]] = {}
        self.swing: dict[date, tuple[Decimal, Decimal]] = {}
        self._count(revenue)
        self.top_ups = top_ups(
            Interval(share.begin, share.end), self.figures.floors, self.days.end, self._share_until
        )

    def _count(self, revenue: Sequence[RevenueLine]) -> None:
        """Gather the base by day and line. Amounts are gathered first and summed once: there may be
        millions."""
        begin, end, days, part = self.before.until, self.days.end, self.days, self.counting.part
        amounts: dict[date, dict[_Key, list[Decimal]]] = {}
        parts: dict[tuple[str, str, str], tuple[_Key, Decimal]] = {}
        for line in revenue:
            day = line.event_day
            if not begin <= day < end:
                continue
            names = line.product, line.cloud, line.seller
            cached = parts.get(names)
            if cached is None:
                cached = parts[names] = _Key(*names), part(*names)
            key, counts = cached
            amount = line.amount if counts == 1 else exact_product(line.amount, counts)
            if not amount:
                continue
            amounts.setdefault(day, {}).setdefault(key, []).append(amount)
            if day in days:
                working = self.lines.setdefault(key, _Line())
                working.requests += line.requests
                if line.voucher:
                    working.adjusted = exact_sum((working.adjusted, amount))
        # Sum by day and line; `since` begins with the sums carried from earlier months.
        since = {
            _Key(carried.product, carried.cloud, carried.seller): [carried.base]
            for carried in self.before.lines
        }
        within: dict[_Key, list[Decimal]] = {}
        for day, of_day in sorted(amounts.items()):
            single = [amount for several in of_day.values() for amount in several]
            self.base[day] = {key: exact_sum(several) for key, several in of_day.items()}
            self.swing[day] = (
                exact_sum(amount for amount in single if amount < 0),
                exact_sum(amount for amount in single if amount > 0),
            )
            for key, amount in self.base[day].items():
                since.setdefault(key, []).append(amount)
                if day in days:
                    within.setdefault(key, []).append(amount)
        for key, working in self.lines.items():
            working.base, working.base_cumulative = exact_sum(within[key]), exact_sum(since[key])
        # Cumulative sums at the ends of carried months and of each day, to look a day up in.
        self._since = {key: exact_sum(several) for key, several in since.items()}
        ends = self.before.ends
        self._ends = [*(month_end.last_day for month_end in ends), *self.base]
        start = [ends[-1].base] if ends else []
        sums = accumulate(
            (*start, *(exact_sum(of_day.values()) for of_day in self.base.values())), _add
        )
        self._sums = [*(month_end.base for month_end in ends[:-1]), *sums]

    def result(self) -> ShareResult:
        moved = self._move()
        # All sums are cumulative: the period is the difference of its two ends.
        before, after = self._cumulative(self.days.begin), self._cumulative(self.days.end)
        due_before, due_after = self._due_until(self.days.begin), self._due_until(self.days.end)
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
            rate=self.figures.rate,
            base_before=before,
            base=exact_sum((after, before.copy_negate())),
            base_after=after,
            share_before=due_before,
            amount=amount,
            share_after=due_after,
            lines=self._lines(amount, moved),
            cap=self._cap_state(due_before, amount, due_after),
            citation=share.citation,
            ended_by=share.ended_by,
            event=share.event,
            bands=self.figures.scale.bands,
            top_ups=tuple(top_up for top_up in self.top_ups if top_up.day in self.days),
            payment=share.payment,
            withholding=self.figures.withholding,
            late=share.late,
        )

    def carried(self) -> Carried:
        """Return the sums at the end of the period. To be called after `result`, and without sales
        in order."""
        last = MonthEnd(self.days.end - date.resolution, self._cumulative(self.days.end))
        return Carried(
            until=self.days.end,
            lines=tuple(CarriedLine(*key, self._since[key]) for key in sorted(self._since)),
            ends=(*self.before.ends, last),
            reached=None if self.reached is None else self.reached.day,
        )

    def _cumulative(self, until: date) -> Decimal:
        """Return the base since the share began, up to and without `until`."""
        count = bisect_left(self._ends, until)
        return self._sums[count - 1] if count else Decimal(0)

    def _share_until(self, until: date) -> Decimal:
        """Return the share of the base before `until`, rounded to cents, cap aside."""
        return round_half_even(self.figures.scale.gross(self._cumulative(until)))

    def _due_until(self, until: date) -> Decimal:
        return self._due(
            self._cumulative(until),
            exact_sum(top_up.amount for top_up in self.top_ups if top_up.day < until),
        )

    def _clip(self, share: Decimal) -> Decimal:
        return share if self.figures.limit is None else min(share, self.figures.limit)

    def _due(self, base: Decimal, added: Decimal) -> Decimal:
        """Return the share due on a cumulative base with its top-ups.

        It is rounded, then clipped, so it is never a cent above the cap.
        """
        return self._clip(exact_sum((round_half_even(self.figures.scale.gross(base)), added)))

    def _unrounded(self, base: Decimal, added: Decimal) -> Decimal:
        return self._clip(exact_sum((self.figures.scale.gross(base), added)))

    def _move(self) -> dict[_Key, Decimal]:
        """Return how much each line moved the capped share within the period, unrounded, in order
        of event time."""
        moved: dict[_Key, Decimal] = {}
        begin = self.before.until
        base = self._cumulative(begin)
        added = exact_sum(top_up.amount for top_up in self.top_ups if top_up.day < begin)
        self.reached = None if self.before.reached is None else CapReached(day=self.before.reached)
        topped: dict[date, list[TopUp]] = {}
        for top_up in self.top_ups:
            if top_up.day >= begin:
                topped.setdefault(top_up.day, []).append(top_up)
        for day in sorted({*self.base, *topped}):
            of_day = dict[_Key, Decimal]()
            if day in self.base:
                of_day, base = self._moved(day, base, added, self.base[day])
            # Top-ups fall due at the end of their day, after its sales.
            for top_up in topped.get(day, ()):
                before, added = self._unrounded(base, added), exact_sum((added, top_up.amount))
                key = _Key(MINIMUM, top_up.period, "")
                of_day[key] = exact_sum((self._unrounded(base, added), before.copy_negate()))
                self._notice(day, base, added)
            if day in self.days:
                for key, weight in of_day.items():
                    moved[key] = exact_sum((moved.get(key, _ZERO), weight))
        return moved

    def _moved(
        self, day: date, base: Decimal, added: Decimal, of_day: Mapping[_Key, Decimal]
    ) -> tuple[dict[_Key, Decimal], Decimal]:
        """Return how much each line of a day moved the capped share, and the cumulative base after
        it."""
        base_after = exact_sum((base, *of_day.values()))
        if day in self.ordered:
            return self._moved_in_order(day, base, added, of_day), base_after
        self._notice(day, base_after, added)
        # Within one band and below the cap throughout the day, each line moves by the one rate.
        fallen, risen = self.swing[day]
        low, high = exact_sum((base, fallen)), exact_sum((base, risen))
        rate = self.figures.scale.rate_between(low, high)
        if rate is not None and (
            self.figures.limit is None
            or exact_sum((self.figures.scale.gross(high), added)) <= self.figures.limit
        ):
            return {key: exact_product(rate, amount) for key, amount in of_day.items()}, base_after
        # At the cap throughout the day, nothing moves.
        if (
            self.figures.limit is not None
            and exact_sum((self.figures.scale.gross(low), added)) >= self.figures.limit
        ):
            return dict.fromkeys(of_day, _ZERO), base_after
        # A band begins or the cap falls within the day: split the day's total in proportion.
        if day in self.days:
            self.needs_order.append(day)
        whole = exact_sum(
            (self._unrounded(base_after, added), self._unrounded(base, added).copy_negate())
        )
        weights = [("|".join(key), amount) for key, amount in of_day.items()]
        by_id = allocate(whole, weights, min(_FINEST, last_digit(whole)))
        return {key: by_id["|".join(key)] for key in of_day}, base_after

    def _moved_in_order(
        self, day: date, base: Decimal, added: Decimal, of_day: Mapping[_Key, Decimal]
    ) -> dict[_Key, Decimal]:
        """Return how much each line moved the capped share, from what is left of the day's sales
        one by one, by event time and then record id."""
        moved = dict.fromkeys(of_day, _ZERO)
        seen = dict.fromkeys(of_day, _ZERO)
        for sale in left_of_sales(self.ordered[day]):
            amount = exact_product(
                sale.amount, self.counting.part(sale.product, sale.cloud, sale.seller)
            )
            if not amount:
                continue
            # A sale moves the share by the difference of the unrounded shares around it.
            key, base_after = _Key(sale.product, sale.cloud, sale.seller), exact_sum((base, amount))
            before, after = self._unrounded(base, added), self._unrounded(base_after, added)
            moved[key] = exact_sum((moved[key], after, before.copy_negate()))
            seen[key] = exact_sum((seen[key], amount))
            self._notice(day, base_after, added, sale)
            base = base_after
        assert seen == of_day, f"the sales of {day} in order do not sum to the day's revenue"
        return moved

    def _notice(
        self, day: date, base: Decimal, added: Decimal, sale: SaleRecord | None = None
    ) -> None:
        """Remember since when the share due has equalled the cap; a credit that reopens the cap
        clears it."""
        if self.figures.limit is None or self._due(base, added) < self.figures.limit:
            self.reached = None
        elif self.reached is None:
            at = (
                {}
                if sale is None
                else {name: getattr(sale, name) for name in ("event_ns", "request_id", "attempt")}
            )
            self.reached = CapReached(day=day, **at)

    def _lines(self, amount: Decimal, moved: Mapping[_Key, Decimal]) -> tuple[ShareLine, ...]:
        ids = {key: "|".join((self.name, *key)) for key in sorted(moved)}
        amounts = allocate(amount, [(ids[key], moved[key]) for key in ids])
        return tuple(self._line(key, line, amounts[line], moved[key]) for key, line in ids.items())

    def _line(self, key: _Key, line: str, amount: Decimal, moved: Decimal) -> ShareLine:
        working = self.lines.get(key) or _Line()
        return ShareLine(
            id=line,
            product=key.product,
            cloud=key.cloud,
            seller=key.seller,
            requests=working.requests,
            base=working.base,
            base_cumulative=working.base_cumulative,
            rate=self.figures.rate,
            amount=amount,
            citation=self.share.citation,
            adjusted=working.adjusted,
            moved=moved,
        )

    def _cap_state(
        self, due_before: Decimal, amount: Decimal, due_after: Decimal
    ) -> CapState | None:
        if self.figures.cap is None or self.figures.limit is None:
            return None
        return CapState(
            name=self.share.cap,
            cap=self.figures.cap,
            opening=self.figures.opening,
            consumed_before=due_before,
            consumed=amount,
            remaining=self.figures.limit - due_after,
            reached=self.reached,
        )


def _add(total: Decimal, amount: Decimal) -> Decimal:
    return exact_sum((total, amount))

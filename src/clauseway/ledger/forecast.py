"""Forecasts: when a cap is reached, how much is due each year, how much the cap has saved; with a
range.

    settled months ─▶ bases by month ─▶ growth from month to month ─┐
    quantiles ◀─ due on cumulative bases ◀──────────────── paths ◀──┘

The past is taken from settlements, to the cent and by the figures they were settled with; nothing
of it is estimated. Dues ahead are added to it, by the figures of the forecast. The future's base is
the base of the last full month, grown.

Growth is either assumed (one rate a month, or a low, a middle and a high rate) or drawn with
replacement from the changes between settled months that follow each other: so many paths, from a
stated seed, the same for the same inputs. Dues on a base are calculated as a settlement does:
scale, top-ups, rounding, cap. Money is exact; a month's base is rounded to 12 places.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import accumulate, pairwise
from typing import NamedTuple, TypeVar

import msgspec

from clauseway.agreement.language.shares import RevenueShare
from clauseway.ledger.assumptions import Assumption, Assumptions
from clauseway.ledger.dues import dues
from clauseway.ledger.floors import calendar_period, top_ups
from clauseway.ledger.scale import Scale
from clauseway.ledger.settlement import CapState, Settlement, ShareResult
from clauseway.ledger.sharing import ShareFigures
from clauseway.values import (
    Citation,
    Interval,
    InvalidInput,
    Problem,
    exact_product,
    exact_sum,
    refuse_any,
    round_half_even,
)

PATHS, SEED = 1_000, 20_260_427
# The least number of changes from month to month that anything is drawn from.
CHANGES_MIN = 3
QUANTILES = (Fraction(1, 10), Fraction(1, 2), Fraction(9, 10))
_ZERO, _ONE = Decimal(0), Decimal(1)
_FINEST = Decimal("1e-12")
# More than all the money there is; growth that compounds without end stops here.
_BASE_MAX = Decimal(10**15)
_MASK = (1 << 64) - 1
Ranked = TypeVar("Ranked", Decimal, date)


class Growth(msgspec.Struct, frozen=True, kw_only=True):
    """Growth a month as fractions of one: 0.05 is 5 %. From history they are quantiles of
    `changes`."""

    low: Decimal
    mid: Decimal
    high: Decimal
    is_assumed: bool
    changes: tuple[Decimal, ...] = ()
    months: tuple[str, ...] = ()
    method: str = ""


class AmountRange(msgspec.Struct, frozen=True, kw_only=True):
    """An amount in USD, low, middle and high; for a settled month all three are the same."""

    low: Decimal
    mid: Decimal
    high: Decimal


class MonthAhead(msgspec.Struct, frozen=True, kw_only=True):
    """The share due since its beginning, at a month's end, in USD."""

    month: str
    end: date
    is_settled: bool
    due: AmountRange
    uncapped: AmountRange


class YearAhead(msgspec.Struct, frozen=True, kw_only=True):
    """A calendar year: the amount settled so far, the whole amount due, and the amount that the cap
    saves."""

    year: int
    settled: Decimal
    due: AmountRange
    saved: AmountRange


class Reached(msgspec.Struct, frozen=True, kw_only=True):
    """When a cap is reached: `on` where it is already; else the earliest, likely and latest day, or
    None if the share ends first. A cap that is assumed after months were settled may be `exceeded`
    by so much; then `on` is the last day of the month that exceeded it.

    `chance` is the part of the paths that reach the cap.
    """

    on: date | None
    earliest: date | None
    likely: date | None
    latest: date | None
    chance: Decimal
    exceeded: Decimal = _ZERO


class Unsettled(msgspec.Struct, frozen=True, kw_only=True):
    """Months before the last settled one that nobody settled, and the amount due for them: the
    settlement after them stands on their usage, and no year has it."""

    months: tuple[str, ...]
    amount: Decimal


class Outlook(msgspec.Struct, frozen=True, kw_only=True):
    """One share ahead. `settled` and `saved` are its past, to the cent: the amount due, and the
    amount the cap took off."""

    term: str
    payer: str
    payee: str
    begin: date
    end: date
    rate: Decimal
    cap_name: str
    cap: Decimal | None
    base: Decimal
    settled: Decimal
    saved: Decimal
    remaining: Decimal | None
    reached: Reached | None
    growth: Growth
    years: tuple[YearAhead, ...]
    months: tuple[MonthAhead, ...]
    citation: Citation
    unsettled: tuple[Unsettled, ...] = ()


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """Every share that is in force after the last settled month, through the year `through`."""

    last_settled: str
    through: int
    outlooks: tuple[Outlook, ...]
    assumptions: tuple[Assumption, ...]


def forecast(
    settled: Sequence[Settlement],
    shares: Sequence[RevenueShare],
    assumptions: Assumptions,
    *,
    through: int,
    known_at: date,
    growth: Growth | None = None,
) -> Forecast:
    """Look ahead from settled months.

    `settled` holds the latest settlement of each month; months that are not over by `known_at` are
    left out and forecast. Raise InvalidInput if nothing is settled, if `through` lies before the
    last settled month, if nobody accepted a figure, or if there is too little history and no
    `growth` is given.
    """
    in_order = sorted(
        (settlement for settlement in settled if settlement.period.end <= known_at),
        key=lambda settlement: settlement.period,
    )
    if not in_order:
        remedy = "Settle a month that is over: clauseway settle --period 2026-05 --assume …"
        why = "there is no past to go on from"
        raise InvalidInput.of(what="nothing is settled", why=why, where="--home", remedy=remedy)
    last = in_order[-1].period
    end = date(through + 1, 1, 1)
    if end <= last.begin:
        raise InvalidInput.of(
            what=f"{through} cannot be the last year",
            why=f"months are settled through {_named(last.begin)}",
            where="--until",
            remedy=f"Name {last.begin.year} or a later year.",
        )
    # A share that ended before the last settled month has nothing ahead.
    ahead = [share for share in shares if share.begin < end and share.end > last.begin]
    names = assumptions.names_of(ahead)
    refuse_any(assumptions.undisclosed(names))
    problems: list[Problem] = []
    outlooks = []
    for share in sorted(
        ahead, key=lambda share: (share.payer, share.payee, share.begin, share.term)
    ):
        try:
            outlooks.append(_Ahead(share, shares, in_order, assumptions, end, growth).outlook())
        except InvalidInput as error:
            problems += error.problems
    refuse_any(dict.fromkeys(problems))
    return Forecast(
        last_settled=_named(last.begin),
        through=through,
        outlooks=tuple(outlooks),
        assumptions=assumptions.used(names),
    )


class _Ahead:
    """The forecast of one share."""

    def __init__(
        self,
        share: RevenueShare,
        shares: Sequence[RevenueShare],
        settled: Sequence[Settlement],
        assumptions: Assumptions,
        end: date,
        growth: Growth | None,
    ) -> None:
        self.share = share
        self.first = max(settled[-1].period.end, share.begin)
        self.end = min(end, share.end)
        figures = ShareFigures(share, assumptions.of(share))
        self.rate, self.scale, self.floors = figures.rate, figures.scale, figures.floors
        self.cap, self.opening = figures.cap, figures.opening
        self._gross_by_base: dict[tuple[Decimal, Decimal], Decimal] = {}
        # The past: the share's results in the settled months, and the amounts due for them.
        results = [(settlement, _of(settlement, share)) for settlement in settled]
        self.mine = [mine for _, mine in results if mine is not None]
        self.past = list(_past(self.mine))
        self.paid = {
            settlement.period: _paid(settlement, share, mine) for settlement, mine in results
        }
        self.base = self.mine[-1].base_after if self.mine else _ZERO
        # Top-ups to floors, which raise what is due and never the base.
        self.added = exact_sum(top.amount for mine in self.mine for top in mine.top_ups)
        self.settled = self.mine[-1].share_after if self.mine else _ZERO
        uncapped = self.past[-1].uncapped if self.past else _ZERO
        # If the cap changes, the new cap holds for months ahead; amounts that the old cap took off
        # stay off.
        self.same_cap = not self.mine or self._is_settled_cap(self.mine[-1].cap)
        self.start = uncapped if self.same_cap else self.settled
        self.saved = exact_sum((uncapped, -self.start))
        # A cap below what was settled takes nothing back.
        self.limit = None if figures.limit is None else max(figures.limit, self.settled)
        self.exceeded = _ZERO
        if figures.limit is not None and not self.same_cap:
            self.exceeded = max(_ZERO, exact_sum((self.settled, -figures.limit)))
        # The future: growth, from the level of the last full settled month.
        history = _history(share, shares, settled)
        self.level = history[-1][1] if history else _ZERO
        self.growth = _from_nothing(growth, history) if growth else _drawn(share, history)
        self.is_drawn = growth is None
        self.months = _months(self.first, self.end)

    def outlook(self) -> Outlook:
        share = self.share
        paths = self._paths()
        return Outlook(
            term=share.term,
            payer=share.payer,
            payee=share.payee,
            begin=share.begin,
            end=share.end,
            rate=self.rate,
            cap_name=share.cap,
            cap=self.cap,
            base=self.base,
            settled=exact_sum(self.paid.values()),
            saved=exact_sum((self._uncapped(self.base, self.added), -self.settled)),
            remaining=None if self.limit is None else exact_sum((self.limit, -self.settled)),
            reached=self._reached(paths),
            growth=self.growth,
            years=tuple(self._years(paths)),
            months=(*self._past(), *self._future(paths)),
            citation=share.citation,
            unsettled=tuple(_unsettled(share, self.mine)),
        )

    # The share due on a cumulative base

    def _is_settled_cap(self, cap: CapState | None) -> bool:
        if cap is None or self.cap is None:
            return cap is None and self.cap is None
        return (cap.cap, cap.opening) == (self.cap, self.opening)

    def _gross(self, base: Decimal, added: Decimal) -> Decimal:
        """Return the amount before its cap: the settled amount before its cap, and the increase by
        the forecast's figures."""
        total = self._gross_by_base.get((base, added))
        if total is None:
            gross = (
                round_half_even(self.scale.gross(base)),
                -round_half_even(self.scale.gross(self.base)),
            )
            total = self._gross_by_base[base, added] = exact_sum(
                (self.start, *gross, added, -self.added)
            )
        return total

    def _uncapped(self, base: Decimal, added: Decimal) -> Decimal:
        return exact_sum((self._gross(base, added), self.saved))

    def _due(self, base: Decimal, added: Decimal) -> Decimal:
        gross = self._gross(base, added)
        return gross if self.limit is None else min(gross, self.limit)

    # Paths

    def _paths(self) -> "list[_Path]":
        if not self.months:
            return [_Path((), (), ())]
        if self.is_drawn:
            # Each path has a seed of its own, so the same past gives the same forecast everywhere.
            return [self._path(self._factors(path)) for path in range(PATHS)]
        rates = (self.growth.low, self.growth.mid, self.growth.high)
        return [self._path([exact_sum((_ONE, rate))] * len(self.months)) for rate in rates]

    def _factors(self, path: int) -> list[Decimal]:
        changes = self.growth.changes
        numbers = _numbers(SEED + path)
        return [exact_sum((_ONE, changes[next(numbers) % len(changes)])) for _ in self.months]

    def _path(self, factors: Sequence[Decimal]) -> "_Path":
        bases = []
        level = self.level
        for (days, whole), factor in zip(self.months, factors, strict=True):
            level = min(round_half_even(exact_product(level, factor), _FINEST), _BASE_MAX)
            bases.append(level if days == whole else _by_days(level, days, whole))
        sums = tuple(
            accumulate(bases, lambda total, base: exact_sum((total, base)), initial=self.base)
        )[1:]
        return _Path(tuple(bases), sums, self._added(sums))

    def _added(self, sums: Sequence[Decimal]) -> tuple[Decimal, ...]:
        """Return the top-ups to floors since the share began, at each month's end."""
        if not self.floors:
            return (self.added,) * len(sums)
        # A month before a settled one may lack a settlement of its own.
        at = {
            day: round_half_even(_scale(mine).gross(base))
            for mine in self.mine
            for day, base in (
                (mine.days.begin, mine.base_before),
                (mine.days.end, mine.base_after),
            )
        }
        # Settled months keep their own scale; months ahead add the growth by the forecast's scale.
        before = at[self.mine[-1].days.end] if self.mine else _ZERO
        start = exact_sum((before, -round_half_even(self.scale.gross(self.base))))
        for (days, _), total in zip(self.months, sums, strict=True):
            at[days.end] = exact_sum((start, round_half_even(self.scale.gross(total))))
        ends = sorted(at)

        def share_until(day: date) -> Decimal:
            index = bisect_left(ends, day + timedelta(days=1))
            return at[ends[index - 1]] if index else _ZERO

        top_ups_ahead = [
            top_up
            for top_up in top_ups(
                Interval(self.share.begin, self.share.end), self.floors, self.end, share_until
            )
            if top_up.day >= self.first
        ]
        return tuple(
            exact_sum(
                (self.added, *(top_up.amount for top_up in top_ups_ahead if top_up.day < days.end))
            )
            for days, _ in self.months
        )

    # Months and years

    def _past(self) -> Iterable[MonthAhead]:
        for month in self.past:
            yield MonthAhead(
                month=_named(calendar_period(month.days.begin, "month").begin),
                end=month.days.end,
                is_settled=True,
                due=_same(month.due),
                uncapped=_same(month.uncapped),
            )

    def _future(self, paths: "Sequence[_Path]") -> Iterable[MonthAhead]:
        for index, (days, whole) in enumerate(self.months):
            ends = [(path.sums[index], path.added[index]) for path in paths]
            if not self.floors:
                # The due amount never falls as the base rises, so each quantile of it is due on
                # that quantile of the base.
                bases = _range([base for base, _ in ends])
                ends = [(base, self.added) for base in (bases.low, bases.mid, bases.high)]
            yield MonthAhead(
                month=_named(whole.begin),
                end=days.end,
                is_settled=False,
                due=_range([self._due(*end) for end in ends]),
                uncapped=_range([self._uncapped(*end) for end in ends]),
            )

    def _years(self, paths: "Sequence[_Path]") -> Iterable[YearAhead]:
        first = min([self.first, *(month.days.begin for month in self.mine)])
        for year in range(first.year, max(self.end - timedelta(days=1), first).year + 1):
            settled = exact_sum(
                paid for period, paid in self.paid.items() if period.begin.year == year
            )
            ends = [self._ends(path, year) for path in paths]
            due = [
                exact_sum((settled, self._due(*end), self._due(*begin).copy_negate()))
                for begin, end in ends
            ]
            # The cap saves the uncapped amount less the due amount.
            more = exact_sum(month.saved for month in self.past if month.days.begin.year == year)
            saved = [
                exact_sum(
                    (
                        more,
                        self._uncapped(*end),
                        -self._uncapped(*begin),
                        -self._due(*end),
                        self._due(*begin),
                    )
                )
                for begin, end in ends
            ]
            yield YearAhead(year=year, settled=settled, due=_range(due), saved=_range(saved))

    def _ends(
        self, path: "_Path", year: int
    ) -> tuple[tuple[Decimal, Decimal], tuple[Decimal, Decimal]]:
        """Return the cumulative base and top-ups before the year's first unsettled month and after
        its last month."""
        within = [index for index, (_, whole) in enumerate(self.months) if whole.begin.year == year]
        start = self.base, self.added
        if not within:
            return start, start
        before = within[0] - 1
        begin = (path.sums[before], path.added[before]) if before >= 0 else start
        return begin, (path.sums[within[-1]], path.added[within[-1]])

    def _reached(self, paths: "Sequence[_Path]") -> Reached | None:
        if self.limit is None:
            return None
        on = self._reached_before()
        if on is not None:
            return Reached(
                on=on, earliest=on, likely=on, latest=on, chance=_ONE, exceeded=self.exceeded
            )
        # A path that never comes to the cap is the latest of all.
        days = sorted(self._day(path) or date.max for path in paths)
        reaching = sum(day < date.max for day in days)
        earliest, likely, latest = (_quantile(days, part) for part in QUANTILES)
        # Assumed rates are no distribution: the three days are those of the three rates.
        if not self.is_drawn:
            earliest, likely, latest = (
                days[0],
                self._day(paths[len(paths) // 2]) or date.max,
                days[-1],
            )
        return Reached(
            on=None,
            earliest=None if earliest == date.max else earliest,
            likely=None if likely == date.max else likely,
            latest=None if latest == date.max else latest,
            chance=round_half_even(Decimal(reaching) / len(days), Decimal("0.001")),
        )

    def _reached_before(self) -> date | None:
        """Return the day on which the settled months reached the cap; under a new cap, the end of
        that month."""
        if self.same_cap:
            cap = self.mine[-1].cap if self.mine else None
            return cap.reached.day if cap is not None and cap.reached is not None else None
        if self.limit is None:
            return None
        least = exact_sum((self.limit, -self.exceeded))
        ends = (
            month.days.end
            for month in self.past
            if (month.due > least if self.exceeded else month.due >= least)
        )
        return next((end - timedelta(days=1) for end in ends), None)

    def _day(self, path: "_Path") -> date | None:
        """Return the day on which a path's share equals the limit, a month's base spread evenly
        over its days."""
        assert self.limit is not None
        # Find the month first, then the day within it.
        at = bisect_left(
            range(len(path.sums)),
            self.limit,
            key=lambda month: self._due(path.sums[month], path.added[month]),
        )
        if at == len(path.sums):
            return None
        days, _ = self.months[at]
        before = path.sums[at - 1] if at else self.base
        added = path.added[at - 1] if at else self.added
        length = (days.end - days.begin).days
        for day in range(1, length):
            so_far = Interval(days.begin, days.begin + timedelta(days=day))
            base = exact_sum((before, _by_days(path.bases[at], so_far, days)))
            if self._due(base, added) >= self.limit:
                return days.begin + timedelta(days=day - 1)
        return days.last_day


class _Path(NamedTuple):
    """Bases by month; cumulative bases since the share began; and its top-ups since then."""

    bases: tuple[Decimal, ...]
    sums: tuple[Decimal, ...]
    added: tuple[Decimal, ...]


class _Settled(NamedTuple):
    """A settled month of the share: the amount due since its beginning, with and without the cap, and
    the amount that the cap took off in the month."""

    days: Interval
    due: Decimal
    uncapped: Decimal
    saved: Decimal


def _past(mine: Sequence[ShareResult]) -> Iterator[_Settled]:
    """Yield the settled months, each by the figures it was settled with."""
    added, saved = _ZERO, _ZERO
    for result in mine:
        added = exact_sum((added, *(top.amount for top in result.top_ups)))
        uncapped = result.share_after
        # At its cap a share no longer tells what would have been due without one.
        if result.cap is not None and result.cap.remaining <= 0:
            gross = exact_sum((round_half_even(_scale(result).gross(result.base_after)), added))
            uncapped = max(uncapped, gross)
        before, saved = saved, exact_sum((uncapped, -result.share_after))
        yield _Settled(result.days, result.share_after, uncapped, exact_sum((saved, -before)))


def _unsettled(share: RevenueShare, mine: Sequence[ShareResult]) -> Iterator[Unsettled]:
    """Yield each stretch of months without a settlement before a settled one, where something is
    due for it."""
    day, due = share.begin, _ZERO
    for result in mine:
        amount = exact_sum((result.share_before, -due))
        if day < result.days.begin and amount:
            months = _months(day, result.days.begin)
            yield Unsettled(months=tuple(_named(whole.begin) for _, whole in months), amount=amount)
        day, due = result.days.end, result.share_after


def _scale(result: ShareResult) -> Scale:
    return Scale(result.rate, result.bands)


def _paid(settlement: Settlement, share: RevenueShare, mine: ShareResult | None) -> Decimal:
    """Return the amount that a settlement says is due of a share, corrections and restatements of
    closed months included."""
    key = share.payer, share.payee, share.term
    changed = [item for item in dues(settlement) if (item.payer, item.payee, item.term) == key]
    return exact_sum(
        (
            mine.amount if mine is not None else _ZERO,
            *(item.corrections for item in changed),
            *(item.restated for item in changed),
        )
    )


def _of(settlement: Settlement, share: RevenueShare) -> ShareResult | None:
    results = (
        result
        for result in settlement.shares
        if (result.term, result.begin) == (share.term, share.begin)
    )
    return next(results, None)


def _history(
    share: RevenueShare, shares: Sequence[RevenueShare], settled: Sequence[Settlement]
) -> list[tuple[Interval, Decimal]]:
    """Return the base of each full settled month, of the share and of the shares that it follows in
    its direction."""
    own = Interval(share.begin, share.end)
    # An amended share continues the shares of its direction that were in force on other days.
    line = {
        (earlier.term, earlier.begin)
        for earlier in shares
        if (earlier.payer, earlier.payee) == (share.payer, share.payee)
        and (earlier == share or own.intersect(Interval(earlier.begin, earlier.end)).is_empty)
    }
    history = []
    for settlement in settled:
        mine = [result for result in settlement.shares if (result.term, result.begin) in line]
        covered = sum((result.days.end - result.days.begin).days for result in mine)
        # A month that is covered in part would look like a fall of the base.
        if covered == (settlement.period.end - settlement.period.begin).days:
            history.append((settlement.period, exact_sum(result.base for result in mine)))
    return history


def _drawn(share: RevenueShare, history: Sequence[tuple[Interval, Decimal]]) -> Growth:
    """Return growth drawn from the changes from month to month. Raise InvalidInput if they are too
    few."""
    pairs = [
        (later[0], round_half_even(later[1] / earlier[1] - 1, _FINEST))
        for earlier, later in pairwise(history)
        # Only months that follow each other, and no growth from nothing or into credits.
        if earlier[0].end == later[0].begin and earlier[1] > 0 and later[1] >= 0
    ]
    months = tuple(_named(period.begin) for period, _ in history)
    if len(pairs) < CHANGES_MIN:
        named = " and ".join(filter(None, (", ".join(months[:-1]), *months[-1:]))) or "none"
        raise InvalidInput.of(
            what=f"too little history to draw growth from for {share.term}",
            why=f"a growth is read from at least {CHANGES_MIN} changes from one month to the "
            f"next; its {len(months)} full settled months ({named}) have {len(pairs)}",
            where=share.citation.document,
            line=share.citation.line,
            remedy="Say what is assumed, a month: --growth 5%, or a range: --growth 2%..8%.",
        )
    changes = tuple(change for _, change in pairs)
    low, mid, high = (_quantile(sorted(changes), part) for part in QUANTILES)
    method = (
        f"each month's base is that of the month before, from {months[-1]} on, times a growth "
        f"drawn with replacement from the {len(changes)} changes between settled months of "
        f"{months[0]} to {months[-1]}; {PATHS:,} paths, seed {SEED}; "
        "low, middle and high are the 10th, 50th and 90th of each hundred"
    )
    return Growth(
        low=low, mid=mid, high=high, is_assumed=False, changes=changes, months=months, method=method
    )


def assumed_growth(low: Decimal, mid: Decimal, high: Decimal) -> Growth:
    """Return growth a month that somebody assumes, as fractions of one."""
    assert low <= mid <= high, "low, middle and high in this order"
    written = [f"{(rate * 100).normalize():f} %" for rate in dict.fromkeys((low, mid, high))]
    method = (
        "each month's base is that of the last full settled month, grown by "
        f"{', '.join(written)} a month, as assumed by --growth"
        + ("; low, middle and high are these" if len(written) > 1 else "; there is no range")
    )
    return Growth(low=low, mid=mid, high=high, is_assumed=True, method=method)


def _from_nothing(growth: Growth, history: Sequence[tuple[Interval, Decimal]]) -> Growth:
    """Return an assumed growth; where it begins at a month without a base, it says so."""
    if not history or history[-1][1]:
        return growth
    month = _named(history[-1][0].begin)
    method = f"{growth.method}; the base of {month}, the last one, is 0, so nothing grows from it"
    return msgspec.structs.replace(growth, method=method)


def _months(first: date, end: date) -> list[tuple[Interval, Interval]]:
    """Return the days of each month from `first` up to `end`, with the whole month."""
    months = []
    at = first
    while at < end:
        whole = calendar_period(at, "month")
        months.append((whole.intersect(Interval(first, end)), whole))
        at = whole.end
    return months


def _by_days(base: Decimal, part: Interval, whole: Interval) -> Decimal:
    """Return the part of a base by days, to 12 places."""
    days, days_in_whole = (part.end - part.begin).days, (whole.end - whole.begin).days
    return round_half_even(exact_product(base, Decimal(days)) / days_in_whole, _FINEST)


def _numbers(seed: int) -> Iterator[int]:
    """Yield pseudo-random numbers of 64 bits, the same for the same seed (SplitMix64, Steele and
    others 2014)."""
    state = seed
    while True:
        state = (state + 0x9E3779B97F4A7C15) & _MASK
        mixed = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
        yield mixed ^ (mixed >> 31)


def _quantile(in_order: Sequence[Ranked], part: Fraction) -> Ranked:
    """Return the least element that at least this part of all elements does not exceed: always one
    of them."""
    # The rank is rounded up and counts from 1.
    return in_order[max(0, -(-len(in_order) * part.numerator // part.denominator) - 1)]


def _named(month: date) -> str:
    return month.strftime("%Y-%m")


def _same(amount: Decimal) -> AmountRange:
    return AmountRange(low=amount, mid=amount, high=amount)


def _range(amounts: Sequence[Decimal]) -> AmountRange:
    """Return the quantiles of paths; of assumed growth, low, middle and high as they are."""
    in_order = sorted(amounts)
    if len(in_order) <= len(QUANTILES):
        return AmountRange(low=in_order[0], mid=in_order[len(in_order) // 2], high=in_order[-1])
    low, mid, high = (_quantile(in_order, part) for part in QUANTILES)
    return AmountRange(low=low, mid=mid, high=high)

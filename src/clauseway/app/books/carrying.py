"""Sums kept from one settlement to the next, each named by everything it was made from.

    share, figures, catalog ─▶ name ─┬─ usage, prices, credits of a month ─▶ name of the next ─▶ …
                                     └─ what the share has accumulated by then, kept in the control database

A month's inputs are the sealed usage in it, the files of it that were lost, the prices and
rates in force on its days as known now, and the credits and disputes of its sales. Where one of
them changes, the names of that month and of all later ones change, and what was kept for them is
made anew; nothing is ever looked for by a name that says less than it was made from.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import date

import msgspec

from clauseway.agreement import RevenueShare
from clauseway.catalog import Catalog
from clauseway.ledger import Carried, RevenueLine, SaleRecord, carry
from clauseway.ledger.assumptions import Assumptions
from clauseway.ledger.carrying import ShareKey
from clauseway.ledger.exchange_rates import Rate, Rates
from clauseway.ledger.floors import calendar_period
from clauseway.pricing import PriceTable
from clauseway.storage import Control
from clauseway.storage.books.kept_sums import KeptSum, keep_sums, read_sums
from clauseway.storage.lake.file_list import LakeListing
from clauseway.values import Interval, day_of

# Changes whenever sums of before would be other sums today.
_FORMAT = "carried sums 3"
RevenueLines = Callable[[Interval], Sequence[RevenueLine]]


def named(*parts: object) -> str:
    """Return a hash of several parts, in which it counts where each part ends."""
    return hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()


def usage_names(
    listing: LakeListing, period_of: Callable[[date], Interval]
) -> dict[date, list[str]]:
    """Return, for each period's first day, the names of the sealed usage and of the lost files that
    may hold usage of the period."""
    sealed = ((usage.name, usage.first_day, usage.last_day) for usage in listing.usage)
    lost = ((file.name, file.first_day, file.last_day) for file in listing.lost)
    names: dict[date, list[str]] = defaultdict(list)
    for name, day, last in (*sealed, *lost):
        while day <= last:
            period = period_of(day)
            names[period.begin].append(name)
            day = period.end
    return names


class PriceNames:
    """Names of prices, each made from the entries of the books that are known, and from rates."""

    def __init__(self, prices: PriceTable) -> None:
        self._prices = prices
        by_interval: dict[Interval, list[bytes]] = {}
        for rank, book in enumerate(prices.books):
            for entry in book.entries:
                if entry.known_at.instant_ns <= prices.known_at.instant_ns:
                    # Where an entry stands changes no price: a book that is only laid out anew
                    # keeps its names.
                    said = msgspec.structs.replace(entry, line=0, source="", book="")
                    written = msgspec.json.encode((rank, said), order="sorted")
                    by_interval.setdefault(entry.interval, []).append(written)
        self._digests = {
            interval: hashlib.sha256(b"\n".join(sorted(entries))).hexdigest()
            for interval, entries in by_interval.items()
        }
        self._all = named(sorted(self._digests.items()))

    def in_force(self, days: Interval) -> str:
        """Return the name of the prices in force on some days, and of the rates until then."""
        entries = sorted(
            (interval, digest)
            for interval, digest in self._digests.items()
            if not interval.intersect(days).is_empty
        )
        return named(
            entries,
            self._rates(lambda rates: [rate for rate in rates.all if rate.day < days.end]),
        )

    def known_by(self, day: date) -> str:
        """Return the name of all prices, whatever their days, and of the rates that count on a day.

        How finely a day's usage is summed depends on prices that are not in force on it, too.
        """
        return named(self._all, self._rates(lambda rates: rates.in_force(day)))

    def _rates(self, counting: Callable[[Rates], Sequence[Rate]]) -> object:
        """Return the rates that count; the digest of all of them where they cannot be listed."""
        rates = self._prices.rates
        if isinstance(rates, Rates):
            return counting(rates)
        return rates.digest if rates is not None else None


class CarriedSums:
    """The sums of a home.

    A sum is read where one of its name was kept; `keep` keeps the sums that were made.

    `listing` is that of the lake whose usage is summed, `lines` returns the charges of some days.
    """

    def __init__(
        self,
        control: Control,
        price_names: PriceNames,
        catalog: Catalog,
        listing: LakeListing,
        lines: RevenueLines,
    ) -> None:
        self._control, self._catalog, self._lines = control, catalog, lines
        self._usage = usage_names(listing, _month_of)
        self._prices = price_names
        self._of_catalog = named(catalog)
        self._months: dict[date, str] = {}
        self._decoded: dict[str, Carried] = {}
        self._made: dict[str, KeptSum] = {}

    def before(
        self,
        day: date,
        shares: Iterable[RevenueShare],
        assumptions: Assumptions,
        back: Sequence[SaleRecord],
        *,
        if_rejected: bool = False,
    ) -> dict[ShareKey, Carried]:
        """Return the amount that each share has accumulated before the first day of a month, with
        sales taken `back`.

        Sums in which no sale is in dispute (`if_rejected`) have places of their own.
        """
        sums: dict[ShareKey, Carried] = {}
        for share in shares:
            carried = self._carried(share, day, assumptions, back, if_rejected=if_rejected)
            if carried is not None:
                sums[share.term, share.begin] = carried
        return sums

    def reads_from(
        self,
        day: date,
        shares: Iterable[RevenueShare],
        assumptions: Assumptions,
        back: Sequence[SaleRecord],
    ) -> date:
        """Return the first day whose charges `before` needs; the day itself where everything is
        kept."""
        first = day
        for share in shares:
            chain = self._chain(share, day, assumptions, back)
            _, at = self._latest(share, chain, if_rejected=False)
            first = min(first, chain[at][0].begin) if at < len(chain) else first
        return first

    def fingerprint(
        self,
        days: Interval,
        shares: Iterable[RevenueShare],
        assumptions: Assumptions,
        *backs: Sequence[SaleRecord],
    ) -> str:
        """Return a hash of everything that the settlement of a month is made from."""
        chains = [
            [self._chain(share, days.end, assumptions, back)[-1][1] for back in backs]
            for share in sorted(shares, key=lambda share: (share.term, share.begin))
        ]
        return named(_FORMAT, days, chains)

    def is_kept(self, place: str, name: str) -> bool:
        """Return whether something was marked by this name."""
        return place in read_sums(self._control, {place: name})

    def mark(self, place: str, name: str) -> None:
        """Mark a place by a name, for `keep`."""
        self._made[place] = KeptSum(place, name, "")

    def keep(self) -> None:
        """Keep what was made since."""
        keep_sums(self._control, self._made.values())
        self._made.clear()

    def _carried(
        self,
        share: RevenueShare,
        day: date,
        assumptions: Assumptions,
        back: Sequence[SaleRecord],
        *,
        if_rejected: bool,
    ) -> Carried | None:
        chain = self._chain(share, day, assumptions, back)
        carried, at = self._latest(share, chain, if_rejected=if_rejected)
        missing = chain[at:]
        if missing:
            lines = self._lines(Interval(missing[0][0].begin, missing[-1][0].end))
            carried = self._made_from(
                share, missing, lines, assumptions, back, carried, if_rejected=if_rejected
            )
        return carried

    def _made_from(
        self,
        share: RevenueShare,
        missing: Sequence[tuple[Interval, str]],
        lines: Sequence[RevenueLine],
        assumptions: Assumptions,
        back: Sequence[SaleRecord],
        carried: Carried | None,
        *,
        if_rejected: bool,
    ) -> Carried | None:
        """Carry month by month from what was found, and remember each step."""
        by_month: dict[date, list[RevenueLine]] = {}
        for line in lines:
            by_month.setdefault(line.event_day.replace(day=1), []).append(line)
        for days, name in missing:
            of_month = by_month.get(days.begin.replace(day=1), [])
            taken = [record for record in back if day_of(record.event_ns) in days]
            carried = carry(share, days, of_month, taken, self._catalog, assumptions, carried)
            self._decoded[name] = carried
            place = _place(share, days, if_rejected=if_rejected)
            self._made[place] = KeptSum(place, name, msgspec.json.encode(carried).decode())
        return carried

    def _latest(
        self, share: RevenueShare, chain: Sequence[tuple[Interval, str]], *, if_rejected: bool
    ) -> tuple[Carried | None, int]:
        """Return the last sum of a chain that is there, and how many of its months that covers.

        The last one is likeliest.
        """
        # One row is read first; the whole chain only where that one is missing.
        for part in (chain[-1:], chain):
            names = {
                _place(share, days, if_rejected=rejected): name
                for days, name in part
                for rejected in {False, if_rejected}
            }
            kept = read_sums(self._control, names)
            # From the latest month back: the first sum that is there spares the most work.
            for at in range(len(chain), len(chain) - len(part), -1):
                days, name = chain[at - 1]
                if name not in self._decoded:
                    bodies = (
                        kept.get(_place(share, days, if_rejected=rejected))
                        for rejected in (False, if_rejected)
                    )
                    body = next((body for body in bodies if body is not None), None)
                    if body is None:
                        continue
                    self._decoded[name] = msgspec.json.decode(body, type=Carried)
                return self._decoded[name], at
        return None, 0

    def _chain(
        self, share: RevenueShare, until: date, assumptions: Assumptions, back: Sequence[SaleRecord]
    ) -> list[tuple[Interval, str]]:
        """Return the days of each month from the share's begin up to a day, with the name of the
        sum at its end."""
        figures = [
            (assumption.name, assumption.value)
            for assumption in assumptions.used(assumptions.names_of([share]))
        ]
        # Each name covers everything before it, so an earlier change renames all later sums.
        name = named(_FORMAT, share, self._of_catalog, figures)
        taken: dict[date, list[SaleRecord]] = {}
        for record in sorted(back):
            taken.setdefault(day_of(record.event_ns).replace(day=1), []).append(record)
        chain = []
        at = share.begin
        while at < until:
            month = _month_of(at)
            name = named(name, self._month(month), taken.get(month.begin, []))
            chain.append((Interval(at, month.end), name))
            at = month.end
        return chain

    def _month(self, month: Interval) -> str:
        """Return the name of a month's usage and prices."""
        if month.begin not in self._months:
            batches = sorted(self._usage.get(month.begin, ()))
            self._months[month.begin] = named(batches, self._prices.in_force(month))
        return self._months[month.begin]


def _month_of(day: date) -> Interval:
    return calendar_period(day, "month")


def _place(share: RevenueShare, days: Interval, *, if_rejected: bool) -> str:
    return named("carried", share.term, share.begin, days.end, if_rejected)

"""The charges of each day, kept by a name that says all they were made from: a settlement in parts.

    batches of the day, prices known, its rates, products in no base ─▶ name ─▶ its lines

A day is priced by itself, so days can be summed side by side, by any process of the home's database
and in any order; a month is the lines of its days. A record that comes late is in a batch of its
own, and only the days of that batch are read again; files that are merged change no name. What is
kept under another name is treated as missing.
"""

from collections.abc import Collection, Mapping
from datetime import date
from decimal import Decimal

import msgspec

from clauseway.app.books.carrying import PriceNames, named, usage_names
from clauseway.app.opening.prices import refusing_unpriced
from clauseway.ledger import RevenueLine
from clauseway.pricing import PriceTable
from clauseway.storage.books.kept_sums import KeptSum, keep_sums, read_sums
from clauseway.storage.lake.file_list import keep_listing
from clauseway.storage.lake.lake import Lake
from clauseway.storage.usage.content import stretches
from clauseway.storage.usage.priced import revenue
from clauseway.values import Interval, day_after, exact_sum

# Changes whenever the lines of before would be other lines today.
_FORMAT = "day charges 2"
_Lines = list[RevenueLine]


class DaySettled(msgspec.Struct, frozen=True, kw_only=True):
    """A day that is ready for the settlement of its month: its lines, priced requests and USD.

    `was_kept` is true if nothing had changed since it was summed before.
    """

    day: date
    lines: int
    requests: int
    amount: Decimal
    was_kept: bool


class DayCharges:
    """The charges of a lake's usage by day. What was kept is read (with `use_kept`) where its name
    is right; what was made is kept by `keep`. `known_only` leaves out usage without a price, and
    such charges are kept apart."""

    def __init__(
        self,
        lake: Lake,
        prices: PriceTable,
        price_names: PriceNames,
        in_no_base: Collection[str],
        *,
        use_kept: bool,
        known_only: bool = False,
    ) -> None:
        self._lake, self._prices, self._price_names = lake, prices, price_names
        self._in_no_base = sorted(in_no_base)
        self._use_kept, self._known_only = use_kept, known_only
        self._listing = lake.listing
        self._batches = usage_names(self._listing, _one_day)
        self._covered: Interval | None = None
        self._lines: dict[date, _Lines] = {}
        self._made: dict[date, KeptSum] = {}

    def lines(self, days: Interval) -> _Lines:
        """Return the charges of some days, in order of their days.

        Raise InvalidInput for usage without a price.
        """
        if self._covered is None or days.intersect(self._covered) != days:
            self._cover(days)
            self._covered = days
        return [line for day in sorted(self._lines) if day in days for line in self._lines[day]]

    def kept(self, days: Interval) -> _Lines:
        """Return the charges of some days as they were kept, without a look at the lake; none
        where the charges of a day with usage are not kept."""
        names = {self._place(day): self._name(day) for day in sorted(self._batches) if day in days}
        kept = read_sums(self._lake.control, names)
        if len(kept) < len(names):
            return []
        return [line for place in names for line in msgspec.json.decode(kept[place], type=_Lines)]

    def settled(self, day: date) -> DaySettled:
        """Return a day's charges summed up, read or made. Raise InvalidInput as `lines` does."""
        lines = self.lines(_one_day(day))
        return DaySettled(
            day=day,
            lines=len(lines),
            requests=sum(line.requests for line in lines),
            amount=exact_sum(line.amount for line in lines),
            was_kept=day in self._lines and day not in self._made,
        )

    def keep(self) -> None:
        """Keep what was made since, and the names that it was made by."""
        if self._made:
            keep_listing(self._lake.control, self._listing)
            keep_sums(self._lake.control, self._made.values())
            self._made.clear()

    def _cover(self, days: Interval) -> None:
        """Read or make the lines of each day that has usage and was not covered yet."""
        sums = {
            day: KeptSum(self._place(day), self._name(day), "")
            for day in sorted(self._batches)
            if day in days and day not in self._lines
        }
        names = {empty.place: empty.name for empty in sums.values()}
        kept = read_sums(self._lake.control, names) if self._use_kept else {}
        if kept:
            # A reader checks the files that it reads; kept charges would hide that a file is gone.
            self._lake.sealed.require_there(self._lake.usage_files(days))
        for day in sums:
            if body := kept.get(self._place(day)):
                self._lines[day] = msgspec.json.decode(body, type=_Lines)
        self._make({day: empty for day, empty in sums.items() if day not in self._lines})

    def _make(self, missing: Mapping[date, KeptSum]) -> None:
        for stretch in stretches(list(missing)):
            by_day: dict[date, _Lines] = {day: [] for day in missing if day in stretch}
            with refusing_unpriced():
                lines = revenue(
                    self._lake,
                    self._prices,
                    stretch,
                    known_only=self._known_only,
                    in_no_base=self._in_no_base,
                )
            for line in lines:
                by_day[line.event_day].append(line)
            self._lines |= by_day
        for day, empty in missing.items():
            body = msgspec.json.encode(self._lines[day]).decode()
            self._made[day] = msgspec.structs.replace(empty, body=body)

    def _place(self, day: date) -> str:
        return f"known charges of {day}" if self._known_only else f"charges of {day}"

    def _name(self, day: date) -> str:
        batches = sorted(self._batches[day])
        return named(_FORMAT, day, batches, self._price_names.known_by(day), self._in_no_base)


def _one_day(day: date) -> Interval:
    return Interval(day, day_after(day))

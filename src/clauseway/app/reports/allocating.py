"""Costs of a month by team, over all clouds: their bills by tag, and the gateway's usage by project.

Everything on the bills is counted in exactly one place: with a team, with no team and why, outside
the month, or as a row that cannot be read. Nothing is kept.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path

import msgspec

from clauseway.app.books.usage_charges import usage_charges
from clauseway.app.opening.home import Home
from clauseway.app.opening.periods import month
from clauseway.app.opening.prices import refusing_unpriced
from clauseway.app.opening.several import Opened
from clauseway.app.reports.amounts import in_currency
from clauseway.app.reports.reconciling import check_cost, usd_rate
from clauseway.app.usage.sealing import open_lake, seal
from clauseway.exchange.focus.bill_fields import COSTS
from clauseway.exchange.focus.bill_rows import UnreadRow
from clauseway.exchange.focus.cost_rows import CostRow, cost_rows
from clauseway.exchange.usage.focus import TAGS, VERSIONS_READ, BillNames
from clauseway.ledger.allocation import (
    UNREAD_TAGS,
    MeteredCost,
    TaggedCharge,
    TeamCost,
    costs_by_team,
    team_in,
)
from clauseway.pricing import PriceTable
from clauseway.values import (
    USD,
    Interval,
    InvalidInput,
    Problem,
    counted,
    exact_product,
    exact_sum,
    read_pairs,
    refuse_any,
    suggestion,
)
from clauseway.wording.names import listed

EFFECTIVE = "EffectiveCost"
# The columns that may be summed, and the bills that are read.
COST_COLUMNS = COSTS
BILLS_READ = f"FOCUS {VERSIONS_READ} as CSV, gzipped too, or Parquet"
_KEYS_SHOWN = 8
# Rows of a bill between two reports of progress: some ten seconds.
_ROWS_REPORTED = 100_000
# What stands before the key of a tag: AWS's user:, resourceTags/ and the like, Oracle's namespace.
_PREFIX = re.compile(r"^.*[:/.]")


OnRows = Callable[[str, int], object]


class AllocationAsked(msgspec.Struct, frozen=True, kw_only=True):
    """The question: a month, and the keys that name a team, the first that a charge has.

    A key is that of a tag, or a column. `teams` are other names of teams: values of tags, and the
    gateway's projects as organisation/project. `gateway` are keys with the values that charges of
    the gateway's accounts have.
    """

    period: str
    keys: tuple[str, ...]
    teams: Mapping[str, str] = {}
    gateway: tuple[tuple[str, str], ...] = ()
    cost: str = EFFECTIVE


class OutsideCost(msgspec.Struct, frozen=True, kw_only=True):
    """Charges of a bill whose days are outside the month."""

    bill: str
    currency: str
    cost: Decimal
    rows: int


class UnreadCharge(msgspec.Struct, frozen=True, kw_only=True):
    """A row of a bill whose day, currency or cost cannot be read: it is in no amount."""

    bill: str
    line: int
    field: str
    reason: str


class AllocatedCosts(msgspec.Struct, frozen=True, kw_only=True):
    """The costs of a month by team, the charges outside it, the rows that cannot be read, and what
    to look at."""

    period: str
    cost: str
    keys: tuple[str, ...]
    known_at: str
    price_book: str
    costs: tuple[TeamCost, ...]
    outside: tuple[OutsideCost, ...]
    unread: tuple[UnreadCharge, ...]
    remarks: tuple[str, ...]

    @property
    def is_whole(self) -> bool:
        """Return whether every row was read and has a rate."""
        return not self.unread and all(cost.currency == USD for cost in self.costs)


def allocate_bills(
    home: Home,
    opened: Opened,
    prices: PriceTable,
    bills: Sequence[Path],
    asked: AllocationAsked,
    rates: Mapping[str, Decimal],
    on_rows: OnRows,
) -> AllocatedCosts:
    """Return the costs of a month by team. Seal the spools first; change and post nothing else.

    `on_rows` is called from time to time with a bill and how many of its rows were read. Raise
    InvalidInput: a bill that cannot be read, a key that no bill has, usage without a price.
    """
    days = month(asked.period)
    check_cost(asked.cost)
    _check_bills(bills)
    reading = _Reading(BillNames.of(opened.catalog), asked, days, prices, rates, on_rows)
    metered = _metered(home, prices, days, asked.teams) if home.is_begun else []
    # Row by row: a bill may have millions.
    costs = costs_by_team((charge for path in bills for charge in reading.charges(path)), metered)
    reading.check_keys()
    return AllocatedCosts(
        period=asked.period,
        cost=asked.cost,
        keys=asked.keys,
        known_at=str(prices.known_at),
        price_book=prices.digest,
        costs=tuple(costs),
        outside=tuple(reading.outside.values()),
        unread=tuple(reading.unread),
        remarks=(
            *reading.remarks(),
            *_alike(costs),
            *_on_the_bill(reading, metered),
        ),
    )


def teams_of(items: Sequence[str]) -> dict[str, str]:
    """`Search=search` items: another name, and the team. Raise InvalidInput."""
    teams: dict[str, str] = {}
    for name, team in read_pairs(items, "--team", "Search=search", at_last=True):
        if teams.setdefault(name, team) != team:
            raise InvalidInput.of(
                what=f"{name!r} is two teams",
                why=f"{teams[name]!r} and {team!r}",
                where="--team",
                remedy="Give each other name once.",
            )
    return teams


def _check_bills(bills: Sequence[Path]) -> None:
    """Raise InvalidInput for a file that is named twice: it would count twice."""
    there: set[Path] = set()
    for path in bills:
        if (resolved := path.resolve()) in there:
            raise InvalidInput.of(
                what="the bill is given twice",
                why="it would count twice",
                where=str(path),
                remedy="Name each file once.",
            )
        there.add(resolved)


class _Reading:
    """The reading of bills, and what it meets: keys, rows that come again, rows outside."""

    def __init__(
        self,
        names: BillNames,
        asked: AllocationAsked,
        days: Interval,
        prices: PriceTable,
        rates: Mapping[str, Decimal],
        on_rows: OnRows,
    ) -> None:
        self._names, self._asked, self._days, self._on_rows = names, asked, days, on_rows
        self._plain_keys = frozenset(map(_plain, asked.keys))
        self._prices, self._rates = prices, rates
        self.outside: dict[tuple[str, str], OutsideCost] = {}
        self.unread: list[UnreadCharge] = []
        # The clouds of charges of the month, and those with charges of the gateway's accounts.
        self.billed: set[str] = set()
        self.shared: set[str] = set()
        # Keys of tags and the columns that were met; and the rows of no team that have a key alike.
        self._met: dict[str, int] = {}
        self._columns: set[str] = set()
        self._alike: dict[str, int] = {}
        self._marked: set[tuple[str, str]] = set()
        # Rows by content, each with the file that had it first; and how many came again elsewhere.
        self._first: dict[bytes, str] = {}
        self._again: dict[tuple[str, str], int] = {}
        self._unread_tags: list[str] = []

    def charges(self, path: Path) -> Iterator[TaggedCharge]:
        """Yield the charges of a bill that are of the month."""
        bill = str(path)
        for count, row in enumerate(cost_rows(path, self._names, self._asked.cost), 1):
            if count % _ROWS_REPORTED == 0:
                self._on_rows(bill, count)
            if isinstance(row, UnreadRow):
                self.unread.append(
                    UnreadCharge(bill=bill, line=row.line, field=row.field, reason=row.reason)
                )
                continue
            self._meet(path, row)
            if row.day not in self._days:
                self._leave_out(bill, row)
                continue
            yield self._charge(bill, row)

    def _meet(self, path: Path, row: CostRow) -> None:
        if TAGS not in row.columns and not any(key in row.columns for key in self._asked.keys):
            raise InvalidInput.of(
                what=f"{TAGS} is missing",
                why="the bill has no such column, and none that --by names",
                where=str(path),
                line=1,
                remedy=f"Export the bill with {TAGS}, or name a column that it has: "
                "--by SubAccountName.",
            )
        self._columns.update(row.columns)
        for key in row.tags:
            self._met[key] = self._met.get(key, 0) + 1
        first = self._first.setdefault(row.identity, str(path))
        if first != str(path):
            self._again[first, str(path)] = self._again.get((first, str(path)), 0) + 1

    def _leave_out(self, bill: str, row: CostRow) -> None:
        before = self.outside.get((bill, row.currency))
        self.outside[bill, row.currency] = OutsideCost(
            bill=bill,
            currency=row.currency,
            cost=exact_sum((before.cost if before else Decimal(0), row.cost)),
            rows=(before.rows if before else 0) + 1,
        )

    def _charge(self, bill: str, row: CostRow) -> TaggedCharge:
        marks = {mark for mark in self._asked.gateway if mark[1] in _values(row, mark[0])}
        self._marked |= marks
        self.billed.add(row.cloud)
        if marks:
            self.shared.add(row.cloud)
        labels = {key: _values(row, key) for key in self._asked.keys}
        team, reason = team_in(labels, self._asked.keys, self._asked.teams)
        if not team and row.unread_tags:
            reason = UNREAD_TAGS
            self._unread_tags.append(f"{bill}:{row.line}: {row.unread_tags}")
        if not team and not marks:
            for key in row.tags:
                if _plain(key) in self._plain_keys and key not in self._asked.keys:
                    self._alike[key] = self._alike.get(key, 0) + 1
        rate = self._rates.get(row.currency) or usd_rate(self._prices, row.currency, row.day)
        return TaggedCharge(
            team=team,
            reason=reason,
            category=row.category,
            cloud=row.cloud,
            currency=row.currency if rate is None else USD,
            cost=row.cost if rate is None else exact_product(row.cost, rate),
            is_of_gateway=bool(marks),
        )

    def check_keys(self) -> None:
        """Raise InvalidInput for a key that no row has, and a mark of the gateway that none has."""
        there = {**self._met, **dict.fromkeys(self._columns, 0)}
        problems = [
            Problem(
                what=f"no row has {key!r}",
                why="it is neither a tag's key nor a column of these bills",
                where="--by",
                remedy=self._other_key(key),
            )
            for key in self._asked.keys
            if key not in there
        ]
        problems += [
            Problem(
                what=f"no row of the month has {key}={value}",
                why="nothing on these bills would be the gateway's",
                where="--gateway",
                remedy="Name a tag's key or a column, and the value that the charges of the "
                "gateway's accounts have.",
            )
            for key, value in self._asked.gateway
            if (key, value) not in self._marked
        ]
        refuse_any(problems)

    def _other_key(self, key: str) -> str:
        by_rows = sorted(self._met, key=lambda other: (-self._met[other], other))
        for other in by_rows:
            if _plain(other) == _plain(key):
                return f"Write --by {_quoted(other)}."
        if named := suggestion(key, (*self._met, *self._columns)):
            return named
        shown = listed(by_rows[:_KEYS_SHOWN])
        return f"The tags have the keys {shown}." if shown else "No row has a tag."

    def remarks(self) -> Iterator[str]:
        """Yield what the rows show that somebody should look at."""
        for key, rows in sorted(self._alike.items()):
            yield (
                f"{counted(rows, 'row')} of no team {'has' if rows == 1 else 'have'} the tag {key}: "
                f"--by {key} reads it too."
            )
        for (first, second), rows in sorted(self._again.items()):
            yield (
                f"{counted(rows, 'row')} of {second} {'is' if rows == 1 else 'are'} in {first} too, "
                "and count twice: are they two exports of the same charges?"
            )
        yield from self._unread_tags


def _values(row: CostRow, key: str) -> tuple[str, ...]:
    """Return the values of a key: a column's, else those of a tag."""
    if key in row.columns:
        value = row.columns[key]
        return () if value in (None, "") else (str(value),)
    return row.tags.get(key, ())


def _plain(key: str) -> str:
    return _PREFIX.sub("", key).strip().casefold()


def _metered(
    home: Home, prices: PriceTable, days: Interval, teams: Mapping[str, str]
) -> list[MeteredCost]:
    """Return the charges for the gateway's usage, by project and cloud."""
    seal(home)
    sums: dict[tuple[str, str], Decimal] = {}
    with open_lake(home) as lake, refusing_unpriced():
        charges = usage_charges(lake, prices, days)
    for charge in charges:
        project = "/".join(filter(None, (charge.organisation, charge.project)))
        place = (teams.get(project, project), charge.cloud)
        cost = exact_product(charge.amount, prices.usd(charge.currency, charge.day))
        sums[place] = exact_sum((sums.get(place, Decimal(0)), cost))
    return [MeteredCost(team=team, cloud=cloud, cost=cost) for (team, cloud), cost in sums.items()]


def _alike(costs: Sequence[TeamCost]) -> Iterator[str]:
    """Yield the teams whose names differ in case, spaces or an organisation before them alone."""
    spelled: dict[str, Counter[str]] = {}
    for cost in costs:
        if cost.team:
            name = cost.team.rpartition("/")[2].strip().casefold()
            spelled.setdefault(name, Counter())[cost.team] += cost.rows
    for names in spelled.values():
        if len(names) > 1:
            (first, _), *others = names.most_common()
            yield (
                f"{listed([repr(name) for name in names])} are apart: "
                + " ".join(f"--team {_quoted(f'{other}={first}')}" for other, _ in others)
                + (" joins them." if len(others) == 1 else " join them.")
            )


def _quoted(text: str) -> str:
    return text if re.fullmatch(r"[\w./=:@-]+", text) else f"'{text}'"


def _on_the_bill(reading: _Reading, metered: Sequence[MeteredCost]) -> Iterator[str]:
    """Yield what was metered on clouds whose bills name no charge as the gateway's."""
    parts = []
    for cloud in sorted({usage.cloud for usage in metered} & (reading.billed - reading.shared)):
        cost = exact_sum(usage.cost for usage in metered if usage.cloud == cloud)
        parts.append(f"{in_currency(cost, USD)} on {cloud}")
    if parts:
        yield (
            f"The gateway metered {listed(parts)}, which the bills have: it is not added. --gateway "
            "KEY=VALUE names the charges of its accounts, to split them over its projects."
        )

"""Rehearse a draft amendment: route recorded traffic and settle months as if it had been in effect.

    DRAFT.md ─▶ the agreement with the draft after its last amendment ─┬─▶ every recorded sale asked again, both ways
                                                                       └─▶ every settled month settled again, both ways

The draft is played as if it took effect, and was known, on a day with traffic; days that its terms
state themselves stay. A conditional sale is refused, as at the gateway. Nothing is changed or
posted.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import msgspec

from clauseway.agreement import Agreement, Amendment, meaning_of
from clauseway.agreement.language.actions import SELL
from clauseway.app.books.basis import basis_of
from clauseway.app.books.settled import latest_settlements
from clauseway.app.books.settling import Settler
from clauseway.app.opening.home import Home
from clauseway.app.opening.library import (
    OpenAgreement,
    agreement_of,
    documents_of,
    with_recorded,
)
from clauseway.app.opening.periods import month, months_in
from clauseway.app.opening.places import read_text
from clauseway.app.opening.revenue_shares import check_assumed
from clauseway.app.opening.several import each_of
from clauseway.app.reports.reconciling import sale_of, sums_of, usd_rate
from clauseway.app.usage.sealing import open_lake
from clauseway.catalog import ELSEWHERE
from clauseway.decisions import Question, Tables, Verdict, check_readings
from clauseway.ledger.assumptions import accepted_items, replace_items
from clauseway.ledger.beside import PartyBeside, SideBySide, beside
from clauseway.metering import billable
from clauseway.pricing import PriceTable
from clauseway.storage.books.books import Books
from clauseway.storage.lake.lake import Lake
from clauseway.storage.usage.metered import MeteredSum
from clauseway.values import (
    Interval,
    InvalidInput,
    KnownAt,
    day_after,
    exact_product,
    exact_sum,
)

PERMITTED = "permitted"
REFUSED, MOVED, OPENED, ADMITTED = "refused", "moved", "opened", "admitted"
# The meaning of each fate, in the order in which they are listed.
MEANINGS: Mapping[str, str] = {
    REFUSED: "would be refused: no cloud is permitted any more",
    MOVED: "would go to another cloud: this one is not permitted any more",
    ADMITTED: "would be permitted where they went, which the agreement as it is does not permit",
    OPENED: "could go to a further cloud as well",
}
_EPOCH = date(1970, 1, 1)
_HOURS = 24
_SAMPLES = 4


class Deciding(msgspec.Struct, frozen=True, kw_only=True):
    """An outcome with its deciding terms, each with its place."""

    outcome: str
    terms: tuple[str, ...]
    places: tuple[str, ...]


class Routed(msgspec.Struct, frozen=True, kw_only=True):
    """Requests that the draft changes in the same way.

    `clouds` are the clouds that the draft permits; `charged` is their charge in USD, None if a
    price is not known. `samples` are some of their ids.
    """

    what: str
    product: str
    cloud: str
    region: str
    seller: str
    segment: str
    before: Deciding
    after: Deciding
    clouds: tuple[str, ...]
    requests: int
    first_day: date
    last_day: date
    charged: Decimal | None
    samples: tuple[str, ...]


class NotAsked(msgspec.Struct, frozen=True, kw_only=True):
    """Traffic that the agreement cannot decide, and why."""

    product: str
    cloud: str
    region: str
    seller: str
    segment: str
    requests: int
    why: str


class MonthRehearsed(msgspec.Struct, frozen=True, kw_only=True):
    """A settled month in force and under the draft, on the same usage.

    `refused` are the charges, by seller, of requests that the draft would have refused: their
    revenue is in both sides.
    """

    period: str
    beside: SideBySide
    refused: Mapping[str, Decimal]


class Rehearsal(msgspec.Struct, frozen=True, kw_only=True):
    """The changes that a draft would have made on the days played. `parties` sums the months."""

    draft: str
    amendment: str
    title: str
    effective: date
    as_if: date
    days: Interval
    known_at: str
    requests: int
    unchanged: int
    routed: tuple[Routed, ...]
    not_asked: tuple[NotAsked, ...]
    months: tuple[MonthRehearsed, ...]
    parties: tuple[PartyBeside, ...]

    @property
    def changes_nothing(self) -> bool:
        return not self.routed and all(month.beside.is_same for month in self.months)


def open_draft(folder: Path | None, draft: Path, home: Home) -> tuple[OpenAgreement, OpenAgreement]:
    """Return an agreement in force, and with a draft after its last amendment; both with the facts
    of a home. Raise InvalidInput as `place_draft` does."""
    documents = _documents(folder, home)
    if draft.suffix != ".md":
        agreement_of(documents)
        remedy = "Give a Markdown file, as agreement check takes it: front matter, clauses, terms."
        why = "an amendment is a Markdown file"
        raise InvalidInput.of(what="no amendment", why=why, where=str(draft), remedy=remedy)
    return place_draft(documents, draft.name, read_text(draft), home, where=str(draft))


def place_draft(
    documents: Mapping[str, str], name: str, text: str, home: Home, *, where: str
) -> tuple[OpenAgreement, OpenAgreement]:
    """Return an agreement in force, and with the text of a draft after its last amendment; both
    with the facts of a home.

    Raise InvalidInput with everything wrong in the draft, each with its line, and in the agreement.
    """
    # Read the agreement alone first, so that its own mistakes are not reported as the draft's.
    real = agreement_of(documents)
    # A draft with the name of a document must not replace it.
    name = name if name not in documents else f"draft/{name}"
    drafted = agreement_of({**documents, name: text})
    last, new = real.agreement.amendments[-1], _new_in(drafted.agreement, name)
    if new.effective <= last.effective:
        line = next(
            (n for n, line in enumerate(text.splitlines(), 1) if line.startswith("effective:")), 1
        )
        raise InvalidInput.of(
            what=f"{new.id} takes effect on {new.effective}",
            why=(
                f"a draft comes after the last amendment, and {last.id} took effect on "
                f"{last.effective}"
            ),
            where=where,
            line=line,
            remedy="Give it a later day.",
        )
    return with_recorded(real, home), with_recorded(drafted, home)


def _documents(folder: Path | None, home: Home) -> Mapping[str, str]:
    """Return the texts of the agreement that a draft amends: the folder's, else the home's.

    Raise InvalidInput.
    """
    held = each_of(basis_of(home).opened())
    if folder is not None or len(held) == 1:
        return documents_of(folder) if folder is not None else held[0].documents
    names = ", ".join(asked.agreement.id for asked in held)
    why, remedy = f"this home settles under {names}", "Name its folder with --agreement."
    raise InvalidInput.of(
        what="nothing says which agreement the draft amends",
        why=why,
        where="--agreement",
        remedy=remedy,
    )


def _new_in(agreement: Agreement, document: str) -> Amendment:
    return next(amendment for amendment in agreement.amendments if amendment.document == document)


def played_as_if(drafted: OpenAgreement, day: date) -> OpenAgreement:
    """Return the agreement with its last amendment in effect from another day, and known always.
    Days that its terms state stay."""
    *earlier, last = drafted.agreement.amendments
    terms = tuple(
        # Terms that begin with the amendment move with it; others state their day themselves.
        msgspec.structs.replace(term, begins=day) if term.begins == last.effective else term
        for term in last.terms
    )
    moved = msgspec.structs.replace(
        last, announced=day, effective=day, known=KnownAt.always(), terms=terms
    )
    agreement = msgspec.structs.replace(
        drafted.agreement,
        amendments=(*earlier, moved),
        # This text differs from the written text, so its digest must differ too.
        text_digest=f"{drafted.agreement.text_digest}@{day}",
    )
    agreement = msgspec.structs.replace(agreement, meaning_digest=meaning_of(agreement))
    return OpenAgreement(agreement, drafted.catalog, drafted.facts)


def rehearse(
    home: Home,
    real: OpenAgreement,
    drafted: OpenAgreement,
    prices: PriceTable,
    *,
    first: date | None = None,
    last: date | None = None,
    as_if: date | None = None,
    assume: Sequence[str] = (),
    readings: Mapping[str, str] | None = None,
) -> Rehearsal:
    """Play the sealed usage of a home under an agreement whose last amendment is a draft.

    Days are from `first` through `last`. The draft is in effect from `as_if` on: by default its own
    day if traffic reaches it, else the first day played, or the day after the amendment before it
    took effect. A settled month keeps its figures; `assume` replaces them.
    Raise InvalidInput.
    """
    chosen = basis_of(home).readings | dict(readings or {})
    check_readings(real.agreement, chosen)
    draft = drafted.agreement.amendments[-1]
    with open_lake(home) as lake:
        days = _played(lake, first, last)
        # The draft takes effect after the amendment before it, and within the days played.
        start = as_if or _as_if(real.agreement, draft, days)
        if start <= real.agreement.amendments[-1].effective:
            before = real.agreement.amendments[-1]
            why = f"{before.id} took effect on {before.effective}, and the draft comes after it"
            remedy = "Name a later day."
            raise InvalidInput.of(
                what=f"{start} is too early", why=why, where="--effective", remedy=remedy
            )
        played = played_as_if(drafted, start)
        # Decide every recorded sale without and with the draft; then settle every settled month
        # without and with it.
        sums = sums_of(lake, days, prices)
        traffic = Traffic(real, played, prices, chosen)
        for usage in sums:
            traffic.take(usage)
        months = tuple(_months(home, lake, days, assume, traffic))
    return Rehearsal(
        draft=draft.document,
        amendment=draft.id,
        title=draft.title,
        effective=draft.effective,
        as_if=start,
        days=days,
        known_at=str(prices.known_at),
        requests=sum(usage.attempts for usage in sums),
        unchanged=traffic.unchanged,
        routed=traffic.routed(),
        not_asked=traffic.not_asked(),
        months=months,
        parties=_summed(months),
    )


def _played(lake: Lake, first: date | None, last: date | None) -> Interval:
    """Return the days with usage, within the given days."""
    sealed = lake.control.first_and_last_day()
    if sealed is None:
        remedy = "Meter some, import some (usage import), or name the home that has it with --home."
        raise InvalidInput.of(
            what="there is no traffic",
            why="no usage is sealed",
            where=str(lake.root),
            remedy=remedy,
        )
    days = Interval(first or sealed[0], day_after(last or sealed[1]))
    if days.is_empty:
        remedy = "Name a first day that is not after the last."
        why = f"nothing lies from {days.begin} up to {days.end}"
        raise InvalidInput.of(what="no day is left to play", why=why, where="--from", remedy=remedy)
    return days


def _as_if(agreement: Agreement, draft: Amendment, days: Interval) -> date:
    if draft.effective < days.end:
        return draft.effective
    return max(days.begin, agreement.amendments[-1].effective + timedelta(days=1))


class _Sale(NamedTuple):
    """A recorded sale, without its time."""

    seller: str
    product: str
    segment: str
    cloud: str
    region: str


class _Alike(NamedTuple):
    """The names and answers that requests share which the draft changes alike."""

    what: str
    sale: _Sale
    before: Verdict
    after: Verdict
    clouds: tuple[str, ...]


class _Count:
    """Counters of requests that change alike."""

    def __init__(self) -> None:
        self.requests = 0
        self.days: set[date] = set()
        self.charges: list[Decimal | None] = []
        self.samples: dict[str, None] = {}

    def add(self, usage: MeteredSum, day: date, charged: Decimal | None) -> None:
        self.requests += usage.attempts
        self.days.add(day)
        self.charges.append(charged)
        self.samples.update(dict.fromkeys((usage.first_request, usage.last_request)))

    @property
    def charged(self) -> Decimal | None:
        priced = [charge for charge in self.charges if charge is not None]
        return exact_sum(priced) if len(priced) == len(self.charges) else None


class Traffic:
    """Recorded sales, decided under the agreement in force and under the draft."""

    def __init__(
        self,
        real: OpenAgreement,
        played: OpenAgreement,
        prices: PriceTable,
        readings: Mapping[str, str],
    ) -> None:
        self.real, self.played, self.prices, self.readings = real, played, prices, readings
        self.tables = [Tables(side.agreement, side.catalog, side.facts) for side in (real, played)]
        self.unchanged = 0
        self.refused: dict[tuple[str, str], list[Decimal]] = {}
        self._questions: dict[_Sale, Question | str] = {}
        self._verdicts: dict[tuple[int, _Sale, date], Verdict | None] = {}
        self._alike: dict[_Alike, _Count] = {}
        self._not_asked: dict[_Sale, int] = {}

    def take(self, usage: MeteredSum) -> None:
        """Decide one sum of recorded attempts under both agreements."""
        sale = _Sale(usage.seller, usage.product, usage.segment, usage.cloud, usage.region)
        day = _EPOCH + timedelta(days=usage.hour // _HOURS)
        before, after = (self._verdict(side, sale, day) for side in (0, 1))
        if before is None or after is None:
            self._not_asked[sale] = self._not_asked.get(sale, 0) + usage.attempts
            return
        changes = list(self._changes(sale, day, before, after))
        if not changes:
            self.unchanged += usage.attempts
            return
        # Only what changes is priced: most sums change nothing.
        charged = _charge(usage, self.prices, day)
        for alike in changes:
            self._alike.setdefault(alike, _Count()).add(usage, day, charged)
        if any(alike.what == REFUSED for alike in changes) and charged is not None:
            self.refused.setdefault((day.strftime("%Y-%m"), sale.seller), []).append(charged)

    def _changes(self, sale: _Sale, day: date, before: Verdict, after: Verdict) -> Iterator[_Alike]:
        was, now = (verdict.outcome == PERMITTED for verdict in (before, after))
        # Other clouds that the draft permits for the same sale.
        elsewhere = {
            cloud: place
            for cloud in sorted(self.real.catalog.clouds - {sale.cloud})
            for place in [self._permitted(1, sale, cloud, day)]
            if place is not None
        }
        if was and not now:
            yield _Alike(MOVED if elsewhere else REFUSED, sale, before, after, tuple(elsewhere))
        if now and not was:
            yield _Alike(ADMITTED, sale, before, after, (sale.cloud,))
        # A cloud counts as opened if only the draft permits it.
        for cloud, place in elsewhere.items():
            if self._permitted(0, sale, cloud, day) is None:
                real, played = (self._verdict(side, place, day) for side in (0, 1))
                assert real is not None, "a question to one side can be put to the other"
                assert played is not None, "a question to one side can be put to the other"
                yield _Alike(OPENED, sale, real, played, (cloud,))

    def _permitted(self, side: int, sale: _Sale, cloud: str, day: date) -> _Sale | None:
        """Return the same sale on another cloud if it is permitted there, in any place if terms
        distinguish regions."""
        catalog = self.real.catalog
        places = (sorted(catalog.places_of(cloud)) or [ELSEWHERE]) if catalog.regions else [""]
        for place in places:
            there = sale._replace(cloud=cloud, region=place)
            verdict = self._verdict(side, there, day)
            if verdict is not None and verdict.outcome == PERMITTED:
                return there
        return None

    def _verdict(self, side: int, sale: _Sale, day: date) -> Verdict | None:
        key = (side, sale, day)
        if key not in self._verdicts:
            question = self._question(sale)
            self._verdicts[key] = (
                None
                if isinstance(question, str)
                else self.tables[side].answer(msgspec.structs.replace(question, as_of=day))
            )
        return self._verdicts[key]

    def _question(self, sale: _Sale) -> Question | str:
        """Return the question that the gateway's plan asks, or why it cannot be asked."""
        if sale not in self._questions and not self.real.catalog.names_product(sale.product):
            # Its class is not known, so neither side's terms reach it.
            self._questions[sale] = f"unknown name {sale.product!r}: the agreement does not name it"
        elif sale not in self._questions:
            try:
                self._questions[sale] = self.real.question(
                    action=SELL,
                    party=sale.seller,
                    product=sale.product,
                    cloud=sale.cloud,
                    segment=sale.segment or "any",
                    region=sale.region,
                    as_of=date.min,
                    known_at=self.prices.known_at,
                    reading=self.readings,
                )
            except InvalidInput as error:
                self._questions[sale] = "; ".join(
                    f"{problem.what}: {problem.why}" for problem in error.problems
                )
        return self._questions[sale]

    def routed(self) -> tuple[Routed, ...]:
        order = list(MEANINGS)
        rows = [
            Routed(
                what=alike.what,
                product=alike.sale.product,
                cloud=alike.sale.cloud,
                region=alike.sale.region,
                seller=alike.sale.seller,
                segment=alike.sale.segment,
                before=_deciding(alike.before),
                after=_deciding(alike.after),
                clouds=alike.clouds,
                requests=count.requests,
                first_day=min(count.days),
                last_day=max(count.days),
                charged=count.charged,
                samples=tuple(list(count.samples)[:_SAMPLES]),
            )
            for alike, count in self._alike.items()
        ]
        return tuple(
            sorted(
                rows,
                key=lambda row: (
                    order.index(row.what),
                    -row.requests,
                    row.product,
                    row.cloud,
                    row.seller,
                ),
            )
        )

    def not_asked(self) -> tuple[NotAsked, ...]:
        return tuple(
            NotAsked(**sale._asdict(), requests=requests, why=str(self._questions[sale]))
            for sale, requests in sorted(self._not_asked.items())
        )


def _deciding(verdict: Verdict) -> Deciding:
    return Deciding(
        outcome=verdict.outcome.value,
        terms=tuple(dict.fromkeys(reason.term for reason in verdict.reasons)),
        places=tuple(
            dict.fromkeys(f"{reason.document}:{reason.line}" for reason in verdict.reasons)
        ),
    )


def _charge(usage: MeteredSum, prices: PriceTable, day: date) -> Decimal | None:
    row = prices.row(sale_of(usage), day)
    quantities = {
        unit: count for unit, count in billable(usage.units, frozenset(row.prices)).items() if count
    }
    rate = usd_rate(prices, row.currency, day)
    # A sum without all of its prices would be too low.
    if rate is None or any(unit not in row.prices for unit in quantities):
        return None
    picos = sum(count * row.prices[unit] for unit, count in quantities.items())
    return exact_product(Decimal(picos).scaleb(-12), rate)


def _months(
    home: Home,
    lake: Lake,
    days: Interval,
    assume: Sequence[str],
    traffic: Traffic,
) -> Iterator[MonthRehearsed]:
    """Yield the settled months among the days played, settled under both agreements; with `assume`,
    every month played."""
    check_assumed(traffic.played, assume, "--assume")
    settled = latest_settlements(home)
    names = [name for name in months_in(days) if assume or name in settled]
    if not names:
        return
    vouchers = Books(lake.control).vouchers()
    usage = lake.snapshot()  # the same for both sides
    sides = [
        Settler(usage, side, traffic.prices, traffic.readings, vouchers)
        for side in (traffic.real, traffic.played)
    ]
    for side in sides:
        # Read usage once for all months.
        begins = [month(names[0]).begin, *(share.begin for share in side.shares)]
        side.read(Interval(min(begins), month(names[-1]).end))
    for name in names:
        period = month(name)
        stated = settled.get(name)
        before = accepted_items(stated.assumptions) if stated else basis_of(home).assume
        accepted = replace_items(before, assume)
        as_is, as_drafted = (side.settle(period, accepted) for side in sides)
        refused = {
            seller: exact_sum(charges)
            for (when, seller), charges in sorted(traffic.refused.items())
            if when == name
        }
        yield MonthRehearsed(period=name, beside=beside(as_is, as_drafted), refused=refused)


def _summed(months: Iterable[MonthRehearsed]) -> tuple[PartyBeside, ...]:
    parties: dict[str, list[PartyBeside]] = {}
    for rehearsed in months:
        for party in rehearsed.beside.parties:
            parties.setdefault(party.party, []).append(party)
    return tuple(
        PartyBeside(
            party=name,
            real=exact_sum(party.real for party in amounts),
            other=exact_sum(party.other for party in amounts),
            gains=exact_sum(party.gains for party in amounts),
        )
        for name, amounts in sorted(parties.items())
    )

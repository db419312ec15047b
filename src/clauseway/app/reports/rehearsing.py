"""A draft amendment rehearsed: recorded traffic routed, and settled months settled, as if it had
been in effect.

    DRAFT.md ─▶ the agreement with the draft after its last amendment ─┬─▶ every recorded sale asked again, both ways
                                                                       └─▶ every settled month settled again, both ways

The draft is played as if it had taken effect on a day that traffic reaches, and been known then;
days that its terms state themselves stay. Conditional is refused, as at the gateway. Nothing is
changed or posted.
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
    read_text,
    with_recorded,
)
from clauseway.app.opening.periods import month
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
    FOREVER,
    Interval,
    InvalidInput,
    KnownAt,
    Problem,
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
    """An outcome with the terms that decide it, each with its place."""

    outcome: str
    terms: tuple[str, ...]
    places: tuple[str, ...]


class Routed(msgspec.Struct, frozen=True, kw_only=True):
    """Requests that fare otherwise alike.

    `clouds` are those where they could go under the draft; `charged` is what they cost in USD, None
    where a price is not known. `samples` are some of their ids.
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
    """Traffic about which the agreement cannot be asked, and why."""

    product: str
    cloud: str
    region: str
    seller: str
    segment: str
    requests: int
    why: str


class MonthRehearsed(msgspec.Struct, frozen=True, kw_only=True):
    """A settled month as it is and under the draft, on the same usage.

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
    """Return an agreement as it is, and with a draft placed after its last amendment; both with
    what a home has recorded. Raise InvalidInput as `place_draft` does."""
    documents = _documents(folder, home)
    if draft.suffix != ".md":
        agreement_of(documents)
        remedy = "Give a Markdown file, as agreement check takes it: front matter, clauses, terms."
        why = "an amendment is a Markdown file"
        raise InvalidInput(Problem(what="no amendment", why=why, where=str(draft), remedy=remedy))
    return place_draft(documents, draft.name, read_text(draft), home, where=str(draft))


def place_draft(
    documents: Mapping[str, str], name: str, text: str, home: Home, *, where: str
) -> tuple[OpenAgreement, OpenAgreement]:
    """Return an agreement as it is, and with the text of a draft after its last amendment; both
    with what a home has recorded.

    Raise InvalidInput with everything wrong in the draft, each with its line, and in the agreement.
    """
    # Read by itself first, so that the agreement's own mistakes are not laid to the draft.
    real = agreement_of(documents)
    # A draft that is named like a document of the agreement must not take its place.
    name = name if name not in documents else f"draft/{name}"
    drafted = agreement_of({**documents, name: text})
    last, new = real.agreement.amendments[-1], _new_in(drafted.agreement, name)
    if new.effective <= last.effective:
        line = next(
            (n for n, line in enumerate(text.splitlines(), 1) if line.startswith("effective:")), 1
        )
        raise InvalidInput(
            Problem(
                what=f"{new.id} takes effect on {new.effective}",
                why=(
                    f"a draft comes after the last amendment, and {last.id} took effect on "
                    f"{last.effective}"
                ),
                where=where,
                line=line,
                remedy="Give it a later day.",
            )
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
    why, remedy = f"this home settles under {names}", "Name the one's folder with --agreement."
    raise InvalidInput(
        Problem(what="which agreement is amended", why=why, where="--agreement", remedy=remedy)
    )


def _new_in(agreement: Agreement, document: str) -> Amendment:
    return next(amendment for amendment in agreement.amendments if amendment.document == document)


def played_as_if(drafted: OpenAgreement, day: date) -> OpenAgreement:
    """Return the agreement with its last amendment in effect from another day, and known
    whatever else is. What it dates itself stays."""
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
        # Nobody wrote this text, so its digest must not be that of the text that was written.
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
    day where traffic reaches it, else the first day played, or the one after the amendment before
    it took effect. A settled month keeps the figures it was settled with; `assume` replaces them.
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
            raise InvalidInput(
                Problem(what=f"{start} is too early", why=why, where="--effective", remedy=remedy)
            )
        played = played_as_if(drafted, start)
        # Decide every recorded sale without and with the draft; then settle every settled month
        # without and with it.
        sums = sums_of(lake, days, prices)
        traffic = Traffic(real, played, prices, chosen)
        for usage in sums:
            traffic.take(usage)
        months = tuple(_months(home, lake, real, played, prices, days, assume, chosen, traffic))
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
    """Return the days played: those with usage, narrowed by the days given."""
    sealed = lake.control.first_and_last_day()
    if sealed is None:
        remedy = "Meter some, import some (usage import), or name the home that has it with --home."
        raise InvalidInput(
            Problem(
                what="there is no traffic",
                why="no usage is sealed",
                where=str(lake.root),
                remedy=remedy,
            )
        )
    days = Interval(first or sealed[0], day_after(last or sealed[1]))
    if days.is_empty:
        remedy = "Name a first day that is not after the last."
        why = f"nothing lies from {days.begin} up to {days.end}"
        raise InvalidInput(
            Problem(what="no day is left to play", why=why, where="--from", remedy=remedy)
        )
    return days


def _as_if(agreement: Agreement, draft: Amendment, days: Interval) -> date:
    if draft.effective < days.end:
        return draft.effective
    return max(days.begin, agreement.amendments[-1].effective + timedelta(days=1))


class _Of(NamedTuple):
    """The subject of a sale."""

    seller: str
    product: str
    segment: str
    cloud: str
    region: str


class _Alike(NamedTuple):
    """Requests that the draft changes alike."""

    what: str
    of: _Of
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
    """Recorded sales asked again, under the agreement as it is and under the draft."""

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
        self._questions: dict[_Of, Question | str] = {}
        self._verdicts: dict[tuple[int, _Of, date], Verdict | None] = {}
        self._alike: dict[_Alike, _Count] = {}
        self._not_asked: dict[_Of, int] = {}

    def take(self, usage: MeteredSum) -> None:
        """Ask again about one sum of recorded attempts."""
        of = _Of(usage.seller, usage.product, usage.segment, usage.cloud, usage.region)
        day = _EPOCH + timedelta(days=usage.hour // _HOURS)
        before, after = (self._verdict(side, of, day) for side in (0, 1))
        if before is None or after is None:
            self._not_asked[of] = self._not_asked.get(of, 0) + usage.attempts
            return
        changes = list(self._changes(of, day, before, after))
        if not changes:
            self.unchanged += usage.attempts
            return
        # Only what changes is priced: most sums change nothing.
        charged = _charge(usage, self.prices, day)
        for alike in changes:
            self._alike.setdefault(alike, _Count()).add(usage, day, charged)
        if any(alike.what == REFUSED for alike in changes) and charged is not None:
            self.refused.setdefault((day.strftime("%Y-%m"), of.seller), []).append(charged)

    def _changes(self, of: _Of, day: date, before: Verdict, after: Verdict) -> Iterator[_Alike]:
        was, now = (verdict.outcome == PERMITTED for verdict in (before, after))
        # Other clouds that the draft permits for the same sale.
        elsewhere = {
            cloud: place
            for cloud in sorted(self.real.catalog.clouds - {of.cloud})
            for place in [self._permitted(1, of, cloud, day)]
            if place is not None
        }
        if was and not now:
            yield _Alike(MOVED if elsewhere else REFUSED, of, before, after, tuple(elsewhere))
        if now and not was:
            yield _Alike(ADMITTED, of, before, after, (of.cloud,))
        # A cloud counts as opened if only the draft permits it.
        for cloud, place in elsewhere.items():
            if self._permitted(0, of, cloud, day) is None:
                real, played = (self._verdict(side, place, day) for side in (0, 1))
                assert real is not None, "a question to one side can be put to the other"
                assert played is not None, "a question to one side can be put to the other"
                yield _Alike(OPENED, of, real, played, (cloud,))

    def _permitted(self, side: int, of: _Of, cloud: str, day: date) -> _Of | None:
        """Return the same sale on another cloud, where that is permitted; where terms tell
        regions apart, in some place."""
        catalog = self.real.catalog
        places = (sorted(catalog.places_of(cloud)) or [ELSEWHERE]) if catalog.regions else [""]
        for place in places:
            there = of._replace(cloud=cloud, region=place)
            verdict = self._verdict(side, there, day)
            if verdict is not None and verdict.outcome == PERMITTED:
                return there
        return None

    def _verdict(self, side: int, of: _Of, day: date) -> Verdict | None:
        key = (side, of, day)
        if key not in self._verdicts:
            question = self._question(of)
            self._verdicts[key] = (
                None
                if isinstance(question, str)
                else self.tables[side].answer(msgspec.structs.replace(question, as_of=day))
            )
        return self._verdicts[key]

    def _question(self, of: _Of) -> Question | str:
        """Return the question that the gateway's plan asks, or why it cannot be asked."""
        if of not in self._questions and not self.real.catalog.names_product(of.product):
            # Its class is not known, so neither side's terms reach it.
            self._questions[of] = f"unknown name {of.product!r}: the agreement does not name it"
        elif of not in self._questions:
            try:
                self._questions[of] = self.real.question(
                    action=SELL,
                    party=of.seller,
                    product=of.product,
                    cloud=of.cloud,
                    segment=of.segment or "any",
                    region=of.region,
                    as_of=date.min,
                    known_at=self.prices.known_at,
                    reading=self.readings,
                )
            except InvalidInput as error:
                self._questions[of] = "; ".join(
                    f"{problem.what}: {problem.why}" for problem in error.problems
                )
        return self._questions[of]

    def routed(self) -> tuple[Routed, ...]:
        order = list(MEANINGS)
        rows = [
            Routed(
                what=alike.what,
                product=alike.of.product,
                cloud=alike.of.cloud,
                region=alike.of.region,
                seller=alike.of.seller,
                segment=alike.of.segment,
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
            NotAsked(**of._asdict(), requests=requests, why=str(self._questions[of]))
            for of, requests in sorted(self._not_asked.items())
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
    # A sum without some of its prices would be too low, so there is none.
    if rate is None or any(unit not in row.prices for unit in quantities):
        return None
    picos = sum(count * row.prices[unit] for unit, count in quantities.items())
    return exact_product(Decimal(picos).scaleb(-12), rate)


def _months(
    home: Home,
    lake: Lake,
    real: OpenAgreement,
    played: OpenAgreement,
    prices: PriceTable,
    days: Interval,
    assume: Sequence[str],
    readings: Mapping[str, str],
    traffic: Traffic,
) -> Iterator[MonthRehearsed]:
    """Yield the settled months that lie in the days played, both ways; with figures given, all
    of them that are played."""
    check_assumed(played, assume, "--assume")
    vouchers = Books(lake.control).vouchers()
    usage = lake.snapshot()  # both sides are of the same
    sides = [Settler(usage, side, prices, readings, vouchers) for side in (real, played)]
    for side in sides:
        # Usage is read once for all months.
        begins = [days.begin.replace(day=1), *(share.begin for share in side.shares)]
        side.read(Interval(min(begins), month(_names(days)[-1]).end))
    settled = latest_settlements(home)
    for name in _names(days) if assume else [name for name in _names(days) if name in settled]:
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


def _names(days: Interval) -> list[str]:
    names, at = [], days.begin.replace(day=1)
    while at < days.end and at != FOREVER:
        names.append(at.strftime("%Y-%m"))
        at = month(names[-1]).end
    return names


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

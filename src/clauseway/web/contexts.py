"""The contexts that several pages share: timelines, counts, statements and their lines. The
contexts of one reader's screens are in the module of that reader.

Days are UTC days, intervals half-open. Money is text, exact and already formatted (`1,234.56`); the
pages never compute with it. Citations are those of `values`, so that a sentence and a statement
line cite the same way.
"""

from datetime import date
from typing import Literal

import msgspec

from clauseway.values import Citation

OutcomeName = Literal["permitted", "forbidden", "conditional", "unstated"]


class Unavailable(Exception):
    """Raised when a source has no answer now (the gateway is down). The text is a sentence for the
    page."""


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is damaged or lost and blocks settlements: what, where, why, and what to
    do."""

    what: str
    where: str
    why: str
    remedy: str


class PlainSentence(msgspec.Struct, frozen=True, kw_only=True):
    """One sentence of the agreement today in plain words, and the clauses that it rests on."""

    text: str
    citations: tuple[Citation, ...]


class TimelineStretch(msgspec.Struct, frozen=True, kw_only=True):
    """One answer that holds on the days `begin` ≤ day < `end`, why, and the clauses that decide it.

    `word` replaces the outcome's name on the page where people say otherwise: a share is due.
    """

    begin: date
    end: date
    outcome: OutcomeName
    why: str
    word: str = ""
    citations: tuple[Citation, ...] = ()

    @property
    def said(self) -> str:
        return self.word or self.outcome


class TimelineRow(msgspec.Struct, frozen=True, kw_only=True):
    """One right over time. Stretches are in order of time and do not overlap."""

    label: str
    stretches: tuple[TimelineStretch, ...]


class TimelineMark(msgspec.Struct, frozen=True, kw_only=True):
    """A day to mark: an amendment (`label` is its id), its title, and its document."""

    day: date
    label: str
    text: str
    document: str = ""


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """Rights from `begin` up to, not including, `end`."""

    begin: date
    end: date
    rows: tuple[TimelineRow, ...]
    marks: tuple[TimelineMark, ...] = ()


class CloudCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of the requests for one cloud. `tokens` are input and output together.

    `name` is the cloud as people write it.
    """

    cloud: str
    served: int
    refused: int
    failed: int
    tokens: int
    name: str = ""


class CountsContext(msgspec.Struct, frozen=True, kw_only=True):
    """The counts since the gateway started. `clock` is the business clock's reading, as text.
    `refused` counts each refused request once; the counts of the clouds count it once for each
    cloud.

    `edition` changes whenever the first page changes in anything but the counts: an open page then
    reloads itself.
    """

    clouds: tuple[CloudCounts, ...]
    clock: str
    edition: str
    refused: int = 0


class LineShown(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a statement.

    `working` is the arithmetic, step by step; every line names its clause. `id` names the line in
    commands; empty if there is nothing more to open.
    """

    label: str
    base: str
    rate: str
    amount: str
    citations: tuple[Citation, ...]
    working: tuple[str, ...] = ()
    id: str = ""


class StatementSection(msgspec.Struct, frozen=True, kw_only=True):
    """One direction under one set of terms: who pays whom for the days `begin` ≤ day < `end`.

    `assumed` names the undisclosed figures behind it, with their values. `citations` are the
    clauses of the heading, `ended_by` the clauses that ended the share. `left_out` counts the lines
    that are not among `lines`, because the whole statement has them.
    """

    heading: str
    payer: str
    payee: str
    begin: date
    end: date
    lines: tuple[LineShown, ...]
    subtotal: str
    note: str = ""
    assumed: str = ""
    citations: tuple[Citation, ...] = ()
    ended_by: tuple[Citation, ...] = ()
    left_out: int = 0


class FigureShown(msgspec.Struct, frozen=True, kw_only=True):
    """A figure that was never published, and the value assumed for it.

    `standing` is in words: `reported`, `ours`, `given (…)`.
    """

    name: str
    value: str
    standing: str
    in_words: str
    note: str = ""


class Total(msgspec.Struct, frozen=True, kw_only=True):
    """The amount that one party owes another for the period.

    Directions are never netted. The amount is the sum of `parts`.
    """

    label: str
    amount: str
    parts: str = ""


class ReceiptLine(msgspec.Struct, frozen=True, kw_only=True):
    """One part of the receipt: engine version, a hash, a clock."""

    name: str
    value: str


class DueLine(msgspec.Struct, frozen=True, kw_only=True):
    """A payment of the calendar: the amount owed through a day, its due day, the part withheld and
    the part paid."""

    label: str
    through: date
    due: date
    amount: str
    withheld: str
    paid: str


class StatementContext(msgspec.Struct, frozen=True, kw_only=True):
    """A statement. `period` is a month, `2026-05`, and names its own page.

    `assumed` is one line for the foot of every printed page; `digest` the hash of the statement's
    canonical bytes. Where only some lines of a long statement are shown, `said` tells which of how
    many, `earlier` and `later` are the first numbers of the pages beside this one.
    """

    period: str
    title: str
    currency: str
    sections: tuple[StatementSection, ...]
    totals: tuple[Total, ...]
    assumptions: tuple[FigureShown, ...]
    receipt: tuple[ReceiptLine, ...]
    party: str = ""
    assumed: str = ""
    digest: str = ""
    calendar: tuple[DueLine, ...] = ()
    alerts: tuple[Alert, ...] = ()
    said: str = ""
    earlier: int | None = None
    later: int | None = None


class TracedLeg(msgspec.Struct, frozen=True, kw_only=True):
    """One leg of a journal entry: debits positive."""

    account: str
    amount: str


class TracedEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A journal entry behind a line."""

    id: str
    day: date
    narration: str
    legs: tuple[TracedLeg, ...]


class TracedUnit(msgspec.Struct, frozen=True, kw_only=True):
    """A quantity of a unit at one price, and the price's source."""

    unit: str
    quantity: str
    price: str
    charged: str
    source: str


class RequestShown(msgspec.Struct, frozen=True, kw_only=True):
    """A request behind a line. `moved` says how it moved the line's share, if it was followed."""

    id: str
    at: str
    whose: str
    served_by: str
    charged: str
    units: tuple[TracedUnit, ...]
    moved: str = ""


class DayRequestsContext(msgspec.Struct, frozen=True, kw_only=True):
    """Requests of a statement line on one day, in order of time. `said` tells which of how many.
    `earlier` and `later` are the first numbers of the previous and the next page; None if there is
    no such page."""

    period: str
    line: str
    day: date
    title: str
    currency: str
    said: str
    requests: tuple[RequestShown, ...]
    earlier: int | None
    later: int | None


class ClauseShown(msgspec.Struct, frozen=True, kw_only=True):
    """A clause behind a line, in the agreement's own words."""

    citation: Citation
    title: str
    text: str


class LineContext(msgspec.Struct, frozen=True, kw_only=True):
    """Everything behind a statement line. `days` are rows of day, requests and charge.

    `is_outline`: the records of its days were not read, so there are no `prices` and no `requests`.
    """

    period: str
    id: str
    title: str
    currency: str
    working: tuple[str, ...]
    remarks: tuple[str, ...]
    entries: tuple[TracedEntry, ...]
    days: tuple[tuple[date, str, str], ...]
    prices: tuple[TracedUnit, ...]
    requests: tuple[RequestShown, ...]
    requests_note: str
    clauses: tuple[ClauseShown, ...]
    is_outline: bool = False


class Snippet(msgspec.Struct, frozen=True, kw_only=True):
    """Something to paste: a `curl` command, a few lines of Python."""

    label: str
    text: str


class ForecastContext(msgspec.Struct, frozen=True, kw_only=True):
    """The forecast of amounts due: a picture (SVG) and the same in sentences, or a `note` why there
    is no forecast. `growth` and `cap` are assumptions as typed, each with its problem."""

    svg: str = ""
    sentences: tuple[str, ...] = ()
    note: str = ""
    growth: str = ""
    growth_problem: str = ""
    cap: str = ""
    cap_problem: str = ""

"""The auditor's screens: statements and what they rest on, the register of facts with its two
clocks, the log of the books, the result of a check, and launches against ship-first."""

from datetime import date
from typing import Final, Protocol

import msgspec

from clauseway.values import Citation
from clauseway.web.contexts import Alert
from clauseway.web.page import Absence, WebPage


class StatedMonth(msgspec.Struct, frozen=True, kw_only=True):
    """A settled month: how far it has come, its receipt, and the digest of its statement."""

    period: str
    state: str
    receipt: str
    digest: str
    pack_command: str


class FactShown(msgspec.Struct, frozen=True, kw_only=True):
    """A fact by both clocks: the day from which it holds, and since when it is known.

    `document` is empty for a fact that was recorded in the home; `hidden_by` names its correction.
    `in_words` is empty of a retraction, which only hides another.
    """

    name: str
    fact: str
    effective: date
    known_at: str
    says: str
    source: str
    document: str
    line: int
    hidden_by: str
    in_words: str = ""


class LogShown(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the books' log: who did what, when, and why."""

    number: int
    at: str
    who: str
    act: str
    subject: str
    why: str
    digest: str

    @property
    def day(self) -> str:
        return self.at[:10]


class KeyShown(msgspec.Struct, frozen=True):
    """A public key that the home vouches for, by its fingerprint; `withdrawn` says who withdrew it,
    when and why, and is empty of one that counts."""

    party: str
    fingerprint: str
    withdrawn: str = ""


class AuditorContext(msgspec.Struct, frozen=True, kw_only=True):
    """The auditor's screen. The log's rows come latest first. Where no month is settled,
    `empty_command` settles one, or makes a home to try."""

    title: str
    months: tuple[StatedMonth, ...]
    facts: tuple[FactShown, ...]
    log: tuple[LogShown, ...]
    keys: tuple[KeyShown, ...]
    alerts: tuple[Alert, ...] = ()
    empty_command: str = ""


class CheckContext(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a check that was asked for, in a word and in sentences. `lines` are what was
    compared: its name, how it was stated, how it is now."""

    title: str
    holds: bool
    said: str
    lines: tuple[tuple[str, str, str], ...]
    remarks: tuple[str, ...]
    command: str


class SignatureShown(msgspec.Struct, frozen=True, kw_only=True):
    """A signature under a statement: whose, when, and in words whether it holds."""

    party: str
    role: str
    at: str
    holds: bool
    said: str
    disputed: tuple[str, ...]


class HandedContext(msgspec.Struct, frozen=True, kw_only=True):
    """A statement that somebody handed over, with the signatures under it, as they were typed.

    `problem` says why the statement cannot be checked, `signatures_problem` why those with it
    cannot; nothing but the form before one was typed. `changed` says which lines are not as they
    were signed.
    """

    statement: str = ""
    signatures: str = ""
    problem: str = ""
    signatures_problem: str = ""
    check: CheckContext | None = None
    signed: tuple[SignatureShown, ...] = ()
    changed: tuple[str, ...] = ()
    edited: tuple[str, ...] = ()


class DecisionContext(msgspec.Struct, frozen=True, kw_only=True):
    """A decision that somebody handed over, as it was typed, and asked again.

    `problem` says why it cannot be; nothing but the form before one was typed.
    """

    receipt: str = ""
    problem: str = ""
    check: CheckContext | None = None


class LaunchPoint(msgspec.Struct, frozen=True, kw_only=True):
    """Evidence that a product was on a cloud by a day; `cloud` is empty where it was sold directly.

    `x` is its place in percent of the lane. `listed`: a listing shows the latest possible day.
    `evidence` is the name of the fact or of the row of a listing, `by` says on record by which source,
    or listed by whom.
    A fact of the agreement's text stands in `document` at `line`.
    """

    x: float
    day: date
    cloud: str
    is_first: bool
    listed: bool
    by: str
    evidence: str
    why: str
    document: str = ""
    line: int = 0


class LaunchLane(msgspec.Struct, frozen=True, kw_only=True):
    """A product's launches, the earliest first; what they say of ship-first, in two words (`said`)
    and in a sentence (`verdict`), and why."""

    product: str
    said: str
    verdict: str
    breach: bool
    why: tuple[str, ...]
    points: tuple[LaunchPoint, ...]


class YearMark(msgspec.Struct, frozen=True):
    """The first day of a year on the lanes, or the first day of all."""

    x: float
    label: str


class LaunchesContext(msgspec.Struct, frozen=True, kw_only=True):
    """Launches as lanes, those on other clouds than the `first` one; `others` says how many products
    were seen on no other cloud, `result` in a sentence what was found. `citations` are the clauses
    that put the `first` cloud first."""

    title: str
    first: str
    known_at: str
    listings: str
    breaches: int
    result: str
    lanes: tuple[LaunchLane, ...]
    years: tuple[YearMark, ...]
    others: int
    command: str
    citations: tuple[Citation, ...] = ()


class AuditorSource(Protocol):
    """The source of the auditor's pages."""

    async def auditor(self) -> AuditorContext:
        """Return the auditor's screen."""
        ...

    async def launches(self) -> LaunchesContext | None:
        """Return launches against ship-first; None where no agreement puts a cloud first."""
        ...

    async def check(self, subject: str) -> CheckContext | None:
        """Return the result of a check: of `books`, or of a month's statement settled again; None
        where the month is not settled."""
        ...

    async def decision(self, receipt: str) -> DecisionContext:
        """Return a decision that was handed over, asked again. Nothing is changed."""
        ...

    async def handed(self, statement: str, signatures: str) -> HandedContext:
        """Return a statement that was handed over, performed again, and whether its signatures
        hold. Nothing is changed."""
        ...


AUDITOR_PAGES: Final[tuple[WebPage[AuditorSource], ...]] = (
    WebPage(
        name="auditor",
        path="/auditor",
        screen="/auditor",
        ask=lambda source, _: source.auditor(),
    ),
    WebPage(
        name="launches",
        path="/auditor/launches",
        screen="/auditor",
        link="Did every product ship first where it should?",
        ask=lambda source, _: source.launches(),
        absent=Absence(
            "No agreement puts a cloud first",
            "None of its terms is of kind precedence, so no launch can break it.",
            "Open the auditor's screen: /auditor.",
        ),
    ),
    WebPage(
        name="decision",
        path="/auditor/decision",
        form=("receipt",),
        screen="/auditor",
        link="Does a decision repeat?",
        ask=lambda source, given: source.decision(given["receipt"]),
    ),
    WebPage(
        name="handed",
        path="/auditor/handed",
        form=("statement", "signatures"),
        screen="/auditor",
        link="Is a statement true, and who signed it?",
        ask=lambda source, given: source.handed(given["statement"], given["signatures"]),
    ),
    WebPage(
        name="check",
        path="/auditor/check/{subject}",
        screen="/auditor",
        ask=lambda source, given: source.check(given["subject"]),
        absent=Absence(
            "There is no statement for {subject} to repeat",
            "No settlement of that month has been posted.",
            "Open the auditor's screen: /auditor.",
        ),
    ),
)

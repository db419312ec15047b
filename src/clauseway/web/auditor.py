"""The auditor's screens: settled months, the register of facts with its two clocks, the log of the
books, checks of statements and decisions, and launches against ship-first."""

from datetime import date
from typing import Final, Protocol

import msgspec

from clauseway.values import Citation
from clauseway.web.contexts import Alert
from clauseway.web.page import Absence, WebPage


class StatedMonth(msgspec.Struct, frozen=True, kw_only=True):
    """A settled month: its state, its receipt, and the digest of its statement."""

    period: str
    state: str
    receipt: str
    digest: str
    pack_command: str


class FactShown(msgspec.Struct, frozen=True, kw_only=True):
    """A fact by both clocks: the day from which it holds, and since when it is known.

    `document` is empty for a fact recorded in the home; `hidden_by` names its correction.
    `in_words` is empty for a retraction, which only hides another fact.
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
    """A public key that the home trusts, by its fingerprint. `withdrawn` says who withdrew it, when
    and why; empty for a key in force."""

    party: str
    fingerprint: str
    withdrawn: str = ""


class AuditorContext(msgspec.Struct, frozen=True, kw_only=True):
    """The auditor's screen. The log's rows come latest first. `facts` are those that became known
    last; before them came `facts_left_out`. Where no month is settled, `empty_command` settles one,
    or makes a home to try."""

    title: str
    months: tuple[StatedMonth, ...]
    facts: tuple[FactShown, ...]
    log: tuple[LogShown, ...]
    keys: tuple[KeyShown, ...]
    alerts: tuple[Alert, ...] = ()
    empty_command: str = ""
    facts_left_out: int = 0


class CheckContext(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a check, in a word and in sentences. `lines` are the compared values: name,
    value as stated, result."""

    title: str
    holds: bool
    said: str
    lines: tuple[tuple[str, str, str], ...]
    remarks: tuple[str, ...]
    command: str


class SignatureShown(msgspec.Struct, frozen=True, kw_only=True):
    """A signature under a statement: its party, its time, and in words whether it holds."""

    party: str
    role: str
    at: str
    holds: bool
    said: str
    disputed: tuple[str, ...]


class HandedContext(msgspec.Struct, frozen=True, kw_only=True):
    """A statement from outside and its signatures, as typed, and the result of checking them.

    `problem` says why the statement cannot be checked, `signatures_problem` why its signatures
    cannot. Both, and `check`, are empty until a statement is typed. `changed` names the lines that
    differ from what was signed.
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
    """A decision from outside, as typed, and the result of asking it again.

    `problem` says why it cannot be asked. `check` is None until a decision is typed.
    """

    receipt: str = ""
    problem: str = ""
    check: CheckContext | None = None


class LaunchPoint(msgspec.Struct, frozen=True, kw_only=True):
    """Evidence that a product was on a cloud by a day; `cloud` is empty where it was sold directly.

    `x` is its place in percent of the lane. `listed`: a listing shows the latest possible day.
    `evidence` names the fact or the row of a listing, `by` its source. A fact of the agreement's
    text is in `document` at `line`.
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
    """A product's launches, the earliest first; the result for ship-first, in two words (`said`)
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
    """Launches on clouds other than the `first`, a lane for each product. `others` counts the
    products that were seen on no other cloud, `result` is the finding in a sentence, and
    `citations` are the clauses that put the `first` cloud first."""

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
        """Return launches against ship-first; None if no agreement puts a cloud first."""
        ...

    async def check(self, subject: str) -> CheckContext | None:
        """Return the result of a check: of `books`, or of a month's statement settled again; None
        if the month is not settled."""
        ...

    async def decision(self, receipt: str) -> DecisionContext:
        """Ask a decision from outside again, and return the result. Change nothing."""
        ...

    async def handed(self, statement: str, signatures: str) -> HandedContext:
        """Settle a statement from outside again, check its signatures, and return the result.
        Change nothing."""
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
        command="clauseway verify FILE",
        screen="/auditor",
        link="Does a decision repeat?",
        ask=lambda source, given: source.decision(given["receipt"]),
    ),
    WebPage(
        name="handed",
        path="/auditor/handed",
        form=("statement", "signatures"),
        command="clauseway statement verify FILE",
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

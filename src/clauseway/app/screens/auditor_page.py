"""The auditor's screen, and its checks: a statement settled again, the books compared with their
log.

The screen itself reads records. A check settles again or reads every row, so each check has its own
page.
"""

from collections.abc import Iterator
from importlib import import_module

from clauseway.app.agreements.passages import document_name
from clauseway.app.books.audit_log import list_log, verify_books
from clauseway.app.books.month_states import month_states
from clauseway.app.books.register import ListedFact, list_facts
from clauseway.app.books.settled import SettledMonth, settlement_of
from clauseway.app.books.trusted_keys import (
    fingerprint,
    trusted_keys,
    withdrawal_text,
    withdrawals,
)
from clauseway.app.opening.home import Home
from clauseway.app.opening.several import Opened, each_of, title_of
from clauseway.app.reports.amounts import cents
from clauseway.app.reports.handed_statements import (
    CANNOT_BE_CHECKED,
    LineCheck,
    StatementVerification,
)
from clauseway.app.screens.next_commands import first_command
from clauseway.storage.control.audit import Logged
from clauseway.values import KnownAt, counted
from clauseway.web.auditor import (
    AuditorContext,
    CheckContext,
    FactShown,
    KeyShown,
    LogShown,
    StatedMonth,
)
from clauseway.web.contexts import Alert
from clauseway.wording.dates import dated, month_in_words
from clauseway.wording.facts import fact_in_words
from clauseway.wording.names import Wording, sentence

BOOKS = "books"
# Loads libraries that no other page needs: an engine that counts usage.
_VERIFYING = "clauseway.app.reports.verifying"
_LOG_ROWS_MAX = 50
# The latest known: a register of years has thousands, which make a page of megabytes.
_FACTS_MAX = 200


def auditor_page(
    home: Home,
    opened: Opened,
    settled: dict[str, SettledMonth],
    known_at: KnownAt,
    alerts: tuple[Alert, ...],
) -> AuditorContext:
    """Return the screen; months and the log come latest first."""
    words = Wording.of(each_of(opened))
    months = month_states(home, settled)
    states = {month.period: month.state for month in months}
    facts = _facts(opened, words, known_at)
    return AuditorContext(
        title=title_of(opened),
        months=tuple(
            StatedMonth(
                period=period,
                state=states[period],
                receipt=month.receipt,
                digest=month.digest,
                pack_command=f"clauseway statement pack {period}",
            )
            for period, month in reversed(settled.items())
        ),
        facts=tuple(_latest_known(facts)),
        facts_left_out=max(len(facts) - _FACTS_MAX, 0),
        log=tuple(_logged(words, row) for row in reversed(list_log(home, limit=_LOG_ROWS_MAX))),
        keys=tuple(_keys(home, words)),
        alerts=alerts,
        empty_command="" if settled else first_command(home, opened, months),
    )


def _keys(home: Home, words: Wording) -> Iterator[KeyShown]:
    """Yield the withdrawn keys, which need attention, and then the keys in force."""
    for (party, public), ended in sorted(withdrawals(home).items()):
        yield KeyShown(words.name(party), fingerprint(public), withdrawal_text(ended))
    for party, publics in sorted(trusted_keys(home).items()):
        for public in publics:
            yield KeyShown(words.name(party), fingerprint(public))


def _facts(opened: Opened, words: Wording, known_at: KnownAt) -> list[FactShown]:
    shown = []
    for asked in each_of(opened):
        in_words = {fact.name: fact_in_words(words, fact) for fact in asked.facts.facts}
        shown += [
            _fact(fact, sentence(in_words[fact.name]), document_name(opened, asked, fact.document))
            for fact in list_facts(asked, known_at)
        ]
    return shown


def _latest_known(facts: list[FactShown]) -> list[FactShown]:
    """Return the facts that are shown: where some have to be left out, those of all agreements that
    became known last."""
    if len(facts) <= _FACTS_MAX:
        return facts
    return sorted(facts, key=lambda fact: fact.known_at or str(fact.effective))[-_FACTS_MAX:]


def _fact(fact: ListedFact, in_words: str, document: str) -> FactShown:
    return FactShown(
        name=fact.name,
        fact=fact.fact,
        effective=fact.effective,
        known_at=fact.known_at,
        says=fact.says,
        source=fact.source,
        document=document if fact.line else "",
        line=fact.line,
        hidden_by=fact.hidden_by,
        in_words=in_words,
    )


def _logged(words: Wording, row: Logged) -> LogShown:
    return LogShown(
        number=row.sequence,
        at=str(KnownAt(row.recorded_ns).to_the_second()),
        who=row.who,
        act=f"{row.kind} {row.act}",
        subject=row.subject,
        why=words.spelt(row.why),
        digest=row.digest[:16],
    )


def check_page(home: Home, opened: Opened, subject: str) -> CheckContext | None:
    """Return the result of a check: of the books, or of a month's statement; None if the month is
    not settled. Raise InvalidInput for an invalid month."""
    if subject == BOOKS:
        return _books(home)
    if settlement_of(home, subject) is None:
        return None
    done = import_module(_VERIFYING).verify_settled(home, subject)
    words = Wording.of(each_of(opened))
    return statement_check(words, done, f"clauseway statement verify {subject}")


def _books(home: Home) -> CheckContext:
    result = verify_books(home)
    problems = (*result.problems, *result.before)
    return CheckContext(
        title="The books against their log",
        holds=result.is_whole,
        said="as they were written" if result.is_whole else "not as they were written",
        lines=(),
        remarks=(
            f"{counted(result.rows, 'row')} checked; the log ends with {result.head}.",
            *(problem.sentences for problem in problems),
        ),
        command="clauseway audit verify",
    )


def statement_check(words: Wording, done: StatementVerification, command: str) -> CheckContext:
    """Return the result of settling a statement again. `command` does the same in a terminal."""
    whom = f" for {words.name(done.party)}" if done.party else ""
    return CheckContext(
        title=f"The statement of {month_in_words(done.period)}{whom}, settled again",
        holds=done.same,
        said=(
            "repeats to the byte"
            if done.same
            else CANNOT_BE_CHECKED
            if done.is_unchecked
            else "does not repeat"
        ),
        lines=tuple(
            (line.line, f"{dated(words.spelt(line.of))} {cents(line.stated)}", _verdict(line))
            for line in done.lines
        ),
        remarks=(
            f"Digest {done.digest}.",
            *done.remarks,
            *(f"{each.name} = {each.value}: {each.text}" for each in done.estimates),
            *map(str, done.differences),
        ),
        command=command,
    )


def _verdict(line: LineCheck) -> str:
    if line.because:
        return f"{line.verdict}: {line.because}"
    return f"{line.verdict} by {line.differs_by:+,.2f}" if line.differs_by else line.verdict

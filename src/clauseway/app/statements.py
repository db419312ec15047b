"""A statement as people read it: amounts as text, headings in words, every line with its clause and its working."""

from collections.abc import Set
from datetime import timedelta
from decimal import Decimal

from clauseway.ledger import Change, Direction, Ended, ShareLine, ShareResult, Statement
from clauseway.ledger.assumptions import REPORTED
from clauseway.ledger.statement import StatementLine as Line
from clauseway.ledger.statement import citations_of, correction_id, digest_of, line_id
from clauseway.values import FOREVER, exact_sum
from clauseway.web import (
    Assumption,
    DueLine,
    ReceiptLine,
    StatementContext,
    StatementLine,
    StatementSection,
    Total,
)


def statement_context(statement: Statement) -> StatementContext:
    """The statement for pages, terminals and print."""
    whom = f" for {statement.party}" if statement.party else ""
    return StatementContext(
        period=statement.month,
        title=f"Statement {statement.month}{whom}",
        currency=statement.currency,
        sections=tuple(
            section
            for direction in statement.directions
            for section in (
                *(_section(statement, share) for share in direction.shares),
                *((_ended_section(direction.ended, statement),) if direction.ended else ()),
                *_changed_sections(statement, direction),
            )
        ),
        totals=tuple(
            Total(label=f"{direction.payer} owes {direction.payee}", amount=cents(direction.total))
            for direction in statement.directions
        ),
        assumptions=tuple(
            Assumption(
                name=assumption.name,
                value=assumption.value,
                standing=assumption.standing,
                note=f"{assumption.text} {'Accepted by name.' if assumption.accepted else 'Holds by default.'}",
            )
            for assumption in statement.assumptions
        ),
        receipt=_receipt(statement),
        party=statement.party,
        assumed=_assumed(statement, {assumption.name for assumption in statement.assumptions}),
        digest=digest_of(statement),
        calendar=tuple(
            DueLine(
                label=f"{one.payer} pays {one.payee} ({one.term})",
                through=one.through,
                due=one.due,
                amount=cents(one.amount),
                withheld=cents(one.withheld),
                paid=cents(one.paid),
            )
            for one in statement.calendar
        ),
    )


def _assumed(statement: Statement, names: Set[str]) -> str:
    """Assumptions by name with their values, those that were reported first."""
    used = [assumption for assumption in statement.assumptions if assumption.name in names]
    reported_first = sorted(used, key=lambda assumption: (assumption.standing != REPORTED, assumption.name))
    return " · ".join(f"{one.name} = {one.value} ({one.standing})" for one in reported_first)


def cents(amount: Decimal) -> str:
    """1,234.56"""
    return f"{amount:,.2f}"


def exact(amount: Decimal) -> str:
    """Every digit that says something, at least cents: 1,234.5678"""
    text = f"{amount.normalize():,f}"
    whole, _, decimals = text.partition(".")
    return f"{whole}.{decimals.ljust(2, '0')}"


def percent(rate: Decimal) -> str:
    """20 %"""
    return f"{(rate * 100).normalize():f} %"


def _section(statement: Statement, share: ShareResult) -> StatementSection:
    notes = []
    stands_on = {share.rate_name, share.cap.name if share.cap is not None else ""}
    stands_on |= {name for line in statement.lines if _is_of(line, share) for name in line.assumptions}
    if share.ended_by is not None and share.end == share.days.end and share.end != FOREVER:
        notes.append(
            f"Ended with {share.end - timedelta(days=1)} by {share.ended_by.term} ({share.ended_by.document})."
        )
    if share.cap is not None:
        cap = share.cap
        before = cents(cap.opening + cap.consumed_before)
        notes.append(
            f"Cap {cents(cap.cap)}: {before} consumed before, {cents(cap.consumed)} in this period, "
            f"{cents(cap.remaining)} remaining."
        )
        if cap.reached is not None:
            at = f" with {cap.reached.request_id}" if cap.reached.request_id else ""
            notes.append(f"The cap was reached on {cap.reached.day}{at}.")
    notes += _terms_of_payment(share)
    return StatementSection(
        heading=share.term,
        payer=share.payer,
        payee=share.payee,
        begin=share.days.begin,
        end=share.days.end,
        lines=tuple(_line(statement, share, line) for line in share.lines) or (_no_usage(share),),
        subtotal=cents(share.amount),
        note=" ".join(notes),
        assumed=_assumed(statement, stands_on),
    )


def _is_of(line: Line, share: ShareResult) -> bool:
    return (line.payer, line.payee, line.term, line.days) == (share.payer, share.payee, share.term, share.days)


def _no_usage(share: ShareResult) -> StatementLine:
    return StatementLine(
        label="no usage in these days",
        base="0.00",
        rate=percent(share.rate),
        amount=cents(share.amount),
        citations=citations_of(share),
    )


def _line(statement: Statement, share: ShareResult, line: ShareLine) -> StatementLine:
    return StatementLine(
        id=line_id(statement.as_of, share, line),
        label=line.of,
        base=exact(line.base),
        rate="by bands" if share.bands else percent(line.rate),
        amount=cents(line.amount),
        citations=citations_of(share),
        working=(
            f"{line.requests:,} requests, charged {exact(line.base)}",
            _shared(share, line),
            f"the share's {cents(share.amount)} split over its lines by largest remainder: {cents(line.amount)}",
        ),
    )


def _shared(share: ShareResult, line: ShareLine) -> str:
    """What the line's base is worth before rounding and the cap."""
    if not line.seller:
        return f"{cents(line.moved)} are lacking to {line.of}"
    if share.bands:
        bands = ", ".join(f"{percent(band.rate)} above {cents(band.above)}" for band in share.bands)
        return f"at {percent(line.rate)}, {bands} of the cumulative base it is {exact(line.moved)}"
    return f"{percent(line.rate)} of {exact(line.base)} is {exact(line.base * line.rate)}"


def _terms_of_payment(share: ShareResult) -> list[str]:
    notes = []
    if share.payment is not None:
        notes.append(f"Paid every {share.payment.every}, due {share.payment.due_days} days after its last day.")
    if share.withholding:
        notes.append(f"{percent(share.withholding)} is withheld from each payment.")
    return notes


def _changed_sections(statement: Statement, direction: Direction) -> list[StatementSection]:
    """What a closed period owes that came late, and what is disputed; each with why."""
    sections = []
    if direction.corrections:
        sections.append(_changed(statement, direction, "corrections of closed months", direction.corrections))
    if direction.restated:
        sections.append(_changed(statement, direction, "restated, and in the lines above", direction.restated))
    return sections


def _changed(statement: Statement, direction: Direction, heading: str, changed: tuple[Change, ...]) -> StatementSection:
    at_stake = f" In dispute besides: {cents(direction.disputed)}." if direction.disputed else ""
    return StatementSection(
        heading=heading,
        payer=direction.payer,
        payee=direction.payee,
        begin=statement.as_of.begin,
        end=statement.as_of.end,
        lines=tuple(
            StatementLine(
                id=correction_id(statement.as_of, change) if change in direction.corrections else "",
                label=f"{change.period.begin:%Y-%m}: {change.line}",
                base=exact(exact_sum((change.new_base, -change.old_base))),
                rate="–",
                amount=cents(change.amount),
                citations=(change.citation,),
                working=(f"was {cents(change.old)}, is {cents(change.new)}", *change.causes),
            )
            for change in changed
        ),
        subtotal=cents(exact_sum(change.amount for change in changed)),
        note=f"Why: {'; '.join(dict.fromkeys(cause for change in changed for cause in change.causes))}.{at_stake}",
    )


def _ended_section(ended: Ended, statement: Statement) -> StatementSection:
    """Nothing due from a day on, and the clause that says so."""
    begin = max(ended.day, statement.as_of.begin)
    nothing = StatementLine(
        label=f"nothing due from {ended.day} on", base="0.00", rate="–", amount="0.00", citations=(ended.citation,)
    )
    return StatementSection(
        heading=f"{ended.term}, ended",
        payer=ended.payer,
        payee=ended.payee,
        begin=begin,
        end=statement.as_of.end,
        lines=(nothing,),
        subtotal="0.00",
    )


def _receipt(statement: Statement) -> tuple[ReceiptLine, ...]:
    inputs = statement.inputs
    last_day = statement.as_of.end - timedelta(days=1)
    return (
        ReceiptLine(name="receipt", value=statement.receipt),
        ReceiptLine(name="statement", value=digest_of(statement)),
        ReceiptLine(name="engine", value=inputs.engine),
        ReceiptLine(name="as of", value=f"{statement.as_of.begin} to {last_day}"),
        ReceiptLine(name="known at", value=statement.known_at),
        ReceiptLine(name="agreement", value=inputs.agreement),
        ReceiptLine(name="facts", value=inputs.facts),
        ReceiptLine(name="price book", value=inputs.price_book),
        ReceiptLine(name="usage batches", value=str(len(inputs.batches))),
    )

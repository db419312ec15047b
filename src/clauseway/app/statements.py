"""A statement as people read it: amounts as text, headings in words, every line with its clause and its working."""

from datetime import timedelta
from decimal import Decimal

from clauseway.ledger import Ended, ShareLine, ShareResult, Statement
from clauseway.values import FOREVER, Citation
from clauseway.web import (
    Assumption,
    ReceiptLine,
    StatementContext,
    StatementLine,
    StatementSection,
    Total,
)


def statement_context(statement: Statement) -> StatementContext:
    """The statement for pages, terminals and print."""
    period = statement.as_of.begin.strftime("%Y-%m")
    whom = f" for {statement.party}" if statement.party else ""
    return StatementContext(
        period=period,
        title=f"Statement {period}{whom}",
        currency=statement.currency,
        sections=tuple(
            section
            for direction in statement.directions
            for section in (
                *(_section(share) for share in direction.shares),
                *((_ended_section(direction.ended, statement),) if direction.ended else ()),
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
    )


def cents(amount: Decimal) -> str:
    """1,234.56"""
    return f"{amount:,.2f}"


def _exact(amount: Decimal) -> str:
    """Every digit that says something, at least cents."""
    text = f"{amount.normalize():,f}"
    whole, _, decimals = text.partition(".")
    return f"{whole}.{decimals.ljust(2, '0')}"


def _percent(rate: Decimal) -> str:
    return f"{(rate * 100).normalize():f} %"


def _section(share: ShareResult) -> StatementSection:
    notes = []
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
    return StatementSection(
        heading=share.term,
        payer=share.payer,
        payee=share.payee,
        begin=share.days.begin,
        end=share.days.end,
        lines=tuple(_line(share, line) for line in share.lines) or (_no_usage(share),),
        subtotal=cents(share.amount),
        note=" ".join(notes),
    )


def _citations(share: ShareResult) -> tuple[Citation, ...]:
    """The clause that makes the share due, and the one that ended it where that is another."""
    ended_by = share.ended_by
    return (share.citation, ended_by) if ended_by is not None and ended_by != share.citation else (share.citation,)


def _no_usage(share: ShareResult) -> StatementLine:
    return StatementLine(
        label="no usage in these days",
        base="0.00",
        rate=_percent(share.rate),
        amount=cents(share.amount),
        citations=_citations(share),
    )


def _line(share: ShareResult, line: ShareLine) -> StatementLine:
    citations = _citations(share)
    return StatementLine(
        label=f"{line.product} on {line.cloud}, sold by {line.seller}",
        base=_exact(line.base),
        rate=_percent(line.rate),
        amount=cents(line.amount),
        citations=citations,
        working=(
            f"{line.requests:,} requests, charged {_exact(line.base)}",
            f"{_percent(line.rate)} of {_exact(line.base)} is {_exact(line.base * line.rate)}",
            f"the share's {cents(share.amount)} split over its lines by largest remainder: {cents(line.amount)}",
        ),
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
        ReceiptLine(name="engine", value=inputs.engine),
        ReceiptLine(name="as of", value=f"{statement.as_of.begin} to {last_day}"),
        ReceiptLine(name="known at", value=statement.known_at),
        ReceiptLine(name="agreement", value=inputs.agreement),
        ReceiptLine(name="facts", value=inputs.facts),
        ReceiptLine(name="price book", value=inputs.price_book),
        ReceiptLine(name="usage batches", value=str(len(inputs.batches))),
    )

"""A statement as people read it: amounts as text, headings in words, every line with its clause
and its working."""

from collections.abc import Callable, Iterator, Sequence, Set
from datetime import timedelta
from decimal import Decimal

from msgspec import UnsetType

from clauseway.app.reports.amounts import cents, exact, percent
from clauseway.ledger import Direction, Ended, ShareLine, ShareResult, Statement, StatementChange
from clauseway.ledger.assumptions import ESTIMATED, OURS, STATED, in_one_line, in_thousands
from clauseway.ledger.assumptions import Assumption as StandsOn
from clauseway.ledger.floors import TopUp, part_in_words
from clauseway.ledger.settlement import Inputs, described
from clauseway.ledger.statement import StatementLine as Line
from clauseway.ledger.statement import change_id, citations_of, digest_of, line_id
from clauseway.values import FOREVER, Citation, Interval, KnownAt, counted, exact_product, exact_sum
from clauseway.web.contexts import (
    DueLine,
    FigureShown,
    LineShown,
    ReceiptLine,
    StatementContext,
    StatementSection,
    Total,
)
from clauseway.wording.dates import dated, day_in_words, month_in_words

# Writes a party or a cloud by its identifier.
Named = Callable[[str], str]


def as_it_is(identifier: str) -> str:
    """Return an identifier as files and commands write it."""
    return identifier


def statement_context(statement: Statement, named: Named = as_it_is) -> StatementContext:
    """Return the statement for pages, terminals and print."""
    whom = f" for {statement.party}" if statement.party else ""
    return StatementContext(
        period=statement.month,
        title=f"Statement of {month_in_words(statement.month)}{whom}",
        currency=statement.currency,
        sections=tuple(
            section
            for direction in statement.directions
            for section in (
                *(_section(statement, share, named) for share in direction.shares),
                *((_ended_section(direction.ended, statement, named),) if direction.ended else ()),
                *_changed_sections(statement, direction, named),
            )
        ),
        totals=tuple(
            Total(
                label=f"{named(direction.payer)} owes {named(direction.payee)}",
                amount=cents(direction.total),
                parts=_parts(statement, direction),
            )
            for direction in statement.directions
        ),
        assumptions=tuple(
            FigureShown(
                name=assumption.name,
                value=in_thousands(assumption.value),
                standing=assumption.standing_in_words,
                in_words=assumption.in_words,
                note=dated(_standing_note(assumption)),
            )
            for assumption in statement.assumptions
        ),
        receipt=_receipt(statement),
        party=statement.party,
        assumed=_assumed(statement, {assumption.name for assumption in statement.assumptions}),
        digest=digest_of(statement),
        # What a restatement changed is paid with the month that was open then.
        calendar=() if statement.is_restatement else _calendar(statement, named),
    )


def _parts(statement: Statement, direction: Direction) -> str:
    """Return the parts of a direction's amount, where it is more than the month's own share, and
    what would be due besides if every open dispute were rejected."""
    due = [
        due
        for due in statement.dues
        if (due.payer, due.payee) == (direction.payer, direction.payee)
    ]
    parts_due = (
        ("share", exact_sum(part.share for part in due)),
        ("corrections of closed months", exact_sum(part.corrections for part in due)),
        ("restatements of closed months", exact_sum(part.restated for part in due)),
    )
    # A plain share is the whole amount, which stands beside it already.
    several = direction.corrections or direction.restated
    parts = (
        [" + ".join(f"{name} {cents(amount)}" for name, amount in parts_due if amount)]
        if several
        else []
    )
    if direction.changes:
        parts.append(
            f"of it {cents(exact_sum(change.amount for change in direction.changes))} by this "
            f"restatement"
        )
    if direction.disputed:
        parts.append(f"{cents(direction.disputed)} in dispute besides")
    return ", ".join(filter(None, parts))


def _calendar(statement: Statement, named: Named) -> tuple[DueLine, ...]:
    """Return the payments that terms date, in order of their days."""
    payments = [(due.due, due) for due in statement.dues if due.due is not None and due.amount]
    return tuple(
        DueLine(
            label=f"{named(due.payer)} pays {named(due.payee)} ({due.term})",
            through=due.through,
            due=day,
            amount=cents(due.amount),
            withheld=cents(due.withheld),
            paid=cents(due.paid),
        )
        for day, due in sorted(
            payments, key=lambda item: (item[0], item[1].payer, item[1].payee, item[1].term)
        )
    )


def _standing_note(assumption: StandsOn) -> str:
    if assumption.standing in (ESTIMATED, STATED):
        return assumption.text
    return (
        f"{assumption.text} {'Accepted by name.' if assumption.accepted else 'Holds by default.'}"
    )


def _assumed(statement: Statement, names: Set[str]) -> str:
    """Return assumptions by name with their values, those that had to be accepted first."""
    used = [assumption for assumption in statement.assumptions if assumption.name in names]
    reported_first = sorted(
        used, key=lambda assumption: (assumption.standing_of_figure == OURS, assumption.name)
    )
    return in_one_line(reported_first)


def _section(statement: Statement, share: ShareResult, named: Named) -> StatementSection:
    notes = []
    # The assumptions under the section are those of its rate, its cap and its lines.
    stands_on = {share.rate_name, share.cap.name if share.cap is not None else ""}
    stands_on |= {
        name for line in statement.lines if _is_of(line, share) for name in line.assumptions
    }
    # A clause ended the share within this period: the reader should learn which.
    if share.ended_by is not None and share.end == share.days.end and share.end != FOREVER:
        notes.append(
            f"Ended with {day_in_words(share.end - timedelta(days=1))} by {share.ended_by.term} "
            f"({share.ended_by.document}){_upon(share.event)}."
        )
    if share.cap is not None:
        cap = share.cap
        before = cents(cap.opening + cap.consumed_before)
        notes.append(
            f"Cap {cents(cap.cap)}: {before} consumed before, {cents(cap.consumed)} in this "
            f"period, "
            f"{cents(cap.remaining)} remaining."
        )
        if cap.reached is not None:
            at = f" with {cap.reached.request_id}" if cap.reached.request_id else ""
            notes.append(f"The cap was reached on {day_in_words(cap.reached.day)}{at}.")
    notes += _terms_of_payment(share)
    return StatementSection(
        heading=share.term,
        payer=named(share.payer),
        payee=named(share.payee),
        begin=share.days.begin,
        end=share.days.end,
        lines=tuple(_line(statement, share, line, named) for line in share.lines)
        or (_no_usage(share),),
        subtotal=cents(share.amount),
        note=" ".join(notes),
        assumed=_assumed(statement, stands_on),
        citations=(share.citation,),
        ended_by=tuple(
            cited for cited in (share.ended_by, share.event) if isinstance(cited, Citation)
        ),
    )


def _upon(event: Citation | UnsetType) -> str:
    """Return the event that brought an end about, in words; empty if none did."""
    if not event:
        return ""
    return f", upon {event.term} ({event.document}:{event.line}: {event.text.rstrip('.')})"


def _is_of(line: Line, share: ShareResult) -> bool:
    return (line.payer, line.payee, line.term, line.days) == (
        share.payer,
        share.payee,
        share.term,
        share.days,
    )


def _no_usage(share: ShareResult) -> LineShown:
    return LineShown(
        label="no usage in these days",
        base="0.00",
        rate=percent(share.rate),
        amount=cents(share.amount),
        citations=citations_of(share),
    )


def _line(statement: Statement, share: ShareResult, line: ShareLine, named: Named) -> LineShown:
    return LineShown(
        id=line_id(statement.as_of, share, line),
        label=_label(share, line, named),
        base=exact(line.base),
        rate=_rate(share, line),
        amount=cents(line.amount),
        citations=citations_of(share),
        working=tuple(map(dated, working_of(share, line))),
    )


def _rate(share: ShareResult, line: ShareLine) -> str:
    """Return a line's rate in words; a minimum has none."""
    if not line.seller:
        return "–"
    return "by bands" if share.bands else percent(line.rate)


def working_of(share: ShareResult, line: ShareLine) -> tuple[str, ...]:
    """Return how a line came to its amount, step by step: the same on every face of it."""
    whole = _by_cumulative(share) if len(share.lines) == 1 else f"the share's {cents(share.amount)}"
    split = "" if len(share.lines) == 1 else " split over its lines by largest remainder"
    return (*_moved(share, line), f"{whole}{split}: {cents(line.amount)}")


def _label(share: ShareResult, line: ShareLine, named: Named = as_it_is) -> str:
    """Return a line's words: the minimum of a part of a period names its days."""
    if line.seller:
        return described(line.product, named(line.cloud), named(line.seller))
    part = part_in_words(Interval(share.begin, share.end), _top_up(share, line))
    return dated(f"{line.of}, {part}" if part else line.of)


def _top_up(share: ShareResult, line: ShareLine) -> TopUp:
    """Return the top-up of a line without a seller."""
    return next(top_up for top_up in share.top_ups if top_up.period == line.cloud)


def _moved(share: ShareResult, line: ShareLine) -> tuple[str, ...]:
    """Return the line's amount before rounding: its base at its rates, clipped at the cap; or
    the rest of a minimum."""
    # A line without a seller tops a minimum up.
    if not line.seller:
        top = _top_up(share, line).amount
        lacking = f"{cents(top)} is lacking to the {_label(share, line)}"
        return (lacking, *_clipped(share, top, line.moved))
    charged = (
        f"{line.requests:,} {'request' if line.requests == 1 else 'requests'}, charged "
        f"{exact(line.base)}"
    )
    if share.bands:
        bands = ", ".join(f"{percent(band.rate)} above {cents(band.above)}" for band in share.bands)
        capped = (
            " within the cap" if share.cap is not None and share.cap.reached is not None else ""
        )
        at = f"at {percent(line.rate)}, {bands} of the cumulative base"
        return charged, f"{at} {exact(line.base)} is {exact(line.moved)}{capped}"
    plain = exact_product(line.base, line.rate)
    return (
        charged,
        f"{percent(line.rate)} of {exact(line.base)} is {exact(plain)}",
        *_clipped(share, plain, line.moved),
    )


def _clipped(share: ShareResult, before: Decimal, moved: Decimal) -> tuple[str, ...]:
    """Return the amount that the cap leaves, where it takes or gives something."""
    if share.cap is None or before == moved:
        return ()
    return (f"the cap of {cents(share.cap.cap)} leaves {exact(moved)} of it",)


def _by_cumulative(share: ShareResult) -> str:
    """Return the difference of the cumulative amounts due: that difference is rounded."""
    return f"due in all {cents(share.share_after)}, less {cents(share.share_before)} before"


def _terms_of_payment(share: ShareResult) -> list[str]:
    notes = []
    if share.payment is not None:
        notes.append(
            f"Paid every {share.payment.every}, due {counted(share.payment.due_days, 'day')} "
            "after its last day."
        )
    if share.withholding:
        notes.append(f"{percent(share.withholding)} is withheld from each payment.")
    return notes


def _changed_sections(
    statement: Statement, direction: Direction, named: Named
) -> list[StatementSection]:
    """Return the late amounts of a closed period, each with its reason."""
    as_of = statement.as_of
    corrections = [
        _change(change, change_id(as_of, change, is_restated=False), named)
        for change in direction.corrections
    ]
    restated = [
        _change(change, change_id(as_of, change, is_restated=True), named)
        for change in direction.restated
    ]
    # Their amounts are in the lines above already, so these have no names of their own.
    in_lines_above = [_change(change, "", named) for change in direction.changes]
    sections = (
        ("corrections of closed months", direction.corrections, corrections),
        ("restatements of closed months, due with this one", direction.restated, restated),
        ("restated, and in the lines above", direction.changes, in_lines_above),
    )
    return [
        _changed(statement, direction, heading, changes, lines, named)
        for heading, changes, lines in sections
        if changes
    ]


def _change(change: StatementChange, name: str, named: Named) -> LineShown:
    return LineShown(
        id=name,
        label=f"{change.period.begin:%Y-%m}: "
        + described(change.product, named(change.cloud), named(change.seller)),
        base=exact(exact_sum((change.new_base, -change.old_base))),
        rate="–",
        amount=cents(change.amount),
        citations=(change.citation,),
        working=(f"was {cents(change.old)}, is {cents(change.new)}", *map(dated, change.causes)),
    )


def _changed(
    statement: Statement,
    direction: Direction,
    heading: str,
    changed: Sequence[StatementChange],
    lines: Sequence[LineShown],
    named: Named,
) -> StatementSection:
    return StatementSection(
        heading=heading,
        payer=named(direction.payer),
        payee=named(direction.payee),
        begin=statement.as_of.begin,
        end=statement.as_of.end,
        lines=tuple(lines),
        subtotal=cents(exact_sum(change.amount for change in changed)),
        note=f"Why: {dated('; '.join(dict.fromkeys(cause for change in changed for cause in change.causes)))}.",
    )


def _ended_section(ended: Ended, statement: Statement, named: Named) -> StatementSection:
    """Return the section of an ended share: the day from which nothing is due, and its clause."""
    # A share that ended before this period is over for all of it.
    begin = max(ended.day, statement.as_of.begin)
    nothing = LineShown(
        label=f"nothing due from {day_in_words(ended.day)} on",
        base="0.00",
        rate="–",
        amount="0.00",
        citations=(ended.citation,),
    )
    return StatementSection(
        heading=f"{ended.term}, ended",
        payer=named(ended.payer),
        payee=named(ended.payee),
        begin=begin,
        end=statement.as_of.end,
        lines=(nothing,),
        subtotal="0.00",
        note=f"Ended{_upon(ended.event)}." if ended.event else "",
        citations=(ended.citation,),
        ended_by=(ended.event,) if ended.event else (),
    )


def _usage(inputs: Inputs) -> str:
    if inputs.batches:
        return counted(len(inputs.batches), "batch", "batches")
    return f"{counted(inputs.attempts, 'attempt')} {inputs.usage}".rstrip()


def _receipt(statement: Statement) -> tuple[ReceiptLine, ...]:
    inputs = statement.inputs
    last_day = statement.as_of.last_day
    return (
        ReceiptLine(name="receipt", value=statement.receipt),
        ReceiptLine(name="statement", value=digest_of(statement)),
        ReceiptLine(name="engine", value=inputs.engine),
        ReceiptLine(name="as of", value=f"{statement.as_of.begin} to {last_day}"),
        *_unchanged(statement),
        _knowledge(statement.known_at),
        ReceiptLine(name="agreement's documents", value=inputs.agreement),
        ReceiptLine(name="facts", value=inputs.facts),
        ReceiptLine(name="price book", value=inputs.price_book),
        ReceiptLine(name="usage", value=_usage(inputs)),
    )


def _unchanged(statement: Statement) -> Iterator[ReceiptLine]:
    """Yield that it is a restatement, where no section says so."""
    if statement.restates:
        value = f"the closed month, without a change for {statement.party}"
        yield ReceiptLine(name="restates", value=value)


def _knowledge(known_at: str) -> ReceiptLine:
    """Return the point of knowledge, or that nothing recorded was left out."""
    if known_at == str(KnownAt.everything()):
        return ReceiptLine(name="known", value="everything recorded")
    return ReceiptLine(name="known at", value=known_at)

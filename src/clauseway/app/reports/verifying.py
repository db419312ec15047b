"""Repeat a statement: settle again from its stated inputs, and report the differences.

The home is not changed: this settles from a copy of its control data, with the usage that the
statement names.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import date
from decimal import Decimal

import msgspec

from clauseway.app.books.audit_log import edits
from clauseway.app.books.basis import (
    basis_of,
    held_agreement,
    settled_agreement,
    settled_prices,
)
from clauseway.app.books.settled import latest_settlements, statement
from clauseway.app.books.settling import ClosedMonths, Settler, late_of, vouchers_hash, with_late
from clauseway.app.opening.home import Home
from clauseway.app.opening.periods import unsettled
from clauseway.app.opening.several import Opened
from clauseway.app.reports.equivocation import closed_otherwise
from clauseway.app.reports.handed_statements import (
    CANNOT_BE_CHECKED,
    DIFFERS,
    THE_SAME,
    HandedStatement,
    LineCheck,
    StatementVerification,
)
from clauseway.app.reports.statement_formats import FORMATS
from clauseway.app.usage.lake_place import store_of
from clauseway.ledger import Inputs, Late, Settlement, Statement, corrected, statement_of
from clauseway.ledger.assumptions import ESTIMATED, STATED, Assumption, accepted_items
from clauseway.ledger.differences import differences
from clauseway.ledger.floors import calendar_period
from clauseway.ledger.settlement import StatementChange, described
from clauseway.ledger.statement import StatementLine, digest_of
from clauseway.ledger.vouchers import Voucher
from clauseway.storage.books.books import Books
from clauseway.storage.books.kept_sums import drop_sums
from clauseway.storage.lake.lake import Lake
from clauseway.storage.lake.query_engines import QueryEngine, duckdb_engine
from clauseway.storage.usage.content import drop_contents
from clauseway.storage.usage.past import copied, forget_since, rows_known
from clauseway.values import HOUR_NS, Interval, InvalidInput, KnownAt, counted

_ZERO = Decimal(0)
# Settling takes less time than this; of the batches sealed in it, this many are removed one by one.
_SETTLING_NS = HOUR_NS
_SEALED_MEANWHILE = 20
_NO_AGREEMENT = "The agreement that was settled under is not here"


def verify_settled(home: Home, period: str) -> StatementVerification:
    """Repeat the statement of a settled month. Raise InvalidInput if it is not settled."""
    stated = statement(home, period)
    if stated is None:
        raise unsettled(period, "FILE|MONTH")
    return verify_statement(home, stated)


def verify_given(home: Home, given: HandedStatement) -> StatementVerification:
    """Repeat a statement from outside.

    A JSON file states its own inputs; for any other format the settlement must be in this home, and
    the file must equal its print. Raise InvalidInput.
    """
    if given.statement is None:
        return _verify_print(home, given)
    done = verify_statement(home, given.statement)
    if done.same and given.is_written_anew:
        remark = (
            "The file says the same in other bytes than those that are signed: it was written anew."
        )
        return msgspec.structs.replace(done, same=False, remarks=(*done.remarks, remark))
    return done


def verify_statement(
    home: Home, stated: Statement, engine: QueryEngine = duckdb_engine
) -> StatementVerification:
    """Settle again from a statement's stated inputs, with usage summed and priced by an engine.

    Raise InvalidInput if that is impossible. Where the home never held the agreements, no line is
    checked.
    """
    opened = held_agreement(home, stated.inputs.agreement)
    if opened is None:
        # The amounts under other agreements prove nothing, and those may leave figures open.
        return _unrepeated(stated)
    with copied(home.control, home.lake, store_of(home)) as copy:
        lake = copy.priced_by(engine)
        # Read the usage itself, because the home's notes of usage and settlements may have been edited.
        drop_contents(lake.control)
        drop_sums(lake.control)
        again = repeat(home, lake, stated, opened)
        performed = performed_restatement if stated.is_restatement else performed_corrections
        settlement = performed(home, lake, stated, again)
    edited = [f"The books were edited: {problem.what}: {problem.why}." for problem in edits(home)]
    remarks = [*again.remarks, *edited, *closed_otherwise(home, stated)]
    return verification(stated, settlement, again.blocked, remarks)


def verification(
    stated: Statement, repeated: Settlement, blocked: Sequence[str], remarks: Sequence[str]
) -> StatementVerification:
    """Compare a statement with its repetition. `blocked` says why amounts cannot be checked."""
    again = statement_of(repeated, stated.party)
    different = tuple(differences(stated, again))
    return StatementVerification(
        period=stated.month,
        party=stated.party,
        digest=digest_of(stated),
        same=not different and not remarks and not blocked,
        differences=different,
        remarks=(*blocked, *remarks),
        lines=tuple(_lines(stated, again, " ".join(blocked))),
        estimates=_estimates(stated),
    )


def _estimates(stated: Statement) -> tuple[Assumption, ...]:
    """Return the estimates of a statement: amounts from them repeat as well, so they are named."""
    return tuple(
        assumption
        for assumption in stated.assumptions
        if assumption.standing in (ESTIMATED, STATED)
    )


def _unrepeated(stated: Statement) -> StatementVerification:
    """Return that no line can be checked without the agreements, and how to get them."""
    missing = f"{_NO_AGREEMENT}: its digest is {stated.inputs.agreement}."
    remedy = (
        "Verify the pack of the month, which contains it: clauseway statement pack "
        f"{stated.month} writes one where the month was settled. Or accept its text here: "
        "clauseway basis agreement FOLDER --why …"
    )
    return StatementVerification(
        period=stated.month,
        party=stated.party,
        digest=digest_of(stated),
        same=False,
        differences=(),
        remarks=(missing, remedy),
        lines=tuple(unchecked(line, f"{_NO_AGREEMENT}.") for line in _lines(stated, stated, "")),
        estimates=_estimates(stated),
    )


def _lines(stated: Statement, again: Statement, blocked: str) -> Iterator[LineCheck]:
    """Yield the result for each line of either statement."""
    before = {line.id: line for line in stated.lines}
    after = {line.id: line for line in again.lines}
    for name in [*before, *(name for name in after if name not in before)]:
        old, new = before.get(name), after.get(name)
        line = old or new
        assert line is not None, "it is in one of them"
        amount = old.amount if old is not None else _ZERO
        moved = (new.amount if new is not None else _ZERO) - amount
        verdict = THE_SAME if old == new else CANNOT_BE_CHECKED if blocked else DIFFERS
        yield LineCheck(
            line=name,
            of=_described(line),
            stated=amount,
            verdict=verdict,
            differs_by=moved if verdict == DIFFERS else _ZERO,
            because=blocked if verdict == CANNOT_BE_CHECKED else "",
        )


def _described(line: StatementLine) -> str:
    """Return a line in words. A line for a closed month begins with it: the month's own may be
    beside it."""
    closed = line.corrects or line.restates
    of = described(line.product, line.cloud, line.seller)
    return f"{closed}: {of}" if closed else of


def unchecked(line: LineCheck, because: str) -> LineCheck:
    """Return the result for a line that could not be repeated."""
    return msgspec.structs.replace(
        line, verdict=CANNOT_BE_CHECKED, differs_by=_ZERO, because=because
    )


class Repetition(msgspec.Struct, frozen=True, kw_only=True):
    """A settlement made again: its settler, its usage, and the reasons why it could differ.

    Debts for closed periods come from the recorded settlement; `without_late` has none of them.
    `settler_of` makes the same settler on another view of the lake.
    """

    settlement: Settlement
    without_late: Settlement
    settler: Settler
    view: Lake
    settler_of: Callable[[Lake], Settler]
    assume: tuple[str, ...]
    blocked: tuple[str, ...]
    remarks: tuple[str, ...]


def repeat(home: Home, lake: Lake, stated: Statement, opened: Opened | None = None) -> Repetition:
    """Settle a statement again on a copy of the home's lake, under its agreements if they are at
    hand. Raise InvalidInput."""
    inputs, readings = stated.inputs, stated.inputs.readings or {}
    if opened is None:
        opened = settled_agreement(home, inputs.agreement)
    assume = accepted_items(stated.assumptions)
    books = Books(lake.control)
    # Everything is taken as it was known when the statement was settled.
    vouchers = _vouchers_then(books.vouchers(), inputs.vouchers)
    settled_ns = books.settled_ns(stated.receipt)
    known_at = KnownAt.parse(inputs.known_at)
    if settled_ns is not None and known_at == KnownAt.everything():
        known_at = KnownAt(settled_ns)
    table = settled_prices(home, inputs.price_book, known_at)
    repeated: list[tuple[Settlement, Settler, Lake]] = []

    def settler_of(view: Lake) -> Settler:
        settler = Settler(view, opened, table, readings, vouchers, use_kept=False)
        settler.stated_known_at = inputs.known_at
        if inputs.batches:
            named = {"batches": inputs.batches, "known_at": inputs.known_at}
            settler.inputs = msgspec.structs.replace(settler.inputs, **named)
        return settler

    # The lake may have been merged since: the first view with the same usage counts.
    for view in _views(lake, inputs, known_at, settled_ns):
        settler = settler_of(view)
        repeated.append((settler.settle(stated.as_of, assume), settler, view))
        if _usage(repeated[-1][0].inputs) == _usage(inputs):
            break
    is_found = _usage(repeated[-1][0].inputs) == _usage(inputs)
    settlement, settler, view = repeated[-1] if is_found else repeated[0]
    without_late = settlement
    # Corrections of closed months come from the recorded settlement.
    kept = [
        settlement
        for settlement in lake.control.settlements(stated.as_of)
        if settlement.receipt == stated.receipt
    ]
    blocked, remarks = list(_blocked(lake, inputs, settlement.inputs)), []
    if inputs.closed and kept:
        last = kept[-1]
        settlement = corrected(settlement, last.corrections, last.inputs.closed, last.restated)
    elif inputs.closed:
        remarks.append(
            "The corrections of closed months cannot be repeated: the settlement itself is not "
            "here."
        )
    elif stated.is_restatement and not kept:
        remarks.append("The restatement cannot be repeated: the settlement itself is not here.")
    return Repetition(
        settlement=settlement,
        without_late=without_late,
        settler=settler,
        view=view,
        settler_of=settler_of,
        assume=tuple(assume),
        blocked=tuple(blocked),
        remarks=tuple(remarks),
    )


def performed_corrections(
    home: Home, lake: Lake, stated: Statement, again: Repetition
) -> Settlement:
    """Return the settlement with its debts for closed periods computed again.

    `lake` has a copy of the control data. A share of a closed period for which nothing is stated is
    computed too, if the statement names all of its usage. If the amounts are equal, keep the stated causes.
    If usage of a closed period came since, take the usage known when it was settled.
    """
    periods = corrected_periods(again.settlement)
    settled_ns = Books(lake.control).settled_ns(stated.receipt)
    if settled_ns is None or not stated.inputs.closed:
        return again.settlement
    if again.blocked:
        # What was recorded of corrections would only agree with itself.
        return again.without_late if periods else again.settlement
    forget_since(lake.control, settled_ns, stated.as_of.begin)
    named = again.settler.needed(stated.as_of).begin
    redone: list[Settlement] = []
    for settler in _settlers_then(lake, again, settled_ns):
        books = Books(lake.control)
        closed = ClosedMonths(books, stated.as_of)
        late_months = late_of(
            settler, books, closed, list(again.assume), basis_of(home), stated=periods
        )
        # A pack has no usage of other months.
        late = [
            late_month
            if late_month.closed.period in periods
            else _of_named_usage(late_month, settler, named)
            for late_month in late_months
        ]
        redone.append(with_late(again.without_late, closed, late))
        if _changes(redone[-1]) == _changes(again.settlement):
            return again.settlement
    return redone[0]


def performed_restatement(
    home: Home, lake: Lake, stated: Statement, again: Repetition
) -> Settlement:
    """Return the restatement of a closed month made again, on what was known when it was settled.

    `lake` has a copy of the control data. If the amounts are equal, keep the stated causes.
    """
    books = Books(lake.control)
    settled_ns = books.settled_ns(stated.receipt)
    if settled_ns is None or again.blocked:
        return again.settlement
    recorded = books.settlement(stated.receipt)
    ends = [closed.period.end for closed in books.closed() if closed.closed_ns < settled_ns]
    # The month that was open then states what its restatement changed.
    days = calendar_period(max(ends, default=stated.as_of.end), "month")
    forget_since(lake.control, settled_ns, days.begin)
    redone: list[Settlement] = []
    for settler in _settlers_then(lake, again, settled_ns):
        months = ClosedMonths(books, days)
        late_months = late_of(
            settler, books, months, list(again.assume), basis_of(home), stated=[stated.as_of]
        )
        for late_month in late_months:
            made = late_month.restatement
            if made is None or late_month.closed.period != stated.as_of:
                continue
            if _without_causes(made) == _without_causes(recorded):
                return recorded
            redone.append(made)
    return redone[0] if redone else again.settlement


def _without_causes(restatement: Settlement) -> Settlement:
    changes = [msgspec.structs.replace(change, causes=()) for change in restatement.changes]
    return msgspec.structs.replace(restatement, changes=tuple(changes), receipt="")


def _of_named_usage(late: Late, settler: Settler, named: date) -> Late:
    """Return the late facts of a closed period without those of shares that began before `named`,
    the first day whose usage the statement names."""
    period = late.closed.period
    if settler.needed(period).begin >= named:
        return late
    unnamed = {share.term for share in settler.in_force(period) if share.begin < named}
    corrections = tuple(change for change in late.corrections if change.term not in unnamed)
    return msgspec.structs.replace(late, corrections=corrections, restatement=None)


def _settlers_then(lake: Lake, again: Repetition, settled_ns: int) -> Iterator[Settler]:
    yield again.settler
    yield again.settler_of(lake.as_known(settled_ns))
    yield again.settler_of(lake.as_known(settled_ns, settled_ns))


def corrected_periods(settlement: Settlement) -> set[Interval]:
    """Return the closed periods for which a settlement has debts."""
    return {change.period for change in (*settlement.corrections, *settlement.restated)}


def _changes(settlement: Settlement) -> list[StatementChange]:
    """Return what a settlement owes for closed periods, without the words for why."""
    changes = (*settlement.corrections, *settlement.restated)
    return [msgspec.structs.replace(change, causes=()) for change in changes]


def _views(lake: Lake, inputs: Inputs, known_at: KnownAt, settled_ns: int | None) -> Iterator[Lake]:
    """Yield views of the lake as it may have been; the caller takes the first with the settled
    usage."""
    if inputs.batches:
        newest, rows = _batches_then(lake, inputs)
        is_apart = (
            sum(file.rows for file in lake.as_known(lake.known_ns, newest).usage_files()) == rows
        )
        # Rows merged with later rows state themselves when they became known.
        yield lake.as_known(lake.known_ns, newest) if is_apart else lake.as_known(newest)
        return
    if inputs.known_at != str(KnownAt.everything()):
        yield lake.as_known(known_at.instant_ns)
    yield lake
    if settled_ns is not None:
        # Another home's usage may have come since, which was known there before.
        yield lake.as_known(settled_ns)
        yield lake.as_known(settled_ns, settled_ns)
        # Usage that gateways sealed while the month was settled is in no part of the settlement.
        begun_ns = settled_ns - _SETTLING_NS
        meanwhile = {
            file.sealed_ns for file in lake.usage_files() if begun_ns < file.sealed_ns <= settled_ns
        }
        for sealed_ns in sorted(meanwhile, reverse=True)[:_SEALED_MEANWHILE]:
            yield lake.as_known(settled_ns, sealed_ns - 1)


def _batches_then(lake: Lake, inputs: Inputs) -> tuple[int, int]:
    """Return the time at which the newest batch of a settlement was sealed, and the number of rows
    sealed by then."""
    sealed = lake.control.batches()
    newest = max((batch.sealed_ns for batch in sealed if batch.name in inputs.batches), default=0)
    return newest, sum(batch.usage_rows for batch in sealed if batch.sealed_ns <= newest)


def _usage(inputs: Inputs) -> tuple[object, ...]:
    return inputs.batches, inputs.usage, inputs.usage_before


def _blocked(lake: Lake, stated: Inputs, inputs: Inputs) -> Iterator[str]:
    """Yield why amounts cannot be checked: inputs here differ from the settled inputs."""
    if inputs.price_book != stated.price_book:
        yield "The price book that was settled with is not here."
    if inputs.agreement != stated.agreement:
        yield f"{_NO_AGREEMENT}."
    # Receipts of early versions name batches, not content: all batches have to be here.
    if stated.batches:
        here = {batch.name: batch for batch in lake.control.batches()}
        if missing := sorted(set(stated.batches) - here.keys()):
            yield f"Not in this lake: {counted(len(missing), 'batch', 'batches')} of usage, the first {missing[0]}."
            return
        newest, rows = _batches_then(lake, stated)
        if sum(file.rows for file in lake.as_known(lake.known_ns, newest).usage_files()) != rows:
            rows_then = rows_known(lake, newest)
            if rows_then != rows:
                yield (
                    f"Files were merged since with usage that came later, and cannot be told "
                    f"apart: {rows:,} records "
                    f"had been sealed when it was settled, and {rows_then:,} were known by then. "
                    "The lake of a backup from before the merge, or a pack made before, can be "
                    "verified."
                )
        return
    # Later ones name the usage by its content.
    if inputs.usage != stated.usage:
        yield (
            f"The usage that was settled is not in this lake: it had {stated.attempts:,} "
            f"attempts in the period, "
            f"and there are {inputs.attempts:,} here."
        )
    if inputs.usage_before != stated.usage_before:
        yield (
            "The usage before the period, which the cumulative totals stand on, is not the "
            "same here."
        )


def _vouchers_then(vouchers: list[Voucher], digest: str) -> list[Voucher]:
    """Return the first vouchers that have this hash; all if no number of them has."""
    for count in range(len(vouchers), -1, -1):
        if vouchers_hash(vouchers[:count]) == digest:
            return vouchers[:count]
    return vouchers


def _verify_print(home: Home, given: HandedStatement) -> StatementVerification:
    parties = ("", *sorted(basis_of(home).opened().catalog.parties))
    for period, settlement in latest_settlements(home).items():
        # A print carries the digest of its statement, by which it is found among those settled
        # here.
        for printed in (statement_of(settlement, party) for party in parties):
            if digest_of(printed).encode() in given.text:
                done = verify_statement(home, printed)
                # The digest may stand in a print that was edited, so the print is written again and
                # compared.
                if FORMATS[given.format](printed) == given.content:
                    return done
                remark = (
                    f"The {given.format} names the statement of {period} and is not what is "
                    f"written of it."
                )
                return msgspec.structs.replace(done, same=False, remarks=(*done.remarks, remark))
    problem = "whose statement it is cannot be told"
    why = (
        "it has no lines, and only lines name the statement"
        if given.format == "csv" and given.content.count(b"\n") < 2
        else "it names none of the statements that are settled here"
    )
    remedy = (
        "Give the statement as JSON, which says what it was made from, or settle the month here."
    )
    raise InvalidInput.of(what=problem, why=why, where="FILE", remedy=remedy)

"""Losses of journals: found, reported, and accepted by name, so that a month can be settled on an
estimate.

A range of a journal that cannot be read, a journal that is gone, and a file of the lake that is
missing or changed, block the months they may belong to. Accepting writes an estimate for the
attempts that are known to have begun, as usage that says so; what is found later replaces it.
"""

import hashlib
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import msgspec
import pyarrow as pa

from clauseway import spool
from clauseway.app.opening.home import Home
from clauseway.app.usage.damages import blocking_damages
from clauseway.app.usage.lake_checks import unknown_files
from clauseway.app.usage.sealing import lake_locked, note_missing, open_lake, seal
from clauseway.ledger.assumptions import ESTIMATED, STATED, Assumption
from clauseway.metering import Status, Unit, request_ids_of
from clauseway.metering.usage_rules import UNITS_PER_REQUEST_MAX
from clauseway.storage import Control
from clauseway.storage.books.losses import (
    ESTIMATES,
    FILE_ESTIMATES,
    LAKE,
    NOTHING,
    RESERVED,
    SILENT_NS,
    SUMMED,
    WHOLE,
    Loss,
    Losses,
    Spool,
    accept,
)
from clauseway.storage.books.one_copy import one_copy_periods
from clauseway.storage.control.actor import acting
from clauseway.storage.lake.checked_rows import read_rows
from clauseway.storage.lake.columns import INTENT_SCHEMA, USAGE_SCHEMA
from clauseway.storage.lake.file_list import INTENTS, USAGE, LakeFile, every_file, files_of
from clauseway.storage.lake.lake import Lake
from clauseway.storage.lake.lost_files import accept_file, heal
from clauseway.storage.lake.sealed_batches import Range
from clauseway.storage.lake.unlisted_files import day_of_file
from clauseway.values import (
    Interval,
    InvalidInput,
    KnownAt,
    Problem,
    by_beginning,
    counted,
    day_after,
    problem_of_reason,
    refuse_any,
)

ESTIMATES_SPOOL = "estimate"
# An attempt of a gateway that still runs may be under way: no cloud takes longer to answer.
_UNDER_WAY_NS = 3_600_000_000_000


class Alone(msgspec.Struct, frozen=True, kw_only=True):
    """A time in which records of a journal were acknowledged with one copy, by the machine's clock;
    `until` is empty while it lasts."""

    place: str
    since: str
    until: str


class OtherHome(msgspec.Struct, frozen=True, kw_only=True):
    """Another home of the same database, by its identity, that has journals whose end is not sealed
    yet, and how long ago it looked after them. `is_silent`: so long that they may be given up."""

    home: str
    silent_s: int
    is_silent: bool


class Journals(msgspec.Struct, frozen=True, kw_only=True):
    """The registered journals, every loss, and the `open` problems, each with its remedy.

    `others` are the homes that hold those journals which this home does not look after.
    """

    spools: tuple[Spool, ...]
    losses: tuple[Loss, ...]
    open: tuple[Problem, ...]
    alone: tuple[Alone, ...] = ()
    others: tuple[OtherHome, ...] = ()

    @property
    def is_open(self) -> bool:
        return bool(self.open)


def journals(home: Home) -> Journals:
    """Look for the journals of a home and return them."""
    with lake_locked(home), open_lake(home) as lake:
        note_missing(lake.control, home, time.time_ns())
        losses = Losses(lake.control)
        spools, every = tuple(losses.spools()), tuple(losses.all())
        others = tuple(_others(losses, spools, home.identity()))
    damages = blocking_damages(home, missing_files=False)
    return Journals(
        spools=spools,
        losses=every,
        open=tuple(damage.problem for damage in damages),
        alone=tuple(_alone(home)),
        others=others,
    )


def silent_homes(home: Home) -> list[OtherHome]:
    """Return the other homes that were not heard for long and hold journals whose end is not sealed:
    what only these hold is in no month yet."""
    with open_lake(home) as lake:
        losses = Losses(lake.control)
        others = _others(losses, losses.spools(), home.identity())
        return [other for other in others if other.is_silent]


def _others(losses: Losses, spools: Iterable[Spool], here: str) -> Iterator[OtherHome]:
    """Yield the other homes that hold journals which are neither at rest nor known to be gone."""
    unsealed = [each for each in spools if not (each.is_at_rest or each.missing_ns)]
    for home in sorted({each.home for each in unsealed if not each.is_of(here)}):
        yield OtherHome(
            home=home,
            silent_s=losses.silent_ns(home) // 10**9,
            is_silent=losses.is_silent(home),
        )


def _alone(home: Home) -> Iterator[Alone]:
    """Yield when the home's gateways went on without their followers."""
    for directory in home.journals():
        for period in spool.alone_periods(directory):
            until = "" if period.lasts else instant(period.until_ns)
            yield Alone(place=directory.name, since=instant(period.since_ns), until=until)


def instant(at_ns: int) -> str:
    """Return an instant as a person reads it, to the second before it."""
    return datetime.fromtimestamp(at_ns // 10**9, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """A loss as it was accepted."""

    number: int
    place: str
    estimate: str
    attempts: int
    who: str


def accept_loss(home: Home, number: int, estimate: str, why: str) -> Accepted:
    """Accept an estimate for a loss; again the same changes nothing. Raise InvalidInput."""
    _check(estimate, why)
    with lake_locked(home), open_lake(home) as lake:
        loss = next((loss for loss in Losses(lake.control).all() if loss.number == number), None)
        if loss is None:
            remedy = "See clauseway spool list."
            raise InvalidInput.of(
                what=f"there is no loss {number}",
                why="none was found",
                where="NUMBER",
                remedy=remedy,
            )
        if loss.is_accepted:
            return _accepted_before(loss, estimate)
        return _accepted(_accept(lake, loss, home, estimate, why))


def write_off(home: Home, name: str, estimate: str, why: str) -> Accepted:
    """Declare a missing journal lost and accept an estimate for it. Raise InvalidInput.

    Budget slices that its gateways held count as spent from the next sealing on.
    """
    _check(estimate, why)
    with lake_locked(home), open_lake(home) as lake:
        note_missing(lake.control, home, time.time_ns())
        losses = Losses(lake.control)
        spool = by_beginning(
            name.lower(),
            ((spool.spool, spool) for spool in losses.spools()),
            "journal",
            missing="no journal of that name was registered",
            where="SPOOL",
            remedy="See clauseway spool list.",
        )
        # Written off before: the same again changes nothing.
        for loss in losses.all():
            if loss.spool == spool.spool and loss.is_standing_write_off:
                return _accepted_before(loss, estimate)
        # Another home of the same database has to be silent before its journal is given up.
        if not spool.is_of(home.identity()):
            spool = given_up(losses, spool)
        _refuse_unless_missing(spool)
        accepted = _accept(lake, _lost_whole(losses, spool), home, estimate, why)
    seal(home)
    return _accepted(accepted)


def _refuse_unless_missing(spool: Spool) -> None:
    if spool.missing_ns:
        return
    why, remedy = "it is there", "Seal it: clauseway settle does."
    if spool.is_at_rest:
        why, remedy = "it is at rest: all of it is sealed", "Nothing is to be done."
    where = f"spool {spool.spool}"
    raise InvalidInput.of(what="the journal is not lost", why=why, where=where, remedy=remedy)


def _lost_whole(losses: Losses, spool: Spool) -> Loss:
    """Record the loss of a whole journal, over all days on which it may hold usage, and return it."""
    days = losses.days_of(spool)
    whole = Loss(
        spool=spool.spool,
        segment=WHOLE,
        first_frame=0,
        end_frame=-1,
        reason=(
            f"the journal is gone; it was last seen with {counted(spool.frames, 'frame')} in "
            f"segment {spool.segment}"
        ),
        first_day=days.begin,
        last_day=days.last_day,
        lost_ns=time.time_ns(),
    )
    losses.record([whole])
    return next(
        loss
        for loss in reversed(losses.all())
        if loss.spool == spool.spool and loss.segment == WHOLE
    )


def given_up(losses: Losses, spool: Spool) -> Spool:
    """Return another home's journal as missing, where that home is not heard any more. Raise
    InvalidInput."""
    if not spool.missing_ns and not spool.is_at_rest and not losses.is_silent(spool.home):
        silent_s = losses.silent_ns(spool.home) // 10**9
        raise InvalidInput.of(
            what="the journal is not lost",
            why=f"another home holds it, and was heard {silent_s} s ago",
            where=f"spool {spool.spool}",
            remedy=f"Write it off once that home was silent for {SILENT_NS // 10**9} s.",
        )
    if spool.is_at_rest or spool.missing_ns:
        return spool
    missing = msgspec.structs.replace(spool, missing_ns=time.time_ns())
    losses.saw(missing)
    return missing


def accept_file_loss(home: Home, name: str, estimate: str, why: str) -> Accepted:
    """Accept that a file of the lake is lost, with an estimate for it; again the same changes
    nothing.

    By default the estimate is taken from the hourly sums; `nothing` adds nothing. Once the file
    is put back it is read again, and its estimate goes. A file that may hold usage which the
    database lacks is accepted at `nothing` alone, and removed. Raise InvalidInput: no such file, or
    the file is as it was sealed.
    """
    _check(estimate, why, FILE_ESTIMATES)
    unknown = [file for file in unknown_files(home) if name and file.endswith(name)]
    with lake_locked(home), open_lake(home) as lake:
        now_ns = time.time_ns()
        if len(unknown) == 1 and not _files_named(lake, name):
            return _accepted(_give_up(lake, unknown[0], estimate, why))
        # A file that was put back is read again, and needs no estimate.
        heal(lake, now_ns)
        file = _file_named(lake, name)
        # A file may be lost, put back and lost again: each time is a loss of its own.
        of_file = [loss for loss in Losses(lake.control).all() if loss.file == file.name]
        if file.lost_ns:
            return _accepted_before(of_file[-1], estimate)
        faults = lake.sealed.examine([file])
        if not faults:
            why_not, remedy = "its bytes are those that were sealed", "Nothing is to be done."
            raise InvalidInput.of(
                what="the file is not lost", why=why_not, where=file.name, remedy=remedy
            )
        [fault] = faults
        loss = Loss(
            spool=LAKE,
            segment=0,
            first_frame=len(of_file),
            end_frame=-1,
            reason=f"{fault.problem.why}, and its SHA-256 was {file.digest}",
            first_day=file.first_day,
            last_day=file.last_day,
            lost_ns=now_ns,
            accepted_ns=now_ns,
            who=acting(),
            why=why.strip(),
            estimate=estimate,
            file=file.name,
        )
        accept_file(lake, file, loss, len(of_file), now_ns)
        return _accepted(
            next(loss for loss in reversed(Losses(lake.control).all()) if loss.file == file.name)
        )


def _give_up(lake: Lake, name: str, estimate: str, why: str) -> Loss:
    """Record that usage which no list has is given up, then remove its file."""
    if estimate != NOTHING:
        raise InvalidInput.of(
            what="usage that the database does not know has no estimate",
            why="no hourly sums have it",
            where=name,
            remedy="Import it: `clauseway usage import FILE`. To give it up, write --estimate nothing.",
        )
    day = day_of_file(name)
    assert day is not None, f"{name} holds usage"
    with lake.sealed.unlisted_path(name).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    reason = f"no list of the lake had it, and its SHA-256 was {digest}"
    losses, now_ns = Losses(lake.control), time.time_ns()
    of_file = [loss for loss in losses.all() if loss.file == name]
    # It may have been recorded by a process that was killed before it removed the file.
    if not any(loss.reason == reason for loss in of_file):
        given_up = Loss(
            spool=LAKE,
            segment=0,
            first_frame=len(of_file),
            end_frame=-1,
            reason=reason,
            first_day=day,
            last_day=day,
            lost_ns=now_ns,
            accepted_ns=now_ns,
            who=acting(),
            why=why.strip(),
            estimate=estimate,
            file=name,
        )
        losses.record([given_up])
    lake.remove_unlisted(name)
    return next(loss for loss in losses.all() if (loss.file, loss.reason) == (name, reason))


def _files_named(lake: Lake, name: str) -> list[LakeFile]:
    """Return the files that readers see whose names end so."""
    return [
        file
        for file in every_file(lake.control)
        if not file.is_retired and file.name.endswith(name)
    ]


def _file_named(lake: Lake, name: str) -> LakeFile:
    """Return the one file that readers see whose name ends so."""
    wanted = _files_named(lake, name)
    if not name or len(wanted) != 1:
        why = "several files end so" if name and wanted else "no file of that name is read"
        remedy = "clauseway lake check names the files that are missing or changed."
        raise InvalidInput.of(what=f"no file {name!r}", why=why, where="FILE", remedy=remedy)
    return wanted[0]


def accepted_losses(control: Control, days: Interval, known_at: KnownAt) -> list[Assumption]:
    """Return the accepted losses that may belong to some of the days, as what a settlement of
    them assumes."""
    return [
        _assumption(loss)
        for loss in Losses(control).all()
        if loss.is_accepted
        and loss.accepted_ns <= known_at.instant_ns
        and loss.touches(days)
        and not (loss.file and 0 < loss.found_ns <= known_at.instant_ns)
    ]


def times_with_one_copy(control: Control, days: Interval, known_at: KnownAt) -> list[Assumption]:
    """Return when usage of some of the days was acknowledged with one copy, as remarks of a
    settlement; its follower was away."""
    return [
        Assumption(
            name=f"one-copy-{number}",
            value=f"journal {period.place}",
            standing=STATED,
            text=f"The follower of the journal {period.place} "
            f"{_away(period.since_ns, period.until_ns)}: usage was acknowledged with one copy.",
            source=f"spool {period.spool}",
            accepted=False,
        )
        for number, period in enumerate(one_copy_periods(control, known_at), 1)
        if period.touches(days)
    ]


def _away(since_ns: int, until_ns: int) -> str:
    if not until_ns:
        return f"has been away since {instant(since_ns)}"
    return f"was away from {instant(since_ns)} to {instant(until_ns)}"


def _accepted_before(loss: Loss, estimate: str) -> Accepted:
    """Return a loss that was accepted. Raise InvalidInput where another estimate was."""
    if loss.estimate != estimate:
        raise InvalidInput.of(
            what=f"loss {loss.number} was accepted at another estimate",
            why=f"{loss.who} accepted it at {loss.estimate}: {estimate_text(loss)}",
            where="--estimate",
            remedy="An estimate stays until what was lost is put back. Of a bill import what it "
            "has beyond the estimate.",
        )
    return _accepted(loss)


def estimate_text(loss: Loss | Accepted) -> str:
    """Say what stands for what was lost."""
    if loss.estimate == RESERVED:
        return f"{counted(loss.attempts, 'attempt')} at what was reserved"
    if loss.estimate == SUMMED:
        return f"its hourly sums, {loss.attempts:,} of them"
    return "nothing"


def _assumption(loss: Loss) -> Assumption:
    estimate = estimate_text(loss)
    when = KnownAt(loss.accepted_ns).day
    lost = f"Usage of {loss.days} was lost ({loss.place}: {loss.reason})."
    text = f"{lost} Estimated by {loss.who} on {when}: {loss.why}."
    return Assumption(
        name=f"lost-usage-{loss.number}",
        value=estimate,
        standing=ESTIMATED,
        text=text,
        source=loss.who,
        accepted=False,
    )


def _check(estimate: str, why: str, estimates: Sequence[str] = ESTIMATES) -> None:
    problems = []
    if estimate not in estimates:
        remedy = f"One of {', '.join(estimates)}."
        problems.append(
            Problem(
                what=f"unknown estimate {estimate!r}",
                why="this loss has no such estimate",
                where="--estimate",
                remedy=remedy,
            )
        )
    if problem := problem_of_reason(why, "it stands on every statement that rests on the estimate"):
        problems.append(problem)
    refuse_any(problems)


def _accepted(loss: Loss) -> Accepted:
    return Accepted(
        number=loss.number,
        place=loss.place,
        estimate=loss.estimate,
        attempts=loss.attempts,
        who=loss.who,
    )


def _accept(lake: Lake, loss: Loss, home: Home, estimate: str, why: str) -> Loss:
    """Write the estimate and who accepted it, in one transaction."""
    now_ns = time.time_ns()
    usage = (
        _estimated(lake, loss, home, now_ns) if estimate == RESERVED else USAGE_SCHEMA.empty_table()
    )
    accepted = msgspec.structs.replace(
        loss,
        accepted_ns=now_ns,
        who=acting(),
        why=why.strip(),
        estimate=estimate,
        attempts=usage.num_rows,
    )
    # An estimate is sealed like usage, in a range named by the loss: it counts once, or not at all.
    if usage.num_rows:
        of = Range(spool=ESTIMATES_SPOOL, segment=loss.number, first_frame=0, end_frame=1)
        also = partial(accept, loss=accepted)
        lake.seal_tables(of, usage, INTENT_SCHEMA.empty_table(), now_ns, also=also)
    else:
        with lake.control.writing() as connection:
            accept(connection, accepted)
    return accepted


def _estimated(lake: Lake, loss: Loss, home: Home, now_ns: int) -> pa.Table:
    """Return the attempts that began in the days of a loss, by a start that it is of, and have no
    end: at what they reserved.

    Which of them ended in what was lost nobody knows; the others had no end to begin with.
    """
    registered = Losses(lake.control).spool(loss.spool)
    boots = {loss.boot} if loss.boot else set(registered.boots if registered is not None else ())
    days = Interval(loss.first_day, day_after(loss.last_day))
    begun = _attempts(lake, INTENTS, boots, INTENT_SCHEMA.names, days)
    ended = _attempts(lake, USAGE, boots, ["request_id", "attempt", "status"], days)
    over = {(row["request_id"], row["attempt"]) for row in ended if row["status"] != Status.LOST}
    is_written = registered is not None and spool.is_written(home.spools / registered.place)
    # A gateway that still runs may yet end its latest attempts.
    latest_ns = now_ns - _UNDER_WAY_NS if is_written else now_ns
    open_ones = [
        row
        for row in begun
        if (row["request_id"], row["attempt"]) not in over and row["recorded_ns"] <= latest_ns
    ]
    return pa.Table.from_pylist(
        [_estimate_row(row, now_ns) for row in open_ones], schema=USAGE_SCHEMA
    )


def _attempts(
    lake: Lake, kind: str, boots: Iterable[str], names: Sequence[str], days: Interval
) -> list[dict[str, Any]]:
    """Return the rows of the days that these starts wrote."""
    files = lake.sound(files_of(lake.control, kind, days))
    wanted = [request_ids_of(boot) for boot in sorted(boots)]
    rows: list[dict[str, Any]] = []
    for file in files:
        for first, last in wanted:
            if file.first_request <= last and file.last_request >= first:
                between = [("request_id", ">=", first), ("request_id", "<=", last)]
                rows += read_rows(
                    lake.root / file.name, columns=list(names), filters=between
                ).to_pylist()
    return [row for row in rows if days.begin <= row.get("event_day", days.begin) < days.end]


def end_row(intent: dict[str, Any], now_ns: int, status: Status) -> dict[str, Any]:
    """Return the end of an attempt of which the lake knows the begin alone, as a row: with no units
    and charged nothing."""
    row = {name: intent.get(name) for name in USAGE_SCHEMA.names}
    return row | {
        "recorded_ns": now_ns,
        "status": int(status),
        "http_status": 0,
        "streamed": False,
        "duration_us": 0,
        "first_content_us": 0,
        "charge_picodollars": 0,
        "upstream_id": "",
        "tier": "",
    }


def _estimate_row(intent: dict[str, Any], now_ns: int) -> dict[str, Any]:
    """Return an attempt's end as an estimate: the worst that was reserved when it began."""
    return end_row(intent, now_ns, Status.ESTIMATED) | {
        "charge_picodollars": intent["reserved_picodollars"],
        # A body of images has more bytes than any model reads tokens.
        Unit.INPUT_TOKENS.column: min(intent["body_bytes"], UNITS_PER_REQUEST_MAX),
        Unit.OUTPUT_TOKENS.column: min(intent["output_tokens_max"], UNITS_PER_REQUEST_MAX),
    }

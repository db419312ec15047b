"""Spools that were registered before they were written, and the lost parts of them or of the lake.

`spools` remembers how each spool was last seen; no amount stands on it. `losses` are ranges of a
spool that cannot be read, with the event days they may belong to: each blocks the months it may
belong to until somebody accepts an estimate by name. A whole missing spool is a loss once it is
written off.
"""

from collections.abc import Iterable
from datetime import date
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, func, insert, select, update

from clauseway.storage.control import engines, schema
from clauseway.storage.control.control import Control
from clauseway.values import Interval, day_after, day_of

# The segment of a loss that is a whole spool.
WHOLE = -1
# The estimates that can be accepted.
RESERVED, NOTHING = "reserved", "nothing"
ESTIMATES = (RESERVED, NOTHING)
# The estimates for a lost file of the lake: the hourly sums show what was in it.
SUMMED = "summed"
FILE_ESTIMATES = (SUMMED, NOTHING)
# A home that is served looks after its journals four times a minute.
SILENT_NS = 300_000_000_000
# The folder's name begins so for a journal that was recovered from a follower's copy.
RECOVERED = "recovered-"
# It begins so for a journal that a backup brought back.
RESTORED = "restored-"
# The reason of a loss that begins where the copy of a recovered journal ends.
GONE_ON_ALONE = "the gateway may have gone on alone after the end of its copy"
# The `spool` of a loss that is a file of the lake.
LAKE = "lake"

# Each statement is made once: to make one takes as long as to execute it.
_SPOOLS = select(schema.spools).order_by(schema.spools.c.registered_ns, schema.spools.c.spool)
_LOSSES = select(schema.losses).order_by(schema.losses.c.sequence)


class Spool(msgspec.Struct, frozen=True, kw_only=True):
    """A registered spool: its id (hex), its folder's name in the home, and how it was last seen.

    Segments below `released` are wholly sealed and may be gone. `segment` and `frames` are how far
    it reached, -1 for nowhere. `is_at_rest`: closed cleanly and wholly sealed, so that nothing is
    lost with it. `missing_ns` is when it was first looked for in vain, 0 while it is there. `boots`
    are the gateways' starts that wrote it, in hex. `home` is the identity of the home that holds
    it, empty if the spool was last seen before homes had an identity.
    """

    spool: str
    place: str
    registered_ns: int
    released: int = 0
    segment: int = -1
    frames: int = 0
    boots: tuple[str, ...] = ()
    is_at_rest: bool = False
    missing_ns: int = 0
    home: str = ""

    def is_of(self, home: str) -> bool:
        """Return whether this home looks after the spool: the spool names this home, or none."""
        return self.home in ("", home)


class Loss(msgspec.Struct, frozen=True, kw_only=True):
    """Frames `first_frame` ≤ n < `end_frame` (-1: to an end that is not known) of a segment that
    cannot be read.

    Their events happened on some of the days from `first_day` to `last_day`, and were written by
    the start `boot` (hex; empty if not known). `number` is 0 until the loss is recorded. An
    accepted loss names who, when and why, and for how many `attempts` an estimate stands.
    `found_ns` is when a written-off spool was there again. With `file` it is of a file of the lake,
    accepted when it is recorded; `found_ns` is when the file was put back.
    """

    spool: str
    segment: int
    first_frame: int
    end_frame: int
    reason: str
    first_day: date
    last_day: date
    lost_ns: int
    boot: str = ""
    number: int = 0
    accepted_ns: int = 0
    who: str = ""
    why: str = ""
    estimate: str = ""
    attempts: int = 0
    found_ns: int = 0
    file: str = ""

    @property
    def is_accepted(self) -> bool:
        return self.accepted_ns > 0

    @property
    def is_standing_write_off(self) -> bool:
        """Return whether the whole spool was written off, and was not found since."""
        return self.segment == WHOLE and not self.file and not self.found_ns

    @property
    def place(self) -> str:
        """Return the lost place: a file of the lake, a segment with its frames, or the whole
        spool."""
        if self.file:
            return f"file {self.file}"
        if self.segment == WHOLE:
            return f"spool {self.spool}"
        end = f"to {self.end_frame - 1}" if self.end_frame >= 0 else "on"
        return f"spool {self.spool}, segment {self.segment}, frames from {self.first_frame} {end}"

    @property
    def days(self) -> str:
        return (
            f"{self.first_day}"
            if self.first_day == self.last_day
            else f"{self.first_day} to {self.last_day}"
        )

    @property
    def interval(self) -> Interval:
        return Interval(self.first_day, day_after(self.last_day))

    def touches(self, days: Interval) -> bool:
        """True if the lost events may have happened on one of the days."""
        return self.first_day < days.end and self.last_day >= days.begin


class Losses:
    """The registered spools and the losses in a control database."""

    def __init__(self, control: Control) -> None:
        self._control = control

    def spools(self) -> list[Spool]:
        """Return every registered spool, in the order in which they were registered."""
        with self._control.reading() as connection:
            return [_spool(row) for row in connection.execute(_SPOOLS)]

    def spool(self, spool: str) -> Spool | None:
        """Return a registered spool; None where it is not registered."""
        named = select(schema.spools).where(schema.spools.c.spool == spool)
        with self._control.reading() as connection:
            row = connection.execute(named).one_or_none()
        return None if row is None else _spool(row)

    def register(self, spool: Spool) -> Spool:
        """Register a spool that is about to be written, or was found; return it as it is registered
        now.

        A registered spool is not at rest any more, and may have a newer segment.
        """
        columns = schema.spools.c
        with self._control.writing() as connection:
            registered = connection.execute(
                select(schema.spools).where(columns.spool == spool.spool)
            ).one_or_none()
            if registered is None:
                connection.execute(insert(schema.spools).values(**_values(spool)))
                return spool
            moved: dict[str, Any] = {"is_at_rest": False, "place": spool.place, "home": spool.home}
            if spool.segment > registered.segment:
                moved |= {"segment": spool.segment, "frames": 0}
            connection.execute(
                update(schema.spools).where(columns.spool == spool.spool).values(**moved)
            )
            return msgspec.structs.replace(_spool(registered), **moved)

    def written_off(self) -> set[str]:
        """Return the spools that were written off and not found since."""
        return {loss.spool for loss in self.all() if loss.is_standing_write_off}

    def saw(self, spool: Spool) -> None:
        """Remember how a registered spool was seen."""
        with self._control.writing() as connection:
            named = schema.spools.c.spool == spool.spool
            connection.execute(update(schema.spools).where(named).values(**_values(spool)))

    def hand_over(self, former: str, home: str) -> None:
        """Let a home look after the spools of a former home, and those that name no home."""
        columns = schema.spools.c
        with self._control.writing() as connection:
            held = update(schema.spools).where(columns.home.in_(("", former)))
            connection.execute(held.values(home=home))

    def heard(self, home: str) -> None:
        """Note that a home looks after its journals, by the clock that all homes share."""
        columns = schema.homes.c
        with self._control.writing() as connection:
            now_ns = engines.now_ns(connection)
            named = update(schema.homes).where(columns.home == home).values(heard_ns=now_ns)
            if not connection.execute(named).rowcount:
                connection.execute(insert(schema.homes).values(home=home, heard_ns=now_ns))

    def silent_ns(self, home: str) -> int:
        """Return the time since a home last looked after its journals (ns): since 1970 if it never
        did."""
        query = select(schema.homes.c.heard_ns).where(schema.homes.c.home == home)
        with self._control.reading() as connection:
            heard_ns = connection.execute(query).scalar_one_or_none() or 0
            return engines.now_ns(connection) - heard_ns

    def is_silent(self, home: str) -> bool:
        """Return whether a home was not heard for so long that it may be gone."""
        return self.silent_ns(home) >= SILENT_NS

    def heard_lately(self) -> list[str]:
        """Return the homes that are not silent."""
        columns = schema.homes.c
        with self._control.reading() as connection:
            since_ns = engines.now_ns(connection) - SILENT_NS
            heard = select(columns.home).where(columns.heard_ns > since_ns).order_by(columns.home)
            return list(connection.execute(heard).scalars())

    def all(self) -> list[Loss]:
        """Return every loss, in the order in which they were found."""
        with self._control.reading() as connection:
            rows = connection.execute(_LOSSES).all()
        return [_loss(row) for row in rows]

    def days_of(self, spool: Spool) -> Interval:
        """Return the days that a missing spool may have held usage of: from its last sealing to the
        first failed look."""
        columns = schema.manifest.c
        with self._control.reading() as connection:
            latest = select(func.max(columns.last_day)).where(columns.spool == spool.spool)
            sealed = connection.execute(latest).scalar_one_or_none()
        begin = sealed or day_of(spool.registered_ns)
        return Interval(begin, day_after(max(begin, day_of(spool.missing_ns))))

    def record(self, losses: Iterable[Loss]) -> None:
        """Record losses that are not recorded yet."""
        new = list(losses)
        if new:
            with self._control.writing() as connection:
                record(connection, new)

    def found_again(self, spool: str, now_ns: int) -> None:
        """Record that a written-off spool is there again."""
        columns = schema.losses.c
        whole = (columns.spool == spool) & (columns.segment == WHOLE) & (columns.found_ns == 0)
        if spool in self.written_off():
            with self._control.writing() as connection:
                connection.execute(update(schema.losses).where(whole).values(found_ns=now_ns))


def record(connection: Connection, losses: Iterable[Loss]) -> None:
    """Record losses that are not recorded yet, in a transaction of the caller."""
    columns = schema.losses.c
    for loss in losses:
        # A loss whose spool was found again does not count: the same place may be lost once more.
        same = (columns.spool == loss.spool) & (columns.segment == loss.segment)
        same &= columns.found_ns == 0
        same &= (columns.first_frame == loss.first_frame) & (columns.reason == loss.reason)
        if connection.execute(select(columns.sequence).where(same)).first() is None:
            connection.execute(insert(schema.losses).values(**_loss_values(loss)))


def accept(connection: Connection, loss: Loss) -> None:
    """Write who accepted which estimate for a recorded loss, when and why."""
    named = schema.losses.c.sequence == loss.number
    connection.execute(update(schema.losses).where(named).values(**_loss_values(loss)))


def _spool(row: Row[Any]) -> Spool:
    values = row._mapping
    fields = {name: values[name] for name in Spool.__struct_fields__}
    return Spool(**fields | {"boots": tuple(values["boots"].split())})


def _values(spool: Spool) -> dict[str, Any]:
    return msgspec.structs.asdict(spool) | {"boots": " ".join(spool.boots)}


def _loss(row: Row[Any]) -> Loss:
    values = row._mapping
    fields = {name: values[name] for name in Loss.__struct_fields__ if name != "number"}
    return Loss(number=values["sequence"], **fields)


def _loss_values(loss: Loss) -> dict[str, Any]:
    return {name: value for name, value in msgspec.structs.asdict(loss).items() if name != "number"}

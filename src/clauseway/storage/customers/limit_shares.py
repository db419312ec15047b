"""Shares of limits by the minute as they stand: in memory for the gateways of one home, in the
database for those of all homes that share it.

A transaction that decides on shares changes a `ShareState` while nobody else does. Its clock is the server's where
the database is one: machines need not agree on the time.
"""

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Final

import msgspec
from sqlalchemy import BindParameter, Connection, bindparam, delete, insert, select, update

from clauseway.storage.control import engines, schema
from clauseway.storage.control.control import Control, as_record
from clauseway.storage.customers.tenants import Limit

_NS: Final = 1_000_000_000
# A kind (requests or tokens), and the id of a limit.
LimitKind = tuple[str, str]

# Each statement is made once: to make one takes as long as to execute it.
_SHARE, _SHORTAGE = schema.limit_shares.c, schema.limit_shortages.c
_IDS: BindParameter[Sequence[str]] = bindparam("_ids", expanding=True)
_LIMITS = select(schema.limits).where(schema.limits.c.id.in_(_IDS))
_SHARES = select(schema.limit_shares).where(_SHARE.limit_id.in_(_IDS))
_SHORTAGES = select(schema.limit_shortages).where(_SHORTAGE.limit_id.in_(_IDS))
_GIVE_BACK = delete(schema.limit_shares).where(
    _SHARE.kind == bindparam("_kind"),
    _SHARE.limit_id == bindparam("_limit"),
    _SHARE.holder == bindparam("_holder"),
)
_TAKE = insert(schema.limit_shares)
_SHORT_AGAIN = update(schema.limit_shortages).where(
    _SHORTAGE.kind == bindparam("_kind"), _SHORTAGE.limit_id == bindparam("_limit")
)
_SHORT_FIRST = insert(schema.limit_shortages)


class LimitShare(msgspec.Struct, frozen=True):
    """A process's share of a limit, by its request number `serial`; it counts until `until_s`."""

    leased: int
    serial: int
    until_s: float


class ShareState:
    """Some limits with their shares at one instant, by holder; `short_s` is when a process was last
    refused one."""

    def __init__(self, now_s: float, limits: Mapping[str, Limit]) -> None:
        self.now_s, self.limits = now_s, limits
        self.shares: dict[LimitKind, dict[str, LimitShare]] = {}
        self.short_s: dict[LimitKind, float] = {}


# Opens the state of some limits, by their ids, to change it.
OpenShares = Callable[[Collection[str]], AbstractContextManager[ShareState]]


class MemoryShares:
    """Shares in the memory of this process."""

    def __init__(
        self,
        limits_by_id: Callable[[Collection[str]], Mapping[str, Limit]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits_by_id, self._clock = limits_by_id, clock
        self._state = ShareState(0.0, {})
        self._one_at_a_time = threading.Lock()

    @contextmanager
    def changing(self, ids: Collection[str]) -> Iterator[ShareState]:
        limits = self._limits_by_id(ids)
        with self._one_at_a_time:
            self._state.now_s, self._state.limits = self._clock(), limits
            yield self._state


class StoredShares:
    """Shares in the control database."""

    def __init__(self, control: Control) -> None:
        self._control = control

    @contextmanager
    def changing(self, ids: Collection[str]) -> Iterator[ShareState]:
        of_limits = {"_ids": list(ids)}
        # The transaction excludes every other writer: nobody else decides on shares meanwhile.
        with self._control.writing() as connection:
            state = ShareState(
                engines.now_ns(connection) / _NS,
                {row.id: as_record(Limit, row) for row in connection.execute(_LIMITS, of_limits)},
            )
            for row in connection.execute(_SHARES, of_limits):
                of = state.shares.setdefault((row.kind, row.limit_id), {})
                of[row.holder] = LimitShare(row.leased, row.serial, row.until_ns / _NS)
            for row in connection.execute(_SHORTAGES, of_limits):
                state.short_s[row.kind, row.limit_id] = row.short_ns / _NS
            # The shares that stood before, so that only rows that changed are written.
            before = {of: dict(held) for of, held in state.shares.items()}
            shorts_before = dict(state.short_s)
            yield state
            _write_shares(connection, before, state)
            _write_shortages(connection, shorts_before, state)


def _write_shares(
    connection: Connection, before: Mapping[LimitKind, Mapping[str, LimitShare]], state: ShareState
) -> None:
    gone, new = [], []
    for of in before.keys() | state.shares.keys():
        old, present = before.get(of, {}), state.shares.get(of, {})
        for holder in old.keys() | present.keys():
            share = present.get(holder)
            if share == old.get(holder):
                continue
            # A changed share is deleted first and inserted anew.
            if holder in old:
                gone.append({"_kind": of[0], "_limit": of[1], "_holder": holder})
            if share is not None:
                new.append(
                    {
                        "kind": of[0],
                        "limit_id": of[1],
                        "holder": holder,
                        "leased": share.leased,
                        "serial": share.serial,
                        "until_ns": int(share.until_s * _NS),
                    }
                )
    if gone:
        connection.execute(_GIVE_BACK, gone)
    if new:
        connection.execute(_TAKE, new)


def _write_shortages(
    connection: Connection, before: Mapping[LimitKind, float], state: ShareState
) -> None:
    for (kind, limit), short_s in state.short_s.items():
        if before.get((kind, limit)) == short_s:
            continue
        values = {"short_ns": int(short_s * _NS)}
        if not connection.execute(_SHORT_AGAIN, {"_kind": kind, "_limit": limit} | values).rowcount:
            connection.execute(_SHORT_FIRST, {"kind": kind, "limit_id": limit} | values)

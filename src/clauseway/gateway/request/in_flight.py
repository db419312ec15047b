"""Connections of clients by address and by key, and bytes by key, that this process holds now; and
frames over WebSockets by key, in the present second.

A body counts from its head on, by the length that the head states, until its request is over; so
does an answer that is gathered whole, and on until its client has read it. Bytes of an answer are
counted and never refused: they are paid for. They leave less room for the next request. A request
whose client left, and whose answer is read on, counts as a connection until that answer has come.

INVARIANT: whatever is counted is let go exactly once, however a connection or a request ends.
"""

from collections.abc import Callable
from functools import partial
from ipaddress import IPv6Address, ip_address
from typing import Final

from clauseway.gateway.plan.limits import Limits
from clauseway.gateway.request.counters import Counts
from clauseway.gateway.request.refusals import RETRY_IN_1_S, Refused
from clauseway.gateway.wire.errors import (
    KEY_IN_FLIGHT,
    TOO_MANY_CONNECTIONS,
    TOO_MANY_FRAMES,
    TOO_MANY_OF_ONE,
    TOO_MUCH_IN_FLIGHT,
)
from clauseway.metering import Buyer
from clauseway.values import counted

_CONNECTIONS, _BYTES, _FRAMES = "connections", "bytes in flight", "frames"
_HANDSHAKES: Final = "TLS handshakes"
# Of an IPv6 network of this length every host has as many addresses as it likes.
_ONE_HOST_BITS: Final = 64


class Use:
    """One key's use of this process."""

    __slots__ = ("bytes", "connections", "key", "label")

    def __init__(self, label: int, key: str) -> None:
        self.label = label
        self.key = key
        self.connections = 0
        self.bytes = 0


class InFlight:
    """All of one process. `connections` and `bytes` are the sums; connections that are being
    turned away are `turned_away` and in no sum."""

    def __init__(self, counts: Counts) -> None:
        self.connections = 0
        self.turned_away = 0
        self.bytes = 0
        self._counts = counts
        self._addresses: dict[str, int] = {}
        self._handshakes: dict[str, int] = {}
        self._handshakes_in_all = 0
        self._uses: dict[int, Use] = {}
        # By label of the key, not in its use: a key would begin anew by connecting again.
        self._frames: dict[int, int] = {}
        self._frames_s = 0  # the second that they are of

    # -- connections

    def enter(self, address: str, limits: Limits) -> Refused | None:
        """Count a connection from an address, or return why it is turned away."""
        limit, limit_of_one = limits.connections, limits.connections_per_address
        if self.connections >= limit:
            self._short(_CONNECTIONS, "the process")
            message = f"This gateway has {counted(limit, 'connection')} open, the most it may have."
            return Refused(TOO_MANY_CONNECTIONS, message, headers=RETRY_IN_1_S)
        count = self._addresses.get(address, 0)
        if address and count >= limit_of_one:
            self._short(_CONNECTIONS, "an address")
            message = _too_many_open("address", limit_of_one)
            return Refused(TOO_MANY_OF_ONE, message, headers=RETRY_IN_1_S)
        self._addresses[address] = count + 1
        self.connections += 1
        return None

    def leave(self, address: str) -> None:
        """A connection from an address is gone."""
        self.connections -= 1
        _count_one_less(self._addresses, address)

    def begin_handshake(self, peer: object, limits: Limits) -> Callable[[], None] | None:
        """Count the TLS handshake of a connection that was accepted, and return what ends it; None
        where there is no room. As many are under way as there may be connections: whoever sends
        nothing takes no descriptor from others."""
        if self._handshakes_in_all >= limits.connections:
            self._short(_HANDSHAKES, "the process")
            return None
        address = address_of(peer)
        count = self._handshakes.get(address, 0)
        if address and count >= limits.connections_per_address:
            self._short(_HANDSHAKES, "an address")
            return None
        self._handshakes[address] = count + 1
        self._handshakes_in_all += 1
        return partial(self._end_handshake, address)

    def _end_handshake(self, address: str) -> None:
        self._handshakes_in_all -= 1
        _count_one_less(self._handshakes, address)

    def use(self, label: int, buyer: Buyer, limits: Limits) -> Use:
        """Count a connection whose requests have a key. Raises Refused."""
        use = self._use_of(label, buyer)
        if use.connections >= limits.connections_per_key:
            limit = limits.connections_per_key
            self._short(_CONNECTIONS, f"key {use.key}")
            message = _too_many_open("key", limit)
            raise Refused(TOO_MANY_OF_ONE, message, headers=RETRY_IN_1_S, closes=True)
        use.connections += 1
        return use

    def count_left_request(self, label: int, buyer: Buyer) -> Use:
        """Count a request whose client has left, and whose answer is read on, as a connection of
        its key, whatever the limits say: until now its client's connection was counted."""
        use = self._use_of(label, buyer)
        use.connections += 1
        self.connections += 1
        return use

    def end_left_request(self, use: Use) -> None:
        """Note that the answer has come to a request whose client has left."""
        self.connections -= 1
        self.leave_key(use)

    def _use_of(self, label: int, buyer: Buyer) -> Use:
        use = self._uses.get(label)
        if use is None:
            use = self._uses[label] = Use(label, buyer.key_id)
        return use

    def of(self, label: int) -> tuple[int, int]:
        """Return a key's open connections and bytes in flight."""
        use = self._uses.get(label)
        return (use.connections, use.bytes) if use is not None else (0, 0)

    def find(self, label: int) -> Use | None:
        """Return a key's use; None where it has no connection and nothing in flight."""
        return self._uses.get(label)

    def leave_key(self, use: Use) -> None:
        """Note that the connection is gone, or has another key now."""
        use.connections -= 1
        self._forget(use)

    # -- bytes

    def count_body(self, use: Use, count: int, own: int, limits: Limits) -> None:
        """Count bytes of a body, of which `own` are counted already. Raises Refused, unless the
        body is the only one: a large one would wait in vain for more room than there is."""
        limit = limits.bytes_in_flight_per_key
        if use.bytes + count > limit and use.bytes > own:
            self._short(_BYTES, f"key {use.key}")
            message = f"Requests and answers of this key may have at most {limit:,} bytes at once."
            raise Refused(KEY_IN_FLIGHT, message, headers=RETRY_IN_1_S)
        limit = limits.bytes_in_flight
        if self.bytes + count > limit and self.bytes > own:
            self._short(_BYTES, "the process")
            message = f"All requests and answers together may have at most {limit:,} bytes at once."
            raise Refused(TOO_MUCH_IN_FLIGHT, message, headers=RETRY_IN_1_S)
        self.add(use, count)

    def add(self, use: Use, count: int) -> None:
        """Count bytes that are here whatever the limits say."""
        use.bytes += count
        self.bytes += count

    def release(self, use: Use, count: int) -> None:
        """Bytes that were counted are not held any more."""
        use.bytes -= count
        self.bytes -= count
        self._forget(use)

    # -- frames over WebSockets

    def count_frame(self, use: Use, now_s: float, limits: Limits) -> None:
        """Count a frame of a key's session, or the handshake before them. Raises Refused beyond
        those of a second."""
        self._begin_second(now_s)
        count = self._frames[use.label] = self._frames.get(use.label, 0) + 1
        limit = limits.frames_per_key_per_second
        if count > limit:
            self._short(_FRAMES, f"key {use.key}")
            message = f"The sessions of this key may send {counted(limit, 'frame')} a second."
            raise Refused(TOO_MANY_FRAMES, message, headers=RETRY_IN_1_S, closes=True)

    def _begin_second(self, now_s: float) -> None:
        """Forget the frames of the second before."""
        if int(now_s) != self._frames_s:
            self._frames_s = int(now_s)
            self._frames.clear()

    def _forget(self, use: Use) -> None:
        if not use.bytes and not use.connections and self._uses.get(use.label) is use:
            del self._uses[use.label]

    def _short(self, kind: str, whose: str) -> None:
        self._counts.shortages[kind, whose] += 1


def _count_one_less(counts: dict[str, int], address: str) -> None:
    """Count one less of an address; an address that has none left takes no memory."""
    count = counts[address] - 1
    if count:
        counts[address] = count
    else:
        del counts[address]


def address_of(peer: object) -> str:
    """Return the host of a socket's other end, as far as it stands for one client: of IPv6 the
    network. Empty where there is none (a unix socket)."""
    if not isinstance(peer, tuple) or len(peer) < 2:
        return ""
    # A link-local address names its interface behind a percent sign (RFC 4007, 11).
    host = str(peer[0]).partition("%")[0]
    if ":" not in host:
        return host
    address = ip_address(host)
    if not isinstance(address, IPv6Address):
        return host
    # A socket for both versions shows clients of IPv4 as ::ffff:a.b.c.d.
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    network = int(address) >> _ONE_HOST_BITS << _ONE_HOST_BITS
    return f"{IPv6Address(network)}/{_ONE_HOST_BITS}"


def _too_many_open(whose: str, limit: int) -> str:
    """Return what whoever opens more connections than the limit hears."""
    again = "that" if limit == 1 else "those"
    return f"This {whose} has {counted(limit, 'connection')} open, the most it may have: use {again} again."

"""The virtual network: ordered streams of bytes that are late, cut in two, held up by partitions, broken and lost.

A process that is killed has its connections reset by its kernel. A machine without power says nothing any more: who
talks to it hears so only once it is on again.
"""

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Final

from .world import SECOND, Machine, Process, Signal, World

_RETRANSMIT_S: Final = 0.2
_NEAR_S: Final = (0.000_02, 0.000_1)
_FAR_S: Final = (0.000_2, 0.004)

Address = tuple[str, int]


class Network:
    """Listeners and their places, machines that do not reach each other, and the time that bytes take."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._listeners: dict[Address, tuple[Process, Callable[[End], None]]] = {}
        self._hosts: dict[str, Machine] = {}
        self._cut: set[frozenset[str]] = set()
        self.slow_s = 0.0
        # By machine: the next question of a gateway about leases is held up on its way to the database, and who is
        # told so, with whose question it is.
        self.next_held_up: dict[str, Callable[[Process], None]] = {}

    # -- faults

    def cut(self, machine: Machine, other: Machine) -> None:
        """Let nothing through between two machines until `heal`."""
        self._cut.add(frozenset((machine.name, other.name)))

    def heal(self, machine: Machine, other: Machine) -> None:
        self._cut.discard(frozenset((machine.name, other.name)))

    def heal_all(self) -> None:
        self._cut.clear()
        self.next_held_up.clear()
        self.slow_s = 0.0

    def is_cut(self, machine: Machine, other: Machine) -> bool:
        return frozenset((machine.name, other.name)) in self._cut

    def delay_s(self, machine: Machine, other: Machine) -> float:
        chance = self.world.chance
        if machine is other:
            return chance.uniform(*_NEAR_S) + (self.slow_s if chance.random() < 0.3 else 0.0)
        return chance.uniform(*_FAR_S) + (self.slow_s if chance.random() < 0.5 else 0.0)

    # -- connections

    def listen(self, process: Process, address: Address, accept: "Callable[[End], None]") -> None:
        """Take connections at an address; those of a process that died there go."""
        self._listeners[address] = (process, accept)
        self._hosts.setdefault(address[0], process.machine)

    def forget(self, address: Address) -> None:
        self._listeners.pop(address, None)

    def is_listening(self, address: Address) -> bool:
        listener = self._listeners.get(address)
        return listener is not None and listener[0].alive

    def reaches(self, process: Process, address: Address) -> bool:
        """Return whether a first packet comes to the machine of an address now."""
        machine = self._hosts.get(address[0], process.machine)
        return not self.is_cut(process.machine, machine)

    def meet(self, process: Process, address: Address) -> "End":
        """Connect, once the first packet has come there. Raise OSError."""
        listener = self._listeners.get(address)
        if listener is None or not listener[0].alive:
            raise ConnectionRefusedError(f"nobody listens at {address[0]}:{address[1]}")
        other, accept = listener
        here, there = End(self, process), End(self, other)
        here.peer, there.peer = there, here
        accept(there)
        return here

    async def connect(self, process: Process, loop: Any, address: Address, factory: Callable[[], Any]) -> Any:
        """Connect for a loop; return (transport, protocol)."""
        machine = self._hosts.get(address[0], process.machine)
        await asyncio.sleep(2 * self.delay_s(process.machine, machine))
        while not self.reaches(process, address):
            await asyncio.sleep(_RETRANSMIT_S)
        transport = VirtualTransport(self.meet(process, address), loop, factory())
        return transport, transport.get_protocol()

    def serve_loop(self, process: Process, loop: Any, address: Address, factory: Callable[[], Any]) -> None:
        """Take connections at an address for a loop."""

        def accept(end: End) -> None:
            loop.call_soon(lambda: VirtualTransport(end, loop, factory()))

        self.listen(process, address, accept)


class End:
    """One end of a connection. `heard` is told of bytes, of the end (empty) and of a reset (None), in order."""

    def __init__(self, network: Network, process: Process) -> None:
        self._network, self.process = network, process
        self._machine, self._boots = process.machine, process.machine.boots
        self.peer: End | None = None
        self._heard: Callable[[bytes | None], None] | None = None
        self._early: list[bytes | None] = []
        self._last_ns = 0
        self._on_the_way: deque[tuple[int, bytes | None]] = deque()
        self.closed = False
        process.on_end.append(self._process_ended)

    def listen(self, heard: Callable[[bytes | None], None]) -> None:
        self._heard = heard
        early, self._early = self._early, []
        for data in early:
            heard(data)

    def send(self, data: bytes) -> None:
        world = self._network.world
        if len(data) > 1 and world.chance.random() < 0.15:
            at = world.chance.randrange(1, len(data))
            self._deliver(data[:at])
            self._deliver(data[at:])
        else:
            self._deliver(data)

    def finish(self) -> None:
        self._deliver(b"")

    def reset(self) -> None:
        self.closed = True
        self._deliver(None)

    def _deliver(self, data: bytes | None) -> None:
        peer, network, world = self.peer, self._network, self._network.world
        assert peer is not None
        delay_ns = int(network.delay_s(self._machine, peer._machine) * SECOND)
        # In order: nothing overtakes what was sent before it.
        at_ns = self._last_ns = max(world.now_ns + delay_ns, self._last_ns + 1)

        self._on_the_way.append((at_ns, data))
        world.at(at_ns, self._arrive)

    def _arrive(self) -> None:
        """Let arrive what is due, in order; while the machines do not reach each other, all of it waits."""
        peer, network, world = self.peer, self._network, self._network.world
        assert peer is not None
        while self._on_the_way and self._on_the_way[0][0] <= world.now_ns:
            if network.is_cut(self._machine, peer._machine):
                world.after(_RETRANSMIT_S, self._arrive)
                return
            _, data = self._on_the_way.popleft()
            if peer.process.alive:
                peer._hear(data)
            elif data is not None and peer._machine.boots != peer._boots:
                # The machine is on again and knows nothing of this connection.
                world.after(0.001, lambda: self._hear(None))

    def _hear(self, data: bytes | None) -> None:
        if self.closed:
            return
        if data is None:
            self.closed = True
        if self._heard is None:
            self._early.append(data)
        else:
            self._heard(data)

    def _process_ended(self) -> None:
        if not self.closed:
            self.closed = True
            if not self._machine.is_off:
                self._deliver(None)


class VirtualTransport(asyncio.Transport):
    """A connection as asyncio's protocols see it."""

    def __init__(self, end: End, loop: Any, protocol: Any) -> None:
        super().__init__()
        self._end, self._loop, self._protocol = end, loop, protocol
        self._closing = self._lost = self._paused = False
        self._kept: list[bytes | None] = []
        protocol.connection_made(self)
        end.listen(lambda data: loop.call_soon(self._came, data))

    def _came(self, data: bytes | None) -> None:
        if self._lost:
            return
        if data is None:
            self._lose(ConnectionResetError("reset by the other side"))
        elif self._paused:
            self._kept.append(data)
        elif data:
            self._protocol.data_received(data)
        elif not self._protocol.eof_received():
            self.close()

    def _lose(self, error: Exception | None) -> None:
        if not self._lost:
            self._lost = self._closing = True
            self._end.closed = True
            self._loop.call_soon(self._protocol.connection_lost, error)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 1) if name in ("peername", "sockname") else default

    def get_protocol(self) -> Any:
        return self._protocol

    def set_protocol(self, protocol: Any) -> None:
        self._protocol = protocol

    def is_closing(self) -> bool:
        return self._closing

    def is_reading(self) -> bool:
        return not self._paused

    def write(self, data: Any) -> None:
        if not self._closing and data:
            self._end.send(bytes(data))

    def writelines(self, list_of_data: Any) -> None:
        self.write(b"".join(list_of_data))

    def write_eof(self) -> None:
        self._end.finish()

    def can_write_eof(self) -> bool:
        return True

    def get_write_buffer_size(self) -> int:
        return 0

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._end.finish()
            self._lose(None)

    def abort(self) -> None:
        if not self._lost:
            self._end.reset()
            self._lose(None)

    def pause_reading(self) -> None:
        self._paused = True

    def resume_reading(self) -> None:
        self._paused = False
        kept, self._kept = self._kept, []
        for data in kept:
            self._loop.call_soon(self._came, data)


class VirtualSocket:
    """A connected socket of a thread."""

    def __init__(self, world: World, end: End) -> None:
        self._world, self._end = world, end
        self._buffer = bytearray()
        self._over = self._broken = self._shut = False
        self._changed = Signal(world)
        self._timeout_s: float | None = None
        self._readable: Callable[[], object] | None = None
        end.listen(self._heard)

    def _heard(self, data: bytes | None) -> None:
        if data is None:
            self._broken = True
        elif data:
            self._buffer += data
        else:
            self._over = True
        self._changed.notify()
        if self._readable is not None:
            self._readable()

    def watch_readable(self, call: Callable[[], object] | None) -> None:
        self._readable = call
        if call is not None and self._is_readable:
            call()

    @property
    def _is_readable(self) -> bool:
        return bool(self._buffer) or self._over or self._broken or self._shut

    def settimeout(self, timeout: float | None) -> None:
        self._timeout_s = timeout

    def setblocking(self, flag: bool) -> None:
        self._timeout_s = None if flag else 0.0

    def setsockopt(self, *_: object) -> None:
        pass

    def recv(self, size: int) -> bytes:
        while not self._is_readable:
            if self._timeout_s == 0.0:
                raise BlockingIOError
            if not self._changed.wait(self._timeout_s):
                raise TimeoutError("timed out")
        if self._buffer:
            data = bytes(self._buffer[:size])
            del self._buffer[: len(data)]
            return data
        if self._broken:
            raise ConnectionResetError("reset by the other side")
        return b""

    def send(self, data: bytes) -> int:
        if self._broken or self._shut:
            raise BrokenPipeError("the connection is gone")
        self._end.send(bytes(data))
        return len(data)

    def sendall(self, data: bytes) -> None:
        self.send(data)

    def shutdown(self, _: int) -> None:
        if not self._shut:
            self._shut = True
            self._end.finish()
            self._changed.notify()

    def close(self) -> None:
        if not self._shut:
            self._shut = True
            self._end.finish()
        self._end.closed = True

    def makefile(self, *_: object, **__: object) -> "SocketFile":
        return SocketFile(self)


class SocketFile:
    """The reading end of a socket, by lines and by lengths."""

    def __init__(self, connected: VirtualSocket) -> None:
        self._socket, self._rest = connected, b""
        self.closed = False

    def readline(self, limit: int = -1) -> bytes:
        while b"\n" not in self._rest and (data := self._socket.recv(1 << 16)):
            self._rest += data
        line, newline, self._rest = self._rest.partition(b"\n")
        return line + newline

    def read(self, size: int) -> bytes:
        while len(self._rest) < size and (data := self._socket.recv(1 << 16)):
            self._rest += data
        data, self._rest = self._rest[:size], self._rest[size:]
        return data

    def close(self) -> None:
        self.closed = True


class VirtualListener:
    """A listening socket of a thread."""

    def __init__(self, world: World, network: Network, process: Process, address: Address) -> None:
        self._world, self._ends, self._came = world, list[End](), Signal(world)
        network.listen(process, address, self._accept)

    def _accept(self, end: End) -> None:
        self._ends.append(end)
        self._came.notify()

    def listen(self, _: int) -> None:
        pass

    def accept(self) -> tuple[VirtualSocket, Address]:
        while not self._ends:
            self._came.wait()
        return VirtualSocket(self._world, self._ends.pop(0)), ("10.0.0.1", 1)


def socket_of(world: World, network: Network) -> SimpleNamespace:
    """Return the stand-in for the module `socket`, as the copier uses it."""

    def create_connection(address: Address, timeout: float | None = None) -> VirtualSocket:
        process = world.current
        assert process is not None
        waited_s = 0.0
        while not network.reaches(process, address):
            world.pause(_RETRANSMIT_S)
            waited_s += _RETRANSMIT_S
            if timeout is not None and waited_s >= timeout:
                raise TimeoutError("timed out")
        world.pause(0.001)
        connected = VirtualSocket(world, network.meet(process, address))
        connected.settimeout(timeout)
        return connected

    return SimpleNamespace(
        create_connection=create_connection,
        socket=VirtualSocket,
        IPPROTO_TCP=socket.IPPROTO_TCP,
        TCP_NODELAY=socket.TCP_NODELAY,
        SHUT_RDWR=socket.SHUT_RDWR,
    )

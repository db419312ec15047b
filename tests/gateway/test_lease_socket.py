"""A gateway's connection to its lease server: kept from plan to plan, and answers that do not fit are none."""

import asyncio
import contextlib
import re
from pathlib import Path

import msgspec
import pytest

from clauseway.gateway.budgets.leases import Ask, CurrentLeaseServer, GrantedLease

ASK = Ask(budget="b", part=0, serial=1, target=10)
GRANTED = GrantedLease(leased=10, left=0, amount=10)


class Answering:
    """A lease server that gives one answer to every call, and counts its connections."""

    def __init__(self, slices: list[GrantedLease]) -> None:
        self._body = msgspec.json.encode(slices)
        self.connections = 0
        self.left = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError):  # the gateway has left
            while True:
                length = re.search(rb"content-length: (\d+)", await reader.readuntil(b"\r\n\r\n"))
                assert length is not None
                await reader.readexactly(int(length[1]))
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(self._body), self._body))
        self.left.set()
        writer.close()


class Misbehaving:
    """A lease server that answers the second call with these bytes, or not at all, and all others well."""

    def __init__(self, second: bytes | None) -> None:
        self._second = second
        self.calls = self.connections = 0
        self.left = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):  # the gateway has left
            while True:
                length = re.search(rb"content-length: (\d+)", await reader.readuntil(b"\r\n\r\n"))
                assert length is not None
                await reader.readexactly(int(length[1]))
                self.calls += 1
                body = msgspec.json.encode([GRANTED])
                well = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
                writer.write((self._second or b"") if self.calls == 2 else well)
        self.left.set()
        writer.close()


async def ask_twice(path: Path, server: Answering) -> list[GrantedLease]:
    """Ask, take over a plan that names the same socket, and ask again."""
    current = CurrentLeaseServer(1, "", lambda: (0, 0))
    async with await asyncio.start_unix_server(server.serve, path):
        slices: list[GrantedLease] = []
        try:
            for _ in range(2):
                current.reload(str(path))
                slices += await current.lease([ASK])
        finally:
            current.close()
        return slices


def test_a_plan_with_the_same_lease_server_keeps_the_connection(tmp_path: Path) -> None:
    server = Answering([GRANTED])
    assert asyncio.run(ask_twice(tmp_path / "leases", server)) == [GRANTED, GRANTED]
    assert server.connections == 1


@pytest.mark.parametrize("slices", [[], [GRANTED, GRANTED]])
def test_an_answer_for_more_or_fewer_leases_is_none(tmp_path: Path, slices: list[GrantedLease]) -> None:
    with pytest.raises(ConnectionError, match=f"1 leases were asked for, {len(slices)} came"):
        asyncio.run(ask_twice(tmp_path / "leases", Answering(slices)))


@pytest.mark.parametrize("turned_to", ["another plan", "the end"])
def test_a_lease_server_that_is_asked_no_more_is_left(tmp_path: Path, turned_to: str) -> None:
    async def leave() -> None:
        server, current = Answering([GRANTED]), CurrentLeaseServer(1, "", lambda: (0, 0))
        async with await asyncio.start_unix_server(server.serve, tmp_path / "leases"):
            current.reload(str(tmp_path / "leases"))
            await current.lease([ASK])
            held = current._socket  # so that it is closed, and not only collected
            if turned_to == "the end":
                current.close()
            else:
                current.reload("")
            await asyncio.wait_for(server.left.wait(), 60)
            assert held is not None

    asyncio.run(leave())


# The answer to a call; None: nothing, until the call is given up.
MISBEHAVIOURS = {
    "another status": b"HTTP/1.1 503 Away\r\ncontent-length: 2\r\n\r\n[]",
    "no length": b"HTTP/1.1 200 OK\r\n\r\n",
    "no JSON": b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{",
    "a head without an end": b"x" * (17 << 20),
    "nothing": None,
}


@pytest.mark.parametrize("answer", MISBEHAVIOURS.values(), ids=MISBEHAVIOURS)
def test_an_answer_that_is_none_leaves_no_connection_to_the_next_call(tmp_path: Path, answer: bytes | None) -> None:
    async def ask_again() -> None:
        server, current = Misbehaving(answer), CurrentLeaseServer(1, "", lambda: (0, 0))
        async with await asyncio.start_unix_server(server.serve, tmp_path / "leases"):
            current.reload(str(tmp_path / "leases"))
            assert await current.lease([ASK]) == (GRANTED,)
            assert current._socket is not None
            held = current._socket._connection  # so that it is closed, and not only collected
            with pytest.raises((ConnectionError, TimeoutError)):
                async with asyncio.timeout(60 if answer else 0.1):
                    await current.lease([ASK])
            await asyncio.wait_for(server.left.wait(), 60)
            assert await current.lease([ASK]) == (GRANTED,)
            assert server.connections == 2
            assert held is not None
            current.close()

    asyncio.run(ask_again())


def test_two_who_ask_at_once_ask_one_after_the_other(tmp_path: Path) -> None:
    async def ask() -> None:
        server, current = Answering([GRANTED]), CurrentLeaseServer(1, "", lambda: (0, 0))
        async with await asyncio.start_unix_server(server.serve, tmp_path / "leases"):
            current.reload(str(tmp_path / "leases"))
            await asyncio.gather(current.lease([ASK]), current.lease([ASK]))
            assert server.connections == 1
            current.close()

    asyncio.run(ask())

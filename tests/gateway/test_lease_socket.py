"""A gateway's connection to its lease server: kept from plan to plan, and answers that do not fit are none."""

import asyncio
import contextlib
import re
from pathlib import Path

import msgspec
import pytest

from clauseway.gateway.budgets.lease_server import CurrentLeaseServer
from clauseway.gateway.budgets.leases import Ask, GrantedLease

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

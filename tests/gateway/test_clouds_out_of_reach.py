"""A cloud that is out of reach: nothing comes from its system, not even a reset."""

import asyncio
import socket

import pytest

from clauseway.gateway.transport.connecting import Host


async def connected(port: int, name: str) -> socket.socket:
    return await Host(name, port, asyncio.get_running_loop()).connect()


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_a_connection_notices_within_half_a_minute_that_the_other_system_is_gone(name: str) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        asyncio.run(connected(listening.getsockname()[1], name)) as connection,
    ):
        option = connection.getsockopt
        assert option(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        silent = option(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
        every = option(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL)
        count = option(socket.IPPROTO_TCP, socket.TCP_KEEPCNT)
        assert silent + every * count <= 30
        assert 0 < option(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) <= 30_000

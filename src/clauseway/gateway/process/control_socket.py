"""The control socket: live counts for the pages, over HTTP on a unix socket that only this user can
open.

`GET /counts` answers {"served": {cloud: n}, "refused": {...}, "failed": {...}, "refusals": {code:
n}, "open": n, "requests": n, "tokens": {...}, "agreement": hash, "connections": n, "bytes": n (in
flight)}; `GET /glance` what the engineer's page shows, and `GET /request/ID` one of the latest
requests; `GET /figures` what this process tells Prometheus and `GET /requests?…` the latest requests
of a project, for a worker that is asked for those of all. A request that several clouds' terms
refuse is counted in `refused` for each of them, and once in `refusals` and `requests`. Not on a
request's way: plain streams will do.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from clauseway.gateway.answers.workers_requests import known_here
from clauseway.gateway.process.glance import glance, request_named
from clauseway.gateway.request.shared import Shared
from clauseway.gateway.wire.errors import UNKNOWN_PATH, error_response, response

_PATIENCE_S = 5.0


def counts(shared: Shared) -> dict[str, object]:
    """Return the answer to `GET /counts`."""
    live = shared.counts
    return {
        "served": dict(live.served),
        "refused": dict(live.refused),
        "failed": dict(live.failed),
        "refusals": dict(live.refusals),
        "open": shared.spool.open_requests,
        "requests": live.ended,
        "tokens": dict(live.tokens),
        "agreement": shared.tables.plan.agreement,
        "connections": shared.in_flight.connections,
        "bytes": shared.in_flight.bytes,
    }


def answering(
    answer_to: Callable[[bytes], Awaitable[bytes]],
) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """Return what serves a connection over plain streams: it answers the head of one request, and
    closes the connection."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _PATIENCE_S)
            writer.write(await answer_to(head))
            await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever asked has left, or asked for nothing
        finally:
            writer.close()

    return answer


async def serve_control(
    path: Path, shared: Shared, figures: Callable[[], bytes]
) -> asyncio.AbstractServer:
    """Listen on `path`; a socket left there by a process that died is replaced. `figures` are empty
    where none are kept."""

    async def answer(head: bytes) -> bytes:
        if head.startswith((b"GET /counts ", b"GET /counts?")):
            return response(200, msgspec.json.encode(counts(shared)), close=True)
        if head.startswith(b"GET /glance "):
            return response(200, msgspec.json.encode(glance(shared)), close=True)
        if head.startswith(b"GET /request/"):
            named = head.split(b" ")[1].decode("latin-1").rpartition("/")[2]
            view = request_named(shared, named)
            return response(200, msgspec.json.encode(view), close=True)
        if head.startswith(b"GET /figures "):
            return response(200, figures(), close=True)
        if head.startswith(b"GET /requests?"):
            return response(200, known_here(shared, head.split(b" ")[1].decode()), close=True)
        knows = (
            "The control socket knows GET of /counts, /glance, /request/ID, /figures and /requests."
        )
        return error_response(UNKNOWN_PATH, knows, close=True)

    path.unlink(missing_ok=True)
    # The umask sets the socket's mode as it is made: others can never open it, not for a moment.
    before = os.umask(0o077)
    try:
        return await asyncio.start_unix_server(answering(answer), path)
    finally:
        os.umask(before)

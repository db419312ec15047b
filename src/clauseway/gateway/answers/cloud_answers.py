"""Requests of the gateway's own to a cloud, for what a client asked: each answer is read whole."""

import asyncio
from typing import NamedTuple

from clauseway.gateway.request.failures import headers_in
from clauseway.gateway.request.lifecycle import start_own_request
from clauseway.gateway.request.resource_index import IndexedResource
from clauseway.gateway.request.shared import Shared
from clauseway.gateway.routing.choices import CandidateSelection
from clauseway.gateway.routing.routing_tables import Customer
from clauseway.gateway.wire.operations import Operation


class WholeAnswer(NamedTuple):
    """The answer that a client would get: its `status`, 0 where none came, and body. A client would
    be told to come again (`should_retry`), and when (`retry_lines`, header lines)."""

    status: int
    body: bytes
    should_retry: bool = False
    retry_lines: bytes = b""


async def ask(
    shared: Shared,
    customer: Customer,
    selection: CandidateSelection,
    operation: Operation,
    resource: IndexedResource | None,
    query: bytes = b"",
    *,
    model: str = "",
) -> WholeAnswer:
    """Ask about a resource, or for a list. What the answer tells of the resource's end is metered.
    `model` is what the records name."""
    client = _Reader(shared.loop.create_future())
    named = resource.identifier if resource is not None else ""
    start_own_request(
        shared, client, customer, selection, operation, named, resource, query, model=model
    )
    # A whole answer: the status stands at a fixed place of its first line.
    head, _, body = (await client.answer).partition(b"\r\n\r\n")
    status = int(head[9:12] or b"0")
    if status == 200:
        return WholeAnswer(status, body)
    headers = headers_in(head.partition(b"\r\n")[2] + b"\r\n")
    should_retry = any(header == (b"x-should-retry", b"true") for header in headers)
    # The limits in it are of the account there: the client hears its own.
    lines = [b"%b: %b\r\n" % header for header in headers if header[0].startswith(b"retry-after")]
    return WholeAnswer(status, body, should_retry, b"".join(lines))


class _Reader:
    """Takes a whole answer, as a client would."""

    head_lines = b""
    chunked = False  # nothing may come in pieces

    def __init__(self, answer: "asyncio.Future[bytes]") -> None:
        self.answer = answer
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> None:
        self._pieces.append(data)

    def request_over(self, *, intact: bool) -> None:
        if not self.answer.done():
            self.answer.set_result(b"".join(self._pieces))

    def check_deadlines_by(self, due_s: float) -> None:
        pass

"""The gateway with faults of its own: wherever the word for it comes by, the code that is at work raises.

Started by the tests of what becomes of a request at which the gateway fails. What is replaced here is not compiled, or
looked up by its name at each call, and replaced before the gateway is loaded.
"""

import sys
from collections.abc import Callable
from typing import Any

import uvloop

from clauseway.gateway import clouds
from clauseway.gateway.clouds import openai
from clauseway.gateway.process.logs import AccessLog
from clauseway.gateway.request import failures
from clauseway.gateway.wire import stateful_resources, web_socket_turns
from clauseway.gateway.wire.streams import EventStream
from clauseway.gateway.wire.typed_streams import TypedStream


def planted(call: Callable[..., Any], word: bytes) -> Callable[..., Any]:
    """`call`, which raises where the word stands in one of its arguments."""

    def checked(*arguments: Any, **named: Any) -> Any:
        if any(isinstance(argument, bytes) and word in argument for argument in arguments):
            raise LookupError(f"planted: {word.decode()}")
        return call(*arguments, **named)

    return checked


def head_writer(target: Any, credential: Any) -> Callable[..., Any]:
    return planted(openai.DIALECT.head_writer(target, credential), b"fault-sending")


clouds.DIALECTS["openai"] = openai.DIALECT._replace(head_writer=head_writer)  # type: ignore[index]
failures.failure_of = planted(failures.failure_of, b"fault-failing")
stateful_resources.resource_in = planted(stateful_resources.resource_in, b"fault-made")
AccessLog.finished = planted(AccessLog.finished, b"fa017")  # type: ignore[method-assign]
web_socket_turns.request_of = planted(web_socket_turns.request_of, b"fault-turn")
for stream in (EventStream, TypedStream):
    stream.feed = planted(stream.feed, b"fault-stream")  # type: ignore[method-assign]

from clauseway.gateway.__main__ import parse_options  # noqa: E402
from clauseway.gateway.process.server import Server  # noqa: E402


async def main() -> None:
    await Server(parse_options(sys.argv[1:])).run()


uvloop.run(main())

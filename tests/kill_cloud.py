"""A fake cloud as a process that may be killed at any moment: what it told anybody stands in its ledger.

`python tests/kill_cloud.py NAME PORT LEDGER`. Each line of the ledger is JSON: `asked` before a byte of an answer is
sent, `told` once all of it was; `asked_s` is the instant by `time.monotonic`, one clock for all processes. Lines
survive the process, because the kernel has them.
"""

import asyncio
import json
import os
import random
import sys
import time
from pathlib import Path

WORDS = 12
# Between two words of a stream: long enough that a kill finds streams open.
_WORD_S = 0.004


class Ledger:
    """Appends lines, each in one write."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def write(self, line: dict[str, object]) -> None:
        os.write(self._file, json.dumps(line).encode() + b"\n")


class KillCloud:
    def __init__(self, name: str, ledger: Ledger) -> None:
        self._name, self._ledger = name, ledger
        self._boot, self._number = f"{name}-{os.urandom(4).hex()}", 0

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                headers = dict(line.split(": ", 1) for line in head.decode("latin-1").lower().split("\r\n")[1:-2])
                body = json.loads(await reader.readexactly(int(headers["content-length"])))
                await self._answer(writer, headers["x-client-request-id"], body)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, writer: asyncio.StreamWriter, tag: str, body: dict[str, object]) -> None:
        self._number += 1
        name = f"{self._boot}-{self._number}"
        tokens = random.randint(5, 25), random.randint(5, 90)
        line = {"name": name, "tag": tag, "input": tokens[0], "output": tokens[1], "asked_s": time.monotonic()}
        self._ledger.write({"kind": "asked", **line})
        usage = {"prompt_tokens": tokens[0], "completion_tokens": tokens[1], "total_tokens": sum(tokens)}
        if body.get("stream"):
            await self._stream(writer, name, usage)
        else:
            message = {"role": "assistant", "content": "Here."}
            choice = {"index": 0, "finish_reason": "stop", "message": message}
            whole = _compact(
                {
                    "id": name,
                    "object": "chat.completion",
                    "created": 1,
                    "model": "there",
                    "choices": [choice],
                    "usage": usage,
                }
            )
            writer.write(_head(name, b"content-length: %d" % len(whole), b"application/json") + whole)
            await writer.drain()
        self._ledger.write({"kind": "told", **line})

    @staticmethod
    async def _stream(writer: asyncio.StreamWriter, name: str, usage: dict[str, int]) -> None:
        def event(choices: list[object], **members: object) -> bytes:
            return _compact({"id": name, "object": "chat.completion.chunk", "choices": choices, **members})

        writer.write(_head(name, b"transfer-encoding: chunked", b"text/event-stream"))
        for number in range(WORDS):
            delta = {"content": f" {number}"} if number else {"role": "assistant", "content": ""}
            writer.write(_chunk(event([{"index": 0, "delta": delta, "finish_reason": None}], usage=None)))
            await writer.drain()
            await asyncio.sleep(_WORD_S)
        ended = event([{"index": 0, "delta": {}, "finish_reason": "stop"}], usage=None)
        for data in (ended, event([], usage=usage), b"[DONE]"):
            writer.write(_chunk(data))
        writer.write(b"0\r\n\r\n")
        await writer.drain()


def _compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _head(name: str, length: bytes, kind: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\nx-request-id: %b\r\n%b\r\n\r\n" % (kind, name.encode(), length)


def _chunk(data: bytes) -> bytes:
    event = b"data: %b\n\n" % data
    return b"%x\r\n%b\r\n" % (len(event), event)


async def main() -> None:
    name, port, ledger = sys.argv[1:]
    cloud = KillCloud(name, Ledger(Path(ledger)))
    server = await asyncio.start_server(cloud.connected, "127.0.0.1", int(port))
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())

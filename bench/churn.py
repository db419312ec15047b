"""`python -m bench.churn [--connections N] [--record]`: memory and descriptors stay flat however connections come and
go. Part of `make soak`.

A gateway with everything on is asked by N connections: answered, also where the client closes its sending half, made a
WebSocket, refused for their key, their model, their body, their length, their path or their head, told of a cloud that
fails in several ways, left in the middle of a head, of a body or of an answer, or never used. Its memory must never be
more than two megabytes above what it held before the first of them. Exits with 1 where it is. `--record` writes the
figure into bench/results.json.
"""

import argparse
import asyncio
import socket
import struct
from pathlib import Path

import uvloop
from rich.console import Console

from bench.data_plane import resident_mb, running
from bench.report import write_page
from bench.results import Effort, result, write
from bench.traffic import BREAK, CUT, DROP, FAIL, MODEL, SECRET

_ROUNDS = 10
_GROWTH_MAX_MB = 2.0
_AT_ONCE = 16
_RESET = struct.pack("ii", 1, 0)


def _post(body: bytes, secret: str = SECRET, length: int | None = None) -> bytes:
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/json\r\n"
        f"authorization: Bearer {secret}\r\ncontent-length: {len(body) if length is None else length}\r\n"
    )
    return head.encode() + b"connection: close\r\n\r\n" + body


def _chat(model: str = MODEL, stream: str = "false", fault: bytes = b'"user":"me"') -> bytes:
    messages = '[{"role": "user", "content": "Hi."}]'
    body = f'{{"model":"{model}","stream":{stream},"messages":{messages},{fault.decode()}}}'
    return body.encode()


_WEB_SOCKET = (
    "GET /v1/responses HTTP/1.1\r\nhost: gateway\r\nconnection: Upgrade\r\nupgrade: websocket\r\n"
    "sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    f"authorization: Bearer {SECRET}\r\n\r\n"
).encode()

# What is sent on a connection, and the status that its answer has; 0 where the client leaves before there is one.
_ASKED: tuple[tuple[bytes, int], ...] = (
    (_post(_chat()), 200),
    (_post(_chat(stream="true")), 200),
    (_post(_chat(), secret="sk-nobody"), 401),
    (_post(_chat(model="gpt-9")), 404),
    (_post(b'{"model": '), 400),
    (b"POST /v1/nowhere HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\n\r\n", 404),
    (b"GET /v1/threads/t HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\n\r\n", 501),
    (_post(b"", length=1 << 40), 413),
    (b"NO HTTP AT ALL\r\n\r\n", 400),
    *((_post(_chat(fault=fault)), 502) for fault in (FAIL, DROP, BREAK, CUT)),
    (_WEB_SOCKET, 101),
    # Told within the stream, whose head has gone out.
    (_post(_chat(stream="true", fault=CUT)), 200),
    (b"", 0),
    (b"POST /v1/chat/completions HTTP/1.1\r\nhost: gate", 0),
    (_post(b'{"model"', length=10_000), 0),
    (_post(_chat()), 0),
    (_post(_chat(stream="true")), 0),
)


async def _connect(port: int, asked: bytes, status: int, *, resets: bool) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(asked)
        if status == 101:
            answer = await reader.readuntil(b"\r\n\r\n")
            assert int(answer[9:12]) == status, answer[:200]
        elif status:
            if status == 200 and resets:  # the client has said all
                writer.write_eof()
            answer = await reader.read()
            assert int(answer[9:12]) == status, answer[:200]
        elif resets:
            its = writer.get_extra_info("socket")
            its.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    finally:
        writer.close()


async def _round(port: int, count: int) -> None:
    """So many connections, some at once, each kind in turn."""
    numbers = iter(range(count))

    async def work() -> None:
        for number in numbers:
            asked, status = _ASKED[number % len(_ASKED)]
            await _connect(port, asked, status, resets=number // len(_ASKED) % 2 == 0)

    await asyncio.gather(*[work() for _ in range(_AT_ONCE)])


def _descriptors(process: int) -> int:
    return len(list(Path(f"/proc/{process}/fd").iterdir()))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.churn", description=__doc__)
    parser.add_argument("--connections", type=int, default=1_000_000)
    parser.add_argument("--record", action="store_true", help="write bench/results.json")
    chosen = parser.parse_args()
    console = Console()
    with running(Effort(rounds=1, seconds=1.0), peers=()) as bench:
        (process,) = bench.ours.processes
        idle_mb, idle_files = resident_mb(bench.ours.processes), _descriptors(process)
        console.print(f"before the first: {idle_mb} MB, {idle_files} descriptors")
        grown_mb: list[float] = []
        more_files: list[int] = []
        each = max(chosen.connections // _ROUNDS, 1)
        for number in range(_ROUNDS):
            uvloop.run(_round(bench.ours.port, each))
            grown_mb.append(round(resident_mb(bench.ours.processes) - idle_mb, 1))
            more_files.append(_descriptors(process) - idle_files)
            console.print(
                f"{each * (number + 1):,} connections: {grown_mb[-1]:+} MB, "
                f"{more_files[-1]:+} descriptors"
            )
    if chosen.record:
        note = f"{each * _ROUNDS:,} connections of {len(_ASKED)} kinds; idle {idle_mb} MB; after each tenth "
        note += f"{' '.join(map(str, grown_mb))}; at most {max(more_files):+} descriptors"
        runs = {"ours": [max(grown_mb)]}
        name = "memory/after-a-million-connections"
        write([result(name, "MB beyond idle", _GROWTH_MAX_MB, runs, {"ours": note})])
        write_page()
    return 0 if max(grown_mb) <= _GROWTH_MAX_MB and max(more_files) <= _AT_ONCE else 1


if __name__ == "__main__":
    raise SystemExit(main())

"""Instructions that a request costs in the gateway's process, counted by valgrind.

A figure that hardly moves from run to run, on a busy machine too, so that it tells what a change costs. What the kernel
does is not in it.
"""

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.data_plane import Bench, running
from bench.results import Effort, Result, result
from bench.traffic import request

_CONNECTIONS = 32
_WARM_UP, _CHATS, _STREAMS = 200, 2000, 400


def measure(effort: Effort) -> list[Result]:
    """A chat's and a stream's; nothing where there is no valgrind."""
    if shutil.which("valgrind") is None:
        print(
            "No valgrind on PATH: instructions are not counted (apt-get install valgrind).",
            file=sys.stderr,
        )
        return []
    with running(effort, peers=()) as bench:
        return [
            _counted(bench, "instructions/chat", _CHATS, stream=False),
            _counted(bench, "instructions/stream-53-events", _STREAMS, stream=True),
        ]


def _counted(bench: Bench, name: str, count: int, *, stream: bool) -> Result:
    file = bench.home / f"{name.replace('/', '-')}.callgrind"
    under = ("valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={file}")
    gateway = bench.another(name.replace("/", "-"), under=under)
    process = str(gateway.processes[0])
    asyncio.run(_ask(gateway.port, _WARM_UP, stream=stream))
    _control("--instr=on", process)
    asyncio.run(_ask(gateway.port, count, stream=stream))
    _control("--instr=off", process)
    _control("--dump", process)
    each = round(_total(file.with_name(f"{file.name}.1")) / count)
    how = "interpreted, as nothing could be compiled here" if not bench.interpreted else "compiled"
    notes = {"ours": f"{count} requests over {_CONNECTIONS} connections, {how}"}
    return result(name, "instructions per request", None, {"ours": [each]}, notes)


def _control(order: str, process: str) -> None:
    subprocess.run(["callgrind_control", order, process], check=True, stdout=subprocess.DEVNULL)


def _total(file: Path) -> int:
    """The instructions of one dump."""
    (line,) = (line for line in file.read_text().splitlines() if line.startswith("totals:"))
    return int(line.split()[1])


async def _ask(port: int, count: int, *, stream: bool) -> None:
    """So many requests, each connection asking again as soon as it was answered."""
    left = iter(range(count))
    await asyncio.gather(*(_ask_on(port, left, stream=stream) for _ in range(_CONNECTIONS)))


async def _ask_on(port: int, left: Iterator[int], *, stream: bool) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in left:
        writer.write(request(stream=stream))
        await _answered(reader)
    writer.close()


async def _answered(reader: asyncio.StreamReader) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    assert head.startswith(b"http/1.1 200"), head
    _, has_length, rest = head.partition(b"content-length:")
    if has_length:
        await reader.readexactly(int(rest.partition(b"\r\n")[0]))
        return
    size = -1
    while size:
        size = int(await reader.readuntil(b"\r\n"), 16)
        await reader.readexactly(size + 2)

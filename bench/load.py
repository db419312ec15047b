"""`python -m bench.load`: a bounded load. Some connections, each asking again as soon as it was answered, or at a pace.

With `--rate` requests are due at even intervals, whatever was answered; latency then counts from when one was due. With
`--authority` it speaks TLS; connections are made, and hands shaken, before the warm-up.

Measures from after a warm-up for a number of seconds: requests, their latency, and the CPU time that the processes
named took meanwhile (user and system, all threads, from the scheduler's own count). Beside the p99 stands the median of
the p99s of windows of 100 ms: a core that is taken away once a second moves few of them. Prints one JSON object.
"""

import argparse
import asyncio
import json
import ssl
import time
from pathlib import Path
from statistics import median
from typing import cast

import uvloop

from bench.traffic import SECRET, request

_WARM_UP_S = 0.4
_WINDOW_S = 0.1


def cpu_ns(processes: list[int]) -> int:
    """CPU time of all threads of some processes so far."""
    total = 0
    for process in processes:
        for path in Path(f"/proc/{process}/task").glob("*/schedstat"):
            total += int(path.read_text().split()[0])
    return total


class Count:
    """The sums that all connections add to."""

    def __init__(self) -> None:
        self.latencies_s: list[float] = []
        self.begun_s: list[float] = []
        self.bad = 0
        self.stopping = False


class Client(asyncio.Protocol):
    """Counts bytes: an answer says its length in its first read, or ends as chunks do."""

    def __init__(
        self,
        count: Count,
        request: bytes,
        *,
        every_s: float = 0.0,
        phase_s: float = 0.0,
    ) -> None:
        self._count = count
        self._every_s = every_s
        self._phase_s = phase_s
        self._due_s = 0.0
        self._request = request
        self._expected = 0
        self._received = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if not self._every_s:
            self._ask()
            return
        self._due_s = time.perf_counter() + self._phase_s
        self._when_due()

    def _ask(self) -> None:
        self._received = 0
        self._begun_s = self._due_s or time.perf_counter()
        self._transport.write(self._request)

    def _when_due(self) -> None:
        wait_s = self._due_s - time.perf_counter()
        if wait_s <= 0:
            self._ask()
        else:
            asyncio.get_running_loop().call_later(wait_s, self._ask)

    def _next(self) -> None:
        if not self._every_s:
            self._ask()
            return
        self._due_s += self._every_s
        self._when_due()

    def data_received(self, data: bytes) -> None:
        if not self._received:
            if not data.startswith(b"HTTP/1.1 200"):
                self._count.bad += 1
            self._expected = _whole_length(data)
        self._received += len(data)
        if self._received == self._expected or (not self._expected and data.endswith(b"0\r\n\r\n")):
            self._count.latencies_s.append(time.perf_counter() - self._begun_s)
            self._count.begun_s.append(self._begun_s)
            if not self._count.stopping:
                self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._count.stopping:
            self._count.bad += 1


def _whole_length(data: bytes) -> int:
    """The length of an answer with its head, by its first read; 0 where it comes in chunks."""
    head, _, _ = data.partition(b"\r\n\r\n")
    length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
    return len(head) + 4 + int(length) if length else 0


async def measure(
    port: int,
    connections: int,
    seconds: float,
    processes: list[int],
    data: bytes,
    *,
    stream: bool,
    rate: float = 0.0,
    authority: str | None = None,
) -> dict[str, float]:
    loop = asyncio.get_running_loop()
    tls = ssl.create_default_context(cafile=authority) if authority else None
    count = Count()
    every_s = connections / rate if rate else 0.0
    for number in range(connections):
        phase_s = every_s * number / connections
        client = Client(count, data, every_s=every_s, phase_s=phase_s)
        await loop.create_connection(lambda client=client: client, "127.0.0.1", port, ssl=tls)
    await asyncio.sleep(_WARM_UP_S)
    count.latencies_s.clear()
    count.begun_s.clear()
    cpu_before, begun_s = cpu_ns(processes), time.perf_counter()
    await asyncio.sleep(seconds)
    cpu, took_s = cpu_ns(processes) - cpu_before, time.perf_counter() - begun_s
    latencies_s = sorted(count.latencies_s)
    count.stopping = True
    done = len(latencies_s)
    assert done, "not a single answer"
    return {
        "cpu_us": cpu / done / 1000,
        "rate": done / took_s,
        "p50_us": latencies_s[done // 2] * 1e6,
        "p99_us": latencies_s[done * 99 // 100] * 1e6,
        "window_p99_us": _window_p99_s(count) * 1e6,
        "bad": count.bad,
    }


def _window_p99_s(count: Count) -> float:
    """The median of the p99s of windows of 100 ms, by when their requests were due."""
    windows: dict[int, list[float]] = {}
    for begun_s, latency_s in zip(count.begun_s, count.latencies_s, strict=True):
        windows.setdefault(int(begun_s / _WINDOW_S), []).append(latency_s)
    return median(sorted(window)[len(window) * 99 // 100] for window in windows.values())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--stream", action="store_true")
    parser.add_argument(
        "--process", type=int, action="append", required=True, help="whose CPU time is counted"
    )
    parser.add_argument(
        "--rate", type=float, default=0.0, help="requests a second of all connections together"
    )
    parser.add_argument(
        "--header", action="append", default=[], help="a line that every request carries besides"
    )
    parser.add_argument("--authority", help="speak TLS, and trust certificates that it signed")
    parser.add_argument("--secret", default=SECRET, help="the key that asks")
    chosen = parser.parse_args()
    data = request(stream=chosen.stream, headers=chosen.header, secret=chosen.secret)
    figures = uvloop.run(
        measure(
            chosen.port,
            chosen.connections,
            chosen.seconds,
            chosen.process,
            data,
            stream=chosen.stream,
            rate=chosen.rate,
            authority=chosen.authority,
        )
    )
    print(json.dumps(figures))


if __name__ == "__main__":
    main()

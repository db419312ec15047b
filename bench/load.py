"""`python -m bench.load`: a bounded closed loop. Some connections, each asking again as soon as it was answered.

Measures from after a warm-up for a number of seconds: requests, their latency, and the CPU time that the processes
named took meanwhile (user and system, all threads, from the scheduler's own count). Prints one JSON object.
"""

import argparse
import asyncio
import json
import time
from pathlib import Path
from typing import cast

import uvloop

from bench.traffic import request

_WARM_UP_S = 0.4


def cpu_ns(processes: list[int]) -> int:
    """CPU time of all threads of some processes so far."""
    total = 0
    for process in processes:
        for path in Path(f"/proc/{process}/task").glob("*/schedstat"):
            total += int(path.read_text().split()[0])
    return total


class Count:
    """What all connections add to."""

    def __init__(self) -> None:
        self.latencies_s: list[float] = []
        self.bad = 0
        self.stopping = False


class Client(asyncio.Protocol):
    """Counts bytes: the first answer is parsed for its length, the others must be as long; streams have an end mark."""

    def __init__(self, count: Count, request: bytes, *, stream: bool) -> None:
        self._count = count
        self._request = request
        self._stream = stream
        self._expected = 0
        self._received = 0
        self._first = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._ask()

    def _ask(self) -> None:
        self._received = 0
        self._begun_s = time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if not self._received and not data.startswith(b"HTTP/1.1 200"):
            self._count.bad += 1
        self._received += len(data)
        if self._stream:
            if not data.endswith(b"0\r\n\r\n"):
                return
        elif self._received != self._expected and not self._learn_length(data):
            return
        self._count.latencies_s.append(time.perf_counter() - self._begun_s)
        if not self._count.stopping:
            self._ask()

    def _learn_length(self, data: bytes) -> bool:
        if self._expected:
            return False
        self._first += data
        head, separator, _ = self._first.partition(b"\r\n\r\n")
        if not separator:
            return False
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        self._expected = len(head) + 4 + length
        return self._received == self._expected

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._count.stopping:
            self._count.bad += 1


async def measure(
    port: int, connections: int, seconds: float, processes: list[int], *, stream: bool
) -> dict[str, float]:
    loop = asyncio.get_running_loop()
    count, data = Count(), request(stream=stream)
    for _ in range(connections):
        await loop.create_connection(lambda: Client(count, data, stream=stream), "127.0.0.1", port)
    await asyncio.sleep(_WARM_UP_S)
    count.latencies_s.clear()
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
        "bad": count.bad,
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--stream", action="store_true")
    parser.add_argument("--process", type=int, action="append", required=True, help="whose CPU time is counted")
    chosen = parser.parse_args()
    figures = uvloop.run(measure(chosen.port, chosen.connections, chosen.seconds, chosen.process, stream=chosen.stream))
    print(json.dumps(figures))


if __name__ == "__main__":
    main()

"""The cost of metering: a request at the gateway, and sealing what many of them left.

The first is the CPU time of both threads for a request's intent, its record and its part of a commit, at 32 requests at
once, without the gateway around it. The second is one core's: a day of a busy gateway, read from the spool, checked,
written as Parquet, summed by hour and committed.
"""

import asyncio
import tempfile
import time
from datetime import date
from pathlib import Path

import uvloop

from bench.results import Effort, Result, result
from clauseway.app.opening.home import Home
from clauseway.app.usage.sealing import seal
from clauseway.metering import Buyer, Deployment, Ruling
from clauseway.spool import SpoolWriter, pack_intent, pack_usage_fields
from clauseway.values import start_of_day_ns

_REQUEST_US, _SEALED_PER_S = 6.0, 30_000
_AT_ONCE = 32
_ROUNDS_OF_REQUESTS = 4_000
_BOOT = 77
_DAY_NS = start_of_day_ns(date(2026, 5, 1))
_UNITS = ((2, 1_000), (3, 400), (6, 120))
_LABELS = (
    Buyer("acme", "research", "key_0123456789abcdef", "openai", "any"),
    Deployment("azure-east", "azure", "openai", "eastus2", "gpt-5.4", "gpt-5.4-2026-03-05"),
    Ruling("5f0c", "permitted", ("A5.any-cloud",), "a receipt is about so long. " * 40),
)


def measure(effort: Effort) -> list[Result]:
    costs: list[float] = []
    rates: list[float] = []
    sealed = 0
    for _ in range(effort.rounds):
        with tempfile.TemporaryDirectory() as folder:
            home = Home(Path(folder)).make()
            costs.append(round(uvloop.run(_requests(home)), 2))
            begun_s = time.process_time()
            done = seal(home)
            sealed = done.usage
            rates.append(round(done.usage / (time.process_time() - begun_s)))
    note = f"{sealed:,} records and as many intents"
    return [
        result(
            "metering/request",
            "CPU µs per request",
            _REQUEST_US,
            {"ours": costs},
            {"ours": "at 32 at once"},
        ),
        result(
            "metering/sealing",
            "records per CPU second",
            _SEALED_PER_S,
            {"ours": rates},
            {"ours": note},
            direction="higher",
        ),
    ]


class _Round:
    """Requests that come together, and come again once all of them were recorded."""

    def __init__(
        self, writer: SpoolWriter, codes: tuple[int, int, int], done: "asyncio.Future[None]"
    ) -> None:
        self._writer, self._codes, self._done = writer, codes, done
        self._number = self._heard = 0

    def begin(self) -> None:
        writer, (buyer, deployment, ruling) = self._writer, self._codes
        writer.open_requests = _AT_ONCE
        for _ in range(_AT_ONCE):
            self._number += 1
            named = (
                _BOOT,
                self._number,
                1,
                _DAY_NS + self._number,
                _DAY_NS,
                buyer,
                deployment,
                ruling,
                1,
            )
            writer.append(pack_intent(*named, 2_048, 512, 77), buyer, deployment, ruling)
            ended = pack_usage_fields(
                *named, 1, 200, False, 900, 300, 4_100, _UNITS, b"chatcmpl-0123456789abcdef"
            )
            writer.append(ended, buyer, deployment, ruling)
            writer.notify_when_durable(self)

    def write_ended(self, error: OSError | None) -> None:
        assert error is None
        self._heard += 1
        if self._heard == _AT_ONCE * _ROUNDS_OF_REQUESTS:
            self._done.set_result(None)
        elif self._heard % _AT_ONCE == 0:
            asyncio.get_running_loop().call_soon(self.begin)


async def _requests(home: Home) -> float:
    """CPU microseconds of a request."""
    loop = asyncio.get_running_loop()
    writer = SpoolWriter(home.spools / "gateway", loop, boot=_BOOT)
    buyer, deployment, ruling = (writer.label(label) for label in _LABELS)
    done: asyncio.Future[None] = loop.create_future()
    begun_s = time.process_time()
    _Round(writer, (buyer, deployment, ruling), done).begin()
    await done
    took_s = time.process_time() - begun_s
    await writer.close()
    return took_s / (_AT_ONCE * _ROUNDS_OF_REQUESTS) * 1e6

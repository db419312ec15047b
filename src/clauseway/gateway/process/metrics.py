"""`GET /metrics`: the process's figures for Prometheus, on a port of their own.

Requests count nothing for it: when it is asked, it reads `counters`, the journal, health and
allowances. Loaded only if it is switched on (the extra `metrics`, which `server` brings). Of
several workers, the one that is asked shows the figures of all.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from socket import socket
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from clauseway.gateway.process.control_socket import answering
from clauseway.gateway.process.home_damage import read_damages
from clauseway.gateway.process.logs import LogQueue
from clauseway.gateway.request.counters import BUCKETS, Counters, CountersKey
from clauseway.gateway.request.shared import Shared
from clauseway.gateway.routing.health import Health
from clauseway.gateway.transport.listening import listen
from clauseway.gateway.transport.metadata_addresses import is_loopback
from clauseway.gateway.transport.siblings import ask_siblings
from clauseway.gateway.wire.errors import MALFORMED_HTTP, UNKNOWN_PATH, error_response
from clauseway.metering import Unit
from clauseway.spool import Uncopied
from clauseway.values import VERSION

# Shown from 128 microseconds to 134 seconds; what lies outside falls into the first and the last.
_FIRST, _LAST = 7, 27
_COMMIT_FIRST, _COMMIT_LAST = 5, 20
_USD = 1e-12
# The labels of a deployment.
_PLACE = ("cloud", "seller", "region", "deployment")


class Figures(Collector):
    """All families of a process."""

    def __init__(
        self,
        shared: Shared,
        health: Mapping[tuple[str, str], Health],
        lines: LogQueue,
        damages: Path | None = None,
    ) -> None:
        self._shared, self._health, self._lines = shared, health, lines
        self._damages = damages
        self._places: dict[str, tuple[str, str, str, str]] = {}

    def collect(self) -> Iterator[Metric]:
        # Deployments of former plans stay: their counters go on, and need their labels.
        for target in self._shared.tables.targets:
            label = target.deployment
            self._places[target.name] = (label.cloud, label.seller, label.region, label.deployment)
        yield from self._requests(self._shared.counts.by_outcome)
        yield from self._attempts()
        yield from self._load()
        yield from self._deployments()
        yield from self._budgets()
        yield self._commits()
        yield from self._lost()
        # A gauge of 1 whose labels say what runs, as Prometheus' own `_info` series do.
        info = GaugeMetricFamily(
            "clauseway_gateway", "The process.", labels=("version", "agreement")
        )
        info.add_metric((VERSION, self._shared.tables.plan.agreement), 1)
        yield info

    def _place(self, deployment: str) -> tuple[str, str, str, str]:
        return self._places.get(deployment, ("", "", "", deployment))

    def _requests(self, by_outcome: Mapping[CountersKey, Counters]) -> Iterator[Metric]:
        labels = (*_PLACE, "product", "operation", "status")
        requests = CounterMetricFamily(
            "clauseway_requests",
            "Requests that are over, by what the client got (status 0: it had left).",
            labels=labels,
        )
        units = CounterMetricFamily(
            "clauseway_usage",
            "Units metered, each counted once; subsets of input and output have names of their own.",
            labels=(*_PLACE, "product", "unit"),
        )
        charged = CounterMetricFamily(
            "clauseway_charged_usd",
            "Provisional charges; settlement prices from the dated book.",
            labels=(*_PLACE, "product"),
        )
        # Sums over operations and statuses, for the metrics with fewer labels.
        durations: dict[tuple[str, str], tuple[list[int], int]] = {}
        used: dict[tuple[str, str, str], int] = {}
        cost: dict[tuple[str, str], int] = {}
        for (deployment, product, operation, status), counters in list(by_outcome.items()):
            place = self._place(deployment)
            requests.add_metric((*place, product, operation, str(status)), counters.count)
            # Durations are shown by cloud and operation only.
            buckets, total = durations.get((place[0], operation), ([0] * BUCKETS, 0))
            summed = [count + more for count, more in zip(buckets, counters.buckets, strict=True)]
            durations[place[0], operation] = (summed, total + counters.duration_us)
            for unit in Unit:
                if count := int(counters.units[unit]):
                    key = (deployment, product, unit.column)
                    used[key] = used.get(key, 0) + count
            if deployment:
                cost[deployment, product] = cost.get((deployment, product), 0) + counters.charged
        for (deployment, product, column), count in used.items():
            units.add_metric((*self._place(deployment), product, column), count)
        for (deployment, product), picodollars in cost.items():
            charged.add_metric((*self._place(deployment), product), picodollars * _USD)
        yield requests
        yield units
        yield charged
        duration = HistogramMetricFamily(
            "clauseway_request_duration_seconds",
            "From a request's arrival to its last byte.",
            labels=("cloud", "operation"),
        )
        for (cloud, operation), (buckets, total_us) in durations.items():
            duration.add_metric(
                (cloud, operation), _cumulative(buckets, _FIRST, _LAST), total_us / 1e6
            )
        yield duration

    def _attempts(self) -> Iterator[Metric]:
        counts = self._shared.counts
        omissions = CounterMetricFamily(
            "clauseway_usage_omissions",
            "Parts of clouds' usage reports that were left out: unreadable, or not to be metered.",
            labels=(*_PLACE, "part"),
        )
        omitted: Counter[tuple[str, str]] = Counter()
        for (deployment, _), health in list(self._health.items()):
            for part, count in list(health.omissions.items()):
                omitted[deployment, part] += count
        for (deployment, part), count in omitted.items():
            omissions.add_metric((*self._place(deployment), part), count)
        yield omissions
        failures = CounterMetricFamily(
            "clauseway_attempt_failures",
            "Attempts at a cloud that failed (status 0: without an answer).",
            labels=(*_PLACE, "product", "status"),
        )
        for (deployment, product, status), count in list(counts.failures.items()):
            failures.add_metric((*self._place(deployment), product, str(status)), count)
        yield failures
        yield CounterMetricFamily(
            "clauseway_failovers",
            "Requests that another deployment answered than the first.",
            value=counts.failovers,
        )
        refusals = CounterMetricFamily(
            "clauseway_refusals", "Requests refused before a cloud was asked.", labels=("code",)
        )
        for code, count in list(counts.refusals.items()):
            refusals.add_metric((code,), count)
        yield refusals
        shortages = CounterMetricFamily(
            "clauseway_shortages",
            "Requests and connections refused by a limit or budget.",
            labels=("kind", "whose"),
        )
        for key, count in list(counts.shortages.items()):
            shortages.add_metric(key, count)
        yield shortages

    def _load(self) -> Iterator[Metric]:
        shared = self._shared
        yield GaugeMetricFamily(
            "clauseway_open_requests",
            "Requests at the clouds now.",
            value=shared.spool.open_requests,
        )
        yield GaugeMetricFamily(
            "clauseway_connections", "Clients' connections now.", value=len(shared.connections)
        )
        yield GaugeMetricFamily(
            "clauseway_bytes_in_flight",
            "Bodies, and answers that are gathered whole, held now.",
            value=shared.in_flight.bytes,
        )
        yield GaugeMetricFamily(
            "clauseway_journal_failed",
            "1 once the usage journal failed.",
            value=shared.spool.failure is not None,
        )
        yield GaugeMetricFamily(
            "clauseway_journal_full",
            "1 while the usage journal finds no room.",
            # Without its copy the journal refuses too, but not for want of room: see `_copy`.
            value=shared.spool.full is not None and not isinstance(shared.spool.full, Uncopied),
        )
        yield GaugeMetricFamily(
            "clauseway_journal_short",
            "1 while the usage journal's next segment cannot be made.",
            value=shared.spool.shortage is not None,
        )
        yield GaugeMetricFamily(
            "clauseway_journal_room_bytes",
            "What can be recorded without asking the disk for room.",
            value=shared.spool.room_bytes,
        )
        yield from self._copy()
        yield GaugeMetricFamily(
            "clauseway_database_away_seconds",
            "For how long the home has not reached its database; 0 while it does.",
            value=shared.database_away_s,
        )
        yield CounterMetricFamily(
            "clauseway_log_lines_dropped",
            "Lines of the log that nobody took in time.",
            value=self._lines.dropped,
        )
        dropped = sum(getattr(watcher, "dropped", 0) for watcher in shared.watchers)
        yield CounterMetricFamily(
            "clauseway_telemetry_dropped", "Requests that no collector took in time.", value=dropped
        )

    def _copy(self) -> Iterator[Metric]:
        copy = self._shared.spool.copy
        if copy is None:
            return
        yield GaugeMetricFamily(
            "clauseway_journal_copy_away",
            "1 while the usage journal has no copy at its follower.",
            value=bool(copy.problem),
        )
        yield CounterMetricFamily(
            "clauseway_journal_commits_alone",
            "Commits of the usage journal that were acknowledged with one copy.",
            value=copy.commits_alone,
        )

    def _deployments(self) -> Iterator[Metric]:
        ejected = GaugeMetricFamily(
            "clauseway_deployment_ejected",
            "1 while requests for one of its models do not go there.",
            labels=_PLACE,
        )
        ejections = CounterMetricFamily(
            "clauseway_ejections", "How often it was ejected.", labels=_PLACE
        )
        # Health is kept for each model of a deployment, and shown for the deployment.
        away: dict[str, bool] = {}
        counts: dict[str, int] = {}
        for (name, _), health in list(self._health.items()):
            away[name] = away.get(name, False) or health.is_away(self._shared.wheel.now_s)
            counts[name] = counts.get(name, 0) + health.ejected
        for name, count in counts.items():
            ejected.add_metric(self._place(name), away[name])
            ejections.add_metric(self._place(name), count)
        yield ejected
        yield ejections
        held = GaugeMetricFamily(
            "clauseway_credential",
            "1 while there is a credential for the deployment.",
            labels=_PLACE,
        )
        expires = GaugeMetricFamily(
            "clauseway_credential_expires_timestamp_seconds",
            "When it ends; it is renewed before.",
            labels=_PLACE,
        )
        for target in {target.name: target for target in self._shared.tables.targets}.values():
            held.add_metric(self._place(target.name), target.credential is not None)
            if target.credential is not None and target.credential.expires_s:
                expires.add_metric(self._place(target.name), target.credential.expires_s)
        yield held
        yield expires

    def _budgets(self) -> Iterator[Metric]:
        left = GaugeMetricFamily(
            "clauseway_budget_left_usd",
            "What is left of a budget, as far as is known here.",
            labels=("budget", "whose"),
        )
        amount = GaugeMetricFamily(
            "clauseway_budget_usd", "The whole budget.", labels=("budget", "whose")
        )
        for budget_slice in self._shared.allowances.slices():
            # Nothing is known of a period in which nobody has asked yet.
            if budget_slice.serial and budget_slice.amount >= 0:
                left.add_metric(
                    (budget_slice.id, budget_slice.whose),
                    max(budget_slice.left + budget_slice.elsewhere, 0) * _USD,
                )
                amount.add_metric((budget_slice.id, budget_slice.whose), budget_slice.amount * _USD)
        yield left
        yield amount

    def _lost(self) -> Iterator[Metric]:
        """Yield the counts of the home's damages; nothing where no process beside the gateway
        writes them."""
        if self._damages is not None and (counts := read_damages(self._damages)):
            lost = GaugeMetricFamily(
                "clauseway_usage_lost",
                "Damaged ranges of journals, missing journals, and files of the lake missing or changed; not accepted.",
                labels=("kind",),
            )
            for kind, count in counts.items():
                lost.add_metric((kind,), count)
            yield lost

    def _commits(self) -> Metric:
        spool = self._shared.spool
        family = HistogramMetricFamily(
            "clauseway_journal_commit_seconds",
            "From the decision to commit until what was recorded is on the disk.",
        )
        family.add_metric(
            (), _cumulative(spool.commits, _COMMIT_FIRST, _COMMIT_LAST), spool.commit_us / 1e6
        )
        return family


def _cumulative(buckets: list[int], first: int, last: int) -> list[tuple[str, float]]:
    """Return Prometheus' buckets: bound in seconds → how many took at most so long."""
    bounds = [
        (str(2**bits / 1e6), float(sum(buckets[: bits + 1]))) for bits in range(first, last + 1)
    ]
    return [*bounds, ("+Inf", float(sum(buckets)))]


_GET_AND_HEAD: Final = (b"GET", b"HEAD")
_PORT: Final = re.compile(r":[0-9]*\Z")
_FOREIGN_NAME: Final = (
    "This port is for this machine, as 127.0.0.1 or localhost. Set [telemetry] metrics_host for a "
    "Prometheus that comes by another name."
)


class MetricsPage:
    """The figures of a process, and the page that shows them with those of the other workers."""

    def __init__(
        self,
        figures: Figures,
        host: str,
        control: Path | None = None,
        worker: str = "",
        workers: int = 1,
    ) -> None:
        """`host` is where the page listens. `worker` names this process where `workers` serve
        together; the others are asked at their sockets beside `control`."""
        # A web site that somebody on this machine visits may have a name of its own lead here.
        self._is_for_this_machine = is_loopback(host)
        self._own = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self._own)
        self._own.register(figures)
        self._control, self._worker, self._workers = control, worker, workers

    def own(self) -> bytes:
        """Return this process's figures as text."""
        return generate_latest(self._own)

    async def answer(self, head: bytes) -> bytes:
        """Answer a request with that head. Probes may ask by HEAD."""
        method, _, rest = head.partition(b" ")
        if method not in _GET_AND_HEAD or not rest.startswith((b"/metrics ", b"/metrics?")):
            return error_response(UNKNOWN_PATH, "This port knows GET /metrics.", close=True)
        host = _PORT.sub("", _header(head, b"host:")).strip("[]")
        if self._is_for_this_machine and not is_loopback(host):
            return error_response(MALFORMED_HTTP, _FOREIGN_NAME, close=True)
        encode, content_type = choose_encoder(_header(head, b"accept:"))
        body = encode(await self._shown())
        answer_head = (
            f"HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        return answer_head.encode() + (body if method == b"GET" else b"")

    async def _shown(self) -> CollectorRegistry:
        """Return the figures of all workers, each sample with its worker's name; a process that is
        alone shows its own."""
        if not self._worker or self._control is None:
            return self._own
        texts = await ask_siblings(self._control, "/figures")
        shown = CollectorRegistry(auto_describe=False)
        shown.register(_Together({self._worker: self.own(), **texts}, self._workers))
        return shown


def _header(head: bytes, name: bytes) -> str:
    """Return the value of the first header of that name, which ends in its colon; empty where there
    is none."""
    for line in head.split(b"\r\n"):
        if line.lower().startswith(name):
            return line[len(name) :].strip().decode("latin-1")
    return ""


class _Together(Collector):
    """Families of several processes, put together by their names, and how many of the `workers`
    answered."""

    def __init__(self, texts: Mapping[str, bytes], workers: int) -> None:
        self._texts, self._workers = texts, workers

    def collect(self) -> Iterator[Metric]:
        families: dict[str, Metric] = {}
        for worker, text in self._texts.items():
            for family in text_string_to_metric_families(text.decode()):
                shown = families.setdefault(
                    family.name, Metric(family.name, family.documentation, family.type)
                )
                for sample in family.samples:
                    labels = {**sample.labels, "worker": worker}
                    shown.samples.append(sample._replace(labels=labels))
        yield from families.values()
        yield GaugeMetricFamily("clauseway_workers", "Workers at this port.", self._workers)
        yield GaugeMetricFamily(
            "clauseway_workers_answering",
            "Workers that gave their figures within a second.",
            len(self._texts),
        )


async def serve_metrics(
    host: str, port: int, page: MetricsPage, descriptor: int | None = None
) -> asyncio.Server:
    """Answer `GET /metrics` there, or at the socket with that descriptor. Raises InvalidInput where
    the address cannot be had."""
    listener = listen(host, port, port) if descriptor is None else socket(fileno=descriptor)
    return await asyncio.start_server(answering(page.answer), sock=listener)

"""Figures for Prometheus: read by its own parser, on a port that tenants do not reach."""

import asyncio
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from gateway_rig import AUTHORIZED, PATIENCE_S, Rig, status, well
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from shared_rig import shared_by

from awaiting import eventually
from clauseway.gateway.clouds import Credential
from clauseway.gateway.plan import Auth, Budget
from clauseway.gateway.plan.settings import Log, Settings, Telemetry
from clauseway.gateway.process.logs import LogQueue
from clauseway.gateway.process.metrics import Figures, MetricsPage
from clauseway.gateway.request.explanations import RequestExplanation
from clauseway.gateway.request.shared import Shared
from clauseway.gateway.routing.choices import Candidate
from clauseway.gateway.routing.health import Health
from clauseway.metering import Buyer, Unit
from clauseway.spool import Uncopied
from clauseway.values import VERSION
from selection_rig import Bench, deployment, plan

AZURE = {"cloud": "azure", "seller": "openai", "region": "eastus", "deployment": "azure-1"}
AWS = {"cloud": "aws", "seller": "openai", "region": "eastus", "deployment": "aws-1"}


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with Rig(tmp_path_factory.mktemp("metrics")) as started:
        azure = started.cloud("azure")
        started.cloud("aws")
        plan = started.plan()
        damages = started.home / "damages.json"
        damages.write_text('{"frames": 2, "spool": 0, "lake": 1, "later": 7}')
        held = [msgspec.structs.replace(key, budgets=(0,)) for key in plan.keys]
        started.start(
            msgspec.structs.replace(
                plan,
                keys=tuple(held),
                budgets=(Budget(id="b1", whose="project acme/research"),),
                settings=Settings(telemetry=Telemetry(metrics=True, metrics_port=0)),
            ),
            "--damages",
            str(damages),
        )
        for _ in range(3):
            assert started.post().status_code == 200
        assert started.post(stream=True).status_code == 200
        azure.behaviour = status(500)
        assert started.post().headers["x-clauseway-cloud"] == "aws"
        azure.behaviour = well
        assert started.post(model="nobody-knows-it").status_code == 404
        assert httpx.post(f"{started.url}/v1/chat/completions", json={}).status_code == 401
        yield started


@pytest.fixture(scope="module")
def samples(rig: Rig) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """(name, labels) → value, as Prometheus' own parser reads it."""
    answer = httpx.get(f"http://127.0.0.1:{rig.ports['metrics']}/metrics", timeout=PATIENCE_S)
    assert answer.headers["content-type"].startswith("text/plain")
    return samples_in(answer.text)


Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples_in(text: str) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in parse_text(text)
        for sample in family.samples
    }


CHAT = {"product": "api.stateless", "operation": "chat"}


@pytest.mark.parametrize(
    ("name", "labels", "value"),
    [
        ("clauseway_requests_total", {**AZURE, **CHAT, "status": "200"}, 4),
        ("clauseway_requests_total", {**AWS, **CHAT, "status": "200"}, 1),
        ("clauseway_attempt_failures_total", {**AZURE, "product": "api.stateless", "status": "500"}, 1),
        ("clauseway_failovers_total", {}, 1),
        ("clauseway_usage_lost", {"kind": "frames"}, 2),
        ("clauseway_usage_lost", {"kind": "spool"}, 0),
        ("clauseway_usage_lost", {"kind": "lake"}, 1),
        ("clauseway_usage_total", {**AZURE, "product": "api.stateless", "unit": "input_tokens"}, 4 * 21),
        ("clauseway_usage_total", {**AZURE, "product": "api.stateless", "unit": "cached_input_tokens"}, 4 * 4),
        ("clauseway_usage_total", {**AWS, "product": "api.stateless", "unit": "output_tokens"}, 8),
        ("clauseway_refusals_total", {"code": "model_not_found"}, 1),
        ("clauseway_refusals_total", {"code": "invalid_api_key"}, 1),
        ("clauseway_request_duration_seconds_count", {"cloud": "azure", "operation": "chat"}, 4),
        ("clauseway_request_duration_seconds_bucket", {"cloud": "azure", "operation": "chat", "le": "+Inf"}, 4),
        ("clauseway_open_requests", {}, 0),
        ("clauseway_deployment_ejected", AZURE, 0),
        ("clauseway_credential", AWS, 1),
        ("clauseway_journal_failed", {}, 0),
        ("clauseway_log_lines_dropped_total", {}, 0),
    ],
)
def test_a_figure(samples: Samples, name: str, labels: dict[str, str], value: float) -> None:
    assert samples[name, frozenset(labels.items())] == value


def test_the_log_says_where_figures_are_served(rig: Rig) -> None:
    """Of port 0, any free one, nothing else says which."""
    eventually(lambda: f'"metrics_port":{rig.ports["metrics"]}' in rig.errors())


def test_durations_and_commits_add_up(samples: Samples) -> None:
    for name in ("clauseway_request_duration_seconds", "clauseway_journal_commit_seconds"):
        counts = [value for (sample, _), value in samples.items() if sample == f"{name}_count"]
        sums = [value for (sample, _), value in samples.items() if sample == f"{name}_sum"]
        assert sum(counts) >= 5
        assert 0 < sum(sums) < 60
    buckets = sorted(
        (float(dict(labels)["le"]), value)
        for (name, labels), value in samples.items()
        if name == "clauseway_request_duration_seconds_bucket" and ("cloud", "azure") in labels
    )
    assert [value for _, value in buckets] == sorted(value for _, value in buckets)


def test_budgets_and_charges(rig: Rig, samples: Samples) -> None:
    budget = frozenset({("budget", "b1"), ("whose", "project acme/research")})
    whole, left = samples["clauseway_budget_usd", budget], samples["clauseway_budget_left_usd", budget]
    charged = sum(value for (name, _), value in samples.items() if name == "clauseway_charged_usd_total")
    # 21 input and 8 output tokens at 2.5 and 15 dollars a million, five times.
    assert charged == pytest.approx(5 * (21 * 2.5e-6 + 8 * 15e-6))
    assert whole - left == pytest.approx(charged, abs=1e-6 * whole)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:9464", 200),
        ("LocalHost", 200),
        ("[::1]:9464", 200),
        ("evil.test", 400),
        ("127.0.0.1.evil.test:9464", 400),
        ("evil.test:127.0.0.1", 400),
        ("", 400),
    ],
)
def test_a_foreign_name_that_points_here_is_refused(rig: Rig, host: str, status: int) -> None:
    """A web site that somebody on this machine visits would read customers' names and budgets."""
    url = f"http://127.0.0.1:{rig.ports['metrics']}/metrics"
    answer = httpx.get(url, headers={"host": host}, timeout=PATIENCE_S)
    assert answer.status_code == status
    assert ("clauseway_requests" in answer.text) == (status == 200)


def test_tenants_do_not_reach_it_and_openmetrics_is_spoken(rig: Rig) -> None:
    assert httpx.get(f"{rig.url}/metrics", headers=AUTHORIZED).status_code == 404
    url = f"http://127.0.0.1:{rig.ports['metrics']}"
    assert httpx.get(f"{url}/v1/models").status_code == 404
    # A probe may ask by HEAD: the same head, and no body (RFC 9110, 9.3.2).
    by_head = httpx.head(f"{url}/metrics")
    assert (by_head.status_code, by_head.content) == (200, b"")
    assert int(by_head.headers["content-length"]) > 0
    answer = httpx.get(f"{url}/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    families = parse_openmetrics(answer.text)  # type: ignore[no-untyped-call]
    assert {family.name for family in families} >= {"clauseway_requests", "process_cpu_seconds"}


BUYER = Buyer("acme", "research", "key_1", "openai", "direct")
DURATION = "clauseway_request_duration_seconds"
# Requests that ended: at which deployment, by which operation, with which status, after how many microseconds, with how
# many tokens in, and for how many picodollars.
ENDED = [
    ("kept", "chat", 200, 127, 21, 1_000_000),
    ("kept", "chat", 200, 128, 21, 2_000_000),
    ("kept", "chat", 400, 200_000_000, 0, 0),
    ("kept", "responses", 200, 1000, 7, 4_000_000),
    # Of a plan before this.
    ("gone", "chat", 200, 1000, 5, 0),
    ("", "chat", 404, 1000, 0, 0),
]
KEPT = {"cloud": "azure", "seller": "microsoft", "region": "r-2", "deployment": "kept"}
LASTING = {"cloud": "azure", "seller": "openai", "region": "r-1", "deployment": "lasting"}
BARE = {"cloud": "azure", "seller": "openai", "region": "r-1", "deployment": "bare"}
GONE = {"cloud": "", "seller": "", "region": "", "deployment": "gone"}


# Budgets: how often their slice was asked for, and the dollars of the whole, left in the slice, and left elsewhere.
BUDGETS = {
    "nobody asked": (0, 10, 0, 10),
    "no answer yet": (1, -1, 0, 0),
    "some left": (1, 10, 3, 1),
    "overspent": (1, 10, -3, 1),
}


async def figures_of_one_process(folder: Path) -> Samples:
    """The figures once all of `ENDED` have ended, of which nobody knows a budget yet."""
    targets = [
        deployment("kept", seller="microsoft", region="r-2", auth=Auth(kind="file")),
        deployment("lasting", auth=Auth(kind="file")),
        deployment("bare", auth=Auth(kind="file")),
    ]
    budgets = tuple(Budget(id=name, whose="acme") for name in BUDGETS)
    holders = [msgspec.structs.replace(key, budgets=tuple(range(len(budgets)))) for key in plan(targets).keys]
    async with shared_by(plan(targets, budgets=budgets, keys=tuple(holders)), folder) as shared:
        count_ended(shared)
        for budget_slice in shared.allowances.slices():
            serial, *dollars = BUDGETS[budget_slice.id]
            budget_slice.serial = serial
            budget_slice.amount, budget_slice.left, budget_slice.elsewhere = [usd * 10**12 for usd in dollars]
        shared.in_flight.add(shared.in_flight.count_left_request(1, BUYER), 300)
        shared.spool.full = Uncopied("its follower is away")
        # A deployment's first model is ejected, its second was.
        ejected, well_again = Health(), Health()
        for health in (ejected, well_again):
            for organisation in ("acme", "rival"):
                for _ in range(3):
                    health.failed(shared.wheel.now_s, "answered 500", organisation)
        well_again.succeeded()
        ejected.omissions["cached_tokens"], well_again.omissions["cached_tokens"] = 2, 1
        lines = LogQueue(Log(), shared.loop, io.BytesIO())
        health_of = {("kept", "m-1"): ejected, ("kept", "m-2"): well_again}
        page = MetricsPage(Figures(shared, health_of, lines), "127.0.0.1")
        by_head = await page.answer(b"HEAD /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert by_head.endswith(b"\r\n\r\n")
        shown = samples_in(page.own().decode())
        shared.spool.full = None
        lines.close()
        return shown


def count_ended(shared: Shared) -> None:
    gone = Bench(plan([deployment("gone")])).target("gone")
    at = {target.name: target for target in (*shared.tables.targets, gone)}
    at["kept"].present(Credential(kind="bearer", secret="s", expires_s=1_900_000_000))
    at["lasting"].present(Credential(kind="bearer", secret="s"))
    for name, operation, code, duration_us, tokens, picodollars in ENDED:
        candidate = Candidate(at[name], 1, b"", "d-1", "permitted") if name else None
        explanation = RequestExplanation(
            event_ns=1,
            buyer=BUYER,
            operation=operation,
            model="gpt-5.5",
            skipped=(),
            attempted=(),
            status=code,
            message="",
            candidate=candidate,
            units=((Unit.INPUT_TOKENS, tokens),),
            charged=picodollars,
        )
        shared.counts.finished(explanation, duration_us)


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> Samples:
    return asyncio.run(figures_of_one_process(tmp_path_factory.mktemp("figures")))


ABSENT = None
PRODUCT = {"product": "gpt-5.5"}


@pytest.mark.parametrize(
    ("name", "labels", "value"),
    [
        ("clauseway_requests_total", {**KEPT, **PRODUCT, "operation": "chat", "status": "200"}, 2),
        ("clauseway_requests_total", {**GONE, **PRODUCT, "operation": "chat", "status": "200"}, 1),
        ("clauseway_usage_total", {**KEPT, **PRODUCT, "unit": "input_tokens"}, 21 + 21 + 7),
        ("clauseway_charged_usd_total", {**KEPT, **PRODUCT}, pytest.approx(7e-6)),
        # Requests that no cloud answered are not charged.
        ("clauseway_charged_usd_total", {**dict.fromkeys(KEPT, ""), "product": ""}, ABSENT),
        # Up to 127 microseconds have seven bits; more than 2^27 microseconds are in no bucket but the last.
        (f"{DURATION}_bucket", {"cloud": "azure", "operation": "chat", "le": "0.000128"}, 1),
        (f"{DURATION}_bucket", {"cloud": "azure", "operation": "chat", "le": "0.000256"}, 2),
        (f"{DURATION}_bucket", {"cloud": "azure", "operation": "chat", "le": "134.217728"}, 2),
        (f"{DURATION}_bucket", {"cloud": "azure", "operation": "chat", "le": "+Inf"}, 3),
        (f"{DURATION}_sum", {"cloud": "azure", "operation": "chat"}, pytest.approx(200.000255)),
        (f"{DURATION}_sum", {"cloud": "azure", "operation": "responses"}, pytest.approx(0.001)),
        ("clauseway_journal_commit_seconds_bucket", {"le": "3.2e-05"}, 0),
        ("clauseway_journal_commit_seconds_bucket", {"le": "1.048576"}, 0),
        ("clauseway_usage_omissions_total", {**KEPT, "part": "cached_tokens"}, 3),
        ("clauseway_deployment_ejected", KEPT, 1),
        ("clauseway_ejections_total", KEPT, 2),
        ("clauseway_bytes_in_flight", {}, 300),
        ("clauseway_credential", KEPT, 1),
        ("clauseway_credential", BARE, 0),
        ("clauseway_credential_expires_timestamp_seconds", KEPT, 1_900_000_000),
        ("clauseway_credential_expires_timestamp_seconds", LASTING, ABSENT),
        ("clauseway_budget_usd", {"budget": "nobody asked", "whose": "acme"}, ABSENT),
        ("clauseway_budget_usd", {"budget": "no answer yet", "whose": "acme"}, ABSENT),
        ("clauseway_budget_usd", {"budget": "some left", "whose": "acme"}, 10),
        ("clauseway_budget_left_usd", {"budget": "some left", "whose": "acme"}, 4),
        ("clauseway_budget_left_usd", {"budget": "overspent", "whose": "acme"}, 0),
        # A request whose client left is no connection.
        ("clauseway_connections", {}, 0),
        # Without its copy a journal may be written no further; there is room.
        ("clauseway_journal_full", {}, 0),
        ("clauseway_gateway", {"version": VERSION, "agreement": "test"}, 1),
    ],
)
def test_figures_are_summed_over_what_their_labels_do_not_tell(
    figures: Samples, name: str, labels: dict[str, str], value: Any
) -> None:
    assert figures.get((name, frozenset(labels.items()))) == value


def test_the_room_of_the_journal_and_the_process_are_among_the_figures(figures: Samples) -> None:
    for name in ("clauseway_journal_room_bytes", "process_resident_memory_bytes"):
        assert figures[name, frozenset()] > 0

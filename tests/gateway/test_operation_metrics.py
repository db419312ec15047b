"""Figures for Prometheus: read by its own parser, on a port that tenants do not reach."""

from collections.abc import Iterator

import httpx
import msgspec
import pytest
from gateway_rig import AUTHORIZED, PATIENCE_S, Rig, status, well
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from awaiting import eventually
from clauseway.gateway.plan import Budget
from clauseway.gateway.plan.settings import Settings, Telemetry

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
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in parse_text(answer.text)
        for sample in family.samples
    }


Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]
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
        counts = [value for (found, _), value in samples.items() if found == f"{name}_count"]
        sums = [value for (found, _), value in samples.items() if found == f"{name}_sum"]
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

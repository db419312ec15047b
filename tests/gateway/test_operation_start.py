"""Starting: without a network, small, and with nothing loaded that was not asked for."""

import resource
import subprocess
import sys
from pathlib import Path

import httpx
import msgspec
import openai
import pytest
from gateway_rig import MESSAGES, MODEL, Rig

from awaiting import eventually
from clauseway.gateway.plan import Auth, Plan
from clauseway.gateway.plan.limits import Limits
from clauseway.gateway.plan.settings import Settings, Telemetry

IDLE_KB_MAX = 50_000


def test_it_starts_and_refuses_without_a_network(rig: Rig) -> None:
    """No cloud has an address, no source of credentials answers: it is up all the same and says what is wrong."""
    nowhere = rig.target("azure", 1, url="https://nowhere.invalid/v1")
    token = Auth(
        kind="entra",
        secret="sk-client",
        settings={"tenant_id": "t", "client_id": "c", "authority": "https://login.invalid"},
    )
    unidentified = rig.target("google", 1, url="https://elsewhere.invalid/v1", auth=token, dialect="azure")
    plan = rig.plan([nowhere, unidentified])
    rig.start(msgspec.structs.replace(plan, settings=Settings(limits=Limits(connect_s=1.0))))
    assert httpx.get(f"{rig.url}/healthz").json() == {"status": "ok"}
    assert httpx.get(f"{rig.url}/readyz").status_code == 200, "one of them has its key"
    assert [model.id for model in rig.client().models.list()] == [MODEL]
    with pytest.raises(openai.PermissionDeniedError, match="A4 clause 3"):
        rig.client().chat.completions.create(model=MODEL, messages=MESSAGES, extra_headers={"x-clauseway-cloud": "aws"})
    answer = rig.post()
    assert answer.status_code in (502, 503)
    assert "azure azure-1: " in answer.json()["error"]["message"]
    rig.stop()
    assert "sk-client" not in rig.errors()


def test_an_idle_gateway_is_small(rig: Rig) -> None:
    rig.cloud("azure")
    rig.start()
    assert rig.post().status_code == 200
    assert rig.process is not None
    status = Path(f"/proc/{rig.process.pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    assert int(line.split()[1]) <= IDLE_KB_MAX


def test_nothing_is_loaded_that_was_not_asked_for() -> None:
    listing = "import clauseway.gateway.__main__, sys; print('\\n'.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", listing], capture_output=True, text=True, check=True)
    roots = {name.partition(".")[0] for name in loaded.stdout.split()}
    unwanted = {
        "azure",
        "botocore",
        "cryptography",
        "google",
        "ibis",
        "jinja2",
        "oci",
        "opentelemetry",
        "prometheus_client",
        "requests",
        "rich",
        "sqlalchemy",
        "starlette",
        "structlog",
        "typer",
        "uvicorn",
    }
    assert roots & unwanted == set()
    assert not {f"clauseway.gateway.{part}" for part in ("metrics", "telemetry")} & set(loaded.stdout.split())


def test_what_is_not_installed_is_said_before_anything_is_served(rig: Rig) -> None:
    rig.cloud("azure")
    plan = msgspec.convert(
        {**msgspec.to_builtins(rig.plan()), "settings": {"telemetry": {"metrics": True, "metrics_port": 0}}},
        type(rig.plan()),
    )
    without = "import sys; sys.modules['prometheus_client'] = None; from clauseway.gateway.__main__ import main; "
    with pytest.raises(AssertionError, match=r"telemetry.metrics: it needs prometheus_client.*clauseway\[server\]"):
        rig.start(plan, launcher=("-c", f"{without}sys.exit(main(sys.argv[1:]))"))
    assert rig.process is not None
    assert rig.process.wait(20) == 3


def test_a_variable_that_the_library_of_spans_cannot_take_is_the_operators_affair(rig: Rig) -> None:
    rig.cloud("azure")
    settings = Settings(telemetry=Telemetry(otlp_endpoint="http://127.0.0.1:9"))
    with_variable = (
        "import os, sys; os.environ['OTEL_METRICS_EXEMPLAR_FILTER'] = 'bogus'; "
        "from clauseway.gateway.__main__ import main; sys.exit(main(sys.argv[1:]))"
    )
    with pytest.raises(AssertionError, match=r"telemetry.otlp_endpoint: .*'bogus'.*OTEL_"):
        rig.start(rig.plan(settings=settings), launcher=("-c", with_variable))
    assert rig.process is not None
    assert rig.process.wait(20) == 3


def with_connections(plan: Plan, connections: int) -> Plan:
    return msgspec.structs.replace(plan, settings=Settings(limits=Limits(connections=connections)))


def test_a_descriptor_for_each_connection_is_asked_for(rig: Rig) -> None:
    rig.cloud("azure")
    few = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (64, 4000)); "
    start = "import sys; from clauseway.gateway.__main__ import main; sys.exit(main(sys.argv[1:]))"
    rig.start(with_connections(rig.plan(), 300), launcher=("-c", few + start))
    assert rig.process is not None
    assert resource.prlimit(rig.process.pid, resource.RLIMIT_NOFILE)[0] == 600
    held = [rig.socket() for _ in range(200)]
    assert rig.post().status_code == 200
    for connection in held:
        connection.close()
    # A plan with more of them asks for more.
    assert "few descriptors" not in rig.errors()
    rig.write_plan(with_connections(rig.plan(), 10_000))
    eventually(lambda: '"few descriptors"' in rig.errors())
    assert resource.prlimit(rig.process.pid, resource.RLIMIT_NOFILE)[0] == 4000

"""The gateway before the simulated clouds: address, authentication (really verified) and wire format."""

from collections.abc import Iterator

import httpx
import openai
import pytest
from endpoints_rig import sandbox_clouds
from gateway_rig import MESSAGES, MODEL, Rig

from awaiting import eventually
from clauseway.gateway.plan import Auth, Target
from clauseway.metering import Unit
from clauseway.sandbox.signatures import credentials

BEDROCK_SIGNED = Auth(
    kind="sigv4",
    access_key=credentials.AWS_ACCESS_KEY_ID,
    secret=credentials.AWS_SECRET_ACCESS_KEY,
    service=credentials.AWS_SERVICE,
    region=credentials.AWS_REGION,
)
BEDROCK_SESSION = Auth(
    kind="sigv4",
    access_key=credentials.AWS_SESSION_ACCESS_KEY_ID,
    secret=credentials.AWS_SESSION_SECRET_ACCESS_KEY,
    session_token=credentials.AWS_SESSION_TOKEN,
    service=credentials.AWS_SERVICE,
    region=credentials.AWS_REGION,
)
# deployment → cloud, dialect, port's name, path, model there, authentication
DEPLOYMENTS = {
    "openai": ("openai", "openai", "openai", "/v1", MODEL, Auth(kind="bearer", secret=credentials.OPENAI_API_KEY)),
    "azure-key": (
        "azure",
        "azure",
        "azure",
        "/openai/v1",
        "gpt-5-4",
        Auth(kind="api-key", secret=credentials.AZURE_API_KEY),
    ),
    "azure-entra": (
        "azure-entra",
        "azure",
        "azure",
        "/openai/v1",
        "gpt-5-4",
        Auth(kind="bearer", secret=credentials.AZURE_ENTRA_TOKEN),
    ),
    "aws-signed": ("aws", "bedrock", "bedrock", "/openai/v1", f"openai.{MODEL}", BEDROCK_SIGNED),
    "aws-session": ("aws-session", "bedrock", "bedrock", "/openai/v1", f"openai.{MODEL}", BEDROCK_SESSION),
    "aws-key": (
        "aws-key",
        "bedrock",
        "bedrock",
        "/openai/v1",
        f"openai.{MODEL}",
        Auth(kind="bearer", secret=credentials.BEDROCK_API_KEY),
    ),
}


class Sandbox:
    """The simulated clouds, and a gateway before them."""

    def __init__(self, rig: Rig, ports: dict[str, int]) -> None:
        self.rig = rig
        self.ports = ports

    def fault(self, cloud: str, **rule: object) -> None:
        assert httpx.post(f"http://127.0.0.1:{self.ports[cloud]}/sandbox/faults", json=rule).status_code == 200


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with sandbox_clouds("openai", "azure", "bedrock") as ports, Rig(tmp_path_factory.mktemp("gateway")) as rig:
        rig.start(rig.plan([target(rig, name, ports) for name in DEPLOYMENTS], attempt_timeout_s=5.0))
        yield Sandbox(rig, ports)


def target(rig: Rig, name: str, ports: dict[str, int]) -> Target:
    cloud, dialect, port, path, model, auth = DEPLOYMENTS[name]
    return rig.target(
        cloud, ports[port], model, dialect=dialect, url=f"http://127.0.0.1:{ports[port]}{path}", auth=auth
    )


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_every_cloud_takes_our_authentication_and_its_usage_is_recorded(sandbox: Sandbox, name: str) -> None:
    cloud = DEPLOYMENTS[name][0]
    client, pin = sandbox.rig.client(), {"x-clauseway-cloud": cloud}
    raw = client.chat.completions.with_raw_response.create(model=MODEL, messages=MESSAGES, extra_headers=pin)
    whole = raw.parse()
    assert raw.headers["x-clauseway-cloud"] == cloud
    assert whole.usage is not None
    record = sandbox.rig.records()[-1]
    assert dict(record.units)[Unit.INPUT_TOKENS] == whole.usage.prompt_tokens
    assert dict(record.units)[Unit.OUTPUT_TOKENS] == whole.usage.completion_tokens
    assert record.upstream_id, "the cloud's own request id is kept"

    chunks = list(
        client.chat.completions.create(
            model=MODEL, messages=MESSAGES, stream=True, stream_options={"include_usage": True}, extra_headers=pin
        )
    )
    assert chunks[-1].usage is not None
    streamed = sandbox.rig.records()[-1]
    assert streamed.status.name == "COMPLETE"
    assert dict(streamed.units)[Unit.OUTPUT_TOKENS] == chunks[-1].usage.completion_tokens
    silent = list(client.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True, extra_headers=pin))
    assert all("usage" not in chunk.model_fields_set for chunk in silent)
    assert sandbox.rig.records()[-1].status.name == "COMPLETE"


FAULTS = [
    {"kind": "status", "status": 503},
    {"kind": "status", "status": 429, "retry_after_ms": 1},
    # Twice: where the connection had been kept, the same attempt is sent again on a fresh one.
    {"kind": "drop", "count": 2},
    {"kind": "stall", "seconds": 600.0},
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: "-".join(map(str, fault.values())))
@pytest.mark.parametrize("stream", [False, True])
def test_a_cloud_that_fails_is_passed_over(sandbox: Sandbox, fault: dict[str, object], stream: bool) -> None:
    sandbox.fault("openai", **fault)
    answer = sandbox.rig.post(stream=stream)
    assert answer.status_code == 200
    assert (answer.headers["x-clauseway-cloud"], answer.headers["x-clauseway-attempts"]) == ("azure", "2")
    assert [outcome[1] for outcome in sandbox.rig.outcomes()[-2:]] == ["FAILED", "COMPLETE"]
    eventually(lambda: sandbox.rig.post().headers["x-clauseway-cloud"] == "openai")


def test_a_stream_that_is_cut_raises_in_the_official_client(sandbox: Sandbox) -> None:
    sandbox.fault("openai", kind="cut-after-events", events=3)
    with pytest.raises(openai.APIError, match="stream broke"):
        list(sandbox.rig.client().chat.completions.create(model=MODEL, messages=MESSAGES, stream=True))
    assert sandbox.rig.records()[-1].status.name == "INTERRUPTED_ESTIMATED"

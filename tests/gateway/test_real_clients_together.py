"""Five clients at once, each a tenant of its own, over two clouds of which the first misbehaves in every way that the
sandbox offers: each gets its answer or its own error, a sixth tenant at the other cloud notices nothing, the usage
equals the clouds' logs, and the process stops growing when all of it happens again.

Each way of misbehaving is a model of its own, with deployments of its own: what one has done to a deployment's health
does not keep the next from being asked.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import anthropic
import httpx
import msgspec
import pytest
from clients_at_once import ASKED, Ask, Outcomes, clients_at_once, outcome
from endpoints_rig import Endpoints, sandbox_clouds
from gateway_rig import GROWTH_IN_ALL_MAX_MB, GROWTH_MAX_MB, PATIENCE_S, Rig, key
from gateway_stage import PATIENT

from clauseway.gateway.plan import Auth, Epoch, Key, Plan, Route, Target
from clauseway.metering import Deployment, Status, Unit, UsageRecord
from clauseway.sandbox.faults import FAMILIES
from clauseway.sandbox.signatures import credentials

CLAUDE, NEIGHBOUR = "claude", "the neighbour"
TENANTS = ("openai-python", "Anthropic's client", "LangChain", "pydantic-ai", "the AI SDK", NEIGHBOUR)
# Longer than the gateway waits for an answer, a first event or a next one.
WAITS_S, TOO_LONG_S = 6.0, 24.0
FAULTS: dict[str, dict[str, object]] = {
    "nothing": {},
    **{family: {"kind": "status", "family": family} for family in FAMILIES},
    "too busy, and says when": {"kind": "status", "family": "rate_limit_exceeded", "retry_after_ms": 20_000},
    "status": {"kind": "status", "status": 500},
    "stall": {"kind": "stall", "seconds": TOO_LONG_S},
    "stall after content": {"kind": "stall", "seconds": TOO_LONG_S, "events": 6},
    "pace": {"kind": "pace", "seconds": 0.01},
    "drip": {"kind": "drip", "bytes": 200, "seconds": 0.005},
    "cut-after-events": {"kind": "cut-after-events", "events": 6},
    "cut-at-byte": {"kind": "cut-at-byte", "bytes": 30},
    "error-event": {"kind": "error-event", "events": 1},
    "error-event after content": {"kind": "error-event", "events": 6},
    "drop": {"kind": "drop"},
    "redirect": {"kind": "redirect", "location": "/elsewhere"},
    "garbage": {"kind": "garbage"},
    "wrong-length": {"kind": "wrong-length", "bytes": 7},
    "zstd-frames": {"kind": "zstd-frames"},
}
# Where content has gone out nobody else is asked, and the client hears that its stream broke.
BREAKS_STREAMS = {"stall after content", "cut-after-events", "error-event after content"}
# Nobody can read what that answer used. Its cloud may have written all of it before the gateway hangs up.
UNREAD = "zstd-frames"
AGAIN_MAX = 4


def secret(tenant: str) -> str:
    return f"sk-{TENANTS.index(tenant)}"


def tenant_key(tenant: str) -> Key:
    return msgspec.structs.replace(key(secret(tenant), "openai"), organisation=tenant, key_id=tenant)


def deployment(name: str, cloud: str, url: str, model: str, auth: Auth, dialect: str) -> Target:
    return Target(
        label=Deployment(name, cloud, "openai", "eastus", name, model),
        dialect=dialect,
        url=url,
        auth=auth,
        input_price=2_500_000,
        output_price=15_000_000,
        output_tokens_max=4096,
    )


def plan(rig: Rig, ports: dict[str, int]) -> Plan:
    """For each fault a model of OpenAI's and one of Anthropic's, both at Azure first, the neighbour's at OpenAI."""
    azure, steady = f"http://127.0.0.1:{ports['azure']}", f"http://127.0.0.1:{ports['openai']}/v1"
    key_of_azure = Auth(kind="api-key", secret=credentials.AZURE_API_KEY)
    key_of_openai = Auth(kind="bearer", secret=credentials.OPENAI_API_KEY)
    key_of_anthropic = Auth(kind="api-key", secret=credentials.ANTHROPIC_API_KEY)
    behind = f"http://127.0.0.1:{ports['anthropic']}/v1"
    targets = [deployment("steady", "openai", steady, "gpt-5.4", key_of_openai, "openai")]
    routes = {f"openai|{NEIGHBOUR}|direct": Route(candidates=((0, 0),))}
    for fault in FAULTS:
        at = len(targets)
        targets += [
            deployment(f"azure {fault}", "azure", f"{azure}/openai/v1", "gpt-5-4", key_of_azure, "azure"),
            deployment(f"openai {fault}", "openai", steady, "gpt-5.4", key_of_openai, "openai"),
            deployment(f"azure c {fault}", "azure", f"{azure}/anthropic/v1", "claude-opus-4-7", key_of_azure, "azure"),
            deployment(f"behind {fault}", "anthropic", behind, "claude-opus-4-7", key_of_anthropic, "anthropic"),
        ]
        routes[f"openai|{fault}|direct"] = Route(candidates=((at, 0), (at + 1, 0)))
        routes[f"openai|{fault} {CLAUDE}|direct"] = Route(candidates=((at + 2, 0), (at + 3, 0)))
    names = [NEIGHBOUR, *FAULTS, *(f"{fault} {CLAUDE}" for fault in FAULTS)]
    return rig.plan(
        targets,
        models={name: name for name in names},
        epochs=(Epoch(begin_ns=0, routes=routes),),
        keys=tuple(map(tenant_key, TENANTS)),
        attempt_timeout_s=WAITS_S,
        settings=PATIENT,
    )


def anthropics(url: str, models: Sequence[str]) -> Outcomes:
    (model,) = models
    with anthropic.Anthropic(base_url=url, api_key=secret("Anthropic's client"), timeout=PATIENCE_S) as its:
        asked: dict[str, Any] = {"model": f"{model} {CLAUDE}", "max_tokens": 1000, "messages": ASKED}

        def streamed() -> str:
            with its.messages.stream(**asked) as stream:
                return stream.get_final_text()

        def whole() -> str:
            block: Any = its.messages.create(**asked).content[0]
            return str(block.text)

        return {"Anthropic's client": {model: {"whole": outcome(whole), "streamed": outcome(streamed)}}}


def neighbour(url: str, times: int) -> list[str]:
    """Return the faults seen by a tenant whose model lies at the other cloud alone."""
    wrong = []
    body = {"model": NEIGHBOUR, "messages": ASKED}
    with httpx.Client(headers={"authorization": f"Bearer {secret(NEIGHBOUR)}"}, timeout=PATIENCE_S) as client:
        for _ in range(times):
            answer = client.post(f"{url}/v1/chat/completions", json=body)
            if answer.status_code != 200 or answer.headers["x-clauseway-attempts"] != "1":
                wrong.append(f"{answer.status_code} {answer.text[:200]}")
    return wrong


class Company:
    """The gateway, its clouds and the five clients before it."""

    def __init__(self, clouds: Endpoints, asking: list[Ask]) -> None:
        self.clouds = clouds
        self._asking = asking
        # For each fault, which of the attempts that the first cloud wrote down were made while it held.
        self._rounds: dict[str, list[range]] = {}

    def round(self, fault: str) -> dict[str, dict[str, Any]]:
        """Ask for the fault's model by every client at once, while it holds at Azure."""
        begin = len(self.clouds.asked("azure"))
        if FAULTS[fault]:
            self.clouds.fault("azure", **FAULTS[fault], count=None)
        with ThreadPoolExecutor(len(self._asking) + 1) as pool:
            undisturbed = pool.submit(neighbour, self.clouds.rig.url, 8)
            parts = list(pool.map(lambda ask: ask([fault]), self._asking))
        assert undisturbed.result() == [], fault
        self.clouds.clear_faults()
        self._rounds.setdefault(fault, []).append(range(begin, len(self.clouds.asked("azure"))))
        return {client: answers[fault] for part in parts for client, answers in part.items()}

    def attempts_during(self, fault: str) -> list[dict[str, Any]]:
        """Return the attempts that Azure wrote down while a fault held there."""
        seen = self.clouds.asked("azure")
        return [seen[at] for rows in self._rounds.get(fault, ()) for at in rows]

    def descriptors(self) -> int:
        process = self.clouds.rig.process
        assert process is not None
        return len(list(Path(f"/proc/{process.pid}/fd").iterdir()))


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    secrets = {tenant: secret(tenant) for tenant in ("openai-python", "LangChain", "pydantic-ai", "the AI SDK")}
    with ExitStack() as stack:
        ports = stack.enter_context(sandbox_clouds("openai", "azure", "anthropic"))
        rig = stack.enter_context(Rig(tmp_path_factory.mktemp("gateway")))
        rig.start(plan(rig, ports))
        asking = stack.enter_context(clients_at_once(rig.url, tmp_path_factory.mktemp("clients"), secrets))
        yield Company(Endpoints(rig, ports), [*asking, lambda models: anthropics(rig.url, models)])


def test_the_table_has_every_way_of_misbehaving() -> None:
    page = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text()
    told_there = {line.split("`")[1] for line in page.splitlines() if line.startswith("| `") and " | " in line}
    kinds = {str(fault["kind"]) for fault in FAULTS.values() if fault}
    assert kinds <= told_there
    assert {
        "status",
        "stall",
        "pace",
        "drip",
        "cut-after-events",
        "cut-at-byte",
        "error-event",
        "drop",
        "redirect",
        "garbage",
        "wrong-length",
        "zstd-frames",
    } == kinds


@pytest.fixture(scope="module")
def texts(company: Company) -> dict[str, str]:
    """Return the answer of each client where nothing misbehaves."""
    return {client: answers["whole"]["text"] for client, answers in company.round("nothing").items()}


def check_round(company: Company, fault: str, texts: dict[str, str]) -> None:
    answered = company.round(fault)
    assert answered.keys() == texts.keys() == set(TENANTS) - {NEIGHBOUR}
    for client, answers in answered.items():
        assert answers["whole"] == {"text": texts[client]}, (client, answers)
        streamed = answers["streamed"]
        broke = fault in BREAKS_STREAMS and "error" in streamed
        assert broke or streamed == {"text": texts[client]} != {"text": ""}, (client, answers)


@pytest.mark.parametrize("fault", FAULTS)
def test_each_gets_its_answer_or_its_own_error_and_nobody_else_notices(
    company: Company, texts: dict[str, str], fault: str
) -> None:
    check_round(company, fault, texts)


@pytest.mark.timeout(1800)  # each of them again, on a busy machine
def test_the_process_stops_growing(company: Company, texts: dict[str, str]) -> None:
    def again() -> None:
        for fault in FAULTS:
            check_round(company, fault, texts)

    descriptors = company.descriptors()
    growths = company.clouds.rig.growths(again, AGAIN_MAX)
    assert min(growths) <= GROWTH_MAX_MB, growths
    assert sum(growths) <= GROWTH_IN_ALL_MAX_MB, growths
    assert company.descriptors() - descriptors <= len(TENANTS)
    assert "Traceback" not in company.clouds.rig.errors()


def counted_as(fault: str, *, streamed: bool) -> set[Status]:
    """How an attempt at the cloud that misbehaves counts."""
    if fault in {"nothing", "pace", "drip"}:
        return {Status.COMPLETE}
    if fault == "wrong-length" and streamed:
        # Every event came, the usage and the end among them; only the stated length was wrong.
        return {Status.COMPLETE}
    if fault in BREAKS_STREAMS and streamed:
        # Of what has gone out the client pays an estimate. Failed, where the error was read before content went out.
        return {Status.INTERRUPTED_ESTIMATED, Status.FAILED}
    return {Status.FAILED}


def tokens_metered(record: UsageRecord) -> tuple[int, int]:
    units = dict(record.units)
    return units.get(Unit.INPUT_TOKENS, 0), units.get(Unit.OUTPUT_TOKENS, 0)


@pytest.mark.parametrize("fault", FAULTS)
def test_usage_equals_what_the_cloud_wrote_down_while_it_misbehaved(company: Company, fault: str) -> None:
    attempts = company.attempts_during(fault)
    records = [
        record
        for record, _, where, _ in company.clouds.rig.entries()
        if where.deployment in (f"azure {fault}", f"azure c {fault}")
    ]
    # The cloud sees an attempt twice where it dropped a kept connection: that one is sent again on a fresh one.
    seen_most = 2 if fault == "drop" else 1
    assert len(records) <= len(attempts) <= seen_most * len(records), "each attempt is recorded once"
    for record in records:
        assert record.status in counted_as(fault, streamed=record.streamed), record
        assert (record.charge_picodollars > 0) is (record.status is not Status.FAILED), record
    read = [record for record in records if record.status is Status.COMPLETE]
    answered = [attempt for attempt in attempts if attempt["outcome"] == "answered" and fault != UNREAD]
    if fault == "wrong-length":
        assert answered == []
        answered = attempts[: len(read)]
    assert Counter(map(tokens_metered, read)) == Counter(tuple(attempt["tokens"]) for attempt in answered)
    # Nobody pays for more of an answer than the cloud had. What was asked is estimated from its length.
    most = max((attempt["tokens"][1] for attempt in attempts), default=0)
    assert all(tokens_metered(record)[1] <= most for record in records)


@pytest.mark.parametrize("cloud", ["openai", "anthropic"])
def test_usage_equals_what_the_clouds_behind_wrote_down(company: Company, cloud: str) -> None:
    answered = Counter(tuple(attempt["tokens"]) for attempt in company.clouds.asked(cloud))
    records = [record for record, _, where, _ in company.clouds.rig.entries() if where.cloud == cloud]
    assert {record.status for record in records} == {Status.COMPLETE}
    assert Counter(map(tokens_metered, records)) == answered

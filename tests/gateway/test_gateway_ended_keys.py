"""A gateway refuses a secret that has ended, although its plan still has it: wherever the secret is used."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from gateway_rig import AUTHORIZED, HASH_KEY, OTHER_SECRET, PATIENCE_S, SECRET, Rig, chat_body, key
from web_socket_rig import WHOLE, Halting, kinds, message, opened, until_end
from websockets.sync.client import ClientConnection

from awaiting import eventually
from clauseway.gateway.plan import Plan
from clauseway.gateway.plan.limits import Limits
from clauseway.gateway.plan.settings import Settings
from clauseway.gateway.routing.key_digests import digest
from clauseway.values import DAY_NS

DIGEST = digest(bytes.fromhex(HASH_KEY), SECRET.encode()).hex()


class Gateway:
    """A gateway, and the file in which its home tells it what has ended."""

    def __init__(self, rig: Rig, folder: Path) -> None:
        self.rig, self.told = rig, folder / "revocations"
        self.told.touch()

    def start(self, *arguments: str, **limits: Any) -> None:
        plan = self.rig.plan(settings=Settings(limits=Limits(**limits)))
        self.rig.start(plan, "--revocations", str(self.told), *arguments)

    def end_secret(self) -> None:
        with self.told.open("a") as file:
            file.write(f"{DIGEST}\n")

    def announce(self) -> None:
        assert self.rig.process is not None
        self.rig.process.send_signal(signal.SIGUSR1)

    def models(self, secret: str) -> httpx.Response:
        headers = {"authorization": f"Bearer {secret}"}
        return httpx.get(f"{self.rig.url}/v1/models", headers=headers, timeout=PATIENCE_S)


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    with Rig(tmp_path) as rig:
        rig.cloud("azure")
        yield Gateway(rig, tmp_path)


def assert_only_the_turn_ends(halting: Halting, session: ClientConnection) -> None:
    """The turn under way ends as it would have; the next one is refused."""
    halting.may_go_on.set()
    assert kinds(until_end(session)) == WHOLE
    session.send(message())
    (refused,) = until_end(session)
    assert (refused["status"], refused["error"]["code"]) == (401, "invalid_api_key")


def test_an_open_connection_and_an_open_session_are_refused(gateway: Gateway) -> None:
    gateway.rig.clouds["azure"].behaviour = halting = Halting()
    gateway.start()
    with httpx.Client(headers=AUTHORIZED, timeout=PATIENCE_S) as kept, opened(gateway.rig.url, SECRET) as session:
        assert kept.get(f"{gateway.rig.url}/v1/models").status_code == 200
        session.send(message())
        assert halting.begun.wait(PATIENCE_S)
        gateway.end_secret()
        gateway.announce()
        eventually(lambda: kept.get(f"{gateway.rig.url}/v1/models").status_code == 401)
        assert_only_the_turn_ends(halting, session)
    assert gateway.models(OTHER_SECRET).status_code == 200


def test_neither_a_start_nor_a_plan_brings_the_secret_back(gateway: Gateway) -> None:
    """Both plans were compiled before it ended."""
    gateway.end_secret()
    gateway.start()
    assert gateway.models(SECRET).status_code == 401
    gateway.rig.write_plan(gateway.rig.plan(models={"another": "api.stateless"}))
    eventually(lambda: "plan reloaded" in gateway.rig.errors())
    assert gateway.models(SECRET).status_code == 401
    assert gateway.models(OTHER_SECRET).status_code == 200


def test_a_secret_ends_by_itself(gateway: Gateway) -> None:
    """Another plan may be kept out for long, by a mistake in the configuration or a database that is away."""
    staying = key(OTHER_SECRET, "openai")

    def ending(ends_ns: int) -> Plan:
        return gateway.rig.plan(keys=(msgspec.structs.replace(key(SECRET, "openai"), ends_ns=ends_ns), staying))

    gateway.rig.clouds["azure"].behaviour = halting = Halting()
    gateway.rig.start(ending(time.time_ns() + DAY_NS))
    with httpx.Client(headers=AUTHORIZED, timeout=PATIENCE_S) as kept, opened(gateway.rig.url, SECRET) as session:
        assert kept.get(f"{gateway.rig.url}/v1/models").status_code == 200
        session.send(message())
        assert halting.begun.wait(PATIENCE_S)
        ends_ns = time.time_ns() + 3_000_000_000
        gateway.rig.write_plan(ending(ends_ns))
        eventually(lambda: kept.get(f"{gateway.rig.url}/v1/models").status_code == 401)
        assert time.time_ns() >= ends_ns
        assert_only_the_turn_ends(halting, session)
    assert gateway.models(OTHER_SECRET).status_code == 200


def test_a_secret_that_has_ended_is_not_accepted_first(gateway: Gateway) -> None:
    over = msgspec.structs.replace(key(SECRET, "openai"), ends_ns=time.time_ns())
    gateway.rig.start(gateway.rig.plan(keys=(over,)))
    assert gateway.models(SECRET).status_code == 401


def test_without_an_announcement_the_file_is_seen_within_a_second_or_so(gateway: Gateway) -> None:
    gateway.start()
    assert gateway.models(SECRET).status_code == 200
    gateway.end_secret()
    eventually(lambda: gateway.models(SECRET).status_code == 401)


def test_a_home_that_is_cut_off_refuses_in_the_shape_of_each_client(gateway: Gateway) -> None:
    gateway.start("--shares-limits", database_away_s=5.0)

    def is_heard() -> bool:
        """Let the five seconds begin anew; return whether keys are taken."""
        gateway.told.touch()
        return gateway.models(SECRET).status_code == 200

    eventually(is_heard)
    with opened(gateway.rig.url, SECRET) as session:
        eventually(lambda: gateway.models(SECRET).status_code == 503)
        session.send(message())
        (refused,) = until_end(session)
        assert (refused["status"], refused["error"]["code"]) == (503, "database_away")
    anthropic = {**AUTHORIZED, "anthropic-version": "2023-06-01", "content-type": "application/json"}
    answer = httpx.post(f"{gateway.rig.url}/v1/messages", content=chat_body(), headers=anthropic, timeout=PATIENCE_S)
    assert answer.status_code == 503
    assert answer.json()["type"] == "error"
    assert "cannot tell whether this key was revoked" in answer.json()["error"]["message"]
    # Whoever asks without a key hears the same: nobody's key can be looked at.
    assert httpx.get(f"{gateway.rig.url}/v1/models", timeout=PATIENCE_S).status_code == 503

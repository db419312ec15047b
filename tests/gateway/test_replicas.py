"""Two homes on one PostgreSQL, each served: one set of keys, one limit, one budget, one lake. Two machines are two
folders here."""

import os
import signal
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import httpx
import pyarrow.parquet as pq
import pytest
from gateway_rig import PATIENCE_S, Rig
from replicas_rig import MODEL, Replica, replicas_of

from awaiting import eventually
from clauseway.app.customers.allowances import GivenScope, list_budgets, set_budget, set_limit
from clauseway.app.customers.keys import create_key, revoke_key
from clauseway.app.opening.several import open_agreements
from clauseway.app.running import serving
from clauseway.app.running.upkeep import Upkeep
from clauseway.app.usage.sealing import open_lake, seal
from postgresql_server import transactions_of


@pytest.fixture
def replicas(tmp_path: Path) -> Iterator[list[Replica]]:
    with Rig(tmp_path) as rig, replicas_of(tmp_path, rig.cloud("azure").port) as made:
        yield made


def test_replicas_serve_one_set_of_customers(replicas: list[Replica]) -> None:
    home, catalog = replicas[0].home, open_agreements([]).catalog
    key = create_key(home, catalog, organisation="acme", project="p", seller="openai", segment="any")
    for replica in replicas:
        eventually(lambda replica=replica: replica.ask(key.secret).status_code == 200)  # type: ignore[misc]
    # One budget, which both spend, and one limit of 12 a minute, of which two requests are over already.
    set_budget(home, catalog, GivenScope(organisation="acme"), "100", "total")
    set_limit(home, catalog, GivenScope(organisation="acme"), 12, 0)
    headers = "x-ratelimit-limit-requests"
    for replica in replicas:
        eventually(lambda replica=replica: headers in replica.ask(key.secret).headers)  # type: ignore[misc]
    answers = [replica.ask(key.secret) for _ in range(15) for replica in replicas]
    passed = [answer.headers["x-clauseway-request-id"] for answer in answers if answer.status_code == 200]
    assert len(passed) <= 12
    # On a busy machine the database may be too late with a share: 503, which says so, and no more pass.
    assert {answer.status_code for answer in answers} - {503} == {200, 429}
    # A gateway that is killed is started again by its own home; the other one takes nothing from it.
    (killed,) = replicas[0].served.gateways
    os.kill(killed.pid, signal.SIGKILL)
    seal(replicas[1].home)
    eventually(lambda: replicas[0].reports)
    assert replicas[1].reports == []
    # A key that is revoked at one is refused by both.
    revoke_key(replicas[1].home, key.key_id)
    for replica in replicas:
        eventually(lambda replica=replica: replica.ask(key.secret).status_code == 401)  # type: ignore[misc]
    # Each home seals its own journal into the one lake: every answer is there once.
    for replica in replicas:
        assert seal(replica.home).damages == ()
    with open_lake(home) as lake:
        tables = [pq.read_table(path, columns=["request_id"]) for path in lake.files(kind="usage")]
    sealed = [name for table in tables for name in table["request_id"].to_pylist()]
    assert len(sealed) == len(set(sealed))
    assert set(passed) <= set(sealed)
    (budget,) = list_budgets(replicas[1].home)
    assert Decimal(0) < budget.spent + budget.leased < budget.amount


def test_every_answer_of_every_replica_names_the_plan(replicas: list[Replica]) -> None:
    catalog = open_agreements([]).catalog
    key = create_key(replicas[0].home, catalog, organisation="acme", project="p", seller="openai", segment="any")
    for replica in replicas:
        eventually(lambda replica=replica: replica.ask(key.secret).status_code == 200)  # type: ignore[misc]
    set_limit(replicas[0].home, catalog, GivenScope(organisation="acme"), 500, 0)
    set_budget(replicas[0].home, catalog, GivenScope(organisation="acme"), "100", "total")
    paths = [
        "/healthz",
        "/readyz",
        "/v1/models",
        f"/v1/models/{MODEL}",
        "/clauseway/v1/requests",
        "/clauseway/v1/limits",
        "/clauseway/v1/usage",
        "/v1/files",
        "/v1/batches",
        "/v1/responses/resp_none",
        "/nowhere",
    ]

    def named(replica: Replica) -> set[str]:
        root, headers = replica.served.gateway_url.removesuffix("/v1"), {"authorization": f"Bearer {key.secret}"}
        answers = [httpx.get(root + path, headers=headers, timeout=PATIENCE_S) for path in paths]
        answers += [httpx.get(f"{root}/v1/models", timeout=PATIENCE_S), replica.ask(key.secret)]
        assert [answer.url for answer in answers if len(answer.headers.get_list("x-clauseway-plan")) != 1] == []
        return {answer.headers["x-clauseway-plan"] for answer in answers}

    # They have sockets of their own, compiled at an instant of their own, and execute one plan.
    eventually(lambda: len(set().union(*map(named, replicas))) == 1)


def test_idle_replicas_ask_the_database_seldom(replicas: list[Replica], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each looks once a second, and says once a second that its identifiers are copied."""
    monkeypatch.setattr(serving, "_SEAL_EVERY_S", 3600.0)  # what sealing asks comes at once, and seldom
    address = replicas[0].home.database_address.read_text()

    def per_second() -> float:
        before, begun_s = transactions_of(address), time.monotonic()
        time.sleep(3.0)  # that time goes by is the case
        return (transactions_of(address) - before) / (time.monotonic() - begun_s)

    # Some of what was asked while they started is counted only once a connection was idle for ten seconds.
    eventually(lambda: per_second() / len(replicas) <= 3.0)


def test_a_replica_that_loses_the_database_goes_on_and_comes_back(replicas: list[Replica]) -> None:
    replica = replicas[0]
    catalog = open_agreements([]).catalog
    key = create_key(replica.home, catalog, organisation="acme", project="p", seller="openai", segment="any")
    eventually(lambda: replica.ask(key.secret).status_code == 200)
    address = replica.home.database_address.read_text()
    # An address that is being written is read half, and later names a server that does not answer.
    replica.home.database_address.write_text("postgresql://")
    eventually(lambda: any("The database is away" in text for text in replica.reports))
    rounds: list[str] = []
    Upkeep(replica.home, rounds.append).round(merging=False)
    assert "it is tried again: the database's address" in rounds[0]
    replica.home.database_address.write_text("postgresql://127.0.0.1:1/nobody")
    assert replica.ask(key.secret).status_code == 200
    # A gateway that dies meanwhile is started as soon as the database is there again.
    (killed,) = replica.served.gateways
    os.kill(killed.pid, signal.SIGKILL)
    eventually(lambda: any("waits for the database" in text for text in replica.reports))
    replica.home.database_address.write_text(address)
    eventually(lambda: any("was started again" in text for text in replica.reports))
    other = create_key(replica.home, catalog, organisation="acme", project="q", seller="openai", segment="any")
    eventually(lambda: replica.ask(other.secret).status_code == 200)


def test_a_key_is_revoked_while_no_plan_can_be_compiled(replicas: list[Replica]) -> None:
    """A revocation waits for no plan: neither for one that takes long nor for one that a mistake keeps out."""
    catalog = open_agreements([]).catalog
    key, other = (
        create_key(replicas[0].home, catalog, organisation="acme", project=name, seller="openai", segment="any")
        for name in ("p", "q")
    )
    for replica in replicas:
        eventually(lambda replica=replica: replica.ask(key.secret).status_code == 200)  # type: ignore[misc]
        eventually(lambda replica=replica: replica.ask(other.secret).status_code == 200)  # type: ignore[misc]
        replica.home.configuration.write_text("[gateway]\nport = 'none'\n")
        eventually(lambda replica=replica: any("was not loaded" in text for text in replica.reports))  # type: ignore[misc]
    with httpx.Client(headers={"authorization": f"Bearer {key.secret}"}) as kept:
        # A connection remembers whose it is.
        models = f"{replicas[1].served.gateway_url}/models"
        assert kept.get(models).status_code == 200
        revoke_key(replicas[0].home, key.key_id)
        eventually(lambda: kept.get(models).status_code == 401)
    for replica in replicas:
        eventually(lambda replica=replica: replica.ask(key.secret).status_code == 401)  # type: ignore[misc]
        assert replica.ask(other.secret).status_code == 200

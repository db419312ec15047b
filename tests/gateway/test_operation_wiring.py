"""The process's joints: credentials that are renewed, and slices of budgets that come from elsewhere."""

import asyncio
import os
import socket
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import msgspec
import pytest
from gateway_rig import (
    PATIENCE_S,
    PATIENT_GATEWAY,
    Connection,
    Received,
    Rig,
    chat_body,
    request_bytes,
    status,
    well,
)

from awaiting import eventually
from clauseway.app.running.planning import secrets_beside, write_plan
from clauseway.gateway.plan import Auth, Plan
from clauseway.gateway.plan.file import read_pieces
from clauseway.gateway.plan.limits import Limits
from clauseway.gateway.plan.settings import Settings
from clauseway.gateway.plan.steps import whole
from clauseway.gateway.routing.opening import opened, opening
from clauseway.metering import Status
from clauseway.values import InvalidInput


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """A gateway that waits for its sources of credentials, on a machine that is busy too."""
    with Rig(tmp_path) as started:
        started.launcher = PATIENT_GATEWAY
        yield started


@pytest.mark.parametrize("encoding", ["identity", "br"])
def test_a_credential_from_a_file_is_presented_and_fetched_again_when_refused(
    rig: Rig, tmp_path: Path, encoding: str
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("first")
    taken = ["first"]

    async def strict(connection: Connection, request: Received) -> None:
        if request.header("authorization") == f"Bearer {taken[0]}":
            await well(connection, request)
        else:
            connection.answer(401, b'{"error":{"message":"who are you?"}}', [f"content-encoding: {encoding}"])

    azure = rig.cloud("azure", strict)
    auth = Auth(kind="file", settings={"path": str(secret), "sends": "bearer"})
    rig.start(rig.plan([rig.target("azure", azure.port, auth=auth)]))
    assert rig.post().status_code == 200
    taken[0] = "second"
    secret.write_text("second")
    answer = rig.post()
    assert (answer.status_code, answer.headers["x-clauseway-attempts"]) == (200, "1")
    assert [request.header("authorization") for request in azure.requests][-1] == "Bearer second"


def test_a_request_under_way_over_a_new_plan_is_sent_with_the_credential_of_then(rig: Rig, tmp_path: Path) -> None:
    secret, goes_on = tmp_path / "secret", asyncio.Event()
    secret.write_text("first")

    async def strict(connection: Connection, request: Received) -> None:
        await goes_on.wait()
        if request.header("authorization") == "Bearer second":
            await well(connection, request)
        else:
            connection.answer(401, b'{"error":{"message":"who are you?"}}')

    azure = rig.cloud("azure", strict)
    auth = Auth(kind="file", settings={"path": str(secret), "sends": "bearer"})
    plan = rig.plan([rig.target("azure", azure.port, auth=auth)])
    rig.start(plan)
    before = httpx.get(f"{rig.url}/readyz").json()["plan"]
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(rig.post)
        eventually(lambda: azure.requests)
        rig.write_plan(msgspec.structs.replace(plan, agreement="another"))
        eventually(lambda: httpx.get(f"{rig.url}/readyz").json()["plan"] != before)
        secret.write_text("second")
        azure.loop.call_soon_threadsafe(goes_on.set)
        answer = waiting.result(PATIENCE_S)
    assert (answer.status_code, answer.headers["x-clauseway-attempts"]) == (200, "1")


def test_a_new_plan_is_there_with_its_credentials(rig: Rig, tmp_path: Path) -> None:
    azure = rig.cloud("azure")
    secrets = [tmp_path / "first", tmp_path / "second"]
    secrets[0].write_text("first")
    os.mkfifo(secrets[1])
    first, second = (
        rig.plan(
            [rig.target("azure", azure.port, auth=Auth(kind="file", settings={"path": str(secret)}))],
            agreement=secret.name,
        )
        for secret in secrets
    )
    rig.start(first)
    answers = [rig.post()]

    def give_late() -> None:
        with secrets[1].open("w") as given:  # once the gateway reads it
            before = len(answers)
            eventually(lambda: len(answers) >= before + 2)
            given.write("second")

    with ThreadPoolExecutor() as threads:
        late = threads.submit(give_late)
        rig.write_plan(second)
        while answers[-1].headers["x-clauseway-plan"] == answers[0].headers["x-clauseway-plan"]:
            answers.append(rig.post())
        late.result(PATIENCE_S)
    assert {answer.status_code for answer in answers} == {200}


def test_a_client_that_leaves_while_a_refused_credential_is_renewed_used_nothing(rig: Rig, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("first")
    azure = rig.cloud("azure", status(401))
    auth = Auth(kind="file", settings={"path": str(secret), "sends": "bearer"})
    rig.start(rig.plan([rig.target("azure", azure.port, auth=auth)]))
    secret.unlink()
    os.mkfifo(secret)  # whoever reads it waits for a writer
    with rig.socket() as client:
        client.sendall(request_bytes(chat_body()))
        eventually(lambda: azure.requests)
        writer = os.open(secret, os.O_WRONLY)  # until the secret is being read
    eventually(rig.records)
    os.close(writer)
    (record,) = rig.records()
    assert (record.status, dict(record.units)) == (Status.FAILED, {})


def test_for_a_client_that_left_no_hedge_is_sent_with_a_renewed_credential(rig: Rig, tmp_path: Path) -> None:
    """The first attempt is read to its end; of the second no cloud works out an answer yet."""
    secret, goes_on = tmp_path / "secret", asyncio.Event()
    secret.write_text("first")

    async def slow(connection: Connection, request: Received) -> None:
        await goes_on.wait()
        await well(connection, request)

    async def strict(connection: Connection, request: Received) -> None:
        is_renewed = request.header("authorization") == "Bearer second"
        await (well if is_renewed else status(401))(connection, request)

    azure, aws = rig.cloud("azure", slow), rig.cloud("aws", strict)
    auth = Auth(kind="file", settings={"path": str(secret), "sends": "bearer"})
    rig.start(rig.plan([rig.target("azure", azure.port), rig.target("aws", aws.port, auth=auth)]))
    secret.unlink()
    os.mkfifo(secret)  # whoever reads it waits for a writer
    with rig.socket() as client:
        client.sendall(request_bytes(chat_body(user="left"), "x-clauseway-hedge-ms: 50"))
        eventually(lambda: aws.requests)
        writer = os.open(secret, os.O_WRONLY)  # until the secret is being read
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # it resets
    for _ in range(2):
        rig.counts()  # the gateway answers in the order in which it hears
    renewed = tmp_path / "renewed"
    renewed.write_text("second")
    renewed.replace(secret)
    os.write(writer, b"second")
    os.close(writer)
    answer = rig.exchange(request_bytes(chat_body(), "x-clauseway-cloud: aws", "connection: close"))
    assert answer.startswith(b"HTTP/1.1 200 ")
    azure.loop.call_soon_threadsafe(goes_on.set)
    eventually(lambda: rig.counts()["open"] == 0)
    assert rig.outcomes() == [("aws-1", "FAILED", 401), ("aws-1", "COMPLETE", 200), ("azure-1", "COMPLETE", 200)]
    assert [request.json.get("user") for request in aws.requests].count("left") == 1


def test_a_source_that_gives_nothing_leaves_the_others_to_serve(rig: Rig, tmp_path: Path) -> None:
    azure, aws = rig.cloud("azure"), rig.cloud("aws")
    missing = Auth(kind="file", settings={"path": str(tmp_path / "missing"), "sends": "bearer"})
    rig.start(rig.plan([rig.target("azure", azure.port, auth=missing), rig.target("aws", aws.port)]))
    answer = rig.post()
    assert (answer.status_code, answer.headers["x-clauseway-cloud"]) == (200, "aws")
    assert answer.headers["x-clauseway-attempts"] == "1", "it is skipped, not attempted"
    (tmp_path / "missing").write_text("here it is")
    eventually(lambda: rig.post().headers["x-clauseway-cloud"] == "azure")


@pytest.mark.parametrize("headers", [(), ("x-clauseway-hedge-ms: 50",)], ids=["after a failure", "as a hedge"])
def test_a_further_attempt_that_none_could_make_is_not_taken(
    rig: Rig, tmp_path: Path, headers: tuple[str, ...]
) -> None:
    """Else requests whose other deployments are all skipped use up what others fail over with."""

    async def slow(connection: Connection, request: Received) -> None:
        await asyncio.sleep(0.2 if headers else 0.0)  # four times as long as a hedge waits
        await status(500)(connection, request)

    azure, aws = rig.cloud("azure", slow), rig.cloud("aws")
    missing = Auth(kind="file", settings={"path": str(tmp_path / "missing"), "sends": "bearer"})
    targets = [rig.target("azure", azure.port), rig.target("aws", aws.port, auth=missing)]
    rig.start(rig.plan(targets, settings=Settings(limits=Limits(retries=1))))
    asked = request_bytes(chat_body(), "connection: close", *headers)
    answers = [rig.exchange(asked), rig.exchange(asked), rig.exchange(request_bytes(chat_body(), "connection: close"))]
    assert all(b"aws-1: has no credential at present" in answer for answer in answers)
    assert not any(b"no retries are left" in answer for answer in answers)


def test_what_is_missing_is_the_operators_affair(rig: Rig, tmp_path: Path) -> None:
    azure = rig.cloud("azure")
    missing = Auth(kind="file", settings={"path": str(tmp_path / "missing"), "sends": "bearer"})
    rig.start(rig.plan([rig.target("azure", azure.port, auth=missing)]))
    answer = rig.post()
    assert (answer.status_code, answer.headers["x-should-retry"]) == (503, "false")
    assert "azure-1: has no credential at present" in answer.json()["error"]["message"]
    eventually(lambda: "credential problem" in rig.errors())
    for text in (answer.text, httpx.get(f"{rig.url}/readyz").text):
        assert str(tmp_path) not in text
    assert str(tmp_path) in rig.errors()
    assert azure.connections == 0


def test_a_secret_that_the_plan_names_is_taken_from_where_it_stands(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OF_AZURE", "sk-of-azure")
    azure = rig.cloud("azure")
    auth = Auth(kind="bearer", taken={"secret": "env:OF_AZURE"})
    rig.start(rig.plan([rig.target("azure", azure.port, auth=auth)]))
    assert rig.post().status_code == 200
    assert azure.requests[0].header("authorization") == "Bearer sk-of-azure"
    assert "sk-of-azure" not in (rig.home / "plan.json").read_text()


def test_a_secret_of_the_configuration_is_not_in_the_plan(rig: Rig, tmp_path: Path) -> None:
    path, azure = tmp_path / "plan.json", rig.cloud("azure")
    targets = [
        rig.target("azure", azure.port, auth=Auth(kind="bearer", secret="sk-of-azure")),
        rig.target("aws", 1, auth=Auth(kind="bearer", taken={"secret": "env:HOME"})),
    ]
    write_plan(rig.plan(targets), path)
    secrets = secrets_beside(path)
    assert "sk-of-azure" not in path.read_text()
    assert secrets.stat().st_mode & 0o777 == 0o600
    read = [target.auth.secret for target in read_plan(path).targets]
    assert read == ["sk-of-azure", os.environ["HOME"]]
    secrets.write_text("{}")
    with pytest.raises(InvalidInput, match=r"azure-1\.auth: no secret.*has none of azure-1"):
        read_plan(path)
    write_plan(rig.plan(targets[1:]), path)
    assert not secrets.exists()


def read_plan(path: Path) -> Plan:
    return whole(opening(read_pieces(path), str(path))).plan


@pytest.mark.parametrize("taken", [{"secret": "env:NOT_SET"}, {"secret": "file:/nowhere"}, {"kind": "env:HOME"}])
def test_a_plan_whose_secrets_cannot_be_had_is_refused(rig: Rig, taken: dict[str, str]) -> None:
    plan = rig.plan([rig.target("azure", 1, auth=Auth(kind="bearer", taken=taken))])
    with pytest.raises(InvalidInput, match=r"azure-1\.auth: no "):
        opened(plan)

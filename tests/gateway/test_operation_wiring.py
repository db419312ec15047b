"""The process's joints: credentials that are renewed, and slices of budgets that come from elsewhere."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from gateway_rig import Connection, Received, Rig, eventually, well

from clauseway.gateway.plan import Auth
from clauseway.gateway.routing.opening import opened
from clauseway.values import InvalidInput


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with Rig(tmp_path) as started:
        yield started


def test_a_credential_from_a_file_is_presented_and_fetched_again_when_refused(rig: Rig, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("first")
    taken = ["first"]

    async def strict(connection: Connection, request: Received) -> None:
        if request.header("authorization") == f"Bearer {taken[0]}":
            await well(connection, request)
        else:
            connection.answer(401, b'{"error":{"message":"who are you?"}}')

    azure = rig.cloud("azure", strict)
    auth = Auth(kind="file", settings={"path": str(secret), "sends": "bearer"})
    rig.start(rig.plan([rig.target("azure", azure.port, auth=auth)]))
    assert rig.post().status_code == 200
    taken[0] = "second"
    secret.write_text("second")
    answer = rig.post()
    assert (answer.status_code, answer.headers["x-clauseway-attempts"]) == (200, "1")
    assert [request.header("authorization") for request in azure.requests][-1] == "Bearer second"


def test_a_source_that_gives_nothing_leaves_the_others_to_serve(rig: Rig, tmp_path: Path) -> None:
    azure, aws = rig.cloud("azure"), rig.cloud("aws")
    missing = Auth(kind="file", settings={"path": str(tmp_path / "missing"), "sends": "bearer"})
    rig.start(rig.plan([rig.target("azure", azure.port, auth=missing), rig.target("aws", aws.port)]))
    answer = rig.post()
    assert (answer.status_code, answer.headers["x-clauseway-cloud"]) == (200, "aws")
    assert answer.headers["x-clauseway-attempts"] == "1", "it is skipped, not attempted"
    (tmp_path / "missing").write_text("here it is")
    eventually(lambda: rig.post().headers["x-clauseway-cloud"] == "azure")


def test_what_is_missing_is_the_operators_affair(rig: Rig, tmp_path: Path) -> None:
    azure = rig.cloud("azure")
    missing = Auth(kind="file", settings={"path": str(tmp_path / "missing"), "sends": "bearer"})
    rig.start(rig.plan([rig.target("azure", azure.port, auth=missing)]))
    answer = rig.post()
    assert (answer.status_code, answer.headers["x-should-retry"]) == (503, "false")
    assert "azure-1: has no credential at present" in answer.json()["error"]["message"]
    eventually(lambda: "credential problem" in rig.errors())
    for told in (answer.text, httpx.get(f"{rig.url}/readyz").text):
        assert str(tmp_path) not in told
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


@pytest.mark.parametrize("taken", [{"secret": "env:NOT_SET"}, {"secret": "file:/nowhere"}, {"kind": "env:HOME"}])
def test_a_plan_whose_secrets_cannot_be_had_is_refused(rig: Rig, taken: dict[str, str]) -> None:
    plan = rig.plan([rig.target("azure", 1, auth=Auth(kind="bearer", taken=taken))])
    with pytest.raises(InvalidInput, match=r"azure-1\.auth: no "):
        opened(plan)

"""The process at a glance: what the engineer's screen asks of the control socket, and is filled from."""

from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
import pytest
from gateway_rig import MESSAGES, MODEL, PRODUCT, SECRET, Rig

from clauseway.app.screens.engineer_page import GLANCE, Glance, path_of, percentile_ms, together


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with Rig(tmp_path_factory.mktemp("home")) as rig:
        rig.cloud("azure")
        rig.start()
        assert rig.post().status_code == 200
        assert asked_of_aws(rig).status_code == 403
        yield rig


def asked_of_aws(rig: Rig) -> httpx.Response:
    return httpx.post(
        f"{rig.url}/v1/chat/completions",
        headers={"authorization": f"Bearer {SECRET}", "x-clauseway-cloud": "aws"},
        json={"model": MODEL, "messages": MESSAGES},
        timeout=60,
    )


def told(rig: Rig, address: str) -> bytes:
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(rig.control))) as client:
        return client.get(f"http://gateway{address}").content


def test_it_tells_of_deployments_with_their_terms_and_of_what_was_not_served(rig: Rig) -> None:
    glance = GLANCE.decode(told(rig, "/glance"))
    [deployment] = glance.deployments
    assert (deployment.deployment, deployment.product, deployment.state) == ("azure-1", PRODUCT, "well")
    assert (deployment.requests, deployment.terms) == (1, ("A5.any-cloud",))
    assert percentile_ms(deployment.buckets, 0.99) is not None
    [refusal] = glance.ruled_out
    assert refusal.cloud == "aws"
    [refused] = glance.not_served
    assert refused["status"] == 403
    assert [view["status"] for view in glance.latest] == [403, 200]


def test_several_workers_are_one(rig: Rig) -> None:
    glance = GLANCE.decode(told(rig, "/glance"))
    both = together([glance, glance])
    assert both.requests == 2 * glance.requests
    assert both.statuses == {status: 2 * count for status, count in glance.statuses.items()}
    [deployment] = both.deployments
    assert deployment.requests == 2
    assert len(both.latest) == 4


def test_a_request_is_followed_to_its_end(rig: Rig) -> None:
    glance = GLANCE.decode(told(rig, "/glance"))
    refused, answered = (follow(rig, view) for view in glance.latest)
    assert answered.steps[-1].where == "azure-1 on azure"
    assert answered.steps[-1].said == "answered with 200"
    assert refused.steps[-1].where == "the gateway"
    assert refused.steps[-1].said == glance.not_served[0]["message"]


def follow(rig: Rig, view: dict[str, Any]) -> Any:
    return path_of(msgspec.json.decode(told(rig, f"/request/{view['id']}")))


@pytest.mark.parametrize("named", ["req_", "req_" + "0" * 32, "x", "%3Cb%3E"])
def test_a_request_that_is_not_kept_is_nothing(rig: Rig, named: str) -> None:
    assert told(rig, f"/request/{named}") == b"{}"


def test_where_nothing_ended_there_is_no_time() -> None:
    assert percentile_ms(Glance().buckets, 0.5) is None
    assert percentile_ms([0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 99], 0.99) == 1.024

"""The process at a glance: what the engineer's screen asks of the control socket, and is filled from."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from gateway_rig import MESSAGES, MODEL, PRODUCT, REFUSAL, SECRET, Rig, status
from shared_rig import shared_by

from clauseway.app.opening.library import open_agreement
from clauseway.app.opening.several import each_of
from clauseway.app.screens.clause_places import citations_of
from clauseway.app.screens.engineer_page import REFUSED_AS
from clauseway.app.screens.gateway_glances import GLANCE, Glance, percentile_ms, together
from clauseway.app.screens.request_path import path_of
from clauseway.gateway.plan import Epoch, Route, Unserved
from clauseway.gateway.process.glance import glance, request_named
from clauseway.gateway.request.explanations import RequestExplanation
from clauseway.gateway.request.shared import Shared
from clauseway.gateway.routing.choices import Candidate
from clauseway.gateway.wire import errors
from clauseway.gateway.wire.errors import FORBIDDEN
from clauseway.metering import Buyer, RequestId
from clauseway.web.engineer import CandidateShown
from clauseway.wording.names import Wording
from selection_rig import deployment, plan

WORDS = Wording.of(each_of(open_agreement()))
CITED = citations_of(open_agreement())
CODES = {kind.code for kind in vars(errors).values() if isinstance(kind, errors.ErrorKind)}


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


def test_a_request_that_several_clouds_terms_refuse_is_counted_once(rig: Rig) -> None:
    with Rig(rig.home / "refused") as other:
        other.home.mkdir()
        other.cloud("azure")
        closed = (REFUSAL, msgspec.structs.replace(REFUSAL, cloud="google"))
        route = Route(candidates=(), refusals=closed)
        epoch = Epoch(begin_ns=0, routes={f"openai|{PRODUCT}|direct": route})
        other.start(other.plan(epochs=(epoch,)))
        assert other.post().status_code == 403
        counts, glance = msgspec.json.decode(told(other, "/counts")), GLANCE.decode(told(other, "/glance"))
    assert counts["refused"] == {"aws": 1, "google": 1}
    assert counts["refusals"] == {FORBIDDEN.code: 1}
    assert (counts["requests"], glance.requests, glance.statuses) == (1, 1, {"403": 1})


def test_where_a_deployment_is_missing_no_clause_is_to_blame(rig: Rig) -> None:
    missing = Unserved(cloud="oci", message="On OCI it may be sold.", terms=("A5.any-cloud",))
    with Rig(rig.home / "missing") as other:
        other.home.mkdir()
        other.cloud("azure")
        route = Route(
            candidates=(), refusals=(REFUSAL,), unserved=(missing,), everywhere="On OCI it may be sold. Elsewhere not."
        )
        epoch = Epoch(begin_ns=0, routes={f"openai|{PRODUCT}|direct": route})
        other.start(other.plan(epochs=(epoch,)))
        answers = [other.post(), asked_of_aws(other)]
        glance = GLANCE.decode(told(other, "/glance"))
    anywhere, on_aws = [answer.json()["error"] for answer in answers]
    assert (anywhere["code"], anywhere["message"]) == ("no_deployment", "On OCI it may be sold. Elsewhere not.")
    assert (on_aws["code"], on_aws["message"]) == ("forbidden_by_agreement", REFUSAL.message)
    assert [view["terms"] for view in glance.not_served] == [
        ["A4.azure-exclusive"],
        ["A5.any-cloud", "A4.azure-exclusive"],
    ]


def test_it_tells_why_a_deployment_failed_and_what_room_its_quota_leaves(rig: Rig) -> None:
    aws = rig.target("aws", rig.clouds["azure"].port, quota_requests_per_minute=60, quota_tokens_per_minute=100)
    with Rig(rig.home / "quota") as other:
        other.home.mkdir()
        azure = other.target("azure", other.cloud("failing", status(503)).port)
        # The same deployment serves another product, whose requests have not failed.
        beside = msgspec.structs.replace(
            azure, label=msgspec.structs.replace(azure.label, product="ip.other", model="other")
        )
        other.start(other.plan((azure, aws, beside)))
        answers = [other.post().status_code for _ in range(2)]
        glance = GLANCE.decode(told(other, "/glance"))
    assert answers == [200, 200]
    first, second, other_product = glance.deployments
    assert (first.failures, first.room) == ({"503": 2}, None)
    assert (first.state, first.why[:29]) == ("failing", "2 failures in a row, the last")
    assert (second.failures, second.state, second.why) == ({}, "well", "")
    assert (other_product.deployment, other_product.failures, other_product.state) == ("azure-1", {}, "well")
    assert second.room is not None
    assert (second.room.requests_per_minute, second.room.tokens_per_minute) == (60, 100)
    # A minute drains as much as it takes, so what is left grows again: one request a second, five tokens in three.
    assert 58 <= second.room.requests <= 60
    assert 0 <= second.room.tokens < 100
    two = together([glance, glance]).deployments
    assert two[0].failures == {"503": 4}
    assert two[1].room == msgspec.structs.replace(
        second.room,
        requests=2 * second.room.requests,
        requests_per_minute=120,
        tokens=2 * second.room.tokens,
        tokens_per_minute=200,
    )


def test_several_workers_are_one(rig: Rig) -> None:
    glance = GLANCE.decode(told(rig, "/glance"))
    both = together([glance, glance])
    assert both.requests == 2 * glance.requests
    assert both.statuses == {status: 2 * count for status, count in glance.statuses.items()}
    [deployment] = both.deployments
    assert deployment.requests == 2
    times = [int(view["event_ns"]) for view in both.latest]
    assert times == sorted(times, reverse=True)
    assert len(times) == 4
    assert both.ruled_out == glance.ruled_out != ()


def test_a_request_is_followed_to_its_end(rig: Rig) -> None:
    glance = GLANCE.decode(told(rig, "/glance"))
    refused, answered = (follow(rig, view) for view in glance.latest)
    assert answered.steps[-1].where == "azure-1 on Azure"
    assert answered.steps[-1].said == "answered with 200"
    assert answered.candidates == (
        CandidateShown(
            where="azure-1 on Azure",
            prices=(("input", "2.5"), ("cached input", "2.5"), ("output", "15")),
            answered=True,
        ),
    )
    assert [citation.term for citation in answered.permitted_by] == ["A5.any-cloud"]
    assert (answered.title, refused.title) == ("Served by OpenAI on Azure", f"Refused: chat {MODEL}")
    assert dict(answered.facts)["outcome"] == "permitted"
    assert refused.steps[-1].where == "the gateway"
    assert refused.steps[-1].said == glance.not_served[0]["message"]


def test_every_code_is_counted_in_words() -> None:
    assert CODES - REFUSED_AS.keys() == set()


def follow(rig: Rig, view: dict[str, Any]) -> Any:
    return path_of(WORDS, msgspec.json.decode(told(rig, f"/request/{view['id']}")), CITED)


@pytest.mark.parametrize("named", ["req_", "req_" + "0" * 32, "x", "%3Cb%3E"])
def test_a_request_that_is_not_kept_is_nothing(rig: Rig, named: str) -> None:
    assert told(rig, f"/request/{named}") == b"{}"


def test_where_nothing_ended_there_is_no_time() -> None:
    assert percentile_ms(Glance().buckets, 0.5) is None
    assert percentile_ms([0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 99], 0.99) == 1.024
    assert percentile_ms([0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1], 0.5) == 0.008


def explained(duration_us: int, shared: Shared) -> None:
    """A request that `d` answered is over."""
    candidate = Candidate(shared.tables.targets[0], 1, b"", "d-1", "permitted")
    buyer = Buyer("acme", "research", "key_1", "openai", "any")
    for code in (200, 400):
        explanation = RequestExplanation(
            event_ns=1,
            buyer=buyer,
            operation="chat",
            model="gpt-5.5",
            skipped=(),
            attempted=(),
            status=code,
            message="",
            candidate=candidate,
        )
        shared.counts.finished(explanation, duration_us)
        shared.explanations.keep(shared.next_number(), explanation)


def test_it_tells_of_the_stretch_in_which_the_business_clock_stands(tmp_path: Path) -> None:
    """From its first moment on, and of requests of every outcome; of those of another start nothing."""
    refusals = [msgspec.structs.replace(REFUSAL, cloud=cloud) for cloud in ("aws", "oci")]
    route = plan([deployment("d")]).epochs[0].routes["openai|gpt-5.5|any"]
    epochs = tuple(
        Epoch(begin_ns=begin_ns, routes={"market": msgspec.structs.replace(route, refusals=(refusal,))})
        for begin_ns, refusal in zip((0, 100), refusals, strict=True)
    )

    async def clouds_ruled_out(at_ns: int) -> list[object]:
        async with shared_by(plan([deployment("d")], epochs=epochs), tmp_path) as shared:
            shared.clock = lambda: at_ns
            explained(1000, shared)
            seen = msgspec.convert(glance(shared), dict[str, Any])
            (told_of,) = seen["deployments"]
            assert (sum(seen["buckets"]), sum(told_of["buckets"])) == (2, 2)
            assert seen["statuses"] == {"200": 1, "400": 1}
            assert [view["status"] for view in seen["not_served"]] == [400]
            assert request_named(shared, str(RequestId(shared.boot, 1)))["status"] == 200
            assert request_named(shared, str(RequestId(shared.boot ^ 1, 1))) == {}
            return [ruled_out["cloud"] for ruled_out in seen["ruled_out"]]

    for at_ns, clouds in ((99, ["aws"]), (100, ["oci"])):
        assert asyncio.run(clouds_ruled_out(at_ns)) == clouds

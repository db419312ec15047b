"""Requests that no cloud answered, kept in a file that is bounded: found after the gateway is gone."""

import asyncio
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from gateway_rig import AUTHORIZED, PATIENCE_S, SECRET, Rig, status

from awaiting import eventually
from clauseway.app.opening.home import Home
from clauseway.app.opening.library import open_agreement
from clauseway.app.reports.spend import Spend
from clauseway.app.screens.engineer_page import engineer_page
from clauseway.app.screens.gateway_glances import Glance
from clauseway.app.screens.request_path import path_refused
from clauseway.app.screens.request_rate import RequestRate
from clauseway.gateway.process import refused
from clauseway.gateway.process.refused import RefusedRequests, older
from clauseway.gateway.request.explanations import RequestExplanation, as_json
from clauseway.metering import Buyer
from clauseway.web.engineer import LatestRequest

PROMPT = "the-prompt-nobody-may-read"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home")
    made.logs.mkdir(parents=True)
    return made


def ask(rig: Rig, **members: Any) -> httpx.Response:
    return rig.post(messages=[{"role": "user", "content": PROMPT}], **members)


def test_what_no_cloud_answered_is_found_when_the_gateway_is_gone(rig: Rig, home: Home) -> None:
    file = home.refused_by("gateway")
    cloud = rig.cloud("azure")
    rig.start(None, "--refused", str(file))
    assert ask(rig).status_code == 200
    unknown = ask(rig, model="gpt-none")
    cloud.behaviour = status(500)
    failed = ask(rig)
    assert (unknown.status_code, failed.status_code) == (404, 502)
    eventually(lambda: file.read_bytes().count(b"\n") == 2)
    rig.stop()
    by_unknown = path_refused(home, open_agreement(), unknown.headers["x-clauseway-request-id"])
    assert by_unknown is not None
    assert unknown.json()["error"]["message"] in by_unknown.steps[-1].said
    by_failed = path_refused(home, open_agreement(), failed.headers["x-clauseway-request-id"])
    assert by_failed is not None
    assert (by_failed.steps[0].kind, by_failed.steps[0].where) == ("failed", "azure-1 on Azure")
    assert path_refused(home, open_agreement(), "req_0000000000000000ffffffffffffffff") is None
    kept = file.read_text()
    assert PROMPT not in kept
    assert SECRET not in kept
    assert AUTHORIZED["authorization"].removeprefix("Bearer ") not in kept
    assert file.stat().st_mode & 0o077 == 0


def not_served(home: Home, glance: Glance | None) -> tuple[LatestRequest, ...]:
    """The latest requests that were not served, as the engineer's screen lists them."""
    page = engineer_page(
        home,
        open_agreement(),
        glance,
        RequestRate(),
        spent_today=Spend(Decimal(0), unpriced=0),
        down="",
        gateway_url="http://127.0.0.1/v1",
        snippets=(),
        alerts=(),
    )
    return page.not_served


def test_the_screen_lists_what_the_gateway_refused_before_it_was_started_again(rig: Rig, home: Home) -> None:
    file = home.refused_by("gateway")
    rig.cloud("azure")
    rig.start(None, "--refused", str(file))
    before = ask(rig, model="gpt-none-1")
    rig.stop()
    assert [request.id for request in not_served(home, None)] == [before.headers["x-clauseway-request-id"]]
    rig.start(None, "--refused", str(file))
    after = ask(rig, model="gpt-none-2")
    eventually(lambda: file.read_bytes().count(b"\n") == 2)
    rig.stop()
    # The gateway that runs tells of its own as well: each is listed once, the latest first.
    views = [json.loads(line) for line in file.read_bytes().splitlines()]
    listed = not_served(home, Glance(not_served=(views[1],)))
    assert [request.id for request in listed] == [
        answer.headers["x-clauseway-request-id"] for answer in (after, before)
    ]
    assert [request.asked for request in listed] == ["chat gpt-none-2", "chat gpt-none-1"]
    assert after.json()["error"]["message"] in listed[0].said


def test_the_screen_lists_refusals_that_are_alike_once(rig: Rig, home: Home) -> None:
    file = home.refused_by("gateway")
    rig.cloud("azure")
    rig.start(None, "--refused", str(file))
    first, other, again = (ask(rig, model=model) for model in ("gpt-none-1", "gpt-none-2", "gpt-none-1"))
    eventually(lambda: file.read_bytes().count(b"\n") == 3)
    rig.stop()
    listed = not_served(home, None)
    numbers = [answer.headers["x-clauseway-request-id"] for answer in (first, other, again)]
    assert [request.id for request in listed] == [numbers[2], numbers[1]]
    assert [[number for number, _ in request.alike] for request in listed] == [[numbers[0]], []]


def test_the_screen_lists_no_more_than_the_latest(home: Home) -> None:
    file = home.refused_by("gateway")
    for number in range(700):
        kept = explained("x" * 2_000, event_ns=number)
        line = as_json(f"req_{7:016x}{number:016x}", kept)
        with (older(file) if number < 400 else file).open("ab") as lines:
            lines.write(msgspec.json.encode(line) + b"\n")
    with file.open("ab") as lines:
        lines.write(b'{"id": "req_torn')
    (listed,) = not_served(home, None)
    numbers = [listed.id, *(number for number, _ in listed.alike)]
    assert numbers == [f"req_{7:016x}{number:016x}" for number in range(699, 679, -1)]


def test_without_a_file_nothing_is_kept(rig: Rig, home: Home) -> None:
    rig.cloud("azure")
    rig.start()
    assert ask(rig, model="gpt-none").status_code == 404
    rig.stop()
    assert not list(home.root.rglob("*refused*"))


def explained(message: str, event_ns: int = 1) -> RequestExplanation:
    return RequestExplanation(
        event_ns=event_ns,
        buyer=Buyer("acme", "search", "key_1", "openai", "any"),
        operation="chat",
        model="gpt-5.4",
        skipped=(),
        attempted=(),
        status=429,
        message=message,
    )


async def written(kept: RefusedRequests) -> None:
    """Wait until every line is written: a queue that is full takes no more."""
    lines = kept._lines
    async with asyncio.timeout(PATIENCE_S):
        while lines._written < lines._put:
            await asyncio.sleep(0.005)


def test_a_flood_is_counted_and_not_written(home: Home) -> None:
    file, now_s = home.refused_by("gateway"), [0.0]

    async def flood() -> None:
        kept = RefusedRequests(file, 7, asyncio.get_running_loop(), lambda: now_s[0])
        for second in range(2):
            now_s[0] = float(second)
            for number in range(1_000):
                kept.finished(second * 1_000 + number, explained("Too many requests."), 1, b"")
            await written(kept)
        kept.close()

    asyncio.run(flood())
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert sum(line["event"] == "refused" for line in lines) == 2 * refused.A_SECOND_MAX
    assert sum(line["lines"] for line in lines if line["event"] == "lines dropped") == 2_000 - 400


def test_a_full_file_takes_the_place_of_the_one_before(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refused, "FILE_BYTES_MAX", 20_000)
    file, now_s = home.refused_by("gateway"), [0.0]

    async def many() -> None:
        kept = RefusedRequests(file, 7, asyncio.get_running_loop(), lambda: now_s[0])
        for hundred in range(12):
            now_s[0] = float(hundred)
            for number in range(100):
                kept.finished(hundred * 100 + number, explained("x" * 100), 1, b"")
            await written(kept)
        kept.close()

    asyncio.run(many())
    assert sorted(path.name for path in home.logs.iterdir()) == sorted([file.name, older(file).name])
    assert sum(path.stat().st_size for path in home.logs.iterdir()) < 4 * 60_000
    latest = path_refused(home, open_agreement(), f"req_{7:016x}{1199:016x}")
    assert latest is not None
    assert latest.whose == "acme, project search"


def test_a_file_that_cannot_be_opened_is_told_and_no_reason_to_serve_nothing(rig: Rig, home: Home) -> None:
    rig.cloud("azure")
    rig.start(None, "--refused", str(home.root / "nowhere" / "refused.jsonl"))
    assert ask(rig).status_code == 200
    eventually(lambda: "refused requests not kept" in rig.errors())


def test_a_line_that_was_cut_off_is_no_line(home: Home) -> None:
    whole = {"id": "req_00000000000000070000000000000001"}
    home.refused_by("gateway").write_bytes(msgspec.json.encode(whole)[:-1])
    assert path_refused(home, open_agreement(), whole["id"]) is None

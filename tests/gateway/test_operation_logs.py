"""Log lines of the process: events, requests, and never a secret or a prompt."""

import asyncio
import fcntl
import io
import json
import os
import re
import socket
import stat
import struct
import termios
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from gateway_rig import AUTHORIZED, MODEL, PATIENCE_S, SECRET, Connection, Received, Rig, status, well

from awaiting import eventually
from clauseway.gateway.plan import Auth, Plan, RateLimit
from clauseway.gateway.plan.settings import Log, Settings
from clauseway.gateway.process.logs import LEVELS, AccessLog, LogLine, LogQueue, as_json, as_text, level_of
from clauseway.gateway.request.ended_attempts import EndedAttempt
from clauseway.gateway.request.explanations import RequestExplanation
from clauseway.gateway.routing.choices import SkippedDeployment
from clauseway.metering import Buyer, Unit
from operation_pages import section
from selection_rig import Bench, deployment, plan

PROMPT, ANSWER_WORD = "the-prompt-nobody-may-read", "the-answer-nobody-may-read"


def lines(rig: Rig) -> list[dict[str, Any]]:
    return [json.loads(line) for line in rig.errors().splitlines()]


def events(rig: Rig) -> list[str]:
    return [line["event"] for line in lines(rig)]


def logging(plan: Plan, **members: Any) -> Plan:
    return msgspec.structs.replace(plan, settings=Settings(log=Log(**members)))


def test_a_process_tells_its_life(rig: Rig) -> None:
    rig.cloud("azure")
    rig.start()
    rig.write_plan(msgspec.structs.replace(rig.plan(), models={"another": "api.stateless"}))
    eventually(lambda: "plan reloaded" in rig.errors())
    (rig.home / "plan.json").write_bytes(b"{}")
    eventually(lambda: "plan refused" in rig.errors())
    rig.stop()
    told_here = [event for event in events(rig) if event != "few descriptors"]  # that is the machine's affair
    assert told_here == ["start", "ready", "plan reloaded", "plan refused", "drain", "stopped"]
    result = {line["event"]: line for line in lines(rig)}
    assert [result[event]["level"] for event in ("ready", "plan refused")] == ["info", "error"]
    assert result["ready"]["port"] == rig.port
    assert result["plan reloaded"]["deployments"] == 1
    assert "no readable plan" in result["plan refused"]["problems"][0]


def test_a_model_that_a_later_plan_does_not_have_is_named_in_the_line_of_its_request(rig: Rig) -> None:
    cloud, goes_on = rig.cloud("azure"), asyncio.Event()

    async def answer_later(connection: Connection, request: Received) -> None:
        await goes_on.wait()
        await well(connection, request)

    cloud.behaviour = answer_later
    plan = logging(rig.plan(), access=1.0)
    rig.start(plan)
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(rig.post)
        eventually(lambda: cloud.requests)
        rig.write_plan(msgspec.structs.replace(plan, models={"another": "api.stateless"}))
        eventually(lambda: "plan reloaded" in events(rig))
        cloud.loop.call_soon_threadsafe(goes_on.set)
        assert waiting.result(PATIENCE_S).status_code == 200
    eventually(lambda: "request" in events(rig))
    assert [line["model"] for line in lines(rig) if line["event"] == "request"] == [MODEL]


def test_a_deployment_that_is_ejected_and_comes_back_is_told_once_each(rig: Rig) -> None:
    azure = rig.cloud("azure", status(500))
    rig.cloud("aws")
    rig.start()
    for _ in range(6):
        assert rig.post().status_code == 200
    eventually(lambda: "deployment ejected" in events(rig))
    azure.behaviour = well
    eventually(lambda: rig.post().headers["x-clauseway-cloud"] == "azure")
    eventually(lambda: "deployment back" in events(rig))
    (ejected,) = [line for line in lines(rig) if line["event"] == "deployment ejected"]
    assert ejected["deployment"] == "azure-1"
    assert "failures in a row" in ejected["why"]


def test_credentials_that_fail_are_told_and_so_is_that_they_are_well_again(rig: Rig, tmp_path: Path) -> None:
    azure = rig.cloud("azure")
    missing = Auth(kind="file", settings={"path": str(tmp_path / "missing"), "sends": "bearer"})
    rig.start(rig.plan([rig.target("azure", azure.port, auth=missing)]))
    eventually(lambda: "credential problem" in events(rig))
    assert httpx.get(f"{rig.url}/healthz").status_code == 200
    not_ready = httpx.get(f"{rig.url}/readyz")
    assert (not_ready.status_code, not_ready.json()["error"]["code"]) == (503, "not_ready")
    (tmp_path / "missing").write_text("here it is")
    eventually(lambda: "credential well" in events(rig))
    ready = httpx.get(f"{rig.url}/readyz").json()
    assert (ready["status"], ready["deployments"], ready["agreement"]) == ("ready", 1, "test")


def test_answers_and_readiness_name_the_plan_that_they_were_given_by(rig: Rig) -> None:
    rig.cloud("azure")
    rig.start()

    def named() -> str:
        return str(httpx.get(f"{rig.url}/readyz").json()["plan"])

    first = named()
    assert len(bytes.fromhex(first)) == 8
    refused = httpx.post(f"{rig.url}/v1/chat/completions", json={})
    assert [rig.post().headers["x-clauseway-plan"], refused.headers["x-clauseway-plan"]] == [first] * 2
    rig.write_plan(rig.plan(agreement="another"))
    eventually(lambda: named() != first)
    assert rig.post().headers["x-clauseway-plan"] == named()
    rig.write_plan(rig.plan())
    eventually(lambda: named() == first)  # it names content
    assert [line["digest"] for line in lines(rig) if line["event"] == "ready"] == [first]


def test_settings_that_take_a_restart_are_named(rig: Rig) -> None:
    rig.cloud("azure")
    rig.start()
    rig.write_plan(logging(rig.plan(), form="text", access=1.0))
    eventually(lambda: "restart needed" in events(rig))
    (result,) = [line for line in lines(rig) if line["event"] == "restart needed"]
    assert result["settings"] == ["log.form"]
    rig.post()
    eventually(lambda: "request" in events(rig))  # the access log does not take one
    # A plan with the same settings asks for no other restart.
    rig.write_plan(logging(rig.plan(agreement="another"), form="text", access=1.0))
    eventually(lambda: events(rig).count("plan reloaded") == 2)
    # They are held against what the process runs by, not against the plan before: what is as it was needs none.
    rig.write_plan(logging(rig.plan(), queue=7))
    eventually(lambda: events(rig).count("restart needed") == 2)
    assert [line["settings"] for line in lines(rig) if line["event"] == "restart needed"][1:] == [["log.queue"]]
    rig.write_plan(rig.plan())
    eventually(lambda: events(rig).count("plan reloaded") == 4)
    assert events(rig).count("restart needed") == 2


def test_a_file_of_lines_is_for_its_owner_and_may_be_moved_away(rig: Rig, tmp_path: Path) -> None:
    rig.cloud("azure")
    path = tmp_path / "gateway.log"
    rig.start(logging(rig.plan(), file=str(path), access=1.0, form="text"))
    eventually(lambda: "ready" in path.read_text())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.rename(tmp_path / "gateway.log.1")
    rig.post()
    eventually(lambda: path.exists() and " request  request=req_" in path.read_text())
    assert rig.errors() == ""


def test_limits_and_budgets_that_fall_short_are_told_with_how_often(rig: Rig) -> None:
    rig.cloud("azure")
    plan = rig.plan()
    limit = RateLimit(id="l1", whose="project acme/research", requests_per_minute=2)
    limited = [msgspec.structs.replace(key, limits=(0,)) for key in plan.keys]
    rig.start(msgspec.structs.replace(plan, keys=tuple(limited), limits=(limit,)))
    statuses = [rig.post().status_code for _ in range(5)]
    assert statuses == [200, 200, 429, 429, 429]
    eventually(lambda: sum(line.get("refused", 0) for line in lines(rig)) == 3)
    result = next(line for line in lines(rig) if line["event"] == "limit reached")
    assert (result["kind"], result["whose"]) == ("requests", "project acme/research")


def test_each_request_may_have_a_line(rig: Rig) -> None:
    azure = rig.cloud("azure", status(503))
    rig.cloud("aws")
    rig.start(logging(rig.plan(), access=1.0))
    rig.post()
    azure.behaviour = well
    rig.post(stream=True)
    rig.stop()
    first, second = [line for line in lines(rig) if line["event"] == "request"]
    assert (first["cloud"], first["status"], first["failed"]) == ("aws", 200, ["azure-1 503"])
    assert (second["cloud"], second["deployment"], second["operation"]) == ("azure", "azure-1", "chat")
    assert second["request"].startswith("req_")
    assert second["usage"]["input_tokens"] == 21
    assert (second["organisation"], second["project"], second["key"]) == ("acme", "research", "key-openai")


def test_no_secret_and_no_prompt_is_ever_told(rig: Rig) -> None:
    """Secrets and prompts through everything: served, refused, failed, streamed, malformed, with odd credentials."""

    async def telling(connection: Connection, request: Received) -> None:
        connection.answer(500, f'{{"error":{{"message":"{ANSWER_WORD} {PROMPT} sk-azure"}}}}'.encode())

    async def answering(connection: Connection, request: Received) -> None:
        message = {"role": "assistant", "content": ANSWER_WORD}
        connection.answer(200, json.dumps({"id": "c1", "choices": [{"index": 0, "message": message}]}).encode())

    azure = rig.cloud("azure", telling)
    rig.start(logging(rig.plan(), access=1.0))
    messages = [{"role": "user", "content": PROMPT}]
    for _ in range(7):
        rig.post(messages=messages)
    azure.behaviour = answering
    eventually(lambda: rig.post(messages=messages).status_code == 200)
    rig.post(messages=messages, stream=True, user=PROMPT)
    rig.post(messages=messages, model=PROMPT)
    url = f"{rig.url}/v1/chat/completions"
    httpx.post(url, content=PROMPT.encode(), headers=AUTHORIZED, timeout=PATIENCE_S)
    httpx.post(url, json={"messages": messages}, headers={"authorization": f"Bearer {SECRET}{PROMPT}"})
    httpx.post(f"{url}/{PROMPT}?key={SECRET}", json={}, headers={**AUTHORIZED, "x-clauseway-cloud": PROMPT})
    rig.write_plan(logging(rig.plan([rig.target("azure", azure.port, url=f"ftp://u:{SECRET}@h/")])))
    eventually(lambda: "plan refused" in events(rig))
    rig.stop()
    assert events(rig).count("request") >= 9
    errors = rig.errors()
    for kept in (PROMPT, ANSWER_WORD, SECRET, "sk-azure", rig.plan().hash_key):
        assert kept not in errors


def waiting_in(pipe: int) -> int:
    """Return how many bytes can be read."""
    (count,) = struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))
    return int(count)


def test_lines_that_nobody_takes_are_dropped_and_counted(tmp_path: Path) -> None:
    """A reader that stops reading stops neither the loop nor, later, the rest of the lines."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    assert stat.S_ISFIFO(path.stat().st_mode)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    async def tell() -> tuple[int, bytes]:
        lines = LogQueue(Log(file=str(path), queue=50), asyncio.get_running_loop(), open(os.devnull, "wb"))  # noqa: SIM115
        for number in range(40):
            lines.event("long", number=number, text="x" * 10_000)  # more than a pipe holds
        # The thread that writes has the long lines, and waits for the reader.
        while waiting_in(reader) < fcntl.fcntl(reader, fcntl.F_GETPIPE_SZ):
            await asyncio.sleep(0.01)
        for number in range(40):
            lines.event("short", number=number)
        dropped, taken = lines.dropped, b""
        while b'"lines dropped"' not in taken:
            await asyncio.sleep(0.01)
            try:
                taken += os.read(reader, 1 << 20)
            except BlockingIOError:
                lines.event("again")
        lines.close()
        return dropped, taken

    dropped, taken = asyncio.run(asyncio.wait_for(tell(), PATIENCE_S))
    os.close(reader)
    results = [json.loads(line) for line in taken.splitlines()]
    assert dropped == 30
    assert [line["number"] for line in results if line["event"] == "long"] == list(range(40))
    assert next(line["lines"] for line in results if line["event"] == "lines dropped") >= 30


def test_several_write_one_file_and_follow_it_where_it_was_moved(tmp_path: Path) -> None:
    """Each goes on at the end of the file, whoever wrote there last, and keeps no file that was moved away."""
    path, moved = tmp_path / "log", tmp_path / "log.1"

    async def tell() -> None:
        loop = asyncio.get_running_loop()
        both = [LogQueue(Log(file=str(path), form="json"), loop, io.BytesIO(), f"w-{number}") for number in (1, 2)]
        for number in range(3):
            for lines in both:
                lines.event("turn", number=number)
                lines._hand_over()
                while lines._written < lines._put:
                    await asyncio.sleep(0.001)
            if number == 1:
                path.rename(moved)
        assert not {entry for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink() and same(entry, moved)}
        for lines in both:
            lines.close()

    asyncio.run(asyncio.wait_for(tell(), PATIENCE_S))
    written = [[json.loads(line) for line in file.read_bytes().splitlines()] for file in (moved, path)]
    assert [[(line["worker"], line["number"]) for line in lines] for lines in written] == [
        [("w-1", 0), ("w-2", 0), ("w-1", 1), ("w-2", 1)],
        [("w-1", 2), ("w-2", 2)],
    ]


def same(descriptor: Path, file: Path) -> bool:
    try:
        return os.path.samestat(descriptor.stat(), file.stat())
    except OSError:
        return False  # closed since it was listed


BUYER = Buyer("acme", "research", "key_1", "openai", "direct")
SELECTED = Bench(plan([deployment("d", seller="microsoft"), deployment("e")])).select()
FACTS = {
    "request": f"req_{7:016x}{1:016x}",
    "operation": "chat",
    "model": "gpt-5.5",
    "status": 200,
    "cloud": "azure",
    "deployment": "e",
    "decision": "d-1",
    "failed": ["d 503"],
    "skipped": 1,
    "duration_ms": 12.345,
    "organisation": "acme",
    "project": "research",
    "key": "key_1",
    "usage": {"input_tokens": 21},
}


# Members of a request, whether the plan knows its model, and what its line says other than `FACTS`.
@pytest.mark.parametrize(
    ("members", "knows", "others"),
    [
        ({}, False, {}),
        (
            {"candidate": None, "candidates": ()},
            False,
            {"model": "(unknown)", "cloud": "", "deployment": "", "decision": ""},
        ),
        ({"candidates": ()}, True, {}),
        ({"model": "", "candidates": ()}, False, {"model": ""}),
    ],
)
def test_the_facts_of_a_line_of_a_request(
    members: dict[str, Any], knows: bool, others: dict[str, Any], tmp_path: Path
) -> None:
    skipped = SkippedDeployment("aws", "f", "it lacks tools")
    failed = EndedAttempt("azure", "d", "answered 503", 503, 100, "gpt-5.5", (), 0)
    request: dict[str, Any] = {
        "event_ns": 1,
        "buyer": BUYER,
        "operation": "chat",
        "model": "gpt-5.5",
        "skipped": (skipped,),
        "attempted": (failed,),
        "status": 200,
        "message": "",
        "candidate": SELECTED.candidates[1],
        "candidates": SELECTED.candidates,
        "units": ((Unit.INPUT_TOKENS, 21),),
    }
    log = tmp_path / "log"

    async def tell() -> None:
        lines = LogQueue(Log(file=str(log), form="json"), asyncio.get_running_loop(), io.BytesIO())
        access = AccessLog(lines, 1.0, 7, lambda _: knows)
        access.finished(1, RequestExplanation(**{**request, **members}), 12_345, b"")
        access.share = 0.0
        access.finished(2, RequestExplanation(**request), 12_345, b"")
        lines.close()

    asyncio.run(tell())
    (line,) = map(json.loads, log.read_bytes().splitlines())
    del line["time"]
    assert line == {"event": "request", "level": "info", **FACTS, **others}


def test_many_lines_are_made_a_few_at_a_time() -> None:
    """While a thread makes lines the event loop waits. Each write is one datagram here."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    async def tell() -> None:
        with os.fdopen(os.dup(ours.fileno()), "wb", buffering=0) as error:
            lines = LogQueue(Log(), asyncio.get_running_loop(), error)
            for number in range(100):
                lines.event("request", number=number)
            await asyncio.to_thread(lines.close)

    with ours, theirs:
        theirs.settimeout(PATIENCE_S)
        asyncio.run(asyncio.wait_for(tell(), PATIENCE_S))
        written: list[list[bytes]] = []
        while sum(map(len, written)) < 100:
            written.append(theirs.recv(1 << 20).splitlines())
    assert [json.loads(line)["number"] for batch in written for line in batch] == list(range(100))
    assert max(map(len, written)) <= 32


def test_both_forms() -> None:
    line = LogLine(
        1_763_640_000_123_000_000, "ready", {"port": 8400, "host": "127.0.0.1", "settings": ["a"], "why": ""}
    )
    assert json.loads(as_json(line)) == {
        "time": "2025-11-20T12:00:00.123Z",
        "level": "info",
        "event": "ready",
        "port": 8400,
        "host": "127.0.0.1",
        "settings": ["a"],
        "why": "",
    }
    assert as_text(line) == b'12:00:00.123 ready  port=8400 host=127.0.0.1 settings=["a"] why=""\n'
    dropped = LogLine(line.time_ns, "lines dropped", {"lines": 1})
    assert as_text(dropped) == b"12:00:00.123 warning: lines dropped  lines=1\n"


def test_the_page_has_every_events_level() -> None:
    result = {
        event: level or "info"
        for events in re.findall(r"^\| (`[^|]+) \|", section("Log"), re.MULTILINE)
        for event, level in re.findall(r"`([^`]+)`(?: \((\w+)\))?", events)
    }
    assert result == {event: level_of(event) for event in result}
    assert result.keys() >= {*LEVELS, "ready", "request"}

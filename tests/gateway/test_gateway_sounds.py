"""Sounds that a model said in a chat are named again by the project that heard them, and by no other."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import msgspec
import pytest
from gateway_rig import (
    DONE_EVENT,
    MODEL,
    NAME_THERE,
    PATIENCE_S,
    SECRET,
    USAGE,
    USAGE_EVENT,
    Connection,
    Received,
    Rig,
    chunk_event,
    compact,
    key,
)

RIVAL_SECRET = "sk-test-rival"
CLOUDS = ("azure", "openai")
ALOUD = {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}}
_numbers = itertools.count()


def chunk(index: int, **delta: object) -> bytes:
    return chunk_event([{"index": index, "delta": delta, "finish_reason": None}], id="chat_1")


class Account:
    """A cloud that answers every chat aloud, in two choices: `sound`-0 and `sound`-1."""

    sound = ""

    async def __call__(self, connection: Connection, request: Received) -> None:
        if request.head.startswith(b"GET"):
            connection.answer(200, compact({"object": "list", "data": [], "has_more": False}))
            return
        said = [{"id": f"{self.sound}-{at}", "data": "UklGRg==", "transcript": "Hi"} for at in range(2)]
        if request.json.get("stream"):
            connection.begin_stream()
            connection.piece(chunk(0, role="assistant", content="") + chunk(1, role="assistant", content=""))
            for at in (0, 1, 0):
                connection.piece(chunk(at, audio=said[at]))
            connection.piece(chunk_event([{"index": 0, "delta": {}, "finish_reason": "stop"}], id="chat_1"))
            connection.piece(USAGE_EVENT + DONE_EVENT)
            connection.end_stream()
            return
        messages = [{"role": "assistant", "content": None, "audio": audio} for audio in said]
        choices = [
            {"index": at, "finish_reason": "stop", "message": message}  # one that says nothing hides no other
            for at, message in enumerate([{"role": "assistant", "content": "", "audio": None}, *messages])
        ]
        chat = {"id": "chat_1", "object": "chat.completion", "model": NAME_THERE, "choices": choices, "usage": USAGE}
        connection.answer(200, compact(chat))


class Stage:
    """A gateway before two clouds that serve one model."""

    def __init__(self, rig: Rig, account: Account) -> None:
        self.rig = rig
        self.account = account

    def post(self, body: dict[str, Any] | bytes, secret: str = SECRET, cloud: str = "") -> httpx.Response:
        headers = {"authorization": f"Bearer {secret}"} | ({"x-clauseway-cloud": cloud} if cloud else {})
        content = body if isinstance(body, bytes) else compact(body)
        return httpx.post(f"{self.rig.url}/v1/chat/completions", content=content, headers=headers, timeout=PATIENCE_S)

    def asked(self) -> list[int]:
        return [len(self.rig.clouds[name].requests) for name in CLOUDS]

    def say(self, **more: object) -> str:
        """Have the second cloud say something to the first project. Return its name."""
        self.account.sound = f"audio_{next(_numbers)}"
        said = self.post(asked_again("", **ALOUD, **more), cloud="openai")
        assert said.status_code == 200, said.text
        return self.account.sound


def asked_again(sound: str, **more: object) -> dict[str, Any]:
    named = [{"role": "assistant", "audio": {"id": sound}}] if sound else []
    asked = {"role": "user", "content": "Say it again."}
    return {"model": MODEL, "messages": [asked, *named, asked], **more}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    account, theirs = Account(), msgspec.structs.replace(key(RIVAL_SECRET, "openai"), project="theirs")
    with Rig(tmp_path_factory.mktemp("gateway")) as rig:
        for name in CLOUDS:
            rig.cloud(name, account)
        rig.start(rig.plan(keys=(key(SECRET, "openai"), theirs)))
        yield Stage(rig, account)


@pytest.mark.parametrize("more", [{}, {"stream": True}, {"store": True}, {"store": True, "stream": True}])
def test_what_was_said_is_of_the_project_that_heard_it(stage: Stage, more: dict[str, object]) -> None:
    said = stage.say(**more)
    for name in (f"{said}-0", f"{said}-1"):
        for body in (asked_again(name), asked_again(name, **ALOUD)):
            at_azure, at_openai = stage.asked()
            assert stage.post(body).status_code == 200
            assert stage.asked() == [at_azure, at_openai + 1], "where it lies"
            refused = stage.post(body, RIVAL_SECRET)
            assert (refused.status_code, name in refused.text) == (404, True), refused.text
            assert stage.asked() == [at_azure, at_openai + 1], "nothing of it reached a cloud"


@pytest.mark.parametrize("part", ["audio", "id", "audio_"])
def test_it_is_not_had_by_writing_its_name_otherwise(stage: Stage, part: str) -> None:
    name, asked = f"{stage.say()}-0", stage.asked()
    body = compact(asked_again(name)).replace(b'"' + part.encode(), b'"\\u00%02x' % ord(part[0]) + part[1:].encode())
    assert stage.post(body, RIVAL_SECRET).status_code == 404
    assert stage.asked() == asked, "nothing of it reached a cloud"


@pytest.mark.parametrize(
    "written",
    [
        lambda body: body.replace(b'"audio":{', b'"audio" \r\n\t: \n {'),
        lambda body: body.replace(b'"audio":{', b'"audio" \r\n\t: \n {').replace(b"Say it", b"Say it " * 2000),
        lambda body: body.replace(b'"messages":[', b'"messages":[{"role":"user","content":"' + b"{" * 20 + b'"},'),
        lambda body: body.replace(b'"messages":[', b'"messages":[{"role":"user","content":"' + b"{ " * 2000 + b'"},'),
        lambda body: body.replace(b'"messages":[', b'"messages":[' + b'{"role":"user","content":"Hi"},' * 20),
        lambda body: body.replace(b'"messages":[', b'"messages":[' + b'{"role":"user","content":"Hi"},' * 2000),
    ],
    ids=[
        "white space",
        "in long text",
        "behind braces",
        "behind many braces",
        "behind messages",
        "behind many messages",
    ],
)
def test_it_is_not_had_by_where_it_stands(stage: Stage, written: Callable[[bytes], bytes]) -> None:
    plain = compact(asked_again(f"{stage.say()}-0"))
    asked, body = stage.asked(), written(plain)
    assert body != plain
    assert stage.post(body, RIVAL_SECRET).status_code == 404
    assert stage.asked() == asked, "nothing of it reached a cloud"


@pytest.mark.parametrize("twice", [b'"audio":{"id":"a"},"audio":{"id":"b"}', b'"audio":{"id":"a","id":"b"}'])
def test_a_name_that_stands_twice_is_refused(stage: Stage, twice: bytes) -> None:
    """A cloud could take the other one."""
    asked = stage.asked()
    refused = stage.post(compact(asked_again("a")).replace(b'"audio":{"id":"a"}', twice))
    assert (refused.status_code, "stands more than once" in refused.text) == (400, True), refused.text
    assert stage.asked() == asked


def test_what_nobody_heard_here_is_the_clouds_to_refuse(stage: Stage) -> None:
    """Of before an upgrade, or made elsewhere. No other `audio` is a name: a sound that is sent, a word."""
    stage.say()
    word = asked_again("", metadata={"audio": "audio_1"})
    unnamed = asked_again("", tools=[{"type": "function", "function": {"name": "f", "parameters": {"audio": {}}}}])
    for body in (asked_again("audio_unknown"), word, unnamed):
        assert stage.post(body, RIVAL_SECRET).status_code == 200


def test_what_was_said_is_on_no_list_of_stored_chats(stage: Stage) -> None:
    stage.say()
    listed = httpx.get(f"{stage.rig.url}/v1/chat/completions", headers={"authorization": f"Bearer {SECRET}"})
    assert "audio_" not in listed.text

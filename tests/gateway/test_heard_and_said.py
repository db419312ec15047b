"""Answers that are text or sound, or a file: what they are is told by their head, not by how they begin."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from gateway_rig import AUTHORIZED, MODEL, PATIENCE_S, Connection, Received, Rig

from clauseway.gateway.plan import Prices
from clauseway.gateway.wire.whole_answers import is_announced
from clauseway.metering import Status, Unit

PAGE = b"<html><body>Bad gateway</body></html>"
# operation, content type, body → an answer, whatever it looks like
HEADS: list[tuple[str, str, bytes, bool]] = [
    ("audio.transcriptions", "text/plain; charset=utf-8", b"", True),
    ("audio.transcriptions", "Text/Plain", b"\n", True),
    ("audio.transcriptions", "text/plain", b"<applause>\n", True),
    ("audio.transcriptions", "text/plain", b"{laughs}\n", True),
    ("audio.translations", "text/vtt", b"", True),
    ("audio.translations", "application/x-subrip", b"", True),
    ("audio.transcriptions", "text/plain", b'{"error":{"message":"overloaded"}}', False),
    ("audio.transcriptions", "text/html", PAGE, False),
    ("audio.transcriptions", "application/json", b"", False),
    ("audio.transcriptions", "", b"", False),
    ("audio.speech", "audio/pcm", b"<\x00>\x00", True),
    ("audio.speech", "audio/pcm", b" " * 100, True),
    ("audio.speech", "audio/mpeg", b"", False),
    ("audio.speech", "text/html", PAGE, False),
    ("audio.speech", "application/json", b'{"error":{}}', False),
    ("chat", "text/plain", b"hello", False),
]


@pytest.mark.parametrize(("operation", "content_type", "body", "announced"), HEADS)
def test_a_head_tells_what_a_body_is(operation: str, content_type: str, body: bytes, announced: bool) -> None:
    head = f"x-request-id: up-1\r\nContent-Type:{content_type}\r\n" if content_type else "x-request-id: up-1\r\n"
    assert is_announced(operation, head.encode(), body) is announced


class Answering:
    """A cloud that answers all with the same."""

    def __init__(self) -> None:
        self.content_type, self.body = "", b""

    async def __call__(self, connection: Connection, _: Received) -> None:
        head = f"HTTP/1.1 200 OK\r\ncontent-type: {self.content_type}\r\ncontent-length: {len(self.body)}\r\n\r\n"
        connection.writer.write(head.encode() + self.body)


@pytest.fixture(scope="module")
def answering() -> Answering:
    return Answering()


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory, answering: Answering) -> Iterator[Rig]:
    with Rig(tmp_path_factory.mktemp("heard")) as rig:
        port = rig.cloud("azure", answering).port
        by_time = Prices(begin_ns=0, end_ns=1 << 62, units={int(Unit.AUDIO_INPUT_MILLISECONDS): 100_000})
        rig.start(rig.plan([rig.target("azure", port, prices=(by_time,))]))
        yield rig


def heard(rig: Rig, **fields: str) -> httpx.Response:
    return httpx.post(
        f"{rig.url}/v1/audio/transcriptions",
        data={"model": MODEL, "response_format": "text", **fields},
        files={"file": ("a.wav", b"\0" * 100)},
        headers=AUTHORIZED,
        timeout=PATIENCE_S,
    )


def said(rig: Rig) -> httpx.Response:
    body = {"model": MODEL, "input": "Hello.", "voice": "alloy", "response_format": "pcm"}
    return httpx.post(f"{rig.url}/v1/audio/speech", json=body, headers=AUTHORIZED, timeout=PATIENCE_S)


@pytest.mark.parametrize(
    ("ask", "content_type", "body"),
    [(heard, "text/plain", b"\n"), (said, "audio/pcm", b"<\x00" * 50)],
    ids=["silence", "sound that begins like a page"],
)
def test_silence_is_an_answer_and_so_is_any_sound(
    rig: Rig, answering: Answering, ask: Callable[[Rig], httpx.Response], content_type: str, body: bytes
) -> None:
    """Six times: the fifth ejected the deployment, which had answered well."""
    answering.content_type, answering.body = content_type, body
    for _ in range(6):
        back = ask(rig)
        assert (back.status_code, back.headers["content-type"], back.content) == (200, content_type, body)


EVENTS = b"data: one\n\ndata: two, and no end"


def test_a_file_of_events_is_a_file(rig: Rig, answering: Answering) -> None:
    """It was taken for a stream: cut behind its first event, and followed by an error."""
    answering.content_type, answering.body = "application/json", b'{"id":"file-1","object":"file"}'
    purpose, file = {"purpose": "user_data"}, {"file": ("events.txt", EVENTS)}
    made = httpx.post(f"{rig.url}/v1/files", data=purpose, files=file, headers=AUTHORIZED, timeout=PATIENCE_S)
    assert made.status_code == 200
    answering.content_type, answering.body = "text/event-stream", EVENTS
    back = httpx.get(f"{rig.url}/v1/files/file-1/content", headers=AUTHORIZED, timeout=PATIENCE_S)
    assert (back.status_code, back.headers["content-type"], back.content) == (200, "text/event-stream", EVENTS)


IN_TOKENS = b'{"text":"Hello.","duration":3.5,"usage":{"type":"tokens","input_tokens":40,"output_tokens":2}}'
LIKE_A_CHAT = b'{"text":"Hello.","usage":{"prompt_audio_seconds":3,"prompt_tokens":4,"completion_tokens":2}}'
# A transcription of a form of some 460 bytes → the milliseconds that are charged, and how.
LENGTHS: list[tuple[str, bytes, int, Status]] = [
    ("in detail", b'{"text":"Hello.","duration":3.5}', 3500, Status.COMPLETE),
    ("as text, like vLLM", b'{"text":"Hello.","duration":"3.0004"}', 3001, Status.COMPLETE),
    ("beside its tokens", IN_TOKENS, 3500, Status.COMPLETE),
    ("as a chat, like Mistral", LIKE_A_CHAT, 3000, Status.COMPLETE),
    ("of no recording", b'{"text":"Hello.","duration":-1}', 29, Status.ESTIMATED),
    ("no number", b'{"text":"Hello.","duration":"NaN"}', 29, Status.ESTIMATED),
    ("not in detail", b'{"text":"Hello."}', 29, Status.ESTIMATED),
]


@pytest.mark.parametrize(
    ("body", "charged", "status"), [case[1:] for case in LENGTHS], ids=[case[0] for case in LENGTHS]
)
def test_a_recording_is_charged_by_the_length_that_is_told(
    rig: Rig, answering: Answering, body: bytes, charged: int, status: Status
) -> None:
    """It was charged by its bytes, as if all sound had 128 kbit/s: a fifth of Opus, and WAV twice."""
    answering.content_type, answering.body = "application/json", body
    assert heard(rig).content == body
    record = rig.records()[-1]
    assert (dict(record.units), record.status) == ({Unit.AUDIO_INPUT_MILLISECONDS: charged}, status)


# A stream that ends as OpenAI's do, and as Mistral's.
HEARD_AT_ONCE: list[tuple[bytes, int]] = [
    (b'data: {"type":"transcript.text.done","text":"Hi","usage":{"type":"duration","seconds":2}}\n\n', 2000),
    (b'event: transcription.done\ndata: {"type":"transcription.done",%b\n\n' % LIKE_A_CHAT[1:], 3000),
]


@pytest.mark.parametrize(("last", "charged"), HEARD_AT_ONCE, ids=["OpenAI's", "Mistral's"])
def test_a_stream_is_charged_by_the_length_that_its_end_tells(
    rig: Rig, answering: Answering, last: bytes, charged: int
) -> None:
    """Of Mistral's, its clients heard that it had broken off."""
    answering.content_type = "text/event-stream"
    answering.body = b'data: {"type":"transcript.text.delta","delta":"Hi"}\n\n' + last
    assert heard(rig, stream="true").content == answering.body
    record = rig.records()[-1]
    assert (dict(record.units), record.status) == ({Unit.AUDIO_INPUT_MILLISECONDS: charged}, Status.COMPLETE)


PIECE = b"\x01\x02" * 4000  # ten tokens, as if it had 128 kbit/s


class Speaking:
    """A cloud that says a piece, waits until somebody has heard it, and then goes on or breaks off."""

    def __init__(self, *, breaks_off: bool) -> None:
        self.heard, self.breaks_off = threading.Event(), breaks_off

    async def __call__(self, connection: Connection, _: Received) -> None:
        connection.writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: audio/pcm\r\ntransfer-encoding: chunked\r\n\r\n")
        connection.piece(PIECE)
        await asyncio.to_thread(self.heard.wait, PATIENCE_S)
        if self.breaks_off:
            connection.writer.close()
        else:
            connection.piece(PIECE)
            connection.writer.write(b"0\r\n\r\n")


def listened(rig: Rig, speaking: Speaking) -> bytes:
    """Listen to speech as it comes: the cloud goes on once its first piece was heard, but for the byte held back."""
    body, sound = {"model": MODEL, "input": "Hello.", "voice": "alloy"}, bytearray()
    url = f"{rig.url}/v1/audio/speech"
    with httpx.stream("POST", url, json=body, headers=AUTHORIZED, timeout=PATIENCE_S) as back:
        assert (back.status_code, back.headers["content-type"]) == (200, "audio/pcm")
        for piece in back.iter_raw():
            sound += piece
            if len(sound) >= len(PIECE) - 1:
                speaking.heard.set()
    return bytes(sound)


def test_speech_is_heard_as_it_is_said(tmp_path: Path) -> None:
    """It was kept until it was whole: nothing could be played before all was said."""
    speaking = Speaking(breaks_off=False)
    with Rig(tmp_path) as rig:
        rig.start(rig.plan([rig.target("azure", rig.cloud("azure", speaking).port)]))
        assert listened(rig, speaking) == PIECE * 2
        record = rig.records()[-1]
        assert (dict(record.units)[Unit.OUTPUT_TOKENS], record.status) == (20, Status.ESTIMATED)


def test_speech_that_breaks_off_does_not_end_like_whole_speech(tmp_path: Path) -> None:
    speaking = Speaking(breaks_off=True)
    with Rig(tmp_path) as rig:
        rig.start(rig.plan([rig.target("azure", rig.cloud("azure", speaking).port)]))
        with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):
            listened(rig, speaking)
        record = rig.records()[-1]
        assert (dict(record.units)[Unit.OUTPUT_TOKENS], record.status) == (10, Status.INTERRUPTED_ESTIMATED)

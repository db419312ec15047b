"""The one request and the two answers that the data plane is measured with."""

import json
from collections.abc import Sequence

MODEL, NAME_THERE = "gpt-5.4", "gpt-5.4-2026-03-05"
SECRET = "sk-bench"
_SENTENCE = "The parties agreed that the product may be served from the cloud named in the clause, and from no other. "
_SYSTEM = (
    "You are a careful assistant for contract questions. Answer from the text only. "
    + _SENTENCE * 6
)
_QUESTION = "Which cloud may serve a stateless API call in March? " + _SENTENCE * 5
_ANSWER_BYTES = 771
_EVENTS = 53


def compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def request_body(*, stream: bool) -> bytes:
    """About 1.4 KB, as the official client orders its members."""
    messages = [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": _QUESTION}]
    options = {"stream": True} if stream else {}
    return compact(
        {"messages": messages, "model": MODEL, "max_tokens": 256, "temperature": 0.2, **options}
    )


# A streaming request with this is answered with a first event and then nothing.
HOLD = b'"user":"hold"'
# With one of these the cloud fails: an error, no byte at all, half a head, and half of an answer.
FAIL, DROP, BREAK, CUT = (b'"user":"%b"' % word for word in (b"fail", b"drop", b"break", b"cut"))


def holding_request() -> bytes:
    return _with_head(request_body(stream=True)[:-1] + b"," + HOLD + b"}")


def request(*, stream: bool, headers: Sequence[str] = (), secret: str = SECRET) -> bytes:
    return _with_head(request_body(stream=stream), headers, secret)


def _with_head(body: bytes, headers: Sequence[str] = (), secret: str = SECRET) -> bytes:
    lines = "".join(f"{line}\r\n" for line in headers)
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {secret}\r\n"
        f"content-type: application/json\r\nuser-agent: bench\r\n{lines}content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


_USAGE = {
    "prompt_tokens": 276,
    "completion_tokens": 51,
    "total_tokens": 327,
    "prompt_tokens_details": {"cached_tokens": 128, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
}


def whole_answer() -> bytes:
    """771 bytes of body."""

    def body(content: str) -> bytes:
        message = {"role": "assistant", "content": content, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
        return compact(
            {
                "id": "chatcmpl-bench",
                "object": "chat.completion",
                "created": 1777161600,
                "model": NAME_THERE,
                "choices": [choice],
                "usage": _USAGE,
                "service_tier": "default",
            }
        )

    filled = body("x" * (_ANSWER_BYTES - len(body(""))))
    assert len(filled) == _ANSWER_BYTES
    head = (
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
        b"x-request-id: req_bench\r\nopenai-processing-ms: 12\r\n"
    )
    return (
        head
        + b"x-ratelimit-remaining-requests: 9999\r\ncontent-length: %d\r\n\r\n" % len(filled)
        + filled
    )


FAILURE = (
    b"HTTP/1.1 500 Internal Server Error\r\ncontent-type: application/json\r\ncontent-length: 44\r\n\r\n"
    b'{"error":{"message":"no","code":"scripted"}}'
)
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nx-request-id: req_bench\r\n"
    b"x-accel-buffering: no\r\ntransfer-encoding: chunked\r\n\r\n"
)


def stream_pieces() -> list[bytes]:
    """53 events, each a chunk of its own; the last two are the usage and `[DONE]`."""

    def event(choices: list[object], usage: object) -> bytes:
        return b"data: %b\n\n" % compact(
            {
                "id": "chatcmpl-bench",
                "object": "chat.completion.chunk",
                "created": 1777161600,
                "model": NAME_THERE,
                "service_tier": "default",
                "choices": choices,
                "usage": usage,
            }
        )

    words = [
        {"role": "assistant", "content": ""},
        *({"content": f" word{n}"} for n in range(_EVENTS - 4)),
        {},
    ]
    events = [
        event(
            [
                {
                    "index": 0,
                    "delta": delta,
                    "logprobs": None,
                    "finish_reason": None if delta else "stop",
                }
            ],
            None,
        )
        for delta in words
    ]
    events += [event([], _USAGE), b"data: [DONE]\n\n"]
    assert len(events) == _EVENTS
    return [b"%x\r\n%b\r\n" % (len(event), event) for event in events]

"""Exchanges that other projects recorded with OpenAI and servers that speak its format: read, and their usage told by
plain JSON, apart from the gateway's own readers."""

import base64
import gzip
import json
import re
from pathlib import Path
from typing import Any, NamedTuple

FILE = Path(__file__).with_name("recordings") / "openai_recordings.jsonl.gz"
# The roots of the servers that were asked: what follows them is OpenAI's path.
_ROOT = re.compile(r"^(<[A-Z_]+>|/api/v1|/openai/v1|/v1|/models(?=/chat))?")
_MODEL_FIELD = re.compile(rb'name="model"\r\n(?:[^\r\n]+\r\n)*\r\n([^\r\n]+)')
# OpenAI's, where a request names none.
_DEFAULTS = {
    "/moderations": "omni-moderation-latest",
    "/images/generations": "dall-e-2",
    "/images/edits": "gpt-image-1.5",
    "/images/variations": "dall-e-2",
}
IDENTIFIER = re.compile(r"/(files|batches|responses)/([A-Za-z0-9_-]+)")


class Exchange(NamedTuple):
    """One request and its answer. `path` is OpenAI's, without `/v1`."""

    source: str
    method: str
    path: str
    content_type: str
    body: bytes
    status: int
    answer_type: str
    answer: bytes

    @property
    def asked(self) -> dict[str, Any]:
        """The request as JSON; empty where it is none."""
        try:
            asked = json.loads(self.body)
        except ValueError:
            return {}
        return asked if isinstance(asked, dict) else {}

    @property
    def model(self) -> str:
        """The model that is asked for; empty where none is."""
        field = _MODEL_FIELD.search(self.body)
        named: str = field[1].decode() if field else self.asked.get("model") or ""
        return named or _DEFAULTS.get(self.path, "")

    @property
    def streamed(self) -> bool:
        return self.answer_type.startswith("text/event-stream")

    @property
    def metered(self) -> tuple[int, int] | None:
        """Input and output tokens, as the answer reports them; None where it does not."""
        if self.streamed:
            reports = [usage_of(event) for event in self._events]
            return next((report for report in reversed(reports) if report is not None), None)
        try:
            return usage_of(json.loads(self.answer))
        except ValueError:
            return None

    @property
    def searches(self) -> int:
        """How often the cloud searched the web, as the answer reports it."""
        return max(map(searches_of, self._events)) if self.streamed else searches_of(json.loads(self.answer))

    @property
    def _events(self) -> list[Any]:
        results = [line[5:].strip() for line in self.answer.splitlines() if line.startswith(b"data:")]
        return [json.loads(data) for data in results if data != b"[DONE]"]


def usage_of(result: Any) -> tuple[int, int] | None:
    """Input and output tokens of an answer or an event."""
    if not isinstance(result, dict):
        return None
    usage = result.get("usage") or (result.get("response") or {}).get("usage")
    if not isinstance(usage, dict):
        return None
    names = ("prompt_tokens", "completion_tokens") if "prompt_tokens" in usage else ("input_tokens", "output_tokens")
    return (usage[names[0]], usage.get(names[1]) or 0) if names[0] in usage else None


def searches_of(result: Any) -> int:
    """How often the cloud searched the web for an answer or an event."""
    response = result.get("response") or result if isinstance(result, dict) else {}
    usage = response.get("usage") or {}
    chatted = usage.get("server_tool_use") or usage.get("server_tool_use_details")
    if chatted:
        return int(chatted.get("web_search_requests") or 0)
    tools = response.get("tool_usage")
    if tools is None:
        output = response.get("output") if isinstance(response, dict) else None
        calls = [item for item in output or () if isinstance(item, dict) and item.get("type") == "web_search_call"]
        return sum((call.get("action") or {"type": "search"})["type"] == "search" for call in calls)
    return int((tools.get("web_search") or {}).get("num_requests") or 0)


def exchanges() -> list[Exchange]:
    with gzip.open(FILE) as lines:
        return [_exchange(json.loads(line)) for line in lines]


def _exchange(row: dict[str, Any]) -> Exchange:
    sent = {name.lower(): value for name, value in row["request_headers"]}
    answered = {name.lower(): value for name, value in row["response_headers"]}
    query = f"?{row['query']}" if row["query"] else ""
    return Exchange(
        source=row["source"],
        method=row["method"],
        path=_ROOT.sub("", row["path"], count=1) + query,
        content_type=sent.get("content-type", ""),
        body=_bytes(row["request"]),
        status=row["status"],
        answer_type=answered.get("content-type", ""),
        answer=_decoded(_bytes(row["response"]), answered.get("content-encoding", "")),
    )


def _decoded(body: bytes, encoding: str) -> bytes:
    """A body as a server sends it to whoever asks for no coding, as the gateway does."""
    return gzip.decompress(body) if encoding == "gzip" else body


def _bytes(body: dict[str, str]) -> bytes:
    return base64.b64decode(body["base64"]) if "base64" in body else body["text"].encode()

"""Errors in the shape of Anthropic's Messages format, for clients that speak it: our own, and those
of clouds that word them otherwise. Pure."""

from typing import Final

import msgspec

from clauseway.gateway.wire.error_bodies import members_in

_TYPES: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}


# By the member that is not offered: the word of the vendor's own that has its clients send the
# request again without the member.
_DETAILS: Final = {"thread": "thread_unsupported_request"}


_SHOWN_BYTES_MAX: Final = 1000
_REQUEST_ID: Final = b"\r\nrequest-id: "


def in_message_shape(status: int, body: bytes, request_id: str = "") -> bytes:
    """Return an error's body as clients of the Messages format read it; one that is in its shape
    already stays as it is. Where a body has no sentence, the body itself is the message; where there
    is none, the status is.
    `request_id` is whoever answered's name of the request; empty where it has none."""
    members = members_in(body)
    error = members.get("error")
    if members.get("type") == "error" and isinstance(error, dict):
        return body
    # OpenAI's shape and Google's; AWS's has the message alone.
    fields = error if isinstance(error, dict) else {}
    message = fields.get("message") or error or members.get("message")
    if not isinstance(message, str):
        shown = body[:_SHOWN_BYTES_MAX].decode("utf-8", "replace")
        message = shown if shown.strip() else f"The cloud answered HTTP {status} without a word."
    return error_message(status, message, _word(fields, "code"), _word(fields, "param"), request_id)


def _word(fields: dict[str, object], name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""


def error_message(
    status: int, message: str, code: str = "", param: str = "", request_id: str = ""
) -> bytes:
    """Return an error's body. `code` is our own word, beside the members that the format has;
    `param` is the member at fault, where it is one, and `request_id` the request's name."""
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")
    error: dict[str, object] = {"type": kind, "message": message}
    if code:
        error["code"] = code
    if code == "not_offered" and param in _DETAILS:
        error["details"] = {"error_code": _DETAILS[param]}
    named = {"request_id": request_id} if request_id else {}
    return msgspec.json.encode({"type": "error", "error": error, **named})


def answer_in_message_shape(answer: bytes) -> bytes:
    """Return a whole HTTP answer of the gateway's own with its error in that shape, and the
    request's name where Anthropic's clients look for it: in a header, and in the body."""
    head, _, body = answer.partition(b"\r\n\r\n")
    status = int(head[9:12])
    if status < 400 or not body:
        return answer
    head = head.replace(b"\r\nx-request-id: ", _REQUEST_ID)
    request_id = head.partition(_REQUEST_ID)[2].partition(b"\r\n")[0].decode()
    shaped = in_message_shape(status, body, request_id)
    lines = [line for line in head.split(b"\r\n") if not line.startswith(b"content-length:")]
    return b"%b\r\ncontent-length: %d\r\n\r\n%b" % (b"\r\n".join(lines), len(shaped), shaped)

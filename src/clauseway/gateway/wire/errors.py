"""The errors that the gateway answers itself, in OpenAI's error shape.

OpenAI's clients retry by themselves unless an answer says `x-should-retry: false`
(`should_retry`). Most errors say so: the gateway has already retried at other deployments, or
another try would be refused for the same reason.
"""

import re
from functools import lru_cache
from http import HTTPStatus
from math import ceil
from typing import Final, NamedTuple

import msgspec

from clauseway.gateway.budgets.allowances import Shortage
from clauseway.gateway.transport.timers import TICK_S

# The longest wait after which a client is told to retry by itself.
PATIENCE_S: Final = 30.0
# `retry-after` while the lease server cannot be reached. The gateway asks it again after a second.
_LEASE_SERVER_RETRY_S: Final = 2
# `retry-after` while dead processes hold the amount. Journals are sealed four times a minute.
_DEAD_PROCESS_RETRY_S: Final = 15
# `retry-after` while other processes hold it. An idle one reports within so long, and gives it back.
_REVOKING_RETRY_S: Final = 7
PHRASES: Final = {status.value: status.phrase.encode() for status in HTTPStatus}


class ErrorKind(NamedTuple):
    """A kind of error: HTTP status, OpenAI's `type` and `code`, and whether a client may try
    again.

    Refusals are counted by `code`. With `shows_code` false, clients read null in its place, as
    OpenAI writes it.
    """

    status: int
    type: str
    code: str
    should_retry: bool = False
    shows_code: bool = True

    @property
    def shown_code(self) -> str | None:
        """Return the code that clients read."""
        return self.code if self.shows_code else None


MALFORMED_HTTP: Final = ErrorKind(400, "invalid_request_error", "malformed_http")
MALFORMED_BODY: Final = ErrorKind(400, "invalid_request_error", "invalid_body")
MALFORMED_QUERY: Final = ErrorKind(400, "invalid_request_error", "invalid_query")
UNKNOWN_CLOUD: Final = ErrorKind(400, "invalid_request_error", "unknown_cloud")
NO_KEY: Final = ErrorKind(401, "invalid_request_error", "invalid_api_key")
FORBIDDEN: Final = ErrorKind(403, "permission_error", "forbidden_by_agreement")
NO_DEPLOYMENT: Final = ErrorKind(404, "invalid_request_error", "no_deployment")
UNKNOWN_PATH: Final = ErrorKind(404, "invalid_request_error", "unknown_url")
UNKNOWN_MODEL: Final = ErrorKind(404, "invalid_request_error", "model_not_found")
WRONG_METHOD: Final = ErrorKind(405, "invalid_request_error", "method_not_allowed")
SLOW_CLIENT: Final = ErrorKind(408, "invalid_request_error", "request_timeout", should_retry=True)
NOT_ALLOWED: Final = ErrorKind(403, "permission_error", "role_not_permitted")
NO_SUCH_OBJECT: Final = ErrorKind(404, "invalid_request_error", "not_found")
# For files, conversations and items: OpenAI's errors about them have no code.
NO_SUCH_OBJECT_AT_OPENAI: Final = NO_SUCH_OBJECT._replace(shows_code=False)
NO_PREVIOUS_RESPONSE: Final = ErrorKind(400, "invalid_request_error", "previous_response_not_found")
NOT_OFFERED: Final = ErrorKind(400, "invalid_request_error", "not_offered")
NOT_IMPLEMENTED: Final = ErrorKind(501, "invalid_request_error", "not_offered")
MISSING_MODEL: Final = ErrorKind(400, "invalid_request_error", "missing_required_parameter")
UNSUPPORTED: Final = ErrorKind(400, "invalid_request_error", "unsupported_by_every_deployment")
# OpenAI's code, by which clients shorten a conversation and ask again.
PROMPT_TOO_LONG: Final = ErrorKind(400, "invalid_request_error", "context_length_exceeded")
LIMITED: Final = ErrorKind(429, "rate_limit_error", "rate_limit_exceeded")
# OpenAI's code for an account without money, by which clients give up; they repeat any other 429.
OVER_BUDGET: Final = ErrorKind(429, "insufficient_quota", "insufficient_quota")
BODY_TOO_LARGE: Final = ErrorKind(413, "invalid_request_error", "body_too_large")
EXPECTATION: Final = ErrorKind(417, "invalid_request_error", "expectation_failed")
CLOUDS_BUSY: Final = ErrorKind(429, "rate_limit_error", "rate_limit_exceeded")
HEAD_TOO_LARGE: Final = ErrorKind(431, "invalid_request_error", "head_too_large")
INTERNAL: Final = ErrorKind(500, "server_error", "internal_error")
CLOUDS_FAILED: Final = ErrorKind(502, "server_error", "clouds_failed")
CLOUDS_UNAVAILABLE: Final = ErrorKind(503, "server_error", "clouds_unavailable")
JOURNAL_FAILED: Final = ErrorKind(503, "server_error", "journal_failed")
JOURNAL_FULL: Final = ErrorKind(503, "server_error", "journal_full", should_retry=True)
JOURNAL_UNCOPIED: Final = ErrorKind(503, "server_error", "journal_copy_missing", should_retry=True)
BUDGET_UNKNOWN: Final = ErrorKind(503, "server_error", "budget_unavailable", should_retry=True)
LIMIT_UNKNOWN: Final = ErrorKind(503, "server_error", "limit_unavailable", should_retry=True)
TOO_MANY_CONNECTIONS: Final = ErrorKind(
    503, "server_error", "too_many_connections", should_retry=True
)
TOO_MANY_OF_ONE: Final = ErrorKind(
    429, "rate_limit_error", "too_many_connections", should_retry=True
)
KEY_IN_FLIGHT: Final = ErrorKind(429, "rate_limit_error", "too_many_bytes", should_retry=True)
TOO_MANY_FRAMES: Final = ErrorKind(429, "rate_limit_error", "too_many_frames", should_retry=True)
TOO_MUCH_IN_FLIGHT: Final = ErrorKind(503, "server_error", "too_many_bytes", should_retry=True)
USAGE_UNKNOWN: Final = ErrorKind(503, "server_error", "usage_unavailable", should_retry=True)
OBJECTS_UNKNOWN: Final = ErrorKind(503, "server_error", "objects_unavailable", should_retry=True)
DATABASE_AWAY: Final = ErrorKind(503, "server_error", "database_away", should_retry=True)
CHANGED: Final = ErrorKind(503, "server_error", "changed_meanwhile", should_retry=True)
NOT_READY: Final = ErrorKind(503, "server_error", "not_ready", should_retry=True)
STOPPING: Final = ErrorKind(503, "server_error", "stopping", should_retry=True)
DEADLINE: Final = ErrorKind(504, "server_error", "deadline_exceeded")
STREAM_BROKEN: Final = ErrorKind(502, "server_error", "stream_interrupted")

# Names of our accounts, as the clouds write them in errors, and the text that the client reads in
# their place. Errors quote what clients write, at any length: each pattern reads a text once.
_OUR_NAMES: Final = (
    # OpenAI, and servers that speak its format: organisation, project, key.
    (re.compile(rb"\b(org|proj|sk)[-_][A-Za-z0-9_*-]{6,}"), rb"\1-***"),
    # xAI: the team, the key.
    (re.compile(rb"\bTeam: [\w-]+, API key ID: [\w-]+"), b"Team: ***, API key ID: ***"),
    # Google: the project, with which the name of a resource begins.
    (re.compile(rb"\bprojects/[A-Za-z0-9:._-]+(?=/)"), b"projects/***"),
    (
        re.compile(rb"\bproject( #|=| number | (?=[0-9]{6}))[A-Za-z0-9:._-]*[A-Za-z0-9]"),
        rb"project\1***",
    ),
    # AWS: the number of the account, and what follows it.
    (re.compile(rb"\barn:aws[a-z-]*:[a-z0-9-]+:[a-z0-9-]*:[0-9]{12}(:[\w:/.-]*\w)?"), b"arn:***"),
    (re.compile(rb"\b([Aa]ccount:? )[0-9]{12}\b"), rb"\1***"),
    # Azure: the resource, the subscription.
    (
        re.compile(
            rb"(?<![a-z0-9-])[a-z0-9-]++(\.(?:openai|cognitiveservices|services\.ai)\.azure\.com)\b",
            re.IGNORECASE,
        ),
        rb"***\1",
    ),
    (
        re.compile(
            rb"\b(subscriptions?[ /:='`]{1,3})[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.I
        ),
        rb"\1***",
    ),
    # Oracle: whatever has an identifier of its cloud.
    (re.compile(rb"\bocid1\.[a-z0-9]+\.[\w.-]*\w"), b"ocid1.***"),
)
_ACCOUNTS_MAX: Final = 256  # how many accounts' compiled patterns are kept

# The message for a fault of our own. Only the operator's log has the details.
OWN_FAULT: Final = "The gateway failed at this request; its log says why."


# An `error` that says nothing, as some servers write it beside an answer: OpenAI's clients raise on
# none of them.
_NO_ERROR: Final = frozenset((b"", b"null", b"false", b'""', b"{}", b"[]"))


def reports_error(member: msgspec.Raw) -> bool:
    """Return whether the member `error` of an answer or event, as it is written, reports one."""
    return bytes(member) not in _NO_ERROR


def error_object(kind: ErrorKind, message: str, param: str | None = None) -> bytes:
    """Return `{"error": {...}}` with the four members that OpenAI's clients read."""
    return msgspec.json.encode({"error": error_members(kind, message, param)})


def error_members(kind: ErrorKind, message: str, param: str | None = None) -> dict[str, str | None]:
    """Return the four members of an error that OpenAI's clients read."""
    return {"message": message, "type": kind.type, "param": param, "code": kind.shown_code}


def without_our_names(error: bytes, names: tuple[str, ...] = ()) -> bytes:
    """Return a cloud's error without the names of our account: those in a known shape
    (`_OUR_NAMES`), and `names`."""
    for shape, instead in _OUR_NAMES:
        error = shape.sub(instead, error)
    return _pattern_of(names).sub(b"***", error) if names else error


@lru_cache(_ACCOUNTS_MAX)
def _pattern_of(names: tuple[str, ...]) -> re.Pattern[bytes]:
    """Return a pattern that matches any of these names as a whole word, the longest first."""
    longest_first = sorted(names, key=len, reverse=True)
    either = b"|".join([re.escape(name.encode()) for name in longest_first])
    return re.compile(rb"(?<![\w.-])(?:%b)(?![\w-])" % either)


def error_event(kind: ErrorKind, message: str) -> bytes:
    """Return an error as an event of a stream: an object with `error` makes OpenAI's clients
    raise."""
    return b"data: %b\n\n" % error_object(kind, message)


def error_response(
    kind: ErrorKind,
    message: str,
    *,
    param: str | None = None,
    headers: bytes = b"",
    close: bool = False,
) -> bytes:
    """Return a whole HTTP answer. `headers` are complete lines."""
    body = error_object(kind, message, param)
    return response(kind.status, body, headers + _retry_header(kind), close=close)


def shortage_kind(shortage: Shortage) -> ErrorKind:
    if shortage.is_unknown:
        return BUDGET_UNKNOWN if shortage.kind == "budget" else LIMIT_UNKNOWN
    return OVER_BUDGET if shortage.kind == "budget" else LIMITED


def shortage_response(shortage: Shortage, headers: bytes = b"") -> bytes:
    """Return the answer when a limit or a budget is used up, or nobody can say now what is left.

    The message has the figures. If waiting helps, headers say for how long.
    """
    kind = shortage_kind(shortage)
    if shortage.is_unknown:
        lines = headers + b"retry-after: %d\r\n" % _retry_s(shortage)
        return error_response(kind, shortage.message, headers=lines)
    wait_s = shortage.retry_after_s
    lines = headers + wait_lines(wait_s) if wait_s else headers
    again = kind is LIMITED and 0 < wait_s <= PATIENCE_S
    return error_response(kind._replace(should_retry=again), shortage.message, headers=lines)


def _retry_s(shortage: Shortage) -> int:
    """Return in how many seconds it may be known what is left."""
    if shortage.revoking:
        return _REVOKING_RETRY_S
    return _DEAD_PROCESS_RETRY_S if shortage.unread else _LEASE_SERVER_RETRY_S


def wait_lines(wait_s: float) -> bytes:
    """Return header lines that say how long a client waits before it asks again.

    They add a tick, by which the gateway's clock may be behind: a client that came again before the
    clock moved would be refused again.
    """
    ticked_s = wait_s + TICK_S
    # Whole seconds, rounded up (RFC 9110, 10.2.3); OpenAI's clients prefer the milliseconds.
    return b"retry-after: %d\r\nretry-after-ms: %d\r\n" % (ceil(ticked_s), ceil(ticked_s * 1000))


def _retry_header(kind: ErrorKind) -> bytes:
    return b"x-should-retry: true\r\n" if kind.should_retry else b"x-should-retry: false\r\n"


def response(status: int, body: bytes, headers: bytes = b"", *, close: bool = False) -> bytes:
    """Return a whole HTTP answer with a JSON body. It holds for its key and for this moment: no
    cache between may keep it, whichever header the key came in."""
    return (
        b"HTTP/1.1 %d %b\r\ncontent-type: application/json\r\ncache-control: no-store\r\n%b%b"
        b"content-length: %d\r\n\r\n%b"
        % (
            status,
            PHRASES[status],
            headers,
            b"connection: close\r\n" if close else b"",
            len(body),
            body,
        )
    )

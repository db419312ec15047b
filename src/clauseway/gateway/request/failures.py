"""The meaning of a cloud's refusal: may another deployment do better, and when can this one be
asked again? Pure.

Conditions of one deployment at one moment (busy, quota spent, our credential refused, no such
deployment there, server errors, redirects: nobody signed for those) send the request elsewhere; any
other status is the cloud's word and is passed on as it is.
"""

import re
from email.utils import parsedate_to_datetime
from typing import NamedTuple

import msgspec

_ELSEWHERE = frozenset((401, 403, 408, 409, 429))
# Money or quota is spent: a minute will not change that, but an operator may.
_SPENT = frozenset(
    {
        "insufficient_quota",
        "credit_balance_exhausted",
        "organization_spend_limit_exceeded",
        "project_spend_limit_exceeded",
        "billing_hard_limit_reached",
        "billing_not_active",
    }
)
_SPENT_S = 60.0
_NUMBER = re.compile(
    r"[0-9]{1,9}(\.[0-9]{0,9})?"
)  # not all that `float` reads: no infinity, nothing negative
_BUSY_S = 1.0  # where a 429 does not say when to come again


class Failure(NamedTuple):
    """Why an attempt brought nothing. `wait_s` is how long the deployment wants to be left alone; 0
    says nothing."""

    outcome: str
    status: int = 0
    wait_s: float = 0.0


class _Error(msgspec.Struct, frozen=True, gc=False):
    code: str | int | None = None
    type: str | None = None


class _Body(msgspec.Struct, frozen=True, gc=False):
    error: _Error | None = None


_decode = msgspec.json.Decoder(_Body).decode


def is_failure(status: int, *, follows: bool) -> bool:
    """Return whether a status sends the request elsewhere. `follows`: it asks for what lies on that
    account, so not found and conflict are answers."""
    if status >= 500 or 300 <= status < 400:
        return True
    if status in (404, 409):
        return not follows
    return status in _ELSEWHERE


def failure_of(status: int, head: list[bytes], body: bytes, now_s: float) -> Failure:
    """`head` holds name, `: `, value, line end of each header; `now_s` is seconds since 1970."""
    code = _code_in(body)
    outcome = f"answered {status}" + (f" ({code})" if code else "")
    if code in _SPENT:
        return Failure(outcome, status, _SPENT_S)
    wait_s = retry_after_s(head, now_s)
    if status == 429:
        return Failure(outcome, status, wait_s or _BUSY_S)
    return Failure(outcome, status, wait_s if status == 503 else 0.0)


def retry_after_s(head: list[bytes], now_s: float) -> float:
    """When to come again, in seconds from now: `retry-after-ms`, else `retry-after` (seconds or a
    date); 0 unsaid."""
    said = {name.lower(): value for name, value in zip(head[::4], head[2::4], strict=False)}
    for name, unit_s in ((b"retry-after-ms", 0.001), (b"retry-after", 1.0)):
        value = said.get(name, b"").decode("latin-1")
        if _NUMBER.fullmatch(value):
            return float(value) * unit_s
    try:
        return max(
            parsedate_to_datetime(said.get(b"retry-after", b"").decode("latin-1")).timestamp()
            - now_s,
            0.0,
        )
    except (ValueError, TypeError, OverflowError):
        return 0.0


def retry_lines(head: list[bytes]) -> bytes:
    """The header lines of a 429 that tell a client when to come again."""
    lines = zip(head[::4], head[2::4], strict=False)
    return b"".join(
        b"%b: %b\r\n" % (name, value)
        for name, value in lines
        if name.lower().startswith((b"retry-after", b"x-ratelimit-"))
    )


def _code_in(body: bytes) -> str:
    try:
        error = _decode(body).error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    if error is None:
        return ""
    if error.type in _SPENT:
        return error.type or ""
    return str(error.code) if error.code is not None else ""

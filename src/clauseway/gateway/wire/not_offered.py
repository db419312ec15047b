"""Paths of OpenAI's API and Anthropic's that are not offered here, each with its reason: one visible table.

A client that asks for one hears so (501), apart from a path that nobody has (404): the first is not
mended by another spelling.
"""

import re
from collections.abc import Mapping
from typing import Final

_SESSIONS: Final = (
    "a session over WebSocket or WebRTC has no single request that could be decided, bounded by a "
    "budget and recorded; use /v1/responses or /v1/audio"
)
_ACCOUNT: Final = (
    "it is the account's own affair, and all customers here share accounts; ask whoever runs the "
    "gateway"
)
_AGENTS: Final = (
    "agents and their threads live and work at one vendor alone, and what they use is reported to no "
    "request; use /v1/responses"
)
_RENTED: Final = (
    "it is paid by the day or the hour whether or not it is asked for, and no answer reports that; "
    "keep it outside and send what was found there"
)
_WITHOUT_PRICE: Final = "no price book here has a price for it, and what has no price is not sold"
NOT_OFFERED: Final[Mapping[str, str]] = {
    "/agents": _AGENTS,
    "/assistants": _AGENTS,
    "/threads": _AGENTS,
    "/chatkit": _AGENTS,
    "/vaults": _AGENTS,
    "/skills": _AGENTS,
    "/realtime": _SESSIONS,
    "/live": _SESSIONS,
    "/vector_stores": _RENTED,
    "/containers": _RENTED,
    "/uploads": "a file is read and decided as a whole; POST /v1/files takes it in one request",
    "/messages/batches": (
        "batches are read and decided line by line in OpenAI's format alone; send messages one by one"
    ),
    "/videos": _WITHOUT_PRICE,
    "/audio/voices": _WITHOUT_PRICE,
    "/audio/voice_consents": _WITHOUT_PRICE,
    "/content_provenance_checks": _WITHOUT_PRICE,
    "/decisions": _WITHOUT_PRICE,
    "/evals": _ACCOUNT,
    "/fine_tuning": _ACCOUNT,
    "/organization": _ACCOUNT,
    "/projects": _ACCOUNT,
    "/safety": _ACCOUNT,
    "/webhook_endpoints": _ACCOUNT,
    "/webhook_event_types": _ACCOUNT,
    # Reading models is offered, and answered by the gateway itself.
    "DELETE /models": _ACCOUNT,
}


def _pattern(name: str) -> re.Pattern[str]:
    """Return what a request's method and path are held against; a name without a method is of all
    methods."""
    method, _, path = name.rpartition(" ")
    return re.compile(rf"{method or '[^ ]*'} (?:/v1|/openai/v1|/openai){path}(?:/.*)?")


_PATTERNS: Final = [(_pattern(name), reason) for name, reason in NOT_OFFERED.items()]


def reason_against(path: str, method: str = "") -> str:
    """Return the reason why a path is not offered, to any method or to this one; empty where it is
    in no table."""
    for pattern, reason in _PATTERNS:
        if pattern.fullmatch(f"{method} {path}"):
            return reason
    return ""

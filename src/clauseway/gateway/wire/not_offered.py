"""Paths of OpenAI's API and Anthropic's that are not offered here, each with its reason: one visible table.

A client that asks for one is answered 501 with the reason, and not 404 as for a path that nobody
has: another spelling would not help.
"""

from collections.abc import Mapping, Sequence
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
_AGENTS_AS_MESSAGES: Final = (
    "agents and their sessions live and work at one vendor alone, and what they use is reported to "
    "no request; use /v1/messages"
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
# Of Anthropic's API alone: in OpenAI's these paths are other things, or nothing.
NOT_OFFERED_AS_MESSAGES: Final[Mapping[str, str]] = {
    "/files": (
        "a file of Anthropic's lies on one account, and no other cloud could answer a message that "
        "names it; send what it holds in the message"
    ),
    "/sessions": _AGENTS_AS_MESSAGES,
    "/environments": _AGENTS_AS_MESSAGES,
    "/memory_stores": _AGENTS_AS_MESSAGES,
    "/dreams": _AGENTS_AS_MESSAGES,
    "/deployments": _AGENTS_AS_MESSAGES,
    "/deployment_runs": _AGENTS_AS_MESSAGES,
    "/agents": _AGENTS_AS_MESSAGES,
    "/vaults": _AGENTS_AS_MESSAGES,
    "/skills": _AGENTS_AS_MESSAGES,
    "/complete": "the models that took it are retired; use /v1/messages",
    "/tunnels": _ACCOUNT,
    "/user_profiles": _ACCOUNT,
    "/organizations": _ACCOUNT,
    "/compliance": _ACCOUNT,
}
_ROOTS: Final = ("/v1", "/openai/v1", "/openai", "/anthropic/v1")
_ROOTS_OF_MESSAGES: Final = ("/v1", "/anthropic/v1")


def reason_against(path: str, method: str = "", *, as_messages: bool = False) -> str:
    """Return the reason why a path is not offered, to any method or to this one, to a client of
    Anthropic's API or to others; empty where it is in no table."""
    own = _reason(NOT_OFFERED_AS_MESSAGES, _ROOTS_OF_MESSAGES, path, method) if as_messages else ""
    return own or _reason(NOT_OFFERED, _ROOTS, path, method)


def _reason(table: Mapping[str, str], roots: Sequence[str], path: str, method: str) -> str:
    """Return what a table says of a path or of what lies below it, for a method or for all."""
    for root in roots:
        if not path.startswith(f"{root}/"):
            continue
        # A name in the tables has one segment or two.
        first, second, *_ = (*path.removeprefix(f"{root}/").split("/", 2), "")
        for name in (f"/{first}", f"/{first}/{second}"):
            if reason := table.get(name) or table.get(f"{method} {name}"):
                return reason
    return ""

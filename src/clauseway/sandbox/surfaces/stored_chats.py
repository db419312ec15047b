"""Chat completions that an account keeps: `store: true` of a request, and what may be asked of them
later."""

from typing import Any

from clauseway.sandbox.surfaces.account import CloudAccount, KeptChat
from clauseway.sandbox.surfaces.parameters import missing, page_of, query_of, read_object
from clauseway.sandbox.wire import FormatRefusal, ModelCall, Reply


def list_all(account: CloudAccount, call: ModelCall) -> Reply:
    """`GET /chat/completions`, the oldest first unless `order=desc`."""
    kept = [chat.body for chat in account.chats.values()]
    if query_of(call.query).get("order", "asc") == "desc":
        kept = kept[::-1]
    page, frame = page_of(kept, [str(body["id"]) for body in kept], call.query)
    return Reply(value={"object": "list", "data": page, **frame})


def retrieve(account: CloudAccount, call: ModelCall, identifier: str) -> Reply:
    """`GET /chat/completions/{id}`."""
    return Reply(value=_kept(account, identifier).body)


def messages(account: CloudAccount, call: ModelCall, identifier: str) -> Reply:
    """`GET /chat/completions/{id}/messages`: those that were asked with."""
    kept = _kept(account, identifier).messages
    page, frame = page_of(kept, [str(message["id"]) for message in kept], call.query)
    return Reply(value={"object": "list", "data": page, **frame})


def update(account: CloudAccount, call: ModelCall, identifier: str) -> Reply:
    """`POST /chat/completions/{id}`: its metadata."""
    kept, request = _kept(account, identifier), read_object(call.body)
    if "metadata" not in request:
        raise missing("metadata")
    kept.body = {**kept.body, "metadata": request["metadata"] or {}}
    return Reply(value=kept.body)


def delete(account: CloudAccount, call: ModelCall, identifier: str) -> Reply:
    """`DELETE /chat/completions/{id}`."""
    _kept(account, identifier)
    del account.chats[identifier]
    deleted = {"object": "chat.completion.deleted", "id": identifier, "deleted": True}
    return Reply(value=deleted)


def kept_messages(identifier: str, asked: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the messages of a request, each with a name of its own."""
    return [{**message, "id": f"{identifier}-{at}"} for at, message in enumerate(asked)]


def _kept(account: CloudAccount, identifier: str) -> KeptChat:
    kept = account.chats.get(identifier)
    if kept is None:
        raise FormatRefusal(404, f"Chat completion {identifier} not found", code="not_found")
    return kept

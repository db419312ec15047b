"""Chat completions that an account keeps because a request says `store: true`: list, retrieve,
update and delete."""

from typing import Any

from clauseway.sandbox.surfaces.account import CloudAccount, KeptChat
from clauseway.sandbox.surfaces.parameters import list_page, new_metadata, query_of
from clauseway.sandbox.wire import FormatRefusal, ModelCall, Reply


def list_all(account: CloudAccount, call: ModelCall) -> Reply:
    """`GET /chat/completions`, the oldest first unless `order=desc`."""
    kept = [chat.body for chat in account.chats.values()]
    if query_of(call.query).get("order", "asc") == "desc":
        kept = kept[::-1]
    return list_page(kept, call.query)


def retrieve(account: CloudAccount, call: ModelCall, identifier: str) -> Reply:
    """`GET /chat/completions/{id}`."""
    return Reply(value=_kept(account, identifier).body)


def messages(account: CloudAccount, call: ModelCall, identifier: str) -> Reply:
    """`GET /chat/completions/{id}/messages`: the messages of the request."""
    return list_page(_kept(account, identifier).messages, call.query)


def update(account: CloudAccount, call: ModelCall, identifier: str) -> Reply:
    """`POST /chat/completions/{id}`: its metadata."""
    kept = _kept(account, identifier)
    kept.body = {**kept.body, "metadata": new_metadata(call.body)}
    return Reply(value=kept.body)


def delete(account: CloudAccount, call: ModelCall, identifier: str) -> Reply:
    """`DELETE /chat/completions/{id}`."""
    _kept(account, identifier)
    del account.chats[identifier]
    deleted = {"object": "chat.completion.deleted", "id": identifier, "deleted": True}
    return Reply(value=deleted)


def kept_messages(identifier: str, asked: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the messages of a request, each with its own id."""
    return [{**message, "id": f"{identifier}-{at}"} for at, message in enumerate(asked)]


def _kept(account: CloudAccount, identifier: str) -> KeptChat:
    kept = account.chats.get(identifier)
    if kept is None:
        raise FormatRefusal(404, f"Chat completion {identifier} not found", code="not_found")
    return kept

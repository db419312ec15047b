"""`/conversations` and their items: kept by the account, and continued by its responses."""

from typing import Any, Final

from clauseway.sandbox.surfaces.account import CloudAccount, KeptConversation, keep
from clauseway.sandbox.surfaces.parameters import (
    list_page,
    missing,
    new_metadata,
    query_of,
    read_object,
)
from clauseway.sandbox.surfaces.responses import conversation_of, input_items
from clauseway.sandbox.wire import FormatRefusal, ModelCall, Reply

_ITEMS_MAX: Final = 20  # added by one request


def create(account: CloudAccount, call: ModelCall) -> Reply:
    """`POST /conversations`."""
    request = read_object(call.body or b"{}")
    body = {
        "id": f"conv_{call.serial}",
        "object": "conversation",
        "created_at": int(call.now_s),
        "metadata": request.get("metadata") or {},
    }
    items = _given(account, request.get("items") or [], call)
    keep(account.conversations, str(body["id"]), KeptConversation(body, items))
    return Reply(value=body)


def retrieve(account: CloudAccount, call: ModelCall, conversation_id: str) -> Reply:
    """`GET /conversations/{id}`."""
    return Reply(value=conversation_of(account, conversation_id).body)


def update(account: CloudAccount, call: ModelCall, conversation_id: str) -> Reply:
    """`POST /conversations/{id}`: its metadata."""
    kept = conversation_of(account, conversation_id)
    kept.body = {**kept.body, "metadata": new_metadata(call.body)}
    return Reply(value=kept.body)


def delete(account: CloudAccount, call: ModelCall, conversation_id: str) -> Reply:
    """`DELETE /conversations/{id}`."""
    conversation_of(account, conversation_id)
    del account.conversations[conversation_id]
    deleted = {"id": conversation_id, "object": "conversation.deleted", "deleted": True}
    return Reply(value=deleted)


def add(account: CloudAccount, call: ModelCall, conversation_id: str) -> Reply:
    """`POST /conversations/{id}/items`."""
    kept, request = conversation_of(account, conversation_id), read_object(call.body)
    if "items" not in request:
        raise missing("items")
    items = _given(account, request["items"], call)
    kept.items += items
    return list_page(items, "")


def list_items(account: CloudAccount, call: ModelCall, conversation_id: str) -> Reply:
    """`GET /conversations/{id}/items`, the newest first unless `order=asc`."""
    items = conversation_of(account, conversation_id).items
    ascending = query_of(call.query).get("order", "desc") == "asc"
    return list_page(items if ascending else items[::-1], call.query)


def retrieve_item(
    account: CloudAccount, call: ModelCall, conversation_id: str, item_id: str
) -> Reply:
    """`GET /conversations/{id}/items/{id}`."""
    items = conversation_of(account, conversation_id).items
    for item in items:
        if item["id"] == item_id:
            return Reply(value=item)
    raise FormatRefusal(
        404, f"Item with id '{item_id}' not found in conversation '{conversation_id}'."
    )


def delete_item(
    account: CloudAccount, call: ModelCall, conversation_id: str, item_id: str
) -> Reply:
    """`DELETE /conversations/{id}/items/{id}`: the answer is the conversation."""
    kept = conversation_of(account, conversation_id)
    retrieve_item(account, call, conversation_id, item_id)
    kept.items = [item for item in kept.items if item["id"] != item_id]
    return Reply(value=kept.body)


def _given(account: CloudAccount, items: object, call: ModelCall) -> list[dict[str, Any]]:
    given = input_items(account, items, call.serial)
    if len(given) > _ITEMS_MAX:
        message = f"Invalid 'items': array too long. Expected at most {_ITEMS_MAX} items."
        raise FormatRefusal(400, message, param="items", code="array_above_max_length")
    return given

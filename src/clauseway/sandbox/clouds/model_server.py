"""The simulated model server behind every fake cloud: OpenAI's endpoints over one account.

`answer` depends only on the call and on what the account has kept. It raises `FormatRefusal`,
`UnknownModel` or `NoEndpoint`, which each cloud words its own way. A cloud may serve only some of
the endpoints.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from clauseway.sandbox.surfaces import (
    audio,
    batches,
    chat,
    completions,
    conversations,
    embeddings,
    files,
    images,
    messages,
    moderations,
    responses,
    stored_chats,
)
from clauseway.sandbox.surfaces.account import (
    CloudAccount,
    UnknownModel,
    describe_model,
    list_models,
)
from clauseway.sandbox.wire import ModelCall, Reply

Handler = Callable[..., Reply]

_BATCHED: Final[Mapping[str, Handler]] = {
    "/v1/chat/completions": chat.complete,
    "/v1/responses": responses.create,
    "/v1/embeddings": embeddings.create,
    "/v1/moderations": moderations.create,
}


class NoEndpoint(Exception):
    """No endpoint has this path and method. `methods` are the methods of the path, empty for
    none."""

    def __init__(self, methods: Collection[str] = ()) -> None:
        super().__init__(*methods)
        self.methods = methods


def _models(account: CloudAccount, call: ModelCall) -> Reply:
    return Reply(value={"object": "list", "data": list_models(account.models)})


def _model(account: CloudAccount, call: ModelCall, name: str) -> Reply:
    if name not in account.models:
        raise UnknownModel(name)
    return Reply(value=describe_model(name))


def _create_batch(account: CloudAccount, call: ModelCall) -> Reply:
    return batches.create(account, call, tuple(_BATCHED))


def _retrieve_batch(account: CloudAccount, call: ModelCall, batch_id: str) -> Reply:
    return batches.retrieve(
        account, call, batch_id, lambda at, line: _BATCHED[f"/v1{line.path}"](at, line)
    )


# Endpoints at which a model works: faults hit them, and counts count them.
GENERATING: Final[Mapping[str, Handler]] = {
    "/chat/completions": chat.complete,
    "/completions": completions.complete,
    "/responses": responses.create,
    "/embeddings": embeddings.create,
    "/images/generations": images.generate,
    "/images/edits": images.edit,
    "/images/variations": images.vary,
    "/audio/speech": audio.speak,
    "/audio/transcriptions": audio.transcribe,
    "/audio/translations": audio.translate,
    "/moderations": moderations.create,
    "/messages": messages.create,
}
COUNTING: Final[Mapping[str, Handler]] = {
    "/responses/input_tokens": responses.count_input_tokens,
    "/responses/compact": responses.compact,
    "/messages/count_tokens": messages.count,
}
# Anthropic's models have these and no others.
MESSAGES: Final = frozenset({"/messages", "/messages/count_tokens"})
# All other endpoints, by method; `{}` stands for an id.
_KEPT: Final[tuple[tuple[str, str, Handler], ...]] = (
    ("GET", "/models", _models),
    ("GET", "/models/{}", _model),
    ("GET", "/responses/{}", responses.retrieve),
    ("DELETE", "/responses/{}", responses.delete),
    ("POST", "/responses/{}/cancel", responses.cancel),
    ("GET", "/responses/{}/input_items", responses.list_input_items),
    ("GET", "/chat/completions", stored_chats.list_all),
    ("GET", "/chat/completions/{}", stored_chats.retrieve),
    ("GET", "/chat/completions/{}/messages", stored_chats.messages),
    ("POST", "/chat/completions/{}", stored_chats.update),
    ("DELETE", "/chat/completions/{}", stored_chats.delete),
    ("POST", "/conversations", conversations.create),
    ("GET", "/conversations/{}", conversations.retrieve),
    ("POST", "/conversations/{}", conversations.update),
    ("DELETE", "/conversations/{}", conversations.delete),
    ("POST", "/conversations/{}/items", conversations.add),
    ("GET", "/conversations/{}/items", conversations.list_items),
    ("GET", "/conversations/{}/items/{}", conversations.retrieve_item),
    ("DELETE", "/conversations/{}/items/{}", conversations.delete_item),
    ("POST", "/files", files.upload),
    ("GET", "/files", files.list_all),
    ("GET", "/files/{}", files.retrieve),
    ("DELETE", "/files/{}", files.delete),
    ("GET", "/files/{}/content", files.content),
    ("POST", "/batches", _create_batch),
    ("GET", "/batches", batches.list_all),
    ("GET", "/batches/{}", _retrieve_batch),
    ("POST", "/batches/{}/cancel", batches.cancel),
)
ALL: Final = frozenset(
    {*GENERATING, *COUNTING, "/chat", "/models", "/files", "/batches", "/conversations"} - MESSAGES
)


def answer(account: CloudAccount, call: ModelCall, served: Collection[str] = ALL) -> Reply:
    """Return the answer of the models of `account`.

    `served` are the endpoints that the cloud has, by their first path.

    Raise FormatRefusal, UnknownModel and NoEndpoint.
    """
    handler = GENERATING.get(call.path) or COUNTING.get(call.path)
    methods = []
    if handler is not None and call.path in served:
        if call.method == "POST":
            return handler(account, call)
        methods.append("POST")
    for method, pattern, kept_handler in _KEPT:
        ids = _matched(pattern, call.path)
        if ids is None or not _serves(served, pattern):
            continue
        if method == call.method:
            return kept_handler(account, call, *ids)
        methods.append(method)
    raise NoEndpoint(methods)


def _serves(served: Collection[str], pattern: str) -> bool:
    return "/" + pattern.split("/")[1] in served


def _matched(pattern: str, path: str) -> list[Any] | None:
    """Return the ids in a path; None if it does not match the pattern."""
    wanted, given = pattern.split("/"), path.split("/")
    if len(wanted) != len(given):
        return None
    pairs = list(zip(wanted, given, strict=True))
    if any(part not in ("{}", word) or (not word and part) for part, word in pairs):
        return None
    return [word for part, word in pairs if part == "{}"]

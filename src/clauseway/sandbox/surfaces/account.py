"""A simulated account: its models, and the resources it keeps between requests (responses, files,
batches).

Nothing here is shared between clouds: an id that one account issued means nothing to another.
"""

import zlib
from collections.abc import Hashable, Iterable, Mapping
from typing import Any, Final, TypeVar

import msgspec

from clauseway.sandbox.surfaces.generation import Generation
from clauseway.sandbox.wire import FormatRefusal

Kept = TypeVar("Kept")
KeyT = TypeVar("KeyT", bound=Hashable)

# The least tokens of a cached prompt, and the step (OpenAI's guide to prompt caching).
_CACHED_MIN: Final = 1024
_CACHED_STEP: Final = 128

# The most resources of each kind in one account, so that a long run does not fill the memory; the
# oldest goes first.
_KEPT_MAX: Final = 4_000

# 1 January 2026.
CREATED: Final = 1_767_225_600


class AccountModel(msgspec.Struct, frozen=True):
    """A model that an account may call: what it can do, and the dated snapshot that answers."""

    kind: str
    snapshot: str


# OpenAI's names. Clouds that name them otherwise say so in their own module.
TEXT_MODELS: Final[Mapping[str, str]] = {
    "gpt-5.5": "gpt-5.5-2026-04-23",
    "gpt-5.4": "gpt-5.4-2026-03-05",
    "gpt-5.4-mini": "gpt-5.4-mini-2026-03-17",
    "gpt-5.4-nano": "gpt-5.4-nano-2026-03-17",
}
OTHER_MODELS: Final[Mapping[str, AccountModel]] = {
    "text-embedding-3-small": AccountModel("embedding", "text-embedding-3-small"),
    "text-embedding-3-large": AccountModel("embedding", "text-embedding-3-large"),
    "gpt-image-1": AccountModel("image", "gpt-image-1"),
    "dall-e-2": AccountModel("image", "dall-e-2"),
    "gpt-4o-mini-tts": AccountModel("speech", "gpt-4o-mini-tts"),
    "gpt-4o-transcribe": AccountModel("transcription", "gpt-4o-transcribe"),
    "whisper-1": AccountModel("transcription", "whisper-1"),
    "omni-moderation-latest": AccountModel("moderation", "omni-moderation-latest"),
    "gpt-3.5-turbo-instruct": AccountModel("completion", "gpt-3.5-turbo-instruct"),
}
OPENAI_MODELS: Final[Mapping[str, AccountModel]] = {
    **{name: AccountModel("text", snapshot) for name, snapshot in TEXT_MODELS.items()},
    **OTHER_MODELS,
}


class UnknownModel(Exception):
    """The account has no such model; each cloud words it its own way."""

    def __init__(self, model: str) -> None:
        super().__init__(model)
        self.model = model


class ChatStyle(msgspec.Struct, frozen=True, kw_only=True):
    """The differences of a cloud's chat completions from OpenAI's. All empty: none.

    `choice` and `tail` are fields added to each choice and to each object, `whole` to an answer in
    one piece only, `preamble` a first chunk of a stream, and `alphabetical` the order of an
    answer's fields.
    """

    choice: Mapping[str, object] = msgspec.field(default_factory=dict)
    tail: Mapping[str, object] = msgspec.field(default_factory=dict)
    whole: Mapping[str, object] = msgspec.field(default_factory=dict)
    preamble: Mapping[str, object] = msgspec.field(default_factory=dict)
    alphabetical: bool = False


class KeptResponse(msgspec.Struct):
    """A response of the Responses API as kept: `body` as last sent, and the number of polls."""

    body: dict[str, Any]
    input_items: list[dict[str, Any]]
    context: list[str]
    generation: Generation
    obfuscated: bool
    encrypts_thoughts: bool
    polls: int = 0


class KeptChat(msgspec.Struct):
    """A chat completion as kept, and the messages that it answers."""

    body: dict[str, Any]
    messages: list[dict[str, Any]]


class KeptConversation(msgspec.Struct):
    """A conversation: its object, and its items, the oldest first."""

    body: dict[str, Any]
    items: list[dict[str, Any]]


class KeptFile(msgspec.Struct, frozen=True):
    body: dict[str, Any]
    content: bytes


class KeptBatch(msgspec.Struct):
    body: dict[str, Any]
    serial: str
    polls: int = 0


class CloudAccount:
    """The models of an account and everything it keeps."""

    def __init__(self, models: Mapping[str, AccountModel], style: ChatStyle | None = None) -> None:
        self.models = models
        self.style = style or ChatStyle()
        self.responses: dict[str, KeptResponse] = {}
        self.chats: dict[str, KeptChat] = {}
        self.conversations: dict[str, KeptConversation] = {}
        self.files: dict[str, KeptFile] = {}
        self.batches: dict[str, KeptBatch] = {}
        self._prefixes: dict[tuple[str, int, int], None] = {}

    def snapshot(self, model: str, kind: str) -> str:
        """Return the snapshot that answers.

        Raise UnknownModel, or FormatRefusal for a model of another kind.
        """
        snapshot = self.models.get(model)
        if snapshot is None:
            raise UnknownModel(model)
        if snapshot.kind != kind:
            raise _cannot(model, kind)
        return snapshot.snapshot

    def cached_tokens(self, model: str, cache_key: object, contents: Iterable[str]) -> int:
        """Return the tokens of the longest beginning that is cached for this model and key, and
        cache the whole prompt.

        Requests without a `prompt_cache_key` are not cached, so that their usage does not depend on
        earlier requests.
        """
        if not isinstance(cache_key, str) or not cache_key:
            return 0
        words = " ".join(contents).split()
        fingerprint, begin, cached = 0, 0, 0
        is_cached = True
        for end in range(_CACHED_MIN, len(words) + 1, _CACHED_STEP):
            part = " ".join(words[begin:end])
            fingerprint, begin = zlib.crc32(part.encode("utf-8", "surrogatepass"), fingerprint), end
            prefix = (f"{model} {cache_key}", end, fingerprint)
            is_cached = is_cached and prefix in self._prefixes
            cached = end if is_cached else cached
            keep(self._prefixes, prefix, None)
        return cached


def keep(store: dict[KeyT, Kept], key: KeyT, value: Kept) -> None:
    """Store the value; drop the oldest entry of a full store."""
    if len(store) >= _KEPT_MAX:
        del store[next(iter(store))]
    store[key] = value


def list_models(models: Iterable[str]) -> list[dict[str, object]]:
    return [describe_model(name) for name in models]


def describe_model(name: str) -> dict[str, object]:
    return {"id": name, "object": "model", "created": CREATED, "owned_by": "system"}


def _cannot(model: str, kind: str) -> FormatRefusal:
    if kind == "completion":
        return FormatRefusal(
            404,
            "This is a chat model and not supported in the v1/completions endpoint. Did you mean "
            "to use v1/chat/completions?",
            param="model",
        )
    if kind == "text":
        return FormatRefusal(
            404,
            "This is not a chat model and thus not supported in the v1/chat/completions "
            "endpoint. Did you mean to use "
            "v1/completions?",
            param="model",
        )
    if kind == "embedding":
        return FormatRefusal(403, "You are not allowed to generate embeddings from this model")
    return FormatRefusal(
        400, f"Invalid value: '{model}'. The model does not support {kind}.", param="model"
    )

"""Bodies of requests, decoded by type as far as routing and metering need; everything else is
skipped.

Typed decoding is cheaper than searching the bytes, and cannot take a string's content for a member.
Every kind of body yields the same `RequestProperties`. Of a form (`multipart/form-data`), the plain
fields are read.
"""

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Final, cast

import msgspec

from clauseway.catalog import BITS, Capability
from clauseway.gateway.wire.bodies.body_errors import BadBody, FurtherModel, NotOffered
from clauseway.gateway.wire.bodies.decoding import Decode, RequestProperties, names_read, reader_of
from clauseway.gateway.wire.bodies.further_models import FURTHER, refuse_further_field
from clauseway.gateway.wire.bodies.identifiers import containers_in, identifiers_in
from clauseway.gateway.wire.bodies.item_references import items_named_in, sounds_named_in
from clauseway.gateway.wire.bodies.members import each_readable
from clauseway.gateway.wire.bodies.multipart import DECIDING, BadForm, plain_fields, texts_of
from clauseway.gateway.wire.bodies.needs import (
    ABSENT,
    FRAMES,
    GIF,
    PLAIN,
    TIERS,
    Needs,
    chat_parts,
    conversation_parts,
    drawings_within,
    format_needed,
    frames_drawn,
    response_parts,
    searches_within,
    stated,
    tools_needed,
)

# Far more tokens than any model writes or any cloud allows. Together with the bound on prices, this
# bound keeps a reservation within 63 bits.
Tokens = Annotated[int, msgspec.Meta(ge=0, le=1 << 24)]
_Choices = Annotated[int, msgspec.Meta(ge=1, le=128)]
# OpenAI's own defaults, where a request names no model.
_MODERATION_MODEL = "omni-moderation-latest"
_IMAGE_MODEL = "dall-e-2"
_EDITING_MODEL = "gpt-image-1.5"

_SEVERAL_CHOICES, _LOGPROBS = BITS[Capability.SEVERAL_CHOICES], BITS[Capability.LOGPROBS]
_TOOLS, _PARALLEL = BITS[Capability.TOOLS], BITS[Capability.PARALLEL_TOOL_CALLS]
_CACHE_KEY, _RETENTION = BITS[Capability.PROMPT_CACHE_KEY], BITS[Capability.PROMPT_CACHE_RETENTION]
_STORED, _CONVERSATIONS = BITS[Capability.STORED_STATE], BITS[Capability.CONVERSATIONS]
_WEB_SEARCH, _PREDICTED = BITS[Capability.WEB_SEARCH], BITS[Capability.PREDICTED_OUTPUT]
_DRAWING: Final = BITS[Capability.IMAGE_GENERATION_TOOL]
_AUDIO_OUTPUT, _BACKGROUND = BITS[Capability.AUDIO_OUTPUT], BITS[Capability.BACKGROUND]
_SUMMARY, _TEMPLATES = BITS[Capability.REASONING_SUMMARY], BITS[Capability.PROMPT_TEMPLATES]
_SEVERAL = Needs(_SEVERAL_CHOICES)
_word: Final = msgspec.json.Decoder(str).decode


class StreamOptions(msgspec.Struct, frozen=True, gc=False):
    include_usage: bool | None = None


class Streamable(msgspec.Struct, frozen=True, gc=False):
    """The members by which a request asks a model, and for a stream."""

    model: str | None = None
    stream: bool | None = None

    @property
    def streamed(self) -> bool:
        return bool(self.stream)


class _StreamableChat(Streamable, frozen=True, gc=False):
    """The members by which a request also asks for usage at its end."""

    stream_options: StreamOptions | None = None

    @property
    def wants_usage(self) -> bool:
        return self.stream_options is not None and bool(self.stream_options.include_usage)


_READ_BY_THE_CLOUD: Final = (
    "'data_sources' has the cloud read stores of its own with the operator's identity, so whoever "
    "has a key would read what the operator may. Search yourself, and send what you found."
)


class ChatRequest(_StreamableChat, frozen=True, gc=False):
    """`POST /v1/chat/completions`. An absent member and `null` are the same to OpenAI."""

    max_completion_tokens: Tokens | None = None
    max_tokens: Tokens | None = None
    n: _Choices | None = None
    tools: msgspec.Raw = ABSENT
    functions: msgspec.Raw = ABSENT
    parallel_tool_calls: bool | None = None
    response_format: msgspec.Raw = ABSENT
    logprobs: bool | None = None
    service_tier: str | None = None
    modalities: msgspec.Raw = ABSENT
    web_search_options: msgspec.Raw = ABSENT
    prediction: msgspec.Raw = ABSENT
    data_sources: msgspec.Raw = ABSENT
    store: bool | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    named_ids = ()
    later = False

    @property
    def asks_nothing(self) -> bool:
        return (
            self.n is None
            and self.prompt_cache_key is None
            and self.response_format is ABSENT
            and self.service_tier is None
            and self.logprobs is None
            and self.parallel_tool_calls is None
            and self.store is None
            and self.web_search_options is ABSENT
            and self.prediction is ABSENT
            and self.prompt_cache_retention is None
        )

    def needs(self, body: bytes) -> Needs:
        # Azure reads them, with the identity of its resource where the request says so.
        if stated(self.data_sources):
            raise NotOffered(_READ_BY_THE_CLOUD, "data_sources")
        bits, images, unbounded, audio, _ = chat_parts(body)
        bits |= TIERS.get(self.service_tier or "", 0)
        searches = 0
        if self.tools is not ABSENT:
            more, brings = tools_needed(self.tools)
            bits, unbounded = bits | more, unbounded or brings
            searches = searches_within(None) if more & _WEB_SEARCH else 0
        if stated(self.functions):
            bits |= _TOOLS
        if self.parallel_tool_calls:
            bits |= _PARALLEL
        if self.response_format is not ABSENT:
            bits |= format_needed(self.response_format, in_text=False)
        if self.logprobs:
            bits |= _LOGPROBS
        if self.modalities is not ABSENT and "audio" in each_readable(self.modalities, _word):
            bits, audio = bits | _AUDIO_OUTPUT, True
        # Search results enter the prompt: the body does not bound the input.
        if stated(self.web_search_options):
            bits, unbounded = bits | _WEB_SEARCH, True
        if stated(self.prediction):
            bits |= _PREDICTED
        if self.store:
            bits |= _STORED
        # `n: 1` is the default, and every cloud has it.
        if self.n and self.n > 1:
            bits |= _SEVERAL_CHOICES
        sounds = sounds_named_in(body)
        # What was said enters the prompt, and the body does not hold it.
        if sounds:
            unbounded = audio = True
        needs = Needs(
            bits,
            images,
            unbounded,
            audio,
            tier=self.service_tier or "",
            searches=searches,
            items=sounds,
        )
        return _with_cache(needs, self.prompt_cache_key, self.prompt_cache_retention)

    @property
    def output_tokens(self) -> int:
        # Servers differ in which of the two they read.
        newer, older = self.max_completion_tokens or 0, self.max_tokens or 0
        return newer if newer > older else older

    @property
    def choices(self) -> int:
        return self.n or 1


class CompletionRequest(_StreamableChat, frozen=True, gc=False):
    """`POST /v1/completions`, the format before chat. One request may hold several prompts, and
    each is answered `n` times, the best of `best_of`."""

    max_tokens: Tokens | None = None
    n: _Choices | None = None
    # OpenAI takes 0 for its default.
    best_of: Annotated[int, msgspec.Meta(ge=0, le=128)] | None = None
    logprobs: int | None = None
    prompt: str | list[str | int | list[int]] | None = None
    named_ids = ()
    later = False
    asks_nothing = False

    def needs(self, _body: bytes) -> Needs:
        bits = _SEVERAL_CHOICES if self.n and self.n > 1 else 0
        if self.logprobs is not None:
            bits |= _LOGPROBS
        return Needs(bits) if bits else PLAIN

    @property
    def output_tokens(self) -> int:
        return self.max_tokens or 0

    @property
    def choices(self) -> int:
        """Return how many completions are written, over all prompts; with `best_of`, those that the
        cloud throws away count too."""
        prompts = 1
        if isinstance(self.prompt, list) and self.prompt and not isinstance(self.prompt[0], int):
            prompts = len(self.prompt)
        return prompts * max(self.n or 1, self.best_of or 1)


def _with_cache(needs: Needs, key: str | None, retention: str | None) -> Needs:
    if retention == "24h":
        needs = needs._replace(bits=needs.bits | _RETENTION)
    return needs._replace(bits=needs.bits | _CACHE_KEY, cache_key=key) if key else needs


def _with_tool_calls(needs: Needs, limit: int | None, frames: int) -> Needs:
    """Return the needs with how often the cloud may call the tools that cost more than tokens, and
    how many frames it may draw each time."""
    bits = needs.bits
    return needs._replace(
        searches=searches_within(limit) if bits & (_WEB_SEARCH | _TEMPLATES) else 0,
        drawings=drawings_within(limit, frames) if bits & (_DRAWING | _TEMPLATES) else 0,
    )


class _Reasoning(msgspec.Struct, frozen=True, gc=False):
    summary: str | None = None
    generate_summary: str | None = None


class _Conversation(msgspec.Struct, frozen=True, gc=False):
    id: str


class _CacheOptions(msgspec.Struct, frozen=True, gc=False):
    comparison_response_id: str | None = None


class ResponsesRequest(Streamable, frozen=True, gc=False):
    """`POST /v1/responses`. Usage is always reported; there is nothing to ask for."""

    max_output_tokens: Tokens | None = None
    previous_response_id: str | None = None
    conversation: str | _Conversation | None = None
    background: bool | None = None
    store: bool | None = None
    tools: msgspec.Raw = ABSENT
    max_tool_calls: int | None = None
    parallel_tool_calls: bool | None = None
    text: msgspec.Raw = ABSENT
    reasoning: _Reasoning | None = None
    service_tier: str | None = None
    top_logprobs: int | None = None
    prompt: msgspec.Raw = ABSENT
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    prompt_cache_options: _CacheOptions | None = None
    multi_agent: msgspec.Raw = ABSENT
    wants_usage = True
    choices = 1
    asks_nothing = False

    def needs(self, body: bytes) -> Needs:
        bits, images, unbounded, audio, frames = response_parts(body)
        # The cloud runs any number of agents, each with a prompt of its own.
        unbounded = unbounded or stated(self.multi_agent)
        bits |= TIERS.get(self.service_tier or "", 0)
        if self.tools is not ABSENT:
            more, brings = tools_needed(self.tools)
            bits, unbounded = bits | more, unbounded or brings
        if self.parallel_tool_calls:
            bits |= _PARALLEL
        if self.text is not ABSENT:
            bits |= format_needed(self.text, in_text=True)
        if self.top_logprobs:
            bits |= _LOGPROBS
        if self.background:
            bits |= _BACKGROUND
        # `generate_summary` is the older name of `summary`.
        if self.reasoning is not None and (
            self.reasoning.summary or self.reasoning.generate_summary
        ):
            bits |= _SUMMARY
        if self.store or self.previous_response_id:
            bits |= _STORED
        if self.conversation:
            bits |= _CONVERSATIONS
        # A template's text lies at the cloud: the body does not bound the input.
        if stated(self.prompt):
            bits, unbounded = bits | _TEMPLATES, True
        items = items_named_in(body)
        # Earlier turns enter the prompt too. Only the model's context bounds them.
        if self.previous_response_id or self.conversation or any(item.is_bare for item in items):
            unbounded = True
        needs = Needs(bits, images, unbounded, audio, tier=self.service_tier or "", items=items)
        # A template may bring tools along.
        if bits & (_WEB_SEARCH | _DRAWING | _TEMPLATES):
            if bits & _DRAWING and self.tools is not ABSENT:
                frames = max(frames, frames_drawn(self.tools))
            needs = _with_tool_calls(needs, self.max_tool_calls, frames)
        return _with_cache(needs, self.prompt_cache_key, self.prompt_cache_retention)

    @property
    def output_tokens(self) -> int:
        return self.max_output_tokens or 0

    @property
    def conversation_id(self) -> str:
        """Return the conversation that the request continues; empty if it names none."""
        conversation = self.conversation
        named = conversation.id if isinstance(conversation, _Conversation) else conversation
        return named or ""

    @property
    def named_ids(self) -> tuple[str, ...]:
        options = self.prompt_cache_options
        compared = options.comparison_response_id if options is not None else None
        continued = (self.previous_response_id, self.conversation_id)
        named = (*continued, compared, *containers_in(self.tools))
        return tuple([name for name in named if name])

    @property
    def later(self) -> bool:
        return bool(self.background)


class PlainRequest(msgspec.Struct, frozen=True, gc=False):
    """Embeddings, speech and moderations."""

    model: str | None = None
    stream: bool | None = None
    stream_format: str | None = None
    n: _Choices | None = None
    input_file_id: str | None = None
    wants_usage = True
    output_tokens = 0
    later = False
    asks_nothing = False

    def needs(self, _body: bytes) -> Needs:
        return _SEVERAL if self.n and self.n > 1 else PLAIN

    @property
    def streamed(self) -> bool:
        return bool(self.stream) or self.stream_format == "sse"

    @property
    def choices(self) -> int:
        return self.n or 1

    @property
    def named_ids(self) -> tuple[str, ...]:
        return (self.input_file_id,) if self.input_file_id else ()


_NO_AUTHOR: Final = "Ask for another format, or have a model that chats write the SVG."


class DrawingRequest(PlainRequest, frozen=True, gc=False):
    """Images. Asked for an SVG, the model draws a picture and another model writes it as text: the
    one that `svg` names, or one that the cloud chooses. Its tokens are reported in `svg_usage`."""

    output_format: str | None = None
    frame_count: _Choices | None = None

    def needs(self, body: bytes) -> Needs:
        if self.output_format == "svg":
            raise FurtherModel("output_format", _NO_AUTHOR)
        needs = super().needs(body)
        if self.output_format == GIF:
            needs = needs._replace(frames=self.frame_count or FRAMES)
        return needs


class EditRequest(DrawingRequest, frozen=True, gc=False):
    """`POST /v1/images/edits` in JSON, which names pictures by address or as files."""

    images: msgspec.Raw = ABSENT
    image: msgspec.Raw = ABSENT
    mask: msgspec.Raw = ABSENT

    def needs(self, body: bytes) -> Needs:
        pictures = sum([_count(written) for written in (self.images, self.image, self.mask)])
        # The body holds an address, not the picture's tokens.
        return super().needs(body)._replace(images=pictures)


def _count(written: msgspec.Raw) -> int:
    """Return how many pictures a member names: a list of them, or one."""
    if not stated(written):
        return 0
    return len(_decode_list(written)) if bytes(written).startswith(b"[") else 1


_decode_list: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode


class BatchRequest(PlainRequest, frozen=True, gc=False):
    """`POST /v1/batches`. Azure's may name blobs of the operator's storage in place of files."""

    endpoint: str | None = None
    input_blob: msgspec.Raw = ABSENT
    output_folder: msgspec.Raw = ABSENT


_READ_OF_FORM: Final = DECIDING | FURTHER
NOTHING_ASKED = RequestProperties(PlainRequest())
decode_chat = reader_of(ChatRequest, "chat completion", "messages")
decode_completion = reader_of(CompletionRequest, "completion")
decode_responses = reader_of(ResponsesRequest, "Responses", "input")
# For messages of a WebSocket, which are rewritten before they are read as a body.
READ_OF_RESPONSES: Final = names_read(ResponsesRequest, "input")
decode_plain = reader_of(PlainRequest, "JSON")
decode_picture = reader_of(DrawingRequest, "JSON")
decode_batch = reader_of(BatchRequest, "batch")


def _or(model: str, decode: Decode) -> Decode:
    """Return `decode` with a default model, for requests that name none. It is OpenAI's own default,
    which clients may leave out."""

    def decode_or(body: bytes, content_type: bytes) -> RequestProperties:
        properties = decode(body, content_type)
        if properties.model:
            return properties
        decoded = cast(PlainRequest, properties.decoded)
        return RequestProperties(msgspec.structs.replace(decoded, model=model))

    return decode_or


decode_moderation = _or(_MODERATION_MODEL, decode_plain)
decode_drawing = _or(_IMAGE_MODEL, decode_picture)


_DIGITS_MAX = 9  # for a number in a form: Python refuses to parse thousands of digits


# Sound has at least 2 kbit/s (250 bytes a second), and OpenAI's models take ten tokens a second.
_BYTES_PER_SOUND_TOKEN_MIN = 25


class FormRequest(DrawingRequest, frozen=True, gc=False):
    """A form with a file. `text_bytes` counts the bytes of its plain fields."""

    text_bytes: int = 0


class SoundRequest(FormRequest, frozen=True, gc=False):
    """A form with a recording."""

    def needs(self, body: bytes) -> Needs:
        tokens_max = self.text_bytes + len(body) // _BYTES_PER_SOUND_TOKEN_MIN + 1
        return Needs(audio=True, tokens_max=tokens_max)


def _decode_form(kind: type[FormRequest], body: bytes, content_type: bytes) -> RequestProperties:
    """Decode the fields of a form that tell its needs. Raise BadBody."""
    try:
        plain = plain_fields(body, content_type)
        fields = texts_of(plain, body)
    except BadForm as error:
        raise BadBody(f"The body is no form: {error}.") from None
    for field in plain:
        refuse_further_field(field.name, body[field.begin : field.end], _READ_OF_FORM)
    form = kind(
        model=fields.get("model", ""),
        stream=fields.get("stream") == "true",
        n=_count_of(fields, "n", "1"),
        output_format=fields.get("output_format"),
        frame_count=_count_of(fields, "frame_count", str(FRAMES)),
        text_bytes=sum([len(value.encode()) for value in fields.values()]),
    )
    return RequestProperties(form)


decode_sound: Final[Decode] = partial(_decode_form, SoundRequest)
decode_form: Final[Decode] = partial(_decode_form, FormRequest)


def _count_of(fields: Mapping[str, str], name: str, usual: str) -> int:
    """Return the number that a field of a form has. Raise BadBody."""
    count = fields.get(name, usual)
    if not (count.isdecimal() and len(count) <= _DIGITS_MAX and 1 <= int(count) <= 128):
        raise BadBody(f"{count!r} is not a number from 1 to 128.", name)
    return int(count)


class RequestWithoutModel:
    """The decoded body of a request to a cloud account, not to a model. Subclasses override what
    differs."""

    model: str | None = ""
    streamed = False
    wants_usage = True
    output_tokens = 0
    choices = 1
    named_ids: tuple[str, ...] = ()
    later = False
    asks_nothing = False

    def needs(self, _body: bytes) -> Needs:
        return PLAIN


class _AnyObject(msgspec.Struct, RequestWithoutModel):
    """An object of which no member is read by type."""


class ItemsRequest(RequestWithoutModel):
    """The items of a conversation, which every response that goes on from it reads. `named_ids` are
    the files that they name."""

    def __init__(self, named_ids: tuple[str, ...] = ()) -> None:
        self.named_ids = named_ids

    def needs(self, body: bytes) -> Needs:
        return Needs(conversation_parts(body).bits, items=items_named_in(body))


def decode_items(body: bytes, content_type: bytes) -> RequestProperties:
    """Decode the body of a conversation or of items for one; a conversation may be made without
    any. Raise BadBody."""
    if not body:
        return RequestProperties(ItemsRequest())
    _decode_conversation(body, content_type)
    return RequestProperties(ItemsRequest(tuple(identifiers_in(body))))


_decode_conversation = reader_of(_AnyObject, "conversation", "items")
decode_variation = _or(_IMAGE_MODEL, decode_form)
_decode_edit_form = _or(_EDITING_MODEL, decode_form)
_decode_edit_json = _or(_EDITING_MODEL, reader_of(EditRequest, "JSON"))


def is_json(content_type: bytes) -> bool:
    return content_type.partition(b";")[0].strip().lower() == b"application/json"


def decode_edit(body: bytes, content_type: bytes) -> RequestProperties:
    """Decode an edit of pictures: a form with them, or JSON that names them. Raise BadBody."""
    decode = _decode_edit_json if is_json(content_type) else _decode_edit_form
    return decode(body, content_type)

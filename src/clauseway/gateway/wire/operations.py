"""The operations of the gateway under OpenAI's and Anthropic's paths: one table.

An operation says how its body is read and spliced for a deployment, how its answer reports usage,
and its relation to stored resources: an answer may issue identifiers (`ISSUES`) that only the
issuing deployment understands, a path may name one (`NAMES`), or ask for a list of them (`LISTS`).

The paths are those of OpenAI under `/v1`, the same under `/openai/v1` (Azure's v1), and Azure's
dated ones, which name the model in the path (`/openai/deployments/{model}/…`) or in the body
(`/openai/responses`). Messages are offered under `/anthropic/v1` too. Of a query, a cloud hears
the parameters of OpenAI's and Anthropic's APIs alone; each target sends its own `api-version`.
"""

import re
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Final, NamedTuple

from clauseway.catalog import BITS, Capability
from clauseway.gateway.clouds.dialect import Call
from clauseway.gateway.clouds.reported_units import Units
from clauseway.gateway.clouds.reports import (
    Reader,
    audio_report_in,
    batch_report_in,
    chat_report_in,
    embeddings_report_in,
    images_report_in,
    messages_report_in,
    no_report_in,
    responses_report_in,
    speech_report_in,
)
from clauseway.gateway.clouds.unusual_counts import Omissions
from clauseway.gateway.wire.batch_files import Upload, decode_batching, decode_upload
from clauseway.gateway.wire.bodies.decoding import Decode, RequestProperties
from clauseway.gateway.wire.bodies.message_requests import decode_messages
from clauseway.gateway.wire.bodies.needs import PLAIN, Needs
from clauseway.gateway.wire.bodies.requests import (
    decode_chat,
    decode_completion,
    decode_drawing,
    decode_edit,
    decode_items,
    decode_moderation,
    decode_plain,
    decode_responses,
    decode_sound,
    decode_variation,
)
from clauseway.gateway.wire.event_streams import (
    PICTURE_BYTES,
    SOUND_BYTES,
    Stream,
    chat_stream,
    message_stream,
    picture_stream,
    sound_stream,
    stored_chat_stream,
    stored_response_stream,
    transcript_stream,
    typed_stream,
)
from clauseway.gateway.wire.message_errors import in_message_shape
from clauseway.gateway.wire.splice import (
    Destination,
    Splice,
    chat_body,
    edited_body,
    form_body,
    json_body,
    same_body,
)
from clauseway.gateway.wire.whole_answers import ARRAYS, IS_ANSWER, REPORTED_ERROR, IsAnswer
from clauseway.metering import Unit
from clauseway.metering.endpoints import ENDPOINTS

_POST, _GET, _DELETE = b"POST", b"GET", b"DELETE"
_TEXT_BYTES = 4  # for estimates: English prose
# For estimates: a picture of 1024 × 1024 counts for 765 to 1,700 at OpenAI's models.
_PICTURE_TOKENS = 1_000


class State(Enum):
    """The relation of an operation to identifiers, each of which belongs to one cloud account."""

    NONE = 0
    ISSUES = 1
    NAMES = 2
    LISTS = 3


ShapeError = Callable[[int, bytes, str], bytes]
OpenStream = Callable[[RequestProperties, Reader, Destination, Omissions], Stream]


class Operation(NamedTuple):
    """`code` is the endpoint's in the journal. `path` has `%b` where an identifier stands: first
    that of the resource, then that of a part of the resource.

    `decode` is None where the body is not read. `is_answer` tells an answer from a body that only
    has an answer's status. `input_token_bytes` and `output_token_bytes` are for estimates: how many
    bytes of a request, and of an answer, are a token. `metered`: a request is metered and reserved
    for; any other uses nothing itself, and only the work that it starts is reserved.
    `is_repeatable`: nothing stands twice at the cloud if the same request is sent twice (RFC 9110,
    9.2.2); an answer of a model, even a stored one, costs at most its tokens. `depends_on` are
    operations that a deployment needs besides. `shape_error(status, body, request_id)` writes an
    error as its clients read it; None: in OpenAI's shape. `may_name_parts`: its answer may name
    what a later request can use, whether or not it is stored: a container in which tools ran, or
    what was said aloud. `array` finds what clients read of its answer, where that is an array; None
    elsewhere.
    """

    name: str
    code: int
    method: bytes
    path: bytes
    decode: Decode | None
    splice: Splice
    report_in: Reader
    stream: OpenStream
    is_answer: IsAnswer
    state: State
    input_token_bytes: int
    output_token_bytes: int
    metered: bool
    is_repeatable: bool
    depends_on: tuple[str, ...] = ()
    shape_error: ShapeError | None = None
    may_name_parts: bool = False
    array: re.Pattern[bytes] | None = None

    def is_plain_answer(self, body: bytes) -> bool:
        """Return whether a body that reports usage is an answer at first sight: it has the array
        that clients read, and reports no error."""
        return (
            self.array is not None
            and self.array.search(body) is not None
            and REPORTED_ERROR.search(body) is None
        )

    def tokens_answered(self, count: int) -> int:
        """Estimate the tokens in `count` bytes of an answer, rounded up."""
        return -(-count // self.output_token_bytes)

    def estimate(self, body_bytes: int, output_tokens: int, pictures: int = 0) -> Units:
        """Estimate the units of an attempt whose cloud reported none. The body may hold only the
        addresses of its `pictures`."""
        of_pictures = pictures * _PICTURE_TOKENS
        return (
            (Unit.INPUT_TOKENS, -(-body_bytes // self.input_token_bytes) + of_pictures),
            (Unit.OUTPUT_TOKENS, output_tokens),
        )

    @property
    def speaks_messages(self) -> bool:
        """Return whether its clients read errors in Anthropic's shape instead of OpenAI's."""
        return self.shape_error is not None

    @property
    def makes_chat(self) -> bool:
        """Return whether it makes a chat completion, stored or not."""
        return self.code == _CHAT.code

    @property
    def is_text(self) -> bool:
        """Return whether request and answer are text, so that the length of a request says how many
        tokens it has."""
        return self.input_token_bytes == self.output_token_bytes == _TEXT_BYTES

    @property
    def deletes(self) -> bool:
        """Return whether it deletes a whole resource, and not only a part of one."""
        return self.method == _DELETE and self.path.count(b"%b") == 1

    @property
    def is_file_content(self) -> bool:
        """Return whether its answer is a file's content, which may have any length."""
        return self.name == "files.content"

    @property
    def tells_end(self) -> bool:
        """Return whether its answer tells that a response or batch has ended, and its usage."""
        return self.name in _TELLS_END

    @property
    def lists_items(self) -> bool:
        """Return whether its answer is a list of the items of a response or conversation."""
        return self.name in _LISTS_ITEMS

    @property
    def tells_failure(self) -> bool:
        """Return whether its answer may say why something failed: a response or a batch."""
        return self.name in _TELLS_FAILURE

    @property
    def lists(self) -> int:
        """Return the code of the operation that makes the resources it lists or names."""
        noun = self.name.partition(".")[0]
        return (BY_NAME.get(noun + ".create") or BY_NAME[noun]).code

    @property
    def routed(self) -> bool:
        """Return whether the request goes where its model is served."""
        return self.decode is not None and self.name not in _MAKES_WITHOUT_MODEL

    @property
    def asks_model(self) -> bool:
        """Return whether a model works for it. Clouds limit and break other operations apart."""
        return self.routed and self.name not in _COUNTS

    def call(self, identifier: bytes, query: bytes, content_type: bytes, part: bytes = b"") -> Call:
        path = self.path
        if part:
            path = path % (identifier, part)
        elif identifier:
            path = path % identifier
        return Call(self.method, b"%b?%b" % (path, query) if query else path, content_type)


class RequestLine(NamedTuple):
    """A parsed request line: the operation, the identifier in its path, the part of that resource
    (`part`), and the model, if the path names one.

    `call` is made once where nothing in it differs from request to request.
    """

    operation: Operation
    identifier: str = ""
    query: bytes = b""
    model: str = ""
    call: Call | None = None
    part: str = ""


class UnderstoodRequest:
    """A request that was understood. `forwarded` are the client's header lines that are passed on
    to a cloud; `hedge_s` is the time after which a second deployment is asked as well, 0 for never;
    `needs` are what its values ask for; `text_bytes` is how many bytes the text of its body can
    have.

    A plain class and no msgspec Struct, because compiled code reads the fields of a plain class
    directly, and each request reads them some thirty times.
    """

    def __init__(
        self,
        operation: Operation,
        call: Call,
        properties: RequestProperties,
        body: bytes,
        content_type: bytes,
        forwarded: bytes,
        model: str,
        hedge_s: float = 0.0,
        needs: Needs = PLAIN,
        text_bytes: int = 0,
    ) -> None:
        self.operation: Final = operation
        self.call: Final = call
        self.properties: Final = properties
        self.body: Final = body
        self.content_type: Final = content_type
        self.forwarded: Final = forwarded
        self.model: Final = model
        self.hedge_s: Final = hedge_s
        self.needs: Final = needs
        self.text_bytes: Final = text_bytes

    def of_model(self, model: str, body: bytes | None = None) -> "UnderstoodRequest":
        """Return the same request for a model; with another body, if one is given."""
        return UnderstoodRequest(
            self.operation,
            self.call,
            self.properties,
            self.body if body is None else body,
            self.content_type,
            self.forwarded,
            model,
            self.hedge_s,
            self.needs,
            self.text_bytes,
        )


def _file_body(
    properties: RequestProperties, body: bytes, _content_type: bytes, destination: Destination
) -> bytes:
    upload = properties.decoded
    assert isinstance(upload, Upload)
    return upload.body_for(body, destination.model, destination.quoted_model)


_CONVERSATIONS: Final = BITS[Capability.CONVERSATIONS]
_TELLS_END: Final = frozenset(
    {"responses.retrieve", "responses.cancel", "batches.retrieve", "batches.cancel"}
)
_LISTS_ITEMS: Final = frozenset(
    {"responses.input_items", "conversations.items.list", "conversations.items.create"}
)
_TELLS_FAILURE: Final = _TELLS_END | {"responses", "batches.create"}
# No model is named. What they make lies on the cloud's account, so sent twice it lies there twice.
_MAKES_WITHOUT_MODEL: Final = frozenset(
    {"files.create", "batches.create", "conversations.create", "conversations.items.create"}
)


# These name a model, whose work they only measure.
_COUNTS: Final = frozenset({"responses.input_tokens", "messages.count_tokens"})


def _of_resource(
    name: str,
    method: bytes,
    path: bytes,
    state: State = State.NAMES,
    decode: Decode | None = None,
) -> Operation:
    report_in: Reader = no_report_in
    if name in _TELLS_END:
        report_in = batch_report_in if name.startswith("batches.") else responses_report_in
    return _operation(
        name,
        path,
        decode,
        same_body,
        report_in,
        method=method,
        stream=stored_response_stream,
        state=state,
    )


def _operation(
    name: str,
    path: bytes,
    decode: Decode | None,
    splice: Splice,
    report_in: Reader,
    *,
    method: bytes = _POST,
    stream: OpenStream = typed_stream,
    state: State = State.NONE,
    input_token_bytes: int = _TEXT_BYTES,
    output_token_bytes: int = _TEXT_BYTES,
    shape_error: ShapeError | None = None,
    may_name_parts: bool = False,
) -> Operation:
    code = ENDPOINTS[name]
    return Operation(
        name=name,
        code=code,
        method=method,
        path=path,
        decode=decode,
        splice=splice,
        report_in=report_in,
        stream=stream,
        is_answer=IS_ANSWER[name],
        array=ARRAYS.get(name),
        state=state,
        input_token_bytes=input_token_bytes,
        output_token_bytes=output_token_bytes,
        # Reading an existing resource is not.
        metered=report_in is not no_report_in and state in (State.NONE, State.ISSUES),
        is_repeatable=name not in _MAKES_WITHOUT_MODEL,
        shape_error=shape_error,
        may_name_parts=may_name_parts,
    )


OPERATIONS: tuple[Operation, ...] = (
    _operation(
        "chat", b"/chat/completions", decode_chat, chat_body, chat_report_in, stream=chat_stream
    ),
    _operation(
        "responses",
        b"/responses",
        decode_responses,
        json_body,
        responses_report_in,
        state=State.ISSUES,
    ),
    _of_resource("responses.retrieve", _GET, b"/responses/%b"),
    _of_resource("responses.delete", _DELETE, b"/responses/%b"),
    _of_resource("responses.cancel", _POST, b"/responses/%b/cancel"),
    _of_resource("responses.input_items", _GET, b"/responses/%b/input_items"),
    _operation("embeddings", b"/embeddings", decode_plain, json_body, embeddings_report_in),
    _operation(
        "images.generations",
        b"/images/generations",
        decode_drawing,
        json_body,
        images_report_in,
        stream=picture_stream,
        output_token_bytes=PICTURE_BYTES,
    ),
    _operation(
        "images.edits",
        b"/images/edits",
        decode_edit,
        edited_body,
        images_report_in,
        stream=picture_stream,
        input_token_bytes=PICTURE_BYTES,
        output_token_bytes=PICTURE_BYTES,
    ),
    _operation(
        "images.variations",
        b"/images/variations",
        decode_variation,
        form_body,
        images_report_in,
        input_token_bytes=PICTURE_BYTES,
        output_token_bytes=PICTURE_BYTES,
    ),
    _operation(
        "audio.speech",
        b"/audio/speech",
        decode_plain,
        json_body,
        speech_report_in,
        stream=sound_stream,
        output_token_bytes=SOUND_BYTES,
    ),
    _operation(
        "audio.transcriptions",
        b"/audio/transcriptions",
        decode_sound,
        form_body,
        audio_report_in,
        stream=transcript_stream,
        input_token_bytes=SOUND_BYTES,
    ),
    _operation(
        "audio.translations",
        b"/audio/translations",
        decode_sound,
        form_body,
        audio_report_in,
        stream=transcript_stream,
        input_token_bytes=SOUND_BYTES,
    ),
    _operation("moderations", b"/moderations", decode_moderation, json_body, no_report_in),
    _operation(
        "files.create", b"/files", decode_upload, _file_body, no_report_in, state=State.ISSUES
    ),
    _of_resource("files.list", _GET, b"/files", State.LISTS),
    _of_resource("files.retrieve", _GET, b"/files/%b"),
    _of_resource("files.delete", _DELETE, b"/files/%b"),
    _of_resource("files.content", _GET, b"/files/%b/content"),
    _operation(
        "batches.create", b"/batches", decode_batching, same_body, no_report_in, state=State.ISSUES
    ),
    _of_resource("batches.list", _GET, b"/batches", State.LISTS),
    _of_resource("batches.retrieve", _GET, b"/batches/%b"),
    _of_resource("batches.cancel", _POST, b"/batches/%b/cancel"),
    _operation(
        "responses.input_tokens",
        b"/responses/input_tokens",
        decode_responses,
        json_body,
        no_report_in,
    ),
    _operation(
        "responses.compact", b"/responses/compact", decode_responses, json_body, responses_report_in
    ),
    # Conversations lie on one account like files: no model is named, and nothing is used until a
    # response goes on from one.
    _of_resource("conversations.create", _POST, b"/conversations", State.ISSUES, decode_items),
    _of_resource("conversations.retrieve", _GET, b"/conversations/%b"),
    _of_resource("conversations.update", _POST, b"/conversations/%b"),
    _of_resource("conversations.delete", _DELETE, b"/conversations/%b"),
    _of_resource(
        "conversations.items.create", _POST, b"/conversations/%b/items", decode=decode_items
    ),
    _of_resource("conversations.items.list", _GET, b"/conversations/%b/items"),
    _of_resource("conversations.items.retrieve", _GET, b"/conversations/%b/items/%b"),
    _of_resource("conversations.items.delete", _DELETE, b"/conversations/%b/items/%b"),
    _operation(
        "completions",
        b"/completions",
        decode_completion,
        chat_body,
        chat_report_in,
        stream=chat_stream,
    ),
    _of_resource("chat.list", _GET, b"/chat/completions", State.LISTS),
    _of_resource("chat.retrieve", _GET, b"/chat/completions/%b"),
    _of_resource("chat.messages", _GET, b"/chat/completions/%b/messages"),
    _of_resource("chat.update", _POST, b"/chat/completions/%b"),
    _of_resource("chat.delete", _DELETE, b"/chat/completions/%b"),
    # Anthropic's own format.
    _operation(
        "messages",
        b"/messages",
        decode_messages,
        json_body,
        messages_report_in,
        stream=message_stream,
        shape_error=in_message_shape,
        may_name_parts=True,
    ),
    _operation(
        "messages.count_tokens",
        b"/messages/count_tokens",
        decode_messages,
        json_body,
        no_report_in,
        shape_error=in_message_shape,
    ),
)

BY_NAME: Final[Mapping[str, Operation]] = {operation.name: operation for operation in OPERATIONS}
FILES: Final = BY_NAME["files.create"].code
BATCHES: Final = BY_NAME["batches.create"]
# What is metered at its end, by the code of the operation that made it: how it is retrieved.
RETRIEVED_WITH: Final[Mapping[int, Operation]] = {
    BY_NAME["responses"].code: BY_NAME["responses.retrieve"],
    BATCHES.code: BY_NAME["batches.retrieve"],
}
# A chat completion that its cloud keeps: it issues an identifier, and goes where it can be read and
# deleted later.
_CHAT: Final = BY_NAME["chat"]
_STORED_CHAT: Final = _CHAT._replace(
    state=State.ISSUES, stream=stored_chat_stream, depends_on=("chat.retrieve", "chat.delete")
)
# What it says aloud is kept for an hour, and can be named by the next chat.
_SOUNDING_CHAT: Final = _CHAT._replace(stream=stored_chat_stream, may_name_parts=True)
SOUNDS: Final = BY_NAME["audio.speech"].code
# No endpoint of a cloud: the gateway itself answers, with its home's help.
OWN_USAGE: Final = BY_NAME["files.list"]._replace(
    name="usage", code=0, path=b"/clauseway/v1/usage", state=State.NONE
)
OWN_REQUESTS: Final = OWN_USAGE._replace(name="requests", path=b"/clauseway/v1/requests")
_STORED: Final = BITS[Capability.STORED_STATE]
_AUDIO_OUTPUT: Final = BITS[Capability.AUDIO_OUTPUT]
_ROOTS: Final = (b"/v1", b"/openai/v1", b"/openai")
# Where clients of Microsoft Foundry and of AWS look for messages.
_ROOT_OF_MESSAGES: Final = b"/anthropic/v1"
_FIXED: Final = {
    root + operation.path: [other for other in OPERATIONS if other.path == operation.path]
    for root in (*_ROOTS, _ROOT_OF_MESSAGES)
    for operation in OPERATIONS
    if b"%b" not in operation.path
    and (root != _ROOT_OF_MESSAGES or operation.shape_error is in_message_shape)
}
# Paths that stand for something else in Anthropic's API: the head says which of the two is meant.
_OF_BOTH_VENDORS: Final = frozenset({b"/files"})
# The common case: nothing differs from one request to the next, so the parsed request line stands
# ready.
READY: Final[Mapping[tuple[bytes, bytes], RequestLine]] = {
    (path, operation.method): RequestLine(
        operation, call=operation.call(b"", b"", b"application/json")
    )
    for path, operations in _FIXED.items()
    for operation in operations
    if operation.path not in _OF_BOTH_VENDORS
}
_PATHS: Final = {each.path for each in OPERATIONS if b"%b" not in each.path}
_IDENTIFIER: Final = rb"([A-Za-z0-9_-]{1,200})"
_WITH_IDENTIFIER: Final = [
    (
        re.compile(rb"(?:/v1|/openai/v1|/openai)" + operation.path.replace(b"%b", _IDENTIFIER)),
        operation,
    )
    for operation in OPERATIONS
    if b"%b" in operation.path
]
# Azure's dated paths name the model: an operation that is not routed by one has no such path, nor
# have counts of tokens, which are younger. A model's name may hold slashes, which some of the
# vendor's clients do not escape, but no such path.
_ROUTED: Final = {
    operation.path: [other for other in OPERATIONS if other.routed and other.path == operation.path]
    for operation in OPERATIONS
    if operation.routed and not operation.path.endswith(b"_tokens")
}
_ROUTED_PATHS: Final = b"|".join([re.escape(path) for path in _ROUTED])
_DATED: Final = re.compile(
    rb"/openai/deployments/((?!/)(?:(?!(?:%b)/)[^?]){1,200}?)(%b)" % (_ROUTED_PATHS, _ROUTED_PATHS)
)
# The parameters of both vendors' APIs: those of any request, and those that read. A cloud reads
# others of its own, in any case and encoding: Google's `$fields` leaves usage out of an answer,
# `$ct` gives a body another type, `quotaUser` and `key` name another account; another `api-version`
# of Azure's is a path that is not there.
_OF_ANY: Final = r"beta|include(?:\[.*\])?"
_OF_READING: Final = (
    r"after|after_id|before|before_id|include_obfuscation|limit|metadata\[.*\]|model|order|purpose"
    r"|starting_after|stream"
)
_passes: Final = re.compile(_OF_ANY, re.DOTALL).fullmatch
_passes_in_reading: Final = re.compile(f"{_OF_ANY}|{_OF_READING}", re.DOTALL).fullmatch


def for_values(operation: Operation, needs: Needs) -> Operation:
    """Return the operation that a request's values make of the one that its path names."""
    if operation is _CHAT and needs.bits & (_STORED | _AUDIO_OUTPUT):
        return _STORED_CHAT if needs.bits & _STORED else _SOUNDING_CHAT
    # A response adds its items to the conversation that it continues; sent again, it adds them
    # again.
    if needs.bits & _CONVERSATIONS:
        return operation._replace(is_repeatable=False)
    return operation


class UnknownPath(Exception):
    """No operation has this path and method. `methods` are those that the path takes, where only
    the method is wrong."""

    def __init__(self, methods: tuple[bytes, ...] = ()) -> None:
        super().__init__()
        self.methods = methods


def request_line_of(method: bytes, url: bytes) -> RequestLine:
    """Return what a request line asks for. Raises UnknownPath."""
    path, _, query = url.partition(b"?")
    if query:
        passes = _passes_in_reading if method == _GET else _passes
        query = b"&".join(
            [part for part in query.split(b"&") if passes(unquoted(part.partition(b"=")[0]))]
        )
    dated = _DATED.fullmatch(path)
    if dated is not None:
        request_line = _by_method(method, _ROUTED[dated[2]])
        return request_line._replace(model=unquoted(dated[1]), query=query)
    if path in _FIXED:
        return _by_method(method, _FIXED[path])._replace(query=query)
    matches = _with_identifier(path)
    if not matches:
        raise UnknownPath
    request_line = _by_method(method, [operation for _, operation in matches])
    identifier, *parts = matches[0][0].groups()
    # The second name in a path is that of a part, such as an item of a conversation.
    return request_line._replace(
        identifier=identifier.decode(), query=query, part=b"".join(parts).decode()
    )


def path_meant(path: bytes) -> bytes:
    """Return the path of an operation that a client means whose base URL lacks `/v1`, ends in more
    than that, or is another server's; empty if there is none, or if the path is one itself."""
    # Azure's clients put `/openai/…` behind their base URL and cannot ask for another path.
    of_azure = path.removeprefix(b"/v1")
    for meant in (b"/v1" + path, path.replace(b"/v1/v1/", b"/v1/", 1), of_azure):
        if meant != path and (
            meant in _FIXED or _with_identifier(meant) or _DATED.fullmatch(meant)
        ):
            return meant
    # Not where an operation's own path ends in that, as the one of a stored chat's messages does.
    own_ends = tuple(operation.path for _, operation in _with_identifier(path))
    ends = [
        known
        for known in _PATHS
        if path.rstrip(b"/").endswith(known) and not any(own.endswith(known) for own in own_ends)
    ]
    meant = b"/v1" + max(ends, key=len) if ends else b""
    return meant if meant != path else b""


def _with_identifier(path: bytes) -> list[tuple[re.Match[bytes], Operation]]:
    """Return the operations that have a path with an identifier in it, each with its match."""
    return [
        (match, operation)
        for pattern, operation in _WITH_IDENTIFIER
        if (match := pattern.fullmatch(path))
    ]


def _by_method(method: bytes, operations: list[Operation]) -> RequestLine:
    for operation in operations:
        if operation.method == method:
            return RequestLine(operation)
    raise UnknownPath(tuple(operation.method for operation in operations))


def unquoted(name: bytes) -> str:
    """Return a name in a path or query without its percent encoding."""
    text = re.sub(rb"%([0-9A-Fa-f]{2})", lambda escape: bytes.fromhex(escape[1].decode()), name)
    return text.decode("utf-8", "replace")

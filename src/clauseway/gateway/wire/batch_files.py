"""Files for batches: reading their lines, and replacing the model's name in them. Pure.

Each line is a request, as JSON:

    {"custom_id": …, "method": "POST", "url": "/v1/chat/completions", "body": {"model": …, …}}

Only the model's name in a body is replaced, as in the body of any request. Every other byte of the
file stays as it came: spaces, `\\r\\n`, blank lines, a byte order mark.
"""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple, cast

import msgspec

from clauseway.gateway.wire.bodies.body_errors import BadBody, NotOffered
from clauseway.gateway.wire.bodies.decoding import (
    BYTE_ORDER_MARK,
    Decode,
    RequestProperties,
)
from clauseway.gateway.wire.bodies.escapes import text_bytes
from clauseway.gateway.wire.bodies.members import check_utf8, members_once
from clauseway.gateway.wire.bodies.multipart import BadForm, uploaded_in
from clauseway.gateway.wire.bodies.needs import ABSENT, stated
from clauseway.gateway.wire.bodies.requests import (
    BatchRequest,
    RequestWithoutModel,
    decode_batch,
    decode_chat,
    decode_moderation,
    decode_picture,
    decode_plain,
    decode_responses,
)
from clauseway.gateway.wire.splice import with_body, with_model
from clauseway.values import NOT_JSON

# The endpoints with JSON requests that clouds document for batches, without `/v1`: Azure's samples
# leave it out.
_BATCHED: Mapping[str, tuple[str, Decode]] = {
    "/chat/completions": ("chat", decode_chat),
    "/responses": ("responses", decode_responses),
    "/embeddings": ("embeddings", decode_plain),
    "/moderations": ("moderations", decode_moderation),
    "/images/generations": ("images.generations", decode_picture),
}
_JSON = b"application/json"
_QUOTED_MAX = 80  # characters of a wrong value that an error quotes


class LineSpan(NamedTuple):
    """The place of a line that is not blank. `number` counts from 1 and includes blank lines."""

    number: int
    begin: int
    end: int


class BatchLine(NamedTuple):
    """The request in a line: the name of its operation, its properties and its body, whose text has
    at most `text_bytes`."""

    operation: str
    properties: RequestProperties
    body: bytes
    text_bytes: int


class _Written(msgspec.Struct, frozen=True, gc=False):
    """The members of a line that are read."""

    method: str = ""
    url: str = ""
    body: msgspec.Raw = ABSENT


_decode_line = msgspec.json.Decoder(_Written).decode
_LINE_READ = frozenset(_Written.__struct_fields__)


def spans(body: bytes, begin: int, end: int) -> Iterator[LineSpan]:
    """Yield the lines between two places of a body, without the white space at their ends."""
    if body.startswith(BYTE_ORDER_MARK, begin, end):
        begin += len(BYTE_ORDER_MARK)
    number = 0
    while begin < end:
        number += 1
        stop = body.find(b"\n", begin, end)
        stop = end if stop < 0 else stop
        length = len(body[begin:stop].rstrip())
        if length:
            yield LineSpan(number, begin, begin + length)
        begin = stop + 1


def read_line(written: bytes) -> BatchLine:
    """Read a line. Raise BadBody if it is no request, or not one that a batch may contain."""
    # JSON allows it between members; a server to which it ends the line would read other lines.
    if b"\r" in written:
        raise BadBody("it has a carriage return before its end")
    try:
        check_utf8(written)
        line = _decode_line(written)
        # Some clouds take another value of a repeated member than this decoder does (choice 30).
        members_once(written, _LINE_READ)
    except NOT_JSON as error:
        raise BadBody(f"it is no request of a batch: {error}") from None
    operation, decode = _batched_at(line.url, "url")
    if line.method != "POST":
        raise BadBody(f"its method is {line.method[:_QUOTED_MAX]!r}, not 'POST'", "method")
    body = bytes(line.body)
    return BatchLine(operation, decode(body, _JSON), body, text_bytes(body))


def _batched_at(path: str, member: str) -> tuple[str, Decode]:
    """Return the operation at a path that `member` names, and how its bodies are decoded. Raise
    BadBody if a batch has no such requests."""
    batched = _BATCHED.get(path.removeprefix("/v1"))
    if batched is None:
        paths = ", ".join(f"/v1{known}" for known in _BATCHED)
        raise BadBody(f"its {member} is {path[:_QUOTED_MAX]!r}; batches are of {paths}", member)
    return batched


class Splicer:
    """Builds the body for a deployment that calls the model `model`; `quoted` is that name as JSON.

    Add the lines in their order.
    """

    def __init__(self, body: bytes, model: str, quoted: bytes) -> None:
        self.model = model
        self._quoted = quoted
        self._body = body
        self._pieces: list[bytes | memoryview] = []
        self._at = 0

    def add(self, span: LineSpan, line: BatchLine) -> None:
        """Replace the model's name in a line, if it differs."""
        if line.properties.model == self.model:
            return
        _, begin, end = span
        changed = with_model(line.body, line.properties.model or "", self.model, self._quoted)
        rest = memoryview(self._body)[self._at : begin]
        self._pieces += (rest, with_body(self._body[begin:end], line.body, changed))
        self._at = end

    def whole(self) -> bytes:
        """Return the body with all replacements."""
        if not self._pieces:
            return self._body
        return b"".join((*self._pieces, memoryview(self._body)[self._at :]))


class Upload(RequestWithoutModel):
    """The upload of a file. The file lies from `begin` to `end` in the form.

    For a file for batches, `answers.uploads` fills in the rest. `model` is the name in its first
    line. `contents` is what the resource index keeps of the file, by deployment. `named` is the name
    by which all its lines call the model now.
    """

    def __init__(self, purpose: str, begin: int, end: int) -> None:
        self.purpose = purpose
        self.begin = begin
        self.end = end
        self.contents: dict[str, bytes] = {}
        self.named = ""

    @property
    def for_batches(self) -> bool:
        return self.purpose == "batch"

    def body_for(self, body: bytes, model: str, quoted: bytes) -> bytes:
        """Return the form for a deployment that calls the model `model`."""
        if not self.for_batches or model == self.named:
            return body
        splicer = Splicer(body, model, quoted)
        for span in spans(body, self.begin, self.end):
            splicer.add(span, read_line(body[span.begin : span.end]))
        return splicer.whole()


def decode_upload(body: bytes, content_type: bytes) -> RequestProperties:
    """Decode the form of an upload. Raise BadBody."""
    try:
        return RequestProperties(Upload(*uploaded_in(body, content_type)))
    except BadForm as error:
        raise BadBody(f"The body is no form: {error}.") from None


_AT_THE_OPERATORS_STORE: Final = (
    "%r has the cloud read or write a store with the operator's identity, so whoever has a key would "
    "reach what the operator may. Upload the file, name it as input_file_id, and read the answers "
    "by output_file_id."
)


class Batching(RequestWithoutModel):
    """The creation of a batch. `endpoint` is the path of its lines' `operation`; both are empty
    where it names none. `picodollars` and `output_tokens` are the most that it may cost and use,
    and the text of its requests has at most `body_bytes`; `request.selection` fills them in from
    the batch's file."""

    def __init__(self, file: str, endpoint: str = "", operation: str = "") -> None:
        self.named_ids = (file,) if file else ()
        self.endpoint = endpoint
        self.operation = operation
        self.picodollars = self.body_bytes = 0


def decode_batching(body: bytes, content_type: bytes) -> RequestProperties:
    """Decode the creation of a batch. Raises BadBody; NotOffered where the cloud would read or write
    a store of the operator's."""
    batch = cast(BatchRequest, decode_batch(body, content_type).decoded)
    for name, blob in (("input_blob", batch.input_blob), ("output_folder", batch.output_folder)):
        if stated(blob):
            raise NotOffered(_AT_THE_OPERATORS_STORE % name, name)
    endpoint = batch.endpoint or ""
    operation = _batched_at(endpoint, "endpoint")[0] if endpoint else ""
    return RequestProperties(Batching(batch.input_file_id or "", endpoint, operation))

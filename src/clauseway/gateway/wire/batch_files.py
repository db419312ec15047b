"""Files for batches: reading their lines, and replacing the model's name in them. Pure.

Each line is a request, as JSON:

    {"custom_id": …, "method": "POST", "url": "/v1/chat/completions", "body": {"model": …, …}}

Only the model's name in a body is replaced, as in the body of any request. Every other byte of the
file stays as it came: spaces, `\\r\\n`, blank lines, a byte order mark.
"""

from array import array
from collections.abc import Generator, Iterator, Mapping
from hashlib import sha256
from typing import Final, NamedTuple, cast

import msgspec

from clauseway.gateway.plan.steps import whole
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


class ModelPlaces:
    """Where the lines of a file name their model. By these places the file is written for a
    deployment that calls the model otherwise, and for the next one, without being read again."""

    def __init__(self) -> None:
        # A file may have a million lines: per line there are two numbers, and objects that lines
        # share.
        self._begins, self._ends = array("Q"), array("Q")
        self._before: list[bytes] = []  # is written before the name; empty at most lines
        self._models: list[str] = []

    def add(self, span: LineSpan, written: bytes, line: BatchLine) -> None:
        """Add the place of a line, which is `written` there. Add the lines in their order."""
        # No text holds its own digest, so it stands nowhere else.
        placeholder = sha256(written).hexdigest()
        quoted = b'"%b"' % placeholder.encode()
        changed = with_model(line.body, line.properties.model or "", placeholder, quoted)
        before, _, after = with_body(written, line.body, changed).partition(quoted)
        begin, end = span.begin, span.end - len(after)
        assert written.endswith(after), "a single place of the line is replaced"
        if written.startswith(before):
            begin, before = begin + len(before), b""
        self._append(begin, end, before, line.properties.model or "")

    def _append(self, begin: int, end: int, before: bytes, model: str) -> None:
        self._begins.append(begin)
        self._ends.append(end)
        self._before.append(before)
        self._models.append(model)

    def written_for(
        self, body: bytes, model: str, quoted: bytes
    ) -> "Generator[None, None, tuple[bytes, ModelPlaces]]":
        """Write the body for a deployment that calls the model `model`, in steps; `quoted` is that
        name as JSON. Return it, and the places in it. A line that names the model so stays."""
        pieces: list[bytes | memoryview] = []
        places = ModelPlaces()
        whole_body = memoryview(body)
        at = shift = 0
        for begin, end, before, name in zip(
            self._begins, self._ends, self._before, self._models, strict=True
        ):
            if name == model:
                places._append(begin + shift, end + shift, before, name)
            else:
                pieces += (whole_body[at:begin], before, quoted)
                begin_there = begin + shift + len(before)
                places._append(begin_there, begin_there + len(quoted), b"", model)
                shift += len(before) + len(quoted) - (end - begin)
                at = end
            yield
        return b"".join((*pieces, whole_body[at:])) if pieces else body, places


class Upload(RequestWithoutModel):
    """The upload of a file. The file lies from `begin` to `end` in the form.

    For a file for batches, `answers.uploads` fills in the rest. `model` is the name in its first
    line. `contents` is what the resource index keeps of the file, by deployment. `named` is the name
    by which all its lines call the model now, at `places`.
    """

    def __init__(self, purpose: str, begin: int, end: int) -> None:
        self.purpose = purpose
        self.begin = begin
        self.end = end
        self.contents: dict[str, bytes] = {}
        self.named = ""
        self.places = ModelPlaces()

    @property
    def for_batches(self) -> bool:
        return self.purpose == "batch"

    def body_for(self, body: bytes, model: str, quoted: bytes) -> bytes:
        """Return the form for a deployment that calls the model `model`."""
        if not self.for_batches or model == self.named:
            return body
        # At once: this reads no line.
        body_there, _ = whole(self.places.written_for(body, model, quoted))
        return body_there


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

"""A batch's file: JSON lines, each a request of its own. How they are read, and how their models
are named. Pure.

    {"custom_id": …, "method": "POST", "url": "/v1/chat/completions", "body": {"model": …, …}}

A line is never written anew where that can be helped: its body is spliced as any body is, and every
other byte of the file stays as it came: spaces, `\\r\\n`, blank lines, a byte order mark.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec

from clauseway.gateway.wire.members import BadBody, check_utf8, members_once
from clauseway.gateway.wire.multipart import BadForm, uploaded_in
from clauseway.gateway.wire.needs import ABSENT
from clauseway.gateway.wire.requests import (
    AskedOfNoModel,
    Decode,
    RequestProperties,
    decode_chat,
    decode_moderation,
    decode_plain,
    decode_responses,
)
from clauseway.gateway.wire.splice import with_body, with_model
from clauseway.values import NOT_JSON

# The endpoints that clouds document for batches, as far as their requests are JSON. Azure's samples
# leave `/v1` out.
_BATCHED: Mapping[str, tuple[str, Decode]] = {
    "/chat/completions": ("chat", decode_chat),
    "/responses": ("responses", decode_responses),
    "/embeddings": ("embeddings", decode_plain),
    "/moderations": ("moderations", decode_moderation),
    "/images/generations": ("images.generations", decode_plain),
}
# UTF-8's byte order mark.
_MARK = b"\xef\xbb\xbf"
_JSON = b"application/json"
_QUOTED_MAX = 80  # of what somebody wrote in the wrong place


class LineSpan(NamedTuple):
    """Where a line that is not blank lies; `number` counts from 1, blank lines too."""

    number: int
    begin: int
    end: int


class BatchLine(NamedTuple):
    """A line, read: an operation, by name, with `body`."""

    operation: str
    properties: RequestProperties
    body: bytes


class _Written(msgspec.Struct, frozen=True, gc=False):
    """A line as it is written. Members that are not here pass unread."""

    method: str = ""
    url: str = ""
    body: msgspec.Raw = ABSENT


_decode_line = msgspec.json.Decoder(_Written).decode
_LINE_READ = frozenset(_Written.__struct_fields__)


def spans(body: bytes, begin: int, end: int) -> Iterator[LineSpan]:
    """The lines between two places of a body, without the white space that ends them."""
    if body.startswith(_MARK, begin, end):
        begin += len(_MARK)
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
    """Raises BadBody where it asks for nothing that a batch can be of."""
    try:
        check_utf8(written)
        line = _decode_line(written)
        # Names that stand twice are read by some clouds otherwise than here (choice 30).
        members_once(written, _LINE_READ)
    except NOT_JSON as error:
        raise BadBody(f"it is no request of a batch: {error}") from None
    batched = _BATCHED.get(line.url.removeprefix("/v1"))
    if batched is None:
        paths = ", ".join(f"/v1{path}" for path in _BATCHED)
        raise BadBody(f"its url is {line.url[:_QUOTED_MAX]!r}; batches are of {paths}", "url")
    if line.method != "POST":
        raise BadBody(f"its method is {line.method[:_QUOTED_MAX]!r}, not 'POST'", "method")
    body = bytes(line.body)
    operation, decode = batched
    return BatchLine(operation, decode(body, _JSON), body)


class Splicer:
    """Makes, line by line and in order, the body that goes to a deployment where the model is named
    `model`, which is `quoted` as JSON."""

    def __init__(self, body: bytes, model: str, quoted: bytes) -> None:
        self.model = model
        self._quoted = quoted
        self._body = body
        self._pieces: list[bytes | memoryview] = []
        self._at = 0

    def add(self, span: LineSpan, line: BatchLine) -> None:
        if line.properties.model == self.model:
            return
        _, begin, end = span
        changed = with_model(line.body, line.properties.model or "", self.model, self._quoted)
        rest = memoryview(self._body)[self._at : begin]
        self._pieces += (rest, with_body(self._body[begin:end], line.body, changed))
        self._at = end

    def whole(self) -> bytes:
        if not self._pieces:
            return self._body
        return b"".join((*self._pieces, memoryview(self._body)[self._at :]))


class Upload(AskedOfNoModel):
    """The upload of a file, as `requests.Asked`. `begin` and `end` are the file's places in the
    form.

    Of one for batches `model` is what its first line names, and `contents` what is to be remembered
    of it, by deployment. `named`: all of its lines name the model so by now.
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
        """The form as it goes to a deployment where the model is named so."""
        if not self.for_batches or model == self.named:
            return body
        splicer = Splicer(body, model, quoted)
        for span in spans(body, self.begin, self.end):
            splicer.add(span, read_line(body[span.begin : span.end]))
        return splicer.whole()


def decode_upload(body: bytes, content_type: bytes) -> RequestProperties:
    """Return what a form says of its file. Raises BadBody."""
    try:
        return Upload(*uploaded_in(body, content_type))
    except BadForm as error:
        raise BadBody(f"The body is no form: {error}.") from None


class Batching(AskedOfNoModel):
    """The creation of a batch, as `requests.Asked`. `picodollars` and `output_tokens` are what it
    may come to at most, known from its file."""

    def __init__(self, file: str) -> None:
        self.named_ids = (file,) if file else ()
        self.picodollars = 0


def decode_batching(body: bytes, content_type: bytes) -> RequestProperties:
    """Raises BadBody."""
    named = decode_plain(body, content_type).named_ids
    return Batching(named[0] if named else "")

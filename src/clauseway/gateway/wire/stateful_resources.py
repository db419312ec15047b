"""Stateful resources that an answer says were created on an account, to be asked for by identifier:
responses, files and batches; the items of a response, the containers in which its tools ran, and
what a chat's model said aloud.

Pure.
"""

from typing import Annotated

import msgspec

from clauseway.gateway.clouds.half_pairs import decode_with_half_pairs, without_half_pairs
from clauseway.gateway.wire.bodies.members import each_readable, place_of, read_or
from clauseway.gateway.wire.bodies.needs import ABSENT, stated
from clauseway.values import NOT_JSON

_PENDING = frozenset({"queued", "in_progress", "validating", "finalizing", "cancelling"})
_CANCELLED = "cancelled"
_ENDED = frozenset({"completed", "incomplete", "failed", "expired", _CANCELLED})
_LENGTH_MAX = 1 << 34  # so that a batch's estimate is a possible report
# It has an output, whether or not its usage is reported.
_ANSWERED = frozenset({"completed", "incomplete"})
# Where a batch's lines are answered with text, by the end of its endpoint: vectors are no output.
_OF_TEXT = (b'completions"', b'responses"')


class StatefulResource(msgspec.Struct, frozen=True, gc=False):
    """`status` is where it stands; absent for what is final at once. A batch names the files that
    it produced and the `endpoint` of its lines, and counts these; a file has a length. A response
    names its items (`output`), a message of Anthropic's the container in which its tools ran. The
    `choices` of a chat, or of one chunk of its stream, name what was said aloud."""

    id: str = ""
    status: str | None = None
    output_file_id: str | None = None
    error_file_id: str | None = None
    request_counts: msgspec.Raw = ABSENT
    endpoint: msgspec.Raw = ABSENT
    length: msgspec.Raw = msgspec.field(default=ABSENT, name="bytes")
    output: msgspec.Raw = ABSENT
    container: msgspec.Raw = ABSENT
    choices: msgspec.Raw = ABSENT

    @property
    def pending(self) -> bool:
        """Return whether its usage is still to come."""
        return self.status in _PENDING

    @property
    def has_ended(self) -> bool:
        """Return whether no usage is to come any more. A status that is not known is no end: taken
        for one, what comes after it would never be metered."""
        return self.status is None or self.status in _ENDED

    @property
    def is_cancelled(self) -> bool:
        return self.status == _CANCELLED

    @property
    def files(self) -> tuple[str, ...]:
        return tuple(name for name in (self.output_file_id, self.error_file_id) if name)

    def answered_of(self, body_bytes: int) -> int:
        """Return how many bytes of its requests were answered, of `body_bytes`: of a batch by the
        counts of its lines, else all where it has an output, or none."""
        counts = read_or(_decode_counts, self.request_counts, _Counts())
        if counts.total > 0:
            answered = min(max(counts.completed, 0), counts.total)
            return -(-body_bytes * answered // counts.total)
        return body_bytes if self.status in _ANSWERED or self.output_file_id else 0

    @property
    def text_file_id(self) -> str:
        """Return the file with the answers of a batch, if they are text; empty if there is none."""
        is_text = bytes(self.endpoint).endswith(_OF_TEXT)
        return self.output_file_id or "" if is_text else ""

    @property
    def file_bytes(self) -> int:
        """Return how long a file is; 0 where it does not say."""
        return read_or(_decode_length, self.length, 0)

    @property
    def output_bytes(self) -> int:
        """Return how long the output of a response is, as it is written; 0 where it has none."""
        written = bytes(self.output) if stated(self.output) else b""
        return len(written) if written != b"[]" else 0

    def sounds(self) -> list[str]:
        """Return the identifiers of what was said aloud."""
        said = [
            part.audio
            for choice in each_readable(self.choices, _decode_choice)
            for part in (choice.message, choice.delta)
            if part is not None
        ]
        return [sound.id for sound in said if sound is not None and sound.id]

    def named_within(self, *, items: bool) -> list[str]:
        """Return the identifiers of the containers in which tools ran, and of the items where they
        are wanted. The containers of several calls may be one."""
        output = each_readable(self.output, _decode_item)
        names = [item.id for item in output] if items else []
        for item in output:
            names.append(item.container_id)
            if stated(item.environment):
                names.append(read_or(_decode_item, item.environment, _Item()).container_id)
        if stated(self.container):
            names.append(read_or(_decode_item, self.container, _Item()).id)
        return list(dict.fromkeys([name for name in names if name]))


class _Counts(msgspec.Struct, frozen=True, gc=False):
    """The lines of a batch, and those of them that were answered."""

    total: int = 0
    completed: int = 0


class _Item(msgspec.Struct, frozen=True, gc=False):
    """An item of a response, or a container. A call of a shell names its own in its
    `environment`."""

    id: str | None = None
    container_id: str | None = None
    environment: msgspec.Raw = ABSENT


class _Said(msgspec.Struct, frozen=True, gc=False):
    audio: _Item | None = None


class _Choice(msgspec.Struct, frozen=True, gc=False):
    message: _Said | None = None
    delta: _Said | None = None


_decode_choice = msgspec.json.Decoder(_Choice).decode
_decode_counts = msgspec.json.Decoder(_Counts).decode
_decode_item = msgspec.json.Decoder(_Item).decode
_decode_length = msgspec.json.Decoder(Annotated[int, msgspec.Meta(ge=0, le=_LENGTH_MAX)]).decode
_decode_resource = msgspec.json.Decoder(StatefulResource).decode


def resource_in(answer: bytes) -> StatefulResource | None:
    """Return the resource that an answer names, None where it names none."""
    try:
        resource = decode_with_half_pairs(_decode_resource, answer)
    except NOT_JSON:
        return None
    return resource if resource.id else None


def _as_they_came(objects: list[bytes], whole: bytes, answer: bytes) -> list[bytes]:
    """Return the objects of the list in `whole` as they stand in the answer, at the same places."""
    place = place_of(whole, "data")
    at = place.begin if place is not None else 0
    places = []
    for written in objects:
        begin = whole.index(written, at)
        at = begin + len(written)
        places.append(answer[begin:at])
    return places


class _Page(msgspec.Struct, frozen=True, gc=False):
    data: list[msgspec.Raw] = []
    has_more: bool = False


_decode_page = msgspec.json.Decoder(_Page).decode


def objects_in(answer: bytes) -> tuple[list[tuple[str, bytes]], bool]:
    """Return the objects of a list, each with its identifier, and whether there are more; none
    where the answer is no list."""
    # As long as the answer: what is found in it is taken out of the answer, as it came.
    whole = answer
    try:
        page = _decode_page(answer)
    except NOT_JSON:
        whole = without_half_pairs(answer)
        try:
            page = _decode_page(whole)
        except NOT_JSON:
            return [], False
    objects = [bytes(written) for written in page.data]
    if whole is not answer:
        objects = _as_they_came(objects, whole, answer)
    return [
        (resource.id, written)
        for written in objects
        if (resource := resource_in(written)) is not None
    ], page.has_more


EMPTY_LIST = b'{"object":"list","data":[],"first_id":null,"last_id":null,"has_more":false}'

"""Resources that an answer says were made on an account, to be asked for by identifier. Pure."""

import msgspec

from clauseway.values import NOT_JSON

_PENDING = frozenset({"queued", "in_progress", "validating", "finalizing", "cancelling"})


class Made(msgspec.Struct, frozen=True, gc=False):
    """`status` is where it stands; absent for what is final at once. A batch names the files that
    it made."""

    id: str = ""
    status: str | None = None
    output_file_id: str | None = None
    error_file_id: str | None = None

    @property
    def pending(self) -> bool:
        """Return whether its usage is still to come."""
        return self.status in _PENDING

    @property
    def files(self) -> tuple[str, ...]:
        return tuple(name for name in (self.output_file_id, self.error_file_id) if name)


_decode_made = msgspec.json.Decoder(Made).decode


def made_in(answer: bytes) -> Made | None:
    """Return the resource that an answer names, None where it names none."""
    try:
        made = _decode_made(answer)
    except NOT_JSON:
        return None
    return made if made.id else None


class _Page(msgspec.Struct, frozen=True, gc=False):
    data: list[msgspec.Raw] = []
    has_more: bool = False


_decode_page = msgspec.json.Decoder(_Page).decode


def objects_in(answer: bytes) -> tuple[list[tuple[str, bytes]], bool]:
    """The objects of a list, by their names, and whether there are more; none where it is no
    list."""
    try:
        page = _decode_page(answer)
    except NOT_JSON:
        return [], False
    objects = [bytes(written) for written in page.data]
    return [
        (made.id, written) for written in objects if (made := made_in(written)) is not None
    ], page.has_more


EMPTY_LIST = b'{"object":"list","data":[],"first_id":null,"last_id":null,"has_more":false}'

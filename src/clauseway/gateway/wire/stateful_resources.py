"""Stateful resources that an answer says were created on an account, to be asked for by identifier.

Pure.
"""

import msgspec

from clauseway.values import NOT_JSON

_PENDING = frozenset({"queued", "in_progress", "validating", "finalizing", "cancelling"})


class StatefulResource(msgspec.Struct, frozen=True, gc=False):
    """`status` is where it stands; absent for what is final at once. A batch names the files that
    it produced."""

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


_decode_resource = msgspec.json.Decoder(StatefulResource).decode


def resource_in(answer: bytes) -> StatefulResource | None:
    """Return the resource that an answer names, None where it names none."""
    try:
        resource = _decode_resource(answer)
    except NOT_JSON:
        return None
    return resource if resource.id else None


class _Page(msgspec.Struct, frozen=True, gc=False):
    data: list[msgspec.Raw] = []
    has_more: bool = False


_decode_page = msgspec.json.Decoder(_Page).decode


def objects_in(answer: bytes) -> tuple[list[tuple[str, bytes]], bool]:
    """Return the objects of a list, each with its identifier, and whether there are more; none
    where the answer is no list."""
    try:
        page = _decode_page(answer)
    except NOT_JSON:
        return [], False
    objects = [bytes(written) for written in page.data]
    return [
        (resource.id, written)
        for written in objects
        if (resource := resource_in(written)) is not None
    ], page.has_more


EMPTY_LIST = b'{"object":"list","data":[],"first_id":null,"last_id":null,"has_more":false}'

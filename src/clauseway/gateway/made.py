"""What an answer says was made on an account: something that is asked for again by its identifier. Pure."""

import msgspec

_PENDING = frozenset({"queued", "in_progress", "validating", "finalizing", "cancelling"})


class Made(msgspec.Struct, frozen=True, gc=False):
    """`status` is where it stands; absent for what is final at once."""

    id: str = ""
    status: str | None = None

    @property
    def pending(self) -> bool:
        """Whether its usage is still to come."""
        return self.status in _PENDING


_decode_made = msgspec.json.Decoder(Made).decode


def made_in(answer: bytes) -> Made | None:
    """What an answer names, None where it names nothing."""
    try:
        made = _decode_made(answer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return made if made.id else None


class _List(msgspec.Struct, frozen=True, gc=False):
    data: list[msgspec.Raw] = []


_decode_list = msgspec.json.Decoder(_List).decode
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def only_owned(answer: bytes, owned: set[str]) -> bytes:
    """A list of objects without those of others on the same account: the one answer that is not passed on as it came.

    Each object stays byte for byte. What is no list is answered as an empty one: nothing of others gets out.
    """
    try:
        objects, members = _decode_list(answer).data, _decode_members(answer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return EMPTY_LIST
    kept = [one for one in objects if (made := made_in(bytes(one))) is not None and made.id in owned]
    names = [made.id for one in kept if (made := made_in(bytes(one))) is not None]
    changed: dict[str, object] = {"data": kept}
    if "first_id" in members:
        changed |= {"first_id": names[0] if names else None, "last_id": names[-1] if names else None}
    return msgspec.json.encode({**members, **changed})


EMPTY_LIST = b'{"object":"list","data":[],"first_id":null,"last_id":null,"has_more":false}'

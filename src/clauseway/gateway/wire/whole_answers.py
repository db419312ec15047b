"""Whole answers, looked at before they count as answers: a 200 may hold an error, a page or half of
a JSON text. Pure.

A body that reports usage and no error, and has the array that clients read, is an answer at first
sight; any other is looked at member by member.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from clauseway.gateway.clouds.half_pairs import decode_with_half_pairs, without_half_pairs
from clauseway.gateway.wire.bodies.members import Members, decode_members, place_of
from clauseway.gateway.wire.errors import reports_error, without_our_names
from clauseway.values import NOT_JSON

IsAnswer = Callable[[bytes], bool]


# The members in which a response and a batch say why they failed.
_FAILURES: Final = ("error", "errors")
_NO_OUTPUT: Final = (b"null", b"[]")
# A member of whatever object. OpenAI writes `"error": null` into every response, which reports
# nothing.
REPORTED_ERROR: Final = re.compile(rb'"errors?"(?!\s*:\s*null\b)')


def without_names_in_failure(body: bytes, names: tuple[str, ...]) -> bytes:
    """Return an answer without the names of our account where it says why something failed. The
    model's words in it stay."""
    members = _members_of(body) if REPORTED_ERROR.search(body) else None
    if members is None:
        return body
    for member in [name for name in _FAILURES if _is_reported(members, name)]:
        place = place_of(without_half_pairs(body), member)
        assert place is not None, "the body has this member"
        cleaned = without_our_names(body[place.begin : place.end], names)
        body = body[: place.begin] + cleaned + body[place.end :]
    return body


def used_nothing(body: bytes) -> bool:
    """Return whether an answer that reports no usage says only that it failed: no output came."""
    members = _members_of(body) if body.find(b'"error"') >= 0 else None
    if members is None or not _tells_error(members):
        return False
    return bytes(members.get("output", b"null")) in _NO_OUTPUT


def tells_error(body: bytes) -> bool:
    """Return whether a body is a JSON object with an error."""
    members = _members_of(body)
    return members is not None and _tells_error(members)


def _members_of(body: bytes) -> Members | None:
    """Return the members of a JSON object; None where the body is something else."""
    try:
        return decode_with_half_pairs(decode_members, body)
    except NOT_JSON:
        return None


def _tells_error(members: Members) -> bool:
    return _is_reported(members, "error")


def _is_reported(members: Members, name: str) -> bool:
    return name in members and reports_error(members[name])


def _with_member(*names: str, error_is_reported: bool = False) -> IsAnswer:
    """Return the check for a JSON object with one of these members, or for any object where none is
    named. `error_is_reported`: an answer may have an `error`."""

    def is_answer(body: bytes) -> bool:
        members = _members_of(body)
        if members is None or (names and not any(name in members for name in names)):
            return False
        return error_is_reported or not _tells_error(members)

    return is_answer


def _with_array(name: str, *, or_member: str = "") -> IsAnswer:
    """Return the check for a JSON object without an error whose member `name` is an array or, where
    it has no such member, which has `or_member`."""

    def is_answer(body: bytes) -> bool:
        members = _members_of(body)
        if members is None or _tells_error(members):
            return False
        if name not in members:
            return or_member in members
        return _is_array(members[name])

    return is_answer


def _is_response(body: bytes) -> bool:
    """Return whether a body is a response, which may have failed. Only one that has an identifier,
    or says that it is a response, may have an `error`, or no `output`, unless it says that it is
    something else; only one that says that it is a response may have an `output` of null."""
    members = _members_of(body)
    if members is None:
        return False
    kind = bytes(members.get("object", b"null"))
    says_response = kind == b'"response"'
    is_response = says_response or bytes(members.get("id", b"")).startswith(b'"')
    if "output" not in members:
        return is_response and (says_response or kind == b"null")
    if _is_array(members["output"]):
        return is_response or not _tells_error(members)
    return says_response and bytes(members["output"]) == b"null"


def _is_array(value: msgspec.Raw) -> bool:
    return bytes(value).startswith(b"[")


_is_transcript: Final = _with_member("text")
_has_error: Final = _with_member("error", error_is_reported=True)


def _is_text(body: bytes) -> bool:
    """Return whether a body is a transcription: JSON, or text in one of several formats."""
    start = body.lstrip()[:1]
    if start == b"{":
        return _is_transcript(body)
    return bool(start) and start != b"<"


def _is_sound(body: bytes) -> bool:
    """Return whether a body is speech: neither empty, nor a page, nor an error."""
    start = body[:64].lstrip()[:1]
    return bool(start) and start != b"<" and not (start == b"{" and _has_error(body))


_CONTENT_TYPE: Final = re.compile(rb"(?:^|\n)content-type:[ \t]*([^\s;]+)", re.IGNORECASE)
_SUBTITLES: Final = b"application/x-subrip"


def announces_sound(head: bytes) -> bool:
    """Return whether a head says that its body is sound."""
    return _kind_in(head).startswith(b"audio/")


def _kind_in(head: bytes) -> bytes:
    """Return a head's content type without its parameters, in lower case; nothing where it has none."""
    match = _CONTENT_TYPE.search(head)
    return match[1].lower() if match is not None else b""


def is_announced(operation: str, head: bytes, body: bytes) -> bool:
    """Return whether the head of a 200 says that its body is what the operation answers with. Then
    the body's beginning tells nothing: a transcript of silence is empty, and sound may begin like a
    page."""
    if operation == "audio.speech":
        return announces_sound(head) and bool(body)
    if operation not in ("audio.transcriptions", "audio.translations"):
        return False
    kind = _kind_in(head)
    is_text = kind == _SUBTITLES or (kind.startswith(b"text/") and kind != b"text/html")
    return is_text and not _has_error(body)


def _is_anything(_body: bytes) -> bool:
    """Return True: the content of a file may be anything, and empty."""
    return True


def _is_deletion(body: bytes) -> bool:
    """Return whether a body confirms a deletion, which some servers do with an empty one."""
    return not body or _is_object(body)


# Some servers name the members of files and batches in their own way: any object is one.
_is_object: Final = _with_member()
_is_list: Final = _with_array("data")
# Of an answer with pictures, OpenAI promises no other member than `created`.
_is_images: Final = _with_array("data", or_member="created")

IS_ANSWER: Final[Mapping[str, IsAnswer]] = {
    "chat": _with_array("choices"),
    "responses": _is_response,
    "responses.retrieve": _is_response,
    "responses.cancel": _is_response,
    "responses.delete": _is_deletion,
    "responses.input_items": _is_list,
    "embeddings": _is_list,
    "images.generations": _is_images,
    "images.edits": _is_images,
    "images.variations": _is_images,
    "audio.speech": _is_sound,
    "audio.transcriptions": _is_text,
    "audio.translations": _is_text,
    "moderations": _with_member("results"),
    "files.create": _is_object,
    "files.list": _is_list,
    "files.retrieve": _is_object,
    "files.delete": _is_deletion,
    "files.content": _is_anything,
    "batches.create": _is_object,
    "batches.list": _is_list,
    "batches.retrieve": _is_object,
    "batches.cancel": _is_object,
    "responses.input_tokens": _with_member("input_tokens"),
    "responses.compact": _with_array("output"),
    "conversations.create": _with_member("id"),
    "conversations.retrieve": _is_object,
    "conversations.update": _is_object,
    "conversations.delete": _is_deletion,
    "conversations.items.create": _is_list,
    "conversations.items.list": _is_list,
    "conversations.items.retrieve": _is_object,
    "conversations.items.delete": _is_object,
    "completions": _with_array("choices"),
    "chat.list": _is_list,
    "chat.retrieve": _is_object,
    "chat.messages": _is_list,
    "chat.update": _is_object,
    "chat.delete": _is_deletion,
    "messages": _with_array("content"),
    "messages.count_tokens": _with_member("input_tokens"),
}
# Operation → its array, written in one of the ways that servers write it. In a text its quotes would
# be escaped.
ARRAYS: Final[Mapping[str, re.Pattern[bytes]]] = {
    operation: re.compile(rb'"%b"\s*:\s*\[' % array)
    for operation, array in (
        ("chat", b"choices"),
        ("completions", b"choices"),
        ("embeddings", b"data"),
        ("images.generations", b"data"),
        ("images.edits", b"data"),
        ("images.variations", b"data"),
        ("responses", b"output"),
        ("responses.retrieve", b"output"),
        ("responses.cancel", b"output"),
        ("responses.compact", b"output"),
        ("messages", b"content"),
    )
}


def shows_its_end(operation: str, body: bytes) -> bool:
    """Return whether a body itself shows that it is whole, as a JSON object does. What a 206 has of
    sound, text or a file may be a part (RFC 9110, 15.3.7), and its client could not tell."""
    return operation != "files.content" and _members_of(body) is not None

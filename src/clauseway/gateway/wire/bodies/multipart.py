"""Forms in parts (`multipart/form-data`, RFC 7578): their plain fields, and where a field's value
lies. Pure.

A form is never written anew: a field's value is replaced in its place, or the field put before all
others where it is missing; all other bytes stay as they came. So a form is read only if every
parser reads it in the same way: some take another of two boundaries, or a line that ends in LF
alone, and a cloud would act by a form that nobody decided.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from clauseway.gateway.wire.bodies.further_models import FURTHER

# A parameter of a content type other than the boundary, `boundary*=` (RFC 2231) included.
_PARAMETER = rb'[ \t]*;[ \t]*(?!boundary)[\w.-]+=(?:"[^"\\]*"|[^\s;",\\]*)'
# A boundary has 70 characters at most, and does not end in a blank (RFC 2046, 5.1.1).
_BOUNDARY = (
    rb'[ \t]*;[ \t]*boundary=(?:"([ !#-\[\]-~]{0,69}[!#-\[\]-~])"|([!#-+\--:<-\[\]-~]{1,70}))'
)
_CONTENT_TYPE = re.compile(
    rb"multipart/form-data(?:%b)*%b(?:%b)*[ \t]*;?[ \t]*" % (_PARAMETER, _BOUNDARY, _PARAMETER),
    re.IGNORECASE,
)
_FILE = re.compile(rb"[;\s]filename\*?=", re.IGNORECASE)
# A part whose name can be read in one way only; browsers and HTTP libraries write no other (.NET's
# without quotes).
_PLAIN_NAME = re.compile(
    rb'content-disposition:\s*form-data\s*;\s*name=(?:"([^"\\]*)"|([\w.\[\]-]+))\s*(?:;\s*filename\*?=(?:"(?:[^"\\]|\\.)*"|[^\s;"]+)\s*){0,2}',
    re.IGNORECASE,
)
# Some parsers decode such a part, most do not (RFC 7578, 4.7).
_ENCODED = re.compile(
    rb"content-transfer-encoding[ \t]*:(?![ \t]*(?:binary|[78]bit)[ \t]*(?:\r\n|\Z))", re.IGNORECASE
)
_DISPOSITION = b"content-disposition"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# Of where a form goes and what it may cost.
DECIDING = frozenset({"model", "n", "stream", "output_format", "frame_count"})
_PARTS_MAX = 1000  # a form of ours has some ten parts
_FIELD_BYTES_MAX = 64 << 10  # a plain field is a name, a number, a prompt


class BadForm(Exception):
    """The body is no form."""


class Field(NamedTuple):
    """A field that is no file, and where its value begins and ends in the body."""

    name: str
    begin: int
    end: int


class Uploaded(NamedTuple):
    """A file that was sent, and what for: where it begins and ends in the body, and its
    `purpose`."""

    purpose: str
    begin: int
    end: int


def plain_fields(body: bytes, content_type: bytes) -> list[Field]:
    """Return the fields that are no files, in their order. Raises BadForm."""
    return list(_fields(body, content_type))


def texts_of(fields: list[Field], body: bytes) -> dict[str, str]:
    """Return the text of each field by name; the last of a name that comes twice, and none that is
    longer than 64 KiB. Raises BadForm where a cloud could read another model, or number of answers,
    out of the form than we do."""
    texts: dict[str, str] = {}
    for field in fields:
        if field.end - field.begin <= _FIELD_BYTES_MAX:
            if field.name in texts and field.name in DECIDING:
                raise BadForm(f"it has more than one {field.name}")
            texts[field.name] = body[field.begin : field.end].decode("utf-8", "replace")
        elif field.name in DECIDING:
            raise BadForm(f"its {field.name} is longer than {_FIELD_BYTES_MAX >> 10} KiB")
    return texts


def uploaded_in(body: bytes, content_type: bytes) -> Uploaded:
    """Return the one file of a form, and its purpose; of a form without a file or a purpose, an
    empty one.

    Raises BadForm where a cloud could read another file or purpose out of the form than we do.
    """
    places: dict[str, tuple[int, int]] = {}
    for head, begin, end in _parts(body, content_type):
        named, _ = _name_in(head)
        if named in places and named in ("file", "purpose"):
            raise BadForm(f"it has more than one {named}")
        places[named] = (begin, end)
    begin, end = places.get("purpose", (0, 0))
    if end - begin > _FIELD_BYTES_MAX:
        raise BadForm(f"its purpose is longer than {_FIELD_BYTES_MAX >> 10} KiB")
    purpose = body[begin:end].decode("utf-8", "replace")
    # No database keeps a NUL in a text, and a server may take a character for the text's end.
    if _CONTROL.search(purpose):
        raise BadForm("its purpose has a control character")
    return Uploaded(purpose, *places.get("file", (0, 0)))


def with_field(body: bytes, content_type: bytes, name: str, value: bytes) -> bytes:
    """Return the form with `value` as the value of its field `name`. Raises BadForm."""
    fields = [field for field in _fields(body, content_type) if field.name == name]
    for field in reversed(fields):
        body = body[: field.begin] + value + body[field.end :]
    if not fields:
        delimiter = b"--" + _boundary_of(content_type)
        begin = _first(delimiter, body)
        part = b'%b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (
            delimiter,
            name.encode(),
            value,
        )
        body = body[:begin] + part + body[begin:]
    return body


def _fields(body: bytes, content_type: bytes) -> Iterator[Field]:
    for head, begin, end in _parts(body, content_type):
        name, is_file = _name_in(head)
        if not is_file:
            yield Field(name, begin, end)
        # Of a part with an empty file name some parsers make a field.
        elif name in DECIDING or name.partition("[")[0] in FURTHER:
            raise BadForm(f"its {name} is a file")


def _parts(body: bytes, content_type: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield each part's head, and where its content begins and ends. Raises BadForm."""
    delimiter = b"--" + _boundary_of(content_type)
    begin = _first(delimiter, body)
    at = begin + len(delimiter)
    for count in range(_PARTS_MAX):
        # Two hyphens behind it make a delimiter the last.
        if body.startswith(b"--", at):
            _check_no_other(body, delimiter, begin, at + 2, count)
            return
        if not body.startswith(b"\r\n", at):
            raise BadForm("what begins like its boundary goes on otherwise")
        head_end = body.find(b"\r\n\r\n", at)
        # From the head's own line break: in an empty part it is the delimiter's too.
        end = body.find(b"\r\n" + delimiter, head_end + 2)
        if head_end < 0 or end < 0:
            raise BadForm("a part of it does not end")
        yield body[at:head_end], head_end + 4, max(head_end + 4, end)
        at = end + 2 + len(delimiter)
    raise BadForm(f"it has more than {_PARTS_MAX} parts")


def _first(delimiter: bytes, body: bytes) -> int:
    """Return where the first delimiter begins: the body or a line of it; a preamble is skipped (RFC
    2046, 5.1.1). Raises BadForm."""
    begin = 0 if body.startswith(delimiter) else body.find(b"\r\n" + delimiter) + 2
    # -1 for none, and 2 more.
    if begin == 1:
        raise BadForm("its boundary does not come in it")
    return begin


def _boundary_of(content_type: bytes) -> bytes:
    """Return the boundary of a form. Raises BadForm where parsers could read different ones."""
    match = _CONTENT_TYPE.fullmatch(content_type)
    # One within another parameter's value is taken by who searches for it.
    if match is None or content_type.lower().count(b"boundary=") > 1:
        raise BadForm("its content type is not multipart/form-data with one boundary")
    return match[1] or match[2]


def _check_no_other(body: bytes, delimiter: bytes, begin: int, end: int, count: int) -> None:
    """Raise BadForm where a lenient parser would find another part: before the first delimiter, at
    `begin`, behind the last, which ends at `end`, or at a line between them that begins behind CR
    or LF alone. `count` parts were found."""
    behind_lf = body.count(b"\n" + delimiter, begin)
    if (
        body.find(delimiter, 0, begin) >= 0
        or behind_lf > count
        or body.find(b"\r" + delimiter, begin) >= 0
        or body[end : end + 1].strip()
    ):
        raise BadForm("its boundary comes where no part begins")


def _name_in(head: bytes) -> tuple[str, bool]:
    """Return a part's name, and whether it is a file. Raises BadForm where parsers could read
    different names."""
    stated = [line for line in head.split(b"\r\n") if line.lower().startswith(_DISPOSITION)]
    # One that continues another line is a line of its own to some parsers.
    plain = head.lower().count(_DISPOSITION) == len(stated) == 1
    plain = plain and head.count(b"\n") == head.count(b"\r\n")
    match = _PLAIN_NAME.fullmatch(stated[0]) if plain else None
    if match is None:
        raise BadForm("a part of it has no name, or several")
    if _ENCODED.search(head) is not None:
        raise BadForm("a part of it is encoded")
    quoted = match[1] is not None
    is_file = _FILE.search(stated[0], match.end(1 if quoted else 2)) is not None
    return match[1 if quoted else 2].decode("utf-8", "replace"), is_file

"""Reading `multipart/form-data` (RFC 7578), as the SDKs upload files."""

import re
from collections.abc import Mapping

import msgspec

from clauseway.sandbox.wire import FormatRefusal

_PARAMETER = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"|(\w+)=([^\s;"]+)')


class FormPart(msgspec.Struct, frozen=True):
    """One part of a form. `filename` is empty for a plain field."""

    name: str
    filename: str
    content_type: str
    content: bytes


class Form(msgspec.Struct, frozen=True):
    """A form's parts in the order sent."""

    parts: tuple[FormPart, ...]

    @property
    def fields(self) -> Mapping[str, str]:
        """Return the plain fields, the last of each name."""
        plain = [part for part in self.parts if not part.filename]
        return {part.name: part.content.decode("utf-8", "replace") for part in plain}

    def files(self, *names: str) -> list[FormPart]:
        """Return the files sent under any of the names."""
        return [part for part in self.parts if part.filename and part.name in names]


def read_form(content_type: str, body: bytes) -> Form:
    """Return the form in a body. Raise Refused where it is none, in OpenAI's words."""
    kind, _, rest = content_type.partition(";")
    boundary = _parameters(rest).get("boundary", "")
    if kind.strip().lower() != "multipart/form-data" or not boundary:
        raise FormatRefusal(
            400, f"Invalid Content-Type header ({kind}), expected 'multipart/form-data'."
        )
    mark = b"--" + boundary.encode("latin-1")
    pieces = (b"\r\n" + body).split(b"\r\n" + mark)
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise FormatRefusal(400, "Could not parse multipart form")
    return Form(tuple(_part(piece) for piece in pieces[1:-1]))


def _part(piece: bytes) -> FormPart:
    head, _, content = piece.partition(b"\r\n\r\n")
    headers = {}
    for line in head.split(b"\r\n"):
        name, _, value = line.decode("utf-8", "replace").partition(":")
        headers[name.strip().lower()] = value.strip()
    parameters = _parameters(headers.get("content-disposition", ""))
    return FormPart(
        parameters.get("name", ""),
        parameters.get("filename", ""),
        headers.get("content-type", ""),
        content,
    )


def _parameters(text: str) -> dict[str, str]:
    return {match[1] or match[3]: match[2] or match[4] or "" for match in _PARAMETER.finditer(text)}

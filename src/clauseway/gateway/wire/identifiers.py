"""Identifiers of resources that a body names outside the members that are decoded by type: files
in parts of messages and of tools, and whatever the lines of a batch's file name."""

import re
from typing import Final

_FILE_ID: Final = re.compile(rb'"file_id"\s*:\s*"([^"]{1,200})"')
_FILE_IDS: Final = re.compile(rb'"file_ids"\s*:\s*\[([^\]]*)\]')
_PREVIOUS: Final = re.compile(rb'"previous_response_id"\s*:\s*"([^"]{1,200})"')
_QUOTED: Final = re.compile(rb'"([^"]{1,200})"')
# Letters, digits, _ and - as JSON \u escapes, so that an escaped file id is found too.
_ESCAPED: Final = re.compile(rb"\\u00(2[dD]|3[0-9]|4[1-9a-fA-F]|5[0-9aAfF]|6[1-9a-fA-F]|7[0-9aA])")


def files_in(body: bytes) -> list[str]:
    """Return the files that a body names."""
    if b"\\u00" in body:
        body = _ESCAPED.sub(_unescaped, body)
    if b'"file_id' not in body:
        return []
    named = _FILE_ID.findall(body)
    for several in _FILE_IDS.findall(body):
        named += _QUOTED.findall(several)
    return [name.decode("utf-8", "replace") for name in named]


def identifiers_in_lines(body: bytes) -> list[str]:
    """Return the identifiers that the lines of a file name: of earlier responses and of files."""
    previous = [name.decode("utf-8", "replace") for name in _PREVIOUS.findall(body)]
    return [*previous, *files_in(body)]


def _unescaped(escape: re.Match[bytes]) -> bytes:
    return bytes((int(escape[1], 16),))

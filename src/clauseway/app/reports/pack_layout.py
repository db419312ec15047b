"""The ZIP around the parts of a pack: its headers and nothing else.

The manifest's digests cover the parts. The bytes between them are compared here with those that a
pack is written with, so that none can change unseen, and no program that reads ZIP otherwise than
we do finds another text in it. Format: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
"""

import struct
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

# Every file has this time, mode and system, so that the same content is the same bytes.
EPOCH: Final = (1980, 1, 1, 0, 0, 0)
MODE: Final = 0o644 << 16
UNIX: Final = 3
# The same time as ZIP writes it: 1 January, no hour.
_DOS_TIME, _DOS_DATE = 0, 1 << 5 | 1
_LOCAL: Final = struct.Struct("<4s5H3L2H")
_CENTRAL: Final = struct.Struct("<4s2B5H3L5H2L")
_END: Final = struct.Struct("<4s4H2LH")
_END64: Final = struct.Struct("<4sQ2H2L4Q")
_LOCATOR: Final = struct.Struct("<4sLQL")
# Where a size or a place needs more than 32 bits, ZIP writes this, and the number behind the name.
_ELSEWHERE: Final = 0xFFFFFFFF
_PLAIN, _ZIP64 = 20, 45


def flaw_of_layout(archive: zipfile.ZipFile, path: Path) -> str:
    """Return why a file is not laid out as a pack is written; empty if it is."""
    entries = archive.infolist()
    at, listed = 0, b""
    with path.open("rb") as file:
        for entry in entries:
            file.seek(at)
            headers = _local_headers(entry)
            read = file.read(max(map(len, headers)))
            header = next((header for header in headers if read.startswith(header)), b"")
            if entry.header_offset != at or not header:
                return f"the ZIP header of {entry.filename} is not what a pack has"
            at += len(header) + entry.file_size
            listed += _central_header(entry, headers[header])
        file.seek(at)
        end = listed + _end(entries, at, len(listed))
        return "" if file.read(len(end) + 1) == end else "its ZIP directory is not what a pack has"


def _local_headers(entry: zipfile.ZipInfo) -> dict[bytes, int]:
    """Return the headers that may stand before a part, and the version of ZIP that each names.

    A part that may need more than 32 bits has its size behind the name. Python before 3.11.4 gave
    it in both places where 32 bits are enough.
    """
    name, size = entry.filename.encode(), entry.file_size
    wide = struct.pack("<2H2Q", 1, 16, size, size)
    headers: dict[bytes, int] = {}
    for version, shown, extra in (
        (_PLAIN, size, b""),
        (_ZIP64, _ELSEWHERE, wide),
        (_PLAIN, size, wide),
    ):
        if shown <= _ELSEWHERE:
            head = (b"PK\3\4", version, 0, zipfile.ZIP_STORED, _DOS_TIME, _DOS_DATE, entry.CRC)
            header = _LOCAL.pack(*head, shown, shown, len(name), len(extra)) + name + extra
            headers[header] = version
    return headers


def _central_header(entry: zipfile.ZipInfo, version: int) -> bytes:
    """Return the header in the directory of a part whose own header names a version of ZIP."""
    name, size, place = entry.filename.encode(), entry.file_size, entry.header_offset
    far: list[int] = []
    if size > zipfile.ZIP64_LIMIT:
        far, size = [size, size], _ELSEWHERE
    if place > zipfile.ZIP64_LIMIT:
        far, place = [*far, place], _ELSEWHERE
    extra = struct.pack(f"<2H{len(far)}Q", 1, 8 * len(far), *far) if far else b""
    needed = _ZIP64 if far else version
    head = (b"PK\1\2", needed, UNIX, needed, 0, zipfile.ZIP_STORED, _DOS_TIME, _DOS_DATE, entry.CRC)
    lengths = (size, size, len(name), len(extra), 0, 0, 0)
    return _CENTRAL.pack(*head, *lengths, MODE, place) + name + extra


def _end(entries: Sequence[zipfile.ZipInfo], begin: int, size: int) -> bytes:
    """Return the end of a ZIP file whose directory of `size` bytes begins at `begin`."""
    count, far = len(entries), b""
    if begin > zipfile.ZIP64_LIMIT:
        far = _END64.pack(b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, begin)
        far += _LOCATOR.pack(b"PK\6\7", 0, begin + size, 1)
        begin = min(begin, _ELSEWHERE)
    return far + _END.pack(b"PK\5\6", 0, 0, count, count, size, begin, 0)

"""Lines that are appended to a file, and read by others meanwhile."""

import os
from pathlib import Path

from clauseway.files.presence import is_there
from clauseway.files.whole import PRIVATE, force_folder


def append_lines(path: Path, lines: bytes, *, durable: bool = True) -> None:
    """Append lines on lines of their own: an earlier append may have left a part of one. Raise
    OSError, also where the disk takes only a part.

    A reader skips empty lines, and a line that is none of the file's format. If `durable`, the lines
    and a new file's name are forced to disk.
    """
    is_new = not is_there(path)
    text = b"\n" + lines if lines else b""
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, PRIVATE)
    try:
        # A disk that is full takes what fits, and refuses the rest only when it is asked again.
        while text:
            text = text[os.write(file, text) :]
        if durable:
            os.fsync(file)
    finally:
        os.close(file)
    if durable and is_new:
        force_folder(path.parent)

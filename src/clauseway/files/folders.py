"""The names in a folder.

`Path.glob`, `Path.rglob` and `os.walk` pass over a folder that they cannot read as if it were empty
(`glob` since Python 3.12 at any fault of the disk, before at missing rights alone): usage, keys and
documents that lie there would seem to be gone. These functions raise instead.
"""

import fnmatch
import os
from pathlib import Path

from clauseway.files.presence import is_folder
from clauseway.files.whole import force_folder


def list_folder(folder: Path, pattern: str = "*") -> list[Path]:
    """Return the paths in a folder whose names match, in order; none where there is no folder.

    Raise OSError where the folder cannot be read.
    """
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [folder / name for name in sorted(fnmatch.filter(names, pattern))]


def list_tree(folder: Path) -> list[Path]:
    """Return all that lies below a folder, folders too, in order; none where there is no folder.

    Folders behind symbolic links are named and not entered. Raise OSError where a folder cannot be
    read.
    """
    walked = os.walk(folder, onerror=_raise_unless_gone)
    return sorted(
        Path(place, name) for place, folders, files in walked for name in (*folders, *files)
    )


def force_folders(root: Path) -> None:
    """Make the names of all files in a folder and below durable. Raise OSError."""
    for folder in (root, *(path for path in list_tree(root) if is_folder(path))):
        force_folder(folder)


def _raise_unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise error

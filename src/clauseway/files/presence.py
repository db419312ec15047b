"""Look whether there is something at a path.

`Path.exists`, `is_dir` and `is_file` say since Python 3.14 that there is nothing where a path cannot be
looked at, whatever the fault: a home, a journal or its lock would seem to be gone. These functions
raise OSError instead.
"""

import errno
import stat
from pathlib import Path

# What a path leads to is not there: no name, no folder above it, or links that lead in a circle.
_NOTHING = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})


def is_there(path: Path) -> bool:
    """Return whether there is something at a path, behind symbolic links."""
    return _mode(path) != 0


def is_folder(path: Path) -> bool:
    """Return whether there is a folder at a path, behind symbolic links."""
    return stat.S_ISDIR(_mode(path))


def is_file(path: Path) -> bool:
    """Return whether there is a regular file at a path, behind symbolic links."""
    return stat.S_ISREG(_mode(path))


def _mode(path: Path) -> int:
    """Return the mode of what is at a path, 0 where there is nothing."""
    try:
        return path.stat().st_mode
    except OSError as error:
        if error.errno in _NOTHING:
            return 0
        raise
    except ValueError:  # nothing has a name with a null character
        return 0

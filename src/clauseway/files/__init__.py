"""How a file appears whole, and survives a machine that stops.

    whole           a file written beside its place, then renamed; and a file that a user names
    presence        what is at a path: a file, a folder or nothing, and no guess where it cannot be told
    folders         the names in a folder, and no empty list where it cannot be read
    lines           lines appended to a file, each whole
    counted_copies  a file copied, its bytes counted and hashed on the way
    core_dumps      files that a process with secrets never leaves
    sqlite_errors   why a file of SQLite's could not be read or written

Knows names, bytes and the disk; not what a file holds. Standard library only.
"""

from clauseway.files.lines import append_lines
from clauseway.files.whole import (
    PRIVATE,
    STANDARD_OUTPUT,
    close_to_others,
    force_file,
    force_folder,
    make_folder,
    output_file,
    remove_unfinished,
    write_first,
    write_whole,
    written_whole,
)

__all__ = [
    "PRIVATE",
    "STANDARD_OUTPUT",
    "append_lines",
    "close_to_others",
    "force_file",
    "force_folder",
    "make_folder",
    "output_file",
    "remove_unfinished",
    "write_first",
    "write_whole",
    "written_whole",
]

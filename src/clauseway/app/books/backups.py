"""A backup of a home: a folder with a list of digests that `sha256sum -c` reads, and `backup.json`.

    SHA256SUMS       every other file, with its SHA-256
    backup.json      the moment, the home, the journals, and what is left out
    control.db       keys, facts, leases, the lake's manifest and the books
    journals/        the usage journals, a folder each; issued.db beside them
    lake/            the sealed files that the manifest lists
    clauseway.toml, party-keys.json, agreements/      where the home holds them
    hash.key, keys/                                   on request

InvalidInput     the folder is no backup, a file is damaged, or a later program wrote it
"""

import hashlib
from pathlib import Path, PurePosixPath

import msgspec

from clauseway.app.opening.locks import LOCK_NAMES, file_name
from clauseway.files.counted_copies import FileContent
from clauseway.files.folders import list_tree
from clauseway.files.presence import is_folder
from clauseway.storage.control import versions
from clauseway.values import NOT_JSON, InvalidInput, Problem

FORMAT = 1
SUMS, ABOUT = "SHA256SUMS", "backup.json"
CONTROL, LAKE, JOURNALS, AGREEMENTS = "control.db", "lake", "journals", "agreements"
RESOURCE_INDEX = f"{JOURNALS}/issued.db"
HASH_KEY, KEYS = "hash.key", "keys"
SMALL_FILES = ("clauseway.toml", "party-keys.json")
# Files that a backup leaves out: a home makes them again, they belong to its place or its machine, or
# the backup has them under another name.
OF_THE_HOME = frozenset(
    (
        *("control.db", "control.db-wal", "control.db-shm", "control.db.migrated"),
        *("database.url", "database.url.moving"),
        *("home.id", "hash.key", "keys", "lake", "lake.toml", "spool", "copies", "logs"),
        *(
            "plan.json",
            "plan-secrets.json",
            "business-clock",
            "damages.json",
            "revocations",
            "lake-faults.json",
            "restored.json",
            "importing",
        ),
        *map(file_name, LOCK_NAMES),
        *SMALL_FILES,
    )
)
# Longer names are no file's on Linux (NAME_MAX; PATH_MAX less the folders of backup and home).
_PART_BYTES_MAX, _NAME_BYTES_MAX = 255, 2_000
_ANOTHER = "Take an earlier backup, or another copy of this one."


class BackedUpJournal(msgspec.Struct, frozen=True, kw_only=True):
    """A usage journal in a backup: its name for ever, its folder, and its newest segment with the
    frames in it."""

    spool: str
    place: str
    segment: int
    frames: int


class About(msgspec.Struct, frozen=True, kw_only=True):
    """The content of a backup. Nothing that was acknowledged before its moment is missing in it.

    `tables` is the version of the control data, `head` the end of the log of the books. `left` are
    files of the home that no backup takes because nobody knows what they are for.
    """

    format: int
    program: str
    tables: str
    moment_ns: int
    moment: str
    home: str
    head: str
    has_keys: bool
    journals: tuple[BackedUpJournal, ...]
    left: tuple[str, ...] = ()


class Backup(msgspec.Struct, frozen=True, kw_only=True):
    """A backup that was looked at: its folder, what it holds, the digest of each file, and the
    digest of the list of them."""

    root: Path
    about: About
    digests: dict[str, str]
    digest: str


def sums_of(contents: dict[str, FileContent]) -> bytes:
    """Return the list of digests, by name."""
    lines = [f"{content.digest}  {name}\n" for name, content in sorted(contents.items())]
    return "".join(lines).encode()


def look_at(root: Path) -> Backup:
    """Return a backup, with its two small files read; a restore reads the others.

    Raise InvalidInput.
    """
    if not is_folder(root):
        raise _refused("there is no such folder", root, "Name the folder of a backup.")
    listed = _read(root, SUMS)
    digests = _parsed(root / SUMS, listed)
    # backup.json is held against its digest before anything is believed that stands in it.
    about = _read(root, ABOUT)
    held = hashlib.sha256(about).hexdigest()
    if held != digests.get(ABOUT):
        raise InvalidInput(damaged(root, ABOUT, digests.get(ABOUT, ""), held))
    # A later format might not decode as ours, so its version is read by itself first.
    _refuse_later(root, about)
    try:
        decoded = msgspec.json.decode(about, type=About)
    except NOT_JSON as error:
        raise _refused(str(error), root / ABOUT, _ANOTHER) from None
    return Backup(
        root=root, about=decoded, digests=digests, digest=hashlib.sha256(listed).hexdigest()
    )


def foreign(root: Path, name: str) -> Problem:
    """Return the problem of a file that no backup holds: it would lead a restored home elsewhere."""
    return Problem(
        what=f"the backup is not as it was written: {name}",
        why="no backup holds such a file",
        where=str(root / name),
        remedy=_ANOTHER,
    )


def can_be_listed(name: str) -> bool:
    """Return whether a name stands in the list as it is; `sha256sum` writes the others otherwise."""
    return not set(name) & set("\n\r\\")


def unlisted(backup: Backup) -> list[str]:
    """Return the files in a backup's folder that its list does not name."""
    there = (path for path in list_tree(backup.root) if not is_folder(path))
    names = (path.relative_to(backup.root).as_posix() for path in there)
    return [name for name in names if name != SUMS and name not in backup.digests]


def damaged(root: Path, name: str, digest: str, held: str) -> Problem:
    """Return the problem of a file that is not what was written.

    `digest` is what the list says of it, empty where the list does not name it; `held` is what it
    holds, empty where it is not there.
    """
    is_there = f"its SHA-256 is {held}" if held else "it is not there"
    return Problem(
        what=f"the backup is damaged: {name}",
        why=f"{is_there}, and {SUMS} says {digest}" if digest else f"{SUMS} does not name it",
        where=str(root / name),
        remedy=_ANOTHER,
    )


def _read(root: Path, name: str) -> bytes:
    try:
        return (root / name).read_bytes()
    except FileNotFoundError:
        remedy = "Name the folder of a backup, as `clauseway home backup` printed it."
        raise _refused(f"it holds no {name}", root, remedy) from None


def _parsed(path: Path, listed: bytes) -> dict[str, str]:
    """Return the digests of a list, by name. A name that leads out of the folder is refused."""
    digests: dict[str, str] = {}
    try:
        for line in listed.decode().splitlines():
            # As sha256sum writes it: 64 hexadecimal digits, two blanks, the name.
            digest, name = line[:64], line[66:]
            if line[64:66] != "  " or not _is_digest(digest) or not _is_inside(name):
                raise ValueError(f"no digest and name: {line[:120]!r}")
            digests[name] = digest
    except ValueError as error:
        raise _refused(str(error), path, _ANOTHER) from None
    return digests


def _is_digest(text: str) -> bool:
    return len(text) == 64 and set(text) <= set("0123456789abcdef")


def _is_inside(name: str) -> bool:
    parts = PurePosixPath(name).parts
    written = [len(part.encode("utf-8", "replace")) for part in parts]
    if not parts or max(written) > _PART_BYTES_MAX or sum(written) > _NAME_BYTES_MAX:
        return False
    return not name.startswith("/") and ".." not in parts and "\0" not in name


class _Versions(msgspec.Struct):
    """The part of `backup.json` that every version has."""

    format: int
    tables: str
    program: str = ""


def _refuse_later(root: Path, about: bytes) -> None:
    try:
        written = msgspec.json.decode(about, type=_Versions)
    except NOT_JSON as error:
        raise _refused(str(error), root / ABOUT, _ANOTHER) from None
    if written.format <= FORMAT and written.tables <= versions.PRESENT:
        return
    raise InvalidInput.of(
        what="a later program wrote the backup",
        why=f"clauseway {written.program} wrote it, in format {written.format} with tables of "
        f"version {written.tables}; this program knows them up to {FORMAT} and "
        f"{versions.PRESENT}",
        where=str(root),
        remedy="Restore it with the program that wrote it, or a later one.",
    )


def _refused(why: str, where: Path, remedy: str) -> InvalidInput:
    return InvalidInput.of(what="it is no backup", why=why, where=str(where), remedy=remedy)

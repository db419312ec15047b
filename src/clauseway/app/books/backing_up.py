"""Back up a home while it serves: into a folder that appears whole, or not at all.

BackedUp      a backup that was written: where, of which moment, what is in it and what is not

Under the lock of sealing, so that no usage moves from a journal into the lake meanwhile, first the
control data is taken, then the journals. So whatever was acknowledged before the moment is in one
of the two. The lake's files are copied before, without the lock: they never change, and the few
that are sealed meanwhile follow under it.
"""

import errno
import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec

from clauseway import spool
from clauseway.app.books.backups import (
    ABOUT,
    AGREEMENTS,
    CONTROL,
    FORMAT,
    HASH_KEY,
    JOURNALS,
    KEYS,
    LAKE,
    OF_THE_HOME,
    RESOURCE_INDEX,
    SMALL_FILES,
    SUMS,
    About,
    BackedUpJournal,
    can_be_listed,
    sums_of,
)
from clauseway.app.opening.home import Home
from clauseway.app.opening.named_agreements import agreements_in
from clauseway.app.opening.places import is_full
from clauseway.app.usage.losses import instant
from clauseway.app.usage.sealing import lake_locked, open_lake
from clauseway.files import force_folder, write_whole
from clauseway.files.counted_copies import FileContent, content_of, copy_hashed
from clauseway.files.folders import force_folders, list_folder, list_tree
from clauseway.files.presence import is_file, is_folder, is_there
from clauseway.gateway.request.resource_index import INDEX_FILE
from clauseway.storage import Control
from clauseway.storage.control.audit import head_of
from clauseway.storage.control.audit_check import check_counts
from clauseway.storage.control.copying import snapshot, snapshot_of_file, stand_alone
from clauseway.storage.control.versions import PRESENT
from clauseway.storage.lake.digests import CHANGED, MISSING, LakeDamaged, LakeFault, as_fault
from clauseway.storage.lake.file_list import LakeFile, seen_files
from clauseway.storage.lake.lake import Lake
from clauseway.values import VERSION, InvalidInput, Problem

_PART = ".backup-part"
# Of a journal's folder: its segments, damaged ones too, and the notes beside them. Neither the lock
# of its writer nor the note that it goes on elsewhere is true of a copy.
_NOTES = ("spool.id", "released", "numbered", "alone.jsonl", "ended")
_SEGMENTS = ("*.seg", "*.seg.damaged")


class BackedUp(msgspec.Struct, frozen=True, kw_only=True):
    """A backup that was written.

    `digest` is the SHA-256 of its list of digests. `left` are files of the home that are not in it
    because nobody knows what they are for. `edits` say where its control data have other rows than
    the log of the books.
    """

    folder: str
    moment: str
    files: int
    bytes: int
    journals: int
    digest: str
    head: str
    has_keys: bool
    left: tuple[str, ...]
    edits: tuple[Problem, ...] = ()


def back_up(home: Home, target: Path, *, with_keys: bool = False) -> BackedUp:
    """Write a backup of a home into a new folder. The home may be served meanwhile.

    Raise InvalidInput where the folder is there already, LakeDamaged where a file of the lake is
    missing or changed; OSError where a disk fails. Then nothing is left of the backup.
    """
    with _appearing(target) as part:
        copier = _Copier(part)
        with open_lake(home) as lake:
            # Most of the bytes are copied while the home seals on. Then nothing seals for a moment, in
            # which database and journals are taken as they are together, and the lake's newest files.
            _copy_lake(lake, copier)
        # Opened again: the lake may have been moved during the wait.
        with lake_locked(home), open_lake(home) as lake:
            moment_ns = time.time_ns()
            snapshot(home.control, part / CONTROL)
            journals = _copy_journals(home, copier)
            head, edits = _finish_lake(lake, part / CONTROL, copier)
        _copy_small(home, copier)
        if with_keys:
            _copy_keys(home, copier)
        about = About(
            format=FORMAT,
            program=VERSION,
            tables=PRESENT,
            moment_ns=moment_ns,
            moment=instant(moment_ns),
            home=home.identity(),
            head=head,
            has_keys=with_keys,
            journals=journals,
            left=tuple(_left(home)),
        )
        copier.write(ABOUT, msgspec.json.format(msgspec.json.encode(about)))
        listed = sums_of(copier.contents)
        copier.write(SUMS, listed)
        copier.force()
    return BackedUp(
        folder=str(target.absolute()),
        moment=about.moment,
        files=len(copier.contents),
        bytes=sum(content.bytes for content in copier.contents.values()),
        journals=len(journals),
        digest=copier.contents[SUMS].digest,
        head=head,
        has_keys=with_keys,
        left=about.left,
        edits=edits,
    )


class _Copier:
    """Copies files into a folder that grows, and keeps the content of each by its name."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.contents: dict[str, FileContent] = {}

    def place(self, name: str) -> Path:
        """Return the path of a name, in a folder that is there."""
        path = self.root / name
        for folder in reversed(path.parents[: len(path.relative_to(self.root).parts) - 1]):
            folder.mkdir(exist_ok=True, mode=0o700)  # with `parents`, the ones above would be open
        return path

    def copy(self, source: Path, name: str) -> FileContent:
        self.contents[name] = copy_hashed(source, self.place(name))
        return self.contents[name]

    def write(self, name: str, content: bytes) -> None:
        write_whole(self.place(name), content, mode=0o600)
        self.made(name)

    def made(self, name: str) -> None:
        """Take a file that is there already."""
        path = self.root / name
        path.chmod(0o600)
        with path.open("rb") as file:
            os.fsync(file.fileno())
        self.contents[name] = content_of(path)

    def drop(self, name: str) -> None:
        (self.root / name).unlink()
        del self.contents[name]

    def force(self) -> None:
        """Make the names of all files durable."""
        force_folders(self.root)


@contextmanager
def _appearing(target: Path) -> Iterator[Path]:
    """Yield an empty folder that takes the name `target` when the block ends.

    A block that raises leaves nothing; of a process that was killed, a hidden folder is left that
    the next backup into the same place removes. Raise InvalidInput.
    """
    folder = target.absolute().parent
    if not is_folder(folder):  # nothing of it may be made: a disk that is not mounted looks so
        remedy = "Make it, or name another place."
        raise _refused("there is no folder for it", f"{folder} is not there", target, remedy)
    if is_there(target) or target.is_symlink():
        remedy = "Name a folder that is not there yet: a backup never changes one."
        raise _refused("there is something already", "it would be overwritten", target, remedy)
    for left in list_folder(folder, f".*{_PART}"):
        _remove_left(left)
    part = folder / f".{target.name}{_PART}"
    held = _made(part, target)
    try:
        yield part
        part.rename(target)
        force_folder(folder)
    except BaseException as error:
        shutil.rmtree(part, ignore_errors=True)  # a full disk gets its room back
        if is_full(error) and not _names_another(error, part):
            # Beside its locks the home is only read: the full disk is that of the backup.
            number = error.errno if isinstance(error, OSError) and error.errno else errno.ENOSPC
            raise OSError(number, os.strerror(number), str(target)) from error
        raise
    finally:
        os.close(held)


def _names_another(error: BaseException, part: Path) -> bool:
    """Return whether an error names a file that is not of the backup that is being written."""
    name = getattr(error, "filename", None)
    return name is not None and not Path(os.fsdecode(name)).is_relative_to(part)


def _made(part: Path, target: Path) -> int:
    """Make a folder and return its lock, which ends with this process."""
    try:
        part.mkdir(mode=0o700)
    except FileExistsError:
        raise _being_written(target) from None
    try:
        return _locked(part)
    except (FileNotFoundError, BlockingIOError):  # another process removed it, or has its lock
        raise _being_written(target) from None


def _being_written(target: Path) -> InvalidInput:
    why = "another process writes it at this moment"
    return _refused("the backup is being written", why, target, "Wait until it has ended.")


def _locked(part: Path) -> int:
    """Return the lock of a folder. Raise BlockingIOError where another process holds it."""
    descriptor = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise
    return descriptor


def _remove_left(part: Path) -> None:
    """Remove what a killed backup left; leave what a running one writes."""
    try:
        held = _locked(part)
    except (BlockingIOError, FileNotFoundError, NotADirectoryError):
        return
    # Between the look and the lock it may have got its name: then the path names nothing any more.
    if is_there(part) and os.fstat(held).st_ino == part.stat().st_ino:
        shutil.rmtree(part)
    os.close(held)


def _copy_lake(lake: Lake, copier: _Copier) -> None:
    """Copy the files of the lake; one that is gone meanwhile is looked for again under the lock."""
    for file in seen_files(lake.control):
        _copy_file(lake, file, copier)


def _finish_lake(lake: Lake, taken: Path, copier: _Copier) -> tuple[str, tuple[Problem, ...]]:
    """Copy what the control data that was taken lists and is not there yet; return the end of its
    log, and where its tables have other rows than that. Raise LakeDamaged."""
    with closing(Control.open(taken)) as control:
        files = {f"{LAKE}/{file.name}": file for file in seen_files(control)}
        with control.reading() as connection:
            head = str(head_of(connection))
        edits = check_counts(control)
    stand_alone(taken)
    copier.made(CONTROL)
    # Merged meanwhile into files that are listed instead.
    for name in [name for name in copier.contents if name.startswith(f"{LAKE}/")]:
        if name not in files:
            copier.drop(name)
    absent = [file for name, file in files.items() if name not in copier.contents]
    faults = [fault for file in absent if (fault := _copy_file(lake, file, copier)) is not None]
    if faults:
        raise LakeDamaged(faults)
    return head, edits


def _copy_file(lake: Lake, file: LakeFile, copier: _Copier) -> LakeFault | None:
    """Copy a file of the lake; return its fault if it is missing or not what was sealed."""
    name = f"{LAKE}/{file.name}"
    try:
        if lake.store.is_remote:
            lake.store.copy(file.name, copier.place(name))
            copier.made(name)
        else:
            copier.copy(lake.root / file.name, name)
    except FileNotFoundError:
        return as_fault(file, MISSING)
    if copier.contents[name].digest == file.digest:
        return None
    # A backup holds no file that is not what was sealed.
    copier.drop(name)
    return as_fault(file, CHANGED)


def _copy_journals(home: Home, copier: _Copier) -> tuple[BackedUpJournal, ...]:
    """Copy the home's journals, and the resource index beside them.

    The identifiers last: one that is marked as metered there may then lack its usage, which came
    after the moment, but none is metered twice.
    """
    copied = [_copy_journal(directory, copier) for directory in home.journals()]
    index = home.gateway_journal(0) / INDEX_FILE
    if is_there(index):
        snapshot_of_file(index, copier.place(RESOURCE_INDEX))
        copier.made(RESOURCE_INDEX)
    return tuple(journal for journal in copied if journal is not None)


def _copy_journal(directory: Path, copier: _Copier) -> BackedUpJournal | None:
    """Copy a journal. INVARIANT: the newest segment first: an older one is written no more once a
    newer one has frames, so the copy has no hole, whatever is written meanwhile."""
    identity = spool.identity_of(directory)
    if identity is None:
        return None
    folder = f"{JOURNALS}/{directory.name}"
    segments = [path for pattern in _SEGMENTS for path in list_folder(directory, pattern)]
    for path in sorted(segments, reverse=True):
        copier.copy(path, f"{folder}/{path.name}")
    for name in _NOTES:
        if is_there(directory / name):
            copier.copy(directory / name, f"{folder}/{name}")
    if not is_there(directory / _NOTES[0]):
        copier.write(f"{folder}/{_NOTES[0]}", f"{identity.hex()}\n".encode())
    # Read from the copy: the journal itself may have gone on since.
    places = spool.positions(copier.root / folder)
    return BackedUpJournal(
        spool=identity.hex(),
        place=directory.name,
        segment=places[-1].segment if places else -1,
        frames=places[-1].end if places else 0,
    )


def _copy_small(home: Home, copier: _Copier) -> None:
    """Copy the configuration, the trusted keys, and the agreements that lie in the home."""
    for name in SMALL_FILES:
        if is_file(home.root / name):
            copier.copy(home.root / name, name)
    for folder in _own_agreements(home):
        for path in list_tree(folder):
            if is_file(path):
                within = path.relative_to(home.root.resolve()).as_posix()
                if not can_be_listed(within):
                    why = "a list of digests has one line for each file"
                    raise _refused("a name cannot be listed", why, path, "Rename the file.")
                copier.copy(path, f"{AGREEMENTS}/{within}")


def _own_agreements(home: Home) -> list[Path]:
    """Return the folders of agreements that the home's configuration names and that lie in it,
    beside what the home itself holds: with the home's own folder its keys would be taken."""
    root = home.root.resolve()
    named = [folder.resolve() for folder in agreements_in(home.configuration)]
    inside = [folder for folder in named if is_folder(folder) and root in folder.parents]
    return [folder for folder in inside if folder.relative_to(root).parts[0] not in OF_THE_HOME]


def _copy_keys(home: Home, copier: _Copier) -> None:
    if is_there(home.root / HASH_KEY):
        copier.copy(home.root / HASH_KEY, HASH_KEY)
    for path in list_folder(home.keys):
        if is_file(path):
            copier.copy(path, f"{KEYS}/{path.name}")


def _left(home: Home) -> Iterator[str]:
    """Yield what lies in the home and is not in the backup, except what is of no use there."""
    agreements = {
        folder.relative_to(home.root.resolve()).parts[0] for folder in _own_agreements(home)
    }
    for path in sorted(home.root.iterdir()):
        is_known = path.name in OF_THE_HOME or path.name in agreements
        if not is_known and not path.name.startswith(".") and (is_file(path) or is_folder(path)):
            yield path.name


def _refused(what: str, why: str, where: Path, remedy: str) -> InvalidInput:
    return InvalidInput.of(what=what, why=why, where=str(where), remedy=remedy)

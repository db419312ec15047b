"""Where the lake of a home lies: in its folder, or on object storage that `lake.toml` of the home
names. The lake moved between the two.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from importlib import import_module
from typing import Any, Final

import msgspec

from clauseway.app.opening.home import Home
from clauseway.app.opening.home_control import control_of
from clauseway.app.opening.locks import LockName, locked
from clauseway.files import PRIVATE, write_whole
from clauseway.files.presence import is_there
from clauseway.gateway.transport.called_addresses import Called, address_flaw
from clauseway.storage.lake.digests import LakeDamaged
from clauseway.storage.lake.file_list import LakeFile, every_file
from clauseway.storage.lake.lake import METADATA, PUBLISHED, Lake
from clauseway.storage.lake.sealed_files import SealedFiles
from clauseway.storage.lake.stores import FolderStore, Store
from clauseway.values import InvalidInput

HOME = "home"
# A change of the lake takes one of these locks; a move takes both.
_LOCKS: Final[tuple[LockName, ...]] = ("import", "seal")
_AT_ONCE = 64
_ABOUT = "# Where the lake lies, by `clauseway lake move`: settings may change, the url may not."
# Its libraries are an extra, and a lake in a folder does without.
_OBJECT_STORE = "clauseway.storage.lake.object_store"


class MovedLake(msgspec.Struct, frozen=True, kw_only=True):
    """A lake that was moved: from where, to where, and its files, rows and bytes, equal by digest.

    `copied` of them were not there before.
    """

    source: str
    target: str
    files: int
    rows: int
    bytes: int
    copied: int


def store_of(home: Home) -> Store | None:
    """Return the object storage of a home's lake; None if its files lie in the folder.

    Raise StoreFailed, and InvalidInput if `lake.toml` makes no sense.
    """
    try:
        written = home.lake_place.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    module = import_module(_OBJECT_STORE)
    try:
        storage = msgspec.toml.decode(written, type=module.ObjectStorage)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput.of(
            what="lake.toml makes no sense",
            why=str(error),
            where=str(home.lake_place),
            remedy="Fix it; `clauseway lake move` writes it, and says which settings there are.",
        ) from None
    _require_sound_endpoint(storage, str(home.lake_place))
    store: Store = module.ObjectStore(storage)
    return store


def _require_sound_endpoint(storage: Any, where: str) -> None:
    """Raise InvalidInput if no object storage answers at the endpoint, or others could read the
    usage on its way there."""
    called = Called(whose="the object storage", sent="usage is", allowed_in="lake.toml")
    if flaw := address_flaw(storage.endpoint, called, plain_http=storage.plain_http):
        raise InvalidInput.of(what=flaw.what, why=flaw.why, where=where, remedy=flaw.remedy)


def store_for_cluster(home: Home, master: str) -> Store | None:
    """Return the object storage that a Spark cluster reads by itself.

    None where the lake lies in the home's folder, or Spark runs as threads of this machine, which
    read copies. Raise InvalidInput for storage other than S3, and as `store_of` does.
    """
    is_cluster = master != "local" and not master.startswith("local[")
    store = store_of(home) if is_cluster else None
    if store is not None and not store.location.startswith("s3://"):
        raise InvalidInput.of(
            what="Spark cannot read this lake from a cluster",
            why="its files lie on other object storage than S3",
            where=f"--spark-master {master}",
            remedy="Run Spark as threads of this machine: --spark-master 'local[*]'. A cluster"
            " reads the table of `clauseway lake publish` by itself.",
        )
    return store


def copies_bytes_max(home: Home) -> int:
    """Return how many bytes of copies the home keeps of a lake on object storage."""
    written = msgspec.toml.decode(home.lake_place.read_bytes())
    return int(written.get("copies_mb", 20_000)) * 1_000_000


def move_lake(
    home: Home,
    target: str,
    settings: dict[str, Any] | None = None,
    on_files: Callable[[int, int], object] = lambda _done, _all: None,
) -> MovedLake:
    """Move the files of a home's lake to object storage at an address, or back to its folder
    (`home`).

    Every file is read in the new place and held against its digest before the home names it; until
    then the old place is untouched and in force. A move that was broken off goes on where it was.
    Raise LakeDamaged, StoreFailed; InvalidInput if the new place holds files of another lake.
    """
    _refuse_same(home, target)
    fresh = None if target == HOME else _opened(target, settings or {})
    with ExitStack() as held:
        for name in _LOCKS:
            held.enter_context(locked(home, name, lambda: _refuse_busy(home)))
        _refuse_same(home, target)  # moved by another process until it let go of the locks
        former = store_of(home)
        control = control_of(home)
        held.callback(control.close)
        lake = Lake(home.lake, control, former)
        files = [file for file in every_file(control) if not file.lost_ns]
        place = fresh or FolderStore(home.lake)
        copied = _copied(lake, place, files, on_files)
        _switch(home, target, settings or {})
    return MovedLake(
        source=lake.store.location,
        target=place.location,
        files=len(files),
        rows=sum(file.rows for file in files),
        bytes=sum(file.bytes for file in files),
        copied=copied,
    )


def _copied(
    lake: Lake, place: Store, files: list[LakeFile], on_files: Callable[[int, int], object]
) -> int:
    """Copy the files that are not there yet; return how many. All are read again there."""
    there = {stored.name for stored in place.under("")} if place.is_remote else set()
    _refuse_foreign(place, there - {file.name for file in files})
    target = SealedFiles(lake.root, place)
    copied = 0
    for chunk in some_at_once(files, _AT_ONCE, on_files):
        absent = [file for file in chunk if file.name not in there]
        # A retired file may be gone: sweeping removes it.
        if faults := [each for each in lake.sealed.faults(absent) if not each.is_retired]:
            raise LakeDamaged(faults)
        for file in absent:
            if is_there(lake.root / file.name):
                place.keep(file.name, lake.root / file.name)
                copied += 1
        if faults := [each for each in target.examine(chunk) if not each.is_retired]:
            raise LakeDamaged(faults)
    return copied


def some_at_once(
    files: Sequence[LakeFile], count: int, on_files: Callable[[int, int], object]
) -> Iterator[Sequence[LakeFile]]:
    """Yield so many files at a time, and tell `on_files` after each time how many came, of how many."""
    for at in range(0, len(files), count):
        yield files[at : at + count]
        on_files(min(at + count, len(files)), len(files))


def _opened(target: str, settings: dict[str, Any]) -> Store:
    module = import_module(_OBJECT_STORE)
    storage = module.ObjectStorage(url=target, **settings)
    _require_sound_endpoint(storage, storage.endpoint)
    store: Store = module.ObjectStore(storage)
    return store


def _switch(home: Home, target: str, settings: dict[str, Any]) -> None:
    """Let the home name the new place."""
    if target == HOME:
        home.lake_place.unlink()
        return
    named = {
        "url": target.rstrip("/"),
        **{name: value for name, value in settings.items() if value},
    }
    # A text in JSON is one in TOML.
    lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in named.items()]
    text = "\n".join([_ABOUT, *lines, ""])
    write_whole(home.lake_place, text.encode(), mode=PRIVATE)


def _refuse_foreign(place: Store, names: set[str]) -> None:
    """Refuse a place with files that this lake does not list. A published table is no such file."""
    foreign = sorted(name for name in names if name.partition("/")[0] not in (METADATA, PUBLISHED))
    if foreign:
        raise InvalidInput.of(
            what="the place is not empty",
            why=f"{len(foreign):,} files there are not of this lake, {foreign[0]} among them",
            where=place.location,
            remedy="Name a prefix that nothing lies below.",
        )


def _refuse_same(home: Home, target: str) -> None:
    """Refuse to move from the folder into it, or from object storage to another."""
    former = store_of(home)
    if (target == HOME) != (former is None):
        return
    where = home.lake if former is None else former.location
    remedy = (
        "Name object storage: clauseway lake move --to s3://BUCKET/PREFIX."
        if former is None
        else f"To move it elsewhere, move it back first: clauseway lake move --to {HOME}."
    )
    problem, why = "there is nothing to move", f"the lake is at {where} already"
    raise InvalidInput.of(what=problem, why=why, where=str(home.root), remedy=remedy)


def _refuse_busy(home: Home) -> None:
    problem, why = "the home is in use", "another process seals, imports or merges there"
    remedy = "Wait until it has ended, or stop it, then repeat the command."
    raise InvalidInput.of(what=problem, why=why, where=str(home.root), remedy=remedy)

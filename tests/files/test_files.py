"""A file appears whole: at any fault there is what was there before, or all that was written."""

import errno
import os
import re
import resource
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import pytest

import clauseway
from clauseway.app.opening.home import Home
from clauseway.files import (
    PRIVATE,
    append_lines,
    force_folder,
    make_folder,
    output_file,
    write_first,
    write_whole,
    written_whole,
)
from clauseway.files.counted_copies import content_of, copy_hashed
from clauseway.files.folders import list_folder, list_tree
from clauseway.files.presence import is_file, is_folder, is_there
from clauseway.files.whole import close_to_others, remove_unfinished
from clauseway.spool.copies import journal_copies
from clauseway.spool.segments import list_segments, next_number, set_fenced_aside
from clauseway.storage.lake.stores import FolderStore
from in_process import run

STEPS = (("fsync", os), ("rename", Path), ("open", os))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(("call", "owner"), STEPS)
@pytest.mark.parametrize("before", ["", "as it was"])
def test_a_fault_at_any_step_leaves_what_was_there(
    call: str, owner: object, before: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "plan.json"
    if before:
        path.write_text(before)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(owner, call, full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, b"anew")
    monkeypatch.undo()
    assert names(tmp_path) == (["plan.json"] if before else [])
    assert not before or path.read_text() == before


def test_a_call_that_is_given_no_name_fails_with_the_name_of_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "plan.json"
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, former[1]))
    try:
        with pytest.raises(OSError, match=r"File too large: '.*plan\.json"):
            write_whole(path, b"anew")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)

    def fail(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match=r"Input/output error: '.*plan\.json"):
        write_whole(path, b"anew")
    assert names(tmp_path) == []


def test_a_block_that_raises_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text("as it was")

    def broken_off() -> None:
        with written_whole(path) as beside:
            beside.write_text("a part")
            assert path.read_text() == "as it was"
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken_off()
    assert (names(tmp_path), path.read_text()) == (["plan.json"], "as it was")


def steps_of(write: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The forced writes and renames, in the order in which they happen."""
    steps: list[str] = []

    def noted(owner: object, name: str, word: Callable[..., str]) -> None:
        call = getattr(owner, name)

        def watched(*arguments: object) -> object:
            steps.append(word(*arguments))
            return call(*arguments)

        monkeypatch.setattr(owner, name, watched)

    def forced(descriptor: int) -> str:
        return "force the " + ("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")

    noted(os, "fsync", forced)
    noted(Path, "rename", lambda *_: "rename")
    write()
    monkeypatch.undo()
    return steps


def test_a_durable_file_is_on_disk_before_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "identity"
    durable = ["force the file", "rename", "force the folder"]
    assert steps_of(lambda: write_whole(path, b"1"), monkeypatch) == durable
    copy = steps_of(lambda: write_whole(path, b"2", durable=False), monkeypatch)
    assert (copy, path.read_bytes()) == (["rename"], b"2")


def test_the_key_that_every_key_is_kept_by_survives_a_machine_that_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path).make()
    steps = steps_of(home.hash_key, monkeypatch)
    assert (steps[0], steps[-1]) == ("force the file", "force the folder")
    assert stat.S_IMODE((tmp_path / "hash.key").stat().st_mode) == PRIVATE
    assert home.hash_key() == Home(tmp_path).hash_key()


def test_of_several_writers_the_first_prevails(tmp_path: Path) -> None:
    path = tmp_path / "hash.key"
    for content in (b"first", b"second"):
        write_first(path, content, mode=PRIVATE)
    assert (names(tmp_path), path.read_bytes()) == (["hash.key"], b"first")
    assert stat.S_IMODE(path.stat().st_mode) == PRIVATE


def test_a_file_system_without_hard_links_is_called_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(OSError, match="no hard links") as failed:
        write_first(tmp_path / "hash.key", b"first")
    assert failed.value.errno == errno.EOPNOTSUPP
    assert names(tmp_path) == []


def test_a_file_system_that_keeps_no_rights_is_called_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    path = tmp_path / "hash.key"
    path.write_bytes(b"key")
    monkeypatch.setattr(os, "chmod", refuse)
    with pytest.raises(OSError, match="keeps no rights") as failed:
        close_to_others(path)
    assert (failed.value.errno, failed.value.filename) == (errno.EOPNOTSUPP, str(path))
    # A file of somebody else may not be changed on any file system.
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    with pytest.raises(PermissionError):
        close_to_others(path)


def test_a_file_system_that_forces_no_folder_to_disk_is_called_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: int) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="forces no folder to disk") as failed:
        force_folder(tmp_path)
    assert (failed.value.errno, failed.value.filename) == (errno.EOPNOTSUPP, str(tmp_path))


def test_a_copy_is_counted_and_hashed_and_overwrites_nothing(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(bytes(range(256)) * 10_000)
    copied = copy_hashed(source, target)
    assert target.read_bytes() == source.read_bytes()
    assert copied == content_of(target) == (2_560_000, sha256(source.read_bytes()).hexdigest())
    assert target.stat().st_mode & 0o777 == PRIVATE
    with pytest.raises(FileExistsError):
        copy_hashed(source, target)
    with pytest.raises(FileNotFoundError):
        copy_hashed(tmp_path / "nowhere", tmp_path / "other")
    assert names(tmp_path) == ["source", "target"], "nothing is left of a copy of nothing"


@pytest.mark.parametrize("there", ["", "home", "home/spool/gateway"])
def test_the_name_of_a_folder_that_is_made_is_forced_as_its_files_are(
    there: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / there).mkdir(parents=True, exist_ok=True)
    forced: list[Path] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: forced.append(Path(os.readlink(f"/proc/self/fd/{descriptor}"))))
    make_folder(tmp_path / "home/spool/gateway")
    above = {"": (".", "home", "home/spool"), "home": ("home", "home/spool"), "home/spool/gateway": ("home/spool",)}
    assert forced == [tmp_path / folder for folder in above[there]]
    assert (tmp_path / "home/spool/gateway").is_dir()


def test_a_pipe_that_a_user_names_is_written_and_stays_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    with output_file(pipe) as place:
        place.write_bytes(b"all of it")
    reader.join()
    assert (read, pipe.is_fifo(), names(tmp_path)) == ([b"all of it"], True, ["pipe"])


def test_behind_a_link_that_a_user_names_the_file_is_replaced_with_its_rights(tmp_path: Path) -> None:
    (tmp_path / "may.csv").write_text("as it was")
    (tmp_path / "may.csv").chmod(0o640)
    (tmp_path / "latest.csv").symlink_to("may.csv")
    with output_file(tmp_path / "latest.csv") as place:
        place.write_text("anew")
    assert (tmp_path / "latest.csv").is_symlink()
    assert (tmp_path / "may.csv").read_text() == "anew"
    assert stat.S_IMODE((tmp_path / "may.csv").stat().st_mode) == 0o640
    assert names(tmp_path) == ["latest.csv", "may.csv"]


def test_a_file_that_a_user_names_stays_as_it_was_until_all_is_written(tmp_path: Path) -> None:
    (tmp_path / "may.csv").write_text("as it was")

    def write_half() -> None:
        with output_file(tmp_path / "may.csv") as place:
            place.write_text("half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OSError, match="No space left"):
        write_half()
    assert ((tmp_path / "may.csv").read_text(), names(tmp_path)) == ("as it was", ["may.csv"])


@pytest.mark.parametrize("room", [0, 1, 5, 8])
def test_lines_of_which_a_disk_takes_a_part_are_refused_and_spoil_no_later_ones(tmp_path: Path, room: int) -> None:
    path, (soft, hard) = tmp_path / "lines", resource.getrlimit(resource.RLIMIT_FSIZE)
    open_before = os.listdir("/proc/self/fd")
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            append_lines(path, b"one\ntwo\n")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    append_lines(path, b"one\ntwo\n")
    append_lines(path, b"three\n")
    written = path.read_bytes()
    assert written.endswith(b"\none\ntwo\n\nthree\n")
    append_lines(path, b"")
    assert path.read_bytes() == written
    assert stat.S_IMODE(path.stat().st_mode) == PRIVATE
    assert os.listdir("/proc/self/fd") == open_before


def test_what_a_killed_writer_left_is_removed_once_nobody_can_be_writing_it(tmp_path: Path) -> None:
    """By whoever serves the home next, also where that is refused for a mistake in the configuration."""
    home = Home(tmp_path / "home").make()
    assert run("key", "create", "--organisation", "acme", "--seller", "openai", home=home.root).returncode == 0
    mark = "0123456789abcdef" * 2
    left = [home.root / f".plan.json.{mark}.part", home.root / f".hash.key.{mark}.first"]
    young, others = home.root / f".damages.json.{mark}.part", home.root / ".mine.part"
    for path in (*left, young, others):
        path.write_text("half")
    for path in (*left, others):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    configuration = tmp_path / "clauseway.toml"
    configuration.write_text("wrong = 1\n")
    assert run("serve", "--config", str(configuration), home=home.root).returncode == 3
    assert [path.exists() for path in (*left, young, others)] == [False, False, True, True]


def test_what_a_killed_process_left_goes_and_nothing_else(tmp_path: Path) -> None:
    """A file that may still be written stays, and so does each that others named."""
    unfinished = [f".plan.json.{'0a' * 16}.part", f".home.id.{'0b' * 16}.first"]
    others = ["plan.json", ".plan.json.part", f"plan.json.{'0a' * 16}.part", f".plan.json.{'0A' * 16}.part"]
    for name in (*unfinished, *others):
        (tmp_path / name).touch()
    written_s = (tmp_path / unfinished[0]).stat().st_mtime
    remove_unfinished(tmp_path, written_s + 3600)
    assert names(tmp_path) == sorted((*unfinished, *others)), "within the hour"
    remove_unfinished(tmp_path, written_s + 3700)
    assert names(tmp_path) == sorted(others)


@contextmanager
def no_descriptors() -> Iterator[None]:
    """Let this process open nothing more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(
    "listed",
    [
        list_folder,
        list_tree,
        list_segments,
        next_number,
        journal_copies,
        lambda folder: list(FolderStore(folder).under("")),
        lambda folder: Home(folder.parent).gateway_journals(),
    ],
)
def test_a_folder_that_cannot_be_read_never_looks_empty(listed: Callable[[Path], object], tmp_path: Path) -> None:
    folder = tmp_path / "spools"
    make_folder(folder / "gateway")
    listed(folder)
    with no_descriptors(), pytest.raises(OSError, match="Too many open files"):
        listed(folder)


@pytest.mark.parametrize(
    "looked_at", [is_there, is_file, is_folder, set_fenced_aside, lambda path: Home(path).is_begun]
)
def test_a_path_that_cannot_be_looked_at_is_never_nothing(looked_at: Callable[[Path], object], tmp_path: Path) -> None:
    with pytest.raises(OSError, match="File name too long"):
        looked_at(tmp_path / ("a" * 300))


def test_what_is_at_a_path_is_seen_behind_links(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    links = {"to-folder": "folder", "to-file": "file", "device": "/dev/null", "to-nothing": "gone", "circle": "circle"}
    for link, target in links.items():
        (tmp_path / link).symlink_to(target)
    there = ("folder", "to-folder", "file", "to-file", "device")
    nothing = ("to-nothing", "circle", "gone", "file/below", "null\0")
    kinds = {
        name: (is_there(path), is_folder(path), is_file(path))
        for name, path in ((name, tmp_path / name) for name in (*there, *nothing))
    }
    assert kinds == {
        **dict.fromkeys(there[:2], (True, True, False)),
        **dict.fromkeys(there[2:4], (True, False, True)),
        "device": (True, False, False),
        **dict.fromkeys(nothing, (False, False, False)),
    }


@pytest.mark.parametrize(
    ("passing_over", "instead"),
    [
        (r"\.(r?glob|walk)\(", ["files/folders.py"]),
        (r"\.(exists|is_dir|is_file)\(\)", []),
    ],
)
def test_no_other_module_looks_at_files_by_what_passes_over_faults(passing_over: str, instead: list[str]) -> None:
    """But commands, which print what they see, and the simulated clouds."""
    source = Path(clauseway.__file__).parent
    using = [
        name
        for path in list_tree(source)
        if path.suffix == ".py" and re.search(passing_over, path.read_text("utf-8"))
        if not (name := str(path.relative_to(source))).startswith(("cli/", "sandbox/"))
    ]
    assert using == instead, "use files.folders and files.presence"


def test_what_lies_in_a_folder_is_listed_in_order_and_behind_no_link(tmp_path: Path) -> None:
    for name in ("b.md", "a.md", ".a.md", "inner/c.md", "inner-too"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "inner")
    assert [path.name for path in list_folder(tmp_path, "*.md")] == [".a.md", "a.md", "b.md"]
    below = [str(path.relative_to(tmp_path)) for path in list_tree(tmp_path)]
    assert below == [".a.md", "a.md", "b.md", "inner", "inner/c.md", "inner-too", "link"]
    assert [*list_folder(tmp_path / "gone"), *list_tree(tmp_path / "gone"), *list_folder(tmp_path / "a.md")] == []

"""A home's lake moved to object storage and back: the same files by digest, the same statement to the byte, and
whatever goes wrong, the place of before stays in force."""

import shutil
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import s3_server
import settled_book
from clauseway.app.books.backing_up import back_up
from clauseway.app.books.restoring import restore
from clauseway.app.opening.home import Home
from clauseway.app.opening.locks import locked
from clauseway.app.usage.compacting import Compacted, compact_lake
from clauseway.app.usage.lake_place import move_lake, store_of
from clauseway.app.usage.sealing import open_lake
from clauseway.storage.lake.file_list import USAGE, files_of
from clauseway.storage.lake.object_store import ObjectStorage
from in_process import answer, run
from lock_waits import wait_for_waiting

FOUND = 2  # the doctor's exit code where something is not well: there is no configuration of a gateway here


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Two settled months that no test changes."""
    return settled_book.make(tmp_path_factory.mktemp("book") / "home")


@pytest.fixture
def home(book: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A copy to move."""
    for name, secret in s3_server.ENVIRONMENT.items():
        monkeypatch.setenv(name, secret)
    return Home(Path(shutil.copytree(book.root, tmp_path / "home")))


@pytest.fixture
def storage() -> ObjectStorage:
    return s3_server.new_storage()


def flags(storage: ObjectStorage) -> list[str]:
    named = {"--storage-endpoint": storage.endpoint, "--region": storage.region}
    named |= {"--access-key-env": storage.access_key_env, "--secret-env": storage.secret_env}
    return ["--to", storage.url, *(word for pair in named.items() for word in pair)]


def move(home: Home, *words: str, code: int = 0) -> str:
    done = run("lake", "move", *words, "--home", str(home.root))
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def statement(home: Home) -> Any:
    return answer("statement", "--period", "2026-05", "--home", str(home.root))


def objects(home: Home) -> dict[str, str]:
    """The digests of what is stored, by name, without the server's word for it."""
    store = store_of(home)
    assert store is not None
    return {stored.name: store.digest(stored.name) for stored in store.under("")}


def listed(home: Home) -> dict[str, str]:
    with open_lake(home) as lake:
        return {file.name: file.digest for file in files_of(lake.control, USAGE)}


def test_there_and_back_is_the_same_statement(home: Home, storage: ObjectStorage) -> None:
    before = statement(home)
    said = move(home, *flags(storage))
    assert "6 files with 11 rows" in said
    assert f"The lake is at {storage.url} now." in said
    assert objects(home) == listed(home)
    assert "lake-secret" not in home.lake_place.read_text()
    # Nothing of the folder is needed any more, and a month is settled from scratch on what lies there.
    shutil.rmtree(home.lake)
    assert "the same, to the last byte" in run("statement", "verify", "2026-05", "--home", str(home.root)).stdout
    assert run("settle", "--period", "2026-05", "--from-scratch", "--home", str(home.root)).returncode == 0
    settled_book.seal(home, [(12, "05-04", 5, 1, 1, (1_000_000, 0, 0))])
    assert len(objects(home)) == 7
    assert f"the files lie at {storage.url}" in run("lake", "show", "--home", str(home.root)).stdout
    assert "all sound" in run("lake", "check", "--home", str(home.root)).stdout
    shutil.rmtree(home.lake)
    assert "7 files with 12 rows" in move(home, "--to", "home")
    assert not home.lake_place.exists()
    assert statement(home) == before
    assert "all sound" in run("lake", "check", "--home", str(home.root)).stdout


def test_a_backup_holds_the_lake_and_what_it_restores_has_it_in_the_folder(
    home: Home, storage: ObjectStorage, tmp_path: Path
) -> None:
    """A restored home beside the living one must not share its storage: either would sweep the other's files."""
    before = statement(home)
    move(home, *flags(storage))
    shutil.rmtree(home.lake)
    back_up(home, tmp_path / "backup")
    look = Home(tmp_path / "look")
    restore(tmp_path / "backup", look)
    assert store_of(look) is None
    assert statement(look) == before
    assert listed(look) == objects(home)


def test_a_move_that_was_broken_off_goes_on(home: Home, storage: ObjectStorage) -> None:
    store = s3_server.open_store(storage)
    names = sorted(listed(home))
    for name in names[:2]:
        assert store.keep(name, home.lake / name)
    moved = answer("lake", "move", *flags(storage), "--home", str(home.root))
    assert (moved["files"], moved["copied"]) == (6, 4)


def test_another_home_of_the_same_books_takes_the_place_as_its_own(home: Home, storage: ObjectStorage) -> None:
    move(home, *flags(storage))
    other = Home(Path(shutil.copytree(home.root, home.root.with_name("other"))))
    other.lake_place.unlink()
    shutil.rmtree(other.lake)
    moved = answer("lake", "move", *flags(storage), "--home", str(other.root))
    assert (moved["files"], moved["copied"]) == (6, 0)
    assert statement(other) == statement(home)


def _foreign(home: Home, storage: ObjectStorage) -> None:
    s3_server.open_store(storage).put("usage/2026-01-01/of-another-lake.parquet", b"x")


def _damaged(home: Home, storage: ObjectStorage) -> None:
    (home.lake / sorted(listed(home))[0]).write_bytes(b"x")


def _gone(home: Home, storage: ObjectStorage) -> None:
    (home.lake / sorted(listed(home))[0]).unlink()


def _taken(home: Home, storage: ObjectStorage) -> None:
    s3_server.open_store(storage).put(sorted(listed(home))[0], b"not what was sealed")


# Fault | message
@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (_foreign, "the place is not empty"),
        (_damaged, "a file of the lake is changed"),
        (_gone, "a file of the lake is missing"),
        (_taken, "a file of the lake is changed"),
    ],
)
def test_a_move_that_cannot_be_whole_changes_nothing(wrong: Any, says: str, home: Home, storage: ObjectStorage) -> None:
    wrong(home, storage)
    said = move(home, *flags(storage), code=3)
    assert says in said
    assert "lake-secret" not in said
    assert not home.lake_place.exists()


def test_what_makes_no_sense_is_refused_in_words(home: Home, storage: ObjectStorage) -> None:
    assert "the lake is at" in move(home, "--to", "home", code=3)
    assert "it is not an address of object storage" in move(home, "--to", "/srv/lake", code=3)
    assert "UNSET is not set" in move(home, "--to", storage.url, "--secret-env", "UNSET", code=3)
    move(home, *flags(storage))
    assert "move it back first" in move(home, *flags(s3_server.new_storage()), code=3)
    home.lake_place.write_text('url = "s3://x/y"\nsecret = "plain"\n')
    refused = run("lake", "show", "--home", str(home.root))
    assert (refused.returncode, "lake.toml makes no sense" in refused.stderr) == (3, True), refused.stderr


# An endpoint · the flag beside it · the problem
ENDPOINTS = [
    ("http://10.0.0.5:8333", (), "usage is sent to '10.0.0.5' without TLS"),
    ("http://169.254.169.254", ("--plain-http",), "'169.254.169.254' is never called"),
    ("https://2852039166", (), "'2852039166' is never called"),
]


@pytest.mark.parametrize(("endpoint", "more", "what"), ENDPOINTS)
def test_an_endpoint_that_is_not_called(tmp_path: Path, endpoint: str, more: tuple[str, ...], what: str) -> None:
    """Neither by a move, nor where `lake.toml` was written by hand."""
    home = settled_book.make(tmp_path / "home")
    flags = ("--to", "s3://usage/lake", "--storage-endpoint", endpoint, *more)
    assert what in move(home, *flags, code=3)
    plain = "plain_http = true\n" if more else ""
    home.lake_place.write_text(f'url = "s3://usage/lake"\nendpoint = "{endpoint}"\n{plain}')
    refused = run("lake", "show", "--home", str(home.root))
    assert (refused.returncode, what in refused.stderr) == (3, True), refused.stderr


def test_an_endpoint_may_be_plain_where_it_is_said(tmp_path: Path) -> None:
    home = Home(tmp_path / "home").make()
    home.lake_place.write_text('url = "s3://usage/lake"\nendpoint = "http://10.0.0.5:8333"\nplain_http = true\n')
    assert store_of(home) is not None


def test_nobody_seals_while_the_lake_is_moved(home: Home, storage: ObjectStorage) -> None:
    with locked(home, "seal"):
        assert "another process seals, imports or merges there" in move(home, *flags(storage), code=3)


def test_who_waits_for_a_move_works_where_the_lake_lies_afterwards(home: Home, storage: ObjectStorage) -> None:
    """A served home seals and merges beside a move: a file that was merged in the former place would be missing."""
    settled_book.seal(home, [(12, "05-03", 6, 1, 1, (1_000_000, 0, 0))])
    settings = {name: getattr(storage, name) for name in ("endpoint", "region", "access_key_env", "secret_env")}
    with ThreadPoolExecutor(1) as pool:
        merging: list[Future[Compacted]] = []

        def merge_meanwhile(_done: int, _all: int) -> None:
            merging.append(pool.submit(compact_lake, home, 2))
            wait_for_waiting(home.root / "seal.lock")

        move_lake(home, storage.url, settings, merge_meanwhile)
        assert merging[0].result(60).before == 2
    assert objects(home).items() >= listed(home).items()


def test_a_place_that_is_away_or_lacks_a_file_is_told(home: Home, storage: ObjectStorage, monkeypatch: Any) -> None:
    move(home, *flags(storage))
    name = sorted(listed(home))[-1]  # of 3 May

    def lake_check() -> tuple[bool, str]:
        done = answer("doctor", "--home", str(home.root), code=FOUND)
        (check,) = (check for check in done["checks"] if check["what"] == "lake")
        return check["ok"], check["found"]

    assert lake_check() == (True, f"{storage.url}: 6 files, each there and at its size")
    s3_server.open_store(storage).remove([name])
    assert lake_check() == (
        False,
        f"a file of the lake is missing ({name}): it is not there; it held 3 records of 2026-05-03",
    )
    # The copy is sound, so figures are still true; a machine without it refuses to settle.
    assert run("statement", "verify", "2026-05", "--home", str(home.root)).returncode == 0
    (home.lake / name).unlink()
    refused = run("statement", "verify", "2026-05", "--home", str(home.root))
    assert refused.returncode == 3, refused.stdout
    assert f"{name}: a file of the lake is missing" in refused.stderr
    monkeypatch.setenv("LAKE_SECRET", "another")
    ok, findings = lake_check()
    assert (ok, findings.startswith("object storage refuses the credentials")) == (False, True), findings

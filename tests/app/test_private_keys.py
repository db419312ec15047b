"""Private keys lie in the home, for their owner alone; one in the older place is found, and told to be moved."""

import errno
import os
import shutil
from pathlib import Path

import pytest

import settled_book
from clauseway.app.books import party_keys
from clauseway.app.opening.home import Home
from in_process import answer, run


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Settled months that no test changes."""
    return settled_book.make(tmp_path_factory.mktemp("book") / "home")


@pytest.fixture
def home(book: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.delenv("CLAUSEWAY_KEYS", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return Home(Path(shutil.copytree(book.root, tmp_path / "home")))


@pytest.fixture
def may(home: Home, tmp_path: Path) -> str:
    path = tmp_path / "may.json"
    assert run("statement", "--period", "2026-05", "--out", str(path), home=home.root).returncode == 0
    return str(path)


def created(home: Home) -> Path:
    return Path(answer("party", "key", "create", "--party", "openai", home=home.root)["private_key"])


def moved_to_the_older_place(key: Path, tmp_path: Path) -> Path:
    older = tmp_path / "config/clauseway/keys/openai.key"
    older.parent.mkdir(parents=True)
    return key.rename(older)


def test_a_key_is_made_in_the_home_for_its_owner_alone(home: Home, may: str, tmp_path: Path) -> None:
    key = created(home)
    assert key == home.root / "keys/openai.key"
    assert (key.stat().st_mode & 0o777, key.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    signed = answer("statement", "sign", may, "--party", "openai", home=home.root)
    assert [(signature["valid"], signature["trusted"]) for signature in signed["signatures"]] == [(True, True)]
    assert signed["note"] == ""
    assert not (tmp_path / "config").exists()


def test_two_homes_of_one_person_have_a_key_each(home: Home, tmp_path: Path) -> None:
    assert created(home).read_bytes() != created(Home(tmp_path / "other")).read_bytes()


def test_a_key_in_the_older_place_signs_and_is_told_to_be_moved(home: Home, may: str, tmp_path: Path) -> None:
    older = moved_to_the_older_place(created(home), tmp_path)
    signed = answer("statement", "sign", may, "--party", "openai", home=home.root)
    assert [(signature["valid"], signature["trusted"]) for signature in signed["signatures"]] == [(True, True)]
    assert f"mv {older} {home.root}/keys/" in signed["note"]
    again = run("party", "key", "create", "--party", "openai", home=home.root)
    assert again.returncode == 3
    assert str(older) in again.stderr
    os.rename(older, home.root / "keys/openai.key")
    signatures = Path(f"{may}.signatures.json")
    signatures.unlink()
    assert answer("statement", "sign", may, "--party", "openai", home=home.root)["note"] == ""


def test_an_older_key_that_the_home_does_not_know_is_left_alone(home: Home, tmp_path: Path) -> None:
    older = moved_to_the_older_place(created(Home(tmp_path / "other")), tmp_path)
    before = older.read_bytes()
    assert created(home).read_bytes() != before
    assert older.read_bytes() == before


def test_a_folder_that_is_named_is_the_only_one(
    home: Home, may: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved_to_the_older_place(created(home), tmp_path)
    monkeypatch.setenv("CLAUSEWAY_KEYS", str(tmp_path / "named"))
    refused = run("statement", "sign", may, "--party", "openai", home=home.root)
    assert refused.returncode == 3
    assert str(tmp_path / "named/openai.key") in refused.stderr
    assert created(home).parent == tmp_path / "named"


def test_a_kept_key_that_others_may_read_is_refused(home: Home, may: str) -> None:
    key = created(home)
    key.chmod(0o640)
    refused = run("statement", "sign", may, "--party", "openai", home=home.root)
    assert refused.returncode == 3
    assert f"chmod 600 {key}" in " ".join(refused.stderr.split())
    named = run("statement", "sign", may, "--party", "openai", "--private-key", str(key), home=home.root)
    assert named.returncode == 0, named.stderr


def test_no_pack_takes_a_private_key_along(home: Home, tmp_path: Path) -> None:
    key, pack = created(home), tmp_path / "may.pack"
    assert run("statement", "pack", "2026-05", "--out", str(pack), home=home.root).returncode == 0
    shutil.unpack_archive(pack, tmp_path / "opened", "zip")
    packed = [path for path in (tmp_path / "opened").rglob("*") if path.is_file()]
    assert packed
    assert [path for path in packed if key.read_bytes() in path.read_bytes()] == []


@pytest.mark.parametrize("step", ["force_file", "trust_key"])
def test_a_key_is_made_again_after_the_disk_was_full(home: Home, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """The private key may be written, and nobody trusts it yet."""

    def find_no_room(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as full:
        full.setattr(party_keys, step, find_no_room)
        done = run("party", "key", "create", "--party", "microsoft", home=home.root)
        assert (done.returncode, "the disk is full" in done.stderr) == (1, True)
    made = answer("party", "key", "create", "--party", "microsoft", home=home.root)
    assert Path(made["private_key"]).exists()

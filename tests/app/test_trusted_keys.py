"""Keys of parties are in the books: who vouched for which, and a file of keys that was changed is found."""

import json
from pathlib import Path

import pytest

import settled_book
from clauseway.app.opening.home import Home
from in_process import answer, run


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("CLAUSEWAY_KEYS", str(tmp_path / "keys"))
    return settled_book.make(tmp_path / "home")


def created(home: Home, party: str) -> str:
    return str(answer("party", "key", "create", "--party", party, home=home.root)["public_key"])


def other_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("CLAUSEWAY_KEYS", str(tmp_path / "others"))
    return created(Home(tmp_path / "other"), "openai")


def test_the_log_says_who_vouched_for_which_key(home: Home) -> None:
    created(home, "openai")
    (row,) = answer("audit", "log", "--kind", "party-key", home=home.root)
    assert row["act"] == "added"
    assert row["subject"].startswith("openai/SHA256:")
    listed = run("party", "key", "list", home=home.root).stdout
    assert row["subject"].partition("/")[2] in listed
    assert run("audit", "verify", home=home.root).returncode == 0


def test_a_key_put_into_the_file_by_hand_is_found_and_not_trusted(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    may = tmp_path / "may.json"
    assert run("statement", "--period", "2026-05", "--out", str(may), home=home.root).returncode == 0
    created(home, "openai")
    assert run("statement", "sign", str(may), "--party", "openai", home=home.root).returncode == 0
    assert run("statement", "verify", str(may), home=home.root).returncode == 0
    added = other_key(tmp_path, monkeypatch)
    path = home.root / "party-keys.json"
    sound = path.read_bytes()
    path.write_text(json.dumps(json.loads(sound) | {"microsoft": [added]}))
    problems = answer("audit", "verify", home=home.root, code=2)["problems"]
    assert [one["what"] for one in problems] == [f"the key {added} of microsoft was added to the file of trusted keys"]
    assert "was added to the file" in run("statement", "verify", str(may), home=home.root).stdout
    assert run("statement", "verify", "2026-05", home=home.root).returncode == 2
    assert added not in run("party", "key", "list", home=home.root).stdout
    path.write_text("{}")
    assert "taken out of the file" in str(answer("audit", "verify", home=home.root, code=2))
    path.write_text("no JSON")
    assert "cannot be read" in str(answer("audit", "verify", home=home.root, code=2))
    path.write_bytes(sound)
    assert run("audit", "verify", home=home.root).returncode == 0


def test_a_home_that_had_the_file_alone_takes_it_over_and_says_so(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = other_key(tmp_path, monkeypatch)
    (home.root / "party-keys.json").write_text(json.dumps({"openai": [theirs]}))
    assert answer("party", "key", "list", home=home.root) == {"openai": [theirs]}
    (row,) = answer("audit", "log", "--kind", "party-key", home=home.root)
    assert row["why"] == "taken over from party-keys.json"

"""Keys of parties are in the books: who vouched for which, and a file of keys that was changed is found."""

import base64
import json
from pathlib import Path

import pytest

import settled_book
from clauseway.app.books.party_keys import is_signed
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
    assert [problem["what"] for problem in problems] == [
        f"the key {added} of microsoft was added to the file of trusted keys"
    ]
    assert "was added to the file" in run("statement", "verify", str(may), home=home.root).stdout
    assert run("statement", "verify", "2026-05", home=home.root).returncode == 2
    assert added not in run("party", "key", "list", home=home.root).stdout
    path.write_text("{}")
    assert "taken out of the file" in str(answer("audit", "verify", home=home.root, code=2))
    path.write_text("no JSON")
    assert "cannot be read" in str(answer("audit", "verify", home=home.root, code=2))
    path.write_bytes(sound)
    assert run("audit", "verify", home=home.root).returncode == 0


def signed_may(home: Home, tmp_path: Path) -> Path:
    """The statement of May, signed by openai and countersigned by microsoft."""
    may = tmp_path / "may.json"
    assert run("statement", "--period", "2026-05", "--out", str(may), home=home.root).returncode == 0
    for party, verb in (("openai", "sign"), ("microsoft", "countersign")):
        assert run("statement", verb, str(may), "--party", party, home=home.root).returncode == 0
    return may


def test_a_key_that_leaked_is_withdrawn_and_no_signature_by_it_counts(home: Home, tmp_path: Path) -> None:
    leaked, other = created(home, "openai"), created(home, "microsoft")
    may = signed_may(home, tmp_path)
    assert run("statement", "verify", str(may), home=home.root).returncode == 0
    print_ = next(line.split()[2] for line in run("party", "key", "list", home=home.root).stdout.splitlines()[1:])
    why = ("--why", "the laptop was stolen")
    done = run("party", "key", "withdraw", print_, "--party", "openai", *why, home=home.root)
    assert "the laptop was stolen" in done.stdout
    assert answer("party", "key", "list", home=home.root) == {"microsoft": [other]}
    assert "the laptop was stolen" in run("party", "key", "list", home=home.root).stdout
    verified = run("statement", "verify", str(may), home=home.root)
    assert verified.returncode == 2
    assert "its key was withdrawn by" in " ".join(verified.stdout.split())
    (row,) = answer("audit", "log", "--kind", "withdrawn-key", home=home.root)
    assert row["why"] == "the laptop was stolen"
    assert run("audit", "verify", home=home.root).returncode == 0
    # Nobody signs with it again, and nobody trusts it again.
    may.with_name("may.json.signatures.json").unlink()
    refused = run("statement", "sign", str(may), "--party", "openai", home=home.root)
    assert "the key of openai was withdrawn by" in " ".join(refused.stderr.split())
    trust = ("party", "key", "trust", "--party", "openai", "--public-key", leaked)
    assert run(*trust, home=home.root).returncode == 3
    assert answer("party", "key", "withdraw", leaked, "--party", "openai", *why, home=home.root)["public_key"] == leaked
    another = run("party", "key", "withdraw", leaked, "--party", "openai", "--why", "another reason", home=home.root)
    assert another.returncode == 3
    assert "was withdrawn before: withdrawn by" in " ".join(another.stderr.split())
    assert len(answer("audit", "log", "--kind", "withdrawn-key", home=home.root)) == 1, "again changes nothing"
    # Another key takes its place, and the statement is signed anew.
    key = tmp_path / "keys" / "openai.key"
    assert "openai.key.withdrawn" in " ".join(
        run("party", "key", "create", "--party", "openai", home=home.root).stderr.split()
    )
    key.rename(key.with_suffix(".withdrawn"))
    created(home, "openai")
    assert run("statement", "verify", str(signed_may(home, tmp_path)), home=home.root).returncode == 0


def test_the_only_key_that_is_withdrawn_is_not_taken_from_the_file_again(home: Home) -> None:
    leaked = created(home, "openai")
    path = home.root / "party-keys.json"
    before = path.read_bytes()
    answer("party", "key", "withdraw", leaked[:12], "--party", "openai", "--why", "leaked", home=home.root)
    path.write_bytes(before)
    assert answer("party", "key", "list", home=home.root) == {}
    assert "was added to the file" in str(answer("audit", "verify", home=home.root, code=2))


# Bytes that no private key belongs to (RFC 8032, section 5.1): y of the point, little-endian, with the sign of x in
# the last bit · why
NO_KEYS = [
    ("01" + 31 * "00", "its point has the order 1"),
    ("01" + 30 * "00" + "80", "it is no point of the curve"),  # x = 0 has no other sign
    ("ec" + 30 * "ff" + "7f", "its point has the order 2"),
    (32 * "00", "its point has the order 4"),
    (31 * "00" + "80", "its point has the order 4"),
    ("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", "its point has the order 8"),
    ("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa", "its point has the order 8"),
    ("ed" + 30 * "ff" + "7f", "it is no point of the curve"),  # y = p: 0 written otherwise
    ("02" + 31 * "00", "it is no point of the curve"),
]


@pytest.mark.parametrize(("raw", "why"), NO_KEYS)
def test_a_key_that_no_private_key_belongs_to_is_not_trusted(home: Home, raw: str, why: str) -> None:
    """Whoever pleases makes a signature that holds for a key of small order, over any statement."""
    public = base64.b64encode(bytes.fromhex(raw)).decode()
    done = run("party", "key", "trust", "--party", "openai", "--public-key", public, home=home.root)
    assert done.returncode == 3, done.stdout
    said = " ".join(done.stderr.split())
    assert f"{public!r} is not a public key: {why}" in said
    assert answer("party", "key", "list", home=home.root) == {}


def test_no_signature_by_a_key_of_small_order_counts() -> None:
    """A home of before may trust such a key. This signature held for each content."""
    identity = bytes.fromhex("01" + 31 * "00")
    public, signature = (base64.b64encode(each).decode() for each in (identity, identity + bytes(32)))
    assert not is_signed(public, signature, b"any statement")


# Words of the command · a word of what is said
NOT_WITHDRAWN = [
    (("nothing", "--party", "openai", "--why", "x"), "openai has no such key here"),
    (("SHA256:", "--party", "microsoft", "--why", "x"), "microsoft has no such key here"),
    (("SHA256:", "--party", "openai", "--why", " "), "' ' is no value"),
]


@pytest.mark.parametrize(("words", "said"), NOT_WITHDRAWN)
def test_what_names_no_key_withdraws_none(home: Home, words: tuple[str, ...], said: str) -> None:
    public = created(home, "openai")
    done = run("party", "key", "withdraw", *words, home=home.root)
    assert done.returncode == 3
    assert said in " ".join(done.stderr.split())
    assert answer("party", "key", "list", home=home.root) == {"openai": [public]}


def test_a_home_that_had_the_file_alone_takes_it_over_and_says_so(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = other_key(tmp_path, monkeypatch)
    (home.root / "party-keys.json").write_text(json.dumps({"openai": [theirs]}))
    assert answer("party", "key", "list", home=home.root) == {"openai": [theirs]}
    (row,) = answer("audit", "log", "--kind", "party-key", home=home.root)
    assert row["why"] == "taken over from party-keys.json"


def test_a_home_that_trusts_no_key_says_so(tmp_path: Path) -> None:
    home = settled_book.make(tmp_path / "home")
    done = run("party", "key", "list", home=home.root)
    assert (done.returncode, done.stdout) == (0, "No party's key is trusted here.\n")

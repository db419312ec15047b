"""A month between two parties, with commands alone: metered, signed, verified, disputed, countersigned, corrected.

openai has metered (the eleven requests of `settled_book`); microsoft has nothing but what it is handed.
"""

from pathlib import Path
from typing import Any

import pytest

import settled_book
from clauseway.app.opening.home import Home
from in_process import answer, run

ASSUMED = [part for name in settled_book.ACCEPTED for part in ("--assume", name)]


class Party:
    """A party with its home and its folder of private keys."""

    def __init__(self, name: str, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.name, self.folder, self._patch = name, folder, patch
        self.home = folder / "home"
        folder.mkdir()

    def did(self, *words: str, code: int = 0) -> str:
        self._patch.setenv("CLAUSEWAY_KEYS", str(self.folder / "keys"))
        done = run(*words, home=self.home)
        assert done.returncode == code, done.stdout + done.stderr
        return " ".join((done.stdout + done.stderr).split())

    def told(self, *words: str, code: int = 0) -> Any:
        self._patch.setenv("CLAUSEWAY_KEYS", str(self.folder / "keys"))
        return answer(*words, home=self.home, code=code)

    def stated(self, period: str) -> bytes:
        out = self.folder / f"{period}.json"
        self.did("statement", "--period", period, "--out", str(out))
        return out.read_bytes()


@pytest.fixture
def parties(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Party, Party]:
    ours = Party("openai", tmp_path / "ours", monkeypatch)
    theirs = Party("microsoft", tmp_path / "theirs", monkeypatch)
    settled_book.seal(Home(ours.home).make())
    return ours, theirs


def verdicts(done: Any) -> set[str]:
    return {line["verdict"] for line in done["repeated"]["lines"]}


def test_a_month_between_two_parties(parties: tuple[Party, Party], tmp_path: Path) -> None:
    ours, theirs = parties
    april, pack, usage = tmp_path / "april.json", tmp_path / "april.pack", str(tmp_path / "usage.jsonl")

    # openai settles, signs and packs April.
    ours.did("settle", "--period", "2026-04", *ASSUMED)
    ours.did("statement", "--period", "2026-04", "--out", str(april))
    our_key = ours.told("party", "key", "create", "--party", "openai")["public_key"]
    ours.did("statement", "sign", str(april), "--party", "openai")
    ours.did("statement", "pack", "2026-04", "--file", str(april), "--out", str(pack))

    # microsoft verifies it: first nobody vouches for the key, then it does.
    done = theirs.told("statement", "verify", str(pack), code=2)
    assert verdicts(done) == {"the same"}
    assert [signature["trusted"] for signature in done["signing"]["signatures"]] == [False]
    their_key = theirs.told("party", "key", "create", "--party", "microsoft")["public_key"]
    theirs.did("party", "key", "trust", "--party", "openai", "--public-key", our_key)
    assert "the same, to the last byte" in theirs.did("statement", "verify", str(pack))

    # It takes the usage over, and settles to the same bytes.
    ours.did("export", "cloudevents", "--period", "2026-04", "--out", usage)
    theirs.did("usage", "import", usage)
    theirs.did("settle", "--period", "2026-04", *ASSUMED)
    assert theirs.stated("2026-04") == april.read_bytes()

    # One line it does not accept; after the answer the dispute is over and the bytes are the same again.
    line = next(
        line["id"] for line in theirs.told("statement", "--period", "2026-04")["lines"] if line["amount"] == "0.72"
    )
    said = theirs.did("statement", "dispute", line, "--party", "microsoft", "--reason", "test traffic")
    assert "in dispute" in said
    (claim,) = [dispute["dispute"]["id"] for dispute in theirs.told("books", "dispute", "list")]
    theirs.did("settle", "--period", "2026-04")
    assert theirs.stated("2026-04") != april.read_bytes()
    theirs.did("books", "dispute", "resolve", claim, "--id", "answer-1", "--rejected")
    theirs.did("settle", "--period", "2026-04")
    amounts = [line["amount"] for line in theirs.told("statement", "--period", "2026-04")["lines"]]
    assert amounts == [line["amount"] for line in ours.told("statement", "--period", "2026-04")["lines"]]

    # It countersigns what it has verified, and openai sees it and closes.
    theirs.did("statement", "countersign", str(april), "--party", "microsoft", "--pack", str(pack))
    ours.did("party", "key", "trust", "--party", "microsoft", "--public-key", their_key)
    signed = ours.told("statement", "verify", str(april))["signing"]["signatures"]
    assert [(signature["party"], signature["valid"], signature["trusted"]) for signature in signed] == [
        ("openai", True, True),
        ("microsoft", True, True),
    ]
    ours.did("books", "close", "2026-04")

    # Usage of April comes late: May corrects it, and microsoft verifies May by its pack and by sums alone.
    settled_book.seal(Home(ours.home), [(12, "04-28", 9, 1, 2, (100_000, 0, 10_000))])
    ours.did("settle", "--period", "2026-05")
    may, sums = str(tmp_path / "may.pack"), str(tmp_path / "sums.pack")
    ours.did("statement", "pack", "2026-05", "--out", may)
    ours.did("statement", "pack", "2026-05", "--sums", "--out", sums)
    done = theirs.told("statement", "verify", may)
    assert done["repeated"]["same"]
    assert verdicts(done) == {"the same"}
    result = theirs.did("statement", "verify", sums, code=2)
    assert "The usage of this home is another on 2026-04-28" in result
    late = str(tmp_path / "late.jsonl")
    ours.did("export", "usage", "--format", "cloudevents", "--out", late)
    theirs.did("usage", "import", late)
    assert "the same, to the last byte" in theirs.did("statement", "verify", sums)
    assert "not edited" in ours.did("audit", "verify")
    assert "not edited" in theirs.did("audit", "verify")

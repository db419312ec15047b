"""The program before any command: its version, its help by either name, and completion in a shell."""

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from in_process import run


@pytest.mark.parametrize("asked", ["--version", "version"])
def test_the_version_is_that_of_the_package(asked: str) -> None:
    result = run(asked)
    assert (result.returncode, result.stdout) == (0, f"clauseway {version('clauseway')}\n")


# `clauseway help …` · the same as
HELPS = [
    (("help",), ("--help",)),
    (("help", "decide"), ("decide", "--help")),
    (("help", "budget", "set"), ("budget", "set", "--help")),
]


@pytest.mark.parametrize(("asked", "same"), HELPS)
def test_help_is_a_word_too(asked: tuple[str, ...], same: tuple[str, ...]) -> None:
    result = run(*asked)
    assert result.returncode == 0
    assert result.stdout == run(*same).stdout
    assert result.stdout.startswith("Usage: clauseway")


def test_help_of_a_command_that_is_not_there_is_refused() -> None:
    result = run("help", "decied")
    assert result.returncode == 3
    assert "decide" in result.stderr


# words on the line, the last one unfinished · what a shell is offered
COMPLETIONS = [
    ("clauseway dec", "decide"),
    ("clauseway decide --prod", "--product"),
    ("clauseway budget s", "set"),
    ("clauseway budget set --am", "--amount"),
]


@pytest.mark.parametrize(("line", "offered"), COMPLETIONS)
def test_a_shell_completes_commands_and_flags(line: str, offered: str) -> None:
    words = line.split()
    asked = {"_CLAUSEWAY_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    result = subprocess.run(
        [sys.executable, "-m", "clauseway"],
        env=os.environ | asked,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert offered in result.stdout.split()


# words whose bytes are not UTF-8, as shells pass the names of old files on
NOT_UTF_8 = [
    ("verify", b"\xff.json"),
    ("basis", "rates", b"r\xe4te.csv", "--why", "May"),
    ("statement", "--period", "2026-05", b"--out=m\xe4rz.json"),
    ("organisation", "create", b"M\xfcller"),
    (b"d\xe9cide",),
]


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("words", NOT_UTF_8)
def test_a_word_that_is_not_utf_8_is_refused(words: tuple[str | bytes, ...], as_json: bool, tmp_path: Path) -> None:
    """Recorded, signed and exported text is UTF-8. Some commands failed halfway, as at `--json`."""
    done = subprocess.run(
        [sys.executable, "-m", "clauseway", *words, *(["--json"] if as_json else [])],
        cwd=tmp_path,
        capture_output=True,
        timeout=60,
        check=False,
    )
    refusal = json.loads(done.stdout)["error"]["problems"][0] if as_json else done.stderr.decode()
    assert done.returncode == 3
    assert "is not UTF-8" in str(refusal)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_whose_name_is_not_utf_8_is_told_in_json(tmp_path: Path) -> None:
    """A program that reads JSON reads no half of a pair: the bytes are shown as replaced."""
    folder = os.fsencode(tmp_path) + b"/h\xfc"
    os.mkdir(folder)
    done = subprocess.run(
        [sys.executable, "-m", "clauseway", "key", "list", "--json"],
        cwd=tmp_path,
        env={**os.environb, b"CLAUSEWAY_HOME": folder},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 3
    assert json.loads(done.stdout)["error"]["problems"][0]["where"].endswith("h\N{REPLACEMENT CHARACTER}")


ASKED = ("decide", "--action", "serve", "--party", "openai", "--product", "api.stateless", "--cloud", "aws")

# a command line · where it is wrong · what is
LINES = [
    ((*ASKED, "--as-of", "2026-03-15", "--as-of=2026-06-01"), "--as-of", "given 2 times"),
    (("statement", "--period", "2026-04", "--period", "2026-04"), "--period", "given 2 times"),
    ((*ASKED, "--seller", ""), "--seller", "'' is no value"),
    ((*ASKED, "--reading", "R1=or", "--reading="), "--reading", "'' is no value"),
    ((*ASKED, "--region", " "), "--region", "' ' is no value"),
    (("key", "list", "--home", ""), "--home", "'' is no value"),
    (("export", "rego", "--out="), "--out", "'' is no value"),
    (("config", "check", ""), "FILE", "'' is no value"),
    (("person", "two", "books", "\t"), "KIND", "'\\t' is no value"),
    (("basis", "--home", "elsewhere", "history"), "--home", "it stands before history"),
    (("--install-completion", "bash"), "--install-completion", "it takes no value, and bash is no command"),
    (("--show-completion", "zsh"), "--show-completion", "it takes no value, and zsh is no command"),
    (("statement", "--period", "2026-05", "verify", "2026-04"), "--period", "it stands before verify"),
]


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize(("words", "where", "what"), LINES)
def test_each_flag_is_given_once_and_with_a_value(words: tuple[str, ...], where: str, what: str, as_json: bool) -> None:
    """The last of two would win unseen. A variable of the shell that is not set would widen a question,
    a grant or an export to everybody. A home named before the word of a command was not the one it wrote into."""
    done = run(*words, *(["--json"] if as_json else []))
    assert done.returncode == 3
    if as_json:
        [problem] = json.loads(done.stdout)["error"]["problems"]
        assert problem["where"] == where
        assert what in problem["what"]
    else:
        assert f"{where}: " in done.stderr
        assert what in done.stderr


def test_a_switch_may_be_given_twice() -> None:
    assert run("agreement", "list", "--json", "--json").returncode == 0


def test_help_is_shown_whatever_else_is_given() -> None:
    assert run(*ASKED, "--seller", "", "--as-of", "x", "--as-of", "y", "--help").returncode == 0


REMOVED = "import os; from clauseway.cli import main; os.rmdir(os.getcwd()); main({words!r})"


@pytest.mark.parametrize("words", [["key", "list"], list(ASKED)], ids=" ".join)
def test_a_working_directory_that_was_removed_is_told_in_words(words: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", REMOVED.format(words=words)], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "the working directory is gone" in done.stderr
    assert "Traceback" not in done.stderr


# Flags that a command reads in another of its uses alone.
UNREAD = [
    (("price", "gpt-5.4", "book.csv", "--cloud", "azure"), "FILE", "`price check` alone reads a file"),
    (("price", "check", "book.csv", "--cloud", "azure"), "--cloud", "a book is checked whole"),
    (("price", "check", "book.csv", "--tokens", "in=1"), "--tokens", "a book is checked whole"),
    (("statement", "verify", "may.json", "--party", "openai"), "--party", "a file says itself whose it is"),
    (
        ("statement", "dispute", "c2cwpac9", "--party", "openai", "--reason", "no", "--private-key", "k"),
        "--private-key",
        "without --file nothing is signed",
    ),
    (("export", "cedar", "--entities", "--out", "p.cedar"), "--entities", "with --out it is written beside"),
    (("export", "cedar", "--entities", "--schema"), "--schema", "one text is printed"),
    ((*ASKED, "--out", "answer.csv"), "--out", "one answer is printed"),
    (("decide", "--batch", "questions.csv", "--trace"), "--trace", "answers without their traces"),
    (("basis", "prices", "book.csv", "--without-own", "--why", "w"), "--without-own", "the file is your own book"),
    (("lake", "move", "--to", "home", "--region", "r"), "--region", "the home has no address"),
    (
        ("lake", "move", "--to", "s3://b/x", "--secret-env", "A", "--secret-file", "b"),
        "--secret-file",
        "--secret-env names the secret already",
    ),
    (("books", "invoice", "--payer", "openai"), "--payer", "without --period the invoices are listed"),
    (("books", "invoice", "--currency", "EUR"), "--currency", "without --period the invoices are listed"),
    (("books", "payment", "i-1", "--id", "b", "--reason", "why"), "--reason", "a payment is booked without one"),
    (("books", "payment", "--reverse", "b", "--id", "c", "--amount", "3"), "--amount", "a payment is taken back whole"),
    (
        ("books", "payment", "--reverse", "b", "--id", "c", "--currency", "EUR"),
        "--currency",
        "a payment is taken back whole",
    ),
    (("person", "password", "anna", "--remove", "--sees", "lawyer"), "--sees", "who has no password sees no page"),
]


@pytest.mark.parametrize(("words", "where", "why"), UNREAD)
def test_what_a_command_would_not_read_is_refused(words: tuple[str, ...], where: str, why: str, tmp_path: Path) -> None:
    home = tmp_path / ".clauseway"
    home.mkdir()
    (home / "control.db").touch()
    done = run(*words, "--json", cwd=tmp_path)
    [problem] = json.loads(done.stdout)["error"]["problems"]
    assert (done.returncode, problem["where"], why in problem["why"]) == (3, where, True), problem


# Commands that read a file, which is not there.
READERS = [
    ("agreement", "fmt", "A1.md"),
    ("agreement", "rehearse", "A6.md"),
    ("basis", "rates", "rates.csv", "--why", "of May"),
    ("config", "import", "litellm", "config.yaml"),
    ("decide", "--batch", "questions.csv"),
    ("decide", "--facts", "facts.md", "--action", "serve", "--party", "openai", "--product", "gpt-5.5"),
    ("gateway", "replay", "--traffic", "traffic.csv", "--keys", "keys.txt"),
    ("price", "check", "book.csv"),
    ("statement", "sign", "may.json", "--party", "openai"),
    ("usage", "import", "april.jsonl"),
    ("usage", "reconcile", "--bill", "bill.csv"),
    ("verify", "decision.json"),
]


@pytest.mark.parametrize("words", READERS, ids=" ".join)
def test_a_file_that_is_not_there_is_told_in_words(words: tuple[str, ...], tmp_path: Path) -> None:
    home = tmp_path / ".clauseway"
    home.mkdir()
    (home / "control.db").touch()
    refused = run(*words, cwd=tmp_path)
    assert refused.returncode == 3, refused.stderr
    assert "Errno" not in refused.stderr

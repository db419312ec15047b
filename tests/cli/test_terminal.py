"""No text of somebody else moves the cursor of a terminal, changes its colours or rings its bell."""

import os
import pty
import subprocess
import sys
import termios
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.measure import Measurement
from rich.text import Text

import settled_book
from clauseway.cli.console import console, plain_table
from clauseway.cli.output import Styled, lines, print_text
from in_process import CLAUSEWAY, answer, run

# clears the screen · a colour, by one character of eight bits · a title of the window · over the line's beginning ·
# the words behind it from right to left · a line of its own
OBEYED = "a \x1b[2Jb \x9b31mc \x1b]0;title\x07d \re \x7ff \u202eg\u2066h\u2069 \u2028i"
SEEN = "\u241b[2Jb"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = settled_book.make(tmp_path_factory.mktemp("book") / "home").root
    done = run(
        "books", "credit", "--id", "n1", "--request", settled_book.request(5), "--reason", OBEYED, "--home", str(folder)
    )
    assert done.returncode == 0, done.stderr
    return folder


def obeyed(text: str) -> set[str]:
    """The characters in a text that a terminal would obey, those of lines apart."""
    turning = "\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    return {each for each in text if each < " " or "\x7f" <= each <= "\x9f" or each in turning} - {"\n"}


@pytest.mark.parametrize("columns", [None, 100])
def test_a_reason_is_shown_and_not_obeyed(home: Path, columns: int | None) -> None:
    shown = run("audit", "log", "--home", str(home), columns=columns).stdout
    assert obeyed(shown) == set()
    assert columns or SEEN in shown


def test_a_refusal_shows_the_name_that_it_refuses(tmp_path: Path) -> None:
    done = run("agreement", "check", str(tmp_path / OBEYED))
    assert done.returncode == 3
    assert obeyed(done.stderr + done.stdout) == set()


def test_json_says_what_was_written(home: Path) -> None:
    reasons = [row["why"] for row in answer("audit", "log", "--home", str(home)) if row["kind"] == "credit"]
    assert reasons == [OBEYED]


@pytest.mark.parametrize("is_terminal", [False, True])
def test_lines_are_shown_as_they_are_written(
    is_terminal: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No word between colons becomes a picture, and none in brackets a style."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: is_terminal)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    lines().line(Styled(":key: [dim]", "bold"), "x[/red]", style="dim")
    print_text(":key: [dim]x[/red]")
    assert capsys.readouterr().out == ":key: [dim]x[/red]\n" * 2


# a command · its exit code, whatever its output is
ASKED = ("decide", "--action", "serve", "--party", "openai", "--product", "gpt-5.5", "--cloud", "aws")
COMMANDS = [
    ((*ASKED, "--as-of", "2026-03-15"), 2),
    (("settle", "--period", "2026-05"), 0),
    (("statement", "--period", "2026-05", "--json"), 0),
    (("statement", "--period", "2026-07"), 3),
]


def ended(words: Sequence[str], home: Path, before: str = "", **environment: str) -> subprocess.CompletedProcess[bytes]:
    """The command in a shell, which does first what stands before it."""
    return subprocess.run(
        ["/bin/sh", "-c", f'{before}\nexec "$@"', "sh", str(CLAUSEWAY), *words],
        capture_output=True,
        timeout=60,
        check=False,
        env=os.environ | {"CLAUSEWAY_HOME": str(home)} | environment,
    )


@pytest.mark.parametrize(
    ("words", "code"), COMMANDS, ids=lambda value: str(value[0]) if isinstance(value, tuple) else ""
)
def test_a_pipe_gets_utf_8_whatever_the_terminals_letters(words: tuple[str, ...], code: int, home: Path) -> None:
    """Files of JSON, TOML and CSV are UTF-8. `settle` posted, and then failed to print."""
    usual = ended(words, home, PYTHONIOENCODING="utf-8")
    narrow = ended(words, home, PYTHONIOENCODING="ascii")
    assert (narrow.returncode, narrow.stdout.splitlines()[:1]) == (code, usual.stdout.splitlines()[:1])
    narrow.stdout.decode("utf-8")


def test_a_pipe_gets_the_name_of_a_folder_that_the_locale_cannot_read(tmp_path: Path) -> None:
    """A name in UTF-8 comes to a program of an ASCII locale as halves of surrogate pairs."""
    folder = tmp_path / "h\u00e9"
    folder.mkdir()
    ascii_alone = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = ended(("doctor", "--home", "."), folder, f"cd '{folder}'", **ascii_alone)
    assert f"({folder}/spool)" in done.stdout.decode("utf-8")


def test_a_terminal_of_few_letters_is_told_the_others_by_number(home: Path) -> None:
    """As `ls` shows a name: the figures and clauses around it can be read."""
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [CLAUSEWAY, *ASKED, "--as-of", "2026-03-15"],
        stdout=theirs,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
        env=os.environ | {"PYTHONIOENCODING": "ascii", "TERM": "dumb"},
    )
    os.close(theirs)
    shown = os.read(ours, 4096).decode("ascii")
    os.close(ours)
    assert (done.returncode, done.stderr) == (2, b"")
    assert "as of 2026-03-15 \\xb7 known at" in shown


@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(
    ("words", "code"), COMMANDS, ids=lambda value: str(value[0]) if isinstance(value, tuple) else ""
)
def test_a_closed_output_is_no_failure(words: tuple[str, ...], code: int, closed: str, home: Path) -> None:
    """As some services start their programs. A file of the home would be opened in its place."""
    done = ended(words, home, f"exec {closed}")
    assert (done.returncode, b"Traceback" in done.stderr, b"failed" in done.stderr) == (code, False, False)


def test_each_cell_of_a_table_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[str] = []
    measure = Text.__rich_measure__

    def noted(text: Text, *given: Any) -> Measurement:
        measured.append(text.plain)
        return measure(text, *given)

    table = plain_table("id", "organisation")
    rows = [(f"key-{at}", "acme") for at in range(50)]
    for row in rows:
        table.add_row(*row)
    monkeypatch.setattr(Text, "__rich_measure__", noted)
    console().print(table)
    assert len(measured) == len(("id", "organisation")) + sum(map(len, rows))


# a style that is there · one that nobody began · no style at all
MARKED = "[red]Acme[/red] [/] [/x] [INST]"
BUYER = MARKED.replace("/", "")  # a slash stands between an organisation and its project


@pytest.mark.parametrize("columns", [None, 100])
def test_brackets_in_a_name_are_shown(tmp_path: Path, columns: int | None) -> None:
    """Customers, bills and sources are named by others: brackets are no style, and end no listing."""
    recorded = [
        ("key", "create", "--organisation", BUYER, "--seller", "openai"),
        ("fact", "record", "milestone", "--effective", "2026-06-01", "--source", MARKED),
        ("limit", "set", "--organisation", BUYER, "--requests", "3"),
        ("budget", "set", "--organisation", BUYER, "--amount", "3"),
    ]
    listings = [(noun, "list") for noun in ("organisation", "key", "fact", "limit", "budget")]
    for words in [*recorded, *listings]:
        done = run(*words, "--home", str(tmp_path / "home"), columns=columns)
        assert (words, done.returncode, done.stderr) == (words, 0, "")
        if words[1] != "record":
            assert ("[red]Acme[/red]" if words[0] == "fact" else "[red]Acme[red]") in done.stdout


def on_a_dumb_terminal(columns: int, *words: str) -> str:
    """Return a command's output on a terminal that can do nothing, as in an editor's shell."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (50, columns))
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    done = subprocess.run(
        [sys.executable, "-m", "clauseway", *words],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
        env=environment | {"TERM": "dumb", "NO_COLOR": "1"},
    )
    os.close(theirs)
    printed = os.read(ours, 65536).decode()
    os.close(ours)
    assert (done.returncode, done.stderr) == (0, b"")
    return printed


@pytest.mark.parametrize("columns", [50, 140])
def test_a_dumb_terminal_is_as_wide_as_it_says(columns: int) -> None:
    widest = max(len(line) for line in on_a_dumb_terminal(columns, "agreement", "check").splitlines())
    assert columns - 20 < widest <= columns


def test_a_dumb_terminal_shows_every_figure(home: Path) -> None:
    """Rich took it for one of 80 columns, and cut a wider table there: 1,080,… in the place of 1,080,000."""
    sums = [f"--by={name}" for name in ("organisation", "project", "product", "cloud", "region", "seller")]
    printed = on_a_dumb_terminal(70, "usage", "show", *sums, "--home", str(home))
    assert "…" not in printed

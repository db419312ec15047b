"""No text of somebody else moves the cursor of a terminal, changes its colours or rings its bell."""

import sys
from pathlib import Path

import pytest

import settled_book
from clauseway.cli.output import Styled, lines, print_text
from in_process import answer, run

# clears the screen · a colour, by one character of eight bits · a title of the window · over the line's beginning
OBEYED = "a \x1b[2Jb \x9b31mc \x1b]0;title\x07d \re \x7ff"
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
    return {character for character in text if character < " " or "\x7f" <= character <= "\x9f"} - {"\n"}


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

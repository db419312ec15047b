"""Files that commands write under a name of the user's: whole or not at all, and a pipe stays a pipe."""

import os
import threading
from pathlib import Path

import pytest

import settled_book
from clauseway.app.opening.home import Home
from in_process import run

OUTPUTS = [
    ("export", "focus", "--period", "2026-05"),
    ("export", "cloudevents"),
    ("export", "hledger"),
    ("export", "usage", "--format", "cloudevents"),
    ("statement", "--period", "2026-05", "--format", "csv"),
]


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return settled_book.make(tmp_path_factory.mktemp("book") / "home")


@pytest.mark.parametrize("command", OUTPUTS, ids=" ".join)
def test_a_pipe_gets_what_a_file_would_hold(book: Home, tmp_path: Path, command: tuple[str, ...]) -> None:
    pipe, file = tmp_path / "pipe", tmp_path / "file"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()), daemon=True)
    reader.start()
    for out in (file, pipe):
        assert run(*command, "--out", str(out), home=book.root).returncode == 0
    reader.join(timeout=60)
    assert (read, pipe.is_fifo()) == ([file.read_bytes()], True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "pipe"]

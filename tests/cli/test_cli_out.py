"""Files that commands write under a name of the user's: whole or not at all, and a pipe stays a pipe."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import settled_book
from clauseway.app.opening.home import Home
from in_process import run

CLAUSEWAY = (sys.executable, "-m", "clauseway")

OUTPUTS = [
    ("export", "focus", "--period", "2026-05"),
    ("export", "cloudevents"),
    ("export", "hledger"),
    ("export", "focus", "--period", "2026-05", "--format", "parquet"),
    ("export", "usage", "--format", "cloudevents"),
    ("export", "usage"),
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


@pytest.mark.parametrize("form", ["cloudevents", "focus", "parquet"])
def test_standard_output_that_is_a_file_is_appended_to(book: Home, tmp_path: Path, form: str) -> None:
    """As a shell does with `>> file`, and a command after it writes behind that."""
    file, alone = tmp_path / "file", tmp_path / "alone"
    command = ("export", "usage", "--format", form, "--home", str(book.root), "--out")
    assert run(*command, str(alone)).returncode == 0
    file.write_bytes(b"before\n")
    with file.open("ab") as appended:
        subprocess.run([*CLAUSEWAY, *command, "-"], stdout=appended, check=True)
        appended.write(b"after\n")
    assert file.read_bytes() == b"before\n" + alone.read_bytes() + b"after\n"


@pytest.mark.parametrize("command", [*OUTPUTS, ("statement", "pack", "2026-05")], ids=" ".join)
def test_a_full_disk_is_no_mistake_in_the_name(book: Home, command: tuple[str, ...]) -> None:
    """Another name would not help: it is the machine's failure, and can be repeated."""
    done = run(*command, "--out", "/dev/full", home=book.root)
    assert done.returncode == 1
    assert "/dev/full: the disk is full" in " ".join(done.stderr.split())


@pytest.mark.parametrize("form", ["parquet", "csv", "jsonl"])
def test_a_pipe_gets_the_answers_to_a_file_of_questions(tmp_path: Path, form: str) -> None:
    questions, pipe, file = (tmp_path / f"{name}.{form}" for name in ("questions", "pipe", "file"))
    asked = {"action": "serve", "party": "openai", "product": "gpt-5.5", "cloud": "aws"}
    if form == "parquet":
        pq.write_table(pa.Table.from_pylist([asked]), questions)
    elif form == "csv":
        questions.write_text(f"{','.join(asked)}\n{','.join(asked.values())}\n")
    else:
        questions.write_text(json.dumps(asked))
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()), daemon=True)
    reader.start()
    for out in (file, pipe):
        done = run("decide", "--batch", str(questions), "--as-of", "2026-05-01", "--out", str(out))
        assert done.returncode == 0, done.stderr
    reader.join(timeout=60)
    assert read == [file.read_bytes()]


@pytest.mark.parametrize("form", ["parquet", "cloudevents", "focus"])
def test_usage_on_standard_output_is_the_file_alone(book: Home, tmp_path: Path, form: str) -> None:
    """A last line of words spoiled it, whichever format it was."""
    command = ("export", "usage", "--format", form, "--home", str(book.root), "--out")
    done = subprocess.run([*CLAUSEWAY, *command, "-"], capture_output=True, timeout=60, check=False)
    assert run(*command, str(tmp_path / "file")).returncode == 0
    assert (done.returncode, done.stdout) == (0, (tmp_path / "file").read_bytes())
    assert done.stderr.endswith(b" in /dev/stdout\n")


NAMED_BY_A_DASH = [
    *OUTPUTS[:3:2],
    ("statement", "--period", "2026-05", "--format", "csv"),
    ("agreement", "schema"),
    ("export", "cedar", "--as-of", "2026-03-15", "--known-at", "2026-03-15"),
]


@pytest.mark.parametrize("command", NAMED_BY_A_DASH, ids=" ".join)
def test_a_dash_is_standard_output(book: Home, command: tuple[str, ...], tmp_path: Path) -> None:
    """A file of that name is hard to read, and hard to remove."""
    usual = run(*command, cwd=tmp_path, home=book.root)
    dashed = run(*command, "--out", "-", cwd=tmp_path, home=book.root)
    assert (dashed.returncode, dashed.stdout) == (0, usual.stdout)
    assert list(tmp_path.iterdir()) == []


def test_a_reader_of_the_file_may_leave(book: Home, tmp_path: Path) -> None:
    """As `head` does: nothing was refused."""
    command = ("export", "usage", "--format", "cloudevents", "--home", str(book.root), "--out", "-")
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([*CLAUSEWAY, *command], stdout=writing, stderr=subprocess.PIPE, timeout=60, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")

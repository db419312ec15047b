"""Tutorials and explanations, walked as a reader walks them: files are written, commands run, answers compared.

A block `sh` is run, a block with a title is written to that file, and a block `text` after commands is what the
last of them printed; `…` stands for whatever differs from run to run.
"""

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, NamedTuple

import pytest

from in_process import NAMELESS_ACCOUNT, run
from needed import NEEDS_CURL

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("docs/tutorials/*.md"), *ROOT.glob("docs/explanation/*.md"), ROOT / "docs/index.md"])
# With processes beside the reader's terminal: run by a shell, below.
IN_TERMINALS = ROOT / "docs/tutorials/engineer.md"
BLOCK = re.compile(r"^(`{3,})(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^\1$", re.DOTALL | re.MULTILINE)
COLUMNS = 100
# A command that is not the program's alone: its answer goes to a file.
SHELL = re.compile(r"[>|]")
# Where the documents say that the gateway listens.
ADDRESS = "http://127.0.0.1:8400"
MARK = "-- end of block --"
READY_S = 120.0  # an upper bound for a busy machine


class Block(NamedTuple):
    """A fenced block of a page: its language, the file that it is or the terminal that it is typed in, its text."""

    kind: str
    title: str
    text: str


def blocks(page: Path) -> list[Block]:
    return [Block(kind, title, text) for _, kind, title, text in BLOCK.findall(page.read_text("utf-8"))]


def walked(page: Path) -> bool:
    return page != IN_TERMINALS and any(block.kind == "sh" for block in blocks(page))


def is_shown(wanted: str, given: str) -> bool:
    lines = "\n".join(line.rstrip() for line in given.splitlines())
    pattern = ".*".join(re.escape(part.strip("\n")) for part in wanted.split("…"))
    return re.fullmatch(rf"\n*{pattern}\n*", lines, re.DOTALL) is not None


def with_program() -> dict[str, str]:
    """The environment in which a shell finds this `clauseway`."""
    names = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "NO_COLOR": "1"}
    return {name: value for name, value in os.environ.items() if name != "CLAUSEWAY_HOME"} | names


def printed_by(line: str, folder: Path) -> str:
    if SHELL.search(line):
        done = subprocess.run(line, shell=True, cwd=folder, env=with_program(), capture_output=True, text=True)
    else:
        done = run(*shlex.split(line)[1:], cwd=folder, columns=COLUMNS)
    # 2: the answer is another than permitted.
    assert done.returncode in (0, 2), f"{line}: {done.stdout}{done.stderr}"
    # A terminal shows both.
    return done.stderr + done.stdout


@pytest.mark.parametrize("page", [page for page in PAGES if walked(page)], ids=lambda page: page.stem)
def test_a_page_can_be_walked(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLAUSEWAY_KEYS", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr("clauseway.storage.control.actor._logged_in", lambda: NAMELESS_ACCOUNT)
    folder = tmp_path / "folder"
    folder.mkdir()
    printed = ""
    for block in blocks(page):
        if block.title:
            (folder / block.title).write_text(block.text, "utf-8")
        elif block.kind == "sh":
            for line in block.text.replace("\\\n", " ").splitlines():
                printed = printed_by(line, folder)
        elif block.kind == "text":
            assert is_shown(block.text, printed), f"{page.name} shows\n{block.text}\nand this is printed:\n{printed}"


def test_there_are_tutorials_for_all_readers() -> None:
    assert {page.stem for page in PAGES} >= {"engineer", "lawyer", "finance", "auditor", "paragraph"}


def test_each_tutorial_leads_to_how_the_program_is_installed() -> None:
    """Readers come to them from the first page, past the list of tutorials."""
    tutorials = [page for page in PAGES if page.parent.name == "tutorials" and page.name != "index.md"]
    assert [page.name for page in tutorials if "](index.md#install)" not in page.read_text("utf-8")] == []


def libraries_of(extra: str, needs: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """The libraries that an extra brings, those of the extras that it names among them."""
    for need in needs[extra]:
        if further := re.fullmatch(r"clauseway\[(\w+)\]", need):
            yield from libraries_of(further[1], needs)
        else:
            yield need.partition(">=")[0]


def test_make_setup_brings_what_the_tutorials_need() -> None:
    """These tests run where the tools of development are; a reader's clone has `make setup` alone."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    locked = (ROOT / "requirements/up.txt").read_text("utf-8")
    tutorials = [page for page in PAGES if page.parent.name == "tutorials" and page.name != "index.md"]
    extras = {extra for page in tutorials for extra in re.findall(r"clauseway\[(\w+)\]", page.read_text("utf-8"))}
    needed = [name for extra in extras for name in libraries_of(extra, project["optional-dependencies"])]
    assert needed
    assert [name for name in needed if not re.search(rf"^{re.escape(name)}==", locked, re.MULTILINE)] == []


@pytest.fixture
def terminals(tmp_path: Path) -> Iterator[Path]:
    """Start what the tutorial starts in terminals of their own; yield the file with the gateway's address."""
    started: list[subprocess.Popen[str]] = []
    try:
        for block in blocks(IN_TERMINALS):
            if block.kind == "sh" and block.title.endswith("terminal"):
                words = shlex.split(block.text)
                ports = ["--port", "0", "--pages-port", "0"] if "serve" in words else []
                process = subprocess.Popen(
                    [*words, *ports, "--json"],
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    cwd=tmp_path,
                    env=with_program(),
                )
                started.append(process)
                assert process.stdout is not None
                (tmp_path / "ready.json").write_text(answer_from(process.stdout))
        yield tmp_path / "ready.json"
    finally:
        for process in reversed(started):
            process.terminate()
            process.communicate(timeout=READY_S)


def answer_from(stream: IO[str]) -> str:
    """Return the JSON that a process prints. Raise AssertionError if it ends before that."""
    text = ""
    for line in stream:
        text += line
        if line.rstrip() in ("}", "]"):
            return text[re.search(r"^[{[]", text, re.MULTILINE).start() :]  # type: ignore[union-attr]
    raise AssertionError(text)


@NEEDS_CURL
def test_the_engineers_tutorial_can_be_walked(terminals: Path) -> None:
    gateway = json.loads(terminals.read_text())["gateway"].removesuffix("/v1")
    script, shown = ["set -eo pipefail"], []
    for block in blocks(IN_TERMINALS):
        if block.kind == "sh" and not block.title:
            script += [block.text.replace(ADDRESS, gateway), f"echo; echo '{MARK}'"]
            shown.append("")
        elif block.kind == "text":
            shown[-1] = block.text
        elif block.title and block.kind != "sh":
            script.append(f"cat > {block.title} <<'FILE'\n{block.text}FILE")
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)],
        capture_output=True,
        text=True,
        cwd=terminals.parent,
        env=with_program(),
        check=False,
        timeout=4 * READY_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    printed = done.stdout.split(MARK)
    for wanted, given in zip(shown, printed, strict=False):
        assert not wanted or is_shown(wanted, given), f"shown\n{wanted}\nand printed\n{given}"

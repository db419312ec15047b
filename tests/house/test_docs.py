"""The documents are true: their commands exist, their links lead somewhere, their rooms are the code's rooms."""

import ast
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from clauseway.cli.commands import COMMANDS, Group
from in_process import run, run_installed

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("src/**/README.md")])
ROOMS = sorted(path.parent.name for path in ROOT.glob("src/clauseway/*/__init__.py"))

# Fenced blocks and inline code, in which commands are written.
CODE = re.compile(r"```[a-z]*\n(.*?)```|`([^`\n]+)`", re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def lines_of_code(document: Path) -> Iterator[str]:
    for block, inline in CODE.findall(document.read_text()):
        joined = (block or inline).replace("\\\n", " ")
        yield from (line.strip().removeprefix("$ ") for line in joined.splitlines())


def commands(program: str) -> list[tuple[str, str]]:
    """Every command line for `program` in the documents, each once, with the first document that shows it."""
    shown: dict[str, str] = {}
    for document in DOCUMENTS:
        for line in (line.removeprefix(".venv/bin/") for line in lines_of_code(document)):
            if line.startswith(f"{program} "):
                shown.setdefault(line, named(document))
    return [(document, line) for line, document in sorted(shown.items())]


@cache
def help_of(command: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    return printed_by(*command, "--help", columns=200)


def printed_by(*words: str, columns: int) -> subprocess.CompletedProcess[str]:
    """A command run in this process, on a plain terminal of so many columns."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"COLUMNS": str(columns), "NO_COLOR": "1", "TERM": "dumb"}.items():
            patch.setenv(name, value)
        return run(*words)


@pytest.mark.parametrize(("document", "line"), commands("clauseway"))
def test_every_command_shown_exists_with_its_options(document: str, line: str) -> None:
    words = shlex.split(line)[1:]
    command = tuple(word for word in words[: first_option(words)] if word.islower())
    help_text = help_of(command)
    assert help_text.returncode == 0, f"{document}: {line}: {help_text.stderr}"
    missing = [word for word in words if word.startswith("--") and word.split("=")[0] not in help_text.stdout]
    assert not missing, f"{document}: {line}: no such option: {', '.join(missing)}"


def first_option(words: list[str]) -> int:
    return next((index for index, word in enumerate(words) if word.startswith("-")), len(words))


def test_the_documents_show_commands() -> None:
    assert {line.split()[1] for _, line in commands("clauseway")} >= {"decide", "settle", "up"}


@pytest.mark.parametrize(("document", "line"), commands("make"))
def test_every_target_shown_exists(document: str, line: str) -> None:
    target = line.split()[1]
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE), f"{document}: no target {target}"


def shown_answers() -> list[tuple[str, str]]:
    """Every command that a document shows with what it prints; `…` stands for whatever differs from run to run."""
    blocks = [block for each in DOCUMENTS for block in re.findall(r"```console\n(.*?)```", each.read_text(), re.DOTALL)]
    answers = [part.partition("\n") for block in blocks for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]]
    return [(command, printed) for command, _, printed in answers if printed.strip()]


@pytest.mark.parametrize(("command", "printed"), shown_answers())
def test_what_a_command_is_shown_to_print_it_prints(command: str, printed: str) -> None:
    words = shlex.split(command.removeprefix(".venv/bin/"))
    answer = run(*words[1:], columns=110)
    wanted = ".*".join(re.escape(part) for part in printed.rstrip().split("…"))
    given = "\n".join(line.rstrip() for line in answer.stdout.splitlines()).rstrip()
    assert re.fullmatch(wanted, given), f"{command} prints\n{given}\n{answer.stderr}"


def test_the_installed_command_helps_as_the_one_in_this_process() -> None:
    assert run_installed("decide", "--help").stdout == printed_by("decide", "--help", columns=80).stdout


def test_the_library_example_answers_as_the_agreement_does() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    answer = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True, check=False, timeout=60)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.startswith("forbidden ")


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_every_link_leads_somewhere(document: Path) -> None:
    targets = [link.split("#")[0] for link in LINK.findall(document.read_text()) if "://" not in link]
    missing = [target for target in targets if target and not (document.parent / target).exists()]
    # The site makes the reference from the code, and its strict build follows these (test_site).
    made = ROOT / "docs/reference"
    assert [target for target in missing if not (document.parent / target).resolve().is_relative_to(made)] == []


def test_a_section_that_moved_is_led_to_from_where_it_stood() -> None:
    """docs/operation.md had all of them; bookmarks and others' pages still ask for them there."""
    moved = {
        *("alerts", "lines", "figures", "spans", "a-full-disk", "a-disk-that-is-gone", "backup-and-restore"),
        *("a-secret-that-leaked", "damage-and-loss", "usage-that-is-gone", "control-data-on-postgresql"),
        *("from-one-machine-to-several", "restarting-machines-in-turn", "who-may-write", "who-may-read-the-pages"),
        "a-wrong-price-book",
    }
    rows = [line for line in (ROOT / "docs/operation.md").read_text().splitlines() if '<a id="' in line]
    assert all(LINK.search(row) for row in rows)
    assert set(re.findall(r'<a id="([a-z-]+)"></a>', "".join(rows))) == moved


def test_every_path_in_the_notice_exists() -> None:
    paths = re.findall(r"\bsrc/[\w/]+", (ROOT / "NOTICE").read_text())
    assert paths
    assert [path for path in paths if not (ROOT / path).is_dir()] == []


def test_the_rooms_described_are_the_rooms_there_are() -> None:
    rooms = re.search(r"## Rooms\n(.*?)\n## ", (ROOT / "docs/ARCHITECTURE.md").read_text(), re.DOTALL)
    assert rooms is not None
    assert sorted(re.findall(r"^\| `(\w+)` \|", rooms[1], re.MULTILINE)) == ROOMS
    readme = (ROOT / "README.md").read_text()
    picture = readme[readme.index("## The rooms") :]
    assert [room for room in ROOMS if not re.search(rf"\b{room}\b", picture)] == []


def floor_of(floor: str) -> tuple[set[str], bool]:
    """The modules of a floor, and whether they may import each other (`:`)."""
    return set(re.findall(r"\w+", floor)), ":" in floor


def floors_held() -> dict[str, list[tuple[set[str], bool]]]:
    """The floors of each room that has some, highest first, as the import contract has them."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    return {
        contract["containers"][0].removeprefix("clauseway."): [floor_of(layer) for layer in contract["layers"]]
        for contract in contracts
        if contract["type"] == "layers" and contract["containers"] != ["clauseway"]
    }


def floors_drawn() -> dict[str, list[tuple[set[str], bool]]]:
    """The floors in the pictures of ARCHITECTURE: a line each, or in one line with ▸ between them."""
    text = (ROOT / "docs/ARCHITECTURE.md").read_text()
    of_rooms, of_gateway = (
        text[text.index(begin) :].partition("```text\n")[2].partition("\n```")[0]
        for begin in ("The largest rooms have floors", "The gateway's room has floors of its own")
    )
    drawn: dict[str, list[tuple[set[str], bool]]] = {"gateway": []}
    room = "gateway"
    for line in [*of_gateway.splitlines(), *of_rooms.splitlines()]:
        if line in of_rooms.splitlines() and not line.startswith(" "):
            room, _, line = line.partition(" ")
            drawn[room] = []
        # Two spaces part a floor from the words about it.
        floors = re.split(r" {2,}", line.strip())[0].strip(" ▸").split("▸")
        drawn[room] += [floor_of(floor) for floor in floors]
    return drawn


@pytest.mark.parametrize("room", sorted(floors_held()))
def test_the_floors_drawn_are_those_that_the_import_contract_holds(room: str) -> None:
    assert floors_drawn()[room] == floors_held()[room]


def test_the_readme_lists_every_command() -> None:
    readme = (ROOT / "README.md").read_text()
    table = readme[readme.index("## The commands") : readme.index("## The rooms")]
    listed = set(re.findall(r"^\|.*?\|", table, re.MULTILINE))
    assert [name for name in COMMANDS if not any(f"`clauseway {name}" in cell for cell in listed)] == []


def test_the_readme_lists_every_format_of_an_export() -> None:
    readme = (ROOT / "README.md").read_text()
    [row] = [line.lower() for line in readme.splitlines() if line.startswith("| `clauseway export`")]
    exports = COMMANDS["export"]
    assert isinstance(exports, Group)
    assert [name for name in exports.below if name.partition("-")[0] not in row] == []


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_opens_with_what_it_knows(room: str) -> None:
    assert re.match(r'"""[A-Z].{80,}?"""', (ROOT / "src/clauseway" / room / "__init__.py").read_text(), re.DOTALL)


def test_choices_are_numbered_and_no_number_is_taken_twice() -> None:
    choices = sorted((ROOT / "docs/choices").glob("*.md"))
    numbers = [int(path.name[:4]) for path in choices]
    assert len(numbers) == len(set(numbers))
    for number, path in zip(numbers, choices, strict=True):
        assert path.name[4] == "-"
        assert path.read_text().startswith(f"# {number}. "), named(path)


def test_the_glossary_defines_each_word_once() -> None:
    entries = re.findall(r"^- (.*?): ", (ROOT / "docs/GLOSSARY.md").read_text(), re.MULTILINE)
    words = [word for entry in entries for word in re.findall(r"\*\*(.+?)\*\*", entry)]
    assert len(words) > 60
    assert sorted(word for word in set(words) if words.count(word) > 1) == []


TEST_NAMED = re.compile(r"(tests/[\w/.]+\.py)::(\w+)(?:::(\w+))?")
NAMING_TESTS = [document for document in DOCUMENTS if TEST_NAMED.search(document.read_text())]


@cache
def names_of_tests(path: str) -> frozenset[str]:
    """The names of a file's classes and functions; none of a file that does not exist."""
    file = ROOT / path
    nodes = ast.walk(ast.parse(file.read_text())) if file.exists() else ()
    defined = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    return frozenset(node.name for node in nodes if isinstance(node, defined))


@pytest.mark.parametrize("document", NAMING_TESTS, ids=named)
def test_every_test_that_a_document_names_exists(document: Path) -> None:
    cited = {(path, name) for path, *names in TEST_NAMED.findall(document.read_text()) for name in names if name}
    assert [f"{path}::{name}" for path, name in sorted(cited) if name not in names_of_tests(path)] == []


def test_whatever_is_computed_twice_names_its_law() -> None:
    section = (ROOT / "docs/ARCHITECTURE.md").read_text().partition("## Computed twice")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 10
    assert [row for row in rows if not TEST_NAMED.search(row.rpartition(" | ")[2])] == []

"""Folders: one is taken in at a glance, or it is a drawer (choice 91), and its first words list what
lies in it.

A list stands in the docstring of `__init__.py`, a line for a module or folder, or for several that
belong together:

    name  a short phrase; other: a phrase
    this, that  a phrase for both
"""

import ast
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import clauseway
from clauseway.cli.commands import COMMANDS, Entry, Group

ROOMS = Path(clauseway.__file__).parent
MODULES_MAX = 22

# The package itself is left out: its first words show how it is used.
_FOLDERS = sorted(str(init.parent.relative_to(ROOMS)) for init in ROOMS.rglob("*/__init__.py"))
# An entry with the lines that continue it; the names that it begins with; names after a semicolon.
_ENTRY = re.compile(r"^(?: {4})?(?! )(.+(?:\n {5,}.+)*)", re.MULTILINE)
_FIRST = re.compile(r"([a-z]\w*(?:, [a-z]\w*)*)  +(?=[\w`\"'(])")
_FURTHER = re.compile(r"; ([a-z]\w*(?:, [a-z]\w*)*): ")


def _command_modules(entries: Mapping[str, Entry]) -> Iterator[str]:
    for entry in entries.values():
        if entry.module:
            yield f"cli/{entry.module.replace('.', '/')}"
        if isinstance(entry, Group):
            yield from _command_modules(entry.below)


# Folders whose docstring has a rule in place of a line for each of many modules of one kind.
_COMMANDS = frozenset(_command_modules(COMMANDS))
_SCRIPTS = "storage/control/migrations/versions"
BY_RULE = {
    "cli/agreement": _COMMANDS,
    "cli/customers": _COMMANDS,
    "cli/gateway": _COMMANDS,
    "cli/money": _COMMANDS,
    "cli/usage": _COMMANDS,
    _SCRIPTS: frozenset(f"{_SCRIPTS}/{path.stem}" for path in (ROOMS / _SCRIPTS).glob("v[0-9]*_*.py")),
}


def _listed(docstring: str) -> set[str]:
    names: list[str] = []
    for entry in _ENTRY.findall(docstring):
        line = re.sub(r"\n +", " ", entry)
        if first := _FIRST.match(line):
            names += first[1].split(", ")
            for further in _FURTHER.findall(line):
                names += further.split(", ")
    return set(names)


def _held(folder: Path) -> set[str]:
    modules = {module.stem for module in folder.glob("*.py")} - {"__init__", "__main__"}
    return modules | {init.parent.name for init in folder.glob("*/__init__.py")}


@pytest.mark.parametrize("folder", _FOLDERS)
def test_a_folders_first_words_list_what_lies_in_it(folder: str) -> None:
    source = (ROOMS / folder / "__init__.py").read_text(encoding="utf-8")
    listed = _listed(ast.get_docstring(ast.parse(source), clean=False) or "")
    held = _held(ROOMS / folder)
    ruled = {name for name in held if f"{folder}/{name}" in BY_RULE.get(folder, ())}
    assert held - ruled - listed == set(), "not listed"
    assert listed - held == set(), "listed, and not there"


@pytest.mark.parametrize("room", ["agreement", "app", "cli", "decisions", "exchange", "gateway", "sandbox", "storage"])
def test_no_folder_of_a_room_with_floors_is_a_drawer(room: str) -> None:
    folders = {folder: len(list(folder.glob("*.py"))) - 1 for folder in (ROOMS / room).rglob("*") if folder.is_dir()}
    assert folders, "the room has floors"
    assert {str(folder): modules for folder, modules in folders.items() if modules > MODULES_MAX} == {}


# The same thing on several floors (its rules, where it is stored, how it is used or said), or the same part that
# several rooms have: a clock, a server. Modules of commands are named as their commands are.
ONE_THING = {
    "allowances",
    "basis",
    "bedrock",
    "carrying",
    "checking",
    "clock",
    "closing",
    "definitions",
    "facts",
    "journal",
    "launch_audit",
    "leases",
    "limit_shares",
    "losses",
    "multipart",
    "openapi",
    "party_keys",
    "people",
    "project_usage",
    "publishing",
    "rsa",
    "server",
    "settling",
    "sigv4",
    "tenants",
    "terms",
    "vertex",
}


def test_a_modules_name_stands_for_one_thing() -> None:
    """Two modules of one name are about the same thing, or one of them is to be renamed."""
    modules = [path.relative_to(ROOMS).with_suffix("") for path in ROOMS.rglob("*.py")]
    names = Counter(
        module.name for module in modules if not module.name.startswith("__") and str(module) not in _COMMANDS
    )
    assert {name for name, count in names.items() if count > 1} == ONE_THING

"""YAML with its lines: a block is composed into nodes, and each field is converted on its own, so that every mistake in
it is found and each is told with its line.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, TypeVar, get_type_hints

import msgspec
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from clauseway.agreement.terms import Choice
from clauseway.values import Problem

T = TypeVar("T", bound=msgspec.Struct)
# Deep enough for any term; a limit, because text from outside must not exhaust the stack.
_DEPTH_MAX = 16


class Problems:
    """The problems found so far in one reading. It is passed down; nothing is raised before the end."""

    def __init__(self) -> None:
        self.found: list[Problem] = []

    def add(self, where: str, line: int, what: str, why: str, todo: str) -> None:
        self.found.append(Problem(what=what, why=why, where=where, line=line, todo=todo))

    def ordered(self) -> list[Problem]:
        return sorted(self.found, key=lambda problem: (problem.where, problem.line))


class Entry(msgspec.Struct, frozen=True):
    """A value from YAML and the line it stands on. `value` is a string, a list of entries or a mapping to entries."""

    value: Any
    line: int

    def plain(self) -> Any:
        """The value without lines, ready for conversion."""
        if isinstance(self.value, dict):
            return {key: entry.plain() for key, entry in self.value.items()}
        if isinstance(self.value, list):
            return [entry.plain() for entry in self.value]
        return self.value


def compose(text: str, where: str, first_line: int, problems: Problems) -> Entry | None:
    """Read YAML text to an entry; None, with the problem told, where it is no YAML. Lines count from `first_line`."""
    try:
        node = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark
        line = first_line + (mark.line if mark else 0)
        problems.add(
            where, line, "this is no YAML", str(error.problem or error.context), "Mend the syntax of the block."
        )
        return None
    except (YAMLError, ValueError, RecursionError) as error:
        problems.add(where, first_line, "this is no YAML", str(error).splitlines()[0], "Mend the syntax of the block.")
        return None
    if node is None:
        problems.add(
            where, first_line, "the block is empty", "nothing stands in it", "Write the term, or delete the block."
        )
        return None
    return _entry(node, where, first_line, problems, 0)


def _entry(node: Node, where: str, first_line: int, problems: Problems, depth: int) -> Entry:
    line = first_line + node.start_mark.line
    if depth > _DEPTH_MAX:
        problems.add(where, line, "nested too deep", f"more than {_DEPTH_MAX} levels", "Flatten the block.")
        return Entry("", line)
    if isinstance(node, ScalarNode):
        return Entry(str(node.value), line)
    if isinstance(node, SequenceNode):
        return Entry([_entry(item, where, first_line, problems, depth + 1) for item in node.value], line)
    assert isinstance(node, MappingNode)
    members: dict[str, Entry] = {}
    for key_node, value_node in node.value:
        key = str(key_node.value)
        at = first_line + key_node.start_mark.line
        if key in members:
            problems.add(where, at, f"{key!r} stands twice", "a key has one value", "Delete one of the two.")
        members[key] = msgspec.structs.replace(_entry(value_node, where, first_line, problems, depth + 1), line=at)
    return Entry(members, line)


def build(
    kind: type[T], entry: Entry, where: str, problems: Problems, computed: Mapping[str, Any], ignore: Iterable[str] = ()
) -> T | None:
    """Build a struct from a mapping entry, field by field. `computed` fields are ours and may not be written.

    Returns None when any field was wrong; each wrong field has its problem.
    """
    before = len(problems.found)
    hints = get_type_hints(kind)
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind) if field.name not in computed}
    for key, member in entry.value.items():
        if key not in fields and key not in ignore:
            problems.add(where, member.line, f"unknown key {key!r}", "it means nothing here", _suggest(key, fields))
    values: dict[str, Any] = dict(computed)
    for key, field in fields.items():
        if key in entry.value:
            values[field.name] = _convert(entry.value[key], hints[field.name], key, where, problems)
        elif field.required:
            problems.add(where, entry.line, f"{key!r} is missing", "it has no default", f"Write {key}: … in the block.")
    return kind(**values) if len(problems.found) == before else None


def _convert(entry: Entry, wanted: Any, key: str, where: str, problems: Problems) -> Any:
    plain = _choice(entry.plain()) if wanted is Choice else entry.plain()
    try:
        return msgspec.convert(plain, wanted, strict=False)
    except msgspec.ValidationError as error:
        problems.add(where, entry.line, f"{key!r} does not fit", str(error), "Write it as the term's schema says.")
        return None


def _choice(plain: Any) -> Any:
    """`{R1: {and: x, or: y}}` and plain `x` both become a Choice's two fields."""
    if isinstance(plain, dict) and len(plain) == 1:
        [(reading, options)] = plain.items()
        return {"reading": reading, "options": options}
    return {"reading": "", "options": {"": plain}}


def _suggest(key: str, known: Iterable[str]) -> str:
    near = get_close_matches(key, list(known), n=1)
    return f"Did you mean {near[0]!r}?" if near else f"Known keys: {', '.join(sorted(known))}."

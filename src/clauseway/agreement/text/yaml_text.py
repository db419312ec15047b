"""Read YAML to entries: libyaml reads a text in which nothing is in doubt, ruamel.yaml any other.

libyaml takes a twentieth of the time, and every command that asks an agreement waits for it. It
reads YAML 1.1 and words its errors in another way. So ruamel.yaml alone says what is a mistake, and
reads whatever the two parsers may read differently; it is not loaded before it is needed.
"""

import importlib
import re
from collections.abc import Callable
from typing import Any

import msgspec
import yaml

from clauseway.agreement.text.entries import DEPTH_MAX, YamlValue
from clauseway.agreement.text.markdown import UNREADABLE
from clauseway.agreement.text.mistakes import Mistakes

# The two parsers differ in tabs, in the first lines of blocks after | and >, and in a colon that
# touches a closing quote and what follows.
_IN_DOUBT = re.compile(r"""[\t|>]|["']:(?!\s)""")
# Installations whose PyYAML was built without libyaml read every text by ruamel.yaml.
_PARSER: Callable[[str], Any] | None = getattr(yaml, "CBaseLoader", None)


def read_yaml(text: str, first_line: int, mistakes: Mistakes) -> YamlValue | None:
    """Read YAML text to an entry, or report a mistake and return None.

    Lines count from `first_line`.
    """
    entry = read_undoubted(text, first_line)
    if entry is not None:
        return entry
    read: Callable[..., YamlValue | None] = importlib.import_module(
        "clauseway.agreement.text.yaml_in_doubt"
    ).read
    return read(text, first_line, mistakes)


def read_undoubted(text: str, first_line: int) -> YamlValue | None:
    """Return the entry of a text that any parser reads alike and that has no mistake, else None."""
    if _PARSER is None or _IN_DOUBT.search(text) or UNREADABLE.search(text):
        return None
    try:
        return _Events(_PARSER(text).get_event, first_line).document()
    except (_InDoubtError, yaml.YAMLError, ValueError):
        return None


class _InDoubtError(Exception):
    """The text has a mistake, or something that no term is written with."""


class _Events:
    """Reads the parser's events of one text; each call of `following` returns the next event."""

    def __init__(self, following: Callable[[], Any], first_line: int) -> None:
        self._following = following
        self._first_line = first_line

    def document(self) -> YamlValue:
        self._following()  # the stream's start
        start = self._following()
        # Of a document that begins with ---, the parsers give an empty value different lines.
        if not isinstance(start, yaml.DocumentStartEvent) or start.explicit:
            raise _InDoubtError
        entry = self._entry(self._following(), 0)
        self._following()  # the document's end
        if not isinstance(self._following(), yaml.StreamEndEvent):
            raise _InDoubtError
        return entry

    def _entry(self, event: Any, depth: int) -> YamlValue:
        # An alias has an anchor too.
        if event.anchor is not None or event.tag is not None or depth > DEPTH_MAX:
            raise _InDoubtError
        line = self._first_line + event.start_mark.line
        if isinstance(event, yaml.ScalarEvent):
            # An escape may name characters that no document may hold.
            if UNREADABLE.search(event.value):
                raise _InDoubtError
            return YamlValue(event.value, line)
        if isinstance(event, yaml.SequenceStartEvent):
            return YamlValue(self._items(depth + 1), line)
        return YamlValue(self._members(depth + 1), line)

    def _items(self, depth: int) -> list[YamlValue]:
        items: list[YamlValue] = []
        while not isinstance(event := self._following(), yaml.SequenceEndEvent):
            items.append(self._entry(event, depth))
        return items

    def _members(self, depth: int) -> dict[str, YamlValue]:
        members: dict[str, YamlValue] = {}
        while not isinstance(event := self._following(), yaml.MappingEndEvent):
            key = self._entry(event, depth)
            if not isinstance(key.value, str) or key.value in members:
                raise _InDoubtError
            entry = self._entry(self._following(), depth)
            members[key.value] = msgspec.structs.replace(entry, line=key.line)
        return members

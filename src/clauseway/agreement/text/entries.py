"""An entry: a value written in YAML, with its line. Terms are texts, lists and mappings."""

from collections.abc import Collection
from typing import TypeAlias

import msgspec

# Deep enough for any term; a limit, because text from outside must not exhaust the stack.
DEPTH_MAX = 16

Plain: TypeAlias = str | list["Plain"] | dict[str, "Plain"]


class YamlValue(msgspec.Struct, frozen=True):
    """A value from YAML and its line. The line of a mapping's member is the line of its key."""

    value: "str | list[YamlValue] | dict[str, YamlValue]"
    line: int

    @property
    def members(self) -> "dict[str, YamlValue]":
        """Return a mapping's members; none if it is not a mapping."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def items(self) -> "list[YamlValue]":
        """Return a list's items; none if it is not a list."""
        return self.value if isinstance(self.value, list) else []

    @property
    def is_mapping(self) -> bool:
        return isinstance(self.value, dict)

    def plain(self) -> Plain:
        """Return the value without lines, ready for conversion."""
        if isinstance(self.value, dict):
            return {key: entry.plain() for key, entry in self.value.items()}
        if isinstance(self.value, list):
            return [entry.plain() for entry in self.value]
        return self.value

    def only(self, keys: Collection[str]) -> "YamlValue":
        """Return the same mapping with only these keys."""
        return YamlValue(
            {key: member for key, member in self.members.items() if key in keys}, self.line
        )

    def text(self, key: str) -> str:
        """Return the text of a member; empty if it is missing or not a text."""
        member = self.members.get(key)
        return member.value if member is not None and isinstance(member.value, str) else ""

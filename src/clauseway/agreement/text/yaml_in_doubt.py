"""Read YAML that may have a mistake, with ruamel.yaml: each mistake with its line and its remedy.

Anchors, aliases and tags are refused where they first stand, before anything could be expanded.
Every scalar stays the text that was written, until `reading` asks for a day or a number.
"""

import re
from collections.abc import Iterator
from itertools import takewhile

import msgspec
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionStartEvent,
    Event,
    MappingEndEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from clauseway.agreement.text.entries import DEPTH_MAX, YamlValue
from clauseway.agreement.text.markdown import UNREADABLE
from clauseway.agreement.text.mistakes import Mistakes

_FIX = (
    "Fix the syntax of the block: indent with spaces, and quote a text that holds ': ' or begins "
    "with a sign."
)


def read(text: str, first_line: int, mistakes: Mistakes) -> YamlValue | None:
    """Read YAML text with the slow parser that knows the line of each mistake. `read_yaml` calls it
    where the quick parser is in doubt."""
    try:
        return _Reading(YAML(typ="safe", pure=True).parse(text), first_line, mistakes).document()
    except _Refused as refused:
        mistakes.add(first_line + refused.line, refused.problem, refused.why, refused.remedy)
    except MarkedYAMLError as error:
        why = " ".join(str(error.problem or error.context).split())
        mistakes.add(first_line + _line_of(error), "not valid YAML", why, _FIX)
    except (YAMLError, ValueError, OverflowError) as error:
        mistakes.add(first_line, "not valid YAML", " ".join(str(error).split()), _FIX)
    return None


# The parser notices an open key, quote or bracket only further down. Report the line it began on.
_LEFT_OPEN = (
    "while parsing a flow",
    "while scanning a simple key",
    "while scanning a quoted scalar",
)


def _line_of(error: MarkedYAMLError) -> int:
    left_open = str(error.context).startswith(_LEFT_OPEN)
    mark = (error.context_mark if left_open else None) or error.problem_mark or error.context_mark
    return int(mark.line) if mark else 0


class _Refused(Exception):
    """YAML that no term is written with. `line` counts from 0."""

    def __init__(self, line: int, problem: str, why: str, remedy: str) -> None:
        super().__init__(problem)
        self.line, self.problem, self.why, self.remedy = line, problem, why, remedy


class _Reading:
    """One pass over a text's events."""

    def __init__(self, events: Iterator[Event], first_line: int, mistakes: Mistakes) -> None:
        self._events = events
        self._first_line = first_line
        self._mistakes = mistakes

    def document(self) -> YamlValue:
        next(self._events)  # the stream's start
        if isinstance(next(self._events), StreamEndEvent):
            raise _Refused(
                0,
                "the block is empty",
                "nothing stands in it",
                "Write the term, or delete the block.",
            )
        entry = self._entry(next(self._events), 0)
        next(self._events)  # the document's end
        if not isinstance(after := next(self._events), StreamEndEvent):
            line = after.start_mark.line
            raise _Refused(
                line,
                "a second YAML document",
                "a block is one",
                "Delete the line with --- or '...'.",
            )
        return entry

    def _entry(self, event: Event, depth: int) -> YamlValue:
        _check_plain(event, depth)
        line = self._first_line + event.start_mark.line
        if isinstance(event, ScalarEvent):
            return YamlValue(_text(event), line)
        # The items of a list, and the keys and values of a mapping, are the events up to its end.
        if isinstance(event, SequenceStartEvent):
            items = takewhile(lambda item: not isinstance(item, SequenceEndEvent), self._events)
            return YamlValue([self._entry(item, depth + 1) for item in items], line)
        return YamlValue(self._members(depth + 1), line)

    def _members(self, depth: int) -> dict[str, YamlValue]:
        members: dict[str, YamlValue] = {}
        for event in takewhile(lambda key: not isinstance(key, MappingEndEvent), self._events):
            _check_plain(event, depth)
            line = self._first_line + event.start_mark.line
            if not isinstance(event, ScalarEvent):
                raise _Refused(
                    event.start_mark.line,
                    "a key is not a text",
                    "it is a list or a mapping",
                    "Write key: ….",
                )
            key = _text(event)
            if key in members:
                self._mistakes.add(
                    line, f"{key!r} stands twice", "a key has one value", "Delete one of the two."
                )
            members[key] = msgspec.structs.replace(
                self._entry(next(self._events), depth), line=line
            )
        return members


def _check_plain(event: Event, depth: int) -> None:
    """Refuse an event unless it is a text, a list or a mapping that is written out."""
    line = event.start_mark.line
    anchor = event.anchor if isinstance(event, NodeEvent) else None
    if anchor is not None:
        sign = "*" if isinstance(event, AliasEvent) else "&"
        problem = f"{sign}{anchor} is an {'alias' if sign == '*' else 'anchor'}"
        remedy = f"Write the value out, or quote it if it is a text that begins with {sign}."
        raise _Refused(line, problem, "a term is written out", remedy)
    tag = event.tag if isinstance(event, ScalarEvent | CollectionStartEvent) else None
    if tag is not None:
        remedy = "Delete the tag, or quote the value if it is a text that begins with !."
        raise _Refused(line, f"{tag} is a tag", "values are texts, lists and mappings", remedy)
    if depth > DEPTH_MAX:
        raise _Refused(
            line, "nested too deep", f"more than {DEPTH_MAX} levels", "Flatten the block."
        )


def _text(event: ScalarEvent) -> str:
    """Return a scalar as written. An escape may name characters that no document may hold."""
    value = str(event.value)
    if re.search(UNREADABLE, value):
        problem, why = "an escape names a control character", "it cannot be shown"
        raise _Refused(event.start_mark.line, problem, why, "Delete the escape.")
    return value

"""Lay out YAML blocks in one canonical way. Prose, front matter, meaning and comments stay.

    keys         in the order of their kind: id, kind, its own keys, begins, until, …, source
    lists        of names on one line if that fits the width, else one name a line; of mappings one
                 a line
    mappings     as their author wrote them, on one line only if that fits; a fact may be one line
    lines        no longer than the width, where words can be broken
    blocks       one blank line before and after

INVARIANT: a block reads the same before and after, with every comment. A block for which that would
not hold is left as it is, and so is a block that cannot be read.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import msgspec
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.compat import StringIO
from ruamel.yaml.error import YAMLError
from ruamel.yaml.resolver import VersionedResolver

from clauseway.agreement.language.agreement import Change
from clauseway.agreement.language.facts import FACT_KINDS
from clauseway.agreement.language.shares import Floor, Tier
from clauseway.agreement.language.terms import KINDS, Scope, Term
from clauseway.agreement.reading.definitions import SECTIONS
from clauseway.agreement.text.entries import Plain
from clauseway.agreement.text.mistakes import Mistakes
from clauseway.agreement.text.yaml_text import read_yaml

WIDTH = 120
# A comment may settle where it stays only with a second pass.
_PASSES_MAX = 5
_OPENING = re.compile(r"^(`{3,}|~{3,})[ \t]*ya?ml[ \t]+(\w+)[ \t]*$", re.IGNORECASE)
_FIRST = ("id", "kind")
_LAST = ("begins", "from", "until", "through", "while", "while-no", "under", "source")
_FACT_LAST = ("effective", "recorded", "corrects", "source", "says")


class _Plain(VersionedResolver):
    """Leaves every scalar as the text that was written, as `reading` does: no day, no number."""

    @property
    def versioned_resolver(self) -> dict[object, list[object]]:
        return {}


class _Fence(msgspec.Struct, frozen=True):
    """A fenced block. The lines `begin` ≤ n < `end` hold its YAML, between the fences."""

    kind: str
    begin: int
    end: int


def format_document(text: str) -> str:
    """Return a document with its blocks in canonical layout. Text outside blocks stays as it is."""
    line_end = "\r\n" if "\r\n" in text else "\n"
    lines = text.replace("\r\n", "\n").split("\n")
    for fence in reversed(list(_fences(lines))):
        body = "\n".join(lines[fence.begin : fence.end]) + "\n"
        written = format_block(fence.kind, body).split("\n")[:-1]
        lines[fence.begin : fence.end] = written
        _one_blank_line(lines, fence.begin - 1, fence.begin + len(written))
    return line_end.join(lines)


def _fences(lines: Sequence[str]) -> Iterator[_Fence]:
    """Yield the closed blocks that begin at the margin, not within a list or a quotation."""
    inside = ""
    kind, begin = "", 0
    for at, line in enumerate(lines):
        if inside:
            if line.startswith(inside) and not line.strip(inside[0] + " \t"):
                if kind:
                    yield _Fence(kind, begin, at)
                inside = ""
        elif match := re.match(r"(`{3,}|~{3,})", line):
            opening = _OPENING.match(line)
            inside, kind, begin = match[1], opening[2].lower() if opening else "", at + 1


def _one_blank_line(lines: list[str], opening: int, closing: int) -> None:
    """Leave one blank line before and after a block, and none at the document's edges."""
    after = closing + 1
    while after < len(lines) and not lines[after].strip():
        after += 1
    if after < len(lines):
        lines[closing + 1 : after] = [""]
    before = opening
    while before > 0 and not lines[before - 1].strip():
        before -= 1
    if before > 0:
        lines[before:opening] = [""]


def format_block(kind: str, text: str) -> str:
    """Return the YAML of one block in canonical layout.

    Return it as it is if it cannot be read, or if the layout would lose any part of it.
    """
    before = _read(text)
    written = text
    for _ in range(_PASSES_MAX) if before is not None else ():
        again = _laid_out(kind, written)
        if again == written:
            kept = _read(written) == before and _comments(written) == _comments(text)
            return written if kept else text
        written = again
    return text


def _laid_out(kind: str, text: str) -> str:
    try:
        loaded = _yaml(2, 0).load(_in_order(kind, text.strip("\n") + "\n"))
        _lay_out(kind, loaded)
        return _dumped(loaded)
    except (YAMLError, ValueError):
        return text


def _in_order(kind: str, text: str) -> str:
    """Return a mapping with its keys in order, each with the comments above it.

    Comments at the head of the block stay there.
    """
    entry = read_yaml(text, 1, Mistakes("block"))
    if entry is None or not entry.is_mapping:
        return text
    lines = text.split("\n")[:-1]
    begins = {key: member.line - 1 for key, member in entry.members.items()}
    starts = sorted(begins.values())
    # Keys on one line, or indented ones, cannot be moved as whole lines.
    if len(set(starts)) < len(starts) or any(lines[at][:1].isspace() for at in starts):
        return text
    cuts = {at: _with_comments(lines, previous, at) for previous, at in pairwise(starts)}
    ends = (
        dict(pairwise([starts[0], *(cuts[at] for at in starts[1:]), len(lines)])) if starts else {}
    )
    # The keys of the kind first; what it does not know keeps its order behind them.
    ranks = {key: rank for rank, key in enumerate(_keys_of(kind, entry.text("kind")))}
    ordered = lines[: starts[0]] if starts else lines
    for key in sorted(begins, key=lambda key: (ranks.get(key, len(ranks)), begins[key])):
        begin = cuts.get(begins[key], begins[key])
        ordered = [*ordered, *lines[begin : ends[begin]]]
    return "\n".join(ordered) + "\n"


def _with_comments(lines: Sequence[str], previous: int, at: int) -> int:
    """Return the line on which a key's part begins: its comments above it belong to it.

    Indented comments belong to the key before.
    """
    begin = at
    while begin > previous + 1 and (
        lines[begin - 1].startswith("#") or not lines[begin - 1].strip()
    ):
        begin -= 1
    indented = all(line.lstrip()[:1] == "#" for line in lines[previous + 1 : begin])
    return previous + 1 if indented else begin


def _read(text: str) -> Plain | None:
    mistakes = Mistakes("block")
    entry = read_yaml(text, 1, mistakes)
    return None if entry is None or mistakes else entry.plain()


def _comments(text: str) -> list[str]:
    """Return the comments of a block.

    A # within a quoted text may count too; it counts the same before and after the layout.
    """
    return sorted(
        match[1].rstrip()
        for line in text.split("\n")
        if (match := re.search(r"(?:^|\s)(#.*)$", line))
    )


def _yaml(sequence: int, offset: int) -> YAML:
    yaml = YAML(typ="rt", pure=True)
    yaml.Resolver = _Plain
    yaml.preserve_quotes = True
    yaml.width = WIDTH
    yaml.indent(mapping=2, sequence=sequence, offset=offset)
    return yaml


def _dumped(loaded: Any) -> str:
    """Return the text of a block. A list within a mapping is indented by two columns."""
    stream = StringIO()
    whole_list = isinstance(loaded, CommentedSeq)
    yaml = _yaml(2, 0) if whole_list else _yaml(4, 2)
    if whole_list:
        yaml.width = 1 << 20  # a fact may be one line, however long
    yaml.dump(loaded, stream)
    lines = [line.rstrip() for line in stream.getvalue().split("\n")[:-1]]
    return "".join(f"{line}\n" for line in _comments_in_line(lines))


def _comments_in_line(lines: Sequence[str]) -> list[str]:
    """Indent each comment on a line of its own like the line that follows it."""
    lines_reversed: list[str] = []
    indent = 0
    for line in reversed(lines):
        if line.lstrip().startswith("#"):
            line = " " * indent + line.lstrip()
        elif line.strip():
            indent = len(line) - len(line.lstrip())
        lines_reversed.append(line)
    return lines_reversed[::-1]


def _lay_out(kind: str, loaded: Any) -> None:
    """Order the keys and choose the style of everything below, in place."""
    if isinstance(loaded, CommentedSeq):
        loaded.fa.set_block_style()
        for item in loaded:
            if isinstance(item, CommentedMap):
                _order(item, _keys_of(kind, str(item.get("kind", ""))))
                _style_fact(item)
    elif isinstance(loaded, CommentedMap):
        _order(loaded, _keys_of(kind, str(loaded.get("kind", ""))))
        loaded.fa.set_block_style()
        for key, value in loaded.items():
            _style(value, len(str(key)) + 2, 0)


def _style_fact(fact: CommentedMap) -> None:
    if fact.fa.flow_style() and not _has_comment(fact):
        return
    fact.fa.set_block_style()
    for key, value in fact.items():
        _style(value, len(str(key)) + 4, 2)


def _style(value: Any, column: int, indent: int) -> None:
    """Lay out a value that begins in a column, within a mapping of this indent."""
    if not isinstance(value, CommentedMap | CommentedSeq):
        return
    items = list(value.values()) if isinstance(value, CommentedMap) else list(value)
    nested = any(isinstance(item, CommentedMap | CommentedSeq) for item in items)
    fits = column + _width(value) <= WIDTH and not _has_comment(value)
    as_written = isinstance(value, CommentedMap) and value.fa.flow_style() is not True
    if not items or (fits and not as_written and not (isinstance(value, CommentedSeq) and nested)):
        value.fa.set_flow_style()
        return
    value.fa.set_block_style()
    if isinstance(value, CommentedMap):
        for key, item in value.items():
            _style(item, indent + 2 + len(str(key)) + 2, indent + 2)
    else:
        for item in value:
            if isinstance(item, CommentedMap):
                _order(item, _PART_KEYS)
            _style(item, indent + 4, indent + 4)


def _width(value: Any) -> int:
    """Return the greatest width of a value on one line."""
    if isinstance(value, CommentedMap):
        return (
            2
            + sum(len(str(key)) + 2 + _width(item) + 2 for key, item in value.items())
            - (2 if value else 0)
        )
    if isinstance(value, CommentedSeq):
        return 2 + sum(_width(item) + 2 for item in value) - (2 if value else 0)
    quoted = 2 if type(value) is not str or not value else 0
    return len(str(value)) + quoted


def _has_comment(value: Any) -> bool:
    if not isinstance(value, CommentedMap | CommentedSeq):
        return False
    items = value.values() if isinstance(value, CommentedMap) else value
    return bool(value.ca.items or value.ca.comment) or any(map(_has_comment, items))


def _order(mapping: CommentedMap, keys: Sequence[str]) -> None:
    """Put the keys of the kind in their order, and other keys after them as they stand."""
    ranks = {key: rank for rank, key in enumerate(keys)}
    wanted = sorted(mapping, key=lambda key: ranks.get(str(key), len(ranks)))
    if wanted != list(mapping):
        for key in wanted:
            mapping.move_to_end(key)


def _keys_of(block: str, kind: str) -> tuple[str, ...]:
    """Return the canonical order of the keys in a block. `kind` is the kind of term or fact."""
    if block == "definitions":
        return SECTIONS
    if block == "change":
        return ("id", *_own(Change, frozenset({"id", "citation"})), "source")
    if block == "facts":
        own = FACT_KINDS.get(kind)
        return ("id", "kind", *(_own(own, frozenset(_FACT_LAST)) if own else ()), *_FACT_LAST)
    term = KINDS[kind].term if kind in KINDS else Term
    return (*_FIRST, *_own(term, frozenset((*_FIRST, *_LAST))), *_LAST)


def _own(kind: type[msgspec.Struct], beside: frozenset[str]) -> tuple[str, ...]:
    return tuple(key for key in _fields(kind) if key not in beside)


def _fields(kind: type[msgspec.Struct]) -> tuple[str, ...]:
    return tuple(field.encode_name for field in msgspec.structs.fields(kind))


# The keys of mappings in lists within a term: carve-outs, scopes of a licence, tiers, floors.
_PART_KEYS = (*_fields(Scope), *_fields(Tier), *_fields(Floor))

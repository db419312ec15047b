"""Take a Markdown document apart, with its lines: front matter, numbered clauses, YAML blocks.

Any text has a structure, so only characters that cannot be shown are mistakes here. `reading`
reports what is missing.
"""

import re

import msgspec
from markdown_it import MarkdownIt
from markdown_it.token import Token

from clauseway.agreement.text.mistakes import Mistakes
from clauseway.agreement.text.unread import DEPTH_MAX, check_unread

_FRONT = re.compile(r"\A---[ \t]*\n(.*?)^---[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_NUMBERED = re.compile(r"^(\d+(?:\.\d+)*)\s+(.+)$")
# The one form of a block's first line. `unread` refuses whatever else looks like one.
_BLOCK = re.compile(r"^```yaml(?![A-Za-z0-9])[ \t]*([^`]*)$")
_OPENING = re.compile(r"^\s*(?:```|~~~)", re.MULTILINE)
# Characters without a width.
_NO_WIDTH = (
    "\\xad\\u034f\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f"
    "\\u200b-\\u200d\\u2060-\\u2064\\u3164\\ufeff\\uffa0"
)
# Characters that show the text around them in another order than it is read in.
_REORDERING = "\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u206f"
_HIDDEN = f"{_NO_WIDTH}{_REORDERING}\\ufff9-\\ufffb\\U000e0000-\\U000e0fff"
# These, control characters, lone surrogates, and the line separators that Markdown, YAML and editors
# count differently.
UNREADABLE = re.compile(
    rf"[{_HIDDEN}]|"
    r"[^\t\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
)
# The parser drops deeper text silently, so it follows further than any document may go.
_NESTING_MAX = 8 * DEPTH_MAX


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """A fenced `yaml KIND` block.

    `line` is its first line of YAML. `clause` is the index of its section; -1 if it has none.
    """

    kind: str
    text: str
    line: int
    clause: int
    closed: bool


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """A heading below the title, with the prose under it. `number` is empty if it has none."""

    number: str
    title: str
    text: str
    line: int


# Blocks alone: emphasis, links and other inline marks change no clause. A parse changes nothing of the parser.
_PARSER = MarkdownIt("commonmark", {"maxNesting": _NESTING_MAX}).disable("inline")


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A document. `front` is the YAML between its first two rulers; empty if there is none."""

    name: str
    front: str
    sections: tuple[Section, ...]
    blocks: tuple[Block, ...]


def take_apart(text: str, mistakes: Mistakes) -> Document:
    """Read the structure of the document that `mistakes` is about."""
    text = readable(text, mistakes)
    front = _FRONT.match(text)
    skipped = front.end() if front else 0
    draft = _Draft(text[skipped:], text.count("\n", 0, skipped) + 1)
    tokens = _PARSER.parse(text[skipped:])
    for index, token in enumerate(tokens):
        draft.take(token, tokens[index + 1] if index + 1 < len(tokens) else token)
    check_unread(draft.lines, tokens, draft.read, draft.first_line, mistakes)
    return Document(
        name=mistakes.where,
        front=front[1] if front else "",
        sections=draft.whole_sections(),
        blocks=tuple(draft.blocks),
    )


def readable(text: str, mistakes: Mistakes) -> str:
    """Return the text with \\n as line end, without a byte order mark and unreadable characters.

    Report each line with an unreadable character.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    for at, line in enumerate(text.split("\n"), start=1) if UNREADABLE.search(text) else ():
        if match := UNREADABLE.search(line):
            name = f"U+{ord(match[0]):04X}"
            why = "it cannot be shown, or it hides or reorders what is shown beside it"
            mistakes.add(at, f"the character {name}", why, "Delete it; the file is UTF-8 text.")
    return UNREADABLE.sub("", text)


class _Draft:
    """Gathers the sections and blocks of a body. Its first line is `first_line` of the file."""

    def __init__(self, body: str, first_line: int) -> None:
        self.sections: list[Section] = []
        self.paragraphs: list[list[str]] = []  # of each section
        self.blocks: list[Block] = []
        self.read: set[int] = set()  # the lines of the blocks, counted from 0
        self.lines = body.split("\n")
        self.first_line = first_line

    def take(self, token: Token, following: Token) -> None:
        if token.type == "heading_open" and token.level == 0:
            self._open_section(token, following.content)
        elif token.type == "paragraph_open" and self.sections:
            self.paragraphs[-1].append(following.content)
        elif token.type == "fence" and token.level == 0 and (kind := self._kind(token)) is not None:
            self._add_block(token, kind)

    def _open_section(self, token: Token, heading: str) -> None:
        """Open a section at a heading, numbered or not, but not at the document's title."""
        match = _NUMBERED.match(heading)
        if match or token.tag != "h1":
            number, title = (match[1], match[2]) if match else ("", heading)
            self.sections.append(
                Section(number=number, title=title, text="", line=self._line(token))
            )
            self.paragraphs.append([])

    def whole_sections(self) -> tuple[Section, ...]:
        """Return the sections with the prose of all their paragraphs."""
        return tuple(
            msgspec.structs.replace(section, text=" ".join(" ".join(paragraphs).split()))
            for section, paragraphs in zip(self.sections, self.paragraphs, strict=True)
        )

    def _add_block(self, token: Token, kind: str) -> None:
        clause, line = len(self.sections) - 1, self._line(token) + 1
        closed = self._closed(token)
        self.read |= set(range(*(token.map or (0, 0))))
        self.blocks.append(
            Block(kind=kind, text=token.content, line=line, clause=clause, closed=closed)
        )

    def _kind(self, token: Token) -> str | None:
        """Return the kind that a fence at the margin names; None if it opens no block."""
        match = _BLOCK.match(self.lines[token.map[0]]) if token.map else None
        return match[1].strip() if match else None

    def _line(self, token: Token) -> int:
        return self.first_line + (token.map[0] if token.map else 0)

    def _closed(self, token: Token) -> bool:
        """Return whether a closing line of its own ends a fence.

        The end of the document, or the closing line of another fence, does not.
        """
        first, end = token.map or (0, 0)
        if _OPENING.search(token.content):
            return False
        return end - first > 1 and self.lines[end - 1].strip(" \t").startswith(token.markup)

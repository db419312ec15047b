"""A Markdown document taken apart with its lines kept: front matter, numbered clauses, typed blocks under them."""

import re

import msgspec
from markdown_it import MarkdownIt
from markdown_it.token import Token

_NUMBERED = re.compile(r"^(\d+(?:\.\d+)*)\s+(.+)$")
_FENCE = re.compile(r"^yaml (\w+)$")


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """A fenced `yaml KIND` block. `line` is that of its first line of YAML."""

    kind: str
    text: str
    line: int
    clause: int


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """A numbered heading with the prose under it."""

    number: str
    title: str
    text: str
    line: int


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """`front` is the YAML between the first two rulers, empty where there is none. A block names its section by index
    (-1 for none)."""

    name: str
    front: str
    sections: tuple[Section, ...]
    blocks: tuple[Block, ...]


def take_apart(name: str, text: str) -> Document:
    """Read a document's structure. Any text has one; what is missing in it is for the reader to say."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    front, body, skipped = _split_front(text)
    sections: list[Section] = []
    blocks: list[Block] = []
    tokens = MarkdownIt("commonmark").parse(body)
    for index, token in enumerate(tokens):
        line = skipped + (token.map[0] if token.map else 0) + 1
        if token.type == "heading_open":
            _open_section(sections, tokens[index + 1].content, line)
        elif token.type == "paragraph_open" and token.level == 0 and sections:
            sections[-1] = _with_prose(sections[-1], tokens[index + 1])
        elif token.type == "fence" and (match := _FENCE.match(token.info.strip())):
            blocks.append(Block(kind=match[1], text=token.content, line=line + 1, clause=len(sections) - 1))
    return Document(name=name, front=front, sections=tuple(sections), blocks=tuple(blocks))


def _split_front(text: str) -> tuple[str, str, int]:
    """Front matter, the rest, and how many lines lie before the rest."""
    if not text.startswith("---\n"):
        return "", text, 0
    end = text.find("\n---\n", 3)
    if end < 0:
        return "", text, 0
    return text[4 : end + 1], text[end + 5 :], text.count("\n", 0, end + 5)


def _open_section(sections: list[Section], heading: str, line: int) -> None:
    if match := _NUMBERED.match(heading):
        sections.append(Section(number=match[1], title=match[2], text="", line=line))


def _with_prose(section: Section, inline: Token) -> Section:
    prose = " ".join(inline.content.split())
    return msgspec.structs.replace(section, text=f"{section.text} {prose}".strip())

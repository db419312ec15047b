"""Markdown tables whose cells hold any text."""

from collections.abc import Iterable, Iterator, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table, and an empty one after it."""
    yield _row(head)
    yield _row(["---"] * len(head))
    yield from (_row([_cell(text) for text in row]) for row in rows)
    yield ""


def code(text: str) -> str:
    """Return a text as code within a line, or nothing for an empty one."""
    return f"`{text}`" if text else ""


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(text: str) -> str:
    # A bar would end the cell, within code too; angle brackets would begin a tag.
    inside_code = "`" in text
    escaped = " ".join(text.split()).replace("|", "\\|")
    return escaped if inside_code else escaped.replace("<", "&lt;")

"""A console for people: colours, tables, lines as wide as the terminal. Drawn by rich.

Loading rich takes as long as loading the rest of a command, so `output` prints whatever is lines of
text alone without it, unless they go to a terminal.
"""

import io
import re
import shutil
import sys
from collections.abc import Collection, Iterable
from typing import IO, Any, cast

from rich.console import Console, ConsoleDimensions, ConsoleOptions, RenderableType
from rich.padding import Padding
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from clauseway.cli.output import UNBOUNDED, Styled, indented, shown
from clauseway.cli.table_widths import fit_columns

_PADDING = re.compile(r" +$", re.MULTILINE)


def in_seconds(instant: str) -> str:
    """Return an instant of UTC to the second; empty if there is none."""
    return f"{instant[:19]}Z" if instant else ""


class _Unpadded(io.TextIOBase):
    """Standard output without the spaces that fill a table's last column."""

    def write(self, text: str) -> int:
        return sys.stdout.write(_PADDING.sub("", text))

    def flush(self) -> None:
        sys.stdout.flush()


class _Console(Console):
    """A console whose styles are its own alone: no text moves the cursor or changes a colour.

    Nothing is cut at its edge: a table that cannot be as narrow as the terminal is wrapped by it.
    """

    def print(self, *objects: Any, **styled: Any) -> None:
        width = self.width
        self.width = max(width, *(self._width_of(each) for each in objects), 0)
        try:
            super().print(*objects, **styled)
        finally:
            self.width = width

    def _width_of(self, printed: Any) -> int:
        """Return the width of a table, which is made as narrow as it can be; 0 of anything else."""
        if isinstance(printed, Padding):
            beside = printed.left + printed.right
            inner = printed.renderable
            return beside + self._fitted(inner, beside) if isinstance(inner, Table) else 0
        return self._fitted(printed, 0) if isinstance(printed, Table) else 0

    def _fitted(self, table: Table, beside: int) -> int:
        return fit_columns(self, table, self.width - beside)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            text = shown(segment.text)
            unchanged = segment.control or text == segment.text
            yield segment if unchanged else segment._replace(text=text)

    def on_broken_pipe(self) -> None:
        """Leave it to `cli.run`, which knows whose pipe broke."""
        raise BrokenPipeError


class TerminalLines:
    """Lines of text on a terminal, which shows their styles and wraps them."""

    def __init__(self) -> None:
        self._console = console()

    @property
    def width(self) -> int:
        return self._console.width

    def line(self, *parts: str | Styled, style: str = "", whole: bool = False) -> None:
        """Print a line; it is wrapped unless it is to stay whole."""
        words = (each if isinstance(each, str) else (each.words, each.style) for each in parts)
        self._console.print(Text.assemble(*words), style=style, soft_wrap=whole)


def console() -> Console:
    """Return where people read: as wide as the terminal; into a pipe not wrapped or padded.

    Colours are for a terminal alone; numbers, paths, words between colons and words in brackets are
    not guessed at.
    """
    if sys.stdout.isatty():
        terminal = _Console(markup=False, highlight=False, emoji=False)
        if terminal.is_dumb_terminal:
            # Rich takes it for one of 80 columns, whatever it says and whatever is drawn.
            terminal.size = ConsoleDimensions(*shutil.get_terminal_size())
        return terminal
    return _Console(
        markup=False,
        highlight=False,
        emoji=False,
        width=UNBOUNDED,
        file=cast("IO[str]", _Unpadded()),
    )


def plain_table(*columns: str, figures: Collection[str] = (), gap: int = 2) -> Table:
    """Return a table without lines. Its `figures` stand on the right and are never broken; columns
    lie `gap` spaces apart."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, gap, 0, 0))
    for column in columns:
        is_figure = column in figures
        table.add_column(
            column, overflow="fold", justify="right" if is_figure else "left", no_wrap=is_figure
        )
    return table


def print_indented(out: Console, text: str, by: int = 3, style: str = "") -> None:
    """Print a paragraph whose every line is indented, wrapped or not."""
    out.print(indented(text, out.width, by), style=style, soft_wrap=True)


def print_rest(out: Console, count: int, shown: int, by: int = 2) -> None:
    """Print how many of `count` things are not shown, and that `--json` has all; nothing where all are."""
    if count > shown:
        text = f"… and {count - shown:,} more: --json has all of them."
        print_indented(out, text, by, style="dim")

"""Widths of a table's columns on a terminal that is narrower than the table.

Rich makes columns as narrow as it takes, one letter a line at the end, and cuts what is still too
wide at the terminal's edge: a figure loses its last digits and columns are not there, without a
mark. Here each column keeps a least width, so that a table may be wider than its terminal, which
then wraps its lines.
"""

from collections.abc import Sequence

from rich.console import Console
from rich.measure import Measurement
from rich.table import Column, Table

# Of a column whose words may be broken: long names and digests take more lines before figures do.
_FOLDED_MIN = 16


def fit_columns(console: Console, table: Table, room: int) -> int:
    """Fix the widths of columns, narrower where the table is wider than its room. Return its width.

    Rich measures every cell of a column without a width several times.
    """
    measured = [_measured(console, column) for column in table.columns]
    full = [measure.maximum for measure in measured]
    _fix(table, full)
    between = Measurement.get(console, console.options.update(width=10**6), table).maximum - sum(
        full
    )
    if sum(full) + between <= room:
        return sum(full) + between
    widths = narrowed(full, [measure.minimum for measure in measured], room - between)
    _fix(table, widths)
    return sum(widths) + between


def _fix(table: Table, widths: Sequence[int]) -> None:
    for column, width in zip(table.columns, widths, strict=True):
        column.width = width


def narrowed(full: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """Return widths that together take the room, the widest made narrower first, none below its
    least width: together they may take more."""
    widths = list(full)
    while sum(widths) > room:
        wider = [at for at, width in enumerate(widths) if width > least[at]]
        if not wider:
            break
        widths[max(wider, key=lambda at: widths[at])] -= 1
    return widths


def _measured(console: Console, column: Column) -> Measurement:
    """Return the least and the full width of a column: its longest word, and its longest text."""
    options = console.options.update(width=10**6)
    cells = [Measurement.get(console, options, cell) for cell in (column.header, *column.cells)]
    full = max(column.min_width or 0, *(cell.maximum for cell in cells))
    if column.no_wrap:
        return Measurement(full, full)
    least = max(column.min_width or 0, *(cell.minimum for cell in cells))
    return Measurement(min(least, _FOLDED_MIN) if _may_break(column) else least, full)


def _may_break(column: Column) -> bool:
    return column.overflow == "fold" and column.justify != "right"

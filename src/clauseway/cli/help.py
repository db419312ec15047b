"""The layout of help: commands under headings, examples as they are written."""

import re
from itertools import groupby
from typing import Any

from typer.core import TyperGroup

# Wider lines are hard to read, also where the terminal has room for them.
WIDTH_MAX = 120
# Click keeps the lines of a paragraph that begins with this mark.
_KEPT = "\b\n"
_EXAMPLE = re.compile(r"^ {2,}\S", re.MULTILINE)


class GroupedHelp(TyperGroup):
    """The program's help: its commands under the headings of the list of commands."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        listed = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        width = max(len(name) for name, _ in listed)
        for heading, commands in groupby(listed, lambda pair: pair[1].rich_help_panel):  # type: ignore[union-attr]
            with formatter.section(heading):
                rows = [
                    (name.ljust(width), command.get_short_help_str(WIDTH_MAX))
                    for name, command in commands
                    if command is not None
                ]
                formatter.write_dl(rows)


def prepared(command: Any) -> Any:
    """Have every help of a tree keep the line breaks of each paragraph with an example."""
    for below in getattr(command, "commands", {}).values():
        prepared(below)
    if command.help:
        command.help = "\n\n".join(map(_kept, re.split(r"\n{2,}", command.help)))
    return command


def _kept(paragraph: str) -> str:
    if paragraph.startswith("\b") or not _EXAMPLE.search(paragraph):
        return paragraph
    return _KEPT + paragraph

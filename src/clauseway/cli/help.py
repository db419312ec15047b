"""The layout of help: commands under headings, a word for each kind of value, examples as they
are written."""

import re
from collections.abc import Mapping
from itertools import groupby
from typing import Any

from typer.core import TyperGroup

# Wider lines are hard to read, also where the terminal has room for them.
WIDTH_MAX = 120
# Click keeps the lines of a paragraph that begins with this mark.
_KEPT = "\b\n"
_EXAMPLE = re.compile(r"^ {2,}\S", re.MULTILINE)
# The word for a value | the flags and arguments that take it. Values of another form, as NAME=VALUE, stand with their
# flag.
_VALUES: Mapping[str, str] = {
    "ACCOUNT": "--account",
    "ACTION": "--action",
    "ADDRESS": "--host",
    "AMOUNT": "--amount --quantity-tolerance --tolerance",
    "CLASS": "--class",
    "CLOUD": "--cloud",
    "COLUMN": "--by --cost",
    "CURRENCY": "--currency",
    "DAY": (
        "--answer-by --as-of --dated --effective --expires --from --known-at --sold-on --until"
    ),
    "DEPLOYMENT": "--pinned",
    "DISPUTE": "claim",
    "ENDPOINT": "--endpoint",
    "EVENT": "--event",
    "FACT": "--corrects",
    "FILE": (
        "--batch --config --data --facts --file --listings --out --pack "
        "--png --prices --private-key --rates --svg --traffic"
    ),
    "FOLDER": "--agreement --credentials",
    "FORMAT": "--format",
    "HOME": "--home",
    "ID": "--id",
    "JSON": "--fault",
    "KEY": "--key",
    "KIND": "--kind",
    "MODEL": "--model",
    "MONTH": "--period period",
    "NAME": "--answer --certification --estimate --on-leave",
    "NUMBER": "--last",
    "ORGANISATION": "--buyer --organisation",
    "OUTCOME": "--always --never",
    "PARTY": "--party --payee --payer --seller --to",
    "PERSON": "--who",
    "PLACE": "--residency",
    "PRODUCT": "--product",
    "PROJECT": "--project",
    "RATIO": "--scale",
    "REGION": "--region",
    "REQUEST": "--request",
    "ROLE": "--role",
    "SEGMENT": "--segment",
    "STAGE": "--stage",
    "STRATEGY": "--strategy",
    "SURFACE": "--surface",
    "TEXT": "--reason --says --source --subject --why",
    "TIER": "--tier",
    "URL": "--url",
    "VENDOR": "--vendor",
    "VERSION": "--focus-version",
}
_VALUE_OF = {name: word for word, names in _VALUES.items() for name in names.split()}


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
    """Have every help of a tree name values by their words, and keep the line breaks of each
    paragraph with an example."""
    for below in getattr(command, "commands", {}).values():
        prepared(below)
    for parameter in command.params:
        if parameter.metavar is None and not getattr(parameter, "is_flag", False):
            name = parameter.opts[0]
            own = None if name.startswith("-") else name.upper()
            parameter.metavar = _VALUE_OF.get(name, own)
    if command.help:
        # The list of a group shows the whole first sentence, which click cuts off otherwise.
        command.short_help = command.get_short_help_str(len(command.help))
        command.help = "\n\n".join(map(_kept, re.split(r"\n{2,}", command.help)))
    return command


def _kept(paragraph: str) -> str:
    if paragraph.startswith("\b") or not _EXAMPLE.search(paragraph):
        return paragraph
    return _KEPT + paragraph

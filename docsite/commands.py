"""Every command, from the tree that `--help` shows: a page for each heading of the help."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import typer

from clauseway.cli.commands import COMMANDS, Entry, Group
from clauseway.cli.help import prepared
from docsite.tables import code, table

# Click keeps the lines of a paragraph that begins with this mark.
_KEPT = "\b"
_LINE_MAX = 200
_EXAMPLE = re.compile(r"^ {2,}\S")


class Listed(NamedTuple):
    """A command, or a group of commands: its words, its line and its whole help.

    `command` has its parameters; a group that only holds others has none.
    """

    words: str
    line: str
    help: str
    command: Any = None


def commands() -> Iterator[Listed]:
    """Yield every command and group, in the order of the help."""
    for name, entry in COMMANDS.items():
        yield from _listed(name, entry)


def command_pages() -> Mapping[str, str]:
    """Return the pages by name: an index, and one for each heading."""
    by_heading: dict[str, list[Listed]] = {}
    for each in commands():
        entry = COMMANDS[each.words.split()[0]]
        by_heading.setdefault(entry.heading, []).append(each)
    pages = {"index.md": "\n".join(_index(by_heading))}
    for heading, below in by_heading.items():
        lines = [f"# Commands: {heading.lower()}", ""]
        for each in below:
            lines += _described(each)
        pages[_file_of(heading)] = "\n".join(lines)
    return pages


def _index(by_heading: Mapping[str, list[Listed]]) -> Iterator[str]:
    yield from [
        "# Commands",
        "",
        "Made from the tree that `clauseway --help` shows. Every command has `--json`, whose members stand in [JSON of "
        "commands](../answers.md), and `--help`.",
        "",
    ]
    yield from table(
        ["exit code", "meaning"],
        [
            ["0", "done; for `decide`: permitted"],
            [
                "2",
                "not so: another outcome, a receipt that differs, a counterexample, an unsound text",
            ],
            ["3", "invalid input: nothing was changed"],
            ["1", "a failure, ours or the machine's"],
            ["130", "broken off"],
        ],
    )
    for heading, below in by_heading.items():
        yield from [f"## {heading}", ""]
        rows = (
            [f"[{each.words}]({_file_of(heading)}#{_anchor(each.words)})", each.line]
            for each in below
        )
        yield from table(["command", "what it does"], rows)


def _listed(words: str, entry: Entry) -> Iterator[Listed]:
    if isinstance(entry, Group) and entry.below:
        yield Listed(words, entry.help, entry.about or entry.help)
        for name, below in entry.below.items():
            yield from _listed(f"{words} {name}", below)
    elif isinstance(entry, Group):
        yield from _below(words, prepared(typer.main.get_command(entry.load())), entry.help)
    else:
        alone = typer.Typer(rich_markup_mode=None, add_completion=False)
        alone.command(words.split()[-1])(entry.load())
        yield from _below(words, prepared(typer.main.get_command(alone)), entry.help)


def _below(words: str, command: Any, line: str = "") -> Iterator[Listed]:
    line = line or command.get_short_help_str(_LINE_MAX)
    below = getattr(command, "commands", {})
    is_run = not below or command.invoke_without_command
    yield Listed(words, line, command.help or line, command if is_run else None)
    for name, each in below.items():
        yield from _below(f"{words} {name}", each)


def _described(listed: Listed) -> Iterator[str]:
    yield from [f"## clauseway {listed.words}", ""]
    yield from _help(listed.help)
    if listed.command is None:
        return
    context = listed.command.context_class(listed.command, info_name=f"clauseway {listed.words}")
    usage = listed.command.get_usage(context).removeprefix("Usage: ")
    yield from ["```text", " ".join(usage.split()), "```", ""]
    records = [parameter.get_help_record(context) for parameter in listed.command.params]
    rows = [[code(record[0]), record[1]] for record in records if record and record[0] != "--help"]
    if rows:
        yield from table(["argument or option", "meaning"], rows)


def _help(text: str) -> Iterator[str]:
    """Yield paragraphs as they are, and examples as code."""
    for paragraph in re.split(r"\n{2,}", text):
        if not paragraph.startswith(_KEPT):
            yield from [" ".join(paragraph.split()), ""]
            continue
        is_code = False
        for line in paragraph.removeprefix(_KEPT).strip("\n").splitlines():
            if bool(_EXAMPLE.match(line)) is not is_code:
                yield from ["```", ""] if is_code else ["", "```sh"]
                is_code = not is_code
            yield line.strip() if not is_code else line.removeprefix("  ")
        yield from ["```", ""] if is_code else [""]


def _file_of(heading: str) -> str:
    return f"{heading.lower()}.md"


def _anchor(words: str) -> str:
    return "clauseway-" + words.replace(" ", "-")

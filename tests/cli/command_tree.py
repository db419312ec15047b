"""Every command of the tree, and arguments with which each can be run on a settled home."""

from collections.abc import Iterator, Mapping
from inspect import signature
from typing import Any

import typer

from clauseway.cli.commands import COMMANDS, Entry, Group
from clauseway.cli.homes import HomeUse, use_of


def commands() -> Iterator[tuple[str, Any]]:
    """Every command that can be run, by its words; a new one is among them by itself."""
    yield from _listed(COMMANDS, "")


def _listed(entries: Mapping[str, Entry], path: str) -> Iterator[tuple[str, Any]]:
    for name, entry in entries.items():
        words = f"{path} {name}".strip()
        if isinstance(entry, Group) and entry.below:
            yield from _listed(entry.below, words)
        elif isinstance(entry, Group):
            yield from _below(typer.main.get_command(entry.load()), words)
        else:
            alone = typer.Typer()
            alone.command(name)(entry.load())
            yield from _below(typer.main.get_command(alone), words)


def _below(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    below = getattr(command, "commands", {})
    if not below or command.invoke_without_command:
        yield path, command
    for name, sub in below.items():
        yield from _below(sub, f"{path} {name}")


def uses() -> dict[str, HomeUse]:
    """How each command that takes a home uses it."""
    by_path = {path: use_of(command) for path, command in commands()}
    return {path: use for path, use in by_path.items() if use is not None}


ASKED = ("--action", "serve", "--party", "openai", "--product", "api.stateless", "--cloud", "aws")
ACCEPTED = ("--assume", "share-openai-microsoft", "--assume", "share-microsoft-openai", "--assume", "cap")
# Of commands that need more than what they require to come as far as the disk. `{out}` is a folder on the same disk.
ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    "up": ("--once", "--limit", "1", "--port", "0", "--pages-port", "0"),
    "init": ("--vendor", "openai", "--model", "gpt-5.5", "--without-agreement"),
    "serve": ("--port", "0", "--pages-port", "0"),
    "gateway sandbox": ("--openai-port", "0", "--config", "{out}/clouds.toml"),
    "decide": ASKED,
    "prove": ("--never", "permitted", *ASKED),
    "agreement timeline": ("--svg", "{out}/rights.svg", *ASKED),
    "fact record milestone": ("--effective", "2026-06-01", "--source", "a letter"),
    "fact record party": ("--effective", "2026-06-01", "--source", "a letter", "--party", "newcomer"),
    "usage expand": ("--scale", "1/50000", "--from", "2026-05-01", "--until", "2026-05-02"),
    "lake move": (
        "--to",
        "s3://bucket/lake",
        "--storage-endpoint",
        "http://127.0.0.1:9",
        "--secret-file",
        "{out}/secret",
    ),
    "lake retain": ("--keep-days", "400"),
    "settle": ("--period", "2026-05", *ACCEPTED),
    "statement": ("--period", "2026-05", "--out", "{out}/may.json"),
    "books close": ("2026-04",),
    "export focus": ("--period", "2026-05", "--out", "{out}/may.csv"),
    "key create": ("--organisation", "acme", "--seller", "openai"),
    "journal follow": ("--listen", "127.0.0.1:0", "--secret-file", "{out}/follower.secret"),
    "limit set": ("--organisation", "acme", "--requests", "5"),
    "budget set": ("--organisation", "acme", "--amount", "10"),
    "party key create": ("--party", "openai"),
}


def arguments_of(path: str, command: Any, out: str) -> list[str]:
    """The command with arguments that it can be run with: its own, else any value for what it requires."""
    words = path.split()
    if path in ARGUMENTS:
        return [*words, *(word.format(out=out) for word in ARGUMENTS[path])]
    exports = path.startswith("export ")
    for parameter in command.params:
        if parameter.required or (exports and parameter.name == "out"):
            kind = str(signature(command.callback).parameters[parameter.name].annotation)
            value = "1" if "int" in kind else f"{out}/nothing" if "Path" in kind else "2026-05"
            flag = [] if parameter.param_type_name == "argument" else [parameter.opts[0]]
            words += flag if getattr(parameter, "is_flag", False) else [*flag, value]
    return words

"""Members of the JSON that commands print with `--json`: the commands are run in a demo home, and the records
that they print are described by their types."""

import contextlib
import io
import os
import shlex
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from unittest.mock import patch

import msgspec

from clauseway import cli
from clauseway.cli import answers
from docsite.tables import code, table

# Begun before the others are asked: who buys, and what they may.
_BEFORE = (
    "init --demo statements",
    "key create --organisation Contoso --project search --seller openai",
    "limit set --organisation Contoso --requests 600",
    "budget set --organisation Contoso --amount 50",
    "config example",
)
# What is asked, one command of each shape.
ASKED = (
    "decide --action serve --party openai --product api.stateless --cloud aws --as-of 2026-03-15",
    "prove --never permitted --action serve --party openai --product api.stateless --cloud aws "
    "--from 2023-01-23 --until 2026-04-26",
    "agreement list",
    "agreement terms --as-of 2026-05-01",
    "agreement timeline --action serve --party openai --product api.stateless --cloud aws",
    "agreement diff A4 A5",
    "agreement brief A5",
    "agreement check openai-microsoft",
    "fact list",
    "price gpt-5.5 --cloud azure",
    "gateway models",
    "doctor",
    "usage show",
    "usage request req_00000000000000070000000000000004",
    "lake show",
    "lake check",
    "spool list",
    "settle --period 2026-05",
    "settle --period 2026-05 --under A3 --under share-microsoft-openai",
    "statement explain 2pa4zs7k",
    "forecast --growth 3%..7%",
    "basis",
    "books close 2026-04",
    "books journal",
    "audit log",
    "audit verify",
    "organisation list",
    "key list",
    "limit list",
    "budget list",
)
_WORDS = {
    "string": "text",
    "integer": "whole number",
    "boolean": "true or false",
    "object": "object",
    "null": "nothing",
}


def answers_page() -> str:
    """Return the page: the shape of each answer, then every record that is in one."""
    records: dict[str, Any] = {}
    shapes = [line for command, value in _values() for line in _shape(command, value, records)]
    lines = [
        "# JSON of commands",
        "",
        "Made by running the commands with `--json` in the home of `clauseway init --demo "
        "statements`. Amounts are texts, so that no reader rounds them; instants and days are "
        "texts of ISO 8601. Where a command is refused, the JSON is `error` with `type` "
        "(`invalid_input`, `machine_fault`, or `internal_error` for a failure of ours) and `problems`, "
        "each with `what`, `why`, `where`, `line` and `remedy`.",
        "",
        *shapes,
        "## Records",
        "",
    ]
    for name in sorted(records):
        lines += _record(name, records[name])
    return "\n".join(lines)


def _values() -> Iterator[tuple[str, Any]]:
    """Yield each command with the value that it prints. Raise ValueError if it prints none."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder), patch.dict(os.environ):
        os.environ.pop("CLAUSEWAY_HOME", None)
        for line in _BEFORE:
            _printed(line)
        for line in ASKED:
            yield line, _printed(line)


def _printed(line: str) -> Any:
    printed: list[Any] = []
    out, err = io.StringIO(), io.StringIO()
    with (
        patch.object(answers, "print_json", printed.append),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        cli.run([*shlex.split(line), "--json"])
    if len(printed) != 1:
        raise ValueError(f"clauseway {line} prints no answer: {err.getvalue() or out.getvalue()}")
    return printed[0]


def _shape(command: str, value: Any, records: dict[str, Any]) -> Iterator[str]:
    yield from [
        f"### clauseway {_named(command)}",
        "",
        "```sh",
        f"clauseway {command} --json",
        "```",
        "",
    ]
    is_list = isinstance(value, list | tuple)
    of = value[0] if is_list and value else value
    prints = "A list. Each has" if is_list else "An object with"
    if isinstance(of, msgspec.Struct):
        yield from [f"{'A list of' if is_list else 'One'} {_remember(type(of), records)}.", ""]
    elif isinstance(of, Mapping):
        yield from [f"{prints} these members:", ""]
        rows = [[code(str(name)), _type_of(member, records)] for name, member in of.items()]
        yield from table(["member", "value"], rows)
    else:
        raise ValueError(f"clauseway {command} prints nothing to describe")


def _named(command: str) -> str:
    """Return the command's own words: those before its first flag or name."""
    words = command.split()
    flags = [
        i
        for i, word in enumerate(words)
        if word.startswith("-") or not word.islower() or word[-1].isdigit()
    ]
    name = " ".join(words[: flags[0]] if flags else words).removesuffix(" openai-microsoft")
    return f"{name} --under" if "--under" in words else name


def _type_of(value: Any, records: dict[str, Any]) -> str:
    if isinstance(value, msgspec.Struct):
        return _remember(type(value), records)
    if isinstance(value, list | tuple):
        return f"list of {_type_of(value[0], records)}" if value else "list"
    if isinstance(value, Mapping):
        return "object"
    return _word(msgspec.json.schema(type(value)))


def _remember(record: type[msgspec.Struct], records: dict[str, Any]) -> str:
    schema = msgspec.json.schema(record)
    records.update(schema["$defs"])
    return _word(schema)


def _record(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    about = " ".join(str(schema.get("description", "")).split("\n\n")[0].split())
    yield from [f"### {_title(name)}", "", about, ""]
    members = schema.get("properties", {})
    rows = [[code(member), _word(form)] for member, form in members.items()]
    if rows:
        yield from table(["member", "value"], rows)
    elif "enum" in schema:
        yield from [f"One of {', '.join(code(str(each)) for each in schema['enum'])}.", ""]


def _word(schema: Mapping[str, Any]) -> str:
    """Return what a member holds, in a few words, with links to records."""
    if "$ref" in schema:
        name = _title(schema["$ref"].rpartition("/")[2])
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_word(each) for each in schema["anyOf"]))
    if "enum" in schema:
        return ", ".join(code(str(each)) for each in schema["enum"])
    if schema.get("type") == "array":
        of = schema.get("items") or schema.get("prefixItems")
        inner: Sequence[Any] = of if isinstance(of, list) else [of] if of else []
        return "list of " + ", ".join(_word(each) for each in inner) if inner else "list"
    if schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {_word(schema['additionalProperties'])}"
    return _WORDS.get(str(schema.get("type")), str(schema.get("type", "any value")))


def _title(name: str) -> str:
    """Return a record's name without what msgspec adds to tell generic ones apart."""
    return name.replace("_", "").strip()

"""The library: everything that `import clauseway` offers, from its signatures, types and docstrings."""

import doctest
import inspect
import re
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any, get_type_hints, is_typeddict

import msgspec

import clauseway
from docsite.tables import code, table

# What stands before a name in the text of a type: only the name tells a reader something.
_MODULES = re.compile(
    r"\b(?:clauseway|collections|datetime|decimal|pathlib|typing|enum)\.(?:\w+\.)*"
)
_FORWARD = re.compile(r"ForwardRef\('([^']+)'\)|<class '([\w.]+)'>|<(?:enum|factory) '?(\w+)'?>")

_STARS: Mapping[Any, str] = {
    inspect.Parameter.VAR_POSITIONAL: "*",
    inspect.Parameter.VAR_KEYWORD: "**",
}


def library_page() -> str:
    """Return the page: functions, the agreements that are asked, then the records they answer with."""
    offered = {name: getattr(clauseway, name) for name in clauseway.__all__}
    functions = {name: each for name, each in offered.items() if inspect.isfunction(each)}
    asked = {name: each for name, each in offered.items() if name.startswith("OpenAgreement")}
    records = {name: each for name, each in offered.items() if name not in {*functions, *asked}}
    lines = [
        "# Library",
        "",
        "Made from the types and docstrings of what `import clauseway` offers; its examples are run by the tests, in a "
        "folder in which `clauseway init --demo statements` was run. The package is typed (`py.typed`). Names are "
        "loaded when they are first asked for: `usage`, `statement` and `explain_line` need "
        "`pip install 'clauseway[settle]'`, as their commands do.",
        "",
        "`InvalidInput` is raised for what a caller can mend: its `problems` each have `what`, `why`, `where` and a "
        "`remedy`. Amounts are exact decimals, days are days in UTC, and records cannot be changed: "
        "`msgspec.json.encode` writes one as JSON.",
        "",
        "## Functions",
        "",
        *(line for name, each in functions.items() for line in _function(name, each, "###")),
        "## Agreements to ask",
        "",
        *(line for name, each in asked.items() for line in _class(name, each)),
        "## Records",
        "",
        *(line for name, each in records.items() for line in _class(name, each)),
    ]
    return "\n".join(lines)


def _class(name: str, offered: type) -> Iterator[str]:
    yield from [f"### {name}", "", *_documented(inspect.getdoc(offered) or "")]
    if issubclass(offered, Enum):
        yield from [f"One of {', '.join(code(str(each.value)) for each in offered)}.", ""]
        return
    if fields := _fields(offered):
        yield from table(["field", "type"], [[code(each), code(of)] for each, of in fields.items()])
    for of, method in _methods(offered):
        yield from _function(f"{name}.{of}", method, "####")


def _fields(offered: Any) -> dict[str, str]:
    if is_typeddict(offered):
        required = offered.__required_keys__
        hints = {each: _type(of) for each, of in get_type_hints(offered).items()}
        return {
            each if each in required else f"{each} (optional)": of for each, of in hints.items()
        }
    if issubclass(offered, msgspec.Struct):
        return {each.name: _type(each.type) for each in msgspec.structs.fields(offered)}
    return {}


def _methods(offered: type) -> Iterator[tuple[str, Any]]:
    """Yield the methods that are described, those that it inherits from us too."""
    for name, method in inspect.getmembers(offered, callable):
        of_function = inspect.unwrap(getattr(method, "__func__", method))
        is_ours = (getattr(of_function, "__module__", "") or "").startswith("clauseway.")
        if is_ours and not name.startswith("_") and inspect.getdoc(of_function):
            yield name, method


def _function(name: str, function: Any, level: str) -> Iterator[str]:
    yield from [f"{level} {name}", "", "```python", *_signature(name, function), "```", ""]
    yield from _documented(inspect.getdoc(function) or "")


def _signature(name: str, function: Any) -> Iterator[str]:
    """Yield the call with its types: a line for each argument where there are several."""
    signature = inspect.signature(function)
    given = [each for each in signature.parameters.values() if each.name != "self"]
    answer = f" -> {_type(signature.return_annotation)}"
    if len(given) < 2:
        yield f"{name}({', '.join(_parameter(each) for each in given)}){answer}"
        return
    yield f"{name}("
    is_named_only = False
    for each in given:
        if each.kind is each.KEYWORD_ONLY and not is_named_only:
            is_named_only = True
            if not any(other.kind is other.VAR_POSITIONAL for other in given):
                yield "    *,"
        yield f"    {_parameter(each)},"
    yield f"){answer}"


def _parameter(parameter: inspect.Parameter) -> str:
    # Keywords that a typed dictionary lists are unpacked from it.
    of = _type(parameter.annotation).lstrip("*")
    typed = f"{_STARS.get(parameter.kind, '')}{parameter.name}: {of}"
    return typed if parameter.default is parameter.empty else f"{typed} = {parameter.default!r}"


def _type(annotation: Any) -> str:
    if annotation is None or annotation is type(None):
        return "None"
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    text = _FORWARD.sub(lambda found: found[1] or found[2] or found[3], text)
    return _MODULES.sub("", text).replace("'", "").replace("|", " | ").replace("  |  ", " | ")


def _documented(text: str) -> Iterator[str]:
    """Yield a docstring's paragraphs, and its examples as a program and what it prints."""
    program: list[str] = []
    printed = ""
    for part in doctest.DocTestParser().parse(text):
        if isinstance(part, doctest.Example):
            program += part.source.rstrip("\n").splitlines()
            printed += part.want
        elif part.strip():
            yield from [part.strip("\n"), ""]
    if program:
        yield from ["```python", *program, "```", ""]
    if printed:
        yield from ["```text", *printed.rstrip("\n").splitlines(), "```", ""]

"""Names as people write them: `OpenAI` and `Google Cloud` are taken for the agreement's names.

Every command is looked at before it runs. Only a value with a capital letter or a space opens the
agreement, so that other commands are as quick as before. An agreement has no two names that differ
in capitals alone.
"""

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from clauseway.values import InvalidInput

if TYPE_CHECKING:
    from clauseway.catalog import Catalog

# Parameters that name parties beside the parts of a question.
_FURTHER = {"payer": "party", "payee": "party"}


def fold_names(command: Any) -> Any:
    """Have every command of a tree write the names it is given as the agreement does."""
    for below in getattr(command, "commands", {}).values():
        fold_names(below)
    invoke = command.invoke

    def folded(context: Any) -> Any:
        _fold(context.params)
        return invoke(context)

    command.invoke = folded
    return command


def _fold(given: dict[str, Any]) -> None:
    spelled = {name for name, value in given.items() if _differs(value)}
    if not spelled:
        return
    # The parts take as long to load as the help does.
    parts = importlib.import_module("clauseway.decisions.parts").BY_FIELD
    named = {name: parts.get(_FURTHER.get(name, name)) for name in spelled}
    named = {name: part for name, part in named.items() if part is not None and part.any_case}
    if not named:
        return
    try:
        catalog = _catalog(given)
    except InvalidInput:
        return  # The command itself says that the agreement cannot be opened.
    for name, part in named.items():
        given[name] = _written(given[name], part.spellings(catalog))


def _differs(value: Any) -> bool:
    """Return whether a value has what few names of agreements have: a capital letter or a space."""
    values = value if _is_repeated(value) else [value]
    return any(isinstance(name, str) and (name != name.lower() or " " in name) for name in values)


def _is_repeated(value: Any) -> bool:
    """Return whether the command line handed over the values of a flag that may be repeated."""
    return isinstance(value, list | tuple)


def _written(value: Any, written: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return written.get(value.casefold(), value)
    return [written.get(name.casefold(), name) for name in value]


def _catalog(given: Mapping[str, Any]) -> "Catalog":
    """Open the agreement that the command names, with what is recorded in its home."""
    # Agreements take as long to load as the help does; few values need them here.
    options = importlib.import_module("clauseway.cli.options")
    # One folder, or a sequence of them where the flag may be repeated.
    folder = given.get("agreement") or ()
    folders = folder if _is_repeated(folder) else (folder,)
    opened = options.opened(
        list(folders),
        given.get("facts"),
        None,
        given.get("home"),
        given.get("configuration"),
    )
    catalog: Catalog = opened.catalog
    return catalog

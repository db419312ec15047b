"""Names in any case: `OpenAI` and `AWS` are taken as the agreement writes them.

Every command is looked at before it runs. Only a value with a capital letter opens the agreement,
so that other commands are as quick as before. An agreement has no two names that differ in
capitals alone.
"""

import importlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from clauseway.values import InvalidInput

if TYPE_CHECKING:
    from clauseway.catalog import Catalog

_PARTY, _CLOUD, _PRODUCT, _SEGMENT, _ACTION = "party", "cloud", "product", "segment", "action"
# The kind of name in each parameter of a command, by the parameter's name.
_KINDS: Mapping[str, str] = {
    "action": _ACTION,
    "party": _PARTY,
    "to": _PARTY,
    "seller": _PARTY,
    "sellers": _PARTY,
    "payer": _PARTY,
    "payee": _PARTY,
    "cloud": _CLOUD,
    "clouds": _CLOUD,
    "product": _PRODUCT,
    "segment": _SEGMENT,
}


def fold_names(command: Any) -> Any:
    """Have every command of a tree write the names it is given as the agreement does."""
    for below in getattr(command, "commands", {}).values():
        fold_names(below)
    invoke = command.invoke

    def folded(context: Any) -> Any:
        _fold(context.params)
        return invoke(context)

    if any(parameter.name in _KINDS for parameter in command.params):
        command.invoke = folded
    return command


def _fold(given: dict[str, Any]) -> None:
    capitals = {name for name in _KINDS if name in given and _has_capital(given[name])}
    if not capitals:
        return
    try:
        catalog = _catalog(given)
    except InvalidInput:
        return  # The command itself says that the agreement cannot be opened.
    for name in capitals:
        written = {known.casefold(): known for known in _names(catalog, _KINDS[name])}
        given[name] = _written(given[name], written)


def _has_capital(value: Any) -> bool:
    values = [value] if isinstance(value, str) else value or ()
    return any(name != name.lower() for name in values)


def _written(value: Any, written: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return written.get(value.casefold(), value)
    return [written.get(name.casefold(), name) for name in value]


def _names(catalog: "Catalog", kind: str) -> Iterable[str]:
    actions: Iterable[str] = importlib.import_module("clauseway.agreement.language.actions").ACTIONS
    return {
        _PARTY: catalog.parties,
        _CLOUD: catalog.clouds,
        _PRODUCT: {*catalog.products, *catalog.classes},
        _SEGMENT: catalog.segments,
        _ACTION: actions,
    }[kind]


def _catalog(given: Mapping[str, Any]) -> "Catalog":
    """Open the agreement that the command names, with what is recorded in its home."""
    # Agreements take as long to load as the help does; only a capital letter needs them here.
    options = importlib.import_module("clauseway.cli.options")
    folder = given.get("agreement")
    folders = folder if isinstance(folder, list) else [folder] if folder else []
    opened = options.opened(folders, given.get("facts"), None, given.get("home"))
    catalog: Catalog = opened.catalog
    return catalog

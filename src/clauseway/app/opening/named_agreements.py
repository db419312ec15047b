"""The agreements and sellers that a configuration names: looked up before any agreement is opened, and
without what a whole configuration needs."""

from pathlib import Path
from typing import Any

from clauseway.app.opening.library import SHIPPED
from clauseway.app.opening.toml_file import read_file
from clauseway.files.presence import is_there
from clauseway.values import InvalidInput


def agreements_in(path: Path) -> tuple[Path, ...]:
    """Return the agreements that a configuration names, before any of them is opened.

    Empty where it names none, and where the file cannot be read: whoever reads it whole tells that.
    """
    # A blank name would be the folder of the configuration itself.
    named = [name for name in _list_in(path, "agreement") if isinstance(name, str) and name.strip()]
    beside = {name: path.absolute().parent / Path(name).expanduser() for name in named}
    # A folder beside the configuration goes before an agreement that ships under its name.
    return tuple(
        Path(name) if name in SHIPPED and not is_there(folder) else folder
        for name, folder in beside.items()
    )


def sellers_in(path: Path) -> tuple[str, ...]:
    """Return the sellers of a configuration's deployments; empty where `agreements_in` is."""
    deployments = [each for each in _list_in(path, "deployment") if isinstance(each, dict)]
    sellers = [each.get("seller") for each in deployments]
    return tuple(dict.fromkeys(seller for seller in sellers if isinstance(seller, str)))


def _list_in(path: Path, name: str) -> list[Any]:
    try:
        written = read_file(path).content.get(name)
    except InvalidInput:
        return []
    return written if isinstance(written, list) else []

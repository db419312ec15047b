"""The agreements that a configuration names: looked up before any of them is opened, and without what
a whole configuration needs."""

from pathlib import Path

from clauseway.app.opening.library import SHIPPED
from clauseway.app.opening.toml_file import read_file
from clauseway.values import InvalidInput


def agreements_in(path: Path) -> tuple[Path, ...]:
    """Return the agreements that a configuration names, before any of them is opened.

    Empty where it names none, and where the file cannot be read: whoever reads it whole tells that.
    """
    try:
        written = read_file(path).content.get("agreement", [])
    except InvalidInput:
        return ()
    names = written if isinstance(written, list) else []
    # A blank name would be the folder of the configuration itself.
    named = [name for name in names if isinstance(name, str) and name.strip()]
    beside = {name: path.absolute().parent / Path(name).expanduser() for name in named}
    # A folder beside the configuration goes before an agreement that ships under its name.
    return tuple(
        Path(name) if name in SHIPPED and not folder.exists() else folder
        for name, folder in beside.items()
    )

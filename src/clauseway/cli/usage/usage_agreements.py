"""The agreements that judge usage: who may sell what, on which clouds, since when."""

from pathlib import Path

from clauseway.app.opening.several import Opened
from clauseway.cli import options
from clauseway.cli.held import held_agreements


def named_or_held(
    folders: list[Path] | None, home: Path | None, facts: Path | None = None
) -> Opened:
    """Return the agreements that the flags or the configuration name, else those that the home
    settles under, else the built-in one, with the facts of the home and of the file."""
    if options.agreements_for(folders, None, home):
        return options.opened(folders, facts, None, home)
    return options.supposing(held_agreements(home), facts, None)

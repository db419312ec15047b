"""How each command uses a home, so that none answers from a missing one.

The type of a command's flag `--home` says it (`HomeRead`, `HomeMade` and others in `options`), and
every command is checked before it runs. A command that only reads refuses a home that does not
exist: an empty answer would look like a true one.
"""

from enum import Enum
from inspect import signature
from pathlib import Path
from typing import Any

from clauseway.app.opening.home import home_at, is_named, not_begun


class HomeUse(Enum):
    """How a command uses the home that it is given."""

    MAKES = "records something, and makes a home that is not there"
    READS = "reads or changes what was recorded, and refuses a home that is not there"
    JUDGES = "judges a file that it is given; a home that is not there is an empty one"
    ADDS = "answers without a home, and adds what was recorded; a home that is named must be there"


def guard(command: Any) -> Any:
    """Make every command of a tree check its home before it does anything."""
    for below in getattr(command, "commands", {}).values():
        guard(below)
    use = use_of(command)
    if use in (HomeUse.READS, HomeUse.ADDS):
        _look_first(command, use)
    return command


def use_of(command: Any) -> HomeUse | None:
    """Return how a command uses its home, as the type of its flag says; None if it takes none."""
    if not any(parameter.name == "home" for parameter in command.params):
        return None
    flag = signature(command.callback, eval_str=True).parameters["home"]
    [use] = [said for said in flag.annotation.__metadata__ if isinstance(said, HomeUse)]
    return use


def _look_first(command: Any, use: HomeUse) -> None:
    invoke = command.invoke

    def looked(context: Any) -> Any:
        # A group's own flags are not those of the command below it.
        if not getattr(context, "_protected_args", ()):
            require_home(context.params.get("home"), use)
        return invoke(context)

    command.invoke = looked


def require_home(folder: Path | str | None, use: HomeUse) -> None:
    """Raise InvalidInput if the home that a command needs does not exist."""
    home = home_at(folder)
    if home.is_begun or (use is HomeUse.ADDS and (not is_named(folder) or home.root.is_dir())):
        return
    raise not_begun(home)

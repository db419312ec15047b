"""How each command uses a home: one table, so that no command answers from a missing home.

A command that only reads refuses a home that does not exist: an empty answer would look like a true
one.
"""

from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from clauseway.app.opening.home import VARIABLE, home_at, is_named
from clauseway.values import InvalidInput, Problem


class HomeUse(Enum):
    """How a command uses the home that it is given."""

    MAKES = "records something, and makes a home that is not there"
    READS = "reads or changes what was recorded, and refuses a home that is not there"
    JUDGES = "judges a file that it is given; a home that is not there is an empty one"
    ADDS = "answers without a home, and adds what was recorded; a home that is named must be there"


USES: Mapping[str, HomeUse] = {
    "up": HomeUse.MAKES,
    "init": HomeUse.MAKES,
    "serve": HomeUse.MAKES,
    "gateway sandbox": HomeUse.MAKES,
    "migrate": HomeUse.READS,
    "decide": HomeUse.ADDS,
    "agreement terms": HomeUse.ADDS,
    "prove": HomeUse.ADDS,
    "agreement timeline": HomeUse.ADDS,
    "agreement diff": HomeUse.ADDS,
    "agreement brief": HomeUse.ADDS,
    "verify": HomeUse.ADDS,
    "agreement check": HomeUse.ADDS,
    "agreement listings launches": HomeUse.ADDS,
    "config check": HomeUse.ADDS,
    "config import litellm": HomeUse.MAKES,
    "config show": HomeUse.ADDS,
    "doctor": HomeUse.ADDS,
    "price": HomeUse.ADDS,
    "forecast": HomeUse.READS,
    "agreement rehearse": HomeUse.ADDS,
    "fact list": HomeUse.READS,
    "fact record launch": HomeUse.MAKES,
    "fact record answer": HomeUse.MAKES,
    "fact record offer": HomeUse.MAKES,
    "fact record milestone": HomeUse.MAKES,
    "fact record event": HomeUse.MAKES,
    "fact record grant": HomeUse.MAKES,
    "fact record withdrawal": HomeUse.MAKES,
    "fact record retraction": HomeUse.MAKES,
    "fact record product": HomeUse.MAKES,
    "fact record party": HomeUse.MAKES,
    "gateway commitments": HomeUse.ADDS,
    "usage request": HomeUse.READS,
    "usage show": HomeUse.READS,
    "usage import": HomeUse.MAKES,
    "export usage": HomeUse.READS,
    "usage expand": HomeUse.MAKES,
    "usage quarantine list": HomeUse.READS,
    "usage quarantine show": HomeUse.READS,
    "usage quarantine replay": HomeUse.READS,
    "usage quarantine drop": HomeUse.READS,
    "lake show": HomeUse.READS,
    "lake check": HomeUse.READS,
    "lake accept": HomeUse.READS,
    "lake compact": HomeUse.READS,
    "lake move": HomeUse.READS,
    "lake publish": HomeUse.READS,
    "lake retain": HomeUse.READS,
    "lake rollups": HomeUse.READS,
    "spool list": HomeUse.READS,
    "spool accept": HomeUse.READS,
    "spool write-off": HomeUse.READS,
    "journal follow": HomeUse.MAKES,
    "journal copies": HomeUse.ADDS,
    "journal recover": HomeUse.MAKES,
    "basis": HomeUse.READS,
    "basis history": HomeUse.READS,
    "basis text": HomeUse.READS,
    "basis prices": HomeUse.MAKES,
    "basis rates": HomeUse.MAKES,
    "basis assume": HomeUse.MAKES,
    "basis read": HomeUse.MAKES,
    "basis agreement": HomeUse.MAKES,
    "settle": HomeUse.MAKES,
    "statement": HomeUse.READS,
    "statement pack": HomeUse.READS,
    "statement explain": HomeUse.READS,
    "statement verify": HomeUse.JUDGES,
    "statement sign": HomeUse.ADDS,
    "statement countersign": HomeUse.ADDS,
    "statement dispute": HomeUse.ADDS,
    "books close": HomeUse.READS,
    "books invoice": HomeUse.READS,
    "books payment": HomeUse.READS,
    "books credit": HomeUse.READS,
    "books dispute open": HomeUse.READS,
    "books dispute resolve": HomeUse.READS,
    "books dispute list": HomeUse.READS,
    "books journal": HomeUse.READS,
    "usage reconcile": HomeUse.READS,
    "party key create": HomeUse.MAKES,
    "party key trust": HomeUse.MAKES,
    "party key list": HomeUse.READS,
    "audit log": HomeUse.READS,
    "audit verify": HomeUse.READS,
    "audit restart": HomeUse.READS,
    "export beancount": HomeUse.READS,
    "export hledger": HomeUse.READS,
    "export focus": HomeUse.READS,
    "export focus-invoices": HomeUse.READS,
    "export parquet": HomeUse.READS,
    "export cloudevents": HomeUse.READS,
    "export cedar": HomeUse.ADDS,
    "export rego": HomeUse.ADDS,
    "export odrl": HomeUse.ADDS,
    "organisation create": HomeUse.MAKES,
    "organisation list": HomeUse.READS,
    "organisation show": HomeUse.READS,
    "organisation set": HomeUse.READS,
    "organisation remove": HomeUse.READS,
    "project create": HomeUse.MAKES,
    "project list": HomeUse.READS,
    "project show": HomeUse.READS,
    "project set": HomeUse.READS,
    "project remove": HomeUse.READS,
    "key create": HomeUse.MAKES,
    "key list": HomeUse.READS,
    "key rotate": HomeUse.READS,
    "key revoke": HomeUse.READS,
    "limit set": HomeUse.MAKES,
    "limit list": HomeUse.READS,
    "limit remove": HomeUse.READS,
    "budget set": HomeUse.MAKES,
    "budget list": HomeUse.READS,
    "budget remove": HomeUse.READS,
}


def guard(command: Any, path: tuple[str, ...] = ()) -> Any:
    """Make every command of a tree check its home before it does anything."""
    for name, below in getattr(command, "commands", {}).items():
        guard(below, (*path, name))
    use = USES.get(" ".join(path))
    if use in (HomeUse.READS, HomeUse.ADDS):
        _look_first(command, use)
    return command


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
    mistake = "nothing was ever recorded there"
    why = "the folder is no home yet" if home.root.is_dir() else "there is no such folder"
    todo = f"Name it with --home or in {VARIABLE}; what records something makes one: `clauseway serve`, `usage import`."
    raise InvalidInput(Problem(what=mistake, why=why, where=str(home.root), todo=todo))

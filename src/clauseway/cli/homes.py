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


class Use(Enum):
    """How a command uses the home that it is given."""

    MAKES = "records something, and makes a home that is not there"
    READS = "reads or changes what was recorded, and refuses a home that is not there"
    JUDGES = "judges a file that it is given; a home that is not there is an empty one"
    ADDS = "answers without a home, and adds what was recorded; a home that is named must be there"


USES: Mapping[str, Use] = {
    "up": Use.MAKES,
    "serve": Use.MAKES,
    "gateway sandbox": Use.MAKES,
    "migrate": Use.READS,
    "decide": Use.ADDS,
    "agreement terms": Use.ADDS,
    "prove": Use.ADDS,
    "agreement timeline": Use.ADDS,
    "agreement diff": Use.ADDS,
    "agreement brief": Use.ADDS,
    "verify": Use.ADDS,
    "agreement check": Use.ADDS,
    "agreement listings launches": Use.ADDS,
    "config check": Use.ADDS,
    "config show": Use.ADDS,
    "doctor": Use.ADDS,
    "price": Use.ADDS,
    "forecast": Use.READS,
    "agreement rehearse": Use.ADDS,
    "fact list": Use.READS,
    "fact record launch": Use.MAKES,
    "fact record answer": Use.MAKES,
    "fact record offer": Use.MAKES,
    "fact record milestone": Use.MAKES,
    "fact record event": Use.MAKES,
    "fact record grant": Use.MAKES,
    "fact record withdrawal": Use.MAKES,
    "fact record retraction": Use.MAKES,
    "fact record product": Use.MAKES,
    "fact record party": Use.MAKES,
    "gateway commitments": Use.ADDS,
    "usage request": Use.READS,
    "usage show": Use.READS,
    "usage import": Use.MAKES,
    "export usage": Use.READS,
    "usage expand": Use.MAKES,
    "usage quarantine list": Use.READS,
    "usage quarantine show": Use.READS,
    "usage quarantine replay": Use.READS,
    "usage quarantine drop": Use.READS,
    "lake show": Use.READS,
    "lake check": Use.READS,
    "lake accept": Use.READS,
    "lake compact": Use.READS,
    "lake retain": Use.READS,
    "lake rollups": Use.READS,
    "spool list": Use.READS,
    "spool accept": Use.READS,
    "spool write-off": Use.READS,
    "basis": Use.READS,
    "basis history": Use.READS,
    "basis text": Use.READS,
    "basis prices": Use.MAKES,
    "basis rates": Use.MAKES,
    "basis assume": Use.MAKES,
    "basis read": Use.MAKES,
    "basis agreement": Use.MAKES,
    "settle": Use.MAKES,
    "statement": Use.READS,
    "statement pack": Use.READS,
    "statement explain": Use.READS,
    "statement verify": Use.JUDGES,
    "statement sign": Use.ADDS,
    "statement countersign": Use.ADDS,
    "statement dispute": Use.ADDS,
    "books close": Use.READS,
    "books invoice": Use.READS,
    "books payment": Use.READS,
    "books credit": Use.READS,
    "books dispute open": Use.READS,
    "books dispute resolve": Use.READS,
    "books dispute list": Use.READS,
    "books journal": Use.READS,
    "usage reconcile": Use.READS,
    "party key create": Use.MAKES,
    "party key trust": Use.MAKES,
    "party key list": Use.READS,
    "audit log": Use.READS,
    "audit verify": Use.READS,
    "audit restart": Use.READS,
    "export beancount": Use.READS,
    "export hledger": Use.READS,
    "export focus": Use.READS,
    "export focus-invoices": Use.READS,
    "export parquet": Use.READS,
    "export cloudevents": Use.READS,
    "export cedar": Use.ADDS,
    "export rego": Use.ADDS,
    "export odrl": Use.ADDS,
    "organisation create": Use.MAKES,
    "organisation list": Use.READS,
    "organisation show": Use.READS,
    "organisation set": Use.READS,
    "organisation remove": Use.READS,
    "project create": Use.MAKES,
    "project list": Use.READS,
    "project show": Use.READS,
    "project set": Use.READS,
    "project remove": Use.READS,
    "key create": Use.MAKES,
    "key list": Use.READS,
    "key rotate": Use.READS,
    "key revoke": Use.READS,
    "limit set": Use.MAKES,
    "limit list": Use.READS,
    "limit remove": Use.READS,
    "budget set": Use.MAKES,
    "budget list": Use.READS,
    "budget remove": Use.READS,
}


def guard(command: Any, path: tuple[str, ...] = ()) -> Any:
    """Make every command of a tree check its home before it does anything."""
    for name, below in getattr(command, "commands", {}).items():
        guard(below, (*path, name))
    use = USES.get(" ".join(path))
    if use in (Use.READS, Use.ADDS):
        _look_first(command, use)
    return command


def _look_first(command: Any, use: Use) -> None:
    invoke = command.invoke

    def looked(context: Any) -> Any:
        # A group's own flags are not those of the command below it.
        if not getattr(context, "_protected_args", ()):
            require_home(context.params.get("home"), use)
        return invoke(context)

    command.invoke = looked


def require_home(folder: Path | str | None, use: Use) -> None:
    """Raise InvalidInput if the home that a command needs does not exist."""
    home = home_at(folder)
    if home.is_begun or (use is Use.ADDS and (not is_named(folder) or home.root.is_dir())):
        return
    mistake = "nothing was ever recorded there"
    why = "the folder is no home yet" if home.root.is_dir() else "there is no such folder"
    todo = f"Name it with --home or in {VARIABLE}; what records something makes one: `clauseway serve`, `usage import`."
    raise InvalidInput(Problem(what=mistake, why=why, where=str(home.root), todo=todo))

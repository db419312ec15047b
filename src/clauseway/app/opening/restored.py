"""The note that a home was restored from a backup: of which moment, and whether it may be served.

A restored home may lie beside the living one that was backed up. Two gateways that spend one
budget, each by books of its own, would spend it twice; so only a home that took the other's place
is served.
"""

import msgspec

from clauseway.app.opening.home import Home
from clauseway.files import write_whole
from clauseway.values import InvalidInput

_NAME = "restored.json"


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """The backup that a home came from: its moment, the identity of the home that was backed up,
    and the digest of its list of files.

    `takes_over`: somebody said that the other home is gone, and `why`.
    """

    moment: str
    restored: str
    home: str
    backup: str
    takes_over: bool
    why: str = ""


def write_origin(home: Home, origin: Origin) -> None:
    write_whole(home.root / _NAME, msgspec.json.format(msgspec.json.encode(origin)))


def origin_of(home: Home) -> Origin | None:
    """Return the backup that a home came from; None for a home that was never restored.

    A note that cannot be read forbids serving.
    """
    try:
        return msgspec.json.decode((home.root / _NAME).read_bytes(), type=Origin)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError):
        unknown = "not known"
        return Origin(
            moment=unknown, restored=unknown, home=unknown, backup=unknown, takes_over=False
        )


def refuse_beside_another(home: Home) -> None:
    """Raise InvalidInput where a home was restored to be read beside the one that it came from."""
    origin = origin_of(home)
    if origin is None or origin.takes_over:
        return
    remedy = (
        "Ask, settle and verify in it. Where the home that was backed up is gone for good, restore "
        "the backup once more: clauseway home restore BACKUP --take-over --why …"
    )
    raise InvalidInput.of(
        what="a home that was restored to be read is not served",
        why=f"it is of {origin.moment}, and the home that was backed up may spend the same budgets",
        where=str(home.root),
        remedy=remedy,
    )

"""The one rule for names that come from outside: of parties, products, tenants, keys, models, and
ids.

A name is compared, printed, searched for and signed. So it has 1 to 200 characters that can be
seen: no control characters or line breaks, no marks that turn the direction of text, nothing of
zero width and nothing that looks like empty space but is another character. Single spaces may stand
inside it.
"""

import re
from bisect import bisect
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches

from clauseway.values.problems import Problem, refuse_any

# As wide as the columns that keep names.
NAME_CHARACTERS_MAX = 200
# Known names in a remedy: more than a screen of them is not read.
_LISTED_MAX = 50

# Of more names than this, those are compared that begin most like the unknown name: a text with
# thousands of unknown names would have each compared with thousands of others.
_COMPARED_MAX = 200

# Letters and marks by their category, and yet drawn as nothing: fillers, joiners, variation
# selectors (Unicode's Default_Ignorable_Code_Point beyond category Cf) and the blank of Braille.
_DRAWN_AS_NOTHING = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U000e0100-\U000e01ef]"
)


def flaw_of_name(name: str, most: int = NAME_CHARACTERS_MAX) -> str:
    """Return why a text is not a name, empty if it is a name."""
    if not name:
        return "it is empty"
    if len(name) > most:
        return f"it has {len(name)} characters, more than {most}"
    if name[0] == " " or name[-1] == " " or "  " in name:
        return "spaces stand at its ends, or several in a row"
    if name.isprintable() and (name.isascii() or not _DRAWN_AS_NOTHING.search(name)):
        return ""
    hidden = next(
        character
        for character in name
        if not character.isprintable() or _DRAWN_AS_NOTHING.match(character)
    )
    return f"its character {name.index(hidden) + 1}, U+{ord(hidden):04X}, cannot be seen"


def problem_of_name(name: str, where: str, line: int = 0) -> Problem | None:
    """Return the problem of a name, None if it has none. `where` is a flag, a field or a file."""
    why = flaw_of_name(name)
    if not why:
        return None
    shown = ascii(name if len(name) <= 60 else name[:60] + "…")
    remedy = (
        f"Write 1 to {NAME_CHARACTERS_MAX} characters that can be seen, without spaces at the ends."
    )
    return Problem(what=f"{shown} is not a name", why=why, where=where, line=line, remedy=remedy)


def check_names(names: Mapping[str, str] | Iterable[tuple[str, str]]) -> None:
    """Raise InvalidInput with every bad name of `(where, name)` pairs. Optional names that are
    empty must be left out."""
    pairs = names.items() if isinstance(names, Mapping) else names
    problems = [problem for where, name in pairs if (problem := problem_of_name(name, where))]
    refuse_any(problems)


def nearest_name(name: str, known_names: Iterable[str], least: float = 0.6) -> str:
    """Return the known name that is the same but for capitals, else the one most like it; empty if
    none is. `least` is how much of the two has to be the same, at 1.0 all but the capitals."""
    names = sorted(known_names)
    same = [other for other in names if other.casefold() == name.casefold()]
    if not same and len(names) > _COMPARED_MAX:
        at = max(bisect(names, name) - _COMPARED_MAX // 2, 0)
        names = names[at : at + _COMPARED_MAX]
    return next(iter(same or get_close_matches(name, names, 1, least)), "")


def suggestion(name: str, known_names: Iterable[str], otherwise: str = "") -> str:
    """Return what to do about an unknown name: the nearest known name, else the known names, or
    `otherwise`."""
    names = sorted(known_names)
    if near := nearest_name(name, names):
        return f"Did you mean {near!r}?"
    listed = f"Known: {listed_names(names)}." if names else "None is known yet."
    return otherwise or listed


def listed_names(names: Iterable[str]) -> str:
    """Return names in their order, as many as a reader looks through."""
    ordered = sorted(names)
    more = len(ordered) - _LISTED_MAX
    listed = ", ".join(ordered[:_LISTED_MAX])
    return f"{listed} and {more:,} more" if more > 0 else listed


def check_known(where: str, names: Iterable[str], known_names: Collection[str], why: str) -> None:
    """Raise InvalidInput with every name that is not known, and the known name that is nearest.
    `where` is the flag that gave the names, `why` says who does not know them."""
    problems = [
        Problem(
            what=f"unknown name {name!r}",
            why=why,
            where=where,
            remedy=suggestion(name, known_names),
        )
        for name in names
        if name not in known_names
    ]
    refuse_any(problems)

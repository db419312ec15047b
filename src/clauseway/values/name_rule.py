"""The one rule for names that come from outside: of parties, products, tenants, keys, models, and
ids; and the one for reasons that people give.

A name is compared, printed, searched for and signed. So it has 1 to 200 characters that can be
seen: no control characters or line breaks, no marks that turn the direction of text, nothing of
zero width and nothing that looks like empty space but is another character. Single spaces may stand
inside it. A reason is printed beside what was done for it: it has one line of at most 500 characters.
"""

import re
from bisect import bisect
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from typing import TypeVar

from clauseway.values.problems import InvalidInput, Problem, refuse_any

T = TypeVar("T")

# As wide as the columns that keep names.
NAME_CHARACTERS_MAX = 200
# A longer reason is a document, and belongs elsewhere.
_REASON_CHARACTERS_MAX = 500
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


def by_beginning(
    name: str, items: Iterable[tuple[str, T]], noun: str, *, missing: str, where: str, remedy: str
) -> T:
    """Return the one item of which a name begins with `name`; an item may have several names. Raise
    InvalidInput where there is none (`missing` says why) or more than one."""
    matches: list[T] = []
    for whole, item in items:
        if name and whole.startswith(name) and item not in matches:
            matches.append(item)
    if len(matches) == 1:
        return matches[0]
    problem, why = f"no {noun} {name!r}", missing
    if matches:
        problem, why = f"which {noun}?", f"the names of several begin with {name!r}"
    raise InvalidInput.of(what=problem, why=why, where=where, remedy=remedy)


def read_pairs(
    items: Iterable[str], flag: str, example: str, *, at_last: bool = False, empty: bool = False
) -> list[tuple[str, str]]:
    """Return `NAME=VALUE` items as pairs, parted at the first equals sign, or `at_last` at the last;
    a value may be `empty` or not. Raise InvalidInput with every item that is no pair."""
    pairs = [(item, *(item.rpartition("=") if at_last else item.partition("="))) for item in items]
    refuse_any(
        Problem(
            what=f"{item!r} is not a name and a value",
            why="they are joined by =",
            where=flag,
            remedy=f"Write {flag} {example}.",
        )
        for item, name, equals, value in pairs
        if not (name and equals and (value or empty))
    )
    return [(name, value) for _, name, _, value in pairs]


def problem_of_reason(reason: str, purpose: str) -> Problem | None:
    """Return the problem of a reason that was given with `--why`, None if it has none. `purpose` says
    where it is shown or kept."""
    text = reason.strip()
    if 0 < len(text) <= _REASON_CHARACTERS_MAX and text.isprintable():
        return None
    return Problem(
        what="the reason cannot be kept" if text else "no reason is given",
        why=purpose,
        where="--why",
        remedy=f"Say why in one line of at most {_REASON_CHARACTERS_MAX} characters: --why …",
    )


def checked_reason(reason: str, purpose: str) -> str:
    """Return a reason without the spaces around it. Raise InvalidInput as `problem_of_reason` has it."""
    if problem := problem_of_reason(reason, purpose):
        raise InvalidInput(problem)
    return reason.strip()


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

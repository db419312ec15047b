"""An author's mistakes, gathered while documents are read, and raised once all are read."""

import re
from collections.abc import Collection, Iterable
from difflib import get_close_matches

from clauseway.values import InvalidInput, Problem

DEFINITIONS = "agreement.md"

# The names that one may write somewhere. None where they could not be read: then any name passes, because the one
# mistake that hides them is told already.
Names = Collection[str] | None
# Names stand in flags, receipts and suppositions, between colons and equals signs; a letter of another alphabet looks
# like one of these and names something else.
_FOREIGN = re.compile(r"[^A-Za-z0-9._-]|^[._-]")


class Mistakes:
    """The mistakes found in one document. Those of all documents of one reading go into one list."""

    def __init__(self, where: str, found: list[Problem] | None = None) -> None:
        self.where = where
        self._found: list[Problem] = [] if found is None else found

    def within(self, where: str) -> "Mistakes":
        """Return the same list of mistakes, for another document."""
        return Mistakes(where, self._found)

    def __len__(self) -> int:
        return len(self._found)

    def add(self, line: int, what: str, why: str, todo: str) -> None:
        self._found.append(Problem(what=what, why=why, where=self.where, line=line, todo=todo))

    def check_defined(self, line: int, what: str, name: str, known: Names) -> None:
        """Check that the agreement defines a name."""
        if known is not None and name not in known:
            todo = f"Define it in {DEFINITIONS}" + (
                f", or write one of: {', '.join(sorted(known))}." if known else "."
            )
            self.add(
                line,
                f"unknown {what} {name!r}",
                "the agreement does not define it",
                _meant(name, known) or todo,
            )

    def check_one_of(
        self, line: int, what: str, name: str, known: Names, why: str = "it means nothing here"
    ) -> None:
        """Check that a name is in a fixed list."""
        if known is not None and name not in known:
            todo = _meant(name, known) or (
                f"Write one of: {', '.join(sorted(known))}." if known else "Delete it."
            )
            self.add(line, f"unknown {what} {name!r}", why, todo)

    def check_name(self, line: int, name: str) -> None:
        """Check a name that a document defines."""
        if found := _FOREIGN.search(name):
            what = f"the name {name!r} has the character U+{ord(found[0]):04X}"
            why = (
                "a name is of Latin letters, digits, dots, dashes and underscores, "
                "and begins with one of the first two"
            )
            self.add(
                line, what, why, "Write another name; titles and prose may say it in any alphabet."
            )

    def check_names_apart(self, line: int, names: Iterable[str]) -> None:
        """Check that no two names of a kind are easily confused."""
        seen: dict[str, str] = {}
        for name in sorted(names):
            if (before := seen.setdefault(name.casefold(), name)) != name:
                what = f"the names {before!r} and {name!r} differ in capitals alone"
                self.add(line, what, "people take them for one", "Give one of them another name.")

    def include(self, problems: Iterable[Problem]) -> None:
        """Add problems that other code found."""
        self._found += problems

    def refusal(self) -> InvalidInput:
        """Return all mistakes without repetitions, by file and line, as an error to raise."""
        once = dict.fromkeys(self._found)
        return InvalidInput(*sorted(once, key=lambda problem: (problem.where, problem.line)))


def _meant(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, sorted(known), n=1)
    return f"Did you mean {near[0]!r}?" if near else ""

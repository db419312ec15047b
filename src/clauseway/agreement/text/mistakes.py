"""An author's mistakes, gathered while documents are read, and raised once all are read."""

import re
from collections.abc import Collection, Iterable

from clauseway.values import InvalidInput, Problem, listed_names, suggestion

DEFINITIONS = "agreement.md"

# The names that may be written in a place. None if they could not be read: then any name passes,
# because the mistake that hides them is reported already.
KnownNames = Collection[str] | None
# Names stand in flags, receipts and suppositions, between colons and equals signs. A letter of
# another alphabet may look like a Latin one, and name something else.
_FOREIGN = re.compile(r"[^A-Za-z0-9._-]|^[._-]")


class Mistakes:
    """The mistakes in one document. All documents of an agreement share one list."""

    def __init__(self, where: str, problems: list[Problem] | None = None) -> None:
        self.where = where
        self._problems: list[Problem] = [] if problems is None else problems

    def within(self, where: str) -> "Mistakes":
        """Return the same list of mistakes, for another document."""
        return Mistakes(where, self._problems)

    def __len__(self) -> int:
        return len(self._problems)

    def add(self, line: int, problem: str, why: str, remedy: str) -> None:
        self._problems.append(
            Problem(what=problem, why=why, where=self.where, line=line, remedy=remedy)
        )

    def check_defined(self, line: int, noun: str, name: str, allowed: KnownNames) -> None:
        """Check that the agreement defines a name."""
        if allowed is not None and name not in allowed:
            remedy = f"Define it in {DEFINITIONS}" + (
                f", or write one of: {', '.join(sorted(allowed))}." if allowed else "."
            )
            self.add(
                line,
                f"unknown {noun} {name!r}",
                "the agreement does not define it",
                suggestion(name, allowed, remedy),
            )

    def check_one_of(
        self,
        line: int,
        noun: str,
        name: str,
        allowed: KnownNames,
        why: str = "it means nothing here",
        remedy: str = "Delete it.",
    ) -> None:
        """Check that a name is in a fixed list; `remedy` is for an empty list."""
        if allowed is not None and name not in allowed:
            listed = f"Write one of: {listed_names(allowed)}." if allowed else remedy
            self.add(line, f"unknown {noun} {name!r}", why, suggestion(name, allowed, listed))

    def check_name(self, line: int, name: str) -> None:
        """Check a name that a document defines."""
        if match := _FOREIGN.search(name):
            problem = f"the name {name!r} has the character U+{ord(match[0]):04X}"
            why = (
                "a name is of Latin letters, digits, dots, dashes and underscores, "
                "and begins with one of the first two"
            )
            self.add(
                line,
                problem,
                why,
                "Write another name; titles and prose may say it in any alphabet.",
            )

    def check_names_apart(self, line: int, names: Iterable[str]) -> None:
        """Check that no two names of a kind are easily confused."""
        seen: dict[str, str] = {}
        for name in sorted(names):
            if (before := seen.setdefault(name.casefold(), name)) != name:
                problem = f"the names {before!r} and {name!r} differ in capitals alone"
                self.add(
                    line, problem, "people take them for one", "Give one of them another name."
                )

    def include(self, problems: Iterable[Problem]) -> None:
        """Add problems that other code found."""
        self._problems += problems

    def refusal(self) -> InvalidInput:
        """Return all mistakes without repetitions, by file and line, as an error to raise."""
        once = dict.fromkeys(self._problems)
        return InvalidInput(*sorted(once, key=lambda problem: (problem.where, problem.line)))

"""The definitions of an agreement beside its catalog: rules, readings, figures, events, remarks.

Each record is built from an author's mapping; `id` and `citation` are filled in from its place.
"""

from datetime import date

import msgspec

from clauseway.values import Citation, counted

# How silence is read. Every agreement states these rules.
RULES = ("unstated", "owner", "grant", "share", "licensee")
# Rules that hold only where an agreement states them.
STATED_RULES = ("launch",)
# The source of what is our own reading; an agreement may say in its sources what it means by that.
OURS = "ours"
# The standings of a figure.
STANDINGS = ("reported", "placeholder", "ours")


class Defined(msgspec.Struct, frozen=True, kw_only=True, rename="kebab"):
    """A definition's name and the place where it stands."""

    id: str
    citation: Citation


class Reading(Defined, frozen=True, kw_only=True, rename="kebab"):
    """A text that can be read in several ways. The first option is the default."""

    options: tuple[str, ...]

    @property
    def default(self) -> str:
        return self.options[0]


class Commentary(Defined, frozen=True, kw_only=True, rename="kebab"):
    """A source's remark beyond the terms. It is quoted beside answers, and changes none."""

    bears_on: str
    from_amendment: str = msgspec.field(name="from")


class Figure(Defined, frozen=True, kw_only=True, rename="kebab"):
    """A figure that no term states.

    `standing` is `reported`, `placeholder` (nobody reported a value) or `ours`. A reported figure
    or a placeholder is used only when accepted by name. A figure of ours holds by default.
    """

    value: str
    standing: str


class ContextNote(Defined, frozen=True, kw_only=True, rename="kebab"):
    """A dated report about the agreement. It changes no answer. `value` is its figure, if any."""

    day: date
    value: str = ""


class Event(Defined, frozen=True, kw_only=True, rename="kebab"):
    """An event that terms may wait for. It is recorded if it has neither `after` nor `on`.

    `after`: it happens `days` after this event, unless `prevented_by` happens in between.
    `on`: it happens on this day; each earlier event `extended_by` puts the day off by `days`.
    `over_by`: the event that ends it. `force.calendar` finds the days of each event.
    """

    over_by: str = ""
    after: str = ""
    prevented_by: str = ""
    on: date | None = None
    extended_by: str = ""
    days: int = 0

    @property
    def recorded(self) -> bool:
        return not self.after and self.on is None

    @property
    def how(self) -> str:
        """Return how it comes about by itself; empty if it is recorded."""
        if self.after:
            prevented = f", unless {self.prevented_by} prevents it" if self.prevented_by else ""
            return f"{counted(self.days, 'day')} after {self.after}{prevented}"
        if self.on is None:
            return ""
        renewed = f", put off by {counted(self.days, 'day')} by each {self.extended_by}"
        return f"on {self.on}{renewed if self.extended_by else ''}"

    @property
    def waits_for(self) -> frozenset[str]:
        """Return the events that decide its first day."""
        return frozenset({self.after, self.prevented_by, self.extended_by} - {""})

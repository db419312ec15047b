"""Compare two amendments, two days or two states of knowledge.

compare_amendments(opened, ["A4", "A5"])             the text up to A4 beside that up to A5, on the day A5 takes effect
compare_days(opened, ["2026-04-26", "2026-04-27"])   the same text on two days, or known at two points
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, date, datetime

import msgspec

from clauseway.agreement import Amendment
from clauseway.app.opening.library import OpenAgreement, known_point
from clauseway.app.opening.several import Opened
from clauseway.decisions import check_readings
from clauseway.decisions.joint_answers import JointSide
from clauseway.decisions.searches.compare import Side, compare, first_later_change
from clauseway.decisions.searches.joint import compare_together
from clauseway.values import InvalidInput, KnownAt, Problem, parse_day, refuse_any, suggestion
from clauseway.wording.changes import Comparison, comparison_of
from clauseway.wording.names import Wording
from clauseway.wording.rescissions import rescissions_of

_BEFORE_ALL = "nothing"


def compare_amendments(
    opened: OpenAgreement,
    names: Sequence[str],
    reading: Mapping[str, str] | None = None,
    known_at: KnownAt | None = None,
) -> Comparison:
    """Return the agreement up to one amendment beside that up to another; where one is named,
    before it and with it.

    Both on the day on which the later takes effect, with the same facts: those known at a point, by
    default by the end of that day. Raise InvalidInput for an amendment that there is not, or that
    was not known then.
    """
    sides, labels = amendment_sides(opened, names, reading, known_at)
    before, after = ({amendment.id for amendment in side.agreement.amendments} for side in sides)
    return _compared(opened, sides, labels, {*(before ^ after), *names})


def amendment_sides(
    opened: OpenAgreement,
    names: Sequence[str],
    reading: Mapping[str, str] | None = None,
    known_at: KnownAt | None = None,
) -> tuple[tuple[Side, Side], tuple[str, str]]:
    """Return the two sides of such a comparison, and what each goes up to.

    Where two are named, each side holds what was concluded up to its amendment, so that one that
    reaches back takes none away. Where one is named, both sides hold the amendments that take effect
    after it and were known before it was: people counted with them when it was concluded.
    """
    amendments = opened.agreement.amendments
    at = [_index(amendments, name) for name in names]
    first, last = (at[0] - 1, at[0]) if len(at) == 1 else (at[0], at[1])
    counted = amendments[: max(first, last) + 1]
    as_of = counted[-1].effective
    known_at = known_at or KnownAt.end_of(
        max(as_of, *(amendment.known.day for amendment in counted))
    )
    _check_known([amendments[index] for index in at], known_at)
    if len(at) == 1:
        # An amendment that nobody knew of yet adds nothing to the side without this one.
        known = [index for index in range(at[0]) if amendments[index].known <= known_at]
        first = max(known, default=-1)
    readings = check_readings(opened.agreement, reading or {})

    coming = _coming(amendments, names[0]) if len(names) == 1 else ()

    def side(last_included: int) -> Side:
        included = (*amendments[: last_included + 1], *coming)
        if len(names) == 2:
            rank = amendments[last_included].rank
            included = tuple(amendment for amendment in amendments if amendment.rank <= rank)
        text = msgspec.structs.replace(opened.agreement, amendments=included)
        return Side(
            agreement=text, facts=opened.facts, as_of=as_of, known_at=known_at, readings=readings
        )

    labels = [amendments[index].id if index >= 0 else _BEFORE_ALL for index in (first, last)]
    return (side(first), side(last)), (labels[0], labels[1])


def compare_or_later(
    opened: OpenAgreement,
    names: Sequence[str],
    reading: Mapping[str, str] | None = None,
    known_at: KnownAt | None = None,
) -> Comparison:
    """Return a comparison as `compare_amendments` does; where nothing changes on its day, as by an
    extension, with that of the first later day on which something does.

    Where one amendment is named, later days are those that people counted with when it was
    concluded (see `amendment_sides`).
    """
    comparison = compare_amendments(opened, names, reading, known_at)
    if comparison.changed:
        return comparison
    sides, _ = amendment_sides(opened, names, reading, known_at)
    return msgspec.structs.replace(comparison, later=_compare_later(opened, sides))


def _coming(amendments: Sequence[Amendment], name: str) -> tuple[Amendment, ...]:
    """Return the amendments that take effect after one, and were known before it was."""
    at = _index(amendments, name)
    return tuple(later for later in amendments[at + 1 :] if later.known < amendments[at].known)


def _compare_later(opened: OpenAgreement, sides: tuple[Side, Side]) -> Comparison | None:
    """Return the comparison of the first later day on which the sides differ; None if there is
    none."""
    day = first_later_change(*sides, opened.catalog)
    if day is None:
        return None
    before, after = (msgspec.structs.replace(side, as_of=day) for side in sides)
    return _compared(opened, (before, after), ("", ""), ())


def _check_known(amendments: Sequence[Amendment], known_at: KnownAt) -> None:
    """Refuse amendments that nobody knew of at a point."""
    problems = [
        Problem(
            what=f"{amendment.id} was not known then",
            why=f"it became known on {amendment.known.day}",
            where="--known-at",
            remedy="Name a later day, or an earlier amendment.",
        )
        for amendment in amendments
        if amendment.known > known_at
    ]
    refuse_any(problems)


def _index(amendments: Sequence[Amendment], name: str) -> int:
    for index, amendment in enumerate(amendments):
        if amendment.id == name:
            return index
    raise InvalidInput.of(
        what=f"there is no amendment {name!r}",
        why="the agreement does not hold it",
        where="AMENDMENT",
        remedy=suggestion(name, [amendment.id for amendment in amendments]),
    )


def compare_sides(
    opened: Opened,
    amendments: Sequence[str],
    as_of: Sequence[str],
    known_at: Sequence[str],
    reading: Mapping[str, str],
) -> Comparison:
    """Return the comparison of two sides as a user names them: amendments, or days and points of
    knowledge; a day or a point that is not named is today's. Raise InvalidInput."""
    _refuse_sides(amendments, as_of, known_at)
    if amendments:
        return compare_or_later(_only_one(opened), amendments, reading)
    days = [parse_day(day, "--as-of") for day in as_of] or [datetime.now(UTC).date()]
    points = [known_point(point) for point in known_at] or [known_point(None)]
    return compare_days(opened, days, points, reading)


def compare_days(
    opened: Opened,
    as_of: Sequence[date],
    known_at: Sequence[KnownAt],
    reading: Mapping[str, str] | None = None,
) -> Comparison:
    """Return the same text on two days, or as known at two points, or both.

    Each is given once for both sides, or twice.
    """
    points = (as_of[0], known_at[0]), (as_of[-1], known_at[-1])
    if isinstance(opened, OpenAgreement):
        readings = check_readings(opened.agreement, reading or {})
        text, facts = opened.agreement, opened.facts
        first, last = (
            Side(agreement=text, facts=facts, as_of=day, known_at=knowledge, readings=readings)
            for day, knowledge in points
        )
        return _compared(opened, (first, last), ("", ""), _between(opened, first, last))
    before, after = (
        JointSide(asked=opened.each, as_of=day, known_at=knowledge, readings=reading or {})
        for day, knowledge in points
    )
    return comparison_of(opened.each, compare_together(before, after), (before, after), ("", ""))


def _between(opened: OpenAgreement, before: Side, after: Side) -> set[str]:
    """Return the amendments that take effect, or become known, between two sides."""
    days = sorted((before.as_of, after.as_of))
    points = sorted((before.known_at, after.known_at))
    return {
        amendment.id
        for amendment in opened.agreement.amendments
        if days[0] < amendment.effective <= days[1] or points[0] < amendment.known <= points[1]
    }


def _compared(
    opened: OpenAgreement, sides: tuple[Side, Side], labels: Sequence[str], about: Collection[str]
) -> Comparison:
    """Return two sides in words, with the rescissions by or of the amendments `about`."""
    known_at = max(side.known_at for side in sides)
    rescissions = rescissions_of(
        Wording.of([opened]), opened.agreement, about, known_at, sides[1].readings
    )
    return comparison_of([opened], compare(*sides, opened.catalog), sides, labels, rescissions)


def _refuse_sides(amendments: Sequence[str], as_of: Sequence[str], known_at: Sequence[str]) -> None:
    """Raise InvalidInput unless there are two amendments, two days or two points of knowledge."""
    if amendments and (as_of or known_at):
        why, remedy = (
            "amendments bring their own days",
            "Name amendments, or days with --as-of and --known-at.",
        )
    elif len(amendments) > 2 or (not amendments and max(len(as_of), len(known_at)) != 2):
        why, remedy = (
            "a comparison has two sides",
            "Write `diff A4 A5`, or give --as-of or --known-at twice.",
        )
    else:
        return
    raise InvalidInput.of(what="these are not two sides", why=why, where="diff", remedy=remedy)


def _only_one(opened: Opened) -> OpenAgreement:
    """Return the agreement whose amendments are compared. Raise InvalidInput if there are several."""
    if isinstance(opened, OpenAgreement):
        return opened
    why, remedy = (
        "each has amendments of its own",
        "Give one --agreement, or compare days with --as-of twice.",
    )
    mistake = "several agreements have no one amendment"
    raise InvalidInput.of(what=mistake, why=why, where="--agreement", remedy=remedy)

"""Compare two days, two states of knowledge or two texts: the outcomes that differ, in groups.

    compare(before, after)             Every combination whose outcome changed, over all questions.
    grouped(changes)                   The same changes as few boxes. A box stands for exactly the
                                       combinations of its members.
    first_later_change(before, after)  The first later day on which an outcome differs.

Laws: the boxes expand to exactly the changes; a comparison and its inverse cancel out; a side
compared with itself has no changes.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date
from itertools import product as every
from math import prod

import msgspec

from clauseway.agreement import Agreement, FactRegister, Ownership, Permission, boundaries
from clauseway.agreement.language.actions import SHARE
from clauseway.catalog import Catalog
from clauseway.decisions.decision import Outcome, Reason
from clauseway.decisions.joint_answers import AskedAgreement, JointSide
from clauseway.decisions.parts import PARTS, NameLists, Names
from clauseway.decisions.question import Question, check_readings
from clauseway.decisions.searches.causes import Answering, Causes
from clauseway.decisions.tables.decision_table import DecisionTable, Verdict
from clauseway.decisions.tables.domain import all_questions
from clauseway.values import KnownAt


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """A side of a comparison: a text and a register, as of a day, as known at a point.

    `readings` are given as to `ask`.
    """

    agreement: Agreement
    facts: FactRegister
    as_of: date
    known_at: KnownAt
    readings: Mapping[str, str]

    def joint(self, catalog: Catalog) -> JointSide:
        """Return the side as that of one agreement, asked with the names of a catalog."""
        return JointSide(
            asked=(AskedAgreement(self.agreement, catalog, self.facts),),
            as_of=self.as_of,
            known_at=self.known_at,
            readings=self.readings,
        )


_Members = tuple[tuple[str, ...], ...]
_NOBODYS: Mapping[str, Collection[str]] = {}


class Combination(Names, frozen=True, kw_only=True):
    """A question without its day, knowledge and readings.

    Parts that an action does not take are empty, or `any` for the segment. `seller` is empty where
    the party itself sells, `region` where the agreement distinguishes no regions.
    """


class OutcomeChange(msgspec.Struct, frozen=True, kw_only=True):
    """A combination whose outcome differs between two sides.

    `conditions` names the terms that condition the outcome after (`grant` for the owner's consent).
    `because` is the first reason of the outcome after, or the party's own permission behind it; of
    what was conditional before, the text or fact without which it would be still (see `causes`).
    `was_because` is the first reason of the outcome before. Both are without notes.
    """

    combination: Combination
    before: Outcome
    after: Outcome
    conditions: tuple[str, ...]
    because: Reason
    was_because: Reason


class Box(NameLists, frozen=True, kw_only=True):
    """Combinations that changed alike and by the same clause: all those of its members.

    Members are in alphabetical order.
    """

    before: Outcome
    after: Outcome
    conditions: tuple[str, ...]
    because: Reason

    def combinations(self) -> Iterator[Combination]:
        for members in every(*self._sides):
            if not _is_to_itself(members):
                yield Combination(**dict(zip(_PARTS, members, strict=True)))

    def __len__(self) -> int:
        others = len(self.parties) * len(self.to) - len({*self.parties} & {*self.to})
        rest = prod(map(len, self._sides)) // (len(self.parties) * len(self.to))
        return others * rest

    @property
    def _sides(self) -> _Members:
        """Return the members in the order of the parts."""
        return tuple(getattr(self, part.lists) for part in PARTS)


def compare(before: Side, after: Side, catalog: Catalog) -> tuple[OutcomeChange, ...]:
    """Return each combination of `catalog` whose outcome differs, ordered as `all_questions` is."""
    questions = all_questions(after.agreement, catalog, as_of=after.as_of, known_at=after.known_at)
    return changes_between(
        before.joint(catalog),
        after.joint(catalog),
        questions,
        _verdicts_of,
        _permissions_of_others(after.agreement),
    )


def first_later_change(before: Side, after: Side, catalog: Catalog) -> date | None:
    """Return the first day after `after.as_of` on which an outcome differs, as known on each side;
    None if there is none.
    """
    sides = (before, after)
    days = {
        day
        for side in sides
        for day in boundaries(side.agreement, side.facts, side.known_at)
        if day > after.as_of
    }
    was, now = (_table_of(side.joint(catalog)) for side in sides)
    questions = all_questions(after.agreement, catalog, as_of=after.as_of, known_at=after.known_at)
    asked = [_combination(question) for question in questions]
    return next(
        (
            day
            for day in sorted(days)
            if any(
                was.verdict(each, day).outcome != now.verdict(each, day).outcome for each in asked
            )
        ),
        None,
    )


def deciding(agreement: Agreement, party: str, reasons: Sequence[Reason]) -> Reason:
    """Return the reason that tells a party why it may: its own permission, else the first.

    A grant of the owner is cited behind the reasons why the owner is free to grant it.
    """
    return _own_permission(_permissions_of_others(agreement).get(party, ()), reasons) or reasons[0]


def _permissions_of_others(agreement: Agreement) -> dict[str, frozenset[str]]:
    """Return the ids of permissions by party, for each party that owns nothing."""
    terms = [term for amendment in agreement.amendments for term in amendment.terms]
    owners = {term.party for term in terms if isinstance(term, Ownership)}
    granted: dict[str, frozenset[str]] = {}
    for term in terms:
        if isinstance(term, Permission) and term.party not in owners:
            granted[term.party] = granted.get(term.party, frozenset()) | {term.id}
    return granted


def _own_permission(permissions: Collection[str], reasons: Iterable[Reason]) -> Reason | None:
    permits = (reason for reason in reasons if reason.bearing == "permits")
    return next((reason for reason in permits if reason.term in permissions), None)


def changes_between(
    before: JointSide,
    after: JointSide,
    questions: Iterable[Question],
    answering: Callable[[JointSide], Answering],
    permissions: Mapping[str, Collection[str]] = _NOBODYS,
) -> tuple[OutcomeChange, ...]:
    """Return every combination of the questions whose outcome differs, in their order.

    `answering` returns what answers the questions of a side. `permissions` holds the ids of the
    permissions by which a party may act.
    """
    was_answered, is_answered = answering(before), answering(after)
    causes = Causes(before, after, answering)
    changes = []
    for combination in map(_combination, questions):
        was, now = was_answered(combination), is_answered(combination)
        if was.outcome != now.outcome:
            own = _own_permission(permissions.get(combination.party, ()), now.reasons)
            change = OutcomeChange(
                combination=combination,
                before=was.outcome,
                after=now.outcome,
                conditions=tuple(sorted({condition.term for condition in now.conditions})),
                because=_place(causes.of(combination, was, now, own)),
                was_because=_place(was.reasons[0]),
            )
            changes.append(change)
    return tuple(changes)


def _verdicts_of(side: JointSide) -> Answering:
    """Return the function that answers a combination for one side of one agreement."""
    table = _table_of(side)

    def verdict(asked: Names) -> Verdict:
        return table.verdict(asked, side.as_of)

    return verdict


def _table_of(side: JointSide) -> DecisionTable:
    [own] = side.asked
    readings = check_readings(own.agreement, side.readings)
    return DecisionTable(own.agreement, own.catalog, own.facts, side.known_at, readings)


def _combination(question: Question) -> Combination:
    return Combination(**question.as_combination())


def _place(reason: Reason) -> Reason:
    return msgspec.structs.replace(reason, note="")


# Grouping

_PARTS = tuple(part.name for part in PARTS)
_PARTY, _TO = _PARTS.index("party"), _PARTS.index("to")
# Positions in the parts, in the order in which to join along them.
_JOINED = tuple(sorted(range(len(PARTS)), key=lambda at: PARTS[at].joined))


def grouped(changes: Iterable[OutcomeChange]) -> tuple[Box, ...]:
    """Return the changes as boxes that do not overlap, in the order of the changes."""
    alike: dict[tuple[object, ...], list[OutcomeChange]] = {}
    for change in changes:
        because = change.because
        place = (because.agreement, because.amendment, because.term, because.line)
        # Owing a share is not an act, so shares and acts have separate boxes.
        is_share = change.combination.action == SHARE
        alike.setdefault(
            (change.before, change.after, change.conditions, place, is_share), []
        ).append(change)
    return tuple(_box(members, some[0]) for some in alike.values() for members in _joined(some))


def _joined(changes: Sequence[OutcomeChange]) -> list[_Members]:
    """Join changes into boxes until no two boxes differ in one side only.

    Nobody licenses or owes anything to itself. A box may hold such a pair all the same, so that
    acts between all of some parties stand in one box: its combinations leave it out.
    """
    combinations = [_parts(change.combination) for change in changes]
    boxes: list[_Members] = [
        tuple((part,) for part in parts) for parts in (*combinations, *_to_itself(combinations))
    ]
    count = 0
    while len(boxes) != count:
        count = len(boxes)
        for side in _JOINED:
            boxes = _joined_along(side, boxes)
    return [_without_itself(box) for box in boxes if not _is_to_itself_alone(box)]


def _to_itself(combinations: Iterable[Sequence[str]]) -> list[tuple[str, ...]]:
    """Return each pair of a party and itself, of parties on both sides of equal acts."""
    sides: dict[tuple[str, ...], tuple[set[str], set[str]]] = {}
    for parts in combinations:
        if parts[_TO]:
            act = tuple(part for at, part in enumerate(parts) if at not in (_PARTY, _TO))
            parties, others = sides.setdefault(act, (set(), set()))
            parties.add(parts[_PARTY])
            others.add(parts[_TO])
    pairs = []
    for act, (parties, others) in sides.items():
        for party in sorted(parties & others):
            parts = list(act)
            for at in sorted((_PARTY, _TO)):
                parts.insert(at, party)
            pairs.append(tuple(parts))
    return pairs


def _is_to_itself(members: Sequence[object]) -> bool:
    return members[_PARTY] == members[_TO]


def _is_to_itself_alone(box: _Members) -> bool:
    return _is_to_itself(box) and len(box[_TO]) == 1


def _without_itself(box: _Members) -> _Members:
    """Return a box without the pairs that stand at its edge: a single party, or a single other."""
    sides = list(box)
    for side, other in ((_PARTY, _TO), (_TO, _PARTY)):
        if len(sides[other]) == 1:
            sides[side] = tuple(name for name in sides[side] if name not in sides[other])
    return tuple(sides)


def _joined_along(side: int, boxes: Iterable[_Members]) -> list[_Members]:
    joined: dict[_Members, list[str]] = {}
    for box in boxes:
        joined.setdefault((*box[:side], *box[side + 1 :]), []).extend(box[side])
    return [
        (*rest[:side], tuple(sorted(members)), *rest[side:]) for rest, members in joined.items()
    ]


def _parts(combination: Combination) -> tuple[str, ...]:
    return tuple(getattr(combination, name) for name in _PARTS)


def _box(members: _Members, example: OutcomeChange) -> Box:
    lists = {part.lists: names for part, names in zip(PARTS, members, strict=True)}
    return Box(
        **lists,
        before=example.before,
        after=example.after,
        conditions=example.conditions,
        because=example.because,
    )

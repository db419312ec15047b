"""One table, one proof and one comparison for several agreements in force at once.

Each agreement keeps a table of its own; a look-up asks them all and joins what they say as `several` does. What was
joined once is kept: tables share their verdicts, so few of the answers that come together are new.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from itertools import product as every
from math import prod

import msgspec

from clauseway.agreement.actions import SHARE
from clauseway.decisions.compare import Combination, OutcomeChange, changes_between
from clauseway.decisions.domain import all_questions, names_sellers
from clauseway.decisions.proof import Claim, Proof, Within, check_choices, walk
from clauseway.decisions.question import Question
from clauseway.decisions.several import (
    ANY_SEGMENT,
    Asked,
    check_readings_together,
    in_their_order,
    joined_verdict,
    joint_catalog,
    own_options,
    silence,
    unnamed_in,
)
from clauseway.decisions.table import DecisionTable, Verdict
from clauseway.values import Interval, KnownAt


class JointTable:
    """Every answer of several agreements together, for one point of knowledge and the readings chosen in `readings`.

    Each reads by its own defaults what is not chosen.
    """

    def __init__(
        self, asked: Sequence[Asked], known_at: KnownAt, readings: Mapping[str, str]
    ) -> None:
        self._asked = in_their_order(asked)
        self._known_at = known_at
        self._tables = [
            DecisionTable(
                one.agreement,
                one.catalog,
                one.facts,
                known_at,
                own_options(one.agreement, readings),
            )
            for one in self._asked
        ]
        self._silent: dict[tuple[str, ...], tuple[Verdict | None, ...]] = {}
        # By the verdicts that were joined; the tables keep these, so that no other takes their place in memory.
        self._joined: dict[tuple[object, ...], Verdict] = {}

    def look_up(
        self, action: str, party: str, product: str = "", cloud: str = "", to: str = "", segment: str = "any", *,
        as_of: date, seller: str = "", region: str = "",
    ) -> Verdict:  # fmt: skip
        """The verdict on a day, as `DecisionTable.look_up` gives it. The parts are those of a valid question."""
        names = (action, party, product, cloud, to, seller)
        silent = self._silent.get(names)
        if silent is None:
            silent = self._silent[names] = self._silences(*names)
        said = [
            verdict
            or table.look_up(
                *names[:5], self._segment(one, segment), as_of=as_of, seller=seller, region=region
            )
            for one, table, verdict in zip(self._asked, self._tables, silent, strict=True)
        ]
        key = (action == SHARE, *map(id, said))
        joined = self._joined.get(key)
        if joined is None:
            joined = self._joined[key] = joined_verdict(action, self._asked, said)
        return joined

    def days(self, action: str, product: str) -> Sequence[date]:
        """The days on which an answer about an action and a product may change."""
        return sorted(
            {
                day
                for table in self._tables_of(action, product)
                for day in table.days(action, product)
            }
        )

    def _tables_of(self, action: str, product: str) -> Iterator[DecisionTable]:
        for one, table in zip(self._asked, self._tables, strict=True):
            party = min(one.catalog.parties, default="")
            if not unnamed_in(one, self._question(action, party, product)):
                yield table

    def _silences(self, *names: str) -> tuple[Verdict | None, ...]:
        """For each agreement what it says where it does not name what is asked about; None where it does."""
        question = self._question(*names)
        return tuple(
            silence(one, unnamed) if (unnamed := unnamed_in(one, question)) else None
            for one in self._asked
        )

    def _question(
        self, action: str, party: str, product: str, cloud: str = "", to: str = "", seller: str = ""
    ) -> Question:
        return Question(
            action=action,
            party=party,
            product=product,
            cloud=cloud,
            to=to,
            seller=seller or party,
            segment=ANY_SEGMENT,
            as_of=date.min,
            known_at=self._known_at,
            readings={},
        )

    @staticmethod
    def _segment(one: Asked, segment: str) -> str:
        return segment if segment in one.catalog.segments else ANY_SEGMENT


class JointSide(msgspec.Struct, frozen=True, kw_only=True):
    """What is compared: several agreements, as of a day, as known at a point. `readings` holds those chosen."""

    asked: tuple[Asked, ...]
    as_of: date
    known_at: KnownAt
    readings: Mapping[str, str]


def compare_together(before: JointSide, after: JointSide) -> tuple[OutcomeChange, ...]:
    """Every combination of all that they name that is answered otherwise after than before. Raises InvalidInput."""
    for side in (before, after):
        check_readings_together(side.asked, side.readings)
    was, now = _verdicts_of(before), _verdicts_of(after)
    return changes_between(was, now, _questions(after.asked, after.as_of, after.known_at))


def _verdicts_of(side: JointSide) -> Callable[[Combination], Verdict]:
    table = JointTable(side.asked, side.known_at, side.readings)

    def verdict(asked: Combination) -> Verdict:
        return table.look_up(
            asked.action, asked.party, asked.product, asked.cloud, asked.to, asked.segment,
            as_of=side.as_of, seller=asked.seller, region=asked.region,
        )  # fmt: skip

    return verdict


def _questions(asked: Sequence[Asked], as_of: date, known_at: KnownAt) -> Iterator[Question]:
    catalog = joint_catalog([one.catalog for one in asked])
    # Where one of them tells sellers apart, they are asked for one by one.
    agreement = next(
        (one.agreement for one in asked if names_sellers(one.agreement)), asked[0].agreement
    )
    return all_questions(agreement, catalog, as_of=as_of, known_at=known_at)


def prove_together(
    asked: Sequence[Asked],
    claim: Claim,
    within: Within,
    days: Interval,
    *,
    known_at: KnownAt,
    readings: Sequence[Mapping[str, str]],
) -> Proof:
    """Try a claim on all that lies within it, under each choice of `readings` (`every_reading_together`).

    Raises InvalidInput for unknown names, and where there is nothing to walk.
    """
    tables = [JointTable(asked, known_at, chosen) for chosen in readings]
    catalog = joint_catalog([one.catalog for one in asked])
    return walk(
        claim, within, days, catalog, _questions(asked, days.begin, known_at), tables, readings
    )


def every_reading_together(
    asked: Sequence[Asked], chosen: Mapping[str, str]
) -> list[dict[str, str]]:
    """Every choice of readings that keeps those chosen; first that in which each agreement reads by its defaults.

    A reading that several define is chosen for all of them alike. Raises InvalidInput for unknown ones, and where the
    choices are more than can be walked.
    """
    check_readings_together(asked, chosen)
    options = [[{name: option}] for name, option in chosen.items()]
    names = {name: None for one in asked for name in one.agreement.readings if name not in chosen}
    options += [_ways_to_read(asked, name) for name in names]
    check_choices(prod(map(len, options)))
    return [
        {name: option for part in choice for name, option in part.items()}
        for choice in every(*options)
    ]


def _ways_to_read(asked: Sequence[Asked], name: str) -> list[dict[str, str]]:
    """By default, then by each other option. Nothing is chosen where the defaults differ: each reads by its own."""
    readings = [one.agreement.readings[name] for one in asked if name in one.agreement.readings]
    defaults = {reading.options[0] for reading in readings}
    others = dict.fromkeys(option for reading in readings for option in reading.options)
    if len(defaults) == 1:
        return [{name: option} for option in others]
    return [{}, *({name: option} for option in others)]

"""One table, one proof and one comparison for several agreements in force at once.

Each agreement has its own table. A look-up asks every table and joins the verdicts as `several`
does. Joined verdicts are kept: tables share their verdicts, so few combinations of them are new.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from itertools import product as every
from math import prod
from operator import attrgetter

from clauseway.agreement.language.actions import SHARE
from clauseway.decisions.joint_answers import (
    AskedAgreement,
    JointSide,
    as_named_in,
    check_readings_together,
    in_their_order,
    joined_verdict,
    joint_catalog,
    own_options,
    silence,
    unnamed_in,
)
from clauseway.decisions.parts import PARTS, Names
from clauseway.decisions.question import Question
from clauseway.decisions.searches.causes import Answering
from clauseway.decisions.searches.compare import OutcomeChange, changes_between
from clauseway.decisions.searches.proof import Claim, Proof, Within, check_choices, walk
from clauseway.decisions.tables.decision_table import DecisionTable, Verdict
from clauseway.decisions.tables.domain import all_questions, names_sellers
from clauseway.values import Interval, KnownAt

# The names that an agreement must know to state anything about a question.
_silencing = attrgetter(*(part.name for part in PARTS if part.silences))


class JointTable:
    """Every joint answer of several agreements, for one point of knowledge and chosen readings.

    Each agreement uses its own default for a reading that `readings` does not choose.
    """

    def __init__(
        self, asked: Sequence[AskedAgreement], known_at: KnownAt, readings: Mapping[str, str]
    ) -> None:
        self._asked = in_their_order(asked)
        self._tables = [
            DecisionTable(
                member.agreement,
                member.catalog,
                member.facts,
                known_at,
                own_options(member.agreement, readings),
            )
            for member in self._asked
        ]
        self._silent: dict[tuple[str, ...], tuple[Verdict | None, ...]] = {}
        # Keyed by the ids of the verdicts that were joined. The ids stay valid because the tables
        # keep these verdicts in memory.
        self._joined: dict[tuple[object, ...], Verdict] = {}

    def verdict(self, asked: Names, as_of: date) -> Verdict:
        """Return the joint verdict on a day. The names are those of a valid question."""
        names = _silencing(asked)
        silent = self._silent.get(names)
        if silent is None:
            silent = self._silent[names] = self._silences(asked)
        said = [
            verdict or table.verdict(as_named_in(member, asked), as_of)
            for member, table, verdict in zip(self._asked, self._tables, silent, strict=True)
        ]
        key = (asked.action == SHARE, *map(id, said))
        joined = self._joined.get(key)
        if joined is None:
            joined = self._joined[key] = joined_verdict(asked.action, self._asked, said)
        return joined

    def days(self, action: str, product: str) -> Sequence[date]:
        """Return the days on which an answer about an action and a product may change."""
        return sorted(
            {
                day
                for table in self._tables_of(action, product)
                for day in table.days(action, product)
            }
        )

    def _tables_of(self, action: str, product: str) -> Iterator[DecisionTable]:
        for member, table in zip(self._asked, self._tables, strict=True):
            party = min(member.catalog.parties, default="")
            if not unnamed_in(member, Names(action=action, party=party, product=product)):
                yield table

    def _silences(self, asked: Names) -> tuple[Verdict | None, ...]:
        """Return the verdict of each agreement that does not name all the names asked about.

        The entry of an agreement that names them all is None.
        """
        return tuple(
            silence(member, unnamed) if (unnamed := unnamed_in(member, asked)) else None
            for member in self._asked
        )


def compare_together(before: JointSide, after: JointSide) -> tuple[OutcomeChange, ...]:
    """Return every combination of the agreements' names whose outcome differs between the sides.

    Raises InvalidInput for an unknown reading or option.
    """
    for side in (before, after):
        check_readings_together(side.asked, side.readings)
    questions = _questions(after.asked, after.as_of, after.known_at)
    return changes_between(before, after, questions, _verdicts_of)


def _verdicts_of(side: JointSide) -> Answering:
    table = JointTable(side.asked, side.known_at, side.readings)

    def verdict(asked: Names) -> Verdict:
        return table.verdict(asked, side.as_of)

    return verdict


def _questions(
    asked: Sequence[AskedAgreement], as_of: date, known_at: KnownAt, *, every_seller: bool = False
) -> Iterator[Question]:
    catalog = joint_catalog([member.catalog for member in asked])
    # If any agreement names sellers, enumerate the questions as that agreement does.
    agreement = next(
        (member.agreement for member in asked if names_sellers(member.agreement)),
        asked[0].agreement,
    )
    return all_questions(
        agreement, catalog, as_of=as_of, known_at=known_at, every_seller=every_seller
    )


def prove_together(
    asked: Sequence[AskedAgreement],
    claim: Claim,
    within: Within,
    days: Interval,
    *,
    known_at: KnownAt,
    readings: Sequence[Mapping[str, str]],
) -> Proof:
    """Try a claim on every question within `within` and `days`, under each choice of `readings`.

    `every_reading_together` makes these choices.
    Raises InvalidInput for unknown names, and if there is no such question.
    """
    tables = [JointTable(asked, known_at, chosen) for chosen in readings]
    catalog = joint_catalog([member.catalog for member in asked])
    questions = _questions(asked, days.begin, known_at, every_seller=bool(within.sellers))
    return walk(claim, within, days, catalog, questions, tables, readings)


def every_reading_together(
    asked: Sequence[AskedAgreement], chosen: Mapping[str, str]
) -> list[dict[str, str]]:
    """Return every choice of readings that keeps the chosen options, the defaults first.

    A reading that several agreements define is chosen for all of them alike. Raises InvalidInput
    for unknown readings or options, and if there are too many choices to walk.
    """
    check_readings_together(asked, chosen)
    options = [[{name: option}] for name, option in chosen.items()]
    names = {
        name: None for member in asked for name in member.agreement.readings if name not in chosen
    }
    options += [_ways_to_read(asked, name) for name in names]
    check_choices(prod(map(len, options)))
    choices = []
    for parts in every(*options):
        choice: dict[str, str] = {}
        for part in parts:
            choice |= part
        choices.append(choice)
    return choices


def _ways_to_read(asked: Sequence[AskedAgreement], name: str) -> list[dict[str, str]]:
    """Return the ways to read one reading: the default, then each other option.

    Where the agreements' defaults differ, the first way chooses nothing: each uses its own default.
    """
    readings = [
        member.agreement.readings[name] for member in asked if name in member.agreement.readings
    ]
    defaults = {reading.options[0] for reading in readings}
    options = dict.fromkeys(option for reading in readings for option in reading.options)
    if len(defaults) == 1:
        return [{name: option} for option in options]
    return [{}, *({name: option} for option in options)]

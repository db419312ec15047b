"""A claim about an agreement, proved or refuted."""

from collections.abc import Mapping, Sequence
from datetime import date

import msgspec

from clauseway.app.agreements.explaining import Explanation, explain
from clauseway.app.opening.library import OpenAgreement, day_given, known_point
from clauseway.app.opening.several import Opened, each_of
from clauseway.decisions import Outcome, check_readings_together
from clauseway.decisions.searches.joint import every_reading_together, prove_together
from clauseway.decisions.searches.proof import Claim, Proof, Within, every_reading, prove
from clauseway.values import FOREVER, Interval, KnownAt, Problem, refuse_any, through


class ProofView(msgspec.Struct, frozen=True, kw_only=True):
    """A proof as it is shown.

    `to_day` is the last day walked, empty where the range has no end; so is `days`.

    `readings` holds each choice of readings that was tried.
    """

    holds: bool
    claim: str
    combinations: int
    begin: date = msgspec.field(name="from")
    to_day: date | None
    days: int | None
    stretches: int
    known_at: str
    readings: tuple[Mapping[str, str], ...]
    counterexample: Explanation | None


def claim_of(never: Sequence[str], always: Sequence[str]) -> Claim:
    """Return the claim that the flags state, one of the two.

    Raise InvalidInput for both, none or an unknown outcome.
    """
    outcomes = [outcome.value for outcome in Outcome]
    flag, names = ("--always", always) if always else ("--never", never)
    problems = [
        Problem(
            what=f"{name!r} is not an outcome",
            why="there are four",
            where=flag,
            remedy=f"Write one of {', '.join(outcomes)}.",
        )
        for name in (*never, *always)
        if name not in outcomes
    ]
    if bool(never) == bool(always):
        remedy = "Give --never OUTCOME or --always OUTCOME, one of the two."
        problems.append(
            Problem(
                what="there is not exactly one claim",
                why="a proof tries one",
                where="--never",
                remedy=remedy,
            )
        )
    refuse_any(problems)
    return Claim(always=bool(always), outcomes=frozenset(map(Outcome, names)))


def prove_claim(
    opened: Opened,
    claim: Claim,
    within: Within,
    *,
    from_day: str | None,
    to_day: str | None,
    known_at: str | None,
    reading: Mapping[str, str],
    every_option: bool = False,
    suppositions: Sequence[str] = (),
) -> ProofView:
    """Try a claim. Without `from_day` from the first amendment on; without `to_day` for good.

    Raise InvalidInput.

    With `every_option` under every choice of the readings that `reading` leaves open, else under
    their defaults. `opened` holds what is supposed already; `suppositions` says what that was.
    """
    readings = _readings(opened, reading, every_option=every_option)
    begin, last_day, point = (
        day_given(from_day, "--from"),
        day_given(to_day, "--until"),
        known_point(known_at),
    )
    days = Interval(
        begin or _first_day(opened, point), FOREVER if last_day is None else through(last_day)
    )
    if isinstance(opened, OpenAgreement):
        parts = opened.agreement, opened.catalog, opened.facts
        proof = prove(*parts, claim, within, days, known_at=point, readings=readings)
    else:
        proof = prove_together(opened.each, claim, within, days, known_at=point, readings=readings)
    return _view(opened, claim, proof, point, readings, last_day, suppositions)


def _readings(
    opened: Opened, reading: Mapping[str, str], *, every_option: bool
) -> Sequence[Mapping[str, str]]:
    """Return every choice to be tried.

    Without `every_option` the defaults, which of several agreements are each its own.
    """
    if isinstance(opened, OpenAgreement):
        readings = every_reading(opened.agreement, reading)
        return readings if every_option else readings[:1]
    if every_option:
        return every_reading_together(opened.each, reading)
    check_readings_together(opened.each, reading)
    return [reading]


def _first_day(opened: Opened, known_at: KnownAt) -> date:
    amendments = [
        amendment for asked in each_of(opened) for amendment in asked.agreement.amendments
    ]
    begins = [amendment.effective for amendment in amendments if amendment.known <= known_at]
    first = min((amendment.effective for amendment in amendments), default=date.min)
    return min(begins, default=first)


def _view(
    opened: Opened,
    claim: Claim,
    proof: Proof,
    known_at: KnownAt,
    readings: Sequence[Mapping[str, str]],
    last_day: date | None,
    suppositions: Sequence[str],
) -> ProofView:
    counterexample = proof.counterexample
    return ProofView(
        holds=proof.holds,
        claim=str(claim),
        combinations=proof.combinations,
        begin=proof.begin,
        to_day=last_day,
        days=proof.days,
        stretches=proof.stretches,
        known_at=str(known_at),
        readings=tuple(readings),
        counterexample=explain(opened, counterexample, suppositions=suppositions)
        if counterexample
        else None,
    )

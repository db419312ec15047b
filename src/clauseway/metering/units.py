"""Billable units and their containment, so that no token is counted twice and none is dropped.

A cloud reports totals with breakdowns (`input_tokens` of which `cached_input_tokens`). An absent
unit was not reported; zero is a report of zero. `billable` turns a report into disjoint quantities
that sum to the totals.
"""

from collections.abc import Container, Mapping
from enum import IntEnum


class Unit(IntEnum):
    """A unit of usage. The number is its code in the spool and never changes; a new unit takes the
    next free code."""

    REQUESTS = 1
    INPUT_TOKENS = 2
    CACHED_INPUT_TOKENS = 3
    CACHE_WRITE_TOKENS = 4
    AUDIO_INPUT_TOKENS = 5
    OUTPUT_TOKENS = 6
    REASONING_TOKENS = 7
    AUDIO_OUTPUT_TOKENS = 8
    ACCEPTED_PREDICTION_TOKENS = 9
    REJECTED_PREDICTION_TOKENS = 10
    IMAGE_INPUT_TOKENS = 11
    IMAGE_OUTPUT_TOKENS = 12
    AUDIO_INPUT_MILLISECONDS = 13
    CACHE_WRITE_1H_TOKENS = 14  # what is kept for an hour, among all that the cache was given
    WEB_SEARCHES = 15  # by the cloud's own tool; what they bring in counts as input too
    # Of the model that draws for another, as the cloud's own tool: beside the tokens of the other.
    IMAGE_TOOL_INPUT_TOKENS = 16
    IMAGE_TOOL_IMAGE_INPUT_TOKENS = 17
    IMAGE_TOOL_OUTPUT_TOKENS = 18
    IMAGE_TOOL_IMAGE_OUTPUT_TOKENS = 19

    @property
    def column(self) -> str:
        """Return the unit's name in the lake and on statements."""
        return self.name.lower()


BY_COLUMN: Mapping[str, Unit] = {unit.column: unit for unit in Unit}

# part -> whole. A part not priced on its own is priced as its whole.
CONTAINED_IN: Mapping[Unit, Unit] = {
    Unit.CACHED_INPUT_TOKENS: Unit.INPUT_TOKENS,
    Unit.CACHE_WRITE_TOKENS: Unit.INPUT_TOKENS,
    Unit.CACHE_WRITE_1H_TOKENS: Unit.CACHE_WRITE_TOKENS,
    Unit.AUDIO_INPUT_TOKENS: Unit.INPUT_TOKENS,
    Unit.REASONING_TOKENS: Unit.OUTPUT_TOKENS,
    Unit.AUDIO_OUTPUT_TOKENS: Unit.OUTPUT_TOKENS,
    Unit.ACCEPTED_PREDICTION_TOKENS: Unit.OUTPUT_TOKENS,
    Unit.REJECTED_PREDICTION_TOKENS: Unit.OUTPUT_TOKENS,
    Unit.IMAGE_INPUT_TOKENS: Unit.INPUT_TOKENS,
    Unit.IMAGE_OUTPUT_TOKENS: Unit.OUTPUT_TOKENS,
    Unit.IMAGE_TOOL_IMAGE_INPUT_TOKENS: Unit.IMAGE_TOOL_INPUT_TOKENS,
    Unit.IMAGE_TOOL_IMAGE_OUTPUT_TOKENS: Unit.IMAGE_TOOL_OUTPUT_TOKENS,
}
_WITH_PARTS = tuple(sorted(set(CONTAINED_IN.values())))


def _wholes_of(part: Unit) -> tuple[Unit, ...]:
    whole = CONTAINED_IN[part]
    return (whole, *_wholes_of(whole)) if whole in CONTAINED_IN else (whole,)


# part -> the wholes that it lies in, the nearest first.
WHOLES_OF: Mapping[Unit, tuple[Unit, ...]] = {part: _wholes_of(part) for part in CONTAINED_IN}
# Units that are never free: usage without a price is an error. A part falls back on its whole; a
# request may cost nothing.
WHOLES = frozenset(
    {
        Unit.INPUT_TOKENS,
        Unit.OUTPUT_TOKENS,
        Unit.AUDIO_INPUT_MILLISECONDS,
        Unit.WEB_SEARCHES,
        Unit.IMAGE_TOOL_INPUT_TOKENS,
        Unit.IMAGE_TOOL_OUTPUT_TOKENS,
    }
)


def charged_in(part: Unit, priced: Container[int]) -> Unit:
    """Return the whole at whose price a part counts without a price of its own: the nearest that
    is `priced`, else the outermost."""
    *inner, outermost = WHOLES_OF[part]
    return next((whole for whole in inner if whole in priced), outermost)


def problems_of(report: Mapping[Unit, int]) -> list[str]:
    """Return the impossible figures of a cloud's report: negative counts, parts without or larger
    than their whole."""
    problems = [
        f"{unit.column} is {count}, below zero" for unit, count in report.items() if count < 0
    ]
    # Without parts nothing can contradict a whole.
    if CONTAINED_IN.keys().isdisjoint(report):
        return problems
    for whole in _WITH_PARTS:
        parts = [part for part in report if CONTAINED_IN.get(part) == whole]
        contained = sum(report[part] for part in parts)
        # A part of zero contradicts nothing, even without its whole.
        if parts and contained and whole not in report:
            problems.append(
                f"{', '.join(part.column for part in parts)} reported without {whole.column}"
            )
        elif parts and whole in report and contained > report[whole]:
            problems.append(
                f"the parts of {whole.column} sum to {contained}, more than its {report[whole]}"
            )
    return problems


def billable(report: Mapping[Unit, int], priced: frozenset[Unit]) -> dict[Unit, int]:
    """Return disjoint quantities of the `priced` units: each part with a price of its own is taken
    out of its whole.

    A part without a price of its own stays inside its whole. Units without any price are left out
    unless they are wholes: a whole without a price is an error for the price table to raise, so it
    stays in.
    """
    quantities = {unit: count for unit, count in report.items() if unit in priced or unit in WHOLES}
    for part in CONTAINED_IN:
        if part in quantities and (whole := charged_in(part, priced)) in quantities:
            quantities[whole] -= report[part]
    return quantities

"""The latest requests of this process, each with its explanation, in little memory.

Compiled ahead: every request passes here once.
"""

from collections.abc import Iterator
from typing import Final, TypeVar

import msgspec
from librt.vecs import vec
from mypy_extensions import i64

from clauseway.gateway.request.ended_attempts import EndedAttempt
from clauseway.gateway.request.explanations import RequestExplanation
from clauseway.gateway.routing.choices import Candidate, SkippedDeployment
from clauseway.metering import Buyer, Unit

_KEPT: Final = 10_000
_SHARED_MAX: Final = 256
_FIGURES: Final = 8  # the charge of a chat and six units, and what ends them
_END: Final = -1  # behind the last figure
# A unit and its count are one figure: the count in the lower bits.
_COUNT_BITS: Final = 48
_COUNT_MAX: Final = 0xFFFF_FFFF_FFFF
_CHARGE_MAX: Final = (1 << 63) - 1

T = TypeVar("T")

# Of figures that are too many or too large: as JSON, where a charge has no length.
_pack: Final = msgspec.json.Encoder().encode
_unpack_figures: Final = msgspec.json.Decoder(list[int]).decode
_unpack_attempts: Final = msgspec.json.Decoder(tuple[EndedAttempt, ...]).decode


def _zeros(count: int) -> "vec[i64]":
    return vec[i64]([0] * count)


class LatestRequests:
    """The latest `kept` requests by their number, which only rises.

    Each field is a column, so that neighbours share cache lines. A text that many requests have is
    kept once, and so are failed attempts that differ in their durations alone; the figures lie side
    by side, so that most requests add no object: whole records would take several times the memory.
    """

    def __init__(self, kept: int = _KEPT) -> None:
        self._kept = kept
        self._numbers = _zeros(kept)
        self._events_ns = _zeros(kept)
        self._statuses = _zeros(kept)
        self._estimated = _zeros(kept)
        self._figures = _zeros(_FIGURES * kept)
        self._long_figures: dict[int, bytes] = {}  # by the place where they have no room
        self._operations: list[str] = [""] * kept
        self._models: list[str] = [""] * kept
        self._messages: list[str] = [""] * kept
        self._buyers: list[Buyer | None] = [None] * kept
        self._candidate: list[Candidate | None] = [None] * kept
        self._candidates: list[tuple[Candidate, ...]] = [()] * kept
        self._strategies: list[str] = [""] * kept
        self._skipped: list[tuple[SkippedDeployment, ...]] = [()] * kept
        self._attempted: list[bytes] = [b""] * kept
        self._refused_by: list[tuple[str, ...]] = [()] * kept
        self._texts: dict[str, str] = {}
        self._attempts: dict[bytes, bytes] = {}

    def keep(self, number: int, explanation: RequestExplanation) -> None:
        # A ring: each request takes the place of an earlier one.
        place = number % self._kept
        self._numbers[place] = number
        self._events_ns[place] = explanation.event_ns
        self._statuses[place] = explanation.status
        self._estimated[place] = 1 if explanation.is_estimated else 0
        attempted = explanation.attempted
        self._keep_figures(place, explanation)
        self._operations[place] = explanation.operation
        self._models[place] = _shared(self._texts, explanation.model)
        self._messages[place] = _shared(self._texts, explanation.message)
        self._buyers[place] = explanation.buyer
        self._candidate[place] = explanation.candidate
        self._candidates[place] = explanation.candidates
        self._strategies[place] = explanation.strategy
        self._skipped[place] = explanation.skipped
        self._attempted[place] = (
            _shared(self._attempts, _without_durations(attempted)) if attempted else b""
        )
        self._refused_by[place] = explanation.refused_by

    def _keep_figures(self, place: int, explanation: RequestExplanation) -> None:
        """Keep what differs from request to request: the charge, the durations of the attempts that
        failed, and the units, each with its count."""
        if self._long_figures:
            self._long_figures.pop(place, None)
        if not self._keep_in_row(place, explanation):
            self._long_figures[place] = _pack(_figures_of(explanation))

    def _keep_in_row(self, place: int, explanation: RequestExplanation) -> bool:
        """Write the figures where room was made at the start. Return whether they have room there."""
        figures, charged = self._figures, explanation.charged
        attempted, units = explanation.attempted, explanation.units
        if charged > _CHARGE_MAX or len(attempted) + len(units) > _FIGURES - 2:
            return False
        at: i64 = place * _FIGURES
        figures[at] = charged
        for attempt in attempted:
            at += 1
            figures[at] = attempt.duration_us
        for unit, count in units:
            if count > _COUNT_MAX:
                return False
            at += 1
            code: i64 = unit
            figures[at] = (code << _COUNT_BITS) + count
        figures[at + 1] = _END
        return True

    def _figures_at(self, place: int, failed: int) -> list[int]:
        """Return the charge, the durations of so many failed attempts, and the units, each code
        followed by its count."""
        long_figures = self._long_figures.get(place)
        if long_figures is not None:
            return _unpack_figures(long_figures)
        begin = place * _FIGURES
        kept = list(self._figures[begin : begin + _FIGURES])
        kept = kept[: kept.index(_END)]
        figures = kept[: 1 + failed]
        for figure in kept[1 + failed :]:
            figures += (figure >> _COUNT_BITS, figure & _COUNT_MAX)
        return figures

    def latest(self) -> Iterator[tuple[int, RequestExplanation]]:
        """Yield those that are kept, with their numbers, the latest first."""
        last = max(self._numbers)
        for number in range(last, max(last - self._kept, 0), -1):
            kept = self.find(number)
            if kept is not None:
                yield number, kept

    def find(self, number: int) -> RequestExplanation | None:
        place = number % self._kept
        buyer = self._buyers[place]
        # The place may hold a later request, or none yet.
        if self._numbers[place] != number or buyer is None:
            return None
        packed = self._attempted[place]
        attempted = _unpack_attempts(packed) if packed else ()
        figures = iter(self._figures_at(place, len(attempted)))
        charged = next(figures)
        return RequestExplanation(
            event_ns=self._events_ns[place],
            buyer=buyer,
            operation=self._operations[place],
            model=self._models[place],
            skipped=self._skipped[place],
            attempted=tuple([attempt._replace(duration_us=next(figures)) for attempt in attempted]),
            status=self._statuses[place],
            message=self._messages[place],
            refused_by=self._refused_by[place],
            candidate=self._candidate[place],
            candidates=self._candidates[place],
            strategy=self._strategies[place],
            units=tuple([(Unit(code), next(figures)) for code in figures]),
            charged=charged,
            is_estimated=bool(self._estimated[place]),
        )


def _shared(kept: dict[T, T], value: T) -> T:
    """Return the equal value that a recent request already keeps, else this one."""
    if len(kept) > _SHARED_MAX:
        kept.clear()  # clients write the names of models: they may all differ
    return kept.setdefault(value, value)


def _figures_of(explanation: RequestExplanation) -> list[int]:
    """Return the figures of a request that have no room among those of the others."""
    figures = [explanation.charged]
    for attempt in explanation.attempted:
        figures.append(attempt.duration_us)
    for unit, count in explanation.units:
        figures += (int(unit), count)
    return figures


def _without_durations(attempted: tuple[EndedAttempt, ...]) -> bytes:
    """Pack failed attempts, all but their durations."""
    return _pack([attempt._replace(duration_us=0) for attempt in attempted])

"""The latest requests of this process, each with its explanation, in little memory.

Compiled ahead: every request passes here once.
"""

from array import array
from collections.abc import Iterator
from typing import Final, TypeVar

import msgspec

from clauseway.gateway.request.explanations import EndedAttempt, RequestExplanation
from clauseway.gateway.routing.choices import Candidate, SkippedDeployment
from clauseway.metering import Buyer, Unit

_KEPT: Final = 10_000
_SHARED_MAX: Final = 256
_FIGURES_BYTES: Final = 56  # the charge of a chat and four units, of up to ten digits each

T = TypeVar("T")

# As JSON, where a charge has no length.
_pack: Final = msgspec.json.Encoder().encode
_unpack_figures: Final = msgspec.json.Decoder(list[int]).decode
_unpack_attempts: Final = msgspec.json.Decoder(tuple[EndedAttempt, ...]).decode


class LatestRequests:
    """The latest `kept` requests by their number, which only rises.

    Each field is a column, so that neighbours share cache lines. A text that many requests have is
    kept once, and so are failed attempts that differ in their durations alone; the figures are
    packed and lie side by side, so that most requests add no object: whole records would take
    several times the memory.
    """

    def __init__(self, kept: int = _KEPT) -> None:
        self._kept = kept
        self._numbers = array("Q", bytes(8 * kept))
        self._events_ns = array("Q", bytes(8 * kept))
        self._statuses = array("H", bytes(2 * kept))
        self._estimated = bytearray(kept)
        self._figures = bytearray(_FIGURES_BYTES * kept)
        self._long_figures: dict[int, bytes] = {}  # by the place for which they are too long
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
        self._estimated[place] = explanation.is_estimated
        attempted = explanation.attempted
        self._keep_figures(place, _pack(_figures_of(explanation)))
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

    def _keep_figures(self, place: int, packed: bytes) -> None:
        if self._long_figures:
            self._long_figures.pop(place, None)
        if len(packed) > _FIGURES_BYTES:
            self._long_figures[place] = packed
            return
        start = place * _FIGURES_BYTES
        # Filled up with spaces, which JSON may end with.
        self._figures[start : start + _FIGURES_BYTES] = packed.ljust(_FIGURES_BYTES)

    def _figures_at(self, place: int) -> bytes | bytearray:
        start = place * _FIGURES_BYTES
        return self._long_figures.get(place) or self._figures[start : start + _FIGURES_BYTES]

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
        figures = iter(_unpack_figures(self._figures_at(place)))
        charged = next(figures)
        attempted = _with_durations(self._attempted[place], figures)
        return RequestExplanation(
            event_ns=self._events_ns[place],
            buyer=buyer,
            operation=self._operations[place],
            model=self._models[place],
            skipped=self._skipped[place],
            attempted=attempted,
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
    """Return what differs from request to request: the charge, the durations of the attempts that
    failed, and the codes of the units, each with its count."""
    figures = [explanation.charged]
    for attempt in explanation.attempted:
        figures.append(attempt.duration_us)
    for unit, count in explanation.units:
        # Its code as a plain integer, which is packed faster than a member of an enumeration.
        figures.append(unit | 0)
        figures.append(count)
    return figures


def _without_durations(attempted: tuple[EndedAttempt, ...]) -> bytes:
    """Pack failed attempts, all but their durations."""
    return _pack([attempt._replace(duration_us=0) for attempt in attempted])


def _with_durations(packed: bytes, durations_us: Iterator[int]) -> tuple[EndedAttempt, ...]:
    """Return failed attempts, each with the next of the durations."""
    if not packed:
        return ()
    attempted = _unpack_attempts(packed)
    return tuple([attempt._replace(duration_us=next(durations_us)) for attempt in attempted])

"""A plan as its file holds it: a line with all that is short, then lines with parts of its lists,
keys last.

So it can be read line by line, between requests. Of keys, limits and budgets, of which there may be
very many, the lines are kept and the objects let go: each is decoded again when it is first asked
for. Keys stand in the order of their digests.
"""

from bisect import bisect_right
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

import msgspec

from clauseway.gateway.plan import Budget, Epoch, Key, Plan, RateLimit, Target
from clauseway.metering import Ruling
from clauseway.values import InvalidInput

T = TypeVar("T")

# Read in microseconds, all of them: to find one key takes a line.
_ROWS_PER_LINE = 8
# Returned to the system at once when it is let go, in microseconds.
_PIECE_BYTES = 1 << 18


class PlanPart(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line: some of one list."""

    targets: tuple[Target, ...] = ()
    rulings: tuple[Ruling, ...] = ()
    epochs: tuple[Epoch, ...] = ()
    limits: tuple[RateLimit, ...] = ()
    budgets: tuple[Budget, ...] = ()
    keys: tuple[Key, ...] = ()


PLAN, PART = msgspec.json.Decoder(Plan), msgspec.json.Decoder(PlanPart)


def encode_plan(plan: Plan) -> Iterator[bytes]:
    """The lines of a plan's file, each with its end."""
    keys = sorted(plan.keys, key=lambda key: key.digest)
    parts = [
        *(PlanPart(targets=some) for some in _some(plan.targets)),
        *(PlanPart(rulings=some) for some in _some(plan.rulings)),
        *(PlanPart(epochs=(epoch,)) for epoch in plan.epochs),
        *(PlanPart(limits=some) for some in _some(plan.limits)),
        *(PlanPart(budgets=some) for some in _some(plan.budgets)),
        *(PlanPart(keys=some) for some in _some(keys)),
    ]
    short = msgspec.structs.replace(
        plan, parts=len(parts), targets=(), rulings=(), epochs=(), limits=(), budgets=(), keys=()
    )
    for line in (short, *parts):
        yield msgspec.json.encode(line) + b"\n"


def _some(rows: Sequence[T]) -> Iterator[tuple[T, ...]]:
    for begin in range(0, len(rows), _ROWS_PER_LINE):
        yield tuple(rows[begin : begin + _ROWS_PER_LINE])


class PlanRows(Generic[T]):
    """One list of a plan, decoded where it is asked for."""

    def __init__(self, of: Callable[[PlanPart], tuple[T, ...]]) -> None:
        self._of = of
        self._lines: list[bytes] = []
        self._count = 0

    def add(self, line: bytes, count: int) -> None:
        """The next line. All but the last have as many rows. Raises ValueError."""
        if self._count != len(self._lines) * _ROWS_PER_LINE or count > _ROWS_PER_LINE:
            raise ValueError(f"a line that is not the last has {_ROWS_PER_LINE} rows")
        self._lines.append(line)
        self._count += count

    def letting_go(self) -> Generator[None, None, None]:
        """Of what is not asked any more, in steps."""
        while self._lines:
            self._lines.pop()
            yield

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, at: int) -> T:
        return self._of(PART.decode(self._lines[at // _ROWS_PER_LINE]))[at % _ROWS_PER_LINE]

    def __iter__(self) -> Iterator[T]:
        for line in self._lines:
            yield from self._of(PART.decode(line))


class Keys:
    """All keys of a plan, found by their digests."""

    def __init__(self) -> None:
        self._lines: list[bytes] = []
        self._firsts: list[str] = []
        self._last = ""
        self._count = 0

    def add(self, line: bytes, keys: Sequence[Key]) -> None:
        """Add the next line of keys. Raise ValueError if the keys are out of order."""
        for key in keys:
            if key.digest <= self._last:
                raise ValueError(f"{key.digest!r} after {self._last!r}")
            self._last = key.digest
        self._lines.append(line)
        self._firsts.append(keys[0].digest)
        self._count += len(keys)

    def find(self, digest: bytes) -> Key | None:
        wanted = digest.hex()
        at = bisect_right(self._firsts, wanted) - 1
        if at < 0 or wanted.encode() not in self._lines[at]:
            return None
        return next(
            (key for key in PART.decode(self._lines[at]).keys if key.digest == wanted), None
        )

    def letting_go(self) -> Generator[None, None, None]:
        """Of what is not asked any more, in steps."""
        while self._firsts:
            self._firsts.pop()
            self._lines.pop()
            yield

    def __len__(self) -> int:
        return self._count


class Opened(NamedTuple):
    """A plan that was read and checked to its end. In `plan` limits, budgets and keys are empty:
    they are beside it. `digest` names what of it decides on requests: it is equal on machines that
    serve by the same plan."""

    plan: Plan
    limits: PlanRows[RateLimit]
    budgets: PlanRows[Budget]
    keys: Keys
    digest: str


class PlanUnread(InvalidInput):
    """The file of a plan could not be read: the machine failed, and the file may be sound."""


def read_pieces(path: Path) -> list[bytes]:
    """A plan's file, in pieces that are quickly made and let go. Raises PlanUnread."""
    pieces = []
    try:
        with path.open("rb", buffering=0) as file:
            while piece := file.read(_PIECE_BYTES):
                pieces.append(piece)
    except OSError as error:
        raise PlanUnread(*no_plan(str(error), str(path)).problems) from None
    return pieces


def lines_of(pieces: list[bytes]) -> Iterator[bytes]:
    """The lines, without their ends. Consumes the pieces."""
    pieces.reverse()
    begun: list[bytes] = []
    while pieces:
        first, *others = pieces.pop().split(b"\n")
        begun.append(first)
        for other in others:
            yield b"".join(begun)
            begun = [other]
    if rest := b"".join(begun):
        yield rest


def no_plan(why: str, where: str) -> InvalidInput:
    remedy = "Compile the plan anew; it is replaced whole, by rename."
    return InvalidInput.of(what="no readable plan", why=why, where=where, remedy=remedy)

"""The books of a story: its month is settled, closed and settled again after what came late, by production code.

It happens at a story's end, once its faults are over: what they left of the usage is what the books stand on. The
settling process itself is killed now and then, and goes on from what it had posted.
"""

import random
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Final, NamedTuple

from clauseway.app.books.closing import close_month
from clauseway.app.books.settling import settle_month
from clauseway.app.opening.library import OpenAgreement, open_agreement
from clauseway.ledger import Settlement, statement_of
from clauseway.ledger.settlement import ShareResult
from clauseway.ledger.statement import canonical_bytes
from clauseway.pricing import PriceTable, parse_book
from clauseway.values import InvalidInput, KnownAt

from .actors import MODEL, Stage, VirtualHome
from .world import SECOND

# A story is a few dozen requests: at prices a thousand times those of the gateway's plan they come to dollars.
INPUT_USD, OUTPUT_USD = Decimal("0.0025"), Decimal("0.015")
RATE: Final = Decimal("0.2")
_MONTH, _NEXT, _AFTER = "2026-11", "2026-12", date(2026, 12, 1)
_KNOWN: Final = KnownAt.end_of(date(2026, 12, 31))
_LONGEST_S: Final = 30.0
_LOOK_NS: Final = SECOND // 20
# Once at first, once with what came late, once again.
_SETTLED: Final = 3


_BOOK: Final = f"""product,cloud,seller,region,unit,begin,end,known_at,usd_per_million,source
{MODEL},,,,input_tokens,2026-01-01,,2026-01-01,{INPUT_USD * 1_000_000},the story
{MODEL},,,,output_tokens,2026-01-01,,2026-01-01,{OUTPUT_USD * 1_000_000},the story
"""


@cache
def opened_agreement() -> OpenAgreement:
    """Return the agreement that ships, read once."""
    return open_agreement()


@cache
def _prices() -> PriceTable:
    return PriceTable([parse_book(_BOOK, "prices.csv")], _KNOWN)


class Settled(NamedTuple):
    """The books' answers about a story's month: its settlements in their order, and the bytes of the last two. Where a
    step was refused or failed there are none."""

    cap: Decimal
    refusals: list[str]
    settlements: list[Settlement]
    is_closed: bool = False
    statements: tuple[bytes, ...] = ()

    @property
    def shares(self) -> tuple[ShareResult, ...]:
        """Return the shares of the month, as stated last."""
        return self.settlements[0 if self.is_closed else -1].shares

    @property
    def stated(self) -> Decimal:
        """Return what is due for the month by all that was stated of it."""
        amounts = [share.amount for share in self.shares]
        amounts += [change.amount for change in self.settlements[-1].corrections]
        return sum(amounts, Decimal(0))


class Bookkeeper:
    """Settles the month of a story in its homes, each step in a process of its own."""

    def __init__(self, stage: Stage, homes: list[VirtualHome]) -> None:
        # Chance of its own: the story before it is told the same with it and without.
        self._chance = random.Random(f"books of {stage.world.seed}")
        self._stage, self._homes = stage, homes
        self._cap = Decimal(self._chance.choice(("0.37", "1.29", "2.17", "38000000000")))
        self._settlements: list[Settlement] = []
        self._refusals: list[str] = []
        self._is_closed = False

    def begin(self) -> None:
        """Settle the month while its gateways still run, and perhaps close it."""
        self._settle(_MONTH, is_killed=self._chance.random() < 0.4)
        if self._chance.random() < 0.5:
            self._run(self._close)

    def end(self) -> Settled:
        """Settle what came late: in the month itself while it is open, else in the one after it. Then once more."""
        period = _NEXT if self._is_closed else _MONTH
        self._settle(period, is_killed=self._chance.random() < 0.4)
        self._settle(period, from_scratch=self._chance.random() < 0.5)
        if len(self._settlements) < _SETTLED:
            return Settled(self._cap, self._refusals, [])
        first, late, again = self._settlements
        statements = tuple(canonical_bytes(statement_of(each)) for each in (late, again))
        return Settled(self._cap, self._refusals, [first, late], self._is_closed, statements)

    def _settle(self, period: str, *, is_killed: bool = False, from_scratch: bool = False) -> None:
        assume = ("share-openai-microsoft", f"cap={self._cap}")
        before = len(self._settlements)

        def settle(home: VirtualHome) -> None:
            opened, prices = opened_agreement(), _prices()
            try:
                settlement = settle_month(home.home, opened, prices, period, assume, {}, from_scratch=from_scratch)
            except InvalidInput as refusal:
                self._refusals.append(str(refusal))
            else:
                self._settlements.append(settlement)

        if is_killed:
            self._run(settle, ends_after_s=self._chance.uniform(0.0, 0.1))
        if len(self._settlements) == before and not self._refusals:
            self._run(settle)
        if is_killed and self._refusals:
            # The killed one had begun to seal. As the refusal says, its home seals that again.
            self._refusals.clear()
            self._stage.world.run(self._stage.world.now_ns + self._sealed_again_ns)
            self._run(settle)

    @property
    def _sealed_again_ns(self) -> int:
        """Return the time within which each home that runs seals."""
        return int(2 * max(home.terms.upkeep_every_s for home in self._homes) * SECOND)

    def _close(self, home: VirtualHome) -> None:
        try:
            close_month(home.home, _MONTH, _AFTER)
        except InvalidInput as refusal:
            # Another home sealed usage after the settlement: the month stays open.
            self._stage.world.note(f"not closed: {refusal}")
        else:
            self._is_closed = True

    def _run(self, step: Callable[[VirtualHome], None], ends_after_s: float = _LONGEST_S) -> None:
        """Run a step in a process at one of the homes, and end it after so long."""
        world, home = self._stage.world, self._chance.choice(self._homes)
        process = world.spawn(home.machine, f"{home.name}/books", lambda: step(home))
        end_ns = world.now_ns + int(ends_after_s * SECOND)
        while process.alive and world.now_ns < end_ns:
            world.run(min(end_ns, world.now_ns + _LOOK_NS))
        if process.alive:
            world.inject("settling killed", process.name)
            process.end()

"""What stays reserved after its answer is out: a response in the background has cost nothing yet, and may cost all.

In this process's memory only. Where it is lost with the process, the slices that it was reserved from come back with
the process's leases, and what was used is known from the journal.
"""

from typing import NamedTuple

from clauseway.gateway.accounts import Account


class Held(NamedTuple):
    """A reservation: of which account, for what, and how much of it."""

    account: Account
    cloud: str
    product: str
    picodollars: int
    tokens: int


class Holds:
    """Reservations by the identifier of what is pending."""

    def __init__(self) -> None:
        self._held: dict[str, Held] = {}
        # What a client of this process is still being told of: its end comes by itself.
        self.attended: set[str] = set()

    def keep(self, identifier: str, held: Held) -> None:
        self.settle(identifier, 0, 0)  # a cloud that names two things alike
        self._held[identifier] = held

    def settle(self, identifier: str, charged: int, tokens: int) -> bool:
        """What it came to: picodollars and tokens. False where this process holds no reservation for it."""
        held = self._held.pop(identifier, None)
        if held is not None:
            held.account.settle(held.cloud, held.product, held.picodollars, charged, held.tokens, tokens)
        return held is not None

    def __len__(self) -> int:
        return len(self._held)

"""Attempts that failed or were called off, as the explanation of their request tells of them.

Not compiled: they are packed and decoded by their annotations, which a compiled class loses.
"""

from typing import NamedTuple

from clauseway.gateway.clouds.reported_units import Units


class EndedAttempt(NamedTuple):
    """An attempt that failed or was called off: where, what became of it, how long it took in
    microseconds, and what it used all the same (`charged` in picodollars), as reported or estimated.

    `ordinal` counts the attempts of a request from 1.
    """

    cloud: str
    deployment: str
    outcome: str
    status: int
    duration_us: int
    product: str
    units: Units
    charged: int
    is_estimated: bool = False
    ordinal: int = 1
    called_off: bool = False  # by the gateway: no failure of the cloud
    is_spent: bool = False  # our quota at the cloud: no wait of the client helps
    meant: int = 0  # the status that an error inside a stream would have had as an answer

    def __str__(self) -> str:
        return f"{self.cloud} {self.deployment}: {self.outcome}"

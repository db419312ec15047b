"""Replaying recorded traffic: which requests, by whose keys, under which clock."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import uvloop

from clauseway.sandbox.traffic.clock import SimulatedClock
from clauseway.sandbox.traffic.replay import Progress, ReplayReport, replay
from clauseway.sandbox.traffic.traffic import SELLERS, PlannedRequest, plan
from clauseway.sandbox.traffic.traffic_trace import parse_trace, read_sample
from clauseway.values import InvalidInput, Problem, cause_of


def planned_requests(trace: Path | None = None, limit: int = 0) -> list[PlannedRequest]:
    """Return the requests of a trace over the simulated week; at most `limit` of them, 0 for all.

    Raise InvalidInput.
    """
    try:
        rows = read_sample() if trace is None else parse_trace(trace.read_text("utf-8"), str(trace))
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput.of(
            what="the trace cannot be read",
            why=cause_of(error),
            where="--traffic",
            remedy="Give a readable CSV file.",
        ) from None
    planned = plan(rows)
    return planned[:limit] if limit else planned


def keys_by_buyer(lines: Sequence[str]) -> dict[str, str]:
    """`seller=secret` lines as the secret of each buyer in the plan.

    Raise InvalidInput where one is missing.
    """
    by_seller = dict(line.strip().split("=", 1) for line in lines if "=" in line)
    missing = [seller for seller in SELLERS.values() if seller not in by_seller]
    if missing:
        raise InvalidInput(
            *(
                Problem(
                    what=f"no key buys from {seller}",
                    why="a part of the traffic does",
                    where="--keys",
                    remedy=f"Make one (clauseway key create --organisation NAME --seller {seller}) and add the line "
                    f"{seller}=SECRET.",
                )
                for seller in missing
            )
        )
    return {buyer: by_seller[seller] for buyer, seller in SELLERS.items()}


def replay_now(
    url: str,
    keys: Mapping[str, str],
    planned: Sequence[PlannedRequest],
    on_progress: Callable[[Progress], None],
    clock: SimulatedClock | None = None,
    certificate: Path | None = None,
) -> ReplayReport:
    """Send them all and wait for every answer. `certificate` is the file of what a gateway with TLS is
    shown. Raise InvalidInput."""
    replayed = replay(
        url, keys, planned, clock=clock, on_progress=on_progress, certificate=certificate
    )
    return uvloop.run(replayed)

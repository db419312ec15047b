"""The copy of a gateway's journal at a follower, as the settings ask for it."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from clauseway.gateway.plan.settings import Copying
from clauseway.gateway.process.logs import LogQueue
from clauseway.spool import SpoolWriter
from clauseway.spool.copier import Copier, FollowerSettings, JournalFacts
from clauseway.spool.copies import parse_address, read_secret
from clauseway.values import InvalidInput


def copy_journal(
    spool: SpoolWriter,
    directory: Path,
    boot: int,
    copying: Copying,
    lines: LogQueue,
    stop: Callable[[], None],
) -> None:
    """Have a journal copied that is about to be written, where the settings say so. `stop` is
    called once another home has recovered that journal: the next start begins another one. Raise
    InvalidInput."""
    if not copying.copies:
        return
    follower = follower_of(copying)

    def tell(problem: str) -> None:
        if spool.failure is not None:
            stop()
        if problem:
            lines.event("journal copy away", problem=problem, when_away=copying.when_away)
        else:
            lines.event("journal copied again", follower=follower.address)

    facts = JournalFacts(directory, spool.identity, directory.name, boot)
    spool.copy_to(Copier(spool, facts, follower, asyncio.get_running_loop(), tell))


def follower_of(copying: Copying) -> FollowerSettings:
    """Return the follower that the settings name. Raise InvalidInput."""
    try:
        host, port = parse_address(copying.follower)
    except ValueError as error:
        remedy = "Write the address of `clauseway journal follow`, as 10.0.0.7:8410."
        raise _problem(
            f"{copying.follower!r} is no address", str(error), "follower", remedy
        ) from None
    try:
        secret = read_secret(Path(copying.secret_file))
    except ValueError as error:
        remedy = "Make one: openssl rand -hex 32 > follower.secret, and give both sides the same."
        what = f"{copying.secret_file or 'no file'} holds no secret"
        raise _problem(what, str(error), "secret_file", remedy) from None
    return FollowerSettings(host, port, secret, copying.when_away, copying.patience_s)


def _problem(what: str, why: str, member: str, remedy: str) -> InvalidInput:
    return InvalidInput.of(what=what, why=why, where=f"journal.{member}", remedy=remedy)

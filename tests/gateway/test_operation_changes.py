"""Changes that are worth a line: each is told once, with its figures, and so is its end."""

import asyncio
import errno
import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from shared_rig import shared_by

from clauseway.gateway.plan.settings import Log
from clauseway.gateway.process.ended_keys import EndedKeys
from clauseway.gateway.process.logs import LogQueue
from clauseway.gateway.process.reporting import Reporter
from clauseway.gateway.process.server import ProcessOptions, Server
from clauseway.gateway.request.shared import Shared
from clauseway.gateway.routing.health import Health
from clauseway.spool import Uncopied
from selection_rig import deployment, plan

PLACE, OTHER_MODEL = ("d", "m-1"), ("d", "m-2")


class Scene(NamedTuple):
    shared: Shared
    health: dict[tuple[str, str], Health]


Change = Callable[[Scene], None]
Line = dict[str, Any]
ROOM = "what the journal says"
NO_ROOM = OSError(errno.ENOSPC, "No space left on device")


def nothing(_: Scene) -> None:
    """The next look finds what the look before found."""


def of_spool(**members: Any) -> Change:
    def change(scene: Scene) -> None:
        for name, value in members.items():
            setattr(scene.shared.spool, name, value)

    return change


def of_index(**members: Any) -> Change:
    def change(scene: Scene) -> None:
        for name, value in members.items():
            setattr(scene.shared.resource_index, name, value)

    return change


def database_away(seconds: float, *, is_cut_off: bool = False) -> Change:
    def change(scene: Scene) -> None:
        scene.shared.database_away_s, scene.shared.is_cut_off = seconds, is_cut_off

    return change


def cloud_ahead(seconds: int) -> Change:
    def change(scene: Scene) -> None:
        for target in scene.shared.tables.targets:
            target.endpoint.clock_ahead_s = seconds

    return change


def refused(kind: str, count: int) -> Change:
    def change(scene: Scene) -> None:
        scene.shared.counts.shortages[kind, "project p"] += count

    return change


def omitted(place: tuple[str, str], part: str) -> Change:
    def change(scene: Scene) -> None:
        omissions = scene.health[place].omissions
        omissions[part] = omissions.get(part, 0) + 1

    return change


def ejected(scene: Scene) -> None:
    for organisation in ("acme", "rival"):
        for _ in range(3):
            scene.health[PLACE].failed(scene.shared.wheel.now_s, "answered 500", organisation)


def well_again(scene: Scene) -> None:
    scene.health[PLACE].succeeded()


def commit_since(seconds: float) -> Change:
    return lambda scene: of_spool(_busy=True, _last_commit_s=time.monotonic() - seconds)(scene)


def told(event: str, level: str = "warning", **facts: Any) -> list[Line]:
    return [{"event": event, "level": level, **facts}]


def info(event: str, **facts: Any) -> list[Line]:
    return told(event, "info", **facts)


AWAY = told(
    "deployment ejected", deployment="d", model="m-1", why="ejected after 5 failures in a row, the last: answered 500"
)
# One after the other: what changes, and what the look after it tells.
CHANGES: dict[str, list[tuple[Change, list[Line]]]] = {
    "a limit and a budget": [
        (refused("requests", 2), told("limit reached", kind="requests", whose="project p", refused=2)),
        (nothing, []),
        (refused("budget", 1), told("budget short", kind="budget", whose="project p", refused=1)),
        (refused("requests", 3), told("limit reached", kind="requests", whose="project p", refused=3)),
    ],
    "the clock of a cloud": [
        (cloud_ahead(90), told("clock differs", host="127.0.0.1", cloud_ahead_s=90)),
        (nothing, []),
        (cloud_ahead(0), info("clock agrees", host="127.0.0.1")),
        (nothing, []),
        (cloud_ahead(-90), told("clock differs", host="127.0.0.1", cloud_ahead_s=-90)),
    ],
    "a part of usage reports": [
        (omitted(PLACE, "cached_tokens"), told("usage omitted", deployment="d", part="cached_tokens")),
        (omitted(PLACE, "cached_tokens"), []),
        (omitted(OTHER_MODEL, "cached_tokens"), []),
        (omitted(OTHER_MODEL, "audio_tokens"), told("usage omitted", deployment="d", part="audio_tokens")),
    ],
    "the database": [
        (database_away(6.4), told("database away", "error", seconds=6, refuses=False)),
        (database_away(7.4), []),
        (database_away(61.0, is_cut_off=True), told("database away", "error", seconds=61, refuses=True)),
        (nothing, []),
        (database_away(0.0), info("database back")),
        (nothing, []),
        (database_away(61.0, is_cut_off=True), told("database away", "error", seconds=61, refuses=True)),
    ],
    "the index of identifiers": [
        (of_index(failure=NO_ROOM), told("identifiers not kept", "error", error="No space left on device")),
        (nothing, []),
        (of_index(failure=None), info("identifiers kept again")),
        (nothing, []),
        (of_index(unreadable=OSError("it is torn")), told("identifiers not kept", "error", error="it is torn")),
    ],
    "the room of the journal": [
        (of_spool(shortage=NO_ROOM), told("journal short of room", error=str(NO_ROOM), bytes_left=ROOM)),
        (nothing, []),
        (of_spool(full=NO_ROOM), told("journal full", "error", error=str(NO_ROOM))),
        (nothing, []),
        # Room for a commit is none for a segment.
        (of_spool(full=None), []),
        (of_spool(shortage=None), info("journal has room")),
        (nothing, []),
        (of_spool(full=NO_ROOM), told("journal full", "error", error=str(NO_ROOM))),
        (of_spool(full=None), info("journal has room")),
        # Events told before a commit found no room are not told again after it.
        (of_spool(shortage=NO_ROOM), told("journal short of room", error=str(NO_ROOM), bytes_left=ROOM)),
        (of_spool(shortage=None, full=NO_ROOM), told("journal full", "error", error=str(NO_ROOM))),
        (of_spool(shortage=NO_ROOM, full=None), []),
        (of_spool(shortage=None), info("journal has room")),
        # The copier tells of the copy.
        (of_spool(full=Uncopied("its follower is away")), []),
        (of_spool(full=None), []),
    ],
    "a commit": [
        (commit_since(4), []),
        (commit_since(6), told("journal hangs", "error", seconds=6)),
        (nothing, []),
        (of_spool(_busy=False), info("journal written again")),
        (nothing, []),
    ],
    "the journal": [
        (
            of_spool(failure=OSError(errno.EIO, "Input/output error")),
            told("journal failed", "error", error="[Errno 5] Input/output error"),
        ),
        (nothing, []),
        (of_spool(failure=None), []),
    ],
    "a deployment's model": [
        (ejected, AWAY),
        (nothing, []),
        (well_again, info("deployment back", deployment="d", model="m-1")),
        (nothing, []),
        (ejected, AWAY),
    ],
}


@pytest.fixture(scope="module")
def looks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[list[Line]]]:
    """Subject → what each look at it told."""
    folder = tmp_path_factory.mktemp("changes")
    log = folder / "log"

    async def look_at_all() -> None:
        async with shared_by(plan([deployment("d")]), folder) as shared:
            lines = LogQueue(Log(form="json", file=str(log)), shared.loop, io.BytesIO())
            for subject, changes in CHANGES.items():
                scene = Scene(shared, {PLACE: Health(), OTHER_MODEL: Health()})
                reporter = Reporter(shared, scene.health, lines)
                reporter.look()  # at what the subject before left
                for change, _ in changes:
                    lines.event("look", subject=subject, room=shared.spool.room_bytes)
                    change(scene)
                    reporter.look()
                lines.event("look", subject="")
            lines.close()

    asyncio.run(look_at_all())
    told_by: dict[str, list[list[Line]]] = {subject: [] for subject in ("", *CHANGES)}
    look, room = told_by[""], 0
    look.append([])
    for line in map(json.loads, log.read_text().splitlines()):
        del line["time"]
        if line["event"] == "look":
            look, room = told_by[line["subject"]], line.get("room", 0)
            look.append([])
        else:
            look[-1].append({name: ROOM if value == room else value for name, value in line.items()})
    return told_by


@pytest.mark.parametrize("subject", CHANGES)
def test_a_change_is_told_once(subject: str, looks: dict[str, list[list[Line]]]) -> None:
    assert looks[subject] == [expected for _, expected in CHANGES[subject]]


# For how many seconds the home has not said that it reached its database, and whether other homes may write there: how
# long it is away, and whether requests are refused. A busy machine says so some seconds late.
SILENCES = [
    (4.9, True, 0.0, False),
    (5.0, True, 5.0, False),
    (299.0, True, 299.0, False),
    (300.0, True, 300.0, True),
    (900.0, False, 0.0, False),
]


def test_a_home_that_is_silent_is_away_and_later_cut_off(tmp_path: Path) -> None:
    async def looks() -> list[tuple[float, bool, float, bool]]:
        seen = []
        async with shared_by(plan([deployment("d")]), tmp_path) as shared:
            assert shared.limits.database_away_s == 300.0
            for silent_s, is_shared, _, _ in SILENCES:
                options = ProcessOptions(plan=tmp_path / "plan", spool=tmp_path / "spool", shares_limits=is_shared)
                server = Server(options)
                server._shared = shared
                # It begins at 0, and is looked at once.
                clock = iter([0.0, silent_s])
                server._ended_keys = EndedKeys(tmp_path / "revocations", clock.__next__)
                shared.database_away_s, shared.is_cut_off = 0.0, False
                server._look_at_database()
                seen.append((silent_s, is_shared, shared.database_away_s, shared.is_cut_off))
        return seen

    assert asyncio.run(looks()) == SILENCES

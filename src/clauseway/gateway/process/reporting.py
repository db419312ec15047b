"""Changes on the requests' way that are worth a line: looked at once a second, reported when they
have changed."""

from collections.abc import Mapping

from clauseway.gateway.process.logs import LogQueue
from clauseway.gateway.request.refusals import HANGS_S
from clauseway.gateway.request.shared import Shared
from clauseway.gateway.routing.health import Health
from clauseway.spool import Uncopied


class Reporter:
    """Reports deployments ejected and back, parts left out of usage reports (once for each
    deployment and part), limits and budgets that fell short, a journal that failed, hangs or has
    no room, an index of identifiers that cannot be written, a database that the home does not
    reach, and clouds whose clock is another than this machine's."""

    def __init__(
        self, shared: Shared, health: Mapping[tuple[str, str], Health], lines: LogQueue
    ) -> None:
        self._shared, self._health, self._lines = shared, health, lines
        # The conditions that held at the last look.
        self._present: set[tuple[str, ...]] = set()
        self._short: dict[tuple[str, str], int] = {}
        self._skewed: set[str] = set()
        self._short_of_room = self._full = False

    def _has_changed(self, holds: bool, *condition: str) -> bool:
        """Return whether a condition has begun or ended since the last look."""
        if holds == (condition in self._present):
            return False
        if holds:
            self._present.add(condition)
        else:
            self._present.discard(condition)
        return True

    def look(self) -> None:
        """Report what has changed since the last look. To be called once a second or so."""
        now_s = self._shared.wheel.now_s
        for (deployment, model), health in self._health.items():
            is_away = health.is_away(now_s)
            if self._has_changed(is_away, "ejected", deployment, model):
                if is_away:
                    self._lines.event(
                        "deployment ejected", deployment=deployment, model=model, why=health.why
                    )
                else:
                    self._lines.event("deployment back", deployment=deployment, model=model)
        for (kind, whose), count in self._shared.counts.shortages.items():
            before = self._short.get((kind, whose), 0)
            if count != before:
                self._short[kind, whose] = count
                event = "budget short" if kind == "budget" else "limit reached"
                self._lines.event(event, kind=kind, whose=whose, refused=count - before)
        self._look_at_the_clocks()
        self._look_at_usage_reports()
        self._look_for_room()
        self._look_at_the_commit()
        self._look_at_the_index()
        self._look_for_the_database()
        failure = self._shared.spool.failure
        if failure is not None and self._has_changed(True, "journal failed"):
            self._lines.event("journal failed", error=str(failure))

    def _look_at_the_clocks(self) -> None:
        endpoints = [target.endpoint for target in self._shared.tables.targets]
        skewed = {each.host: each.clock_ahead_s for each in endpoints if each.clock_ahead_s}
        for host in skewed.keys() - self._skewed:
            self._lines.event("clock differs", host=host, cloud_ahead_s=skewed[host])
        for host in self._skewed - skewed.keys():
            self._lines.event("clock agrees", host=host)
        self._skewed = set(skewed)

    def _look_at_usage_reports(self) -> None:
        for (deployment, _), health in self._health.items():
            for part in health.omissions:
                if self._has_changed(True, "omitted", deployment, part):
                    self._lines.event("usage omitted", deployment=deployment, part=part)

    def _look_at_the_commit(self) -> None:
        commit_s = self._shared.spool.commit_s
        hangs = commit_s >= HANGS_S
        if not self._has_changed(hangs, "journal hangs"):
            return
        if hangs:
            self._lines.event("journal hangs", seconds=round(commit_s))
        else:
            self._lines.event("journal written again")

    def _look_at_the_index(self) -> None:
        index = self._shared.resource_index
        failure = index.failure or index.unreadable
        if not self._has_changed(failure is not None, "index failed"):
            return
        if failure is not None:
            self._lines.event("identifiers not kept", error=str(failure.strerror or failure))
        else:
            self._lines.event("identifiers kept again")

    def _look_for_the_database(self) -> None:
        shared = self._shared
        away = bool(shared.database_away_s)
        has_changed = self._has_changed(away, "database away")
        is_now_cut_off = self._has_changed(shared.is_cut_off, "cut off") and shared.is_cut_off
        if away and (has_changed or is_now_cut_off):
            self._lines.event(
                "database away", seconds=round(shared.database_away_s), refuses=shared.is_cut_off
            )
        elif has_changed:
            self._lines.event("database back")

    def _look_for_room(self) -> None:
        spool = self._shared.spool
        full = spool.full is not None and not isinstance(spool.full, Uncopied)
        short = spool.shortage is not None
        if full and not self._full:
            self._lines.event("journal full", error=str(spool.full))
        elif short and not self._short_of_room and not full:
            self._lines.event(
                "journal short of room", error=str(spool.shortage), bytes_left=spool.room_bytes
            )
        elif (self._full or self._short_of_room) and not full and not short:
            self._lines.event("journal has room")
        self._full, self._short_of_room = full, short or (self._short_of_room and full)

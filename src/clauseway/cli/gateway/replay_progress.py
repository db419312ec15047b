"""A replay as it goes: a bar, the business clock, and what each cloud served and refused so far."""

from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from clauseway.sandbox.traffic.replay import Progress as ReplayProgress

# Off a terminal nothing can be redrawn: a line now and then reports the progress.
_LINES = 10


class ReplayDisplay:
    """Shows a replay's progress: redrawn in place on a terminal, elsewhere a few lines; with
    `quiet`, nothing.

    `simulated` says that business time is simulated, and shows it.
    """

    def __init__(
        self, out: Console, total: int, *, simulated: bool = False, quiet: bool = False
    ) -> None:
        self._out, self._total, self._simulated, self._quiet = out, total, simulated, quiet
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=out,
        )
        self._task = self._bar.add_task("replaying", total=total)
        # Where lines cannot be drawn over, the progress is printed from time to time.
        self._live = (
            Live(self._bar, console=out, refresh_per_second=8)
            if out.is_terminal and not quiet
            else None
        )
        self._next_line = 0

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, progress: ReplayProgress) -> None:
        """Draw the progress of the replay."""
        if self._quiet:
            return
        clock = _clock(progress.business_ns) if self._simulated else "replaying"
        if self._live is not None:
            self._bar.update(self._task, completed=progress.done, description=clock)
            self._live.update(Group(self._bar, counts_table(progress)))
        elif progress.done >= self._next_line or progress.done == self._total:
            self._next_line = progress.done + max(1, self._total // _LINES)
            self._out.print(f"{clock}  {progress.done}/{self._total}  {_words(progress)}")


def counts_table(progress: ReplayProgress) -> Table:
    """Served and refused by cloud, failures by name."""
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("cloud")
    table.add_column("served", justify="right", style="green")
    table.add_column("refused", justify="right", style="red")
    for cloud in sorted({*progress.served, *progress.refused}):
        table.add_row(
            cloud, str(progress.served.get(cloud, 0)), str(progress.refused.get(cloud, 0))
        )
    for code, count in sorted(progress.failed.items()):
        table.add_row(f"failed: {code}", str(count), "")
    return table


def _clock(business_ns: int) -> str:
    return datetime.fromtimestamp(business_ns // 1_000_000_000, UTC).strftime("%d %b %Y %H:%M")


def _words(progress: ReplayProgress) -> str:
    served, refused = (
        ", ".join(f"{cloud} {count}" for cloud, count in sorted(counts.items())) or "none"
        for counts in (progress.served, progress.refused)
    )
    failed = "".join(f" · failed {code} {count}" for code, count in sorted(progress.failed.items()))
    return f"served: {served} · refused: {refused}{failed}"

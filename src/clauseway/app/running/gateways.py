"""The gateway processes of a served home: one worker or several at one port.

The parent opens the port once for each worker (SO_REUSEPORT), so that the kernel spreads connections
over them, and keeps the sockets open: what comes while a worker is replaced waits for the next one.
Each process writes a journal of its own, because a journal has one writer; what a worker that died
left open there is ended by the process that is started in its place. Workers share the plan, the
file of the resource index and the lease server.
"""

import socket
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from clauseway import spool
from clauseway.app.customers.shared_identifiers import index_of
from clauseway.app.opening.home import Home
from clauseway.app.running.processes import Child, ChildFailed, Meanwhile, nothing, run, start
from clauseway.app.usage.usage_journals import register_spool
from clauseway.files import make_folder
from clauseway.files.presence import is_folder
from clauseway.gateway.plan.settings import Settings
from clauseway.gateway.transport.listener import USUAL_PORT
from clauseway.gateway.transport.listening import listen, listen_beside, listen_together

_MODULE = "clauseway.gateway"
_ENDING = "clauseway.gateway.process.journals"
# Beyond the time that a gateway gives open requests: for its journal and its leases.
_CLOSING_S = 15.0


class Gateways:
    """The workers. `listen` opens the port, `start` starts them all."""

    def __init__(self, home: Home, count: int, clock: tuple[str, ...] = ()) -> None:
        self._home, self._clock = home, clock
        self._host, self._port, self._settings = "", 0, Settings()
        self._sockets: list[socket.socket] = []
        self._metrics: socket.socket | None = None
        self._metrics_place: tuple[str, int] | None = None
        self._count = count
        # By number: each worker is one process with a journal of its own.
        self._workers: dict[int, tuple[Child, Path]] = {}
        self._leaving: list[tuple[Child, Path]] = []
        self._reloads = self._announced = 0
        self._stop_announced = False

    def listen(self, host: str, port: int | None, settings: Settings) -> int:
        """Open the port, once for each worker, and the one for figures; return the number of the
        first. Raise InvalidInput."""
        self._host, self._settings = host, settings
        self._sockets = listen_together(host, port, USUAL_PORT, self._count)
        self._open_metrics()
        self._port = self._sockets[0].getsockname()[1]
        return self._port

    def _open_metrics(self) -> None:
        """Listen where figures are served by the present settings. Raise InvalidInput."""
        telemetry = self._settings.telemetry
        place = (telemetry.metrics_host, telemetry.metrics_port) if telemetry.metrics else None
        if place == self._metrics_place:
            return
        opened = listen(*place, place[1]) if place is not None else None
        if self._metrics is not None:
            self._metrics.close()
        self._metrics, self._metrics_place = opened, place

    def reload(self, settings: Settings) -> None:
        """Have all workers read the plan, which was replaced, now. What of its settings takes a
        restart holds once they are replaced."""
        self._settings = settings
        self._reloads += 1
        for child in self:
            child.reload()

    def heed_revocations(self) -> None:
        """Have all workers read the home's file of revocations, now."""
        self._announced += 1  # counted first: see `_start`
        for child in self:
            child.heed_revocations()

    def announce_stop(self) -> float:
        """Have all workers tell load balancers that they are about to stop; return for how many
        seconds requests are to be answered until then."""
        delay_s = self._settings.limits.stop_delay_s
        self._stop_announced = delay_s > 0
        if self._stop_announced:
            for child in self:
                child.announce_stop()
        return delay_s

    def start(self) -> None:
        """Start all workers, and end the journals that none of them writes. Raise InvalidInput,
        ChildFailed; then `stop` ends those that run.

        The first alone shows whether the plan can be served, and makes what all of them share.
        """
        self._start(0, self._free_journal())
        if self._count > 1:
            journals: list[Path] = []
            while len(journals) < self._count - 1:
                journals.append(self._free_journal(journals))
            with ThreadPoolExecutor(len(journals)) as threads:
                list(threads.map(self._start, range(1, self._count), journals))
        for journal in self._unended():
            self._end(journal)

    def __iter__(self) -> Iterator[Child]:
        return (child for child, _ in list(self._workers.values()))

    def dead(self) -> Child | None:
        """Return the first worker that has died, or None while all run."""
        return next((child for child in self if not child.running), None)

    def start_again(self, dead: Child, meanwhile: Meanwhile = nothing) -> None:
        """Start a worker in the place of one that died: it ends what is open in that one's journal.
        Until it is ready, `meanwhile` is called again and again. Raise InvalidInput, ChildFailed:
        then connections are spread over the other workers, where any runs."""
        for number, (child, journal) in self._workers.items():
            if child is dead:
                dead.stop()
                try:
                    self._start(number, journal, meanwhile)
                except BaseException:
                    # What the kernel spread to this socket would wait for as long as nobody accepts.
                    if any(other.running for other in self):
                        self._sockets[number].close()
                    raise
                return
        raise AssertionError(f"{dead.name} is no worker")

    def replace_all(self, meanwhile: Meanwhile = nothing) -> None:
        """Start another process for each worker; the former one serves until that is ready, then
        takes no new connections and leaves when its open requests have ended. Until each is ready,
        `meanwhile` is called again and again. Raise InvalidInput, ChildFailed: then the former ones
        stay."""
        self._open_metrics()
        for number, (former, journal) in list(self._workers.items()):
            self._start(number, self._free_journal(), meanwhile)
            former.ask_to_leave()
            self._leaving.append((former, journal))

    def reap(self, report: Callable[[str], None]) -> None:
        """Look after processes that were replaced and have left."""
        for leaving in self._leaving[:]:
            child, journal = leaving
            if child.running:
                continue
            self._leaving.remove(leaving)
            if code := child.stop():
                report(
                    f"{child.name} was replaced and ended with {code}; {self._try_to_end(journal)}."
                )

    def stop(self) -> None:
        """Take no more connections, and let all leave."""
        for listener in self._sockets:
            listener.close()
        # All are asked before one is waited for, so that they drain side by side.
        leaving = [child for child, _ in (*self._workers.values(), *self._leaving)]
        for child in leaving:
            child.ask_to_leave()
        for child in leaving:
            self._stop(child)
        if self._metrics is not None:
            self._metrics.close()

    def _start(self, number: int, journal: Path, meanwhile: Meanwhile = nothing) -> None:
        """Start a process as a worker, and tell it what changed while it started."""
        reloads, announced = self._reloads, self._announced
        child = self._started(number, journal, meanwhile)
        # INVARIANT: it is among the workers before anything is compared. Revocations are announced
        # by another thread: either that finds it there, or the count is another one here.
        self._workers[number] = (child, journal)
        # The child may have read the plan that stood there before.
        if self._reloads != reloads:
            child.reload()
        # Keys may have been revoked before the child read the file of ended secrets, or since.
        if self._announced != announced:
            child.heed_revocations()
        if self._stop_announced:
            child.announce_stop()

    def _started(self, number: int, journal: Path, meanwhile: Meanwhile) -> Child:
        home = self._home
        if is_folder(journal):
            spool.set_fenced_aside(journal)
        register_spool(home, journal)
        index = self._index
        # Both names are forced: whoever made the folders may have died before that.
        make_folder(home.spools)
        make_folder(index.parent)
        passed = [self._listening(number).fileno()]
        arguments = [
            *("--plan", str(home.plan)),
            *("--spool", str(journal)),
            *("--issued", str(index)),
            *("--host", self._host),
            *("--listener", str(passed[0])),
            *("--worker", str(number), str(self._count)),
            *("--control", str(home.gateway_socket_of(journal.name))),
            *("--damages", str(home.damages)),
            *("--revocations", str(home.revocations)),
            *("--refused", str(home.refused_by(journal.name))),
        ]
        if home.may_be_shared:
            arguments.append("--shares-limits")
        if self._metrics is not None:
            passed.append(self._metrics.fileno())
            arguments += ["--metrics-listener", str(passed[-1])]
        name = "the gateway" if self._count == 1 else f"worker {number} of the gateway"
        log = home.logs / f"{journal.name}.log"
        child = start(
            name,
            _MODULE,
            [*arguments, *self._clock],
            log,
            passed=passed,
            meanwhile=meanwhile,
        )
        try:
            register_spool(home, journal)  # again: now it has the segment that this gateway writes
        except BaseException:
            # Nobody would know of it, and it would keep the next one from the journal.
            self._stop(child)
            raise
        return child

    def _listening(self, number: int) -> socket.socket:
        """Return the socket of a worker; another one at the same port where it was closed."""
        if self._sockets[number].fileno() < 0:
            self._sockets[number] = listen_beside(self._host, self._port)
        return self._sockets[number]

    def _stop(self, child: Child) -> None:
        child.stop(self._settings.limits.drain_s + _CLOSING_S)

    @property
    def _index(self) -> Path:
        """Return the file of the resource index, which all workers share."""
        return index_of(self._home)

    def _free_journal(self, promised: Iterable[Path] = ()) -> Path:
        """Return the first journal that is not promised and that no process writes, whoever started
        that process: a gateway outlives a `serve` that was killed until its open requests have
        ended."""
        taken = {journal for _, journal in (*self._workers.values(), *self._leaving)}
        taken.update(promised)
        number = 0
        while True:
            journal = self._home.gateway_journal(number)
            if journal not in taken and not spool.is_written(journal):
                return journal
            number += 1

    def _unended(self) -> list[Path]:
        """Return the journals of gateways in which something may be open and that nobody writes:
        more workers ran before."""
        own = {journal for _, journal in self._workers.values()}
        others = [journal for journal in self._home.gateway_journals() if journal not in own]
        return [
            journal for journal in others if not spool.is_written(journal) and _is_unended(journal)
        ]

    def _try_to_end(self, journal: Path) -> str:
        """End a journal, and return that it was ended, or why it is left to the next start."""
        try:
            self._end(journal)
        except (ChildFailed, OSError) as error:
            return f"its journal is left to the next start, because it could not be ended: {error}"
        return "its journal was ended"

    def _end(self, journal: Path) -> None:
        log = self._home.logs / f"{journal.name}.log"
        run(
            f"the end of the journal {journal.name}", _ENDING, [str(journal), str(self._index)], log
        )


def _is_unended(journal: Path) -> bool:
    places = spool.positions(journal)
    return bool(places) and not places[-1].closed

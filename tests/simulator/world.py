"""Virtual time, machines with clocks of their own, and processes with threads of their own.

One heap of events is the whole of time. Every thread of every process is a greenlet: it runs until it asks the
virtual operating system for something that takes time, leaves the hub an event for when that is over, and goes on
then. So one seed gives one order of everything, and a process can be ended at each point where it waits for a disk,
a lock, a socket or another thread: its greenlets are never resumed.
"""

import asyncio
import heapq
import inspect
import random
import re
import traceback
from collections import Counter, deque
from collections.abc import Callable
from typing import Any, Final

import greenlet

SECOND: Final = 1_000_000_000
# Noon of a day in 2026, when each world begins.
BEGIN_NS: Final = 1_795_608_000 * SECOND
_EVENTS_MAX: Final = 2_000_000
_FOLDER: Final = re.compile(r"/\S*/simulated-[^/]+")
_FIRST_PID: Final = 4_000_000  # beyond those of any real process


class Machine:
    """A machine: its clocks and whether it is on. Its monotonic clock drifts, its wall clock is wrong and jumps."""

    def __init__(self, world: "World", name: str) -> None:
        self._world, self.name = world, name
        self.processes: list[Process] = []
        self.drift_ppm = 0
        self.offset_ns = 0
        self._up_since_ns = 0
        self.boots = 0
        self.is_off = False
        self.restart()

    def restart(self) -> None:
        """Begin the monotonic clock anew, as a machine that starts does."""
        self.boots += 1
        self.is_off = False
        self._up_since_ns = self._world.now_ns
        # Never near zero: production code may take 0 for "not yet".
        self._begin_ns = 1_000 * SECOND * self.boots

    def stop(self) -> None:
        """Take its power away: its processes end at once, and nobody is told."""
        self.is_off = True
        for process in list(self.processes):
            process.end()

    def monotonic_ns(self) -> int:
        passed = self._world.now_ns - self._up_since_ns
        return self._begin_ns + passed + passed * self.drift_ppm // 1_000_000

    def wall_ns(self) -> int:
        return BEGIN_NS + self._world.now_ns + self.offset_ns


class Process:
    """A process of a machine: alive until it ends, is killed or its machine stops."""

    def __init__(self, world: "World", machine: Machine, name: str, pid: int) -> None:
        self._world = world
        self.machine, self.name, self.pid = machine, name, pid
        self.alive = True
        self.began_ns = world.now_ns
        self.ended_ns = 0
        self.on_end: list[Callable[[], None]] = []  # what the kernel does for whoever ends
        self.loop: Any = None
        self.is_orderly = False

    def end(self) -> None:
        """End it: nothing of it ever runs again. The kernel closes its files, locks and sockets."""
        if self.alive:
            self.alive = False
            self.ended_ns = self._world.now_ns
            self.machine.processes.remove(self)
            for call in self.on_end:
                call()


class Fault(Exception):
    """Something that must not happen in any world: a law is broken, or our own code raised."""


class World:
    """All machines at one instant of virtual time. `chance` decides everything that is left to chance."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.chance = random.Random(seed)
        self.now_ns = 0
        self.current: Process | None = None
        self.machines: dict[str, Machine] = {}
        self.history: list[str] = []
        self.faults: Counter[str] = Counter()
        self.operations = 0
        self.broken: list[tuple[str, str]] = []  # (law, what was seen)
        self.pids: dict[int, Process] = {}
        self.tasks: list[Any] = []  # of all loops, kept until the end
        self._threads: list[Any] = []
        self._is_over = False
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._number = 0
        self._hub = greenlet.getcurrent()
        self._next_pid = _FIRST_PID

    # -- what is written down

    def note(self, text: str) -> None:
        """Write a line of the history: the same seed writes the same lines."""
        if self._is_over:
            return
        # Errors name files by the folder of this very telling.
        self.history.append(f"{self.now_ns / SECOND:.6f} {_FOLDER.sub('', text)}")

    def inject(self, kind: str, text: str = "") -> None:
        """Count a fault that is injected, and note it."""
        self.faults[kind] += 1
        self.note(f"fault: {kind} {text}".rstrip())

    def breaks(self, law: str, text: str) -> None:
        """Note that a law is broken."""
        if self._is_over:
            return
        self.broken.append((law, text))
        self.note(f"BROKEN {law}: {text}")

    # -- machines and processes

    def machine(self, name: str) -> Machine:
        if name not in self.machines:
            self.machines[name] = Machine(self, name)
        return self.machines[name]

    def spawn(self, machine: Machine, name: str, main: Callable[[], None]) -> Process:
        """Start a process whose first thread runs `main`; it ends with that thread."""
        self._next_pid += 1
        process = Process(self, machine, name, self._next_pid)
        machine.processes.append(process)
        self.pids[process.pid] = process

        def run() -> None:
            main()
            process.is_orderly = True
            process.end()

        self.thread(process, run)
        return process

    def thread(self, process: Process, main: Callable[[], None]) -> None:
        """Start a thread of a process."""

        def run() -> None:
            try:
                main()
            except greenlet.GreenletExit:
                raise
            except BaseException as error:
                if self._is_over:
                    return
                frames = "".join(traceback.format_exception(error)[-3:])
                self.breaks("no process ends by a fault of its own", f"{process.name}: {frames}")
                process.end()

        fresh = greenlet.greenlet(run, parent=self._hub)
        self._threads.append(fresh)
        self.at(self.now_ns, lambda: self._resume(fresh, process))

    # -- time

    def at(self, at_ns: int, call: Callable[[], None]) -> None:
        """Have something happen at an instant."""
        self._number += 1
        heapq.heappush(self._heap, (max(at_ns, self.now_ns), self._number, call))

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        self.at(self.now_ns + int(seconds * SECOND), call)

    def run(self, until_ns: int) -> None:
        """Let everything happen up to an instant."""
        for _ in range(_EVENTS_MAX):
            if not self._heap or self._heap[0][0] > until_ns:
                self.now_ns = max(self.now_ns, until_ns)
                return
            self.now_ns, _, call = heapq.heappop(self._heap)
            call()
        raise Fault("the world does not come to rest")

    def run_seconds(self, seconds: float) -> None:
        self.run(self.now_ns + int(seconds * SECOND))

    @property
    def is_hub(self) -> bool:
        return greenlet.getcurrent() is self._hub

    def pause(self, seconds: float) -> None:
        """Let the running thread wait: the place where a process may be killed. Outside of processes, nothing."""
        if self.is_hub:
            return
        process, thread = self.current, greenlet.getcurrent()
        assert process is not None
        self.after(seconds, lambda: self._resume(thread, process))
        self._leave()

    def _leave(self) -> None:
        if self._is_over:
            raise greenlet.GreenletExit
        loop = asyncio._get_running_loop()
        self._hub.switch()
        asyncio._set_running_loop(loop)

    def _resume(self, thread: Any, process: Process) -> None:
        if not process.alive:
            return
        self.current = process
        try:
            thread.switch()
        finally:
            self.current = None
            asyncio._set_running_loop(None)

    def bury(self) -> None:
        """End every thread that waits for something, the dead ones too: what they hold is never freed otherwise, as
        nobody sees into the stack of a greenlet. What they do as they end is in no history."""
        self._is_over = True
        self._heap.clear()
        for process in self.pids.values():
            process.alive = False
        for thread in self._threads:
            if thread:
                thread.throw(greenlet.GreenletExit)
        self._threads.clear()
        for task in self.tasks:
            if inspect.getcoroutinestate(task.get_coro()) == inspect.CORO_CREATED:
                task.get_coro().close()  # it was never begun, which Python warns of otherwise
        self.tasks.clear()


class Signal:
    """Threads that wait until something happens."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._waiting: deque[tuple[Any, Process, list[bool]]] = deque()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for `notify`; False where the time is over before."""
        world, thread = self._world, greenlet.getcurrent()
        assert not world.is_hub, "the hub cannot wait"
        process = world.current
        assert process is not None
        state: list[bool] = []
        self._waiting.append((thread, process, state))
        if timeout_s is not None:

            def give_up() -> None:
                if not state:
                    state.append(False)
                    world._resume(thread, process)

            world.after(timeout_s, give_up)
        world._leave()
        return state[0]

    def notify(self) -> None:
        """Wake all that wait, at this instant."""
        waiting, self._waiting = self._waiting, deque()
        for thread, process, state in waiting:
            if not state:
                state.append(True)
                self._world.at(self._world.now_ns, lambda t=thread, p=process: self._world._resume(t, p))  # type: ignore[misc]

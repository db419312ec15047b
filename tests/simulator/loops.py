"""An asyncio loop of one process on virtual time.

It runs in the first greenlet of its process. What its callbacks ask of the disk takes time, as it does in a real
process: meanwhile nothing else of this loop runs, and everything else of the world goes on.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, NamedTuple

from .network import Address, Network
from .world import Process, Signal, World

# The part of a loop that production code and asyncio ask for, and no more: it is declared to be all of one.
_Loop: Any = asyncio.AbstractEventLoop


class VirtualLoop(_Loop):  # type: ignore[misc]
    """The loop of `process`; `serve` runs a coroutine to its end."""

    def __init__(self, world: World, network: Network, process: Process) -> None:
        self._world, self._network, self._process = world, network, process
        self._ready: deque[asyncio.Handle] = deque()
        self._woken = Signal(world)
        self._idle = False
        process.loop = self

    def serve(self, main: Coroutine[Any, Any, None]) -> None:
        """Run until `main` is over. Raise what it raises."""
        asyncio._set_running_loop(self)
        task = self.create_task(main)
        while not task.done():
            if not self._ready:
                self._idle = True
                self._woken.wait()
                self._idle = False
            while self._ready:
                handle = self._ready.popleft()
                if not handle._cancelled:
                    handle._run()
        # As `asyncio.run` does: what is left open is cancelled.
        asyncio._set_running_loop(None)
        task.result()

    def time(self) -> float:
        return self._process.machine.monotonic_ns() / 1e9

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return not self._process.alive

    # -- callbacks

    def call_soon(self, callback: Callable[..., Any], *args: Any, context: Context | None = None) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._enter(handle)
        return handle

    call_soon_threadsafe = call_soon

    def _enter(self, handle: asyncio.Handle) -> None:
        if self._process.alive:
            self._ready.append(handle)
            if self._idle:
                self._woken.notify()

    def call_later(
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        timer = asyncio.TimerHandle(when, callback, args, self, context)

        def due() -> None:
            if not timer._cancelled:
                self._enter(timer)

        self._world.after(max(when - self.time(), 0.0), due)
        return timer

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        pass

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self._world.breaks(
            "no process ends by a fault of its own", f"{self._process.name}: {context['message']} {error!r}"
        )

    # -- tasks

    def create_future(self) -> "asyncio.Future[Any]":
        return asyncio.Future(loop=self)

    def create_task(self, coroutine: Any, *, name: str | None = None, context: Context | None = None) -> Any:
        task = asyncio.Task(coroutine, loop=self, name=name or "task", context=context)
        # Of a process that is killed, tasks are left as they are.
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        self._world.tasks.append(task)
        return task

    def run_in_executor(self, executor: Any, function: Callable[..., Any], *args: Any) -> Any:
        future = self.create_future()

        def settle(result: Any, error: BaseException | None) -> None:
            if not future.cancelled():
                if error is None:
                    future.set_result(result)
                else:
                    future.set_exception(error)

        def run() -> None:
            try:
                result = function(*args)
            except Exception as error:
                self.call_soon(settle, None, error)
            else:
                self.call_soon(settle, result, None)

        self._world.thread(self._process, run)
        return future

    # -- sockets and signals

    def add_reader(self, fd: Any, callback: Callable[..., Any], *args: Any) -> None:
        fd.watch_readable(lambda: self.call_soon(callback, *args))

    def remove_reader(self, fd: Any) -> bool:
        fd.watch_readable(None)
        return True

    def add_writer(self, fd: Any, callback: Callable[..., Any], *args: Any) -> None:
        self.call_soon(callback, *args)

    def remove_writer(self, fd: Any) -> bool:
        return True

    def add_signal_handler(self, sig: int, callback: Callable[..., Any], *args: Any) -> None:
        """Signals are the simulator's own calls."""

    async def create_connection(
        self, factory: Callable[[], Any], host: Any = None, port: Any = None, sock: Any = None, **_: Any
    ) -> Any:
        """`sock` is a `PlannedConnection`, where there is one."""
        address = (host, port) if sock is None else sock.address
        return await self._network.connect(self._process, self, address, factory)

    async def create_unix_connection(self, factory: Callable[[], Any], path: Any = None, **_: Any) -> Any:
        return await self._network.connect(self._process, self, (str(path), 0), factory)


class PlannedConnection(NamedTuple):
    """A socket before the loop connects it: names are machines, and each has one address."""

    address: Address

    def close(self) -> None:
        pass


def process_of(
    world: World, network: Network, machine: Any, name: str, main: Callable[[], Coroutine[Any, Any, None]]
) -> Process:
    """Start a process whose first thread runs a loop with `main`."""

    def run() -> None:
        process = world.current
        assert process is not None
        VirtualLoop(world, network, process).serve(main())

    return world.spawn(machine, name, run)

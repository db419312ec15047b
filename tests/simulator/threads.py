"""`threading` and `queue` for greenlets: as much of them as production code asks for."""

from collections import deque
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import greenlet

from .world import Signal, World


def threading_of(world: World) -> SimpleNamespace:
    """Return the stand-in for the module `threading`."""
    current: dict[Any, Any] = {}

    class Thread:
        """A thread of the process that starts it."""

        def __init__(
            self, target: Callable[..., Any], args: tuple[Any, ...] = (), name: str = "", daemon: bool = False
        ) -> None:
            self._target, self._args = target, args
            self._over, self._ended = False, Signal(world)

        def start(self) -> None:
            process = world.current
            assert process is not None

            def run() -> None:
                current[greenlet.getcurrent()] = self
                try:
                    self._target(*self._args)
                finally:
                    current.pop(greenlet.getcurrent(), None)
                    self._over = True
                    self._ended.notify()

            world.thread(process, run)

        def join(self, timeout: float | None = None) -> None:
            if not self._over:
                self._ended.wait(timeout)

    class Lock:
        """A lock; with no pre-emption it is contended only where its holder waits."""

        def __init__(self) -> None:
            self._held, self._free = False, Signal(world)

        def __enter__(self) -> "Lock":
            while self._held:
                self._free.wait()
            self._held = True
            return self

        def __exit__(self, *_: object) -> None:
            self._held = False
            self._free.notify()

    class Event:
        def __init__(self) -> None:
            self._is_set, self._changed = False, Signal(world)

        def set(self) -> None:
            self._is_set = True
            self._changed.notify()

        def is_set(self) -> bool:
            return self._is_set

        def wait(self, timeout: float | None = None) -> bool:
            if not self._is_set:
                self._changed.wait(timeout)
            return self._is_set

    def current_thread() -> Any:
        return current.get(greenlet.getcurrent())

    return SimpleNamespace(Thread=Thread, Lock=Lock, Event=Event, current_thread=current_thread)


def queue_of(world: World) -> type[Any]:
    """Return the stand-in for `queue.SimpleQueue`."""

    class SimpleQueue:
        def __init__(self) -> None:
            self._items: deque[Any] = deque()
            self._came = Signal(world)

        def __class_getitem__(cls, _: Any) -> type[Any]:
            return cls

        def put(self, item: Any) -> None:
            self._items.append(item)
            self._came.notify()

        def get(self) -> Any:
            while not self._items:
                self._came.wait()
            return self._items.popleft()

        def empty(self) -> bool:
            return not self._items

    return SimpleQueue

"""The simulated business clock: eight bytes that the replay writes and every other process reads.

The file holds one signed 64-bit integer in this machine's byte order, nanoseconds since 1970 (UTC).
Readers map it.
"""

import mmap
import sys
from pathlib import Path
from types import TracebackType

_BYTES = 8


class SimulatedClock:
    """The one writer of a simulated clock.

    INVARIANT: the clock never goes back, so an event once past an amendment's instant cannot fall
    before it again. A reader sees the old instant or the new one: assigning to a view of eight
    aligned bytes is one store, while `struct` with a stated byte order stores byte by byte.
    """

    def __init__(self, file: mmap.mmap, instant_ns: int) -> None:
        self._file = file
        self._view = memoryview(file).cast("q")
        self._instant_ns = instant_ns

    @classmethod
    def create(cls, path: Path, start_ns: int) -> "SimulatedClock":
        """Create a clock at `path` (replaced if it exists) that shows `start_ns`."""
        path.write_bytes(start_ns.to_bytes(_BYTES, sys.byteorder, signed=True))
        with path.open("r+b") as file:
            return cls(mmap.mmap(file.fileno(), _BYTES), start_ns)

    @property
    def instant_ns(self) -> int:
        return self._instant_ns

    def set(self, instant_ns: int) -> None:
        """Advance to `instant_ns`; an earlier instant changes nothing."""
        if instant_ns > self._instant_ns:
            self._view[0] = instant_ns
            self._instant_ns = instant_ns

    def close(self) -> None:
        self._view.release()
        self._file.close()

    def __enter__(self) -> "SimulatedClock":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

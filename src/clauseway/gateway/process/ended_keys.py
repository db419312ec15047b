"""The home's file of ended secrets, as a gateway reads it: ahead of the plan that has them no more.

Whoever serves the home appends a line for each, the keyed hash of the secret in hex, and sets the
file's time as long as the home's database answers.
"""

import os
from collections.abc import Callable
from pathlib import Path

from clauseway.gateway.plan.file import Keys


class EndedKeys:
    """Ended secrets, by their digests, and how long the home has not heard of any."""

    def __init__(self, path: Path | None, now_s: Callable[[], float]) -> None:
        self._path, self._now_s = path, now_s
        self._read_to, self._file_number = 0, -1
        self._time_ns = -1
        self._heard_s = now_s()
        # The ended secrets that a plan may still have.
        self.ended: set[bytes] = set()

    def read(self) -> set[bytes]:
        """Return what was appended since the last time."""
        if self._path is None:
            return set()
        try:
            with self._path.open("rb") as file:
                status = os.fstat(file.fileno())
                # Another file, or a shorter one, was begun anew by another `serve`, whose plan has
                # none of the secrets in the former file.
                is_former = status.st_ino == self._file_number and status.st_size >= self._read_to
                begin = self._read_to if is_former else 0
                file.seek(begin)
                text = file.read()
        except OSError:
            return set()
        if status.st_mtime_ns != self._time_ns:
            self._time_ns, self._heard_s = status.st_mtime_ns, self._now_s()
        # A line that has no end yet is read the next time; one that is no digest is skipped.
        text = text[: text.rfind(b"\n") + 1]
        self._read_to, self._file_number = begin + len(text), status.st_ino
        added = {digest for line in text.split() if (digest := _digest_of(line))}
        self.ended |= added
        return added

    @property
    def silent_s(self) -> float:
        """Return for how long the home's database has not answered, as far as is known here."""
        return 0.0 if self._path is None else self._now_s() - self._heard_s

    def forget(self, keys: Keys) -> None:
        """Forget those that a plan does not have: later plans do not have them either."""
        self.ended = {digest for digest in self.ended if keys.find(digest) is not None}


def _digest_of(line: bytes) -> bytes:
    try:
        return bytes.fromhex(line.decode("ascii"))
    except ValueError:
        return b""

"""Problems of somebody's input, as data: what, why, where and what to do.

    InvalidInput     raised where input is refused; carries all its problems, not only the first
      .problems      a tuple of Problem, in order of file and line
      .of            a refusal with a single problem
      Damaged        what the product wrote is missing or changed: whoever asked did nothing wrong
    refuse_any       raises InvalidInput with all problems, if there are any
    NOT_JSON         the exceptions of a decoder for what is not JSON
    cause_of         why a file could not be read or written, in words
    listen_problem   the problem of an address at which nothing can listen

Operating faults (a disk, a socket) stay the exceptions they are. Our own bugs are assertions.
"""

import errno
from collections.abc import Iterable
from typing import Final, Self

import msgspec

# Raised by a decoder for bytes that are no JSON, for text in them that is no UTF-8, and for JSON
# that is nested too deeply. A reader of others' input catches all three.
NOT_JSON: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """A single problem of the input. `where` is a file, a flag or a field; `line` counts from 1, 0
    for none."""

    what: str
    why: str
    where: str
    line: int = 0
    remedy: str

    @property
    def sentences(self) -> str:
        """Return the problem without its place: what, why and what to do."""
        return f"{self.what}: {self.why}. {self.remedy}"

    def __str__(self) -> str:
        place = f"{self.where}:{self.line}" if self.line else self.where
        return f"{place}: {self.sentences}"


class InvalidInput(Exception):
    """Input refused whole, with every problem found in it. Nothing was changed."""

    def __init__(self, *problems: Problem) -> None:
        assert problems, "a refusal must name a problem"
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems

    @classmethod
    def of(cls, *, what: str, why: str, where: str, line: int = 0, remedy: str) -> Self:
        """Return the refusal of input with a single problem, whose parts are those of `Problem`."""
        return cls(Problem(what=what, why=why, where=where, line=line, remedy=remedy))

    @property
    def sentences(self) -> str:
        """Return every problem in sentences, for a page."""
        return " ".join(problem.sentences for problem in self.problems)


def refuse_any(problems: Iterable[Problem]) -> None:
    """Raise InvalidInput with all of these problems; return if there are none."""
    if refused := tuple(problems):
        raise InvalidInput(*refused)


class Damaged(InvalidInput):
    """Something that this product wrote is missing, changed or out of reach."""


def cause_of(error: Exception) -> str:
    """Return why a file could not be read or written. An error of the system gives its words alone:
    its number says nothing to a person, and `where` has the path."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


_OTHER_ADDRESS = "Name another address or port (0 takes any free port)."
_LISTEN_REMEDIES: Final = {
    errno.EACCES: "Name another port, 1024 or above, or allow this process the lower ones "
    "(CAP_NET_BIND_SERVICE).",
    errno.EADDRINUSE: "Stop what listens there, or name another address or port (0 takes any free port).",
    errno.EADDRNOTAVAIL: "Name another address, one that this machine has.",
}


def listen_problem(host: str, port: int, error: OSError) -> Problem:
    """Return the problem of an address at which a process cannot listen."""
    return Problem(
        what=f"cannot listen on port {port}",
        # The address that `socket.create_server` adds is told by `where`.
        why=cause_of(error).partition(" (while ")[0].lower(),
        where=f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
        remedy=_LISTEN_REMEDIES.get(error.errno or 0, _OTHER_ADDRESS),
    )

"""Requests that go no further before any cloud was asked."""

from typing import Final

from clauseway.gateway.budgets.shortage import duration
from clauseway.gateway.request.resource_index import IndexUnwritable
from clauseway.gateway.routing.choices import SkippedDeployment
from clauseway.gateway.wire.bodies.body_errors import BadBody, NotOffered
from clauseway.gateway.wire.errors import (
    DATABASE_AWAY,
    JOURNAL_FAILED,
    JOURNAL_FULL,
    JOURNAL_UNCOPIED,
    MALFORMED_BODY,
    NOT_OFFERED,
    ErrorKind,
    error_response,
)
from clauseway.spool import NO_ROOM, Uncopied

_ROOM_S: Final = (
    5  # the journal looks for room every second; who comes again sooner only adds to the crowd
)

# A disk that works takes milliseconds for a commit; one that is lost with its network may never answer.
HANGS_S: Final = 5.0

# Another home may serve a client that comes again, and what is open at present ends within seconds.
RETRY_IN_1_S: Final = b"retry-after: 1\r\n"


class Refused(Exception):
    """A request that goes no further, and the answer that says why. `skipped` are the deployments
    that were skipped before, `terms` those of the agreement that the answer is about; `closes`: the
    client's connection ends with the answer."""

    def __init__(
        self,
        kind: ErrorKind,
        message: str,
        *,
        param: str | None = None,
        headers: bytes = b"",
        skipped: tuple[SkippedDeployment, ...] = (),
        terms: tuple[str, ...] = (),
        closes: bool = False,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.param = param
        self.headers = headers
        self.skipped = skipped
        self.terms = terms
        self.closes = closes

    def reworded(self, message: str, param: str) -> "Refused":
        """Return the same refusal in other words, of another parameter."""
        return Refused(
            self.kind,
            message,
            param=param,
            headers=self.headers,
            skipped=self.skipped,
            terms=self.terms,
        )


def refused_body(error: BadBody, coding: bytes = b"") -> Refused:
    """Return the refusal of a body that came with that `Content-Encoding`, or of one in the lines of
    a file."""
    if isinstance(error, NotOffered):
        return Refused(NOT_OFFERED, str(error), param=error.param)
    message = str(error)
    if coding:
        name = coding.decode("latin-1")
        message += f" It came with 'Content-Encoding: {name}': send it without a coding."
    return Refused(MALFORMED_BODY, message, param=error.param)


def cut_off(away_s: float) -> Refused:
    """Return the refusal for when nobody here knows any more which keys were revoked."""
    message = (
        f"This gateway's home has not reached its database for {duration(away_s)}, so it cannot tell whether this key "
        "was revoked. It serves again once it reaches it; another one may serve you now."
    )
    return Refused(DATABASE_AWAY, message, headers=RETRY_IN_1_S)


def journal_failed(error: OSError, head_lines: bytes = b"") -> bytes:
    """Return the answer for when usage cannot be recorded, as nothing is served unmetered, or the
    identifier of what a cloud would keep."""
    why = error.strerror or str(error)
    if isinstance(error, IndexUnwritable):
        message = f"{why[0].upper()}{why[1:]}. What a cloud would keep is refused until it can; all else is served."
    else:
        message = f"The usage journal cannot be written ({why}); nothing is served until it can."
    kind = kind_of_failure(error)
    if kind.should_retry:
        head_lines = b"retry-after: %d\r\n%b" % (_ROOM_S, head_lines)
    return error_response(kind, message, headers=head_lines)


def unrecorded(error: OSError) -> str:
    """Return what became of an answer that had come when something could not be written."""
    if isinstance(error, IndexUnwritable):
        return (
            "The index of identifiers could not be written; this answer would not be found again."
        )
    return "The usage journal could not be written; this answer was not recorded."


def kind_of_failure(error: OSError) -> ErrorKind:
    """Return the kind of error that a client gets for an error of the journal."""
    if error.errno in NO_ROOM:
        return JOURNAL_FULL
    return JOURNAL_UNCOPIED if isinstance(error, Uncopied) else JOURNAL_FAILED

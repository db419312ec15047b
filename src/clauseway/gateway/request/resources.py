"""Resources that a request makes or follows at one account: responses, files and batches, by
identifier. Pure but for the time of day.

    makes      the answer names a resource; its row is durable before anybody can have read the name
    follows    the request names a resource that was made before
    pending    the resource runs on after the answer; the one request that claims its end meters its usage

`Resources` says how such a request ends; the lifecycle performs it.
"""

from time import time_ns
from typing import Final, NamedTuple

import msgspec

from clauseway.gateway.clouds.usage import Units
from clauseway.gateway.request.attempt import Attempt
from clauseway.gateway.request.issued import Hold, Issued
from clauseway.gateway.routing.tables import Customer
from clauseway.gateway.routing.targets import Reserved
from clauseway.gateway.wire.answers import Stream
from clauseway.gateway.wire.batch_files import Batching, Upload
from clauseway.gateway.wire.made import Made, made_in
from clauseway.gateway.wire.operations import FILES, State, UnderstoodRequest
from clauseway.metering import Status

GONE: Final = frozenset((404, 410))
_BATCH_OUTPUT: Final = "batch_output"


class End(NamedTuple):
    """How pending usage ended: of which resource, with which units."""

    resource: Issued
    units: Units
    status: Status


class Resources:
    """The resources of one request. `followed` is the resource that the request names, where it
    names one."""

    def __init__(
        self, customer: Customer, wanted: UnderstoodRequest, followed: Issued | None = None
    ) -> None:
        self._customer = customer
        self._wanted = wanted
        self.followed = followed
        operation = wanted.operation
        # Where the path names the resource, the answer is about it; a body may name one and make
        # another.
        self.is_about_followed = followed is not None and operation.state is State.FOLLOWS
        self.is_batch = isinstance(wanted.asked, Batching)
        self.makes = operation.state is State.ISSUES
        # OpenAI keeps a response unless the request says `store: false`; a chat completion only
        # where it says `store: true`, and then the operation is one that issues.
        self.keeps_made = self.makes and getattr(wanted.asked, "store", None) is not False

    def turn_to(self, wanted: UnderstoodRequest) -> None:
        """From here on the request is this one: its preparation has changed it."""
        self._wanted = wanted

    def reserved_for_batch(self) -> Reserved:
        """Return what a batch reserves. Limits by the minute do not hold for it: its tokens are not
        of this minute."""
        asked = self._wanted.asked
        assert isinstance(asked, Batching)
        return Reserved(asked.picodollars, 0, asked.output_tokens)

    def runs_on(self, stream: Stream | None) -> str:
        """Return the identifier of a response in the background, which goes on without its client;
        else empty."""
        made = stream.made if stream is not None else None
        if (
            made is None
            or not self._wanted.asked.later
            or self._wanted.operation.state is not State.ISSUES
        ):
            return ""
        return made.id

    # -- rows: which deployment made what, for whom

    def row(self, attempt: Attempt, identifier: str, *, pending: bool = False) -> Issued:
        wanted, deployment = self._wanted, attempt.candidate.target.name
        upload = wanted.asked if isinstance(wanted.asked, Upload) else None
        return Issued(
            identifier=identifier,
            buyer=self._customer.buyer,
            deployment=deployment,
            model=wanted.model,
            endpoint=wanted.operation.code,
            body_bytes=len(wanted.body),
            created_ns=time_ns(),
            pending=pending,
            purpose=upload.purpose if upload is not None else "",
            contents=upload.contents.get(deployment, b"") if upload is not None else b"",
            hold=self._hold(attempt, identifier) if pending and self.is_batch else None,
        )

    def _hold(self, attempt: Attempt, identifier: str) -> Hold | None:
        """Return what stays reserved until a batch ends; None where no budget holds."""
        account, target, reserved = (
            self._customer.account,
            attempt.candidate.target,
            attempt.reserved,
        )
        slices = account.slices(target.cloud, target.product) if account is not None else ()
        budgets = tuple([budget_slice.id for budget_slice in slices])
        return Hold(identifier, budgets, reserved.picodollars, time_ns()) if budgets else None

    def row_of_answer(self, attempt: Attempt, body: bytes) -> Issued | None:
        """Return the row of what a whole answer made and its cloud keeps."""
        made = made_in(body) if self.keeps_made else None
        return self.row(attempt, made.id, pending=made.pending) if made is not None else None

    def row_of_stream(self, attempt: Attempt, stream: Stream) -> Issued | None:
        """Return the row of what a stream made and its cloud keeps."""
        made = stream.made
        return self.row(attempt, made.id) if self.keeps_made and made is not None else None

    def files_of(self, status: int, body: bytes) -> list[Issued]:
        """Return rows of the files that the followed batch brought."""
        followed, made = self.followed, self._made_by_followed(status, body)
        if followed is None or made is None:
            return []
        file = msgspec.structs.replace(
            followed, endpoint=FILES, pending=False, created_ns=time_ns(), purpose=_BATCH_OUTPUT
        )
        return [msgspec.structs.replace(file, identifier=name) for name in made.files]

    # -- ends of what is pending

    def _made_by_followed(self, status: int, body: bytes) -> Made | None:
        """Return where the followed resource stands by its cloud's answer."""
        tells_end = self.is_about_followed and self._wanted.operation.tells_end
        return made_in(body) if tells_end and status == 200 else None

    def end_of_answer(self, status: int, body: bytes) -> End | None:
        """Return how the followed resource ended, where its usage is pending and the answer tells
        its end."""
        followed, operation = self.followed, self._wanted.operation
        if followed is None or not followed.pending or not self.is_about_followed:
            return None
        if status in GONE and operation.tells_end:
            return End(followed, self._estimate(followed), Status.ESTIMATED)
        made = self._made_by_followed(status, body)
        if made is None or made.pending:
            return None
        units = operation.units_in(body)
        if units is None and made.status == "completed":
            return End(followed, self._estimate(followed), Status.ESTIMATED)
        return End(followed, units or (), Status.COMPLETE)

    def end_of_stream(self, attempt: Attempt) -> End | None:
        """Return how a response in the background ended, where the stream reported its end."""
        ended = attempt.later
        if self.is_about_followed and self.followed is not None:
            ended = (
                self.followed
                if self.followed.pending and self._wanted.operation.tells_end
                else None
            )
        return End(ended, *attempt.units_of_stream()) if ended is not None else None

    def _estimate(self, resource: Issued) -> Units:
        """Estimate by the input alone, because no output was ever seen."""
        return self._wanted.operation.estimate(resource.body_bytes, 0)

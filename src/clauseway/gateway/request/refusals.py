"""A request that goes no further before any cloud was asked."""

from clauseway.gateway.routing.choices import PassedOver
from clauseway.gateway.wire.errors import Fault


class Refused(Exception):
    """A request that goes no further, and the answer that says why. `passed` is what was passed over on the way."""

    def __init__(
        self,
        fault: Fault,
        message: str,
        *,
        param: str | None = None,
        headers: bytes = b"",
        passed: tuple[PassedOver, ...] = (),
    ) -> None:
        super().__init__(message)
        self.fault = fault
        self.param = param
        self.headers = headers
        self.passed = passed

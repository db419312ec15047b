"""A check of our own, which schemathesis loads: what it calls a server's error is often a cloud's."""

from typing import Any

import schemathesis


@schemathesis.check
def no_failure_of_ours(_context: Any, response: Any, _case: Any) -> None:
    """Above 500 the answer says what is not offered, which clouds failed, or what is away."""
    assert response.status_code != 500, "a failure of ours"

"""Whether a refusal says that a server does not have the path that was asked for. Pure.

Servers that speak a vendor's format have some of its operations and lack others. They answer a
missing one with 404 that names no item and no model, with 405, or in OpenAI's words for it. The
deployment stays healthy for the operations that it has.
"""

from typing import Final

from clauseway.gateway.request.failures import Failure

_NOT_FOUND: Final = 404
_METHOD_NOT_ALLOWED: Final = 405
_INVALID_URL: Final = b"Invalid URL ("  # and the method and the path, as OpenAI writes it


def lacks_path(status: int, body: bytes, failure: Failure | None) -> bool:
    """Return whether a refusal is of the path alone; `failure` is how it was judged by its words,
    None where it speaks of the request."""
    if status == _METHOD_NOT_ALLOWED:
        return True
    if status != _NOT_FOUND:
        return False
    if _INVALID_URL in body:
        return True
    # With a code in it the outcome is of a model or of our account; some tell that in words alone.
    is_wordless = failure is not None and failure.outcome == f"answered {_NOT_FOUND}"
    return is_wordless and b"model" not in body.lower()

"""Judge whether a refusal says that a server does not have the path that was asked for. Pure.

Servers that speak a vendor's format have some of its operations and lack others. They answer a
missing one with 404 or 410 that names no item and no model, with 405, or in OpenAI's words for it;
Azure with 400 and a code where a model lacks it. The deployment stays healthy for the operations
that it has.
"""

from typing import Final

from clauseway.gateway.request.failures import is_about_operation, is_about_path

_BAD_REQUEST: Final = 400
_NOT_FOUND: Final = 404
_METHOD_NOT_ALLOWED: Final = 405
_GONE: Final = 410


def lacks_path(status: int, body: bytes) -> bool:
    """Return whether a refusal is of the path alone."""
    if status == _METHOD_NOT_ALLOWED:
        return True
    if status == _BAD_REQUEST:
        return is_about_operation(body)
    return status in (_NOT_FOUND, _GONE) and is_about_path(body)

"""OpenAI itself, and any server that speaks its format: a bearer key."""

from clauseway.gateway.clouds.dialect import Dialect, Prepare, opening, with_static_headers
from clauseway.gateway.clouds.usage import units_of
from clauseway.gateway.plan import Target

_AUTHENTICATION = {"bearer": b"authorization: Bearer "}


def prepare(target: Target) -> Prepare:
    return with_static_headers(opening(target, _AUTHENTICATION[target.auth.kind] + target.auth.secret.encode()))


DIALECT = Dialect(prepare, units_of, b"x-request-id")

"""OpenAI itself, and any server that speaks its format: a bearer key."""

from clauseway.gateway.clouds.dialect import Credential, Dialect, Prepare, with_static_headers
from clauseway.gateway.clouds.usage import units_of
from clauseway.gateway.plan import Target

_AUTHENTICATION = {"bearer": b"authorization: Bearer "}


def prepare(target: Target, credential: Credential) -> Prepare:
    return with_static_headers(target, _AUTHENTICATION[credential.kind] + credential.secret.encode())


DIALECT = Dialect(prepare, units_of, b"x-request-id")

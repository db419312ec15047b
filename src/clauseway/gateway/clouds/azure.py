"""Azure OpenAI, v1 path: an API key or an Entra token; the model is the deployment's name there."""

from clauseway.gateway.clouds.dialect import Credential, Dialect, Prepare, with_static_headers
from clauseway.gateway.clouds.usage import units_of
from clauseway.gateway.plan import Target

_AUTHENTICATION = {"api-key": b"api-key: ", "bearer": b"authorization: Bearer "}


def prepare(target: Target, credential: Credential) -> Prepare:
    return with_static_headers(target, _AUTHENTICATION[credential.kind] + credential.secret.encode())


DIALECT = Dialect(prepare, units_of, b"apim-request-id")

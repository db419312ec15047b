"""OpenAI itself, and any server that speaks its format: a key as bearer or `api-key`, or none at
all.

`settings`: `organization` and `project`, sent as OpenAI's headers of those names.
"""

from clauseway.gateway.clouds.anthropic import MESSAGES
from clauseway.gateway.clouds.dialect import (
    Credential,
    Dialect,
    Prepare,
    authentication,
    with_static_headers,
)
from clauseway.gateway.plan import Target

_TAKES = frozenset({"bearer", "api-key", "none"})
_HEADERS = {"organization": b"openai-organization: ", "project": b"openai-project: "}


def prepare(target: Target, credential: Credential) -> Prepare:
    account = [
        line + target.settings[name].encode()
        for name, line in _HEADERS.items()
        if target.settings.get(name)
    ]
    return with_static_headers(target, *authentication(credential, _TAKES), *account)


def lacks(_target: Target) -> frozenset[str]:
    return MESSAGES


DIALECT: Dialect = Dialect(prepare, b"x-request-id", _TAKES, lacks)

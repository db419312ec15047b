"""OpenAI itself, and any server that speaks its format: a key as bearer or `api-key`, or none at
all.

`settings`: `organization` and `project`, sent as OpenAI's headers of those names.
"""

from clauseway.gateway.clouds.anthropic import MESSAGES
from clauseway.gateway.clouds.dialect import (
    Credential,
    Dialect,
    HeadWriter,
    authentication,
    with_static_headers,
)
from clauseway.gateway.plan import Target

_TAKES = frozenset({"bearer", "api-key", "none"})
_HEADERS = {"organization": b"openai-organization: ", "project": b"openai-project: "}


def head_writer(target: Target, credential: Credential) -> HeadWriter:
    account = [
        line + target.settings[name].encode()
        for name, line in _HEADERS.items()
        if target.settings.get(name)
    ]
    return with_static_headers(target, *authentication(credential, _TAKES), *account)


def lacks(_target: Target) -> frozenset[str]:
    return MESSAGES


DIALECT: Dialect = Dialect(
    "openai", head_writer, b"x-request-id", _TAKES, lacks, settings=frozenset(_HEADERS)
)

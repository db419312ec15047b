"""Azure OpenAI: an API key or an Entra token; the model is the deployment's name there.

Two surfaces of OpenAI's models. v1: the root is `https://{resource}.openai.azure.com/openai/v1`, and
`settings["api_version"]` is empty, `preview` or `latest`. Dated: the root is
`https://{resource}.openai.azure.com/openai`, `settings["api_version"]` a date such as `2024-10-21`,
and what a model answers lies under `/deployments/{deployment}`. A third one serves
Anthropic's models in their own format: its root is
`https://{resource}.services.ai.azure.com/anthropic/v1`. What a dated version has is from
Azure's page on the life cycle of its API versions; judge in the tests is the vendor's client.
"""

import re
from urllib.parse import quote

from clauseway.gateway.clouds.anthropic import MESSAGES, MESSAGES_ROOT, key_lines, with_version
from clauseway.gateway.clouds.dialect import (
    OPERATIONS,
    Call,
    Credential,
    Dialect,
    HeadWriter,
    address_of,
    authentication,
    fixed_headers,
    with_fixed_headers,
    with_static_headers,
)
from clauseway.gateway.plan import Target

_TAKES = frozenset({"api-key", "bearer"})
_DATED = re.compile(r"(\d{4}-\d\d-\d\d)(-preview)?")
_UNDATED = ("", "preview", "latest", "v1")
# As the vendor's own client has them; all else lies beside `/deployments`.
_UNDER_DEPLOYMENT = frozenset(
    {
        b"/chat/completions",
        b"/completions",
        b"/embeddings",
        b"/audio/speech",
        b"/audio/transcriptions",
        b"/audio/translations",
        b"/images/generations",
        b"/images/edits",
    }
)
_SUB_DELIMITERS = "!$&'()*+,;=:@"  # what may stand in a path's segment as it is (RFC 3986, 3.3)

_NOWHERE = frozenset(
    {
        "images.variations",
        *MESSAGES,
        "moderations",
        "responses.compact",
        "responses.input_tokens",
        # Azure stores completions for evaluations and fine-tuning, and has no page that says how
        # an inference client deletes one.
        *(
            operation
            for operation in OPERATIONS
            if operation.startswith(("chat.", "conversations."))
        ),
    }
)
_RESPONSES = ("", ".retrieve", ".delete", ".cancel", ".input_items")
_BATCHES = ("create", "list", "retrieve", "cancel")
# Operation → the first preview that has it, and the first version for good ("" where there is none
# yet).
_SINCE: dict[str, tuple[str, str]] = {
    "audio.speech": ("2024-02-15", ""),
    "images.edits": ("2025-04-01", ""),
    **{f"responses{name}": ("2025-03-01", "") for name in _RESPONSES},
    **{f"batches.{name}": ("2024-07-01", "2024-10-21") for name in _BATCHES},
}
_USAGE_OPTION = ("2024-09-01", "2024-10-21")


def head_writer(target: Target, credential: Credential) -> HeadWriter:
    if _has_messages(target):
        return with_version(with_static_headers(target, *key_lines(credential)))
    version = _version(target)
    address = address_of(target.url)
    root = address.path.encode()
    fixed = fixed_headers(address, *authentication(credential, _TAKES))
    query = f"api-version={quote(version, safe='')}".encode() if version else b""
    deployment = f"/deployments/{quote(target.label.model, safe=_SUB_DELIMITERS)}".encode()
    dated = _is_dated(version)

    def path_of(call: Call) -> bytes:
        path, _, client_query = call.path.partition(b"?")
        asks_model = call.method == b"POST" and path in _UNDER_DEPLOYMENT
        under = deployment if dated and asks_model else b""
        # The version that a client of Azure's names is of our endpoint, not of this deployment.
        others = [
            part
            for part in client_query.split(b"&")
            if part and not part.startswith(b"api-version=")
        ]
        queries = b"&".join([query, *others] if query else others)
        return b"%b%b%b" % (under, path, b"?" + queries if queries else b"")

    return with_fixed_headers(root, fixed, path_of)


def lacks(target: Target) -> frozenset[str]:
    if _has_messages(target):
        return OPERATIONS - MESSAGES
    version = _version(target)
    if not _is_dated(version):
        return _NOWHERE
    return _NOWHERE | {
        operation for operation, since in _SINCE.items() if not _reaches(version, since)
    }


def takes_usage_option(target: Target) -> bool:
    version = _version(target)
    return not _is_dated(version) or _reaches(version, _USAGE_OPTION)


def _has_messages(target: Target) -> bool:
    return target.url.rstrip("/").endswith(MESSAGES_ROOT)


def _version(target: Target) -> str:
    """The API version that goes with the target's root. Raises ValueError where it is none, or
    another root's."""
    version = target.settings.get("api_version", "")
    if version not in _UNDATED and not _is_dated(version):
        raise ValueError(
            f"api_version {version!r} is no date such as 2024-10-21, nor `preview` or `latest`"
        )
    if _is_dated(version) and not target.url.rstrip("/").endswith("/openai"):
        raise ValueError(
            f"api_version {version} goes with an address that ends in /openai, not {target.url!r}"
        )
    return version


def _is_dated(version: str) -> bool:
    return _DATED.fullmatch(version) is not None


def _reaches(version: str, since: tuple[str, str]) -> bool:
    """Return whether a dated version is as new as the first preview, or the first one for good,
    that has something."""
    preview, stable = since
    if version.endswith("-preview"):
        return version >= preview
    return bool(stable) and version >= stable


DIALECT: Dialect = Dialect(
    "azure.ai.openai",
    head_writer,
    b"apim-request-id",
    _TAKES,
    lacks,
    takes_usage_option,
    settings=frozenset({"api_version"}),
)

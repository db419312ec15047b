"""Paths and error codes of the gateway, and the paths of the pages, from their OpenAPI documents."""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from clauseway.gateway.wire import errors
from clauseway.gateway.wire.errors import ErrorKind
from docsite.tables import code, table


def endpoints_page(title: str, document: Mapping[str, Any], file: str) -> str:
    """Return the page of one OpenAPI document, which is kept beside it as `file`."""
    lines = [f"# {title}", "", document["info"].get("description", ""), ""]
    lines += [f"The same as an OpenAPI {document['openapi']} document: [{file}]({file}).", ""]
    by_tag: dict[str, list[list[str]]] = {}
    aliases: dict[str, list[str]] = {}
    for path, entry in document["paths"].items():
        for method, operation in entry.items():
            if method == "parameters":
                continue
            same_as = operation.get("x-same-as")
            if same_as or not operation.get("operationId", "-"):
                aliases.setdefault(str(same_as), []).append(path)
                continue
            tag = operation.get("tags", ["pages"])[0]
            summary = operation.get("summary") or operation.get("description", "")
            by_tag.setdefault(tag, []).append([code(f"{method.upper()} {path}"), summary])
    for tag, rows in by_tag.items():
        lines += [f"## {tag}", "", *table(["method and path", "what it does"], rows)]
    if aliases:
        lines += ["## Other spellings", "", *_aliases(aliases)]
    for member, heading in _NOT_OFFERED.items():
        if member in document:
            rows = [[code(path), why] for path, why in document[member].items()]
            lines += [f"## {heading}", "", *table(["path", "why not"], rows)]
    return "\n".join(lines)


_NOT_OFFERED = {
    "x-not-offered": "Not offered",
    "x-not-offered-to-clients-of-anthropic": "Not offered to Anthropic's clients",
}


def _aliases(aliases: Mapping[str, list[str]]) -> Iterator[str]:
    yield from ["Clients that write another base address find the same:", ""]
    rows = ([code(path), ", ".join(map(code, same))] for path, same in aliases.items())
    yield from table(["path", "also at"], rows)


def codes_page() -> str:
    """Return the page of what the gateway says when it does not pass a cloud's answer on."""
    kinds = {kind: name for name, kind in vars(errors).items() if isinstance(kind, ErrorKind)}
    rows = [
        [
            f"{kind.status} {HTTPStatus(kind.status).phrase}",
            code(kind.shown_code or "null"),
            code(kind.type),
            "yes" if kind.should_retry else "no",
            _MEANINGS[kind.shown_code or "null"],
        ]
        for kind in sorted(kinds, key=lambda kind: (kind.status, kind.code))
    ]
    lines = [
        "# Error codes",
        "",
        "Made from the table by which the gateway refuses. The body is OpenAI's: `error` with "
        "`message`, `type`, `param` and `code`; to Anthropic's clients it is theirs. The header "
        "`x-should-retry` says whether trying again may help.",
        "",
        *table(["status", "code", "type", "again", "meaning"], rows),
    ]
    return "\n".join(lines)


# What a client or an operator does about it. A code that is missing here fails the build.
_MEANINGS = {
    "malformed_http": "The bytes are no HTTP request.",
    "invalid_body": "The body is not what the path takes: no JSON, or a member of the wrong form.",
    "invalid_query": "A parameter of the address is unknown, or has no such value.",
    "unknown_cloud": "The request asks for a cloud that no agreement names.",
    "invalid_api_key": "No key, or one that is unknown, revoked or expired.",
    "forbidden_by_agreement": "The agreement does not let the seller sell that; the message names each term.",
    "no_deployment": "It is permitted, at least on one cloud, and no deployment there serves it.",
    "unknown_url": "No such path.",
    "model_not_found": "No product or name of that model is configured.",
    "method_not_allowed": "The path takes another method.",
    "request_timeout": "The client took too long to send the request.",
    "role_not_permitted": "The key's role may not do that.",
    "not_found": "No such object, or one of another project.",
    "null": "No such file or conversation, or one of another project, in OpenAI's words.",
    "previous_response_not_found": "The response that it continues is not this project's.",
    "not_offered": "The vendor has it, and the gateway does not offer it; the message says why.",
    "missing_required_parameter": "The body names no model.",
    "unsupported_by_every_deployment": "Every deployment that may serve it lacks what the request needs.",
    "context_length_exceeded": "Every deployment that may serve it holds fewer tokens than the prompt has.",
    "rate_limit_exceeded": "A limit of requests or tokens is used up, here or at the clouds; `retry-after` says when.",
    "insufficient_quota": "A budget is used up.",
    "body_too_large": "The body is larger than `body_bytes`.",
    "expectation_failed": "An `Expect` header that is not understood.",
    "head_too_large": "The head is larger than `head_bytes`.",
    "internal_error": "The gateway failed at it; its log says why.",
    "clouds_failed": "Every cloud that was tried failed.",
    "clouds_unavailable": "No cloud could be reached in time.",
    "journal_failed": "The disk of the usage journal fails: nothing is served.",
    "journal_full": "The disk of the usage journal is full.",
    "journal_copy_missing": "The follower of the usage journal is away.",
    "budget_unavailable": "What is left of a budget cannot be asked for at the moment.",
    "limit_unavailable": "What is left of a limit cannot be asked for at the moment.",
    "too_many_connections": "More connections than the gateway, an address or a key may hold.",
    "too_many_bytes": "More bytes in flight than the gateway or a key may hold.",
    "too_many_frames": "More frames over WebSockets in a second than a key may send.",
    "usage_unavailable": "The sums of usage cannot be read at the moment.",
    "database_away": "The home does not reach its database, so nobody knows whether the key was revoked.",
    "objects_unavailable": "The database that says which home made the object cannot be reached.",
    "changed_meanwhile": "The object changed while it was asked for.",
    "not_ready": "The gateway is starting.",
    "stopping": "The gateway is stopping.",
    "deadline_exceeded": "No content within `deadline_s`.",
    "stream_interrupted": "A cloud broke its stream off.",
}

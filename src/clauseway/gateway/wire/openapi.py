"""The gateway's paths as an OpenAPI document, made from the tables that answer them.

The vendors' own documents say what the members of bodies mean. This one says only what the gateway
does itself: who may ask, which bodies an operation takes, and how it refuses.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from clauseway.gateway.wire import errors
from clauseway.gateway.wire.bodies.requests import decode_items
from clauseway.gateway.wire.errors import ErrorKind
from clauseway.gateway.wire.not_offered import NOT_OFFERED, NOT_OFFERED_AS_MESSAGES
from clauseway.gateway.wire.operations import OPERATIONS, Operation, UnknownPath, request_line_of

_Node = dict[str, Any]
_CANONICAL: Final = "/v1"
_ALIASES: Final = ("/openai/v1", "/openai")
_OF_MESSAGES: Final = "/anthropic/v1"
_DATED: Final = "/openai/deployments/{model}"
_ROOTS_OF_MODELS: Final = tuple(
    f"{vendor}{version}" for vendor in ("", "/openai", "/anthropic") for version in ("/v1", "")
)
_NAME: Final = {"type": "string", "minLength": 1, "maxLength": 200}
_JSON, _FORM = "application/json", "multipart/form-data"
_REFUSED: Final = {"$ref": "#/components/responses/Refused"}
_REFUSED_AS_MESSAGES: Final = {"$ref": "#/components/responses/RefusedAsMessages"}
_OBJECT: Final = {"type": "object", "additionalProperties": True}
# Operations whose body is a form, or may be one.
_FORMS: Final[Mapping[str, Sequence[str]]] = {
    "images.edits": (_JSON, _FORM),
    "images.variations": (_FORM,),
    "audio.transcriptions": (_FORM,),
    "audio.translations": (_FORM,),
    "files.create": (_FORM,),
}


def gateway_document(version: str) -> _Node:
    """Return the document, in OpenAPI 3.1, of a gateway of that version of Clauseway."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Clauseway gateway",
            "version": version,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "description": (
                "The paths of OpenAI's API and of Anthropic's messages that are offered, and the "
                "gateway's own. Bodies go through as the vendor defines them. A WebSocket on "
                "/v1/responses takes response.create. x-not-offered lists the vendors' paths that "
                "are answered with 501, each with its reason."
            ),
        },
        "servers": [{"url": "http://127.0.0.1:8400"}],
        "security": [{"bearer": []}, {"api-key": []}, {"x-api-key": []}],
        "paths": {**_vendors_paths(), **_own_paths()},
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                **{
                    name: {"type": "apiKey", "in": "header", "name": name}
                    for name in ("api-key", "x-api-key")
                },
            },
            "schemas": {"Error": _error_schema(), "MessagesError": _messages_error_schema()},
            "responses": {
                "Refused": _refused("Error"),
                "RefusedAsMessages": _refused("MessagesError"),
            },
        },
        "x-not-offered": dict(NOT_OFFERED),
        "x-not-offered-to-clients-of-anthropic": dict(NOT_OFFERED_AS_MESSAGES),
    }


def _vendors_paths() -> _Node:
    paths: _Node = {}
    for operation in OPERATIONS:
        for root, address in _addresses(operation):
            entry = paths.setdefault(address, _with_parameters(address))
            entry[operation.method.decode().lower()] = _described(operation, root)
    return paths


def _addresses(operation: Operation) -> Iterator[tuple[str, str]]:
    """Yield the roots under which an operation answers, each with the whole path."""
    path = _named_parts(operation)
    for root in (_CANONICAL, *_ALIASES, _OF_MESSAGES):
        if root != _OF_MESSAGES or operation.speaks_messages:
            yield root, root + path
    try:
        request_line = request_line_of(operation.method, b"/openai/deployments/m" + operation.path)
    except UnknownPath:
        return
    if request_line.operation is operation:
        yield _DATED, _DATED + path


def _named_parts(operation: Operation) -> str:
    """Return the path with a name for each identifier in it, as `/batches/{batch_id}`."""
    collection = operation.path.decode().split("/")[1]
    singular = "batch" if collection == "batches" else collection.removesuffix("s")
    names = iter((f"{{{singular}_id}}", "{part_id}"))
    return re.sub("%b", lambda _: next(names), operation.path.decode())


def _with_parameters(address: str) -> _Node:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": _NAME}
        for name in re.findall(r"{(\w+)}", address)
    ]
    return {"parameters": parameters} if parameters else {}


def _described(operation: Operation, root: str) -> _Node:
    described: _Node = {
        "summary": operation.name,
        "tags": ["messages" if operation.speaks_messages else operation.name.partition(".")[0]],
        "responses": {
            "200": {"description": "The cloud's answer, as its vendor defines it."},
            "default": _REFUSED_AS_MESSAGES if operation.speaks_messages else _REFUSED,
        },
    }
    described["operationId"] = _identifier(operation.name, root)
    if root != _CANONICAL:
        described["x-same-as"] = _CANONICAL + _named_parts(operation)
    if operation.method == b"POST":
        kinds = _FORMS.get(operation.name, (_JSON,))
        described["requestBody"] = {
            "required": operation.decode not in (None, decode_items),
            "content": {kind: {"schema": _body_schema(operation, root)} for kind in kinds},
        }
    return described


def _identifier(name: str, root: str) -> str:
    """Return what names an operation under a root: its own name under `/v1` alone."""
    if root == _CANONICAL:
        return name
    under = root.strip("/").replace("/{model}", "").replace("/", "_")
    return f"{name}.{under or 'unversioned'}"


def _body_schema(operation: Operation, root: str) -> _Node:
    """Return what the gateway itself asks of a body: the model, where nothing else names it."""
    if (
        not operation.routed
        or root == _DATED
        or operation.name.startswith(("images", "moderations"))
    ):
        return _OBJECT
    return {**_OBJECT, "properties": {"model": _NAME}, "required": ["model"]}


def _own_paths() -> _Node:
    """Return the paths that the gateway answers by itself."""
    query = [("from", "The first day, as 2026-05-01."), ("until", "The last day.")]
    own = {
        "/clauseway/v1/usage": _own("usage", "The project's usage by day and model.", query),
        "/clauseway/v1/limits": _own(
            "limits", "Requests, tokens and money that the key has left, and what it may hold."
        ),
        "/clauseway/v1/requests": _own("requests", "The project's latest requests."),
        "/clauseway/v1/requests/{request_id}": {
            "parameters": [
                {
                    "name": "request_id",
                    "in": "path",
                    "required": True,
                    "schema": {"type": "string", "pattern": "^req_[0-9a-f]{32}$"},
                }
            ],
            **_own("requests.explain", "Why a request went where it went."),
        },
        "/healthz": _open("healthz", "Whether usage can be recorded."),
        "/readyz": _open("readyz", "Whether a deployment has a credential."),
    }
    for root in _ROOTS_OF_MODELS:
        path, model = f"{root}/models", f"{root}/models/{{model}}"
        refused = _REFUSED_AS_MESSAGES if root.startswith("/anthropic") else _REFUSED
        listed = "The models that the key may ask for."
        own[path] = _own(_identifier("models.list", root), listed, refused=refused)
        described = _own(_identifier("models.retrieve", root), "One model.", refused=refused)
        own[model] = {**_with_parameters(model), **described}
    return own


def _own(
    name: str,
    summary: str,
    query: Sequence[tuple[str, str]] = (),
    *,
    refused: Mapping[str, str] = _REFUSED,
) -> _Node:
    described: _Node = {
        "operationId": name,
        "summary": summary,
        "tags": ["clauseway"],
        "responses": {
            "200": {"description": summary, "content": {_JSON: {"schema": _OBJECT}}},
            "default": refused,
        },
    }
    if query:
        described["parameters"] = [
            {"name": name, "in": "query", "description": text, "schema": {"type": "string"}}
            for name, text in query
        ]
    return {"get": described}


def _open(name: str, summary: str) -> _Node:
    described = _own(name, summary)
    described["get"]["security"] = []
    return described


def _kinds() -> dict[int, list[ErrorKind]]:
    """Return every kind of error by its status."""
    kinds: dict[int, list[ErrorKind]] = {}
    for kind in vars(errors).values():
        if isinstance(kind, ErrorKind):
            kinds.setdefault(kind.status, []).append(kind)
    return dict(sorted(kinds.items()))


def _refused(schema: str) -> _Node:
    """Return the response with which the gateway itself refuses: its codes by status."""
    return {
        "description": (
            "Refused by the gateway itself; x-codes has its codes by status, x-should-retry of "
            "the head says whether it may be tried again. Or refused by the cloud for what the "
            "request says: in the cloud's own words."
        ),
        "content": {_JSON: {"schema": {"$ref": f"#/components/schemas/{schema}"}}},
        "x-codes": {str(status): _shown_codes(kinds) for status, kinds in _kinds().items()},
    }


def _shown_codes(kinds: Iterable[ErrorKind]) -> list[str | None]:
    """Return the codes that clients read, sorted; null first."""
    return sorted({kind.shown_code for kind in kinds}, key=lambda code: code or "")


def _error_schema() -> _Node:
    codes = sorted({kind.code for kinds in _kinds().values() for kind in kinds})
    return {
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "object",
                "required": ["message", "type", "param", "code"],
                "properties": {
                    "message": {"type": "string"},
                    "type": {"type": "string"},
                    "param": {"type": ["string", "null"]},
                    "code": {"type": ["string", "null"], "examples": codes},
                },
            }
        },
    }


def _messages_error_schema() -> _Node:
    """Return the shape of errors for clients of Anthropic's messages; `code` is our own member."""
    texts = {name: {"type": "string"} for name in ("type", "message", "code")}
    error = {"type": "object", "required": ["type", "message"], "properties": texts}
    return {
        "type": "object",
        "required": ["type", "error"],
        "properties": {
            "type": {"const": "error"},
            "error": error,
            "request_id": {"type": "string"},
        },
    }

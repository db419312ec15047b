"""The addresses of the pages as an OpenAPI document, made from the list of pages."""

import re
from collections.abc import Collection, Mapping
from typing import Any

from clauseway.web.engineer import MONITORING, MONITORING_FILES
from clauseway.web.page import WebPage
from clauseway.web.page_list import FILES, PAGES, PageSource
from clauseway.web.sign_in import SIGN_IN, SIGN_OUT, cookie_of

_Node = dict[str, Any]
_PORT = 8401  # the usual one
_PROBLEM = {"description": "A page that says what, why and what to do."}
_FAULT = {"description": "Something in the home is damaged or lost, or it is a failure of ours."}
# The answer to a reader who may not see an address, once anybody has a password.
_SIGNED_OUT = {
    "303": {"description": "Nobody is signed in: leads to the form of those who sign in."}
}
_UNKNOWN = {"description": "A parameter that the page does not have, or given more than once."}
_NOT_SEEN = {"403": {"description": "The reader may not see this screen."}}
_NOT_SENT = {  # of a file
    "400": _UNKNOWN,
    **_SIGNED_OUT,
    **_NOT_SEEN,
    "404": {"description": "There is no such file."},
}


def pages_document(version: str) -> _Node:
    """Return the document, in OpenAPI 3.1, of the pages of that version of Clauseway."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Clauseway pages",
            "version": version,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "description": "What is shown in a browser, the counts, and this document. All is read. "
            "Once somebody has a password, whoever has no session is led to the form (303); a program "
            "that asks for the counts is answered 401. A reader of other screens is answered 403.",
        },
        "servers": [{"url": f"http://127.0.0.1:{_PORT}"}],
        # Nobody has to sign in before anybody has a password.
        "security": [{}, {"session": []}],
        "components": {
            "securitySchemes": {
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": cookie_of(_PORT),
                    "description": f"Of whoever signed in: POST {SIGN_IN} sets it. Its name ends with "
                    "the port that the address names, if any.",
                }
            }
        },
        "paths": {
            **{page.path: _page(page) for page in PAGES},
            FILES: _file(),
            MONITORING: _monitoring(),
            SIGN_IN: _sign_in(),
            SIGN_OUT: {"post": _sign_out()},
            "/counts.json": _answer(
                "counts",
                "The counts of the gateway; `unavailable` says why there are none.",
                "application/json",
                more={"400": _UNKNOWN, "401": {"description": "Nobody is signed in."}},
            ),
            "/openapi.json": _answer("openapi", "This document.", "application/json"),
            "/healthz": _answer("healthz", "Whether the pages are up.", "text/plain"),
        },
    }


def _sign_in() -> _Node:
    fields = {
        "account": {"type": "string"},
        "password": {"type": "string"},
        "next": {"type": "string"},
    }
    form = {"type": "object", "required": ["account", "password"], "properties": fields}
    shown = _answer(
        "sign_in_form",
        "The form of those who sign in.",
        "text/html",
        more={"303": {"description": "Nobody has to sign in."}, "400": _UNKNOWN},
    )
    body = {"required": True, "content": {"application/x-www-form-urlencoded": {"schema": form}}}
    sent = _leading("sign_in", "Begin a session, and go to the address `next`.") | {
        "requestBody": body
    }
    refused = {
        "200": {"description": "Signed in; what was typed before can be sent again."},
        "400": {"description": "The form was not sent from this page."},
        "403": {"description": "No account has that password."},
        "429": {"description": "Too many wrong passwords."},
    }
    return {**shown, "post": {**sent, "responses": sent["responses"] | refused}}


def _sign_out() -> _Node:
    left = _leading("sign_out", "End the session.")
    refused = {"400": {"description": "Another site's page sent the form."}}
    return {**left, "responses": {**left["responses"], **refused}}


def _leading(name: str, summary: str) -> _Node:
    return {
        "operationId": name,
        "summary": summary,
        "responses": {"303": {"description": "Leads to another page."}},
    }


def _file() -> _Node:
    summary = "A month's statement or ledger, as a file."
    described = _answer("file", summary, "*/*", more=_NOT_SENT)
    names = dict.fromkeys(re.findall(r"{(\w+)}", FILES), "path")
    return {**described, "parameters": _parameters(names)}


def _monitoring() -> _Node:
    summary = "A file for what watches the gateway."
    kinds = sorted({file.kind for file in MONITORING_FILES})
    described = _answer("monitoring", summary, *kinds, more=_NOT_SENT)
    names = {"type": "string", "enum": [file.name for file in MONITORING_FILES]}
    name = {"name": "name", "in": "path", "required": True, "schema": names}
    return {**described, "parameters": [name]}


def _page(page: WebPage[PageSource]) -> _Node:
    places = dict.fromkeys(re.findall(r"{(\w+)}", page.path), "path") | dict.fromkeys(
        page.query, "query"
    )
    parameters = _parameters(places, page.repeatable)
    others = {
        "400": _UNKNOWN,
        **_SIGNED_OUT,
        **_unseen(page),
        "404": {"description": page.absent.what},
    }
    described = _answer(page.name, f"The page {page.name}.", "text/html", more=others)
    if page.form:
        described |= {"post": _sent_to(page)}
    return {**described, "parameters": parameters} if parameters else described


def _unseen(page: WebPage[PageSource]) -> Mapping[str, _Node]:
    """Return the answer to a reader without this screen. Every reader may see the first page."""
    return {} if "/" in (page.screen, *page.also) else _NOT_SEEN


def _sent_to(page: WebPage[PageSource]) -> _Node:
    fields = {name: {"type": "string"} for name in page.form}
    form = {"type": "object", "properties": fields}
    # An empty form is valid: the page is shown as at first.
    body = {"content": {"application/x-www-form-urlencoded": {"schema": form}}}
    shown = {"description": f"The page {page.name}.", "content": {"text/html": {}}}
    refused = {"description": "The form cannot be read: foreign, too long, or with other fields."}
    signed_out = {"description": "Nobody is signed in: the form that keeps what was sent."}
    return {
        "operationId": f"{page.name}_sent",
        "summary": f"Send the form of the page {page.name}. Nothing is changed.",
        "requestBody": body,
        "responses": {
            "200": shown,
            "400": refused,
            "401": signed_out,
            **_unseen(page),
            "500": _FAULT,
            "503": _PROBLEM,
        },
    }


def _parameters(places: Mapping[str, str], repeatable: Collection[str] = ()) -> list[_Node]:
    text = {"type": "string"}
    return [
        {
            "name": name,
            "in": place,
            "required": place == "path",
            "schema": {"type": "array", "items": text} if name in repeatable else text,
        }
        for name, place in places.items()
    ]


def _answer(name: str, summary: str, *kinds: str, more: Mapping[str, _Node] | None = None) -> _Node:
    answered = {"description": summary, "content": {kind: {} for kind in kinds}}
    answers = {"200": answered, **(more or {})}
    return {
        "get": {
            "operationId": name,
            "summary": summary,
            "responses": {**answers, "500": _FAULT, "503": _PROBLEM},
        }
    }

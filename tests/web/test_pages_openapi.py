"""The pages' OpenAPI document: valid, kept in the documents, and of the addresses that answer, no more and no fewer."""

import json
from pathlib import Path

import pytest
from openapi_spec_validator import validate
from sample_pages import DAY_REQUESTS, LINE, STATEMENT, SamplePages
from sample_screens import PATH, TEXT
from starlette.routing import Route
from starlette.testclient import TestClient

from clauseway.web.pages import create_app
from clauseway.web.sign_in import SignedIn

KEPT = Path(__file__).parents[2] / "docs/openapi/pages.json"
APP = create_app(SamplePages(), hosts=["*"])
QUERY = {"/text": {"document": TEXT.document}}
PARTS = {
    "period": STATEMENT.period,
    "line": LINE.id,
    "day": str(DAY_REQUESTS.day),
    "document": "statement",
    "form": "csv",
    "subject": "books",
    "named": PATH.id,
    "name": "grafana.json",
}
DOCUMENT = TestClient(APP).get("/openapi.json").json()


def test_the_document_is_valid() -> None:
    validate(DOCUMENT)


def test_the_kept_document_is_the_one_that_is_served() -> None:
    assert json.loads(KEPT.read_text()) == DOCUMENT, "write it again: make openapi"


def test_each_route_is_listed_and_no_other() -> None:
    assert {route.path for route in APP.routes if isinstance(route, Route)} == DOCUMENT["paths"].keys()


def test_each_address_answers_as_it_is_listed() -> None:
    with TestClient(APP) as client:
        for path, listed in DOCUMENT["paths"].items():
            if "get" not in listed:
                continue
            answer = client.get(path.format(**PARTS), params=QUERY.get(path, {}))
            assert answer.status_code == 200, path
            kinds = listed["get"]["responses"]["200"]["content"]
            # A month's file is of the kind that was asked for.
            assert {"*/*", answer.headers["content-type"].partition(";")[0]} & kinds.keys(), path


def test_a_form_that_may_say_nothing_needs_no_body() -> None:
    forms = [(path, listed["post"]) for path, listed in DOCUMENT["paths"].items() if "post" in listed]
    with TestClient(APP) as client:
        needed = {path for path, form in forms if form.get("requestBody", {}).get("required")}
        assert needed == {"/sign-in"}
        for path, form in forms:
            if "requestBody" in form and path not in needed:
                assert client.post(path).status_code == 200, path


class OneReader:
    """Anna has a password, and sees what she is given."""

    def __init__(self, sees: frozenset[str]) -> None:
        self._anna = SignedIn(account="anna", sees=sees, since_ns=1)

    async def are_named(self) -> bool:
        return True

    async def named(self, account: str) -> SignedIn | None:
        return self._anna

    async def check(self, account: str, password: str) -> SignedIn | None:
        return self._anna


@pytest.mark.parametrize("is_signed_in", [False, True])
def test_whoever_may_not_see_an_address_is_answered_as_it_is_listed(is_signed_in: bool) -> None:
    readers = OneReader(frozenset({"/"}))
    with TestClient(create_app(SamplePages(), hosts=["*"], readers=readers), follow_redirects=False) as client:
        if is_signed_in:
            client.post("/sign-in", data={"account": "anna", "password": "a long enough sentence"})
        for path, listed in DOCUMENT["paths"].items():
            for method in listed.keys() & {"get", "post"}:
                if path == "/sign-out":
                    continue  # it would end the session
                status = client.request(method.upper(), path.format(**PARTS), data={"x": "y"}).status_code
                assert str(status) in listed[method]["responses"], (method, path, status)

"""The auditor's screen over a home with two settled months: what repeats, what was edited, both clocks of a fact."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

import settled_book
from clauseway.app.opening.home import Home
from clauseway.app.opening.several import open_agreements
from clauseway.app.running.pages_process import HomePages
from clauseway.gateway.plan.clock import system_clock
from clauseway.web import create_app


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return settled_book.make(tmp_path_factory.mktemp("book"))


@pytest.fixture(scope="module")
def client(home: Home) -> Iterator[TestClient]:
    source = HomePages(home, open_agreements([]), system_clock, "http://127.0.0.1/v1")
    with TestClient(create_app(source, hosts=["*"])) as pages:
        yield pages


def test_a_settled_month_repeats_to_the_byte(client: TestClient) -> None:
    assert "/auditor/check/2026-04" in client.get("/auditor").text
    assert "repeats to the byte" in client.get("/auditor/check/2026-04").text


@pytest.mark.parametrize(("subject", "said"), [("2031-01", "no statement for 2031-01"), ("soon", "is not a month")])
def test_what_cannot_be_repeated_is_not_found(client: TestClient, subject: str, said: str) -> None:
    answer = client.get(f"/auditor/check/{subject}")
    assert answer.status_code == 404
    assert said in answer.text


def test_a_fact_has_both_clocks_and_opens_its_place(client: TestClient) -> None:
    page = client.get("/auditor").text
    assert "<td>2026-04-28</td>" in page
    assert "/text?document=facts.md&amp;line=" in page


def test_the_evidence_of_a_month_is_a_file(client: TestClient) -> None:
    file = client.get("/download/evidence/2026-04/pack")
    assert file.status_code == 200
    assert file.content.startswith(b"PK")


def test_books_that_were_edited_are_told_to_be(client: TestClient, home: Home, tmp_path: Path) -> None:
    assert "as they were written" in client.get("/auditor/check/books").text
    with sqlite3.connect(home.control) as books:
        books.execute("UPDATE settlements SET receipt = receipt || 'x' WHERE sequence = 2")
    page = client.get("/auditor/check/books").text
    assert "not as they were written" in page

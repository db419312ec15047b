"""Lists narrowed by purpose, model or metadata, of objects that the cloud writes in shapes of its own."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest
from gateway_rig import ANSWER, MODEL, NAME_THERE, SECRET, Connection, Received, Rig

from awaiting import eventually

AUTHORIZED = {"authorization": f"Bearer {SECRET}"}


LISTS = (b"/files", b"/completions")


class Account:
    """A cloud that keeps two objects, the second of them in the shape that a test gives it."""

    def __init__(self, test: int) -> None:
        self.test = test
        self.kept: list[dict[str, Any]] = []
        self.asked = 0
        self.queries: list[dict[str, str]] = []  # by which it was asked for lists
        self.fails = {"list": 0, "object": 0}  # the status with which it fails

    async def __call__(self, connection: Connection, request: Received) -> None:
        method, url = request.head.split(b" ")[:2]
        path, _, query = url.partition(b"?")
        self.asked += 1
        chats = b"chat" in path
        if method == b"POST":
            made = {
                "id": f"{'chatcmpl' if chats else 'file'}-{self.test}-{len(self.kept)}",
                "created_at": len(self.kept),
            }
            purpose = "assistants" if b"assistants" in request.body else "user_data"
            made |= {**json.loads(ANSWER), **made, "metadata": {"k": "v"}} if chats else {"purpose": purpose}
            self.kept.append(made)
            connection.answer(200, json.dumps(made).encode())
        elif status := self.fails["list" if (is_list := path.endswith(LISTS)) else "object"]:
            connection.answer(status, b"{}", ("retry-after: 7",))
        elif is_list:
            self.queries.append(dict(parse_qsl(query.decode())))
            connection.answer(200, json.dumps(self._page(**self.queries[-1])).encode())
        else:
            connection.answer(404, b"{}")  # of an earlier test

    def _page(self, limit: str, order: str, after: str = "") -> dict[str, object]:
        kept = self.kept if order == "asc" else self.kept[::-1]
        begin = next((place for place, its in enumerate(kept, 1) if its["id"] == after), 0)
        end = begin + int(limit)
        return {"object": "list", "data": kept[begin:end], "has_more": end < len(kept)}


class Lists:
    def __init__(self, rig: Rig) -> None:
        self.rig, self.account = rig, Account(0)
        self.cloud = rig.cloud("azure")
        rig.start(rig.plan([rig.target("azure", self.cloud.port)]))

    def begin(self) -> None:
        """Exchange the account for an empty one."""
        self.account = Account(self.account.test + 1)
        self.cloud.behaviour = self.account

    def make(self, kind: str, purpose: str = "user_data") -> None:
        for _ in range(2):
            if kind == "chat":
                made = self.rig.post(store=True, metadata={"k": "v"})
            else:
                made = httpx.post(
                    f"{self.rig.url}/v1/files",
                    headers=AUTHORIZED,
                    data={"purpose": purpose},
                    files={"file": ("x", b"{}\n")},
                )
            assert made.status_code == 200, made.text

    def asks(self, path: str) -> int:
        """How often the cloud is asked for a list."""
        before = self.account.asked
        self.get(path)
        return self.account.asked - before

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"{self.rig.url}/v1{path}", headers=AUTHORIZED)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lists]:
    with Rig(tmp_path_factory.mktemp("lists")) as rig:
        yield Lists(rig)


@pytest.fixture
def lists(served: Lists) -> Lists:
    served.begin()
    return served


FILES, CHATS = "/files?purpose=user_data", f"/chat/completions?model={MODEL}&metadata%5Bk%5D=v"
HALF_SAID = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "\ud83d, or \ud83d\ude00"}}]}
# A list, what its cloud writes of the second object → is it on the list, which has the first in any case?
WRITTEN: list[tuple[str, dict[str, Any], bool]] = [
    (FILES, {}, True),
    (FILES, {"purpose": None}, False),
    (FILES, {"purpose": 7}, False),
    (FILES, {"purpose": "batch"}, False),
    (FILES, {"model": None, "metadata": [1]}, True),
    (CHATS, {"metadata": {"k": "v", "n": None}}, True),
    (CHATS, {"metadata": {"k": "v", "n": 7}}, True),
    (CHATS, {"metadata": {"k": None}}, False),
    (CHATS, {"metadata": None}, False),
    (CHATS, {"metadata": "v"}, False),
    # The gateway knows the name that the project asked for.
    (CHATS, {"model": None}, True),
    (CHATS, {"model": NAME_THERE, "purpose": None}, True),
    # Half of a surrogate pair, as a model writes it.
    (CHATS, HALF_SAID, True),
    (CHATS, {**HALF_SAID, "metadata": {"k": "\ud83d"}}, False),
    ("/chat/completions", HALF_SAID, True),
    # Only files have a purpose.
    ("/chat/completions?purpose=user_data", {}, True),
    ("/files", {"filename": "\ud83d.txt"}, True),
]


@pytest.mark.parametrize(("path", "written", "is_listed"), WRITTEN)
def test_an_object_is_listed_by_what_it_has(lists: Lists, path: str, written: dict[str, Any], is_listed: bool) -> None:
    lists.make("file" if path.startswith("/files") else "chat")
    first, second = lists.account.kept
    second.update(written)
    answer = lists.get(path)
    assert answer.status_code == 200, answer.text
    expected = {first["id"], second["id"]} if is_listed else {first["id"]}
    assert {listed["id"] for listed in answer.json()["data"]} == expected
    if is_listed:
        assert json.dumps(second).encode() in answer.content, "as its cloud wrote it"


def test_a_narrowed_list_asks_the_cloud_page_by_page(lists: Lists) -> None:
    """However few are wanted, and however many others come before them."""
    for _ in range(6):
        lists.make("chat")
    for kept in lists.account.kept[:9]:
        kept["metadata"] = {}
    fitting = [kept["id"] for kept in lists.account.kept[9:]]
    eventually(lambda: lists.asks(CHATS) == 1)  # those of earlier tests are forgotten
    lists.account.asked = 0
    path, more = f"{CHATS}&limit=1", True
    listed: list[str] = []
    while more:
        page = lists.get(f"{path}&after={listed[-1]}" if listed else path).json()
        listed += [kept["id"] for kept in page["data"]]
        more = page["has_more"]
    assert listed == fitting
    assert lists.account.asked == len(fitting), "once for each page"


ORDERS = [
    ("/files", "desc"),
    ("/files?order=asc", "asc"),
    ("/chat/completions", "asc"),
    ("/chat/completions?order=desc", "desc"),
]


@pytest.mark.parametrize(("path", "order"), ORDERS)
def test_the_account_is_asked_in_the_order_of_the_list(lists: Lists, path: str, order: str) -> None:
    lists.make("file" if path.startswith("/files") else "chat")
    made = [kept["id"] for kept in lists.account.kept]
    listed = [kept["id"] for kept in lists.get(path).json()["data"]]
    assert listed == (made if order == "asc" else made[::-1])
    assert {query["order"] for query in lists.account.queries} == {order}


def test_what_others_keep_on_the_account_is_passed_over(lists: Lists) -> None:
    """Page by page, of as many as the cloud gives at most, and nothing by name."""
    for _ in range(30):
        lists.make("chat")
    made = lists.account.kept[:]
    others = [{**made[0], "id": f"chatcmpl-other-{number}"} for number in range(130)]
    lists.account.kept[30:30] = others
    path = "/chat/completions?limit=60"
    eventually(lambda: lists.asks(path) == 2)  # those of earlier tests are forgotten
    assert [kept["id"] for kept in lists.get(path).json()["data"]] == [kept["id"] for kept in made]
    assert [query["limit"] for query in lists.account.queries[-2:]] == ["100", "100"]


def test_files_of_another_purpose_are_not_asked_for(lists: Lists) -> None:
    lists.make("file")
    for _ in range(2):
        lists.make("file", "assistants")
    wanted = [kept["id"] for kept in lists.account.kept if kept["purpose"] == "user_data"]
    lists.account.asked = 0
    listed = lists.get(f"{FILES}&limit=1").json()
    assert ([kept["id"] for kept in listed["data"]], listed["has_more"]) == (wanted[-1:], True)
    assert lists.account.asked == 1


def test_a_list_is_told_while_objects_that_are_gone_are_forgotten(lists: Lists) -> None:
    """A row may be forgotten between the list's look at the index and its question to the cloud."""
    for _ in range(20):
        lists.make("chat")
        lists.begin()
        answers = [lists.get("/chat/completions") for _ in range(3)]
        assert [(answer.status_code, answer.json().get("data")) for answer in answers] == [(200, [])] * 3


# The account's failing answer and its manner; where the list goes on from its first object → the client's answer.
FAILURES = [
    ("list", 429, "", 429, "rate_limit_exceeded"),
    ("list", 429, "&after={}", 429, "rate_limit_exceeded"),
    ("list", 500, "", 502, "clouds_failed"),
    ("list", 503, "", 503, "clouds_unavailable"),
    ("list", 400, "", 502, "clouds_failed"),
    ("list", 403, "", 502, "clouds_failed"),
    # Where it does not know what to go on from, its objects are asked for by name.
    ("object", 500, "&after={}", 502, "clouds_failed"),
    ("object", 429, "&after={}", 429, "rate_limit_exceeded"),
]


@pytest.mark.parametrize(("what", "fails", "after", "status", "code"), FAILURES)
def test_a_part_of_a_list_is_not_told_as_the_whole(
    tmp_path: Path, what: str, fails: int, after: str, status: int, code: str
) -> None:
    with Rig(tmp_path) as rig:
        lists = Lists(rig)
        lists.begin()
        lists.make("file")
        last = lists.account.kept[-1]["id"]
        lists.account.fails[what] = fails
        if what == "object":
            lists.account.fails["list"] = 400
        answer = lists.get(f"/files?limit=1{after.format(last)}")
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, code), error
    assert "would not be whole" in error["message"]
    assert "azure-1" in error["message"]
    assert answer.headers.get("retry-after", "") in (("7", "8") if fails in (400, 429, 503) else ("",))  # rounded up


WRONG_PAGES = (
    *("/files?limit=0", "/files?limit=10001", "/batches?limit=101", "/files?limit=x", "/files?order=up"),
    f"/files?limit={'1' * 5_000}",  # Python reads no number of so many digits
)


@pytest.mark.parametrize("path", WRONG_PAGES)
def test_a_page_beyond_its_bounds_is_refused(lists: Lists, path: str) -> None:
    answer = lists.get(path)
    named = path.partition("?")[2].partition("=")[0]
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, named)

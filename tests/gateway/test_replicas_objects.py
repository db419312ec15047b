"""Every replica finds the objects that another issued, with OpenAI's client: responses, stored chats, files, lists."""

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import psycopg
import pytest
from gateway_rig import ANSWER, MESSAGES, Connection, Received, Rig, compact
from gateway_stage import RESPONSE
from replicas_rig import MODEL, Replica, replicas_of
from sqlalchemy import make_url

from awaiting import eventually
from clauseway.app.customers.keys import create_key
from clauseway.app.opening.several import open_agreements
from postgresql_server import server_address


class Account:
    """A cloud that keeps what it makes."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.numbers = itertools.count(1)

    def _made(self, request: Received) -> dict[str, Any]:
        kind = request.head.split(b" ")[1].rpartition(b"/")[2].decode()
        number = next(self.numbers)
        if kind == "files":
            made = {
                "id": f"file-{number}",
                "object": "file",
                "filename": "a.txt",
                "bytes": 3,
                "created_at": number,
                "purpose": "assistants",
                "status": "processed",
            }
        elif kind == "responses":
            previous = request.json.get("previous_response_id")
            said = {"type": "message", "id": f"msg_{number}", "role": "assistant", "status": "completed", "content": []}
            made = {**json.loads(RESPONSE), "id": f"resp_{number}", "store": True, "previous_response_id": previous}
            made["output"] = [said]
        else:
            made = {**json.loads(ANSWER), "id": f"chatcmpl-{number}"}
        self.objects[str(made["id"])] = made
        return made

    async def __call__(self, connection: Connection, request: Received) -> None:
        method, path = request.head.split(b" ")[:2]
        name = path.partition(b"?")[0].rpartition(b"/")[2].decode()
        if method == b"POST":
            connection.answer(200, compact(self._made(request)))
        elif name == "files":
            files = [made for made in self.objects.values() if made["object"] == "file"]
            connection.answer(200, compact({"object": "list", "data": files[::-1], "has_more": False}))
        elif name not in self.objects:
            connection.answer(404, compact({"error": {"message": "gone", "code": "not_found"}}))
        elif method == b"DELETE":
            made = self.objects.pop(name)
            connection.answer(200, compact({"id": name, "object": f"{made['object']}.deleted", "deleted": True}))
        else:
            connection.answer(200, compact(self.objects[name]))


@pytest.fixture
def replicas(tmp_path: Path) -> Iterator[list[Replica]]:
    with Rig(tmp_path) as rig, replicas_of(tmp_path, rig.cloud("azure", Account()).port) as made:
        yield made


@pytest.fixture
def secrets(replicas: list[Replica]) -> list[str]:
    """Keys of two projects, which both replicas accept."""
    catalog = open_agreements([]).catalog
    keys = [
        create_key(replicas[0].home, catalog, organisation="acme", project=name, seller="openai", segment="any")
        for name in ("p", "q")
    ]
    for replica in replicas:
        for key in keys:
            eventually(lambda replica=replica, key=key: replica.ask(key.secret).status_code == 200)  # type: ignore[misc]
    return [key.secret for key in keys]


def test_an_agent_goes_on_at_whichever_replica_it_comes_to(replicas: list[Replica], secrets: list[str]) -> None:
    clients = [replica.client(secrets[0]) for replica in replicas]
    # No wait between its steps, and each at the other replica than the one before.
    turns = itertools.cycle(clients)
    made = next(turns).responses.create(model=MODEL, input="Which cloud?", store=True)
    for _ in range(20):
        follow = next(turns).responses.create(model=MODEL, input="And now?", previous_response_id=made.id)
        assert follow.previous_response_id == made.id
        made = follow
    for client in clients:
        assert client.responses.retrieve(made.id).id == made.id
        items: Any = [{"type": "item_reference", "id": made.output[0].id}]
        made = next(turns).responses.create(model=MODEL, input=items)
        chat = client.chat.completions.create(model=MODEL, messages=MESSAGES, store=True)
        assert next(turns).chat.completions.retrieve(chat.id).id == chat.id
    # Another project learns nothing of it, at neither.
    for replica in replicas:
        stranger = replica.client(secrets[1])
        with pytest.raises(openai.NotFoundError, match="made here"):
            stranger.responses.retrieve(made.id)
        with pytest.raises(openai.BadRequestError, match="Previous response with id"):
            stranger.responses.create(model=MODEL, input="Mine?", previous_response_id=made.id)
        with pytest.raises(openai.NotFoundError, match="Item with id"):
            stranger.responses.create(model=MODEL, input=[{"type": "item_reference", "id": made.output[0].id}])


def test_files_of_all_replicas_are_one_list(replicas: list[Replica], secrets: list[str]) -> None:
    first, second = [replica.client(secrets[0]) for replica in replicas]
    made = [
        client.files.create(file=("a.txt", b"abc"), purpose="assistants").id
        for client in (first, second, first, second)
    ]
    for client in (first, second):
        assert [file.id for file in client.files.list()] == made[::-1]
        assert [file.id for file in client.files.list(limit=1, after=made[2])] == made[1::-1]
    # Deleted at one, it is gone at both.
    second.files.delete(made[0])
    for client in (first, second):
        assert [file.id for file in client.files.list()] == made[:0:-1]
        with pytest.raises(openai.NotFoundError):
            client.files.retrieve(made[0])
    assert replicas[0].client(secrets[1]).files.list().data == []


def test_a_replica_without_the_database_never_denies_an_object(replicas: list[Replica], secrets: list[str]) -> None:
    first, second = [replica.client(secrets[0], retries=0) for replica in replicas]
    theirs = first.responses.create(model=MODEL, input="Which cloud?", store=True)
    own = second.responses.create(model=MODEL, input="Which cloud?", store=True)
    address = replicas[1].home.database_address.read_text()
    name = make_url(address).database
    with psycopg.connect(server_address(), autocommit=True) as admin:
        # Cut off as by a network: connections end, and no new one is made.
        admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false".encode())
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
        # Objects that it issued itself, before and now, are served as before.
        assert second.responses.retrieve(own.id).id == own.id
        alone = second.responses.create(model=MODEL, input="Alone?", store=True, previous_response_id=own.id)
        denied: list[Callable[[], object]] = [
            lambda: second.responses.retrieve(theirs.id),
            lambda: second.responses.create(model=MODEL, input="And now?", previous_response_id=theirs.id),
            lambda: second.files.list(),
        ]
        for ask in denied:
            with pytest.raises(openai.InternalServerError) as refused:
                ask()
            assert (refused.value.status_code, refused.value.code) == (503, "objects_unavailable")
            assert refused.value.response.headers["retry-after"] == "1"
        admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true".encode())
    # Back again: it finds the others' objects, and they find what it issued meanwhile.
    eventually(lambda: retrieved(second, theirs.id))
    eventually(lambda: retrieved(first, alone.id))


def retrieved(client: Any, name: str) -> bool:
    try:
        return bool(client.responses.retrieve(name).id == name)
    except openai.APIStatusError:
        return False

"""Identifiers that homes share, on SQLite and PostgreSQL: copied once, found by their project, denied only while every
home is heard."""

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import text

from awaiting import eventually
from clauseway import spool
from clauseway.app.customers import shared_identifiers
from clauseway.app.customers.shared_identifiers import SharedIdentifiers
from clauseway.app.opening.home import Home
from clauseway.gateway.request.lifecycle import ignore_outcome
from clauseway.gateway.request.resource_index import IndexedResource, ListQuery, ResourceIndex, open_index
from clauseway.gateway.request.resources_to_share import note_nothing
from clauseway.gateway.request.shared_index import FindQuery
from clauseway.metering import Buyer
from clauseway.storage import Control
from clauseway.storage.control.engines import Place, engine_of
from clauseway.storage.control.versions import PRESENT
from clauseway.storage.customers.issued_resources import IssuedResources
from clauseway.values import InvalidInput

OURS, THEIRS = [Buyer("acme", project, "key_1", "openai", "any") for project in ("p", "q")]
FILES = 4


class Homes:
    """Homes whose indexes are copied to one database when a test says so."""

    def __init__(self, root: Path, control: Control) -> None:
        self._root, self._shared = root, IssuedResources(control)
        self._made: dict[str, SharedIdentifiers] = {}

    def index(self, home: str) -> Path:
        return self._root / f"{home}.db"

    def of(self, home: str) -> SharedIdentifiers:
        if home not in self._made:
            self._made[home] = SharedIdentifiers(home, self.index(home), self._shared)
        return self._made[home]

    def issue(self, home: str, *resources: IndexedResource, forgotten: str = "", is_shared: bool = True) -> None:
        """Write to a home's index, as one of its gateways does."""

        async def write() -> None:
            announcing = Immediately() if is_shared else None
            index = ResourceIndex(self.index(home), asyncio.get_running_loop(), announcing=announcing)
            index.add(resources, ignore_outcome)
            if forgotten:
                index.forget(forgotten, ignore_outcome)
            index.flush()
            index.close()

        asyncio.run(write())

    def find(self, home: str, *names: str, buyer: Buyer = OURS) -> list[IndexedResource] | None:
        query = FindQuery(organisation=buyer.organisation, project=buyer.project, identifiers=names)
        answer = self.of(home).find(msgspec.json.encode(query))
        return msgspec.json.decode(answer, type=list[IndexedResource] | None)

    def listed(self, home: str, after: IndexedResource | None = None, **members: object) -> list[str]:
        query = ListQuery(
            organisation="acme", project="p", endpoint=FILES, deployments=("azure-1", "azure-2"), count=10
        )
        if after is not None:
            members |= {"after_ns": after.created_ns, "after_identifier": after.identifier}
        asked = msgspec.json.encode(msgspec.structs.replace(query, **members))
        rows = msgspec.json.decode(self.of(home).made(asked), type=list[IndexedResource])
        return [row.identifier for row in rows]

    def close(self) -> None:
        for made in self._made.values():
            made.close()


class Immediately:
    def announce(self, step: object) -> None:
        assert callable(step)
        step()


def resource(name: str, second: int = 1, buyer: Buyer = OURS, **members: object) -> IndexedResource:
    made = IndexedResource(name, buyer, "azure-1", "gpt-5.5", FILES, 17, second * 10**9, pending=False)
    return msgspec.structs.replace(made, **members)


@pytest.fixture
def homes(tmp_path: Path, place: Place) -> Iterator[Homes]:
    control = Control.open(place)
    made = Homes(tmp_path, control)
    yield made
    made.close()
    control.close()


def test_what_one_home_issued_is_found_at_the_other_by_its_project_alone(homes: Homes) -> None:
    file = resource("file-1", purpose="batch", contents=b"what its lines ask for")
    pending = resource("batch-1", pending=True)
    homes.issue("first", file, pending)
    homes.of("first").copy()
    # A pending file is metered by the home that made it, and by no other.
    expected = [msgspec.structs.replace(pending, pending=False), file]
    assert sorted(homes.find("second", "file-1", "batch-1") or [], key=lambda resource: resource.identifier) == expected
    assert homes.find("second", "file-1", buyer=THEIRS) == []


def test_what_no_database_of_a_server_can_keep_stops_no_other_copy(homes: Homes) -> None:
    """PostgreSQL has no text with NUL. A client may name such an identifier or purpose, a cloud may answer with it."""
    sound, odd = resource("file-1", purpose="batch"), resource("file-\0")
    homes.issue("first", odd, resource("file-2", purpose="b\0"), sound, forgotten="file-\0\0")
    homes.of("first").copy_all()
    assert homes.find("second", "file-1", "file-\0", "file-\0\0") == [sound]
    assert homes.listed("second", purpose="batch") == ["file-1"]
    assert homes.listed("second", purpose="\0") == []


def test_the_first_project_owns_an_identifier_whichever_home_issued_it(homes: Homes) -> None:
    homes.issue("first", resource("file-1"))
    homes.of("first").copy()
    homes.issue("second", resource("file-1", buyer=THEIRS))
    homes.of("second").copy()
    assert homes.find("third", "file-1") == [resource("file-1")]
    assert homes.find("third", "file-1", buyer=THEIRS) == []


def test_a_deleted_identifier_is_removed_wherever_it_was_deleted(homes: Homes) -> None:
    homes.issue("first", resource("file-1"), resource("file-2"))
    homes.of("first").copy()
    homes.issue("second", resource("file-3"), forgotten="file-1")
    homes.of("second").copy()
    assert homes.listed("first") == ["file-3", "file-2"]


def test_a_home_that_shares_a_database_later_copies_all_that_it_holds(homes: Homes) -> None:
    homes.issue("first", resource("file-1"), resource("file-2", 2), is_shared=False)
    homes.of("first").copy()
    assert homes.listed("second") == ["file-2", "file-1"]
    # Begun again: nothing is copied twice, and what was noted meanwhile is copied.
    homes.issue("first", resource("file-3", 3))
    homes.of("first").copy()
    assert homes.listed("second") == ["file-3", "file-2", "file-1"]


def test_a_home_that_shared_none_for_a_while_copies_all_again(homes: Homes) -> None:
    homes.issue("first", resource("file-1"))
    homes.of("first").copy()
    note_nothing(homes.index("first"))
    homes.issue("first", resource("file-2", 2), is_shared=False)
    again = SharedIdentifiers("first", homes.index("first"), homes.of("first")._shared)
    again.copy()
    again.close()
    assert homes.listed("second") == ["file-2", "file-1"]


def test_a_disk_that_reads_again_is_copied_from_again(homes: Homes) -> None:
    """SQLite keeps pages that it has read, damaged ones too."""
    index = homes.index("first")
    homes.issue("first", resource("file-1"))
    homes.of("first").copy()
    homes.issue("first", *(resource(f"file-{number:05d}", number) for number in range(2, 3_000)))
    sound = index.read_bytes()
    with index.open("r+b") as damaged:
        damaged.write(b"\xff" * len(sound))
    with pytest.raises(sqlite3.Error):
        homes.of("first").copy()
    with index.open("r+b") as mended:
        mended.write(sound)
    homes.of("first").copy()
    assert homes.find("second", "file-02999") is not None


def test_lists_go_on_from_any_row_in_either_order(homes: Homes) -> None:
    # Two of one instant are told apart by their identifiers.
    made = [resource(f"file-{number}", second) for number, second in enumerate([1, 2, 2, 3])]
    made[3] = msgspec.structs.replace(made[3], purpose="batch", deployment="azure-2")
    homes.issue("first", *made[:2])
    homes.issue("second", *made[2:])
    for home in ("first", "second"):
        homes.of(home).copy()
    names = [file.identifier for file in made]
    assert homes.listed("first") == names[::-1]
    assert homes.listed("second", newest_first=False) == names
    assert homes.listed("first", after=made[2]) == names[1::-1]
    assert homes.listed("first", after=made[1], newest_first=False, count=1) == names[2:3]
    # Also what is not known to have another purpose.
    assert homes.listed("first", purpose="assistants") == names[2::-1]
    assert homes.listed("first", deployments=("azure-2",)) == names[3:]


def test_nothing_is_denied_while_a_home_is_silent(homes: Homes, monkeypatch: pytest.MonkeyPatch) -> None:
    homes.issue("first", resource("file-1"))
    for home in ("first", "second"):
        homes.of(home).copy_all()
    assert homes.find("second", "file-1", "file-2") == [resource("file-1")]
    # From here on the first one was not heard: no time passes between two looks at the server's clock.
    monkeypatch.setattr(shared_identifiers, "SILENT_S", 0.0)
    assert homes.find("second", "file-1") == [resource("file-1")]
    assert homes.find("second", "file-1", "file-2") is None
    query = ListQuery(organisation="acme", project="p", endpoint=FILES)
    assert homes.of("second").deployments(msgspec.json.encode(query)) == b"null"
    # Homes that have left issue nothing.
    for home in ("first", "second"):
        homes.of(home).leave()
    assert homes.find("second", "file-2") == []


def test_copying_goes_on_once_a_restore_of_the_database_has_ended(
    tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Meanwhile its tables are of another version, or not there."""
    monkeypatch.setattr(shared_identifiers, "_EVERY_S", 0.01)
    reported, ended = list[str](), threading.Event()

    def is_reported() -> bool:
        reported.append(capsys.readouterr().err)
        return "is of version 0009 by now" in "".join(reported)

    with closing(Control.open(place)) as control:
        shared = IssuedResources(control)
        identifiers = SharedIdentifiers("first", tmp_path / "first.db", shared)
        with engine_of(place).begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '0009'"))
        thread = threading.Thread(target=shared_identifiers._copying, args=(identifiers, ended))
        thread.start()
        try:
            eventually(is_reported)
            with engine_of(place).begin() as connection:
                connection.execute(text(f"UPDATE alembic_version SET version_num = '{PRESENT}'"))
                assert connection.execute(text("SELECT count(*) FROM identifier_copies")).scalar_one() == 0
            eventually(lambda: _copied(control) == 1)
        finally:
            ended.set()
            thread.join()
            identifiers.close()


def _copied(control: Control) -> int:
    with control.reading() as connection:
        return int(connection.execute(text("SELECT count(*) FROM identifier_copies")).scalar_one())


def test_an_index_that_is_gone_is_reported_at_the_next_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = Home(tmp_path).make()
    index = shared_identifiers.index_of(home)
    with shared_identifiers.shared_identifiers(home):
        assert capsys.readouterr().err == "", "a new home has none yet"
        spool.identify(index.parent)
        open_index(index).close()
    with shared_identifiers.shared_identifiers(home):
        assert capsys.readouterr().err == ""
    index.unlink()
    with shared_identifiers.shared_identifiers(home):
        said = capsys.readouterr().err
    assert str(index) in said
    assert "latest backup" in said


@pytest.mark.parametrize(
    "content", [b"no database" * 500, b"SQLite format 3\0" + b"\xff" * 4000], ids=["text", "pages"]
)
def test_an_index_that_is_damaged_is_named_and_the_home_is_not_to_be_restored(content: bytes, tmp_path: Path) -> None:
    home = Home(tmp_path).make()
    index = shared_identifiers.index_of(home)
    index.parent.mkdir(parents=True)
    index.write_bytes(content)
    with pytest.raises(InvalidInput) as refused, shared_identifiers.shared_identifiers(home):
        pass
    (problem,) = refused.value.problems
    assert (problem.what, problem.where) == ("the index of identifiers is damaged", str(index))
    assert "--take-over" not in problem.remedy

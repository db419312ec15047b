"""Stores: a folder and a real server that speaks S3 keep the same promises, and each way in which object storage fails
is said in words. The lake on S3: what is read is what was sealed, whatever became of the copies."""

import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest
from test_compaction import batch, used
from test_publishing import our_sums

import iceberg_judges
import s3_server
from clauseway.storage import Control
from clauseway.storage.lake.compaction import compact
from clauseway.storage.lake.digests import LakeDamaged
from clauseway.storage.lake.file_list import USAGE, files_of, lost_files
from clauseway.storage.lake.lake import Lake
from clauseway.storage.lake.lost_files import heal
from clauseway.storage.lake.object_store import ObjectStorage, ObjectStore
from clauseway.storage.lake.stores import FolderStore, Store, StoreFailed
from clauseway.storage.usage.publishing import publish

NOW_NS = 1_800_000_000_000_000_000


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """An empty store; each test that asks runs on a folder and on a real server."""
    if request.param == "folder":
        return FolderStore(tmp_path)
    return s3_server.open_store(s3_server.new_storage())


# The promises of a store


def test_a_put_is_whole_and_overwrites_nothing(store: Store) -> None:
    assert store.put("usage/2026-05-01/a.parquet", b"first")
    assert not store.put("usage/2026-05-01/a.parquet", b"second")
    assert store.get("usage/2026-05-01/a.parquet") == b"first"
    store.replace("metadata/hint", b"1")
    store.replace("metadata/hint", b"2")
    assert store.get("metadata/hint") == b"2"
    listed = [(stored.name, stored.bytes) for stored in store.under("")]
    assert listed == [("metadata/hint", 1), ("usage/2026-05-01/a.parquet", 5)]
    assert [stored.name for stored in store.under("metadata")] == ["metadata/hint"]
    assert [stored.name for stored in store.under("meta")] == []
    store.remove(["metadata/hint", "metadata/never-there"])
    assert [stored.name for stored in store.under("metadata")] == []


def test_a_file_that_is_not_there_is_not_found(store: Store) -> None:
    for asked in (store.get, store.digest):
        with pytest.raises(FileNotFoundError):
            asked("usage/none")


def test_a_put_whose_answer_was_lost_is_known_again_by_its_content(tmp_path: Path) -> None:
    store, path = s3_server.open_store(s3_server.new_storage()), tmp_path / "a"
    path.write_bytes(b"x" * 20_000_000)
    assert store.keep("a", path)
    assert store.keep("a", path)
    path.write_bytes(b"y")
    assert not store.keep("a", path)
    store.copy("a", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == b"x" * 20_000_000


# Fault | message, and remedy
REFUSED = [
    ({"secret_env": "WRONG"}, "object storage refuses the credentials", "list, read, write and delete"),
    ({"access_key_env": "WRONG"}, "object storage refuses the credentials", "list, read, write and delete"),
    ({"secret_env": "UNSET"}, "a secret of object storage is missing", "Set it"),
    ({"secret_env": "", "secret_file": "/no/such/file"}, "a secret of object storage is missing", "Write the secret"),
    ({"endpoint": "http://127.0.0.1:9"}, "object storage cannot be reached", "Repeat the command"),
    ({"url": "s3://no-such-bucket/lake"}, "there is no such bucket", "Make it"),
    ({"url": "lake"}, "it is not an address of object storage", "Write s3://BUCKET/PREFIX"),
    ({"url": "http://127.0.0.1/lake"}, "it is not an address of object storage", "Write s3://BUCKET/PREFIX"),
]


@pytest.mark.parametrize(("wrong", "problem", "remedy"), REFUSED)
def test_what_is_wrong_with_a_place_is_said_in_words(wrong: dict[str, str], problem: str, remedy: str) -> None:
    storage = msgspec.structs.replace(s3_server.new_storage(), **wrong)
    environment = s3_server.ENVIRONMENT | {"WRONG": "wrong"}
    with pytest.raises(StoreFailed) as caught:
        ObjectStore(storage, environment, retries_max=1, retry_s_max=2).get("usage/a")
    (result,) = caught.value.problems
    assert (result.what, result.where, remedy in result.remedy) == (problem, storage.url, True), result
    assert "wrong" not in str(result).replace(str(wrong), "")


# Answers of AWS that the server of the tests does not give, as their documentation and users quote them.
AWS = [
    (
        301,
        "PermanentRedirect",
        "The bucket you are attempting to access must be addressed using the specified endpoint.",
        "the bucket is in another region",
    ),
    (
        400,
        "AuthorizationHeaderMalformed",
        "The authorization header is malformed; the region 'us-east-1' is wrong; expecting 'eu-west-1'",
        "the bucket is in another region",
    ),
    (
        400,
        "ExpiredToken",
        "The provided token has expired.",
        "object storage refuses the credentials",
    ),
    (
        403,
        "RequestTimeTooSkewed",
        "The difference between the request time and the current time is too large.",
        "the clock of this machine is wrong",
    ),
    (
        501,
        "NotImplemented",
        "A header you provided implies functionality that is not implemented",
        "object storage lacks conditional writes",
    ),
    (503, "SlowDown", "Please reduce your request rate.", "object storage cannot be reached"),
]


class _Answers(BaseHTTPRequestHandler):
    """Answers each request with the next status and body of a list; the last one for ever."""

    left: list[tuple[int, str]]
    asked: int

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        type(self).asked += 1
        status, code = self.left.pop(0) if len(self.left) > 1 else self.left[0]
        body = f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode() if code else b""
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.send_header("etag", '"e"')
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def answering() -> Iterator[type[_Answers]]:
    """A handler whose `left` may be set, at a server of its own."""

    class Handler(_Answers):
        asked = 0

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Handler.address = f"http://127.0.0.1:{server.server_port}"  # type: ignore[attr-defined]
    yield Handler
    server.shutdown()
    server.server_close()


def store_at(handler: type[_Answers], retries_max: int) -> ObjectStore:
    storage = ObjectStorage(
        url="s3://acme/lake",
        region="us-east-1",
        endpoint=handler.address,  # type: ignore[attr-defined]
        access_key_env="LAKE_KEY",
        secret_env="LAKE_SECRET",
    )
    return ObjectStore(storage, s3_server.ENVIRONMENT, retries_max=retries_max, retry_s_max=60)


@pytest.mark.parametrize(("status", "code", "message", "problem"), AWS)
def test_what_the_cloud_answers_is_said_in_words(
    status: int, code: str, message: str, problem: str, answering: type[_Answers]
) -> None:
    answering.left = [(status, f"{code}: {message}")]
    with pytest.raises(StoreFailed, match=problem):
        store_at(answering, 1).put("a", b"x")


def test_without_any_credentials_that_is_said() -> None:
    """By the library's message: no test asks this machine for credentials of its own."""
    asked = "Error performing PUT http://169.254.169.254/latest/api/token: error sending request"
    refusal = s3_server.open_store(s3_server.new_storage())._translated(RuntimeError(asked))
    assert refusal.problems[0].what == "there are no credentials for object storage"


def test_what_passes_is_asked_again_and_what_does_not_is_told_with_how_often(answering: type[_Answers]) -> None:
    answering.left = [(503, "SlowDown"), (500, "InternalError"), (200, "")]
    assert store_at(answering, 3).put("a", b"x")
    assert answering.asked == 3
    answering.left, answering.asked = [(503, "SlowDown")], 0
    with pytest.raises(StoreFailed, match="asked 3 times within 60 s"):
        store_at(answering, 2).put("a", b"x")
    assert answering.asked == 3


def test_a_put_that_is_refused_although_nothing_is_there_is_repeated(answering: type[_Answers], tmp_path: Path) -> None:
    """S3 answers so while the object of that name is being deleted."""
    path = tmp_path / "a"
    path.write_bytes(b"x")
    answering.left = [(409, "ConditionalRequestConflict"), (404, "NoSuchKey"), (200, "")]
    assert store_at(answering, 1).keep("a", path)
    answering.left = [(409, "ConditionalRequestConflict"), (404, "NoSuchKey")] * 3
    with pytest.raises(StoreFailed, match="contradicts itself"):
        store_at(answering, 1).keep("a", path)


# The lake


@pytest.fixture
def storage() -> ObjectStorage:
    return s3_server.new_storage()


@pytest.fixture
def lake(tmp_path: Path, storage: ObjectStorage) -> Iterator[Lake]:
    """A lake on S3 with two batches of two days."""
    control = Control.open(tmp_path / "control.db")
    lake = Lake(tmp_path / "lake", control, s3_server.open_store(storage))
    lake.seal(batch(0, used(1, 0, 1_000), used(2, 1, 9, who=2)), 10)
    lake.seal(batch(1, used(3, 0, 7)), 20)
    yield lake
    control.close()


def copies(lake: Lake) -> list[Path]:
    return sorted(path for path in lake.root.rglob("*.parquet"))


def in_a_folder(folder: Path) -> Lake:
    """The same batches, sealed into a folder."""
    here = Lake(folder / "folder", Control.open(folder / "folder.db"))
    here.seal(batch(0, used(1, 0, 1_000), used(2, 1, 9, who=2)), 10)
    here.seal(batch(1, used(3, 0, 7)), 20)
    return here


def test_a_lake_on_s3_is_the_lake_in_a_folder(lake: Lake, tmp_path: Path) -> None:
    here = in_a_folder(tmp_path)
    named = {(file.name, file.digest, file.bytes) for file in files_of(here.control, USAGE)}
    assert {(file.name, file.digest, file.bytes) for file in files_of(lake.control, USAGE)} == named
    intents = {stored.name for stored in lake.stored()} - {name for name, _, _ in named}
    assert all(name.startswith("intents/") for name in intents)
    assert our_sums(lake) == our_sums(here)


@pytest.mark.parametrize("fate", ["gone", "cut", "edited"])
def test_a_copy_is_taken_again_whatever_became_of_it(fate: str, lake: Lake) -> None:
    expected = our_sums(lake)
    for path in copies(lake):
        content = path.read_bytes()
        path.unlink()
        if fate != "gone":
            path.write_bytes(content[:-9] if fate == "cut" else bytes(reversed(content)))
    assert our_sums(lake) == expected


@pytest.mark.parametrize("fate", ["missing", "changed"])
@pytest.mark.parametrize("held", [True, False])
def test_an_object_that_is_not_what_was_sealed_is_damage(fate: str, held: bool, lake: Lake) -> None:
    file = files_of(lake.control, USAGE)[0]
    lake.store.remove([file.name])
    if fate == "changed":
        lake.store.put(file.name, b"x" * file.bytes)
    if held:
        # A copy is what was sealed: readers go on, and a check of the lake tells.
        our_sums(lake)
    else:
        (lake.root / file.name).unlink()
        with pytest.raises(LakeDamaged, match=f"a file of the lake is {fate}"):
            our_sums(lake)
        assert not (lake.root / file.name).exists()
    (fault,) = lake.sealed.examine(files_of(lake.control, USAGE))
    assert (fault.name, fault.what) == (file.name, fate)
    if fate == "missing":
        assert [each.name for each in lake.sealed.at_sight(files_of(lake.control, USAGE))] == [file.name]


def test_an_object_that_is_put_back_is_read_again(lake: Lake) -> None:
    file, content = files_of(lake.control, USAGE)[0], b""
    content = lake.store.get(file.name)
    lake.store.remove([file.name])
    with lake.control.writing() as connection:
        connection.exec_driver_sql("UPDATE lake_files SET lost_ns = 5 WHERE name = ?", (file.name,))
    assert heal(lake, NOW_NS) == []
    lake.store.put(file.name, content)
    assert [each.name for each in heal(lake, NOW_NS)] == [file.name]
    assert lost_files(lake.control) == []


def test_what_a_killed_process_left_is_not_overwritten_and_swept_later(lake: Lake, storage: ObjectStorage) -> None:
    """A process of another version put its file, and died before it committed the batch."""
    left = "usage/2026-04-30/s-0000000000000001-0000000002-0000000003.parquet"
    lake.store.put(left, b"another version's bytes")
    lake.seal(batch(2, used(4, 0, 5)), 30)
    names = [file.name for file in files_of(lake.control, USAGE)]
    assert left not in names
    assert [name for name in names if name.startswith(left.removesuffix(".parquet"))] == [names[-1]]
    assert lake.store.get(left) == b"another version's bytes"
    assert ("2026-04-30", "azure", "3") in {row[:3] for row in our_sums(lake)}
    assert left in lake.sweep().removed
    assert {stored.name for stored in lake.stored() if stored.name.startswith(USAGE)} == set(names)


def test_a_batch_whose_commit_was_lost_is_sealed_again_and_counts_once(lake: Lake) -> None:
    class Killed(Exception):
        """The process ended before the commit."""

    def killed(_: object) -> None:
        raise Killed

    again = batch(2, used(4, 0, 5))
    before = our_sums(lake)
    with pytest.raises(Killed):
        lake.seal(again, 30, also=killed)
    assert our_sums(lake) == before
    assert lake.seal(again, 30)
    assert not lake.seal(again, 30)
    assert len(our_sums(lake)) == len(before)
    assert len(files_of(lake.control, USAGE)) == 4


def test_without_the_server_nothing_is_committed(lake: Lake, storage: ObjectStorage) -> None:
    away = msgspec.structs.replace(storage, endpoint="http://127.0.0.1:9")
    working = lake.store
    lake.store = s3_server.open_store(away)
    with pytest.raises(StoreFailed, match="object storage cannot be reached"):
        lake.seal(batch(2, used(4, 0, 5)), 30)
    lake.store = working
    assert len(files_of(lake.control, USAGE)) == 3
    assert lake.seal(batch(2, used(4, 0, 5)), 30)


def test_merging_and_trimming_change_no_sum(lake: Lake) -> None:
    expected = our_sums(lake)
    list(compact(lake, NOW_NS, files_least=2))
    retired = list(lake.sweep().removed)
    assert len([name for name in retired if name.startswith(USAGE)]) == 2
    assert {stored.name for stored in lake.stored()}.isdisjoint(retired)
    files = files_of(lake.control, USAGE)
    for path in copies(lake):
        os.utime(path, (1, 1))
    assert lake.sealed.trim(files, bytes_max=0) == len(files)
    assert lake.sealed.trim(files, bytes_max=0) == 0
    assert our_sums(lake) == expected


@pytest.mark.slow
def test_a_table_on_s3_is_read_by_pyiceberg(lake: Lake, storage: ObjectStorage) -> None:
    done = publish(lake, NOW_NS)
    assert done.location == storage.url
    settings = {
        "s3.endpoint": storage.endpoint,
        "s3.access-key-id": s3_server.KEY,
        "s3.secret-access-key": s3_server.SECRET,
        "s3.region": storage.region,
    }
    try:
        (rows,) = iceberg_judges.by_pyiceberg(
            "", done.metadata, [done.snapshot], ["coalesce(input_tokens, 0)"], settings
        )
    except iceberg_judges.Unavailable as reason:
        pytest.skip(f"no pyiceberg: {reason}")
    # 1,000 and 7 tokens on azure on the first day, 9 on aws on the next.
    assert rows == [("2026-04-30", "azure", "2", "1007"), ("2026-05-01", "aws", "1", "9")]
    # Published anew, a file that was there is not written again, and sweeping leaves the table alone.
    lake.seal(batch(2, used(4, 0, 5)), 30)
    publish(lake, NOW_NS)
    lake.sweep()
    assert lake.store.get("metadata/version-hint.text") == b"2"

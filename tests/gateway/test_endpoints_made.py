"""What answers say was made, and lists without what others made."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clauseway.gateway.wire.made import EMPTY_LIST, made_in, only_owned

STATUS = [
    ("queued", True), ("in_progress", True), ("validating", True), ("finalizing", True), ("cancelling", True),
    ("completed", False), ("incomplete", False), ("failed", False), ("cancelled", False), ("expired", False),
    ("processed", False), ("uploaded", False), ("invented tomorrow", False), (None, False),
]  # fmt: skip


@pytest.mark.parametrize(("status", "pending"), STATUS)
def test_whether_usage_is_still_to_come(status: str | None, pending: bool) -> None:
    made = made_in(json.dumps({"id": "x_1", "status": status}).encode())
    assert made is not None
    assert (made.id, made.pending) == ("x_1", pending)


@pytest.mark.parametrize("answer", [b"", b"{", b"[]", b'{"id":5}', b'{"id":""}', b'{"object":"list"}', b"\xff"])
def test_answers_that_name_nothing(answer: bytes) -> None:
    assert made_in(answer) is None


def test_a_batch_names_its_files() -> None:
    made = made_in(b'{"id":"batch_1","status":"completed","output_file_id":"file-o","error_file_id":null}')
    assert made is not None
    assert made.files == ("file-o",)


names = st.lists(st.sampled_from([f"file-{number}" for number in range(8)]), unique=True, max_size=8)


@given(names, st.sets(st.sampled_from([f"file-{number}" for number in range(8)])), st.booleans())
def test_only_ones_own_objects_byte_for_byte(listed: list[str], owned: set[str], with_ends: bool) -> None:
    objects = [f'{{"id": "{name}",  "odd":1.50 }}' for name in listed]
    ends = f', "first_id": "{listed[0]}", "last_id": "{listed[-1]}"' if with_ends and listed else ""
    answer = f'{{"object": "list", "data": [{", ".join(objects)}]{ends}, "has_more": false}}'.encode()
    filtered = only_owned(answer, owned)
    kept = [name for name in listed if name in owned]
    assert [one["id"] for one in json.loads(filtered)["data"]] == kept
    assert all(f'{{"id": "{name}",  "odd":1.50 }}'.encode() in filtered for name in kept)
    assert all(name.encode() not in filtered for name in set(listed) - owned)
    if kept == listed:
        assert filtered == answer, "where nothing has to go, nothing is changed"


@pytest.mark.parametrize("answer", [b"", b"{", b'{"data":5}', b'{"id":"file-1"}', b'["file-1"]', b"\xff\xfe"])
def test_what_is_no_list_is_an_empty_one(answer: bytes) -> None:
    assert only_owned(answer, {"file-1"}) == EMPTY_LIST

"""What answers say was made."""

import json

import pytest

from clauseway.gateway.wire.stateful_resources import resource_in

STATUS = [
    ("queued", True),
    ("in_progress", True),
    ("validating", True),
    ("finalizing", True),
    ("cancelling", True),
    ("completed", False),
    ("incomplete", False),
    ("failed", False),
    ("cancelled", False),
    ("expired", False),
    ("processed", False),
    ("uploaded", False),
    ("invented tomorrow", False),
    (None, False),
]


@pytest.mark.parametrize(("status", "pending"), STATUS)
def test_whether_usage_is_still_to_come(status: str | None, pending: bool) -> None:
    made = resource_in(json.dumps({"id": "x_1", "status": status}).encode())
    assert made is not None
    assert (made.id, made.pending) == ("x_1", pending)


@pytest.mark.parametrize("answer", [b"", b"{", b"[]", b'{"id":5}', b'{"id":""}', b'{"object":"list"}', b"\xff"])
def test_answers_that_name_nothing(answer: bytes) -> None:
    assert resource_in(answer) is None


def test_a_batch_names_its_files() -> None:
    made = resource_in(b'{"id":"batch_1","status":"completed","output_file_id":"file-o","error_file_id":null}')
    assert made is not None
    assert made.files == ("file-o",)

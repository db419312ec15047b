"""Objects that were made, by the answers that say so."""

import json

import pytest

from clauseway.gateway.wire.stateful_resources import resource_in

# A status | whether its usage is still to come | whether it has ended. A file's is neither.
STATUS = [
    ("queued", True, False),
    ("in_progress", True, False),
    ("validating", True, False),
    ("finalizing", True, False),
    ("cancelling", True, False),
    ("completed", False, True),
    ("incomplete", False, True),
    ("failed", False, True),
    ("cancelled", False, True),
    ("expired", False, True),
    ("processed", False, False),
    ("uploaded", False, False),
    ("invented tomorrow", False, False),
    (None, False, True),
]


@pytest.mark.parametrize(("status", "pending", "has_ended"), STATUS)
def test_whether_usage_is_still_to_come(status: str | None, pending: bool, has_ended: bool) -> None:
    made = resource_in(json.dumps({"id": "x_1", "status": status}).encode())
    assert made is not None
    assert (made.id, made.pending, made.has_ended) == ("x_1", pending, has_ended)


@pytest.mark.parametrize("answer", [b"", b"{", b"[]", b'{"id":5}', b'{"id":""}', b'{"object":"list"}', b"\xff"])
def test_answers_that_name_nothing(answer: bytes) -> None:
    assert resource_in(answer) is None


def test_a_batch_names_its_files() -> None:
    made = resource_in(b'{"id":"batch_1","status":"completed","output_file_id":"file-o","error_file_id":null}')
    assert made is not None
    assert made.files == ("file-o",)

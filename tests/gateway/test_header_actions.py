"""The action for a header stays the same, however many spellings were seen before."""

from collections.abc import Callable

import pytest

from clauseway.gateway.transport.header_actions import HeaderActions

NAMES = {
    "a common name": b"content-length",
    "as another client spells it": b"Content-Length",
    "empty": b"",
    "so long that it shares a chain with longer ones": b"x" * 63,
    "longer": b"x" * 64,
    "far longer": b"x" * 5000,
}


def counted() -> tuple[HeaderActions, list[bytes]]:
    asked: list[bytes] = []

    def action_of(name: bytes) -> int:
        asked.append(name)
        return len(name) + (1000 if name == b"content-length" else 0)

    return HeaderActions(action_of), asked


def same_lengths(number: int) -> bytes:
    return b"%014d" % number


def all_lengths(number: int) -> bytes:
    return b"%d" % number + b"n" * (number % 90)


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
@pytest.mark.parametrize("others", [same_lengths, all_lengths], ids=["of one length", "of all lengths"])
@pytest.mark.parametrize("before", [0, 1, 7, 8, 9, 3000])
def test_a_name_has_its_action_whatever_came_before(name: bytes, others: Callable[[int], bytes], before: int) -> None:
    actions, _ = counted()
    expected = len(name) + (1000 if name.lower() == b"content-length" else 0)
    for number in range(before):
        other = others(number)
        assert actions.of(other) == len(other)
    assert [actions.of(name), actions.of(name)] == [expected, expected]


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
def test_a_spelling_is_looked_at_once(name: bytes) -> None:
    actions, asked = counted()
    for number in range(20):  # more than are compared one by one
        actions.of(same_lengths(number))
    asked.clear()
    for _ in range(3):
        actions.of(name)
    assert asked == [name.lower()]


def test_new_spellings_without_end_are_not_remembered_without_end() -> None:
    actions, asked = counted()
    for number in range(5000):
        actions.of(same_lengths(number))
    asked.clear()
    for number in range(5000):
        actions.of(same_lengths(number))
    assert 2500 < len(asked) < 5000, "some are remembered, most are not"

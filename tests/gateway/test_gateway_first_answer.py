"""The first answer after a kill: it does not wait until what the dead process left in the journal is read."""

import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from gateway_rig import Rig, chat_body, request_bytes, stall, well

from awaiting import eventually
from clauseway.metering import Status

UNREAD = (str(Path(__file__).with_name("unread_journal.py")),)


@pytest.fixture
def killed(tmp_path: Path) -> Iterator[Rig]:
    """A gateway that was killed with one attempt answered and two open."""
    with Rig(tmp_path) as rig:
        cloud = rig.cloud("azure")
        rig.start()
        assert rig.post().status_code == 200
        cloud.behaviour = stall
        waiting = [rig.socket() for _ in range(2)]
        for connection in waiting:
            connection.sendall(request_bytes(chat_body(stream=False)))
        eventually(lambda: len(rig.intents()) == 3)
        rig.kill()
        for connection in waiting:
            connection.close()
        cloud.behaviour = well
        yield rig


def read_on(rig: Rig) -> None:
    (rig.home / "read-on").touch()


def ends(rig: Rig) -> Counter[Status]:
    """How attempts ended; each has one end at most."""
    records = rig.records()
    assert len({(record.request, record.attempt) for record in records}) == len(records)
    return Counter(record.status for record in records)


def test_requests_are_answered_before_the_journal_is_read(killed: Rig) -> None:
    killed.start(launcher=UNREAD)
    assert killed.post().status_code == 200
    assert ends(killed) == {Status.COMPLETE: 2}
    read_on(killed)
    eventually(lambda: ends(killed) == {Status.COMPLETE: 2, Status.LOST: 2})
    killed.stop()
    assert ends(killed) == {Status.COMPLETE: 2, Status.LOST: 2}, "its own attempts are not lost"


def test_what_is_open_here_is_not_taken_for_a_dead_processs(killed: Rig) -> None:
    killed.start(launcher=UNREAD)
    killed.clouds["azure"].behaviour = stall
    with killed.socket() as connection:
        connection.sendall(request_bytes(chat_body(stream=False)))
        eventually(lambda: len(killed.intents()) == 4)
        read_on(killed)
        eventually(lambda: ends(killed) == {Status.COMPLETE: 1, Status.LOST: 2})
    killed.stop()
    assert ends(killed)[Status.LOST] == 2


def test_one_that_is_killed_before_it_has_read_leaves_it_to_the_next(killed: Rig) -> None:
    killed.start(launcher=UNREAD)
    assert killed.post().status_code == 200
    killed.kill()
    killed.start()
    killed.stop()
    assert ends(killed) == {Status.COMPLETE: 2, Status.LOST: 2}
    killed.start()
    killed.stop()
    assert ends(killed) == {Status.COMPLETE: 2, Status.LOST: 2}


def test_one_that_stops_reads_to_the_end_first(killed: Rig) -> None:
    killed.start(launcher=UNREAD)
    later = threading.Timer(0.0, read_on, [killed])
    later.start()
    killed.stop()
    later.join()
    assert ends(killed) == {Status.COMPLETE: 1, Status.LOST: 2}

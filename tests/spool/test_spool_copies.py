"""A journal's copy at a follower: what is acknowledged is there, whatever is cut, killed, full, wrong or newer."""

import asyncio
import contextlib
import json
import os
import socket
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from awaiting import eventually
from clauseway.spool import alone_periods, positions, release, set_fenced_aside
from clauseway.spool.copier import introduce
from clauseway.spool.copies import ALONE, REFUSE, journal_copies, read_state, write_fence
from clauseway.spool.follower import _Segment as Segment
from clauseway.spool.follower_messages import Append, BadMessage, MessageKind, pack_append, pack_preface
from clauseway.spool.segments import is_written, segment_path
from copied import (
    PATIENCE_S,
    SECRET,
    CopiedJournal,
    FollowerHere,
    Line,
    following,
    numbers_in,
    whole_bytes,
)
from small_disks import small_disk


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(scenario())  # type: ignore[arg-type]


@pytest.fixture
def follower(tmp_path: Path) -> Iterator[FollowerHere]:
    with following(tmp_path / "copies") as started:
        yield started


def test_what_is_acknowledged_is_at_the_follower_byte_by_byte(tmp_path: Path, follower: FollowerHere) -> None:
    journal_folder = tmp_path / "gateway"

    async def scenario() -> None:
        journal = CopiedJournal(journal_folder, follower.port, segment_bytes=2_000)
        for number in range(40):
            assert await journal.write(number) is None
            assert numbers_in(follower.copy())[-1] == number
        await journal.writer.close()

    run(scenario)
    assert numbers_in(follower.copy()) == numbers_in(journal_folder) == list(range(40))
    assert len(whole_bytes(follower.copy())) > 3, "several segments"
    here, there = whole_bytes(journal_folder), whole_bytes(follower.copy())
    assert {number: here[number] for number in there} == there
    assert all(place.closed and not place.damages for place in positions(follower.copy()))
    (copy,) = journal_copies(follower.folder)
    assert (copy.state.place, copy.state.is_closed, copy.frames) == ("gateway", True, 40)
    sizes = [path.stat().st_size for path in sorted(follower.copy().glob("*.seg"))]
    assert sizes == [len(whole) for whole in there.values()], "zeros written ahead are given back"
    eventually(lambda: [line.rpartition(" left ")[2] for line in follower.lines][1:] == ["after closing it."])


def test_the_copy_counts_its_acknowledged_frames(tmp_path: Path, follower: FollowerHere) -> None:
    """So a damaged last frame of a copy is told from a torn end."""

    async def scenario() -> None:
        journal = CopiedJournal(tmp_path / "gateway", follower.port)
        for number in range(3):
            await journal.write(number)
        await journal.die()

    run(scenario)
    eventually(lambda: [line.rpartition(" left ")[2] for line in follower.lines][1:] == ["without closing it."])
    (path,) = follower.copy().glob("*.seg")
    data = bytearray(path.read_bytes().rstrip(b"\0"))
    data[-1] ^= 1
    path.write_bytes(data)
    (place,) = positions(follower.copy())
    assert [(damage.first, damage.end) for damage in place.damages] == [(2, 3)]


# How the gateway goes on without its follower → what a waiter hears, and whether it is noted.
AWAY = [(REFUSE, True), (ALONE, False)]


@pytest.mark.parametrize(("when_away", "is_refused"), AWAY)
def test_a_follower_that_goes_and_comes_back(
    tmp_path: Path, follower: FollowerHere, when_away: str, is_refused: bool
) -> None:
    directory = tmp_path / "gateway"

    async def scenario() -> None:
        journal = CopiedJournal(directory, follower.port, when_away=when_away, segment_bytes=2_000, patience_s=4.0)
        assert await journal.write(0) is None
        assert journal.copier.problem == ""
        follower.stop()
        heard = await journal.write(1)
        assert (heard is not None) is is_refused
        assert journal.copier.is_away
        assert "is away" in journal.copier.problem
        assert (journal.writer.full is not None) is is_refused
        for number in range(2, 20):
            assert (await journal.write(number) is not None) is is_refused
        follower.start()
        await journal.until(live=True)
        assert (journal.copier.problem, journal.writer.full) == ("", None)
        assert await journal.write(20) is None
        assert numbers_in(follower.copy()) == numbers_in(directory) == list(range(21)), "nothing is left out"
        assert journal.told[-1] == "" != journal.told[-2]
        await journal.writer.close()

    run(scenario)
    # A slow machine may have been away before.
    periods = alone_periods(directory)
    assert bool(periods) is not is_refused
    assert not any(period.lasts for period in periods)


def test_the_notes_name_each_frame_with_one_copy(tmp_path: Path, follower: FollowerHere) -> None:
    """Whoever recovers the copy learns from them which records to look for here. A start that finds a period open goes
    on with that one."""
    follower.stop()
    directory = tmp_path / "gateway"

    async def scenario(boot: int, *, comes_back: bool) -> None:
        journal = CopiedJournal(directory, follower.port, boot=boot, when_away=ALONE, patience_s=0.1)
        await journal.until(live=False)
        for number in range(2):
            assert await journal.write(number) is None
        if comes_back:
            follower.start()
            await journal.until(live=True)
            assert await journal.write(2) is None
        await journal.die()

    run(lambda: scenario(1, comes_back=False))
    (period,) = alone_periods(directory)
    assert (period.segment, period.first, period.lasts) == (0, 0, True), "from the first record on"
    run(lambda: scenario(2, comes_back=True))
    (period,) = alone_periods(directory)
    assert (period.segment, period.first) == (0, 0)
    assert (period.until_segment, period.until_frame) == (1, 2), "the third record of that start has its copy"


def test_patience_begins_with_the_message_that_has_no_answer(tmp_path: Path, follower: FollowerHere) -> None:
    """Not when the silence is noticed: clients wait from then on."""
    line = Line(follower.port)

    async def scenario() -> None:
        journal = CopiedJournal(tmp_path / "gateway", line.port, patience_s=0.3)
        assert await journal.write(0) is None
        line.hold()
        journal.append(1)
        heard = asyncio.ensure_future(journal.commit())
        while not journal.copier._outstanding:
            await asyncio.sleep(0)
        sent_s = time.monotonic()
        await journal.until(live=False)
        assert journal.copier._lost_s is not None
        assert journal.copier._lost_s <= sent_s
        assert await heard is not None
        await journal.die()

    run(scenario)
    line.close()


def test_bytes_that_were_not_sent_go_with_their_connection(tmp_path: Path, follower: FollowerHere) -> None:
    line = Line(follower.port)

    async def scenario() -> None:
        journal = CopiedJournal(tmp_path / "gateway", line.port)
        assert await journal.write(0) is None
        journal.copier._unsent += b"the rest of a message"
        line.cut()
        assert await journal.write(1) is None
        assert journal.copier._unsent == b""
        await journal.writer.close()

    run(scenario)
    line.close()


def test_an_answer_to_a_ping_moves_nothing(tmp_path: Path, follower: FollowerHere) -> None:
    """It may come behind that of a commit, before the disk here has taken it."""

    async def scenario() -> None:
        journal = CopiedJournal(tmp_path / "gateway", follower.port)
        assert await journal.write(0) is None
        at = journal.copier._copied
        journal.copier._push(MessageKind.PING, b"", (-1, 0))
        while journal.copier._outstanding:
            await asyncio.sleep(0)
        assert journal.copier._copied == at
        await journal.writer.close()

    run(scenario)


def test_a_short_interruption_is_heard_by_nobody(tmp_path: Path, follower: FollowerHere) -> None:
    line = Line(follower.port)

    async def scenario() -> None:
        journal = CopiedJournal(tmp_path / "gateway", line.port, patience_s=20)
        for number in range(10):
            line.cut()
            assert await journal.write(number) is None
        assert journal.told == []
        await journal.writer.close()

    run(scenario)
    line.close()
    assert numbers_in(follower.copy()) == list(range(10))


def test_held_requests_are_answered_once_the_follower_is_back(tmp_path: Path, follower: FollowerHere) -> None:
    follower.stop()

    async def scenario() -> None:
        journal = CopiedJournal(tmp_path / "gateway", follower.port, hold_s=90, patience_s=0.2)
        journal.append(1)
        held = [asyncio.ensure_future(journal.commit()) for _ in range(3)]
        await journal.until(live=False)
        held += [asyncio.ensure_future(journal.commit()) for _ in range(3)]
        await asyncio.sleep(0.5)
        assert not any(waiter.done() for waiter in held)
        follower.start()
        assert await asyncio.gather(*held) == [None] * 6
        assert numbers_in(follower.copy()) == [1]
        await journal.writer.close()

    run(scenario)


def test_a_stop_while_the_follower_is_away_writes_everything_here(tmp_path: Path, follower: FollowerHere) -> None:
    follower.stop()

    async def scenario() -> None:
        journal = CopiedJournal(tmp_path / "gateway", follower.port, hold_s=90, patience_s=0.2)
        await journal.until(live=False)
        journal.append(1)
        held = asyncio.ensure_future(journal.commit())
        await asyncio.sleep(0)
        await journal.writer.close()
        assert isinstance(await held, OSError)

    run(scenario)
    assert numbers_in(tmp_path / "gateway") == [1]


def test_a_stop_while_it_connects_leaves_no_connection(tmp_path: Path, follower: FollowerHere) -> None:
    before = len(os.listdir("/proc/self/fd"))

    async def scenario() -> CopiedJournal:
        journal = CopiedJournal(tmp_path / "gateway", follower.port)
        assert journal.copier._connecting is not None
        await journal.writer.close()
        return journal

    stopped: list[CopiedJournal] = []

    async def kept() -> None:
        stopped.append(await scenario())

    run(kept)
    eventually(lambda: len(os.listdir("/proc/self/fd")) == before)


def test_a_gateway_that_was_killed_goes_on_with_its_copy(tmp_path: Path, follower: FollowerHere) -> None:
    async def scenario() -> None:
        for boot in range(1, 6):
            journal = CopiedJournal(tmp_path / "gateway", follower.port, boot=boot, segment_bytes=2_000)
            for number in range(10 * boot, 10 * boot + 10):
                assert await journal.write(number) is None
            await (journal.die() if boot % 2 else journal.writer.close())

    run(scenario)
    assert numbers_in(follower.copy()) == numbers_in(tmp_path / "gateway") == list(range(10, 60))


def test_segments_that_are_sealed_go_from_the_copy_too(tmp_path: Path, follower: FollowerHere) -> None:
    directory = tmp_path / "gateway"

    async def scenario() -> None:
        journal = CopiedJournal(directory, follower.port, segment_bytes=2_000)
        for number in range(30):
            await journal.write(number)
        first, second = positions(directory)[:2]
        assert release(directory, {0: first.end, 1: second.end}) == [0, 1]
        journal.copier._release_s = 0.0
        while any(place.segment == 1 for place in positions(follower.copy())):
            await asyncio.sleep(0.01)
        assert await journal.write(30) is None
        await journal.die()

    run(scenario)
    assert sorted(whole_bytes(follower.copy())) == sorted(whole_bytes(directory))[: len(whole_bytes(follower.copy()))]
    assert min(whole_bytes(follower.copy())) == 2


def test_a_journal_that_was_emptied_by_mistake_takes_nothing_from_its_copy(
    tmp_path: Path, follower: FollowerHere
) -> None:
    directory = tmp_path / "gateway"

    async def scenario() -> None:
        journal = CopiedJournal(directory, follower.port, segment_bytes=2_000)
        for number in range(30):
            await journal.write(number)
        for path in directory.glob("*"):
            path.unlink()
        journal.copier._release_s = 0.0
        await asyncio.sleep(0.5)
        await journal.die()

    run(scenario)
    assert numbers_in(follower.copy()) == list(range(30))


# -- strangers


async def says(journal: CopiedJournal, words: str) -> None:
    """Wait until a journal says why it has no copy: a busy machine may be away before it hears the reason."""
    async with asyncio.timeout(PATIENCE_S):
        while words not in journal.copier.problem:
            await asyncio.sleep(0.005)


def test_a_gateway_with_another_secret_is_refused_and_says_so(tmp_path: Path, follower: FollowerHere) -> None:
    async def scenario() -> None:
        journal = CopiedJournal(tmp_path / "gateway", follower.port, secret=SECRET[::-1], patience_s=3)
        assert await journal.write(1) is not None
        await says(journal, "another secret")
        await journal.die()

    run(scenario)
    eventually(lambda: any("another secret" in line for line in follower.lines))
    assert list(follower.folder.iterdir()) == []


@pytest.mark.parametrize("version", [0, 2, 65_535])
def test_another_version_is_refused_and_says_so_on_both_sides(follower: FollowerHere, version: int) -> None:
    with socket.create_connection(("127.0.0.1", follower.port)) as gateway:
        gateway.sendall(pack_preface(bytes(32), version))
        answered = gateway.recv(1 << 16)
        assert len(answered) == 42, "its own preface, and no more"
        assert gateway.recv(1) == b""
    with socket.create_server(("127.0.0.1", 0)) as other, socket.create_connection(other.getsockname()) as ours:
        theirs, _ = other.accept()
        with theirs:
            theirs.sendall(pack_preface(bytes(32), version))
            with pytest.raises(BadMessage, match=f"speaks version {version} of the protocol, and this side 1"):
                introduce(ours, SECRET)
    assert any(f"version {version}" in line for line in follower.lines)


STRANGE = [
    b"GET / HTTP/1.1\r\nhost: follower\r\n\r\n" + b"x" * 100,
    b"",
    pack_preface(bytes(32)) + b"\xff" * 100,
    pack_preface(bytes(32)) + b"\x30\x00\x00\x00" + bytes(0x30),
    os.urandom(1000),
]


@pytest.mark.parametrize("data", STRANGE)
def test_a_stranger_leaves_nothing(tmp_path: Path, follower: FollowerHere, data: bytes) -> None:
    with socket.create_connection(("127.0.0.1", follower.port)) as stranger:
        stranger.sendall(data)
        with contextlib.suppress(OSError):  # the follower may have closed before
            stranger.shutdown(socket.SHUT_WR)
            while stranger.recv(1 << 16):
                pass
    assert list(follower.folder.iterdir()) == []


def is_ended_within(stranger: socket.socket, seconds: float) -> bool:
    """Return whether the follower closes a connection, after its preface."""
    stranger.settimeout(seconds)
    with contextlib.suppress(ConnectionError):
        try:
            while stranger.recv(1 << 16):
                pass
        except TimeoutError:
            return False
    return True


def test_a_stranger_has_no_long_message_kept(follower: FollowerHere) -> None:
    """Nobody has proved anything yet, so the follower keeps no megabytes for them."""
    with socket.create_connection(("127.0.0.1", follower.port)) as stranger:
        stranger.sendall(pack_preface(bytes(32)) + (1 << 20).to_bytes(4, "little"))
        assert is_ended_within(stranger, PATIENCE_S)
    assert any("a message of 1,048,576 bytes" in line for line in follower.lines)


def test_a_stranger_who_sends_byte_by_byte_is_ended(follower: FollowerHere, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clauseway.spool.follower._GREETING_S", 0.5)
    with socket.create_connection(("127.0.0.1", follower.port)) as stranger:
        stranger.sendall(pack_preface(bytes(32)) + (1 << 10).to_bytes(4, "little"))
        give_up_s = time.monotonic() + PATIENCE_S
        while not is_ended_within(stranger, 0.2):
            assert time.monotonic() < give_up_s
            with contextlib.suppress(ConnectionError):
                stranger.sendall(b"x")


def test_strangers_keep_no_gateway_out(tmp_path: Path, follower: FollowerHere, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of those who have proved nothing, the oldest leave for the newest."""
    monkeypatch.setattr("clauseway.spool.follower._GREETING_S", PATIENCE_S)
    with contextlib.ExitStack() as strangers:
        opened = [strangers.enter_context(socket.create_connection(("127.0.0.1", follower.port))) for _ in range(100)]

        async def scenario() -> None:
            journal = CopiedJournal(tmp_path / "gateway", follower.port)
            assert await journal.write(1) is None
            await journal.die()

        run(scenario)
        assert is_ended_within(opened[0], PATIENCE_S)
        assert not is_ended_within(opened[-1], 0.2)
    assert numbers_in(follower.copy()) == [1]


HELLOS = [b"{}", b"no JSON", b'{"spool": "../x", "place": "a", "when_away": "refuse"}', b"[]", b'{"spool": 7}']


@pytest.mark.parametrize("hello", HELLOS)
def test_a_hello_that_names_no_journal_leaves_nothing(tmp_path: Path, follower: FollowerHere, hello: bytes) -> None:
    with socket.create_connection(("127.0.0.1", follower.port)) as gateway:
        channel = introduce(gateway, SECRET)
        gateway.sendall(channel.seal(MessageKind.HELLO, hello))
        assert gateway.recv(1) == b""
    assert list(follower.folder.iterdir()) == []


def test_a_message_that_was_altered_ends_the_connection(tmp_path: Path, follower: FollowerHere) -> None:
    with socket.create_connection(("127.0.0.1", follower.port)) as gateway:
        channel = introduce(gateway, SECRET)
        sealed = channel.seal(MessageKind.HELLO, b'{"spool": "%s", "place": "a", "when_away": "refuse"}' % (b"0" * 32))
        gateway.sendall(sealed.replace(b"refuse", b"alone "))
        assert gateway.recv(1) == b""
    assert list(follower.folder.iterdir()) == []


# -- copies that are not the journal's


def test_a_copy_of_another_history_is_left_as_it_is(tmp_path: Path, follower: FollowerHere) -> None:
    """Two machines with one identity: a home that was cloned."""
    directory = tmp_path / "gateway"

    async def scenario() -> None:
        journal = CopiedJournal(directory, follower.port)
        for number in range(3):
            await journal.write(number)
        await journal.die()
        copied = whole_bytes(follower.copy())
        # The clone wrote another first segment.
        identity = (directory / "spool.id").read_text()
        clone = tmp_path / "clone"
        clone.mkdir()
        (clone / "spool.id").write_text(identity)
        cloned = CopiedJournal(clone, follower.port, boot=2, patience_s=3)
        assert await cloned.write(7) is not None
        await says(cloned, "is no beginning of the journal")
        assert whole_bytes(follower.copy()) == copied
        await cloned.die()

    run(scenario)


def test_a_recovered_journal_is_continued_by_nobody(tmp_path: Path, follower: FollowerHere) -> None:
    async def scenario() -> None:
        journal = CopiedJournal(tmp_path / "gateway", follower.port, when_away=ALONE)
        await journal.write(1)
        follower.stop()
        write_fence(follower.copy(), "home 17")
        follower.start()
        while journal.writer.failure is None:
            await journal.write(2)
        assert "recovered by home 17" in str(journal.writer.failure)
        assert await journal.write(3) is journal.writer.failure, "also where it may go on alone"
        await journal.die()
        assert set_fenced_aside(tmp_path / "gateway"), "the next start begins another journal"

    run(scenario)
    assert numbers_in(follower.copy()) == [1]
    eventually(lambda: not is_written(follower.copy()))  # its lock is free for whoever recovers it


def test_a_copied_segment_has_zeros_ahead_and_gives_them_back(tmp_path: Path) -> None:
    """Blocks that were written once are forced in half of the time."""
    path, segment = segment_path(tmp_path, 0), Segment(tmp_path, 0, 0)
    segment.append(Append(0, 0, 0, b"x" * 100))
    filled = path.stat().st_size
    assert filled > 100_000
    segment.append(Append(0, 100, 0, b"y" * 100))
    assert path.stat().st_size == filled
    segment.close()
    assert path.read_bytes() == b"x" * 100 + b"y" * 100
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(segment.descriptor)


def test_a_disk_without_room_for_zeros_has_room_for_records(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 256 << 10) as disk:
        segment = Segment(disk.path, 0, 0)
        for number in range(20):
            segment.append(Append(0, number * 8_000, 0, b"x" * 8_000))
        segment.close()
        assert segment_path(disk.path, 0).read_bytes() == b"x" * 160_000


@contextlib.contextmanager
def introduced(follower: FollowerHere) -> Iterator[Callable[[int, bytes], bool]]:
    """A gateway's connection: what sends bytes for the beginning of a segment, and returns whether they were taken."""
    hello = {"spool": "00" * 16, "place": "gateway", "when_away": REFUSE}
    with socket.create_connection(("127.0.0.1", follower.port)) as gateway:
        channel = introduce(gateway, SECRET)
        gateway.sendall(channel.seal(MessageKind.HELLO, json.dumps(hello).encode()))
        assert channel.feed(gateway.recv(1 << 16))[0][0] is MessageKind.WELCOME

        def append(segment: int, data: bytes) -> bool:
            gateway.sendall(channel.seal(MessageKind.APPEND, pack_append(segment, 0, 0, data)))
            return channel.feed(gateway.recv(1 << 16)) == [(MessageKind.ACK, b"")]

        yield append


def test_acknowledged_bytes_are_never_written_again(follower: FollowerHere) -> None:
    """Not by a gateway that goes back to an earlier segment either."""
    with introduced(follower) as append:
        assert append(0, b"first")
        assert append(1, b"first")
        assert not append(0, b"other")
    follower.wait_until_left()
    assert [path.read_bytes() for path in sorted(follower.copy().glob("*.seg"))] == [b"first"] * 2


def test_all_that_is_acknowledged_is_forced(follower: FollowerHere, monkeypatch: pytest.MonkeyPatch) -> None:
    """However little a disk takes at once, as at a quota: what follows goes behind it."""
    taken, forced = os.pwritev, []

    def takes_little(descriptor: int, buffers: Sequence[bytes], offset: int, flags: int = 0) -> int:
        forced.append(flags & os.RWF_DSYNC)
        return taken(descriptor, [buffers[0][:7]], offset, flags)

    monkeypatch.setattr(os, "pwritev", takes_little)
    with introduced(follower) as append:
        assert append(0, b"several parts of seven")
    follower.wait_until_left()
    assert [path.read_bytes() for path in follower.copy().glob("*.seg")] == [b"several parts of seven"]
    assert len(forced) == 4
    assert all(forced)


def test_a_copy_in_the_making_counts_no_frame_that_it_lacks(tmp_path: Path, follower: FollowerHere) -> None:
    """A journal of more than a megabyte comes in several parts; lost frames would be told where the last one did not
    come."""
    follower.stop()
    line = Line(follower.port)

    async def scenario() -> None:
        journal = CopiedJournal(tmp_path / "gateway", line.port, when_away=ALONE, patience_s=0.1, segment_bytes=4 << 20)
        await journal.until(live=False)
        for begin in range(0, 15_000, 5_000):
            for number in range(begin, begin + 5_000):
                journal.append(number)
            assert await journal.commit() is None
        assert journal.writer.position[1] > 1 << 20
        line.cut_after((1 << 20) + 10_000)
        follower.start()
        while not any(line.startswith(("Lost", "The journal")) for line in follower.lines):
            await asyncio.sleep(0.005)
        await journal.die()

    run(scenario)
    line.close()
    follower.wait_until_left()
    (place,) = positions(follower.copy())
    assert not place.damages
    assert 0 < len(numbers_in(follower.copy())) < 15_000


def test_two_journals_have_two_copies(tmp_path: Path, follower: FollowerHere) -> None:
    async def scenario() -> None:
        journals = [CopiedJournal(tmp_path / name, follower.port) for name in ("gateway", "gateway-1")]
        for number in range(10):
            assert await asyncio.gather(*(journal.write(number) for journal in journals)) == [None, None]
        for journal in journals:
            await journal.die()

    run(scenario)
    copies = journal_copies(follower.folder)
    assert sorted(copy.state.place for copy in copies) == ["gateway", "gateway-1"]
    assert [numbers_in(copy.directory) for copy in copies] == [list(range(10))] * 2
    assert not any(read_state(copy.directory).is_closed for copy in copies)


def test_another_follower_gets_what_is_not_sealed(tmp_path: Path, follower: FollowerHere) -> None:
    async def scenario() -> None:
        journal = CopiedJournal(tmp_path / "gateway", follower.port, segment_bytes=2_000)
        for number in range(20):
            await journal.write(number)
        await journal.die()
        with following(tmp_path / "others") as second:
            moved = CopiedJournal(tmp_path / "gateway", second.port, boot=2)
            assert await moved.write(20) is None
            assert numbers_in(second.copy()) == list(range(21))
            await moved.writer.close()

    run(scenario)


# -- the law

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(1, 6)),
        st.tuples(st.just("cut"), st.integers(0, 3_000)),
        st.tuples(st.just("away"), st.just(0)),
        st.tuples(st.just("back"), st.just(0)),
        st.tuples(st.just("kill"), st.just(0)),
        st.tuples(st.just("stop"), st.just(0)),
    ),
    max_size=12,
)


@settings(max_examples=12 * int(os.environ.get("SOAK", "1")), deadline=None, suppress_health_check=list(HealthCheck))
@given(STEPS, st.sampled_from([REFUSE, ALONE]))
def test_the_copy_is_a_beginning_of_the_journal_and_no_acknowledged_record_is_missing(
    steps: list[tuple[str, int]], when_away: str
) -> None:
    """Any cut, any order of away and back, kills and stops: what was acknowledged is in the copy, except what the
    journal noted to have acknowledged alone; and a copy never holds what the journal was never to hold."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        with following(root / "copies") as follower:
            line = Line(follower.port)
            run(lambda: _lived(root / "gateway", follower, line, steps, when_away))
            line.close()


async def _lived(
    directory: Path, follower: FollowerHere, line: Line, steps: list[tuple[str, int]], when_away: str
) -> None:
    number, boot = 0, 1
    acknowledged: set[int] = set()

    def begun() -> CopiedJournal:
        return CopiedJournal(
            directory,
            line.port,
            boot=boot,
            when_away=when_away,
            patience_s=0.3,
            segment_bytes=1_500,
            quick_us=1_000_000 if boot % 2 else 0,
        )

    journal = begun()
    for step, count in (*steps, ("back", 0)):
        if step == "write":
            for _ in range(count):
                number += 1
                if await journal.write(number) is None:
                    acknowledged.add(number)
        elif step == "cut":
            line.cut_after(count)
        elif step == "away":
            follower.stop()
        elif step == "back":
            follower.start()
        else:
            await (journal.die() if step == "kill" else journal.writer.close())
            boot += 1
            journal = begun()
        _check(directory, follower, acknowledged)
    # The last cut may not have been noticed yet.
    while True:
        await journal.until(live=True)
        number += 1
        if await journal.write(number) is None:
            acknowledged.add(number)
            if journal.copier.is_live:
                break
    assert acknowledged <= set(numbers_in(follower.copy())), "once it is back, it has everything"
    assert not any(period.lasts for period in alone_periods(directory))
    _check(directory, follower, acknowledged)
    await journal.writer.close()


def _check(directory: Path, follower: FollowerHere, acknowledged: set[int]) -> None:
    if not follower.folder.exists() or not any(follower.folder.iterdir()):
        assert not acknowledged or alone_periods(directory)
        return
    here, there = whole_bytes(directory), whole_bytes(follower.copy())
    for segment, data in there.items():
        written = here.get(segment, b"")
        assert written.startswith(data) or data.startswith(written), f"segment {segment}"
    if not alone_periods(directory):
        assert acknowledged <= set(numbers_in(follower.copy()))


def test_listing_copies_goes_on_while_their_segments_are_released(tmp_path: Path, follower: FollowerHere) -> None:
    """Another process lists them: what is gone between two of its looks is left out, and nothing else fails."""

    async def scenario() -> None:
        journal = CopiedJournal(tmp_path / "gateway", follower.port, segment_bytes=2_000)
        for number in range(30):
            await journal.write(number)
        await journal.die()

    run(scenario)
    (first,) = follower.copy().glob("*0.seg")
    whole = first.read_bytes()
    paths = [follower.copy() / f"{number:016d}.seg" for number in range(100, 1000)]
    for path in paths:
        path.write_bytes(whole)
    seen = []

    def release_all() -> None:
        for path in paths:
            path.unlink()

    with ThreadPoolExecutor(1) as pool:
        released = pool.submit(release_all)
        while not released.done():
            (copy,) = journal_copies(follower.folder)
            seen.append((copy.segments, len(positions(follower.copy()))))
        released.result()
    (copy,) = journal_copies(follower.folder)
    assert (copy.segments, copy.frames) == (len(list(follower.copy().glob("*.seg"))), 30)
    assert seen == sorted(seen, reverse=True)

"""A disk that is gone: the follower's copy takes the place of the journal, and every acknowledged record is settled
once, also when the disk turns up again."""

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from journals import commit, ended

from clauseway import spool
from clauseway.app.opening.home import Home
from clauseway.app.usage.damages import blocking_damages
from clauseway.app.usage.losses import journals
from clauseway.app.usage.recovering import copies_in, recover
from clauseway.app.usage.sealing import open_lake, seal
from clauseway.app.usage.usage_journals import register_spool
from clauseway.metering import RequestId, Status
from clauseway.spool import SpoolWriter, pack_intent
from clauseway.spool.copies import ALONE, REFUSE
from clauseway.storage.books import losses as losses_module
from clauseway.storage.books.losses import Losses
from clauseway.storage.lake.checked_rows import read_rows
from clauseway.storage.lake.file_list import USAGE, files_of
from clauseway.values import InvalidInput
from copied import LABELS, CopiedJournal, FollowerHere, codes_of, following
from postgresql_server import new_control_database

WHY = "the disk is gone"


@pytest.fixture
def follower(tmp_path: Path) -> Iterator[FollowerHere]:
    with following(tmp_path / "copies") as started:
        yield started


def lived(
    home: Home, follower: FollowerHere, numbers: range, *, when_away: str = REFUSE, closes: bool = False, boot: int = 7
) -> Path:
    """A gateway's life with a copy: ten requests and one that is open when it dies."""
    directory = home.spools / "gateway"
    register_spool(home, directory)

    async def life() -> None:
        journal = CopiedJournal(directory, follower.port, boot=boot, when_away=when_away, patience_s=20)
        register_spool(home, directory)
        for number in numbers:
            journal.begin(number)
            assert await journal.write(number) is None
        journal.begin(numbers.stop)
        assert await journal.commit() is None
        await (journal.writer.close() if closes else journal.die())

    asyncio.run(life())
    follower.wait_until_left()
    return directory


def sealed_rows(home: Home) -> list[tuple[str, int]]:
    """The request and status of each usage record in the lake."""
    with open_lake(home) as lake:
        files = lake.sound(files_of(lake.control, USAGE, None))
        rows = [row for file in files for row in read_rows(lake.root / file.name).to_pylist()]
    return sorted((row["request_id"], row["status"]) for row in rows)


def check_whole(home: Home, count: int) -> None:
    """Each of so many requests once, and the one that was open is lost."""
    rows = sealed_rows(home)
    assert len(rows) == len(set(rows)) == count + 1
    assert [status for _, status in rows].count(int(Status.LOST)) == 1


def test_a_journal_whose_disk_is_gone_is_recovered_and_sealed_once(tmp_path: Path, follower: FollowerHere) -> None:
    home = Home(tmp_path / "home").make()
    directory = lived(home, follower, range(10))
    name = spool.identify(directory).hex()
    shutil.rmtree(directory)
    assert any("is missing" in damage for damage in seal(home).damages)
    (copy,) = copies_in(follower.folder)
    assert (copy.spool, copy.place, copy.frames) == (name, "gateway", 11)
    recovered = recover(home, follower.folder, name[:6], WHY)
    assert (recovered.frames, recovered.ended, recovered.open) == (11, 1, ())
    check_whole(home, 10)
    again = recover(home, follower.folder, name, WHY)
    assert (again.ended, again.usage) == (0, 0)
    check_whole(home, 10)
    assert seal(home).damages == ()
    (registered, _) = journals(home).spools
    assert (registered.spool, registered.is_at_rest) == (name, True)


def test_a_part_that_was_sealed_before_is_not_sealed_again(tmp_path: Path, follower: FollowerHere) -> None:
    home = Home(tmp_path / "home").make()
    directory = home.spools / "gateway"
    register_spool(home, directory)

    async def life() -> None:
        journal = CopiedJournal(directory, follower.port, segment_bytes=2_000, patience_s=20)
        for number in range(30):
            journal.begin(number)
            assert await journal.write(number) is None
            if number in (5, 20):
                seal(home)
        journal.begin(30)
        assert await journal.commit() is None
        await journal.die()

    asyncio.run(life())
    follower.wait_until_left()
    shutil.rmtree(directory)
    recovered = recover(home, follower.folder, copies_in(follower.folder)[0].spool, WHY)
    assert recovered.open == ()
    check_whole(home, 30)


def test_what_came_after_the_end_of_a_copy_alone_is_a_loss_until_it_is_accepted(
    tmp_path: Path, follower: FollowerHere
) -> None:
    home = Home(tmp_path / "home").make()
    directory = lived(home, follower, range(10), when_away=ALONE)
    shutil.rmtree(directory)
    recovered = recover(home, follower.folder, copies_in(follower.folder)[0].spool, WHY)
    check_whole(home, 10)
    (problem,) = recovered.open
    assert "may have gone on alone" in problem
    assert "No copy goes further: import" in problem
    assert "spool accept 1" in problem


def test_a_journal_that_was_closed_in_order_lost_nothing_alone(tmp_path: Path, follower: FollowerHere) -> None:
    home = Home(tmp_path / "home").make()
    directory = lived(home, follower, range(10), when_away=ALONE, closes=True)
    shutil.rmtree(directory)
    assert recover(home, follower.folder, copies_in(follower.folder)[0].spool, WHY).open == ()


def test_a_journal_that_is_not_lost_is_not_recovered(tmp_path: Path, follower: FollowerHere) -> None:
    home = Home(tmp_path / "home").make()
    lived(home, follower, range(3))
    name = copies_in(follower.folder)[0].spool
    for asked, why, said in [
        (name, WHY, "it is there"),
        ("ffffffffff", WHY, "no copy"),
        ("", WHY, "no copy"),
        (name, " ", "no reason is given"),
    ]:
        with pytest.raises(InvalidInput, match=said):
            recover(home, follower.folder, asked, why)
    with pytest.raises(InvalidInput, match="there is no such folder"):
        recover(home, tmp_path / "nowhere", name, WHY)
    assert copies_in(follower.folder)[0].recovered_by == ""


def test_a_gateway_that_is_connected_is_not_dead(tmp_path: Path, follower: FollowerHere) -> None:
    home = Home(tmp_path / "home").make()
    directory = home.spools / "gateway"

    async def scenario() -> None:
        journal = CopiedJournal(directory, follower.port, patience_s=20)
        assert await journal.write(1) is None
        name = copies_in(follower.folder)[0].spool
        with pytest.raises(InvalidInput, match="its gateway writes it at this moment"):
            await asyncio.to_thread(recover, Home(tmp_path / "other"), follower.folder, name, WHY)
        assert await journal.write(2) is None
        await journal.die()

    asyncio.run(scenario())


def test_what_was_sealed_beyond_the_end_of_a_copy_is_ended_too(tmp_path: Path, follower: FollowerHere) -> None:
    """The follower is away: the gateway starts again, ends what was open, begins another attempt, and is sealed. Then
    its disk is gone."""
    home = Home(tmp_path / "home").make()
    directory = lived(home, follower, range(10))

    async def life_without_a_copy() -> None:
        writer = SpoolWriter(directory, asyncio.get_running_loop(), boot=8)
        codes = codes_of(writer, LABELS)
        at_ns = 2000
        await commit(writer, ended(7, 10, at_ns, codes), codes)  # it was open in the copy
        await commit(writer, pack_intent(8, 1, 1, at_ns, at_ns, *codes, 1, 10, 20, 30), codes)
        await commit(writer, ended(8, 1, at_ns, codes), codes)
        await commit(writer, pack_intent(8, 2, 1, at_ns, at_ns, *codes, 1, 10, 20, 30), codes)
        await writer.close()

    asyncio.run(life_without_a_copy())
    seal(home)
    shutil.rmtree(directory)
    name = copies_in(follower.folder)[0].spool
    for ended_now in (1, 0):
        recovered = recover(home, follower.folder, name, WHY)
        assert recovered.ended == ended_now
    before = [(str(RequestId(7, number)), int(Status.COMPLETE)) for number in range(11)]
    after = [(str(RequestId(8, 1)), int(Status.COMPLETE)), (str(RequestId(8, 2)), int(Status.LOST))]
    assert sealed_rows(home) == before + after


# -- two machines on one database


def machines(root: Path) -> tuple[Home, Home]:
    address, lake = new_control_database(), root / "lake"
    lake.mkdir()
    homes = []
    for name in ("first", "second"):
        home = Home(root / name).make()
        home.database_address.write_text(address)
        home.lake.symlink_to(lake)
        homes.append(home)
    return homes[0], homes[1]


def test_a_machine_that_is_lost_and_comes_back(
    tmp_path: Path, follower: FollowerHere, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = machines(tmp_path)
    directory = lived(first, follower, range(10))
    seal(first)
    with open_lake(first) as lake:
        Losses(lake.control).heard(first.identity())
    kept = tmp_path / "kept"
    shutil.copytree(first.root, kept, symlinks=True)
    shutil.rmtree(first.root)
    name = copies_in(follower.folder)[0].spool
    with pytest.raises(InvalidInput, match="another home holds it, and was heard"):
        recover(second, follower.folder, name, WHY)
    assert copies_in(follower.folder)[0].recovered_by == "", "a refusal fences nothing"
    monkeypatch.setattr(losses_module, "SILENT_NS", 0)
    assert recover(second, follower.folder, name, WHY).open == ()
    check_whole(second, 10)
    # A third home comes too late.
    with pytest.raises(InvalidInput, match="it was recovered already"):
        recover(Home(tmp_path / "third"), follower.folder, name, WHY)
    # The machine comes back, with its disk: what is there was sealed, and its gateway begins another journal.
    shutil.move(kept, first.root)
    seal(first)
    check_whole(second, 10)

    async def comes_back() -> None:
        journal = CopiedJournal(directory, follower.port, boot=8, when_away=ALONE)
        while journal.writer.failure is None:
            await journal.write(99)
        await journal.die()

    asyncio.run(comes_back())
    aside = spool.set_fenced_aside(directory)
    assert aside is not None
    assert spool.identity_of(directory) is None
    lived(first, follower, range(20, 30), boot=9)
    assert len(copies_in(follower.folder)) == 2
    for home in (first, second, first):
        seal(home)
    requests = [request for request, _ in sealed_rows(second)]
    assert len(requests) == len(set(requests))
    assert blocking_damages(second) == blocking_damages(first) == []

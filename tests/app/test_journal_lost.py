"""Journals damaged and lost by hand: what blocks a month, what is accepted by name, and what statements say of it."""

import shutil
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from journals import flip, frames, gateway, home_at, segment, today

from clauseway import spool
from clauseway.app.opening.home import Home
from clauseway.app.opening.home_control import open_control
from clauseway.app.running.upkeep import Upkeep
from clauseway.app.usage import compacting
from clauseway.app.usage.compacting import compact_lake
from clauseway.app.usage.damages import blocking_damages
from clauseway.app.usage.sealing import note_missing, open_lake, seal
from clauseway.app.usage.usage_journals import register_spool
from clauseway.storage.books.losses import Losses
from clauseway.storage.lake import compaction
from clauseway.storage.lake.file_list import files_of
from clauseway.values import exact_sum
from database_connections import queries_asked
from in_process import answer, run
from metered_months import assumed


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return home_at(tmp_path / "home")


def month() -> str:
    """The present one: a run may go on over the end of that in which it began."""
    return f"{today():%Y-%m}"


def settled(home: Home, period: str = "", code: int = 0) -> Any:
    prices = ("--prices", str(home.root / "book.csv"))
    return answer("settle", "--period", period or month(), *assumed(), *prices, home=home.root, code=code)


def settled_day(home: Home, code: int = 0) -> Any:
    """Today alone, as machines that share a database settle a month in parts."""
    prices = ("--prices", str(home.root / "book.csv"))
    of_month = ("--period", month(), "--part", str(today()))
    return answer("settle", *of_month, *assumed(), *prices, home=home.root, code=code)


def base(home: Home) -> Decimal:
    """Return the month's charges in all: 12.00 for each metered request, 100.00 for each estimated one."""
    return exact_sum(Decimal(line["base"]) for line in settled(home)["lines"])


def problems(checks: Any) -> str:
    return "\n".join(
        f"{problem['what']} {problem['why']} {problem['where']} {problem['remedy']}"
        for problem in checks["error"]["problems"]
    )


def test_a_gateway_that_was_stopped_and_started_is_metered_from_its_first_request_on(home: Home) -> None:
    """All of the journal is sealed and gone by then; its next segment is another one. So it is where an earlier program
    let go of the segments, and left no word of their numbers."""
    for number in range(4):
        journal = gateway(home, range(10 * number, 10 * number + 10), boot=7 + number)
        assert seal(home).usage == 10
        assert list(journal.glob("*.seg")) == []
        if number % 2:
            for note in ("released", "numbered"):
                (journal / note).unlink()


# Segments of five requests that have gone · requests in the last one · which were let go of by name · served again
TWICE: list[tuple[int, int, int, bool]] = [
    (1, 3, 0, False),
    (1, 8, 1, False),
    (1, 8, 0, True),
    (3, 8, 3, False),
    (3, 3, 0, True),
]


@pytest.mark.parametrize(("former", "requests", "released", "serves_again"), TWICE)
def test_a_segment_whose_number_an_earlier_program_gave_twice_is_metered_whole(
    home: Home, former: int, requests: int, released: int, serves_again: bool
) -> None:
    """Programs up to 0.1.0 began again at 0 where all segments had gone: frames of that number are sealed already, and
    are of another segment."""
    for start in range(former):
        journal = gateway(home, range(1, 6), boot=20 + start)
    seal(home)
    with open_control(home) as control:
        then = Losses(control).spool(spool.identify(journal).hex())
    gateway(home, range(1, 1 + requests), boot=8)
    segment(journal, former).rename(segment(journal, 0))
    for note in ("released", "numbered"):
        (journal / note).unlink()
    with open_control(home) as control:
        assert then is not None
        Losses(control).saw(msgspec.structs.replace(then, segment=0, released=released, is_at_rest=False))
    if serves_again:
        gateway(home, [20], boot=9)
    assert seal(home).damages == ()
    assert base(home) == 12 * (5 * former + requests + serves_again)
    assert list(journal.glob("*.seg")) == []
    assert seal(home).damages == ()


def test_a_settlement_says_that_usage_is_dated_after_today(home: Home) -> None:
    """Its clock was ahead while requests were served."""
    gateway(home, range(1, 3))
    prices = ("--prices", str(home.root / "book.csv"))
    settle = ("settle", "--period", month(), *assumed(), *prices)
    assert "clock" not in run(*settle, home=home.root).stderr
    gateway(home, range(3, 5), boot=8, day="2030-03-01")
    done = run(*settle, home=home.root)
    assert done.returncode == 0
    assert "Usage is dated up to 2030-03-01, ahead of this machine's clock: " in done.stderr
    assert "`clauseway doctor` says what to do." in done.stderr


def test_what_is_read_of_a_journal_does_not_grow_with_the_number_of_others(home: Home) -> None:
    """Every machine that ever served leaves its journal, and each page of a request seals first."""
    for number in range(3):
        gateway(home, range(10 * number, 10 * number + 10), boot=7 + number, name=f"gateway-{number}")
    seal(home)
    with queries_asked("spools") as of_spools:
        assert seal(home).usage == 0
    assert len([query for query in of_spools if "WHERE" not in query]) == 1


def test_a_journal_that_is_made_while_others_are_looked_for_is_not_missing(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker may be started at any instant: its journal is in none of the folders that were looked at before."""
    gateway(home, range(1), boot=7)
    seal(home)
    look = spool.identity_of

    def begin_another(directory: Path) -> bytes | None:
        monkeypatch.setattr(spool, "identity_of", look)
        register_spool(home, home.spools / "gateway-later")
        return look(directory)

    with open_lake(home) as lake:
        monkeypatch.setattr(spool, "identity_of", begin_another)
        assert note_missing(lake.control, home, 1) == []


def flip_in_the_middle(directory: Path) -> None:
    """The end of request 3: its begin, in the frame before, is whole."""
    flip(segment(directory), frames(segment(directory))[5] + 60)


def flip_in_the_last_frame(directory: Path) -> None:
    flip(segment(directory), frames(segment(directory))[19] + 60)


def cut_off_the_last_frame(directory: Path) -> None:
    path = segment(directory)
    path.write_bytes(path.read_bytes()[: frames(path)[19] + 40])


def cut_off_half(directory: Path) -> None:
    path = segment(directory)
    path.write_bytes(path.read_bytes()[: frames(path)[10]])


def delete_the_segment(directory: Path) -> None:
    segment(directory).unlink()


def delete_the_spool(directory: Path) -> None:
    shutil.rmtree(directory)


def wipe_the_header(directory: Path) -> None:
    path = segment(directory)
    path.write_bytes(b"\xff" * 64 + path.read_bytes()[64:])


def wipe_the_first_page(directory: Path) -> None:
    """The frames behind it are whole, and nothing says how their checksums begin."""
    path = segment(directory)
    path.write_bytes(bytes(4096) + path.read_bytes()[4096:])


def wipe_the_segment(directory: Path) -> None:
    path = segment(directory)
    path.write_bytes(bytes(path.stat().st_size))


def empty_the_segment(directory: Path) -> None:
    segment(directory).write_bytes(b"")


# By hand, before anything was sealed · attempts estimated · what the month charges after accepting
DAMAGES = [
    (flip_in_the_middle, 1, 9 * 12 + 100),
    (flip_in_the_last_frame, 1, 9 * 12 + 100),
    (cut_off_the_last_frame, 1, 9 * 12 + 100),
    (cut_off_half, 0, 5 * 12),
    (delete_the_segment, 0, 0),
    (delete_the_spool, 0, 0),
    (wipe_the_header, 0, 0),
    (wipe_the_first_page, 0, 0),
    (wipe_the_segment, 0, 0),
    (empty_the_segment, 0, 0),
]
BY_HAND = pytest.mark.parametrize(("by_hand", "attempts", "charged"), DAMAGES, ids=[row[0].__name__ for row in DAMAGES])
Damaging = Callable[[Path], None]


@BY_HAND
def test_lost_usage_blocks_its_month_until_an_estimate_is_accepted_by_name(
    home: Home, by_hand: Damaging, attempts: int, charged: int
) -> None:
    by_hand(gateway(home))
    seal(home)
    refused = problems(settled(home, code=3))
    assert "clauseway spool" in refused, "what to do"
    assert settled(home, "2026-04", code=0), "nothing of April can be lost with it: the journal began later"
    result = run("spool", "list", home=home.root)
    assert result.returncode == 2
    assert "open:" in result.stdout
    outcome = answer("spool", "list", home=home.root, code=2)
    why = "the disk of the gateway failed"
    if outcome["losses"]:
        accepted = answer("spool", "accept", str(outcome["losses"][0]["number"]), "--why", why, home=home.root)
    else:
        accepted = answer("spool", "write-off", outcome["spools"][0]["spool"][:8], "--why", why, home=home.root)
    assert accepted["attempts"] == attempts
    assert base(home) == charged
    statement = run("statement", "--period", month(), home=home.root).stdout
    assert "lost-usage-1" in statement
    assert why in " ".join(statement.split())
    assert accepted["who"] in statement
    assert run("statement", "verify", month(), home=home.root).returncode == 0
    assert run("spool", "list", home=home.root).returncode == 0


def test_what_was_sealed_before_is_not_lost_with_a_journal_and_what_is_found_later_replaces_the_estimate(
    home: Home, tmp_path: Path
) -> None:
    """Five requests are sealed, the sixth has begun, then the volume is gone; later it turns up."""
    directory = gateway(home, range(1, 6), killed=True)
    seal(home)
    gateway(home, [6], boot=8, killed=True)
    path = segment(directory, 1)
    path.write_bytes(path.read_bytes()[: frames(path)[1]])  # its begin, and not yet its end
    path.write_bytes(path.read_bytes()[:60] + (1).to_bytes(4, "little") + path.read_bytes()[64:])
    seal(home)
    gateway(home, [7, 8], boot=8)
    shutil.copytree(directory, tmp_path / "copy")
    shutil.rmtree(directory)
    assert any("missing" in damage for damage in seal(home).damages)
    (spool,) = answer("spool", "list", home=home.root, code=2)["spools"]
    assert spool["missing_ns"] > 0
    assert "a usage journal is missing" in problems(settled(home, code=3))
    accepted = answer("spool", "write-off", spool["spool"], "--why", "the volume was deleted", home=home.root)
    assert accepted["attempts"] == 1, "the sixth request: what came after the last sealing nobody knows"
    assert base(home) == 5 * 12 + 100
    again = answer("spool", "write-off", spool["spool"], "--why", "the volume was deleted", home=home.root)
    assert again["number"] == accepted["number"]
    shutil.copytree(tmp_path / "copy", directory)
    seal(home)
    assert base(home) == 5 * 12 + 100 + 2 * 12, "requests 7 and 8 were in it; of 6 no end was ever written"
    result = run("spool", "list", home=home.root)
    assert (result.returncode, "found again" in result.stdout) == (0, True)


@pytest.mark.parametrize("frames_between", [False, True], ids=["as it was", "with more in it"])
def test_a_journal_that_came_back_may_be_lost_again(home: Home, tmp_path: Path, frames_between: bool) -> None:
    """Its first loss says nothing of the second: that blocks its month until somebody writes it off too."""
    directory = gateway(home, range(1, 6), killed=True)
    seal(home)
    gateway(home, [6], boot=8, killed=True)
    path = segment(directory, 1)
    path.write_bytes(path.read_bytes()[: frames(path)[1]])
    path.write_bytes(path.read_bytes()[:60] + (1).to_bytes(4, "little") + path.read_bytes()[64:])
    seal(home)
    shutil.copytree(directory, tmp_path / "copy")
    numbers, estimated = [], []
    for why in ("the volume was deleted", "the volume was deleted again"):
        shutil.rmtree(directory)
        assert any("missing" in damage for damage in seal(home).damages)
        assert [damage.kind for damage in blocking_damages(home)] == ["spool"]
        assert "a usage journal is missing" in problems(settled(home, code=3))
        (listed,) = answer("spool", "list", home=home.root, code=2)["spools"]
        accepted = answer("spool", "write-off", listed["spool"], "--why", why, home=home.root)
        numbers.append(accepted["number"])
        estimated.append(accepted["attempts"])
        sealed_since = 12 * (len(numbers) - 1) if frames_between else 0
        assert base(home) == 5 * 12 + 100 + sealed_since
        assert blocking_damages(home) == []
        shutil.copytree(tmp_path / "copy", directory)
        if frames_between:
            gateway(home, [7], boot=9 + len(numbers), killed=True)
        seal(home)
    assert len(set(numbers)) == 2
    assert estimated == [1, 0], "the sixth request is estimated already: of it no end was ever found"


def test_real_records_take_the_place_of_their_estimates(home: Home, tmp_path: Path) -> None:
    directory = gateway(home, killed=True)
    shutil.copytree(directory, tmp_path / "copy")
    flip_in_the_middle(directory)
    seal(home)
    answer("spool", "accept", "1", "--why", "a bad sector", home=home.root)
    assert base(home) == 9 * 12 + 100
    # A copy of the segment turns up: its records are those of then.
    shutil.copy(segment(tmp_path / "copy"), segment(directory, 1))
    seal(home)
    assert base(home) == 10 * 12


def test_a_journal_that_was_closed_and_sealed_may_go(home: Home) -> None:
    directory = gateway(home)
    assert seal(home).usage == 10
    shutil.rmtree(directory)
    assert seal(home).damages == ()
    assert run("spool", "list", home=home.root).returncode == 0
    assert base(home) == 10 * 12


def test_a_journal_that_was_put_back_is_sealed_as_if_nothing_had_been(home: Home, tmp_path: Path) -> None:
    directory = gateway(home)
    shutil.move(directory, tmp_path / "aside")
    assert len(seal(home).damages) == 1
    assert settled(home, code=3)
    shutil.move(tmp_path / "aside", directory)
    assert base(home) == 10 * 12
    assert answer("spool", "list", home=home.root)["open"] == []


def test_a_torn_tail_and_a_killed_gateway_block_nothing(home: Home) -> None:
    gateway(home, killed=True)
    assert seal(home).damages == ()
    assert base(home) == 10 * 12
    gateway(home, [11], boot=8)
    assert base(home) == 11 * 12


def test_a_segment_that_goes_before_it_is_sealed_is_missed(home: Home) -> None:
    directory = gateway(home, range(1, 6), killed=True)
    gateway(home, range(6, 11), boot=8)
    segment(directory, 0).unlink()
    (damage,) = seal(home).damages
    assert "segment 0" in damage
    assert "the segment is gone" in damage
    assert settled(home, code=3)
    answer("spool", "accept", "1", "--estimate", "nothing", "--why", "in the bill of the cloud", home=home.root)
    assert base(home) == 5 * 12


@pytest.mark.parametrize("by_hand", [wipe_the_segment, empty_the_segment])
def test_a_segment_in_which_nothing_is_left_is_missed_after_the_next_start(home: Home, by_hand: Damaging) -> None:
    by_hand(gateway(home, range(1, 6), killed=True))
    gateway(home, range(6, 11), boot=8)
    seal(home)
    assert "nothing is left in the segment" in problems(settled(home, code=3))


def test_a_segment_that_a_process_died_over_is_no_loss(home: Home) -> None:
    """It was made ahead of time, and nothing was written to it."""
    directory = gateway(home, range(1, 6), killed=True)
    segment(directory, 1).write_bytes(bytes(4096))
    assert seal(home).damages == ()
    gateway(home, range(6, 11), boot=8)
    assert seal(home).damages == ()
    assert base(home) == 10 * 12


def test_a_journal_whose_disk_went_back_to_before_its_last_sealing_is_missed(home: Home, tmp_path: Path) -> None:
    """A snapshot of five requests is put back: the next five are sealed, and what came after them is lost."""
    directory = gateway(home, range(1, 11), killed=True)
    shutil.copytree(directory, tmp_path / "snapshot")
    seal(home)
    early = segment(tmp_path / "snapshot")
    cut = frames(early)[10]
    early.write_bytes(early.read_bytes()[:60] + (10).to_bytes(4, "little") + early.read_bytes()[64:cut])
    shutil.rmtree(directory)
    shutil.copytree(tmp_path / "snapshot", directory)
    for boot in (8, 9):
        gateway(home, [boot + 10], boot=boot)
        seal(home)
        (damage,) = blocking_damages(home)
        assert "segment 0, frames from 20 on" in damage.problem.where
        assert "the segment ends before what was sealed of it" in damage.problem.why
    answer("spool", "accept", "1", "--estimate", "nothing", "--why", "in the bill of the cloud", home=home.root)
    assert base(home) == 12 * 12


def test_what_was_sealed_since_a_database_went_back_to_stays_until_it_is_known_again(
    home: Home, tmp_path: Path
) -> None:
    """As after a recovery to a point in time. Until then its files are all that is left of five requests."""
    gateway(home, range(1, 6))
    seal(home)
    shutil.copy(home.root / "control.db", tmp_path / "control.db")
    gateway(home, range(6, 11), boot=8)
    seal(home)
    with open_lake(home) as lake:
        since = {path.relative_to(lake.root).as_posix() for path in lake.files() if "-0000000000000001-" in path.name}
    shutil.copy(tmp_path / "control.db", home.root / "control.db")
    seal(home)
    assert compact_lake(home).removed == 0
    checked = answer("lake", "check", home=home.root, code=2)
    assert since <= set(checked["unknown"])
    assert "clauseway usage import" in run("lake", "check", home=home.root).stdout
    for name in since:
        answer("usage", "import", str(home.lake / name), home=home.root)
    answer("spool", "accept", "1", "--estimate", "nothing", "--why", "imported from the lake", home=home.root)
    assert base(home) == 10 * 12
    assert answer("lake", "check", home=home.root)["unknown"] == []
    assert compact_lake(home).removed == 2
    assert base(home) == 10 * 12


def test_what_was_merged_since_a_database_went_back_to_stays_until_it_is_known_again(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database lists none of the files that were merged: the merged file alone has their usage."""
    monkeypatch.setattr(compacting, "_GRACE_NS", 0)
    gateway(home, range(1, 6))
    seal(home)
    shutil.copy(home.root / "control.db", tmp_path / "control.db")
    with open_lake(home) as lake:
        before = {path.name for path in lake.files()}
    for boot in (8, 9):
        gateway(home, range(boot, boot + 2), boot=boot)
        seal(home)
    later = {path for path in home.lake.glob("*/*/*.parquet") if path.name not in before}
    with monkeypatch.context() as merging:
        merging.setattr(
            compaction,
            "files_of",
            lambda control, kind: [file for file in files_of(control, kind) if home.lake / file.name in later],
        )
        assert compact_lake(home, files_least=2).removed == 4
    shutil.copy(tmp_path / "control.db", home.root / "control.db")
    seal(home)
    assert compact_lake(home).removed == 0
    (merged,) = (home.lake / "usage").glob("*/merged-*.parquet")
    assert merged.relative_to(home.lake).as_posix() in answer("lake", "check", home=home.root, code=2)["unknown"]
    answer("usage", "import", str(merged), home=home.root)
    for number in ("1", "2"):
        answer("spool", "accept", number, "--estimate", "nothing", "--why", "imported", home=home.root)
    assert answer("lake", "check", home=home.root)["unknown"] == []
    assert compact_lake(home).removed == 2
    assert base(home) == 9 * 12


def test_a_journal_that_went_back_with_its_database_writes_over_nothing_in_the_lake(home: Home, tmp_path: Path) -> None:
    """As a machine's snapshot beside a lake on its own disk: the next segment has the lost one's number, and other
    usage in as many frames."""
    gateway(home, range(1, 6))
    seal(home)
    for part in ("control.db", "spool"):
        taken = home.root / part
        (shutil.copytree if taken.is_dir() else shutil.copy)(taken, tmp_path / part)
    gateway(home, range(6, 9), boot=8)
    seal(home)
    with open_lake(home) as lake:
        (lost,) = (path for path in lake.files() if "-0000000000000001-" in path.name)
    content = lost.read_bytes()
    shutil.copy(tmp_path / "control.db", home.root / "control.db")
    shutil.rmtree(home.spools)
    shutil.copytree(tmp_path / "spool", home.spools)
    gateway(home, range(21, 24), boot=9)
    seal(home)
    compact_lake(home)
    assert lost.read_bytes() == content
    name = lost.relative_to(home.lake).as_posix()
    messages: list[str] = []
    upkeep = Upkeep(home, messages.append)
    for _ in range(2):
        upkeep.round(merging=True)
    (line,) = messages
    assert "the lake holds usage that the database does not know" in line
    assert name in line
    config = home.root / "clauseway.toml"
    config.write_text("")
    output = run("doctor", "--config", str(config), home=home.root).stdout
    assert "the lake holds usage that the database does not know" in " ".join(output.split())
    assert name in answer("lake", "check", home=home.root, code=2)["unknown"]
    refused = problems(settled(home, code=3))
    assert "the lake holds usage that the database does not know" in refused
    assert name in refused
    assert problems(settled_day(home, code=3)) == refused
    answer("usage", "import", str(lost), home=home.root)
    assert answer("lake", "check", home=home.root)["unknown"] == []
    compact_lake(home)
    assert not lost.exists()
    assert base(home) == 11 * 12


def test_a_month_is_not_closed_while_the_lake_has_usage_that_the_database_lacks(home: Home, tmp_path: Path) -> None:
    """It was settled before; then database and journals were put back to that state."""
    gateway(home, range(1, 6), day="2026-10-05")
    seal(home)
    settled(home, "2026-10")
    shutil.copy(home.root / "control.db", tmp_path / "control.db")
    shutil.copytree(home.spools, tmp_path / "spool")
    gateway(home, range(6, 9), boot=8, day="2026-10-06")
    seal(home)
    shutil.copy(tmp_path / "control.db", home.root / "control.db")
    shutil.rmtree(home.spools)
    shutil.copytree(tmp_path / "spool", home.spools)
    refused = problems(answer("books", "close", "2026-10", home=home.root, code=3))
    assert "the lake holds usage that the database does not know" in refused
    for file in home.lake.glob("usage/2026-10-06/*.parquet"):
        answer("usage", "import", str(file), home=home.root)
    assert answer("lake", "check", home=home.root)["unknown"] == []
    settled(home, "2026-10")
    answer("books", "close", "2026-10", home=home.root)


def test_a_database_that_went_back_misses_what_the_journal_let_go_of_since(home: Home, tmp_path: Path) -> None:
    """Also where no gateway starts again: the journal's folder says how far it was."""
    gateway(home, range(1, 6))
    seal(home)
    shutil.copy(home.root / "control.db", tmp_path / "control.db")
    gateway(home, range(6, 11), boot=8)
    seal(home)
    shutil.copy(tmp_path / "control.db", home.root / "control.db")
    (damage,) = seal(home).damages
    assert "segment 1" in damage
    assert "the segment is gone" in damage
    assert settled(home, code=3)


def test_a_loss_that_was_accepted_is_not_accepted_at_another_estimate(home: Home) -> None:
    flip_in_the_middle(gateway(home))
    seal(home)
    accepted = answer("spool", "accept", "1", "--why", "a bad sector", home=home.root)
    again = answer("spool", "accept", "1", "--estimate", "nothing", "--why", "in the bill", home=home.root, code=3)
    assert "accepted it at reserved" in str(again)
    assert answer("spool", "accept", "1", "--why", "a bad sector", home=home.root) == accepted


def test_a_segment_that_is_closed_while_it_is_sealed_is_not_missed(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sealing looks how far the segments reach; then the gateway goes on to the next one, before the first is read."""
    directory = gateway(home, killed=True)
    look = spool.positions

    def looked(asked: Path) -> tuple[spool.Position, ...]:
        places = look(asked)
        if asked == directory and len(places) == 1:
            gateway(home, range(11, 13), boot=8)
        return places

    monkeypatch.setattr(spool, "positions", looked)
    assert seal(home).damages == ()
    assert seal(home).damages == ()
    assert blocking_damages(home) == []


def test_a_segment_that_grows_while_it_is_sealed_is_not_missed(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sealing looks how far the segments reach; the gateway writes ten frames more before they are read."""
    directory = gateway(home, killed=True)
    look = spool.positions

    def looked(asked: Path) -> tuple[spool.Position, ...]:
        return tuple(place._replace(end=10, closed=False) for place in look(asked))

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(spool, "positions", looked)
        assert (seal(home).usage, frames(segment(directory))[20:]) == (10, [])
    assert seal(home).damages == ()
    assert blocking_damages(home) == []


def test_an_estimate_needs_a_name_that_is_known_and_a_reason(home: Home) -> None:
    flip_in_the_middle(gateway(home))
    seal(home)
    for estimate, why, place in [("zero", "x", "--estimate"), ("reserved", " ", "--why")]:
        refused = answer("spool", "accept", "1", "--estimate", estimate, "--why", why, home=home.root, code=3)
        assert [problem["where"] for problem in refused["error"]["problems"]] == [place]
    assert run("spool", "accept", "9", "--why", "x", home=home.root).returncode == 3
    assert run("spool", "write-off", "", "--why", "x", home=home.root).returncode == 3
    (spool,) = answer("spool", "list", home=home.root, code=2)["spools"]
    assert "not lost" in run("spool", "write-off", spool["spool"], "--why", "x", home=home.root).stderr


def test_a_month_is_not_closed_over_a_loss_that_was_found_after_it_was_settled(home: Home) -> None:
    directory = gateway(home, range(1, 6), day="2026-05-05", killed=True)
    assert settled(home, "2026-05")
    gateway(home, range(6, 11), boot=8, day="2026-05-05")
    flip(segment(directory, 1), frames(segment(directory, 1))[5] + 60)
    refused = run("books", "close", "2026-05", home=home.root)
    assert refused.returncode == 3
    assert "may be lost" in refused.stderr


def test_late_truth_corrects_a_closed_month_in_the_open_one(home: Home, tmp_path: Path) -> None:
    directory = gateway(home, day="2026-05-05", killed=True)
    shutil.copytree(directory, tmp_path / "copy")
    flip_in_the_middle(directory)
    seal(home)
    answer("spool", "accept", "1", "--why", "a bad sector", home=home.root)
    settled(home, "2026-05")
    assert run("books", "close", "2026-05", home=home.root).returncode == 0
    shutil.copy(segment(tmp_path / "copy"), segment(directory, 1))
    lines = settled(home, "2026-06")["lines"]
    (correction,) = [line for line in lines if line["corrects"] == "2026-05"]
    assert Decimal(correction["base"]) == 12 - 100

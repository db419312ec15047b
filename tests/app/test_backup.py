"""A home backed up and restored: the same bytes from it, nothing lost that was acknowledged before the moment, nothing
spent or metered twice, and nothing taken that is damaged or half written."""

import errno
import hashlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from journals import flip, gateway
from test_journal_recovered import lived, sealed_rows

import settled_book
from clauseway import spool
from clauseway.app.books import backing_up
from clauseway.app.books.audit_log import verify_books
from clauseway.app.books.backing_up import back_up
from clauseway.app.books.closing import close_month
from clauseway.app.books.migrating import migrate
from clauseway.app.books.restoring import TakingOver, restore
from clauseway.app.books.settled import statement
from clauseway.app.opening.home import Home
from clauseway.app.usage.damages import blocking_damages
from clauseway.app.usage.losses import accept_loss
from clauseway.app.usage.recovering import copies_in, recover
from clauseway.app.usage.sealing import seal
from clauseway.gateway.request.resource_index import INDEX_FILE
from clauseway.ledger.statement import canonical_bytes
from clauseway.metering import RequestId, Status
from clauseway.storage import Control
from clauseway.storage.books.losses import Losses
from clauseway.storage.control.copying import stand_alone
from clauseway.storage.control.engines import engine_of, writer_of
from clauseway.storage.control.versions import move
from clauseway.storage.customers.leases import NOBODY, BudgetStanding, LeaseRequest, Leases, picodollars, usd
from clauseway.storage.customers.tenants import BudgetRow, Tenants
from clauseway.storage.lake.digests import LakeDamaged
from clauseway.values import InvalidInput
from copied import FollowerHere, following
from in_process import answer, run
from postgresql_server import new_database

EARLIER = "0003"
GONE = TakingOver(why="the disk is gone")
KEEPING = TakingOver(why="the disk is gone", keeps_budgets=True)
UNDER_LOAD = Path(__file__).with_name("backed_up_under_load.py")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two settled months, and ten requests of 6 May in the journal of a gateway that runs."""
    home = settled_book.make(tmp_path_factory.mktemp("made") / "home")
    gateway(home, boot=9, day="2026-05-06", killed=True)
    (home.root / "clauseway.toml").write_text("# nothing is set\n")
    return home.root


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Home:
    return Home(Path(shutil.copytree(made, tmp_path / "home")))


@pytest.fixture(scope="module")
def saved(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of it, with its keys."""
    folder = tmp_path_factory.mktemp("saved") / "backup"
    Home(made).hash_key()
    back_up(Home(made), folder, with_keys=True)
    return folder


def settled(home: Home) -> bytes:
    """The bytes of May's statement, settled with all that the home has metered."""
    seal(home)
    settled_book.settle(home, "2026-05")
    made = statement(home, "2026-05")
    assert made is not None
    return canonical_bytes(made)


def test_a_restored_home_settles_and_closes_the_same_bytes(home: Home, tmp_path: Path) -> None:
    before = statement(home, "2026-05")
    made = back_up(home, tmp_path / "backup")
    restored = restore(tmp_path / "backup", Home(tmp_path / "look"))
    look = Home(tmp_path / "look")
    assert (restored.moment, restored.journals, restored.problems) == (made.moment, 1, ())
    assert verify_books(look, expected=made.head).problems == ()
    assert settled(look) == settled(home)
    assert statement(look, "2026-05") != before
    closed = [close_month(each, "2026-04", date(2026, 7, 1)).month.digest for each in (home, look)]
    assert closed[0] == closed[1]
    assert blocking_damages(look) == []


def test_a_backup_of_books_that_were_edited_says_so(home: Home, tmp_path: Path) -> None:
    with closing(sqlite3.connect(home.embedded_control)) as database, database:
        database.execute("DELETE FROM manifest")
    done = run("home", "backup", str(tmp_path / "backup"), home=home.root)
    assert done.returncode == 2
    (edit,) = [line for line in done.stdout.splitlines() if "rows of manifest were added or deleted" in line]
    assert edit.startswith("rows of manifest were added or deleted"), "what, then why"
    assert "Keep the backups before it" in done.stdout
    restored = restore(tmp_path / "backup", Home(tmp_path / "look"))
    assert restored.moment, "it is a backup all the same"
    assert restored.problems, "and whoever restores it hears of it, too"


def test_a_home_on_a_server_is_backed_up_into_a_file(home: Home, tmp_path: Path) -> None:
    migrate(home, new_database())
    back_up(home, tmp_path / "backup")
    look = Home(tmp_path / "look")
    restore(tmp_path / "backup", look)
    assert isinstance(look.control, Path)
    assert settled(look) == settled(home)
    assert verify_books(look).problems == ()
    migrate(look, new_database())
    assert verify_books(look).problems == ()


@pytest.fixture
def disk() -> Iterator[Path]:
    """A folder that is not in memory: what is forced to a disk paces a writer, which else runs far ahead."""
    with TemporaryDirectory(prefix="clauseway-under-load-") as folder:
        yield Path(folder)


@pytest.mark.slow
def test_what_was_acknowledged_before_a_backup_under_load_is_in_it(disk: Path) -> None:
    """A gateway writes and the home seals, all the time; each backup has every request up to some number, and at least
    those that were acknowledged when it began."""
    home = Home(disk / "home").make()
    command = [sys.executable, str(UNDER_LOAD), str(home.root)]
    over = threading.Event()

    def sealing() -> None:
        while not over.is_set():
            seal(home)

    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as writing:
        assert writing.stdout is not None
        sealer = threading.Thread(target=sealing)
        try:
            acknowledged = int(writing.stdout.readline())
            sealer.start()
            for number in range(3):
                while acknowledged < 40 * (number + 1):
                    acknowledged = int(writing.stdout.readline())
                back_up(home, disk / f"backup-{number}")
                look = Home(disk / f"look-{number}")
                restore(disk / f"backup-{number}", look)
                seal(look)
                requests = [RequestId.parse(request).number for request, _ in sealed_rows(look)]
                assert sorted(requests) == list(range(1, len(requests) + 1))
                assert len(requests) >= acknowledged
                assert blocking_damages(look) == []
        finally:
            over.set()
            writing.kill()
            if sealer.is_alive():
                sealer.join()


KILLED = """
import os, signal, sys
from pathlib import Path
from clauseway.app.books import {module}
from clauseway.app.opening.home import Home
steps, copy = 0, {module}.copy_hashed
def copied(*given, **named):
    global steps
    steps += 1
    if steps == int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)
    return copy(*given, **named)
{module}.copy_hashed = copied
{call}
"""
BACKING_UP = KILLED.format(module="backing_up", call="backing_up.back_up(Home(Path(sys.argv[2])), Path(sys.argv[3]))")
RESTORING = KILLED.format(module="restoring", call="restoring.restore(Path(sys.argv[2]), Home(Path(sys.argv[3])))")


def killed(script: str, step: int, *given: Path) -> None:
    done = subprocess.run([sys.executable, "-c", script, str(step), *map(str, given)], check=False)
    assert done.returncode == -signal.SIGKILL


@pytest.mark.parametrize("step", [1, 3, 8])
def test_a_killed_backup_leaves_no_half_backup(home: Home, tmp_path: Path, step: int) -> None:
    target = tmp_path / "backups" / "today"
    target.parent.mkdir()
    killed(BACKING_UP, step, home.root, target)
    assert not target.exists()
    assert back_up(home, target).files > 8
    assert [path.name for path in target.parent.iterdir()] == ["today"]


@pytest.mark.parametrize("step", [1, 3, 8])
def test_a_killed_restore_leaves_no_home_and_can_be_repeated(saved: Path, tmp_path: Path, step: int) -> None:
    look = Home(tmp_path / "look")
    killed(RESTORING, step, saved, look.root)
    assert not look.is_begun
    restore(saved, look)
    assert verify_books(look).problems == ()
    assert not list(look.root.glob(".*"))


def test_beside_a_broken_off_restore_nothing_is_lost_that_it_did_not_write(saved: Path, tmp_path: Path) -> None:
    look = Home(tmp_path / "look")
    killed(RESTORING, 3, saved, look.root)
    kept = look.root / "somebody's notes.md"
    kept.write_text("kept")
    with pytest.raises(InvalidInput, match="the home is not empty"):
        restore(saved, look)
    assert kept.read_text() == "kept"
    kept.unlink()
    assert not restore(saved, look).home.endswith("notes.md")


def test_a_restore_moves_the_control_data_last(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it a folder is no home: whatever kills a restore, half a home is never served."""
    look, moved, move_file = tmp_path / "look", list[str](), Path.rename

    def rename(path: Path, target: Path) -> Path:
        if target.parent == look:
            moved.append(target.name)
        return move_file(path, target)

    monkeypatch.setattr(Path, "rename", rename)
    restore(saved, Home(look))
    assert {"lake", "spool"} < set(moved)
    assert moved[-1] == "control.db"


def test_journals_are_copied_after_the_control_data_and_from_their_newest_segment_on(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So all that was acknowledged is in one of the two, and no journal has a hole, whatever is written meanwhile."""
    journal = gateway(home, range(20, 25), boot=8, killed=True)
    (journal / "0000000000000000.seg.damaged").write_bytes(b"what could not be read")
    sqlite3.connect(journal / INDEX_FILE).close()
    copied = list[str]()

    def noting(copy: Callable[[Path, Path], object]) -> Callable[[Path, Path], object]:
        def note(source: Path, target: Path) -> object:
            copied.append(target.name)
            return copy(source, target)

        return note

    for name in ("copy_hashed", "snapshot", "snapshot_of_file"):
        monkeypatch.setattr(backing_up, name, noting(getattr(backing_up, name)))
    back_up(home, tmp_path / "backup")
    segments = sorted((path.name for path in journal.glob("*.seg*")), reverse=True)
    assert len(segments) == 3
    assert [name for name in copied if ".seg" in name or name.endswith(".db")] == ["control.db", *segments, "issued.db"]


def test_a_journal_and_its_copy_in_another_folder_are_both_restored(home: Home, tmp_path: Path) -> None:
    shutil.copytree(home.spools / "gateway", home.spools / "gateway-of-yesterday")
    back_up(home, tmp_path / "backup")
    look = Home(tmp_path / "look")
    assert restore(tmp_path / "backup", look).journals == len(list(look.spools.glob("restored-*"))) == 2


def test_a_backup_never_changes_a_folder(home: Home, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to("a disk that is not mounted")
    for name in ("there", "link"):
        with pytest.raises(InvalidInput, match="there is something already"):
            back_up(home, tmp_path / name)
    with pytest.raises(InvalidInput, match="there is no folder for it"):
        back_up(home, tmp_path / "not mounted" / "backup")
    assert list((tmp_path / "there").iterdir()) == []


def test_a_folder_that_takes_none_is_not_said_to_be_written_by_another(home: Home) -> None:
    with pytest.raises(OSError, match="/proc/"):
        back_up(home, Path("/proc/saved"))


@pytest.mark.parametrize("is_restored", [False, True], ids=["a home", "a home whose restore only left its folder"])
def test_a_home_that_holds_anything_is_not_restored_into(saved: Path, home: Home, is_restored: bool) -> None:
    """Killed at its very end, a restore has moved all, and the home may have been served since."""
    if is_restored:
        (home.root / ".restore-part").mkdir()
    before = home.embedded_control.read_bytes()
    with pytest.raises(InvalidInput, match="the home is not empty"):
        restore(saved, home)
    assert home.embedded_control.read_bytes() == before


def _file(pattern: str) -> Callable[[Path], Path]:
    return lambda folder: sorted(folder.glob(pattern))[0]


# which file is damaged
FILES = {
    "control data": "control.db",
    "sealed usage": "lake/usage/*/*.parquet",
    "journal": "journals/gateway/*.seg",
    "configuration": "clauseway.toml",
    "key": "hash.key",
    "what it holds": "backup.json",
}


@pytest.mark.parametrize("pattern", FILES.values(), ids=FILES)
@pytest.mark.parametrize("how", ["changed", "missing"])
def test_a_damaged_backup_is_refused_with_the_file_and_its_digest(
    saved: Path, tmp_path: Path, pattern: str, how: str
) -> None:
    folder = Path(shutil.copytree(saved, tmp_path / "backup"))
    path = _file(pattern)(folder)
    digest = sha256(path.read_bytes()).hexdigest()
    if how == "changed":
        flip(path, path.stat().st_size // 2)
    else:
        path.unlink()
    with pytest.raises(InvalidInput) as refused:
        restore(folder, Home(tmp_path / "look"))
    message = str(refused.value)
    assert path.name in message
    assert digest in message or (how == "missing" and path.name == "backup.json")
    assert not Home(tmp_path / "look").is_begun
    assert list((tmp_path / "look").glob("*")) == []


def test_a_list_of_digests_that_was_cut_or_changed_is_noticed(saved: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(saved, tmp_path / "backup"))
    sums = folder / "SHA256SUMS"
    lines = sums.read_text().splitlines(keepends=True)
    assert len(lines) > 8
    for left in (lines[1:], lines[:-1], [lines[0].replace(lines[0][:8], "0" * 8), *lines[1:]], ["no digest\n"]):
        sums.write_text("".join(left))
        with pytest.raises(InvalidInput):
            restore(folder, Home(tmp_path / "look"))
    sums.write_text("".join([*lines, f"{'0' * 64}  ../outside\n"]))
    with pytest.raises(InvalidInput, match="it is no backup"):
        restore(folder, Home(tmp_path / "look"))


# files that no backup holds, each with its digest in the list: they would lead the restored home elsewhere
FOREIGN = [
    "database.url",
    "lake.toml",
    "home.id",
    "restored.json",
    "journals/unknown/0000000000000000.seg",
    "journals/loose",
    "agreements/control.db",
    "agreements/database.url",
    "agreements/keys/openai.key",
    "spool/gateway/spool.id",
]


@pytest.mark.parametrize("name", FOREIGN)
def test_a_backup_with_a_file_that_none_holds_is_refused(saved: Path, tmp_path: Path, name: str) -> None:
    folder = Path(shutil.copytree(saved, tmp_path / "backup"))
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("postgresql://elsewhere/clauseway")
    with (folder / "SHA256SUMS").open("a") as sums:
        sums.write(f"{sha256((folder / name).read_bytes()).hexdigest()}  {name}\n")
    with pytest.raises(InvalidInput) as refused:
        restore(folder, Home(tmp_path / "look"))
    assert name in str(refused.value)
    assert list((tmp_path / "look").glob("*")) == []


# names that no file of a backup can have: below another file, longer than any name, longer than any path
IMPOSSIBLE = ["lake/{sealed}/below", "lake/" + "a" * 300, "lake" + "/aa" * 1_000]


@pytest.mark.parametrize("name", IMPOSSIBLE, ids=["below a file", "a long name", "a long path"])
def test_a_list_with_a_name_that_no_file_can_have_is_refused(saved: Path, tmp_path: Path, name: str) -> None:
    folder = Path(shutil.copytree(saved, tmp_path / "backup"))
    sealed = next(path for path in (folder / "lake").rglob("*") if path.is_file()).relative_to(folder / "lake")
    with (folder / "SHA256SUMS").open("a") as sums:
        sums.write(f"{'0' * 64}  {name.format(sealed=sealed)}\n")
    with pytest.raises(InvalidInput):
        restore(folder, Home(tmp_path / "look"))
    assert list((tmp_path / "look").glob("*")) == []


@pytest.mark.parametrize("database", [b"no database at all", None], ids=["another file", "overwritten inside"])
def test_a_damaged_database_is_refused_though_its_digest_fits(
    saved: Path, tmp_path: Path, database: bytes | None
) -> None:
    folder = Path(shutil.copytree(saved, tmp_path / "backup"))
    control, sums = folder / "control.db", folder / "SHA256SUMS"
    whole = control.read_bytes()
    control.write_bytes(database or whole[:4096] + b"\xff" * 8192 + whole[12288:])
    before, now = (sha256(content).hexdigest() for content in (whole, control.read_bytes()))
    sums.write_text(sums.read_text().replace(before, now))
    with pytest.raises(InvalidInput, match=r"the backup is damaged: control\.db"):
        restore(folder, Home(tmp_path / "look"))
    assert list((tmp_path / "look").glob("*")) == []


def test_agreements_of_the_home_come_back_under_their_names(home: Home, tmp_path: Path) -> None:
    run("agreement", "new", "ours", cwd=home.root)
    home.configuration.write_text('agreement = ["ours"]\n')
    (home.root / "party-keys.json").write_text("{}")
    assert back_up(home, tmp_path / "backup").left == ()
    look = Home(tmp_path / "look")
    restore(tmp_path / "backup", look)
    assert (look.root / "party-keys.json").read_text() == "{}"
    written = {path.name: path.read_bytes() for path in (home.root / "ours").iterdir()}
    assert {path.name: path.read_bytes() for path in (look.root / "ours").iterdir()} == written
    assert len(written) > 1
    (home.root / "ours" / "two\nlines.md").write_text("")
    with pytest.raises(InvalidInput, match="cannot be listed"):
        back_up(home, tmp_path / "another")


@pytest.mark.parametrize("agreement", [".", "keys", ".."])
def test_no_agreement_takes_the_keys_of_the_home_along(home: Home, tmp_path: Path, agreement: str) -> None:
    home.hash_key()
    home.keys.mkdir(mode=0o700)
    (home.keys / "openai.key").write_text("private")
    home.configuration.write_text(f'agreement = ["{agreement}"]\n')
    back_up(home, tmp_path / "backup")
    names = {path.name for path in (tmp_path / "backup").rglob("*")}
    assert names & {"openai.key", "hash.key", "agreements"} == set()


def test_its_digests_are_read_by_the_tool_of_every_system(saved: Path) -> None:
    done = subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=saved, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("later", [{"format": 2}, {"tables": "9999"}])
def test_a_backup_of_a_later_program_is_refused(saved: Path, tmp_path: Path, later: dict[str, object]) -> None:
    folder = Path(shutil.copytree(saved, tmp_path / "backup"))
    about = folder / "backup.json"
    former = sha256(about.read_bytes()).hexdigest()
    about.write_text(json.dumps(json.loads(about.read_text()) | later))
    sums = folder / "SHA256SUMS"
    sums.write_text(sums.read_text().replace(former, sha256(about.read_bytes()).hexdigest()))
    with pytest.raises(InvalidInput, match="a later program wrote the backup"):
        restore(folder, Home(tmp_path / "look"))


def test_a_backup_of_an_earlier_program_is_brought_up(saved: Path, home: Home, tmp_path: Path) -> None:
    """Its tables are those of an earlier version; what was restored is of this one, and settles the same bytes."""
    folder = Path(shutil.copytree(saved, tmp_path / "backup"))
    engine = engine_of(folder / "control.db")
    with writer_of(engine).begin() as connection:
        move(connection, EARLIER)
    engine.dispose()
    stand_alone(folder / "control.db")
    about = json.loads((folder / "backup.json").read_text())
    (folder / "backup.json").write_text(json.dumps(about | {"tables": EARLIER}))
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "SHA256SUMS")
    sums = [f"{sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder)}\n" for path in paths]
    (folder / "SHA256SUMS").write_text("".join(sums))
    look = Home(tmp_path / "look")
    assert restore(folder, look).problems == ()
    assert settled(look) == settled(home)


@pytest.mark.parametrize("how", ["changed", "missing"])
def test_a_lake_that_is_damaged_is_not_backed_up(home: Home, tmp_path: Path, how: str) -> None:
    path = _file("lake/usage/*/*.parquet")(home.root)
    if how == "changed":
        flip(path, path.stat().st_size // 2)
    else:
        path.unlink()
    with pytest.raises(LakeDamaged) as refused:
        back_up(home, tmp_path / "backup")
    assert path.name in str(refused.value)
    assert {problem.what for problem in refused.value.problems} == {f"a file of the lake is {how}"}
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_nothing_that_commands_make_in_a_home_is_told_as_left(home: Home, tmp_path: Path) -> None:
    fact = ("--product", "brand-new", "--effective", "2026-04-29", "--source", "a letter", "--class", "app")
    assert run("fact", "record", "product", *fact, home=home.root).returncode == 0
    assert run("basis", "read", "R1=or", "--why", "counsel", home=home.root).returncode == 0
    assert back_up(home, tmp_path / "backup").left == ()


def test_keys_are_taken_on_request_alone(home: Home, tmp_path: Path) -> None:
    secret = home.hash_key()
    home.keys.mkdir(mode=0o700)
    (home.keys / "openai.key").write_text("private")
    (home.root / "prices-of-ours.csv").write_text("what this is for nobody knows")
    without, with_keys = [
        back_up(home, tmp_path / name, with_keys=has) for name, has in (("without", False), ("with", True))
    ]
    assert without.left == ("prices-of-ours.csv",)
    every = b"".join(path.read_bytes() for path in (tmp_path / "without").rglob("*") if path.is_file())
    assert secret.encode() not in every
    assert b"private" not in every
    look, full = Home(tmp_path / "look"), Home(tmp_path / "full")
    assert any("hash.key" in sentence for sentence in restore(tmp_path / "without", look).missing)
    restored = restore(tmp_path / "with", full)
    assert not any("hash.key" in sentence for sentence in restored.missing)
    assert (full.hash_key(), (full.keys / "openai.key").read_text()) == (secret, "private")
    modes = {path.stat().st_mode & 0o077 for path in (tmp_path / "with", *(tmp_path / "with").rglob("*"))}
    assert modes == {0}
    assert with_keys.has_keys
    assert full.identity() != home.identity()


def test_a_home_without_keys_is_not_said_to_lack_them_for_want_of_a_flag(home: Home, tmp_path: Path) -> None:
    (home.root / "hash.key").unlink(missing_ok=True)
    back_up(home, tmp_path / "backup", with_keys=True)
    missing = " ".join(restore(tmp_path / "backup", Home(tmp_path / "look")).missing)
    assert "--with-keys" not in missing
    assert "hash.key: the home that was backed up had none" in missing


BUDGET = "bud_1"


def with_a_slice(home: Home, pid: int) -> None:
    """A budget of 1,000 USD, of which a gateway of the home holds 600 and has spent 100."""
    with closing(Control.open(home.control)) as control:
        Tenants(control).set_budget(
            BudgetRow(
                id=BUDGET, organisation="acme", period="total", amount=Decimal(1_000), currency="USD", created_ns=1
            )
        )
        (state,) = Leases(control).lease([asked(1, pid, target=600, spent=100)], time.time_ns())
        assert state.leased == picodollars(Decimal(600))


def asked(serial: int, pid: int, *, target: int, spent: int) -> LeaseRequest:
    return LeaseRequest(
        budget=BUDGET,
        boot=f"{7:016x}",
        part=0,
        pid=pid,
        serial=serial,
        spent=picodollars(Decimal(spent)),
        least=picodollars(Decimal(target)),
        target=picodollars(Decimal(target)),
        is_over=False,
    )


def standing(home: Home) -> BudgetStanding:
    with closing(Control.open(home.control)) as control:
        (held,) = Leases(control).standings(time.time_ns())
    return held


# how it takes over · spent of 1,000 USD · left
@pytest.mark.parametrize(("over", "spent", "left"), [(GONE, 1_000, 0), (KEEPING, 600, 400)])
def test_a_home_that_takes_over_spends_nothing_twice(
    home: Home, tmp_path: Path, over: TakingOver, spent: int, left: int
) -> None:
    """Its gateway may have spent all that it held after the backup; and others may have asked for the rest."""
    with_a_slice(home, os.getpid())  # a process that lives here, too, and is no gateway of the restored home
    back_up(home, tmp_path / "backup")
    second = Home(tmp_path / "second")
    restored = restore(tmp_path / "backup", second, over)
    now = standing(second)
    assert [usd(amount) for amount in (now.spent, now.left, now.leased)] == [Decimal(n) for n in (spent, left, 0)]
    assert [(held.budget, held.amount) for held in restored.held] == [(BUDGET, Decimal(400))] * (not left)
    with closing(Control.open(second.control)) as control:
        (state,) = Leases(control).lease([asked(2, os.getpid(), target=700, spent=600)], time.time_ns())
    assert usd(state.leased) == 600, "the word of the former gateway changes nothing"
    assert usd(standing(second).spent) == spent


def test_pending_batches_keep_their_holds_and_every_other_budget_is_held(home: Home, tmp_path: Path) -> None:
    """The restored home meters the batches. A budget of which nothing is left hides none behind it."""
    with_a_slice(home, NOBODY)
    with closing(Control.open(home.control)) as control:
        for number, amount in ((0, 0), (2, 50), (3, 70)):
            row = BudgetRow(
                id=f"bud_{number}",
                organisation=f"buyer {number}",
                period="total",
                amount=Decimal(amount),
                currency="USD",
                created_ns=number,
            )
            Tenants(control).set_budget(row)
    back_up(home, tmp_path / "backup")
    second = Home(tmp_path / "second")
    restored = restore(tmp_path / "backup", second, GONE)
    assert restored.leases == 0
    assert {held.budget: held.amount for held in restored.held} == {BUDGET: 400, "bud_2": 50, "bud_3": 70}
    with closing(Control.open(second.control)) as control:
        batch = next(each for each in Leases(control).standings(time.time_ns()) if each.budget.id == BUDGET)
    assert [usd(amount) for amount in (batch.spent, batch.leased, batch.left)] == [500, 500, 0]


def test_a_home_that_was_restored_to_be_read_is_not_served(home: Home, tmp_path: Path) -> None:
    with_a_slice(home, os.getpid())
    back_up(home, tmp_path / "backup")
    look = Home(tmp_path / "look")
    restore(tmp_path / "backup", look)
    done = run("serve", "--home", str(look.root), "--port", "0", "--pages-port", "0")
    assert done.returncode == 3
    assert "a home that was restored to be read is not served" in done.stderr
    checks = answer("doctor", "--home", str(look.root), code=2)["checks"]
    assert [(check["ok"], "a backup of" in check["found"]) for check in checks if check["what"] == "home"] == [
        (False, True)
    ]
    (look.root / "restored.json").write_text("{")
    assert run("serve", "--home", str(look.root)).returncode == 3, "a note that cannot be read forbids it, too"


def test_a_restored_journal_is_the_new_homes_and_at_its_end(home: Home, tmp_path: Path) -> None:
    back_up(home, tmp_path / "backup")
    look = Home(tmp_path / "look")
    restore(tmp_path / "backup", look)
    with closing(Control.open(look.control)) as control:
        [registered] = Losses(control).spools()
    assert registered.home == look.identity()
    places = spool.positions(look.spools / registered.place)
    assert [place.closed for place in places] == [True]


# Gateways stopped before the backup (True: killed) → the journals after whose end usage is lost
LIVES = [({"gateway": False}, {"gateway"}), ({"gateway": False, "gateway-1": True}, {"gateway-1"})]


@pytest.mark.parametrize(("killed_by_name", "lost"), LIVES)
def test_what_may_have_come_after_the_backup_is_a_loss_of_those_that_may_have_written_it(
    killed_by_name: dict[str, bool], lost: set[str], tmp_path: Path
) -> None:
    home, identities = settled_book.make(tmp_path / "home"), dict[str, str]()
    for name, is_killed in killed_by_name.items():
        identities[spool.identify(gateway(home, name=name, killed=is_killed)).hex()] = name
    seal(home)
    back_up(home, tmp_path / "backup")
    second = Home(tmp_path / "second")
    restore(tmp_path / "backup", second, GONE)
    with closing(Control.open(second.control)) as control:
        assert {identities[loss.spool] for loss in Losses(control).all()} == lost


def test_no_gateway_continues_a_restored_journal(home: Home, tmp_path: Path) -> None:
    """A range of frames has one content: the former gateway and that of the restored home write two journals."""
    back_up(home, tmp_path / "backup")
    second = Home(tmp_path / "second")
    restore(tmp_path / "backup", second, GONE)
    former = spool.identity_of(home.spools / "gateway")
    began = gateway(second, range(11, 14), boot=8)
    assert spool.identity_of(began) != former
    seal(second)
    rows = sealed_rows(second)
    assert len(rows) == len(set(rows)) == len(settled_book.USED) + 10 + 3


def test_what_came_after_the_backup_is_a_loss_until_somebody_accepts_it(home: Home, tmp_path: Path) -> None:
    gateway(home, range(20, 25), boot=8, killed=True)  # today
    made = back_up(home, tmp_path / "backup")
    second = Home(tmp_path / "second")
    restored = restore(tmp_path / "backup", second, GONE)
    assert json.loads((second.root / "restored.json").read_text())["takes_over"]
    assert restored.losses == 1
    (open_one,) = blocking_damages(second)
    assert made.moment in str(open_one.problem)
    assert open_one.days.begin == date.fromisoformat(made.moment[:10])
    accept_loss(second, 1, "nothing", "no request came in after the backup")
    assert blocking_damages(second) == []


def test_attempts_that_were_open_at_the_moment_are_lost(tmp_path: Path) -> None:
    with following(tmp_path / "copies") as follower:
        home = Home(tmp_path / "home").make()
        lived(home, follower, range(10))
        back_up(home, tmp_path / "backup")
        second = Home(tmp_path / "second")
        assert restore(tmp_path / "backup", second, GONE).lost_attempts == 1
        rows = sealed_rows(second)
        assert len(rows) == 11
        assert [status for _, status in rows].count(int(Status.LOST)) == 1


@pytest.fixture
def follower(tmp_path: Path) -> Iterator[FollowerHere]:
    with following(tmp_path / "copies") as started:
        yield started


def test_a_follower_brings_back_what_came_after_the_backup(tmp_path: Path, follower: FollowerHere) -> None:
    home = Home(tmp_path / "home").make()
    lived(home, follower, range(10))
    back_up(home, tmp_path / "backup")
    lived(home, follower, range(20, 30), boot=8)
    shutil.rmtree(home.root)
    second = Home(tmp_path / "second")
    restore(tmp_path / "backup", second, GONE)
    (copy,) = copies_in(follower.folder)
    recovered = recover(second, follower.folder, copy.spool, "the disk is gone")
    assert recovered.ended == 1, "the other one was ended when the home was restored"
    rows = sealed_rows(second)
    assert len(rows) == len(set(rows)) == 22
    complete = {request for request, status in rows if status == Status.COMPLETE}
    assert len(complete) == 20
    (open_one,) = blocking_damages(second)
    assert "restored from a backup" in str(open_one.problem)


def test_what_was_claimed_at_the_moment_is_metered_once(home: Home, tmp_path: Path) -> None:
    """Two batches were claimed by requests of the gateway: the usage of the first is in its journal."""
    directory = home.spools / "gateway"
    identity = spool.identify(directory).hex()
    index = directory / INDEX_FILE
    ids = [str(RequestId(9, number)) for number in (3, 999)]
    with closing(sqlite3.connect(index)) as database:
        database.execute(
            "CREATE TABLE issued (identifier TEXT PRIMARY KEY, organisation TEXT, project TEXT, key_id TEXT, "
            "seller TEXT, segment TEXT, deployment TEXT, model TEXT, endpoint INTEGER, body_bytes INTEGER, "
            "created_ns INTEGER, pending INTEGER, claimed TEXT NOT NULL DEFAULT '') WITHOUT ROWID"
        )
        for name, request in zip(("batch_1", "batch_2"), ids, strict=True):
            database.execute(
                "INSERT INTO issued VALUES (?, 'acme', '', 'key_1', 'openai', 'any', 'azure-1', 'm', 1, 1, 1, 2, ?)",
                (name, f"{request} {identity}"),
            )
        database.commit()
    back_up(home, tmp_path / "backup")
    second = Home(tmp_path / "second")
    restore(tmp_path / "backup", second, GONE)
    with closing(sqlite3.connect(second.spools / "gateway" / INDEX_FILE)) as database:
        pending = dict(database.execute("SELECT identifier, pending FROM issued"))
    assert pending == {"batch_1": 0, "batch_2": 1}


def test_a_reason_is_needed_to_take_over(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no reason is given"):
        restore(saved, Home(tmp_path / "second"), TakingOver(why=" "))


def test_the_commands_say_what_is_not_in_it(home: Home, tmp_path: Path) -> None:
    target, second = str(tmp_path / "backup"), str(tmp_path / "second")
    done = run("home", "backup", target, "--home", str(home.root))
    assert done.returncode == 0, done.stderr
    held, moment, *left = done.stdout.splitlines()
    assert held.endswith(f" are in {target}.")
    at = moment.removeprefix("Nothing that was acknowledged before ").removesuffix(" is missing.")
    digest = hashlib.sha256((tmp_path / "backup" / "SHA256SUMS").read_bytes()).hexdigest()
    assert left[0].startswith("hash.key and private keys are not in it")
    assert left[-2].startswith("Its books have as many rows as their log says; ")
    assert left[-1] == f"SHA-256 of its list: {digest}; keep it elsewhere."
    for flags, where in ((["--why", "the disk is gone"], "--why"), (["--keep-budgets"], "--keep-budgets")):
        refused = answer("home", "restore", target, "--home", second, *flags, code=3)
        assert [problem["where"] for problem in refused["error"]["problems"]] == [where]
    made = run("home", "restore", target, "--home", second, "--take-over", "--why", "the disk is gone")
    assert made.returncode == 0, made.stderr
    restored, place, lost, *missing = made.stdout.splitlines()
    assert restored.endswith(f" were restored into {second}, as of {at}.")
    assert place == "It takes the place of the home that was backed up, and may be served."
    assert lost == "0 attempts that were open are lost; 0 slices of budgets count as spent."
    assert [line for line in missing if line.startswith("not in it: All that was recorded after")]
    result = answer("home", "restore", target, "--home", str(tmp_path / "third"))
    assert (result["takes_over"], result["journals"], result["moment"]) == (False, 1, at)
    read = run("home", "restore", target, "--home", str(tmp_path / "fourth")).stdout.splitlines()
    assert read[1] == "It is to be read beside the home that was backed up, and is not served."


def test_a_full_disk_of_the_home_is_named_where_a_backup_needs_its_lock(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = str(home.root / "seal.lock")

    def find_no_room(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), lock)

    monkeypatch.setattr(backing_up, "lake_locked", find_no_room)
    done = run("home", "backup", str(tmp_path / "backup"), home=home.root)
    assert done.returncode == 1
    assert f"{lock}: the disk is full" in " ".join(done.stderr.split())


@pytest.mark.parametrize("part", ["copy_hashed", "snapshot"])
def test_a_full_disk_of_the_backups_is_named_and_not_the_homes(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    """Neither a write nor SQLite says which disk is full."""

    def find_no_room(*_: object) -> None:
        if part == "copy_hashed":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with closing(sqlite3.connect(":memory:")) as small:
            small.execute("PRAGMA max_page_count = 1")
            small.execute("CREATE TABLE filling (room)")

    monkeypatch.setattr(backing_up, part, find_no_room)
    done = run("home", "backup", str(tmp_path / "backup"), home=home.root)
    assert done.returncode == 1
    assert f"{tmp_path / 'backup'}: the disk is full" in " ".join(done.stderr.split())
    assert not [path for path in tmp_path.iterdir() if "backup" in path.name]

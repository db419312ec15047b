"""Every command at a home that is not there, cannot be written, or lies on a full disk.

The commands are those of the tree: a new one is looked at by itself.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from command_tree import arguments_of, commands, uses

import clauseway.cli
import settled_book
from clauseway.cli.homes import HomeUse
from deployments import deployment
from in_process import run

RUN_ON_A_DISK = Path(__file__).with_name("run_on_a_disk.py")
BY_PATH = dict(commands())
USES = uses()
NEEDS_ONE = [path for path, use in USES.items() if use in (HomeUse.READS, HomeUse.ADDS)]


@pytest.mark.parametrize("path", NEEDS_ONE)
def test_a_home_that_is_not_there_is_refused_and_not_made(path: str, tmp_path: Path) -> None:
    home = tmp_path / "nowhere"
    done = run(*arguments_of(path, BY_PATH[path], str(tmp_path)), "--home", str(home))
    assert done.returncode == 3, done.stdout
    assert f"{home}: nothing was ever recorded there: there is no such folder." in done.stderr
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", [path for path, use in USES.items() if use is HomeUse.READS])
def test_an_empty_folder_is_no_home(path: str, tmp_path: Path) -> None:
    done = run(*arguments_of(path, BY_PATH[path], str(tmp_path)), "--home", str(tmp_path))
    assert done.returncode == 3
    assert f"{tmp_path}: nothing was ever recorded there: the folder is no home yet." in done.stderr
    assert list(tmp_path.iterdir()) == []


# Refused for what is asked, where there is no home yet; `bad.…` are files with nothing right in them.
REFUSED = (
    "settle --period 2026-05",
    "settle --period 2026-05 --assume share-openai-microsoft",
    "settle --period 2026-05 --part 2026-06-01",
    "settle --period soon",
    "settle --period 2026-05 --prices none.csv",
    "settle --period 2026-05 --under A9",
    "usage import none.csv",
    "usage import bad.json",
    "key create --organisation acme --seller nobody",
    "key create --organisation acme --seller openai --role king",
    "project create acme search",
    "organisation set acme --strategy cheapest",
    "limit set --organisation acme --requests 5",
    "limit set --organisation acme",
    "budget set --organisation acme --amount 10",
    "budget set --organisation acme --amount ten",
    "fact record milestone --effective soon --source letter",
    "fact record party --effective 2026-06-01 --source letter --party openai",
    "basis prices none.csv --why new",
    "basis rates none.csv --why new",
    "party key create --party nobody",
    "person add anna --may everything",
    "config check",
    "config check bad.toml",
    "gateway commitments",
    "gateway commitments --config bad.toml",
    "statement verify bad.json",
    "statement verify 2026-05",
    "statement verify 2026-05 --home nowhere",
    "serve",
    "serve --config bad.toml",
    "init --vendor nobody",
)


@pytest.mark.parametrize("refused", REFUSED)
def test_a_refused_command_makes_nothing(refused: str, tmp_path: Path) -> None:
    bad = {"bad.json": "{", "bad.toml": "x = "}
    for name, text in bad.items():
        (tmp_path / name).write_text(text)
    done = run(*refused.split(), cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == set(bad)


def test_a_month_is_verified_in_a_home_that_is_there(tmp_path: Path) -> None:
    done = run("statement", "verify", "2026-05", "--home", str(tmp_path / "nowhere"))
    assert f"{tmp_path / 'nowhere'}: nothing was ever recorded there" in done.stderr


def test_a_question_needs_no_home_that_nobody_named(tmp_path: Path) -> None:
    asked = arguments_of("decide", BY_PATH["decide"], "")
    assert run(*asked, cwd=tmp_path).returncode in (0, 2)
    assert run(*asked, home=tmp_path / "nowhere").returncode == 3, "named by the environment"


Told = dict[str, tuple[int, str, str]]
WITHOUT = "-dac_override,-dac_read_search,-fowner"
SAID = {
    "read-only": ("cannot be", "read-only", "ermission denied"),
    "full": ("full", "No space left"),
    # SQLite tells that from a full disk by nothing but the words of the system.
    "no file may grow": ("the disk fails", "ile too large"),
}


@pytest.fixture(scope="module", params=["read-only", "full"])
def on_a_disk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Told]:
    """The kind of disk, and what every command said there."""
    folder = tmp_path_factory.mktemp("disk")
    template = settled_book.make(tmp_path_factory.mktemp("book")).root
    mounts = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    can_mount = shutil.which("unshare") and subprocess.run([*mounts, "true"]).returncode == 0
    # Root writes whatever the modes of files say, unless it may not.
    alone = mounts if can_mount else ["setpriv", f"--bounding-set={WITHOUT}"] if os.geteuid() == 0 else []
    command = [*alone, sys.executable, RUN_ON_A_DISK, request.param, template, folder]
    environment = {
        **os.environ,
        **({"mounted": "1"} if can_mount else {}),
        "TMPDIR": str(tmp_path_factory.mktemp("tmp")),
    }
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    kind = request.param if can_mount or request.param == "read-only" else "no file may grow"
    return kind, json.loads(done.stdout.splitlines()[-1])


def test_every_command_tells_it_in_words(on_a_disk: tuple[str, Told]) -> None:
    _, outcomes = on_a_disk
    assert sorted(outcomes) == sorted(USES)
    wrong = {
        path: (code, err)
        for path, (code, out, err) in outcomes.items()
        if code not in (0, 1, 2, 3)
        or "Traceback" in err
        or "failure of ours" in err
        or (code == 1 and "Stopped." not in err)
    }
    assert wrong == {}


# Commands that write, and so cannot come to their end.
WRITES = (
    "up",
    "serve",
    "gateway sandbox",
    "fact record milestone",
    "fact record party",
    "usage expand",
    "settle",
    "statement",
    "organisation create",
    "key create",
    "limit set",
    "budget set",
    "party key create",
    "books close",
    *(path for path in USES if path.startswith("export ") and path != "export focus-invoices"),  # there is no invoice
)


@pytest.mark.parametrize("path", WRITES)
def test_what_writes_says_why_it_did_not(on_a_disk: tuple[str, Told], path: str) -> None:
    kind, outcomes = on_a_disk
    code, _, err = outcomes[path]
    assert code in (1, 3), err
    assert any(words in err for words in SAID[kind]), err


# Contents in the place of control.db, made from the file as it was.
DAMAGED: dict[str, Callable[[bytes], bytes]] = {
    "garbage": lambda _: bytes(range(256)) * 40,
    "cut off": lambda whole: whole[:3000],
}
AT_DAMAGED = ("key list", "doctor", "audit verify", "usage show", "serve --port 0")


@pytest.mark.parametrize("command", AT_DAMAGED)
@pytest.mark.parametrize("damage", DAMAGED)
def test_damaged_control_data_are_called_so(command: str, damage: str, tmp_path: Path) -> None:
    home = settled_book.make(tmp_path / "home")
    (home.root / "clauseway.toml").write_text(deployment())
    control = home.root / "control.db"
    control.write_bytes(DAMAGED[damage](control.read_bytes()))
    done = run(*command.split(), "--home", str(home.root))
    assert done.returncode == 1, done.stdout
    assert f"{control}: the control data are damaged" in done.stderr
    assert "clauseway home restore" in done.stderr
    assert "failure of ours" not in done.stderr


# The rest of the control data · the message.
GONE = [("gone", "control.db is gone"), ("empty", "control.db is empty"), ("moved", "database.url is gone")]


@pytest.mark.parametrize("command", [*AT_DAMAGED, "key create --organisation acme --seller openai", "lake check"])
@pytest.mark.parametrize(("left", "says"), GONE, ids=[row[0] for row in GONE])
def test_no_home_is_begun_over_what_is_left_of_another(left: str, says: str, command: str, tmp_path: Path) -> None:
    """It would have no key and no usage, and doctor, check and backup would call it sound."""
    home = settled_book.make(tmp_path / "home")
    (home.root / "clauseway.toml").write_text(deployment())
    control = home.root / "control.db"
    if left == "empty":
        control.write_bytes(b"")
    else:
        control.rename(home.migrated_control if left == "moved" else tmp_path / "aside")
    done = run(*command.split(), "--home", str(home.root))
    assert done.returncode == 3, done.stdout
    assert f"{home.root}: the control data of this home is gone: {says if left != 'moved' else 'control.db was'}" in (
        done.stderr
    )
    assert says in done.stderr
    assert not control.exists() or not control.stat().st_size, "nothing is begun"


def test_whoever_names_exit_code_1_names_the_machine() -> None:
    """A full disk exits 1 as well as a mistake of the program: see the tests above."""
    cli = Path(clauseway.cli.__file__).parent
    texts = [path.read_text() for path in (*cli.rglob("*.py"), Path(__file__).parents[2] / "README.md")]
    said = [words for text in texts for words in re.findall(r"\b1 (?:for )?a failure[^:;·]{0,60}", text)]
    assert len(said) == 12
    for words in said:
        assert "failure, ours or the machine's" in " ".join(words.split())


def test_a_settlement_in_a_wrong_folder_or_of_a_month_to_come_says_so(tmp_path: Path) -> None:
    home = tmp_path / "elsewhere"
    assumed = ("--assume", "share-openai-microsoft", "--assume", "cap")
    first = run("settle", "--period", "2026-05", *assumed, home=home)
    assert f"A new home begins at {home}: without usage, so nothing is due." in first.stderr
    assert "has not begun" not in first.stderr
    second = run("settle", "--period", "2098-05", home=home)
    assert (second.returncode, "2098-05 has not begun" in second.stderr) == (0, True)
    assert "A new home" not in second.stderr

"""docs/operation.md, walked as an operator walks it: each section's commands in their order, on a home of their own.

Names of machines, folders, journals, requests and months become those of the test's home; nothing else of a line is
changed. A line that no test runs has its reason in NOT_RUN.
"""

import asyncio
import json
import pwd
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import pytest
from journals import flip, frames, gateway, home_at, segment

import settled_book
from clauseway.app.opening.home import Home
from clauseway.app.usage.journals import register_spool
from clauseway.app.usage.sealing import seal
from clauseway.spool.copies import read_secret
from clauseway.storage.control import actor
from copied import CopiedJournal
from in_process import answer, run

PAGE = (Path(__file__).parents[2] / "docs/operation.md").read_text()
PROGRAM = Path(sys.executable).parent / "clauseway"
ACCEPTED = ("--assume", "share-openai-microsoft", "--assume", "share-microsoft-openai", "--assume", "cap")
# A section's heading to the test that runs its lines.
RUN = (
    "A disk that is gone",
    "Backup and restore",
    "A secret that leaked",
    "Who may write",
    "Who may read the pages",
    "A wrong price book",
    "Usage that is gone",
)
# How a line begins that no test runs, and why.
NOT_RUN = {
    "pip install": "a server's libraries: the suite runs in such an installation",
    "python3 -m venv": "the same",
    "useradd": "changes the accounts of the machine",
    "install -d": "writes into /etc",
    "cp deploy/": "writes into /etc; test_deployment.py holds the units",
    "systemctl": "needs systemd; test_deployment.py holds the units",
    "systemd-run": "needs systemd; `doctor` has tests of its own",
}


def section(heading: str) -> str:
    begin = re.search(rf"(?m)^#+ {re.escape(heading)}\n", PAGE)
    assert begin, heading
    return re.split(r"(?m)^#+ ", PAGE[begin.end() :])[0]


def lines(text: str) -> list[str]:
    """The commands of indented blocks, without their comments."""
    return [re.sub(r"\s{2,}#.*", "", line).strip() for line in re.findall(r"(?m)^    (\S.*)$", text)]


class Walk:
    """The lines of the page: each section's are taken in their order, with other names in the place of some."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._left: dict[str, list[str]] = {}

    def line(self, heading: str, begins: str, changes: Mapping[str, str]) -> str:
        """Take the next line of a section."""
        line = self._left.setdefault(heading, lines(section(heading))).pop(0)
        assert line.startswith(begins), f"the page goes on with {line!r}"
        for old, new in changes.items():
            assert old in line, f"{line!r} has no {old!r}"
            line = line.replace(old, new)
        return line

    def __call__(
        self,
        heading: str,
        begins: str,
        changes: Mapping[str, str] = MappingProxyType({}),
        *,
        code: int = 0,
        given: str = "",
    ) -> str:
        """Run the next line; what it printed."""
        line = self.line(heading, begins, changes)
        if not line.startswith("clauseway ") or re.search(r"[<>$]", line):
            return by_shell(line, self.folder)
        done = run(*shlex.split(line)[1:], cwd=self.folder, given=given)
        assert done.returncode == code, f"{line}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr


@pytest.fixture
def walk(tmp_path: Path) -> Walk:
    return Walk(tmp_path)


def by_shell(line: str, folder: Path) -> str:
    line = re.sub(r"^clauseway ", f"{PROGRAM} ", line)
    done = subprocess.run(["bash", "-c", line], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
    return done.stdout


def test_each_line_of_the_page_is_run_or_has_its_reason() -> None:
    there = lines(PAGE)
    assert len(there) > 40
    ours = {line for heading in RUN for line in lines(section(heading))}
    assert [line for line in there if line not in ours and not line.startswith(tuple(NOT_RUN))] == []
    assert [begin for begin in NOT_RUN if not any(line.startswith(begin) for line in there)] == []


def test_each_command_within_a_sentence_is_there_with_its_flags() -> None:
    """So is each in a table and in a list."""
    named = {" ".join(words.split()) for words in re.findall(r"`(clauseway [^`]+)`", PAGE)}
    assert len(named) > 15
    for words in named:
        line = shlex.split(words)[1:]
        count = next((n for n, word in enumerate(line) if not re.fullmatch(r"[a-z-]+", word) or word[0] == "-"), 99)
        shown = run(*line[:count], "--help", columns=200)
        assert shown.returncode == 0, words
        assert [word for word in line if word.startswith("--") and word not in shown.stdout] == [], words


# A disk that is gone


@pytest.fixture
def follower(tmp_path: Path, walk: Walk) -> Iterator[int]:
    """The follower that the page starts, with the secret that the page makes; its port."""
    walk("A disk that is gone", "openssl")
    changes = {"10.0.0.7:8410": "127.0.0.1:0", "/var/lib/clauseway/copies": "copies"}
    words = [str(PROGRAM), *walk.line("A disk that is gone", "clauseway journal follow", changes).split()[1:]]
    process = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield int(re.findall(r"127\.0\.0\.1:(\d+)", process.stdout.readline())[0])
    finally:
        process.terminate()
        process.communicate(timeout=60)


def metered(home: Home, port: int, secret: bytes) -> str:
    """A gateway's life with a copy: ten requests are acknowledged, then its disk is gone. The journal's name."""
    directory = home.spools / "gateway"
    register_spool(home, directory)

    async def life() -> str:
        journal = CopiedJournal(directory, port, boot=7, secret=secret)
        register_spool(home, directory)
        for number in range(10):
            journal.begin(number)
            assert await journal.write(number) is None
        await journal.die()
        return journal.writer.identity

    name = asyncio.run(life())
    shutil.rmtree(home.spools)
    return name


def test_a_disk_that_is_gone(walk: Walk, follower: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heading, home = "A disk that is gone", home_at(tmp_path / ".clauseway")
    monkeypatch.setenv("CLAUSEWAY_HOME", str(home.root))
    journal = metered(home, follower, read_secret(tmp_path / "follower.secret"))
    copies = {"/var/lib/clauseway/copies": "copies"}
    assert journal in walk(heading, "clauseway journal copies", copies)
    assert "10 records sealed" in walk(heading, "clauseway journal recover", copies | {"8732aa57": journal[:8]})
    assert "all of it is sealed" in walk(heading, "clauseway spool list")
    # Another one has no copy.
    shutil.rmtree(gateway(home, name="gateway-1").parent)
    said = walk(heading, "clauseway spool list", code=2)
    (missing,) = re.findall(r"write-off ([0-9a-f]{32})", said)
    assert f"journal recover {missing[:8]}" in said
    assert "is accepted by" in walk(heading, "clauseway spool write-off", {"2f67bbae": missing[:8]})
    assert run("spool", "list", home=home.root).returncode == 0


# Backup and restore


def test_a_home_is_looked_at_and_restored(walk: Walk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heading, root = "Backup and restore", tmp_path / ".clauseway"
    monkeypatch.setenv("CLAUSEWAY_HOME", str(root))
    settled_book.make(root)
    (tmp_path / "backups").mkdir()
    before = run("statement", "--period", "2026-05", "--json", home=root).stdout
    place, month = {"/mnt/backups": "backups"}, {"2026-10": "2026-05"}
    walk(heading, "clauseway home backup", place)
    assert json.loads(walk(heading, "clauseway home backup", place))["has_keys"] is True
    assert "is not served" in walk(heading, "clauseway home restore", place)
    assert "were not edited" in walk(heading, "clauseway audit verify")
    walk(heading, "clauseway settle", month)
    walk(heading, "clauseway statement", month)
    assert run("statement", "--period", "2026-05", "--json", home=tmp_path / "look").stdout == before
    # The disk is lost.
    shutil.rmtree(root)
    monkeypatch.delenv("CLAUSEWAY_HOME")
    walk.line(heading, "systemctl stop", {})
    sums = {"sha256sum": f"cd {tmp_path / 'backups/2026-11-22'} && sha256sum"}
    assert "FAILED" not in walk(heading, "sha256sum", sums)
    taken = walk(heading, "clauseway home restore", place | {"/var/lib/clauseway": str(root)})
    assert "may be served" in taken
    assert run("audit", "verify", home=root).returncode == 0
    assert run("statement", "--period", "2026-05", "--json", home=root).stdout == before


# A secret that leaked


def test_a_secret_that_leaked(walk: Walk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heading, home = "A secret that leaked", settled_book.make(tmp_path / ".clauseway")
    monkeypatch.setenv("CLAUSEWAY_HOME", str(home.root))
    made = answer("key", "create", "--organisation", "Contoso", "--seller", "openai", home=home.root)
    (tmp_path / "leaked.txt").write_text(made["secret"] + "\n")
    assert made["key_id"] in walk(heading, "clauseway key find")
    named = {"key_0123456789abcdef": made["key_id"]}
    assert made["secret"] not in walk(heading, "clauseway key rotate", named)
    assert "is revoked" in walk(heading, "clauseway key revoke", named)
    assert "Contoso" in walk(heading, "clauseway usage show", {"2026-11-20": "2026-04-20"})
    request = {"req_0123456789abcdef0123456789abcdef": settled_book.request(7)}
    assert "gpt-5.4" in walk(heading, "clauseway usage request", request)


# People


def test_people_are_named_and_write_together(walk: Walk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two accounts that every system has stand for anna and bob."""
    heading, home, login = "Who may write", settled_book.make(tmp_path / ".clauseway"), tmp_path / "login"
    monkeypatch.setenv("CLAUSEWAY_HOME", str(home.root))
    monkeypatch.setattr(actor, "LOGIN_ACCOUNT", login)
    login.write_text(str(pwd.getpwnam("daemon").pw_uid))
    walk(heading, "clauseway person add", {"anna": "daemon"})
    walk(heading, "clauseway person add", {"bob": "bin"})
    assert "bin" in walk(heading, "clauseway person list")
    walk(heading, "clauseway person two")
    credit = walk(heading, "clauseway books credit", {"req_…": settled_book.request(7)}, code=3)
    assert "waits" in credit
    assert "credit" in walk(heading, "clauseway person waiting")
    login.write_text(str(pwd.getpwnam("bin").pw_uid))
    line = lines(section(heading))[4].replace("req_…", settled_book.request(7))
    assert run(*shlex.split(line)[1:], home=home.root).returncode == 0
    assert answer("person", "waiting", home=home.root) == []


def test_readers_of_the_pages(walk: Walk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heading, home = "Who may read the pages", settled_book.make(tmp_path / ".clauseway")
    monkeypatch.setenv("CLAUSEWAY_HOME", str(home.root))
    walk(heading, "clauseway person password", {"anna": "daemon"}, given="a long sentence of words\n")
    walk(heading, "clauseway person password", {"bob": "bin"}, given="another sentence of words\n")
    listed = walk(heading, "clauseway person readers")
    assert "daemon" in listed
    assert "lawyer" in listed


# A wrong price book


def test_a_wrong_price_book(walk: Walk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heading, home = "A wrong price book", settled_book.make(tmp_path / ".clauseway")
    monkeypatch.setenv("CLAUSEWAY_HOME", str(home.root))
    wrong = "product,cloud,seller,region,unit,begin,end,known_at,usd_per_million,source\n"
    wrong += "gpt-5.4,aws,openai,,input_tokens,2026-03-05,,2026-03-05,275,list\n"
    wrong += "gpt-5.4,aws,openai,,output_tokens,2026-03-05,,2026-03-05,16.5,list\n"
    (tmp_path / "book.csv").write_text(wrong)
    assert run("basis", "prices", "book.csv", "--why", "the list", cwd=tmp_path).returncode == 0
    assert run("settle", "--period", "2026-05", cwd=tmp_path).returncode == 0
    before = run("statement", "--period", "2026-05", cwd=tmp_path).stdout
    (tmp_path / "book.csv").unlink()
    assert walk(heading, "clauseway basis text") == ""
    assert (tmp_path / "book.csv").read_text() == wrong
    (tmp_path / "book.csv").write_text(wrong.replace("275", "2.75"))
    assert "is sound" in walk(heading, "clauseway price check")
    walk(heading, "clauseway basis prices")
    walk(heading, "clauseway settle", {"2026-11": "2026-05"})
    after = walk(heading, "clauseway statement", {"2026-11": "2026-05"})
    assert re.findall(r"openai owes microsoft: [\d.]+", before) != re.findall(r"openai owes microsoft: [\d.]+", after)


# Usage that is gone


def test_usage_that_is_gone_comes_from_the_bill(walk: Walk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heading, home = "Usage that is gone", settled_book.make(tmp_path / ".clauseway")
    monkeypatch.setenv("CLAUSEWAY_HOME", str(home.root))
    assert run("export", "focus", "--period", "2026-05", "--out", "november.csv", cwd=tmp_path).returncode == 0
    # A frame of a journal cannot be read.
    directory = gateway(home, day="2026-05-22", killed=True)
    flip(segment(directory), frames(segment(directory))[5] + 60)
    seal(home)
    assert run("spool", "list", cwd=tmp_path).returncode == 2
    (event,) = re.findall(r"```json\n(.*?)```", section(heading), re.DOTALL)
    (tmp_path / "lost.jsonl").write_text(event.replace("2026-11-22", "2026-05-22"))
    walk(heading, "clauseway usage reconcile", code=2)
    assert "1" in walk(heading, "clauseway usage import")
    walk(heading, "clauseway usage quarantine")
    walk(heading, "clauseway spool accept")
    walk(heading, "clauseway settle", {"2026-11": "2026-05"})
    assert run("spool", "list", cwd=tmp_path).returncode == 0

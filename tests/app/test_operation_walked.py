"""The pages of an operator, walked as operators walk them: each section's commands in order, on a home of their own.

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
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType

import psycopg
import pytest
from journals import flip, frames, gateway, home_at, segment

import clauseway.agreement
import s3_server
import settled_book
from clauseway.app.opening.home import Home
from clauseway.app.usage.sealing import seal
from clauseway.app.usage.usage_journals import register_spool
from clauseway.spool import identify
from clauseway.spool.copies import read_secret
from clauseway.storage.books import losses as losses_module
from clauseway.storage.control import actor
from copied import CopiedJournal
from in_process import answer, run
from kill_load import Customer, Got, KillLoad
from kill_stage import Cloud, Part, eventually
from needed import NEEDS_CURL
from operation_pages import PAGES, section
from ports import free_ports
from postgresql_server import new_database, server_address

PROGRAM = Path(sys.executable).parent / "clauseway"
ACCEPTED = ("--assume", "share-openai-microsoft", "--assume", "share-microsoft-openai", "--assume", "cap")
# A section's heading to the test that runs its lines: the first four, test_installation_walked.py.
RUN = (
    "On a server",
    "As a service",
    "Restarting machines in turn",
    "A newer program at an older home",
    "From one machine to several",
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
    "/opt/clauseway/bin/pip": "a server's libraries: the suite runs in such an installation",
    "python3 -m venv": "the same",
    "systemd-run": "needs systemd; `doctor` has tests of its own",
}


def lines(text: str) -> list[str]:
    """The commands of indented blocks, without their comments. Fenced blocks are files."""
    text = re.sub(r"(?ms)^```.*?^```$", "", text)
    return [re.sub(r"\s{2,}#.*", "", line).strip() for line in re.findall(r"(?m)^ {4}(?: {4})?(\S.*)$", text)]


class Walk:
    """The lines of the page: each section's are taken in their order, with other names in the place of some."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home: Path | None = None  # by default the one in the folder
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
        done = run(*shlex.split(line)[1:], cwd=self.folder, home=self.home, given=given)
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
    there = lines(PAGES)
    assert len(there) > 40
    ours = {line for heading in RUN for line in lines(section(heading))}
    assert [line for line in there if line not in ours and not line.startswith(tuple(NOT_RUN))] == []
    assert [begin for begin in NOT_RUN if not any(line.startswith(begin) for line in there)] == []


def test_each_command_within_a_sentence_is_there_with_its_flags() -> None:
    """So is each in a table and in a list."""
    named = {" ".join(words.split()) for words in re.findall(r"`(clauseway [^`]+)`", PAGES)}
    assert len(named) > 15
    for words in named:
        line = shlex.split(words)[1:]
        count = next((n for n, word in enumerate(line) if not re.fullmatch(r"[a-z-]+", word) or word[0] == "-"), 99)
        shown = run(*line[:count], "--help", columns=200)
        assert shown.returncode == 0, words
        assert [word for word in line if word.startswith("--") and word not in shown.stdout] == [], words


# A disk that is gone


@contextmanager
def following_as(heading: str, walk: Walk) -> Iterator[int]:
    """The follower that a section starts, with the secret that it makes; its port."""
    walk(heading, "(umask 077; openssl")
    changes = {"10.0.0.7:8410": "127.0.0.1:0", "/var/lib/clauseway/copies": "copies"}
    words = [str(PROGRAM), *walk.line(heading, "clauseway journal follow", changes).split()[1:]]
    process = subprocess.Popen(words, cwd=walk.folder, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield int(re.findall(r"127\.0\.0\.1:(\d+)", process.stdout.readline())[0])
    finally:
        process.terminate()
        process.communicate(timeout=60)


@pytest.fixture
def follower(walk: Walk) -> Iterator[int]:
    with following_as("A disk that is gone", walk) as port:
        yield port


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


# From one machine to several

AMENDMENT = """---
id: A6
title: The API moves
announced: {day}
effective: {day}
sources: [P]
---

# A6 The API moves

## 6.1 Stateless APIs on AWS only

OpenAI's stateless API products are served on AWS alone.

```yaml term
id: A6.api
kind: exclusivity
actions: [serve, sell]
products: [api.stateless]
only: {{clouds: [aws]}}
source: [P]
```
"""
SERVED = """agreement = ["{agreement}"]
[gateway]
port = {port}
[journal]
copies = 1
follower = "127.0.0.1:{follower}"
secret_file = "{secret}"
"""
DEPLOYMENT = """[[deployment]]
name = "{cloud}-1"
dialect = "openai"
url = "http://127.0.0.1:{port}/v1"
cloud = "{cloud}"
seller = "openai"
region = "global"
auth = {{kind = "bearer", secret = "sk-cloud"}}
models = {{"gpt-5.5" = "there"}}
"""


class Serving(Part):
    """A machine that serves its home as the page has it."""

    def __init__(self, home: Home, line: str) -> None:
        super().__init__(home.root.name, home.root.parent)
        self.home, self.line = home, line

    def start(self) -> None:
        words = [str(PROGRAM), *self.line.split()[1:], "--home", str(self.home.root), "--pages-port", "0", "--json"]
        self._begin(words)
        self.said(b"}")

    def texts(self) -> set[str]:
        """The agreements of the plans that its workers took over since they began."""
        logs = [path.read_text().splitlines() for path in self.home.logs.glob("gateway*.log")]
        events = [json.loads(line) for log in logs for line in log if line.startswith("{")]
        return {event["agreement"] for event in events if event["event"] == "plan reloaded"}


class Fleet:
    """The page's three machines: two that serve and the follower's, clouds that keep what they told, and the load."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.first, self.second, self.third = (Home(root / name) for name in ("first", "second", "third"))
        self.ports = dict(zip((self.first.root, self.second.root), free_ports(2), strict=True))
        self.clouds = [Cloud(name, root, port) for name, port in zip(("azure", "aws"), free_ports(2), strict=True)]
        shutil.copytree(Path(clauseway.agreement.__file__).parent / "builtin/openai-microsoft", root / "ours")
        for name, value in s3_server.ENVIRONMENT.items():
            monkeypatch.setenv(name, value)

    def configure(self, home: Home, agreement: str, follower: int) -> None:
        text = SERVED.format(
            agreement=agreement, port=self.ports[home.root], follower=follower, secret=self.root / "follower.secret"
        )
        text += "".join(DEPLOYMENT.format(cloud=cloud.name, port=cloud.port) for cloud in self.clouds)
        home.configuration.write_text(text)

    def asked_of(self, cloud: int) -> int:
        ledger = self.clouds[cloud].ledger
        return ledger.read_text().count('"asked"') if ledger.exists() else 0

    def told(self) -> dict[str, tuple[int, int]]:
        """The tokens of each answer that a cloud gave whole, by the cloud's name for it."""
        lines = [json.loads(line) for cloud in self.clouds for line in cloud.ledger.read_text().splitlines()]
        return {line["name"]: (line["input"], line["output"]) for line in lines if line["kind"] == "told"}


def check_each_is_metered_once(fleet: Fleet, got: Sequence[Got]) -> Decimal:
    """Each answer that a client had whole, with the tokens that the cloud told. What all of them cost, in USD."""
    exporting = ("export", "usage", "--format", "cloudevents", "--out", str(fleet.root / "usage.jsonl"))
    assert run(*exporting, home=fleet.first.root).returncode == 0
    events = [json.loads(line) for line in (fleet.root / "usage.jsonl").read_text().splitlines()]
    ours = [event for event in events if event["data"]["organisation"] == "acme"]
    complete = [event for event in ours if event["data"]["status"] == "complete"]
    metered = Counter(event["id"].partition("/")[0] for event in complete)
    assert [each.request for each in got if each.outcome == "whole" and metered[each.request] != 1] == []
    messages = fleet.told()
    for event in complete:
        units = event["data"]["units"]
        assert (units["input_tokens"], units["output_tokens"]) == messages[event["data"]["upstream_id"]]
    assert len({event["data"]["upstream_id"] for event in complete}) == len(complete)
    return sum((Decimal(event["data"]["charge_picodollars"]) for event in ours), Decimal()) / 10**12


@NEEDS_CURL
def test_from_one_machine_to_several(walk: Walk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heading, fleet, today = "From one machine to several", Fleet(tmp_path, monkeypatch), datetime.now(UTC).date()
    tmp_path.chmod(0o755)
    walk.home = fleet.first.root
    settled_book.make(fleet.first.root)
    secret = answer("key", "create", "--organisation", "acme", "--seller", "openai", home=fleet.first.root)["secret"]
    assert run("budget", "set", "--organisation", "acme", "--amount", "50", home=fleet.first.root).returncode == 0
    walk.line(heading, "/opt/clauseway/bin/pip", {})
    walk.line(heading, "systemctl stop", {})
    there = {"postgresql://clauseway:secret@db.example/clauseway": new_database()}
    assert "are the same in both places" in walk(heading, "clauseway home migrate", there)
    storage = s3_server.new_storage()
    place = f"{storage.url} --storage-endpoint {storage.endpoint} --access-key-env LAKE_KEY --secret-env LAKE_SECRET"
    there = {"s3://acme-usage/clauseway": place, "eu-central-1": storage.region}
    assert "are the same in both places" in walk(heading, "clauseway lake move", there)
    for address, home in (("10.0.0.6", fleet.second), ("10.0.0.7", fleet.third)):
        home.root.mkdir(mode=0o700)
        here = {"/var/lib/clauseway/{": f"{fleet.first.root}/{{", f"{address}:/var/lib/clauseway/": f"{home.root}/"}
        walk(heading, "scp -p", {"scp": "cp", **here})
    shutil.copytree(tmp_path / "ours", fleet.second.root / "ours")
    with ExitStack() as stack:
        follower = stack.enter_context(following_as(heading, walk))
        fleet.configure(fleet.first, "../ours", follower)
        fleet.configure(fleet.second, "ours", follower)
        line = walk.line(heading, "clauseway serve", {})
        machines = [Serving(home, line) for home in (fleet.first, fleet.second)]
        for part in (*fleet.clouds, *machines):
            stack.callback(part.kill)
            part.start()
        asking = walk.line(heading, "curl", {})

        def ready() -> list[dict[str, object]]:
            ports = map(str, fleet.ports.values())
            return [json.loads(by_shell(asking.replace("8400", port), tmp_path)) for port in ports]

        eventually(lambda: [state["copies"] for state in ready()] == [1, 1], "each journal has its copy")
        before_it = ready()
        assert before_it[0]["agreement"] == before_it[1]["agreement"]
        load = KillLoad(list(fleet.ports.values()), lambda _: Customer("acme", secret), clients=2)
        stack.enter_context(load)
        eventually(lambda: load.whole >= 50, "the machines answer")
        # An amendment takes Azure away.
        (tmp_path / "A6.md").write_text(AMENDMENT.format(day=today))
        assert "would go to another cloud" in walk(heading, "clauseway agreement rehearse")
        walk(heading, "scp -p A6.md", {"scp": "cp", "10.0.0.6:/var/lib/clauseway/": f"{fleet.second.root}/"})
        moving = walk.line(heading, "mv A6.md", {})
        by_shell(moving, tmp_path)
        by_shell(moving, fleet.second.root)
        eventually(lambda: all(machine.texts() for machine in machines), "both machines have the amendment")
        assert len(machines[0].texts() | machines[1].texts()) == 1
        assert len({str(state["agreement"]) for state in (*ready(), before_it[0])}) == 2
        assert "amendment 6" in walk(heading, "clauseway basis agreement")
        before, on_azure = load.whole, fleet.asked_of(0)
        eventually(lambda: load.whole >= before + 50, "the machines answer under the amendment")
        assert fleet.asked_of(0) - on_azure <= 2, "what was under way, of two clients"
        # A machine and its disk are gone.
        lost = [identify(directory).hex() for directory in sorted(fleet.second.spools.iterdir())]
        machines[1].kill()
        shutil.rmtree(fleet.second.root)
        before = load.whole
        eventually(lambda: load.whole >= before + 50, "the machine that is left answers")
        walk.home = fleet.third.root
        copies = {"/var/lib/clauseway/copies": "copies"}
        assert "held by home" in walk(heading, "clauseway spool list")
        kept = walk(heading, "clauseway journal copies", copies)
        assert [journal for journal in lost if journal not in kept] == []
        monkeypatch.setattr(losses_module, "SILENT_NS", 0)  # five minutes are not waited for
        for shown, journal in zip(("8732aa57", "2f67bbae"), lost, strict=True):
            assert "was recovered" in walk(heading, "clauseway journal recover", copies | {shown: journal[:8]})
        listed = walk(heading, "clauseway spool list")
        assert all(re.search(f"{journal}.*: at rest", listed) for journal in lost)
    walk.home = fleet.first.root
    # The load is over, and the machine that was left is killed too, with its disk there.
    month = {"2026-11": f"{today:%Y-%m}", " --second-opinion spark": ""}
    assert f"Statement of {today:%B %Y}" in walk(heading, "clauseway settle", month)
    assert "all sound" in walk(heading, "clauseway lake check")
    assert "were not edited" in walk(heading, "clauseway audit verify")
    cost = check_each_is_metered_once(fleet, load.got)
    (budget,) = answer("budget", "list", home=fleet.first.root)
    # The machine was killed just now: what it spent since it said so last is still leased.
    assert 0 < cost <= Decimal(budget["spent"]) + Decimal(budget["leased"]) <= 50


# Control data on PostgreSQL


def test_the_role_and_the_database_of_the_page_take_a_home(walk: Walk, tmp_path: Path) -> None:
    (made,) = re.findall(r"```sql\n(.*?)```", section("Control data on PostgreSQL"), re.DOTALL)
    with psycopg.connect(server_address(), autocommit=True) as connection:
        for statement in made.strip().splitlines():
            connection.execute(statement.encode())
    walk.home = settled_book.make(tmp_path / ".clauseway").root
    address = re.sub(r"//.*/postgres\?", "//clauseway:secret@/clauseway?", server_address())
    moved = run("home", "migrate", "--to", address, home=walk.home)
    assert moved.returncode == 0, moved.stderr
    assert (walk.home / "database.url").stat().st_mode & 0o777 == 0o600
    assert run("audit", "verify", home=walk.home).returncode == 0


# Backup and restore


def test_a_home_is_looked_at_and_restored(walk: Walk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heading, root = "Backup and restore", tmp_path / ".clauseway"
    monkeypatch.setenv("CLAUSEWAY_HOME", str(root))
    settled_book.make(root)
    (tmp_path / "backups").mkdir()
    # By all that is known now, as it is settled again below.
    run("settle", "--period", "2026-05", home=root)
    before = run("statement", "--period", "2026-05", "--json", home=root).stdout
    place, month = {"/mnt/backups": "backups"}, {"2026-10": "2026-05"}
    walk(heading, "clauseway home backup", place)
    assert json.loads(walk(heading, "clauseway home backup", place))["has_keys"] is True
    assert "is not served" in walk(heading, "clauseway home restore", place)
    assert "were not edited" in walk(heading, "clauseway audit verify")
    walk(heading, "clauseway settle", month)
    walk(heading, "clauseway statement", month)
    assert run("statement", "--period", "2026-05", "--json", home=tmp_path / "look").stdout == before
    # The rest of the home is moved aside: this account is its user.
    monkeypatch.delenv("CLAUSEWAY_HOME")
    walk.line(heading, "systemctl stop", {})
    here = {"/var/lib/clauseway": str(root)}
    assert "FAILED" not in walk(heading, "(cd /mnt/backups", place)
    walk(heading, "mv", here)
    walk(heading, "install", here | {" -o clauseway -g clauseway": ""})
    walk.line(heading, "cd /", {})
    as_user = {"runuser -u clauseway -- ": ""}
    taken = walk(heading, "runuser", place | here | as_user)
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
    leaked = {"key_0123456789abcdef": "key_1", "2026-11-20": "2026-04-20"}
    assert "gpt-5.5-2026-04-24" in walk(heading, "clauseway usage show", leaked)
    assert settled_book.request(7) in walk(heading, "clauseway usage show", leaked)
    request = {"req_0123456789abcdef0123456789abcdef": settled_book.request(7)}
    assert "gpt-5.4" in walk(heading, "clauseway usage request", request)
    assert "leak-1" in walk(heading, "clauseway books dispute", request)
    assert "cw-" in walk(heading, "clauseway key create")


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
    assert "book.csv" in walk(heading, "clauseway basis")
    assert walk(heading, "clauseway basis text") == ""
    assert (tmp_path / "mended.csv").read_text() == wrong
    (tmp_path / "mended.csv").write_text(wrong.replace("275", "2.75"))
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

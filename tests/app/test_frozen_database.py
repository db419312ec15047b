"""PostgreSQL that is frozen: it keeps its connections and answers nothing. `serve` ends all the same when asked to."""

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import make_url

from awaiting import eventually
from clauseway.app.opening.home import Home
from clauseway.storage import Control
from deployments import deployment
from postgresql_server import new_database

PATIENCE_S = 120.0
PAUSE_S = 0.05
CONFIGURATION = "[gateway]\nport = 0\n" + deployment()


class FreezableServer:
    """Passes connections on to a server, until it is frozen: then it accepts them, and passes on nothing."""

    def __init__(self, path: Path) -> None:
        self._path, self.frozen, self._over = path, threading.Event(), threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.held = threading.Event()  # somebody waits for an answer that does not come
        self._thread = threading.Thread(target=self._pass_on)
        self._thread.start()

    def close(self) -> None:
        self._over.set()
        self._thread.join()
        self._listener.close()

    def _pass_on(self) -> None:
        peers = dict[socket.socket, socket.socket]()
        while not self._over.is_set():
            readable, _, _ = select.select([self._listener, *peers], [], [], PAUSE_S)
            if self.frozen.is_set():
                if any(ready in peers for ready in readable):
                    self.held.set()
                self._over.wait(PAUSE_S)
                continue
            for ready in readable:
                if ready is self._listener:
                    client, server = ready.accept()[0], socket.socket(socket.AF_UNIX)
                    server.connect(str(self._path))
                    peers |= {client: server, server: client}
                    continue
                if ready not in peers:
                    continue
                data = b""
                with contextlib.suppress(OSError):
                    data = ready.recv(1 << 16)
                if data:
                    with contextlib.suppress(OSError):
                        peers[ready].sendall(data)
                    continue
                peer = peers.pop(ready)
                peers.pop(peer, None)
                ready.close()
                peer.close()
        for peer in peers:
            peer.close()


@contextlib.contextmanager
def freezable() -> Iterator[tuple[FreezableServer, str]]:
    url = make_url(new_database())
    server = FreezableServer(Path(str(url.query["host"])) / ".s.PGSQL.5432")
    address = url.set(host="127.0.0.1", port=server.port, query={}).render_as_string(hide_password=False)
    try:
        yield server, address
    finally:
        server.close()


def test_serve_ends_beside_a_frozen_database(tmp_path: Path) -> None:
    with freezable() as (server, address):
        home = Home(tmp_path / "home").make()
        home.configuration.write_text(CONFIGURATION)
        Control.open(home.control).close()
        run = [sys.executable, "-m", "clauseway"]
        migrate = [*run, "home", "migrate", "--to", address, "--home", str(home.root)]
        subprocess.run(migrate, check=True, timeout=PATIENCE_S)
        serve = [*run, "serve", "--home", str(home.root), "--pages-port", "0"]
        with subprocess.Popen(serve, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as served:
            try:
                assert served.stdout is not None
                assert served.stdout.readline(), "it serves"
                server.frozen.set()
                eventually(server.held.is_set)
                os.kill(served.pid, signal.SIGTERM)
                said, _ = served.communicate(timeout=PATIENCE_S)
            finally:
                served.kill()
        assert served.returncode == 1, said
        assert b"Traceback" not in said
        assert b"database" in said, "the reason is told"

"""Homes on one PostgreSQL and one lake, each served: machines are folders here."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import openai
from gateway_rig import MESSAGES, PATIENCE_S
from one_cloud import CONFIGURATION
from sqlalchemy import make_url

from clauseway.app.opening.home import Home
from clauseway.app.opening.several import open_agreements
from clauseway.app.running.serving import Served, ServeOptions, Signals, keep, serving
from postgresql_server import new_control_database

MODEL = "gpt-5.5"
NAMES = ("first", "second")
SOCKET = ".s.PGSQL.5432"


class Line:
    """The way of one machine to the database server, which may be cut."""

    def __init__(self, folder: Path, address: str, loop: asyncio.AbstractEventLoop) -> None:
        url = make_url(address)
        self._server = Path(str(url.query["host"])) / SOCKET
        folder.mkdir()
        self._ours = folder / SOCKET
        self.address = url.update_query_dict({"host": str(folder)}).render_as_string(hide_password=False)
        self._loop = loop
        self._open: set[asyncio.StreamWriter] = set()
        self.mend()

    def cut(self) -> None:
        """End what is connected, and refuse what comes."""
        asyncio.run_coroutine_threadsafe(self._cut(), self._loop).result(PATIENCE_S)

    def mend(self) -> None:
        listening = asyncio.start_unix_server(self._connected, self._ours)
        self._listener = asyncio.run_coroutine_threadsafe(listening, self._loop).result(PATIENCE_S)

    async def _cut(self) -> None:
        self._listener.close()
        self._ours.unlink(missing_ok=True)
        for writer in list(self._open):
            writer.transport.abort()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_unix_connection(self._server)
        await asyncio.gather(self._passed(reader, to_server), self._passed(from_server, writer))

    async def _passed(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        with contextlib.suppress(OSError):
            while piece := await reader.read(1 << 16):
                writer.write(piece)
                await writer.drain()
        self._open.discard(writer)
        writer.close()


class Replica:
    """A served home among others on one database and one lake."""

    def __init__(self, root: Path, address: str, lake: Path, configuration: str) -> None:
        self.home = Home(root).make()
        self.home.database_address.write_text(address)
        self.home.lake.symlink_to(lake)
        (root / "hash.key").write_text("5a" * 32)
        (root / "key").write_text("sk-cloud")
        self.home.configuration.write_text(configuration)
        self.reports: list[str] = []
        self.signals = Signals()
        self.served: Served
        # All that runs of it. A replica that is stopped may be served again.
        self._running = ExitStack()

    def serve(self) -> None:
        options = ServeOptions(home=self.home, opened=open_agreements([]), configuration=self.home.configuration)
        self.signals = Signals()
        self.served = self._running.enter_context(serving(options))
        keeping = threading.Thread(target=keep, args=(options, self.served, self.signals, self.reports.append))
        keeping.start()
        self._running.callback(keeping.join, PATIENCE_S)
        self._running.callback(self.signals.stop.set)

    def stop(self) -> None:
        """Stop as SIGTERM does: until all that is open has ended."""
        self._running.close()

    def ask(self, secret: str, **members: Any) -> httpx.Response:
        body = {"model": MODEL, "messages": MESSAGES, "max_completion_tokens": 9, **members}
        headers = {"authorization": f"Bearer {secret}"}
        return httpx.post(f"{self.served.gateway_url}/chat/completions", json=body, headers=headers, timeout=PATIENCE_S)

    def client(self, secret: str, retries: int = 9) -> Any:
        """OpenAI's; untyped, because its overloads name every model that it knows. It asks again after a 503, as a
        machine that is busy with other tests may give; nothing else is asked twice."""
        return openai.OpenAI(base_url=self.served.gateway_url, api_key=secret, max_retries=retries, timeout=PATIENCE_S)


@contextmanager
def replicas_of(
    root: Path, port: int, configuration: str = CONFIGURATION, reached_at: Callable[[str], str] = str
) -> Iterator[list[Replica]]:
    """Two replicas before a cloud at a port, both served until the block ends. `reached_at` gives the address at
    which the second one reaches the database."""
    address, lake = new_control_database(), root / "lake"
    lake.mkdir()
    with ExitStack() as stack:
        addresses = (address, reached_at(address))
        made = [
            Replica(root / name, reached, lake, configuration.format(port=port))
            for name, reached in zip(NAMES, addresses, strict=True)
        ]
        for replica in made:
            stack.callback(replica.stop)
            replica.serve()
        yield made

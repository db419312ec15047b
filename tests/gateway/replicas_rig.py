"""Homes on one PostgreSQL and one lake, each served: machines are folders here."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import openai
from gateway_rig import MESSAGES, PATIENCE_S
from one_cloud import CONFIGURATION

from clauseway.app.opening.home import Home
from clauseway.app.opening.several import open_agreements
from clauseway.app.running.serving import Served, ServeOptions, Signals, keep, serving
from postgresql_server import new_database

MODEL = "gpt-5.5"
NAMES = ("first", "second")


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
def replicas_of(root: Path, port: int, configuration: str = CONFIGURATION) -> Iterator[list[Replica]]:
    """Two replicas before a cloud at a port, both served until the block ends."""
    address, lake = new_database(), root / "lake"
    lake.mkdir()
    with ExitStack() as stack:
        made = [Replica(root / name, address, lake, configuration.format(port=port)) for name in NAMES]
        for replica in made:
            stack.callback(replica.stop)
            replica.serve()
        yield made

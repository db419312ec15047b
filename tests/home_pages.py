"""The pages of a home, asked in this process."""

from typing import Any

from starlette.testclient import TestClient

from clauseway.app.opening.home import Home
from clauseway.app.opening.several import Opened, open_agreements
from clauseway.app.running.pages_process import HomePages
from clauseway.gateway.plan.clock import system_clock
from clauseway.web.pages import create_app
from clauseway.web.sign_in import Readers


def pages_client(
    home: Home, opened: Opened | None = None, readers: Readers | None = None, **options: Any
) -> TestClient:
    """Return a client of the pages, by default under the built-in agreement; `options` are the client's."""
    source = HomePages(home, opened or open_agreements([]), system_clock, "http://127.0.0.1/v1")
    return TestClient(create_app(source, hosts=["*"], readers=readers), **options)

"""A home that is backed up while it serves, and another one that takes its place: real processes, one cloud."""

import threading
import time
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path

import httpx
from gateway_rig import MESSAGES, PATIENCE_S, Rig
from one_cloud import CONFIGURATION

from awaiting import eventually
from clauseway.app.books.backing_up import back_up
from clauseway.app.books.restoring import TakingOver, restore
from clauseway.app.customers.allowances import GivenScope, list_budgets, set_budget
from clauseway.app.customers.keys import create_key
from clauseway.app.opening.home import Home
from clauseway.app.opening.several import open_agreements
from clauseway.app.running.serving import Served, ServeOptions, Signals, keep, serving
from clauseway.app.usage.sealing import open_lake, seal
from clauseway.storage.lake.checked_rows import read_rows

CATALOG = open_agreements([]).catalog
ACME = GivenScope(organisation="acme")


def served(home: Home, stack: ExitStack) -> Served:
    options = ServeOptions(home=home, opened=open_agreements([]), configuration=home.configuration)
    running = stack.enter_context(serving(options))
    signals = Signals()
    keeping = threading.Thread(target=keep, args=(options, running, signals))
    keeping.start()
    stack.callback(keeping.join, PATIENCE_S)
    stack.callback(signals.stop.set)
    return running


def ask(running: Served, secret: str) -> httpx.Response:
    """Ask; again after a 503, as the lease server of a busy machine may give when it is late."""
    body = {"model": "gpt-5.5", "messages": MESSAGES, "max_completion_tokens": 9}
    headers = {"authorization": f"Bearer {secret}"}
    give_up_s = time.monotonic() + PATIENCE_S
    while True:
        answer = httpx.post(f"{running.gateway_url}/chat/completions", json=body, headers=headers, timeout=PATIENCE_S)
        if answer.status_code != 503 or time.monotonic() > give_up_s:
            return answer


def sealed(home: Home) -> list[str]:
    """The requests in the lake, each as often as it stands there."""
    assert seal(home).damages == ()
    with open_lake(home) as lake:
        return [row["request_id"] for path in lake.files() for row in read_rows(path).to_pylist()]


def test_a_home_takes_the_place_of_one_that_is_gone(tmp_path: Path) -> None:
    home, second = Home(tmp_path / "home").make(), Home(tmp_path / "second")
    with Rig(tmp_path) as rig:
        home.configuration.write_text(CONFIGURATION.format(port=rig.cloud("azure").port))
        (home.root / "key").write_text("sk-cloud")
        with ExitStack() as stack:
            first = served(home, stack)
            key = create_key(home, CATALOG, organisation="acme", project="p", seller="openai", segment="any")
            set_budget(home, CATALOG, ACME, "1", "total")
            eventually(lambda: ask(first, key.secret).status_code == 200)
            before = [ask(first, key.secret).headers["x-clauseway-request-id"] for _ in range(20)]
            made = back_up(home, tmp_path / "backup", with_keys=True)
            after = [ask(first, key.secret).headers["x-clauseway-request-id"] for _ in range(5)]
        assert made.left == ("key",), "the secret of a cloud is a file of the operator's"
        restored = restore(tmp_path / "backup", second, TakingOver(why="the disk is gone"))
        assert restored.leases == 1
        (second.root / "key").write_text("sk-cloud")
        with ExitStack() as stack:
            running = served(second, stack)
            refused = ask(running, key.secret)
            assert (refused.status_code, refused.json()["error"]["code"]) == (429, "insufficient_quota")
            (budget,) = list_budgets(second)
            assert (budget.spent, budget.leased) == (Decimal(1), Decimal(0))
            set_budget(second, CATALOG, ACME, "2", "total")
            eventually(lambda: ask(running, key.secret).status_code == 200)
    requests = sealed(second)
    assert len(requests) == len(set(requests))
    assert set(before) <= set(requests)
    assert not set(after) & set(requests)
    (budget,) = list_budgets(second)
    assert Decimal(1) < budget.spent + budget.leased <= Decimal(2)

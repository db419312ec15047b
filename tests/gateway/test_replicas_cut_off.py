"""A replica that loses the database, as its operator sees it: from the cut to the refusal, and back."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from gateway_rig import PATIENCE_S, Rig
from one_cloud import CONFIGURATION
from replicas_rig import Line, Replica, replicas_of

from awaiting import eventually
from clauseway.app.customers.allowances import GivenScope, set_budget
from clauseway.app.customers.keys import NewKey, create_key, revoke_key
from clauseway.app.opening.several import open_agreements

AWAY_S = 30.0  # time enough to spend what is leased before, on a busy machine too
CONFIGURED = CONFIGURATION.replace("drain_s = 30", f"drain_s = 30\ndatabase_away_s = {AWAY_S}")
CATALOG = open_agreements([]).catalog


class Cut(list[Replica]):
    """Two replicas, of which the second one may be cut off."""

    line: Line


@pytest.fixture
def replicas(tmp_path: Path) -> Iterator[Cut]:
    made = Cut()
    with Rig(tmp_path) as rig:

        def reached_at(address: str) -> str:
            made.line = Line(tmp_path / "line", address, rig._loop)
            return made.line.address

        with replicas_of(tmp_path, rig.cloud("azure").port, CONFIGURED, reached_at) as served:
            made.extend(served)
            yield made
            made.line.mend()


def probe(replica: Replica, path: str) -> httpx.Response:
    return httpx.get(replica.served.gateway_url.removesuffix("/v1") + path, timeout=PATIENCE_S)


def error_of(answer: httpx.Response) -> dict[str, str]:
    error: dict[str, str] = answer.json()["error"]
    return error


def new_key(home: Replica, project: str) -> NewKey:
    return create_key(home.home, CATALOG, organisation="acme", project=project, seller="openai", segment="any")


def answer_other_than(status: int, ask: Callable[[], httpx.Response]) -> httpx.Response:
    """Ask again and again until the answer has another status."""
    give_up_s = time.monotonic() + PATIENCE_S
    while (answer := ask()).status_code == status:
        assert time.monotonic() < give_up_s, f"always {status}"
        time.sleep(0.002)
    return answer


def test_from_the_cut_to_the_refusal_and_back(replicas: Cut) -> None:
    reached, cut_off = replicas
    leaked, kept, budgeted = (new_key(reached, project) for project in ("leaked", "kept", "budgeted"))
    set_budget(reached.home, CATALOG, GivenScope(organisation="acme", project="budgeted"), "100", "total")
    for replica in replicas:
        for key in (leaked, kept, budgeted):
            eventually(lambda replica=replica, key=key: replica.ask(key.secret).status_code == 200)  # type: ignore[misc]
        assert "database" not in probe(replica, "/readyz").json()
    # The budget's plan has come too: what is asked now holds a slice of it.
    eventually(lambda: holds_a_slice(cut_off, budgeted.secret))
    processes = [child.pid for child in cut_off.served.gateways]

    replicas.line.cut()
    cut_s = time.monotonic()
    revoke_key(reached.home, leaked.key_id)
    eventually(lambda: reached.ask(leaked.secret).status_code == 401)
    # It goes on, also by a key that is revoked meanwhile, and with what it has leased of the budget.
    assert cut_off.ask(leaked.secret).status_code == 200
    assert cut_off.ask(kept.secret).status_code == 200
    eventually(lambda: any("The database is away" in text for text in cut_off.reports))
    spent = answer_other_than(200, lambda: cut_off.ask(budgeted.secret))
    assert spent.status_code == 503
    assert error_of(spent)["code"] == "budget_unavailable"
    assert error_of(spent)["message"] == "The budget of project acme/budgeted cannot be asked for more now."
    assert spent.headers["retry-after"] == "2"
    assert reached.ask(budgeted.secret).status_code == 200
    eventually(lambda: "database" in probe(cut_off, "/readyz").json())
    ready = probe(cut_off, "/readyz")
    assert (ready.status_code, ready.json()["status"]) == (200, "ready")
    assert ready.json()["database"].startswith("not reached for ")

    # Then it refuses, with the reason.
    refused = answer_other_than(200, lambda: cut_off.ask(kept.secret))
    assert time.monotonic() - cut_s >= AWAY_S - 2.0, "the last look was a second before the cut, or two"
    assert refused.status_code == 503
    assert error_of(refused)["code"] == "database_away"
    assert "cannot tell whether this key was revoked" in error_of(refused)["message"]
    assert refused.headers["retry-after"] == "1"
    assert refused.headers["x-should-retry"] == "true"
    assert cut_off.ask(leaked.secret).status_code == 503
    unready = probe(cut_off, "/readyz")
    assert (unready.status_code, error_of(unready)["code"]) == (503, "database_away")
    alive = probe(cut_off, "/healthz")
    assert (alive.status_code, alive.json()["status"]) == (200, "ok")
    assert alive.json()["database"].startswith("not reached for ")
    assert probe(reached, "/readyz").status_code == 200
    assert reached.ask(kept.secret).status_code == 200

    # Back, without a restart, and not for a moment by the revoked key.
    replicas.line.mend()
    assert answer_other_than(503, lambda: cut_off.ask(leaked.secret)).status_code == 401
    assert cut_off.ask(kept.secret).status_code == 200
    eventually(lambda: cut_off.ask(budgeted.secret).status_code == 200)
    eventually(lambda: "database" not in probe(cut_off, "/readyz").json())
    assert [child.pid for child in cut_off.served.gateways] == processes
    # Events are written by the process's next look at itself.
    log = cut_off.home.logs / "gateway.log"
    eventually(lambda: all(f'"{event}"' in log.read_text() for event in ("database away", "database back")))


def holds_a_slice(replica: Replica, secret: str) -> bool:
    """Return whether a request was charged to a slice of its budget."""
    replica.ask(secret)
    url = replica.served.gateway_url.removesuffix("/v1") + "/clauseway/v1/limits"
    budgets = httpx.get(url, headers={"authorization": f"Bearer {secret}"}, timeout=PATIENCE_S).json()["budgets"]
    return bool(budgets) and budgets[0]["amount"] is not None

"""`GET /clauseway/v1/usage`: a project's own usage by day and model, from a gateway's journal and the home's lake."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from gateway_rig import AUTHORIZED, PATIENCE_S, PRODUCT, SECRET, Connection, Received, Rig, key

from clauseway.app.customers.leasing import lease_server
from clauseway.app.opening.home import Home
from clauseway.app.opening.locks import locked
from clauseway.app.reports.spend import LatestPrices, Spend, spend_on
from clauseway.app.running.project_usage import ProjectUsages
from clauseway.app.usage.sealing import seal
from clauseway.gateway.plan import Plan, UsageQuestion

RIVAL, AUDITOR = "sk-test-rival", "sk-test-auditor"
# The usage of a scripted cloud's answer: 21 tokens in, 4 of them cached, and 8 out.
INPUT, CACHED, OUTPUT = 21, 4, 8


class Served:
    """A home with its socket, and a gateway that journals in it."""

    def __init__(self, root: Path, stack: ExitStack) -> None:
        self.home = Home(root)
        self.home.make()
        usages = ProjectUsages(self.home)
        self.socket = ExitStack()
        stack.enter_context(self.socket)
        self.socket.enter_context(lease_server(self.home, {"/usage": usages.answer}))
        self.rig = stack.enter_context(Rig(root))
        self.rig.spool = self.home.spools / "gateway"
        self.rig.spool.mkdir(parents=True)
        self.rig.cloud("azure")
        self.rig.start(self.plan())

    def plan(self, **changes: Any) -> Plan:
        rival = msgspec.structs.replace(key(RIVAL, "openai"), organisation="rival", project="theirs")
        auditor = msgspec.structs.replace(key(AUDITOR, "openai"), role="auditor")
        keys = (key(SECRET, "openai"), rival, auditor)
        return self.rig.plan(keys=keys, **{"usage": str(self.home.lease_socket), **changes})

    def usage(self, query: str = "", secret: str = SECRET) -> httpx.Response:
        headers = {"authorization": f"Bearer {secret}"}
        return httpx.get(f"{self.rig.url}/clauseway/v1/usage{query}", headers=headers, timeout=PATIENCE_S)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with ExitStack() as stack:
        yield Served(tmp_path, stack)


def today() -> str:
    return datetime.now(UTC).date().isoformat()


def test_a_project_reads_its_own_usage_by_day_and_model(served: Served) -> None:
    """Usage in the lake counts, and usage that the journal alone holds yet."""
    assert served.rig.post().status_code == 200
    seal(served.home)
    assert served.rig.post().status_code == 200
    headers = {"authorization": f"Bearer {RIVAL}"}
    body = {"model": "gpt-5.4", "messages": []}
    assert httpx.post(f"{served.rig.url}/v1/chat/completions", json=body, headers=headers).status_code == 200
    begun = today()
    answer = served.usage()
    result = answer.json()
    assert answer.headers["x-clauseway-request-id"]
    assert (result["object"], result["organisation"], result["project"]) == ("clauseway.usage", "acme", "research")
    (row,) = result["data"]
    assert row["date"] in (begun, today())
    assert (row["model"], row["served"], row["failed"]) == (PRODUCT, 2, 0)
    assert (
        row["usage"]
        == {
            "input_tokens": 2 * INPUT,
            "cached_input_tokens": 2 * CACHED,
            "output_tokens": 2 * OUTPUT,
            "reasoning_tokens": 0,
        }
        | row["usage"]
    )
    (row,) = served.usage(secret=RIVAL).json()["data"]
    assert row["served"] == 1
    assert served.usage(secret=AUDITOR).json() == result, "who may ask nothing may read"


def test_what_has_a_price_has_an_estimate(served: Served) -> None:
    """At the price of the book that the home holds; of what has none the cost is not known."""
    label = msgspec.structs.replace(served.rig.plan().targets[0].label, product="gpt-5.4")
    targets = [served.rig.target("azure", served.rig.clouds["azure"].port, label=label)]
    served.rig.kill()
    routes = {"openai|gpt-5.4|direct": served.rig.plan().epochs[0].routes[f"openai|{PRODUCT}|direct"]}
    epoch = msgspec.structs.replace(served.rig.plan().epochs[0], routes=routes)
    served.rig.start(served.plan(targets=tuple(targets), models={"gpt-5.4": "gpt-5.4"}, epochs=(epoch,)))
    assert served.rig.post().status_code == 200
    (row,) = served.usage().json()["data"]
    assert row["cost"]["currency"] == "USD"
    # 17 tokens in at 2.5, 4 cached at 0.25, 8 out at 15 USD per million.
    cost = Decimal("0.0000425") + Decimal("0.000001") + Decimal("0.00012")
    assert Decimal(row["cost"]["amount"]) == cost
    assert spent(served.home, row["date"]) == Spend(cost, unpriced=0)


def spent(home: Home, day: str) -> Spend:
    return spend_on(home, LatestPrices(home).table(), date.fromisoformat(day))


def test_the_spend_of_a_day_says_how_many_requests_it_leaves_out(served: Served) -> None:
    assert served.rig.post().status_code == 200
    (row,) = served.usage().json()["data"]
    assert spent(served.home, row["date"]) == Spend(Decimal(0), unpriced=1)
    assert spent(served.home, "2026-01-01") == Spend(Decimal(0), unpriced=0)


def test_days_that_are_asked_for(served: Served) -> None:
    assert served.rig.post().status_code == 200
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).date()
    later = served.usage(f"?from={tomorrow + timedelta(days=1)}&until={tomorrow + timedelta(days=3)}").json()
    assert later["data"] == []
    assert later["from"] == (tomorrow + timedelta(days=1)).isoformat()
    usual = served.usage(f"?until={tomorrow}").json()
    assert usual["from"] == (tomorrow - timedelta(days=29)).isoformat()
    assert len(usual["data"]) == 1
    one_day = served.usage(f"?from={tomorrow}&until={tomorrow}").json()
    assert (one_day["from"], one_day["until"]) == (tomorrow.isoformat(), tomorrow.isoformat())
    assert served.usage("?from=2024-01-01&until=2024-12-31").status_code == 200, "a leap year has 366 days"
    first = served.usage("?from=0001-01-01&until=0001-01-02").json()
    assert (first["from"], first["until"], first["data"]) == ("0001-01-01", "0001-01-02", [])


@pytest.mark.parametrize(
    ("query", "param", "words"),
    [
        ("?from=2026-13-01", "from", "from is a day such as 2026-05-31, not '2026-13-01'."),
        ("?from=2026-02-01&until=2026-01-31", "from", "from 2026-02-01 until 2026-01-31 is not from 1 to 366 days."),
        ("?from=2024-01-01&until=2025-01-01", "from", "is not from 1 to 366 days."),
        ("?until=0001-01-29", "until", "There are no 30 days until 0001-01-29: name the first of them with from."),
        ("?model=gpt", "model", "'model' is unknown here or stands twice. Parameters: from, until."),
    ],
)
def test_days_that_are_none(served: Served, query: str, param: str, words: str) -> None:
    answer = served.usage(query)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "invalid_query", param)
    assert words in error["message"]


def test_who_has_no_key_and_who_posts(served: Served) -> None:
    assert served.usage(secret="sk-nobody").status_code == 401
    posted = httpx.post(f"{served.rig.url}/clauseway/v1/usage", headers=AUTHORIZED)
    assert (posted.status_code, posted.headers["allow"]) == (405, "GET, HEAD")


def test_an_answer_to_head_has_the_length_and_no_body(served: Served) -> None:
    with httpx.Client(base_url=served.rig.url, headers=AUTHORIZED, timeout=PATIENCE_S) as client:
        asked = client.head("/clauseway/v1/usage")
        assert (asked.status_code, asked.content, int(asked.headers["content-length"]) > 0) == (200, b"", True)
        assert client.head("/clauseway/v1/usage?model=gpt").status_code == 400
        assert client.get("/clauseway/v1/usage").json()["object"] == "clauseway.usage", "the connection goes on"


def test_a_home_that_is_away_is_told(served: Served) -> None:
    served.socket.close()
    answer = served.usage()
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "usage_unavailable")
    assert (answer.headers["retry-after"], answer.headers["x-should-retry"]) == ("2", "true")
    assert served.rig.post().status_code == 200, "nothing else is moved by it"


def test_a_lake_that_is_locked_keeps_nobody_waiting(served: Served) -> None:
    """Somebody seals for long: the client is refused, and so is whoever asks the home beside it."""
    day = date(2026, 5, 1)
    question = UsageQuestion(organisation="acme", project="research", first=day, last=day)
    body = msgspec.json.encode(question)
    usages = ProjectUsages(served.home)
    with ThreadPoolExecutor(2) as threads:
        with locked(served.home, "seal"):
            waiting = threads.submit(usages.answer, body)
            refused = served.usage()
            with pytest.raises(TimeoutError, match="sealed"):
                threads.submit(usages.answer, body).result(PATIENCE_S)
            assert not waiting.done()
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "usage_unavailable")
        assert refused.headers["retry-after"] == "2"
        assert msgspec.json.decode(waiting.result(PATIENCE_S))["data"] == []
    assert served.usage().status_code == 200


def test_an_answer_says_up_to_when_it_is_whole(served: Served) -> None:
    begun = datetime.now(UTC)
    assert served.rig.post().status_code == 200
    recorded = datetime.now(UTC)
    first = served.usage().json()
    assert served.rig.post().status_code == 200
    second = served.usage().json()
    assert begun < recorded < instant(first) <= instant(second) < datetime.now(UTC)
    # The lake is not sealed for each question: the second answer may lack what came after the first.
    assert (instant(first) == instant(second)) == (second["data"][0]["served"] == 1)


def instant(result: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(result["recorded_until"])


def test_a_gateway_by_itself_says_so(served: Served) -> None:
    served.rig.kill()
    served.rig.start(served.plan(usage=""))
    assert (served.usage().status_code, served.usage().json()["error"]["code"]) == (501, "not_offered")


def test_failed_attempts_are_told_apart(served: Served) -> None:
    async def broken(connection: Connection, _: Received) -> None:
        connection.writer.write(b"HTTP/1.1 500 Broken\r\ncontent-length: 0\r\n\r\n")

    served.rig.clouds["azure"].behaviour = broken
    assert served.rig.post().status_code == 502
    (row,) = served.usage().json()["data"]
    assert (row["served"], row["failed"], row["usage"]) == (0, 1, {})

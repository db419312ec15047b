"""The contexts of the engineer's screen: the gateway now, deployments, refusals, keys, budgets, and
one request from its arrival to its end."""

from typing import Final, Protocol

import msgspec

from clauseway.values import Citation
from clauseway.web.contexts import Alert, Snippet
from clauseway.web.page import Absence, WebPage


class MonitoringFile(msgspec.Struct, frozen=True):
    """A file for what watches the gateway: its name in `monitoring`, its kind, and its label."""

    name: str
    kind: str
    label: str


MONITORING: Final = "/engineer/monitoring/{name}"
MONITORING_FILES: Final = (
    MonitoringFile("grafana.json", "application/json", "A dashboard for Grafana"),
    MonitoringFile("alerts.yml", "application/yaml", "Rules for Prometheus"),
)


class Tile(msgspec.Struct, frozen=True, kw_only=True):
    """A figure of the strip, with a word on what it counts."""

    label: str
    value: str
    note: str = ""


class ProductServed(msgspec.Struct, frozen=True, kw_only=True):
    """A product at a deployment: its state, its share of all requests, and the terms that permit
    it. `causes` count its failures by what was answered, `room` is what its quota leaves."""

    product: str
    state: str
    why: str
    requests: str
    share: str
    p50: str
    p99: str
    failures: str
    causes: tuple[str, ...]
    room: tuple[str, ...]
    permitted_by: tuple[Citation, ...]


class DeploymentShown(msgspec.Struct, frozen=True, kw_only=True):
    """A deployment of one seller with the products that it serves."""

    name: str
    cloud: str
    region: str
    seller: str
    products: tuple[ProductServed, ...]


class RuledOut(msgspec.Struct, frozen=True, kw_only=True):
    """Sales of one seller that the agreement does not let the gateway make now, by one clause.
    `message` is the refusal of one of them, where the clause stands in no text."""

    sales: tuple[str, ...]
    outcome: str
    clauses: tuple[Citation, ...] = ()
    message: str = ""


class LatestRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One of the latest requests: when, whose, for what, and what became of it. `alike` are earlier
    ones of which all of this but the time is the same: the id and the time of each. `clauses` are
    those that a refusal is about."""

    id: str
    at: str
    whose: str
    asked: str
    status: int
    said: str
    alike: tuple[tuple[str, str], ...] = ()
    clauses: tuple[Citation, ...] = ()


class ExpiringKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key that expires, or has: its day, how far that is in words, and whether it is soon."""

    key_id: str
    whose: str
    state: str
    expires: str
    distance: str
    is_soon: bool


class BudgetShown(msgspec.Struct, frozen=True, kw_only=True):
    """A budget as a bar: `percent` of it is spent and `held_percent` held by gateways, together 0
    to 100. `left` says what is left, or by how much it was spent too much."""

    whose: str
    period: str
    spent: str
    leased: str
    amount: str
    left: str
    percent: int
    held_percent: int


class StepShown(msgspec.Struct, frozen=True, kw_only=True):
    """A step on a request's path: `kind` is `skipped`, `failed` or `answered`; `clauses` are those
    that ruled it out."""

    kind: str
    where: str
    said: str
    clauses: tuple[Citation, ...] = ()


class CandidateShown(msgspec.Struct, frozen=True, kw_only=True):
    """A deployment that could have answered a request, and its prices of a million tokens in USD:
    which tokens, and the price. `answered`: it did."""

    where: str
    prices: tuple[tuple[str, str], ...]
    answered: bool


class RequestPath(msgspec.Struct, frozen=True, kw_only=True):
    """A request from its arrival to its end, step by step, and what it used. `candidates` could
    have answered it, in the order of `strategy`. `refused_by` are the clauses of its refusal."""

    id: str
    title: str
    at: str
    whose: str
    steps: tuple[StepShown, ...]
    facts: tuple[tuple[str, str], ...]
    permitted_by: tuple[Citation, ...]
    source: str
    refused_by: tuple[Citation, ...] = ()
    strategy: str = ""
    candidates: tuple[CandidateShown, ...] = ()


class EngineerContext(msgspec.Struct, frozen=True, kw_only=True):
    """The engineer's screen. `down` says why the gateway tells nothing; empty while it does.

    `budgets` are the fullest, `keys` those that expire first; `budgets_further` and `keys_further`
    count the others. `searched` is the request id that was typed, `path` the request of that id,
    `problem` why there is none.
    """

    title: str
    down: str
    strip: tuple[Tile, ...]
    deployments: tuple[DeploymentShown, ...]
    refusals: tuple[tuple[str, str], ...]
    ruled_out: tuple[RuledOut, ...]
    not_served: tuple[LatestRequest, ...]
    latest: tuple[LatestRequest, ...]
    keys: tuple[ExpiringKey, ...]
    budgets: tuple[BudgetShown, ...]
    budgets_further: int
    keys_further: int
    gateway_url: str
    snippets: tuple[Snippet, ...] = ()
    alerts: tuple[Alert, ...] = ()
    searched: str = ""
    problem: str = ""
    path: RequestPath | None = None


class EngineerSource(Protocol):
    """The source of the engineer's pages."""

    async def engineer(self, request: str) -> EngineerContext:
        """Return the engineer's screen, with the request of an id that was searched for, or why
        there is none; an empty `request` searches for nothing."""
        ...

    async def request(self, named: str) -> RequestPath | None:
        """Return a request's path; None where neither a gateway nor the journal holds it."""
        ...


ENGINEER_PAGES: Final[tuple[WebPage[EngineerSource], ...]] = (
    WebPage(
        name="engineer",
        path="/engineer",
        query=("request",),
        screen="/engineer",
        ask=lambda source, given: source.engineer(given["request"]),
    ),
    WebPage(
        name="request",
        path="/engineer/request/{named}",
        screen="/engineer",
        ask=lambda source, given: source.request(given["named"]),
        absent=Absence(
            "There is no request {named}",
            "No gateway keeps it, and neither the journal nor the lake of this home holds it.",
            "Take the id from the answer's header x-clauseway-request-id.",
        ),
    ),
)

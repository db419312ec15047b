"""The contexts of the engineer's screen: the gateway now, deployments, refusals, keys, budgets, and
one request from its arrival to its end."""

from typing import Final, Protocol

import msgspec

from clauseway.values import Citation
from clauseway.web.contexts import Alert, Snippet
from clauseway.web.page import Absence, WebPage


class MonitoringFile(msgspec.Struct, frozen=True):
    """A file for a monitoring system: its name in `monitoring`, its media type, and its label."""

    name: str
    kind: str
    label: str


MONITORING: Final = "/engineer/monitoring/{name}"
MONITORING_FILES: Final = (
    MonitoringFile("grafana.json", "application/json", "A dashboard for Grafana"),
    MonitoringFile("alerts.yml", "application/yaml", "Rules for Prometheus"),
)


class Tile(msgspec.Struct, frozen=True, kw_only=True):
    """A figure of the strip, with a note on what it counts."""

    label: str
    value: str
    note: str = ""


class ProductServed(msgspec.Struct, frozen=True, kw_only=True):
    """A product at a deployment: its state, its share of all requests, and the terms that permit
    it. `causes` count its failures by the cloud's answer, `room` is the rest of its quota."""

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
    """Sales of one seller that one clause rules out now. `message` is the refusal of such a sale,
    if the clause has no place in a text."""

    sales: tuple[str, ...]
    outcome: str
    clauses: tuple[Citation, ...] = ()
    message: str = ""


class LatestRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One of the latest requests: its time, its customer, what it asked for, and its end. `alike`
    are the id and the time of earlier requests that differ only in these two. `clauses` are the
    clauses of a refusal."""

    id: str
    at: str
    whose: str
    asked: str
    status: int
    said: str
    alike: tuple[tuple[str, str], ...] = ()
    clauses: tuple[Citation, ...] = ()


class ExpiringKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key with a last day: the day, its distance in words, and whether it is soon."""

    key_id: str
    whose: str
    state: str
    expires: str
    distance: str
    is_soon: bool


class BudgetShown(msgspec.Struct, frozen=True, kw_only=True):
    """A budget as a bar: `percent` of it is spent and `held_percent` held by gateways, together 0
    to 100. `left` is the rest in words, or the amount overspent."""

    whose: str
    period: str
    spent: str
    leased: str
    amount: str
    left: str
    percent: int
    held_percent: int


class StepShown(msgspec.Struct, frozen=True, kw_only=True):
    """A step on a request's path: `kind` is `skipped`, `failed` or `answered`; `clauses` ruled the
    deployment out."""

    kind: str
    where: str
    said: str
    clauses: tuple[Citation, ...] = ()


class CandidateShown(msgspec.Struct, frozen=True, kw_only=True):
    """A deployment that could have answered a request, and its prices in USD per million tokens, by
    kind of token. `answered`: it did answer."""

    where: str
    prices: tuple[tuple[str, str], ...]
    answered: bool


class RequestPath(msgspec.Struct, frozen=True, kw_only=True):
    """A request from its arrival to its end, step by step, and its usage. `candidates` could have
    answered it, in the order of `strategy`. `refused_by` are the clauses of its refusal."""

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
    """The engineer's screen. `down` says why the gateway reports nothing; empty while it does.

    `budgets` are the fullest budgets, `keys` the keys that expire first; `budgets_further` and
    `keys_further` count the others. `searched` is the request id as typed, `path` the request of
    that id, and `problem` says why there is no such request.
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
    searched: str
    problem: str
    path: RequestPath | None


class EngineerSource(Protocol):
    """The source of the engineer's pages."""

    async def engineer(self, request: str) -> EngineerContext:
        """Return the engineer's screen; with a `request` id also that request, or why there is no
        such request."""
        ...

    async def request(self, named: str) -> RequestPath | None:
        """Return a request's path; None if neither a gateway nor the journal holds it."""
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

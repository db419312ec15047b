"""The engineer's screen: the gateway's own report, the keys and the budgets of the home, and the
latest requests that were not served."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from os import SEEK_END
from typing import Any

import msgspec

from clauseway.app.books.settled import now as now_known
from clauseway.app.customers.allowances import ListedBudget, list_budgets
from clauseway.app.customers.keys import ListedKey, list_keys
from clauseway.app.customers.tenants import customer_in_words, whose_in_words
from clauseway.app.opening.home import Home
from clauseway.app.opening.several import Opened, each_of, title_of
from clauseway.app.reports.spend import Spend
from clauseway.app.screens.clause_places import citations_of, cited_terms
from clauseway.app.screens.gateway_glances import (
    SHOWN,
    DeploymentGlance,
    Glance,
    RefusalGlance,
    RoomGlance,
    newest,
    percentile_ms,
)
from clauseway.app.screens.request_path import CLIENT_ERROR, SERVER_ERROR, refused_files
from clauseway.app.screens.request_rate import RequestRate
from clauseway.values import Citation, KnownAt
from clauseway.web.contexts import Alert, Snippet
from clauseway.web.engineer import (
    BudgetShown,
    DeploymentShown,
    EngineerContext,
    ExpiringKey,
    LatestRequest,
    ProductServed,
    RequestPath,
    RuledOut,
    Tile,
)
from clauseway.wording.names import Wording, listed

# The end of a file of refused requests: a line has some kilobytes at most.
_TAIL_BYTES = 256 * 1024
# Long enough before a key expires to give everybody who uses it another secret.
_SOON_DAYS = 30
# Refusals that are counted by their code, in words behind the number.
REFUSED_AS = {
    "forbidden_by_agreement": "refused by a clause",
    "no_deployment": "without a deployment that may serve it",
    "unsupported_by_every_deployment": "that no deployment can serve",
    "context_length_exceeded": "longer than any deployment holds",
    "model_not_found": "for an unknown model",
    "unknown_cloud": "for an unknown cloud",
    "unknown_url": "to an unknown path",
    "not_found": "for something that is not there",
    "previous_response_not_found": "after a response that is not there",
    "method_not_allowed": "with another method than the path takes",
    "invalid_api_key": "with a key that is not valid",
    "role_not_permitted": "with a key whose role may not",
    "not_offered": "for something that is not offered",
    "malformed_http": "that were no HTTP",
    "invalid_body": "with a body that cannot be read",
    "invalid_query": "with a query that cannot be read",
    "missing_required_parameter": "without a model",
    "expectation_failed": "with an unknown expectation",
    "body_too_large": "with too large a body",
    "head_too_large": "with too large a head",
    "request_timeout": "that came too slowly",
    "rate_limit_exceeded": "over a limit",
    "insufficient_quota": "over a budget",
    "budget_unavailable": "while the budget could not be asked",
    "limit_unavailable": "while the limit could not be asked",
    "too_many_connections": "over too many connections",
    "too_many_frames": "over too many frames of a WebSocket",
    "too_many_bytes": "with too many bytes at once",
    "clouds_failed": "at which every cloud failed",
    "clouds_unavailable": "while no cloud could be reached",
    "journal_failed": "while the journal could not be written",
    "journal_full": "while the journal's disk was full",
    "journal_copy_missing": "while the journal's copy was away",
    "database_away": "while the home did not reach its database",
    "usage_unavailable": "while usage could not be asked",
    "objects_unavailable": "for an object that could not be looked up",
    "changed_meanwhile": "for something that changed meanwhile",
    "not_ready": "before the gateway was ready",
    "stopping": "while the gateway was stopping",
    "deadline_exceeded": "that took too long",
    "stream_interrupted": "whose stream broke",
    "internal_error": "that failed in the gateway itself",
}


class Searched(msgspec.Struct, frozen=True, kw_only=True):
    """A search for a request: the text typed, and the request, or why there is no such request."""

    typed: str
    path: RequestPath | None = None
    problem: str = ""


def engineer_page(
    home: Home,
    opened: Opened,
    glance: Glance | None,
    rate: RequestRate,
    *,
    spent_today: Spend,
    down: str,
    gateway_url: str,
    snippets: tuple[Snippet, ...],
    alerts: tuple[Alert, ...],
    searched: Searched | None = None,
) -> EngineerContext:
    """Return the screen; without an answer of the gateway, only with the home's own records."""
    words, cited = Wording.of(each_of(opened)), citations_of(opened)
    now = glance or Glance()
    budgets = [_budget(words, budget) for budget in list_budgets(home)]
    budgets.sort(key=lambda budget: -budget.percent)
    keys = [key for key in list_keys(home) if key.expires]
    keys.sort(key=_expiry)
    return EngineerContext(
        title=title_of(opened),
        down=down,
        strip=tuple(_strip(now, rate, spent_today, budgets)) if glance else (),
        deployments=tuple(_deployments(words, cited, now)),
        refusals=tuple(
            (REFUSED_AS.get(code, code.replace("_", " ")), f"{count:,}")
            for code, count in sorted(now.refusals.items())
        ),
        ruled_out=tuple(grouped_refusals(words, cited, now.ruled_out)),
        not_served=_alike_together(_latest(view, cited) for view in _not_served(home, now)),
        latest=tuple(_latest(view, cited) for view in now.latest),
        keys=tuple(_key(key, now_known().day) for key in keys[:SHOWN]),
        budgets=tuple(budgets[:SHOWN]),
        budgets_further=max(0, len(budgets) - SHOWN),
        keys_further=max(0, len(keys) - SHOWN),
        gateway_url=gateway_url,
        snippets=snippets,
        alerts=alerts,
        searched=searched.typed if searched else "",
        problem=searched.problem if searched else "",
        path=searched.path if searched else None,
    )


def _strip(
    glance: Glance, rate: RequestRate, today: Spend, budgets: Sequence[BudgetShown]
) -> Iterator[Tile]:
    ended = sum(glance.statuses.values())
    failed = sum(count for status, count in glance.statuses.items() if int(status) >= SERVER_ERROR)
    yield _rate_tile(glance, rate)
    yield Tile(
        label="p99", value=_time(glance.buckets, 0.99), note=f"p50 {_time(glance.buckets, 0.5)}"
    )
    yield Tile(
        label="errors",
        value=f"{failed / ended:.2%}" if ended else "–",
        note=f"{failed:,} of {ended:,}",
    )
    yield Tile(label="spent today", value=f"{today.usd:,.2f} USD", note=_spend_note(today))
    # Budgets of a day, a month and in all do not add up, so the fullest budget is shown.
    fullest = next(iter(budgets), None)
    yield Tile(
        label="fullest budget",
        value=f"{fullest.percent} %" if fullest else "–",
        note=f"{fullest.whose}, {fullest.period}: {fullest.spent} of {fullest.amount}"
        if fullest
        else "clauseway budget set --help",
    )


def _rate_tile(glance: Glance, rate: RequestRate) -> Tile:
    per_second = rate.per_second()
    shown = "–" if per_second is None else f"{per_second:,.1f}"
    return Tile(label="requests a second", value=shown, note=f"{glance.requests:,} since the start")


def _spend_note(today: Spend) -> str:
    if today.unpriced:
        return f"an estimate; requests without a price: {today.unpriced:,}"
    return "an estimate, of the requests stored so far"


def _time(buckets: Sequence[int], part: float) -> str:
    limit = percentile_ms(buckets, part)
    return "–" if limit is None else f"≤ {limit:,.0f} ms" if limit >= 1 else "< 1 ms"


def _deployments(
    words: Wording, cited: Mapping[str, Citation], glance: Glance
) -> Iterator[DeploymentShown]:
    """Yield each deployment of a seller once, with all its products."""
    served = sum(each.requests for each in glance.deployments)
    parts: dict[tuple[str, str, str, str], list[ProductServed]] = {}
    for part in glance.deployments:
        key = (part.deployment, part.cloud, part.region, part.seller)
        parts.setdefault(key, []).append(_product(cited, served, part))
    for (name, cloud, region, seller), products in parts.items():
        yield DeploymentShown(
            name=name,
            cloud=words.name(cloud),
            region=region,
            seller=words.name(seller) if seller else "",
            products=tuple(products),
        )


def _product(cited: Mapping[str, Citation], served: int, part: DeploymentGlance) -> ProductServed:
    return ProductServed(
        product=part.product,
        state=part.state,
        why=part.why,
        requests=f"{part.requests:,}",
        share=f"{part.requests / served:.0%}" if served else "–",
        p50=_time(part.buckets, 0.5),
        p99=_time(part.buckets, 0.99),
        failures=f"{sum(part.failures.values()):,}",
        causes=tuple(
            f"{count:,} × {status if int(status) else 'no answer'}"
            for status, count in sorted(part.failures.items())
        ),
        room=tuple(_room_left(part.room)) if part.room else (),
        permitted_by=tuple(cited[term] for term in part.terms if term in cited),
    )


def _room_left(room: RoomGlance) -> Iterator[str]:
    if room.requests_per_minute:
        yield f"{room.requests:,} of {room.requests_per_minute:,} requests a minute"
    if room.tokens_per_minute:
        yield f"{room.tokens:,} of {room.tokens_per_minute:,} tokens a minute"


def grouped_refusals(
    words: Wording, cited: Mapping[str, Citation], refusals: Iterable[RefusalGlance]
) -> Iterator[RuledOut]:
    """Yield the sales that one clause rules out for one seller, with similar sales in one line."""
    alike: dict[tuple[str, str, str], list[RefusalGlance]] = {}
    for refusal in refusals:
        seller, term = refusal.market.partition("|")[0], refusal.terms[0]
        alike.setdefault((seller, term, refusal.outcome), []).append(refusal)
    for (seller, term, outcome), group in sorted(alike.items()):
        clauses = cited_terms(cited, [term])
        yield RuledOut(
            sales=tuple(_sales(words, seller, group)),
            outcome=outcome,
            clauses=clauses,
            message="" if clauses else group[0].message,
        )


def _sales(words: Wording, seller: str, refusals: Iterable[RefusalGlance]) -> Iterator[str]:
    segments: dict[tuple[str, str], set[str]] = {}
    for refusal in refusals:
        _, product, segment = refusal.market.split("|")
        segments.setdefault((product, refusal.cloud), set()).add(segment)
    products: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for (product, cloud), customers in sorted(segments.items()):
        products.setdefault((cloud, tuple(sorted(customers))), []).append(product)
    places: dict[tuple[tuple[str, ...], tuple[str, ...]], list[str]] = {}
    for (cloud, whose), sold in products.items():
        places.setdefault((tuple(sold), whose), []).append(cloud)
    for (named, whose), clouds in places.items():
        whom = words.segments(whose)
        yield f"{words.name(seller)}: {listed(named)} on {words.names(clouds, 'or')}{whom}"


def _latest(view: Mapping[str, Any], cited: Mapping[str, Citation]) -> LatestRequest:
    served_by = (view["served_by"] or {}).get("deployment", "")
    did = "served by" if view["status"] < CLIENT_ERROR else "refused by"
    return LatestRequest(
        id=view["id"],
        at=str(KnownAt(int(view["event_ns"])).to_the_second()),
        whose=customer_in_words(view["organisation"], view["project"]),
        asked=f"{view['operation']} {view['model']}",
        status=view["status"],
        said=view["message"] or f"{did} {served_by}",
        # A line of a refusals file of an earlier version names no terms.
        clauses=cited_terms(cited, view.get("terms", ())) if view["status"] >= CLIENT_ERROR else (),
    )


def _alike_together(latest: Iterable[LatestRequest]) -> tuple[LatestRequest, ...]:
    """Return requests that differ in more than the time, each with the earlier requests like it."""
    alike: dict[tuple[str, str, int, str], list[LatestRequest]] = {}
    for request in latest:
        key = (request.whose, request.asked, request.status, request.said)
        alike.setdefault(key, []).append(request)
    return tuple(
        msgspec.structs.replace(
            newest, alike=tuple((request.id, request.at) for request in earlier)
        )
        for newest, *earlier in alike.values()
    )


def _expiry(key: ListedKey) -> str:
    return key.expires


def _key(key: ListedKey, today: date) -> ExpiringKey:
    days = (KnownAt.parse(key.expires).day - today).days
    return ExpiringKey(
        key_id=key.key_id,
        whose=customer_in_words(key.organisation, key.project),
        state=key.state,
        expires=key.expires,
        distance=distance_in_words(days),
        is_soon=days <= _SOON_DAYS,
    )


def distance_in_words(days: int) -> str:
    """Return how far a day is from today: `in 12 days`, `3 days ago`."""
    if days in (0, 1):
        return "tomorrow" if days else "today"
    counted = f"{abs(days):,} {'day' if abs(days) == 1 else 'days'}"
    return f"in {counted}" if days > 0 else f"{counted} ago"


def _budget(words: Wording, budget: ListedBudget) -> BudgetShown:
    left = budget.amount - budget.spent - budget.leased
    percent = _percent(budget.spent, budget.amount)
    return BudgetShown(
        whose=words.spelt(whose_in_words(budget.scope)),
        period=budget.period,
        spent=f"{budget.spent:,.2f}",
        leased=f"{budget.leased:,.2f}" if budget.leased else "",
        amount=f"{budget.amount:,.2f} {budget.currency}",
        left=f"{left:,.2f} left" if left >= 0 else f"{-left:,.2f} too much",
        percent=percent,
        held_percent=min(100 - percent, _percent(budget.leased, budget.amount)),
    )


def _percent(part: Decimal, whole: Decimal) -> int:
    return max(0, min(100, int(100 * part / whole))) if whole else 100


def _not_served(home: Home, glance: Glance) -> tuple[dict[str, Any], ...]:
    """Return the latest requests that were not served: those that the gateway reports, and those in
    the files of gateways before it."""
    by_id = {view["id"]: view for views in _kept_refusals(home) for view in views}
    for view in glance.not_served:
        by_id.pop(view["id"], None)
    return newest([glance.not_served, tuple(by_id.values())])


def _kept_refusals(home: Home) -> Iterator[Sequence[dict[str, Any]]]:
    """Yield the latest requests of each file of requests that no cloud answered."""
    for file in refused_files(home):
        with file.open("rb") as kept:
            begin = max(kept.seek(0, SEEK_END) - _TAIL_BYTES, 0)
            kept.seek(begin)
            lines = kept.read().split(b"\n")
        # Reading began in the middle of a line, and a gateway may have died in the middle of one.
        whole = lines[1:-1] if begin else lines[:-1]
        yield [msgspec.json.decode(line) for line in whole[-SHOWN:]]

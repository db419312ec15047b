"""The engineer's screen: what the gateways tell of themselves at their control sockets, and the keys
and budgets of the home. And one request's path, as the gateway or the journal knows it."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from importlib import import_module
from itertools import accumulate
from os import SEEK_END
from pathlib import Path
from typing import Any

import msgspec

from clauseway.app.agreements.passages import located
from clauseway.app.books.settled import now as now_known
from clauseway.app.customers.allowances import ListedBudget, list_budgets
from clauseway.app.customers.keys import ListedKey, list_keys
from clauseway.app.customers.tenants import customer_in_words, whose_in_words
from clauseway.app.opening.home import Home
from clauseway.app.opening.several import Opened, each_of, title_of
from clauseway.app.reports.spend import Spend
from clauseway.app.screens.request_rate import RequestRate
from clauseway.values import Citation, KnownAt
from clauseway.web.contexts import Alert, Snippet
from clauseway.web.engineer import (
    BudgetShown,
    CandidateShown,
    DeploymentShown,
    EngineerContext,
    ExpiringKey,
    LatestRequest,
    ProductServed,
    RequestPath,
    RuledOut,
    StepShown,
    Tile,
)
from clauseway.wording.names import Wording, listed

# Reads the journal and the lake by an engine: loaded for a request that no gateway keeps any more.
_ONE_REQUEST = "clauseway.app.reports.one_request"
_SHOWN = 20
# The end of a file of refused requests: a line has some kilobytes at most.
_TAIL_BYTES = 256 * 1024
_USD = Decimal(10) ** -12
_FAILED, _SERVER_FAILED = 400, 500
# Long enough before a key expires to give everybody who uses it another secret.
_SOON_DAYS = 30
_COST = "cost, until the month is settled"
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
    "budget_exceeded": "over a budget",
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


class RoomGlance(msgspec.Struct, frozen=True, kw_only=True):
    """The rest of a deployment's quota; by the minute 0 where there is no limit."""

    requests: int
    requests_per_minute: int
    tokens: int
    tokens_per_minute: int


class DeploymentGlance(msgspec.Struct, frozen=True, kw_only=True):
    """A deployment's model, as a gateway tells of it. `failures` are counted by the status that the
    cloud answered, 0 where it answered none."""

    deployment: str
    cloud: str
    region: str
    seller: str
    product: str
    state: str
    why: str
    requests: int
    failures: Mapping[str, int]
    room: RoomGlance | None
    buckets: tuple[int, ...]
    terms: tuple[str, ...]


class RefusalGlance(msgspec.Struct, frozen=True, kw_only=True):
    """A refusal of the present plan: `market` is seller, product and segment, between bars."""

    market: str
    cloud: str
    outcome: str
    message: str
    terms: tuple[str, ...]


class Glance(msgspec.Struct, frozen=True, kw_only=True):
    """A gateway's answer to `GET /glance`; of several workers, their sums."""

    requests: int = 0
    statuses: Mapping[str, int] = {}
    buckets: tuple[int, ...] = ()
    open: int = 0
    refusals: Mapping[str, int] = {}
    deployments: tuple[DeploymentGlance, ...] = ()
    ruled_out: tuple[RefusalGlance, ...] = ()
    latest: tuple[dict[str, Any], ...] = ()
    not_served: tuple[dict[str, Any], ...] = ()


class Searched(msgspec.Struct, frozen=True, kw_only=True):
    """A search for a request: what was typed, and the request, or why there is none."""

    typed: str
    path: RequestPath | None = None
    problem: str = ""


GLANCE = msgspec.json.Decoder(Glance)


def together(glances: Sequence[Glance]) -> Glance:
    """Return the workers of one gateway as one: they serve by the same plan."""
    named: dict[tuple[str, str], list[DeploymentGlance]] = {}
    for glance in glances:
        for part in glance.deployments:
            named.setdefault((part.deployment, part.product), []).append(part)
    return Glance(
        requests=sum(glance.requests for glance in glances),
        statuses=_summed(glance.statuses for glance in glances),
        buckets=_added(glance.buckets for glance in glances),
        open=sum(glance.open for glance in glances),
        refusals=_summed(glance.refusals for glance in glances),
        deployments=tuple(map(_one_deployment, named.values())),
        ruled_out=glances[0].ruled_out,
        latest=_newest(glance.latest for glance in glances),
        not_served=_newest(glance.not_served for glance in glances),
    )


def _one_deployment(parts: Sequence[DeploymentGlance]) -> DeploymentGlance:
    # Away at one worker is worth a look, whatever the others say.
    first = next((part for part in parts if part.state != "well"), parts[0])
    return msgspec.structs.replace(
        first,
        requests=sum(part.requests for part in parts),
        failures=_summed(part.failures for part in parts),
        room=_summed_room([part.room for part in parts if part.room is not None]),
        buckets=_added(part.buckets for part in parts),
    )


def _summed_room(rooms: Sequence[RoomGlance]) -> RoomGlance | None:
    """Return the room of all workers: each has a part of the quota for itself."""
    if not rooms:
        return None
    return RoomGlance(
        requests=sum(room.requests for room in rooms),
        requests_per_minute=sum(room.requests_per_minute for room in rooms),
        tokens=sum(room.tokens for room in rooms),
        tokens_per_minute=sum(room.tokens_per_minute for room in rooms),
    )


def _summed(several: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for counts in several:
        total.update(counts)
    return dict(total)


def _added(several: Iterable[Sequence[int]]) -> tuple[int, ...]:
    return tuple(map(sum, zip(*several, strict=True)))


def _newest(several: Iterable[Sequence[dict[str, Any]]]) -> tuple[dict[str, Any], ...]:
    views = [view for views in several for view in views]
    return tuple(sorted(views, key=lambda view: -int(view["event_ns"]))[:_SHOWN])


def percentile_ms(buckets: Sequence[int], part: float) -> float | None:
    """Return the time within which a part of the requests ended, to the next power of two.

    Bucket `n` holds durations of `n` bits in microseconds. None where nothing ended.
    """
    total = sum(buckets)
    reached = (bits for bits, upto in enumerate(accumulate(buckets)) if upto >= total * part)
    return (1 << next(reached)) / 1000 if total else None


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
    """Return the screen; where no gateway answers, with what the home knows by itself."""
    words, cited = Wording.of(each_of(opened)), citations_of(opened)
    now = glance or Glance()
    budgets = [_budget(words, budget) for budget in list_budgets(home)]
    budgets.sort(key=lambda budget: -budget.percent)
    keys = [key for key in list_keys(home) if key.expires and key.state != "revoked"]
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
        keys=tuple(_key(key, now_known().day) for key in keys[:_SHOWN]),
        budgets=tuple(budgets[:_SHOWN]),
        budgets_further=max(0, len(budgets) - _SHOWN),
        keys_further=max(0, len(keys) - _SHOWN),
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
    failed = sum(
        count for status, count in glance.statuses.items() if int(status) >= _SERVER_FAILED
    )
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
    # Budgets of a day, a month and in all do not add up: the one that is nearest its end is shown.
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


def citations_of(opened: Opened) -> dict[str, Citation]:
    """Return where each term, each change of terms and each rule stands in the text, by its
    identifier."""
    cited: dict[str, Citation] = {}
    for asked in each_of(opened):
        written = dict(asked.agreement.rules)
        for amendment in asked.agreement.amendments:
            written |= {change.id: change.citation for change in amendment.changes}
            written |= {term.id: term.citation for term in amendment.terms}
        cited |= {name: located(opened, asked, citation) for name, citation in written.items()}
    return cited


def grouped_refusals(
    words: Wording, cited: Mapping[str, Citation], refusals: Iterable[RefusalGlance]
) -> Iterator[RuledOut]:
    """Yield what one clause closes to one seller, each with the sales that read alike as one."""
    alike: dict[tuple[str, str, str], list[RefusalGlance]] = {}
    for refusal in refusals:
        seller, term = refusal.market.partition("|")[0], refusal.terms[0]
        alike.setdefault((seller, term, refusal.outcome), []).append(refusal)
    for (seller, term, outcome), group in sorted(alike.items()):
        clauses = _cited(cited, [term])
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


def _cited(cited: Mapping[str, Citation], terms: Iterable[str]) -> tuple[Citation, ...]:
    return tuple(cited[term] for term in terms if term in cited)


def _latest(view: Mapping[str, Any], cited: Mapping[str, Citation]) -> LatestRequest:
    served_by = (view["served_by"] or {}).get("deployment", "")
    did = "served by" if view["status"] < _FAILED else "refused by"
    return LatestRequest(
        id=view["id"],
        at=_instant(view["event_ns"]),
        whose=customer_in_words(view["organisation"], view["project"]),
        asked=f"{view['operation']} {view['model']}",
        status=view["status"],
        said=view["message"] or f"{did} {served_by}",
        # A line of a refusals file of an earlier version names no terms.
        clauses=_cited(cited, view.get("terms", ())) if view["status"] >= _FAILED else (),
    )


def _alike_together(latest: Iterable[LatestRequest]) -> tuple[LatestRequest, ...]:
    """Return what differs in more than the time, each with the earlier requests like it."""
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


def _instant(event_ns: str) -> str:
    return str(KnownAt(int(event_ns)).to_the_second())


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


# One request


def path_of(words: Wording, view: Mapping[str, Any], cited: Mapping[str, Citation]) -> RequestPath:
    """Return a request that a gateway keeps, with what it skipped on its way."""
    steps = [
        *(
            StepShown(
                kind="skipped",
                where=_where(words, step),
                said=words.spelt(
                    step["reason"] if step.get("terms") else f"skipped: {step['reason']}"
                ),
                clauses=_cited(cited, step.get("terms", ())[:1]),
            )
            for step in view["skipped"]
        ),
        *(
            StepShown(
                kind="failed",
                where=_where(words, step),
                said=f"{step['outcome']} {step['status'] or ''} after {step['duration_us'] / 1000:,.1f} ms",
            )
            for step in view["attempted"]
        ),
    ]
    served_by = view["served_by"]
    end = f"answered with {view['status']}" if served_by else view["message"]
    steps.append(
        StepShown(
            kind="answered" if served_by else "failed",
            where=_where(words, served_by) if served_by else "the gateway",
            said=end,
        )
    )
    # A line of a refusals file of an earlier version has no candidates.
    candidates = view.get("candidates", ())
    usage = tuple(
        (name.replace("_", " "), f"{count:,}") for name, count in view["usage"].items() if count
    )
    return RequestPath(
        id=view["id"],
        title=_fate(words, view),
        at=_instant(view["event_ns"]),
        whose=customer_in_words(view["organisation"], view["project"]),
        steps=tuple(steps),
        strategy=view.get("strategy", ""),
        candidates=tuple(_candidate(words, candidate, served_by) for candidate in candidates),
        facts=(
            ("asked", f"{view['operation']} {view['model']}"),
            *usage,
            (_COST, f"{Decimal(view['cost']['amount']).normalize():f} USD"),
            *((name, view[name]) for name in ("outcome", "decision") if view.get(name)),
        ),
        permitted_by=_cited(cited, view.get("terms", ())) if served_by else (),
        refused_by=() if served_by else _cited(cited, view.get("terms", ())),
        source="From the gateway's memory of its latest requests.",
    )


def _fate(words: Wording, view: Mapping[str, Any]) -> str:
    """Return what became of a request, as a title."""
    label, status = view["served_by"], view["status"]
    if label and status < _FAILED:
        return f"Served by {words.name(label['seller'])} on {words.name(label['cloud'])}"
    became = "Refused" if _FAILED <= status < _SERVER_FAILED else "Not answered"
    return f"{became}: {view['operation']} {view['model']}"


def _candidate(
    words: Wording, candidate: Mapping[str, Any], served_by: Mapping[str, Any] | None
) -> CandidateShown:
    prices = candidate["usd_per_million_tokens"]
    name = candidate["deployment"]
    return CandidateShown(
        where=_where(words, candidate),
        prices=tuple(
            (way.replace("_", " "), f"{Decimal(price).normalize():f}")
            for way, price in prices.items()
        ),
        answered=served_by is not None and served_by["deployment"] == name,
    )


def _where(words: Wording, step: Mapping[str, Any]) -> str:
    cloud = step.get("cloud", "")
    places = (step.get("deployment", ""), words.name(cloud) if cloud else "")
    return " on ".join(filter(None, places)) or "all"


def _refused_files(home: Home) -> list[Path]:
    return sorted(home.logs.glob("*-refused*.jsonl"))


def _not_served(home: Home, glance: Glance) -> tuple[dict[str, Any], ...]:
    """Return the latest requests that were not served: a gateway that was started again tells of
    none before, but kept them in its file."""
    by_id = {view["id"]: view for views in _kept_refusals(home) for view in views}
    for view in glance.not_served:
        by_id.pop(view["id"], None)
    return _newest([glance.not_served, tuple(by_id.values())])


def _kept_refusals(home: Home) -> Iterator[Sequence[dict[str, Any]]]:
    """Yield the latest requests of each file that gateways kept of those that no cloud answered."""
    for file in _refused_files(home):
        with file.open("rb") as kept:
            begin = max(kept.seek(0, SEEK_END) - _TAIL_BYTES, 0)
            kept.seek(begin)
            lines = kept.read().split(b"\n")
        # Reading began in the middle of a line, and a gateway may have died in the middle of one.
        whole = lines[1:-1] if begin else lines[:-1]
        yield [msgspec.json.decode(line) for line in whole[-_SHOWN:]]


def path_refused(home: Home, opened: Opened, named: str) -> RequestPath | None:
    """Return a request that no cloud answered, as a gateway kept it in its file; None where none
    did."""
    wanted = f'"id":"{named}"'.encode()
    for file in _refused_files(home):
        with file.open("rb") as lines:
            for line in lines:
                # A line whose gateway died in the middle of it is no line.
                if wanted in line and line.endswith(b"\n"):
                    words = Wording.of(each_of(opened))
                    kept = path_of(words, msgspec.json.decode(line), citations_of(opened))
                    source = "From the gateway's file of refused requests: no cloud answered it."
                    return msgspec.structs.replace(kept, source=source)
    return None


def path_in_journal(home: Home, opened: Opened, named: str) -> RequestPath | None:
    """Return a request that the journal or the lake holds; None where neither does. Raise
    InvalidInput for what names no request."""
    module = import_module(_ONE_REQUEST)
    kept = module.recorded_request(home, named)
    if kept is None:
        return None
    words, cited = Wording.of(each_of(opened)), citations_of(opened)
    last = kept.attempts[-1]
    units = tuple((name.replace("_", " "), f"{count:,}") for name, count in last.units.items())
    return RequestPath(
        id=kept.request,
        title=f"{kept.operation} of {kept.product}",
        at=f"{kept.at:%Y-%m-%dT%H:%M:%SZ}",
        whose=customer_in_words(kept.organisation, kept.project),
        steps=tuple(
            StepShown(
                kind="answered" if attempt is last else "failed",
                where=f"{attempt.deployment} on {words.name(attempt.cloud)} {attempt.region}".rstrip(),
                said=f"{attempt.status} {attempt.http_status or ''} after {attempt.duration_us / 1000:,.1f} ms",
            )
            for attempt in kept.attempts
        ),
        facts=(*units, (_COST, f"{last.charge_picodollars * _USD} USD")),
        permitted_by=tuple(cited[term] for term in last.terms if term in cited),
        source="From the journal, which records the attempts of a request.",
    )

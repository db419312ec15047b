"""The engineer's screen: what the gateways tell of themselves at their control sockets, and the keys
and budgets of the home. And one request's path, as the gateway or the journal knows it."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from importlib import import_module
from itertools import accumulate
from os import SEEK_END
from pathlib import Path
from typing import Any

import msgspec

from clauseway.app.customers.allowances import ListedBudget, list_budgets
from clauseway.app.customers.keys import ListedKey, list_keys
from clauseway.app.opening.home import Home
from clauseway.app.opening.several import Opened, each_of, title_of
from clauseway.app.reports.spend import Spend
from clauseway.values import Citation, KnownAt
from clauseway.web.contexts import Alert, Snippet
from clauseway.web.engineer import (
    BudgetShown,
    CandidateShown,
    DeploymentShown,
    EngineerContext,
    ExpiringKey,
    LatestRequest,
    RequestPath,
    RuledOut,
    StepShown,
    Tile,
)
from clauseway.wording.names import Wording

# Reads the journal and the lake by an engine: loaded for a request that no gateway keeps any more.
_ONE_REQUEST = "clauseway.app.reports.one_request"
_SHOWN = 20
# The end of a file of refused requests: a line has some kilobytes at most.
_TAIL_BYTES = 256 * 1024
_USD = Decimal(10) ** -12
_FAILED, _SERVER_FAILED = 400, 500


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
    """What the plan refuses now: `market` is seller, product and segment, between bars."""

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
    rate: str,
    *,
    spent_today: Spend,
    down: str,
    gateway_url: str,
    snippets: tuple[Snippet, ...],
    alerts: tuple[Alert, ...],
    searched: Searched | None = None,
) -> EngineerContext:
    """Return the screen; where no gateway answers, with what the home knows by itself."""
    words, cited = Wording.of(each_of(opened)), _citations(opened)
    now = glance or Glance()
    budgets = list_budgets(home)
    return EngineerContext(
        title=title_of(opened),
        down=down,
        strip=tuple(_strip(now, rate, spent_today, budgets)) if glance else (),
        deployments=tuple(_deployment(words, cited, now, each) for each in now.deployments),
        refusals=tuple((code, f"{count:,}") for code, count in sorted(now.refusals.items())),
        ruled_out=tuple(_ruled_out(words, refusal) for refusal in now.ruled_out),
        not_served=_alike_together(map(_latest, _not_served(home, now))),
        latest=tuple(map(_latest, now.latest)),
        keys=tuple(_key(key) for key in sorted(list_keys(home), key=_expiry) if key.expires),
        budgets=tuple(map(_budget, budgets)),
        gateway_url=gateway_url,
        snippets=snippets,
        alerts=alerts,
        searched=searched.typed if searched else "",
        problem=searched.problem if searched else "",
        path=searched.path if searched else None,
    )


def _strip(
    glance: Glance, rate: str, today: Spend, budgets: Sequence[ListedBudget]
) -> Iterator[Tile]:
    ended = sum(glance.statuses.values())
    failed = sum(
        count for status, count in glance.statuses.items() if int(status) >= _SERVER_FAILED
    )
    yield Tile(label="requests a second", value=rate, note=f"{glance.requests:,} since the start")
    yield Tile(
        label="p99", value=_time(glance.buckets, 0.99), note=f"p50 {_time(glance.buckets, 0.5)}"
    )
    yield Tile(
        label="errors",
        value=f"{failed / ended:.2%}" if ended else "–",
        note=f"{failed:,} of {ended:,}",
    )
    yield Tile(label="spent today", value=f"{today.usd:,.2f} USD", note=_spend_note(today))
    amount = sum((budget.amount for budget in budgets), Decimal(0))
    spent = sum((budget.spent for budget in budgets), Decimal(0))
    yield Tile(
        label="of budgets",
        value=f"{spent:,.2f} USD" if budgets else "–",
        note=f"of {amount:,.2f}" if budgets else "clauseway budget set --help",
    )


def _spend_note(today: Spend) -> str:
    if today.unpriced:
        return f"estimated; requests without a price: {today.unpriced:,}"
    return "estimated, of all that is sealed"


def _time(buckets: Sequence[int], part: float) -> str:
    limit = percentile_ms(buckets, part)
    return "–" if limit is None else f"≤ {limit:,.0f} ms" if limit >= 1 else "< 1 ms"


def _deployment(
    words: Wording, cited: Mapping[str, Citation], glance: Glance, part: DeploymentGlance
) -> DeploymentShown:
    served = sum(each.requests for each in glance.deployments)
    return DeploymentShown(
        name=part.deployment,
        cloud=words.name(part.cloud),
        region=part.region,
        seller=words.name(part.seller) if part.seller else "",
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


def _citations(opened: Opened) -> dict[str, Citation]:
    return {
        term.id: term.citation
        for asked in each_of(opened)
        for amendment in asked.agreement.amendments
        for term in amendment.terms
    }


def _ruled_out(words: Wording, refusal: RefusalGlance) -> RuledOut:
    seller, product, segment = (*refusal.market.split("|"), "", "")[:3]
    whom = "" if segment in ("", "any") else f" to {segment} customers"
    return RuledOut(
        sale=f"{words.name(seller)} sells {product} on {words.name(refusal.cloud)}{whom}",
        outcome=refusal.outcome,
        message=refusal.message,
    )


def _latest(view: Mapping[str, Any]) -> LatestRequest:
    served_by = (view["served_by"] or {}).get("deployment", "")
    did = "served by" if view["status"] < _FAILED else "refused by"
    return LatestRequest(
        id=view["id"],
        at=_instant(view["event_ns"]),
        whose=_whose(view["organisation"], view["project"]),
        asked=f"{view['operation']} {view['model']}",
        status=view["status"],
        said=view["message"] or f"{did} {served_by}",
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


def _whose(organisation: str, project: str) -> str:
    return "/".join(filter(None, (organisation, project)))


def _instant(event_ns: str) -> str:
    return str(KnownAt(int(event_ns)).to_the_second())


def _expiry(key: ListedKey) -> str:
    return key.expires


def _key(key: ListedKey) -> ExpiringKey:
    return ExpiringKey(
        key_id=key.key_id,
        whose=_whose(key.organisation, key.project),
        state=key.state,
        expires=key.expires,
    )


def _budget(budget: ListedBudget) -> BudgetShown:
    part = int(100 * budget.spent / budget.amount) if budget.amount else 100
    return BudgetShown(
        whose=budget.whose,
        period=budget.period,
        spent=f"{budget.spent:,.2f}",
        leased=f"{budget.leased:,.2f}",
        amount=f"{budget.amount:,.2f} {budget.currency}",
        percent=max(0, min(100, part)),
    )


# One request


def path_of(words: Wording, view: Mapping[str, Any]) -> RequestPath:
    """Return a request that a gateway keeps, with what it skipped on its way."""
    steps = [
        *(
            StepShown(kind="skipped", where=_where(words, step), said=f"skipped: {step['reason']}")
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
        title=f"{view['operation']} {view['model']}",
        at=_instant(view["event_ns"]),
        whose=_whose(view["organisation"], view["project"]),
        steps=tuple(steps),
        strategy=view.get("strategy", ""),
        candidates=tuple(_candidate(words, candidate, served_by) for candidate in candidates),
        facts=(
            *usage,
            ("cost, provisional", f"{Decimal(view['cost']['amount']).normalize():f} USD"),
        ),
        permitted_by=(),
        source="As the gateway keeps it; of older requests the journal knows the attempts alone.",
    )


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
                    kept = path_of(Wording.of(each_of(opened)), msgspec.json.decode(line))
                    source = "As the gateway kept it; no cloud answered, so nothing was metered."
                    return msgspec.structs.replace(kept, source=source)
    return None


def path_in_journal(home: Home, opened: Opened, named: str) -> RequestPath | None:
    """Return a request that the journal or the lake holds; None where neither does. Raise
    InvalidInput for what names no request."""
    module = import_module(_ONE_REQUEST)
    kept = module.recorded_request(home, named)
    if kept is None:
        return None
    words, cited = Wording.of(each_of(opened)), _citations(opened)
    last = kept.attempts[-1]
    units = tuple((name.replace("_", " "), f"{count:,}") for name, count in last.units.items())
    return RequestPath(
        id=kept.request,
        title=f"{kept.operation} of {kept.product}",
        at=f"{kept.at:%Y-%m-%dT%H:%M:%SZ}",
        whose=f"{kept.organisation}/{kept.project}",
        steps=tuple(
            StepShown(
                kind="answered" if attempt is last else "failed",
                where=f"{attempt.deployment} on {words.name(attempt.cloud)} {attempt.region}".rstrip(),
                said=f"{attempt.status} {attempt.http_status or ''} after {attempt.duration_us / 1000:,.1f} ms",
            )
            for attempt in kept.attempts
        ),
        facts=(*units, ("cost, provisional", f"{last.charge_picodollars * _USD} USD")),
        permitted_by=tuple(cited[term] for term in last.terms if term in cited),
        source="As the journal has it.",
    )

"""One request's path, step by step, from a gateway's memory, from its file of refused requests, or
from the journal."""

from collections.abc import Mapping
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec

from clauseway.app.customers.tenants import customer_in_words
from clauseway.app.opening.home import Home
from clauseway.app.opening.several import Opened, each_of
from clauseway.app.reports.amounts import exact
from clauseway.app.screens.clause_places import citations_of, cited_terms
from clauseway.files.folders import list_folder
from clauseway.metering import SERVED
from clauseway.values import Citation, KnownAt
from clauseway.web.engineer import CandidateShown, RequestPath, StepShown
from clauseway.wording.names import Wording

# Reads the journal and the lake by an engine: loaded for a request that no gateway keeps any more.
_ONE_REQUEST = "clauseway.app.reports.one_request"
_USD = Decimal(10) ** -12
# The first HTTP status of each kind of error.
CLIENT_ERROR, SERVER_ERROR = 400, 500
_ANSWERED = {status.name.lower() for status in SERVED}
_COST = "cost, until the month is settled"


def path_of(words: Wording, view: Mapping[str, Any], cited: Mapping[str, Citation]) -> RequestPath:
    """Return the path of a request that a gateway keeps, with the deployments that it skipped."""
    steps = [
        *(
            StepShown(
                kind="skipped",
                where=_where(words, step),
                said=words.spelt(
                    step["reason"] if step.get("terms") else f"skipped: {step['reason']}"
                ),
                clauses=cited_terms(cited, step.get("terms", ())[:1]),
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
        at=str(KnownAt(int(view["event_ns"])).to_the_second()),
        whose=customer_in_words(view["organisation"], view["project"]),
        steps=tuple(steps),
        strategy=view.get("strategy", ""),
        candidates=tuple(_candidate(words, candidate, served_by) for candidate in candidates),
        facts=(
            ("asked", f"{view['operation']} {view['model']}"),
            *usage,
            (_COST, f"{exact(Decimal(view['cost']['amount']))} USD"),
            *((name, view[name]) for name in ("outcome", "decision") if view.get(name)),
        ),
        permitted_by=cited_terms(cited, view.get("terms", ())) if served_by else (),
        refused_by=() if served_by else cited_terms(cited, view.get("terms", ())),
        source="From the gateway's memory of its latest requests.",
    )


def _fate(words: Wording, view: Mapping[str, Any]) -> str:
    """Return the end of a request as a title."""
    label, status = view["served_by"], view["status"]
    if label and status < CLIENT_ERROR:
        return f"Served by {words.name(label['seller'])} on {words.name(label['cloud'])}"
    became = "Refused" if CLIENT_ERROR <= status < SERVER_ERROR else "Not answered"
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


def refused_files(home: Home) -> list[Path]:
    """Return the files in which gateways keep requests that no cloud answered."""
    return list_folder(home.logs, "*-refused*.jsonl")


def path_refused(home: Home, opened: Opened, named: str) -> RequestPath | None:
    """Return the path of a request that no cloud answered, from a gateway's file; None if no file
    has it."""
    wanted = f'"id":"{named}"'.encode()
    for file in refused_files(home):
        with file.open("rb") as lines:
            for line in lines:
                # A gateway that died may have left a part of a line.
                if wanted in line and line.endswith(b"\n"):
                    words = Wording.of(each_of(opened))
                    kept = path_of(words, msgspec.json.decode(line), citations_of(opened))
                    source = "From the gateway's file of refused requests: no cloud answered it."
                    return msgspec.structs.replace(kept, source=source)
    return None


def path_in_journal(home: Home, opened: Opened, named: str) -> RequestPath | None:
    """Return the path of a request in the journal or the lake; None if neither has it. Raise
    InvalidInput if `named` is not a request's id."""
    module = import_module(_ONE_REQUEST)
    kept = module.recorded_request(home, named)
    if kept is None:
        return None
    words, cited = Wording.of(each_of(opened)), citations_of(opened)
    last = kept.attempts[-1]
    units = tuple(
        (name.replace("_", " "), f"{count:,}") for name, count in last.units.items() if count
    )
    return RequestPath(
        id=kept.request,
        title=f"{kept.operation} of {kept.product}",
        at=f"{kept.at:%Y-%m-%dT%H:%M:%SZ}",
        whose=customer_in_words(kept.organisation, kept.project),
        steps=tuple(
            StepShown(
                kind="answered" if attempt.status in _ANSWERED else "failed",
                where=f"{attempt.deployment} on {words.name(attempt.cloud)} {attempt.region}".rstrip(),
                said=f"{attempt.status} {attempt.http_status or ''} after {attempt.duration_us / 1000:,.1f} ms",
            )
            for attempt in kept.attempts
        ),
        facts=(*units, (_COST, f"{exact(last.charge_picodollars * _USD)} USD")),
        permitted_by=cited_terms(cited, last.terms),
        source="From the journal, which records the attempts of a request.",
    )

"""A digest of an agreement's meaning, beside the digest of its text.

Two texts with the same meaning answer every question alike: terms, changes, days, readings, figures
and names are the same. Prose, titles, sources, line numbers and the order of terms in a document do
not belong to the meaning.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from clauseway.agreement.language.agreement import Agreement, Amendment, Change
from clauseway.agreement.language.definitions import STATED_RULES, Event
from clauseway.agreement.language.facts import Fact
from clauseway.agreement.language.terms import Term
from clauseway.catalog import Catalog

# Keys that the language learnt later. The meaning of a text without them stays as it was before.
_LEARNT_LATER = frozenset(
    {
        "despite",
        "events",
        "exclusive",
        "from",
        "grantor",
        "lead-days",
        "offered_each",
        "rescinds",
        "sole",
        "while",
        "while-no",
    }
)
# Where a record stands is not what it means.
_NOT_MEANT = frozenset({"citation"})


def meaning_of(agreement: Agreement) -> str:
    """Return the digest (SHA-256, hex) of what the agreement means."""
    stated = sorted(name for name in STATED_RULES if name in agreement.rules)
    concluded = [
        amendment.id
        for amendment in sorted(agreement.amendments, key=lambda amendment: amendment.rank)
    ]
    in_effect = [amendment.id for amendment in agreement.amendments]
    # The keys behind `**` appear only where they say something, so texts of older versions keep
    # their digest.
    return _digest(
        {
            **({"rules": stated} if stated else {}),
            **({"concluded": concluded} if concluded != in_effect else {}),
            **({"events": _events(agreement)} if agreement.events else {}),
            "id": agreement.id,
            "catalog": _plain(agreement.catalog),
            "readings": {name: reading.options for name, reading in agreement.readings.items()},
            "figures": {
                name: (figure.value, figure.standing) for name, figure in agreement.figures.items()
            },
            "amendments": [_amendment(amendment) for amendment in agreement.amendments],
        }
    )


def meaning_of_facts(facts: Iterable[Fact]) -> str:
    """Return the digest (SHA-256, hex) of what facts say, in whatever order they are given."""
    return _digest(sorted(_encoded(_plain(fact)) for fact in facts))


def _amendment(amendment: Amendment) -> Mapping[str, Any]:
    return {
        "id": amendment.id,
        "announced": amendment.announced,
        "effective": amendment.effective,
        "known": amendment.known,
        "terms": sorted(_encoded({"kind": term.kind, **_plain(term)}) for term in amendment.terms),
        "changes": sorted(_encoded(_fields(change)) for change in amendment.changes),
    }


def _events(agreement: Agreement) -> Mapping[str, Any]:
    return {name: _fields(event) for name, event in agreement.events.items()}


def _plain(record: Catalog | Term | Fact) -> dict[str, Any]:
    """Return a record by the keys of its text, without the place where it stands."""
    return _without_place(msgspec.to_builtins(record, order="sorted"))


def _fields(record: Change | Event) -> dict[str, Any]:
    """Return a record by the names of its fields, without the place where it stands."""
    return _without_place(msgspec.structs.asdict(record))


def _without_place(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in fields.items()
        if name not in _NOT_MEANT and (value or name not in _LEARNT_LATER)
    }


def _encoded(value: Mapping[str, Any]) -> str:
    return msgspec.json.encode(value, order="sorted").decode()


def _digest(value: Mapping[str, Any] | Sequence[str]) -> str:
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()

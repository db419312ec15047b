"""Customers' keys: made here, shown once, kept as a keyed hash."""

import secrets
import time
from collections.abc import Iterable

import msgspec

from clauseway.app.home import Home
from clauseway.catalog import Catalog
from clauseway.gateway.keys import digest
from clauseway.gateway.plan import Key
from clauseway.storage import ApiKey, Control
from clauseway.values import InvalidInput, Problem

_PREFIX = "cw-"


class NewKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key just made. `secret` is what the customer sends; it is stored nowhere."""

    key_id: str
    secret: str
    organisation: str
    project: str
    seller: str
    segment: str


def create_key(home: Home, catalog: Catalog, *, organisation: str, project: str, seller: str, segment: str) -> NewKey:
    """Make a key of 256 random bits and store its hash. Raises InvalidInput for an unknown seller or segment."""
    _check(catalog, organisation, seller, segment)
    made = NewKey(
        key_id=f"key_{secrets.token_hex(8)}",
        secret=_PREFIX + secrets.token_urlsafe(32),
        organisation=organisation,
        project=project,
        seller=seller,
        segment=segment,
    )
    control = Control.open(home.make().control)
    try:
        control.add_key(
            ApiKey(
                digest=digest(bytes.fromhex(home.hash_key()), made.secret.encode()).hex(),
                key_id=made.key_id,
                organisation=organisation,
                project=project,
                seller=seller,
                segment=segment,
                created_ns=time.time_ns(),
            )
        )
    finally:
        control.close()
    return made


def active_keys(home: Home) -> list[Key]:
    """The keys a gateway accepts, in the form of its plan."""
    control = Control.open(home.make().control)
    try:
        return list(map(_for_plan, control.keys()))
    finally:
        control.close()


def _for_plan(key: ApiKey) -> Key:
    return Key(
        digest=key.digest,
        organisation=key.organisation,
        project=key.project,
        key_id=key.key_id,
        seller=key.seller,
        segment=key.segment,
    )


def _check(catalog: Catalog, organisation: str, seller: str, segment: str) -> None:
    named: list[tuple[str, str, Iterable[str]]] = [
        ("--seller", seller, catalog.parties),
        ("--segment", segment, catalog.segments),
    ]
    problems = [
        Problem(
            what=f"unknown name {value!r}",
            why="the agreement does not name it",
            where=flag,
            todo=f"Known: {', '.join(sorted(known))}.",
        )
        for flag, value, known in named
        if value not in known
    ]
    if not organisation.strip():
        problems.append(
            Problem(
                what="it is empty", why="usage is metered for somebody", where="--organisation", todo="Name who buys."
            )
        )
    if problems:
        raise InvalidInput(*problems)

"""Customers' keys: made here, shown once, kept as a keyed hash; rotated, revoked, and some of
them expire."""

import re
import secrets
import time
from collections.abc import Iterable
from datetime import date

import msgspec

from clauseway.app.customers.tenants import (
    UNNAMED,
    check_buyer_names,
    ensure_tenant,
    nearly_named,
    unnamed_remedy,
)
from clauseway.app.opening.home import Home
from clauseway.app.opening.home_control import open_control
from clauseway.app.opening.named_agreements import sellers_in
from clauseway.catalog import Catalog
from clauseway.files.presence import is_there
from clauseway.gateway.routing.key_digests import digest
from clauseway.storage import ApiKey, Control
from clauseway.values import (
    HOUR_NS,
    LAST_DAY,
    InvalidInput,
    KnownAt,
    Problem,
    refuse_any,
    start_of_day_ns,
    suggestion,
)

ROLES = ("member", "auditor")
_PREFIX = "cw-"
# At least as long as it is made, at most as long as BLAKE2b takes it.
_HASH_KEY = re.compile(rb"(?:[0-9A-Fa-f]{2}){32,64}")
# The longest time in which a key's former secrets are accepted: a rotation has to end.
GRACE_HOURS_MAX = 24 * 90


class NewKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key just made, or its new secret.

    `secret` is what the customer sends; it is stored nowhere. `nearly_named` is there where the key
    began an organisation, or a project of it: one that was there before, of nearly the same name.
    `sold_by` is there where the home's configuration has deployments, none of them sold by the
    key's seller: it names their sellers.
    """

    key_id: str
    secret: str
    organisation: str
    project: str
    seller: str
    segment: str
    role: str
    expires: str
    nearly_named: str | msgspec.UnsetType = msgspec.UNSET
    sold_by: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET


class ListedKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key as it stands: `active`, `expired` or `revoked`. Instants are UTC, empty where there is
    none.

    `former_until`: until then the secret before this one is accepted too.
    """

    key_id: str
    organisation: str
    project: str
    seller: str
    segment: str
    role: str
    state: str
    created: str
    expires: str
    former_until: str


class MatchedKey(msgspec.Struct, frozen=True, kw_only=True):
    """The key that a secret belongs to. `is_former`: the key was given another secret since."""

    key: ListedKey
    is_former: bool


def create_key(
    home: Home,
    catalog: Catalog,
    *,
    organisation: str,
    project: str,
    seller: str,
    segment: str,
    role: str = "member",
    expires: date | None = None,
) -> NewKey:
    """Make a key of 256 random bits and store its hash; its organisation and project, where they
    are new, with it.

    It is no longer accepted from the day `expires` on (UTC). Raise InvalidInput for an unknown
    seller, segment or role, for a name that is none and for a day that is over.
    """
    _check(catalog, seller, segment, role, expires)
    check_buyer_names(home, organisation, project)
    secret = _new_secret()
    key = ApiKey(
        digest=_digest(home.make(), secret),
        key_id=f"key_{secrets.token_hex(8)}",
        organisation=organisation,
        project=project,
        seller=seller,
        segment=segment,
        created_ns=time.time_ns(),
        role=role,
        expires_ns=start_of_day_ns(expires) if expires else 0,
    )
    with open_control(home) as control:
        nearly = nearly_named(control, organisation, project)
        ensure_tenant(control, organisation, project)
        control.add_key(key)
    sellers = sellers_in(home.configuration)
    return msgspec.structs.replace(
        _made(key, secret),
        nearly_named=nearly or msgspec.UNSET,
        sold_by=sellers if sellers and seller not in sellers else msgspec.UNSET,
    )


def rotate_key(home: Home, key_id: str, grace_hours: int) -> NewKey:
    """Give a key a new secret; those before it are accepted for some hours more at most.

    Raise InvalidInput for a key that is not accepted any more, and for too many hours.
    """
    if not 0 <= grace_hours <= GRACE_HOURS_MAX:
        raise InvalidInput.of(
            what=f"{grace_hours} hours of grace",
            why=f"the old secret may live on for 0 to {GRACE_HOURS_MAX} hours",
            where="--grace-hours",
            remedy="Write a number of hours in between.",
        )
    secret = _new_secret()
    with open_control(home) as control:
        key, now_ns = _active(control, key_id), time.time_ns()
        if 0 < key.expires_ns <= now_ns:
            raise _expired(key)
        # What ends at once has ended by the clock of every machine that shares the database.
        until_ns = now_ns + grace_hours * HOUR_NS if grace_hours else 0
        # Somebody may have revoked the key meanwhile.
        if not control.replace_secret(key_id, _digest(home, secret), until_ns):
            raise _not_active(key_id)
    return _made(key, secret)


def revoke_key(home: Home, key_id: str) -> ListedKey:
    """Revoke a key with all of its secrets. Raise InvalidInput if there is no such key."""
    with open_control(home) as control:
        _active(control, key_id)
        control.revoke_key(key_id, time.time_ns())
    # Read again: the first revocation stands where somebody revoked the key meanwhile.
    return _listed_anew(home, key_id)


def _listed_anew(home: Home, key_id: str) -> ListedKey:
    now_ns = time.time_ns()
    with open_control(home) as control:
        former, key = _former_until_ns(control), control.key(key_id)
    assert key is not None, "keys are never deleted"
    return _listed(key, former.get(key_id, 0), now_ns)


def list_keys(home: Home, *, with_revoked: bool = False) -> list[ListedKey]:
    """Return the keys in order of creation, without those revoked where nothing else is said."""
    now_ns = time.time_ns()
    with open_control(home) as control:
        former = _former_until_ns(control)
        return [
            _listed(key, former.get(key.key_id, 0), now_ns)
            for key in control.keys(with_revoked=with_revoked)
        ]


def _former_until_ns(control: Control) -> dict[str, int]:
    """Return until when the former secret of each rotated key is valid."""
    return {secret.key_id: secret.until_ns for secret in control.former_secrets()}


def find_key(home: Home, secret: str) -> MatchedKey:
    """Return the key that a secret belongs to, revoked or not. Raise InvalidInput."""
    wanted = _digest(home.make(), secret)
    with open_control(home) as control:
        keys, former = control.keys(with_revoked=True), control.former_secrets()
    owner = next((each.key_id for each in former if each.digest == wanted), "")
    until_ns = {each.key_id: each.until_ns for each in former}
    for key in keys:
        if key.digest == wanted or key.key_id == owner:
            listed = _listed(key, until_ns.get(key.key_id, 0), time.time_ns())
            return MatchedKey(key=listed, is_former=key.digest != wanted)
    raise InvalidInput.of(
        what="no key of this home has that secret",
        why="no key has it or had it before a rotation",
        where="standard input",
        remedy="Give the whole secret, from `cw-` on. A key of another home is found there.",
    )


def known_hash_key(home: Home) -> str:
    """Return the key that customers' secrets are hashed with, made where there are no keys yet.

    Raise InvalidInput if it is damaged, or if keys were hashed with one that is missing: by another,
    nobody's key would be accepted any more.
    """
    if fault := hash_key_fault(home):
        raise fault
    return home.hash_key()


def hash_key_fault(home: Home) -> InvalidInput | None:
    """Return the refusal of a home without the key that its keys were hashed with; None where it is
    there, or where there are no keys yet."""
    if is_there(home.hash_key_path):
        if _HASH_KEY.fullmatch(home.hash_key_path.read_bytes().strip()):
            return None
        why = (
            "it is not 32 bytes in hex, as where a copy was broken off; by what it holds no "
            "customer's key is accepted"
        )
        return _hash_key_refusal(home, "hash.key is damaged", why)
    if not home.is_begun:
        return None
    with open_control(home) as control:
        if not control.keys():
            return None
    why = "keys are there that were hashed with it; without it no customer's key is accepted"
    return _hash_key_refusal(home, "hash.key is missing", why)


def _hash_key_refusal(home: Home, what: str, why: str) -> InvalidInput:
    remedy = (
        "Put it back: from the home that was backed up, or from another home of the same database. "
        "Where it is gone for good, make another (umask 077; openssl rand -hex 32 > "
        f"{home.hash_key_path}), and give each key another secret: clauseway key rotate."
    )
    return InvalidInput.of(what=what, why=why, where=str(home.root), remedy=remedy)


def _new_secret() -> str:
    return _PREFIX + secrets.token_urlsafe(32)


def _digest(home: Home, secret: str) -> str:
    return digest(bytes.fromhex(known_hash_key(home)), secret.encode()).hex()


def _made(key: ApiKey, secret: str) -> NewKey:
    return NewKey(
        key_id=key.key_id,
        secret=secret,
        organisation=key.organisation,
        project=key.project,
        seller=key.seller,
        segment=key.segment,
        role=key.role,
        expires=_instant(key.expires_ns),
    )


def _listed(key: ApiKey, former_until_ns: int, now_ns: int) -> ListedKey:
    expired = 0 < key.expires_ns <= now_ns
    # A former secret ends with its key at the latest.
    former_until_ns = min(former_until_ns, key.expires_ns or former_until_ns)
    return ListedKey(
        key_id=key.key_id,
        organisation=key.organisation,
        project=key.project,
        seller=key.seller,
        segment=key.segment,
        role=key.role,
        state="revoked" if key.revoked_ns else "expired" if expired else "active",
        created=_instant(key.created_ns),
        expires=_instant(key.expires_ns),
        former_until=_instant(former_until_ns)
        if former_until_ns > now_ns and not key.revoked_ns
        else "",
    )


def _instant(instant_ns: int) -> str:
    return str(KnownAt(instant_ns).to_the_second()) if instant_ns else ""


def _active(control: Control, key_id: str) -> ApiKey:
    key = control.key(key_id)
    if key is None or key.revoked_ns:
        raise _not_active(key_id)
    return key


def _not_active(key_id: str) -> InvalidInput:
    return InvalidInput.of(
        what=f"there is no active key {key_id!r}",
        why="none was made with that id, or it was revoked",
        where="KEY",
        remedy="See clauseway key list.",
    )


def _expired(key: ApiKey) -> InvalidInput:
    return InvalidInput.of(
        what=f"key {key.key_id!r} has expired",
        why=f"no secret of it is accepted from {_instant(key.expires_ns)} on",
        where="KEY",
        remedy="Make another one: clauseway key create.",
    )


def _check(catalog: Catalog, seller: str, segment: str, role: str, expires: date | None) -> None:
    named: list[tuple[str, str, str, Iterable[str]]] = [
        ("--seller", seller, UNNAMED, catalog.parties),
        ("--segment", segment, UNNAMED, catalog.segments),
        ("--role", role, "no key can be that", ROLES),
    ]
    problems = [
        Problem(
            what=f"unknown name {value!r}",
            why=why,
            where=flag,
            remedy=unnamed_remedy(value, names) if why == UNNAMED else suggestion(value, names),
        )
        for flag, value, why, names in named
        if value not in names
    ]
    if expires is not None and expires > LAST_DAY:
        problems.append(
            Problem(
                what=f"{expires} is too late",
                why=f"the last day whose instants can be recorded is {LAST_DAY}",
                where="--expires",
                remedy="Name an earlier day, or leave it out for a key without an end.",
            )
        )
    if expires is not None and start_of_day_ns(expires) <= time.time_ns():
        problems.append(
            Problem(
                what=f"{expires} has begun",
                why="the key would never be accepted",
                where="--expires",
                remedy="Name a day to come, or leave it out for a key without an end.",
            )
        )
    refuse_any(problems)

"""Public keys of parties that a home vouches for, in its books: who vouched for which, and when, is
in their log.

A key that leaked is withdrawn: whoever has it can sign with any date, so no signature by it counts
any more, whatever instant it states. To list keys, no library of signatures is needed: here a key is
32 bytes.
"""

import base64
import hashlib
import time
from contextlib import suppress

from clauseway.app.books.curve_points import point_fault
from clauseway.app.opening.home import Home
from clauseway.app.opening.home_control import open_control
from clauseway.app.opening.key_file import read_key_file, write_key_file
from clauseway.storage import Control
from clauseway.storage.books.party_keys import (
    RecordedKey,
    has_keys,
    keys_of,
    record_key,
    withdrawn_keys,
)
from clauseway.storage.control.actor import acting
from clauseway.values import InvalidInput, KnownAt, by_beginning, checked_reason

_KEY_BYTES = 32  # of Ed25519 (RFC 8032, section 5.1.5)


def trust_key(home: Home, party: str, public: str) -> bool:
    """Vouch for a party's public key (base64), in the books; return whether that is new.

    Raise InvalidInput where it is not a key, or where anybody can sign for it.
    """
    if why := point_fault(raw_key(public)):
        raise _no_key(public, why)
    with open_control(home) as control:
        _record_older_file(home, control)
        if ended := withdrawn_keys(control).get((party, public)):
            raise InvalidInput.of(
                what=f"this key of {party} is not trusted again",
                why=withdrawal_text(ended),
                where="--public-key",
                remedy=f"Trust another key: {party} makes it with clauseway party key create.",
            )
        is_new = _record(control, party, public, "")
        write_key_file(home, keys_of(control))
    return is_new


def withdraw_key(home: Home, party: str, key: str, why: str) -> RecordedKey:
    """Record in the books that a party's key is trusted no longer. Withdrawing it again changes
    nothing; for another reason, it is refused.

    `key` is the public key or its fingerprint, or the beginning of one. Return the withdrawal.
    Raise InvalidInput: no reason, or not one key of the party.
    """
    reason = checked_reason(why, "every signature by the key is shown with it")
    with open_control(home) as control:
        _record_older_file(home, control)
        public = _named_key(control, party, key)
        ended = withdrawn_keys(control).get((party, public))
        if ended is not None and ended.why != reason:
            raise InvalidInput.of(
                what=f"this key of {party} was withdrawn before",
                why=withdrawal_text(ended),
                where="--why",
                remedy="It stays withdrawn for that reason; nothing is left to do.",
            )
        _record(control, party, public, reason, is_withdrawn=True)
        write_key_file(home, keys_of(control))
        return withdrawn_keys(control)[party, public]


def _named_key(control: Control, party: str, key: str) -> str:
    withdrawn = [public for owner, public in withdrawn_keys(control) if owner == party]
    recorded = (*keys_of(control).get(party, ()), *withdrawn)
    return by_beginning(
        key,
        ((name, public) for public in recorded for name in (public, fingerprint(public))),
        "key",
        missing=f"{party} has no such key here",
        where="KEY",
        remedy="Take it, or its fingerprint, from clauseway party key list.",
    )


def withdrawals(home: Home) -> dict[tuple[str, str], RecordedKey]:
    """Return who withdrew the keys that the home trusts no longer, by party and public key."""
    if not home.is_begun:
        return {}
    with open_control(home) as control:
        return withdrawn_keys(control)


def withdrawal_text(ended: RecordedKey) -> str:
    """Say who withdrew a key, when and why."""
    return f"withdrawn by {ended.who} on {KnownAt(ended.recorded_ns).day}: {ended.why}"


def trusted_keys(home: Home) -> dict[str, tuple[str, ...]]:
    """Return the public keys that the home vouches for, by party.

    Raise InvalidInput where the file of an older home, which had no register, was spoilt.
    """
    if not home.is_begun:
        return _of_file(home)
    with open_control(home) as control:
        _record_older_file(home, control)
        return keys_of(control)


def fingerprint(public: str) -> str:
    """Return the SHA-256 of a public key, as people compare it.

    Raise InvalidInput where it is not a key.
    """
    digest = hashlib.sha256(raw_key(public)).digest()
    return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


def raw_key(public: str) -> bytes:
    """Return the bytes of a public key in base64. Raise InvalidInput where it is not a key."""
    with suppress(ValueError):  # of base64, too
        raw = base64.b64decode(public, validate=True)
        if len(raw) == _KEY_BYTES:
            return raw
    raise _no_key(public, "an Ed25519 key is 32 bytes in base64")


def _no_key(public: str, why: str) -> InvalidInput:
    return InvalidInput.of(
        what=f"{public!r} is not a public key",
        why=why,
        where="--public-key",
        remedy="Take it from clauseway party key list of whoever owns it.",
    )


def _record_older_file(home: Home, control: Control) -> None:
    """Record, once, the keys in the file of an older home, which had no register of keys."""
    if has_keys(control):
        return
    for party, keys in sorted(_of_file(home).items()):
        for public in keys:
            _record(control, party, public, "taken over from party-keys.json")


def _record(
    control: Control, party: str, public: str, why: str, *, is_withdrawn: bool = False
) -> bool:
    return record_key(
        control,
        RecordedKey(
            party=party,
            public=public,
            fingerprint=fingerprint(public),
            who=acting(),
            why=why,
            recorded_ns=time.time_ns(),
            is_withdrawn=is_withdrawn,
        ),
    )


def _of_file(home: Home) -> dict[str, tuple[str, ...]]:
    key_file = read_key_file(home)
    if isinstance(key_file, str):
        raise InvalidInput.of(
            what="the trusted keys cannot be read",
            why=key_file,
            where=str(home.root),
            remedy="Restore the file, or remove it and trust the keys again.",
        )
    return key_file

"""Secrets that a plan names and does not hold: they are taken from the environment or from a file
where the plan is read, and stand in no other file.

`Auth.taken` has a member of the Auth → `env:NAME` or `file:PATH`.
"""

import os
from pathlib import Path

import msgspec

from clauseway.gateway.plan import Auth
from clauseway.values import InvalidInput, Problem

ENVIRONMENT, FILE = "env:", "file:"
_MEMBERS = ("secret", "access_key", "session_token")


def with_secrets(auth: Auth, where: str) -> Auth:
    """Return the Auth with its secrets in. Raises InvalidInput where one cannot be had."""
    if not auth.taken:
        return auth
    return msgspec.structs.replace(
        auth,
        taken={},
        **{member: _taken(member, origin, where) for member, origin in auth.taken.items()},
    )


def _taken(member: str, origin: str, where: str) -> str:
    if member not in _MEMBERS:
        raise _problem(member, "nothing of an Auth is taken by that name", where)
    if origin.startswith(ENVIRONMENT):
        secret = os.environ.get(origin.removeprefix(ENVIRONMENT))
        if secret is None:
            raise _problem(member, f"{origin} is not set", where)
        return secret
    try:
        return Path(origin.removeprefix(FILE)).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise _problem(member, f"{origin} cannot be read: {error}", where) from None


def _problem(member: str, why: str, where: str) -> InvalidInput:
    remedy = "Put it there, readable to the gateway, or name another place."
    return InvalidInput(Problem(what=f"no {member}", why=why, where=where, remedy=remedy))

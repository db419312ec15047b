"""Secrets that a plan names and does not hold: they are taken from the environment or from a file
where the plan is read.

`Auth.taken` has a member of the Auth → `env:NAME`, `file:PATH`, or `json:PATH` of a file with an
object of all deployments' own secrets, by their names.
"""

import os
from pathlib import Path

import msgspec

from clauseway.gateway.plan import Auth
from clauseway.values import InvalidInput

ENVIRONMENT, FILE, JSON = "env:", "file:", "json:"
_MEMBERS = ("secret", "access_key", "session_token")


def with_secrets(auth: Auth, where: str, deployment: str = "") -> Auth:
    """Return the Auth of a deployment with its secrets in. Raises InvalidInput where one cannot be
    had."""
    if not auth.taken:
        return auth
    return msgspec.structs.replace(
        auth,
        taken={},
        **{
            member: _taken(member, origin, where, deployment)
            for member, origin in auth.taken.items()
        },
    )


def _taken(member: str, origin: str, where: str, deployment: str) -> str:
    if member not in _MEMBERS:
        raise _problem(member, "nothing of an Auth is taken by that name", where)
    if origin.startswith(ENVIRONMENT):
        secret = os.environ.get(origin.removeprefix(ENVIRONMENT))
        if secret is None:
            raise _problem(member, f"{origin} is not set", where)
        return secret
    try:
        if origin.startswith(JSON):
            written = Path(origin.removeprefix(JSON)).read_bytes()
            return msgspec.json.decode(written, type=dict[str, str])[deployment]
        return Path(origin.removeprefix(FILE)).read_text("utf-8").strip()
    except KeyError:
        raise _problem(member, f"{origin} has none of {deployment}", where) from None
    except (OSError, UnicodeDecodeError, msgspec.DecodeError) as error:
        raise _problem(member, f"{origin} cannot be read: {error}", where) from None


def _problem(member: str, why: str, where: str) -> InvalidInput:
    remedy = "Put it there, readable to the gateway, or name another place."
    return InvalidInput.of(what=f"no {member}", why=why, where=where, remedy=remedy)

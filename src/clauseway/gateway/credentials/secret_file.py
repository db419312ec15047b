"""A secret in a file (`settings["path"]`) that somebody else replaces: a mounted secret, an agent's
output.

It is sent as `settings["sends"]` says: `bearer`, unless `api-key`.
"""

from pathlib import Path

from clauseway.gateway.clouds.dialect import Credential
from clauseway.gateway.plan import Auth
from clauseway.values import Problem, refuse_any

_RECHECK_S = 5.0  # the old secret is usually good for minutes after it was replaced
_SENT = ("bearer", "api-key")


class _File:
    recheck_s = _RECHECK_S

    def __init__(self, auth: Auth) -> None:
        self._path = auth.settings.get("path", "")
        self._sends = auth.settings.get("sends", "bearer")
        problems = []
        if not self._path:
            problems.append(
                _problem("a secret file without a path", "nothing names it", "Write path.")
            )
        if self._sends not in _SENT:
            remedy = f"Write one of: {', '.join(_SENT)}."
            problems.append(
                _problem(
                    f"a secret to be sent as {self._sends!r}", "a file holds no such thing", remedy
                )
            )
        refuse_any(problems)

    def fetch(self) -> Credential:
        secret = Path(self._path).read_text("utf-8").strip()
        if not secret:
            raise ValueError(f"{self._path} is empty")
        if not secret.isprintable():
            raise ValueError(f"{self._path} holds more than one line, or no text")
        return Credential(kind=self._sends, secret=secret)


def _problem(problem: str, why: str, remedy: str) -> Problem:
    return Problem(what=problem, why=why, where="auth.settings", remedy=remedy)


source = _File

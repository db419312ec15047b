"""The credentials that are presented to each cloud, handed from the cache to the targets that need
them.

Targets come and go with plans; what is held for an `Auth` stays. A target of a former plan, which
requests under way still use, gets another credential only when its own is refused.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Sequence

from clauseway.gateway.clouds import Credential
from clauseway.gateway.credentials import STATIC, CredentialCache
from clauseway.gateway.plan import Auth
from clauseway.gateway.routing.targets import CallTarget

# Most sources answer within this; a gateway whose sources do not answer starts all the same.
_START_S_MAX = 0.5

# (deployment, what is wrong; empty once it is well again)
ReportLine = Callable[[str, str], None]


class Presenting:
    """Joins one credential cache and the targets of the present plan. To be used on one event
    loop."""

    def __init__(self, report: ReportLine = lambda _deployment, _problem: None) -> None:
        self._cache = CredentialCache(self._changed)
        self._report = report
        self._targets: list[CallTarget] = []
        self._wrong: dict[str, str] = {}

    def reload(self, targets: Sequence[CallTarget]) -> None:
        """Keep what these need and nothing else. Raises InvalidInput where an Auth cannot be tried
        at all."""
        targets = [target for target in targets if target.target.auth.kind not in STATIC]
        self._cache.keep(target.target.auth for target in targets)
        self._targets = list(targets)
        for target in targets:
            target.renew = self._renewal(target)
            state = self._cache.state(target.target.auth)
            if state.credential is not None:
                try:
                    target.present(state.credential)
                except (KeyError, ValueError) as error:
                    self._cache.found_useless(target.target.auth, error)

    async def fetch_ahead(self, auths: Iterable[Auth]) -> None:
        """Fetch what a plan needs beside what is held, before it takes the place of the present one.
        Wait for it as long as at the start. Raises InvalidInput as `reload` does."""
        if begun := self._cache.add(auths):
            await asyncio.wait(begun, timeout=_START_S_MAX)

    def look(self) -> None:
        """Report each deployment whose credential has another problem than at the last look, or
        none any more. To be called once a second or so."""
        self._cache.look()
        for target in self._targets:
            problem = self._cache.state(target.target.auth).problem
            now = "" if problem is None else problem.sentences
            if self._wrong.get(target.name, "") != now:
                self._wrong[target.name] = now
                self._report(target.name, now)

    async def fetches_done(self) -> None:
        """Wait until every credential source has answered, at most half a second."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._cache.fetches_done(), _START_S_MAX)

    def close(self) -> None:
        self._cache.close()

    def _renewal(self, target: CallTarget) -> Callable[[], Awaitable[bool]]:
        async def renew() -> bool:
            refused = target.credential
            if refused is None:
                return False
            fresh = await self._cache.refresh_now(target.target.auth, refused)
            # `_changed` presents it to the targets of the present plan alone.
            if fresh is not None and target.credential == refused:
                # Where it has no use for it, that was reported when the credential came.
                with contextlib.suppress(KeyError, ValueError):
                    target.present(fresh)
            return fresh is not None and target.credential != refused

        return renew

    def _changed(self, auth: Auth, credential: Credential | None) -> None:
        for target in self._targets:
            if target.target.auth == auth:
                target.present(credential)

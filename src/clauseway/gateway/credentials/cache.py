"""The credential cache: one credential per distinct Auth, fresh, without a request ever waiting for
it.

Life of a credential: fetched in a thread → held → fetched anew ahead of its end (a margin, and some
jitter so that many gateways do not ask at once) → replaced. Where fetching fails, the old one is
kept until it ends and the source is asked again, ever less often. After a cloud has refused one
(401), `refresh_now` fetches at once, for all who ask together.

A credential ends so long after it came as its source said then. A clock that is set later, right or
wrong, takes none away: where it says that a credential has ended, `look` fetches another.

INVARIANT: of one Auth at most one fetch is under way. INVARIANT: nothing here raises for what a
source does.
"""

import asyncio
import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

from clauseway.gateway.clouds.dialect import Credential, credential_in
from clauseway.gateway.credentials.source import (
    STATIC,
    CredentialSource,
    failure,
    open_credential_source,
    problems_of,
)
from clauseway.gateway.plan import Auth
from clauseway.values import Problem, refuse_any

# Vendors give tokens of about an hour and have the next one ready five minutes before; of a shorter
# life, a quarter.
_MARGIN_S, _MARGIN_PART = 300.0, 0.25
_JITTER_PART = 0.5  # of the margin, at most: the earliest refresh is this much sooner
_DELAY_S_MIN = 1.0
_BACKOFF_S_MAX = 60.0  # an identity service that is back is found within a minute
_FORCED_EVERY_S = (
    30.0  # a cloud that refuses every credential is no reason to ask for one per request
)


class CredentialState(NamedTuple):
    """A credential of an Auth that has not ended, and the problem of the last fetch, if it
    failed."""

    credential: Credential | None = None
    problem: Problem | None = None


class Timer(Protocol):
    def cancel(self) -> None: ...


# (an Auth, its new credential, or None where the old one ended without another)
OnCredential = Callable[[Auth, Credential | None], None]
# (delay in seconds, what to do then), as the event loop's `call_later`
Later = Callable[[float, Callable[[], None]], Timer]
_Key = tuple[object, ...]


class CredentialCache:
    """Holds the credentials of the Auths that were handed to `keep`. To be used on one event loop.

    `changed` hears of every new credential; where it raises KeyError or ValueError, the
    credential is of no use and that is its problem. `now_s`, `later`, `jitter` (0 to 1) and
    `open_credential_source` are for tests.
    """

    def __init__(
        self,
        changed: OnCredential,
        *,
        now_s: Callable[[], float] = time.time,
        later: Later | None = None,
        jitter: Callable[[], float] = random.random,
        open_credential_source: Callable[[Auth], CredentialSource] = open_credential_source,
    ) -> None:
        self.changed, self.now_s, self.jitter = changed, now_s, jitter
        self._later, self.open_source = later, open_credential_source
        self._kept: dict[_Key, _Kept] = {}

    def keep(self, auths: Iterable[Auth]) -> None:
        """Keep these and no others; what is held already stays. Fetching begins. Raises
        InvalidInput, with every problem and nothing changed, where one of them cannot be tried at
        all."""
        wanted = {_key(auth): auth for auth in auths if auth.kind not in STATIC}
        self.add(wanted.values())
        for key in self._kept.keys() - wanted.keys():
            self._kept.pop(key).close()

    def add(self, auths: Iterable[Auth]) -> "set[asyncio.Task[None]]":
        """Keep these too. Return the fetches that begin. Raises InvalidInput as `keep` does."""
        wanted = {_key(auth): auth for auth in auths if auth.kind not in STATIC}
        fresh = {key: auth for key, auth in wanted.items() if key not in self._kept}
        problems = [problem for auth in fresh.values() for problem in problems_of(auth)]
        refuse_any(dict.fromkeys(problems))
        later = self._later or asyncio.get_running_loop().call_later
        for key, auth in fresh.items():
            self._kept[key] = _Kept(self, auth, later)
        return {self._kept[key].begin() for key in fresh}

    def state(self, auth: Auth) -> CredentialState:
        """Return the present state of an Auth; of a static kind, the credential that the Auth
        holds."""
        if auth.kind in STATIC:
            return CredentialState(credential_in(auth))
        kept = self._kept.get(_key(auth))
        return (
            kept.state()
            if kept is not None
            else CredentialState(
                None,
                _problem(auth, "no target of the plan has it", "Ask for the Auth of a target."),
            )
        )

    def found_useless(self, auth: Auth, error: Exception) -> None:
        """Note the problem that a target has with the credential of an Auth."""
        kept = self._kept.get(_key(auth))
        if kept is not None:
            kept.found_useless(error)

    async def refresh_now(self, auth: Auth, refused: Credential) -> Credential | None:
        """Another credential than the one that a cloud refused, or None where there is none to be
        had."""
        kept = self._kept.get(_key(auth))
        if kept is None:
            return None
        credential = kept.state().credential
        if credential is not None and credential != refused:
            return credential  # another request fetched it first
        await kept.refresh_now()
        credential = kept.state().credential
        return None if credential == refused else credential

    def look(self) -> None:
        """Fetch anew what has ended by the clock: it was set, or the machine slept, since it came.
        To be called once a second or so."""
        for kept in self._kept.values():
            kept.look()

    async def fetches_done(self) -> None:
        """Wait until no fetch is under way. Callers limit the wait: a source may not answer for
        minutes."""
        while under_way := {
            kept.fetching for kept in self._kept.values() if kept.fetching is not None
        }:
            await asyncio.wait(under_way)

    def close(self) -> None:
        for kept in self._kept.values():
            kept.close()
        self._kept.clear()


class _Kept:
    """One Auth's credential."""

    def __init__(self, cache: CredentialCache, auth: Auth, later: Later) -> None:
        self._cache, self._auth, self._later = cache, auth, later
        self._source: CredentialSource | None = None
        self._credential: Credential | None = None
        self._problem: Problem | None = _problem(
            auth, "it is being fetched for the first time", "Wait a moment."
        )
        self._failures = 0
        self._forced_s = float("-inf")
        self.fetching: asyncio.Task[None] | None = None
        self._next: Timer | None = None
        self._end: Timer | None = None

    def state(self) -> CredentialState:
        return CredentialState(self._credential, self._problem)

    def found_useless(self, error: Exception) -> None:
        """Note the problem that a target has with the credential."""
        self._problem = failure(self._auth, error)

    def begin(self) -> "asyncio.Task[None]":
        """Return the running fetch, or start a new one."""
        if self.fetching is None:
            self.fetching = asyncio.get_running_loop().create_task(self._fetch())
        return self.fetching

    def look(self) -> None:
        """Fetch now if the credential has ended by the clock. After a failure the source is asked
        again anyway."""
        credential = self._credential
        if credential is not None and not self._failures and self._has_ended(credential):
            self._begin_now()

    async def refresh_now(self) -> None:
        """Fetch now, unless it was done so a moment ago."""
        fetching = self._begin_now()
        if fetching is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({fetching})

    def _begin_now(self) -> "asyncio.Task[None] | None":
        """Return the running fetch, or a new one; None if one was begun so a moment ago."""
        if self.fetching is None:
            # The clock may have been set back since.
            if 0 <= self._cache.now_s() - self._forced_s < _FORCED_EVERY_S:
                return None
            self._forced_s = self._cache.now_s()
        return self.begin()

    def _has_ended(self, credential: Credential) -> bool:
        return 0 < credential.expires_s <= self._cache.now_s()

    def close(self) -> None:
        for timer in (self._next, self._end, self.fetching):
            if timer is not None:
                timer.cancel()

    async def _fetch(self) -> None:
        try:
            credential, error = await _in_thread(self._fetch_blocking)
        finally:
            self.fetching = None
        if credential is not None:
            error = self._take(credential)
        if error is None:
            self._failures, self._problem = 0, None
        else:
            self._failures += 1
            self._problem = failure(self._auth, error)
        self._schedule()

    def _fetch_blocking(self) -> Credential:
        if self._source is None:  # here, because it loads the vendor's library
            self._source = self._cache.open_source(self._auth)
        return self._source.fetch()

    def _take(self, credential: Credential) -> Exception | None:
        """Hold a credential and report it. Return the problem where it is refused: then the old one
        stays."""
        if self._has_ended(credential):
            return ValueError("what was given had ended already: is this machine's clock right?")
        if credential == self._credential:
            return None
        try:
            self._cache.changed(self._auth, credential)
        except (KeyError, ValueError) as error:
            return error
        self._credential = credential
        if self._end is not None:
            self._end.cancel()
        self._end = None
        if credential.expires_s:
            life_s = credential.expires_s - self._cache.now_s()
            self._end = self._later(max(0.0, life_s), self._drop)
        return None

    def _schedule(self) -> None:
        if self._next is not None:
            self._next.cancel()
        delay = self._delay()
        self._next = None if delay is None else self._later(delay, self._again)

    def _delay(self) -> float | None:
        """Seconds until the source is asked again; None for never."""
        if self._failures:
            most = min(_BACKOFF_S_MAX, _DELAY_S_MIN * 2.0 ** min(self._failures, 16))
            return most * (0.5 + 0.5 * self._cache.jitter())
        delays = (
            [self._source.recheck_s] if self._source is not None and self._source.recheck_s else []
        )
        if self._credential is not None and self._credential.expires_s:
            life_s = self._credential.expires_s - self._cache.now_s()
            margin_s = min(_MARGIN_S, life_s * _MARGIN_PART)
            delays.append(
                max(_DELAY_S_MIN, life_s - margin_s * (1 + _JITTER_PART * self._cache.jitter()))
            )
        return min(delays, default=None)

    def _again(self) -> None:
        self._next = None
        self.begin()

    def _drop(self) -> None:
        """The credential has ended, and there is no other yet."""
        self._end = None
        self._credential = None
        why = "the last one has ended and its source has not answered since"
        self._problem = self._problem or _problem(self._auth, why, "Check the source.")
        self._cache.changed(self._auth, None)


async def _in_thread(
    function: Callable[[], Credential],
) -> tuple[Credential | None, Exception | None]:
    """The function's result or what it raised. In a thread that ends with the process: a library
    that hangs must neither take a place from others nor keep the gateway from stopping."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[tuple[Credential | None, Exception | None]] = loop.create_future()

    def deliver(result: tuple[Credential | None, Exception | None]) -> None:
        if not done.done():
            done.set_result(result)

    def run() -> None:
        try:
            result: tuple[Credential | None, Exception | None] = (function(), None)
        except Exception as error:  # the vendors' libraries raise what they like
            result = (None, error)
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(deliver, result)

    threading.Thread(target=run, name="credential", daemon=True).start()
    return await done


def _key(auth: Auth) -> _Key:
    return (
        auth.kind,
        auth.secret,
        auth.access_key,
        auth.service,
        auth.region,
        auth.session_token,
        *sorted(auth.settings.items()),
    )


def _problem(auth: Auth, why: str, remedy: str) -> Problem:
    return Problem(what=f"no credential of kind {auth.kind}", why=why, where="auth", remedy=remedy)

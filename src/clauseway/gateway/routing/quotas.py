"""Quotas by the minute and response times of clouds, as far as this process can know them.

Both are of a deployment and live as long as the process; a new plan changes the figures, never what
was counted. Pure; seconds (of one clock that only rises) are arguments.
"""

from typing import Final

_WINDOW_S: Final = 60.0
# Of a new measurement; the rest is of those before it.
_SHARE: Final = 0.2
# A measurement of this age counts half: a deployment that was slow once is asked again some day.
_HALF_LIFE_S: Final = 60.0


class Quota:
    """Requests and tokens that a deployment takes in a minute; 0 for as many as there are.

    Both fill up by what is used and drain evenly, as the clouds' own do. Tokens are known when a
    request ends, so the one that crosses the limit has begun before it is crossed: what comes then
    goes elsewhere until enough has drained.
    """

    def __init__(self) -> None:
        self.requests = self.tokens = 0
        self._requests = self._tokens = 0.0
        self._requests_s = self._tokens_s = 0.0
        self._requests_per_s = self._tokens_per_s = 0.0

    def hold(self, requests_per_minute: int, tokens_per_minute: int) -> None:
        """Let these figures hold from here on."""
        self.requests, self.tokens = requests_per_minute, tokens_per_minute
        self._requests_per_s = requests_per_minute / _WINDOW_S
        self._tokens_per_s = tokens_per_minute / _WINDOW_S

    def admits(self, now_s: float) -> bool:
        if self.requests:
            drained = self._requests - (now_s - self._requests_s) * self._requests_per_s
            self._requests, self._requests_s = max(drained, 0.0), now_s
            if self._requests + 1 > self.requests:
                return False
        if self.tokens:
            drained = self._tokens - (now_s - self._tokens_s) * self._tokens_per_s
            self._tokens, self._tokens_s = max(drained, 0.0), now_s
            if self._tokens >= self.tokens:
                return False
        return True

    def left(self, now_s: float) -> tuple[int, int]:
        """Return how many requests and tokens it takes at this moment; 0 also where no quota holds."""
        requests = self._requests - (now_s - self._requests_s) * self._requests_per_s
        tokens = self._tokens - (now_s - self._tokens_s) * self._tokens_per_s
        return (
            max(int(self.requests - max(requests, 0.0)), 0),
            max(int(self.tokens - max(tokens, 0.0)), 0),
        )

    def take(self, tokens: int) -> None:
        """A request goes there, of about so many tokens."""
        self._requests += 1
        self._tokens += tokens

    def correct(self, tokens: int) -> None:
        """It used so many tokens more (or, below zero, fewer) than was thought."""
        self._tokens = max(self._tokens + tokens, 0.0)


class Pace:
    """How long a deployment takes until its first content, in microseconds; streams and whole
    answers apart."""

    __slots__ = ("_at_s", "_us")

    def __init__(self) -> None:
        self._us = [0.0, 0.0]
        self._at_s = [0.0, 0.0]

    def note(self, streamed: bool, took_us: int, now_s: float) -> None:
        before = self.expected_us(streamed, now_s)
        self._us[streamed] = before + (took_us - before) * _SHARE if before else float(took_us)
        self._at_s[streamed] = now_s

    def expected_us(self, streamed: bool, now_s: float) -> float:
        """0 where nothing is known: then it is worth a try."""
        idle_s: float = now_s - self._at_s[streamed]
        former_us: float = self._us[streamed]
        return former_us * 0.5 ** (idle_s / _HALF_LIFE_S) if former_us else 0.0


class Memory:
    """State of deployments that outlives plans: quotas, pace, and where a prompt's beginning is
    cached."""

    def __init__(self, workers: int = 1) -> None:
        self._workers = workers
        self._quotas: dict[tuple[str, str], Quota] = {}
        self._paces: dict[tuple[str, str], Pace] = {}
        self.cached = Cached()

    def quota(
        self, deployment: str, model: str, requests_per_minute: int, tokens_per_minute: int
    ) -> Quota | None:
        """Return this worker's part of a quota; None where nothing holds."""
        if not (requests_per_minute or tokens_per_minute):
            return None
        quota = self._quotas.setdefault((deployment, model), Quota())
        quota.hold(self._part(requests_per_minute), self._part(tokens_per_minute))
        return quota

    def _part(self, amount: int) -> int:
        """Return an equal part, at least 1: 0 would be no quota at all."""
        return max(amount // self._workers, 1) if amount else 0

    def pace(self, deployment: str, model: str) -> Pace:
        return self._paces.setdefault((deployment, model), Pace())


class Cached:
    """The deployment that last served each prompt-cache key. Bounded: the key used longest ago is
    forgotten first."""

    # The clouds keep a cached beginning for an hour at most, unless it is asked for longer.
    _AFTER_S = 3600.0

    def __init__(self, kept: int = 50_000) -> None:
        self._kept = kept  # the default is about ten megabytes
        self._places: dict[tuple[str, str, str], tuple[str, float]] = {}

    def served(
        self, organisation: str, model: str, key: str, deployment: str, now_s: float
    ) -> None:
        places, place = self._places, (organisation, model, key)
        places.pop(place, None)
        places[place] = (deployment, now_s)
        if len(places) > self._kept:
            del places[next(iter(places))]

    def deployment(self, organisation: str, model: str, key: str, now_s: float) -> str:
        """Empty where none is known to have it cached still."""
        deployment, at_s = self._places.get((organisation, model, key), ("", 0.0))
        return deployment if now_s - at_s < self._AFTER_S else ""

"""Health of a deployment's model: ejected after failures, tried again by one request at a time.
Pure; time is an argument.

    well ──(failures in a row)──▶ ejected ──(time is over)──▶ one probe ──(it succeeds)──▶ well
                                     ▲──────────(it fails: longer)──────────┘

A deployment that says when to come again (`Retry-After`) is left alone until then, which is no
failure, and is as well as before afterwards. An ejected one is asked all the same where nothing
else is left: a poor chance beats none.

Failures in a row that one key's requests met are that key's affair: for others it stays well, until
a request of theirs fails too. Clouds limit and break by the model, so each model has its own health.
"""

from typing import Final

_FAILURES: Final = (
    5  # in a row; fewer would eject a busy deployment for the bad luck of a few requests
)
_EJECTED_S, _EJECTED_MAX_S = 1.0, 30.0  # doubles with each probe that fails
_EJECTIONS_MAX: Final = 10  # beyond it nothing grows any more
_RETRIES_SHARE: Final = 0.2
_WAIT_MAX_S: Final = 120.0  # OpenAI's clients ignore longer waits too
ANY_KEY: Final = 0


class Health:
    """Of one model at one deployment, for the life of the process. `until_s` is when it may be asked
    again, 0 while it is well. `asked_for_pause`: the deployment itself asked to be left alone;
    `named_duration`: it said for how long. `ejected` is how often it was ejected in all.

    A key is a number from 1; `ANY_KEY` stands for all of them.
    """

    __slots__ = (
        "_ejections",
        "_failed_key",
        "_failures",
        "_last_failure",
        "_probing_until_s",
        "asked_for_pause",
        "ejected",
        "named_duration",
        "until_s",
        "why",
    )

    def __init__(self) -> None:
        self.until_s = 0.0
        self.asked_for_pause = self.named_duration = False
        self.ejected = 0
        self.why = ""
        self._failures = 0
        self._last_failure = ""
        self._failed_key = ANY_KEY  # the only key whose requests failed in a row
        self._ejections = 0
        self._probing_until_s = 0.0

    def is_away(self, now_s: float) -> bool:
        """Return whether requests skip it: what was asked for ends by itself, an ejection by a
        probe."""
        return now_s < self.until_s if self.asked_for_pause else bool(self.until_s)

    @property
    def failing(self) -> str:
        """Return how many attempts failed in a row, and why the last did; empty where it answered
        last."""
        if not self._failures:
            return ""
        some = "failures" if self._failures > 1 else "failure"
        return f"{self._failures} {some} in a row, the last: {self._last_failure}"

    def admits(self, now_s: float, key: int = ANY_KEY) -> bool:
        """Return whether a request of a key may go there now. Past the time of an ejection: one, as
        a probe."""
        if not self.until_s or self._spares(key):
            return True
        if now_s < self.until_s or now_s < self._probing_until_s:
            return False
        if self.asked_for_pause:
            self.until_s, self.asked_for_pause = 0.0, False
        return True

    def _spares(self, key: int) -> bool:
        """Return whether it is away for one other key only."""
        return self._failed_key != ANY_KEY and self._failed_key != key and not self.asked_for_pause

    def attempted(self, now_s: float, key: int = ANY_KEY) -> None:
        """Count an attempt that begins there. While the deployment is ejected, it is the only one: the
        probe."""
        if self.until_s and not self._spares(key):
            # If the probe never ends, another request may be the probe.
            self._probing_until_s = now_s + _EJECTED_MAX_S

    def cancelled(self) -> None:
        """Forget a request that was cancelled: it tells nothing about the deployment. If it was the
        probe, another request may be one."""
        self._probing_until_s = 0.0

    def succeeded(self) -> None:
        if not (self._failures or self.until_s):
            return
        self._failures = self._ejections = 0
        self._failed_key = ANY_KEY
        # An answer to a request from before it asked to be left alone does not take that back.
        if not self.asked_for_pause:
            self.until_s = self._probing_until_s = 0.0

    def failed(self, now_s: float, why: str, key: int = ANY_KEY) -> None:
        if not self._failures:
            self._failed_key = key
        elif self._failed_key != key:
            self._failed_key = ANY_KEY
        self._failures += 1
        self._last_failure = why
        # One that is ejected already was probed: the probe's failure ejects it again at once.
        if self._failures < _FAILURES and (not self.until_s or self.asked_for_pause):
            return
        self.until_s = max(
            self.until_s, now_s + min(_EJECTED_S * 2**self._ejections, _EJECTED_MAX_S)
        )
        self.asked_for_pause = False
        self.why = f"ejected after {self.failing}"
        self._ejections = min(self._ejections + 1, _EJECTIONS_MAX)
        self.ejected += 1
        self._probing_until_s = 0.0

    def asked_to_wait(
        self, now_s: float, seconds: float, why: str, *, named_duration: bool = True
    ) -> None:
        """Leave it alone for so long. If it did not name the time itself (`named_duration` false),
        it is asked all the same when nothing else is left."""
        until_s = now_s + min(seconds, _WAIT_MAX_S)
        if until_s > self.until_s:
            self.until_s, self.why = until_s, f"asked to be left alone for {seconds:g} s: {why}"
            self.named_duration = named_duration
            self.asked_for_pause = self._failures < _FAILURES
        self._probing_until_s = 0.0


class RetryBudget:
    """How many further attempts the process may make: a fifth of its requests, and `always` a few.

    Without it, an outage multiplies the load on what is left.
    """

    def __init__(self, always: float) -> None:
        self.always = always
        self._left = always

    def count_request(self) -> None:
        if self._left < self.always:
            self._left += _RETRIES_SHARE

    def take(self) -> bool:
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True

"""Health of a deployment's model: ejected after failures, tried again by one request at a time.
Pure; time is an argument.

    well ──(failures in a row)──▶ ejected ──(time is over)──▶ one probe ──(it succeeds)──▶ well
                                     ▲──────────(it fails: longer)──────────┘

A deployment that says when to come again (`Retry-After`) is left alone until then, which is no
failure, and is as well as before afterwards. An ejected one is asked all the same where nothing
else is left: a poor chance beats none.

Five failures in a row of one organisation's requests eject a deployment for that organisation
alone: its requests may be the cause. A deployment is ejected for all when requests of other
organisations fail there too: of the failures in a row, at most three of each organisation count for
all, so no organisation reaches five alone. After a probe that failed, the next is another
organisation's, unless none comes for as long as the ejection took; until then failures of the first
prolong nothing. Clouds limit and break by the model, so each model has its own health. They limit
operations without a model (files, batches, stored responses, counts) apart, so each of these has
its own health too.

A server that lacks the path of an operation stays healthy: for a minute, that operation's requests
of the organisation that met this skip it, and those of all once a second one met it; all others go
there.
"""

from typing import Final

from clauseway.gateway.clouds.unusual_counts import Omissions

_FAILURES: Final = (
    5  # in a row; fewer would eject a busy deployment for the bad luck of a few requests
)
# Of one organisation's failures, so many count for all: the rest has to come from others.
_FAILURES_OF_ONE: Final = 3
_EJECTED_S, _EJECTED_MAX_S = 1.0, 30.0  # doubles with each probe that fails
_EJECTIONS_MAX: Final = 10  # beyond it nothing grows any more
_RETRIES_SHARE: Final = 0.2
# How many times what is left an organisation may have taken: alone it gets two thirds of a budget.
_TAKEN_PER_LEFT: Final = 2.0
WAIT_MAX_S: Final = 120.0  # OpenAI's clients ignore longer waits too
EVERYBODY: Final = ""
_ABSENT_S: Final = 60.0  # a server whose path was missing may be replaced by a newer one


class Health:
    """Of one model at one deployment, for the life of the process. `until_s` is when it may be asked
    again, 0 while it is well. `asked_for_pause`: the deployment itself asked to be left alone;
    `named_duration`: it said for how long, under the status `pause_status`. `ejected` is how often
    it was ejected in all.
    `omissions` counts what was left out of its usage reports.

    Organisations are told by name; `EVERYBODY` stands for all of them.
    """

    def __init__(self) -> None:
        self.until_s = 0.0
        self.asked_for_pause = self.named_duration = False
        self.pause_status = 0
        self.ejected = 0
        self.why = ""
        self.omissions: Omissions = {}
        # Operation → for whom it counts as absent, and until when; empty at nearly every deployment.
        self.absent: dict[str, tuple[str, float]] = {}
        # By operation that no model works for; empty at most deployments.
        self._without_model: dict[str, Health] = {}
        self._failures = 0
        # INVARIANT: it has five organisations at most: none is added while it is ejected for all.
        self._failures_of: dict[str, int] = {}
        self._counted = 0  # of these failures, those that count for all
        self._last_failure = ""
        self._ejected_for = EVERYBODY  # the only organisation for which it is ejected
        self._ejections = 0
        self._probing_until_s = 0.0
        # The organisation whose probe failed last, and until when it leaves the next to another.
        self._yielding = EVERYBODY
        self._yields_until_s = 0.0

    def without_model(self, operation: str) -> "Health":
        """Return the health of an operation that no model works for."""
        health = self._without_model.get(operation)
        if health is None:
            health = self._without_model[operation] = Health()
        return health

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

    def admits(self, now_s: float, organisation: str = EVERYBODY) -> bool:
        """Return whether a request of an organisation may go there now. Past the time of an
        ejection: one, as a probe."""
        if not self.until_s or self._spares(organisation):
            return True
        if now_s < self.until_s or now_s < self._probing_until_s:
            return False
        if self.asked_for_pause:
            self.until_s, self.asked_for_pause = 0.0, False
            return True
        return not self._yields(now_s, organisation)

    def _yields(self, now_s: float, organisation: str) -> bool:
        """Return whether an organisation leaves the next probe to another, because its own failed."""
        return now_s < self._yields_until_s and organisation == self._yielding

    def _spares(self, organisation: str) -> bool:
        """Return whether it is ejected for one other organisation only."""
        return self._ejected_for not in (EVERYBODY, organisation)

    def attempted(self, now_s: float, organisation: str = EVERYBODY) -> bool:
        """Count an attempt that begins there, and return whether it is the probe of a deployment
        whose ejection is over. While the deployment is ejected, it is the only attempt. An
        organisation that has nowhere else to go may ask too, in no other's place."""
        if not self.until_s or self._spares(organisation) or self._yields(now_s, organisation):
            return False
        is_probe = now_s >= self.until_s and now_s >= self._probing_until_s
        # If the probe never ends, another request may be the probe.
        self._probing_until_s = now_s + _EJECTED_MAX_S
        return is_probe

    def lacks(self, now_s: float, operation: str, organisation: str = EVERYBODY) -> bool:
        """Return whether its server did not have the path of an operation a short while ago, for
        requests of an organisation."""
        whose, until_s = self.absent.get(operation, (EVERYBODY, 0.0))
        return until_s > now_s and whose in (EVERYBODY, organisation)

    def found_absent(self, now_s: float, operation: str, organisation: str = EVERYBODY) -> None:
        """Note that its server does not have the path of an operation, as an organisation's request
        met. That tells nothing about its health; if the request was the probe, another may be one."""
        former, until_s = self.absent.get(operation, (organisation, 0.0))
        is_met_again = until_s > now_s and former != organisation
        self.absent[operation] = EVERYBODY if is_met_again else organisation, now_s + _ABSENT_S
        self.cancelled()

    def cancelled(self) -> None:
        """Forget a request that was cancelled: it tells nothing about the deployment. If it was the
        probe, another request may be one."""
        self._probing_until_s = 0.0

    def succeeded(self) -> None:
        if not (self._failures or self.until_s):
            return
        self._failures = self._counted = self._ejections = 0
        self._failures_of.clear()
        self._ejected_for = EVERYBODY
        self._yields_until_s = 0.0
        # An answer to a request from before it asked to be left alone does not take that back.
        if not self.asked_for_pause:
            self.until_s = self._probing_until_s = 0.0

    def failed(self, now_s: float, why: str, organisation: str = EVERYBODY) -> None:
        """Count a failure in a row, and eject the deployment if there are enough of them."""
        self._failures += 1
        self._last_failure = why
        own_failures = self._count_failure_of(organisation)
        if self._counted >= _FAILURES:
            # The first request to fail does not decide how long all others stay away.
            if self._ejected_for != EVERYBODY:
                self._ejections, self.until_s = 0, 0.0
            if not self._yields(now_s, organisation):
                is_probe = bool(self.until_s) and now_s >= self.until_s
                self._eject(now_s, EVERYBODY)
                if is_probe and organisation != EVERYBODY:
                    self._yielding = organisation
                    self._yields_until_s = 2 * self.until_s - now_s
        elif own_failures >= _FAILURES:
            self._eject(now_s, organisation)

    def _count_failure_of(self, organisation: str) -> int:
        """Count a failure of an organisation for itself, and for all while few of its own count.
        Return how many it had in the row."""
        if self._counted >= _FAILURES:
            return 0
        own_failures = self._failures_of[organisation] = self._failures_of.get(organisation, 0) + 1
        if own_failures <= _FAILURES_OF_ONE:
            self._counted += 1
        return own_failures

    def _eject(self, now_s: float, organisation: str) -> None:
        """Eject it for an organisation, or for everybody: longer than the last time in a row. A
        failure during an ejection is no probe's, and prolongs nothing: its attempt was under way
        before, or had nowhere else to go."""
        if now_s < self.until_s and not self.asked_for_pause:
            self._probing_until_s = 0.0
            return
        self._ejected_for = organisation
        self.until_s = max(
            self.until_s, now_s + min(_EJECTED_S * 2**self._ejections, _EJECTED_MAX_S)
        )
        self.asked_for_pause = False
        self.why = f"ejected after {self.failing}"
        self._ejections = min(self._ejections + 1, _EJECTIONS_MAX)
        self.ejected += 1
        self._probing_until_s = 0.0

    def asked_to_wait(
        self,
        now_s: float,
        seconds: float,
        why: str,
        *,
        named_duration: bool = True,
        status: int = 0,
    ) -> None:
        """Leave it alone for so long. If it did not name the time itself (`named_duration` false),
        it is asked all the same when nothing else is left."""
        until_s = now_s + min(seconds, WAIT_MAX_S)
        is_ejected = bool(self.until_s) and not self.asked_for_pause
        if until_s > self.until_s or self._ejected_for != EVERYBODY:
            self.until_s, self.why = until_s, f"asked to be left alone for {seconds:g} s: {why}"
            self.named_duration, self.pause_status = named_duration, status
            # A wait is everybody's. One that is ejected is probed when the wait is over.
            self.asked_for_pause = not is_ejected
            self._ejected_for = EVERYBODY
        self._probing_until_s = 0.0


class RetryBudget:
    """How many further attempts the process may make: a fifth of its requests, and `always` a few.

    Without it, an outage multiplies the load on what is left. An organisation may have taken twice
    what is left: its failures leave the others' requests their further attempts, and one that is
    alone has most of the budget. Its own requests give back what it took.
    """

    def __init__(self, always: float) -> None:
        self.always = always
        self._left = always
        # By organisation; empty while nothing is taken.
        self._taken: dict[str, float] = {}

    def count_request(self, organisation: str) -> None:
        if self._left < self.always:
            self._give_back(organisation, _RETRIES_SHARE)

    def put_back(self, organisation: str) -> None:
        """Put back a further attempt that the organisation has taken and not made."""
        self._give_back(organisation, 1.0)

    def _give_back(self, organisation: str, amount: float) -> None:
        self._left += amount
        if self._left >= self.always:
            self._taken.clear()
        elif organisation in self._taken:
            taken = self._taken[organisation] - amount
            if taken > 0.0:
                self._taken[organisation] = taken
            else:
                del self._taken[organisation]

    def take(self, organisation: str) -> bool:
        taken = self._taken.get(organisation, 0.0)
        if self._left < 1.0 or taken >= self._left * _TAKEN_PER_LEFT:
            return False
        self._left -= 1.0
        self._taken[organisation] = taken + 1.0
        return True

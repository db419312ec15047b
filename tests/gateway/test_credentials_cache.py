"""The cache's laws, on a clock of their own: when it asks, what it holds, what it says."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from clauseway.gateway.clouds import Credential
from clauseway.gateway.credentials import CredentialCache, CredentialState
from clauseway.gateway.plan import Auth
from clauseway.values import InvalidInput

AUTH = Auth(kind="entra", settings={"tenant_id": "t", "client_id": "c"})
START_S = 1_777_161_600.0
PATIENCE_S = 20


def token(text: str, life_s: float = 3600, at_s: float = START_S) -> Credential:
    return Credential(kind="bearer", secret=text, expires_s=int(at_s + life_s) if life_s else 0)


class Alarm:
    def __init__(self, at_s: float, action: Callable[[], None]) -> None:
        self.at_s, self.action, self.cancelled = at_s, action, False

    def cancel(self) -> None:
        self.cancelled = True


class Rig:
    """A cache whose clock stands still until told, and whose sources answer from a list: a credential, or an error.

    The last answer stays. `gate` holds every fetch back while it is closed.
    """

    recheck_s = 0.0

    def __init__(self, *answers: Credential | Exception) -> None:
        self.answers = list(answers)
        self.now_s = START_S
        self.ahead_s = 0.0  # by how much the clock was set forward since; alarms do not notice
        self.alarms: list[Alarm] = []
        self.fetches = 0
        self.gate = threading.Event()
        self.gate.set()
        self.told: list[Credential | None] = []
        self.cache = CredentialCache(
            lambda _, credential: self.told.append(credential),
            now_s=lambda: self.now_s + self.ahead_s,
            later=self._later,
            jitter=lambda: 0.0,
            open_credential_source=lambda _: self,
        )

    def fetch(self) -> Credential:
        assert self.gate.wait(PATIENCE_S)
        self.fetches += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _later(self, delay_s: float, action: Callable[[], None]) -> Alarm:
        self.alarms.append(Alarm(self.now_s + delay_s, action))
        return self.alarms[-1]

    def due(self) -> list[float]:
        """In how many seconds something will happen by itself."""
        return sorted(alarm.at_s - self.now_s for alarm in self.alarms if not alarm.cancelled)

    async def begin(self, *auths: Auth) -> None:
        self.cache.keep(auths or (AUTH,))
        await self.cache.fetches_done()

    async def pass_time(self, seconds: float) -> None:
        """Everything that falls due until then happens, in order."""
        end_s = self.now_s + seconds
        while True:
            waiting = [alarm for alarm in self.alarms if not alarm.cancelled and alarm.at_s <= end_s]
            if not waiting:
                break
            first = min(waiting, key=lambda alarm: alarm.at_s)
            self.alarms.remove(first)
            self.now_s = max(self.now_s, first.at_s)
            first.action()
            await self.cache.fetches_done()
        self.now_s = end_s

    def held(self) -> str:
        """The secret that is held, or why there is none."""
        credential, problem = self.cache.state(AUTH)
        if credential is not None:
            return credential.secret
        assert problem is not None
        return problem.why


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, PATIENCE_S))


def test_refreshed_ahead_of_its_end() -> None:
    async def scenario() -> None:
        rig = Rig(token("first"), token("second", at_s=START_S + 3300))
        await rig.begin()
        assert rig.held() == "first"
        assert rig.due() == [3300, 3600]  # five minutes ahead; and its end
        await rig.pass_time(3299)
        assert (rig.held(), rig.fetches) == ("first", 1)
        await rig.pass_time(1)
        assert (rig.held(), rig.fetches) == ("second", 2)
        assert [credential.secret for credential in rig.told if credential] == ["first", "second"]
        rig.cache.close()
        assert rig.due() == []

    run(scenario())


# life in seconds, jitter → refreshed after. A margin of 300 s or a quarter of the life, and up to half of it sooner.
MARGINS = [(3600, 0.0, 3300), (3600, 1.0, 3150), (86400, 0.5, 86025), (400, 0.0, 300), (2, 1.0, 1.25), (1, 0.0, 1)]


@pytest.mark.parametrize(("life_s", "jitter", "after_s"), MARGINS)
def test_when_it_is_refreshed(life_s: float, jitter: float, after_s: float) -> None:
    async def scenario() -> None:
        rig = Rig(token("first", life_s))
        rig.cache.jitter = lambda: jitter
        await rig.begin()
        assert rig.due()[0] == after_s

    run(scenario())


def test_what_may_be_replaced_before_its_end_is_looked_at_ahead_of_it() -> None:
    """As the token of a session, which somebody refreshes in the same file."""

    async def scenario() -> None:
        rig = Rig(token("first"), token("second"))
        rig.recheck_s = 30.0
        await rig.begin()
        assert rig.due() == [30, 3600]
        # One look at a time is due, however often it is asked for between.
        assert await rig.cache.refresh_now(AUTH, token("first")) == token("second")
        assert rig.due() == [30, 3600]

    run(scenario())


def test_without_an_end_nothing_is_asked_again() -> None:
    async def scenario() -> None:
        rig = Rig(token("for ever", life_s=0))
        await rig.begin()
        assert rig.due() == []
        assert rig.cache.state(AUTH) == CredentialState(token("for ever", life_s=0), None)

    run(scenario())


def test_a_failure_keeps_the_old_one_until_it_ends() -> None:
    async def scenario() -> None:
        rig = Rig(token("old", 1000), ConnectionError("no route"))
        await rig.begin()
        await rig.pass_time(999)
        assert rig.fetches > 3
        assert rig.held() == "old"
        problem = rig.cache.state(AUTH).problem
        assert problem is not None
        assert problem.why == "ConnectionError: no route"
        await rig.pass_time(1)
        assert rig.held() == "ConnectionError: no route"
        assert rig.told[-1] is None
        rig.answers = [token("new", at_s=rig.now_s)]
        await rig.pass_time(60)
        assert rig.held() == "new"
        assert rig.cache.state(AUTH).problem is None
        assert rig.told[-1] == rig.cache.state(AUTH).credential

    run(scenario())


def test_failures_are_asked_about_ever_less_often() -> None:
    async def scenario() -> None:
        rig = Rig(OSError("down"))
        await rig.begin()
        waits = []
        for _ in range(9):
            waits.append(rig.due()[0])
            await rig.pass_time(waits[-1])
        assert waits == [1, 2, 4, 8, 16, 30, 30, 30, 30]  # half of 2, 4, 8 … 60: the rest is jitter
        assert rig.told == []
        # After days, too; and once it answered, a failure is the first again.
        (kept,) = rig.cache._kept.values()
        kept._failures = 10_000
        rig.answers = [OSError("down"), token("up", at_s=rig.now_s), OSError("down")]
        for expected in (30, 30, 3240):
            assert rig.due()[0] == expected
            await rig.pass_time(expected)
        assert rig.due()[0] == 1

    run(scenario())


def test_without_a_network_nothing_fails() -> None:
    async def scenario() -> None:
        rig = Rig(OSError("Name or service\n  not known"))
        rig.gate.clear()
        rig.cache.keep([AUTH])
        assert rig.held() == "it is being fetched for the first time"
        rig.gate.set()
        await rig.cache.fetches_done()
        problem = rig.cache.state(AUTH).problem
        assert problem is not None
        assert (problem.why, "az login" in problem.remedy) == ("OSError: Name or service not known", True)

    run(scenario())


def test_requests_that_are_refused_together_cause_one_fetch() -> None:
    async def scenario() -> None:
        rig = Rig(token("revoked"), token("good"))
        await rig.begin()
        refused = token("revoked")
        rig.gate.clear()
        waiting = [asyncio.create_task(rig.cache.refresh_now(AUTH, refused)) for _ in range(50)]
        await asyncio.sleep(0)
        rig.gate.set()
        assert await asyncio.gather(*waiting) == [token("good")] * 50
        assert rig.fetches == 2
        # Holders of the old one are given the new one without asking, however much later they come.
        for _ in range(2):
            assert await rig.cache.refresh_now(AUTH, refused) == token("good")
            rig.now_s += 60
        assert rig.fetches == 2

    run(scenario())


@pytest.mark.parametrize("later_s", [30, -3600], ids=["later", "the clock was set back"])
def test_a_refusal_is_asked_about_once(later_s: float) -> None:
    async def scenario() -> None:
        rig = Rig(token("1"), token("2"), token("3"))
        await rig.begin()
        assert await rig.cache.refresh_now(AUTH, token("1")) == token("2")
        assert await rig.cache.refresh_now(AUTH, token("2")) is None  # refused at once again: not the token's fault
        assert rig.fetches == 2
        rig.now_s += later_s
        assert await rig.cache.refresh_now(AUTH, token("2")) == token("3")

    run(scenario())


def test_a_source_that_has_nothing_else_after_a_refusal() -> None:
    async def scenario() -> None:
        rig = Rig(token("only"))
        await rig.begin()
        assert await rig.cache.refresh_now(AUTH, token("only")) is None
        assert rig.told == [token("only")]
        assert await rig.cache.refresh_now(Auth(kind="bearer", secret="s"), token("s")) is None

    run(scenario())


def test_a_request_that_gives_up_waiting_stops_nothing() -> None:
    async def scenario() -> None:
        rig = Rig(token("1"), token("2"))
        await rig.begin()
        rig.gate.clear()
        impatient = asyncio.create_task(rig.cache.refresh_now(AUTH, token("1")))
        await asyncio.sleep(0)
        impatient.cancel()
        rig.gate.set()
        await rig.cache.fetches_done()
        assert rig.held() == "2"

    run(scenario())


def test_one_source_for_targets_with_the_same_auth() -> None:
    async def scenario() -> None:
        rig = Rig(token("shared"))
        same = Auth(kind="entra", settings={"client_id": "c", "tenant_id": "t"})
        await rig.begin(AUTH, same, Auth(kind="bearer", secret="static"))
        assert rig.fetches == 1
        assert rig.cache.state(same) == rig.cache.state(AUTH)
        await rig.begin(AUTH, Auth(kind="entra", settings={"tenant_id": "other"}))  # the plan was replaced
        assert rig.fetches == 2
        rig.cache.keep([])
        assert rig.due() == []
        assert rig.held() == "no target of the plan has it"

    run(scenario())


def test_a_static_auth_is_its_own_credential() -> None:
    rig = Rig(token("never asked"))
    auth = Auth(kind="signature", secret="PEM", settings={"key_id": "t/u/f"})
    assert rig.cache.state(auth) == CredentialState(Credential(kind="signature", secret="PEM", key_id="t/u/f"), None)


@pytest.mark.parametrize("life_s", [-1, 1e-9])
def test_what_had_ended_when_it_came_is_not_used(life_s: float) -> None:
    """Its end is the first moment at which it is none."""

    async def scenario() -> None:
        rig = Rig(token("stale", life_s=life_s))
        await rig.begin()
        assert "this machine's clock" in rig.held()
        assert rig.due() == [1]

    run(scenario())


def test_what_a_target_cannot_use_is_said_and_the_old_one_kept() -> None:
    async def scenario() -> None:
        rig = Rig(token("good"), token("no key"))
        tell = rig.cache.changed

        def choosy(auth: Auth, credential: Credential | None) -> None:
            if credential is not None and credential.secret == "no key":
                raise ValueError("the key to sign with cannot be read")
            tell(auth, credential)

        rig.cache.changed = choosy
        await rig.begin()
        assert await rig.cache.refresh_now(AUTH, token("good")) is None
        assert rig.held() == "good"
        problem = rig.cache.state(AUTH).problem
        assert problem is not None
        assert "cannot be read" in problem.why

    run(scenario())


def test_a_source_that_hangs_stops_nothing() -> None:
    """Neither the loop while it runs nor its end."""
    rig = Rig(token("late"))
    rig.gate.clear()

    async def scenario() -> None:
        rig.cache.keep([AUTH])
        assert await rig.cache.refresh_now(Auth(kind="aws"), token("x")) is None
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(rig.cache.fetches_done(), 0.01)
        rig.cache.close()

    run(scenario())
    assert rig.fetches == 0
    rig.gate.set()


def test_what_comes_after_the_end_is_presented_to_nobody() -> None:
    async def scenario() -> None:
        rig = Rig(token("late"))
        rig.gate.clear()
        begun = rig.cache.add([AUTH])
        rig.cache.close()
        rig.gate.set()
        await asyncio.wait(begun)
        assert (rig.told, rig.due()) == ([], [])

    run(scenario())


def test_a_clock_that_is_set_forward_takes_no_credential_away() -> None:
    """As where a machine starts with a clock that is two hours behind, and it is set right."""

    async def scenario() -> None:
        rig = Rig(token("first"), token("second", at_s=START_S + 7200))
        await rig.begin()
        rig.ahead_s = 7200
        assert rig.held() == "first"  # a plan that is read now presents it
        rig.cache.look()
        await rig.cache.fetches_done()
        assert (rig.held(), rig.fetches) == ("second", 2)
        rig.cache.look()
        await rig.cache.fetches_done()
        assert rig.fetches == 2

    run(scenario())


def test_a_wrong_clock_takes_away_what_holds_only_at_its_end() -> None:
    """The source tells ends by a clock that is right, and ours is set two hours ahead."""

    async def scenario() -> None:
        rig = Rig(token("first"), token("second"))
        await rig.begin()
        rig.ahead_s = 7200
        rig.cache.look()
        await rig.cache.fetches_done()
        assert "is this machine's clock right?" in str(rig.cache.state(AUTH).problem)
        # After a failure its source is asked by the timer alone, however long ago a look did that.
        rig.ahead_s += 60
        rig.cache.look()
        await rig.cache.fetches_done()
        assert rig.fetches == 2
        await rig.pass_time(3599)
        assert rig.held() == "first"
        await rig.pass_time(1)
        assert rig.told[-1] is None

    run(scenario())


def test_on_a_loop_of_its_own() -> None:
    """With the clock and the timers of every day."""

    async def scenario() -> None:
        given, done = token("fresh", at_s=time.time()), asyncio.Event()
        source = Rig(given)
        cache = CredentialCache(lambda *_: done.set(), open_credential_source=lambda _: source)
        cache.keep([AUTH])
        await done.wait()
        await cache.fetches_done()
        assert cache.state(AUTH) == CredentialState(given, None)
        cache.close()

    run(scenario())


# A vendor's message → the words told of it.
SAID = [
    ("client_secret=hunter2 was refused", "client_secret=… was refused"),
    ("bad key -----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----", "bad key …"),
    ("token eyJhbGci.eyJzdWIi.c2ln is of another tenant", "token … is of another tenant"),
    ("POST client_assertion=abc&scope=x failed", "POST client_assertion=… failed"),
    ("", "it says no more"),
    ("word " * 200, ("word " * 200)[:400]),
]


@pytest.mark.parametrize(("said", "expected"), SAID)
def test_a_secret_in_a_vendors_message_is_not_repeated(said: str, expected: str) -> None:
    async def scenario() -> None:
        auth = Auth(kind="entra", secret="hunter2", settings={"tenant_id": "t", "client_id": "c"})
        rig = Rig(RuntimeError(said))
        await rig.begin(auth)
        problem = rig.cache.state(auth).problem
        assert problem is not None
        assert problem.why == f"RuntimeError: {expected}"

    run(scenario())


def test_a_kind_that_is_none_is_refused_whole() -> None:
    async def scenario() -> None:
        rig = Rig(token("x"))
        with pytest.raises(InvalidInput, match="unknown kind of auth 'kerberos'"):
            rig.cache.keep([AUTH, Auth(kind="kerberos")])
        assert rig.fetches == 0
        assert rig.held() == "no target of the plan has it"

    run(scenario())

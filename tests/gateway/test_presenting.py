"""Credentials of targets while plans come and go: each has what is held, and another once its own is refused."""

import asyncio
import time
from asyncio import AbstractEventLoop
from pathlib import Path
from typing import cast

from msgspec.structs import replace

from clauseway.gateway.clouds import Credential
from clauseway.gateway.plan import Auth
from clauseway.gateway.plan.limits import Limits
from clauseway.gateway.process.presenting import Presenting
from clauseway.gateway.routing.health import Health
from clauseway.gateway.routing.targets import CallTarget
from clauseway.gateway.transport.upstream import Endpoint
from selection_rig import deployment

ENDPOINT = Endpoint("127.0.0.1", 9, cast("AbstractEventLoop", None), Limits())


def target_with(auth: Auth) -> CallTarget:
    return CallTarget(replace(deployment("d"), auth=auth), 1, ENDPOINT, Health())


def secret_of(target: CallTarget) -> str:
    return target.credential.secret if target.credential is not None else ""


def test_a_target_of_a_former_plan_gets_another_credential_once_its_own_is_refused(tmp_path: Path) -> None:
    async def after_a_refusal() -> None:
        path = tmp_path / "secret"
        path.write_text("first")
        auth = Auth(kind="file", settings={"path": str(path)})
        former, present = target_with(auth), target_with(auth)
        presenting = Presenting()
        presenting.reload([former])
        await presenting.fetches_done()
        presenting.reload([present])
        assert former.renew is not None
        assert (secret_of(former), secret_of(present)) == ("first", "first")
        path.write_text("second")
        assert await former.renew()
        assert (secret_of(former), secret_of(present)) == ("second", "second")
        assert not await former.renew(), "the file holds what was refused"
        presenting.close()

    asyncio.run(after_a_refusal())


class Source:
    """Gives what is listed, one after the other; the last stays."""

    recheck_s = 0.0

    def __init__(self, *answers: Credential | Exception) -> None:
        self.answers = list(answers)

    def fetch(self) -> Credential:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class Presented:
    """Credentials of sources by the paths of their Auths, and what is said of deployments."""

    def __init__(self, **sources: Source) -> None:
        self.said: list[tuple[str, str]] = []
        self.presenting = Presenting(lambda deployment, problem: self.said.append((deployment, problem)))
        self.cache = self.presenting._cache
        self.cache.open_source = lambda auth: sources[auth.settings["path"]]

    async def reload(self, *targets: CallTarget) -> None:
        self.presenting.reload(targets)
        await self.presenting.fetches_done()
        self.presenting.look()


def named(path: str, dialect: str = "openai") -> CallTarget:
    auth = Auth(kind="file", service="bedrock", region="us-east-1", settings={"path": path})
    return CallTarget(replace(deployment(path), auth=auth, dialect=dialect), 1, ENDPOINT, Health())


def bearer(secret: str, expires_s: int = 0) -> Credential:
    return Credential(kind="bearer", secret=secret, expires_s=expires_s)


def test_each_target_has_its_own_credential_and_a_problem_is_said_once() -> None:
    async def scenario() -> None:
        held = Presented(well=Source(bearer("a")), ill=Source(OSError("it is away"), bearer("b")))
        well, ill = named("well"), named("ill")
        await held.reload(well, ill)
        held.presenting.look()
        assert [(name, "it is away" in problem) for name, problem in held.said] == [("ill", True)]
        assert (secret_of(well), secret_of(ill)) == ("a", "")
        await held.cache.refresh_now(ill.target.auth, bearer("refused"))
        assert (secret_of(well), secret_of(ill)) == ("a", "b")
        for _ in range(2):
            held.presenting.look()
        assert held.said[1:] == [("ill", "")]
        held.presenting.close()

    asyncio.run(scenario())


def test_what_has_ended_by_a_clock_that_was_set_is_fetched_anew() -> None:
    async def scenario() -> None:
        now_s = int(time.time())
        held = Presented(d=Source(bearer("first", now_s + 3600), bearer("second", now_s + 9000)))
        target = named("d")
        await held.reload(target)
        held.cache.now_s = lambda: now_s + 7200
        assert secret_of(target) == "first"
        held.presenting.look()
        await held.presenting.fetches_done()
        assert secret_of(target) == "second"
        held.presenting.close()

    asyncio.run(scenario())


def test_what_a_target_cannot_use_is_said_and_leaves_it_refused() -> None:
    """A target of the new plan has no use for what is held; one of the former plan none for what comes next."""

    async def scenario() -> None:
        signing = Credential(kind="sigv4", access_key="AKID", secret="s")
        held = Presented(d=Source(Credential(kind="api-key", secret="k"), signing))
        former, present = named("d"), named("d", dialect="bedrock")
        await held.reload(former)
        assert held.said == []
        await held.reload(present)
        assert [(name, "api-key" in problem) for name, problem in held.said] == [("d", True)]
        assert (secret_of(former), secret_of(present)) == ("k", "")
        assert former.renew is not None
        assert not await former.renew()
        assert (secret_of(former), present.credential) == ("k", signing)
        held.presenting.close()

    asyncio.run(scenario())

"""Credentials of targets while plans come and go: each has what is held, and another once its own is refused."""

import asyncio
from asyncio import AbstractEventLoop
from pathlib import Path
from typing import cast

from msgspec.structs import replace

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

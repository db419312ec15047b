"""Signatures where this machine's clock and a cloud's differ: the cloud refuses what was signed at another time."""

import calendar
import json
import time
from email.utils import formatdate, parsedate_to_datetime

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from gateway_rig import Connection, Received, Rig, well

from awaiting import eventually
from clauseway.gateway.plan import Auth

_TOLERATED_S = 300
_SIGV4 = Auth(kind="sigv4", access_key="AKID", secret="secret", service="bedrock-mantle", region="us-east-1")


class SkewedCloud:
    """A cloud whose clock is `ahead_s` ahead of ours, and which judges signatures by it. It refuses as AWS and Oracle
    do; with `right` False it refuses everything, as where the key is wrong. Its answers are dated `dated_s` ahead."""

    def __init__(self, ahead_s: int, *, right: bool = True, code: int = 403, dated_s: int = 0) -> None:
        self.ahead_s, self.right, self.code, self.dated_s = ahead_s, right, code, dated_s

    async def __call__(self, connection: Connection, request: Received) -> None:
        now_s = time.time() + self.ahead_s
        if self.right and abs(signed_s(request) - now_s) <= _TOLERATED_S:
            await well(connection, request)
            return
        body = json.dumps({"message": "Signature expired: 20261129T080000Z is now earlier than 20261129T085500Z"})
        connection.answer(self.code, body.encode(), [f"date: {formatdate(now_s + self.dated_s, usegmt=True)}"])


def signed_s(request: Received) -> float:
    """When a request was signed, as SigV4 and OCI's signatures say it."""
    if stamp := request.header("x-amz-date"):
        return calendar.timegm(time.strptime(stamp, "%Y%m%dT%H%M%SZ"))
    date = request.header("date")
    assert date is not None
    return parsedate_to_datetime(date).timestamp()


def start(rig: Rig, cloud: SkewedCloud, *, dialect: str = "bedrock", auth: Auth = _SIGV4) -> None:
    there = rig.cloud("aws", cloud)
    url = f"http://127.0.0.1:{there.port}/openai/v1"
    rig.start(rig.plan([rig.target("aws", there.port, dialect=dialect, url=url, auth=auth)]))


def events(rig: Rig, name: str) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in rig.errors().splitlines()]
    return [line for line in lines if line["event"] == name]


@pytest.mark.parametrize("ahead_s", [3600, -3600, 86_400 * 40])
def test_a_signature_refused_for_its_time_is_made_by_the_clouds_clock(rig: Rig, ahead_s: int) -> None:
    cloud = SkewedCloud(ahead_s)
    start(rig, cloud)
    assert rig.post().status_code == 200
    assert len(rig.clouds["aws"].requests) == 2
    assert rig.outcomes() == [("aws-1", "COMPLETE", 200)]
    # From then on nothing is refused first.
    assert rig.post(stream=True).text.endswith("data: [DONE]\n\n")
    assert len(rig.clouds["aws"].requests) == 3
    eventually(lambda: bool(events(rig, "clock differs")))
    (line,) = events(rig, "clock differs")
    assert line["host"] == "127.0.0.1"
    assert abs(int(str(line["cloud_ahead_s"])) - ahead_s) <= 5
    # The clock is set right.
    cloud.ahead_s = 0
    assert rig.post().status_code == 200
    eventually(lambda: bool(events(rig, "clock agrees")))


def test_oracles_signatures_follow_its_clock_too(rig: Rig) -> None:
    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    auth = Auth(kind="signature", secret=pem, settings={"key_id": "ocid1.tenancy.oc1..a/ocid1.user.oc1..b/00:11"})
    start(rig, SkewedCloud(-7200, code=401), dialect="oci", auth=auth)
    assert rig.post().status_code == 200


def test_a_key_that_is_refused_at_any_time_is_sent_twice_at_most(rig: Rig) -> None:
    start(rig, SkewedCloud(3600, right=False))
    assert rig.post().status_code == 502
    assert len(rig.clouds["aws"].requests) == 2
    assert rig.outcomes() == [("aws-1", "FAILED", 403)]


@pytest.mark.parametrize(("ahead_s", "auth"), [(60, _SIGV4), (3600, Auth(kind="bearer", secret="key"))])
def test_a_refusal_for_another_reason_is_not_answered_by_a_second_request(rig: Rig, ahead_s: int, auth: Auth) -> None:
    start(rig, SkewedCloud(ahead_s, right=False), auth=auth)
    assert rig.post().status_code == 502
    assert len(rig.clouds["aws"].requests) == 1


def test_a_date_by_which_nobody_judges_is_not_followed_for_long(rig: Rig) -> None:
    """A proxy before the cloud dates its answers wrongly, and for a while the key is refused."""
    cloud = SkewedCloud(0, right=False, dated_s=3600)
    start(rig, cloud)
    assert rig.post().status_code == 502
    cloud.right = True
    assert rig.post().status_code == 200

"""Addresses that no gateway calls: however they are spelt, and whatever a name leads to."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from clauseway.gateway.transport.metadata_addresses import flaw_of_host, is_loopback

# A host · whether it is called · whether it is this machine's loopback
HOSTS = [
    ("api.openai.com", True, False),
    ("10.0.0.5", True, False),
    ("localhost", True, True),
    ("127.0.0.1", True, True),
    ("127.9.9.9", True, True),
    ("2130706433", True, True),  # 127.0.0.1
    ("::1", True, True),
    ("::ffff:127.0.0.1", True, True),
    ("fd00::254", True, False),
    ("metadata.example", True, False),
    ("localhost.example", True, False),
    ("a\0b", True, False),
    ("", True, False),
    ("169.254.169.254", False, False),
    ("169.254.170.2", False, False),
    ("2852039166", False, False),
    ("0xa9fea9fe", False, False),
    ("0xA9.0xFE.0xA9.0xFE", False, False),
    ("0251.0376.0251.0376", False, False),
    ("169.254.43518", False, False),
    ("169.16689662", False, False),
    ("::ffff:169.254.169.254", False, False),
    ("::ffff:a9fe:a9fe", False, False),
    ("64:ff9b::a9fe:a9fe", False, False),
    ("fd00:ec2::254", False, False),
    ("fd20:ce::254", False, False),
    ("fe80::1%eth0", False, False),
    ("metadata.google.internal", False, False),
    ("METADATA.google.internal.", False, False),
    ("metadata", False, False),
    ("100.100.100.200", False, False),
    ("168.63.129.16", False, False),
]


@pytest.mark.parametrize(("host", "called", "loopback"), HOSTS)
def test_a_host_is_called_or_not(host: str, called: bool, loopback: bool) -> None:
    assert (flaw_of_host(host) == "", is_loopback(host)) == (called, loopback)


# In a network of its own, where a name of /etc/hosts leads to the metadata service, and somebody listens there.
CONNECTING = textwrap.dedent("""
    import asyncio, uvloop
    from types import SimpleNamespace
    from clauseway.app.opening.probing import connected
    from clauseway.gateway.plan.limits import Limits
    from clauseway.gateway.plan.settings import TlsSettings
    from clauseway.gateway.transport.upstream import Endpoint

    async def main():
        heard = []
        async def listen(reader, writer):
            heard.append(await reader.read())
        server = await asyncio.start_server(listen, "169.254.169.254", 80)
        try:
            await Endpoint("cloud.example", 80, asyncio.get_running_loop(), Limits()).connect()
        except ConnectionRefusedError as error:
            print(error)
        try:
            with connected(SimpleNamespace(url="http://cloud.example/v1"), TlsSettings()):
                print("connected")
        except ConnectionRefusedError as error:
            print(error)
        server.close()
        print(b"".join(heard))

    uvloop.run(main())
""")


def test_a_name_that_leads_to_the_metadata_service_is_sent_nothing(tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text("169.254.169.254 cloud.example\n")
    laid = f"ip link set lo up; ip addr add 169.254.169.254/32 dev lo; mount --bind {tmp_path}/hosts /etc/hosts"
    command = ["unshare", "--mount", "--net", "--propagation", "private", "sh", "-euc"]
    try:
        subprocess.run([*command, laid], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no namespaces of networks for this user")
    script = f'{laid}; exec "$0" -c "$1"'
    done = subprocess.run([*command, script, sys.executable, CONNECTING], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("its name leads to 169.254.169.254") == 1, "the gateway's call"
    assert done.stdout.count("cloud.example leads to 169.254.169.254") == 1, "the doctor's"
    assert done.stdout.endswith("b''\n"), "nothing was sent"

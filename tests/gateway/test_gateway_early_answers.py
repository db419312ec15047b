"""Clouds that answer before a body has come, and read no more of it: nothing is sent behind it, and nothing stays."""

import re
import socket
import ssl
import threading
from pathlib import Path

import pytest
import trustme
from gateway_rig import ANSWER, PATIENCE_S, Rig

from awaiting import eventually
from clauseway.gateway.plan.limits import Limits
from clauseway.gateway.plan.settings import Settings, TlsSettings

WELL = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(ANSWER) + ANSWER
TOO_LARGE = b'{"error":{"message":"too large","code":"too_large","type":"invalid_request_error"}}'
# The rest of the shorter body waits in the kernel, most of the longer one in the gateway.
SHORTER, LONGER = 60_000, 20_000_000
READ_MAX = 1024  # of a body that is answered early, and the least that a kernel takes of it
TIMES = 8


class EarlyCloud:
    """Reads small requests, and of others the head alone; holds every connection open."""

    def __init__(self, tls: ssl.SSLContext | None, closes: bool) -> None:
        self._tls = tls
        self._framing = b"%bcontent-length: %d\r\n\r\n" % (b"connection: close\r\n" * closes, len(TOO_LARGE))
        self._held: list[socket.socket] = []  # what is not referred to is closed
        self.connections = 0
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, READ_MAX)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen()
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        if self._tls is not None:
            connection = self._tls.wrap_socket(connection, server_side=True)
        self._held.append(connection)
        data = b""
        while piece := connection.recv(READ_MAX):
            data += piece
            head, _, body = data.partition(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head)
            if length is None:
                continue
            if int(length[1]) > READ_MAX:
                connection.sendall(b"HTTP/1.1 413 Too Large\r\n" + self._framing + TOO_LARGE)
                return
            if len(body) == int(length[1]):
                connection.sendall(WELL)
                data = b""


class Early:
    """A gateway over such a cloud."""

    def __init__(self, rig: Rig, encrypted: bool, closes: bool) -> None:
        self.rig = rig
        authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(context)
        authority.cert_pem.write_to_path(rig.home / "ca.pem")
        self.cloud = EarlyCloud(context if encrypted else None, closes)
        scheme, tls = ("https", TlsSettings(upstream_ca=str(rig.home / "ca.pem"))) if encrypted else ("http", None)
        target = rig.target("azure", self.cloud.port, url=f"{scheme}://localhost:{self.cloud.port}/v1")
        # A busy machine takes seconds to encrypt 20 MB. A request that waits behind a body is answered by nobody,
        # however long it waits: the bound is for that alone.
        settings = Settings(limits=Limits(connect_s=PATIENCE_S / 2), tls=tls or TlsSettings())
        rig.start(rig.plan([target], attempt_timeout_s=PATIENCE_S / 2, settings=settings))

    def ask(self, length: int = 0) -> int:
        return self.rig.post(user="x" * length).status_code

    def descriptors(self) -> int:
        assert self.rig.process is not None
        return len(list(Path(f"/proc/{self.rig.process.pid}/fd").iterdir()))


each_way = pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "TLS"])


@each_way
@pytest.mark.parametrize("length", [SHORTER, LONGER])
def test_nothing_is_sent_behind_a_body_that_was_not_read(rig: Rig, encrypted: bool, length: int) -> None:
    """RFC 9112, 9.3: the next request would wait behind the rest of the body."""
    early = Early(rig, encrypted, closes=False)
    assert [early.ask(), early.ask(length), early.ask()] == [200, 413, 200]
    assert early.cloud.connections == 2


@each_way
@pytest.mark.parametrize("closes", [True, False], ids=["close", "keep"])
def test_nothing_stays_of_a_body_that_was_not_read(rig: Rig, encrypted: bool, closes: bool) -> None:
    early = Early(rig, encrypted, closes)
    assert early.ask(LONGER) == 413
    descriptors, megabytes = early.descriptors(), rig.megabytes()
    assert [early.ask(LONGER) for _ in range(TIMES)] == [413] * TIMES
    eventually(lambda: early.descriptors() <= descriptors)
    eventually(lambda: rig.megabytes() < megabytes + TIMES * LONGER / 2e6)

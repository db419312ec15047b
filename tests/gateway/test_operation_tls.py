"""TLS with authorities made for the test: toward clients, toward clouds, and certificates that are replaced."""

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx
import msgspec
import pytest
import trustme
from gateway_rig import (
    ANSWER,
    AUTHORIZED,
    DONE_EVENT,
    MESSAGES,
    MODEL,
    PATIENCE_S,
    Cloud,
    Connection,
    Received,
    Rig,
    chat_body,
    content_events,
    read_all,
    request_bytes,
    well,
)

from awaiting import eventually
from clauseway.gateway.plan import Plan
from clauseway.gateway.plan.limits import Limits
from clauseway.gateway.plan.settings import Settings, TlsSettings
from clauseway.gateway.transport.tls import identity

REQUEST = request_bytes(chat_body())


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def write_certificate(folder: Path, authority: trustme.CA, name: str = "localhost") -> TlsSettings:
    """Ours and its key, replaced whole."""
    made = authority.issue_cert(name, "127.0.0.1")
    for file, blob in (("key.pem", made.private_key_pem), ("cert.pem", made.cert_chain_pems[0])):
        blob.write_to_path(folder / f"{file}.new")
        (folder / f"{file}.new").rename(folder / file)
    return TlsSettings(certificate=str(folder / "cert.pem"), key=str(folder / "key.pem"))


def with_tls(plan: Plan, tls: TlsSettings) -> Plan:
    return msgspec.structs.replace(plan, settings=Settings(tls=tls))


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    return context


def post(rig: Rig, context: ssl.SSLContext, *, stream: bool = False) -> httpx.Response:
    body = {"model": MODEL, "messages": MESSAGES, "stream": stream}
    with httpx.Client(verify=context, timeout=PATIENCE_S) as client:
        return client.post(f"https://localhost:{rig.port}/v1/chat/completions", json=body, headers=AUTHORIZED)


@contextlib.contextmanager
def connected(rig: Rig, context: ssl.SSLContext) -> Iterator[ssl.SSLSocket]:
    plain = socket.create_connection(("127.0.0.1", rig.port), timeout=PATIENCE_S)
    with plain, context.wrap_socket(plain, server_hostname="localhost") as connection:
        yield connection


def shown_serial(rig: Rig, context: ssl.SSLContext) -> object:
    with connected(rig, context) as connection:
        return (connection.getpeercert() or {})["serialNumber"]


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_clients_come_by_tls_and_only_so(rig: Rig, tmp_path: Path, authority: trustme.CA) -> None:
    rig.cloud("azure")
    rig.start(with_tls(rig.plan(), write_certificate(tmp_path, authority)))
    context = trusting(authority)
    assert post(rig, context).status_code == 200
    assert post(rig, context, stream=True).text.endswith("data: [DONE]\n\n")
    with pytest.raises(httpx.HTTPError):
        rig.post()
    # The gateway speaks HTTP/1.1, over nothing older than TLS 1.2.
    context.set_alpn_protocols(["h2", "http/1.1"])
    with connected(rig, context) as connection:
        assert connection.selected_alpn_protocol() == "http/1.1"
        assert connection.version() in ("TLSv1.2", "TLSv1.3")
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("DEFAULT:@SECLEVEL=0")
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection(("127.0.0.1", rig.port)) as plain, pytest.raises((ssl.SSLError, ConnectionError)):
        old.wrap_socket(plain)


def test_a_certificate_that_is_replaced_is_taken_over_and_a_bad_one_is_not(
    rig: Rig, tmp_path: Path, authority: trustme.CA
) -> None:
    rig.cloud("azure")
    rig.start(with_tls(rig.plan(), write_certificate(tmp_path, authority)))
    context = trusting(authority)
    first = shown_serial(rig, context)
    with connected(rig, context) as kept:
        write_certificate(tmp_path, authority)
        eventually(lambda: shown_serial(rig, context) != first)
        kept.sendall(request_bytes(chat_body(), "connection: close"))
        assert b" 200 OK" in kept.recv(1 << 16), "connections that are open notice nothing"
    second = shown_serial(rig, context)
    (tmp_path / "cert.pem").write_text("no certificate")
    eventually(lambda: "certificate refused" in rig.errors())
    assert shown_serial(rig, context) == second


def from_address(rig: Rig, host: str) -> socket.socket:
    return socket.create_connection(("127.0.0.1", rig.port), timeout=PATIENCE_S, source_address=(host, 0))


def test_connections_that_send_nothing_keep_no_other_address_out(
    rig: Rig, tmp_path: Path, authority: trustme.CA
) -> None:
    """Handshakes under way are counted from when a connection is accepted, and let go when it ends."""
    rig.cloud("azure")
    limits = Limits(connections=12, connections_per_address=10, head_s=PATIENCE_S)
    tls = write_certificate(tmp_path, authority)
    rig.start(msgspec.structs.replace(rig.plan(), settings=Settings(tls=tls, limits=limits)))
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(from_address(rig, "127.0.0.2")) for _ in range(10)]
        for _ in range(20):
            beyond = stack.enter_context(from_address(rig, "127.0.0.2"))
            with contextlib.suppress(ConnectionResetError):
                assert beyond.recv(1) == b"", "no more of this address"
        assert post(rig, trusting(authority)).status_code == 200
        for connection in silent:
            connection.setblocking(False)
            with pytest.raises(BlockingIOError):
                connection.recv(1)

    def shakes_hands() -> bool:
        with from_address(rig, "127.0.0.2") as plain:
            try:
                trusting(authority).wrap_socket(plain, server_hostname="localhost").close()
            except OSError:
                return False
        return True

    eventually(shakes_hands)


def has_taken_over(rig: Rig, plans: int) -> bool:
    return rig.errors().count("plan reloaded") >= plans


@pytest.mark.parametrize("begins", [True, False], ids=["with TLS", "without"])
def test_whether_there_is_tls_takes_a_restart(rig: Rig, tmp_path: Path, authority: trustme.CA, begins: bool) -> None:
    """A section that goes missing from the configuration lets nobody in unprotected."""
    rig.cloud("azure")
    protected, bare = with_tls(rig.plan(), write_certificate(tmp_path, authority)), rig.plan()
    rig.start(protected if begins else bare)
    for count, timeout_s in ((1, 2.0), (2, 3.0)):  # what the first says of certificates is done when the next is read
        after = msgspec.structs.replace(bare if begins else protected, attempt_timeout_s=timeout_s)
        rig.write_plan(after)
        eventually(partial(has_taken_over, rig, count))
    assert "restart needed" in rig.errors()
    with socket.create_connection(("127.0.0.1", rig.port)) as connection:
        connection.settimeout(PATIENCE_S)
        connection.sendall(request_bytes(chat_body(), "connection: close"))
        assert read_all(connection).startswith(b"HTTP/1.1 200 ") is not begins


def test_clients_show_certificates_where_that_is_asked(rig: Rig, tmp_path: Path, authority: trustme.CA) -> None:
    theirs, strangers = trustme.CA(), trustme.CA()
    theirs.cert_pem.write_to_path(tmp_path / "clients.pem")
    tls = write_certificate(tmp_path, authority)
    rig.cloud("azure")
    rig.start(with_tls(rig.plan(), msgspec.structs.replace(tls, client_ca=str(tmp_path / "clients.pem"))))
    known, unknown = trusting(authority), trusting(authority)
    theirs.issue_cert("client@acme.example").configure_cert(known)
    strangers.issue_cert("client@acme.example").configure_cert(unknown)
    assert post(rig, known).status_code == 200
    for context in (unknown, trusting(authority)):
        with pytest.raises((httpx.HTTPError, ssl.SSLError)):
            post(rig, context)


def test_a_session_of_tls_is_not_resumed(rig: Rig, tmp_path: Path, authority: trustme.CA) -> None:
    """Each handshake checks the client's certificate. And nothing comes after it unasked: OpenSSL fails where one
    thread reads a ticket while another writes, as the client of OpenAI's WebSocket does."""
    rig.cloud("azure")
    rig.start(with_tls(rig.plan(), write_certificate(tmp_path, authority)))
    context = trusting(authority)
    with connected(rig, context) as first:
        first.sendall(request_bytes(chat_body(), "connection: close"))
        assert b" 200 OK" in first.recv(1 << 16)
        assert first.version() == "TLSv1.3"
        session = first.session
        assert session is not None
        assert not session.has_ticket
    with socket.create_connection(("127.0.0.1", rig.port), timeout=PATIENCE_S) as plain:
        again = context.wrap_socket(plain, server_hostname="localhost", session=session)
        assert not again.session_reused


def test_a_session_of_tls_1_2_ends_with_the_authority_of_clients(
    rig: Rig, tmp_path: Path, authority: trustme.CA
) -> None:
    """Until then it is resumed, and the client's certificate not looked at again."""
    former, present = trustme.CA(), trustme.CA()
    former.cert_pem.write_to_path(tmp_path / "clients.pem")
    rig.cloud("azure")
    tls = msgspec.structs.replace(write_certificate(tmp_path, authority), client_ca=str(tmp_path / "clients.pem"))
    rig.start(with_tls(rig.plan(), tls))
    context = trusting(authority)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    former.issue_cert("client@acme.example").configure_cert(context)
    with connected(rig, context) as first:
        session = first.session

    def resumed() -> bool | None:
        with socket.create_connection(("127.0.0.1", rig.port), timeout=PATIENCE_S) as plain:
            again = context.wrap_socket(plain, server_hostname="localhost", session=session)
            return again.session_reused

    assert resumed()
    present.cert_pem.write_to_path(tmp_path / "clients.new")
    (tmp_path / "clients.new").rename(tmp_path / "clients.pem")
    eventually(lambda: "certificate reloaded" in rig.errors())
    with pytest.raises((ssl.SSLError, OSError)):
        resumed()


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_a_replaced_authority_of_clients_ends_the_trust_in_connections_that_are_kept(
    rig: Rig, tmp_path: Path, authority: trustme.CA, busy: bool
) -> None:
    """Whoever is being answered is answered to the end; nothing more is taken from a client of the former authority."""
    former, present = trustme.CA(), trustme.CA()
    former.cert_pem.write_to_path(tmp_path / "clients.pem")
    asked, replaced = threading.Event(), threading.Event()

    async def when_replaced(connection: Connection, _: Received) -> None:
        asked.set()
        await asyncio.to_thread(replaced.wait, PATIENCE_S)
        connection.answer(200, ANSWER)

    cloud = rig.cloud("azure", when_replaced if busy else well)
    tls = msgspec.structs.replace(write_certificate(tmp_path, authority), client_ca=str(tmp_path / "clients.pem"))
    rig.start(with_tls(rig.plan(), tls))
    theirs, ours = trusting(authority), trusting(authority)
    former.issue_cert("client@acme.example").configure_cert(theirs)
    present.issue_cert("client@acme.example").configure_cert(ours)
    with connected(rig, theirs) as kept:
        kept.sendall(request_bytes(chat_body()))
        if busy:
            assert asked.wait(PATIENCE_S)
        else:
            assert kept.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
        present.cert_pem.write_to_path(tmp_path / "clients.new")
        (tmp_path / "clients.new").rename(tmp_path / "clients.pem")
        eventually(lambda: "certificate reloaded" in rig.errors())
        replaced.set()
        assert read_all(kept).startswith(b"HTTP/1.1 200 " if busy else b"")
    assert len(cloud.requests) == 1
    assert post(rig, ours).status_code == 200
    with pytest.raises((httpx.HTTPError, ssl.SSLError)):
        post(rig, theirs)


def test_a_handshake_with_the_former_authority_of_clients_lets_nobody_in(
    rig: Rig, tmp_path: Path, authority: trustme.CA
) -> None:
    """It was begun before the authority was replaced, and is ended after."""
    former = trustme.CA()
    former.cert_pem.write_to_path(tmp_path / "clients.pem")
    cloud = rig.cloud("azure")
    tls = msgspec.structs.replace(write_certificate(tmp_path, authority), client_ca=str(tmp_path / "clients.pem"))
    rig.start(with_tls(rig.plan(), tls))
    theirs = trusting(authority)
    former.issue_cert("client@acme.example").configure_cert(theirs)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    handshake = theirs.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with socket.create_connection(("127.0.0.1", rig.port), timeout=PATIENCE_S) as connection:
        # Until the client has all that it needs to show its certificate, which it holds back.
        while True:
            try:
                handshake.do_handshake()
                break
            except ssl.SSLWantReadError:
                connection.sendall(outgoing.read())
                incoming.write(connection.recv(1 << 16))
        trustme.CA().cert_pem.write_to_path(tmp_path / "clients.new")
        (tmp_path / "clients.new").rename(tmp_path / "clients.pem")
        eventually(lambda: "certificate reloaded" in rig.errors())
        handshake.write(request_bytes(chat_body()))
        with contextlib.suppress(ConnectionError):
            connection.sendall(outgoing.read())
        read_all(connection)
    assert cloud.requests == []
    rig.stop()
    assert "Traceback" not in rig.errors()


@pytest.mark.parametrize(
    ("trusted", "name", "status", "expected"),
    [
        (True, "localhost", 200, ""),
        (False, "localhost", 502, "(its certificate is not accepted: unable to get local issuer certificate)"),
        (True, "elsewhere.example", 502, "(its certificate is not accepted: Hostname mismatch)"),
    ],
)
def test_a_cloud_is_called_only_with_a_certificate_for_its_host(
    rig: Rig, tmp_path: Path, authority: trustme.CA, trusted: bool, name: str, status: int, expected: str
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    shown: list[str | None] = []
    context.sni_callback = lambda _connection, server_name, _context: shown.append(server_name)
    cloud = Cloud("azure", rig._loop, tls=context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    tls = TlsSettings(upstream_ca=str(tmp_path / "ca.pem")) if trusted else TlsSettings()
    target = rig.target("azure", cloud.port, url=f"https://localhost:{cloud.port}/v1")
    rig.start(with_tls(rig.plan([target]), tls))
    answer = rig.post()
    assert answer.status_code == status, answer.text
    assert "localhost" not in answer.text, "a client need not know whose account answers"
    assert expected in answer.text
    assert set(shown) == {"localhost"}
    assert bool(cloud.requests) == (status == 200), "nothing is sent to whoever is not the cloud"


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        (ssl.TLSVersion.TLSv1_2, "could not be reached (it ends TLS with an alert: handshake failure)"),
        (ssl.TLSVersion.TLSv1_3, "ended TLS with an alert: certificate required"),
    ],
)
def test_a_cloud_that_wants_a_certificate_of_ours_is_told_so(
    rig: Rig, tmp_path: Path, authority: trustme.CA, version: ssl.TLSVersion, expected: str
) -> None:
    """By 1.3 a client is told after its handshake, when it reads."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    context.maximum_version = version
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")

    def refuse(listener: socket.socket) -> None:
        plain, _ = listener.accept()
        connection = context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
        with connection:
            with pytest.raises(ssl.SSLError):
                connection.do_handshake()
            # The alert is read before the connection ends.
            connection.shutdown(socket.SHUT_WR)
            read_all(connection)

    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        refused = pool.submit(refuse, listener)
        port = listener.getsockname()[1]
        target = rig.target("azure", port, url=f"https://localhost:{port}/v1")
        rig.start(with_tls(rig.plan([target]), TlsSettings(upstream_ca=str(tmp_path / "ca.pem"))))
        answer = rig.post()
        refused.result(PATIENCE_S)
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "clouds_failed")
    assert expected in answer.text


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_a_replaced_authority_ends_the_trust_in_connections_that_are_kept(
    rig: Rig, tmp_path: Path, authority: trustme.CA, busy: bool
) -> None:
    """Answers under way are finished; nothing new goes to a cloud that the new authority did not sign for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    cloud = Cloud("azure", rig._loop, tls=context)
    asked, replaced = threading.Event(), threading.Event()

    async def when_replaced(connection: Connection, _: Received) -> None:
        asked.set()
        await asyncio.to_thread(replaced.wait, PATIENCE_S)
        connection.answer(200, ANSWER)

    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    target = rig.target("azure", cloud.port, url=f"https://localhost:{cloud.port}/v1")
    rig.start(with_tls(rig.plan([target]), TlsSettings(upstream_ca=str(tmp_path / "ca.pem"))))
    assert rig.post().status_code == 200
    if busy:
        cloud.behaviour = when_replaced
    with ThreadPoolExecutor(1) as pool:
        open_request = pool.submit(rig.post)
        if busy:
            assert asked.wait(PATIENCE_S)
        else:
            assert open_request.result().status_code == 200
        trustme.CA().cert_pem.write_to_path(tmp_path / "ca.new")
        (tmp_path / "ca.new").rename(tmp_path / "ca.pem")
        eventually(lambda: "authorities reloaded" in rig.errors())
        replaced.set()
        assert open_request.result().status_code == 200
    assert cloud.connections == 1
    answer = rig.post()
    assert (answer.status_code, len(cloud.requests)) == (502, 2), answer.text


def test_a_plan_that_brings_a_cloud_and_its_authority_has_it_checked_by_that_one_from_the_first_request(
    rig: Rig, tmp_path: Path, authority: trustme.CA
) -> None:
    """Clients ask without pause while the gateway turns to a cloud that only the new plan trusts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    rig.cloud("azure")
    cloud = Cloud("azure", rig._loop, tls=context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    target = rig.target("azure", cloud.port, url=f"https://localhost:{cloud.port}/v1")
    rig.start()

    def statuses() -> set[int]:
        seen = set()
        while not cloud.requests:
            seen.add(rig.post().status_code)
        return seen

    with ThreadPoolExecutor(8) as pool:
        asking = [pool.submit(statuses) for _ in range(8)]
        rig.write_plan(with_tls(rig.plan([target]), TlsSettings(upstream_ca=str(tmp_path / "ca.pem"))))
        assert set[int]().union(*(answer.result(PATIENCE_S) for answer in asking)) == {200}


def test_a_connection_that_opens_while_the_authority_is_replaced_carries_nothing(
    rig: Rig, tmp_path: Path, authority: trustme.CA
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    cloud = Cloud("azure", rig._loop, tls=context)
    greeted, replaced = threading.Event(), threading.Event()

    def when_replaced(*_: object) -> None:
        greeted.set()
        replaced.wait(PATIENCE_S)

    context.sni_callback = when_replaced
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    target = rig.target("azure", cloud.port, url=f"https://localhost:{cloud.port}/v1")
    tls = TlsSettings(upstream_ca=str(tmp_path / "ca.pem"))
    settings = Settings(tls=tls, limits=Limits(connect_s=PATIENCE_S))
    rig.start(msgspec.structs.replace(rig.plan([target]), settings=settings))
    with ThreadPoolExecutor(1) as pool:
        open_request = pool.submit(rig.post)
        assert greeted.wait(PATIENCE_S)
        trustme.CA().cert_pem.write_to_path(tmp_path / "ca.new")
        (tmp_path / "ca.new").rename(tmp_path / "ca.pem")
        eventually(lambda: "authorities reloaded" in rig.errors())
        replaced.set()
        answer = open_request.result()
    assert (answer.status_code, cloud.requests) == (502, []), answer.text


@pytest.mark.parametrize(("in_order", "status"), [(True, 200), (False, 502)], ids=["closed", "cut"])
def test_an_answer_until_the_close_ends_with_the_close_of_tls(
    rig: Rig, tmp_path: Path, authority: trustme.CA, in_order: bool, status: int
) -> None:
    """Whoever stands between can cut a connection, but not write TLS's own end."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    cloud = Cloud("azure", rig._loop, tls=context)

    async def unframed(connection: Connection, _: Received) -> None:
        connection.writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n" + ANSWER)
        await connection.writer.drain()
        if in_order:
            connection.writer.close()
        else:
            connection.writer.get_extra_info("socket").shutdown(socket.SHUT_RDWR)

    cloud.behaviour = unframed
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    target = rig.target("azure", cloud.port, url=f"https://localhost:{cloud.port}/v1")
    rig.start(with_tls(rig.plan([target]), TlsSettings(upstream_ca=str(tmp_path / "ca.pem"))))
    answer = rig.post()
    assert answer.status_code == status, answer.text
    assert answer.content == ANSWER if in_order else "broke off" in answer.text


def test_a_stop_lets_streams_over_tls_end(rig: Rig, tmp_path: Path, authority: trustme.CA) -> None:
    begun, stopping = threading.Event(), threading.Event()

    async def slowly(connection: Connection, _: Received) -> None:
        events = content_events(with_nulls=True)
        connection.begin_stream()
        connection.piece(b"".join(events[:3]))
        begun.set()
        while not stopping.is_set():
            await asyncio.sleep(0.01)
        connection.piece(b"".join(events[3:]) + DONE_EVENT)
        connection.end_stream()

    rig.cloud("azure", slowly)
    rig.start(with_tls(rig.plan(), write_certificate(tmp_path, authority)))
    with connected(rig, trusting(authority)) as connection:
        connection.sendall(request_bytes(chat_body(stream=True)))
        assert begun.wait(PATIENCE_S)
        assert rig.process is not None
        rig.process.terminate()
        eventually(lambda: '"drain"' in rig.errors())
        stopping.set()
        assert read_all(connection).endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
    assert rig.process.wait(PATIENCE_S) == 0


def test_a_handshake_that_is_under_way_is_ended_and_its_request_answered_before_a_stop(
    rig: Rig, tmp_path: Path, authority: trustme.CA
) -> None:
    """As without TLS: a stop, or another process in this one's place, cuts off nobody who has connected."""
    rig.cloud("azure")
    rig.start(
        msgspec.structs.replace(
            rig.plan(),
            settings=Settings(tls=write_certificate(tmp_path, authority), limits=Limits(linger_s=PATIENCE_S)),
        )
    )
    assert rig.process is not None
    with contextlib.ExitStack() as stack:
        # More than the gateway accepts in a turn of its loop.
        connected = [stack.enter_context(rig.socket()) for _ in range(20)]
        rig.process.terminate()
        eventually(lambda: '"drain"' in rig.errors())
        for plain in connected:
            with trusting(authority).wrap_socket(plain, server_hostname="localhost") as connection:
                connection.sendall(REQUEST)
                assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200 OK")
    assert rig.process.wait(PATIENCE_S) == 0


def test_a_client_that_never_shakes_hands_keeps_no_gateway_from_stopping(
    rig: Rig, tmp_path: Path, authority: trustme.CA
) -> None:
    tls = write_certificate(tmp_path, authority)
    settings = Settings(tls=tls, limits=Limits(linger_s=0.05, head_s=PATIENCE_S))
    rig.start(msgspec.structs.replace(rig.plan(), settings=settings))
    with rig.socket():
        rig.stop()


def test_a_new_plan_sets_how_long_a_handshake_may_take(rig: Rig, tmp_path: Path, authority: trustme.CA) -> None:
    rig.cloud("azure")
    tls = write_certificate(tmp_path, authority)
    plan = rig.plan()
    rig.start(msgspec.structs.replace(plan, settings=Settings(tls=tls, limits=Limits(head_s=PATIENCE_S * 2))))
    rig.write_plan(msgspec.structs.replace(plan, settings=Settings(tls=tls, limits=Limits(head_s=0.1))))
    eventually(lambda: has_taken_over(rig, 1))
    with rig.socket() as silent:
        assert silent.recv(1) == b"", "within the socket's own patience"


def test_a_certificate_that_cannot_be_used_stops_the_start(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_text("no certificate")
    rig.cloud("azure")
    with pytest.raises(AssertionError, match="cannot be used"):
        rig.start(
            with_tls(rig.plan(), TlsSettings(certificate=str(tmp_path / "cert.pem"), key=str(tmp_path / "cert.pem")))
        )
    assert rig.process is not None
    assert rig.process.wait(PATIENCE_S) == 3


def test_a_file_that_is_not_named_never_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = identity("", "missing.pem")
    (tmp_path / "something-else").write_text("x")
    assert identity("", "missing.pem") == before == ((0, 0, 0), (0, 0, 0))

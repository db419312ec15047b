"""TLS toward clients and toward clouds. Nothing older than 1.2; HTTP/1.1 is what is spoken.

Certificates are files that others replace: whoever holds a context asks `identity` now and then
whether it is still of the files that are there.
"""

import contextlib
import ssl
from pathlib import Path
from typing import Final

from clauseway.gateway.plan.settings import TlsSettings
from clauseway.values import InvalidInput

_ALPN = ["http/1.1"]
_MISSING: Final = (0, 0, 0)


def toward_clients(tls: TlsSettings) -> ssl.SSLContext | None:
    """Return the context for clients; None for plain HTTP. Raises InvalidInput where a certificate
    or key is none."""
    if not tls.certificate:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(_ALPN)
    # A session that is resumed would not check the client's certificate again, and only one of
    # several processes could. Clients that read in one thread and write in another (websockets,
    # OpenAI's through it) fail now and then while OpenSSL reads a ticket.
    context.num_tickets = 0
    try:
        # Without a callback, OpenSSL would ask for the key's passphrase on the terminal.
        context.load_cert_chain(tls.certificate, tls.key, password=_no_passphrase)
    except (OSError, ValueError) as error:
        remedy = "Give the chain (ours first) and its private key, as PEM and without a passphrase."
        raise _unusable(
            f"{tls.certificate} with {tls.key}", error, "tls.certificate", remedy
        ) from None
    if tls.client_ca:
        # Mutual TLS: with an authority to check them by, clients have to show a certificate.
        _trust(context, tls.client_ca, "tls.client_ca")
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def toward_clouds(tls: TlsSettings) -> ssl.SSLContext:
    """Return the context for clouds: their certificate is checked, and that it is for the host that
    is called. Raises InvalidInput where the authority is none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(_ALPN)
    if tls.upstream_ca:
        _trust(context, tls.upstream_ca, "tls.upstream_ca")
    else:
        context.load_default_certs()
    return context


def certificate_end_s(tls: TlsSettings) -> float:
    """Return when our own certificate ends, in seconds since 1970. Raises InvalidInput where it and
    its key cannot be used, ssl.SSLCertVerificationError where it is not valid now.

    A handshake in memory shows it: the library reads a certificate's dates for a peer alone.
    """
    ours = toward_clients(tls)
    assert ours is not None, "there is a certificate"
    peer = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    peer.check_hostname = False
    peer.load_verify_locations(tls.certificate)
    peer.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # trust the certificate itself
    toward_us, toward_peer = ssl.MemoryBIO(), ssl.MemoryBIO()
    greeting = peer.wrap_bio(toward_peer, toward_us)
    answering = ours.wrap_bio(toward_us, toward_peer, server_side=True)
    for side in (greeting, answering, greeting):
        with contextlib.suppress(ssl.SSLWantReadError):
            side.do_handshake()
    shown = greeting.getpeercert()
    assert shown, "it was verified"
    return ssl.cert_time_to_seconds(str(shown["notAfter"]))


def identity(*paths: str) -> tuple[tuple[int, int, int], ...]:
    """Changes when one of the files is replaced or written; zeros for what is missing or not
    named."""
    return tuple([file_identity(Path(path)) if path else _MISSING for path in paths])


def file_identity(path: Path) -> tuple[int, int, int]:
    """Changes when the file is replaced or written; zeros while it is missing."""
    try:
        status = path.stat()
    except OSError:
        return _MISSING
    return (status.st_ino, status.st_mtime_ns, status.st_size)


def _trust(context: ssl.SSLContext, path: str, where: str) -> None:
    try:
        context.load_verify_locations(path)
    except (OSError, ValueError) as error:
        raise _unusable(path, error, where, "Give certificates of authorities, as PEM.") from None


def _no_passphrase() -> str:
    raise ValueError("the key is locked with a passphrase")


def _unusable(subject: str, error: Exception, where: str, remedy: str) -> InvalidInput:
    return InvalidInput.of(
        what=f"{subject} cannot be used", why=str(error), where=where, remedy=remedy
    )

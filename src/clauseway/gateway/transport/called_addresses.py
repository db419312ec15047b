"""The judge of every address that an operator writes and this product calls: a deployment, a collector
of spans, a follower, object storage. It names hosts as they are written and resolves none.
"""

from typing import NamedTuple
from urllib.parse import urlsplit

from clauseway.gateway.transport.metadata_addresses import flaw_of_host, is_loopback


class Called(NamedTuple):
    """The owner of an address, as a remedy names it (`whose`), and the secret that is sent there,
    with its verb (`sent`): 'a credential is'; empty where nothing secret is sent."""

    whose: str
    sent: str
    # Where `plain_http = true` allows http:// to another machine.
    allowed_in: str


class AddressFlaw(NamedTuple):
    """A flaw of an address: what it is, why it is one, and what to do."""

    what: str
    why: str
    remedy: str


def host_of(url: str) -> str:
    """Return the host of an address; empty where there is none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def metadata_flaw(host: str, whose: str) -> AddressFlaw | None:
    """Return what is wrong with a host that gives away a machine's credentials."""
    if not (why := flaw_of_host(host)):
        return None
    remedy = f"Write the address of {whose}; no switch allows this one."
    return AddressFlaw(f"{host!r} is never called", why, remedy)


def is_readable(url: str) -> bool:
    """Return whether others can read what is sent to an address: it is http:// at another machine."""
    return url.startswith("http://") and not is_loopback(host_of(url))


def address_flaw(url: str, called: Called, *, plain_http: bool) -> AddressFlaw | None:
    """Return what is wrong with an address: nobody answers there, or what is sent there can be read
    on its way. `plain_http` says that it may be."""
    host = host_of(url)
    if flaw := metadata_flaw(host, called.whose):
        return flaw
    if not called.sent or plain_http or not is_readable(url):
        return None
    remedy = (
        f"Write https://, or plain_http = true in {called.allowed_in} where nobody reads the network "
        "between."
    )
    what = f"{called.sent} sent to {host!r} without TLS"
    return AddressFlaw(what, "whoever is on the way reads it", remedy)

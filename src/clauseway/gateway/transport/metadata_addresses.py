"""Addresses that no gateway calls: link-local ones, and those at which clouds give a machine its own
credentials.

A metadata service gives the machine's identity to every caller. It answers in a format of its own,
never as a model would, so no deployment can mean it.
"""

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

_NETWORKS = tuple(
    ip_network(network)
    for network in (
        "169.254.0.0/16",  # link-local: RFC 3927; metadata of AWS, Azure, Google, Oracle
        "fe80::/10",  # link-local: RFC 4291
        "fd00:ec2::/32",  # AWS, over IPv6
        "fd20:ce::/32",  # Google, over IPv6
        "100.100.100.200/32",  # Alibaba Cloud
        "168.63.129.16/32",  # Azure's agent of virtual machines
        "192.0.0.192/32",  # Oracle, of former images
    )
)
_NAMES = frozenset({"metadata", "metadata.google.internal", "metadata.goog", "instance-data"})
_TRANSLATED = ip_network("64:ff9b::/96")  # NAT64: RFC 6052


def flaw_of_host(host: str) -> str:
    """Return why a host is never called; empty where it may be.

    A name is judged as it is written; the address that it leads to, once a connection reached it.
    """
    name = host.lower().rstrip(".")
    if name in _NAMES or name.endswith(".metadata.google.internal"):
        return "it is a cloud's metadata service, which gives away the machine's credentials"
    address = _address(name)
    if address is not None and any(address in network for network in _NETWORKS):
        return "it is link-local or a metadata service, which gives away the machine's credentials"
    return ""


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine's own loopback, however it is spelt."""
    address = _address(host)
    return host.lower() == "localhost" or (address is not None and address.is_loopback)


def _address(host: str) -> IPv4Address | IPv6Address | None:
    """Return the address that a host writes as a number; None for a name."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return _old_spelling(host)
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _TRANSLATED:
        return IPv4Address(address.packed[-4:])
    return address


def _old_spelling(host: str) -> IPv4Address | None:
    """Return an address written in decimal, octal or hexadecimal, in one part or several."""
    try:
        return IPv4Address(socket.inet_aton(host))
    except (OSError, ValueError):  # ValueError: a surrogate or a NUL
        return None

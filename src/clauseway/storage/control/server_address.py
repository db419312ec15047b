"""Addresses of a server's database: read, and shown without their secrets.

InvalidInput     the address names no PostgreSQL database, or cannot be read
"""

import re

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from clauseway.values import InvalidInput

_DRIVER = "postgresql+psycopg"
_SCHEMES = ("postgresql", "postgres", _DRIVER)
# The parameters of libpq that are secrets.
_SECRETS = ("password", "sslpassword")
# A server in `host=…`: the colons of an IPv6 address stand in brackets, or no port follows it.
_SERVER = re.compile(r"\[([^\[\]]*)\](?::([^:]*))?|([^:\[\]]*):([^:]*)|([^\[\]]*)")
_PORT = re.compile("[0-9]*")


def read_address(address: str) -> URL:
    """Return the address of a database with the driver's name. Raise InvalidInput without repeating
    any of it: a password may stand wherever it was not escaped."""
    try:
        url = make_url(address)
    except ArgumentError:
        raise _invalid("it names no PostgreSQL database") from None
    except ValueError:
        raise _invalid("its port is not a number") from None
    if url.drivername not in _SCHEMES or not url.database:
        raise _invalid("it names no PostgreSQL database")
    if "@" in (url.host or ""):
        raise _invalid("its host contains an @")
    return _with_servers_apart(url.set(drivername=_DRIVER))


def shown(address: str) -> str:
    """Return an address without its secrets. Raise InvalidInput as `read_address` does."""
    url = read_address(address).set(drivername=_SCHEMES[0])
    return url.difference_update_query(_SECRETS).render_as_string()


def _with_servers_apart(url: URL) -> URL:
    """Return the address with the servers of its query as libpq takes them, `host=A,B` and
    `port=1,2`: SQLAlchemy splits `host=A:1` at every colon. Raise InvalidInput."""
    hosts, host_ports = [], []
    for server in _listed(url, "host"):
        parts = _SERVER.fullmatch(server)
        if parts is None:
            raise _invalid("a bracket of its host is not closed")
        bracketed, bracketed_port, named, named_port, alone = parts.groups()
        hosts.append(bracketed or named or alone or "")
        host_ports.append(bracketed_port or named_port or "")
    ports = _listed(url, "port")
    if ports and any(host_ports):
        raise _invalid("it has ports both in host and in port")
    # libpq takes a single port for every server.
    ports = ports * len(hosts) if len(ports) == 1 and hosts else ports or host_ports
    if ports and len(ports) != max(len(hosts), 1):
        raise _invalid("its ports are not as many as its hosts")
    if not all(map(_PORT.fullmatch, ports)):
        raise _invalid("its port is not a number")
    if any(hosts):
        url = url.update_query_dict({"host": ",".join(hosts)})
    if any(ports):
        url = url.update_query_dict({"port": ",".join(ports)})
    return url


def _listed(url: URL, name: str) -> list[str]:
    """Return the values of a parameter that may stand several times, or once with commas."""
    value = url.query.get(name, "")
    joined = value if isinstance(value, str) else ",".join(value)
    return joined.split(",") if joined else []


def _invalid(why: str) -> InvalidInput:
    remedy = (
        "Write it as postgresql://USER:PASSWORD@HOST/DATABASE; in a password @ is %40, / is %2F and "
        ": is %3A. An IPv6 address stands in brackets, as [::1]. Several servers are "
        "postgresql://USER:PASSWORD@/DATABASE?host=A:5432&host=B:5432&target_session_attrs=read-write."
    )
    return InvalidInput.of(
        what="the address of the database is not valid",
        why=why,
        where="the database's address",
        remedy=remedy,
    )

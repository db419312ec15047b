"""Addresses of a server's database: read, and shown without their secrets.

InvalidInput     the address names no PostgreSQL database, or cannot be read
"""

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from clauseway.values import InvalidInput

_DRIVER = "postgresql+psycopg"
_SCHEMES = ("postgresql", "postgres", _DRIVER)
# The parameters of libpq that are secrets.
_SECRETS = ("password", "sslpassword")


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
    return url.set(drivername=_DRIVER)


def shown(address: str) -> str:
    """Return an address without its secrets. Raise InvalidInput as `read_address` does."""
    url = read_address(address).set(drivername=_SCHEMES[0])
    return url.difference_update_query(_SECRETS).render_as_string()


def _invalid(why: str) -> InvalidInput:
    remedy = (
        "Write it as postgresql://USER:PASSWORD@HOST/DATABASE; in a password @ is %40, / is %2F and "
        ": is %3A. Several servers are "
        "postgresql://USER:PASSWORD@/DATABASE?host=A:5432&host=B:5432&target_session_attrs=read-write."
    )
    return InvalidInput.of(
        what="the address of the database is not valid",
        why=why,
        where="the database's address",
        remedy=remedy,
    )

"""The follower as a process: keeps copies of gateways' journals until it is asked to stop."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from clauseway.spool.copies import parse_address, read_secret
from clauseway.spool.follower import Follower
from clauseway.values import InvalidInput

_SECRET_TODO = "Make one: openssl rand -hex 32 > follower.secret, and give both sides the same."


@contextmanager
def following(
    folder: Path, listen: str, secret_file: Path, report: Callable[[str], None]
) -> Iterator[str]:
    """Take journals at an address until the block ends; yield the address. Raise InvalidInput."""
    try:
        host, port = parse_address(listen, least_port=0)
    except ValueError as error:
        remedy = "Write it as 10.0.0.7:8410; [::]:8410 takes connections at every address."
        raise InvalidInput.of(
            what=f"{listen!r} is no address", why=str(error), where="--listen", remedy=remedy
        ) from None
    try:
        secret = read_secret(secret_file)
    except ValueError as error:
        problem = f"{secret_file} holds no secret"
        raise InvalidInput.of(
            what=problem, why=str(error), where="--secret-file", remedy=_SECRET_TODO
        ) from None
    try:
        follower = Follower(folder, secret, report)
    except OSError as error:
        problem, why = "the copies have no place", error.strerror or str(error)
        remedy = "Name a folder on a disk of this machine with --dir."
        raise InvalidInput.of(what=problem, why=why, where=str(folder), remedy=remedy) from None
    # Of the two families only IPv6 has a colon in its addresses.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        problem, why = f"nobody can listen at {listen}", error.strerror or str(error)
        remedy = "Name an address of this machine and a free port, or stop what listens there."
        raise InvalidInput.of(what=problem, why=why, where="--listen", remedy=remedy) from None
    thread = threading.Thread(target=follower.serve, args=(listener,), name="follower")
    thread.start()
    try:
        # With port 0 the system has chosen one by now.
        taken = listener.getsockname()[1]
        yield f"[{host}]:{taken}" if ":" in host else f"{host}:{taken}"
    finally:
        follower.stop(listener)
        thread.join()
        listener.close()

"""The other workers at the same port: each answers on its control socket, beside ours."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from clauseway.files.folders import list_folder
from clauseway.gateway.transport.home_socket import exchange

_PATIENCE_S = 1.0


async def ask_siblings(own: Path, path: str) -> Mapping[str, bytes]:
    """Return the others' answers to `GET path`, by the names of their sockets. One that does not
    answer in a second, or refuses, is left out."""
    name = own.stem.partition("-")[0]
    others = [place for place in list_folder(own.parent, f"{name}*.sock") if place != own]
    answers = await asyncio.gather(*(_ask(place, path) for place in others))
    return {
        place.stem: body for place, body in zip(others, answers, strict=True) if body is not None
    }


async def _ask(place: Path, path: str) -> bytes | None:
    """Return the body of an answer with status 200."""
    request = f"GET {path} HTTP/1.1\r\nhost: gateway\r\n\r\n".encode()
    try:
        status, body = await exchange(place, request, _PATIENCE_S)
    except OSError:  # a timeout is one
        return None
    return body if status == 200 else None

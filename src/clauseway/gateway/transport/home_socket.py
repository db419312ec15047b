"""Questions over unix sockets, in HTTP, a connection for each: to the process that runs the gateway,
and to other workers."""

import asyncio
from pathlib import Path
from typing import Final

_ANSWER_BYTES: Final = 16 << 20


async def ask(socket: str, path: str, body: bytes, patience_s: float) -> tuple[int, bytes]:
    """Ask the process that runs the gateway. Return status and body of the answer. Raises OSError
    as `exchange` does."""
    head = f"POST {path} HTTP/1.1\r\nhost: home\r\ncontent-length: {len(body)}\r\n\r\n"
    return await exchange(socket, head.encode() + body, patience_s)


async def exchange(socket: Path | str, request: bytes, patience_s: float) -> tuple[int, bytes]:
    """Send a request. Return status and body of the answer. Raises OSError (a timeout is one) where
    nobody answers, or not in HTTP."""
    async with asyncio.timeout(patience_s):
        reader, writer = await asyncio.open_unix_connection(socket, limit=_ANSWER_BYTES)
        try:
            writer.write(request)
            return await _read(reader)
        finally:
            writer.close()


async def _read(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        status, *lines = head.split(b"\r\n")
        lengths = [line[15:] for line in lines if line.lower().startswith(b"content-length:")]
        return int(status[9:12]), await reader.readexactly(int(lengths[0]))
    except (EOFError, asyncio.LimitOverrunError, ValueError, IndexError) as error:
        raise ConnectionError(f"the home's answer cannot be read: {error!r}") from error

"""`python -m bench.cloud`: a cloud that costs next to nothing. Prints its port, answers until it is killed.

It counts bytes instead of parsing: all requests of a connection have the length of the first. Events of a stream are
written one by one, without pause, as a busy cloud's front door does. With a certificate it speaks TLS.
"""

import argparse
import asyncio
import os
import ssl
from typing import cast

import uvloop

from bench.traffic import (
    BREAK,
    CUT,
    DROP,
    FAIL,
    FAILURE,
    HOLD,
    STREAM_HEAD,
    stream_pieces,
    whole_answer,
)

_ANSWER, _PIECES, _END = whole_answer(), stream_pieces(), b"0\r\n\r\n"


class Cloud(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._descriptor = transport.get_extra_info("socket").fileno()
        self._encrypted = transport.get_extra_info("ssl_object") is not None
        self._received = b""

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, separator, body = self._received.partition(b"\r\n\r\n")
        if not separator:
            return
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or b"0")
        if len(body) < length:
            return
        self._received = body[length:]
        if HOLD in body:
            self._transport.write(
                STREAM_HEAD + b"".join(_PIECES[:3])
            )  # and nothing more, until the client leaves
        elif self._fails(body):
            pass
        elif b'"stream":true' in body:
            self._stream()
        else:
            self._transport.write(_ANSWER)

    def _fails(self, body: bytes) -> bool:
        """Fail as a body asks for; return whether it does."""
        if b'"user":' not in body:
            return False
        if FAIL in body:
            self._transport.write(FAILURE)
            return True
        if BREAK in body:
            self._transport.write(_ANSWER[:50])
        elif CUT in body:
            streams = b'"stream":true' in body
            pieces = b"".join(_PIECES[:5])
            self._transport.write(STREAM_HEAD + pieces if streams else _ANSWER[:-300])
        elif DROP not in body:
            return False
        self._transport.close()
        return True

    def _stream(self) -> None:
        pieces = [STREAM_HEAD, *_PIECES, _END]
        for index, piece in enumerate(pieces):
            if self._encrypted:
                self._transport.write(piece)
                continue
            try:
                written = os.write(self._descriptor, piece)
            except BlockingIOError:
                written = 0
            if written < len(piece):  # the peer is slow: the rest goes the ordinary way
                self._transport.write(piece[written:] + b"".join(pieces[index + 1 :]))
                return


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--certificate")
    parser.add_argument("--key")
    chosen = parser.parse_args()
    context = None
    if chosen.certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chosen.certificate, chosen.key)
    server = await asyncio.get_running_loop().create_server(Cloud, "127.0.0.1", 0, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())

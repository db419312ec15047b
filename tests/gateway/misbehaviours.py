"""Misbehaviours of scripted clouds, each as a behaviour: statuses, framing, broken and odd answers."""

from gateway_rig import Behaviour, Connection, Received
from gateway_stage import events_of, whole_of

HEAD_WITHOUT_END = b"HTTP/1.1 200 OK\r\n" + b"x-more: and more\r\n" * 40_000
PACKED_TRANSFER = b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n"

INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"


def told(code: int, family: str, *headers: str, kind: str = "requests") -> Behaviour:
    body = b'{"error":{"message":"as told","type":"%b","param":null,"code":"%b"}}' % (kind.encode(), family.encode())

    async def behave(connection: Connection, _: Received) -> None:
        connection.answer(code, body, headers)

    return behave


async def garbage(connection: Connection, _: Received) -> None:
    connection.writer.write(b"\x16\x03\x01\x02 this is no HTTP \xff\r\n\r\n")


async def no_chunks(connection: Connection, request: Received) -> None:
    """Chunked, and then what is no chunk."""
    connection.begin_stream()
    connection.piece(events_of(request)[0])
    await connection.apart()
    connection.writer.write(b"what?\r\n")


async def cut_in_head(connection: Connection, _: Received) -> None:
    connection.writer.write(b"HTTP/1.1 200 OK\r\ncontent-le")
    connection.drop()


async def zstd_frames(connection: Connection, request: Received) -> None:
    """Each event, or the whole answer, in a frame of its own; nobody had asked for it."""
    frame = b"\x28\xb5\x2f\xfd\x20\x05\x29\x00\x00hello"
    if request.json.get("stream"):
        connection.writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-encoding: zstd\r\n"
            b"transfer-encoding: chunked\r\n\r\n"
        )
        connection.piece(frame)
        connection.piece(frame)
        connection.end_stream()
    else:
        connection.answer(200, frame, ["content-encoding: zstd"])


async def stall_in_body(connection: Connection, request: Received) -> None:
    connection.writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n" + whole_of(request)[:50])
    await connection.left()


async def too_short(connection: Connection, request: Received) -> None:
    """A length that is larger than what comes."""
    whole = whole_of(request)
    connection.writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (len(whole) + 7) + whole)
    connection.drop()


async def too_long(connection: Connection, request: Received) -> None:
    """A length that is smaller than what comes."""
    whole = whole_of(request)
    connection.writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (len(whole) - 7) + whole)


async def two_lengths(connection: Connection, request: Received) -> None:
    whole = whole_of(request)
    connection.writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: %d\r\n\r\n" % len(whole) + whole)


def written(data: bytes) -> Behaviour:
    async def behave(connection: Connection, _: Received) -> None:
        connection.writer.write(data)
        await connection.writer.drain()
        await connection.left()

    return behave


def ok(body: bytes, content_type: str = "application/json") -> Behaviour:
    head = f"HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ncontent-length: {len(body)}\r\n\r\n"

    async def behave(connection: Connection, _: Received) -> None:
        connection.writer.write(head.encode() + body)

    return behave


async def two_answers(connection: Connection, request: Received) -> None:
    whole = whole_of(request)
    connection.writer.write((b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(whole) + whole) * 2)


async def interim_after_answer(connection: Connection, request: Received) -> None:
    whole = whole_of(request)
    connection.writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(whole) + whole + INTERIM)
    await connection.left()


async def two_answers_and_interim(connection: Connection, request: Received) -> None:
    whole = whole_of(request)
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(whole) + whole
    connection.writer.write(answer + INTERIM + answer)


async def interim_answers_one_by_one(connection: Connection, _: Received) -> None:
    """More bytes of them than an answer's head may have, each read alone."""
    for length in range(1000, 1080):
        connection.writer.write(b"HTTP/1.1 103 Early Hints\r\nlink: %b\r\n\r\n" % (b"x" * length))
        await connection.apart()
    await connection.left()


async def chunks_in_1_0(connection: Connection, request: Received) -> None:
    head = b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ntransfer-encoding: chunked\r\n\r\n"
    connection.writer.write(head)
    connection.piece(whole_of(request))
    connection.end_stream()


async def cut_without_length(connection: Connection, request: Received) -> None:
    connection.writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n" + whole_of(request)[:50])
    await connection.writer.drain()
    connection.writer.close()

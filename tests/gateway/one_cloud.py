"""A served home with one cloud: its configuration, on a port that is filled in, a cloud that halts, and the records
that are sealed."""

import asyncio
import threading
from collections.abc import Sequence

import pyarrow.parquet as pq
from gateway_rig import DONE_EVENT, PATIENCE_S, USAGE_EVENT, Connection, Received, content_events, well

from clauseway.app.opening.home import Home
from clauseway.app.usage.sealing import open_lake, seal
from clauseway.metering import Status

CONFIGURATION = """
[gateway]
port = 0
drain_s = 30

[[deployment]]
name = "azure-1"
dialect = "openai"
url = "http://127.0.0.1:{port}/v1"
cloud = "azure"
seller = "openai"
region = "global"
auth = {{kind = "bearer", secret_file = "key"}}
models = {{"gpt-5.5" = "there"}}
"""


class HaltingChat:
    """A cloud whose streams halt after their first words until they may go on."""

    def __init__(self) -> None:
        self.may_go_on = threading.Event()

    async def __call__(self, connection: Connection, request: Received) -> None:
        if not request.json.get("stream"):
            await well(connection, request)
            return
        events = content_events(with_nulls=True)
        connection.begin_stream()
        connection.piece(b"".join(events[:3]))
        await connection.writer.drain()
        # In a thread: the loop is all connections'.
        await asyncio.to_thread(self.may_go_on.wait, PATIENCE_S)
        for event in (*events[3:], USAGE_EVENT, DONE_EVENT):
            connection.piece(event)
        connection.end_stream()


def sealed_records(homes: Sequence[Home]) -> list[tuple[str, Status]]:
    """(request, how it ended) of each record in the lake that the homes share, once all is sealed."""
    for home in homes:
        seal(home)
    with open_lake(homes[0]) as lake:
        tables = [pq.read_table(path, columns=["request_id", "status"]) for path in lake.files(kind="usage")]
    rows = [row for table in tables for row in table.to_pylist()]
    return [(row["request_id"], Status(row["status"])) for row in rows]

"""The time that clients wait after a kill, by how many requests the dead gateway left that nobody has sealed.

A journal of so many requests, the last ones open, is what the next gateway finds. Its first answer counts from
the start of the process. Behind its requests it reads that journal and ends what was open there: its largest size
until then, over what the same gateway takes with an empty journal, is what the reading takes.
"""

import os
import socket
import time
from pathlib import Path

from bench.data_plane import Bench, running
from bench.results import Effort, Result, result
from bench.traffic import request
from clauseway.metering import Buyer, Deployment, Ruling, Status
from clauseway.spool import Label, newest_segment, pack_intent, pack_usage_fields, read_frames
from clauseway.spool.segment_format import pack_frame_header, pack_label, pack_segment_header

_UNSEALED = (0, 260_000, 736_000)
_FIRST_ANSWER_S, _MEMORY_MB = 0.5, 60.0
_OPEN = _AT_ONCE = 32
_SEGMENT_BYTES = 16 << 20
_BOOT, _BEGIN_NS = 77, 1_790_000_000_000_000_000
_UNITS = ((2, 1_000), (3, 400), (6, 120))
_LABELS: tuple[Label, ...] = (
    Buyer("acme", "research", "key_0123456789abcdef", "openai", "any"),
    Deployment("azure-east", "azure", "openai", "eastus2", "gpt-5.4", "gpt-5.4-2026-03-05"),
    Ruling("5f0c", "permitted", ("A5.any-cloud",), "a receipt is about so long. " * 40),
)
_PATIENCE_S = 120.0


def measure(effort: Effort) -> list[Result]:
    answers_s: dict[int, list[float]] = {unsealed: [] for unsealed in _UNSEALED}
    sizes_mb: dict[int, list[float]] = {unsealed: [] for unsealed in _UNSEALED}
    read_s: dict[int, list[float]] = {unsealed: [] for unsealed in _UNSEALED}
    with running(effort, peers=()) as bench:
        for number in range(effort.rounds):
            for unsealed in _UNSEALED:
                name = f"{unsealed}-unsealed-{number}"
                _leave(bench.home / name / "spool", unsealed)
                answered_s, size_mb, ended_s = _start(bench, name)
                answers_s[unsealed].append(answered_s)
                sizes_mb[unsealed].append(size_mb)
                read_s[unsealed].append(ended_s)
    results = []
    for unsealed in _UNSEALED[1:]:
        name = f"restart/{unsealed // 1000}k-unsealed"
        more_mb = [
            round(size - empty, 1)
            for size, empty in zip(sizes_mb[unsealed], sizes_mb[0], strict=True)
        ]
        took = read_s[unsealed]
        note = {"ours": f"all was read {min(took)} to {max(took)} s after the start"}
        answers = {"ours": answers_s[unsealed], "empty journal": answers_s[0]}
        results += [
            result(f"{name}/first-answer", "s", _FIRST_ANSWER_S, answers, note),
            result(f"{name}/memory", "MB more", _MEMORY_MB, {"ours": more_mb}, {}),
        ]
    return results


def _start(bench: Bench, name: str) -> tuple[float, float, float]:
    """Seconds to the first answer, the largest size in MB until all was read, seconds until then."""
    begun_s = time.perf_counter()
    proxy = bench.another(name)
    with socket.create_connection(("127.0.0.1", proxy.port)) as connection:
        connection.sendall(request(stream=False))
        assert connection.recv(12) == b"HTTP/1.1 200"
    answered_s = time.perf_counter() - begun_s
    spool = bench.home / name / "spool"
    while _lost(spool) < _OPEN:
        assert time.perf_counter() - begun_s < _PATIENCE_S, "what was open has no end"
        time.sleep(0.02)
    ended_s = time.perf_counter() - begun_s
    (process,) = proxy.processes
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    largest_kb = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    return round(answered_s, 3), round(largest_kb / 1024, 1), round(ended_s, 2)


def _lost(spool: Path) -> int:
    """The number of attempts that the gateway which writes there has ended for a dead one."""
    batch = read_frames(spool, newest_segment(spool), 0, 1 << 40)
    return sum(record.status is Status.LOST for record in batch.records)


def _leave(spool: Path, requests: int) -> None:
    """A journal as a killed gateway leaves it: so many requests, some to a commit, and the last ones open."""
    spool.mkdir(parents=True)
    identity, segment, number = os.urandom(16), 0, 0
    while number < requests or not segment:
        header = pack_segment_header(identity, segment, _BEGIN_NS, _BOOT)
        seed = int.from_bytes(header[56:60], "little")
        frames = [header]
        size = frame = 0
        while size < _SEGMENT_BYTES and (number < requests or not frame):
            records = (
                [] if frame else [pack_label(code, label) for code, label in enumerate(_LABELS)]
            )
            labels = len(records)
            last = number + _AT_ONCE >= requests
            for _ in range(_AT_ONCE if number < requests else 0):
                records += [_intent(number), _end(number)]
                number += 1
            if last:
                records += [_intent(number + more) for more in range(_OPEN)]
            payload = b"".join(records)
            frames += [pack_frame_header(payload, frame, len(records), labels, seed), payload]
            size, frame = size + len(payload), frame + 1
        if number < requests:
            frames.append(pack_frame_header(b"", frame, 0, 0, seed))
        (spool / f"{segment:016d}.seg").write_bytes(b"".join(frames))
        segment += 1


def _intent(number: int) -> bytes:
    at_ns = _BEGIN_NS + number
    return pack_intent(
        boot=_BOOT,
        number=number,
        attempt=1,
        event_ns=at_ns,
        recorded_ns=at_ns,
        buyer=0,
        deployment=1,
        ruling=2,
        endpoint=1,
        body_bytes=2_048,
        output_tokens_max=512,
        reserved_picodollars=77,
    )


def _end(number: int) -> bytes:
    at_ns = _BEGIN_NS + number
    return pack_usage_fields(
        boot=_BOOT,
        number=number,
        attempt=1,
        event_ns=at_ns,
        recorded_ns=at_ns,
        buyer=0,
        deployment=1,
        ruling=2,
        endpoint=1,
        status=1,
        http_status=200,
        streamed=False,
        duration_us=900,
        first_content_us=300,
        charge_picodollars=4_100,
        units=_UNITS,
        upstream_id=b"chatcmpl-0123456789abcdef",
    )

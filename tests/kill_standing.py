"""The processes of an installation while nothing goes on, for whoever has to find out why: what they do, and what they
hold of memory and descriptors."""

import contextlib
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import psycopg

from kill_load import Got
from kill_stage import Part, Stage, command_line, descendants

_LATELY_S = 60.0
_LOG_LINES = 12
_MIB = 1024
_STACK_S = 30.0


def standing(stage: Stage, got: Sequence[Got], now_s: float) -> str:
    """Return what stood still: clients' answers, processes, the database's connections, stacks and logs."""
    lines = [f"Answers of the last {_LATELY_S:.0f} s:", *_answers(got, now_s), "Processes:"]
    pids: list[int] = []
    for part in stage.parts:
        lines.append(f"  {part.name}: {'runs' if part.running else 'does not run'}")
        for pid in _pids(part):
            lines.append(f"    {pid} {_process(pid)}")
            pids.append(pid)
    lines += ["Connections of the database:", *_connections(stage.database.address), *_stacks(pids)]
    for part in stage.parts:
        lines += [f"Last said by {part.name}:", *(f"  {line}" for line in _last_lines(part.log))]
    return "\n".join(lines)


def held(stage: Stage) -> dict[str, dict[str, int]]:
    """Return what the processes hold, the most of each kind: memory in MiB, and descriptors."""
    pids = {
        "gateways": [pid for machine in stage.machines for pid in machine.gateways()],
        "parents": [machine.pid for machine in stage.machines],
        "follower": [stage.follower.pid],
    }
    return {
        kind: {
            "memory MiB": max(memory_kib(pid) for pid in of_kind) // _MIB,
            "descriptors": max(descriptors(pid) for pid in of_kind),
        }
        for kind, of_kind in pids.items()
    }


def has_sealed(pid: int) -> bool:
    """Return whether a process has sealed since its start: it has loaded the library that writes Parquet."""
    return "libparquet" in Path(f"/proc/{pid}/maps").read_text()


def memory_kib(pid: int) -> int:
    """Return the resident memory of a process."""
    return int(_status(pid).get("VmRSS", "0").split()[0])


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def _pids(part: Part) -> list[int]:
    return [part.pid, *descendants(part.pid)] if part.running else []


def _answers(got: Sequence[Got], now_s: float) -> Iterator[str]:
    lately = [answer for answer in got if answer.ended_s >= now_s - _LATELY_S]
    counts = Counter((got.port, got.customer, f"{got.outcome} {got.status} {got.code}".strip()) for got in lately)
    for (port, customer, outcome), count in sorted(counts.items()):
        yield f"  port {port}, {customer}: {outcome}, {count} times"
    if not counts:
        yield "  none"


def _process(pid: int) -> str:
    """Return a process's state in a line. One that ended meanwhile has ended."""
    try:
        status, waits = _status(pid), Path(f"/proc/{pid}/wchan").read_text()
        facts = f"{status['State']}, {status['Threads']} threads, {descriptors(pid)} descriptors"
        return f"{facts}, {memory_kib(pid) // _MIB} MiB, waits in {waits}: {command_line(pid)[:120]}"
    except (OSError, KeyError):
        return "has ended"


def _status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _connections(address: str) -> Iterator[str]:
    asked = (
        "SELECT pid, client_port, state, wait_event_type, wait_event, now() - xact_start, left(query, 100) "
        "FROM pg_stat_activity WHERE backend_type = 'client backend' ORDER BY pid"
    )
    try:
        with psycopg.connect(address, connect_timeout=5, autocommit=True) as connection:
            for row in connection.execute(asked):
                yield "  " + ", ".join(map(str, row))
            for row in connection.execute("SHOW max_connections"):
                yield f"  of at most {row[0]}"
    except psycopg.Error as error:
        yield f"  it cannot be asked: {error}"


def _stacks(pids: Sequence[int]) -> Iterator[str]:
    """Each Python process's stack, where py-spy is there to tell it."""
    program = shutil.which("py-spy")
    if program is None:
        yield "Stacks: not told, py-spy is not on the path"
        return
    for pid in pids:
        with contextlib.suppress(subprocess.TimeoutExpired):
            asked = [program, "dump", "--pid", str(pid)]
            result = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=_STACK_S)
            if result.returncode == 0:
                yield result.stdout.rstrip()


def _last_lines(log: Path) -> list[str]:
    return log.read_text(errors="replace").splitlines()[-_LOG_LINES:] if log.exists() else []

"""The simulated clock between two processes: what is read was written, whole."""

import subprocess
import sys
from pathlib import Path

from clauseway.sandbox.traffic.clock import SimulatedClock

# A large prime: what is half of one multiple and half of the next is hardly ever a multiple.
STEP = 1_000_000_000_039
WRITES = 1_000_000
READER = """
import sys
from pathlib import Path
from clauseway.gateway.plan.clock import simulated_clock
now = simulated_clock(Path(sys.argv[1]))
print("reading", flush=True)
seen = 0
while seen < int(sys.argv[2]):
    previous, seen = seen, now()
    assert seen % int(sys.argv[3]) == 0, f"{seen:#x} was never written"
    assert seen >= previous, "the clock went back"
"""


def test_a_reader_never_sees_an_instant_that_never_was(tmp_path: Path) -> None:
    path, last = tmp_path / "clock", STEP * WRITES
    with SimulatedClock.create(path, 0) as clock:
        command = [sys.executable, "-c", READER, str(path), str(last), str(STEP)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as reader:
            assert reader.stdout is not None
            assert reader.stderr is not None
            assert reader.stdout.readline() == b"reading\n"
            for factor in range(1, WRITES + 1):
                clock.set(STEP * factor)
            errors = reader.stderr.read()
        assert (reader.returncode, errors) == (0, b"")

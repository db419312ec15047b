"""The command line: the CPU of a question and of help, beside that of an interpreter that does nothing."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence

from bench.results import Effort, Result, result

# Starts that make one round: the clock of a process's CPU is coarse beside an empty interpreter's few milliseconds.
_STARTS = 5
_NOTHING = ("-c", "pass")
_QUESTION = (
    *("decide", "--action", "serve", "--party", "openai", "--product", "api.stateless"),
    *("--cloud", "aws", "--as-of", "2026-03-15"),
)
# Name → arguments, and how many times the CPU of an empty interpreter it may take.
_COMMANDS: Mapping[str, tuple[Sequence[str], float]] = {
    "decide": (_QUESTION, 25),
    "help": (("--help",), 15),
}


def measure(effort: Effort) -> list[Result]:
    """Both commands in turn with the empty interpreter; bytecode is there, as after every first start."""
    return [_times_nothing(name, effort) for name in _COMMANDS]


def _times_nothing(name: str, effort: Effort) -> Result:
    arguments, goal = _COMMANDS[name]
    command = ("-m", "clauseway", *arguments)
    _cpu_s(command)
    pairs = [(_cpu_s(command), _cpu_s(_NOTHING)) for _ in range(effort.rounds)]
    seconds = sorted(ours for ours, _ in pairs)[effort.rounds // 2]
    return result(
        f"cli/{name}",
        "times the CPU of python -c pass",
        goal,
        {"ours": [round(ours / nothing, 2) for ours, nothing in pairs]},
        {"ours": f"{seconds:.3f} s of CPU"},
    )


def _cpu_s(command: Sequence[str]) -> float:
    """Seconds of CPU for a start, user's and system's."""
    environment = {
        name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"
    }
    spent = 0.0
    for _ in range(_STARTS):
        child = subprocess.Popen(
            [sys.executable, *command],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        # `decide` says with 2 that the answer is not: permitted.
        assert child.returncode in (0, 2), command
        spent += used.ru_utime + used.ru_stime
    return spent / _STARTS

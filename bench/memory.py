"""The peak of a process's memory, for figures taken in a process of their own."""

from pathlib import Path


def peak_megabytes() -> float:
    """This process's since it was started. What getrusage says begins with the peak of the one that started it."""
    status = Path("/proc/self/status").read_text()
    return (
        next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))
        / 1024
    )

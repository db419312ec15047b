"""docs/monitoring.md names every event and every metric that there is, and no other."""

import re
from pathlib import Path

from operation_pages import section

ROOT = Path(__file__).parents[2]
GATEWAY = "".join(path.read_text() for path in sorted((ROOT / "src/clauseway/gateway").rglob("*.py")))
# `plan refused` and its like are put together.
PUT_TOGETHER = {f"{what} refused" for what in ("plan", "certificate", "authorities")}


def test_every_event_is_told_of() -> None:
    documented = set(re.findall(r"`([a-z ]+)`", "".join(re.findall(r"(?m)^\| (`.*?) \|", section("Log")))))
    emitted = set(
        re.findall(
            r'"((?:[a-z]+ )*[a-z]+)"', "".join(re.findall(r"(?:event\(\s*|Line\(\s*time\S+,\s+|event = )(.*)", GATEWAY))
        )
    )
    assert documented - emitted - PUT_TOGETHER == set()
    events = set(re.findall(r'\.event\(\s*"([a-z ]+)"', GATEWAY))
    assert len(events) > 12
    assert events - documented == set()


def test_every_metric_is_told_of() -> None:
    documented = set(re.findall(r"`(clauseway_\w+)`", section("Metrics")))
    families = set(re.findall(r'"(clauseway_\w+)"', (ROOT / "src/clauseway/gateway/process/metrics.py").read_text()))
    assert documented == families

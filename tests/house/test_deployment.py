"""The files of `deploy`: units that systemd takes, commands that exist, alerts on figures that exist."""

import re
import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from debian_programs import find
from in_process import run

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UNITS = sorted(path for path in DEPLOY.iterdir() if path.suffix in (".service", ".timer"))
PROGRAM = "/opt/clauseway/bin/clauseway"
ALERTS = DEPLOY / "alerts.yml"
PAGE = (ROOT / "docs/operation.md").read_text()
METRICS = (ROOT / "src/clauseway/gateway/process/metrics.py").read_text()
# Prometheus' names for a sample of a family of each kind.
SAMPLES = {"Counter": ("_total",), "Gauge": ("",), "Histogram": ("_bucket", "_sum", "_count")}


def section(title: str) -> str:
    return PAGE[PAGE.index(f"\n## {title}\n") :].split("\n## ")[1]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_takes_each_unit(unit: Path, tmp_path: Path) -> None:
    systemd = find("systemd-analyze", "systemd", "libsystemd-shared")
    if systemd is None:
        pytest.skip("no systemd-analyze on PATH, and Debian's package cannot be fetched here")
    for each in UNITS:  # a timer is verified with its service; the program is not installed there
        (tmp_path / each.name).write_text(each.read_text().replace(PROGRAM, "/bin/true"))
    done = subprocess.run([*systemd, "verify", tmp_path / unit.name], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_each_command_of_a_unit_exists_with_its_options(unit: Path) -> None:
    lines = [line.partition(PROGRAM)[2].rstrip("'") for line in unit.read_text().splitlines() if f"{PROGRAM} " in line]
    assert lines or unit.suffix == ".timer"
    for line in lines:
        words = line.split()
        command = words[: next(index for index, word in enumerate(words) if not word.isalpha())]
        help_text = run(*command, "--help", columns=200)
        assert help_text.returncode == 0, line
        assert [word for word in words if word.startswith("--") and word not in help_text.stdout] == []


def rules() -> list[dict[str, str]]:
    (group,) = YAML(typ="safe").load(ALERTS)["groups"]
    listed: list[dict[str, str]] = group["rules"]
    return listed


def test_prometheus_takes_the_alerts() -> None:
    promtool = find("promtool", "prometheus")
    if promtool is None:
        pytest.skip("no promtool on PATH, and Debian's package cannot be fetched here")
    done = subprocess.run([*promtool, "check", "rules", ALERTS], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_alerts_ask_for_figures_that_the_gateway_shows() -> None:
    kinds = re.findall(r"(Counter|Gauge|Histogram)MetricFamily\(\s*\"(clauseway_\w+)\"", METRICS)
    samples = {f"{name}{ending}" for kind, name in kinds for ending in SAMPLES[kind]}
    asked = {name for rule in rules() for name in re.findall(r"clauseway_\w+", rule["expr"])}
    assert len(asked) > 10
    assert asked - samples == set()


def test_each_alert_has_a_line_of_what_to_do() -> None:
    told = re.findall(r"(?m)^\| `(Clauseway\w+)` \| (.+?) \| (.+) \|$", section("Alerts"))
    assert sorted(name for name, _, _ in told) == sorted(rule["alert"] for rule in rules())

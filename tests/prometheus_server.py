"""A real Prometheus with our rules: it scrapes sockets that are there before it, and says which alerts fire."""

import contextlib
import json
import re
import socket
import subprocess
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from ruamel.yaml import YAML

from debian_programs import find

PATIENCE_S = 60.0
ALERTS = Path(__file__).parents[1] / "src/clauseway/web/monitoring/alerts.yml"
# Often enough that a test waits for the fault and hardly for the scrape.
EVERY = "500ms"
# Of a gateway that waits a second for a worker that does not answer.
SELDOM = "2s"


class Prometheus:
    """The server, asked over HTTP."""

    def __init__(self, address: str, listeners: Mapping[str, socket.socket]) -> None:
        self.listeners = listeners
        self._http = httpx.Client(base_url=f"http://{address}/api/v1", timeout=PATIENCE_S)

    def values(self, expression: str) -> list[float]:
        answer = self._http.get("/query", params={"query": expression})
        assert answer.status_code == 200, answer.text
        return [float(sample["value"][1]) for sample in answer.json()["data"]["result"]]

    def firing(self, *instances: str) -> set[str]:
        """Return the rules that fire for these instances, by the latest evaluation of all rules."""
        return {
            alert["labels"]["alertname"]
            for alert in self._alerts()
            if alert["state"] == "firing" and alert["labels"].get("instance", instances[0]) in instances
        }

    def evaluated_after(self, instant_s: float) -> bool:
        """Return whether all rules were evaluated since then, each without an error."""
        (group,) = self._groups()
        bad = [rule["name"] for rule in group["rules"] if rule["health"] == "err"]
        assert bad == []
        return datetime.fromisoformat(group["lastEvaluation"]).timestamp() > instant_s

    def _groups(self) -> list[Any]:
        groups: list[Any] = self._http.get("/rules").json()["data"]["groups"]
        return groups

    def _alerts(self) -> Iterator[Any]:
        for group in self._groups():
            for rule in group["rules"]:
                yield from rule["alerts"]


def rules_without_waiting() -> str:
    """The rules as they ship, but for how long each has to hold."""
    rules = YAML(typ="safe").load(ALERTS)
    for group in rules["groups"]:
        for rule in group["rules"]:
            rule.pop("for", None)
    return json.dumps(rules)  # YAML holds JSON


@contextlib.contextmanager
def scraping(folder: Path, instances: Sequence[str], slow: Collection[str] = ()) -> Iterator[Prometheus]:
    """Scrape a socket for each instance, where a gateway may answer later; an answer of the `slow` ones is awaited
    longer. Skips where Prometheus cannot be had."""
    promtool = find("promtool", "prometheus", "promtool")
    program = Path(promtool[-1]).with_name("prometheus") if promtool is not None else None
    if program is None or not program.exists():
        pytest.skip("no Prometheus on PATH, and Debian's package cannot be fetched here")
    with contextlib.ExitStack() as stack:
        listeners = {name: stack.enter_context(socket.create_server(("127.0.0.1", 0))) for name in instances}
        # The rules look for the job that the operator's page names.
        jobs: dict[str, list[object]] = {"clauseway": [], "slow": []}
        for name, listener in listeners.items():
            target = {"targets": [f"127.0.0.1:{listener.getsockname()[1]}"], "labels": {"instance": name}}
            jobs["slow" if name in slow else "clauseway"].append(target)
        asked = {
            "global": {"evaluation_interval": EVERY},
            "rule_files": [str(folder / "rules.json")],
            "scrape_configs": [
                {"job_name": job, "scrape_interval": every, "scrape_timeout": every, "static_configs": jobs[job]}
                for job, every in (("clauseway", EVERY), ("slow", SELDOM))
            ],
        }
        (folder / "rules.json").write_text(rules_without_waiting())
        (folder / "prometheus.json").write_text(json.dumps(asked))
        command = [str(program), f"--config.file={folder}/prometheus.json", f"--storage.tsdb.path={folder}/data"]
        command += ["--web.listen-address=127.0.0.1:0", "--scrape.discovery-reload-interval=100ms"]
        log = folder / "prometheus.log"
        with log.open("wb") as lines:
            process = subprocess.Popen(command, stdout=lines, stderr=lines)
        stack.callback(process.wait)
        stack.callback(process.kill)
        yield Prometheus(_address(process, log), listeners)


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    """Wait until it says where it listens."""
    give_up_s = time.monotonic() + PATIENCE_S
    while not (said := re.search(r'msg="Listening on" address=(\S+)', log.read_text())):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < give_up_s, log.read_text()
        time.sleep(0.01)
    return said[1]

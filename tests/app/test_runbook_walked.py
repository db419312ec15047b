"""docs/runbook.md in an emergency, with real processes under load: a key that leaked, and a disk that is lost with
everything on it. The commands are the page's, in its order."""

import json
import re
import shlex
import shutil
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from test_operation_walked import ACCEPTED, DEPLOYMENT, SERVED, Serving, Walk, following_as

from clauseway.app.opening.home import Home
from clauseway.spool import identify
from in_process import answer, run
from kill_load import Customer, KillLoad
from kill_stage import Cloud, eventually
from operation_pages import section
from ports import free_ports

LOST = "Backup and restore"
LEAKED = "A secret that leaked"
WORKERS = 2
Told = tuple[str, int, int]  # the cloud, and the tokens of an answer


class Installation:
    """A home that is served in front of two clouds, and clients who ask on and on."""

    def __init__(self, root: Path) -> None:
        self.root, self.home = root, Home(root / ".clauseway").make()
        self.port, *ports = free_ports(3)
        self.clouds = [Cloud(name, root, port) for name, port in zip(("azure", "aws"), ports, strict=True)]
        self.machine = Serving(self.home, f"clauseway serve --workers {WORKERS}")
        self.configuration = root / "clauseway.toml"

    def configure(self, follower: int = 0) -> None:
        text = SERVED.format(agreement="", port=self.port, follower=follower, secret=self.root / "follower.secret")
        text = text.partition("\n")[2]
        if not follower:
            text = text.partition("[journal]")[0]
        text += "".join(DEPLOYMENT.format(cloud=cloud.name, port=cloud.port) for cloud in self.clouds)
        self.configuration.write_text(text)
        self.home.configuration.write_text(text)

    def key(self) -> dict[str, str]:
        made: dict[str, str] = answer(
            "key", "create", "--organisation", "acme", "--seller", "openai", home=self.home.root
        )
        return made

    def start(self, stack: ExitStack) -> None:
        for part in (*self.clouds, self.machine):
            stack.callback(part.kill)
            part.start()

    def told(self) -> dict[str, Told]:
        """The cloud and the tokens of each answer that a cloud gave whole, by the cloud's name for it."""
        return {
            line["name"]: (cloud.name, line["input"], line["output"])
            for cloud in self.clouds
            if cloud.ledger.exists()
            for line in map(json.loads, cloud.ledger.read_text().splitlines())
            if line["kind"] == "told"
        }

    def metered(self) -> dict[str, Told]:
        """The same, of the answers that are sealed as whole."""
        whole = [event for event in self._events() if event["upstream_id"]]
        by_name = {event["upstream_id"]: told_by(event) for event in whole}
        assert len(by_name) == len(whole), "no answer is metered twice"
        return by_name

    def settled(self) -> list[Told]:
        """Return the usage that the month was settled from: metered here or imported."""
        return [told_by(event) for event in self._events()]

    def _events(self) -> list[dict[str, Any]]:
        """The usage records of answers that were whole."""
        out = self.root / "usage.jsonl"
        assert run("export", "usage", "--format", "cloudevents", "--out", str(out), home=self.home.root).returncode == 0
        events = [json.loads(line)["data"] for line in out.read_text().splitlines()]
        return [event for event in events if event["status"] == "complete"]


def told_by(event: Mapping[str, Any]) -> Told:
    return event["cloud"], event["units"]["input_tokens"], event["units"]["output_tokens"]


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return Installation(tmp_path)


@pytest.fixture
def walk(tmp_path: Path) -> Walk:
    return Walk(tmp_path)


# A secret that leaked


class Connections:
    """Connections to every worker, of each several: the kernel spreads them."""

    def __init__(self, url: str) -> None:
        self._clients = [httpx.Client(base_url=url) for _ in range(12)]

    def workers(self) -> set[int]:
        return {client.get("/readyz").json()["worker"] for client in self._clients}

    def statuses(self, secret: str) -> set[int]:
        head = {"authorization": f"Bearer {secret}"}
        return {client.get("/v1/models", headers=head).status_code for client in self._clients}

    def close(self) -> None:
        for client in self._clients:
            client.close()


def connected(url: str) -> Connections:
    """Connect until every worker has a connection."""
    while len((connections := Connections(url)).workers()) < WORKERS:
        connections.close()
    return connections


def test_a_key_leaks_is_ended_and_its_usage_is_disputed(
    walk: Walk, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, day = installation.home, f"{datetime.now(UTC):%Y-%m-%d}"
    monkeypatch.setenv("CLAUSEWAY_HOME", str(home.root))
    installation.configure()
    leaked = installation.key()
    (installation.root / "leaked.txt").write_text(leaked["secret"] + "\n")
    with ExitStack() as stack:
        installation.start(stack)
        gateway = connected(f"http://127.0.0.1:{installation.port}")
        stack.callback(gateway.close)
        assert gateway.statuses(leaked["secret"]) == {200}
        with KillLoad([installation.port], lambda _: Customer("thief", leaked["secret"]), clients=2) as load:
            eventually(lambda: load.whole >= 10, "whoever has the key asks with it")
            # Its customer goes on with another secret, and whoever has the former one is refused by every worker.
            assert leaked["key_id"] in walk(LEAKED, "clauseway key find")
            named = {"key_0123456789abcdef": leaked["key_id"]}
            (secret,) = re.findall(r"cw-\S+", walk(LEAKED, "clauseway key rotate", named))
            eventually(lambda: gateway.statuses(leaked["secret"]) == {401}, "every worker refuses the former secret")
            eventually(lambda: load.statuses[401], "a client hears it")
        eventually(lambda: gateway.statuses(secret) == {200}, "every worker accepts the secret that took its place")
        walk(LEAKED, "clauseway key revoke", named)
        eventually(lambda: gateway.statuses(secret) == {401}, "every worker refuses the other one too")
        # Requests that the load sent and got whole.
        asked = [got.request for got in load.got if got.outcome == "whole"]
        shown = named | {"2026-11-20": day}
        eventually(lambda: set(asked) <= set(installation_requests(home, leaked["key_id"])), "all of it is sealed")
        assert "there" in walk(LEAKED, "clauseway usage show", shown)  # the model, as its cloud calls it
        listed = walk(LEAKED, "clauseway usage show", shown)
        assert [request for request in asked if request not in listed] == []
        steps = walk(LEAKED, "clauseway usage request", {"req_0123456789abcdef0123456789abcdef": asked[0]})
        assert leaked["key_id"] in steps
        # Its charge is disputed, and the customer has a new key.
        disputed = walk(LEAKED, "clauseway books dispute", {"req_0123456789abcdef0123456789abcdef": asked[0]})
        assert "leak-1" in disputed
        assert run("settle", "--period", day[:7], *ACCEPTED, home=home.root).returncode == 0
        (secret,) = re.findall(r"cw-\S+", walk(LEAKED, "clauseway key create"))
        eventually(lambda: gateway.statuses(secret) == {200}, "every worker accepts the new key")


def installation_requests(home: Home, key: str) -> list[str]:
    return [row["request"] for row in answer("usage", "show", "--key", key, "--by", "request", home=home.root)]


# A disk that is lost


def test_a_home_is_lost_with_its_disk_and_a_backup_takes_over(
    walk: Walk, installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The copy has what the backup lacks. Then every token that a cloud told is settled once."""
    home = installation.home
    installation.key()
    secret = installation.key()["secret"]
    hash_key = (home.root / "hash.key").read_bytes()
    (tmp_path / "backups").mkdir()
    place, copies = {"/mnt/backups": "backups"}, {"/var/lib/clauseway/copies": "copies"}
    with ExitStack() as stack:
        follower = stack.enter_context(following_as("A disk that is gone", walk))
        installation.configure(follower)
        installation.start(stack)
        load = stack.enter_context(KillLoad([installation.port], lambda _: Customer("acme", secret), clients=2))
        eventually(lambda: load.whole >= 30, "the gateway answers")
        walk.home = home.root
        walk(LOST, "clauseway home backup", place)
        before, sealed = load.whole, served(home)
        eventually(lambda: served(home) > sealed, "more is sealed, which is lost with the disk")
        eventually(lambda: load.whole >= before + 30, "the gateway answers after the backup")
        journals = [identify(directory).hex() for directory in sorted(home.spools.iterdir())]
        installation.machine.kill()
        load.__exit__()
        shutil.rmtree(home.root)
        walk.home = None
        restore(walk, home, place)
        (home.root / "hash.key").write_bytes(hash_key)
        kept = run("journal", "copies", "--dir", str(tmp_path / "copies"), home=home.root).stdout
        assert [journal for journal in journals if journal not in kept] == []
        (recovering,) = re.findall(r"`(clauseway journal recover [^`]* --home /var/lib/clauseway)`", section(LOST))
        for journal in journals:
            there = copies | {"8732aa57": journal[:8], "/var/lib/clauseway": str(home.root)}
            done = run(*in_place(recovering, there), cwd=tmp_path)
            assert done.returncode == 0, done.stderr
        assert run("audit", "verify", home=home.root).returncode == 0
        assert run("budget", "set", "--organisation", "acme", "--amount", "50", home=home.root).returncode == 0
        metered = installation.metered()
        missing = {name: each for name, each in installation.told().items() if name not in metered}
        # A client's answer may have been on its way when the gateway was killed.
        assert len(missing) <= 2
        account_for(walk, home, missing)
        whole = [got for got in load.got if got.outcome == "whole"]
        assert len(whole) >= 60
        # The recount, by cloud: every token that a cloud told is settled once.
        assert tokens_by_cloud(installation.settled()) == tokens_by_cloud(installation.told().values())
        installation.machine.start()
        again = httpx.get(
            f"http://127.0.0.1:{installation.port}/v1/models", headers={"authorization": f"Bearer {secret}"}
        )
        assert again.status_code == 200


def served(home: Home) -> int:
    """The answers that are sealed."""
    return sum(row["served"] for row in answer("usage", "show", home=home.root))


def restore(walk: Walk, home: Home, place: dict[str, str]) -> None:
    """Take the backup in the place of a home that is gone for good."""
    # The job of every night, a look beside the living home, the units, and a home that is there.
    for begin in ("clauseway home backup", "clauseway home restore", "clauseway audit", "clauseway settle"):
        walk.line(LOST, begin, {})
    for begin in ("clauseway statement", "systemctl stop"):
        walk.line(LOST, begin, {})
    here = {"/var/lib/clauseway": str(home.root)}
    assert "FAILED" not in walk(LOST, "(cd /mnt/backups", place)
    walk.line(LOST, "mv", {})
    walk(LOST, "install", here | {" -o clauseway -g clauseway": ""})
    walk.line(LOST, "cd /", {})
    assert "may be served" in walk(LOST, "runuser", place | here | {"runuser -u clauseway -- ": ""})


def account_for(walk: Walk, home: Home, missing: Mapping[str, Told]) -> None:
    """Import what the clouds billed beyond the meter, and accept the losses on it."""
    heading = "Usage that is gone"
    (event,) = re.findall(r"```json\n(.*?)```", section(heading), re.DOTALL)
    lines = []
    for name, (cloud, input_tokens, output_tokens) in missing.items():
        line = json.loads(event) | {"id": name, "time": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"}
        units = {"input_tokens": input_tokens, "output_tokens": output_tokens}
        lines.append(json.dumps(line | {"data": line["data"] | {"cloud": cloud, "units": units}}))
    (walk.folder / "lost.jsonl").write_text("\n".join(lines) + "\n")
    walk.home = home.root
    walk.line(heading, "clauseway usage reconcile", {})
    importing = walk.line(heading, "clauseway usage import", {})
    if missing:
        assert run(*in_place(importing, {}), cwd=walk.folder, home=home.root).returncode == 0
    walk(heading, "clauseway usage quarantine")
    accepting = walk.line(heading, "clauseway spool accept", {})
    for loss in answer("spool", "list", home=home.root, code=2)["losses"]:
        done = run(*in_place(accepting, {"accept 1": f"accept {loss['number']}"}), home=home.root)
        assert done.returncode == 0, done.stderr
    assert run("spool", "list", home=home.root).returncode == 0
    walk(
        heading, "clauseway settle", {"2026-11": f"{datetime.now(UTC):%Y-%m}", "settle": f"settle {' '.join(ACCEPTED)}"}
    )


def tokens_by_cloud(answers: Iterable[Told]) -> dict[str, tuple[int, int]]:
    sums: dict[str, tuple[int, int]] = {}
    for cloud, input_tokens, output_tokens in answers:
        before = sums.get(cloud, (0, 0))
        sums[cloud] = (before[0] + input_tokens, before[1] + output_tokens)
    return sums


def in_place(line: str, changes: dict[str, str]) -> list[str]:
    for old, new in changes.items():
        assert old in line, f"{line!r} has no {old!r}"
        line = line.replace(old, new)
    return shlex.split(line)[1:]

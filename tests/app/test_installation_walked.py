"""docs/operation.md from an empty machine to a key that is accepted, and to a newer program: each command, literally.

The machine is a namespace of its own: /etc, /var/lib and /usr/local are written into memory, and its ports are its own.
Nothing is left behind. A stand-in for systemctl runs a unit's commands as its user, with its environment. The libraries
are the suite's: /opt/clauseway is not installed anew.
"""

import re
import shlex
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from operation_pages import section

ROOT = Path(__file__).parents[2]
HEADINGS = ("On a server", "As a service", "Restarting machines in turn", "A newer program at an older home")
INSTALLS = ("python3 -m venv", "/opt/clauseway/bin/pip")
# Written into memory, over what the machine has.
OVER = ("/etc", "/var/lib", "/usr/local")

SYSTEMCTL = """#!/bin/bash
# The part of systemctl that the page uses.
set -eu
units=/etc/systemd/system
setting() { sed -n "s/^$1=//p" "$units/$2.service" | tail -1; }
end() {
    [ -e "/mnt/$1.pid" ] || return 0
    kill -TERM "$(cat "/mnt/$1.pid")"
    tail --pid="$(cat "/mnt/$1.pid")" -f /dev/null
}
begin() {
    [ -e "$units/$1.service" ] || return 0
    file=$(setting EnvironmentFile "$1")
    as=(runuser -u "$(setting User "$1")" -- env -i PATH=/usr/bin:/bin $(setting Environment "$1") $(cat "${file#-}"))
    cd /
    umask 077
    "${as[@]}" $(setting ExecStartPre "$1")
    "${as[@]}" $(setting ExecStart "$1") >>/mnt/log 2>&1 </dev/null &
    echo $! >"/mnt/$1.pid"
}
act=$1
shift
for unit in "$@"; do
    case $act in
    enable | start) [ "$unit" = --now ] || begin "$unit" ;;
    status) kill -0 "$(cat "/mnt/$unit.pid")" ;;
    stop) end "$unit" ;;
    restart) end "$unit" && begin "$unit" ;;
    *) exit 1 ;;
    esac
done
"""


def isolated(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a script as root of a machine of its own."""
    command = [
        "unshare",
        "--mount",
        "--net",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
        "--propagation",
        "private",
    ]
    path = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
    environment = {"PATH": path, "HOME": str(folder), "LC_ALL": "C.UTF-8"}
    return subprocess.run(
        [*command, "bash", "-eu", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=300,
    )


def closed_folders() -> set[str]:
    """The folders above the program and its libraries that another user may not enter."""
    needed = (Path(sys.executable), Path(sys.executable).resolve(), ROOT / "src", Path(sys.prefix))
    return {str(parent) for path in needed for parent in path.parents if not parent.stat().st_mode & stat.S_IXOTH}


def laid_over() -> str:
    lines = ["ip link set lo up", "memory=$(mktemp -d)", "mount -t tmpfs memory $memory", "chmod 755 $memory"]
    for number, folder in enumerate((*OVER, *sorted(closed_folders()))):
        layer = f"$memory/{number}"
        lines += [
            f"mkdir -m 755 {layer} {layer}-work",
            f"mount -t overlay overlay -o lowerdir={folder},upperdir={layer},workdir={layer}-work {folder}",
        ]
    return "\n".join((*lines, "mount -t tmpfs memory /mnt", "mount -t tmpfs memory /opt"))


def steps(heading: str) -> list[str]:
    """A section's commands, and its files in the places that their first lines name."""
    matches = re.findall(r"(?ms)^ {4}(?: {4})?(\S[^\n]*)$|^```\w+\n# (/\S+)\n(.*?)^```$", section(heading))
    return [
        line if line else f"mkdir -p {shlex.quote(str(Path(place).parent))}; cat >{place} <<'END'\n{body}END"
        for line, place, body in matches
    ]


def walked(step: str) -> str:
    """A step as the machine runs it: what the page leaves out is filled in."""
    if step.startswith(INSTALLS) or step.startswith("systemd-run"):
        return "true"
    if " key create " in step:
        return f"{step} | tee /mnt/key"
    if step.startswith("SECRET="):
        return "SECRET=$(grep -o 'cw-[^ ]*' /mnt/key)"
    if "/v1/models" in step:  # a new key is accepted at the gateway's next look
        return f"until {step} | tee /mnt/models | grep gpt-5.5; do sleep 0.1; done"
    return step.replace("sk-…", "sk-cloud")


@pytest.fixture
def machine(tmp_path: Path) -> str:
    script = laid_over()
    if isolated(script, tmp_path).returncode != 0:
        pytest.skip("no namespaces with mounts of their own for this user")
    program = f'#!/bin/sh\nPYTHONPATH={ROOT / "src"} exec {sys.executable} -m clauseway "$@"\n'
    for place, text in (("/opt/clauseway/bin/clauseway", program), ("/usr/local/bin/systemctl", SYSTEMCTL)):
        script += f"\nmkdir -p {Path(place).parent}; cat >{place} <<'EOT'\n{text}EOT\nchmod 755 {place}"
    return f"{script}\nmkdir -p /etc/systemd/system; rm -f /usr/local/bin/clauseway\ncd {ROOT}\n"


def test_an_empty_machine_serves_and_takes_a_newer_program(machine: str, tmp_path: Path) -> None:
    script = machine
    for heading in HEADINGS:
        script += f"cd {ROOT}\n"
        for step in steps(heading):
            script += f"echo {shlex.quote('$ ' + step)}\n{walked(step)}\n"
    script += "find /var/lib/clauseway /mnt/backups ! -user clauseway; cat /mnt/log >&2"
    done = isolated(script, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count('{"status":"ready","deployments":1') == 3, "at first, restarted, and newer"
    assert '"id":"gpt-5.5"' in done.stdout, "the key is accepted"
    assert "Nothing that was acknowledged before" in done.stdout
    assert "\n/var/lib" not in done.stdout, "every file belongs to the service"

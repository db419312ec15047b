"""Run commands of the tree on a disk that is full or cannot be written, in a process of its own.

`python run_on_a_disk.py KIND HOME FOLDER`: copy the settled home into FOLDER, make that a disk of this KIND, run every
command that takes a home, and print what became of each as JSON. `read-only` and `full` mount a small disk, seen by
this process alone; where none can be mounted, files may not grow instead (`full`), or belong to another user
(`read-only`).
"""

import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from command_tree import arguments_of, commands, uses

from in_process import run

_NOBODY = 65_534


def main(kind: str, template: str, folder: str) -> None:
    place = Path(folder)
    mounted = "mounted" in os.environ and subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder]).returncode == 0
    home, out = place / "home", place / "out"
    os.environ["XDG_CONFIG_HOME"] = str(place / "config")  # where private keys lay before
    shutil.copytree(template, home)
    out.mkdir()
    os.chdir(out)  # for files whose place no flag names
    for path in uses():  # whatever commands import is read before the disk is spoilt
        run(*path.split(), "--help")
    {"read-only": _forbid_writing, "full": _fill}[kind](place, mounted)
    messages = {}
    for path, command in commands():
        if "home" in {parameter.name for parameter in command.params}:
            done = run(*arguments_of(path, command, str(out)), "--home", str(home))
            messages[path] = (done.returncode, done.stdout, done.stderr)
    print(json.dumps(messages))


def _forbid_writing(place: Path, mounted: bool) -> None:
    if mounted:
        subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
        return
    for path in (place, *place.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
        if os.geteuid() == 0:
            os.chown(path, _NOBODY, _NOBODY)


def _fill(place: Path, mounted: bool) -> None:
    if mounted:
        used = sum(path.stat().st_blocks * 512 for path in place.rglob("*"))
        subprocess.run(["mount", "-o", f"remount,size={used}", str(place)], check=True)
    else:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


if __name__ == "__main__":
    main(*sys.argv[1:])

"""A release: made in a clone, from its commit to the files that are published; nothing is uploaded."""

import hashlib
import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WHO = (("NAME", "A"), ("EMAIL", "a@example"))
PEOPLE = {f"GIT_{role}_{part}": value for role in ("AUTHOR", "COMMITTER") for part, value in WHO}
RELEASED, DAY = "98.7.6", "2026-12-01"


def done(clone: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **PEOPLE}
    return subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True, timeout=300, check=False)


def told(clone: Path, *command: str) -> str:
    answer = done(clone, *command)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout.strip()


def released(clone: Path, version: str = RELEASED) -> subprocess.CompletedProcess[str]:
    return done(clone, sys.executable, "tools/release", version, "--dated", DAY)


def cloned(folder: Path) -> Path:
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True, timeout=120)
    changelog = folder / "CHANGELOG.md"
    changelog.write_text(changelog.read_text().replace("## Unreleased\n", "## Unreleased\n\n- News.\n", 1))
    told(folder, "git", "commit", "--quiet", "--all", "--message", "Tell the news")
    return folder


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    clone = cloned(tmp_path_factory.mktemp("release") / "clone")
    answer = released(clone)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "To publish: git push" in answer.stdout
    return clone


def test_commit_tag_and_changelog_say_the_same_version(release: Path) -> None:
    assert told(release, "git", "log", "-1", "--format=%s") == f"Release {RELEASED}"
    assert told(release, "git", "status", "--porcelain") == ""
    assert told(release, "git", "rev-parse", f"v{RELEASED}^{{commit}}") == told(release, "git", "rev-parse", "HEAD")
    notes = told(release, "git", "tag", "--list", "--format=%(contents)", f"v{RELEASED}")
    assert notes.startswith(f"Clauseway {RELEASED}\n\n- News.")
    text = (release / "CHANGELOG.md").read_text()
    assert re.search(rf"^## Unreleased\n\n## {RELEASED} \({DAY}\)\n\n- News\.", text, re.MULTILINE)
    assert f'VERSION = "{RELEASED}"' in (release / "src/clauseway/values/version.py").read_text()
    for name in ("gateway", "pages"):
        assert json.loads((release / f"docs/openapi/{name}.json").read_text())["info"]["version"] == RELEASED


def test_what_is_published_is_whole(release: Path) -> None:
    dist = release / "dist"
    wheel, source = dist / f"clauseway-{RELEASED}-py3-none-any.whl", dist / f"clauseway-{RELEASED}.tar.gz"
    inside = set(zipfile.ZipFile(wheel).namelist())
    told_files = told(release, "git", "ls-files", "src/clauseway").splitlines()
    shipped = {path.removeprefix("src/") for path in told_files if not path.endswith("ruff.toml")}
    assert shipped <= inside
    with tarfile.open(source) as archive:
        assert f"clauseway-{RELEASED}/CHANGELOG.md" in archive.getnames()
    lines = [line.partition("  ") for line in (dist / "SHA256SUMS").read_text().splitlines()]
    sums = {name: digest for digest, _, name in lines}
    files = {path.name: path for path in dist.iterdir() if path.name != "SHA256SUMS" and path.name[0] != "."}
    assert sums == {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}


def test_the_bill_of_materials_lists_what_is_locked(release: Path) -> None:
    bill = json.loads((release / f"dist/clauseway-{RELEASED}.cdx.json").read_text())
    locked = re.findall(r"^([\w.-]+)==([\w.]+)", (ROOT / "requirements/base.txt").read_text(), re.MULTILINE)
    assert [(each["name"], each["version"]) for each in bill["components"]] == locked
    assert bill["metadata"]["component"]["version"] == RELEASED


# version · what was done before · why it is refused
REFUSED = [
    ("0.0.1", "", "does not come after"),
    ("1.0", "", "is no version"),
    ("99.0.0", "README.md", "not committed"),
    (RELEASED, "", "already"),
    ("99.0.0", "", "says nothing under Unreleased"),
]


@pytest.mark.parametrize(("version", "changed", "reason"), REFUSED)
def test_what_cannot_be_released_is_refused_and_nothing_changes(
    release: Path, version: str, changed: str, reason: str
) -> None:
    head = told(release, "git", "rev-parse", "HEAD")
    if changed:
        (release / changed).write_text("other\n")
    answer = released(release, version)
    assert answer.returncode == 1
    assert reason in answer.stderr
    if changed:
        told(release, "git", "checkout", "--quiet", changed)
    assert told(release, "git", "rev-parse", "HEAD") == head
    assert told(release, "git", "status", "--porcelain") == ""

"""No file of the repository may hold addresses of registries, paths of one machine, talk about its making, or a
formatter that is switched off."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]

# Written so that this file does not hold what it looks for.
FORBIDDEN = {
    "a registry's address": r"pypi\.(org|python)|python" + r"hosted\.org|registry\.npm" + r"js|npm" + r"mirror",
    "an index in a lock": r"--(extra-)?index-" + r"url \S|--find-" + r"links \S",
    "a path of one machine": r"(?<![\w.])/(work|root|opt/" + r"wheels|home/\w+)/|/tmp/" + r"cw\b",
    "a number in a tracker": r"\b[Ii]ssue" + r" #?\d",
    "talk about its making": r"\b(this|last|next|another) session"
    + r"\b|\bthe prompt"
    + r" (says|asks)|\bAI agent"
    + r"s? (wrote|made)",
    "a formatter switched off": r"# *fmt: *" + r"(skip|off)\b",
}
# The lock file's Makefile recipe turns the address options off by name.
ALLOWED = ("--no-emit-index-" + "url", "--no-emit-find-" + "links")
# Files beside the folders. A command of the documents that is called in a clone writes its files there; one that
# were tracked would stop `clauseway init --demo` in every clone, as it overwrites nothing.
IN_ROOT = {
    ".editorconfig",
    ".gitignore",
    ".pre-commit-config.yaml",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "Makefile",
    "NOTICE",
    "README.md",
    "SECURITY.md",
    "pyproject.toml",
}


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def test_no_tracked_file_holds_what_it_must_not() -> None:
    lines = []
    for path in tracked():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        for allowed in ALLOWED:
            text = text.replace(allowed, "")
        for what, pattern in FORBIDDEN.items():
            lines += [f"{path.relative_to(ROOT)}: {what}: {hit.group()!r}" for hit in re.finditer(pattern, text)]
    assert lines == []


def test_no_output_of_a_command_is_tracked() -> None:
    assert {path.name for path in tracked() if path.parent == ROOT} == IN_ROOT


def test_what_is_looked_for_is_found() -> None:
    samples = {
        "a registry's address": "https://pypi." + "org/simple",
        "an index in a lock": "--index-" + "url somewhere",
        "a path of one machine": "see /ro" + "ot/notes",
        "a number in a tracker": "Issue" + " 12",
        "talk about its making": "in this " + "session we",
        "a formatter switched off": "# fmt: " + "skip",
    }
    assert samples.keys() == FORBIDDEN.keys()
    for what, sample in samples.items():
        assert re.search(FORBIDDEN[what], sample), what

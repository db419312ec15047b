"""The locks: every package pinned with hashes, no address in them, all three at one with each other and the project."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCKS = ("base", "up", "dev")
# The site's and the audit's are no part of the others:
# their libraries are obtained apart, and never stand beside these.
ALL = (*LOCKS, "site", "audit")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def lines_of(lock: str) -> list[str]:
    """Logical lines, comments left out."""
    text = (ROOT / "requirements" / f"{lock}.txt").read_text().replace("\\\n", " ")
    return [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def pins_of(lock: str) -> set[tuple[str, str]]:
    """(package, version), for every environment together."""
    results = (re.match(r"([\w.-]+)==([\w.!+-]+)", line) for line in lines_of(lock))
    return {(canonicalize_name(match[1]), match[2]) for match in results if match}


def wanted_by(lock: str) -> list[str]:
    project, groups = PROJECT["project"], PROJECT["dependency-groups"]
    # `sandbox` has `http` in it.
    named = [each for extra in ("settle", "sandbox", "http") for each in project["optional-dependencies"][extra]]
    extras = [each for each in named if Requirement(each).name != project["name"]]
    base = project["dependencies"]
    up = [*base, *extras, *groups["build"]]
    dev = [*up, *(each for each in groups["dev"] if isinstance(each, str))]
    return list({"base": base, "up": up, "dev": dev}[lock])


@pytest.mark.parametrize("lock", ALL)
def test_every_line_pins_one_package_with_its_hashes(lock: str) -> None:
    lines = lines_of(lock)
    assert lines
    for line in lines:
        assert re.fullmatch(r"[\w.-]+==[\w.!+-]+( ; [^\\]+?)?(\s+--hash=sha256:[0-9a-f]{64})+", line.strip()), line[:80]


@pytest.mark.parametrize("lock", ALL)
def test_no_address_and_no_path_stands_in_them(lock: str) -> None:
    text = (ROOT / "requirements" / f"{lock}.txt").read_text()
    assert "://" not in text
    assert not re.search(r"(^|\s)/", text)


def test_a_smaller_lock_is_part_of_the_larger() -> None:
    assert pins_of("base") < pins_of("up") < pins_of("dev")


@pytest.mark.parametrize("lock", LOCKS)
def test_what_the_project_asks_for_is_what_they_pin(lock: str) -> None:
    pins = pins_of(lock)
    for text in wanted_by(lock):
        asked = Requirement(text)
        versions = [version for name, version in pins if name == canonicalize_name(asked.name)]
        assert versions, f"{text} is not in the lock: run make lock"
        assert all(version in asked.specifier for version in versions), f"{text}: {versions}: run make lock"

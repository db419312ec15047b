"""How large an installation is, without extras and with what serves: limits, held by the libraries installed here.

The tests' own environment holds every library of both, as locked. What each takes is read from its own list of files,
so nothing is installed for this. Modules that Python compiled since do not count.
"""

import tomllib
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
MB = 1_000_000
# The extra · the most that it may take, in MB, with all that every installation has (docs/choices/0122)
LIMITS = [("", 80), ("server", 400)]


def asked_by(extra: str) -> list[Requirement]:
    """The libraries that the project asks for, with those of an extra, which may name others."""
    asked = [Requirement(each) for each in PROJECT["dependencies"]]
    extras = [extra] if extra else []
    while extras:
        for each in map(Requirement, PROJECT["optional-dependencies"][extras.pop()]):
            if each.name == PROJECT["name"]:
                extras += each.extras
            else:
                asked.append(each)
    return asked


def installed_for(asked: list[Requirement]) -> dict[str, Distribution]:
    """The distributions that these take, with all that those take."""
    held: dict[str, Distribution] = {}
    seen: set[tuple[str, str]] = set()
    while asked:
        wanted = asked.pop()
        name = canonicalize_name(wanted.name)
        held[name] = distribution(name)
        for extra in {"", *wanted.extras}:
            if (name, extra) not in seen:
                seen.add((name, extra))
                asked += needed_by(held[name], extra)
    return held


def needed_by(library: Distribution, extra: str) -> Iterator[Requirement]:
    for each in map(Requirement, library.requires or []):
        if each.marker is None or each.marker.evaluate({"extra": extra}):
            yield each


def bytes_of(library: Distribution) -> int:
    """The bytes of a library's files, without modules that were compiled since."""
    paths = [Path(str(library.locate_file(file))) for file in library.files or ()]
    return sum(path.stat().st_size for path in paths if path.suffix != ".pyc" and path.is_file())


def bytes_of_ours() -> int:
    return sum(
        path.stat().st_size
        for path in (ROOT / "src/clauseway").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    )


@pytest.mark.parametrize(("extra", "limit_mb"), LIMITS, ids=lambda each: str(each) or "no-extras")
def test_an_installation_stays_within_its_limit(extra: str, limit_mb: int) -> None:
    held = installed_for(asked_by(extra))
    sizes = {name: bytes_of(library) for name, library in held.items()}
    total = sum(sizes.values()) + bytes_of_ours()
    largest = sorted(sizes.items(), key=lambda each: -each[1])[:8]
    shown = ", ".join(f"{name} {size / MB:.1f}" for name, size in largest)
    assert total <= limit_mb * MB, f"{total / MB:.0f} MB; the largest: {shown}"


def test_what_is_counted_is_what_an_installation_takes() -> None:
    """A library that none of the files was found of would count nothing."""
    held = installed_for(asked_by("server"))
    assert {"pyarrow", "duckdb", "azure-identity", "botocore", "opentelemetry-sdk", "prometheus-client"} <= set(held)
    assert [name for name, library in held.items() if bytes_of(library) == 0] == []

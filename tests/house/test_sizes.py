"""How large an installation is, without extras and with what serves: limits, held by the libraries installed here.

The tests' own environment holds every library of both, as locked. What each takes is read from its own list of files,
so nothing is installed for this. It is counted as `du -sm` shows it after pip: files and folders in whole blocks, and
the bytecode that pip compiles beside each module. Where Python has written that since, it is not compiled again.
"""

import importlib.util
import marshal
import struct
import tomllib
import warnings
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
BLOCK = 4096
MB = 1 << 20
# Before the code in a module's bytecode: its version, and of which source it is.
BYTECODE_HEAD = 16
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


@cache
def bytes_of(name: str) -> int:
    """The bytes that a library takes on a disk."""
    library = distribution(name)
    return bytes_on_disk(Path(str(library.locate_file(file))) for file in library.files or ())


def bytes_of_ours() -> int:
    return bytes_on_disk((ROOT / "src/clauseway").rglob("*"))


def bytes_on_disk(paths: Iterable[Path]) -> int:
    """The bytes of files, their folders and their bytecode, without what Python compiled since."""
    files = [path for path in paths if path.is_file() and path.suffix != ".pyc"]
    modules = [path for path in files if path.suffix == ".py"]
    folders = {path.parent for path in files} | {path.parent / "__pycache__" for path in modules}
    sizes = [path.stat().st_size for path in files] + [bytecode_of(path) for path in modules]
    return sum(-(-size // BLOCK) * BLOCK for size in sizes) + len(folders) * BLOCK


def bytecode_of(module: Path) -> int:
    """The bytes of a module's bytecode; 0 of one that this Python cannot compile, as pip leaves it."""
    source = module.read_bytes()
    if written := bytecode_written_of(module, source):
        return written
    with warnings.catch_warnings(action="ignore"):
        try:
            code = compile(source, str(module), "exec", dont_inherit=True)
        except (SyntaxError, ValueError):
            return 0
    return BYTECODE_HEAD + len(marshal.dumps(code))


def bytecode_written_of(module: Path, source: bytes) -> int:
    """The bytes of the bytecode that Python wrote of this very source; 0 where there is none."""
    written = Path(importlib.util.cache_from_source(module))
    try:
        with written.open("rb") as bytecode:
            head, size = bytecode.read(BYTECODE_HEAD), written.stat().st_size
    except OSError:
        return 0
    of_source = struct.pack("<4xLL", int(module.stat().st_mtime) & 0xFFFFFFFF, len(source) & 0xFFFFFFFF)
    return size if head == importlib.util.MAGIC_NUMBER + of_source else 0


@pytest.mark.parametrize(("extra", "limit_mb"), LIMITS, ids=lambda each: str(each) or "no-extras")
def test_an_installation_stays_within_its_limit(extra: str, limit_mb: int) -> None:
    held = installed_for(asked_by(extra))
    sizes = {name: bytes_of(name) for name in held}
    total = sum(sizes.values()) + bytes_of_ours()
    largest = sorted(sizes.items(), key=lambda each: -each[1])[:8]
    shown = ", ".join(f"{name} {size / MB:.1f}" for name, size in largest)
    assert total <= limit_mb * MB, f"{total / MB:.0f} MB; the largest: {shown}"


def test_what_is_counted_is_what_an_installation_takes() -> None:
    """A library that none of the files was found of would count nothing."""
    held = installed_for(asked_by("server"))
    assert {"pyarrow", "duckdb", "ibis-framework", "prometheus-client", "uvloop"} <= set(held)
    assert [name for name in held if bytes_of(name) == 0] == []

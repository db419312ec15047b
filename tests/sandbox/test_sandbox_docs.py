"""The page about the simulated clouds describes what they do."""

import re
import typing
from pathlib import Path

from clauseway.sandbox.faults import FAMILIES, Fault
from clauseway.sandbox.server import USUAL_PORTS

PAGE = (Path(__file__).parents[2] / "docs/sandbox.md").read_text()


def rows_after(title: str) -> list[list[str]]:
    section = PAGE[PAGE.index(title) :]
    table = re.search(r"^\|---.*\n((?:\|.*\n)+)", section, re.MULTILINE)
    assert table is not None
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[1].splitlines()]


def test_every_cloud_has_its_port() -> None:
    assert {row[0].strip("`"): int(row[1]) for row in rows_after("# The simulated clouds")} == dict(USUAL_PORTS)


def test_every_kind_of_fault_is_told() -> None:
    kinds = typing.get_args(typing.get_type_hints(Fault)["kind"])
    assert [row[0].strip("`") for row in rows_after("## Faults")] == list(kinds)


def test_every_family_is_told() -> None:
    families = PAGE[PAGE.index("Families:") : PAGE.index("## What a cloud saw")]
    assert re.findall(r"`(\w+)`", families) == list(FAMILIES)
    assert set(typing.get_args(typing.get_type_hints(Fault)["family"])) == {"", *FAMILIES}

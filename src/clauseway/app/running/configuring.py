"""The configuration examined: its problems, and the settings in force, with where each value comes
from."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from time import time_ns
from typing import Any

import msgspec

from clauseway.app.opening.configuration import checked
from clauseway.app.opening.toml_file import TomlFile, description_of, named, read_file
from clauseway.app.running.serving import ServeOptions, present_plan
from clauseway.catalog import SURFACES_WITH_OBJECTS, Catalog
from clauseway.gateway.plan import Plan
from clauseway.gateway.transport.tls import toward_clients, toward_clouds
from clauseway.wording.names import listed

_MASKED = "(masked)"
_SECRET = ("secret", "access_key")
# Shown whole; of the lists only what the file says.
_SECTIONS = ("gateway", "tls", "log", "telemetry", "journal")
_ABOVE = ("unstated", "agreement")
# The limit of a container's memory, by version 2 of cgroups and by version 1.
_CONTAINER_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
# Said of what the file does not say.
DEFAULT = "default"


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One value in force.

    `source` is `line N` of the file, or `default`; `reason` is why it is there.
    """

    key: str
    value: Any
    source: str
    reason: str = ""


class CheckedConfiguration(msgspec.Struct, frozen=True, kw_only=True):
    """A sound configuration, in figures. `home` is the one whose prices and keys it was held against;
    empty for the shipped prices and no key."""

    file: str
    deployments: tuple[str, ...]
    products: tuple[str, ...]
    keys: int
    home: str
    warnings: tuple[str, ...] = ()


def check_configuration(options: ServeOptions) -> CheckedConfiguration:
    """Check everything short of calling a cloud. Raise InvalidInput with every problem."""
    plan = present_plan(options)
    if options.secrets:
        # A gateway that runs goes on with the files it has, while others replace them.
        toward_clients(plan.settings.tls)
        toward_clouds(plan.settings.tls)
    names = dict.fromkeys(target.label.deployment for target in plan.targets)
    return CheckedConfiguration(
        file=str(options.configuration),
        deployments=tuple(names),
        products=tuple(dict.fromkeys(plan.models.values())),
        keys=len(plan.keys),
        home=str(options.home.root) if options.home.is_begun else "",
        warnings=(*retired_here(plan, time_ns()), *shared_accounts(plan), *_too_much_memory(plan)),
    )


def retired_here(plan: Plan, now_ns: int) -> Iterator[str]:
    """Yield what is known of names that deployments serve beyond their published retirement."""
    gone = {
        (retirement.name, retirement.surface): retirement.message
        for retirement in plan.retirements
        if retirement.begin_ns <= now_ns
    }
    for target in plan.targets:
        if target.serves_retired:
            continue
        product = target.label.product
        asked = [name for name, meant in plan.models.items() if meant == product]
        messages = [gone.get((target.snapshot or name, target.surface), "") for name in asked]
        for message in dict.fromkeys(filter(None, messages)):
            yield f"{target.label.deployment} is asked last: {message}"


def shared_accounts(plan: Plan) -> Iterator[str]:
    """Yield a warning where keys of several projects reach accounts on which the operator may keep
    what a request names: nothing of it is made through the gateway, whose index could tell its
    project."""
    projects = {(key.organisation, key.project) for key in plan.keys}
    keeping = [
        target.label.deployment
        for target in plan.targets
        if target.surface in SURFACES_WITH_OBJECTS
    ]
    if len(projects) > 1 and keeping:
        yield (
            f"{len(projects):,} projects may name what lies on the account of "
            f"{listed(list(dict.fromkeys(keeping)))}: skills, voices and templates (prompt). Keep there only "
            "what all of them may use."
        )


def _too_much_memory(plan: Plan) -> Iterator[str]:
    """Yield a warning where bodies under way may take more than the memory of this machine, or of
    the container in it."""
    allowed, memory = plan.settings.limits.bytes_in_flight, _memory_bytes()
    if allowed > memory:
        yield (
            f"bodies under way may take {allowed >> 20:,} MB in each process, and this machine has "
            f"{memory >> 20:,} MB: before a client is refused, the kernel ends the process. Lower "
            "[gateway] bytes_in_flight."
        )


def _memory_bytes() -> int:
    """Return how much memory the machine has, or its container where that has less."""
    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for path in _CONTAINER_LIMITS:
        with contextlib.suppress(OSError, ValueError):  # another version of cgroups, or "max"
            limits.append(int(path.read_text()))
    return min(limits)


def show_configuration(path: Path, catalog: Catalog) -> list[Setting]:
    """Return every setting in force, secrets masked.

    Raise InvalidInput for a file with problems. A missing secret is not one of them.
    """
    file = read_file(path)
    configuration = checked(file, catalog, secrets=False)
    shown: list[Setting] = []

    def show(record: msgspec.Struct, *at: str | int) -> None:
        for field in msgspec.structs.fields(type(record)):
            value, name = getattr(record, field.name), field.encode_name
            if at and isinstance(value, msgspec.Struct):
                show(value, *at, name)
            # Above all sections stand some settings; the rest of the file is shown part by part.
            elif name in _ABOVE if not at else at[0] in _SECTIONS or file.line_of(*at, name):
                safe = _MASKED if name in _SECRET and value else value
                shown.append(_setting(file, (*at, name), safe, description_of(field.type)))

    show(configuration)
    for name, product in configuration.names.items():
        shown.append(_setting(file, ("names", name), product))
    # The sections whole; of deployments and commitments the settings that are written.
    for section in _SECTIONS:
        show(getattr(configuration, section), section)
    for name, records in (
        ("deployment", configuration.deployment),
        ("commitment", configuration.commitment),
    ):
        for index, record in enumerate(records):
            show(record, name, index)
    return shown


def _setting(file: TomlFile, at: tuple[str | int, ...], value: object, reason: str = "") -> Setting:
    line = file.line_of(*at)
    return Setting(
        key=named(at),
        value=value,
        source=f"line {line}" if line else DEFAULT,
        reason=reason,
    )

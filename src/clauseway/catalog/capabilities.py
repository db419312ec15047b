"""The capabilities that a surface may have or lack, named by the value that a request asks for; and
their dated matrix.

A surface is a way to reach models: the same model lacks different things on each. The matrix says
`yes` or `no` for a (surface, product, capability) from a day on, each with its source. An entry
for a product prevails over an entry for all products; among those, the latest start up to the day
prevails. Without an entry a surface has the capability: the gateway passes the body on unchanged,
and a cloud that lacks the capability says so itself.

Where a surface has dated versions, the called version decides too: a second table says from which
version on a capability is there.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from enum import StrEnum
from typing import NamedTuple

import msgspec

from clauseway.catalog.rows import RowReader, check_rows, read_rows
from clauseway.values import FOREVER, Interval


class Capability(StrEnum):
    """Named as in the matrix and in a deployment's configuration. The order is that of the bits and
    only grows."""

    TOOLS = "tools"
    PARALLEL_TOOL_CALLS = "parallel-tool-calls"
    CUSTOM_TOOLS = "custom-tools"
    JSON_MODE = "json-mode"
    JSON_SCHEMA = "json-schema"
    STRICT_SCHEMA = "strict-schema"
    VISION = "vision"
    AUDIO_INPUT = "audio-input"
    FILE_INPUT = "file-input"  # a document among the messages: PDF and others
    AUDIO_OUTPUT = "audio-output"
    SEVERAL_CHOICES = "several-choices"  # n > 1
    LOGPROBS = "logprobs"
    FLEX = "flex"
    PRIORITY = "priority"
    BACKGROUND = "background"
    WEB_SEARCH = "web-search"
    FILE_SEARCH = "file-search"
    CODE_INTERPRETER = "code-interpreter"
    COMPUTER_USE = "computer-use"
    IMAGE_GENERATION_TOOL = "image-generation-tool"
    MCP = "mcp"
    SHELL = "shell"
    TOOL_SEARCH = "tool-search"
    REASONING_SUMMARY = "reasoning-summary"
    STORED_STATE = "stored-state"  # a response is stored, or follows a stored one
    CONVERSATIONS = "conversations"
    PROMPT_TEMPLATES = "prompt-templates"
    PROMPT_CACHE_KEY = "prompt-cache-key"
    PROMPT_CACHE_RETENTION = "prompt-cache-retention"
    PREDICTED_OUTPUT = "predicted-output"
    EU_DATA_ZONE = "eu-data-zone"  # asked for by a tenant's residency, not by a request
    CLIENT_TOOL_SEARCH = "client-tool-search"  # the caller looks tools up, the model asks it to
    # Files of requests: if a cloud has a kind of deployment for them, only deployments of that
    # kind.
    BATCH = "batch"


BITS: Mapping[Capability, int] = {
    capability: 1 << index for index, capability in enumerate(Capability)
}

# The service tiers that a deployment may lack. `fast` is OpenAI's other word for `priority`, and
# `ultrafast` is faster still.
CAPABILITY_OF_TIER: Mapping[str, Capability] = {
    "flex": Capability.FLEX,
    **dict.fromkeys(("priority", "fast", "ultrafast"), Capability.PRIORITY),
}


class Surface(NamedTuple):
    """A way to reach models: whether it takes messages, in Anthropic's format, and whether its
    accounts keep skills, voices or templates that a body names by an identifier."""

    name: str
    takes_messages: bool = False
    keeps_objects: bool = False


# The surfaces that the matrix knows. A server of one's own has its own entries, in its deployment.
_SURFACES = (
    Surface("openai", keeps_objects=True),
    Surface("azure-v1", keeps_objects=True),
    Surface("azure-dated", keeps_objects=True),
    Surface("bedrock-mantle"),
    Surface("bedrock-runtime"),
    Surface("vertex-responses"),
    Surface("vertex-chat"),
    Surface("oci"),
    Surface("compatible"),
    Surface("anthropic", takes_messages=True, keeps_objects=True),
    Surface("azure-messages", takes_messages=True, keeps_objects=True),
    Surface("bedrock-messages", takes_messages=True),
    Surface("vertex-messages", takes_messages=True),
)
SURFACES = tuple(surface.name for surface in _SURFACES)
SURFACES_OF_MESSAGES = tuple(surface.name for surface in _SURFACES if surface.takes_messages)
SURFACES_WITH_OBJECTS = tuple(surface.name for surface in _SURFACES if surface.keeps_objects)
_COLUMNS = ("surface", "product", "capability", "has", "from", "until", "source")
_VERSION_COLUMNS = ("surface", "capability", "preview", "stable", "source")
_VERSION = re.compile(r"(\d{4}-\d\d-\d\d)(-preview)?")


class CapabilityEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the matrix. `product` is empty for all."""

    surface: str
    product: str
    capability: Capability
    has: bool
    interval: Interval
    source: str
    line: int

    @property
    def reason(self) -> str:
        """Return the beginning and the source, in words."""
        since = f"since {self.interval.begin}; " if self.interval.begin != date.min else ""
        return f"{since}{self.source}"


class Matrix(msgspec.Struct, frozen=True):
    """All entries, in the order of the file."""

    entries: tuple[CapabilityEntry, ...]

    def lacking(
        self, surface: str, product: str, day: date
    ) -> Mapping[Capability, CapabilityEntry]:
        """Return the capabilities that a product lacks on a surface that day, each with the entry
        that says so."""
        in_force = [
            entry
            for entry in self.entries
            if entry.surface == surface and entry.product in ("", product) and day in entry.interval
        ]
        ranked = sorted(in_force, key=lambda entry: (bool(entry.product), entry.interval.begin))
        latest = {entry.capability: entry for entry in ranked}
        return {capability: entry for capability, entry in latest.items() if not entry.has}

    def days(self, surface: str, product: str) -> list[date]:
        """Return the days on which `lacking` may change, in order, from the first day of all."""
        days = {date.min}
        for entry in self.entries:
            if entry.surface == surface and entry.product in ("", product):
                days |= {entry.interval.begin, entry.interval.end}
        return sorted(days - {FOREVER})


class Since(msgspec.Struct, frozen=True, kw_only=True):
    """The dated versions of a surface's API from which a capability is there.

    `preview` is the first preview, `stable` the first stable version; `date.max` for none.
    """

    surface: str
    capability: Capability
    preview: date
    stable: date
    source: str

    @property
    def reason(self) -> str:
        """Return the versions that have it and the source, in words."""
        firsts = [(self.preview, "-preview"), (self.stable, "")]
        named = " or ".join(f"{first}{kind}" for first, kind in firsts if first != date.max)
        return (
            f"there from {named} on; {self.source}"
            if named
            else f"in no dated version; {self.source}"
        )


class Versions(msgspec.Struct, frozen=True):
    """The capabilities that came with each version."""

    lines: tuple[Since, ...]

    def lacking(self, surface: str, version: str) -> Mapping[Capability, Since]:
        """Return the capabilities that came after a version (`2024-10-21`, `2025-04-01-preview`).
        Return none if the version has no date."""
        written = _VERSION.fullmatch(version)
        if written is None:
            return {}
        day, preview = date.fromisoformat(written[1]), bool(written[2])
        # Previews have a feature before a stable version does, so each has a day of its own.
        return {
            line.capability: line
            for line in self.lines
            if line.surface == surface and day < (line.preview if preview else line.stable)
        }

    def of(self, surface: str) -> Sequence[Since]:
        return [line for line in self.lines if line.surface == surface]


def parse_versions(text: str, name: str) -> Versions:
    """Read the table of versions. Raise InvalidInput with every problem."""
    rows = read_rows(text, name, _VERSION_COLUMNS)
    lines = [_since(row) for row in rows]
    check_rows(rows, ("surface", "capability"))
    return Versions(tuple(line for line in lines if line is not None))


def _since(row: RowReader) -> Since | None:
    surface = row.one_of("surface", SURFACES)
    capability = row.one_of("capability", [str(capability) for capability in Capability])
    preview, stable = row.day("preview", date.max), row.day("stable", date.max)
    source = row.stated("source")
    if row.problems:
        return None
    return Since(
        surface=surface,
        capability=Capability(capability),
        preview=preview,
        stable=stable,
        source=source,
    )


def parse_matrix(text: str, name: str) -> Matrix:
    """Read a matrix from its text. Raise InvalidInput with every problem; `name` is the file that
    problems name."""
    rows = read_rows(text, name, _COLUMNS)
    entries = [_entry(row) for row in rows]
    check_rows(rows, ("surface", "product", "capability", "from"))
    return Matrix(tuple(entry for entry in entries if entry is not None))


def _entry(row: RowReader) -> CapabilityEntry | None:
    # Check every cell before giving up the line, so that all its problems are reported.
    row.one_of("surface", SURFACES)
    row.one_of("capability", [str(capability) for capability in Capability])
    row.one_of("has", ("yes", "no"))
    row.stated("source")
    interval = row.interval("from", "until")
    if row.problems:
        return None
    return CapabilityEntry(
        surface=row.text("surface"),
        product=row.text("product"),
        capability=Capability(row.text("capability")),
        has=row.text("has") == "yes",
        interval=interval,
        source=row.text("source"),
        line=row.line,
    )

"""What a surface may have or lack, by the value that a request asks for; and the dated matrix of who lacks what.

A surface is a way to reach models: the same model lacks different things on each. The matrix says `yes` or `no` for a
(surface, product, capability) from a day on, each with its source. An entry that names a product goes before one that
names none; among those, the latest start up to the day. What no entry speaks of is taken to be there: a body passes
through unchanged, and a cloud that cannot do it says so itself.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from enum import StrEnum

import msgspec

from clauseway.catalog.rows import Row, read_rows, refuse_any
from clauseway.values import FOREVER, Interval, Problem


class Capability(StrEnum):
    """Named as in the matrix and in a deployment's configuration. The order is that of the bits and only grows."""

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
    STORED_STATE = "stored-state"  # what is stored, or follows what was
    CONVERSATIONS = "conversations"
    PROMPT_TEMPLATES = "prompt-templates"
    PROMPT_CACHE_KEY = "prompt-cache-key"
    PROMPT_CACHE_RETENTION = "prompt-cache-retention"
    PREDICTED_OUTPUT = "predicted-output"
    EU_DATA_ZONE = "eu-data-zone"  # asked for by a tenant's residency, not by a request


BITS: Mapping[Capability, int] = {capability: 1 << index for index, capability in enumerate(Capability)}

# The surfaces that the matrix knows. A server of one's own has its own entries, in its deployment.
SURFACES = (
    "openai",
    "azure-v1",
    "azure-dated",
    "bedrock-mantle",
    "bedrock-runtime",
    "vertex-responses",
    "vertex-chat",
    "oci",
    "compatible",
)
_COLUMNS = ("surface", "product", "capability", "has", "from", "until", "source")


class Entry(msgspec.Struct, frozen=True, kw_only=True):
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
        """Since when and by which source, in words."""
        since = f"since {self.interval.begin}; " if self.interval.begin != date.min else ""
        return f"{since}{self.source}"


class Matrix(msgspec.Struct, frozen=True):
    """All entries, in the order in which they stand."""

    entries: tuple[Entry, ...]

    def lacking(self, surface: str, product: str, day: date) -> Mapping[Capability, Entry]:
        """What a product lacks on a surface that day, each with the entry that says so."""
        in_force = [
            entry
            for entry in self.entries
            if entry.surface == surface and entry.product in ("", product) and day in entry.interval
        ]
        ranked = sorted(in_force, key=lambda entry: (bool(entry.product), entry.interval.begin))
        latest = {entry.capability: entry for entry in ranked}
        return {capability: entry for capability, entry in latest.items() if not entry.has}

    def days(self, surface: str, product: str) -> list[date]:
        """The days on which that may change, in order; the first is the first day of all."""
        found = {date.min}
        for entry in self.entries:
            if entry.surface == surface and entry.product in ("", product):
                found |= {entry.interval.begin, entry.interval.end}
        return sorted(found - {FOREVER})


def parse_matrix(text: str, name: str) -> Matrix:
    """Read a matrix from its text. Raises InvalidInput with every problem; `name` is the file they are said of."""
    rows = read_rows(text, name, _COLUMNS)
    entries = [_entry(row) for row in rows]
    refuse_any(rows, *_twice([entry for entry in entries if entry is not None], name))
    return Matrix(tuple(entry for entry in entries if entry is not None))


def _entry(row: Row) -> Entry | None:
    row.one_of("surface", SURFACES)
    row.one_of("capability", [str(capability) for capability in Capability])
    row.one_of("has", ("yes", "no"))
    row.stated("source")
    interval = row.interval("from", "until")
    if row.problems:
        return None
    return Entry(
        surface=row.text("surface"),
        product=row.text("product"),
        capability=Capability(row.text("capability")),
        has=row.text("has") == "yes",
        interval=interval,
        source=row.text("source"),
        line=row.line,
    )


def _twice(entries: Iterable[Entry], name: str) -> list[Problem]:
    """Two entries for one thing that begin on one day."""
    seen: dict[tuple[str, str, str, date], int] = {}
    problems = []
    for entry in entries:
        key = (entry.surface, entry.product, entry.capability, entry.interval.begin)
        if key in seen:
            what = f"a second entry for {entry.capability} on {entry.surface}"
            why = f"line {seen[key]} begins on the same day"
            problems.append(Problem(what=what, why=why, where=name, line=entry.line, todo="Keep one of them."))
        seen.setdefault(key, entry.line)
    return problems

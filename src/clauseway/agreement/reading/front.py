"""Read the front matter of a document: its id and title and, of an amendment, its days."""

from datetime import date
from typing import TypeVar

import msgspec

from clauseway.agreement.reading.blocks import Named, build
from clauseway.agreement.text.entries import YamlValue
from clauseway.agreement.text.markdown import Document
from clauseway.agreement.text.mistakes import Mistakes
from clauseway.agreement.text.yaml_text import read_yaml


class DefinitionsFront(msgspec.Struct, frozen=True, kw_only=True):
    """The front matter of agreement.md."""

    id: Named
    title: Named


class AmendmentFront(msgspec.Struct, frozen=True, kw_only=True):
    """The front matter of an amendment.

    The amendment `concluded` last prevails; the default is the day of the announcement. `after`
    orders the amendments of one day. `recorded` is the day or instant (UTC) since when it is known
    here, if that is later than the announcement.
    """

    id: Named
    title: Named
    announced: date
    effective: date
    concluded: date | None = None
    after: str = ""
    recorded: str = ""
    sources: tuple[str, ...] = ()


class RegisterFront(msgspec.Struct, frozen=True, kw_only=True):
    """The front matter of facts.md, which may have none."""

    id: str = ""
    title: str = ""


F = TypeVar("F", bound=msgspec.Struct)


def read_front(document: Document, kind: type[F], mistakes: Mistakes) -> tuple[YamlValue, F | None]:
    """Return the front matter as written, and as a record if nothing in it is wrong."""
    written = YamlValue({}, 1)
    if not document.front.strip():
        remedy = (
            "Begin it with ---, id: …, title: … and ---, or give the file another ending than .md."
        )
        mistakes.add(1, "no front matter", "the file does not say what it is", remedy)
        return written, None
    entry = read_yaml(document.front, 2, mistakes)
    if entry is None:
        return written, None
    if not entry.is_mapping:
        problem, why = "the front matter is not a mapping", "it is written as keys and values"
        mistakes.add(entry.line, problem, why, "Write id: ….")
        return written, None
    # A mistake of the front matter as a whole is reported at its first line, the dashes.
    at_top = msgspec.structs.replace(entry, line=1)
    return at_top, build(kind, at_top, mistakes)

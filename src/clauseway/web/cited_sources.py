"""The sources that citations name, each once: a page marks them by identifier (`S2`) and lists them
below with the passages that were cited.

A citation spells its sources out, `S2 (a report of 27 April 2026: under Why Now); P (other public
reporting)`; a citation without words after an identifier is its own name.
"""

import re
from collections.abc import Iterable

import msgspec

from clauseway.values import Citation
from clauseway.web.lawyer import LawyerContext

# A semicolon within a passage begins no source: no identifier with a bracket follows it.
_BETWEEN = re.compile(r"; (?=[\w.-]+ \()")
_SPELLED = re.compile(r"(?P<name>[\w.-]+) \((?P<text>.*)\)", re.DOTALL)


class SourceListed(msgspec.Struct, frozen=True):
    """A source by its identifier: its title, and the cited passages of it."""

    name: str
    text: str
    passages: tuple[str, ...]


def source_names(source: str) -> list[str]:
    """Return the identifiers of the sources that a citation spells out, each once."""
    return list(dict.fromkeys(name for name, _, _ in map(_parted, _BETWEEN.split(source)) if name))


def sources_of(citations: Iterable[Citation]) -> list[SourceListed]:
    """Return all sources of these citations in the order of their identifiers."""
    cited: dict[tuple[str, str], dict[str, None]] = {}
    for citation in citations:
        for name, text, passage in map(_parted, _BETWEEN.split(citation.source)):
            if name:
                cited.setdefault((name, text), {}).update({passage: None} if passage else {})
    titles: dict[str, list[str]] = {}
    passages: dict[str, list[str]] = {}
    for (name, text), of_text in sorted(cited.items()):
        titles.setdefault(name, []).append(text)
        passages.setdefault(name, []).extend(of_text)
    return [
        SourceListed(name, "; ".join(filter(None, texts)), tuple(passages[name]))
        for name, texts in titles.items()
    ]


def _parted(source: str) -> tuple[str, str, str]:
    """Return a source's identifier, its title, and the passage, empty for none."""
    spelled = _SPELLED.fullmatch(source)
    if spelled is None:
        return source, "", ""
    text, _, passage = spelled["text"].partition(": ")
    return spelled["name"], text, passage


def cited_by(lawyer: LawyerContext) -> list[Citation]:
    """Return all citations of the lawyer's screen: in reasons, and of the terms in force."""
    reasons = lawyer.answer.reasons if lawyer.answer else ()
    of_terms = (citation for words in lawyer.plain_words for citation in words.citations)
    return [*(reason.citation for reason in reasons), *of_terms]

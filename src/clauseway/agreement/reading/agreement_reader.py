"""Read a folder's texts into an `Agreement`, or report every mistake in them at once.

read_agreement(documents)   documents: file name → text
  agreement.md       definitions: parties, clouds, products, rules, readings, figures, sources, …
  facts.md           a register of facts; `read_with_facts` reads it beside the agreement's text
  every other *.md   an amendment: front matter (id, title, announced, effective, sources), numbered
                     clauses, and under them `yaml term` and `yaml change` blocks
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import date

import msgspec

from clauseway.agreement.language.agreement import Agreement, Amendment
from clauseway.agreement.language.definitions import ContextNote
from clauseway.agreement.language.facts import FactRegister
from clauseway.agreement.language.meaning import meaning_of
from clauseway.agreement.language.terms import Offered
from clauseway.agreement.reading.amendments import AmendmentRead, read_amendment
from clauseway.agreement.reading.definitions import Definitions, read_definitions
from clauseway.agreement.reading.exclusive import with_changes_of_both
from clauseway.agreement.reading.registers import Gathered, gather_facts
from clauseway.agreement.reading.sequence import check_sequence, in_order_of_conclusion
from clauseway.agreement.text.markdown import take_apart
from clauseway.agreement.text.mistakes import DEFINITIONS, Mistakes
from clauseway.catalog import Catalog

FACTS = "facts.md"


def read_agreement(documents: Mapping[str, str]) -> Agreement:
    """Read an agreement from its documents. Raises InvalidInput with every problem and its line."""
    mistakes = Mistakes(DEFINITIONS)
    definitions = _definitions(documents, mistakes)
    return _agreement_of(
        definitions, _drafts(definitions, documents, mistakes), documents, mistakes
    )


def read_with_facts(documents: Mapping[str, str]) -> tuple[Agreement, Catalog, FactRegister]:
    """Read an agreement with the register in its folder, if there is one.

    The catalog holds the names that the register adds. Raises InvalidInput with every problem in
    any of the documents.
    """
    mistakes = Mistakes(DEFINITIONS)
    definitions = _definitions(documents, mistakes)
    # A name that could not be read is a mistake of the definitions, not of the register.
    catalog = None if mistakes else definitions.catalog()
    drafts = _drafts(definitions, documents, mistakes)
    if catalog is not None and not mistakes:
        catalog = _with_subjects(catalog, drafts)
    # The register is read even after mistakes in the agreement, so that all are reported at once.
    facts = Gathered((), catalog)
    if FACTS in documents:
        facts = gather_facts(
            documents[FACTS],
            catalog,
            definitions.events,
            definitions.names["sources"],
            mistakes.within(FACTS),
        )
    agreement = _agreement_of(definitions, drafts, documents, mistakes)
    assert facts.catalog is not None, "an agreement without a mistake has a catalog"
    return agreement, facts.catalog, FactRegister().with_facts(facts.facts)


def _definitions(documents: Mapping[str, str], mistakes: Mistakes) -> Definitions:
    if DEFINITIONS not in documents:
        why = "it defines the parties, clouds and products that the amendments speak about"
        mistakes.add(
            0, f"{DEFINITIONS} is missing", why, f"Add {DEFINITIONS} to the agreement's folder."
        )
        raise mistakes.refusal()
    return read_definitions(take_apart(documents[DEFINITIONS], mistakes), mistakes)


def _drafts(
    definitions: Definitions, documents: Mapping[str, str], mistakes: Mistakes
) -> list[AmendmentRead]:
    drafts = [
        _read(name, documents[name], definitions, mistakes) for name in _amendments(documents)
    ]
    check_sequence(drafts, definitions, mistakes)
    return drafts


def _with_subjects(catalog: Catalog, drafts: Iterable[AmendmentRead]) -> Catalog:
    """Return the catalog with the subjects of rights of first refusal."""
    terms = [
        term for draft in drafts if draft.amendment is not None for term in draft.amendment.terms
    ]
    rights = [term for term in terms if isinstance(term, Offered)]
    each = frozenset[str]().union(*(right.products for right in rights if not right.subject))
    return msgspec.structs.replace(
        catalog,
        subjects=frozenset(right.subject for right in rights if right.subject),
        offered_each=each,
    )


def _agreement_of(
    definitions: Definitions,
    drafts: Sequence[AmendmentRead],
    documents: Mapping[str, str],
    mistakes: Mistakes,
) -> Agreement:
    if mistakes:
        raise mistakes.refusal()
    return _agreement(definitions, drafts, _digest(documents))


def _amendments(documents: Iterable[str]) -> list[str]:
    return sorted(
        name for name in documents if name.endswith(".md") and name not in (DEFINITIONS, FACTS)
    )


def _read(name: str, text: str, definitions: Definitions, mistakes: Mistakes) -> AmendmentRead:
    within = mistakes.within(name)
    return read_amendment(take_apart(text, within), definitions, within)


def _agreement(
    definitions: Definitions, drafts: Sequence[AmendmentRead], text_digest: str
) -> Agreement:
    amendments = [
        # The rank is the order of conclusion: of two changes of one end, the later prevails.
        msgspec.structs.replace(draft.amendment, rank=rank)
        for rank, draft in enumerate(in_order_of_conclusion(drafts))
        if draft.amendment is not None
    ]
    agreement = Agreement(
        id=definitions.id,
        title=definitions.title,
        text_digest=text_digest,
        meaning_digest="",
        catalog=_with_subjects(definitions.catalog(), drafts),
        sources=definitions.sources,
        rules=definitions.rules,
        readings=definitions.readings,
        commentary=tuple(definitions.commentary.values()),
        figures=definitions.figures,
        events=definitions.events,
        context=tuple(sorted(definitions.context.values(), key=_by_day)),
        amendments=tuple(sorted(with_changes_of_both(amendments), key=_oldest_first)),
        lines=definitions.lines,
    )
    return msgspec.structs.replace(agreement, meaning_digest=meaning_of(agreement))


def _by_day(note: ContextNote) -> tuple[date, str]:
    return note.day, note.id


def _oldest_first(amendment: Amendment) -> tuple[date, int]:
    return amendment.effective, amendment.rank


def _digest(documents: Mapping[str, str]) -> str:
    digest = hashlib.sha256()
    for name in sorted(documents):
        if name != FACTS:
            for part in (name, documents[name]):
                octets = part.encode("utf-8", "surrogatepass")
                digest.update(b"%d:" % len(octets) + octets)
    return digest.hexdigest()

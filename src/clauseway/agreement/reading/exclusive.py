"""Write the exclusivity that `exclusive` and `sole` imply: a right that nobody else has.

A permission or licence that says so stands for two terms: the right itself, and an exclusivity of
the same scope, days and events, with `.exclusive` after its id. *Exclusive*: nobody but the holder
may, not even its grantor. *Sole*: nobody but the holder and the grantor. A change that
ends or moves the right does the same to the exclusivity; a change may also end the exclusivity
alone, though never later than the right: `force` ends it with the right.
"""

from collections.abc import Iterable, Sequence

import msgspec

from clauseway.agreement.language.actions import LICENSE, USE
from clauseway.agreement.language.agreement import Amendment
from clauseway.agreement.language.terms import (
    AnyTerm,
    Exclusivity,
    Licence,
    Only,
    Permission,
    exclusivity_of,
)

# The keys that write an exclusivity.
EXCLUSIVE_KEYS = ("exclusive", "sole")


def with_exclusivities(terms: Iterable[AnyTerm]) -> tuple[AnyTerm, ...]:
    """Return terms with the exclusivity of each that is exclusive or sole behind it."""
    written: list[AnyTerm] = []
    for term in terms:
        written.append(term)
        if isinstance(term, Permission | Licence) and exclusivity_of(term):
            written.append(_exclusivity(term))
    return tuple(written)


def _exclusivity(term: Permission | Licence) -> Exclusivity:
    id = exclusivity_of(term)
    if isinstance(term, Licence):
        kept = {term.licensee, *([term.licensor] if term.sole else [])}
        actions, only = frozenset({LICENSE, USE}), Only(licensees=frozenset(kept))
    else:
        kept = {term.party, *([term.grantor] if term.sole else [])}
        actions, only = term.actions, Only(parties=frozenset(kept))
    exclusivity = Exclusivity(
        id=id,
        citation=msgspec.structs.replace(term.citation, term=id),
        begins=term.begins,
        until=term.until,
        through=term.through,
        from_=term.from_,
        while_=term.while_,
        while_no=term.while_no,
        under=term.under,
        actions=actions,
        products=term.products,
        only=only,
    )
    # A licence itself is kept to no place: only what it carries is.
    if isinstance(term, Licence):
        return exclusivity
    return msgspec.structs.replace(
        exclusivity,
        clouds=term.clouds,
        sellers=term.sellers,
        segments=term.segments,
        regions=term.regions,
    )


def with_changes_of_both(amendments: Sequence[Amendment]) -> list[Amendment]:
    """Return amendments whose changes of a right are changes of its exclusivity too."""
    written = {term.id: term for amendment in amendments for term in amendment.terms}

    def both(terms: Iterable[str]) -> tuple[str, ...]:
        named = [written[name] for name in terms if name in written]
        ids = [id for term in named for id in (term.id, exclusivity_of(term)) if id]
        return tuple(dict.fromkeys(ids))

    return [
        msgspec.structs.replace(
            amendment,
            changes=tuple(
                msgspec.structs.replace(
                    change, ends=both(change.ends), sets_end=both(change.sets_end)
                )
                for change in amendment.changes
            ),
        )
        for amendment in amendments
    ]

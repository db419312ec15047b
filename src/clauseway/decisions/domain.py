"""Everything that can be asked of an agreement: the finite domain that tables, comparisons and proofs walk over.

Time is cut at the agreement's boundaries elsewhere (`agreement.boundaries`); here stand the combinations of one day.
"""

from collections.abc import Iterator, Mapping
from datetime import date

from clauseway.agreement import Agreement
from clauseway.catalog import Catalog
from clauseway.decisions.question import ACTIONS, CLOUD_ACTIONS, SHARE, TO_ACTIONS, Question, check_readings
from clauseway.values import KnownAt


def all_questions(
    agreement: Agreement, catalog: Catalog, *, as_of: date, known_at: KnownAt, readings: Mapping[str, str] | None = None
) -> Iterator[Question]:
    """Every valid combination of action, party, other party, product or class, cloud and segment, in a stable order.

    The seller is always the party: any other is two of these questions, both of which must hold. What an action does
    not take (a cloud for a licence, a segment for a share) is left empty.
    """
    chosen = check_readings(agreement, readings or {})
    for action in ACTIONS:
        for product in products_of(catalog, action):
            for party in sorted(catalog.parties):
                for to in sorted(catalog.parties) if action in TO_ACTIONS else [""]:
                    for cloud in sorted(catalog.clouds) if action in CLOUD_ACTIONS else [""]:
                        for segment in sorted(catalog.segments) if action in CLOUD_ACTIONS else ["any"]:
                            yield Question(
                                action=action,
                                party=party,
                                product=product,
                                cloud=cloud,
                                to=to,
                                seller=party,
                                segment=segment,
                                as_of=as_of,
                                known_at=known_at,
                                readings=chosen,
                            )


def products_of(catalog: Catalog, action: str) -> list[str]:
    """What an action takes: products and classes; for a share none at all, and each that may be left out of a base."""
    names = sorted({*catalog.products, *(name for name, known in catalog.classes.items() if known.actions)})
    if action == SHARE:
        return ["", *names]
    return [name for name in names if action in catalog.classes[catalog.class_of(name)].actions]

"""The revenue shares of the agreements, as a settlement takes them, and the figures that they take."""

from collections.abc import Mapping, Sequence

import msgspec

from clauseway.agreement import RevenueShare
from clauseway.agreement.language.figures import GENERAL
from clauseway.agreement.language.shares import ShareBase
from clauseway.app.opening.library import OpenAgreement
from clauseway.app.opening.several import Opened, each_of, own_readings
from clauseway.catalog import Catalog
from clauseway.decisions.joint_answers import in_their_order
from clauseway.ledger.assumptions import check_sellers, check_taken
from clauseway.values import Citation, KnownAt


def shares_of(opened: Opened, known_at: KnownAt, readings: Mapping[str, str]) -> list[RevenueShare]:
    """Return every revenue share of the agreements.

    If there are several agreements, places name their agreement too, and so does the id of a term
    that two agreements have. A general figure holds for the shares of the agreements that declare
    it, and a product counts in the bases of the agreements that name it: the others state nothing
    about it.
    """
    if isinstance(opened, OpenAgreement):
        return opened.revenue_shares(known_at, readings)
    shares = [
        (asked, share)
        for asked in in_their_order(opened.each)
        for share in asked.revenue_shares(known_at, own_readings(opened, asked, readings))
    ]
    # A share that another amendment ends and begins again has one id in one agreement.
    owners: dict[str, set[str]] = {}
    for asked, share in shares:
        owners.setdefault(share.term, set()).add(asked.agreement.id)
    declared = {
        name for asked in opened.each for name in GENERAL if name in asked.agreement.figures
    }
    return [
        msgspec.structs.replace(
            share,
            term=share.term
            if len(owners[share.term]) == 1
            else f"{asked.agreement.id}:{share.term}",
            citation=_placed(asked.agreement.id, share.citation),
            ended_by=share.ended_by and _placed(asked.agreement.id, share.ended_by),
            event=share.event and _placed(asked.agreement.id, share.event),
            undeclared=tuple(sorted(declared - asked.agreement.figures.keys())),
            counted=_counted(share.base, asked.catalog),
        )
        for asked, share in shares
    ]


def check_assumed(opened: Opened, items: Sequence[str], where: str) -> None:
    """Raise InvalidInput where an item that accepts a figure names a seller that is no party, or
    has no effect on any revenue share."""
    check_sellers(items, opened.catalog.parties, where)
    check_taken(items, [asked.agreement for asked in each_of(opened)], where)


def _counted(base: ShareBase, catalog: Catalog) -> frozenset[str]:
    """Return the products and classes of a catalog that a base takes in."""
    return frozenset(
        name
        for name in (*catalog.products, *catalog.classes)
        if base.takes_in(catalog.lineage(name), "")
    )


def _placed(agreement: str, citation: Citation) -> Citation:
    return msgspec.structs.replace(citation, document=f"{agreement}/{citation.document}")

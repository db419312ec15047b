"""The revenue shares of the agreements, as a settlement takes them."""

from collections.abc import Mapping

import msgspec

from clauseway.agreement import RevenueShare
from clauseway.app.opening.library import OpenAgreement
from clauseway.app.opening.several import Opened, own_readings
from clauseway.decisions.joint_answers import in_their_order
from clauseway.values import Citation, KnownAt


def shares_of(opened: Opened, known_at: KnownAt, readings: Mapping[str, str]) -> list[RevenueShare]:
    """Return every revenue share of the agreements.

    Of several, places name their agreement too; and so does a term's id that two of them have.
    """
    if isinstance(opened, OpenAgreement):
        return opened.revenue_shares(known_at, readings)
    shares = [
        (asked.agreement.id, share)
        for asked in in_their_order(opened.each)
        for share in asked.revenue_shares(known_at, own_readings(opened, asked, readings))
    ]
    # A share that another amendment ends and begins again has one id in one agreement.
    owners: dict[str, set[str]] = {}
    for agreement, share in shares:
        owners.setdefault(share.term, set()).add(agreement)
    return [
        msgspec.structs.replace(
            share,
            term=share.term if len(owners[share.term]) == 1 else f"{agreement}:{share.term}",
            citation=_placed(agreement, share.citation),
            ended_by=share.ended_by and _placed(agreement, share.ended_by),
        )
        for agreement, share in shares
    ]


def _placed(agreement: str, citation: Citation) -> Citation:
    return msgspec.structs.replace(citation, document=f"{agreement}/{citation.document}")

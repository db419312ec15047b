"""Settling a period: every share in force in it, on cumulative totals, clipped exactly at its cap.

    share due up to a day = min(round(scale of the cumulative base since the share began)
                                + top-ups to its floors, cap)
    share of a period     = due at its end − due at its beginning

so a period's share may be negative where credits outweigh sales, and a credit reopens the cap. The
scale is one rate, or a rate for each band. Lines are the period's share split by largest remainder
over the amount by which each line moved the capped share, in order of event time. Sales in dispute
leave the base, and so the cap, until the dispute is resolved; `disputed` is the amount due in
addition if every dispute were rejected.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec

from clauseway.agreement.language.shares import CORRECTION, RevenueShare
from clauseway.catalog import Catalog
from clauseway.ledger.assumptions import LENGTHS, OURS, Assumption, Assumptions
from clauseway.ledger.carrying import Carried, ShareKey
from clauseway.ledger.revenue import RevenueLine, SaleRecord, clipped, taken_back
from clauseway.ledger.settlement import Disputed, Ended, Inputs, Settlement, ShareResult
from clauseway.ledger.sharing import Sharing, days_in
from clauseway.values import Interval, Problem, day_of, refuse_any

_ZERO = Decimal(0)
NOTHING_CARRIED: Mapping[ShareKey, Carried] = {}
# Members that were added since the first receipts, each with the values that say nothing.
_UNSAID_LATER: Mapping[str, tuple[object, ...]] = {
    **dict.fromkeys(("cap_opening", "withholding", "vouchers", "usage", "usage_before"), ("",)),
    "attempts": (0,),
    **dict.fromkeys(
        ("tiers", "floors", "products", "clouds", "closed", "undeclared"),
        ([], (), set(), frozenset()),
    ),
    "payment": (None,),
    "late": (CORRECTION,),
}


def settle(
    *,
    period: Interval,
    shares: Sequence[RevenueShare],
    revenue: Sequence[RevenueLine],
    catalog: Catalog,
    assumptions: Assumptions,
    inputs: Inputs,
    ordered: Mapping[date, Sequence[SaleRecord]] | None = None,
    credited: Sequence[SaleRecord] = (),
    disputed: Sequence[SaleRecord] = (),
    losses: Sequence[Assumption] = (),
    carried: Mapping[ShareKey, Carried] = NOTHING_CARRIED,
    carried_if_rejected: Mapping[ShareKey, Carried] = NOTHING_CARRIED,
) -> Settlement:
    """Settle the days of `period`.

    `revenue` holds every line since the earliest share in force began, in any order and any split;
    for a share that is `carried`, every line since the day it is carried up to.
    `carried_if_rejected` holds the carried sums with no sale in dispute.

    `ordered` gives single sales for the days on which a cap is reached or a band begins (see
    `Settlement.needs_order`). `credited` and `disputed` take sales back: records below zero, at the
    event time of the sale; disputed sales may return. `losses` are accepted estimates of lost
    usage and remarks of the books: the statement names them among its assumptions.

    Raise InvalidInput naming every undisclosed figure that is needed and nobody accepted, every
    product and host cloud unknown to the catalog, and tiers that begin at one amount.
    """
    in_force = [share for share in shares if not days_in(share, period).is_empty]
    names = assumptions.names_of(in_force)
    problems = assumptions.undisclosed(names) + _unknown_products(revenue, catalog)
    problems += _unknown_hosts(revenue, catalog) if assumptions.host_owns else []
    problems += [] if problems else _unusable(in_force, assumptions)
    refuse_any(problems)
    used = (*assumptions.used(names), *losses)

    def settle_shares(
        back: Sequence[SaleRecord], before: Mapping[ShareKey, Carried]
    ) -> tuple[list[ShareResult], set[date]]:
        lines, sales = _with_taken_back(back, revenue, ordered or {})
        return _settle_shares(in_force, period, lines, catalog, assumptions, sales, before)

    # Settle twice if sales are in dispute: with them taken back, and as if disputes were rejected.
    results, unordered = settle_shares([*credited, *disputed], carried)
    in_dispute: tuple[Disputed, ...] = ()
    if disputed:
        rejected, also = settle_shares(credited, carried_if_rejected)
        in_dispute, unordered = _in_dispute(results, rejected), unordered | also
    return Settlement(
        period=period,
        shares=tuple(results),
        ended=_ended(shares, period),
        # Unknown lengths of requests are named beside the assumptions; the receipt hashes the usage
        # itself.
        assumptions=(*used, *_of_unknown_length(revenue, period)),
        needs_order=tuple(sorted(unordered)),
        inputs=inputs,
        receipt=_receipt(period, shares, used, inputs),
        disputed=in_dispute,
    )


def _settle_shares(
    shares: Iterable[RevenueShare],
    period: Interval,
    lines: Sequence[RevenueLine],
    catalog: Catalog,
    assumptions: Assumptions,
    sales: Mapping[date, Sequence[SaleRecord]],
    before: Mapping[ShareKey, Carried],
) -> tuple[list[ShareResult], set[date]]:
    """Return what is due under each share, and the days whose sales have to be known in order."""
    # A stable order, so that the same inputs write the same bytes.
    in_order = sorted(shares, key=lambda share: (share.payer, share.payee, share.begin, share.term))
    names = _line_names(in_order)
    sharings = [
        Sharing(
            share,
            period,
            lines,
            catalog,
            assumptions,
            sales,
            before.get((share.term, share.begin)),
            name=names[share.term, share.begin],
        )
        for share in in_order
    ]
    results = [sharing.result() for sharing in sharings]
    return results, {day for sharing in sharings for day in sharing.needs_order}


def _line_names(shares: Iterable[RevenueShare]) -> dict[ShareKey, str]:
    """Return how the ids of each share's lines begin: with its term, and its beginning if the term
    begins again."""
    names: dict[ShareKey, str] = {}
    for share in sorted(shares, key=lambda share: (share.term, share.begin)):
        again = any(term == share.term for term, _ in names)
        names[share.term, share.begin] = f"{share.term}@{share.begin}" if again else share.term
    return names


def carry(
    share: RevenueShare,
    period: Interval,
    revenue: Sequence[RevenueLine],
    back: Sequence[SaleRecord],
    catalog: Catalog,
    assumptions: Assumptions,
    before: Carried | None,
) -> Carried:
    """Return a share's sums at the end of a period, from its sums at the beginning and the period's
    sales.

    `back` takes sales back. Raise InvalidInput if a product or host cloud is not known.
    """
    problems = _unknown_products(revenue, catalog)
    problems += _unknown_hosts(revenue, catalog) if assumptions.host_owns else []
    refuse_any(problems)
    lines, _ = _with_taken_back(back, revenue, {})
    sharing = Sharing(share, period, lines, catalog, assumptions, {}, before)
    sharing.result()  # what is carried is known once all is shared
    return sharing.carried()


def _of_unknown_length(revenue: Iterable[RevenueLine], period: Interval) -> list[Assumption]:
    """Return a statement's remark on records that sum many requests, where a length changes the
    price."""
    count = sum(line.unsized for line in revenue if line.event_day in period)
    if not count:
        return []
    text = (
        "These records sum many requests (a batch, a total of another system) and do not say how "
        "long each was. Their models cost more above a length; they are priced as requests below "
        "it."
    )
    records = "record" if count == 1 else "records"
    return [
        Assumption(
            name=LENGTHS,
            value=f"{count:,} {records} of unknown length",
            standing=OURS,
            text=text,
            source="usage",
            accepted=False,
        )
    ]


def _with_taken_back(
    back: Sequence[SaleRecord],
    revenue: Sequence[RevenueLine],
    ordered: Mapping[date, Sequence[SaleRecord]],
) -> tuple[Sequence[RevenueLine], Mapping[date, Sequence[SaleRecord]]]:
    """Return revenue, as sums and as sales in order, including the records that take sales back."""
    if not back:
        return revenue, ordered
    back = clipped(back, revenue)
    sales = {
        day: [*sales, *(record for record in back if day_of(record.event_ns) == day)]
        for day, sales in ordered.items()
    }
    return [*revenue, *map(taken_back, back)], sales


def _in_dispute(
    results: Iterable[ShareResult], rejected: Iterable[ShareResult]
) -> tuple[Disputed, ...]:
    """Return by line the amount due if the disputes are rejected less the amount due while they
    last; zeros are left out."""
    in_dispute = []
    for share, without_disputes in zip(results, rejected, strict=True):
        # A line may be on one side only: all of its sales may be in dispute.
        now = {line.id: line.amount for line in share.lines}
        then = {line.id: line.amount for line in without_disputes.lines}
        for line in sorted(now.keys() | then.keys()):
            amount = then.get(line, _ZERO) - now.get(line, _ZERO)
            if amount:
                in_dispute.append(
                    Disputed(
                        term=share.term,
                        payer=share.payer,
                        payee=share.payee,
                        line=line,
                        amount=amount,
                        citation=share.citation,
                    )
                )
    return tuple(in_dispute)


def _unknown_products(revenue: Iterable[RevenueLine], catalog: Catalog) -> list[Problem]:
    defined = catalog.products.keys() | catalog.classes.keys()
    return [
        Problem(
            what=f"product {product!r} was sold",
            why="the catalog does not say which class it belongs to, "
            "so no base can take or leave it",
            where="usage",
            remedy="Record its class: clauseway fact record product "
            f"--product {product} --class CLASS --effective DAY --source WHERE.",
        )
        for product in sorted({line.product for line in revenue} - defined)
    ]


def _unknown_hosts(revenue: Iterable[RevenueLine], catalog: Catalog) -> list[Problem]:
    return [
        Problem(
            what=f"{cloud!r} hosted what was sold",
            why="nobody is known to operate it, "
            "and by revenue-owner=host a sale is its operator's revenue",
            where="usage",
            remedy="Add the cloud to the agreement's definitions, or settle by revenue-owner=seller.",
        )
        for cloud in sorted({line.cloud for line in revenue} - catalog.operators.keys())
    ]


def _unusable(shares: Sequence[RevenueShare], assumptions: Assumptions) -> list[Problem]:
    """Return problems with figures that do not fit their use in a term, and with tiers of one
    bound."""
    problems = []
    for share in shares:
        try:
            for name in share.rates:
                assumptions.percentage(name)
            # The amounts of a share begin with the bounds of its tiers.
            bounds = [assumptions.amount(name) for name in share.amounts][: len(share.tiers)]
            reason = (
                "" if len(set(bounds)) == len(bounds) else "two of its tiers begin at one amount"
            )
        except ValueError as error:
            reason = str(error)
        if reason:
            remedy = "Fix the figure it names, or the term."
            where = share.citation.document
            problem = Problem(
                what=f"{share.term} cannot be settled",
                why=reason,
                where=where,
                line=share.citation.line,
                remedy=remedy,
            )
            problems.append(problem)
    return problems


def _ended(shares: Sequence[RevenueShare], period: Interval) -> tuple[Ended, ...]:
    """Return the directions in which nothing is due on some day of the period, nor later."""
    last: dict[tuple[str, str], RevenueShare] = {}
    for share in sorted(shares, key=lambda share: share.end):
        last[share.payer, share.payee] = share
    return tuple(
        Ended(
            payer=payer,
            payee=payee,
            term=share.term,
            day=share.end,
            citation=share.ended_by or share.citation,
            event=share.event,
        )
        for (payer, payee), share in sorted(last.items())
        # A share whose last day is the period's is in force on all its days: none is without it.
        if share.end < period.end
    )


def _receipt(
    period: Interval,
    shares: Sequence[RevenueShare],
    assumptions: Sequence[Assumption],
    inputs: Inputs,
) -> str:
    """Hash everything that went in. The shares are hashed as they were read: readings and
    suppositions move them.

    Usage batches and shares count as sets: their order changes nothing.
    """
    hashed_inputs = _as_first_hashed(
        msgspec.structs.replace(inputs, batches=tuple(sorted(inputs.batches)))
    )
    # Usage is named by its content then, however it was sealed into batches (choice 59).
    if inputs.usage or inputs.usage_before:
        del hashed_inputs["batches"]
    assumed = [_assumption_as_first_hashed(assumption) for assumption in assumptions]
    stated = (
        period,
        [_as_first_hashed(share) for share in sorted(shares, key=lambda share: share.term)],
        assumed,
        hashed_inputs,
    )
    return hashlib.sha256(msgspec.json.encode(stated, order="sorted")).hexdigest()


def _assumption_as_first_hashed(assumption: Assumption) -> dict[str, Any]:
    """Return an assumption as the first receipts hashed it, with the figure's own standing."""
    written: dict[str, Any] = msgspec.to_builtins(assumption)
    written["standing"] = assumption.standing_of_figure
    del written["declared"], written["declared_standing"]
    return written


def _as_first_hashed(record: msgspec.Struct) -> dict[str, Any]:
    """Return a record without later members that say nothing, so that an unchanged record keeps its
    receipt."""
    # Sets have an order of their own in each process; sorted, they are hashed alike everywhere.
    written: dict[str, Any] = msgspec.to_builtins(record, order="sorted")
    for name, unsaid in _UNSAID_LATER.items():
        if name in written and written[name] in unsaid:
            del written[name]
    if isinstance(record, RevenueShare):
        written["base"] = _as_first_hashed(record.base)
        # They follow from the agreements' texts and facts, which the receipt names.
        del written["counted"]
        written.pop("event", None)
    return written

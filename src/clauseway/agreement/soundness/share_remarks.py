"""Shares of revenue of which nothing comes due, in whole or in part, and sales that are shared twice."""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from itertools import product

import msgspec

from clauseway.agreement.language.actions import LICENSE, SELL, SERVE
from clauseway.agreement.language.figures import (
    CAP_COUNTS,
    GENERAL,
    WHOLESALE,
    parse_amount,
    parse_percentage,
)
from clauseway.agreement.language.shares import TOTAL, Floor, Tier
from clauseway.agreement.language.terms import (
    AnyTerm,
    Ownership,
    Permission,
    RevenueShareTerm,
)
from clauseway.agreement.soundness.lives import Lives, defined
from clauseway.agreement.soundness.remarks import Remark, Severity, lasting, listed, remark
from clauseway.values import FOREVER, BadNumber, Interval, nearest_name

# Terms in force under some readings by id, each with its life.
LivesById = Mapping[str, tuple[AnyTerm, Interval]]


def shares_of_nothing(lives: Lives) -> Iterator[Remark]:
    """Remark on what a share says in vain: a rate of nothing, a tier without effect.

    Figures are left out: an assumption may change their values.
    """
    for _, term in lives.terms:
        if isinstance(term, RevenueShareTerm):
            for problem, why, remedy in (*_in_vain(term), *_base_in_vain(lives, term)):
                yield remark(Severity.WARNING, "idle-share", term.citation, problem, why, remedy)


def _in_vain(term: RevenueShareTerm) -> Iterator[tuple[str, str, str]]:
    rates = [_percentage(rate) for rate in (term.rate, *(tier.rate for tier in term.tiers))]
    if not term.floors and all(rate == 0 for rate in rates):
        yield (
            f"nothing is due by {term.id}",
            "its rate is 0 %, and it has no floor",
            "Write its rate, or floors: for a minimum, or delete it.",
        )
    if _amount(term.cap) == 0:
        yield (
            f"nothing is due by {term.id}",
            f"its cap is {term.cap}",
            "Write the cap, or delete it: without one there is none.",
        )
    if term.base.wholesale_except and not term.base.wholesale:
        yield (
            f"wholesale-except: of {term.id} has no effect",
            "nothing earned from other sellers is in its base",
            "Write wholesale: true, or delete wholesale-except:.",
        )
    if term.withholding and _percentage(term.withholding) == 1:
        yield (
            f"{term.payee} receives nothing by {term.id}",
            f"withholding: {term.withholding} keeps back all that is due",
            "Write the part that is kept back.",
        )
    for above in _beyond_cap(term):
        yield (
            f"the tier above {above} of {term.id} is never reached",
            f"the rates below it make the cap of {term.cap} due before",
            "Raise the cap, lower the tier, or delete it.",
        )
    for tier in _at_rate_below(term):
        yield (
            f"the tier above {tier.above} of {term.id} changes nothing",
            f"its rate of {tier.rate} is the rate below it",
            "Write the rate that is meant, or delete the tier.",
        )

    for floor, under in _floors_below(term):
        yield (
            f"the floor of {floor.amount} a {floor.per} of {term.id} adds nothing",
            f"that of {under.amount} a {under.per} makes at least as much due",
            "Raise it, or delete it.",
        )


def _base_in_vain(lives: Lives, term: RevenueShareTerm) -> Iterator[tuple[str, str, str]]:
    base = term.base
    counted = _sold(lives, _without_excludes(term))
    for name in sorted(base.excludes):
        if not any(lives.is_in(sold, frozenset({name})) for sold in counted):
            yield (
                f"excludes: {name} of {term.id} has no effect",
                "nothing of it that is sold is in the base otherwise",
                f"Take {name} out of excludes:.",
            )
    others = lives.catalog.parties - base.sellers
    if base.wholesale and (twice := base.wholesale_except & base.sellers):
        yield (
            f"wholesale-except: {listed(twice)} of {term.id} has no effect",
            f"what {listed(twice)} sells counts in full, by sellers:",
            f"Take {listed(twice)} out of one of the two.",
        )
    if base.wholesale and others <= base.wholesale_except:
        yield (
            f"wholesale: of {term.id} has no effect",
            "all sellers but those of the base are excepted from it",
            "Delete wholesale: and wholesale-except:, or except fewer.",
        )
    if any(floor.per == TOTAL for floor in term.floors) and _never_ends(lives, term):
        yield (
            f"the floor in total of {term.id} never comes due",
            "it is due by the end of the share, and nothing ends the share",
            "Write until: or through:, or a floor of per: year.",
        )


def _without_excludes(term: RevenueShareTerm) -> RevenueShareTerm:
    base = msgspec.structs.replace(term.base, excludes=frozenset())
    return msgspec.structs.replace(term, base=base)


def _never_ends(lives: Lives, term: RevenueShareTerm) -> bool:
    """Return whether neither a day nor an event ends a share, under any reading."""
    days = [by_id[term.id][1] for by_id in lives.by_readings if term.id in by_id]
    changes = (change for amendment in lives.agreement.amendments for change in amendment.changes)
    moved = any(change.until for change in changes if term.id in change.sets_end)
    return not term.until and not moved and all(life.end == FOREVER for life in days)


# The most and the fewest days of each period. Where a share is in force on some days of a period
# alone, its floor is reduced by days. So a floor adds nothing if it is the lower one day by day.
_DAYS = {"month": (31, 28), "quarter": (92, 90), "year": (366, 365)}


def _floors_below(term: RevenueShareTerm) -> Iterator[tuple[Floor, Floor]]:
    """Yield each floor that never adds to a floor of shorter periods, with that floor."""
    periods = list(_DAYS)
    floors = [floor for floor in term.floors if floor.per in _DAYS]
    for floor, under in product(floors, floors):
        most, least = _amount(floor.amount), _amount(under.amount)
        if most is None or least is None or periods.index(under.per) >= periods.index(floor.per):
            continue
        if most / _DAYS[floor.per][1] <= least / _DAYS[under.per][0]:
            yield floor, under


def _at_rate_below(term: RevenueShareTerm) -> Iterator[Tier]:
    """Yield each tier whose rate is that of the tier below it, be it written out or a figure."""
    below = term.rate
    for tier in term.tiers:
        rate = _percentage(tier.rate)
        if tier.rate == below or (rate is not None and rate == _percentage(below)):
            yield tier
        below = tier.rate


def _beyond_cap(term: RevenueShareTerm) -> Iterator[str]:
    """Yield the beginning of each tier that the cap never lets count."""
    cap, opening = _amount(term.cap), _amount(term.cap_opening or "0")
    begin, due, rate = Decimal(0), Decimal(0), _percentage(term.rate)
    for tier in term.tiers:
        above = _amount(tier.above)
        if cap is None or opening is None or above is None or rate is None:
            return
        due += (above - begin) * rate
        if due >= cap - opening:
            yield tier.above
        begin, rate = above, _percentage(tier.rate)


def _percentage(text: str) -> Decimal | None:
    """Return a percentage that is written out; None for a figure."""
    try:
        return parse_percentage(text, commas=True)
    except BadNumber:
        return None


def _amount(text: str) -> Decimal | None:
    """Return an amount that is written out; None for a figure, or where there is none."""
    try:
        return parse_amount(text, commas=True) if text else None
    except BadNumber:
        return None


def others_sales(lives: Lives) -> Iterator[Remark]:
    """Warn of a share of other sellers' sales that goes on where its payer does not own what they
    sell.

    Settlement takes these sales for the payer's earnings, as the base says.
    """
    seen: set[str] = set()
    for by_id in lives.by_readings:
        for term, life in by_id.values():
            if isinstance(term, RevenueShareTerm) and term.base.wholesale and term.id not in seen:
                names, days = _not_its_own(lives, by_id, term, life)
                if not names:
                    continue
                seen.add(term.id)
                yield remark(
                    Severity.WARNING,
                    "others-sales",
                    term.citation,
                    f"{term.id} takes a share of what others sell of {listed(names)}, which "
                    f"{term.payer} does not own {lasting(days)}",
                    "`wholesale: true` takes what others sell for what the payer earns, and "
                    f"{term.payer} neither owns it then nor may license it to others",
                    "Keep its base to products: that the payer owns, or end the share on the day "
                    "before; nothing, if the payer earns it all the same.",
                )


def _not_its_own(
    lives: Lives, by_id: LivesById, share: RevenueShareTerm, life: Interval
) -> tuple[list[str], Interval]:
    """Return the products that a share takes in and its payer does not own, and the first days."""
    rights = [
        (term, days)
        for term, days in by_id.values()
        if isinstance(term, Ownership | Permission) and term.party == share.payer
    ]
    changing = {day for _, days in rights for day in (days.begin, days.end) if day in life}
    turns = sorted({life.begin, *changing})
    for day in turns:
        live = [term for term, days in rights if day in days]
        if any(isinstance(term, Permission) and LICENSE in term.actions for term in live):
            continue
        names = [name for name in _sold(lives, share) if not _owned(lives, name, live)]
        if names:
            later = (end for end in turns if end > day)
            return lives.catalog.widest(names), Interval(day, next(later, life.end))
    return [], life


def _sold(lives: Lives, share: RevenueShareTerm) -> list[str]:
    """Return the products and classes that are sold and that a base takes in."""
    return [
        name
        for name, actions in lives.askable
        if actions & {SELL, SERVE} and share.base.takes_in(lives.catalog.lineage(name), "")
    ]


def _owned(lives: Lives, name: str, terms: Iterable[AnyTerm]) -> bool:
    return any(isinstance(term, Ownership) and lives.is_in(name, term.products) for term in terms)


def shared_twice(lives: Lives) -> Iterator[Remark]:
    """Note two shares between the same parties whose bases have sales in common.

    `overlaps` warns of equal bases.
    """
    for earlier, later, together in lives.pairs(RevenueShareTerm, RevenueShareTerm):
        assert isinstance(later, RevenueShareTerm)
        same_parties = (earlier.payer, earlier.payee) == (later.payer, later.payee)
        if not same_parties or earlier.base == later.base:
            continue
        sellers = earlier.base.sellers & later.base.sellers
        if sellers and (sold := _in_both(lives, earlier, later)):
            yield remark(
                Severity.NOTE,
                "shared-twice",
                later.citation,
                f"{earlier.id} and {later.id} both take a share of what {listed(sellers)} sells of "
                f"{sold}",
                f"both are in force {lives.meeting(together, earlier, later)}, and each is due in "
                "full",
                "Nothing, if both are meant; else keep one of the bases to other products:, or "
                "exclude them.",
            )


def caps_apart(lives: Lives) -> Iterator[Remark]:
    """Note two shares in force at once that name one figure as their cap: each has it alone."""
    for earlier, later, together in lives.pairs(RevenueShareTerm, RevenueShareTerm):
        assert isinstance(later, RevenueShareTerm)
        if earlier.cap == later.cap and later.cap in lives.agreement.figures:
            yield remark(
                Severity.NOTE,
                "caps-apart",
                later.citation,
                f"{earlier.id} and {later.id} each have a cap of their own, and name {later.cap}",
                f"both are in force {lives.meeting(together, earlier, later)}, and what is due by one "
                "does not count toward the cap of the other",
                "Nothing, if that is meant; else write one share that takes in the sales of both. A "
                "cap over several payers is no term: divide it between them.",
            )


def _in_both(lives: Lives, earlier: RevenueShareTerm, later: RevenueShareTerm) -> str:
    """Return a product or class whose sales both shares take in; empty if there is none."""
    clouds = earlier.base.clouds & later.base.clouds
    if earlier.base.clouds and later.base.clouds and not clouds:
        return ""
    for name, _ in lives.askable:
        lineage = lives.catalog.lineage(name)
        if earlier.base.takes_in(lineage, "") and later.base.takes_in(lineage, ""):
            return name
    return ""


def figures_in_vain(lives: Lives) -> Iterator[Remark]:
    """Remark on figures that no share uses; warn of one that is nearly named as a general figure.

    An agreement without shares is left alone: none of its figures is ever taken for anything.
    """
    shares = _shares(lives)
    used = {name for share in shares for name in share.figures}
    for figure in lives.agreement.figures if shares else ():
        if figure in used:
            continue
        severity, why = Severity.NOTE, "no share names it"
        remedy = "Delete it, or name it in a share: as its rate, cap or floor."
        if figure in GENERAL:
            why = "no share has others' sales in its base (wholesale: true)"
            if figure == CAP_COUNTS:
                why = "no share has a cap that begins at nothing"
            remedy = "Delete it."
        elif general := nearest_name(figure, GENERAL):
            severity, why = (
                Severity.WARNING,
                f"no share names it, and it is not the figure {general}",
            )
            remedy = f"Did you mean {general!r}?"
        at = defined(lives.agreement, "figures", figure)
        yield remark(severity, "idle", at, f"{figure} is defined and has no effect", why, remedy)


def _shares(lives: Lives) -> list[RevenueShareTerm]:
    return [term for _, term in lives.terms if isinstance(term, RevenueShareTerm)]


def whole_price(lives: Lives) -> Iterator[Remark]:
    """Note that others' sales count with their whole price, where no figure says which part."""
    for share in _shares(lives) if WHOLESALE not in lives.agreement.figures else ():
        if share.base.wholesale:
            yield remark(
                Severity.NOTE,
                "whole-price",
                share.citation,
                f"{share.id} counts the whole price of what others sell",
                f"no figure {WHOLESALE} says which part of it {share.payer} earns",
                f"Nothing, if that is meant; else define {WHOLESALE} under figures:, "
                "with a percentage as its value.",
            )


def caps_from_nothing(lives: Lives) -> Iterator[Remark]:
    """Note a capped share that follows another between its parties, and counts nothing of it."""
    if CAP_COUNTS in lives.agreement.figures:
        return
    for of_readings in lives.by_readings:
        lived = [
            (term, life)
            for term, life in of_readings.values()
            if isinstance(term, RevenueShareTerm) and term.cap
        ]
        for (earlier, before), (later, after) in product(lived, lived):
            same_parties = (earlier.payer, earlier.payee) == (later.payer, later.payee)
            if same_parties and before.end <= after.begin and not later.cap_opening:
                yield remark(
                    Severity.NOTE,
                    "cap-from-nothing",
                    later.citation,
                    f"the cap of {later.id} counts nothing of what {earlier.id} paid",
                    "each share counts toward its own cap, from its own begin on",
                    "Nothing, if that is meant; else write cap-opening: with what had been paid "
                    f"before, or define {CAP_COUNTS} under figures:.",
                )

"""A month settled under other terms, readings or figures, beside the real one. Nothing is posted.

--under A3           the agreement as it stood after A3: every later amendment is left out
--under R1=or        another reading
--under cap=30_000_000_000
                     another value of a figure; `--under cap` takes the reported value
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from clauseway.agreement import Agreement, meaning_of
from clauseway.app.books.basis import basis_of, first_use
from clauseway.app.books.settled import settlement_of
from clauseway.app.books.settling import Settler
from clauseway.app.opening.home import Home
from clauseway.app.opening.library import OpenAgreement
from clauseway.app.opening.periods import month
from clauseway.app.opening.revenue_shares import check_assumed
from clauseway.app.opening.several import OpenAgreements, Opened, each_of, figures_of
from clauseway.app.usage.sealing import open_lake, seal
from clauseway.ledger import Settlement, read_assumptions
from clauseway.ledger.assumptions import accepted_items, replace_items
from clauseway.ledger.beside import SideBySide, beside
from clauseway.pricing import PriceTable
from clauseway.storage.books.books import Books
from clauseway.values import Problem, refuse_any

_FLAG = "--under"


class Otherwise(msgspec.Struct, frozen=True, kw_only=True):
    """The other terms: the last amendment of each agreement, readings, and figures as in
    `--assume`."""

    amendments: Mapping[str, str]
    readings: Mapping[str, str]
    figures: tuple[str, ...]


class WhatIf(msgspec.Struct, frozen=True, kw_only=True):
    """A month's real settlement and another beside it. `under` states the other terms in words.

    `posted` is the receipt of the month's posted settlement, empty where none was; the real side is
    settled anew on all usage sealed by now, so that both stand on the same, and is the posted one
    where `real_is_posted`.
    """

    period: str
    under: str
    beside: SideBySide
    posted: str
    real_is_posted: bool
    known_at: str


def what_if(
    home: Home,
    opened: Opened,
    prices: PriceTable,
    period: str,
    assume: Sequence[str],
    readings: Mapping[str, str],
    under: Sequence[str],
) -> WhatIf:
    """Settle a month in force and under other terms.

    Seal the journals, as settling does, and post nothing. Except for `under`, both sides use the
    basis of the home. Raise InvalidInput, also if `assume` or `readings` differ from that basis.
    """
    days = month(period)
    otherwise = read_under(under, opened)
    posted = settlement_of(home, period)
    figures = figures_of(opened)
    seal(home)
    with open_lake(home) as lake:
        use = first_use(lake.control, basis_of(home), opened, prices, assume, readings)
    # Where the home holds no figures, those that the month was posted with count.
    accepted = list(use.assume) or (accepted_items(posted.assumptions) if posted else [])
    readings, supposed = use.readings, replace_items(accepted, otherwise.figures)
    # Refuses a wrong figure before the month is settled twice.
    read_assumptions(otherwise.figures, figures, _FLAG)
    check_assumed(opened, otherwise.figures, "--under")
    amended = as_amended_by(opened, otherwise.amendments)
    with open_lake(home) as lake:
        vouchers = Books(lake.control).vouchers()
        usage = lake.snapshot()  # both sides are of the same
        real = Settler(usage, opened, prices, readings, vouchers).settle(days, accepted)
        supposing = {**readings, **otherwise.readings}
        as_if = Settler(usage, amended, prices, supposing, vouchers).settle(days, supposed)
    return WhatIf(
        period=period,
        under=_in_words(otherwise, opened),
        beside=beside(real, as_if),
        posted="" if posted is None else posted.receipt,
        real_is_posted=posted is not None and _same_amounts(real, posted),
        known_at=str(prices.known_at),
    )


def read_under(items: Sequence[str], opened: Opened) -> Otherwise:
    """Read `--under` items.

    Raise InvalidInput naming every one that is not an amendment, reading or figure.
    """
    amendments: dict[str, str] = {}
    readings: dict[str, str] = {}
    figures: list[str] = []
    problems: list[Problem] = []
    known_readings = {name for asked in each_of(opened) for name in asked.agreement.readings}
    known_figures = figures_of(opened)
    for item in items:
        name, equals, option = (part.strip() for part in item.partition("="))
        if name in known_figures:
            figures.append(item.strip())
        elif name in known_readings and equals:
            readings[name] = option
        elif not equals and (amendment := _amendment(name, opened)) is not None:
            problems += _twice(amendment, amendments)
            amendments |= amendment
        else:
            problems.append(_unknown(item, opened, sorted(known_readings), sorted(known_figures)))
    refuse_any(problems)
    return Otherwise(amendments=amendments, readings=readings, figures=tuple(figures))


def _amendment(name: str, opened: Opened) -> dict[str, str] | None:
    """Return the agreement with an amendment; `ours:A3` also names the agreement."""
    wanted, colon, bare = name.partition(":")
    holders = [
        asked.agreement.id
        for asked in each_of(opened)
        if (bare if colon else name) in {amendment.id for amendment in asked.agreement.amendments}
        and wanted in ((asked.agreement.id,) if colon else (name,))
    ]
    return {holders[0]: bare if colon else name} if len(holders) == 1 else None


def _twice(meanings: Mapping[str, str], before: Mapping[str, str]) -> list[Problem]:
    """Return a problem for each agreement with two last amendments."""
    return [
        Problem(
            what=f"{last} and {before[agreement]} are both named",
            why=f"{agreement} can stand as of one amendment only",
            where=_FLAG,
            remedy="Name one of the two.",
        )
        for agreement, last in meanings.items()
        if before.get(agreement, last) != last
    ]


def _unknown(item: str, opened: Opened, readings: Iterable[str], figures: Iterable[str]) -> Problem:
    ids = [
        amendment.id
        if isinstance(opened, OpenAgreement)
        else f"{asked.agreement.id}:{amendment.id}"
        for asked in each_of(opened)
        for amendment in asked.agreement.amendments
    ]
    allowed = (
        f"an amendment ({', '.join(ids)}), a reading ({', '.join(readings) or 'none'}) as "
        f"NAME=OPTION"
    )
    holders = [
        asked.agreement.id
        for asked in each_of(opened)
        if item.strip() in {amendment.id for amendment in asked.agreement.amendments}
    ]
    return Problem(
        what=f"unknown: {item!r}",
        # A name that one agreement alone has is read, and is not unknown.
        why=f"{' and '.join(holders)} have an amendment of this name"
        if holders
        else "it is neither an amendment nor a reading with an option nor a figure of the agreement",
        where=_FLAG,
        remedy=f"Name {allowed}, or a figure ({', '.join(figures) or 'none'}).",
    )


def as_amended_by(opened: Opened, last: Mapping[str, str]) -> Opened:
    """Return the agreements, each without the amendments after the named one."""
    if isinstance(opened, OpenAgreements):
        return OpenAgreements(
            tuple(_up_to(asked, last.get(asked.agreement.id, "")) for asked in opened.each)
        )
    return _up_to(opened, last.get(opened.agreement.id, ""))


def _up_to(asked: OpenAgreement, last: str) -> OpenAgreement:
    return (
        msgspec.structs.replace(asked, agreement=amended_up_to(asked.agreement, last))
        if last
        else asked
    )


def amended_up_to(agreement: Agreement, last: str) -> Agreement:
    """Return the agreement after one of its amendments: all later ones left out, and its hash
    says so."""
    ids = [amendment.id for amendment in agreement.amendments]
    kept = agreement.amendments[: ids.index(last) + 1]
    if len(kept) == len(ids):
        return agreement
    kept_only = msgspec.structs.replace(
        agreement, amendments=kept, text_digest=f"{agreement.text_digest}@{last}"
    )
    return msgspec.structs.replace(kept_only, meaning_digest=meaning_of(kept_only))


def _same_amounts(real: Settlement, posted: Settlement) -> bool:
    compared = beside(posted, real)
    return compared.is_same


def _in_words(otherwise: Otherwise, opened: Opened) -> str:
    parts = [
        # Of several agreements each may have an amendment of this name.
        f"the terms{'' if isinstance(opened, OpenAgreement) else f' of {agreement}'} as of {name}"
        for agreement, name in otherwise.amendments.items()
    ]
    parts += [f"reading {name}={option}" for name, option in sorted(otherwise.readings.items())]
    figures = [f"with {item}" for item in otherwise.figures]
    return ", ".join([*(parts or ["the same terms"]), *figures])

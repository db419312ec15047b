"""The tables of the kinds of term in docs/terms.md; what no kind says, and how to say it otherwise.

The language is closed. The reader, the schema, `agreement check` and the tables are made from the
records in `terms.KINDS`. A part that an action does not take, or that a kind has no key for, is
refused where it is written. The engine executes everything that is not refused.
"""

from collections.abc import Iterator, Mapping

import msgspec

from clauseway.agreement.language.actions import (
    LICENSEES,
    PARTIES,
    REGIONS,
    SEGMENTS,
    TERM_ACTIONS,
    USE,
)
from clauseway.agreement.language.agreement import Change
from clauseway.agreement.language.definitions import Event
from clauseway.agreement.language.shares import Floor, PaymentTerm, ShareBase, Tier
from clauseway.agreement.language.terms import (
    KINDS,
    LIMITS,
    PLACES,
    Commitment,
    Kind,
    Licence,
    Ownership,
    Permission,
    RefusalRight,
    RevenueShareTerm,
    Scope,
    Undertaking,
)


class WayToSay(msgspec.Struct, frozen=True):
    """The reason why there is no such key or kind of term, and how to say it otherwise."""

    why: str
    remedy: str


_NO_MONEY = {
    key: WayToSay(
        "no term of this kind moves money",
        "Write kind: revenue-share with rate: and base: for a part of what is sold, kind: "
        "commitment with party:, to: and about: for a fixed sum, which is shown and not settled; "
        "prices of single units stand in a price book.",
    )
    for key in ("price", "fee", "royalty", "amount", "rate")
}
_TIME_TO_ANSWER = WayToSay(
    "the time for an answer runs from an offer, and each offer states it",
    "Record it with the offer: clauseway fact record offer --answer-by DAY (answer-by: in facts.md); "
    "after that day silence is a pass.",
)
_LICENSEES = WayToSay(
    "a permission says who may act, and licences to anyone lie within it",
    "Write beside it kind: exclusivity with actions: [license], products: and "
    "only: {licensees: [...]}, which lets nobody license to others.",
)
_NEW_SCOPE = WayToSay(
    "a term keeps its scope as long as it stands",
    "Write ends: [ID] in this change, and under the same clause a term of another id with the new "
    "scope.",
)
_CALENDAR_DAYS = WayToSay(
    "days are calendar days, and no calendar of holidays is known",
    "Write days: with the calendar days that cover them (10 business days: days: 14), or on: with "
    "the day itself.",
)
_SUM_IN_WORDS = {
    key: WayToSay(
        "a commitment is shown and not settled, so its sum is told in words",
        'Write it in about:, as in about: "USD 5 million a year".',
    )
    for key in ("amount", "volume", "value", "minimum", "price", "fee")
}
_CONTEXT = "write kind: context with parties:, which decides nothing and is shown"
_SHARE_EACH_YEAR = "Write a share for each year, with the days on which it begins and ends"
_CAP_A_YEAR = {
    key: WayToSay("a cap holds over the whole share", f"{_SHARE_EACH_YEAR}, each with its cap:.")
    for key in ("cap-per", "annual-cap", "yearly-cap", "cap-per-year", "per")
}
_CARRIED_OVER = {
    key: WayToSay(
        "a floor is compared with the share of its own period, and nothing is carried over",
        "For one minimum over several years write per: total in a share of these years; keep as "
        f"prose what else is carried, or {_CONTEXT}.",
    )
    for key in ("roll-over", "rollover", "carry-over", "carry-forward")
}
_OTHER_YEARS = {
    key: WayToSay(
        "a year, a quarter and a month are those of the calendar",
        f"{_SHARE_EACH_YEAR}, each with floors: [{{amount: USD 100, per: total}}].",
    )
    for key in ("begins", "starts", "year-begins", "fiscal-year", "from")
}
_BANDS_EACH_YEAR = {
    key: WayToSay("a band counts what was sold since the share began", f"{_SHARE_EACH_YEAR}.")
    for key in ("per", "every", "resets")
}
_RATES_REACHING_BACK = {
    key: WayToSay(
        "the rate of a band holds for what lies in the band alone",
        f"Keep as prose a rate that reaches back below it, or {_CONTEXT}; record what is given "
        "back with clauseway books credit.",
    )
    for key in ("retroactive", "marginal", "whole")
}
_INTEREST = {
    key: WayToSay("no term counts interest", f"Keep it as prose, or {_CONTEXT}.")
    for key in ("interest", "late-fee", "penalty")
}
_CURRENCY = {
    "currency": WayToSay(
        "sums are counted in USD",
        "Write each amount in USD. Prices may be in another currency, in a price book, and an "
        "invoice too: clauseway books invoice --currency.",
    )
}
_ONE_OWNER = {
    key: WayToSay(
        "a product has one owner on a day",
        "Name one party, and beside it write for the other kind: permission with grantor: and "
        "actions: [serve, sell, license]; or define a product for each part.",
    )
    for key in (PARTIES, "owners", "co-owner", "co-owners", "shares")
}
_PASSED_ON = {
    key: WayToSay(
        "to pass a right on is an act of its own",
        "Write beside it kind: permission with party:, grantor:, actions: [license] and products:.",
    )
    for key in ("sublicensable", "sublicence", "sublicense", "transferable", "assignable")
}
_NO_END = {
    key: WayToSay("a term without an end goes on", "Leave it out, as through: and until:.")
    for key in ("perpetual", "irrevocable")
}
# Keys that an author may well look for where they would have no effect.
REFUSED: Mapping[type, Mapping[str, WayToSay]] = {
    RevenueShareTerm: _CAP_A_YEAR | _CARRIED_OVER | _RATES_REACHING_BACK | _INTEREST | _CURRENCY,
    Tier: _BANDS_EACH_YEAR | _RATES_REACHING_BACK,
    Floor: _CARRIED_OVER | _OTHER_YEARS,
    PaymentTerm: _INTEREST | _CURRENCY,
    Ownership: _ONE_OWNER,
    Permission: _NO_MONEY | _PASSED_ON | _NO_END | {LICENSEES: _LICENSEES, "licensee": _LICENSEES},
    Undertaking: _NO_MONEY,
    Commitment: _SUM_IN_WORDS,
    RefusalRight: dict.fromkeys(
        ("days", "answer-days", "within-days", "deadline", "answer-by", "period"), _TIME_TO_ANSWER
    ),
    Change: dict.fromkeys(
        (
            *("sets-scope", "sets-products", "sets-clouds", "sets-regions", "sets-rate"),
            *("sets-party", "sets-only", "sets", "replaces"),
        ),
        _NEW_SCOPE,
    ),
    Event: dict.fromkeys(("business-days", "working-days", "weeks", "months"), _CALENDAR_DAYS),
    Licence: _NO_MONEY
    | _PASSED_ON
    | _NO_END
    | {
        part: WayToSay(
            f"{USE} takes no {part}",
            f"Keep what it carries to them: carries: [{{actions: [sell], {part}: [...]}}].",
        )
        for part in PLACES
    },
    ShareBase: {
        part: WayToSay(
            f"a base takes no {part}, because sales are summed by seller, product and cloud",
            "Keep it to products: or clouds:, or define a product of its own for them.",
        )
        for part in (SEGMENTS, REGIONS)
    },
    Scope: {
        key: WayToSay(
            "a scope says of what and where, and names no party",
            "To except a party, write a term of kind: permission with party: and "
            "despite: [ID of this term]. What a licence carries is its licensee's.",
        )
        for key in ("party", PARTIES)
    },
}

_BY_EVENT = WayToSay(
    "what happens is an event, and terms hang on it",
    "Define what happens under events: in agreement.md and write until: EVENT under each term that "
    "it ends, or while-no: EVENT where it only pauses, or from: EVENT where it begins a term; days "
    "of notice or cure are an event of their own (after:, days:, prevented-by:).",
)
_PRICES = WayToSay(
    "prices stand in a price book, not in an agreement",
    "Write a line with the price, or with discount_percent and buyer, and check it with "
    "clauseway price check; a part of what is sold is kind: revenue-share.",
)
# Kinds of clause that contracts have and no term executes, by a part of the name that an author
# may give them.
NO_KINDS: Mapping[str, WayToSay] = {
    "discount": _PRICES,
    **dict.fromkeys(
        ("terminat", "change-of-control", "notice", "cure", "breach", "renewal", "expir"), _BY_EVENT
    ),
    **dict.fromkeys(
        ("appoint", "resell", "distribut", "agency"),
        WayToSay(
            "whom one appoints may act, and that is a permission",
            "Write kind: permission with party:, actions: [sell] and products:; exclusive: true "
            "keeps out everybody else, sole: true everybody but the grantor:.",
        ),
    ),
    **dict.fromkeys(
        ("compet", "non-solicit"),
        WayToSay(
            "of what a party may not do, the actions of the language are decided",
            "Write kind: prohibition with parties:, actions: and products:, and define the "
            "products that it keeps them from; keep as prose what is none of these actions.",
        ),
    ),
    **dict.fromkeys(
        ("favoured", "favored", "mfn", "best-price", "price-match"),
        WayToSay(
            "no term compares what one party is given with what others are",
            "Keep it as prose; write the price that it comes to into the price book, with buyer "
            "and from, and give back what was charged too much with clauseway books credit.",
        ),
    ),
    **dict.fromkeys(
        ("volume", "purchase", "take-or-pay", "spend", "minimum-order"),
        WayToSay(
            "a promise to buy permits and forbids nothing",
            "Write kind: commitment with party:, to: and about:, which decides nothing and is "
            "shown.",
        ),
    ),
    **dict.fromkeys(
        ("shortfall", "guarantee", "top-up", "minimum"),
        WayToSay(
            "the least that is due is a part of a share",
            "Write floors: [{amount: USD 100, per: month}] in its kind: revenue-share; if no share "
            f"is due, {_CONTEXT}.",
        ),
    ),
    "escrow": WayToSay(
        "what is held for a party is released by an event",
        "Define the release under events: in agreement.md and write kind: licence with "
        "from: EVENT.",
    ),
    **dict.fromkeys(
        ("assign", "sublicen"),
        WayToSay(
            "to pass a right on is an act of its own",
            "Write kind: permission with party:, grantor:, actions: [license] and products:; kind: "
            "prohibition with actions: [license] keeps a party from it.",
        ),
    ),
    **dict.fromkeys(("price", "pricing", "tariff"), _PRICES),
    **dict.fromkeys(
        ("refund", "rebate", "clawback", "credit"),
        WayToSay(
            "what is given back is recorded when it happens",
            f"Keep it as prose, or {_CONTEXT}; record each case with clauseway books credit.",
        ),
    ),
}


def tables() -> str:
    """Return the tables of docs/terms.md: for each kind, the parts that may limit each action."""
    return "\n\n".join(map(_table, KINDS.values())) + "\n"


def _table(kind: Kind) -> str:
    head = f"### {kind.name}\n\nBinds {kind.binds}. {kind.effect}"
    return "\n".join([head, *_rows(kind)]) if kind.actions else head


def _rows(kind: Kind) -> Iterator[str]:
    yield ""
    yield f"| kept to | {' | '.join(TERM_ACTIONS)} |"
    yield "|---|" + "---|" * len(TERM_ACTIONS)
    for part in ("", *LIMITS):
        if not part or part in kind.keys:
            cells = [kind.refusal(action, part) for action in TERM_ACTIONS]
            marks = [f"refused: {reason}" if reason else "executed" for reason in cells]
            label = f"{part} (`{kind.keys[part]}`)" if part else "nothing"
            yield f"| {label} | {' | '.join(marks)} |"

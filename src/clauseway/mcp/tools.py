"""The tools: `TOOLS` is the one list of them.

A record of each tool's arguments gives its JSON Schema and checks an assistant's arguments; unknown
names are refused.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from msgspec import NODEFAULT

from clauseway.agreement.reading.suppositions import SUPPOSED_FORMS
from clauseway.app.agreements.comparing import compare_sides
from clauseway.app.agreements.explaining import explain
from clauseway.app.opening.home import Home, not_begun
from clauseway.app.opening.library import readings_of
from clauseway.app.opening.periods import days_given
from clauseway.app.opening.prices import USUAL_TOKENS
from clauseway.app.opening.several import Opened, open_agreements, with_recorded
from clauseway.app.reports.for_programs import price
from clauseway.app.reports.settled_statement import settled_statement
from clauseway.app.reports.tracing import trace_line
from clauseway.app.usage.compacting import SHOWN_BY, summed_rows, usage_shown
from clauseway.decisions.parts import PARTS, Names
from clauseway.ledger.statement import canonical_bytes
from clauseway.pricing import DEFAULT_TIER
from clauseway.wording.changes import Comparison

AskedT = TypeVar("AskedT", bound=msgspec.Struct)


class Asked(msgspec.Struct, frozen=True):
    """The home that the tools read, and the agreements in place of the built-in agreement."""

    home: Home
    agreements: Sequence[Path] = ()

    def opened(self, suppose: Sequence[str] = ()) -> Opened:
        """Return the agreements with the recorded and the supposed facts."""
        return with_recorded(open_agreements(self.agreements), self.home).supposing(suppose)

    def begun(self) -> Home:
        """Return the home. Raise InvalidInput if nothing was recorded in it."""
        if not self.home.is_begun:
            raise not_begun(self.home)
        return self.home


class Tool(msgspec.Struct, Generic[AskedT], frozen=True):
    """A tool: `arguments` is the record of its arguments, `answer` returns its result as a JSON
    object, or raises InvalidInput."""

    name: str
    title: str
    about: str
    arguments: type[AskedT]
    answer: Callable[[Asked, AskedT], Any]


def _described(text: str) -> msgspec.Meta:
    """Return the description of an argument, as its schema shows it."""
    return msgspec.Meta(description=text)


_AsOf = Annotated[
    str, _described("The day whose rules are asked for, as 2026-05-01; by default today.")
]
_KnownAt = Annotated[
    str, _described("What was known by the end of this day, or by this instant; by default now.")
]
_Readings = Annotated[list[str], _described("How to read an ambiguous text, as R1=or.")]
_Suppositions = Annotated[list[str], _described(f"Facts to suppose: {SUPPOSED_FORMS}.")]


class NamesArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """No arguments: the tool lists all names."""


def _names(asked: Asked, _: NamesArguments) -> dict[str, Sequence[str]]:
    catalog = asked.opened().catalog
    return {part.lists: sorted(part.names(catalog)) for part in PARTS}


# The parts of a question come from their one list.
DecideArguments = msgspec.defstruct(
    "DecideArguments",
    [
        *(
            (
                part.name,
                Annotated[str, _described(part.help)],
                NODEFAULT if part.needed else part.default,
            )
            for part in PARTS
        ),
        ("as_of", _AsOf, ""),
        ("known_at", _KnownAt, ""),
        ("readings", _Readings, []),
        ("suppose", _Suppositions, []),
        (
            "trace",
            Annotated[bool, _described("Also every term, and why it did or did not apply.")],
            False,
        ),
    ],
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
)


def _decide(asked: Asked, given: Any) -> object:
    named = Names(**{part.name: getattr(given, part.name) for part in PARTS})
    opened, question = asked.opened().asking(
        given.suppose,
        as_of=given.as_of or None,
        known_at=given.known_at or None,
        reading=readings_of(given.readings),
        **named.given(),
    )
    return explain(opened, question, suppositions=given.suppose, with_trace=given.trace)


class DiffArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Two sides of a comparison."""

    amendments: Annotated[
        list[str], _described("Two amendments, as A4 and A5; or one: before it and with it.")
    ] = []
    as_of: Annotated[
        list[str], _described("Two days, before and after; or the day of both sides.")
    ] = []
    known_at: Annotated[
        list[str], _described("Two states of knowledge, before and after; or that of both sides.")
    ] = []
    readings: _Readings = []
    suppose: _Suppositions = []
    combinations: Annotated[
        bool, _described("Also every combination that is answered otherwise: often thousands.")
    ] = False


def _diff(asked: Asked, given: DiffArguments) -> dict[str, object]:
    compared = compare_sides(
        asked.opened(given.suppose),
        given.amendments,
        given.as_of,
        given.known_at,
        readings_of(given.readings),
    )
    changes = _changes(compared, given)
    if compared.later is not None:
        later = {"unchanged": compared.unchanged, "later": _changes(compared.later, given)}
        return changes | later
    return changes


def _changes(compared: Comparison, given: DiffArguments) -> dict[str, object]:
    changes: dict[str, object] = {
        "before": compared.before,
        "after": compared.after,
        "rescissions": compared.rescissions,
        "answered_otherwise": len(compared.changed),
        "changes": [
            {"sentence": group.sentence, "clause": group.place, "combinations": group.count}
            for group in compared.groups
        ],
    }
    return changes | ({"changed": compared.changed} if given.combinations else {})


class PriceArguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Usage to be priced."""

    product: Annotated[str, _described("A product or a model's name, as gpt-5.5.")]
    cloud: Annotated[str, _described("The host cloud: prices differ from cloud to cloud.")]
    seller: Annotated[str, _described("Whom the customer pays.")] = "openai"
    region: Annotated[str, _described("The cloud's region.")] = ""
    buyer: Annotated[str, _described("The organisation, for negotiated prices.")] = ""
    tier: Annotated[str, _described("default, flex, priority or batch.")] = DEFAULT_TIER
    endpoint: Annotated[str, _described("chat, responses, embeddings, …")] = ""
    tokens: Annotated[str, _described("Usage as reported: in=1000,cached=400,out=500.")] = (
        USUAL_TOKENS
    )
    as_of: Annotated[str, _described("The day of the usage, or the minute; by default today.")] = ""
    known_at: _KnownAt = ""


def _price(asked: Asked, given: PriceArguments) -> object:
    return price(
        given.product,
        cloud=given.cloud,
        seller=given.seller,
        region=given.region,
        buyer=given.buyer,
        tier=given.tier,
        endpoint=given.endpoint,
        tokens=given.tokens,
        as_of=given.as_of or None,
        known_at=given.known_at or None,
        home=asked.home,
    )


class UsageArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to sum up usage."""

    by: Annotated[list[str], _described(f"By default cloud; any of {', '.join(SHOWN_BY)}.")] = []
    first_day: Annotated[
        str, _described("The first day, as 2026-05-01; by default the first of all.")
    ] = ""
    last_day: Annotated[str, _described("The last day; by default the last of all.")] = ""


def _usage(asked: Asked, given: UsageArguments) -> dict[str, object]:
    days = days_given(given.first_day, given.last_day)
    by = given.by or ["cloud"]
    return {"usage": summed_rows(by, usage_shown(asked.begun(), by, days))}


class StatementArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A settled month."""

    period: Annotated[str, _described("The month, as 2026-05.")]
    party: Annotated[str, _described("Only what concerns this party.")] = ""
    restated: Annotated[bool, _described("Of a closed month, what restates it.")] = False


def _statement(asked: Asked, given: StatementArguments) -> object:
    settled = settled_statement(asked.begun(), given.period, given.party, restated=given.restated)
    return msgspec.json.decode(canonical_bytes(settled))


class ExplainArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A line of a statement, and how far to follow it."""

    line: Annotated[
        str, _described("The line's name, as `statement` tells it; its beginning is enough.")
    ]
    request: Annotated[str, _described("Follow one request: its tokens, prices and cents.")] = ""
    cent: Annotated[
        int, msgspec.Meta(ge=0, description="Follow the request that earned this cent.")
    ] = 0


def _explain(asked: Asked, given: ExplainArguments) -> object:
    return trace_line(asked.begun(), given.line, given.request, given.cent)


TOOLS: Sequence[Tool[Any]] = (
    Tool(
        "names",
        "Names that are known",
        "List the actions, parties, products and their classes, clouds, segments and regions that the agreement "
        "names. The other tools take these names.",
        NamesArguments,
        _names,
    ),
    Tool(
        "decide",
        "Who may do what, where and when",
        "Ask the agreement one question. The outcome is permitted, forbidden, conditional (something must be "
        "recorded first) or unstated; of share-revenue: due or not due. The reasons cite clause, document, line and "
        "source; the answer says what would change it.",
        DecideArguments,
        _decide,
    ),
    Tool(
        "diff",
        "What changes",
        "Compare two amendments, two days or two states of knowledge: every change in a sentence, with the clause "
        "that decides it.",
        DiffArguments,
        _diff,
    ),
    Tool(
        "price",
        "What usage costs",
        "Price tokens of a model on a cloud, with the entry of the price book behind each amount and why the others "
        "did not win.",
        PriceArguments,
        _price,
    ),
    Tool(
        "usage",
        "What was used",
        "Sum up metered and imported usage: attempts served and failed, and tokens by unit.",
        UsageArguments,
        _usage,
    ),
    Tool(
        "statement",
        "Who owes whom for a month",
        "Read the statement of a settled month: each line has a name and cites its clause. Amounts are decimal "
        "texts, never rounded.",
        StatementArguments,
        _statement,
    ),
    Tool(
        "explain",
        "What is behind a line",
        "Open a line of a statement: its entries, days, prices and requests, down to one request or cent.",
        ExplainArguments,
        _explain,
    ),
)

"""Prices, usage, statements and changes for programs: what the commands of these names answer, as
records.

    price("gpt-5.5", cloud="azure", as_of="2026-05-01").amount
    usage(by=["cloud", "product"], home="/srv/clauseway")
    statement("2026-05", home="/srv/clauseway").lines
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path

from clauseway.app.agreements.comparing import compare_sides
from clauseway.app.books.basis import NamedBasis, basis_of, given_prices, sellers_of
from clauseway.app.opening.home import Home, home_at, not_begun
from clauseway.app.opening.library import day_given, known_point
from clauseway.app.opening.prices import USUAL_TOKENS, PriceWorking, moment, show_working
from clauseway.app.opening.several import Opened
from clauseway.app.reports.settled_statement import settled_statement
from clauseway.app.reports.tracing import LineTrace, trace_line
from clauseway.app.usage.compacting import usage_shown
from clauseway.ledger import Statement
from clauseway.pricing import DEFAULT_TIER, Sale
from clauseway.storage.lake.hourly_sums import Usage
from clauseway.values import FOREVER, Interval, KnownAt, through
from clauseway.wording.changes import Comparison

# The hour of a day alone: no price that holds in a time window only applies to it.
_NO_HOUR = -1


def price(
    product: str,
    *,
    cloud: str,
    seller: str = "openai",
    region: str = "",
    buyer: str = "",
    tier: str = DEFAULT_TIER,
    endpoint: str = "",
    tokens: Mapping[str, int] | str = USUAL_TOKENS,
    as_of: date | str | None = None,
    known_at: KnownAt | date | str | None = None,
    prices: Path | str | None = None,
    rates: Path | str | None = None,
    home: Home | Path | str | None = None,
) -> PriceWorking:
    """Return the price of usage on a day, with the price book entry behind each amount.

    `product` is a product or a model's name. `tokens` are counts as reported, by unit: `in`,
    `cached` (a part of `in`), `out`, `reasoning` (a part of `out`), or a column of usage as
    `input_tokens`; a text says the same as `in=1000,out=500`. By default a million each way
    of a thousand requests.
    `as_of` is the day of the usage, or its minute in UTC as `2026-05-01T22:30`; by default today.
    `known_at` is what was known by then, by default now. `prices` and `rates` are files that stand
    in for those of the home; without a home the prices that ship count.

    In the answer, `amount` is an exact decimal in `currency` and `usd` its value in US dollars at
    the rate of the day where the currency is another. Each of `parts` has a `unit`, a `quantity`
    of tokens, the price `per_million` and the `amount`.

    Raise InvalidInput if no book has the price, or for a unit, number, day or file that is wrong.

    >>> from clauseway import price
    >>> priced = price(
    ...     "gpt-5.5", cloud="azure", tokens={"in": 1000, "out": 500}, as_of="2026-05-01"
    ... )
    >>> print(priced.amount.normalize(), priced.currency)
    0.02 USD
    >>> for part in priced.parts:
    ...     print(part.unit, part.quantity, part.per_million.normalize())
    input_tokens 1000 5
    output_tokens 500 3E+1
    """
    day, hour = _moment(as_of)
    sale = Sale(product, cloud, seller, region, buyer, tier, endpoint, 0, hour)
    given = NamedBasis(
        prices=None if prices is None else Path(prices),
        rates=None if rates is None else Path(rates),
    )
    basis = basis_of(_home(home))
    table = given_prices(basis, given, known_point(known_at))
    return show_working(table, sale, day, _counts(tokens), sellers_of(basis))


def usage(
    *,
    by: str | Iterable[str] = "cloud",
    first_day: date | str | None = None,
    last_day: date | str | None = None,
    home: Home | Path | str | None = None,
) -> list[Usage]:
    """Return what was used, summed by some of hour, organisation, project, seller, cloud, region,
    product and model.

    Days are event days in UTC, both included; by default all. Each sum has a `key` (the values of
    `by` in that order; an hour as `2026-05-01T22:00Z`), the attempts `served` and `failed`, and
    `units`: counts by column, as `input_tokens`, each token once.

    Raise InvalidInput if nothing was ever recorded in the home, or for a name or day that is wrong.

    >>> from clauseway import usage
    >>> for used in usage(by=["cloud", "product"], first_day="2026-05-01", last_day="2026-05-31"):
    ...     print(used.key, used.served, used.units["input_tokens"])
    ('aws', 'gpt-5.4') 2 80000
    ('azure', 'gpt-5.4') 2 250000
    ('azure', 'gpt-5.5') 1 100000
    """
    return usage_shown(_begun(home), _texts(by), _days(first_day, last_day))


def statement(
    period: str,
    *,
    party: str = "",
    restated: bool = False,
    home: Home | Path | str | None = None,
) -> Statement:
    """Return the statement of a settled month, for a party or for all.

    `period` is the month, as `2026-05`. With `restated`, of a closed month what restates it.
    `lines` are flat, each with its name in `id`, its `amount` and its clauses; `directions` has
    them by payer and payee with what was assumed, and `dues` is who owes whom. Amounts are exact
    decimals in `currency`, US dollars.

    Raise InvalidInput if nothing was ever recorded in the home, if the month is not settled, or if
    the party has no line in it.

    >>> from clauseway import statement
    >>> may = statement("2026-05", party="microsoft")
    >>> for line in may.lines:
    ...     print(line.id, line.amount)
    2pa4zs7k 0.14
    ywm48mwj 0.30
    p276v58h 0.16
    >>> for due in may.dues:
    ...     print(due.payer, due.payee, due.amount)
    openai microsoft 0.60
    """
    return settled_statement(_begun(home), period, party, restated=restated)


def explain_line(
    line: str,
    *,
    request: str = "",
    cent: int = 0,
    home: Home | Path | str | None = None,
) -> LineTrace:
    """Return everything behind a line of a settled month: entries, days, prices, requests, clauses.

    `line` is the line's `id` or its beginning. With `request`, follow that request; with `cent`
    (from 1), the request that earned that cent of the line. Charges are exact decimals in US
    dollars, days are event days in UTC.

    Raise InvalidInput if nothing was ever recorded in the home, or if there is no such line,
    request or cent.

    >>> from clauseway import explain_line, statement
    >>> trace = explain_line(statement("2026-05").lines[0].id)
    >>> print(trace.period, trace.charged.normalize(), len(trace.requests))
    2026-05 0.715 2
    >>> print(trace.clauses[0].citation.document, trace.clauses[0].citation.line)
    A5.md 149
    """
    return trace_line(_begun(home), line, request, cent)


def diff(
    opened: Opened,
    *amendments: str,
    as_of: date | str | Iterable[date | str] = (),
    known_at: date | str | Iterable[date | str] = (),
    reading: Mapping[str, str] | None = None,
) -> Comparison:
    """Return every change of an answer between two amendments, two days or two states of knowledge.

    `amendments` are two, as A4 and A5, or one: before it and with it. `as_of` and `known_at` are
    each of one value for both sides, or two. `groups` tells the changes in sentences with their
    clauses, `changed` each combination that is answered otherwise.

    Raise InvalidInput for an amendment that is unknown, or where there are not two sides.

    >>> from clauseway import diff, open_agreement
    >>> compared = diff(open_agreement(), "A4", "A5")
    >>> print(compared.after.as_of, len(compared.changed) > 0)
    2026-04-27 True
    """
    return compare_sides(opened, amendments, _texts(as_of), _texts(known_at), reading or {})


def _moment(as_of: date | str | None) -> tuple[date, int]:
    if isinstance(as_of, str):
        return moment(as_of)
    return as_of or datetime.now(UTC).date(), _NO_HOUR


def _counts(tokens: Mapping[str, int] | str) -> str:
    if isinstance(tokens, str):
        return tokens
    return ",".join(f"{unit}={count}" for unit, count in tokens.items())


def _days(first_day: date | str | None, last_day: date | str | None) -> Interval | None:
    first, last = day_given(first_day, "--from"), day_given(last_day, "--until")
    if first is None and last is None:
        return None
    return Interval(first or date.min, FOREVER if last is None else through(last))


def _texts(given: date | str | Iterable[date | str]) -> list[str]:
    """Return texts of one or several names or days: a text is one, not its letters."""
    return [str(each) for each in ([given] if isinstance(given, date | str) else given)]


def _home(home: Home | Path | str | None) -> Home:
    return home if isinstance(home, Home) else home_at(home)


def _begun(home: Home | Path | str | None) -> Home:
    """Return the home. Raise InvalidInput if nothing was ever recorded in it."""
    opened = _home(home)
    if not opened.is_begun:
        raise not_begun(opened)
    return opened

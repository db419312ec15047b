"""The forecast on the finance screen: the picture, the same in sentences, and the assumed
figures."""

from collections.abc import Mapping

import msgspec

from clauseway.app.books.basis import basis_of
from clauseway.app.opening.home import Home
from clauseway.app.opening.revenue_shares import shares_of
from clauseway.app.opening.several import Opened, each_of
from clauseway.app.reports.forecasting import Ahead, look_ahead, svg_of
from clauseway.app.reports.statements import Named
from clauseway.ledger.assumptions import in_one_line
from clauseway.ledger.forecast import Outlook, Reached
from clauseway.values import InvalidInput, KnownAt, Problem
from clauseway.web.contexts import ForecastContext
from clauseway.wording.names import Wording, listed

_TOO_LITTLE = (
    "There is no forecast yet: {why}. Enter an assumed growth above to draw one, or on the command "
    "line: clauseway forecast --growth 5%."
)
_NO_CAP = (
    "{typed!r} is not a cap: {why}. Write an amount in USD, as in USD 38 billion, or leave it empty "
    "for the agreement's own."
)


class Supposed(msgspec.Struct, frozen=True):
    """Assumptions of a forecast as typed: a growth in percent a month (`5`, or a range `3..7`) and
    a cap. Either may be empty."""

    growth: str = ""
    cap: str = ""

    def growth_of_command(self) -> str:
        """Return the growth as the command line takes it, with percent signs."""
        parts = (part.strip() for part in self.growth.split(".."))
        return "..".join(f"{part}%" if part[-1:].isdigit() else part for part in parts)


NOTHING_SUPPOSED = Supposed()


def forecast_context(
    home: Home, opened: Opened, known_at: KnownAt, supposed: Supposed = NOTHING_SUPPOSED
) -> ForecastContext:
    """Return the forecast from the settled months and the assumptions, or a note why there is none:
    too few months and no growth.

    The agreement is the home's, or `opened` if the home has none.
    """
    basis = basis_of(home)
    opened = basis.opened() if basis.holds_agreement else opened
    typed = ForecastContext(growth=supposed.growth, cap=supposed.cap)
    replace = msgspec.structs.replace
    try:
        view = look_ahead(
            home,
            opened,
            known_at=known_at,
            assume=_assumed_cap(opened, known_at, basis.readings, supposed.cap),
            readings={},
            growth=supposed.growth_of_command(),
        )
    except InvalidInput as error:
        return _refused(typed, error.problems[0])
    if not view.forecast.outlooks:
        return replace(typed, note="No revenue share is in force after the last settled month.")
    view = _with_names(view, Wording.of(each_of(opened)).name)
    return replace(
        typed,
        svg=svg_of(view),
        sentences=tuple(_sentence(outlook) for outlook in view.forecast.outlooks),
        note=_note(view),
    )


def _assumed_cap(
    opened: Opened, known_at: KnownAt, readings: Mapping[str, str], cap: str
) -> list[str]:
    """Return the assumed cap for the figures of the latest capped shares."""
    capped = [share for share in shares_of(opened, known_at, readings) if share.cap]
    end = max((share.end for share in capped), default=None)
    names = dict.fromkeys(share.cap for share in capped if share.end == end)
    return [f"{name}={cap}" for name in names if cap]


def _refused(typed: ForecastContext, problem: Problem) -> ForecastContext:
    """Return the page with a problem at its field, or in the note if it belongs to no field."""
    said = f"{problem.sentences[:1].upper()}{problem.sentences[1:]}"
    if problem.where == "--growth":
        return msgspec.structs.replace(typed, growth_problem=said)
    if problem.where == "--assume" and typed.cap:
        no_cap = _NO_CAP.format(typed=typed.cap, why=problem.why)
        return msgspec.structs.replace(typed, cap_problem=no_cap)
    return msgspec.structs.replace(typed, note=_TOO_LITTLE.format(why=problem.why))


def _with_names(view: Ahead, named: Named) -> Ahead:
    """Return the forecast with the parties' names as people write them."""
    replace = msgspec.structs.replace
    outlooks = tuple(
        replace(outlook, payer=named(outlook.payer), payee=named(outlook.payee))
        for outlook in view.forecast.outlooks
    )
    return replace(view, forecast=replace(view.forecast, outlooks=outlooks))


def _sentence(outlook: Outlook) -> str:
    said = (
        f"{outlook.payer} pays {outlook.payee}: {outlook.settled:,.2f} USD settled under "
        f"{outlook.term}."
    )
    for year in outlook.years:
        said += f" {year.year}: {year.due.mid:,.0f} ({year.due.low:,.0f} to {year.due.high:,.0f})."
    for stretch in outlook.unsettled:
        said += (
            f" {stretch.amount:,.2f} of {listed(stretch.months)} are not settled, and in no year."
        )
    if outlook.reached is None:
        return said
    return f"{said} {_cap(outlook.reached)}"


def _cap(reached: Reached) -> str:
    if reached.on is not None and reached.exceeded:
        return f"The cap is exceeded by {reached.exceeded:,.2f}, since {reached.on:%Y-%m}."
    if reached.on is not None:
        return f"The cap was reached on {reached.on}."
    if reached.earliest is None:
        return "The cap is not reached by the end of the forecast."
    if reached.likely is None:
        return f"The cap is likely not reached by then; at the earliest on {reached.earliest}."
    latest = f"at the latest on {reached.latest}" if reached.latest else "or not by then"
    return (
        f"The cap is likely reached on {reached.likely}, at the earliest on "
        f"{reached.earliest}, {latest}."
    )


def _note(view: Ahead) -> str:
    assumed = in_one_line(view.forecast.assumptions)
    methods = " ".join(dict.fromkeys(outlook.growth.method for outlook in view.forecast.outlooks))
    return f"Assumed: {assumed}. Method: {methods}."

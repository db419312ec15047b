"""The forecast as the finance screen shows it: the picture, the same in sentences, and the figures
it stands on."""

from clauseway.app.books.basis import basis_of
from clauseway.app.opening.home import Home
from clauseway.app.opening.several import Opened
from clauseway.app.reports.forecasting import Ahead, look_ahead, svg_of
from clauseway.ledger.forecast import Outlook, Reached
from clauseway.values import InvalidInput, KnownAt
from clauseway.web.contexts import ForecastContext

_TOO_LITTLE = (
    "There is no forecast yet: {why}. With an assumption of yours: clauseway forecast --growth 5%."
)


def forecast_context(home: Home, opened: Opened, known_at: KnownAt) -> ForecastContext:
    """Return the amounts due ahead by the settled months alone; where they are too few, a note that
    says so.

    The agreement is the one that the home holds, and `opened` where it holds none.
    """
    basis = basis_of(home)
    opened = basis.opened() if basis.holds_agreement else opened
    try:
        view = look_ahead(home, opened, known_at=known_at, assume=(), readings={})
    except InvalidInput as error:
        return ForecastContext(note=_TOO_LITTLE.format(why=error.problems[0].why))
    if not view.forecast.outlooks:
        return ForecastContext(note="No revenue share is in force after the last settled month.")
    return ForecastContext(
        svg=svg_of(view),
        sentences=tuple(_sentence(outlook) for outlook in view.forecast.outlooks),
        note=_note(view),
    )


def _sentence(outlook: Outlook) -> str:
    said = (
        f"{outlook.payer} pays {outlook.payee}: {outlook.settled:,.2f} USD settled under "
        f"{outlook.term}."
    )
    for year in outlook.years:
        said += f" {year.year}: {year.due.mid:,.0f} ({year.due.low:,.0f} to {year.due.high:,.0f})."
    if outlook.reached is None:
        return said
    return f"{said} {_cap(outlook.reached)}"


def _cap(reached: Reached) -> str:
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
    assumed = " · ".join(
        f"{assumption.name} = {assumption.in_words}" for assumption in view.forecast.assumptions
    )
    methods = " ".join(dict.fromkeys(outlook.growth.method for outlook in view.forecast.outlooks))
    return f"Assumed: {assumed}. Method: {methods}."

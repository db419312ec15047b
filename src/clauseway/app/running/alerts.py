"""What is damaged or lost in a home, as pages and terminals show it."""

from clauseway.app.books.losses import conditions
from clauseway.app.opening.home import Home
from clauseway.values import Interval
from clauseway.web import Alert


def open_alerts(home: Home, days: Interval | None = None) -> tuple[Alert, ...]:
    """Everything that is open, or what may belong to some days, as pages and terminals show it."""
    return tuple(
        Alert(
            what=one.problem.what,
            where=one.problem.where,
            why=one.problem.why,
            todo=one.problem.todo,
        )
        for one in conditions(home)
        if days is None or not one.days.intersect(days).is_empty
    )

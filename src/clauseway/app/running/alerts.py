"""Alerts of damage and loss in a home, as pages and terminals show them."""

from clauseway.app.opening.home import Home
from clauseway.app.usage.damages import conditions
from clauseway.values import Interval
from clauseway.web.contexts import Alert


def open_alerts(home: Home, days: Interval | None = None) -> tuple[Alert, ...]:
    """Return everything that is open, or what may belong to some days, as pages and terminals
    show it."""
    return tuple(
        Alert(
            what=condition.problem.what,
            where=condition.problem.where,
            why=condition.problem.why,
            todo=condition.problem.todo,
        )
        for condition in conditions(home)
        if days is None or not condition.days.intersect(days).is_empty
    )

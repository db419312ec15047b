"""Alerts of damage and loss in a home, as pages and terminals show them."""

from clauseway.app.opening.home import Home
from clauseway.app.usage.damages import blocking_damages
from clauseway.values import Interval
from clauseway.web.contexts import Alert


def open_alerts(home: Home, days: Interval | None = None) -> tuple[Alert, ...]:
    """Return everything that is open, or what may belong to some days, as pages and terminals
    show it."""
    return tuple(
        Alert(
            what=damage.problem.what,
            where=damage.problem.where,
            why=damage.problem.why,
            remedy=damage.problem.remedy,
        )
        for damage in blocking_damages(home)
        if days is None or not damage.days.intersect(days).is_empty
    )

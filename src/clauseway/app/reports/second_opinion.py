"""A second opinion on a settlement: Spark sums and prices the same usage, and the statement is the
same to the last byte, or it is told line by line.

The module needs the extra `spark`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from clauseway.app.opening.home import Home
from clauseway.app.reports.handed_statements import StatementVerification
from clauseway.app.reports.verifying import verify_statement
from clauseway.ledger import Statement
from clauseway.storage.lake.stores import Store
from clauseway.storage.usage.spark import spark_engine


@contextmanager
def opened(
    home: Home, master: str, store: Store | None
) -> Iterator[Callable[[Statement], StatementVerification]]:
    """Start Spark at a master, and yield what performs a statement again on it. `store` is the
    object storage that it reads by itself.

    Raise InvalidInput where Spark does not start or reach it, before anything is settled.
    """
    with spark_engine(master, store) as engine:
        yield partial(verify_statement, home, engine=engine)

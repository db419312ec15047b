"""The finance page of a cloud's bill: compared with the meter, as by `clauseway usage
reconcile`."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from clauseway.app.books.basis import basis_of
from clauseway.app.opening.home import Home
from clauseway.app.opening.several import each_of
from clauseway.app.reports.amounts import signed
from clauseway.app.reports.reconciliation_text import (
    behind,
    differing,
    quantities,
    summary,
    verdict,
)
from clauseway.app.reports.reconciling import Reconciliation, reconcile_bill
from clauseway.ledger.reconciliation import Tolerance
from clauseway.values import InvalidInput, KnownAt, counted
from clauseway.web.finance import BillContext, BillItem, BillRow
from clauseway.wording.names import Wording

_NAME = "bill.csv"
_SHOWN = 40


def bill_page(home: Home, bill: str, known_at: KnownAt) -> BillContext:
    """Return the page of a bill in CSV. Keep nothing."""
    if not bill.strip():
        return BillContext(bill=bill)
    with TemporaryDirectory(prefix="clauseway-bill-") as folder:
        path = Path(folder) / _NAME
        path.write_text(bill, encoding="utf-8", newline="")
        try:
            basis = basis_of(home)
            opened = basis.opened()
            words = Wording.of(each_of(opened))
            compared = reconcile_bill(
                home, opened, basis.prices(known_at), path, tolerance=Tolerance()
            )
        except InvalidInput as error:
            said = error.sentences
            return BillContext(bill=bill, problem=said.replace(str(path), _NAME))
    return _compared(bill, compared, words)


def _compared(bill: str, compared: Reconciliation, words: Wording) -> BillContext:
    items = differing(compared)
    return BillContext(
        bill=bill,
        is_compared=True,
        holds=compared.is_matched,
        said=verdict(compared),
        scope=_scope(compared, words),
        rows=tuple(BillRow(**msgspec.structs.asdict(row)) for row in summary(compared)),
        items=(
            *(
                BillItem(
                    said=f"{day.day} {words.names(day.clouds)}: the whole day is {day.status}, "
                    f"{signed(day.difference)} USD in {counted(day.items, 'item')}"
                )
                for day in compared.found.whole_days
            ),
            *(
                BillItem(
                    said=f"{line.day} {f'{words.name(line.cloud)} {line.region}'.rstrip()} "
                    f"{line.product} {item.unit.replace('_', ' ')}: {item.status}, {signed(item.difference)} USD",
                    quantities=quantities(item),
                    causes=tuple(f"{cause.name}: {cause.detail}" for cause in item.causes),
                    behind=behind(item),
                )
                for line, item in items[:_SHOWN]
            ),
        ),
        more=max(len(items) - _SHOWN, 0),
        remarks=tuple(_remarks(compared)),
    )


def _scope(compared: Reconciliation, words: Wording) -> str:
    scope = compared.scope
    sold = f", sold by {words.names(scope.sellers)}" if scope.sellers else ""
    return (
        f"{scope.days.begin} up to, not including, {scope.days.end}, on "
        f"{words.names(scope.clouds)}{sold}; {compared.cost} in USD, prices as known at "
        f"{compared.known_at}"
    )


def _remarks(compared: Reconciliation) -> Iterator[str]:
    for row in compared.unread[:_SHOWN]:
        yield f"Row {row.line}, {row.field}: {row.reason}. The row was left out."
    if compared.uncounted:
        rows = "row" if compared.uncounted == 1 else "rows"
        yield f"The bill's total is without {compared.uncounted} {rows} whose cost cannot be read."
    for currency, amount in compared.found.unrated.items():
        yield f"{amount:,f} {currency} have no rate and are in no amount."

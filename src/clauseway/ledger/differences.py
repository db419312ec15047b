"""The differences between two statements of one month, line by line and in words: one stated, the
other computed again."""

from collections.abc import Iterator, Mapping
from decimal import Decimal

import msgspec

from clauseway.ledger.settlement import Inputs
from clauseway.ledger.statement import Statement, StatementLine, canonical_bytes

_LINE_FIELDS = (
    "payer",
    "payee",
    "term",
    "days",
    "product",
    "cloud",
    "seller",
    "requests",
    "base",
    "rate",
    "amount",
    "corrects",
)
# Characters of a long text that a difference shows, and how many of them before what differs.
_SHOWN_MAX, _SHOWN_BEFORE = 120, 40
_RECEIPT = "receipt"
_INPUTS = ("engine", "agreement", "facts", "price_book", "known_at", "vouchers", "closed")


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """`where` is a line's name, a direction or an input; `stated` and `found` are empty where a
    side has nothing."""

    where: str
    what: str
    stated: str
    found: str

    def __str__(self) -> str:
        stated, computed = self.stated or "nothing", self.found or "nothing"
        return f"{self.where}: {self.what} is stated as {stated}, found as {computed}"


def differences(stated: Statement, computed: Statement) -> list[Difference]:
    """Return everything in which two statements differ; empty where their canonical bytes are the
    same."""
    different = [
        *_in_lines(stated, computed),
        *_in_totals(stated, computed),
        *_in_mappings("assumption", _assumptions(stated), _assumptions(computed)),
        *_in_mappings("input", _inputs(stated), _inputs(computed)),
    ]
    # Another receipt says that something differs, and not what.
    is_unexplained = all(difference.what == _RECEIPT for difference in different)
    if is_unexplained and canonical_bytes(stated) != canonical_bytes(computed):
        different += _in_the_rest(stated, computed)
    return different


def _in_lines(stated: Statement, computed: Statement) -> Iterator[Difference]:
    before = {line.id: line for line in stated.lines}
    after = {line.id: line for line in computed.lines}
    for line in sorted(before.keys() | after.keys()):
        old, new = before.get(line), after.get(line)
        # A line on one side alone differs as a whole.
        if old is None or new is None:
            yield Difference(
                where=f"line {line}", what="the line", stated=_described(old), found=_described(new)
            )
        else:
            for field in _LINE_FIELDS:
                values = getattr(old, field), getattr(new, field)
                if values[0] != values[1]:
                    yield Difference(
                        where=f"line {line}",
                        what=field,
                        stated=_text(values[0]),
                        found=_text(values[1]),
                    )


def _described(line: StatementLine | None) -> str:
    return (
        ""
        if line is None
        else f"{line.product} on {line.cloud}, sold by {line.seller}: {line.amount}"
    )


def _in_totals(stated: Statement, computed: Statement) -> Iterator[Difference]:
    yield from _in_mappings("total", _totals(stated), _totals(computed))


def _totals(statement: Statement) -> dict[str, str]:
    return {
        f"{direction.payer} to {direction.payee}": _text(direction.total)
        for direction in statement.directions
    }


def _assumptions(statement: Statement) -> dict[str, str]:
    return {
        assumption.name: f"{assumption.value} ({assumption.standing_of_figure})"
        for assumption in statement.assumptions
    }


def _inputs(statement: Statement) -> dict[str, str]:
    inputs = {name: _text(getattr(statement.inputs, name)) for name in _INPUTS}
    inputs["usage"] = _usage(statement.inputs)
    inputs["earlier usage"] = statement.inputs.usage_before
    # The receipt hashes all of these, and the terms as they were read: readings and suppositions.
    return inputs | {_RECEIPT: statement.receipt}


def _usage(inputs: Inputs) -> str:
    if inputs.batches:
        return ", ".join(sorted(inputs.batches))
    return f"{inputs.attempts} attempts, {inputs.usage}" if inputs.usage else "none"


def _in_mappings(
    where: str, stated: Mapping[str, str], computed: Mapping[str, str]
) -> Iterator[Difference]:
    for name in sorted(stated.keys() | computed.keys()):
        before, after = stated.get(name, ""), computed.get(name, "")
        if before != after:
            yield Difference(where=where, what=name, stated=before, found=after)


def _in_the_rest(stated: Statement, computed: Statement) -> Iterator[Difference]:
    """Yield the differences in the shares' working, by the name of the part of the statement."""
    for name in Statement.__struct_fields__:
        before, after = getattr(stated, name), getattr(computed, name)
        if before != after and name != _RECEIPT:
            old, new = _written(before), _written(after)
            begin = max(_first_difference(old, new) - _SHOWN_BEFORE, 0)
            yield Difference(
                where="statement", what=name, stated=_short(old, begin), found=_short(new, begin)
            )


def _written(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _first_difference(old: str, new: str) -> int:
    """Return the first place where two texts differ."""
    pairs = enumerate(zip(old, new, strict=False))
    return next((at for at, (before, after) in pairs if before != after), min(len(old), len(new)))


def _short(text: str, begin: int) -> str:
    return f"{'…' if begin else ''}{text[begin : begin + _SHOWN_MAX]}"


def _text(value: object) -> str:
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, msgspec.Struct):
        return " to ".join(str(getattr(value, name)) for name in value.__struct_fields__)
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)

"""Find the lines of a price book of which neither wins: both match some sale and are as specific.

    a line ───── earlier lines with the same names, where both name something ──▶ lines that it meets
    two lines ── lines whose names are all among theirs ────────────────────────▶ a line that decides

An index finds the lines by their names. Comparing each line with every other takes minutes where a
book holds the prices of some hundred buyers.
"""

from collections.abc import Iterator, Sequence
from heapq import merge
from operator import attrgetter

from clauseway.metering import Unit
from clauseway.pricing.price_entry import PriceEntry
from clauseway.values import FOREVER, Problem

# The names of an entry, and which of `NAMES` it names.
_Names = tuple[str, ...]
_Shape = tuple[bool, ...]
# Entries by the names that are looked at.
_Index = dict[_Names, list[PriceEntry]]
# Entries meet only within a kind: whether they are discounts, how specific they are, their unit.
_Kind = tuple[bool, int, Unit | None]

_BY_LINE = attrgetter("line")


def ambiguities(entries: Sequence[PriceEntry], name: str) -> list[Problem]:
    """Return a problem for each line that meets an earlier line of which neither wins; the problem
    names the first of these. `entries` are in the book's order; `name` is its file."""
    problems: list[Problem] = []
    deciding: dict[tuple[bool, Unit | None], _ByNames] = {}
    for entry in entries:
        deciding.setdefault((entry.is_discount, entry.unit), _ByNames()).add(entry)
    before: dict[_Kind, _ByNames] = {}
    for later in entries:
        for earlier in _that_agree(before, later):
            if _ambiguous(earlier, later) and not _decided(deciding, earlier, later):
                problems.append(_problem(earlier, later, name))
                # One problem a line is enough to mend it, and a book of one line repeated stays readable.
                break
        before.setdefault(_kind(later), _ByNames()).add(later)
    return problems


class _ByNames:
    """Entries, found by some of their names, in the order in which they were added."""

    def __init__(self) -> None:
        # By what the entries name, then by what of it is looked at; made when first looked at.
        self._indexes: dict[_Shape, dict[_Shape, _Index]] = {}
        self._of_shape: dict[_Shape, list[PriceEntry]] = {}

    def add(self, entry: PriceEntry) -> None:
        names = entry.conditions.names
        shape = _shape(names)
        self._of_shape.setdefault(shape, []).append(entry)
        for looked_at, index in self._indexes.get(shape, {}).items():
            index.setdefault(_only(names, looked_at), []).append(entry)

    def that_agree(self, names: _Names) -> Iterator[Sequence[PriceEntry]]:
        """Yield the entries that have these names wherever both name something."""
        named = _shape(names)
        for shape in self._of_shape:
            common = tuple(a and b for a, b in zip(shape, named, strict=True))
            yield self._with(shape, common, names)

    def within(self, names: _Names) -> Iterator[Sequence[PriceEntry]]:
        """Yield the entries whose names are all among these."""
        named = _shape(names)
        for shape in self._of_shape:
            if all(b or not a for a, b in zip(shape, named, strict=True)):
                yield self._with(shape, shape, names)

    def _with(self, shape: _Shape, looked_at: _Shape, names: _Names) -> Sequence[PriceEntry]:
        indexes = self._indexes.setdefault(shape, {})
        if looked_at not in indexes:
            index: _Index = {}
            for entry in self._of_shape[shape]:
                index.setdefault(_only(entry.conditions.names, looked_at), []).append(entry)
            indexes[looked_at] = index
        return indexes[looked_at].get(_only(names, looked_at), ())


def _shape(names: _Names) -> _Shape:
    return tuple(map(bool, names))


def _only(names: _Names, shape: _Shape) -> _Names:
    return tuple(name if kept else "" for name, kept in zip(names, shape, strict=True))


def _kind(entry: PriceEntry) -> _Kind:
    return entry.is_discount, entry.specificity, entry.unit


def _that_agree(before: dict[_Kind, _ByNames], later: PriceEntry) -> Iterator[PriceEntry]:
    """Yield the earlier entries that may meet one, in the book's order."""
    is_discount, specificity, unit = _kind(later)
    # An entry without a unit, a discount, may meet one of any unit.
    units = dict.fromkeys((unit, None) if unit else (None, *Unit))
    agreeing = [
        group
        for each in units
        if (entries := before.get((is_discount, specificity, each)))
        for group in entries.that_agree(later.conditions.names)
    ]
    return merge(*agreeing, key=_BY_LINE)


def _ambiguous(first: PriceEntry, second: PriceEntry) -> bool:
    """True if two entries of one specificity meet, unless one succeeds or corrects the other, or is
    a longer step.

    With the same conditions, an entry recorded on a later day corrects the other, and an entry that
    begins later succeeds an open-ended one.
    """
    if first.specificity != second.specificity or not first.meets(second):
        return False
    if first.unit != second.unit or not first.conditions.same_but_step(second.conditions):
        return True
    # A longer step goes before, and a later record corrects: neither is ambiguous.
    if (
        first.conditions != second.conditions
        or first.known_at.instant_ns != second.known_at.instant_ns
    ):
        return False
    earlier = min(first, second, key=lambda entry: entry.interval.begin)
    return first.interval.begin == second.interval.begin or earlier.interval.end != FOREVER


def _decided(
    deciding: dict[tuple[bool, Unit | None], _ByNames], first: PriceEntry, second: PriceEntry
) -> bool:
    """True if a third entry wins over both wherever they meet."""
    unit = first.unit if second.unit is None else second.unit
    entries = deciding.get((first.is_discount, unit))
    both = first.conditions.both(second.conditions)
    return entries is not None and any(
        _decides(entry, first, second) for group in entries.within(both.names) for entry in group
    )


def _decides(entry: PriceEntry, first: PriceEntry, second: PriceEntry) -> bool:
    """True if an entry that names the conditions of both others wins over both wherever they
    meet."""
    overlap = first.interval.intersect(second.interval)
    return (
        entry.is_discount == first.is_discount
        and entry.unit == (first.unit if second.unit is None else second.unit)
        and entry.specificity > first.specificity
        and entry.conditions.covers(first.conditions.both(second.conditions))
        and entry.interval.intersect(overlap) == overlap
        and entry.known_at.instant_ns <= max(first.known_at, second.known_at).instant_ns
    )


def _problem(earlier: PriceEntry, later: PriceEntry, name: str) -> Problem:
    unit = later.unit or earlier.unit
    of = f" of {unit.column}" if unit else ""
    day = later.interval.intersect(earlier.interval).begin
    return Problem(
        what=f"an ambiguous {'discount' if later.is_discount else 'price'}{of}",
        why=f"line {earlier.line} is as specific and meets it on {day}",
        where=name,
        line=later.line,
        remedy="End one before the other begins, or add a line that names the conditions of both.",
    )

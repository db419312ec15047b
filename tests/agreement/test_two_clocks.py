"""As of and known at: when an amendment governs, and since when that is known. On the small agreement, whose A2 ends
the exclusivity `A1.only`.
"""

from datetime import date

import pytest
from small_agreement import with_edits

from clauseway.agreement import Agreement, FactRegister, InForce, boundaries, in_force, read_agreement
from clauseway.values import KnownAt


def with_a2(announced: str, effective: str, recorded: str = "") -> Agreement:
    """The small agreement, its second amendment dated otherwise."""
    line = f"sources: [T]\nrecorded: {recorded}" if recorded else "sources: [T]"
    return read_agreement(
        with_edits(("A2.md", 4, f"announced: {announced}"), ("A2.md", 5, f"effective: {effective}"), ("A2.md", 6, line))
    )


def folded(agreement: Agreement, as_of: str, known_at: KnownAt) -> InForce:
    readings = agreement.default_readings()
    return in_force(agreement, FactRegister(), date.fromisoformat(as_of), known_at, readings)


# announced | effective | recorded | as of | known at | whether A1.only is in force
CASES = """
2025-01-01 | 2025-01-01 | -                    | 2024-12-31 | 2030-01-01 | yes
2025-01-01 | 2025-01-01 | -                    | 2025-01-01 | 2025-01-01 | no
2025-01-01 | 2025-01-01 | -                    | 2025-01-01 | 2024-12-31 | yes
announced before it takes effect
2025-01-01 | 2025-07-01 | -                    | 2025-06-30 | 2025-06-30 | yes
2025-01-01 | 2025-07-01 | -                    | 2025-07-01 | 2025-01-01 | no
2025-01-01 | 2025-07-01 | -                    | 2025-07-01 | 2024-12-31 | yes
announced after it takes effect: known late, it governs the days before
2025-07-01 | 2025-01-01 | -                    | 2025-03-01 | 2025-06-30 | yes
2025-07-01 | 2025-01-01 | -                    | 2025-03-01 | 2025-07-01 | no
2025-07-01 | 2025-01-01 | -                    | 2024-12-31 | 2025-07-01 | yes
recorded after it was announced
2025-01-01 | 2025-01-01 | 2025-09-01           | 2025-03-01 | 2025-08-31 | yes
2025-01-01 | 2025-01-01 | 2025-09-01           | 2025-03-01 | 2025-09-01 | no
2025-07-01 | 2025-01-01 | 2025-09-01           | 2025-08-01 | 2025-08-31 | yes
2025-01-01 | 2025-01-01 | 2025-09-01T12:00:00Z | 2025-09-01 | 2025-09-01 | no
"""


@pytest.mark.parametrize("row", [line for line in CASES.strip().split("\n") if "|" in line])
def test_when_an_amendment_governs_and_is_known(row: str) -> None:
    announced, effective, recorded, as_of, known_at, expected = (cell.strip() for cell in row.split("|"))
    agreement = with_a2(announced, effective, "" if recorded == "-" else recorded)
    force = folded(agreement, as_of, KnownAt.end_of(date.fromisoformat(known_at)))
    assert {state.term.id: state.in_force for state in force.states}["A1.only"] == (expected == "yes")


def test_an_instant_divides_the_day_on_which_it_was_recorded() -> None:
    agreement = with_a2("2025-01-01", "2025-01-01", "2025-09-01T12:00:00+02:00")
    ten = KnownAt.recorded_on(date(2025, 9, 1)).instant_ns + 10 * 3_600 * 10**9
    assert folded(agreement, "2025-09-01", KnownAt(ten - 1)).amendments == ("A1",)
    assert folded(agreement, "2025-09-01", KnownAt(ten)).amendments == ("A1", "A2")
    points = (KnownAt(ten - 1), agreement.amendments[1].known)
    days = [boundaries(agreement, FactRegister(), point) for point in points]
    assert [date(2025, 1, 1) in known for known in days] == [False, True]


def test_an_amendment_recorded_on_the_day_it_was_announced() -> None:
    agreement = with_a2("2025-01-01", "2025-01-01", "2025-01-01")
    assert agreement.amendments[1].known == KnownAt.recorded_on(date(2025, 1, 1))


def test_what_has_ended_stays_ended() -> None:
    """A later change neither revives a term nor moves the day on which it ended."""
    later = """\
---
id: A3
title: The third
announced: 2026-01-01
effective: 2026-01-01
sources: [T]
---

## 3.1 Once more

```yaml change
id: A3.again
sets-end: [A1.only]
through: 2030-12-31
source: [T]
```
"""
    agreement = read_agreement(with_edits() | {"A3.md": later})
    [state] = [
        state for state in folded(agreement, "2026-06-01", KnownAt.everything()).states if state.term.id == "A1.only"
    ]
    assert (str(state.end), state.ended_by.term) == ("2025-01-01", "A2.ends")

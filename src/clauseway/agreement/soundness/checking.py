"""Remark on errors, doubts and idle parts of a readable agreement, each with its file and line.

    error     The text contradicts itself, or nothing of a term could be executed: conflicts,
              grants that an exclusivity takes back, two owners, terms that forbid what nobody owns.
    warning   Probably not meant: gaps in ownership, overlaps, terms that are never in force or
              reach nothing.
    note      Worth knowing: terms that rest on our own reading alone, idle definitions, clauses in
              prose only.

Terms are in force as the fold (`force`) computes it, with everything known, under every combination
of the readings that terms depend on. `reading` reports the mistakes that keep a text from being
read.
"""

from collections.abc import Callable, Iterator

from clauseway.agreement.language.agreement import Agreement
from clauseway.agreement.language.facts import FactRegister
from clauseway.agreement.soundness.conflicts import (
    conflicts,
    contradicted_grants,
    two_owners,
    wait_for_one_another,
)
from clauseway.agreement.soundness.coverage import (
    beside_anyone,
    beside_its_class,
    forbids_what_nobody_owns,
    gaps,
    overlaps,
)
from clauseway.agreement.soundness.idle import (
    carve_outs_of_nothing,
    changes_nothing,
    combinations_left_out,
    customers_of_no_segment,
    ends_by_event_in_vain,
    events_changing_nothing,
    events_dropped,
    facts_in_vain,
    never_in_force,
    never_mentioned,
    reach_nothing,
    reserves_nothing,
    sets_end_again,
    sold_by_others,
    withdraws_nothing,
)
from clauseway.agreement.soundness.lives import Lives, RestsOn
from clauseway.agreement.soundness.remarks import Remark
from clauseway.agreement.soundness.right_remarks import (
    binds_one_link,
    carve_outs_within,
    despite_in_vain,
    despite_nothing,
    narrowed,
    no_place_there,
    outlives_owner,
    within_another,
)
from clauseway.agreement.soundness.share_remarks import (
    caps_apart,
    caps_from_nothing,
    figures_in_vain,
    others_sales,
    shared_twice,
    shares_of_nothing,
    whole_price,
)
from clauseway.agreement.soundness.sources import misplaced, not_formalised, uncited

CHECKS: tuple[Callable[[Lives], Iterator[Remark]], ...] = (
    conflicts,
    two_owners,
    wait_for_one_another,
    contradicted_grants,
    gaps,
    forbids_what_nobody_owns,
    overlaps,
    beside_its_class,
    beside_anyone,
    never_in_force,
    changes_nothing,
    events_dropped,
    sets_end_again,
    ends_by_event_in_vain,
    events_changing_nothing,
    withdraws_nothing,
    facts_in_vain,
    reach_nothing,
    reserves_nothing,
    carve_outs_of_nothing,
    sold_by_others,
    customers_of_no_segment,
    within_another,
    carve_outs_within,
    narrowed,
    outlives_owner,
    binds_one_link,
    despite_in_vain,
    despite_nothing,
    no_place_there,
    shares_of_nothing,
    others_sales,
    shared_twice,
    whole_price,
    caps_from_nothing,
    caps_apart,
    figures_in_vain,
    misplaced,
    combinations_left_out,
    uncited,
    never_mentioned,
    not_formalised,
)


def check_agreement(
    agreement: Agreement, facts: FactRegister, rests_on: RestsOn | None = None
) -> tuple[Remark, ...]:
    """Return every remark on an agreement, the gravest first, then in order of file and line.

    `rests_on` holds, for each action, the actions that it rests on, as a sale on a cloud rests on
    serving there.

    >>> from clauseway import check_agreement, open_agreement
    >>> opened = open_agreement()
    >>> remarks = check_agreement(opened.agreement, opened.facts)
    >>> print(remarks[0].severity, remarks[0].document, remarks[0].line, remarks[0].what)
    warning A4.md 20 A4.api says what A3.api says
    """
    return remarks_on(Lives(agreement, facts, rests_on or {}))


def remarks_on(lives: Lives) -> tuple[Remark, ...]:
    """Return the same of an agreement of which the lives are known."""
    remarks = dict.fromkeys(remark for check in CHECKS for remark in check(lives))
    return tuple(sorted(remarks, key=lambda remark: remark.rank))

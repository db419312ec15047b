"""Compare the scopes of terms with acts. No other module does.

A term reaches an act, or some part of the act (its party, its product, …) lies outside the term.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import assert_never

import msgspec

from clauseway.agreement import (
    Exclusivity,
    Licence,
    Ownership,
    Permission,
    Precedence,
    RefusalRight,
    RevenueShareTerm,
    Scope,
)
from clauseway.agreement.language.actions import SHARE, USE, takes
from clauseway.agreement.language.terms import (
    ANYONE,
    AnyTerm,
    Barring,
    Inoperative,
    Located,
    Traded,
)
from clauseway.decisions.parts import SCOPED, Names

# Return whether a product or class lies in any of several products or classes.
Belongs = Callable[[str, Iterable[str]], bool]

# The parts of an act that may lie outside a term, in the order in which they are compared.
NOWHERE, PARTY, ACTION, OTHER_PARTY, PRODUCT, CLOUD, SELLER, SEGMENT, REGION = (
    "",
    "party",
    "action",
    "other party",
    "product",
    "cloud",
    "seller",
    "segment",
    "region",
)
MISMATCHES = (PARTY, ACTION, OTHER_PARTY, PRODUCT, CLOUD, SELLER, SEGMENT, REGION, NOWHERE)
# How an act that an exclusivity reaches may pass it.
INSIDE, CARVED_OUT = "inside", "carved-out"
# A right whose grantor or licensor could not give it.
NOT_GIVEN = "not-given"


class Act(Names, frozen=True, kw_only=True):
    """An action by a party: the part of a question that terms are compared with.

    `seller` is the seller of the question in every act of an answer; empty where nothing is sold.
    `region` is a region that the agreement defines, or `elsewhere`; empty where the agreement
    defines no regions, or the question names none.
    """


def act_on(asked: Names, **changed: str) -> Act:
    """Return the act with these names, some of them changed.

    The parts that its action does not take are left out: they change no answer.
    """
    action = changed.get("action", asked.action)
    return Act(**{**asked.named(), **changed, **left_out(action)})


@cache
def left_out(action: str) -> Mapping[str, str]:
    """Return the parts that an action does not take, each empty."""
    return {part.name: "" for part in SCOPED if not takes(action, part.lists)}


class TermComparison(msgspec.Struct, frozen=True):
    """The comparison of a term with an act, for a trace.

    `outside`: the part of the act that lies outside the term; `NOWHERE` if the term reaches it.
    `ignored_because`: why a term that forbids lets the act pass (`INSIDE` or `CARVED_OUT`), or a right does
    not count (`NOT_GIVEN`); else empty.
    """

    term: str
    act: Act
    outside: str
    ignored_because: str = ""


def outside(term: AnyTerm, act: Act, belongs: Belongs) -> str:
    """Return the first part of an act that lies outside a term, or `NOWHERE`."""
    # The kinds that are compared most often stand first.
    match term:
        case Exclusivity():
            return _exclusivity(term, act, belongs)
        case Permission():
            return _permission(term, act, belongs)
        case Ownership():
            return _ownership(term, act, belongs)
        case Precedence():
            return _precedence(term, act, belongs)
        case Licence():
            return _licence(term, act, belongs)
        case RefusalRight():
            return _refusal_right(term, act, belongs)
        case RevenueShareTerm():
            return _revenue_share(term, act, belongs)
        case Inoperative():
            return ACTION  # they bear on no decision
        case _:
            # A union cannot be a pattern.
            if isinstance(term, Barring):
                return _barring(term, act, belongs)
            assert_never(term)


def outside_scope(scope: Scope, act: Act, belongs: Belongs) -> str:
    """Do the same for a carve-out or for a scope of a licence. An empty list means any."""
    if scope.actions and act.action not in scope.actions:
        return ACTION
    if scope.products and not belongs(act.product, scope.products):
        return PRODUCT
    return _outside_places(act, scope)


def _outside_subject(
    act: Act, term: Permission | Barring | Precedence | RefusalRight, belongs: Belongs
) -> str:
    """Compare the action and the product."""
    if act.action not in term.actions:
        return ACTION
    return NOWHERE if belongs(act.product, term.products) else PRODUCT


def _outside_places(act: Act, scope: Located) -> str:
    return CLOUD if scope.clouds and act.cloud not in scope.clouds else _outside_trade(act, scope)


def _outside_trade(act: Act, scope: Scope | Traded) -> str:
    """Compare the seller, the customers' segment and the region."""
    if scope.sellers and act.seller not in scope.sellers:
        return SELLER
    if scope.segments and act.segment not in scope.segments:
        return SEGMENT
    return REGION if scope.regions and act.region not in scope.regions else NOWHERE


def _ownership(term: Ownership, act: Act, belongs: Belongs) -> str:
    return NOWHERE if belongs(act.product, term.products) else PRODUCT


def _permission(term: Permission, act: Act, belongs: Belongs) -> str:
    if term.party not in (act.party, ANYONE):
        return PARTY
    return _outside_subject(act, term, belongs) or _outside_places(act, term)


def _exclusivity(term: Exclusivity, act: Act, belongs: Belongs) -> str:
    if not term.bears_on(act.action):
        return ACTION
    if not belongs(act.product, term.products):
        return PRODUCT
    return _outside_places(act, term)


def _barring(term: Barring, act: Act, belongs: Belongs) -> str:
    if term.barred.isdisjoint((act.party, ANYONE)):
        return PARTY
    return _outside_subject(act, term, belongs) or _outside_places(act, term)


def _precedence(term: Precedence, act: Act, belongs: Belongs) -> str:
    if act.party != term.party:
        return PARTY
    if lies_outside := _outside_subject(act, term, belongs):
        return lies_outside
    return CLOUD if act.cloud == term.first else _outside_trade(act, term)


def _refusal_right(term: RefusalRight, act: Act, belongs: Belongs) -> str:
    """Compare a right of first refusal, which never binds its holder.

    It binds its grantor. Where it names none it binds the owner, as `conditions` checks.
    """
    if act.party == term.holder or (term.grantor and act.party != term.grantor):
        return PARTY
    if lies_outside := _outside_subject(act, term, belongs):
        return lies_outside
    return CLOUD if act.cloud in term.except_clouds else _outside_trade(act, term)


def _licence(term: Licence, act: Act, belongs: Belongs) -> str:
    """Compare a licence with a use of its products, or with an act that the licence carries."""
    if term.licensee != act.party:
        return PARTY
    if act.action == USE:
        return NOWHERE if belongs(act.product, term.products) else PRODUCT
    # Report the scope that comes nearest: the one whose first mismatch is latest in `MISMATCHES`.
    carried = [outside_scope(scope, act, belongs) for scope in term.carries]
    return max(carried, key=MISMATCHES.index, default=ACTION)


def _revenue_share(term: RevenueShareTerm, act: Act, belongs: Belongs) -> str:
    """Compare the payer and payee alone: a share also reaches products that are in no base."""
    if act.action != SHARE:
        return ACTION
    if term.payer != act.party:
        return PARTY
    return NOWHERE if term.payee == act.to else OTHER_PARTY

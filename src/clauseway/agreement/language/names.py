"""The names that a term uses, kind by kind, each with the key it is written under."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple, assert_never

from clauseway.agreement.language.terms import (
    ANYONE,
    AnyTerm,
    Commitment,
    Context,
    Exclusivity,
    Licence,
    Ownership,
    Permission,
    Precedence,
    Prohibition,
    RefusalRight,
    RevenueShareTerm,
    Scope,
    Stake,
    Traded,
    Undertaking,
)


class Use(NamedTuple):
    """Names in a term: the key they are written under, the noun for what they name, the names."""

    key: str
    noun: str
    names: Iterable[str]


def _ownership(term: Ownership) -> Iterator[Use]:
    yield Use("party", "party", [term.party])
    yield Use("products", "product", term.products)


def _permission(term: Permission) -> Iterator[Use]:
    yield Use("party", "party", {term.party} - {ANYONE})
    yield Use("actions", "action", term.actions)
    yield Use("products", "product", term.products)
    yield Use("clouds", "cloud", term.clouds)
    yield from _for_whom(term)


def _exclusivity(term: Exclusivity) -> Iterator[Use]:
    yield Use("actions", "action", term.actions)
    yield Use("products", "product", term.products)
    yield Use("clouds", "cloud", term.clouds)
    yield from _for_whom(term)
    yield Use("only", "cloud", term.only.clouds)
    yield Use("only", "region", term.only.regions)
    yield Use("only", "party", term.only.sellers | term.only.parties | term.only.licensees)
    for scope in term.except_:
        yield from _scope("except", scope)


def _prohibition(term: Prohibition) -> Iterator[Use]:
    yield Use("parties", "party", term.parties - {ANYONE})
    yield Use("actions", "action", term.actions)
    yield Use("products", "product", term.products)
    yield Use("clouds", "cloud", term.clouds)
    yield from _for_whom(term)
    for scope in term.except_:
        yield from _scope("except", scope)


def _precedence(term: Precedence) -> Iterator[Use]:
    yield Use("party", "party", [term.party])
    yield Use("first", "cloud", [term.first])
    yield Use("actions", "action", term.actions)
    yield Use("products", "product", term.products)
    yield from _for_whom(term)


def _refusal_right(term: RefusalRight) -> Iterator[Use]:
    yield Use("holder", "party", [term.holder])
    yield Use("grantor", "party", [term.grantor] if term.grantor else [])
    yield Use("actions", "action", term.actions)
    yield Use("products", "product", term.products)
    yield Use("except-clouds", "cloud", term.except_clouds)
    yield from _for_whom(term)


def _licence(term: Licence) -> Iterator[Use]:
    yield Use("licensor", "party", [term.licensor])
    yield Use("licensee", "party", [term.licensee])
    yield Use("products", "product", term.products)
    for scope in term.carries:
        yield from _scope("carries", scope)


def _revenue_share(term: RevenueShareTerm) -> Iterator[Use]:
    yield Use("payer", "party", [term.payer])
    yield Use("payee", "party", [term.payee])
    yield Use("base", "party", term.base.sellers | term.base.wholesale_except)
    yield Use("base", "product", term.base.excludes | term.base.products)
    yield Use("base", "cloud", term.base.clouds)


def _commitment(term: Commitment) -> Iterator[Use]:
    yield Use("party", "party", [term.party])
    yield Use("to", "party", [term.to])


def _stake(term: Stake) -> Iterator[Use]:
    yield Use("holder", "party", [term.holder])
    yield Use("of", "party", [term.of])


def _undertaking(term: Undertaking | Context) -> Iterator[Use]:
    yield Use("parties", "party", term.parties)


def _for_whom(term: Traded) -> Iterator[Use]:
    """Return the sellers, segments and regions that limit a term."""
    yield Use("sellers", "party", term.sellers)
    yield Use("segments", "segment", term.segments)
    yield Use("regions", "region", term.regions)


def _scope(key: str, scope: Scope) -> Iterator[Use]:
    yield Use(key, "action", scope.actions)
    yield Use(key, "product", scope.products)
    yield Use(key, "cloud", scope.clouds)
    yield Use(key, "party", scope.sellers)
    yield Use(key, "segment", scope.segments)
    yield Use(key, "region", scope.regions)


def uses(term: AnyTerm) -> Iterator[Use]:
    """Return the names in a term, each with the key it is written under."""
    match term:
        case Ownership():
            return _ownership(term)
        case Permission():
            return _permission(term)
        case Exclusivity():
            return _exclusivity(term)
        case Prohibition():
            return _prohibition(term)
        case Precedence():
            return _precedence(term)
        case RefusalRight():
            return _refusal_right(term)
        case Licence():
            return _licence(term)
        case RevenueShareTerm():
            return _revenue_share(term)
        case Commitment():
            return _commitment(term)
        case Stake():
            return _stake(term)
        case Undertaking() | Context():
            return _undertaking(term)
        case _:
            assert_never(term)

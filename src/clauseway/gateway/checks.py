"""What may be wrong with a plan, all of it told at once and before any of it is used."""

import msgspec

from clauseway.catalog import BITS
from clauseway.gateway.clouds import CLOUDS
from clauseway.gateway.clouds.dialect import credential_in
from clauseway.gateway.credentials import STATIC, problems_of
from clauseway.gateway.plan import Plan
from clauseway.gateway.strategies import STRATEGIES
from clauseway.values import InvalidInput, Problem

# A thousand dollars per million tokens: keeps the arithmetic of reservations within 63 bits.
_PRICE_MAX = 10**9


def check(plan: Plan) -> None:
    """Raise InvalidInput with everything that is wrong with a plan, before any of it is used."""
    problems = [
        *_wrong_targets(plan),
        *_wrong_keys(plan),
        *_wrong_epochs(plan),
        *_wrong_policies(plan),
    ]
    if problems:
        raise InvalidInput(*problems)


def _problem(what: str, why: str, where: str) -> Problem:
    return Problem(what=what, why=why, where=where, todo="Compile the plan anew; it is never edited by hand.")


def _wrong_targets(plan: Plan) -> list[Problem]:
    problems = []
    for index, target in enumerate(plan.targets):
        where = f"targets[{index}]"
        if target.dialect not in CLOUDS:
            problems.append(_problem(f"unknown dialect {target.dialect!r}", f"known: {', '.join(CLOUDS)}", where))
            continue
        if not (0 <= target.input_price <= _PRICE_MAX and 0 <= target.output_price <= _PRICE_MAX):
            problems.append(_problem("a price out of bounds", f"0 to {_PRICE_MAX} picodollars a token", where))
        if any(not 0 <= price <= _PRICE_MAX for span in target.prices for price in span.units.values()):
            problems.append(
                _problem("a price out of bounds", f"0 to {_PRICE_MAX} picodollars a unit", f"{where}.prices")
            )
        unknown = [lack.capability for lack in target.lacks if lack.capability not in BITS]
        if unknown:
            known = ", ".join(BITS)
            problems.append(_problem(f"unknown capabilities {', '.join(unknown)}", f"known: {known}", f"{where}.lacks"))
        problems += [
            msgspec.structs.replace(found, where=f"{where}.{found.where}") for found in problems_of(target.auth)
        ]
        try:
            CLOUDS[target.dialect].lacks(target)
            if target.auth.kind in STATIC:
                CLOUDS[target.dialect].prepare(target, credential_in(target.auth))
        except KeyError:
            why = f"{target.dialect} does not take {target.auth.kind!r}"
            problems.append(_problem("unknown authentication", why, f"{where}.auth.kind"))
        except ValueError as error:
            problems.append(_problem("unusable address", str(error), f"{where}.url"))
    return problems


def _wrong_keys(plan: Plan) -> list[Problem]:
    problems = []
    for where, text in [
        ("hash_key", plan.hash_key),
        *((f"keys[{index}].digest", key.digest) for index, key in enumerate(plan.keys)),
    ]:
        try:
            bytes.fromhex(text)
        except ValueError as error:
            problems.append(_problem("not hexadecimal", str(error), where))
    for index, key in enumerate(plan.keys):
        wrong = [
            name
            for name, indices, known in (
                ("policy", (key.policy,), plan.policies),
                ("limits", key.limits, plan.limits),
                ("budgets", key.budgets, plan.budgets),
            )
            if any(not 0 <= at < len(known) for at in indices)
        ]
        problems += [_problem(f"{name} that do not exist", "an index is outside", f"keys[{index}]") for name in wrong]
    if len(plan.hash_key) > 128:
        problems.append(_problem("too long", "a BLAKE2b key has at most 64 bytes", "hash_key"))
    return problems


def _wrong_epochs(plan: Plan) -> list[Problem]:
    problems = []
    begins = [epoch.begin_ns for epoch in plan.epochs]
    if begins != sorted(set(begins)):
        problems.append(_problem("epochs out of order", "each must begin after the one before it", "epochs"))
    for index, epoch in enumerate(plan.epochs):
        for name, route in epoch.routes.items():
            for target, ruling in route.candidates:
                if not (0 <= target < len(plan.targets) and 0 <= ruling < len(plan.rulings)):
                    why = f"({target}, {ruling}) is outside targets and rulings"
                    problems.append(_problem("a candidate that does not exist", why, f"epochs[{index}].routes[{name}]"))
    return problems


def _wrong_policies(plan: Plan) -> list[Problem]:
    return [
        _problem(f"unknown strategy {policy.strategy!r}", f"known: {', '.join(STRATEGIES)}", f"policies[{index}]")
        for index, policy in enumerate(plan.policies)
        if policy.strategy not in STRATEGIES
    ]

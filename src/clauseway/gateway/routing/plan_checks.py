"""Checks of a plan: all of its problems are reported at once, before any of it is used."""

from collections.abc import Iterator

import msgspec

from clauseway.catalog import BITS
from clauseway.gateway.clouds import DIALECTS
from clauseway.gateway.clouds.dialect import credential_in
from clauseway.gateway.credentials import STATIC, problems_of
from clauseway.gateway.plan import Epoch, Key, Plan, Target
from clauseway.gateway.routing.strategies import STRATEGIES
from clauseway.metering import Unit
from clauseway.values import Problem, refuse_any

# A thousand dollars per million tokens, a dollar for a search: keeps the arithmetic of reservations
# within 63 bits.
_PRICE_MAX = 10**9
_SEARCH_PRICE_MAX = 10**12


def check(plan: Plan) -> None:
    """Raise InvalidInput with everything that is wrong with a plan, before any of it is used."""
    problems = [problem for some in plan_problems(plan) for problem in some]
    seen: set[str] = set()
    for number, key in enumerate(plan.keys):
        where = f"keys[{number}].digest"
        problems += digest_problems(key.digest, where)
        if key.digest in seen:
            problems.append(_problem("a second key with one digest", key.digest, where))
        seen.add(key.digest)
        problems += key_problems(
            key, number, len(plan.policies), len(plan.limits), len(plan.budgets)
        )
    refuse_any(problems)


def plan_problems(plan: Plan) -> Iterator[list[Problem]]:
    """Yield the problems of everything but the keys, some of them at a time."""
    yield _wrong_hash_key(plan.hash_key)
    reported: set[Problem] = set()
    for target in plan.targets:
        # Name the deployment: operators write deployments, never the plan. A deployment has a target
        # for each of its models.
        problems = _wrong_target(target, target.label.deployment)
        yield [problem for problem in problems if problem not in reported]
        reported.update(problems)
    yield _wrong_order(plan)
    for index, epoch in enumerate(plan.epochs):
        yield _wrong_epoch(plan, epoch, f"epochs[{index}]")
    yield _wrong_policies(plan)


def digest_problems(text: str, where: str) -> list[Problem]:
    try:
        written = bytes.fromhex(text).hex()
    except ValueError as error:
        return [_problem("not hexadecimal", str(error), where)]
    return (
        []
        if written == text
        else [_problem("not as digests are written", "lower case, without spaces", where)]
    )


def key_problems(key: Key, number: int, policies: int, limits: int, budgets: int) -> list[Problem]:
    """Return the problems of a key that names policies, limits or budgets which do not exist."""
    wrong = []
    if not 0 <= key.policy < policies:
        wrong.append("policy")
    if key.limits and not (min(key.limits) >= 0 and max(key.limits) < limits):
        wrong.append("limits")
    if key.budgets and not (min(key.budgets) >= 0 and max(key.budgets) < budgets):
        wrong.append("budgets")
    return [
        _problem(f"{name} that do not exist", "an index is outside", f"keys[{number}]")
        for name in wrong
    ]


def _problem(problem: str, why: str, where: str) -> Problem:
    return Problem(
        what=problem,
        why=why,
        where=where,
        remedy="Compile the plan anew; it is never edited by hand.",
    )


def _of_deployment(problem: str, why: str, name: str, field: str) -> Problem:
    remedy = f"Fix the url, settings or auth of the deployment {name}."
    return Problem(what=problem, why=why, where=f"{name}.{field}", remedy=remedy)


def _wrong_target(target: Target, where: str) -> list[Problem]:
    problems = []
    if target.dialect not in DIALECTS:
        problems.append(
            _problem(f"unknown dialect {target.dialect!r}", f"known: {', '.join(DIALECTS)}", where)
        )
        return problems
    if not (0 <= target.input_price <= _PRICE_MAX and 0 <= target.output_price <= _PRICE_MAX):
        problems.append(
            _problem("a price out of bounds", f"0 to {_PRICE_MAX} picodollars a token", where)
        )
    if not all(
        0 <= price <= (_SEARCH_PRICE_MAX if unit == Unit.WEB_SEARCHES else _PRICE_MAX)
        for span in target.prices
        for unit, price in span.units.items()
    ):
        bounds = f"0 to {_PRICE_MAX} picodollars a unit, {_SEARCH_PRICE_MAX} a search"
        problems.append(_problem("a price out of bounds", bounds, f"{where}.prices"))
    unknown = [lack.capability for lack in target.lacks if lack.capability not in BITS]
    if unknown:
        names = ", ".join(BITS)
        problems.append(
            _problem(
                f"unknown capabilities {', '.join(unknown)}", f"known: {names}", f"{where}.lacks"
            )
        )
    problems += [
        msgspec.structs.replace(problem, where=f"{where}.{problem.where}")
        for problem in problems_of(target.auth)
    ]
    # The cloud's own module judges address, settings and credential, by using them.
    try:
        DIALECTS[target.dialect].lacks(target)
        if target.auth.kind in STATIC:
            DIALECTS[target.dialect].head_writer(target, credential_in(target.auth))
    except KeyError:
        why = f"{target.dialect} does not take {target.auth.kind!r}"
        problems.append(_of_deployment("unknown authentication", why, where, "auth.kind"))
    except ValueError as error:
        problems.append(_of_deployment("unusable address", str(error), where, "url"))
    return problems


def _wrong_hash_key(text: str) -> list[Problem]:
    problems = []
    try:
        bytes.fromhex(text)
    except ValueError as error:
        problems.append(_problem("not hexadecimal", str(error), "hash_key"))
    if len(text) > 128:
        problems.append(_problem("too long", "a BLAKE2b key has at most 64 bytes", "hash_key"))
    return problems


def _wrong_order(plan: Plan) -> list[Problem]:
    begins = [epoch.begin_ns for epoch in plan.epochs]
    if begins == sorted(set(begins)):
        return []
    return [_problem("epochs out of order", "each must begin after the one before it", "epochs")]


def _wrong_epoch(plan: Plan, epoch: Epoch, where: str) -> list[Problem]:
    problems = []
    for name, route in epoch.routes.items():
        for target, ruling in route.candidates:
            if not (0 <= target < len(plan.targets) and 0 <= ruling < len(plan.rulings)):
                why = f"({target}, {ruling}) is outside targets and rulings"
                problems.append(
                    _problem("a candidate that does not exist", why, f"{where}.routes[{name}]")
                )
    return problems


def _wrong_policies(plan: Plan) -> list[Problem]:
    return [
        _problem(
            f"unknown strategy {policy.strategy!r}",
            f"known: {', '.join(STRATEGIES)}",
            f"policies[{index}]",
        )
        for index, policy in enumerate(plan.policies)
        if policy.strategy not in STRATEGIES
    ]

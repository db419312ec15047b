"""A plan's file, read and checked in steps, before any of it is used."""

from collections.abc import Generator
from hashlib import sha256

import msgspec

from clauseway.gateway.credentials.outside import with_secrets
from clauseway.gateway.plan import Budget, Epoch, Plan, RateLimit, Route, Target
from clauseway.gateway.plan.file import (
    PART,
    PLAN,
    Keys,
    Opened,
    PlanPart,
    PlanRows,
    encode_plan,
    lines_of,
    no_plan,
)
from clauseway.gateway.plan.settings import Settings
from clauseway.gateway.plan.steps import whole
from clauseway.gateway.routing.plan_checks import digest_problems, key_problems, plan_problems
from clauseway.metering import Ruling
from clauseway.values import NOT_JSON, InvalidInput, Problem, refuse_any

# Characters of a digest that name a plan: enough to tell plans apart, short enough for a header.
_DIGEST_LENGTH = 16


def _deciding(plan: Plan) -> Plan:
    """Return what decides on requests: machines that serve by the same plan have sockets, ports,
    files and certificates of their own."""
    settings = Settings(limits=plan.settings.limits, passed_headers=plan.settings.passed_headers)
    return msgspec.structs.replace(plan, leases="", usage="", settings=settings)


def _deciding_line(part: PlanPart, line: bytes) -> bytes:
    """Return a line without the places of secrets, and without receipts: these hold the instant at
    which each machine compiled its plan."""
    if not (part.targets or part.rulings or part.epochs):
        return line
    targets = [
        msgspec.structs.replace(
            target, auth=msgspec.structs.replace(target.auth, settings={}, taken={})
        )
        for target in part.targets
    ]
    rulings = [msgspec.structs.replace(ruling, decision="", receipt="") for ruling in part.rulings]
    epochs = [
        msgspec.structs.replace(
            epoch, routes={name: _deciding_route(route) for name, route in epoch.routes.items()}
        )
        for epoch in part.epochs
    ]
    deciding = PlanPart(targets=tuple(targets), rulings=tuple(rulings), epochs=tuple(epochs))
    return msgspec.json.encode(deciding)


def _deciding_route(route: Route) -> Route:
    if not route.refusals:
        return route
    refusals = [msgspec.structs.replace(refusal, receipt="") for refusal in route.refusals]
    return msgspec.structs.replace(route, refusals=tuple(refusals))


def opened(plan: Plan) -> Opened:
    """Open a plan that is not in a file. Raise InvalidInput as `opening` does."""
    return whole(opening(list(encode_plan(plan)), "plan"))


def opening(pieces: list[bytes], where: str) -> Generator[None, None, Opened]:
    """Read and check a plan's file in steps; consumes its pieces. Raises InvalidInput with
    everything that is wrong with it, of what cannot even be read the first."""
    lines = lines_of(pieces)
    first = next(lines, b"")
    try:
        plan = PLAN.decode(first)
        if not plan.parts:  # all in one line: as somebody else writes it
            lines = lines_of(list(encode_plan(plan)))
            plan = PLAN.decode(next(lines))
    except NOT_JSON as error:
        raise no_plan(str(error), where) from None
    digest = sha256(msgspec.json.encode(_deciding(plan)))
    yield
    targets: list[Target] = []
    rulings: list[Ruling] = []
    epochs: list[Epoch] = []
    limits: PlanRows[RateLimit] = PlanRows(lambda part: part.limits)
    budgets: PlanRows[Budget] = PlanRows(lambda part: part.budgets)
    keys = Keys()
    problems: list[Problem] = []
    count = 0
    for line in lines:
        try:
            part = PART.decode(line)
            digest.update(b"\n" + _deciding_line(part, line))
            if part.limits:
                limits.add(line, len(part.limits))
            if part.budgets:
                budgets.add(line, len(part.budgets))
            if part.keys:
                for number, key in enumerate(part.keys, len(keys)):
                    problems += digest_problems(key.digest, f"keys[{number}].digest")
                    problems += key_problems(
                        key, number, len(plan.policies), len(limits), len(budgets)
                    )
                keys.add(line, part.keys)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise no_plan(f"line {count + 2}: {error}", where) from None
        for target in part.targets:
            try:
                deployment = target.label.deployment
                auth = with_secrets(target.auth, f"{deployment}.auth", deployment)
                targets.append(msgspec.structs.replace(target, auth=auth))
            except InvalidInput as error:
                problems += error.problems
                targets.append(target)
        rulings += part.rulings
        epochs += part.epochs
        count += 1
        yield
    if count != plan.parts:
        raise no_plan(f"it has {count} lines of parts; {plan.parts} were written", where)
    plan = msgspec.structs.replace(
        plan, targets=tuple(targets), rulings=tuple(rulings), epochs=tuple(epochs)
    )
    for some in plan_problems(plan):
        problems += some
        yield
    refuse_any(problems)
    return Opened(plan, limits, budgets, keys, digest.hexdigest()[:_DIGEST_LENGTH])

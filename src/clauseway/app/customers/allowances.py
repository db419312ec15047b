"""Allowances of customers: limits by the minute and budgets, for an organisation, a project or a
key."""

import secrets
import time
from collections.abc import Iterable
from decimal import Decimal

import msgspec
from msgspec.structs import replace

from clauseway.app.customers.tenants import (
    UNNAMED,
    ReplacedValue,
    check_known,
    replaced_value,
    unnamed_remedy,
    whose,
)
from clauseway.app.opening.home import Home
from clauseway.app.opening.home_control import open_control
from clauseway.app.opening.offerings import shipped_products
from clauseway.catalog import Catalog
from clauseway.storage import Control
from clauseway.storage.customers.leases import PERIODS, TOTAL, BudgetStanding, Leases, usd
from clauseway.storage.customers.tenants import (
    BudgetRow,
    Limit,
    LimitScope,
    Replaced,
    Tenants,
)
from clauseway.values import (
    USD,
    BadNumber,
    InvalidInput,
    KnownAt,
    Problem,
    read_decimal,
    refuse_any,
    round_half_even,
)

# Keeps every sum within 63 bits; nobody asks as much in a minute.
_PER_MINUTE_MAX = 10**15


class ListedLimit(msgspec.Struct, frozen=True, kw_only=True):
    """A limit. `whose` names its scope in a line; 0 is no limit. `replaced` is there once, where it
    was just set in the place of another."""

    id: str
    whose: str
    scope: LimitScope
    requests_per_minute: int
    tokens_per_minute: int
    replaced: ReplacedValue | msgspec.UnsetType = msgspec.UNSET


class ListedBudget(msgspec.Struct, frozen=True, kw_only=True):
    """A budget in its present period, in USD: `leased` is what gateways hold beyond what was spent.

    `begin` and `end` are instants in UTC, empty where it has no period. Below zero `left` is what
    was spent too much before the budget was lowered. `replaced` is there once, where it was just
    set in the place of another.
    """

    id: str
    whose: str
    scope: LimitScope
    period: str
    begin: str
    end: str
    amount: Decimal
    spent: Decimal
    leased: Decimal
    left: Decimal
    currency: str
    replaced: ReplacedValue | msgspec.UnsetType = msgspec.UNSET


class GivenScope(msgspec.Struct, frozen=True, kw_only=True):
    """The scope of a limit or budget as it was given; a key alone names its
    organisation."""

    organisation: str = ""
    project: str = ""
    key: str = ""
    cloud: str = ""
    product: str = ""


def set_limit(
    home: Home, catalog: Catalog, who: GivenScope, requests: int, tokens: int
) -> ListedLimit:
    """Set how many requests and tokens may be asked in a minute; 0 is no limit.

    Raise InvalidInput.
    """
    problems = [
        Problem(
            what=f"{amount:,} a minute",
            why=f"a limit is 0 (none) to {_PER_MINUTE_MAX:,}",
            where=flag,
            remedy="Write another number.",
        )
        for flag, amount in (("--requests", requests), ("--tokens", tokens))
        if not 0 <= amount <= _PER_MINUTE_MAX
    ]
    if not requests and not tokens:
        problems.append(
            Problem(
                what="nothing is limited",
                why="neither requests nor tokens have a number",
                where="--requests",
                remedy="Give one of them, or remove the limit: clauseway limit remove.",
            )
        )
    with open_control(home) as control:
        scope = _scope(control, catalog, who, problems)
        limit = Limit(
            id=f"lim_{secrets.token_hex(6)}",
            requests_per_minute=requests,
            tokens_per_minute=tokens,
            created_ns=time.time_ns(),
            **msgspec.structs.asdict(scope),
        )
        kept, former = Tenants(control).set_limit(limit)
        listed = _listed_limit(kept)
        return listed if former is None else replace(listed, replaced=_replaced_limit(former))


def list_limits(home: Home) -> list[ListedLimit]:
    """Return all limits, in the order in which they were set first."""
    with open_control(home) as control:
        return [_listed_limit(limit) for limit in Tenants(control).limits()]


def remove_limit(home: Home, limit_id: str) -> None:
    """Raise InvalidInput where nothing has that id."""
    with open_control(home) as control:
        if not Tenants(control).remove_limit(limit_id):
            raise InvalidInput(_not_there("limit", limit_id))


def set_budget(
    home: Home, catalog: Catalog, who: GivenScope, amount: str, period: str
) -> ListedBudget:
    """Set what may be spent in each period, in USD. Raise InvalidInput.

    Lowered below what is spent, nothing more is granted in this period; what gateways hold they are
    asked to give back.
    """
    problems: list[Problem] = []
    written = _amount(amount, problems)
    if period not in PERIODS:
        problems.append(
            Problem(
                what=f"unknown period {period!r}",
                why="a budget is for one of those below",
                where="--period",
                remedy=f"Known: {', '.join(PERIODS)}.",
            )
        )
    with open_control(home) as control:
        scope = _scope(control, catalog, who, problems)
        row = BudgetRow(
            id=f"bud_{secrets.token_hex(6)}",
            period=period,
            amount=written,
            currency=USD,
            created_ns=time.time_ns(),
            **msgspec.structs.asdict(scope),
        )
        kept, former = Tenants(control).set_budget(row)
        listed = next(listed for listed in _listed_budgets(control) if listed.id == kept.id)
        return listed if former is None else replace(listed, replaced=_replaced_budget(former))


def list_budgets(home: Home) -> list[ListedBudget]:
    """Return all budgets in their present periods, in the order in which they were set first."""
    with open_control(home) as control:
        return _listed_budgets(control)


def remove_budget(home: Home, budget_id: str) -> None:
    """Raise InvalidInput where nothing has that id."""
    with open_control(home) as control:
        if not Tenants(control).remove_budget(budget_id):
            raise InvalidInput(_not_there("budget", budget_id))


def _replaced_limit(former: Replaced[Limit]) -> ReplacedValue:
    of = ((former.row.requests_per_minute, "requests"), (former.row.tokens_per_minute, "tokens"))
    said = " and ".join(f"{amount:,} {name}" for amount, name in of if amount)
    return replaced_value(said, former)


def _replaced_budget(former: Replaced[BudgetRow]) -> ReplacedValue:
    in_cents = round_half_even(former.row.amount)
    amount = in_cents if in_cents == former.row.amount else former.row.amount.normalize()
    return replaced_value(f"{amount:,f} {former.row.currency}", former)


def _listed_limit(limit: Limit) -> ListedLimit:
    return ListedLimit(
        id=limit.id,
        whose=whose(limit),
        scope=_scope_of(limit),
        requests_per_minute=limit.requests_per_minute,
        tokens_per_minute=limit.tokens_per_minute,
    )


def _listed_budgets(control: Control) -> list[ListedBudget]:
    return [_listed_budget(standing) for standing in Leases(control).standings(time.time_ns())]


def _listed_budget(standing: BudgetStanding) -> ListedBudget:
    budget = standing.budget
    has_period = budget.period != TOTAL
    return ListedBudget(
        id=budget.id,
        whose=whose(budget),
        scope=_scope_of(budget),
        period=budget.period,
        begin=str(KnownAt(standing.begin_ns).to_the_second()) if has_period else "",
        end=str(KnownAt(standing.end_ns).to_the_second()) if has_period else "",
        amount=_plain(standing.amount),
        spent=_plain(standing.spent),
        leased=_plain(standing.leased),
        left=_plain(standing.left),
        currency=budget.currency,
    )


def _scope_of(row: LimitScope) -> LimitScope:
    """Return the scope of a limit or budget without its amounts."""
    return LimitScope(
        organisation=row.organisation,
        project=row.project,
        key_id=row.key_id,
        cloud=row.cloud,
        product=row.product,
    )


def _plain(picodollars: int) -> Decimal:
    """Return an amount in USD, to the cent; with more decimals where there are any."""
    amount = usd(picodollars)
    in_cents = round_half_even(amount)
    return in_cents if in_cents == amount else amount.normalize()


def _amount(text: str, problems: list[Problem]) -> Decimal:
    """Return a sum of money as it was written. Add a problem where it is not valid."""
    try:
        return read_decimal(text)
    except BadNumber as error:
        problems.append(error.problem(f"{text!r} is not an amount", "--amount"))
        return Decimal(0)


def _scope(
    control: Control, catalog: Catalog, who: GivenScope, problems: list[Problem]
) -> LimitScope:
    """Return the checked scope. Raise InvalidInput with `problems` and those of the scope."""
    organisation, project = who.organisation, who.project
    if who.key:
        active = control.keys()
        of_key = [key for key in active if key.key_id == who.key]
        if not of_key:
            problems.append(_unknown("--key", who.key, "no active key has that id", ()))
        # A key belongs to one project: names beside it must say the same.
        for key in of_key:
            if organisation not in ("", key.organisation) or project not in ("", key.project):
                owner = f"it is of {key.organisation}/{key.project}"
                problems.append(_unknown("--key", who.key, owner, ()))
            organisation, project = key.organisation, key.project
    elif not organisation:
        problems.append(
            Problem(
                what="nobody is named",
                why="a limit or budget is somebody's",
                where="--organisation",
                remedy="Give --organisation, and --project or --key for less than all of it.",
            )
        )
    else:
        try:
            check_known(control, organisation, project)
        except InvalidInput as error:
            problems += error.problems
    if who.cloud and who.cloud not in catalog.clouds:
        problems.append(_unknown("--cloud", who.cloud, UNNAMED, catalog.clouds))
    # A product that no agreement names may be served as unstated, so it can be limited too.
    if who.product and who.product not in catalog.products.keys() | shipped_products():
        problems.append(_unknown("--product", who.product, UNNAMED, catalog.products))
    refuse_any(problems)
    return LimitScope(
        organisation=organisation,
        project=project,
        key_id=who.key,
        cloud=who.cloud,
        product=who.product,
    )


def _unknown(flag: str, name: str, why: str, names: Iterable[str]) -> Problem:
    remedy = unnamed_remedy(name, names) if names else "See clauseway key list."
    return Problem(what=f"{name!r} cannot be taken", why=why, where=flag, remedy=remedy)


def _not_there(kind: str, name: str) -> Problem:
    return Problem(
        what=f"there is no {kind} {name!r}",
        why="none was set with that id, or it was removed",
        where="ID",
        remedy=f"See clauseway {kind} list.",
    )

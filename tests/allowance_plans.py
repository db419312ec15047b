"""A key for which all of some limits and budgets hold."""

from collections.abc import Sequence

from clauseway.gateway.budgets.allowances import Allowances, KeyAllowance
from clauseway.gateway.plan import Budget, Key, Plan, RateLimit


def allowance_plan(limits: Sequence[RateLimit] = (), budgets: Sequence[Budget] = ()) -> Plan:
    """A plan of that key alone."""
    key = Key(
        digest="00",
        organisation="acme",
        project="search",
        key_id="key_1",
        seller="openai",
        segment="any",
        limits=tuple(range(len(limits))),
        budgets=tuple(range(len(budgets))),
    )
    return Plan(
        agreement="",
        hash_key="",
        models={},
        targets=(),
        rulings=(),
        epochs=(),
        keys=(key,),
        limits=tuple(limits),
        budgets=tuple(budgets),
    )


def opened(allowances: Allowances, limits: Sequence[RateLimit] = (), budgets: Sequence[Budget] = ()) -> KeyAllowance:
    """Load that plan; return what the key may spend."""
    plan = allowance_plan(limits, budgets)
    allowances.reload(plan)
    return allowances.of(plan.keys[0])

"""Buyers: organisations, their projects, how the requests of each are routed, and all of it as a
plan needs it.

An organisation's policy holds for its projects. A project may narrow it and never widen it: both
must allow a place or a partner, each may ask for more certifications. Strategy and behaviour on
leaving are the project's, where it states them.
"""

import re
import shlex
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from clauseway.app.opening.home import Home
from clauseway.app.opening.home_control import open_control
from clauseway.catalog import Catalog
from clauseway.gateway.plan import Budget, Key, Policy, RateLimit
from clauseway.storage import ApiKey, Control
from clauseway.storage.customers.tenants import (
    BudgetRow,
    Limit,
    LimitScope,
    Replaced,
    Tenant,
    Tenants,
)
from clauseway.values import (
    InvalidInput,
    KnownAt,
    Problem,
    counted,
    name_rule,
    nearest_name,
    refuse_any,
    suggestion,
)

STRATEGIES = ("primary-first", "commitment", "cheapest", "fastest", "pinned")
ON_LEAVE = ("cancel", "drain")
# Allowed by both, the organisation and the project; empty is any.
_ALLOWED = ("clouds", "sellers", "regions", "residency")
# Where two lists of what is allowed have nothing in common, this stands for that: nothing has this
# name.
NOTHING = ("-",)
_NO_WISH = "{}"
# How much of two names is the same where one of them may be a slip of the other.
_NEAR = 0.8
_FIGURES = re.compile(r"[0-9]+")
# Why a name of a party, cloud, product or segment is refused.
UNNAMED = "the agreement does not name it"


def unnamed_remedy(name: str, known_names: Iterable[str]) -> str:
    """Return the remedy for a name that the agreement does not name."""
    return f"{suggestion(name, known_names)} Names of another agreement: --agreement FOLDER."


class Wish(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The wishes of one organisation or project for its requests; an empty wish leaves it to its
    parent."""

    strategy: str = ""
    pinned: str = ""
    clouds: tuple[str, ...] = ()
    sellers: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    residency: tuple[str, ...] = ()
    certifications: tuple[str, ...] = ()
    on_leave: str = ""


class ReplacedValue(msgspec.Struct, frozen=True, kw_only=True):
    """A setting in words that another took the place of, who had set it, and when; `who` is empty
    where the log does not say."""

    what: str
    who: str
    at: str

    def __str__(self) -> str:
        by = f", set by {self.who} at {self.at}" if self.who else ""
        return f"It replaces {self.what}{by}."


def replaced_value(what: str, former: Replaced[Any]) -> ReplacedValue:
    """Return a setting that was replaced, in words."""
    at = str(KnownAt(former.recorded_ns).to_the_second()) if former.who else ""
    return ReplacedValue(what=what, who=former.who, at=at)


class TenantRow(msgspec.Struct, frozen=True, kw_only=True):
    """An organisation, or (with a name of its own) a project: what it says, and what then holds.

    `replaced` is there once, where it was just set in the place of another wish.
    """

    organisation: str
    project: str
    says: Wish
    holds: Policy
    keys: int
    replaced: ReplacedValue | msgspec.UnsetType = msgspec.UNSET


class Tenancy(NamedTuple):
    """All of a home that a plan needs: the keys with the indices of what holds for them.

    Without a write it stays the same until an instant, when a secret ends; 0 if none does.
    """

    keys: tuple[Key, ...]
    limits: tuple[RateLimit, ...]
    budgets: tuple[Budget, ...]
    policies: tuple[Policy, ...]
    until_ns: int = 0


def tenancy_for_plan(home: Home) -> Tenancy:
    """Return the keys accepted now, with the limits, budgets and policies that hold for each."""
    if not home.is_begun:
        return Tenancy(keys=(), limits=(), budgets=(), policies=())
    now_ns = time.time_ns()
    with open_control(home) as control:
        tenants = Tenants(control)
        limits, budgets = tenants.limits(), tenants.budgets()
        wishes = _wishes(tenants.all())
        accepted, until_ns = _accepted(control, now_ns)
    # The plan refers to policies, limits and budgets by number.
    policies = _Policies(wishes)
    of_limits, of_budgets = _by_organisation(limits), _by_organisation(budgets)
    keys = tuple(
        Key(
            digest=digest,
            organisation=key.organisation,
            project=key.project,
            key_id=key.key_id,
            seller=key.seller,
            segment=key.segment,
            role=key.role,
            policy=policies.index(key.organisation, key.project),
            limits=_holding(of_limits[key.organisation], key),
            budgets=_holding(of_budgets[key.organisation], key),
            ends_ns=ends_ns,
        )
        for digest, key, ends_ns in accepted
    )
    return Tenancy(
        keys,
        tuple(
            RateLimit(
                id=limit.id,
                whose=whose(limit),
                requests_per_minute=limit.requests_per_minute,
                tokens_per_minute=limit.tokens_per_minute,
                cloud=limit.cloud,
                product=limit.product,
            )
            for limit in limits
        ),
        tuple(
            Budget(id=budget.id, whose=whose(budget), cloud=budget.cloud, product=budget.product)
            for budget in budgets
        ),
        tuple(policies.all),
        until_ns,
    )


def whose(scope: LimitScope) -> str:
    """Return the holder of a limit or budget as commands take it, and its product and cloud:
    `project acme/search for gpt-5.5 on azure`."""
    return _holder(scope, f"project {scope.organisation}/{scope.project}")


def whose_in_words(scope: LimitScope) -> str:
    """Return the holder as a sentence names it: `project search of acme for gpt-5.5 on azure`."""
    return _holder(scope, f"project {scope.project} of {scope.organisation}")


def _holder(scope: LimitScope, project: str) -> str:
    if scope.key_id:
        holder = f"key {scope.key_id}"
    elif scope.project:
        holder = project
    else:
        holder = f"organisation {scope.organisation}"
    product = f" for {scope.product}" if scope.product else ""
    cloud = f" on {scope.cloud}" if scope.cloud else ""
    return f"{holder}{product}{cloud}"


def customer_in_words(organisation: str, project: str) -> str:
    """Return an organisation with its project: `Contoso, project search`."""
    return ", project ".join(filter(None, (organisation, project)))


def create_tenant(home: Home, organisation: str, project: str = "") -> TenantRow:
    """Add an organisation, or a project of one that exists.

    Raise InvalidInput where it is there already.
    """
    check_buyer_names(home, organisation, project)
    with open_control(home) as control:
        if project:
            check_known(control, organisation)
        if not Tenants(control).add(_tenant(organisation, project)):
            raise InvalidInput.of(
                what=f"{_name_of(organisation, project)} exists",
                why="a name is one organisation's, or one project's within it",
                where="NAME",
                remedy="Take another name, or change this one with `set`.",
            )
    return show_tenant(home, organisation, project)


def list_tenants(home: Home) -> list[TenantRow]:
    """Return organisations and projects by name, an organisation before its projects."""
    with open_control(home) as control:
        tenants, keys = Tenants(control).all(), _active_keys(control)
    wishes = _wishes(tenants)
    return [
        TenantRow(
            organisation=organisation,
            project=project,
            says=wishes.get((organisation, project), Wish()),
            holds=_holds(wishes, organisation, project),
            keys=keys[organisation, project],
        )
        for organisation, project in sorted(wishes.keys() | keys.keys())
    ]


def show_tenant(home: Home, organisation: str, project: str = "") -> TenantRow:
    """Return an organisation or a project. Raise InvalidInput where nothing has that name."""
    listed = list_tenants(home)
    for tenant in listed:
        if (tenant.organisation, tenant.project) == (organisation, project):
            return tenant
    raise InvalidInput(
        _unknown(
            organisation, project, [(tenant.organisation, tenant.project) for tenant in listed]
        )
    )


def set_policy(
    home: Home, catalog: Catalog, wish: Wish, organisation: str, project: str = ""
) -> TenantRow:
    """Replace what an organisation or project says.

    Raise InvalidInput, also where nothing would be left allowed.
    """
    # Refuse an unknown organisation or project before anything else.
    show_tenant(home, organisation, project)
    refuse_any(_problems_of(catalog, wish))
    with open_control(home) as control:
        tenants = Tenants(control)
        wishes = _wishes(tenants.all()) | {(organisation, project): wish}
        # An organisation's word narrows its projects too: each must be left somewhere to be served.
        problems = [
            problem
            for owner, part in sorted(wishes)
            if owner == organisation
            for problem in _nothing_left(owner, part, _holds(wishes, owner, part))
        ]
        refuse_any(problems)
        tenants.add(_tenant(organisation, project))
        former = tenants.set_policy(organisation, project, msgspec.json.encode(wish).decode())
    tenant = show_tenant(home, organisation, project)
    if former is None or former.row.policy == _NO_WISH:
        return tenant
    held = _holds(wishes | _wishes([former.row]), organisation, project)
    return msgspec.structs.replace(tenant, replaced=replaced_value(described(held), former))


def described(policy: Policy) -> str:
    """Return a policy in a line: its strategy and its limits."""
    parts = [policy.strategy + (f" to {policy.pinned}" if policy.pinned else "")]
    for field in ("clouds", "sellers", "regions", "residency", "certifications"):
        if names := getattr(policy, field):
            parts.append(f"{field} {', '.join(names)}")
    if policy.on_leave != Policy().on_leave:
        parts.append(f"{policy.on_leave} when a client leaves")
    return " · ".join(parts)


def remove_tenant(home: Home, organisation: str, project: str = "") -> None:
    """Remove an organisation with its projects, or a project, and its limits and budgets.

    Raise InvalidInput where keys of it are still accepted.
    """
    tenant = show_tenant(home, organisation, project)
    if tenant.keys:
        raise InvalidInput.of(
            what=f"{_name_of(organisation, project)} has {counted(tenant.keys, 'active key')}",
            why="they would go on without what limits them",
            where="NAME",
            remedy="Revoke them first: clauseway key list, clauseway key revoke.",
        )
    with open_control(home) as control:
        Tenants(control).remove(organisation, project)


def check_buyer_names(home: Home, organisation: str, project: str) -> None:
    """Raise InvalidInput where a name is not valid. `acme/search` is project search of acme, so the
    name of a new organisation has no slash."""
    name_rule.check_names(
        {"organisation": organisation} | ({"project": project} if project else {})
    )
    if "/" not in organisation or (home.is_begun and _is_known(home, organisation)):
        return
    raise InvalidInput.of(
        what=f"{organisation!r} is not a name of an organisation",
        why="a slash stands between an organisation and its project",
        where="organisation",
        remedy="Write another character, as a hyphen, in its place.",
    )


def _is_known(home: Home, organisation: str) -> bool:
    with open_control(home) as control:
        return bool(Tenants(control).names(organisation))


def check_known(control: Control, organisation: str, project: str = "") -> None:
    """Raise InvalidInput where there is no such organisation or project, neither by itself nor
    through a key."""
    if (organisation, project) not in Tenants(control).names(organisation):
        raise InvalidInput(_unknown(organisation, project, Tenants(control).names()))


def nearly_named(control: Control, organisation: str, project: str) -> str:
    """Return the organisation that is nearly so named, where this one is not there yet; else the
    same of its projects. Empty if none is: names that differ in figures alone are numbered."""
    parts = Tenants(control).names(organisation)
    if (organisation, project) in parts:
        return ""
    if parts:
        name, known = project, [part for _, part in parts]
    else:
        name, known = organisation, [owner for owner, part in Tenants(control).names() if not part]
    return nearest_name(name, [near for near in known if not _is_numbered(name, near)], _NEAR)


def _is_numbered(name: str, known: str) -> bool:
    return name != known and _FIGURES.sub("", name) == _FIGURES.sub("", known)


def _active_keys(control: Control) -> Counter[tuple[str, str]]:
    """Return how many active keys each organisation has, and each project."""
    keys = control.keys()
    return Counter((key.organisation, part) for key in keys for part in {"", key.project})


def ensure_tenant(control: Control, organisation: str, project: str) -> None:
    """Add an organisation and its project, where they are not there yet."""
    for part in {"", project}:
        Tenants(control).add(_tenant(organisation, part))


class _Policies:
    """The distinct policies, numbered; the first is what holds where nobody says anything."""

    def __init__(self, wishes: dict[tuple[str, str], Wish]) -> None:
        self.all = [Policy()]
        self._wishes = wishes
        self._numbers: dict[tuple[str, str], int] = {}

    def index(self, organisation: str, project: str) -> int:
        who = (organisation, project)
        if who not in self._numbers:
            policy = _holds(self._wishes, organisation, project)
            if policy not in self.all:
                self.all.append(policy)
            self._numbers[who] = self.all.index(policy)
        return self._numbers[who]


def _holds(wishes: dict[tuple[str, str], Wish], organisation: str, project: str) -> Policy:
    """Return the wishes of an organisation and of its project as one policy."""
    whole = wishes.get((organisation, ""), Wish())
    own = wishes.get((organisation, project), Wish()) if project else Wish()
    # The pinned deployment belongs to its strategy, so both are the word of the nearest.
    nearest = own if own.strategy else whole
    return Policy(
        strategy=nearest.strategy or Policy().strategy,
        pinned=nearest.pinned,
        certifications=tuple(dict.fromkeys((*whole.certifications, *own.certifications))),
        on_leave=own.on_leave or whole.on_leave or Policy().on_leave,
        **{name: _narrowed(getattr(whole, name), getattr(own, name)) for name in _ALLOWED},
    )


def _narrowed(whole: tuple[str, ...], own: tuple[str, ...]) -> tuple[str, ...]:
    if not whole or not own:
        return whole or own
    return tuple(name for name in own if name in whole) or NOTHING


class _AcceptedSecret(NamedTuple):
    digest: str
    key: ApiKey
    ends_ns: int  # 0: no end


def _accepted(control: Control, now_ns: int) -> tuple[list[_AcceptedSecret], int]:
    """Return the secrets accepted now and until when they stay these (0: until somebody writes):
    each key's secret, and for a while the secrets before it."""
    active = control.keys()
    keys = {key.key_id: key for key in active if not key.expires_ns or now_ns < key.expires_ns}
    accepted = [_AcceptedSecret(key.digest, key, key.expires_ns) for key in keys.values()]
    for secret in control.former_secrets():
        if now_ns < secret.until_ns and secret.key_id in keys:
            key = keys[secret.key_id]
            # A former secret ends with its key at the latest.
            ends_ns = min(secret.until_ns, key.expires_ns or secret.until_ns)
            accepted.append(_AcceptedSecret(secret.digest, key, ends_ns))
    return accepted, min((secret.ends_ns for secret in accepted if secret.ends_ns), default=0)


def _by_organisation(
    rows: Sequence[Limit] | Sequence[BudgetRow],
) -> dict[str, list[tuple[int, LimitScope]]]:
    scopes: dict[str, list[tuple[int, LimitScope]]] = defaultdict(list)
    for index, row in enumerate(rows):
        scopes[row.organisation].append((index, row))
    return scopes


def _holding(rows: Iterable[tuple[int, LimitScope]], key: ApiKey) -> tuple[int, ...]:
    """Return the indices of what holds for a key: its organisation's, its project's, its own."""
    return tuple(
        index
        for index, row in rows
        if row.project in ("", key.project) and row.key_id in ("", key.key_id)
    )


def _wishes(tenants: Iterable[Tenant]) -> dict[tuple[str, str], Wish]:
    return {
        (tenant.organisation, tenant.project): msgspec.json.decode(tenant.policy, type=Wish)
        for tenant in tenants
    }


def _tenant(organisation: str, project: str) -> Tenant:
    return Tenant(organisation=organisation, project=project, created_ns=time.time_ns())


def _name_of(organisation: str, project: str) -> str:
    return f"project {organisation}/{project}" if project else f"organisation {organisation}"


def _unknown(organisation: str, project: str, tenants: Iterable[tuple[str, str]]) -> Problem:
    names = {part if project else owner for owner, part in tenants if bool(part) == bool(project)}
    noun, parts = (
        ("project", [organisation, project]) if project else ("organisation", [organisation])
    )
    return Problem(
        what=f"there is no {_name_of(organisation, project)}",
        why="nobody has created it, and no key is of it",
        where="project" if project else "organisation",
        remedy=(
            f"{suggestion(project or organisation, names)} Create it with `clauseway "
            f"{noun} create {shlex.join(parts)}`, or make a key of it."
        ),
    )


def _problems_of(catalog: Catalog, wish: Wish) -> list[Problem]:
    named: list[tuple[str, Sequence[str], Iterable[str]]] = [
        ("--strategy", [wish.strategy] if wish.strategy else [], STRATEGIES),
        ("--on-leave", [wish.on_leave] if wish.on_leave else [], ON_LEAVE),
        ("--cloud", wish.clouds, catalog.clouds),
        ("--seller", wish.sellers, catalog.parties),
    ]
    problems = [
        Problem(
            what=f"unknown name {name!r}",
            why="nothing defines it",
            where=flag,
            remedy=suggestion(name, allowed),
        )
        for flag, names, allowed in named
        for name in names
        if name not in allowed
    ]
    # Names that only deployments define are checked against no list.
    free = {
        "--region": wish.regions,
        "--residency": wish.residency,
        "--certification": wish.certifications,
    }
    problems += [
        problem
        for flag, names in free.items()
        for name in names
        if (problem := name_rule.problem_of_name(name, flag))
    ]
    if (wish.strategy == "pinned") != bool(wish.pinned):
        problems.append(
            Problem(
                what="a pinned strategy without its deployment, or the other way round",
                why="requests are pinned to one deployment",
                where="--pinned",
                remedy="Give both: --strategy pinned --pinned NAME.",
            )
        )
    return problems


def _nothing_left(organisation: str, project: str, policy: Policy) -> list[Problem]:
    return [
        Problem(
            what=f"{_name_of(organisation, project)} would be allowed no {name}",
            why="what the organisation allows and what the project allows have nothing in common",
            where=f"--{name.removesuffix('s')}",
            remedy="Widen one of the two.",
        )
        for name in _ALLOWED
        if getattr(policy, name) == NOTHING
    ]

"""A plan compiled to look-ups: keys to customers, business time to a stretch, (market, model) to
what may be done.

A new plan is a new `RoutingTables` and takes the place of the old one between two requests. A market is
what a seller sells to a segment under a policy. A stretch is a time in which nothing dated changes:
no route, price, capability, retirement or commitment. The choice for a model is compiled when it is
first asked for in a stretch, and the customer of a key when the key is first seen.
"""

from bisect import bisect_right
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from heapq import heappop, heappush
from typing import Final, NamedTuple

from clauseway.catalog import BITS, Capability
from clauseway.gateway.budgets.allowances import Allowances, KeyAllowance
from clauseway.gateway.clouds.dialect import Address, address_of
from clauseway.gateway.plan import Key, Plan, Policy, Refusal, Route, Target, Unserved
from clauseway.gateway.plan.file import Opened
from clauseway.gateway.plan.steps import emptied
from clauseway.gateway.routing.choices import Candidate, DeploymentChoice, Option, SkippedDeployment
from clauseway.gateway.routing.health import Health
from clauseway.gateway.routing.key_digests import digest
from clauseway.gateway.routing.quotas import Memory
from clauseway.gateway.routing.targets import Balance, CallTarget
from clauseway.gateway.routing.tariffs import hour_within
from clauseway.gateway.transport.upstream import Endpoint
from clauseway.metering import Buyer, Deployment, Ruling

_NO_END_NS: Final = (1 << 62) - 1  # in 2116; compiled code compares it without a call
_EU: Final = BITS[Capability.EU_DATA_ZONE]


class Market:
    """What a seller sells to a segment under a policy. Each `RoutingTables` has one object for
    each, so a market is compared by identity."""

    def __init__(self, seller: str, segment: str, policy: Policy) -> None:
        self.seller = seller
        self.segment = segment
        self.policy = policy


_NO_MARKET: Final = Market("", "", Policy())


class Customer(NamedTuple):
    """The owner of a key. `label` is its code in the spool, from 1. Routes depend on `market`, which
    is one of the tables that found the customer.

    `allowance` is None where no limit and no budget holds. `reads_on_leave`: answers are read to
    their end for their usage even when the client has left.
    """

    label: int
    buyer: Buyer
    market: Market = _NO_MARKET
    role: str = "member"
    allowance: KeyAllowance | None = None
    reads_on_leave: bool = False


_NO_CHOICE: Final = DeploymentChoice((), {})


class RoutingTables:
    """Everything a request looks up. Its customers' allowances are those of the plan that
    `allowances` was turned to last."""

    def __init__(
        self,
        opened: Opened,
        label: Callable[[Buyer | Deployment | Ruling], int],
        endpoint: Callable[[Address], Endpoint],
        health: Callable[[tuple[str, str]], Health],
        allowances: Allowances,
        memory: Memory | None = None,
    ) -> None:
        plan = opened.plan
        self._allowances = allowances
        self._keys = opened.keys
        self.plan = plan
        self.digest = opened.digest
        self.attempt_timeout_s = plan.attempt_timeout_s
        self.answer_timeout_s = plan.answer_timeout_s or plan.attempt_timeout_s
        self.deadline_s = plan.deadline_s
        self._hash_key = bytes.fromhex(plan.hash_key)
        self._label = label
        self._markets: dict[tuple[str, str, int], Market] = {}
        self.targets = [
            CallTarget(
                target,
                label(target.label),
                endpoint(address_of(target.url)),
                health((target.label.deployment, target.label.model)),
            )
            for target in plan.targets
        ]
        self.memory = memory or Memory()
        self._remember()
        self._customers: dict[bytes, Customer] = {}
        self._ended: set[bytes] = set()
        # When the secrets of customers end that were found here, the soonest first, and the instant
        # until which all have ended that had to.
        self._ends: list[tuple[int, bytes]] = []
        self._ended_to_ns = 0
        # Another object once a key's customer may be another, or none any more.
        self.keys_mark = object()
        self._candidates: dict[tuple[int, int], Candidate] = {}
        latest: dict[int, int] = {}
        for epoch in plan.epochs:
            for route in epoch.routes.values():
                latest.update(route.candidates)
        self._holders: dict[tuple[str, str], Candidate] = {}
        for at, ruling in latest.items():
            holder = self._candidate(at, ruling)
            self._holders.setdefault((holder.target.name, ""), holder)
            self._holders[holder.target.name, holder.target.product] = holder
        self._vector_stores = {
            (store, *_project(project)): target.label.deployment
            for target in plan.targets
            for store, projects in target.vector_stores.items()
            for project in projects
        }
        self.clouds = frozenset(target.label.cloud for target in plan.targets) | {
            place.cloud
            for epoch in plan.epochs
            for route in epoch.routes.values()
            for place in _not_served(route)
        }
        self._cuts = sorted(set(_cuts_of(plan)))
        self._hourly = any(target.hourly for target in self.targets)
        # The stretch of the last request, because the next one is nearly always in it.
        self._begin_ns, self._end_ns = 0, 0
        self._routes: Mapping[str, Route] = {}
        self._current: dict[tuple[Market, str], DeploymentChoice] = {}

    def _remember(self) -> None:
        """Give the targets what is kept over plans, and the commitments that they burn down."""
        paced = any(policy.strategy == "fastest" for policy in self.plan.policies)
        balances = [Balance(commitment) for commitment in self.plan.commitments]
        for target in self.targets:
            its = target.target
            target.quota = self.memory.quota(
                target.name,
                its.label.model,
                its.quota_requests_per_minute,
                its.quota_tokens_per_minute,
            )
            target.pace = self.memory.pace(target.name, its.label.model) if paced else None
            target.balances = [balance for balance in balances if balance.counts(its.label)]

    def customer(self, secret: bytes) -> Customer | None:
        """Return the owner of a key; None where the key is unknown."""
        hashed = digest(self._hash_key, secret)
        customer = self._customers.get(hashed)
        if customer is None:
            key = self._keys.find(hashed) if hashed not in self._ended else None
            if key is not None and not 0 < key.ends_ns <= self._ended_to_ns:
                customer = self._customers[hashed] = self._customer(key)
                if key.ends_ns:
                    heappush(self._ends, (key.ends_ns, hashed))
        return customer

    def end(self, digests: Iterable[bytes]) -> None:
        """Accept these secrets no more, although the plan has them."""
        for digest_of_secret in digests:
            self._ended.add(digest_of_secret)
            self._customers.pop(digest_of_secret, None)
        self.keys_mark = object()

    def end_by(self, now_ns: int) -> None:
        """Accept the secrets no more whose end has come, by the clock of this machine."""
        self._ended_to_ns = now_ns
        if not self._ends or self._ends[0][0] > now_ns:
            return
        while self._ends and self._ends[0][0] <= now_ns:
            self._customers.pop(heappop(self._ends)[1], None)
        self.keys_mark = object()

    def letting_go(self) -> Generator[None, None, None]:
        """Of tables that others have taken the place of: free in steps what requests under way do
        not need."""
        yield from self._keys.letting_go()
        yield from emptied(self._customers)
        yield from emptied(self._current)

    def choice(self, event_ns: int, customer: Customer, model: str) -> DeploymentChoice | None:
        """Return what may be done with `model`; None where no client may ask for such a name at
        all."""
        if not self._begin_ns <= event_ns < self._end_ns:
            self._turn_to(event_ns)
        choice = self._current.get((customer.market, model))
        if choice is None and model in self.plan.models:
            choice = self._current[customer.market, model] = self._choice(customer.market, model)
        return choice

    def sellers(self, model: str) -> list[str]:
        """Return the sellers of which some customers may buy `model` now."""
        markets = [market.split("|") for market, route in self._routes.items() if route.candidates]
        product = self.plan.models[model]
        return sorted({seller for seller, sold, _ in markets if sold == product})

    def retired(self, event_ns: int, model: str) -> str:
        """Return the message for a name that nothing serves here and that is retired elsewhere;
        else empty."""
        said = (
            retirement.message
            for retirement in self.plan.retirements
            if retirement.name == model and retirement.begin_ns <= event_ns
        )
        return "" if model in self.plan.models else next(said, "")

    def models(self, event_ns: int, customer: Customer) -> list[str]:
        """The names that are served now to a customer, in the plan's order, without those that are
        retired at every deployment: nobody begins with such a name."""
        return [
            name
            for name in self.plan.models
            if (choice := self.served(event_ns, customer, name)) and not choice.retired
        ]

    def served(self, event_ns: int, customer: Customer, model: str) -> DeploymentChoice | None:
        """Return the choice for a name that is served now to a customer, retired or not; else
        None."""
        choice = self.choice(event_ns, customer, model)
        return choice if choice is not None and choice.candidates else None

    def reachable(self, event_ns: int, customer: Customer) -> list[Candidate]:
        """One candidate of each deployment that a customer may reach now with any model, the first
        models' first."""
        reachable: dict[str, Candidate] = {}
        for name in self.plan.models:
            choice = self.choice(event_ns, customer, name)
            for candidate in choice.candidates if choice is not None else ():
                reachable.setdefault(candidate.target.name, candidate)
        return list(reachable.values())

    def holder(self, deployment: str, model: str = "") -> Candidate | None:
        """Where something that was made before lies: to read it, or to delete it, is no new sale.
        Of the models there it is the one that made it, where that is known: what is metered at its
        end is that model's."""
        product = self.plan.models.get(model, "") if model else ""
        return self._holders.get((deployment, product)) or self._holders.get((deployment, ""))

    def lacking(self, event_ns: int, deployment: str, bits: int) -> str:
        """Return what the models of a deployment lack of `bits` now, as the last of them; empty if
        one of them has it all."""
        reasons = ""
        for target in self.plan.targets:
            if target.label.deployment == deployment:
                lacks = _lacks(target, event_ns)
                reasons = "; ".join(why for bit, why in lacks.items() if bit & bits)
                if not reasons:
                    break
        return reasons

    def vector_store_at(self, buyer: Buyer, identifier: str) -> str:
        """Return the deployment on whose account a vector store lies that a buyer's project may
        search; empty where there is none."""
        return self._vector_stores.get((identifier, buyer.organisation, buyer.project), "")

    def _turn_to(self, event_ns: int) -> None:
        """Begin the stretch that an instant lies in."""
        at = bisect_right(self._cuts, event_ns)
        self._begin_ns = self._cuts[at - 1] if at else -_NO_END_NS
        self._end_ns = self._cuts[at] if at < len(self._cuts) else _NO_END_NS
        if self._hourly:
            self._begin_ns, self._end_ns = hour_within(event_ns, self._begin_ns, self._end_ns)
        self._routes, self._current = {}, {}
        for epoch in self.plan.epochs:
            if epoch.begin_ns <= self._begin_ns:
                self._routes = epoch.routes
        for target in self.targets:
            target.turn_to(self._begin_ns)

    def _customer(self, key: Key) -> Customer:
        buyer = Buyer(key.organisation, key.project, key.key_id, key.seller, key.segment)
        market = self._market(buyer.seller, buyer.segment, key.policy)
        return Customer(
            label=self._label(buyer),
            buyer=buyer,
            market=market,
            role=key.role,
            allowance=self._allowances.of(key) if key.limits or key.budgets else None,
            reads_on_leave=market.policy.on_leave == "drain",
        )

    def _market(self, seller: str, segment: str, policy: int) -> Market:
        market = self._markets.get((seller, segment, policy))
        if market is None:
            market = Market(seller, segment, self.plan.policies[policy])
            self._markets[seller, segment, policy] = market
        return market

    def _choice(self, market: Market, model: str) -> DeploymentChoice:
        seller, segment, policy = market.seller, market.segment, market.policy
        route = self._routes.get(f"{seller}|{self.plan.models[model]}|{segment}")
        if route is None:
            return _NO_CHOICE
        # INVARIANT: a target stands once among the candidates, so going through them attempts none
        # twice.
        rulings: dict[int, int] = {}
        for target, ruling in route.candidates:
            rulings.setdefault(target, ruling)
        gone = {
            (retirement.name, retirement.surface): retirement.message
            for retirement in self.plan.retirements
            if retirement.begin_ns <= self._begin_ns
        }
        snapshot = model if model in self.plan.snapshots else ""
        refusals = {refusal.cloud: refusal for refusal in route.refusals}
        options, late, retired = [], [], []
        skipped = list(self._ruled_out(seller, self.plan.models[model], rulings, refusals))
        for target, ruling in rulings.items():
            option = self._option(target, ruling)
            its = self.plan.targets[target]
            why = _against(policy, snapshot, its, option)
            # The snapshot that is deployed is what its cloud is asked for, whatever the client says.
            message = (
                "" if its.serves_retired else gone.get((its.snapshot or model, its.surface), "")
            )
            if why:
                skipped.append(SkippedDeployment(its.label.cloud, its.label.deployment, why))
            elif message:
                late.append(option)
                retired.append(message)
            else:
                options.append(option)
        return DeploymentChoice(
            [*options, *late],
            refusals,
            policy.strategy,
            tuple(skipped),
            " ".join(dict.fromkeys(retired)) if not options else "",
            late=len(late),
            unserved={missing.cloud: missing for missing in route.unserved},
            everywhere=route.everywhere,
        )

    def _ruled_out(
        self,
        seller: str,
        product: str,
        rulings: Mapping[int, int],
        refusals: Mapping[str, Refusal],
    ) -> Iterator[SkippedDeployment]:
        """Yield the deployments of a sale that the agreement closes, each with the terms."""
        for at, target in enumerate(self.targets):
            label = target.deployment
            refusal = refusals.get(label.cloud)
            if (
                at not in rulings
                and refusal is not None
                and (label.seller, label.product) == (seller, product)
            ):
                reason = f"ruled out by {refusal.terms[0]}"
                yield SkippedDeployment(label.cloud, label.deployment, reason, refusal.terms)

    def _option(self, target: int, ruling: int) -> Option:
        lacks = _lacks(self.plan.targets[target], self._begin_ns)
        return Option(self._candidate(target, ruling), sum(lacks), lacks)

    def _candidate(self, at: int, ruling: int) -> Candidate:
        """One object per target and ruling, whatever it stands among."""
        if (at, ruling) in self._candidates:
            return self._candidates[at, ruling]
        target, decision = self.targets[at], self.plan.rulings[ruling]
        label = target.deployment
        lines = (
            ("x-clauseway-cloud", label.cloud),
            ("x-clauseway-seller", label.seller),
            ("x-clauseway-region", label.region),
            ("x-clauseway-deployment", label.deployment),
            ("x-clauseway-decision", decision.decision),
            ("x-clauseway-outcome", decision.outcome),
        )
        headers = b"".join(header_line(name, value) for name, value in lines)
        made = Candidate(
            target,
            self._label(decision),
            headers,
            decision.decision,
            decision.outcome,
            decision.terms,
        )
        self._candidates[at, ruling] = made
        return made


def _project(written: str) -> tuple[str, str]:
    """Return the organisation and the project of `organisation/project`."""
    organisation, _, project = written.partition("/")
    return organisation, project


def _not_served(route: Route) -> Iterator[Refusal | Unserved]:
    """Yield why each cloud does not serve a sale, of those that do not."""
    yield from route.refusals
    yield from route.unserved


def _lacks(target: Target, at_ns: int) -> dict[int, str]:
    """Return the bit of each capability that a target lacks at an instant, with the reason."""
    return {
        BITS[Capability(lack.capability)]: f"lacks {lack.capability} ({lack.reason})"
        for lack in target.lacks
        if lack.begin_ns <= at_ns < lack.end_ns
    }


def _cuts_of(plan: Plan) -> Iterator[int]:
    """Every instant at which something dated changes."""
    for epoch in plan.epochs:
        yield epoch.begin_ns
    for target in plan.targets:
        for prices in target.prices:
            yield from (prices.begin_ns, prices.end_ns)
        for lack in target.lacks:
            yield from (lack.begin_ns, lack.end_ns)
    for commitment in plan.commitments:
        yield from (commitment.begin_ns, commitment.end_ns)
    for retirement in plan.retirements:
        yield retirement.begin_ns


def _against(policy: Policy, snapshot: str, target: Target, option: Option) -> str:
    """Why a customer may not be served by a deployment: by its policy, or because another snapshot
    is asked for. Empty where it may."""
    label = target.label
    for noun, value, wanted in (
        ("cloud", label.cloud, policy.clouds),
        ("seller", label.seller, policy.sellers),
        ("region", label.region, policy.regions),
        ("residency", target.residency, policy.residency),
    ):
        if wanted and value not in wanted:
            has = f"{noun} {value}" if value else f"{noun} is not stated"
            return f"its {has}; the policy allows {', '.join(wanted)}"
    missing = [name for name in policy.certifications if name not in target.certifications]
    if missing:
        return f"has no certification {', '.join(missing)}, which the policy asks for"
    # No request asks for this capability: the tenant's residency does.
    if "eu" in policy.residency and option.lacks & _EU:
        return option.reasons[_EU]
    if policy.strategy == "pinned" and label.deployment != policy.pinned:
        return f"the policy pins requests to {policy.pinned}"
    if snapshot and target.snapshot not in ("", snapshot):
        return f"serves {target.snapshot}, not {snapshot}"
    return ""


def header_line(name: str, value: str) -> bytes:
    """Return a header line. Characters that cannot stand in a header (line breaks, other scripts)
    become `?`."""
    safe = "".join(char if " " <= char <= "~" else "?" for char in value)
    return f"{name}: {safe}\r\n".encode()

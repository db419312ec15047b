"""A plan compiled to look-ups: keys to customers, business time to a stretch, (market, model) to candidates.

A new plan is a new `Tables` and takes the place of the old one between two requests. A market is what a seller sells to
a segment under a policy. A stretch is a time in which nothing dated changes: no route, price, capability, retirement
or commitment. What may be done with a model is compiled when it is first asked for in a stretch, and a selection among
it when the first request of its kind comes; from then on both are look-ups.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from clauseway.catalog import BITS, Capability
from clauseway.gateway.accounts import Account, Accounts
from clauseway.gateway.capabilities import PLAIN, Needs
from clauseway.gateway.clouds import CLOUDS, Prepare
from clauseway.gateway.clouds.dialect import Address, Credential, address_of, credential_in
from clauseway.gateway.clouds.usage import Units
from clauseway.gateway.credentials import STATIC, problems_of
from clauseway.gateway.health import Health
from clauseway.gateway.keys import digest
from clauseway.gateway.operations import Destination, Operation, Wanted
from clauseway.gateway.plan import Commitment, Key, Plan, Policy, Refusal, Route, Target
from clauseway.gateway.quotas import Memory, Pace, Quota
from clauseway.gateway.rates import Rates
from clauseway.gateway.requests import Asked
from clauseway.gateway.strategies import MOVING, NEVER_NS, STRATEGIES, Standing, cost, length_of, order
from clauseway.gateway.upstream import Endpoint
from clauseway.metering import Buyer, Deployment, Ruling, Status, Unit
from clauseway.values import InvalidInput, Problem

_NO_END_NS = 1 << 63
# A thousand dollars per million tokens: keeps the arithmetic of reservations within 63 bits.
_PRICE_MAX = 10**9
# Where a model's context is not known: the largest of those that the catalog knows.
_CONTEXT_TOKENS_MAX = 1_050_000
# The thinnest sound that anyone sends: 2 kbit/s, four milliseconds a byte.
_MILLISECONDS_PER_BYTE = 4
# No language writes more text than this in a token, on average; a longer body cannot fit.
_BYTES_PER_TOKEN_MAX = 8
_ANY_SIZE = 1 << 62
# An order that moves is made anew this often.
_ORDER_S = 1.0
# Each is some hundred bytes; a caller who makes up ever new kinds of requests gains nothing.
_SELECTIONS_MAX = 4096
_EU = BITS[Capability.EU_DATA_ZONE]
_OF_TEXT = frozenset({"text", "embedding", "moderation"})


class Customer(NamedTuple):
    """Who a key belongs to. `label` is its code in the spool, `market` the (seller, segment) that routes depend on.

    `account` is None where no limit and no budget holds; `drains`: answers are read to their end for their usage even
    when the client has left.
    """

    label: int
    market: int
    buyer: Buyer
    role: str = "member"
    policy: Policy = Policy()
    account: Account | None = None
    drains: bool = False


class Reserved(msgspec.Struct, frozen=True, gc=False):
    """The worst case of a request: its cost in picodollars, its tokens, and how many of those are output."""

    picodollars: int
    tokens: int
    output_tokens: int


class CallTarget:
    """A deployment ready to be called: everything of it that a request needs, one step away.

    `prepare` is None while there is no credential. `renew` fetches another credential, where
    there is somewhere to fetch it from.
    """

    def __init__(self, target: Target, label: int, endpoint: Endpoint, health: Health) -> None:
        dialect = CLOUDS[target.dialect]
        self.target = target
        self.label = label
        self.deployment = target.label
        self.endpoint = endpoint
        self.health = health
        self.credential: Credential | None = None
        self.prepare: Prepare | None = None
        self.renew: Callable[[], Awaitable[bool]] | None = None
        if target.auth.kind in STATIC:
            self.present(credential_in(target.auth))
        self.request_id_header = dialect.request_id_header
        self.refuses_with = dialect.refuses_with
        self.lacks = dialect.lacks(target)
        self.destination = Destination(
            target.label.model, msgspec.json.encode(target.label.model), dialect.takes_usage_option(target)
        )
        self.cloud = target.label.cloud
        self.product = target.label.product
        self.name = target.label.deployment
        self.output_tokens_max = target.output_tokens_max
        self.balances: Sequence[Balance] = ()
        self.burns: Sequence[Balance] = ()
        self._longer: list[tuple[int, Rates]] = []
        self._ceilings: list[tuple[int, Rates]] = []
        self.quota: Quota | None = None
        self.pace: Pace | None = None
        self._of_text = target.kind in _OF_TEXT
        self._context_max = target.context_tokens_max or _ANY_SIZE
        self._context_bound = target.context_tokens_max or _CONTEXT_TOKENS_MAX
        self._image_max = target.image_tokens_max or self._context_bound
        # Until the first request tells the time: the latest prices.
        self.turn_to(max((prices.begin_ns for prices in target.prices), default=-_NO_END_NS))

    def present(self, credential: Credential | None) -> None:
        """From here on requests present this credential; None: there is none. Raises KeyError or ValueError, with
        nothing changed, where the cloud has no use for it."""
        self.prepare = None if credential is None else CLOUDS[self.target.dialect].prepare(self.target, credential)
        self.credential = credential

    def turn_to(self, begin_ns: int) -> None:
        """From here on the prices and commitments of this stretch hold."""
        target = self.target
        in_force = [prices for prices in target.prices if prices.begin_ns <= begin_ns < prices.end_ns]
        units: Mapping[int, int] = {Unit.INPUT_TOKENS: target.input_price, Unit.OUTPUT_TOKENS: target.output_price}
        units = next((prices.units for prices in in_force if not prices.above), units)
        self.rates = Rates(units)
        # Longest first: prices of long requests, and the highest that a request of up to that length may meet.
        self._longer, self._ceilings = [], []
        for prices in sorted((prices for prices in in_force if prices.above), key=lambda prices: prices.above):
            units = {unit: max(units.get(unit, 0), prices.units.get(unit, 0)) for unit in {**units, **prices.units}}
            self._longer.insert(0, (prices.above, Rates(prices.units)))
            self._ceilings.insert(0, (prices.above, Rates(units)))
        self._long = self._longer[-1][0] if self._longer else _ANY_SIZE
        self.burns = [balance for balance in self.balances if balance.begin_ns <= begin_ns < balance.end_ns]

    def worst_case(self, asked: Asked, body_bytes: int, needs: Needs = PLAIN) -> Reserved:
        """What a request may cost and use at most: a token is at least one byte of the body, an image what the catalog
        says, what is not in the body as much as the model can hold; every choice may be as long as the request or the
        model allows."""
        rates = self.rates
        output_max = (asked.output_tokens or self.output_tokens_max) * asked.choices
        if needs is PLAIN and self._of_text:
            input_max = body_bytes if body_bytes < self._context_max else self._context_max
            if input_max > self._long:
                rates = _above(self._ceilings, input_max, rates)
            worth = input_max * rates.input_max + output_max * rates.output_max
            return Reserved(worth, input_max + output_max, output_max)
        if needs.unbounded:
            input_max = self._context_bound
        else:
            input_max = min(body_bytes + needs.images * self._image_max, self._context_max)
        rates = _above(self._ceilings, input_max, rates)
        if needs.unbounded or needs.images or needs.audio or not self._of_text:
            worth = input_max * rates.any_input_max + output_max * rates.any_output_max
        else:
            worth = input_max * rates.input_max + output_max * rates.output_max
        if rates.milliseconds:
            worth += body_bytes * _MILLISECONDS_PER_BYTE * rates.milliseconds
        return Reserved(worth, input_max + output_max, output_max)

    def has_room(self, now_s: float) -> bool:
        """Whether its own quota bears another request."""
        return self.quota is None or self.quota.admits(now_s)

    def charge(self, units: Units) -> int:
        """What usage is worth at the prices in force, in picodollars, as pricing would charge it."""
        rates = self.rates
        if units and units[0][1] > self._long:
            rates = _above(self._longer, dict(units).get(Unit.INPUT_TOKENS, 0), rates)
        worth = rates.charge(units)
        for balance in self.burns:
            balance.left -= worth
        return worth

    @property
    def is_watched(self) -> bool:
        """Whether anybody wants to know how its requests end."""
        return self.quota is not None or self.pace is not None

    def observe(self, streamed: bool, status: Status, first_us: int, tokens_more: int, now_s: float) -> None:
        """How a request ended: after what time the first content came, and how many tokens more than were guessed when
        it began."""
        if self.quota is not None:
            self.quota.correct(tokens_more)
        if self.pace is not None and status in (Status.COMPLETE, Status.ESTIMATED):
            self.pace.note(streamed, first_us, now_s)

    def standing(self, now_s: float) -> Standing:
        """How it stands against others."""
        pace, rates = self.pace, self.rates
        return Standing(
            provisioned=self.target.provisioned,
            input_price=rates.input,
            cached_price=rates.cached_input,
            output_price=rates.output,
            lapses_ns=min((balance.end_ns for balance in self.burns if balance.left > 0), default=NEVER_NS),
            expected_us=(pace.expected_us(False, now_s), pace.expected_us(True, now_s)) if pace else (0.0, 0.0),
        )


def _above(longer: Sequence[tuple[int, Rates]], input_tokens: int, rates: Rates) -> Rates:
    """The rates of a request of so many input tokens."""
    return next((found for above, found in longer if input_tokens > above), rates)


class Balance:
    """What is left of a commitment, in picodollars, counted down by what this process charges."""

    __slots__ = ("begin_ns", "commitment", "end_ns", "left")

    def __init__(self, commitment: Commitment) -> None:
        self.commitment = commitment
        self.begin_ns, self.end_ns = commitment.begin_ns, commitment.end_ns
        self.left = commitment.left

    def counts(self, label: Deployment) -> bool:
        """Whether what a deployment serves counts toward it."""
        its = self.commitment
        return all(
            not wanted or value in wanted
            for wanted, value in ((its.clouds, label.cloud), (its.sellers, label.seller), (its.products, label.product))
        )


class Candidate(NamedTuple):
    """A target and the ruling that permits it; `headers` say so in the answer, `decision` names it."""

    target: CallTarget
    ruling: int
    headers: bytes
    decision: str


class PassedOver(NamedTuple):
    """A deployment that a request did not go to, and why; both empty where the reason holds for all."""

    cloud: str
    deployment: str
    reason: str

    def __str__(self) -> str:
        return f"{self.cloud} {self.deployment}: {self.reason}"


class Selection(NamedTuple):
    """The candidates of one request, best first, and what was passed over on the way."""

    candidates: tuple[Candidate, ...]
    passed: tuple[PassedOver, ...] = ()


class Option(NamedTuple):
    """A candidate in one stretch, and what it lacks: bits (as in `catalog.BITS`) and for each the reason in words."""

    candidate: Candidate
    lacks: int = 0
    reasons: Mapping[int, str] = {}


# Operation, cloud, deployment, needed bits, sizes, length and streaming, where its prompt is cached.
_Kind = tuple[int, str, str, int, tuple[int, int], int, str]
_SMALL = (0, 0)


class Choice:
    """What may be done with a model in one market and stretch. `passed` are those that the policy or a retirement
    rules out; `retired` says so where no deployment is left for that reason alone."""

    def __init__(
        self,
        options: Sequence[Option],
        refusals: Mapping[str, Refusal],
        strategy: str = "primary-first",
        passed: tuple[PassedOver, ...] = (),
        retired: str = "",
    ) -> None:
        self.candidates = tuple(option.candidate for option in options)
        self.refusals = refusals
        self.retired = retired
        self._options = options
        self._strategy = strategy
        self._passed = passed
        self._selections: dict[_Kind, Selection] = {}
        self._by_cost, self._by_pace = strategy == "cheapest", strategy == "fastest"
        self._moves, self._made_s = strategy in MOVING, 0.0
        targets = [candidate.target.target for candidate in self.candidates]
        self._contexts = sorted({target.context_tokens_max for target in targets if target.context_tokens_max})
        self._outputs = sorted({target.output_tokens_max for target in targets if target.output_tokens_max})
        # No limit is reached below these: the common case needs no more than two comparisons.
        self._bytes_free = _BYTES_PER_TOKEN_MAX * self._contexts[0] if self._contexts else _ANY_SIZE
        self._output_free = self._outputs[0] if self._outputs else _ANY_SIZE

    def select(
        self,
        operation: Operation,
        asked: Asked,
        cloud: str = "",
        deployment: str = "",
        *,
        needs: Needs = PLAIN,
        body_bytes: int = 0,
        now_s: float = 0.0,
        cached_at: str = "",
    ) -> Selection:
        """The candidates for a request, narrowed to a cloud or a deployment where one is named. `cached_at` is the
        deployment that has the beginning of its prompt cached, where one has."""
        if self._moves and now_s - self._made_s >= _ORDER_S:
            self._selections.clear()
            self._made_s = now_s
        output_tokens = asked.output_tokens
        sizes = _SMALL
        if body_bytes > self._bytes_free or output_tokens > self._output_free:
            sizes = self._sizes(body_bytes, output_tokens, needs)
        length = length_of(body_bytes, output_tokens) if self._by_cost or cached_at else 0
        streamed = self._by_pace and asked.streamed
        key = (operation.code, cloud, deployment, needs.bits, sizes, length * 2 + streamed, cached_at)
        found = self._selections.get(key)
        if found is None:
            if len(self._selections) >= _SELECTIONS_MAX:
                self._selections.clear()
            found = self._select(operation, cloud, deployment, needs.bits, sizes)
            found = self._ordered(found, length, streamed, cached_at, now_s)
            self._selections[key] = found
        return found

    def _sizes(self, body_bytes: int, output_tokens: int, needs: Needs) -> tuple[int, int]:
        """How many of the known limits, smallest first, a request goes beyond: of context, and of output. Of sound and
        images the bytes say nothing."""
        says = not (needs.images or needs.audio or needs.unbounded)
        tokens_min = body_bytes // _BYTES_PER_TOKEN_MAX if says else 0
        return bisect_left(self._contexts, tokens_min), bisect_left(self._outputs, output_tokens)

    def _select(
        self, operation: Operation, cloud: str, deployment: str, bits: int, sizes: tuple[int, int]
    ) -> Selection:
        candidates, passed = [], list(self._passed)
        for option in self._options:
            target = option.candidate.target
            if cloud not in ("", target.cloud):
                reason = f"the request asks for {cloud}"
            elif deployment not in ("", target.name):
                reason = f"what the request follows lies on {deployment}"
            elif operation.name in target.lacks:
                reason = f"has no {operation.name}"
            elif option.lacks & bits:
                reason = "; ".join(why for bit, why in option.reasons.items() if bit & bits)
            elif too_small := self._too_small(target.target, sizes):
                reason = too_small
            else:
                candidates.append(option.candidate)
                continue
            passed.append(PassedOver(target.cloud, target.name, reason))
        return Selection(tuple(candidates), tuple(passed))

    def _too_small(self, target: Target, sizes: tuple[int, int]) -> str:
        """What of a request does not fit; empty where it does."""
        beyond, beyond_output = sizes
        if beyond and 0 < target.context_tokens_max <= self._contexts[beyond - 1]:
            return f"holds {target.context_tokens_max:,} tokens; the request is longer"
        if beyond_output and 0 < target.output_tokens_max <= self._outputs[beyond_output - 1]:
            return f"answers {target.output_tokens_max:,} tokens at most; the request asks for more"
        return ""

    def _ordered(self, found: Selection, length: int, streamed: bool, cached_at: str, now_s: float) -> Selection:
        if len(found.candidates) < 2:
            return found
        standings = [candidate.target.standing(now_s) for candidate in found.candidates]
        ranked = order(self._strategy, standings, length, streamed)
        first = ranked[0]
        for at in ranked[1:] if cached_at else ():
            here = found.candidates[at].target.name == cached_at
            paid_for = standings[first].provisioned and not standings[at].provisioned
            if here and not paid_for and cost(standings[at], length, cached=True) <= cost(standings[first], length):
                ranked.remove(at)
                ranked.insert(0, at)
                break
        return found._replace(candidates=tuple(found.candidates[at] for at in ranked))


_NO_CHOICE = Choice((), {})


class Tables:
    """Everything a request looks up. Raises InvalidInput where the plan names what does not exist."""

    def __init__(
        self,
        plan: Plan,
        label: Callable[[Buyer | Deployment | Ruling], int],
        endpoint: Callable[[Address], Endpoint],
        health: Callable[[str], Health],
        accounts: Accounts,
        memory: Memory | None = None,
    ) -> None:
        check(plan)
        accounts.take_over(plan)
        self._accounts = accounts
        self.plan = plan
        self.attempt_timeout_s = plan.attempt_timeout_s
        self.deadline_s = plan.deadline_s
        self._hash_key = bytes.fromhex(plan.hash_key)
        self._label = label
        self._markets: dict[tuple[str, str, int], int] = {}
        self._sold: list[tuple[str, str, Policy]] = []
        self.targets = [
            CallTarget(target, label(target.label), endpoint(address_of(target.url)), health(target.label.deployment))
            for target in plan.targets
        ]
        self.memory = memory or Memory()
        self._remember()
        self._customers = {bytes.fromhex(key.digest): self._customer(key) for key in plan.keys}
        self._candidates: dict[tuple[int, int], Candidate] = {}
        self._holders = {
            self.targets[target].name: self._candidate(target, ruling)
            for epoch in plan.epochs
            for route in epoch.routes.values()
            for target, ruling in route.candidates
        }
        self.clouds = frozenset(target.label.cloud for target in plan.targets) | {
            refusal.cloud for epoch in plan.epochs for route in epoch.routes.values() for refusal in route.refusals
        }
        self._cuts = sorted(set(_cuts_of(plan)))
        # The stretch of the last request, because the next one is nearly always in it.
        self._begin_ns, self._end_ns = 0, 0
        self._routes: Mapping[str, Route] = {}
        self._current: dict[tuple[int, str], Choice] = {}

    def _remember(self) -> None:
        """Give the targets what is kept over plans, and the commitments that they burn down."""
        paced = any(policy.strategy == "fastest" for policy in self.plan.policies)
        balances = [Balance(commitment) for commitment in self.plan.commitments]
        for target in self.targets:
            its = target.target
            target.quota = self.memory.quota(
                target.name, its.label.model, its.quota_requests_per_minute, its.quota_tokens_per_minute
            )
            target.pace = self.memory.pace(target.name, its.label.model) if paced else None
            target.balances = [balance for balance in balances if balance.counts(its.label)]

    def customer(self, secret: bytes) -> Customer | None:
        return self._customers.get(digest(self._hash_key, secret))

    def choice(self, event_ns: int, customer: Customer, model: str) -> Choice | None:
        """What may be done with `model`; None where no client may ask for such a name at all."""
        if not self._begin_ns <= event_ns < self._end_ns:
            self._turn_to(event_ns)
        found = self._current.get((customer.market, model))
        if found is None and model in self.plan.models:
            found = self._current[customer.market, model] = self._choice(customer.market, model)
        return found

    def retired(self, event_ns: int, model: str) -> str:
        """What is said of a name that nothing serves here and that is retired elsewhere; empty where nothing is."""
        said = (found.message for found in self.plan.retirements if found.name == model and found.begin_ns <= event_ns)
        return "" if model in self.plan.models else next(said, "")

    def cached_at(self, customer: Customer, model: str, cache_key: str, now_s: float) -> str:
        """The deployment that last served requests with this cache key, empty where none is known."""
        return self.memory.cached.deployment(customer.buyer.organisation, model, cache_key, now_s)

    def went_to(self, target: CallTarget, customer: Customer, wanted: Wanted, now_s: float) -> None:
        """A request with a cache key goes to a deployment: those that share it follow."""
        cached = self.memory.cached
        cached.served(customer.buyer.organisation, wanted.model, wanted.needs.cache_key, target.name, now_s)

    def models(self, event_ns: int, customer: Customer) -> list[str]:
        """The names that are served now to a customer, in the plan's order."""
        return [
            name for name in self.plan.models if (found := self.choice(event_ns, customer, name)) and found.candidates
        ]

    def reachable(self, event_ns: int, customer: Customer) -> list[Candidate]:
        """One candidate of each deployment that a customer may reach now with any model, the first models' first."""
        found: dict[str, Candidate] = {}
        for name in self.plan.models:
            choice = self.choice(event_ns, customer, name)
            for candidate in choice.candidates if choice is not None else ():
                found.setdefault(candidate.target.name, candidate)
        return list(found.values())

    def holder(self, deployment: str) -> Candidate | None:
        """Where something that was made before lies: to read it, or to delete it, is no new sale."""
        return self._holders.get(deployment)

    def _turn_to(self, event_ns: int) -> None:
        """Begin the stretch that an instant lies in."""
        at = bisect_right(self._cuts, event_ns)
        self._begin_ns = self._cuts[at - 1] if at else -_NO_END_NS
        self._end_ns = self._cuts[at] if at < len(self._cuts) else _NO_END_NS
        self._routes, self._current = {}, {}
        for epoch in self.plan.epochs:
            if epoch.begin_ns <= self._begin_ns:
                self._routes = epoch.routes
        for target in self.targets:
            target.turn_to(self._begin_ns)

    def _customer(self, key: Key) -> Customer:
        buyer = Buyer(key.organisation, key.project, key.key_id, key.seller, key.segment)
        policy = self.plan.policies[key.policy]
        return Customer(
            label=self._label(buyer),
            market=self._market(buyer.seller, buyer.segment, key.policy),
            buyer=buyer,
            role=key.role,
            policy=policy,
            account=self._accounts.of(key) if key.limits or key.budgets else None,
            drains=policy.on_leave == "drain",
        )

    def _market(self, seller: str, segment: str, policy: int) -> int:
        market = self._markets.setdefault((seller, segment, policy), len(self._markets))
        if market == len(self._sold):
            self._sold.append((seller, segment, self.plan.policies[policy]))
        return market

    def _choice(self, market: int, model: str) -> Choice:
        seller, segment, policy = self._sold[market]
        route = self._routes.get(f"{seller}|{self.plan.models[model]}|{segment}")
        if route is None:
            return _NO_CHOICE
        # INVARIANT: a target stands once among the candidates, so going through them attempts none twice.
        rulings: dict[int, int] = {}
        for target, ruling in route.candidates:
            rulings.setdefault(target, ruling)
        gone = {
            found.surface: found.message
            for found in self.plan.retirements
            if found.name == model and found.begin_ns <= self._begin_ns
        }
        snapshot = model if model in self.plan.snapshots else ""
        options, passed, retired = [], [], []
        for target, ruling in rulings.items():
            option = self._option(target, ruling)
            its = self.plan.targets[target]
            message = gone.get(its.surface, "")
            why = message or _against(policy, snapshot, its, option)
            if not why:
                options.append(option)
                continue
            passed.append(PassedOver(its.label.cloud, its.label.deployment, why))
            retired += [message] if message else []
        all_retired = not options and len(retired) == len(rulings) > 0
        return Choice(
            options,
            {refusal.cloud: refusal for refusal in route.refusals},
            policy.strategy,
            tuple(passed),
            " ".join(dict.fromkeys(retired)) if all_retired else "",
        )

    def _option(self, target: int, ruling: int) -> Option:
        lacks = {
            BITS[Capability(lack.capability)]: f"lacks {lack.capability} ({lack.reason})"
            for lack in self.plan.targets[target].lacks
            if lack.begin_ns <= self._begin_ns < lack.end_ns
        }
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
        )
        headers = b"".join(header_line(name, value) for name, value in lines)
        made = Candidate(target, self._label(decision), headers, decision.decision)
        self._candidates[at, ruling] = made
        return made


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
    """Why a customer may not be served by a deployment: by its policy, or because another snapshot is asked for. Empty
    where it may."""
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
    if "eu" in policy.residency and option.lacks & _EU:
        return option.reasons[_EU]
    if policy.strategy == "pinned" and label.deployment != policy.pinned:
        return f"the policy pins requests to {policy.pinned}"
    if snapshot and target.snapshot not in ("", snapshot):
        return f"serves {target.snapshot}, not {snapshot}"
    return ""


def header_line(name: str, value: str) -> bytes:
    """A header line. What cannot stand in a header (line breaks, other scripts) becomes `?`."""
    safe = "".join(char if " " <= char <= "~" else "?" for char in value)
    return f"{name}: {safe}\r\n".encode()


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

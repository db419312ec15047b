"""A plan compiled to look-ups: keys to customers, business time to an epoch, (market, model) to candidates.

Compiled once per plan; a new plan is a new `Tables` and takes the place of the old one between two requests.
"""

from collections.abc import Awaitable, Callable, Mapping
from time import monotonic_ns
from typing import NamedTuple

import msgspec

from clauseway.gateway.accounts import Account, Accounts
from clauseway.gateway.clouds import CLOUDS, Prepare
from clauseway.gateway.clouds.dialect import Address, Credential, address_of, credential_in
from clauseway.gateway.clouds.usage import Units
from clauseway.gateway.credentials import STATIC, problems_of
from clauseway.gateway.health import Health
from clauseway.gateway.keys import digest
from clauseway.gateway.operations import Destination, Operation
from clauseway.gateway.plan import Epoch, Key, Plan, Policy, Refusal, Route, Target
from clauseway.gateway.requests import Asked
from clauseway.gateway.upstream import Endpoint
from clauseway.metering import Buyer, Deployment, Ruling, Unit
from clauseway.values import InvalidInput, Problem

_NO_END_NS = 1 << 63
# A thousand dollars per million tokens: keeps the arithmetic of reservations within 63 bits.
_PRICE_MAX = 10**9
_WHOLES = frozenset((Unit.INPUT_TOKENS, Unit.OUTPUT_TOKENS))


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

    `prepare` is None while there is no credential; `no_credential` says why. `renew` fetches another credential, where
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
        self.no_credential = "it has not come yet"
        self.renew: Callable[[], Awaitable[bool]] | None = None
        if target.auth.kind in STATIC:
            self.present(credential_in(target.auth))
        self.request_id_header = dialect.request_id_header
        self.lacks = dialect.lacks(target)
        self.destination = Destination(
            target.label.model, msgspec.json.encode(target.label.model), dialect.takes_usage_option(target)
        )
        self.cloud = target.label.cloud
        self.product = target.label.product
        self.name = target.label.deployment
        self.input_price = target.input_price
        self.output_price = target.output_price
        self.output_tokens_max = target.output_tokens_max

    def present(self, credential: Credential | None, why: str = "") -> None:
        """From here on requests present this credential; None: there is none, and why. Raises KeyError or ValueError,
        with nothing changed, where the cloud has no use for it."""
        self.prepare = None if credential is None else CLOUDS[self.target.dialect].prepare(self.target, credential)
        self.credential, self.no_credential = credential, why

    def worst_case(self, asked: Asked, body_bytes: int) -> Reserved:
        """What a request may cost and use at most: a token is at least one byte of the body, and every choice may be as
        long as the request or the model allows."""
        output_max = (asked.output_tokens or self.output_tokens_max) * asked.choices
        return Reserved(
            body_bytes * self.input_price + output_max * self.output_price, body_bytes + output_max, output_max
        )

    def has_room(self, _now_s: float) -> bool:
        """Whether its own quota bears another request."""
        return True

    def charge(self, units: Units) -> int:
        """What usage is worth at the reservation's prices, in picodollars; settlement uses the dated book."""
        return sum(
            count * (self.input_price if unit == Unit.INPUT_TOKENS else self.output_price)
            for unit, count in units
            if unit in _WHOLES
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


class Choice:
    """What may be done with a model in one market and epoch, under one policy."""

    def __init__(self, candidates: tuple[Candidate, ...], refusals: Mapping[str, Refusal]) -> None:
        self.candidates = candidates
        self.refusals = refusals
        self._selections: dict[tuple[int, str, str], Selection] = {}

    def select(self, operation: Operation, asked: Asked, cloud: str = "", deployment: str = "") -> Selection:
        """The candidates for a request, narrowed to a cloud or a deployment where one is named."""
        key = (operation.code, cloud, deployment)
        found = self._selections.get(key)
        if found is None:
            found = self._selections[key] = self._select(operation, cloud, deployment)
        return found

    def _select(self, operation: Operation, cloud: str, deployment: str) -> Selection:
        candidates, passed = [], []
        for candidate in self.candidates:
            target = candidate.target
            if cloud not in ("", target.cloud):
                reason = f"the request asks for {cloud}"
            elif deployment not in ("", target.name):
                reason = f"what the request follows lies on {deployment}"
            elif operation.name in target.lacks:
                reason = f"has no {operation.name}"
            else:
                candidates.append(candidate)
                continue
            passed.append(PassedOver(target.cloud, target.name, reason))
        return Selection(tuple(candidates), tuple(passed))


_NO_CHOICE = Choice((), {})
_Choices = Mapping[tuple[int, str], Choice]


class Tables:
    """Everything a request looks up. Raises InvalidInput where the plan names what does not exist."""

    def __init__(
        self,
        plan: Plan,
        label: Callable[[Buyer | Deployment | Ruling], int],
        endpoint: Callable[[Address], Endpoint],
        health: Callable[[str], Health],
        accounts: Accounts,
    ) -> None:
        check(plan)
        accounts.take_over(plan)
        self._accounts = accounts
        self.plan = plan
        self.attempt_timeout_s = plan.attempt_timeout_s
        self.deadline_s = plan.deadline_s
        self.created_s = monotonic_ns() // 1_000_000_000
        self._hash_key = bytes.fromhex(plan.hash_key)
        self._label = label
        self._markets: dict[tuple[str, str], int] = {}
        self.targets = [
            CallTarget(target, label(target.label), endpoint(address_of(target.url)), health(target.label.deployment))
            for target in plan.targets
        ]
        self._customers = {bytes.fromhex(key.digest): self._customer(key) for key in plan.keys}
        self._holders: dict[str, Candidate] = {}
        self._epochs = [(epoch.begin_ns, self._compiled(epoch)) for epoch in plan.epochs]
        self.clouds = frozenset(target.label.cloud for target in plan.targets) | {
            refusal.cloud for epoch in plan.epochs for route in epoch.routes.values() for refusal in route.refusals
        }
        # The epoch of the last request, because the next one is nearly always in it.
        self._begin_ns, self._end_ns = 0, 0
        self._current: _Choices = {}

    def customer(self, secret: bytes) -> Customer | None:
        return self._customers.get(digest(self._hash_key, secret))

    def choice(self, event_ns: int, customer: Customer, model: str) -> Choice | None:
        """What may be done with `model`; None where no client may ask for such a name at all."""
        if not self._begin_ns <= event_ns < self._end_ns:
            self._turn_to(event_ns)
        found = self._current.get((customer.market, model))
        if found is None and model in self.plan.models:
            return _NO_CHOICE
        return found

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
        self._begin_ns, self._current = -_NO_END_NS, {}
        self._end_ns = _NO_END_NS
        for begin_ns, choices in self._epochs:
            if begin_ns > event_ns:
                self._end_ns = begin_ns
                break
            self._begin_ns, self._current = begin_ns, choices

    def _customer(self, key: Key) -> Customer:
        buyer = Buyer(key.organisation, key.project, key.key_id, key.seller, key.segment)
        policy = self.plan.policies[key.policy]
        return Customer(
            label=self._label(buyer),
            market=self._market(buyer.seller, buyer.segment),
            buyer=buyer,
            role=key.role,
            policy=policy,
            account=self._accounts.of(key) if key.limits or key.budgets else None,
            drains=policy.on_leave == "drain",
        )

    def _market(self, seller: str, segment: str) -> int:
        return self._markets.setdefault((seller, segment), len(self._markets))

    def _compiled(self, epoch: Epoch) -> _Choices:
        choices: dict[tuple[int, str], Choice] = {}
        for (seller, segment), market in self._markets.items():
            for name, product in self.plan.models.items():
                route = epoch.routes.get(f"{seller}|{product}|{segment}")
                if route is not None:
                    choices[market, name] = self._choice(route)
        return choices

    def _choice(self, route: Route) -> Choice:
        # INVARIANT: a target stands once among the candidates, so going through them attempts none twice.
        rulings: dict[int, int] = {}
        for target, ruling in route.candidates:
            rulings.setdefault(target, ruling)
        candidates = tuple(self._candidate(self.targets[target], ruling) for target, ruling in rulings.items())
        self._holders |= {candidate.target.name: candidate for candidate in candidates}
        return Choice(candidates, {refusal.cloud: refusal for refusal in route.refusals})

    def _candidate(self, target: CallTarget, ruling: int) -> Candidate:
        label, decision = target.deployment, self.plan.rulings[ruling]
        lines = (
            ("x-clauseway-cloud", label.cloud),
            ("x-clauseway-seller", label.seller),
            ("x-clauseway-region", label.region),
            ("x-clauseway-deployment", label.deployment),
            ("x-clauseway-decision", decision.decision),
        )
        headers = b"".join(header_line(name, value) for name, value in lines)
        return Candidate(target, self._label(decision), headers, decision.decision)


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

"""A plan compiled in the test's own process: deployments by a few words, and what is selected among them."""

from asyncio import AbstractEventLoop
from collections.abc import Iterable
from typing import Any, cast

from clauseway.gateway.budgets.allowances import Allowances
from clauseway.gateway.budgets.leases import LocalLeaseServer
from clauseway.gateway.plan import Auth, Epoch, Key, Lack, Plan, Policy, Prices, Route, Target
from clauseway.gateway.plan.limits import Limits
from clauseway.gateway.routing.choices import CandidateSelection, DeploymentChoice
from clauseway.gateway.routing.health import Health
from clauseway.gateway.routing.key_digests import digest
from clauseway.gateway.routing.opening import opened
from clauseway.gateway.routing.quotas import Memory
from clauseway.gateway.routing.routing_tables import Customer, RoutingTables
from clauseway.gateway.routing.targets import CallTarget
from clauseway.gateway.transport.upstream import Endpoint
from clauseway.gateway.wire.bodies.requests import decode_chat, decode_responses
from clauseway.gateway.wire.operations import BY_NAME
from clauseway.metering import Deployment, Ruling, Unit

HASH_KEY, SECRET = "5a" * 32, "sk-test-secret"
PRODUCT, MODEL = "gpt-5.5", "gpt-5.5"
CHAT, RESPONSES = BY_NAME["chat"], BY_NAME["responses"]
PLAIN_BODY = b'{"model":"gpt-5.5","messages":[{"role":"user","content":"hello"}]}'


def deployment(name: str, cloud: str = "azure", **changes: Any) -> Target:
    """`prices` are picodollars of (input, cached input, output); `lacks` are names."""
    label = Deployment(name, cloud, changes.pop("seller", "openai"), changes.pop("region", "r-1"), PRODUCT, name)
    own, cached, output = changes.pop("prices", (5_000_000, 500_000, 30_000_000))
    units = {int(Unit.INPUT_TOKENS): own, int(Unit.CACHED_INPUT_TOKENS): cached, int(Unit.OUTPUT_TOKENS): output}
    lacks = tuple(Lack(capability=name, reason="a page") for name in changes.pop("lacks", ()))
    return Target(
        **{
            "label": label,
            "dialect": "openai",
            "url": "http://127.0.0.1:9/v1",
            "auth": Auth(kind="none"),
            "input_price": own,
            "output_price": output,
            "output_tokens_max": 0,
            "lacks": lacks,
            "prices": (Prices(begin_ns=0, end_ns=1 << 62, units=units),),
            **changes,
        }
    )


def key(secret: str = SECRET, seller: str = "openai", key_id: str = "k") -> Key:
    return Key(
        digest=digest(bytes.fromhex(HASH_KEY), secret.encode()).hex(),
        organisation="acme",
        project="p",
        key_id=key_id,
        seller=seller,
        segment="any",
    )


def plan(targets: Iterable[Target], policy: Policy | None = None, **changes: Any) -> Plan:
    """Every deployment permitted, in this order, to one key under the policy."""
    targets = tuple(targets)
    route = Route(candidates=tuple((index, 0) for index in range(len(targets))))
    return Plan(
        **{
            "agreement": "test",
            "hash_key": HASH_KEY,
            "models": {MODEL: PRODUCT},
            "targets": targets,
            "rulings": (Ruling("d-1", "permitted", ("A5.any",), "receipt"),),
            "epochs": (Epoch(begin_ns=0, routes={f"openai|{PRODUCT}|any": route}),),
            "keys": (key(),),
            "policies": (policy or Policy(),),
            **changes,
        }
    )


class Bench:
    """Tables, the one customer, and what it may spend."""

    def __init__(self, made: Plan, memory: Memory | None = None) -> None:
        self.allowances = allowances = Allowances(LocalLeaseServer())
        allowances.reload(made)
        self.tables = RoutingTables(
            opened(made),
            lambda _label: 1,
            lambda address: Endpoint(address.host, address.port, cast("AbstractEventLoop", None), Limits()),
            lambda _name: Health(),
            allowances,
            memory,
        )
        customer = self.tables.customer(SECRET.encode())
        assert customer is not None
        self.customer: Customer = customer

    def choice(self, at_ns: int = 1, model: str = MODEL) -> DeploymentChoice:
        choice = self.tables.choice(at_ns, self.customer, model)
        assert choice is not None
        return choice

    def select(self, body: bytes = PLAIN_BODY, at_ns: int = 1, now_s: float = 0.0, **named: Any) -> CandidateSelection:
        asked = decode_chat(body, b"")
        operation = named.pop("operation", CHAT)
        return self.choice(at_ns, asked.model or "").select(
            operation, asked, **{"needs": asked.needs(body), "body_bytes": len(body), "now_s": now_s, **named}
        )

    def order_of_responses(self, at_ns: int) -> list[str]:
        body = b'{"model":"gpt-5.5","input":"hello"}'
        asked = decode_responses(body, b"")
        selection = self.choice(at_ns).select(RESPONSES, asked, needs=asked.needs(body), body_bytes=len(body))
        return [candidate.target.name for candidate in selection.candidates]

    def order(self, body: bytes = PLAIN_BODY, at_ns: int = 1, now_s: float = 0.0, **named: Any) -> list[str]:
        return [candidate.target.name for candidate in self.select(body, at_ns, now_s, **named).candidates]

    def target(self, name: str) -> CallTarget:
        return next(target for target in self.tables.targets if target.name == name)

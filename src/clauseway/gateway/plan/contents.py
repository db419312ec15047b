"""The plan a gateway serves by: everything compiled ahead, so that a request needs look-ups only.

The plan is one file, written whole by whoever knows agreement, catalog, prices and keys, and read
by the gateway at start and whenever it is replaced. It holds no rule: each route is already
decided, each refusal already worded.
"""

from collections.abc import Mapping
from datetime import date
from typing import Final

import msgspec

from clauseway.gateway.plan.settings import Settings
from clauseway.metering import Deployment, Ruling


class Auth(msgspec.Struct, frozen=True, kw_only=True):
    """How a cloud is authenticated to. `kind` names what is sent (`bearer`, `api-key`, `sigv4`,
    `signature`) with the secret given here, or where it comes from and is renewed (see
    `gateway.credentials`).

    For `sigv4`, `access_key` goes with `secret` and `service` and `region` are the scope that is
    signed. `settings` are the source's own: a profile, a file, a key's name. `taken` says which of
    its secrets stand elsewhere, and where: `env:NAME` or `file:PATH`.
    """

    kind: str
    secret: str = ""
    access_key: str = ""
    service: str = ""
    region: str = ""
    session_token: str = ""
    settings: Mapping[str, str] = {}
    taken: Mapping[str, str] = {}

    def __repr__(self) -> str:
        """Without secrets: an Auth ends up in messages and logs. A setting may be one (a pass
        phrase)."""
        return f"Auth(kind={self.kind!r}, settings={sorted(self.settings)})"


class Lack(msgspec.Struct, frozen=True, kw_only=True):
    """A capability that a deployment lacks from `begin_ns` until `end_ns` (business clock), and how
    that is known."""

    capability: str
    reason: str
    begin_ns: int = -(1 << 63)
    end_ns: int = (1 << 63) - 1


class Prices(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The prices of a deployment's units from `begin_ns` until `end_ns` (business clock), in
    requests of more than `above` input tokens: unit code → picodollars.

    `hours` are those of the week (from Monday 00:00 UTC) in which they hold, empty for all. Prices
    of one buyer (an organisation), endpoint or service tier name it; those that name none are
    everybody's, in the default tier.
    """

    begin_ns: int
    end_ns: int
    units: Mapping[int, int]
    above: int = 0
    hours: tuple[int, ...] = ()
    buyer: str = ""
    endpoint: str = ""
    tier: str = ""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A deployment that can be called. `url` is the root under which `/chat/completions` lies;
    `model` its name there.

    `dialect` names the gateway's module for that cloud; `settings` are that module's own (an API
    version, a project). `prices` are those of the dated book; where none is in force, `input_price`
    and `output_price` (picodollars per token) stand in for them. `kind` is the model's and
    `surface` the way to it, as in the catalog. Limits in tokens are 0 where they are not known;
    `image_tokens_max` is the most that one image counts for. `snapshot` is the dated model behind
    it, empty where that is not known. Quotas are what its cloud lets through in a minute, 0 for
    any; `provisioned` is paid for whether it is used or not. `service_tier` is the one in which its
    account serves what asks for none or for `auto`, empty where that is not known. `vector_stores`
    are those of its account → the projects (`organisation/project`) that may search them.
    """

    label: Deployment
    dialect: str
    url: str
    auth: Auth
    input_price: int
    output_price: int
    output_tokens_max: int
    settings: Mapping[str, str] = {}
    kind: str = "text"
    surface: str = ""
    prices: tuple[Prices, ...] = ()
    context_tokens_max: int = 0
    image_tokens_max: int = 0
    lacks: tuple[Lack, ...] = ()
    snapshot: str = ""
    serves_retired: bool = False
    residency: str = ""
    certifications: tuple[str, ...] = ()
    quota_requests_per_minute: int = 0
    quota_tokens_per_minute: int = 0
    provisioned: bool = False
    service_tier: str = ""
    vector_stores: Mapping[str, tuple[str, ...]] = {}


class PlannedRetirement(msgspec.Struct, frozen=True, kw_only=True):
    """From `begin_ns` on (business clock) a name is not served on a surface any more; `message`
    says so and names the successor."""

    name: str
    surface: str
    begin_ns: int
    message: str


class SpendCommitment(msgspec.Struct, frozen=True, kw_only=True):
    """An amount that was promised to be spent between two instants (business clock), and what of it
    was left when the plan was made, in picodollars. Tuples say what counts toward it; empty means
    any."""

    name: str
    begin_ns: int
    end_ns: int
    left: int
    clouds: tuple[str, ...] = ()
    sellers: tuple[str, ...] = ()
    products: tuple[str, ...] = ()


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """Why a cloud may not be used: the outcome, a sentence with the clause, and the terms it rests
    on."""

    cloud: str
    outcome: str
    message: str
    terms: tuple[str, ...]
    receipt: str


class Unserved(msgspec.Struct, frozen=True, kw_only=True):
    """A cloud on which a sale may be served and no deployment makes it. `message` says so; `terms`
    are those that permit the sale."""

    cloud: str
    message: str
    terms: tuple[str, ...]


class Route(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The route of one (seller, product, segment) in one epoch.

    `candidates` are (index into `targets`, index into `rulings`), in order of preference;
    `refusals` and `unserved` are by cloud. `everywhere` says for all these clouds together why none
    serves the sale; it is empty if one serves it, or if there is only one cloud.
    """

    candidates: tuple[tuple[int, int], ...]
    refusals: tuple[Refusal, ...] = ()
    unserved: tuple[Unserved, ...] = ()
    everywhere: str = ""


class Epoch(msgspec.Struct, frozen=True, kw_only=True):
    """The routes from `begin_ns` (business clock) until the next epoch begins. Keyed
    `seller|product|segment`."""

    begin_ns: int
    routes: Mapping[str, Route]


class RateLimit(msgspec.Struct, frozen=True, kw_only=True):
    """A limit of requests and tokens in a minute; 0 where there is none. `whose` says in words whom
    it holds for.

    `cloud` and `product` narrow it; empty means any.
    """

    id: str
    whose: str
    requests_per_minute: int = 0
    tokens_per_minute: int = 0
    cloud: str = ""
    product: str = ""


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """An amount that may be spent. The amount itself is not here: it is leased in slices, so that
    no two processes spend the same money. `cloud` and `product` narrow what counts; empty means
    any."""

    id: str
    whose: str
    cloud: str = ""
    product: str = ""


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """How a customer's requests are routed among what is permitted. Empty tuples mean any.

    `strategy` is `primary-first`, `commitment`, `cheapest`, `fastest` or `pinned` (to the
    deployment `pinned`). `on_leave` is what happens upstream when a client leaves a stream: `cancel`,
    or `drain` to its end for exact usage. A whole answer is always read to its end.
    """

    strategy: str = "primary-first"
    pinned: str = ""
    clouds: tuple[str, ...] = ()
    sellers: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    residency: tuple[str, ...] = ()
    certifications: tuple[str, ...] = ()
    on_leave: str = "cancel"


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """A customer's key. `digest` is the keyed hash of the secret, in hex; the secret itself is
    stored nowhere.

    `policy`, `limits` and `budgets` are indices into the plan's; all limits and budgets named must
    hold. `role` is `member` (asks models, and reads what its project asked) or `auditor` (reads that,
    and asks nothing). Keys of older homes may be `admin`, and are held to what a member may. From
    `ends_ns` on, an instant of this machine's clock, the secret is accepted no more; 0: no end.
    """

    digest: str
    organisation: str
    project: str
    key_id: str
    seller: str
    segment: str
    role: str = "member"
    policy: int = 0
    limits: tuple[int, ...] = ()
    budgets: tuple[int, ...] = ()
    ends_ns: int = 0


# So long a gateway waits for the usage of its home; then its client asks again.
USAGE_PATIENCE_S: Final = 3.0


class UsageQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """The question of a gateway at its home's socket (`POST /usage`): a project's usage from the
    first day to the last. The answer goes to the client as it is."""

    organisation: str
    project: str
    first: date
    last: date


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """All of it. `models` maps the names that clients may ask for to products, `snapshots` are
    those among them that mean one dated model only; `epochs` are in order of time.

    `hash_key` (hex) keys the digests. `agreement` names its text by hash, for headers and receipts.
    `leases` is the unix socket at which slices of budgets are leased; empty where there are no
    budgets. `usage` is the one at which a project's usage is known; empty where a gateway stands by
    itself. `settings` are of the process. In a file the lists that may be long stand in lines of
    their own, `parts` of them (see `file`).
    """

    agreement: str
    hash_key: str
    models: Mapping[str, str]
    targets: tuple[Target, ...]
    rulings: tuple[Ruling, ...]
    epochs: tuple[Epoch, ...]
    keys: tuple[Key, ...]
    policies: tuple[Policy, ...] = (Policy(),)
    limits: tuple[RateLimit, ...] = ()
    budgets: tuple[Budget, ...] = ()
    snapshots: tuple[str, ...] = ()
    retirements: tuple[PlannedRetirement, ...] = ()
    commitments: tuple[SpendCommitment, ...] = ()
    leases: str = ""
    usage: str = ""
    settings: Settings = Settings()
    attempt_timeout_s: float = 60.0
    answer_timeout_s: float = 0.0  # of answers that are no streams; 0: the same
    deadline_s: float = 600.0
    parts: int = 0

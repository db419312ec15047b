"""Targets: a deployment ready to be called, the most that a request to it may cost, and its
charge."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import msgspec

from clauseway.gateway.clouds import DIALECTS, HeadWriter
from clauseway.gateway.clouds.dialect import Credential, address_of, credential_in
from clauseway.gateway.clouds.reported_units import Units
from clauseway.gateway.credentials import STATIC
from clauseway.gateway.plan import SpendCommitment, Target
from clauseway.gateway.routing.health import Health
from clauseway.gateway.routing.quotas import Pace, Quota
from clauseway.gateway.routing.strategies import NEVER_NS, CandidateStanding
from clauseway.gateway.routing.tariffs import Tariffs
from clauseway.gateway.routing.unit_rates import ANY_SIZE, RateScale, TokenRates
from clauseway.gateway.transport.upstream import Endpoint
from clauseway.gateway.wire.bodies.decoding import RequestProperties
from clauseway.gateway.wire.bodies.needs import PLAIN, Needs
from clauseway.gateway.wire.operations import Operation, UnderstoodRequest
from clauseway.gateway.wire.splice import Destination
from clauseway.metering import Buyer, Deployment, Status

# Before everything dated.
_ALWAYS_NS: Final = -(1 << 63)
# Where a model's context is not known: the largest of those that the catalog knows.
_CONTEXT_TOKENS_MAX: Final = 1_050_000
# The thinnest sound that anyone sends: 2 kbit/s, four milliseconds a byte.
_MILLISECONDS_PER_BYTE: Final = 4
_NAME_CHARACTERS_MIN: Final = 6  # a shorter name may be a word of a sentence
# Settings that name our account at a cloud.
_ACCOUNT_SETTINGS: Final = ("organization", "project", "compartment_id")
# Addresses that are the same for all customers of a cloud.
_PUBLIC_HOSTS: Final = (
    ".openai.com",
    ".anthropic.com",
    ".amazonaws.com",
    ".googleapis.com",
    ".oraclecloud.com",
)
_OF_TEXT: Final = frozenset({"text", "embedding", "moderation"})
# Kinds of credentials that requests are signed with, each at its time.
_SIGNING: Final = frozenset({"sigv4", "signature"})


class WorstCase(msgspec.Struct, frozen=True, gc=False):
    """The worst case of a request: its cost in picodollars, its tokens, and how many of those are
    output."""

    picodollars: int
    tokens: int
    output_tokens: int


class CallTarget:
    """A deployment ready to be called: everything of it that a request needs, one step away.

    `write_head` is None while there is no credential. `renew` fetches another credential, where
    there is somewhere to fetch it from.
    """

    def __init__(self, target: Target, label: int, endpoint: Endpoint, health: Health) -> None:
        dialect = DIALECTS[target.dialect]
        self.target = target
        self.label = label
        self.deployment = target.label
        self.endpoint = endpoint
        self.health = health
        self.credential: Credential | None = None
        self.write_head: HeadWriter | None = None
        self.renew: Callable[[], Awaitable[bool]] | None = None
        if target.auth.kind in STATIC:
            self.present(credential_in(target.auth))
        self.request_id_header = dialect.request_id_header
        self.refuses_with = dialect.refuses_with
        self.lacks = dialect.lacks(target)
        self.destination = Destination(
            target.label.model,
            msgspec.json.encode(target.label.model),
            dialect.takes_usage_option(target),
            dialect.framed(target),
            self.account_names,
        )
        self.envelope = dialect.envelope(target)
        self.cloud = target.label.cloud
        self.product = target.label.product
        self.name = target.label.deployment
        self.output_tokens_max = target.output_tokens_max
        self.balances: Sequence[Balance] = ()
        self.burns: Sequence[Balance] = ()
        self._tariffs = Tariffs(target)
        self.has_varying_prices = self._tariffs.has_varying_prices
        self.tiered = self._tariffs.tiered
        self.hourly = self._tariffs.hourly
        self.quota: Quota | None = None
        self.pace: Pace | None = None
        self._of_text = target.kind in _OF_TEXT
        self._context_max = target.context_tokens_max or ANY_SIZE
        self._context_bound = target.context_tokens_max or _CONTEXT_TOKENS_MAX
        self._image_max = target.image_tokens_max or self._context_bound
        # Until the first request tells the time: the latest prices.
        self.turn_to(max((prices.begin_ns for prices in target.prices), default=_ALWAYS_NS))

    def health_of(self, operation: Operation) -> Health:
        """Return the health that attempts of an operation count for: the model's or its own."""
        if operation.asks_model:
            return self.health
        return self.health.without_model(operation.name)

    def present(self, credential: Credential | None) -> None:
        """From here on requests present this credential; None: there is none. Raises KeyError or
        ValueError, with nothing changed, where the cloud has no use for it."""
        self.write_head = (
            None
            if credential is None
            else DIALECTS[self.target.dialect].head_writer(self.target, credential)
        )
        self.credential = credential

    @property
    def is_signed(self) -> bool:
        """Return whether requests to it are signed, which clouds accept for some minutes alone."""
        return self.credential is not None and self.credential.kind in _SIGNING

    @property
    def account(self) -> bytes:
        """Return what names the account: equal for the deployments on it, each of which can tell of
        all its files and batches."""
        its = self.target
        return msgspec.json.encode((its.dialect, its.url, its.auth, its.settings))

    @property
    def account_names(self) -> tuple[str, ...]:
        """Return the names of our account that the address and the settings tell: the host and, of
        Azure's, its first label; the project in Google's paths; organisation, compartment."""
        address, settings = address_of(self.target.url), self.target.settings
        names = [settings.get(name, "") for name in _ACCOUNT_SETTINGS]
        if not f".{address.host}".endswith(_PUBLIC_HOSTS):
            names.append(address.host)
        if address.host.endswith(".azure.com"):
            names.append(address.host.partition(".")[0])
        _, _, project = address.path.partition("/projects/")
        names.append(project.partition("/")[0])
        return tuple([name for name in names if len(name) >= _NAME_CHARACTERS_MIN])

    def turn_to(self, begin_ns: int) -> None:
        """Turn to the prices and commitments of the stretch that contains `begin_ns`."""
        self._tariff = self._tariffs.at(begin_ns)
        self.scale = self._tariff.plain
        self.burns = [
            balance for balance in self.balances if balance.begin_ns <= begin_ns < balance.end_ns
        ]

    def scale_for(self, request: UnderstoodRequest, buyer: Buyer, event_ns: int) -> RateScale:
        """Return the highest scale that a request may be charged by, in whatever service tier it is served.
        Only for targets that have varying prices; the others have one scale, `scale`."""
        tariff = self._tariff
        if not tariff.begin_ns <= event_ns < tariff.end_ns:
            tariff = self._tariffs.at(event_ns)
        return tariff.dearest(
            buyer.organisation, request.operation.name, request.needs.tier, request.properties.later
        )

    def worst_case(
        self, properties: RequestProperties, body_bytes: int, needs: Needs, scale: RateScale
    ) -> WorstCase:
        """Return the most that a request may cost and use: a token is at least one byte of the
        body, an image what the catalog says, what is not in the body as much as the model can hold,
        searches of the web and pictures as many as the request allows; every choice, and every
        frame of it, may be as long as the request or the model allows."""
        rates = scale.rates
        output_max = (properties.output_tokens or self.output_tokens_max) * properties.choices
        # Most requests: a token of text has at least one byte. Comparing costs less than `min`.
        if needs is PLAIN and self._of_text:
            input_max = body_bytes if body_bytes < self._context_max else self._context_max
            if input_max > scale.long:
                rates = scale.ceiling(input_max)
            worth = input_max * rates.input_max + output_max * rates.output_max
            return WorstCase(worth, input_max + output_max, output_max)
        output_max *= needs.frames
        # Links, stored files, earlier turns: nothing in the body bounds what they bring.
        if needs.unbounded:
            input_max = self._context_bound
        elif needs.tokens_max:
            input_max = min(needs.tokens_max, self._context_max)
        else:
            input_max = min(body_bytes + needs.images * self._image_max, self._context_max)
        rates = scale.ceiling(input_max)
        # Sound and pictures have prices of their own: take the dearest unit for every token.
        if needs.unbounded or needs.images or needs.audio or not self._of_text:
            worth = input_max * rates.any_input_max + output_max * rates.any_output_max
        else:
            worth = input_max * rates.input_max + output_max * rates.output_max
        if rates.milliseconds:
            worth += body_bytes * _MILLISECONDS_PER_BYTE * rates.milliseconds
        worth += needs.searches * rates.searches + needs.drawings * rates.drawing
        return WorstCase(worth, input_max + output_max, output_max)

    def has_quota_left(self, now_s: float) -> bool:
        """Return whether its own quota bears another request."""
        return self.quota is None or self.quota.admits(now_s)

    def charge(self, units: Units) -> int:
        """Return the charge of usage at the prices in force, in picodollars, as pricing would
        charge it."""
        scale = self.scale
        worth = (
            scale.charge(units) if units and units[0][1] > scale.long else scale.rates.charge(units)
        )
        for balance in self.burns:
            balance.left -= worth
        return worth

    def charge_of(
        self, units: Units, operation: str, tier: str, buyer: Buyer, event_ns: int
    ) -> int:
        """Return the charge of usage where `has_varying_prices`: of a request of that instant, served
        in the tier that its cloud reported, empty where it reported none."""
        tariff = self._tariff
        if not tariff.begin_ns <= event_ns < tariff.end_ns:
            tariff = self._tariffs.at(event_ns)
        worth = tariff.of(buyer.organisation, operation, tier).charge(units)
        for balance in self.burns:
            balance.left -= worth
        return worth

    def plain_rates(self, operation: str, buyer: Buyer, event_ns: int) -> TokenRates:
        """Return what a short request of that instant is charged by, in the default tier."""
        return self._tariffs.at(event_ns).of(buyer.organisation, operation, "").rates

    @property
    def is_watched(self) -> bool:
        """Return whether anybody wants to know how its requests end."""
        return self.quota is not None or self.pace is not None

    def observe(
        self, streamed: bool, status: Status, first_us: int, tokens_more: int, now_s: float
    ) -> None:
        """How a request ended: after what time the first content came (0: no model has answered),
        and how many tokens more than were guessed when it began."""
        if self.quota is not None:
            self.quota.correct(tokens_more)
        if self.pace is not None and first_us and status in (Status.COMPLETE, Status.ESTIMATED):
            self.pace.note(streamed, first_us, now_s)

    def standing(self, now_s: float) -> CandidateStanding:
        """How it stands against others."""
        pace, rates = self.pace, self.scale.rates
        return CandidateStanding(
            provisioned=self.target.provisioned,
            input_price=rates.input,
            cached_price=rates.cached_input,
            output_price=rates.output,
            lapses_ns=min(
                (balance.end_ns for balance in self.burns if balance.left > 0), default=NEVER_NS
            ),
            expected_us=(pace.expected_us(False, now_s), pace.expected_us(True, now_s))
            if pace
            else (0.0, 0.0),
        )


class Balance:
    """The rest of a commitment, in picodollars, counted down by what this process charges."""

    __slots__ = ("begin_ns", "commitment", "end_ns", "left")

    def __init__(self, commitment: SpendCommitment) -> None:
        self.commitment = commitment
        self.begin_ns, self.end_ns = commitment.begin_ns, commitment.end_ns
        self.left = commitment.left

    def counts(self, label: Deployment) -> bool:
        """Return whether what a deployment serves counts toward it."""
        its = self.commitment
        return all(
            not wanted or value in wanted
            for wanted, value in (
                (its.clouds, label.cloud),
                (its.sellers, label.seller),
                (its.products, label.product),
            )
        )

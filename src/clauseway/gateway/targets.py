"""What is called: a deployment ready to be called, what a request to it may cost at most, and what it came to."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec

from clauseway.gateway.capabilities import PLAIN, Needs
from clauseway.gateway.clouds import CLOUDS, Prepare
from clauseway.gateway.clouds.dialect import Credential, credential_in
from clauseway.gateway.clouds.usage import Units
from clauseway.gateway.credentials import STATIC
from clauseway.gateway.health import Health
from clauseway.gateway.operations import Destination
from clauseway.gateway.plan import Commitment, Target
from clauseway.gateway.quotas import Pace, Quota
from clauseway.gateway.rates import Rates
from clauseway.gateway.requests import Asked
from clauseway.gateway.strategies import NEVER_NS, Standing
from clauseway.gateway.upstream import Endpoint
from clauseway.metering import Deployment, Status, Unit

# Before everything dated.
_ALWAYS_NS = -(1 << 63)
# Where a model's context is not known: the largest of those that the catalog knows.
_CONTEXT_TOKENS_MAX = 1_050_000
# The thinnest sound that anyone sends: 2 kbit/s, four milliseconds a byte.
_MILLISECONDS_PER_BYTE = 4
_ANY_SIZE = 1 << 62
_OF_TEXT = frozenset({"text", "embedding", "moderation"})


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
        self.turn_to(max((prices.begin_ns for prices in target.prices), default=_ALWAYS_NS))

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

"""The deployments that may serve a model in one market and stretch of time, and the candidates for
one request, best first. A selection is made for the first request of its kind; for later ones it is
looked up."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from clauseway.gateway.plan import Refusal, Unserved
from clauseway.gateway.routing.strategies import MOVING, cost, length_of, order
from clauseway.gateway.routing.targets import CallTarget
from clauseway.gateway.routing.unit_rates import ANY_SIZE
from clauseway.gateway.wire.bodies.decoding import RequestProperties
from clauseway.gateway.wire.bodies.needs import PLAIN, Needs
from clauseway.gateway.wire.operations import Operation

# The most bytes of text in a token, on average over any language: a body that is longer than a
# context by this rate cannot fit it.
_BYTES_PER_TOKEN_MAX: Final = 8
# How long the order of a strategy in `MOVING` stays in use.
_ORDER_S: Final = 1.0
# Each is some hundred bytes; a client who makes up ever new kinds of requests gains nothing.
_SELECTIONS_MAX: Final = 4096
# The operations in which a model answers a conversation, and the path at which clients ask each.
_ANSWERS: Final[Mapping[str, str]] = {
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
    "messages": "/v1/messages",
}


class Candidate(NamedTuple):
    """A target and the ruling by which it may serve. `headers` tell the ruling to the client,
    `decision` names it, `outcome` is permitted or unstated, and `terms` are those it rests on."""

    target: CallTarget
    ruling: int
    headers: bytes
    decision: str
    outcome: str
    terms: tuple[str, ...] = ()


class SkippedDeployment(NamedTuple):
    """A deployment that a request was not sent to, and why; cloud and deployment are empty if the
    reason holds for all. `terms` of the agreement rule it out; there are none if it is
    permitted."""

    cloud: str
    deployment: str
    reason: str
    terms: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.cloud} {self.deployment}: {self.reason}" if self.cloud else self.reason


class CandidateSelection(NamedTuple):
    """The candidates for one request, best first, and the deployments that were skipped. `strategy`
    ordered them; empty if there was nothing to order. `retired` is a sentence for the client if the
    model is retired at each deployment that serves it. `context_tokens_max` is the largest context
    of the deployments that were skipped because the prompt is too long; 0 if none was. `too_much`:
    some were skipped because they do not answer as many tokens as are asked for."""

    candidates: tuple[Candidate, ...]
    skipped: tuple[SkippedDeployment, ...] = ()
    strategy: str = ""
    retired: str = ""
    context_tokens_max: int = 0
    too_much: bool = False


class Option(NamedTuple):
    """A candidate in one stretch, and what it lacks: bits (as in `catalog.BITS`) and for each the
    reason in words."""

    candidate: Candidate
    lacks: int = 0
    reasons: Mapping[int, str] = {}


# Operation, cloud, deployment, needed bits, sizes, length and streaming, where its prompt is
# cached.
_Kind = tuple[int, str, str, int, tuple[int, int], int, str]
_SMALL: Final = (0, 0)


class DeploymentChoice:
    """The deployments of a model in one market and stretch of time.

    `skipped` are those that the agreement or the policy rules out; `refusals`, `unserved` and
    `everywhere` are the route's. The last `late` options serve a name beyond its published
    retirement: they come after all others, because only their clouds know whether they still serve
    it. `retired` is the sentence for a client if there are no others.
    """

    def __init__(
        self,
        options: Sequence[Option],
        refusals: Mapping[str, Refusal],
        strategy: str = "primary-first",
        skipped: tuple[SkippedDeployment, ...] = (),
        retired: str = "",
        late: int = 0,
        *,
        unserved: Mapping[str, Unserved] | None = None,
        everywhere: str = "",
    ) -> None:
        self.candidates = tuple(option.candidate for option in options)
        self.refusals, self.unserved, self.everywhere = refusals, unserved or {}, everywhere
        self.retired = retired
        self._late = frozenset(id(option.candidate) for option in options[len(options) - late :])
        self._options = options
        self._strategy = strategy
        self._skipped = skipped
        self._selections: dict[_Kind, CandidateSelection] = {}
        self._why_not: dict[str, tuple[str, tuple[str, ...]]] = {}
        self._by_cost, self._by_pace = strategy == "cheapest", strategy == "fastest"
        self._moves, self._made_s = strategy in MOVING, 0.0
        targets = [candidate.target.target for candidate in self.candidates]
        self._contexts = sorted(
            {target.context_tokens_max for target in targets if target.context_tokens_max}
        )
        self._outputs = sorted(
            {target.output_tokens_max for target in targets if target.output_tokens_max}
        )
        # No limit is reached below these: the common case needs no more than two comparisons.
        self._bytes_free = _BYTES_PER_TOKEN_MAX * self._contexts[0] if self._contexts else ANY_SIZE
        self._output_free = self._outputs[0] if self._outputs else ANY_SIZE

    def select(
        self,
        operation: Operation,
        properties: RequestProperties,
        cloud: str = "",
        deployment: str = "",
        *,
        needs: Needs = PLAIN,
        body_bytes: int = 0,
        now_s: float = 0.0,
        cached_at: str = "",
    ) -> CandidateSelection:
        """Return the candidates for a request, on one cloud or deployment if it names one.
        `cached_at` is the deployment that has the beginning of the prompt in its cache; or
        empty."""
        # The order of such a strategy is kept for a second.
        if self._moves and now_s - self._made_s >= _ORDER_S:
            self._selections.clear()
            self._made_s = now_s
        # Requests that are alike in all that matters share a selection.
        output_tokens = properties.output_tokens
        sizes = _SMALL
        if body_bytes > self._bytes_free or output_tokens > self._output_free:
            sizes = self._sizes(body_bytes if operation.is_text else 0, output_tokens, needs)
        length = length_of(body_bytes, output_tokens) if self._by_cost or cached_at else 0
        streamed = self._by_pace and properties.streamed
        key = (
            operation.code,  # what an operation depends on shows in the bits
            cloud,
            deployment,
            needs.bits,
            sizes,
            length * 2 + streamed,
            cached_at,
        )
        selection = self._selections.get(key)
        if selection is None:
            if len(self._selections) >= _SELECTIONS_MAX:
                self._selections.clear()
            selection = self._select(operation, cloud, deployment, needs.bits, sizes)
            selection = self._ordered(selection, length, streamed, cached_at, now_s)
            self._selections[key] = selection
        return selection

    def why_not(self, cloud: str) -> tuple[str, tuple[str, ...]]:
        """Return why a cloud, or any where it is empty, does not serve the sale, with the terms
        that this rests on. Refused requests that are alike share it."""
        if cloud not in self._why_not:
            places: list[Refusal | Unserved] = [*self.unserved.values(), *self.refusals.values()]
            places = [place for place in places if cloud in ("", place.cloud)]
            message = "" if cloud else self.everywhere
            self._why_not[cloud] = (
                message or " ".join([place.message for place in places]),
                tuple(dict.fromkeys([term for place in places for term in place.terms])),
            )
        return self._why_not[cloud]

    def _sizes(self, body_bytes: int, output_tokens: int, needs: Needs) -> tuple[int, int]:
        """Return how many of the known limits, smallest first, a request exceeds: of context, and
        of output. The bytes of sound and images do not tell how many tokens they have."""
        says = not (needs.images or needs.audio or needs.unbounded)
        tokens_min = body_bytes // _BYTES_PER_TOKEN_MAX if says else 0
        return bisect_left(self._contexts, tokens_min), bisect_left(self._outputs, output_tokens)

    def _select(
        self, operation: Operation, cloud: str, deployment: str, bits: int, sizes: tuple[int, int]
    ) -> CandidateSelection:
        candidates, skipped, context_tokens_max = [], list(self._skipped), 0
        asks_too_much = False
        for option in self._options:
            target = option.candidate.target
            if cloud not in ("", target.cloud):
                reason = f"the request asks for {cloud}"
            elif deployment not in ("", target.name):
                reason = f"what the request follows lies on {deployment}"
            elif operation.name in target.lacks:
                reason = _has_no(operation.name, target.lacks)
            # Its results have to be read and deleted there later too.
            elif lacking := target.lacks.intersection(operation.depends_on):
                reason = f"has no {' and no '.join(sorted(lacking))}"
            elif option.lacks & bits:
                reason = "; ".join(why for bit, why in option.reasons.items() if bit & bits)
            elif _exceeds(context := target.target.context_tokens_max, self._contexts, sizes[0]):
                reason = f"holds {context:,} tokens; the request is longer"
                context_tokens_max = max(context_tokens_max, context)
            elif _exceeds(most := target.target.output_tokens_max, self._outputs, sizes[1]):
                reason = f"answers {most:,} tokens at most; the request asks for more"
                asks_too_much = True
            else:
                candidates.append(option.candidate)
                continue
            skipped.append(SkippedDeployment(target.cloud, target.name, reason))
        return CandidateSelection(
            tuple(candidates),
            tuple(skipped),
            retired=self.retired,
            context_tokens_max=context_tokens_max,
            too_much=asks_too_much,
        )

    def _ordered(
        self,
        selection: CandidateSelection,
        length: int,
        streamed: bool,
        cached_at: str,
        now_s: float,
    ) -> CandidateSelection:
        if len(selection.candidates) < 2:
            return selection
        standings = [candidate.target.standing(now_s) for candidate in selection.candidates]
        ranked = order(self._strategy, standings, length, streamed)
        first = ranked[0]
        strategy = self._strategy
        # The first that has the prompt in its cache goes ahead, unless a plain price elsewhere is
        # lower still, or the best is provisioned, and so paid for whether it is used or not.
        for at in ranked[1:] if cached_at else ():
            here = selection.candidates[at].target.name == cached_at
            paid_for = standings[first].provisioned and not standings[at].provisioned
            if (
                here
                and not paid_for
                and cost(standings[at], length, cached=True) <= cost(standings[first], length)
            ):
                ranked.remove(at)
                ranked.insert(0, at)
                strategy += f", but {cached_at} has the prompt's beginning cached"
                break
        # Beyond the model's published retirement: only where nothing else answers.
        if self._late:
            ranked.sort(key=lambda at: id(selection.candidates[at]) in self._late)
        return selection._replace(
            candidates=tuple(selection.candidates[at] for at in ranked), strategy=strategy
        )


def _exceeds(limit: int, limits: Sequence[int], beyond: int) -> bool:
    """Return whether a request exceeds a deployment's limit, 0 where that is not known. The request
    exceeds the `beyond` smallest of the known `limits`."""
    return beyond > 0 and 0 < limit <= limits[beyond - 1]


def _has_no(operation: str, lacks: frozenset[str]) -> str:
    """Return that a deployment lacks an operation, and where else it answers the same model."""
    if operation not in _ANSWERS:
        return f"has no {operation}"
    others = [path for name, path in _ANSWERS.items() if name not in lacks]
    return f"has no {operation}" + (f", but answers {' and '.join(others)}" if others else "")

"""The gateway's plan: the agreement decided ahead for every seller, product, cloud and segment, at
every boundary.

Deployments whose sale the agreement permits become candidates, the primary cloud's first; every
other cloud gets its refusal, worded and cited. A home may also serve what no agreement in force
speaks of: its ruling says unstated, never permitted.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from functools import cached_property
from itertools import pairwise
from itertools import product as every
from pathlib import Path
from typing import TypeAlias

import msgspec

from clauseway.agreement.language.actions import SELL
from clauseway.app.opening.configuration import (
    CommitmentWritten,
    Configuration,
    DeploymentWritten,
    named_auth,
    resolve_auth,
)
from clauseway.app.opening.library import OpenAgreement
from clauseway.app.opening.offerings import (
    shipped_matrix,
    shipped_models,
    shipped_versions,
    surface_of,
)
from clauseway.app.opening.plan_prices import NEEDS_PRICE, bound_ns, plan_prices
from clauseway.app.opening.products import snapshot_of
from clauseway.app.opening.several import Opened, each_of, first_clouds, text_hash
from clauseway.catalog import CAPABILITY_OF_TIER, ELSEWHERE, SURFACES_OF_MESSAGES, Models
from clauseway.catalog import Retirement as Ended
from clauseway.decisions import (
    AskedAgreement,
    Decision,
    Outcome,
    Question,
    Tables,
    Verdict,
    decide_together_as_read,
    put_to,
    unnamed_in,
)
from clauseway.decisions.question import region_problems
from clauseway.files import PRIVATE, write_whole, written_whole
from clauseway.files.presence import is_there
from clauseway.gateway.credentials.outside import JSON
from clauseway.gateway.plan import (
    Epoch,
    Key,
    Lack,
    Plan,
    PlannedRetirement,
    Refusal,
    Route,
    SpendCommitment,
    Target,
    Unserved,
)
from clauseway.gateway.plan.file import encode_plan
from clauseway.metering import Deployment, Ruling, Unit
from clauseway.pricing import PriceTable, Sale, UnknownPrice
from clauseway.values import USD, InvalidInput, KnownAt, Problem, refuse_any, start_of_day_ns
from clauseway.wording.decided import (
    CloudRegion,
    refusal_sentence,
    unserved_sentence,
    why_nowhere,
)
from clauseway.wording.names import Wording


def compile_plan(
    opened: Opened,
    configuration: Configuration,
    keys: Sequence[Key],
    hash_key: str,
    *,
    known_at: KnownAt,
    prices: PriceTable,
    where: Path,
    spent: Mapping[str, int] | None = None,
    secrets: bool = True,
) -> Plan:
    """Compile everything a gateway needs.

    Raise InvalidInput where a credential is missing, UnknownPrice where a deployment sells what the
    book does not price. `spent` is what was spent toward each commitment, in picodollars, as far as
    it is known. Without `secrets`, those that stand elsewhere may be missing here.
    """
    _check_sellers(keys, opened)
    if secrets:
        for deployment in configuration.deployment:
            resolve_auth(deployment, where)  # a secret that cannot be had is told here and now
    targets = _targets(configuration, prices, known_at.day, where)
    models = shipped_models()
    names = models.named(products_of(configuration)) | dict(configuration.names)
    sellers = sorted({target.label.seller for target in targets} | {key.seller for key in keys})
    products = products_of(configuration)
    compiler = _Compiler(opened, targets, known_at, configuration.unstated)
    return Plan(
        agreement=text_hash(opened),
        hash_key=hash_key,
        models=names,
        snapshots=tuple(sorted(models.snapshots.keys() & names.keys())),
        retirements=_retirements(models, targets, names),
        commitments=tuple(
            _commitment(written, (spent or {}).get(written.name, 0))
            for written in configuration.commitment
        ),
        targets=tuple(targets),
        epochs=tuple(compiler.epochs(sellers, products)),
        rulings=tuple(compiler.rulings),
        keys=tuple(keys),
    )


def _check_sellers(keys: Sequence[Key], opened: Opened) -> None:
    """Raise InvalidInput that names each key whose seller no agreement names any more."""
    parties = opened.catalog.parties
    refuse_any(
        [
            Problem(
                what=f"the key {key.key_id} of {key.organisation} buys from {key.seller!r}",
                why="no agreement that the gateway serves by names this party",
                where="clauseway key list",
                remedy=f"Revoke it: clauseway key revoke {key.key_id}. Or name the agreement again.",
            )
            for key in keys
            if key.seller not in parties
        ]
    )


def write_plan(plan: Plan, path: Path) -> None:
    """Replace the plan's file whole: a gateway reads the old one or the new one, never a part.

    A plan may be shown and sent around. Secrets that the configuration itself holds stand in a file
    beside it, which the plan names.
    """
    secrets = secrets_beside(path)
    with_own = [target for target in plan.targets if target.auth.secret]
    own = {target.label.deployment: target.auth.secret for target in with_own}
    if own:
        write_whole(secrets, msgspec.json.encode(own), mode=PRIVATE)
        targets = tuple(_without_secret(target, secrets) for target in plan.targets)
        plan = msgspec.structs.replace(plan, targets=targets)
    with written_whole(path, mode=PRIVATE) as beside, beside.open("wb") as file:
        file.writelines(encode_plan(plan))
    if not own and is_there(secrets):
        secrets.unlink()  # not before: the former plan named it


def secrets_beside(plan: Path) -> Path:
    """Return the path of the file with the secrets that the configuration itself holds."""
    return plan.with_name(f"{plan.stem}-secrets.json")


def _without_secret(target: Target, secrets: Path) -> Target:
    auth = target.auth
    if not auth.secret:
        return target
    taken = {**auth.taken, "secret": f"{JSON}{secrets.absolute()}"}
    auth = msgspec.structs.replace(auth, secret="", taken=taken)
    return msgspec.structs.replace(target, auth=auth)


def products_of(configuration: Configuration) -> list[str]:
    """Return every product that is deployed somewhere."""
    return sorted(
        {product for deployment in configuration.deployment for product in deployment.models}
    )


# The longest answer of a model that nobody has catalogued: the largest of the catalogued ones.
_OUTPUT_TOKENS_MAX = 128_000
# No request is older than what counts its nanoseconds.
_FIRST_DAY = date(1970, 1, 1)
_WITHOUT_OUTPUT = ("embedding", "moderation")
# A deployment has the region that its cloud knows, so it cannot name `elsewhere`.
_IN_NO_REGION = "list it under regions: in agreement.md, in a region that no term names"


def prices_now(
    written: DeploymentWritten, product: str, prices: PriceTable, day: date
) -> Mapping[Unit, int]:
    """Return the prices of a deployment's units, in picodollars.

    Raise UnknownPrice: without a price nothing is sold.
    """
    sale, kind = _sale(written, product), shipped_models().of(product, surface_at(written)).kind
    row = prices.row(sale, day)
    if row.currency != USD:
        problem = f"{product} of deployment {written.name} is priced in {row.currency}"
        raise InvalidInput.of(
            what=problem,
            why="a gateway counts limits and budgets in USD",
            where="price book",
            remedy="Give it a price book with a price in USD.",
        )
    if not any(units <= row.prices.keys() for units in NEEDS_PRICE[kind]):
        raise UnknownPrice(
            [(sale, unit, day) for unit in sorted(NEEDS_PRICE[kind][0] - row.prices.keys())]
        )
    return row.prices


def tiers_at_plain_prices(
    written: DeploymentWritten, product: str, prices: PriceTable, day: date
) -> list[str]:
    """Return the service tiers in which a deployment may serve a product, and for which no price
    differs from that of the default tier: what is served in them is charged as in that."""
    surface, at_ns = surface_at(written), bound_ns(day)
    if shipped_models().of(product, surface).kind != "text":
        return []
    lacking = {
        lack.capability
        for lack in _lacks(written, surface, product)
        if lack.begin_ns <= at_ns < lack.end_ns
    }
    sale = _sale(written, product)
    plain = prices.row(sale, day).prices
    return [
        tier
        for tier in (_TIERS_OF_MESSAGES if surface in SURFACES_OF_MESSAGES else _TIERS)
        if CAPABILITY_OF_TIER[tier] not in lacking
        and prices.row(msgspec.structs.replace(sale, tier=tier), day).prices == plain
    ]


def surface_at(written: DeploymentWritten) -> str:
    """Return the surface of the matrix that a deployment is."""
    return written.surface or surface_of(written.dialect, written.url, written.auth.service)


def snapshot_at(written: DeploymentWritten, product: str) -> str:
    """Return the dated snapshot that a deployment serves a product by; empty where nobody says."""
    return written.snapshots.get(product, "") or snapshot_of(written.models[product])


def _sale(written: DeploymentWritten, product: str) -> Sale:
    return Sale(product, written.cloud, written.seller, written.region)


def _targets(
    configuration: Configuration, prices: PriceTable, day: date, where: Path
) -> list[Target]:
    """Raise UnknownPrice with every price that is missing, whichever deployment it is for."""
    targets: list[Target] = []
    missing: list[tuple[Sale, Unit, date]] = []
    for deployment in configuration.deployment:
        for product, model in sorted(deployment.models.items()):
            try:
                targets.append(_target(deployment, product, model, prices, day, where))
            except UnknownPrice as error:
                missing += error.missing
    if missing:
        raise UnknownPrice(missing)
    return targets


def _target(
    written: DeploymentWritten, product: str, model: str, prices: PriceTable, day: date, where: Path
) -> Target:
    label = Deployment(
        deployment=written.name,
        cloud=written.cloud,
        seller=written.seller,
        region=written.region,
        product=product,
        model=model,
    )
    surface = surface_at(written)
    names = shipped_models().of(product, surface)
    now = prices_now(written, product, prices, day)
    # The longest answer bounds a reservation: the operator's figure goes before the catalogued one.
    output_tokens_max = written.output_tokens_max or names.output_tokens_max or _OUTPUT_TOKENS_MAX
    return Target(
        label=label,
        dialect=written.dialect,
        url=written.url.rstrip("/"),
        auth=named_auth(written, where),
        input_price=now.get(Unit.INPUT_TOKENS, 0),
        output_price=now.get(Unit.OUTPUT_TOKENS, 0),
        output_tokens_max=0 if names.kind in _WITHOUT_OUTPUT else output_tokens_max,
        settings=written.settings,
        kind=names.kind,
        surface=surface,
        prices=plan_prices(_sale(written, product), prices, day),
        context_tokens_max=written.context_tokens_max or names.context_tokens_max,
        image_tokens_max=names.image_tokens_max,
        lacks=_lacks(written, surface, product),
        snapshot=snapshot_at(written, product),
        serves_retired=written.serves_retired,
        residency=written.residency,
        certifications=written.certifications,
        quota_requests_per_minute=written.quota_requests_per_minute,
        quota_tokens_per_minute=written.quota_tokens_per_minute,
        provisioned=written.provisioned,
        service_tier=written.service_tier,
        vector_stores=written.vector_stores,
    )


def _lacks(written: DeploymentWritten, surface: str, product: str) -> tuple[Lack, ...]:
    """Return the capabilities a deployment lacks: always, by its API version, and in stretches
    of the matrix; its own word goes before both."""
    matrix = shipped_matrix()
    by_version = shipped_versions().lacking(surface, written.settings.get("api_version", ""))
    days = matrix.days(surface, product)
    own = [
        Lack(capability=name, reason="the deployment's configuration says so")
        for name in written.lacks
    ]
    return (
        *own,
        *(
            Lack(capability=capability, reason=line.reason)
            for capability, line in sorted(by_version.items())
            if capability not in written.has and capability not in written.lacks
        ),
        *(
            Lack(
                capability=capability,
                reason=entry.reason,
                begin_ns=bound_ns(begin),
                end_ns=bound_ns(end),
            )
            for begin, end in pairwise([*days, date.max])
            for capability, entry in sorted(matrix.lacking(surface, product, begin).items())
            if capability not in written.has
            and capability not in written.lacks
            and capability not in by_version
        ),
    )


def _retirements(
    models: Models, targets: Sequence[Target], names: Mapping[str, str]
) -> tuple[PlannedRetirement, ...]:
    """Return the retirements of what is served here, by surface and under each name that is asked
    for or deployed, and of others of the same makers and clouds: a caller who asks for one learns
    its successor."""
    served = dict(names) | {target.snapshot: target.label.product for target in targets}
    # A deployment that is not of a snapshot has the empty name.
    served.pop("", None)
    surfaces = sorted({target.surface for target in targets})
    planned = [
        _planned(name, surface, ended)
        for name, product in served.items()
        for surface in surfaces
        if (ended := models.ended(name, product, surface)) is not None
    ]
    for ended in models.retirements:
        if _concerns(ended, surfaces):
            planned += [
                _planned(name, "", ended) for name in models.names_of(ended) if name not in served
            ]
    return tuple(planned)


def _planned(name: str, surface: str, ended: Ended) -> PlannedRetirement:
    return PlannedRetirement(
        name=name,
        surface=surface,
        begin_ns=start_of_day_ns(ended.day),
        message=ended.sentence,
    )


def _concerns(retirement: Ended, surfaces: Sequence[str]) -> bool:
    """Return whether it says something to who asks here for a name that nothing serves."""
    return retirement.vendor in ("", "openai") or any(map(retirement.holds_on, surfaces))


def _commitment(written: CommitmentWritten, spent: int) -> SpendCommitment:
    return SpendCommitment(
        name=written.name,
        begin_ns=start_of_day_ns(written.begin),
        end_ns=start_of_day_ns(written.end),
        left=promised(written) - spent,
        clouds=written.clouds,
        sellers=written.sellers,
        products=written.products,
    )


def promised(written: CommitmentWritten) -> int:
    """Return the amount of a commitment, in picodollars."""
    return int((written.amount * written.usd_rate).scaleb(12))


class _Ahead:
    """One agreement decided ahead, under its default readings.

    Of what it does not name it says nothing.
    """

    def __init__(self, opened: OpenAgreement, known_at: KnownAt) -> None:
        self._asked = AskedAgreement(opened.agreement, opened.catalog, opened.facts)
        self.tables = Tables(opened.agreement, opened.catalog, opened.facts)
        self._table = self.tables.table(known_at, opened.agreement.default_readings())

    def days(self, question: Question) -> Sequence[date]:
        """Return the days on which its answer to a question may change; a cloud's or segment's
        name changes none."""
        catalog = self._asked.catalog
        if question.product not in catalog.products and question.product not in catalog.classes:
            return ()
        takes = question.action in catalog.classes[catalog.class_of(question.product)].actions
        return self._table.days(question.action, question.product) if takes else ()

    def put(self, question: Question) -> Question | None:
        """Return a question as it is put to this agreement; None where that does not know a name
        in it. The day makes no difference to that."""
        own = put_to(self._asked, question)
        return None if unnamed_in(self._asked, own) else own

    def verdict(self, put: Question, day: date) -> Verdict:
        return self._table.answer(msgspec.structs.replace(put, as_of=day))


def served_outcomes(unstated: str) -> frozenset[Outcome]:
    """Return the outcomes that a gateway serves, by the configuration's `unstated`."""
    also = {Outcome.UNSTATED} if unstated == "serve" else set()
    return frozenset({Outcome.PERMITTED} | also)


# The tiers that a request may ask for and that have other prices; a message asks with `speed`.
_TIERS, _TIERS_OF_MESSAGES = ("flex", "priority"), ("fast",)
# Seller, product, cloud, region and segment.
_Sale: TypeAlias = tuple[str, str, str, str, str]


class _Compiler:
    """Turns decisions into routes, numbering each distinct ruling once."""

    def __init__(
        self, opened: Opened, targets: Sequence[Target], known_at: KnownAt, unstated: str
    ) -> None:
        self.opened, self.targets, self.known_at = opened, targets, known_at
        # Kept: several agreements join theirs each time they are asked.
        self.catalog = opened.catalog
        self.served = served_outcomes(unstated)
        self.ahead = [_Ahead(asked, known_at) for asked in each_of(opened)]
        self.primary = first_clouds(opened)
        self.words = Wording.of(each_of(opened))
        self.rulings: list[Ruling] = []
        self._numbers: dict[str, int] = {}
        self._checked: dict[tuple[str, str], Question] = {}
        # The question as it is put to each agreement, the same on every day.
        self._put: dict[_Sale, list[Question | None]] = {}
        # The latest decision, with each agreement's verdict.
        self._decided: dict[_Sale, tuple[list[Verdict | None], Decision]] = {}

    def boundaries(self, sellers: Iterable[str], products: Iterable[str]) -> list[date]:
        """Return the days on which a route may change.

        Raise InvalidInput for a seller or product that is not known.
        """
        asked = [
            self._question(seller, product, "", "", "any", date.min)
            for seller, product in every(sellers, products)
        ]
        # Before the first amendment nothing is stated, so what is unstated is served from ever.
        first = {_FIRST_DAY} if Outcome.UNSTATED in self.served else set()
        return sorted(
            first
            | {
                day
                for question in asked
                for verdicts in self.ahead
                for day in verdicts.days(question)
            }
        )

    def epochs(self, sellers: Sequence[str], products: Sequence[str]) -> Iterator[Epoch]:
        """Yield the routes from each day on which one of them changes."""
        before: dict[str, Route] = {}
        for day in self.boundaries(sellers, products):
            routes = self.routes(sellers, products, day)
            if routes != before:
                yield Epoch(begin_ns=start_of_day_ns(day), routes=routes)
            before = routes

    def routes(
        self, sellers: Iterable[str], products: Iterable[str], day: date
    ) -> dict[str, Route]:
        return {
            f"{seller}|{product}|{segment}": self._route(seller, product, segment, day)
            for seller in sellers
            for product in products
            for segment in sorted(self.catalog.segments)
        }

    def _route(self, seller: str, product: str, segment: str, day: date) -> Route:
        rulings: dict[CloudRegion, int] = {}
        served: list[tuple[CloudRegion, Decision]] = []
        refused: list[tuple[CloudRegion, Decision]] = []
        for place in self._places:
            decision = self._decide(seller, product, *place, segment, day)
            if decision.outcome in self.served:
                rulings[place] = self._number(decision)
                served.append((place, decision))
            else:
                refused.append((place, decision))
        candidates = [
            (index, rulings[place])
            for index, target in enumerate(self.targets)
            if (target.label.seller, target.label.product) == (seller, product)
            if target.label.cloud in self.catalog.clouds
            and (place := self._place(target)) in rulings
        ]
        # Primary first; otherwise in the order in which the operator wrote them.
        candidates.sort(
            key=lambda candidate: self.targets[candidate[0]].label.cloud not in self.primary
        )
        deployed = {self.targets[index].label.cloud for index, _ in candidates}
        unserved = [each for each in served if each[0][0] not in deployed]
        return Route(
            candidates=tuple(candidates),
            refusals=tuple(self._refusal(seller, product, *each) for each in refused),
            unserved=tuple(self._unserved(seller, product, *each) for each in unserved),
            everywhere=why_nowhere(self.words, seller, product, unserved, refused)
            if not candidates and len(unserved) + len(refused) > 1
            else "",
        )

    def _refusal(
        self, seller: str, product: str, place: CloudRegion, decision: Decision
    ) -> Refusal:
        return Refusal(
            cloud=place[0],
            outcome=decision.outcome,
            message=refusal_sentence(self.words, decision, seller, product, place),
            terms=_terms(decision),
            receipt=decision.receipt.id,
        )

    def _unserved(
        self, seller: str, product: str, place: CloudRegion, decision: Decision
    ) -> Unserved:
        return Unserved(
            cloud=place[0],
            message=unserved_sentence(self.words, decision.outcome, seller, product, place),
            terms=_terms(decision),
        )

    def _place(self, target: Target) -> tuple[str, str]:
        """Return the cloud of a deployment, and the agreement's region in which it lies: empty
        where that defines none."""
        return target.label.cloud, self.catalog.region_of(target.label.cloud, target.label.region)

    @cached_property
    def _places(self) -> list[tuple[str, str]]:
        """Return the places to decide for: each cloud, in the regions of its deployments. Raise
        InvalidInput for a place that is in none of the agreement's regions."""
        catalog = self.catalog
        problems = [
            msgspec.structs.replace(problem, where=f"deployment {target.label.deployment}: region")
            for target in self.targets
            if target.label.cloud in catalog.clouds
            for problem in region_problems(
                catalog, SELL, target.label.cloud, target.label.region, _IN_NO_REGION
            )
        ]
        refuse_any(dict.fromkeys(problems))
        places = {
            self._place(target) for target in self.targets if target.label.cloud in catalog.clouds
        }
        # A cloud without a deployment is decided once, as outside all regions.
        bare = ELSEWHERE if catalog.regions else ""
        return sorted(
            places | {(cloud, bare) for cloud in catalog.clouds - {cloud for cloud, _ in places}}
        )

    def _decide(
        self, seller: str, product: str, cloud: str, region: str, segment: str, day: date
    ) -> Decision:
        """Return the decision on a day.

        While every verdict stays the same, so does the decision, and its receipt.
        """
        sale = (seller, product, cloud, region, segment)
        if sale not in self._put:
            question = self._question(*sale, date.min)
            self._put[sale] = [ahead.put(question) for ahead in self.ahead]
        verdicts = [
            None if put is None else ahead.verdict(put, day)
            for ahead, put in zip(self.ahead, self._put[sale], strict=True)
        ]
        if sale not in self._decided or self._decided[sale][0] != verdicts:
            self._decided[sale] = verdicts, self._decision(self._question(*sale, day), verdicts)
        return self._decided[sale][1]

    def _decision(self, question: Question, verdicts: Sequence[Verdict | None]) -> Decision:
        if len(self.ahead) > 1:
            # No route tells which readings would change the answer.
            return decide_together_as_read(each_of(self.opened), question)
        return (
            self.ahead[0].tables.decide(question) if verdicts[0] else self.opened.answer(question)
        )

    def _question(
        self, seller: str, product: str, cloud: str, region: str, segment: str, day: date
    ) -> Question:
        """Return a checked question.

        Clouds and segments come from the catalog, so a seller and a product are checked once.
        """
        if (seller, product) not in self._checked:
            self._checked[seller, product] = self.opened.question(
                action=SELL,
                party=seller,
                product=product,
                cloud=min(self.catalog.clouds),
                region=ELSEWHERE if self.catalog.regions else "",
                as_of=date.min,
                known_at=self.known_at,
            )
        return msgspec.structs.replace(
            self._checked[seller, product], cloud=cloud, region=region, segment=segment, as_of=day
        )

    def _number(self, decision: Decision) -> int:
        if decision.receipt.id not in self._numbers:
            self._numbers[decision.receipt.id] = len(self.rulings)
            self.rulings.append(
                Ruling(
                    decision=decision.receipt.id,
                    outcome=decision.outcome,
                    terms=_terms(decision),
                    receipt=msgspec.json.encode(decision.receipt).decode(),
                )
            )
        return self._numbers[decision.receipt.id]


def _terms(decision: Decision) -> tuple[str, ...]:
    return tuple(reason.term for reason in decision.reasons)

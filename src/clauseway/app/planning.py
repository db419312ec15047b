"""The gateway's plan: the agreement decided ahead for every seller, product, cloud and segment, at every boundary.

Deployments whose sale the agreement permits become candidates, the primary cloud's first; every other cloud gets its
refusal, worded and cited.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from functools import cached_property
from itertools import product as every
from pathlib import Path

import msgspec

from clauseway.app.configuration import Configuration, DeploymentWritten, resolve_auth
from clauseway.app.library import OpenAgreement
from clauseway.app.several import Opened, each_of, first_clouds, text_hash
from clauseway.catalog import ELSEWHERE
from clauseway.decisions import Asked, Decision, Outcome, Question, Tables, Verdict, put_to, unnamed_in
from clauseway.decisions.question import SELL, region_problems
from clauseway.gateway.plan import Epoch, Key, Plan, Refusal, Route, Target
from clauseway.metering import Deployment, Ruling, Unit
from clauseway.pricing import PriceTable, Sale
from clauseway.values import InvalidInput, KnownAt, start_of_day_ns


def compile_plan(
    opened: Opened,
    configuration: Configuration,
    keys: Sequence[Key],
    hash_key: str,
    *,
    known_at: KnownAt,
    prices: PriceTable,
    where: Path,
) -> Plan:
    """Compile everything a gateway needs. Raises InvalidInput where a credential is
    missing, UnknownPrice where a deployment sells what the book does not price."""
    targets = _targets(configuration, prices, known_at.day, where)
    sellers = sorted({target.label.seller for target in targets} | {key.seller for key in keys})
    products = sorted({target.label.product for target in targets})
    compiler = _Compiler(opened, targets, known_at)
    return Plan(
        agreement=text_hash(opened),
        hash_key=hash_key,
        models={product: product for product in products},
        targets=tuple(targets),
        epochs=tuple(compiler.epochs(sellers, products)),
        rulings=tuple(compiler.rulings),
        keys=tuple(keys),
    )


def write_plan(plan: Plan, path: Path) -> None:
    """Replace the plan's file whole: a gateway reads the old one or the new one, never a part."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.encode(plan))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def _reservation_prices(label: Deployment, prices: PriceTable, day: date) -> tuple[int, int]:
    """Picodollars per input and output token, to reserve by. Raises UnknownPrice: what has no price is not sold."""
    sale = Sale(label.product, label.cloud, label.seller, label.region)
    return prices.price(sale, Unit.INPUT_TOKENS, day), prices.price(sale, Unit.OUTPUT_TOKENS, day)


def _targets(configuration: Configuration, prices: PriceTable, day: date, where: Path) -> list[Target]:
    return [
        _target(deployment, product, model, prices, day, where)
        for deployment in configuration.deployment
        for product, model in sorted(deployment.models.items())
    ]


def _target(written: DeploymentWritten, product: str, model: str, prices: PriceTable, day: date, where: Path) -> Target:
    label = Deployment(
        deployment=written.name,
        cloud=written.cloud,
        seller=written.seller,
        region=written.region,
        product=product,
        model=model,
    )
    input_price, output_price = _reservation_prices(label, prices, day)
    return Target(
        label=label,
        dialect=written.dialect,
        url=written.url.rstrip("/"),
        auth=resolve_auth(written, where),
        input_price=input_price,
        output_price=output_price,
        output_tokens_max=written.output_tokens_max,
        settings=written.settings,
    )


class _Ahead:
    """One agreement decided ahead, under its default readings. Of what it does not name it says nothing."""

    def __init__(self, opened: OpenAgreement, known_at: KnownAt) -> None:
        self._asked = Asked(opened.agreement, opened.catalog, opened.facts)
        self.tables = Tables(opened.agreement, opened.catalog, opened.facts)
        self._table = self.tables.table(known_at, opened.agreement.default_readings())

    def days(self, question: Question) -> Sequence[date]:
        """The days on which its answer to a question may change; a cloud's or segment's name changes none."""
        catalog = self._asked.catalog
        if question.product not in catalog.products and question.product not in catalog.classes:
            return ()
        takes = question.action in catalog.classes[catalog.class_of(question.product)].actions
        return self._table.days(question.action, question.product) if takes else ()

    def verdict(self, question: Question) -> Verdict | None:
        own = put_to(self._asked, question)
        return None if unnamed_in(self._asked, own) else self._table.answer(own)


class _Compiler:
    """Turns decisions into routes, numbering each distinct ruling once."""

    def __init__(self, opened: Opened, targets: Sequence[Target], known_at: KnownAt) -> None:
        self.opened, self.targets, self.known_at = opened, targets, known_at
        self.ahead = [_Ahead(one, known_at) for one in each_of(opened)]
        self.primary = first_clouds(opened)
        self.rulings: list[Ruling] = []
        self._numbers: dict[str, int] = {}
        self._checked: dict[tuple[str, str], Question] = {}
        # The last decision on a seller, product, cloud, region and segment, with the verdicts that it rests on.
        self._decided: dict[tuple[str, str, str, str, str], tuple[list[Verdict | None], Decision]] = {}

    def boundaries(self, sellers: Iterable[str], products: Iterable[str]) -> list[date]:
        """The days on which a route may change. Raises InvalidInput for a seller or product that is not known."""
        asked = [
            self._question(seller, product, "", "", "any", date.min) for seller, product in every(sellers, products)
        ]
        return sorted({day for question in asked for one in self.ahead for day in one.days(question)})

    def epochs(self, sellers: Sequence[str], products: Sequence[str]) -> Iterator[Epoch]:
        """The routes from each day on which one of them changes."""
        before: dict[str, Route] = {}
        for day in self.boundaries(sellers, products):
            routes = self.routes(sellers, products, day)
            if routes != before:
                yield Epoch(begin_ns=start_of_day_ns(day), routes=routes)
            before = routes

    def routes(self, sellers: Iterable[str], products: Iterable[str], day: date) -> dict[str, Route]:
        return {
            f"{seller}|{product}|{segment}": self._route(seller, product, segment, day)
            for seller in sellers
            for product in products
            for segment in sorted(self.opened.catalog.segments)
        }

    def _route(self, seller: str, product: str, segment: str, day: date) -> Route:
        rulings: dict[tuple[str, str], int] = {}
        refusals: list[Refusal] = []
        for cloud, region in self._places:
            decision = self._decide(seller, product, cloud, region, segment, day)
            if decision.outcome is Outcome.PERMITTED:
                rulings[cloud, region] = self._number(decision)
            else:
                refusals.append(refusal(decision, seller, product, cloud, region))
        candidates = [
            (index, rulings[place])
            for index, target in enumerate(self.targets)
            if (target.label.seller, target.label.product) == (seller, product)
            if target.label.cloud in self.opened.catalog.clouds and (place := self._place(target)) in rulings
        ]
        # Primary first; otherwise in the order in which the operator wrote them.
        candidates.sort(key=lambda candidate: self.targets[candidate[0]].label.cloud not in self.primary)
        return Route(candidates=tuple(candidates), refusals=tuple(refusals))

    def _place(self, target: Target) -> tuple[str, str]:
        """The cloud of a deployment, and the agreement's region in which it lies: empty where that defines none."""
        return target.label.cloud, self.opened.catalog.region_of(target.label.cloud, target.label.region)

    @cached_property
    def _places(self) -> list[tuple[str, str]]:
        """Where to ask: each cloud, in the regions of its deployments. Raises InvalidInput for a place of which the
        agreement does not say in which region it lies."""
        catalog = self.opened.catalog
        problems = [
            msgspec.structs.replace(problem, where=f"deployment {target.label.deployment}: region")
            for target in self.targets
            if target.label.cloud in catalog.clouds
            for problem in region_problems(catalog, SELL, target.label.cloud, target.label.region)
        ]
        if problems:
            raise InvalidInput(*dict.fromkeys(problems))
        found = {self._place(target) for target in self.targets if target.label.cloud in catalog.clouds}
        bare = ELSEWHERE if catalog.regions else ""
        return sorted(found | {(cloud, bare) for cloud in catalog.clouds - {cloud for cloud, _ in found}})

    def _decide(self, seller: str, product: str, cloud: str, region: str, segment: str, day: date) -> Decision:
        """The decision on a day. While every verdict stays the same, so does the decision, and its receipt."""
        question = self._question(seller, product, cloud, region, segment, day)
        verdicts = [one.verdict(question) for one in self.ahead]
        key = (seller, product, cloud, region, segment)
        if key not in self._decided or self._decided[key][0] != verdicts:
            alone = self.ahead[0] if len(self.ahead) == 1 else None
            self._decided[key] = (verdicts, alone.tables.decide(question) if alone else self.opened.answer(question))
        return self._decided[key][1]

    def _question(self, seller: str, product: str, cloud: str, region: str, segment: str, day: date) -> Question:
        """Clouds and segments come from the catalog, so a seller and a product are checked once."""
        if (seller, product) not in self._checked:
            self._checked[seller, product] = self.opened.question(
                action=SELL,
                party=seller,
                product=product,
                cloud=min(self.opened.catalog.clouds),
                region=ELSEWHERE if self.opened.catalog.regions else "",
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
                    terms=tuple(reason.term for reason in decision.reasons),
                    receipt=msgspec.json.encode(decision.receipt).decode(),
                )
            )
        return self._numbers[decision.receipt.id]


def refusal(decision: Decision, seller: str, product: str, cloud: str, region: str = "") -> Refusal:
    """A refusal worded for the one who asked: what, by which clause, and what would have to be recorded."""
    first = decision.reasons[0]
    clause = f"{first.term} ({first.document}, line {first.line}; source {first.source})"
    where = f"{cloud} in {region}" if region else cloud
    sentence = (
        f"The agreement does not let {seller} sell {product} on {where}: {decision.outcome} by {clause}: {first.text}"
    )
    needed = "".join(f" {condition.text}" for condition in decision.conditions)
    return Refusal(
        cloud=cloud,
        outcome=decision.outcome,
        message=sentence + needed,
        terms=tuple(reason.term for reason in decision.reasons),
        receipt=decision.receipt.id,
    )

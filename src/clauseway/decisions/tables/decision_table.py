"""Decisions made ahead of time: a right over time, and tables over every question.

    Tables         An agreement with its facts. It compiles a table on demand for each state of
                   knowledge and each choice of readings.
    DecisionTable  action and product → days on which answers change → classes of names → verdict

Compiling cuts time and sorts names into classes (see `classes`). The engine decides each
combination of classes once, when it is first asked for, or ahead of time (`decide_all`). The names
asked about are filled into the verdict's texts. So a look-up needs a few dictionaries, a bisection
and a list, and gives the same answer as `decide`.
"""

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import date
from itertools import pairwise
from itertools import product as every
from math import prod

import msgspec

from clauseway.agreement import Agreement, FactRegister, InForce, boundaries
from clauseway.agreement.language.actions import ACTIONS, SELL, SERVE
from clauseway.catalog import Catalog
from clauseway.decisions.asking import facts_digest, other_options, receipt
from clauseway.decisions.case import Case, Finding, combined, named, not_named, once
from clauseway.decisions.decision import Condition, Decision, Outcome, Reason, Turn
from clauseway.decisions.engine import decide_act
from clauseway.decisions.parts import ACTIONS_WITH_OTHER_PARTY, ACTIONS_WITH_SELLER, BY_NAME, Names
from clauseway.decisions.question import Question
from clauseway.decisions.reach import Act, act_on, left_out
from clauseway.decisions.tables.classes import (
    ActContexts,
    LegalPosition,
    Partition,
    Partitions,
    Text,
)
from clauseway.decisions.tables.domain import products_of
from clauseway.values import FOREVER, KnownAt

_SELLER, _REGION, _TO = BY_NAME["seller"], BY_NAME["region"], BY_NAME["to"]
# The action of a seller that sells what another party serves. An ordinary `sell` row leaves out
# products that may be served but not sold.
_SOLD = "\0sell what is served"


class AnsweredStretch(msgspec.Struct, frozen=True, kw_only=True):
    """The days `begin` ≤ day < `end` on which a question has one answer."""

    begin: date
    end: date
    decision: Decision


def _same(before: Decision, after: Decision) -> bool:
    return (before.outcome, before.reasons, before.conditions) == (
        after.outcome,
        after.reasons,
        after.conditions,
    )


class Verdict(msgspec.Struct, frozen=True):
    """A table's answer: outcome, reasons and conditions as in a `Decision`.

    All questions of one class share one verdict.
    """

    outcome: Outcome
    reasons: tuple[Reason, ...]
    conditions: tuple[Condition, ...]

    @classmethod
    def of(cls, finding: Finding) -> "Verdict":
        return cls(finding.outcome, once(finding.reasons), finding.conditions)


class _Cell:
    """A compiled verdict. If its texts hold placeholders, a verdict for each set of names asked."""

    __slots__ = ("_filled", "_finding", "verdict")

    def __init__(self, finding: Finding) -> None:
        self._finding = finding
        self._filled: dict[tuple[str, str, str], Verdict] = {}
        # None where placeholders must be filled in.
        self.verdict = None if _names_what_was_asked(finding) else Verdict.of(finding)

    def filled(self, action: str, party: str, product: str, segment: str) -> Verdict:
        """Return the verdict with these names in its texts."""
        names = (party, product, segment)
        verdict = self._filled.get(names)
        if verdict is None:
            act = Act(action=action, party=party, product=product, segment=segment)
            verdict = self._filled[names] = Verdict.of(named(self._finding, act))
        return verdict


def _names_what_was_asked(finding: Finding) -> bool:
    return any("\0" in reason.note for reason in finding.reasons) or any(
        "\0" in text
        for condition in finding.conditions
        for text in (condition.text, *condition.needs)
    )


class Sheet(msgspec.Struct, frozen=True):
    """One legal position from `day` on: the case that decides it, and the acts that are told apart.

    The acts on `serve` are about what the party sells itself, or (`for_another`) about what another
    party sells.
    """

    day: date
    case: Case
    acts: Sequence[Act]
    for_another: bool


_MakeCase = Callable[[LegalPosition, date], Case]


class _Leaf:
    """The answers of one legal position: a cell for each combination of classes of names.

    Each name has an offset; a question's cell lies at the sum of its names' offsets. `cells` holds
    the cells asked for so far. `case` makes the case that the engine decides.

    A leaf on `serve` is about what the party sells itself, or (`for_another`) about what another
    party sells.
    """

    __slots__ = (
        "_case",
        "apart",
        "cells",
        "clouds",
        "day",
        "for_another",
        "names",
        "parties",
        "position",
        "regions",
        "segments",
        "sellers",
        "to",
    )
    # The offset of each name, by part.
    parties: Mapping[str, int]
    clouds: Mapping[str, int]
    segments: Mapping[str, int]
    sellers: Mapping[str, int]
    regions: Mapping[str, int]
    to: Mapping[str, int]

    def __init__(
        self,
        case: Case | _MakeCase,
        position: LegalPosition,
        day: date,
        names: Partition,
        *,
        for_another: bool = False,
    ) -> None:
        self._case = case
        self.position, self.day, self.names = position, day, names
        self.for_another = for_another
        step = 1
        for part, classes in names.items():
            setattr(self, part.lists, classes.offsets(step))
            step *= len(classes.names)
        # Most legal positions do not distinguish regions, and a look-up can skip them.
        self.apart = len(names[_REGION].numbers) > 1
        self.cells: dict[int, _Cell] = {}

    def __len__(self) -> int:
        return prod(len(classes.names) for classes in self.names.values())

    def cell(self, at: int, act: Act) -> _Cell:
        """Decide the cell at the offset `at`, and keep it."""
        cell = self.cells[at] = _Cell(decide_act(self.case, act))
        return cell

    def asked(self, asked: Names) -> Act:
        """Return the act of a question that this leaf answers."""
        action = self.case.question.action
        seller = asked.party if action == SELL else asked.seller
        return act_on(asked, action=action, seller=seller)

    @property
    def case(self) -> Case:
        if not isinstance(self._case, Case):
            self._case = self._case(self.position, self.day)
        return self._case

    def decide_all(self, product: str) -> None:
        # Rows share leaves: this one may have been decided for another product.
        if len(self.cells) == len(self):
            return
        for at, act in self.acts(product):
            if at not in self.cells:
                self.cell(at, act)

    def verdict(self, asked: Names) -> Verdict:
        """Return the verdict on a question that this leaf answers."""
        at = sum(getattr(self, part.lists)[getattr(asked, part.name)] for part in self.names)
        cell = self.cells.get(at) or self.cell(at, self.asked(asked))
        return cell.verdict or cell.filled(asked.action, asked.party, asked.product, asked.segment)

    def acts(self, product: str) -> Iterator[tuple[int, Act]]:
        """Yield the offset of each cell with the act that stands for it."""
        action = self.case.question.action
        fixed = {"action": action, "product": product, **left_out(action)}
        # Walk the parts in reverse: offsets of the first part have step 1, so it must vary fastest.
        parts = [part.name for part in reversed(self.names.keys())]
        cells = every(*(classes.names for classes in reversed(self.names.values())))
        for at, names in enumerate(cells):
            named = dict(zip(parts, names, strict=True))
            if not self.for_another and action in ACTIONS_WITH_SELLER:
                named["seller"] = named["party"]
            elif self.for_another and named["seller"] == named["party"]:
                # Nobody sells for itself what it serves for another. A class of one party has no
                # other to stand for it, and its cell is never asked for.
                other = self.names[_SELLER].another(named["party"])
                if not other:
                    continue
                named["seller"] = other
            if action in ACTIONS_WITH_OTHER_PARTY and named["to"] == named["party"]:
                # Nobody licenses or owes anything to itself: another of a class stands for it.
                other = self.names[_TO].another(named["to"])
                if not other:
                    continue
                named["to"] = other
            named.update(fixed)
            yield at, Act(**named)


class _Row(msgspec.Struct, frozen=True):
    """The legal positions of an action and a product: `leaves[n]` holds from the nth of `days` on.

    `leaves[0]` holds before the first day.
    """

    days: Sequence[date]
    leaves: Sequence[_Leaf]


class DecisionTable:
    """Every answer for one point of knowledge and one choice of readings.

    `compile_table` and `Tables` build it.
    """

    def __init__(
        self,
        agreement: Agreement,
        catalog: Catalog,
        facts: FactRegister,
        known_at: KnownAt,
        readings: Mapping[str, str],
    ) -> None:
        text = Text.of(agreement, catalog, facts.known(known_at), known_at, readings)
        self._region_of = catalog.region_of
        self._compiler = _Compiler(text, known_at, readings)
        self._rows = _Rows(self._compiler)

    def look_up(
        self,
        action: str,
        party: str,
        product: str = "",
        cloud: str = "",
        to: str = "",
        segment: str = "any",
        *,
        as_of: date,
        seller: str = "",
        region: str = "",
    ) -> Verdict:
        """Return the verdict on a day. Raises KeyError unless the parts make a valid `Question`."""
        if to == party:
            raise KeyError(f"{action} is between two parties")
        row = self._rows[action, product]
        leaf = row.leaves[bisect_right(row.days, as_of)]
        at = leaf.parties[party] + leaf.clouds[cloud] + leaf.segments[segment] + leaf.to[to]
        # Most agreements tell no regions apart: their cells need none.
        if leaf.apart or region:
            region = self._region_of(cloud, region)
            at += leaf.regions[region]
        sells_itself = not seller or seller == party
        cell = leaf.cells.get(at) if sells_itself else None
        if cell is None:
            asked = Names(
                action=action,
                party=party,
                product=product,
                cloud=cloud,
                to=to,
                segment=segment,
                seller=seller or party,
                region=region,
            )
            if not sells_itself:
                return self._for_another(leaf, asked, as_of)
            cell = leaf.cell(at, leaf.asked(asked))
        return cell.verdict or cell.filled(action, party, product, segment)

    def _for_another(self, leaf: _Leaf, asked: Names, as_of: date) -> Verdict:
        """Return the verdict on serving what another sells: the hosting and the sale are asked."""
        if asked.action != SERVE:
            raise KeyError(f"{asked.action} takes no other seller")
        hosting = self._compiler.for_another(leaf).verdict(asked)
        sale = self.look_up(
            _SOLD,
            asked.seller,
            asked.product,
            asked.cloud,
            segment=asked.segment,
            as_of=as_of,
            region=asked.region,
        )
        return Verdict.of(combined(_finding(hosting), _finding(sale)))

    def verdict(self, asked: Names, as_of: date) -> Verdict:
        """Return the verdict on names on a day. Raises KeyError as `look_up` does."""
        return self.look_up(
            asked.action,
            asked.party,
            asked.product,
            asked.cloud,
            asked.to,
            asked.segment,
            as_of=as_of,
            seller=asked.seller,
            region=asked.region,
        )

    def answer(self, question: Question) -> Verdict:
        """Return the verdict on a question, under the table's own knowledge and readings."""
        return self.verdict(question, question.as_of)

    def days(self, action: str, product: str) -> Sequence[date]:
        """Return the days on which an answer about an action and a product may change.

        Raises KeyError as `look_up` does.
        """
        return self._rows[action, product].days

    def terms_on(self, action: str, product: str) -> frozenset[str]:
        """Return the terms that may bear on an answer about an action and a product."""
        return self._compiler.terms_on(action, product)

    def compile_all(self) -> "DecisionTable":
        """Compile every row now, instead of at its first look-up."""
        for action, products in self._compiler.products.items():
            for product in products:
                self._rows[action, product]
        return self

    def decide_all(self) -> "DecisionTable":
        """Decide every verdict now, instead of at its first look-up.

        Questions about serving for another seller are still decided at their first look-up.
        """
        for (_, product), row in self.compile_all()._rows.items():
            for leaf in row.leaves:
                leaf.decide_all(product)
        return self

    def sheets(self, about: Collection[str] | None = None) -> Iterator[Sheet]:
        """Yield each legal position once, with all that is told apart in it.

        `about` keeps to some products and classes.
        """
        seen: set[int] = set()
        for action, products in self._compiler.products.items():
            kept = products if about is None else products.intersection(about)
            for product in sorted(kept) if action != _SOLD else ():
                # The first leaf holds before anything is stated.
                for leaf in self._rows[action, product].leaves[1:]:
                    if id(leaf) not in seen:
                        seen.add(id(leaf))
                        for each in self._compiler.both_sales(leaf):
                            yield self._compiler.sheet(each, product)

    @property
    def size(self) -> tuple[int, int, int]:
        """Return the numbers of compiled rows, of their positions and of the verdicts in these."""
        leaves = self._compiler.leaves.values()
        return len(self._rows), len(leaves), sum(map(len, leaves))


def _finding(verdict: Verdict) -> Finding:
    return Finding(verdict.outcome, verdict.reasons, verdict.conditions)


class _Rows(dict[tuple[str, str], _Row]):
    """The rows compiled so far. A missing row is compiled at its first look-up."""

    def __init__(self, compiler: "_Compiler") -> None:
        self._compiler = compiler

    def __missing__(self, key: tuple[str, str]) -> _Row:
        row = self[key] = self._compiler.row(*key)
        return row


class _Compiler:
    """Turns contexts into rows. Equal legal positions of any product and day share a leaf."""

    def __init__(self, text: Text, known_at: KnownAt, readings: Mapping[str, str]) -> None:
        self._text, self._known_at, self._readings = text, known_at, readings
        self._contexts, self._partitions = ActContexts(text), Partitions(text)
        self.products = {action: frozenset(products_of(text.catalog, action)) for action in ACTIONS}
        self.products[_SOLD] = self.products[SERVE]
        self._rows: dict[tuple[str, object], _Row] = {}
        self.leaves: dict[LegalPosition, _Leaf] = {}
        self._for_another: dict[int, _Leaf] = {}
        # The same facts bear on many legal positions, and the same acts are told apart in them.
        self._registers: dict[tuple[int, ...], FactRegister] = {}
        self._acts: dict[tuple[object, ...], Sequence[Act]] = {}
        self._unstated = {action: self._leaf_of_unstated(action) for action in ACTIONS}

    def row(self, action: str, product: str) -> _Row:
        """Return the row of an action and a product. Indistinguishable products share a row."""
        if product not in self.products[action]:
            raise KeyError(f"{action} does not take {product!r}")
        action = SELL if action == _SOLD else action
        key = (action, self._contexts.signature(product))
        if key not in self._rows:
            self._rows[key] = self._compiled(action, product)
        return self._rows[key]

    def terms_on(self, action: str, product: str) -> frozenset[str]:
        """Return the terms that may bear on an answer about an action and a product."""
        bearings = self._contexts.bearings(action, product)
        return frozenset(self._text.live[bearing.place].term.id for bearing in bearings)

    def _compiled(self, action: str, product: str) -> _Row:
        days: list[date] = []
        leaves = [self._unstated[action]]
        for day, position in self._contexts.context(action, product).positions():
            leaf = self.leaves.get(position)
            if leaf is None:
                leaf = self.leaves[position] = self._leaf(position, day)
            if leaf is not leaves[-1]:
                days.append(day)
                leaves.append(leaf)
        return _Row(days, leaves)

    def _leaf(self, position: LegalPosition, day: date) -> _Leaf:
        return _Leaf(self._case, position, day, self._partitions.of(position))

    def for_another(self, leaf: _Leaf) -> _Leaf:
        """Return the leaf of the same legal position about what another party sells."""
        if id(leaf) not in self._for_another:
            names = self._partitions.of(leaf.position, for_another=True)
            self._for_another[id(leaf)] = _Leaf(
                leaf.case, leaf.position, leaf.day, names, for_another=True
            )
        return self._for_another[id(leaf)]

    def both_sales(self, leaf: _Leaf) -> Iterator[_Leaf]:
        """Yield a leaf and, if it is about serving, the leaf about what another party sells."""
        yield leaf
        if leaf.position.action == SERVE:
            yield self.for_another(leaf)

    def sheet(self, leaf: _Leaf, product: str) -> Sheet:
        """Return the decisions of a leaf, worded for one of its products."""
        key = (leaf.position.action, product, leaf.for_another, *map(id, leaf.names.values()))
        if key not in self._acts:
            self._acts[key] = [act for _, act in leaf.acts(product)]
        return Sheet(leaf.day, leaf.case, self._acts[key], leaf.for_another)

    def _case(self, position: LegalPosition, day: date) -> Case:
        text = self._text
        placed = [(bearing.place, text.live[bearing.place]) for bearing in position.live]
        placed += [(bearing.place, text.ended[bearing.place]) for bearing in position.ended]
        # The engine expects the terms in the order of the fold.
        placed.sort(key=lambda pair: pair[0])
        force = InForce(
            as_of=day,
            known_at=self._known_at,
            amendments=position.commented or ("stated",),
            states=tuple(state for _, state in placed),
        )
        return Case.of(
            text.agreement,
            text.catalog,
            force,
            self._register(position.facts),
            self._question(position.action, day),
        )

    def _register(self, places: tuple[int, ...]) -> FactRegister:
        if places not in self._registers:
            known = self._text.known_facts.facts
            self._registers[places] = FactRegister(tuple([known[place] for place in places]))
        return self._registers[places]

    def _leaf_of_unstated(self, action: str) -> _Leaf:
        """Return the answers that hold before any amendment is in force."""
        nothing = InForce(as_of=date.min, known_at=self._known_at, amendments=(), states=())
        text, question = self._text, self._question(action, date.min)
        case = Case.of(text.agreement, text.catalog, nothing, FactRegister(), question)
        nowhere = LegalPosition(action, (False, False, None), (), (), (), (), (), ())
        return _Leaf(lambda *_: case, nowhere, date.min, self._partitions.of_nothing(action))

    def _question(self, action: str, as_of: date) -> Question:
        """Return a question that names no party: the case reads only its day and its readings."""
        return Question(
            action=action, party="", as_of=as_of, known_at=self._known_at, readings=self._readings
        )


def compile_table(
    agreement: Agreement,
    catalog: Catalog,
    facts: FactRegister,
    known_at: KnownAt,
    readings: Mapping[str, str],
) -> DecisionTable:
    """Compile every question, as known at `known_at`, under `readings` (see `check_readings`)."""
    return DecisionTable(agreement, catalog, facts, known_at, readings).compile_all()


class Tables:
    """An agreement with its facts, and its tables.

    Tables for older knowledge and for other readings are compiled on demand.
    """

    def __init__(self, agreement: Agreement, catalog: Catalog, facts: FactRegister) -> None:
        self.agreement, self.catalog, self.facts = agreement, catalog, facts
        self._points = sorted(
            {amendment.known for amendment in agreement.amendments}
            | {fact.known for fact in facts.facts}
        )
        self._tables: dict[tuple[int, tuple[str, ...]], DecisionTable] = {}
        self._facts_digests: dict[int, str] = {}

    def knowledge(self, known_at: KnownAt) -> int:
        """Return how many announcements were known by then. It is equal for equal knowledge."""
        return bisect_right(self._points, known_at)

    def table(self, known_at: KnownAt, readings: Mapping[str, str]) -> DecisionTable:
        """Return the table for a point of knowledge.

        `readings` holds an option for every reading of the agreement.
        """
        key = (self.knowledge(known_at), tuple(readings[name] for name in self.agreement.readings))
        if key not in self._tables:
            self._tables[key] = DecisionTable(
                self.agreement, self.catalog, self.facts, known_at, readings
            )
        return self._tables[key]

    def answer(self, question: Question) -> Verdict:
        """Return the outcome, reasons and conditions of a question that was checked before."""
        if question.product and not self.catalog.names_product(question.product):
            reason = not_named(self.agreement, question.product)
            return Verdict(Outcome.UNSTATED, (reason,), ())
        return self.table(question.known_at, question.readings).answer(question)

    def decide(self, question: Question) -> Decision:
        """Return the same decision as the engine's `decide`, including its receipt."""
        verdict = self.answer(question)
        knowledge = self.knowledge(question.known_at)
        # All questions of one state of knowledge have the same digest.
        if knowledge not in self._facts_digests:
            self._facts_digests[knowledge] = facts_digest(self.facts.known(question.known_at))
        return Decision(
            outcome=verdict.outcome,
            reasons=verdict.reasons,
            conditions=verdict.conditions,
            turns_on=tuple(self._turns(question, verdict.outcome)),
            as_of=question.as_of,
            known_at=str(question.known_at),
            receipt=receipt(
                self.agreement, self._facts_digests[knowledge], question, verdict.outcome
            ),
        )

    def timeline(self, question: Question) -> tuple[AnsweredStretch, ...]:
        """Return the answers to a question over all days, as known at its `known_at`.

        The question's own `as_of` is ignored. The first span begins on the first day on which
        anything can change; before that day nothing is stated.
        """
        days = boundaries(self.agreement, self.facts, question.known_at)
        spans: list[AnsweredStretch] = []
        for begin, end in pairwise((*days, FOREVER)):
            decision = self.decide(msgspec.structs.replace(question, as_of=begin))
            if spans and _same(spans[-1].decision, decision):
                spans[-1] = msgspec.structs.replace(spans[-1], end=end)
            else:
                spans.append(AnsweredStretch(begin=begin, end=end, decision=decision))
        return tuple(spans)

    def _turns(self, question: Question, outcome: Outcome) -> Iterator[Turn]:
        for reading, option in other_options(self.agreement, question.readings):
            readings = {**question.readings, reading: option}
            varied = msgspec.structs.replace(question, readings=readings)
            changed = self.answer(varied).outcome
            if changed != outcome:
                yield Turn(reading=reading, option=option, outcome=changed)

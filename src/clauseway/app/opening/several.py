"""Several agreements opened together, asked as one is.

See `decisions.joint_answers` for how their answers are joined.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from datetime import date
from functools import partial
from pathlib import Path
from typing import Self, TypeAlias, Unpack

import msgspec

from clauseway.agreement import FactRegister, Precedence, read_facts
from clauseway.agreement.language.definitions import Figure
from clauseway.app.opening.home import Home
from clauseway.app.opening.library import (
    Askable,
    OpenAgreement,
    ProblemList,
    agreement_of,
    open_agreement,
    shipped_unless_named,
)
from clauseway.app.opening.library import with_recorded as one_with_recorded
from clauseway.app.opening.places import read_text
from clauseway.catalog import Catalog
from clauseway.decisions import (
    AnsweredStretch,
    AskedAgreement,
    Decision,
    Question,
    ask_together,
    check_readings_together,
    check_regions_together,
    decide_together,
    joint_catalog,
    own_options,
    supposing_together,
    timeline_together,
)
from clauseway.decisions.parts import NamesGiven
from clauseway.files.folders import list_folder
from clauseway.files.presence import is_folder
from clauseway.values import KnownAt, Problem, check_known, refuse_any


class OpenAgreements(msgspec.Struct, Askable, frozen=True):
    """Agreements in force at once, two or more, each with its own facts."""

    each: tuple[OpenAgreement, ...]

    @property
    def catalog(self) -> Catalog:
        """Return everything that one of them names."""
        return joint_catalog([asked.catalog for asked in self.each])

    def _ask(
        self,
        *,
        as_of: date,
        known_at: KnownAt,
        readings: Mapping[str, str],
        **named: Unpack[NamesGiven],
    ) -> Question:
        return ask_together(
            self.each,
            as_of=as_of,
            known_at=known_at,
            readings=readings,
            unnamed=shipped_unless_named(
                named.get("product", ""), [asked.catalog for asked in self.each]
            ),
            **named,
        )

    def answer(self, question: Question) -> Decision:
        """Answer a question that is checked already."""
        return decide_together(self.each, question)

    def timeline(self, question: Question) -> tuple[AnsweredStretch, ...]:
        """Return the answers to a question over all days, as known at its `known_at`."""
        return timeline_together(self.each, question)

    def timelines(self, questions: Iterable[Question]) -> list[tuple[AnsweredStretch, ...]]:
        """Return the `timeline` of each question."""
        return [self.timeline(question) for question in questions]

    def supposing(self, suppositions: Iterable[str]) -> Self:
        """Return the same agreements with supposed facts, each in those that name what it names;
        in one of them at least."""
        wrong = ProblemList()
        asked: Sequence[AskedAgreement] = self.each
        for text in suppositions:
            asked = wrong.tried(partial(supposing_together, asked, text), asked)
        wrong.refuse()
        return msgspec.structs.replace(self, each=tuple(asked))

    def with_facts_from(self, path: Path) -> "OpenAgreements":
        """Return the same agreements with the facts of a file, which may name whatever one of
        them names."""
        before = self.catalog
        events = {
            name: event
            for asked in reversed(self.each)
            for name, event in asked.agreement.events.items()
        }
        register, after = read_facts(str(path), read_text(path), before, events)
        added = after.parties - before.parties, after.products.keys() - before.products.keys()
        return OpenAgreements(
            tuple(_with_file(asked, register, after, added) for asked in self.each)
        )


# One agreement or several: a question is put to either.
Opened: TypeAlias = OpenAgreement | OpenAgreements


def _with_file(
    asked: OpenAgreement, register: FactRegister, joint: Catalog, added: tuple[Set[str], Set[str]]
) -> OpenAgreement:
    """Return an agreement with a file's facts and with what the file adds: parties, and products
    of classes that it has."""
    parties, products = added
    new = {
        name: joint.products[name]
        for name in products
        if joint.products[name].product_class in asked.catalog.classes
    }
    catalog = msgspec.structs.replace(
        asked.catalog,
        parties=asked.catalog.parties | parties,
        products={**asked.catalog.products, **new},
    )
    facts = asked.facts.with_facts(register.facts)
    return msgspec.structs.replace(asked, catalog=catalog, facts=facts)


def open_agreements(folders: Sequence[Path | str | None]) -> Opened:
    """Open agreements that are in force at once; none given is the built-in one.

    Raise InvalidInput with every problem in their texts.

    >>> from clauseway import open_agreements
    >>> both = open_agreements(["openai-microsoft", "anthropic-clouds"])
    >>> asked = both.decide(
    ...     action="serve", party="openai", product="gpt-5.5", cloud="aws", as_of="2026-05-01"
    ... )
    >>> print(asked.outcome, asked.reasons[0].agreement)
    permitted openai-microsoft
    """
    return _joined([partial(open_agreement, folder) for folder in folders or [None]])


def agreements_with(folders: Sequence[Path], facts: Path | None) -> Opened:
    """Open agreements that are in force at once, with further facts of a file, as the files are
    now. Raise InvalidInput."""
    agreements = open_agreements(folders)
    return agreements if facts is None else agreements.with_facts_from(facts)


def files_of_agreements(folders: Sequence[Path], facts: Path | None) -> tuple[Path, ...]:
    """Return what `agreements_with` reads: the folders, whose time changes with each file that is
    added or removed, their documents, and the file of facts. Agreements that ship have none."""
    there = [folder for folder in folders if is_folder(folder)]
    documents = [file for folder in there for file in list_folder(folder, "*.md")]
    return (*there, *documents, *([] if facts is None else [facts]))


def agreements_of(texts: Sequence[Mapping[str, str]]) -> Opened:
    """Open agreements that are in force at once, each from its texts. Raise InvalidInput."""
    return _joined([partial(agreement_of, documents) for documents in texts])


def _joined(opening: Sequence[Callable[[], OpenAgreement]]) -> Opened:
    wrong = ProblemList()
    # Each is read, so that the problems of all are reported at once.
    read = [wrong.tried(open_one, None) for open_one in opening]
    opened = [asked for asked in read if asked is not None]
    ids = [asked.agreement.id for asked in opened]
    for repeated in sorted({name for name in ids if ids.count(name) > 1}):
        wrong.problems.append(
            Problem(
                what=f"two agreements are {repeated!r}",
                why="a reason names its agreement by the id",
                where="--agreement",
                remedy="Give each folder once, or give one of them another id.",
            )
        )
    wrong.refuse()
    check_regions_together(opened)
    return opened[0] if len(opened) == 1 else OpenAgreements(tuple(opened))


def each_of(opened: Opened) -> tuple[OpenAgreement, ...]:
    """Return the agreements, one or several."""
    return opened.each if isinstance(opened, OpenAgreements) else (opened,)


def title_of(opened: Opened) -> str:
    """Return the titles of the agreements, in one line."""
    return " · ".join(asked.agreement.title for asked in each_of(opened))


def facts_known(opened: Opened) -> int:
    """Return the number of recorded facts. Facts are never changed, only added: where it is the
    same, so is every answer that names both clocks."""
    return sum(len(asked.facts.facts) for asked in each_of(opened))


def own_readings(
    opened: Opened, asked: OpenAgreement, chosen: Mapping[str, str]
) -> Mapping[str, str]:
    """Return the readings of one of the agreements under the chosen options.

    Raise InvalidInput for what none of them defines.
    """
    check_readings_together(each_of(opened), chosen)
    return own_options(asked.agreement, chosen)


def with_recorded(opened: Opened, home: Home) -> Opened:
    """Return the agreements with what was recorded in a home for each."""
    if isinstance(opened, OpenAgreements):
        return OpenAgreements(tuple(one_with_recorded(asked, home) for asked in opened.each))
    return one_with_recorded(opened, home)


def text_hash(opened: Opened) -> str:
    """Return the hash of the text, of several the hashes joined by a plus sign in the order of
    their ids."""
    in_order = sorted(each_of(opened), key=lambda asked: asked.agreement.id)
    return "+".join(asked.agreement.text_digest for asked in in_order)


def figures_of(opened: Opened) -> Mapping[str, Figure]:
    """Return the figures that the agreements declare. Raise InvalidInput if two agreements declare
    the same name differently."""
    figures: dict[str, Figure] = {}
    problems = []
    for asked in each_of(opened):
        for name, figure in asked.agreement.figures.items():
            before = figures.setdefault(name, figure)
            if (before.value, before.standing) != (figure.value, figure.standing):
                why = (
                    f"one agreement has {before.value} ({before.standing}), "
                    f"another {figure.value} ({figure.standing})"
                )
                remedy = "Rename it in one of them, and in the terms that use it."
                problem = f"the figure {name!r} is declared twice"
                problems.append(
                    Problem(what=problem, why=why, where=asked.agreement.id, remedy=remedy)
                )
    refuse_any(problems)
    return figures


def first_clouds(opened: Opened) -> frozenset[str]:
    """Return the clouds that some ship-first term names."""
    return frozenset(
        term.first
        for asked in each_of(opened)
        for amendment in asked.agreement.amendments
        for term in amendment.terms
        if isinstance(term, Precedence)
    )


def check_party(party: str, opened: Opened) -> None:
    """Raise InvalidInput if no agreement names the party; empty stands for all parties."""
    if party:
        why = "the agreement does not name it"
        check_known("--party", [party], opened.catalog.parties, why)

"""A decision compares the terms that name its product, however many an agreement has; a check takes as long as it has
terms and facts."""

import cProfile
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from clauseway import open_agreement
from clauseway.agreement import Amendment, FactRegister, Grant, boundaries
from clauseway.agreement.force import fold
from clauseway.agreement.language.terms import AnyTerm
from clauseway.app.agreements.authoring import new_agreement
from clauseway.app.agreements.checking import all_remarks
from clauseway.app.agreements.explaining import explain
from clauseway.decisions import case
from clauseway.decisions.findings.effects import effects
from clauseway.decisions.findings.emptied import emptied
from clauseway.decisions.findings.fallen import fallen_rights
from clauseway.decisions.reach import outside
from clauseway.values import Citation, KnownAt

TERMS = 200
HEAD = (
    "---\nid: A3\ntitle: Many\nannounced: 2025-08-01\neffective: 2025-08-01\nsources: [contract]\n---\n\n## 3.1 Many\n"
)
TERM = """
```yaml term
id: A3.t{at}
kind: prohibition
parties: [vendor]
actions: [serve]
products: [p{at}]
source: [contract]
```
"""


def folder_of(folder: Path, terms: int) -> Path:
    """An agreement with this many terms, each about a product of its own."""
    new_agreement(folder)
    defined = folder / "agreement.md"
    last = "  next-assistant: {class: service.api}\n"
    more = "".join(f"  p{at}: {{class: service.api}}\n" for at in range(terms))
    defined.write_text(defined.read_text().replace(last, last + more))
    (folder / "A3.md").write_text(HEAD + "".join(TERM.format(at=at) for at in range(terms)))
    return folder


def test_terms_on_other_products_are_not_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = folder_of(tmp_path / "many", TERMS)
    compared: set[str] = set()

    def noted(*given: object) -> str:
        compared.add(given[0].id)  # type: ignore[attr-defined]
        return outside(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(case, "outside", noted)
    decision = open_agreement(folder).decide(
        action="serve", party="vendor", product="p7", cloud="vendor-cloud", as_of=date(2026, 1, 1)
    )
    assert (decision.outcome, decision.reasons[0].term) == ("forbidden", "A3.t7")
    assert {term for term in compared if term.startswith("A3.")} == {"A3.t7"}


@pytest.fixture
def folded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Each term whose state on a day is found from now on."""
    terms: list[str] = []
    states = fold._Fold.states

    def noted(self: fold._Fold, term: AnyTerm, amendment: Amendment, order: int) -> Iterator[fold.TermState]:
        terms.append(term.id)
        return states(self, term, amendment, order)

    monkeypatch.setattr(fold._Fold, "states", noted)
    return terms


def test_the_answers_of_other_days_need_no_fold_of_their_own(tmp_path: Path, folded: list[str]) -> None:
    opened = open_agreement(folder_of(tmp_path / "many", TERMS))
    question = opened.question(
        action="serve", party="vendor", product="p7", cloud="vendor-cloud", as_of=date(2026, 1, 1)
    )
    days = len(boundaries(opened.agreement, opened.facts, question.known_at))
    folded.clear()
    opened.timeline(question)
    # Once for each reading.
    assert folded.count("A3.t9") <= 2 < days
    folded.clear()
    assert explain(opened, question).would_change
    # The answer itself and its readings, the other days, and each fact that is supposed.
    facts = len(opened.catalog.events) + 2
    assert folded.count("A3.t9") <= 2 + 2 + facts


def test_a_check_of_twice_as_many_terms_folds_twice_as_many(tmp_path: Path, folded: list[str]) -> None:
    counts = []
    for terms in (50, 100, 200):
        opened = open_agreement(folder_of(tmp_path / str(terms), terms))
        folded.clear()
        all_remarks(opened, effects(opened.agreement, opened.catalog, opened.facts))
        counts.append(len(folded))
    # The agreement's other terms count the same each time.
    once, twice, four_times = counts
    assert four_times - twice <= 2.2 * (twice - once)


def grants(count: int) -> FactRegister:
    """A grant of the same product on each of so many days."""
    begin, citation = date(2024, 1, 1), Citation(term="", amendment="", document="", line=0, source="", text="")
    return FactRegister(
        tuple(
            Grant(
                effective=begin + timedelta(days=day),
                known=KnownAt(1, day),
                citation=citation,
                id=f"F{day}",
                party="google",
                product="gpt-5.5",
            )
            for day in range(count)
        )
    )


def test_a_check_of_four_times_as_many_facts_is_no_more_than_four_times_as_much_work() -> None:
    opened = open_agreement()
    counts = []
    for count in (100, 400):
        profile = cProfile.Profile()
        profile.runcall(fallen_rights, opened.agreement, opened.catalog, grants(count))
        profile.runcall(emptied, opened.agreement, opened.catalog, grants(count))
        profile.runcall(effects, opened.agreement, opened.catalog, grants(count))
        counts.append(sum(entry.callcount for entry in profile.getstats()))
    assert counts[1] <= 4 * counts[0]

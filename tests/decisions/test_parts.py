"""The one list of a question's parts: every place that knows each part by itself names them all."""

import inspect
from datetime import date
from typing import get_type_hints

import pytest

from clauseway import KnownAt, open_agreement
from clauseway.agreement.language.actions import LICENSEES, PARTIES, TAKES
from clauseway.agreement.language.terms import PLACES, Scope
from clauseway.agreement.soundness.lives import WHERE
from clauseway.app.opening.library import QuestionParts
from clauseway.app.screens.lawyer_page import lawyer_page
from clauseway.cli import options
from clauseway.decisions import DecisionTable, Question
from clauseway.decisions.parts import BEHIND, BY_NAME, PARTS, SCOPED, NameLists, Names, NamesGiven
from clauseway.decisions.question import QuestionRecord
from clauseway.decisions.reach import Act
from clauseway.decisions.searches.compare import Box, Combination
from clauseway.decisions.searches.proof import Within
from clauseway.exchange.question_files import COLUMNS
from clauseway.web.lawyer import QUESTION_QUERY, QuestionAsked
from in_process import run

NAMES = {part.name for part in PARTS}
LISTS = {part.lists for part in PARTS}
SCOPED_LISTS = {part.lists for part in SCOPED}
# Beside the parts, a question says as of and known at which days, and how it is read.
POINTS = {"as_of", "known_at"}


@pytest.mark.parametrize(
    ("place", "named", "parts"),
    [
        ("names", set(Names.__struct_fields__), NAMES),
        ("keywords", set(get_type_hints(NamesGiven)), NAMES),
        ("lists of names", set(NameLists.__struct_fields__), LISTS),
        ("question", set(Question.__struct_fields__) - {"readings"}, NAMES | POINTS),
        ("act", set(Act.__struct_fields__), NAMES),
        ("combination", set(Combination.__struct_fields__), NAMES),
        ("library", set(get_type_hints(QuestionParts)) - {"reading"}, NAMES | POINTS),
        ("columns of a file", set(COLUMNS), NAMES | POINTS),
        ("question on a page", set(QUESTION_QUERY) - {"reading", "suppose"}, NAMES | POINTS),
        ("flags of a question", set(options.QuestionFlags.__struct_fields__), NAMES),
        ("flags of a claim", set(options.ClaimFlags.__struct_fields__), NAMES),
        (
            "look-up",
            set(inspect.signature(DecisionTable.look_up).parameters) - {"self", "as_of"},
            NAMES,
        ),
        ("words behind the act", {part.name for part in BEHIND} | {"action", "party", "product"}, NAMES),
        # A part that terms may keep to is a word of the language too.
        ("scopes of terms", set(Scope.__struct_fields__) - {"actions", "products"}, SCOPED_LISTS),
        ("parts that an action takes", set().union(*TAKES.values()) - {PARTIES, LICENSEES}, SCOPED_LISTS),
        ("parts that a kind may name", set(PLACES), SCOPED_LISTS),
        ("places that checks compare", set(WHERE), SCOPED_LISTS),
    ],
)
def test_a_place_names_every_part(place: str, named: set[str], parts: set[str]) -> None:
    assert named == parts, f"{place}: {sorted(named ^ parts)}"


def test_records_of_several_names_take_them_from_the_list() -> None:
    for record in (Box, Within):
        assert issubclass(record, NameLists)
    assert issubclass(QuestionRecord, Names)


def test_the_defaults_of_the_list_are_those_of_a_question() -> None:
    asked = Names(action="serve", party="openai")
    optional = {name: value for name, value in asked.named().items() if not BY_NAME[name].needed}
    assert optional == {name: BY_NAME[name].default for name in optional}


def test_the_line_of_a_decision_names_every_part_asked() -> None:
    asked = (
        "decide --action serve --party OpenAI --product gpt-5.5 --cloud AWS --as-of 2026-05-01"
        " --seller microsoft --segment us-national-security --region us-east-1"
    )
    line = run(*asked.split()).stdout.splitlines()[0]
    assert line.endswith("openai: serve gpt-5.5 on aws in us-east-1 for us-national-security, sold by microsoft")


def test_the_lawyers_form_has_a_field_for_every_part() -> None:
    form = lawyer_page(open_agreement(), QuestionAsked(), date(2026, 5, 1), KnownAt.everything()).form
    labels = {field.name: field.label for field in (*form.sentence, *form.further)}
    assert {name: labels.get(name) for name in NAMES} == {part.name: part.field.label for part in PARTS}
    below = [part.name for part in PARTS if part.name in form.further_named.lower()]
    assert below == [part.name for part in PARTS if not part.field.place]

"""docs/terms.md is the language: its tables are the records', and what each cell says is what the reader does."""

from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import get_args

import msgspec
import pytest

import terms_at_hand
from clauseway import InvalidInput
from clauseway.agreement.authoring.json_schema import block_schema
from clauseway.agreement.language.actions import TERM_ACTIONS
from clauseway.agreement.language.kinds import tables
from clauseway.agreement.language.shares import ShareBase
from clauseway.agreement.language.terms import (
    KINDS,
    LIMITS,
    NOUNS,
    SCOPES,
    AnyTerm,
    Forbidding,
    Inoperative,
    Located,
    Only,
    Scope,
    Traded,
)

ROOT = Path(__file__).parents[2]


def test_the_document_shows_the_tables() -> None:
    document = (ROOT / "docs" / "terms.md").read_text("utf-8")
    assert document.endswith(f"## Kind by kind\n\n{tables()}")


def test_every_kind_has_a_record() -> None:
    assert {kind.term for kind in KINDS.values()} == set(get_args(AnyTerm))


@pytest.mark.parametrize(
    ("family", "fields"),
    [
        (Forbidding, {"actions", "products", "except_"}),
        (Traded, {"actions", "products", "sellers", "segments", "regions"}),
        (Located, {"actions", "products", "clouds", "sellers", "segments", "regions"}),
    ],
)
def test_a_family_is_every_kind_whose_scope_has_its_fields(family: UnionType, fields: set[str]) -> None:
    alike = {record for record in (Scope, *get_args(AnyTerm)) if fields <= set(record.__struct_fields__)}
    assert alike - {Scope} == set(get_args(family)) - {Scope}


def test_a_kind_without_an_effect_is_of_no_other_family() -> None:
    inoperative = {kind for kind in get_args(AnyTerm) if issubclass(kind, Inoperative)}
    assert inoperative.isdisjoint({*get_args(Forbidding), *get_args(Traded), *get_args(Located)})


# The fields of terms, and of scopes in them, that hold no names of the agreement.
PLAIN = {
    *("id", "citation", "begins", "until", "through", "from_", "while_", "while_no", "under", "despite"),
    *("binds", "since", "unless", "lead_days", "subject", "about", "exclusive", "sole"),
    *("rate", "tiers", "cap", "cap_opening", "floors", "payment", "withholding", "late", "wholesale"),
}


def test_every_field_of_a_term_is_known_to_hold_names_or_none() -> None:
    """A field that names something is checked against the definitions only if `names` lists it."""
    records = [*get_args(AnyTerm), Scope, Only, ShareBase]
    fields = {field.name for record in records for field in msgspec.structs.fields(record)}
    assert fields - PLAIN == {*NOUNS, *SCOPES}


PRODUCTS = {"contract-compute": "rooms", "license": "rights", "use-under-licence": "rights"}
# How each part is written where the kind has it under its own name.
WRITTEN = {
    "clouds": "clouds: [north]",
    "sellers": "sellers: [shop]",
    "segments": "segments: [state]",
    "regions": "regions: [eu]",
}
HEADS = {
    "permission": "party: partner",
    "exclusivity": "only: {parties: [partner]}",
    "prohibition": "parties: [partner]",
    "precedence": "party: maker\nfirst: north\nbinds: every-product\nsince: 2026-01-01",
    "refusal-right": "holder: partner\nsubject: it",
    "licence": "licensor: maker\nlicensee: partner\nproducts: [rights]",
}


def cells() -> Iterator[tuple[str, str, str]]:
    for name, kind in KINDS.items():
        for action in TERM_ACTIONS if kind.actions else ():
            yield name, action, ""
            for part in LIMITS:
                if part in kind.keys:
                    yield name, action, part


def term(name: str, action: str, part: str) -> str:
    product = PRODUCTS.get(action, "apps")
    assert name in HEADS, f"HEADS says nothing of {name}: what a term of it needs beside actions and products"
    lines = [f"id: t\nkind: {name}", *filter(None, [HEADS[name]])]
    if name == "licence":
        kept = f", {WRITTEN[part]}" if part else ""
        return "\n".join([*lines, f"carries: [{{actions: [{action}], products: [{product}]{kept}}}]"])
    lines += [f"actions: [{action}]", f"products: [{product}]"]
    if name == "exclusivity" and part == "licensees":
        lines[1] = "only: {licensees: [partner]}"
    elif name == "refusal-right" and part == "parties":
        lines.append("grantor: maker")
    elif name == "refusal-right" and part == "clouds":
        lines.append("except-clouds: [north]")
    elif part in WRITTEN:
        lines.append(WRITTEN[part])
    return "\n".join(lines)


@pytest.mark.parametrize(("name", "action", "part"), list(cells()))
def test_a_cell_is_what_the_reader_does(name: str, action: str, part: str) -> None:
    texts = terms_at_hand.documents(term(name, action, part))
    texts["agreement.md"] = texts["agreement.md"].replace("segments:", "regions: {eu: {north: [n-1]}}\nsegments:")
    reason = KINDS[name].refusal(action, part)
    if not reason:
        terms_at_hand.reading(texts)
        return
    with pytest.raises(InvalidInput) as refused:
        terms_at_hand.reading(texts)
    assert reason in [problem.what for problem in refused.value.problems]


def test_a_carve_out_without_actions_is_of_the_terms_own() -> None:
    """It names a cloud, and licensing takes none."""
    text = "id: t\nkind: prohibition\nparties: [rival]\nactions: [license]\nproducts: [rights]\n"
    with pytest.raises(InvalidInput) as refused:
        terms_at_hand.at_hand(f"{text}except: [{{clouds: [north]}}]")
    assert [problem.what for problem in refused.value.problems] == ["license takes no clouds"]


def test_the_schema_enumerates_actions() -> None:
    permission = block_schema()["$defs"]["term.permission"]
    assert permission["properties"]["actions"]["items"]["enum"] == list(TERM_ACTIONS)
    assert permission["additionalProperties"] is False

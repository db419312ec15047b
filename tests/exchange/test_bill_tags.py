"""The tags of a bill's row, as each cloud writes them."""

import pytest

from clauseway.exchange.focus.bill_tags import tags_of


def labelled(key: str, value: str | None, inherited: bool = False) -> dict[str, object]:
    """As Google's view has a label or a tag."""
    return {"key": key, "value": value, "x_type": "label", "x_inherited": inherited, "x_namespace": "n/a"}


# who writes so | what the column holds | values by key
FORMS: list[tuple[str, object, dict[str, tuple[str, ...]]]] = [
    ("a row without tags", None, {}),
    ("AWS in CSV, no tags", "{}", {}),
    ("Azure and Oracle", '{"team": "search", "env": "prod"}', {"team": ("search",), "env": ("prod",)}),
    ("AWS in CSV", '{"user:team":"search"}', {"user:team": ("search",)}),
    ("AWS in Parquet", [("resourceTags/team", "search"), ("a", "")], {"resourceTags/team": ("search",)}),
    ("Azure, without braces", '"team": "search","env": "prod"', {"team": ("search",), "env": ("prod",)}),
    ("Google", [labelled("team", "search")], {"team": ("search",)}),
    ("Google as JSON", '[{"key": "team", "value": "search", "x_inherited": false}]', {"team": ("search",)}),
    (
        "its own label before that of the project",
        [labelled("team", "p", True), labelled("team", "s")],
        {"team": ("s",)},
    ),
    ("a label of the project alone", [labelled("team", "p", True)], {"team": ("p",)}),
    ("a label and a tag that differ", [labelled("team", "a"), labelled("team", "b")], {"team": ("a", "b")}),
    ("a label and a tag that agree", [labelled("team", "a"), labelled("team", "a")], {"team": ("a",)}),
    ("a key that stands twice", '{"team": "a", "team": "b"}', {"team": ("a", "b")}),
    ("spellings stay", '{"Team": " Search"}', {"Team": (" Search",)}),
    ("an empty value, and none", '{"team": "", "env": null}', {}),
    ("a tag without values", '{"team": true}', {"team": ("true",)}),
    ("numbers as they are written", '{"centre": 4210, "unit": 12.10}', {"centre": ("4210",), "unit": ("12.10",)}),
]


@pytest.mark.parametrize(("written", "tags"), [form[1:] for form in FORMS], ids=[form[0] for form in FORMS])
def test_tags_are_read_as_they_are_written(written: object, tags: dict[str, tuple[str, ...]]) -> None:
    assert tags_of(written) == tags


# Deeper than any tag, and not so deep that every Python refuses it by itself.
DEEP = f'{{"team": {"[" * 900}{"]" * 900}}}'


@pytest.mark.parametrize("written", ["{broken", "search", "5", '"search"', "[1]", 5, [{"name": "team"}], DEEP])
def test_what_is_no_form_of_tags_is_said(written: object) -> None:
    with pytest.raises(ValueError, match=r"neither JSON|has no key"):
        tags_of(written)

"""A question that is none is refused whole, with every problem in it, and never with anything but InvalidInput."""

from collections.abc import Iterable
from typing import Any

import pytest
from every_question import partnership
from hypothesis import example, given, settings
from hypothesis import strategies as st

from clauseway import InvalidInput
from soak import examples

GOOD = {"action": "serve", "party": "openai", "product": "gpt-5.5", "cloud": "aws", "as_of": "2026-05-01"}


def problems(suppose: Iterable[str] = (), **parts: Any) -> list[tuple[str, str]]:
    """Where each problem is and what it is, of a question that must be refused."""
    with pytest.raises(InvalidInput) as refused:
        partnership().decide(suppose=suppose, **GOOD | parts)
    assert all(problem.why and problem.remedy for problem in refused.value.problems)
    return [(problem.where, problem.what) for problem in refused.value.problems]


# Differences from the good question, separated by semicolons | the place of the problem | the problem
REFUSED = """
action=host                                       | --action     | unknown name 'host'
action=                                           | --action     | no name is given
party=nobody                                      | --party      | unknown name 'nobody'
party=                                            | --party      | no name is given
party=OpenAI                                      | --party      | unknown name 'OpenAI'
cloud=gcp                                         | --cloud      | unknown name 'gcp'
cloud=                                            | --cloud      | it is missing
segment=military                                  | --segment    | unknown name 'military'
segment=                                          | --segment    | no name is given
product=gpt-9                                     | --product    | unknown name 'gpt-9'
product=                                          | --product    | it is missing
product=api                                       | --product    | 'api' is a wider class
product=joint                                     | --product    | 'joint' is a wider class
product=ip                                        | --product    | 'ip' is a wider class
product=ip.models                                 | --product    | serve does not take 'ip.models'
product=compute.new                               | --product    | serve does not take 'compute.new'
product=hardware                                  | --product    | serve does not take 'hardware'
action=sell; product=research                     | --product    | sell does not take 'research'
action=contract-compute; product=gpt-5.5          | --product    | contract-compute does not take 'gpt-5.5'
action=contract-compute; product=compute.new; cloud= | --cloud   | it is missing
action=use-under-licence; product=chatgpt         | --product    | use-under-licence does not take 'chatgpt'
action=license; to=amazon; product=gpt-oss-120b   | --product    | license does not take 'gpt-oss-120b'
action=license; product=ip.models                 | --to         | it is missing
action=license; product=ip.models; to=nobody      | --to         | unknown name 'nobody'
action=license; product=ip.models; to=amazon; cloud=moon | --cloud | unknown name 'moon'
action=share-revenue                              | --to         | it is missing
action=license; product=ip.models; to=openai       | --to         | 'openai' is the party itself
action=share-revenue; to=openai                    | --to         | 'openai' is the party itself
action=share-revenue; to=microsoft; product=gpt-9 | --product    | unknown name 'gpt-9'
action=share-revenue; to=microsoft; product=api   | --product    | 'api' is a wider class
to=microsoft                                      | --to         | it has no meaning here
action=sell; seller=amazon                        | --seller     | 'amazon' is not the party
seller=nobody                                     | --seller     | unknown name 'nobody'
action=license; product=ip.models; to=amazon; seller=openai | --seller | it has no meaning here
action=contract-compute; product=compute.new; seller=openai | --seller | it has no meaning here
region=us\teast                                   | --region     | 'us\\teast' is not a region
as_of=2026-5-1                                    | --as-of      | '2026-5-1' is not a day
as_of=2026-02-30                                  | --as-of      | '2026-02-30' is not a day
as_of=9999-12-31                                  | --as-of      | 9999-12-31 cannot be asked about
known_at=yesterday                                | --known-at   | 'yesterday' is not a day
known_at=2026-04-27T25:00:00                      | --known-at   | '2026-04-27T25:00:00' is no instant
known_at=0001-01-01T00:00:00+14:00                | --known-at   | '0001-01-01T00:00:00+14:00' is no instant
reading=R1:maybe                                  | --reading R1 | unknown name 'maybe'
reading=R9:and                                    | --reading    | unknown name 'R9'
reading=R2:and                                    | --reading    | unknown name 'R2'
suppose=                                          | --suppose    | cannot suppose ''
suppose=milestone                                 | --suppose    | cannot suppose 'milestone'
suppose=milestone=                                | --suppose    | '' is not a day
suppose=milestone=soon                            | --suppose    | 'soon' is not a day
suppose=milestone:declared=2027-01-01             | --suppose    | cannot suppose 'milestone:declared=2027-01-01'
suppose=launch:new-model:azure=2026-05-01         | --suppose    | cannot suppose 'launch:new-model:azure=2026-05-01'
suppose=launch:new-model:moon:preview=2026-05-01  | --suppose    | unknown cloud 'moon'
suppose=launch:new-model:azure:beta=2026-05-01    | --suppose    | unknown stage 'beta'
suppose=launch:app:azure:preview=2026-05-01       | --suppose    | unknown product 'app'
suppose=answer:new-model:declines=2026-05-01      | --suppose    | cannot suppose 'answer:new-model:declines=2026-05-01'
suppose=answer:nothing:can+chooses=2026-05-01     | --suppose    | unknown product 'nothing'
suppose=offer:compute:taken=2025-03-01            | --suppose    | cannot suppose 'offer:compute:taken=2025-03-01'
suppose=grant:nobody:gpt-5.5=2026-05-01           | --suppose    | unknown party 'nobody'
suppose=grant:google:nothing=2026-05-01           | --suppose    | unknown product 'nothing'
"""


def rows() -> list[tuple[str, str, str]]:
    cells = [[cell.strip() for cell in line.split("|")] for line in REFUSED.strip().splitlines()]
    return [(asked, where, what) for asked, where, what in cells]


@pytest.mark.parametrize(("asked", "where", "what"), rows())
def test_what_is_no_question_is_refused_and_says_where(asked: str, where: str, what: str) -> None:
    parts: dict[str, Any] = {}
    for part in asked.split(";"):
        key, _, value = part.strip().partition("=")
        parts[key] = dict([value.split(":")]) if key == "reading" else [value] if key == "suppose" else value
    assert problems(**parts) == [(where, what)]


def test_every_problem_is_told_at_once() -> None:
    messages = problems(
        action="sell",
        party="nobody",
        product="research",
        cloud="moon",
        to="amazon",
        seller="amazon",
        segment="military",
        as_of="yesterday",
        known_at="tomorrow",
        reading={"R1": "maybe", "R9": "x"},
        suppose=["milestone", "launch:x:y:z=2026-05-01"],
    )
    assert sorted(where for where, _ in messages) == sorted(
        ["--party", "--product", "--cloud", "--to", "--seller", "--segment", "--as-of", "--known-at"]
        + ["--reading R1", "--reading", "--suppose"]
        + ["--suppose"] * 3  # of the launch: its product, its cloud and its stage
    )


def test_a_near_miss_is_told_the_name_that_was_meant() -> None:
    parts: dict[str, Any] = GOOD | {"product": "gpt5.5"}
    with pytest.raises(InvalidInput, match=r"Did you mean 'gpt-5\.5'"):
        partnership().decide(**parts)


# A party where a cloud belongs, or the other way round | what to do
OTHERS = [
    ({"cloud": "amazon"}, "amazon is a party: name its cloud, aws."),
    ({"party": "aws"}, "aws is a cloud: name its party, amazon."),
    ({"seller": "azure"}, "azure is a cloud: name its party, microsoft."),
]


@pytest.mark.parametrize(("part", "remedy"), OTHERS)
def test_a_party_is_shown_its_cloud_and_a_cloud_its_party(part: dict[str, Any], remedy: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        partnership().decide(**(GOOD | part))
    assert [problem.remedy for problem in refused.value.problems] == [remedy]


# A part that may be left out or is without effect | the same question in other words
SAME = [
    ({}, {"seller": "openai"}),
    ({}, {"segment": "any"}),
    ({}, {"region": "us-east-2"}),
    ({"action": "sell"}, {"action": "sell", "seller": "openai"}),
    ({"action": "license", "product": "ip.models", "to": "amazon", "cloud": ""}, {"cloud": "oci"}),
    ({"action": "use-under-licence", "party": "amazon", "product": "ip.models", "cloud": ""}, {"cloud": "aws"}),
    ({"action": "share-revenue", "to": "microsoft", "product": "", "cloud": ""}, {"cloud": "aws"}),
    ({"action": "share-revenue", "to": "microsoft", "product": "", "cloud": ""}, {"product": "gpt-5.5"}),
    ({"action": "share-revenue", "to": "microsoft", "product": "", "cloud": ""}, {"product": "ip.models"}),
]


@pytest.mark.parametrize(("question", "more"), SAME)
def test_what_may_be_left_out_changes_nothing(question: dict[str, str], more: dict[str, str]) -> None:
    parts: dict[str, Any] = GOOD | question
    first, second = partnership().decide(**parts), partnership().decide(**parts | more)
    assert (first.outcome, first.reasons, first.conditions, first.turns_on) == (
        second.outcome,
        second.reasons,
        second.conditions,
        second.turns_on,
    )


ANY_TEXT = st.text(max_size=12)
NEARLY = st.sampled_from(
    ["openai", "microsoft", "serve", "license", "share-revenue", "gpt-5.5", "api", "ip.models", "aws", "azure", "any"]
)
DAY = st.sampled_from(["2026-05-01", "0001-01-01", "9999-12-31", "9999-12-30", "2026-05-01T10:00:00-23:59"])
SUPPOSED = st.lists(
    st.lists(st.sampled_from(["milestone", "launch", "answer", "grant", "offer", ":", "=", "+"]) | NEARLY | DAY)
    .map("".join)
    .filter(lambda text: len(text) < 60)
    | ANY_TEXT,
    max_size=3,
)


@settings(max_examples=examples(400))
@given(
    parts=st.fixed_dictionaries(
        {"action": NEARLY | ANY_TEXT, "party": NEARLY | ANY_TEXT},
        optional={
            **dict.fromkeys(("product", "cloud", "to", "seller", "segment", "region"), NEARLY | ANY_TEXT),
            **dict.fromkeys(("as_of", "known_at"), DAY | ANY_TEXT),
            "reading": st.dictionaries(st.sampled_from(["R1", "R3"]) | ANY_TEXT, st.sampled_from(["or"]) | ANY_TEXT),
        },
    ),
    suppose=SUPPOSED,
)
@example(parts=GOOD | {"region": "\ud800"}, suppose=[])
@example(parts=GOOD | {"known_at": "9999-12-31T23:59:59-23:59"}, suppose=[])
@example(parts=GOOD | {"party": "\ud800"}, suppose=["\ud800"])
@example(parts=GOOD, suppose=["grant:\ud800:gpt-5.5=2026-05-01"])
@example(parts=GOOD | {"as_of": "0001-01-01", "known_at": "0001-01-01"}, suppose=["milestone=0001-01-01"])
def test_any_text_is_answered_or_refused(parts: dict[str, Any], suppose: list[str]) -> None:
    try:
        message = str(partnership().decide(suppose=suppose, **parts).outcome)
    except InvalidInput as refused:
        message = str(refused)
    assert message

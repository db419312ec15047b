"""`timeline`, `diff` and `brief` from the command line: text for people, JSON for machines, pictures into files."""

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from in_process import run

ROOT = Path(__file__).parents[2]
RIGHT = ("agreement", "timeline", "--action", "serve", "--party", "openai", "--product", "gpt-5.5", "--cloud", "aws")
KNOWN = ("--known-at", "2026-11-01")


def answer(*arguments: str) -> dict[str, Any]:
    done = run(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert isinstance(result, dict)
    return result


def problems(*arguments: str) -> list[tuple[str, str]]:
    done = run(*arguments, "--json")
    assert done.returncode == 3, done.stderr
    return [(problem["where"], problem["what"]) for problem in json.loads(done.stdout)["error"]["problems"]]


def test_a_timeline_has_the_days_the_outcome_and_the_clause() -> None:
    result = answer(*RIGHT, *KNOWN)
    (right,) = result["rights"]
    assert right["right"] == "OpenAI serves gpt-5.5 on AWS"
    assert [(span["begin"], span["end"], span["outcome"], span["clause"]) for span in right["spans"]] == [
        ("2023-01-01", "2023-01-23", "unstated", ""),
        ("2023-01-23", "2025-01-21", "forbidden", "A1 1.2, A1.md:28; S1"),
        ("2025-01-21", "2025-10-28", "forbidden", "A2 2.2, A2.md:36; S1, P"),
        ("2025-10-28", "2026-02-27", "forbidden", "A3 3.3, A3.md:59; S1, P"),
        ("2026-02-27", "2026-04-27", "forbidden", "A4 4.2, A4.md:20; S1, P"),
        ("2026-04-27", "2034-01-01", "permitted", "A5 5.1, A5.md:24; S2, S4"),
    ]


def test_people_read_the_last_day_of_each_span() -> None:
    shown = run(*RIGHT, *KNOWN, "--from", "2026", "--until", "2027").stdout.splitlines()
    assert shown[:3] == [
        "The OpenAI–Microsoft partnership, 2026 to 2027 · known at 2026-11-01T23:59:59Z",
        "",
        "OpenAI serves gpt-5.5 on AWS",
    ]
    assert [line.split()[:4] for line in shown[3:]] == [
        ["from", "through", "outcome", "clause"],
        ["2026-01-01", "2026-02-26", "forbidden", "A3"],
        ["2026-02-27", "2026-04-26", "forbidden", "A4"],
        ["2026-04-27", "2027-12-31", "permitted", "A5"],
    ]


def test_the_payee_and_the_last_year_are_both_named_by_to() -> None:
    share = ("agreement", "timeline", "--action", "share-revenue", "--party", "openai", "--to", "microsoft")
    result = answer(*share, "--from", "2030", "--until", "2031", *KNOWN, "--suppose", "milestone=2027-01-01")
    assert (result["begin"], result["end"]) == ("2030-01-01", "2032-01-01")
    assert [(span["begin"], span["outcome"]) for span in result["rights"][0]["spans"]] == [
        ("2030-01-01", "permitted"),
        ("2031-01-01", "forbidden"),
    ]


def test_pictures_are_written(tmp_path: Path) -> None:
    svg, png = tmp_path / "rights.svg", tmp_path / "rights.png"
    done = run("agreement", "timeline", "--all", *KNOWN, "--svg", str(svg), "--png", str(png))
    assert done.returncode == 0, done.stderr
    titles = [element.text or "" for element in ElementTree.parse(svg).iter("{http://www.w3.org/2000/svg}title")]
    assert titles[0] == "The OpenAI–Microsoft partnership, 2023 to 2033"
    assert any(title.startswith("OpenAI serves gpt-5.5 on AWS: permitted, 2026-04-27") for title in titles)
    shares = [title for title in titles if "a revenue share:" in title]
    assert {title.split(": ")[1].split(",")[0] for title in shares} == {"unstated", "due", "not due"}
    assert png.read_bytes().startswith(b"\x89PNG\r\n")
    assert "OpenAI owes Microsoft a revenue share" in done.stdout


def test_the_picture_in_the_documents_is_what_the_command_draws(tmp_path: Path) -> None:
    drawn = tmp_path / "rights.svg"
    assert run("agreement", "timeline", "--all", *KNOWN, "--svg", str(drawn)).returncode == 0
    again = "draw it again: clauseway agreement timeline --all --known-at 2026-11-01 --svg docs/rights.svg"
    assert drawn.read_text() == (ROOT / "docs/rights.svg").read_text(), again


@pytest.mark.parametrize(
    ("arguments", "where", "what"),
    [
        (
            (*RIGHT, "--from", "2030", "--until", "2020"),
            "--from, --until",
            "from 2030 to 2020 there are no years to draw",
        ),
        ((*RIGHT, "--all"), "--action --party --product --cloud", "it has no meaning here"),
        ((*RIGHT, "--svg", "/no/such/folder/x.svg"), "/no/such/folder/x.svg", "the picture cannot be written"),
        (
            (
                "agreement",
                "timeline",
            ),
            "--action --party",
            "it is missing",
        ),
        (("agreement", "diff", "A4", "A9"), "AMENDMENT", "there is no amendment 'A9'"),
        (
            (
                "agreement",
                "diff",
            ),
            "diff",
            "these are not two sides",
        ),
        (("agreement", "diff", "--as-of", "2026-04-27"), "diff", "these are not two sides"),
        (("agreement", "diff", "A1", "A2", "A3"), "diff", "these are not two sides"),
        (("agreement", "diff", "A4", "--as-of", "2026-04-27"), "diff", "these are not two sides"),
        (("agreement", "brief", "B1"), "AMENDMENT", "there is no amendment 'B1'"),
    ],
)
def test_what_is_refused(arguments: tuple[str, ...], where: str, what: str) -> None:
    errors = problems(*arguments)
    assert {text for _, text in errors} == {what}
    assert " ".join(flag for flag, _ in errors) == where


def test_a_diff_tells_every_change_in_groups_and_one_by_one() -> None:
    result = answer("agreement", "diff", "A4", "A5")
    assert (result["before"]["up_to"], result["after"]["up_to"]) == ("A4", "A5")
    assert sum(group["count"] for group in result["groups"]) == len(result["changed"]) > 2000
    sentences = {group["sentence"]: group["place"] for group in result["groups"]}
    lifted = (
        "OpenAI may now serve and sell gpt-5.5 and gpt-5.4 on any cloud but Azure to all but us-national-security "
        "customers: forbidden → permitted"
    )
    assert sentences[lifted] == "A5 5.1, A5.md:24; S2, S4"
    assert {change["before"] == change["after"] for change in result["changed"]} == {False}


def test_a_diff_of_what_was_known() -> None:
    result = answer(
        "agreement", "diff", "--as-of", "2026-05-01", "--known-at", "2026-03-31", "--known-at", "2026-03-31"
    )
    assert (result["groups"], result["changed"]) == ([], [])
    done = run("agreement", "diff", "--as-of", "2026-05-01", "--known-at", "2026-03-31", "--known-at", "2026-04-26")
    assert done.stdout.splitlines() == [
        "before: as of 2026-05-01, known at 2026-03-31T23:59:59Z",
        "after:  as of 2026-05-01, known at 2026-04-26T23:59:59Z",
        "",
        "Nothing changes.",
    ]
    learnt = answer(
        "agreement", "diff", "--as-of", "2026-05-01", "--known-at", "2026-03-31", "--known-at", "2026-04-30"
    )
    assert learnt["changed"]


def test_a_brief_is_a_page_and_the_same_as_json() -> None:
    page, document = run("agreement", "brief", "A4"), answer("agreement", "brief", "A4")
    assert page.returncode == 0
    assert [line for line in page.stdout.splitlines() if line.startswith("#")] == [
        "# A4: The joint statement",
        "## What happened",
        "## Why it matters",
        "## Key numbers",
        "## Quick answers",
        "## Since then, until A5",
        "## Sources",
    ]
    for said in (*document["what_happened"], *document["why_it_matters"]):
        assert f"- {said['text']} ({said['place']})\n" in page.stdout

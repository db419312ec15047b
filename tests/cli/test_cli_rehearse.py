"""`rehearse` as a person calls it: what it prints, and what it refuses."""

from decimal import Decimal as D
from pathlib import Path

import pytest

from clauseway.app.opening.home import Home
from in_process import answer, run
from metered_months import assumed, metered_home

DRAFT = """---
id: A6
title: Home again
announced: 2027-01-01
effective: 2027-01-01
sources: [P]
---

# A6 Home again

## 6.1 On Azure alone

```yaml term
id: A6.api
kind: exclusivity
actions: [serve, sell]
products: [api.stateless]
only: {clouds: [azure]}
source: [P]
```
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = metered_home(tmp_path_factory.mktemp("months"))
    (home.root / "A6.md").write_text(DRAFT)
    return home


def flags(home: Home) -> list[str]:
    return [str(home.root / "A6.md"), "--home", str(home.root)]


def test_requests_with_their_terms_and_months_with_their_differences(home: Home) -> None:
    result = run("agreement", "rehearse", *flags(home), *assumed())
    assert (result.returncode, result.stderr) == (0, "")
    said = " ".join(result.stdout.split())
    for words in (
        "7 recorded requests, 5 of them as before",
        "2 would go to another cloud",
        "2 of gpt-5.4 on aws us-east-2, sold by openai to any",
        "permitted under the draft: azure",
        "draft: forbidden by A6.api (A6.md:14)",
        "2026-05 openai pays microsoft 68.80 68.80 0.00",
        "Assumed, under the draft: cap = ",
    ):
        assert words in said, result.stdout
    outcome = answer("agreement", "rehearse", *flags(home), *assumed(), "--from", "2026-05-01", "--until", "2026-05-31")
    assert [(row["what"], row["requests"], D(row["charged"])) for row in outcome["routed"]] == [("moved", 1, D(144))]
    assert [month["period"] for month in outcome["months"]] == ["2026-05"]


def test_of_many_changes_the_rest_is_counted(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    draft = DRAFT.replace("[api.stateless]", "[api]").replace("clouds: [azure]", "parties: [microsoft]")
    (home.root / "A6-all.md").write_text(draft)
    asked = ("agreement", "rehearse", str(home.root / "A6-all.md"), "--home", str(home.root), *assumed())
    whole = run(*asked).stdout
    assert "\n  5 would be refused: no cloud is permitted any more\n" in whole
    assert "more: --json" not in whole
    assert " ".join(whole.split()).count("charges of openai that would be refused") == 2
    monkeypatch.setattr("clauseway.cli.agreement.rehearse._SHOWN", 2)
    assert "\n    … and 1 more: --json has all of them.\n" in run(*asked).stdout


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--from", "May"], "--from"),
        (["--effective", "2026-01-01"], "is too early"),
        (["--assume", "cap"], "share-openai-microsoft is undisclosed"),
        (["--reading", "R9=x"], "R9"),
    ],
)
def test_what_is_given_wrongly_is_refused(home: Home, more: list[str], words: str) -> None:
    result = run("agreement", "rehearse", *flags(home), *more)
    assert result.returncode == 3
    assert words in result.stderr


def test_a_draft_with_mistakes_is_told_with_its_lines(home: Home, tmp_path: Path) -> None:
    draft = tmp_path / "A6.md"
    draft.write_text(DRAFT.replace("[azure]", "[azur]").replace("[P]\n```", "[Q]\n```"))
    result = run("agreement", "rehearse", str(draft), *flags(home)[1:])
    assert result.returncode == 3
    assert "two problems" in result.stderr or "2 problems" in result.stderr
    assert "A6.md:18: unknown cloud 'azur'" in result.stderr
    assert "A6.md:19: unknown source 'Q'" in result.stderr

"""`clauseway gateway models`: what the catalog says, for people and for machines."""

import json
from typing import Any

import pytest

from clauseway.cli import run


def told(capsys: pytest.CaptureFixture[str], *given: str) -> dict[str, Any]:
    assert run(["gateway", "models", *given, "--json"]) == 0
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


def test_models_with_their_names_and_ends(capsys: pytest.CaptureFixture[str]) -> None:
    (whisper,) = told(capsys, "whisper-1")["models"]
    assert whisper["kind"] == "transcription"
    assert [(end["vendor"], end["day"], end["successor"]) for end in whisper["ends"]] == [
        ("openai", "2027-02-26", "gpt-transcribe"),
        ("azure", "2026-12-15", ""),
    ]
    (before,) = told(capsys, "gpt-5.5", "--as-of", "2026-04-23")["models"]
    assert before["names"] == ["gpt-5.5-2026-04-23"]
    assert run(["gateway", "models"]) == 0
    shown = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert shown[0] == "product kind holds answers other names retired"
    assert [row for row in shown if row.startswith(("gpt-5.5 ", "whisper-1 "))] == [
        "gpt-5.5 text 1,050,000 128,000 gpt-5.5-2026-04-23, gpt-5.5-2026-04-24, openai.gpt-5.5 azure 2027-04-23",
        "whisper-1 transcription openai 2027-02-26 → gpt-transcribe; azure 2026-12-15",
    ]


@pytest.mark.parametrize(("day", "lacks"), [("2026-09-30", True), ("2026-10-01", False)])
def test_what_a_surface_lacks_on_a_day(capsys: pytest.CaptureFixture[str], day: str, lacks: bool) -> None:
    asked = ("gpt-5.5", "--surface", "bedrock-mantle", "--as-of", day)
    result = told(capsys, *asked)
    assert (result["as_of"], result["surface"]) == (day, "bedrock-mantle")
    sources = {row["capability"]: row["source"] for row in result["lacks"]}
    assert all(sources.values())
    assert ("web-search" in sources) is lacks
    assert run(["gateway", "models", *asked]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown == [f"{capability}: {source}" for capability, source in sources.items()]


def test_an_unknown_surface_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["gateway", "models", "--surface", "marble"]) == 3
    assert "unknown name 'marble'" in capsys.readouterr().err


@pytest.mark.parametrize("flags", [(), ("--surface", "openai")])
def test_a_misspelt_model_is_told(capsys: pytest.CaptureFixture[str], flags: tuple[str, ...]) -> None:
    assert run(["gateway", "models", "gpt-5.55", *flags]) == 3
    errors = capsys.readouterr().err
    assert "PRODUCT: unknown name 'gpt-5.55'" in errors
    assert "Did you mean" in errors

"""docs/evidence.md says what the records say, and of what there is no record it says so."""

from collections.abc import Mapping
from typing import Any

import pytest
from bench.evidence_page import _USUAL, PAGE, RECORDS, SECTIONS, WORDS, page, records

USUAL = {"day": "2026-11-22", "machine": "a machine", "commit": "abc1234"}
RECORDED: Mapping[str, Mapping[str, Any]] = {
    "simulator": {
        "kind": "simulator",
        **USUAL,
        "seeds": 10_000,
        "operations": 123_456,
        "faults": {"torn_writes": 77},
        "laws": ["nothing acknowledged is lost"],
        "planted": [{"name": "a lost end", "law": "nothing lost", "seed": 7}],
        "unseen": {"name": "a wrong word in a log", "why": "Nobody reads it."},
    },
    "simulator-once": {
        "kind": "simulator-once",
        **USUAL,
        "seeds": 10_001,
        "operations": 234_567,
        "faults": {"lost_disks": 78},
        "laws": ["nothing acknowledged is lost"],
        "planted": [],
    },
    "kills": {
        "kind": "kills",
        **USUAL,
        "kills": 240,
        "what": {"gateways": 200},
        "recounted": 99_999,
        "overshoot": 0,
        "held_after": {"gateways": {"memory MiB": 45, "descriptors": 31}},
        "breaches": [],
        "laws": ["nothing is counted twice"],
    },
    "kills-once": {
        "kind": "kills-once",
        **USUAL,
        "kills": 2_400,
        "what": {"gateways": 2_000},
        "recounted": 99_999,
        "overshoot": 0,
        "held_after": {"gateways": {"memory MiB": 46, "descriptors": 32}},
        "breaches": [],
        "laws": ["nothing is counted twice"],
    },
    "fuzzing": {
        "kind": "fuzzing",
        **USUAL,
        "seeds": ["17"],
        "memory_mb_max": 300.0,
        "cpu_s_max": 5.0,
        "readers": [
            {
                "name": "plans",
                "inputs": 100_000,
                "values": 9_000,
                "refused": 91_000,
                "broken": 0,
                "kept": 2,
                "memory_mb": 1.5,
                "slowest_s": 0.25,
            }
        ],
    },
    "fuzzing-once": {
        "kind": "fuzzing-once",
        **USUAL,
        "seeds": ["17", "18"],
        "runs": [
            {"seed": "17", "commit": "abc1234", "readers": ["plans"]},
            {"seed": "18", "commit": "def5678", "readers": ["plans"]},
        ],
        "memory_mb_max": 300.0,
        "cpu_s_max": 5.0,
        "readers": [
            {
                "name": "plans",
                "inputs": 200_000,
                "values": 18_000,
                "refused": 182_000,
                "broken": 0,
                "kept": 2,
                "memory_mb": 1.5,
                "slowest_s": 0.25,
                "seeds": ["17", "18"],
            }
        ],
    },
    "requests": {
        "kind": "requests",
        **USUAL,
        "requests": 10_000_001,
        "workers": 4,
        "rounds": 20,
        "first_half": {"gateways_mb": 181.5, "home_mb": 301.25, "descriptors": 140},
        "second_half": {"gateways_mb": 182.5, "home_mb": 302.25, "descriptors": 141},
        "outcome": "flat",
    },
    "soak": {
        "kind": "soak",
        **USUAL,
        "parts": [
            {"name": "every reader", "minutes": 33.5, "outcome": "passed"},
            {"name": "any kill", "minutes": 9.25, "outcome": "failed"},
        ],
    },
}


def test_the_page_is_what_the_records_say() -> None:
    assert PAGE.read_text() == page(records())


def test_each_record_has_its_kind_its_day_its_machine_and_its_commit() -> None:
    for kind, record in records().items():
        assert (RECORDS / f"{kind}.json").exists()
        assert kind in SECTIONS
        assert all(record[name] for name in USUAL), kind


@pytest.mark.parametrize("kind", SECTIONS)
def test_a_record_is_told_whole_and_a_missing_one_is_told_as_missing(kind: str) -> None:
    with_record, without = page({kind: RECORDED[kind]}), page({})
    assert f"no file of the kind `{kind}`" in without
    assert f"no file of the kind `{kind}`" not in with_record
    for words in ("2026-11-22", "a machine", "`abc1234`"):
        assert words in with_record
        assert words not in without
    for value in _values(RECORDED[kind]):
        assert value in with_record, value


def _values(record: object) -> list[str]:
    """Every text and figure in a record, as the page writes it."""
    if isinstance(record, Mapping):
        return [value for name, inner in record.items() if name != "kind" for value in _values(inner)]
    if isinstance(record, list):
        return [value for inner in record for value in _values(inner)]
    if isinstance(record, float):
        return [f"{record:g}"]
    return [f"{record:,}" if isinstance(record, int) else str(record)]


def test_held_figures_are_told_in_words_and_no_breach_as_none() -> None:
    text = page({"kills": RECORDED["kills"]})
    assert "- held by processes after the kills: gateways (memory MiB 45, descriptors 31)" in text
    assert "- breaches of a law: none" in text
    assert "These laws held:\n\n- nothing is counted twice" in text


def test_each_field_of_a_record_is_said_in_words() -> None:
    """A new field of a record is said by a reader's words, and not by the name that the program has for it."""
    text = page(records())
    for kind, record in records().items():
        if kind.startswith(("simulator", "kills")):
            assert record.keys() <= {*WORDS, *_USUAL}, kind
    assert "name acknowledged" not in text
    assert "One planted bug is seen by no seed: a wrong word in a log. Nobody reads it." in page(RECORDED)
    assert page(RECORDED).count("- nothing acknowledged is lost") == 1
    assert "The same laws held as under *The simulator*." in page(RECORDED)
    assert "These laws were judged, and some of them broken:" in page(
        {"kills": {**RECORDED["kills"], "breaches": ["x"]}}
    )

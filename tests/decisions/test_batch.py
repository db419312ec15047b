"""A file of questions: each row is answered as the question alone would be, in order, whatever the format."""

import csv
import json
import os
import random
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import housed_data
from clauseway import InvalidInput, OpenAgreement, open_agreement
from clauseway.app.agreements.batch import decide_file
from clauseway.cli import run
from clauseway.exchange.question_files import COLUMNS, LISTS, read_questions

OPENED = open_agreement()
NAMES = {
    "action": ["serve", "serve", "sell", "license", "share-revenue", "use-under-licence", "contract-compute", "fly"],
    "party": ["openai", "microsoft", "amazon", "acme"],
    "product": ["gpt-5.5", "new-model", "api.stateful", "ip.models", "compute.new", "research", "api", ""],
    "cloud": ["aws", "azure", "oci", "", "moon"],
    "to": ["", "", "", "microsoft", "amazon"],
    "seller": ["", "", "", "openai", "amazon"],
    "segment": ["any", "us-national-security", "", "martians"],
    "region": ["", "us-east-2", "\u0007"],
    "as_of": ["2023-01-22", "2026-03-15", "2026-04-27", "2026-04-28", "2031-01-01", "9999-12-31", "2026-13-01"],
    "known_at": ["", "", "2026-04-26", "2026-04-27T12:00:00Z", "yesterday"],
    "reading": ["", "R1=or", "R1=or;R3=a3", "R9=x", "R1"],
    "suppose": ["", "milestone=2026-04-01", "launch:new-model:azure:available=2026-04-28", "milestone=never"],
}
Row = dict[str, str]


def alone(opened: OpenAgreement, row: Row) -> tuple[str, list[str]]:
    """Outcome and deciding terms of a row's question, asked by itself."""
    reading = {name: option for name, _, option in (item.partition("=") for item in row["reading"].split(";") if item)}
    try:
        decision = opened.decide(
            action=row["action"],
            party=row["party"],
            product=row["product"],
            cloud=row["cloud"],
            to=row["to"],
            seller=row["seller"],
            segment=row["segment"] or "any",
            region=row["region"],
            as_of=row["as_of"],
            known_at=row["known_at"] or None,
            reading=reading,
            suppose=[item for item in row["suppose"].split(";") if item],
        )
    except InvalidInput:
        return "invalid", []
    return decision.outcome, [reason.term for reason in decision.reasons]


def written(rows: list[dict[str, Any]], path: Path) -> Path:
    """The rows in the format that the file's name says; lists stay lists where the format has them."""
    if path.suffix == ".csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
        return path
    listed = [row | {name: row[name].split(";") for name in LISTS if row.get(name)} for row in rows]
    listed = [row | {name: [] for name in LISTS if row.get(name) == ""} for row in listed]
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(listed), path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in listed))
    return path


def read(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
        return rows
    if path.suffix == ".csv":
        with path.open(newline="") as file:
            return [row | {"terms": row["terms"].split(";") if row["terms"] else []} for row in csv.DictReader(file)]
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
@settings(max_examples=4, deadline=None, phases=[Phase.generate])
@given(draw=st.randoms(use_true_random=False))
def test_a_row_is_answered_as_its_question_alone(
    suffix: str, draw: random.Random, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Valid and invalid ones, with readings and suppositions of their own."""
    rows = [{name: draw.choice(values) for name, values in NAMES.items()} | {"id": str(n)} for n in range(60)]
    for row in rows[:50]:  # most of what is drawn blindly is invalid: mend what most often is
        row |= {"region": "", "segment": "any", "cloud": row["cloud"] if row["cloud"] != "moon" else "aws"}
        row |= {"seller": row["seller"] if row["action"] == "serve" else "", "reading": row["reading"][:11]}
        row |= {
            "reading": row["reading"] if row["reading"].startswith("R1=") else "",
            "suppose": row["suppose"].replace("never", "2027-01-01"),
        }
        row |= {"party": row["party"].replace("acme", "google"), "known_at": row["known_at"].replace("yesterday", "")}
        if row["action"] in ("serve", "sell"):
            row |= {"to": "", "product": draw.choice(["gpt-5.5", "new-model", "codex"]), "cloud": row["cloud"] or "oci"}
    folder = tmp_path_factory.mktemp("batch")
    source, target = written(rows, folder / f"q{suffix}"), folder / f"a{suffix}"
    summary = decide_file(OPENED, source, target, {})
    answered = read(target)
    assert [row["id"] for row in answered] == [row["id"] for row in rows]
    for row, answer in zip(rows, answered, strict=True):
        assert (answer["outcome"], answer["terms"]) == alone(OPENED, row), row
        assert bool(answer.get("problem")) == (answer["outcome"] == "invalid")
    assert summary.invalid == sum(answer["outcome"] == "invalid" for answer in answered)


SHARES = [
    {"action": "share-revenue", "party": "microsoft", "to": "openai", "as_of": "2026-04-26"},
    {"action": "share-revenue", "party": "microsoft", "to": "openai", "as_of": "2026-04-27"},
    {"action": "share-revenue", "party": "microsoft", "to": "", "as_of": "2026-04-27"},
    {"action": "share-revenue", "party": "microsoft", "to": "openai", "as_of": "2020-01-01"},
    {"action": "sell", "party": "microsoft", "product": "gpt-5.5", "cloud": "azure", "as_of": "2026-05-01"},
]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_a_share_is_due_or_not_due(tmp_path: Path, suffix: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The outcome stays as it is; beside it stands what people read."""
    rows = [dict.fromkeys(SHARES[-1], "") | {"to": ""} | row for row in SHARES]
    source, target = written(rows, tmp_path / f"q{suffix}"), tmp_path / f"a{suffix}"
    assert run(["decide", "--batch", str(source), "--out", str(target)]) == 3
    printed = capsys.readouterr().err.splitlines()[0]
    assert printed == "5 questions: 1 due, 1 invalid, 1 not due, 1 permitted, 1 unstated"
    answers = read(target)
    assert [row["outcome"] for row in answers] == ["permitted", "forbidden", "invalid", "unstated", "permitted"]
    due = ["true", "false", "", "", ""] if suffix == ".csv" else [True, False, None, None, None]
    assert [row.get("due") for row in answers] == due
    # Only a question that cannot be asked has a problem; in CSV an empty cell is none.
    nothing = "" if suffix == ".csv" else None
    assert [row.get("problem") == nothing for row in answers] == [True, True, False, True, True]


ON_AWS = {"action": "serve", "party": "openai", "product": "gpt-5.5", "cloud": "aws"}


def test_days_may_be_days_and_instants_instants(tmp_path: Path) -> None:
    """As Parquet has them, and as others write them: midnight without a zone is a day."""
    days = [date(2026, 4, 26), date(2026, 4, 28)]
    known = [datetime(2026, 4, 26, 23, tzinfo=UTC), datetime(2026, 4, 28, tzinfo=UTC)]
    columns = {name: [value] * 2 for name, value in ON_AWS.items()}
    for as_of in (pa.array(days), pa.array([datetime.combine(day, datetime.min.time()) for day in days])):
        table = pa.table({**columns, "as-of": as_of, "known-at": pa.array(known)})
        pq.write_table(table, tmp_path / "q.parquet")
        decide_file(OPENED, tmp_path / "q.parquet", tmp_path / "a.parquet", {})
        answered = pq.read_table(tmp_path / "a.parquet")
        assert answered.column("outcome").to_pylist() == ["forbidden", "permitted"]
        assert answered.schema.field("as-of").type == as_of.type


def test_a_time_of_day_without_a_zone_is_an_instant_and_no_day(tmp_path: Path) -> None:
    """A question is about a day: noon is refused, and not taken for the day that it lies in."""
    noon = datetime(2026, 4, 26, 12)
    table = pa.table({**{name: [value] for name, value in ON_AWS.items()}, "as_of": pa.array([noon])})
    pq.write_table(table, tmp_path / "q.parquet")
    decide_file(OPENED, tmp_path / "q.parquet", tmp_path / "a.jsonl", {})
    [answered] = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert (answered["outcome"], "2026-04-26T12:00:00" in answered["problem"]) == ("invalid", True)


def test_flags_hold_for_what_a_row_leaves_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows: list[dict[str, Any]] = [
        {"party": "openai"},
        {"party": "openai", "as-of": "2026-05-01"},
        {"as_of": None, "party": "microsoft"},
    ]
    source = written([dict(row) for row in rows], tmp_path / "q.jsonl")
    given_flags = ["--action", "sell", "--product", "gpt-5.5", "--cloud", "aws", "--as-of", "2026-03-15"]
    assert run(["decide", "--batch", str(source), *given_flags]) == 0
    out, err = capsys.readouterr()
    answers = [json.loads(line) for line in out.splitlines()]
    assert [answer["outcome"] for answer in answers] == ["forbidden", "permitted", "forbidden"]
    assert [{name: row[name] for name in row if name in ("party", "as-of", "as_of")} for row in answers] == rows
    assert "3 questions: 2 forbidden, 1 permitted" in err


def test_what_cannot_be_read_is_told_in_its_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = json.dumps(ON_AWS | {"as_of": "2026-05-01"})
    (tmp_path / "q.jsonl").write_bytes(b"%s\n{broken\n[1]\n\xff\xfe\n%s\n" % (good.encode(), good.encode()))
    assert run(["decide", "--batch", str(tmp_path / "q.jsonl")]) == 3
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [answer["outcome"] for answer in answers] == ["permitted", "invalid", "invalid", "invalid", "permitted"]
    (tmp_path / "q.csv").write_text("action,party,product,cloud\nserve,openai,gpt-5.5\nserve,openai,gpt-5.5,aws,x\n")
    assert run(["decide", "--batch", str(tmp_path / "q.csv"), "--out", str(tmp_path / "a.csv")]) == 3
    assert [row["outcome"] for row in read(tmp_path / "a.csv")] == ["invalid", "invalid"]


@pytest.mark.parametrize(
    ("name", "text", "flags", "said"),
    [
        ("q.xlsx", "", [], "has no known format"),
        ("q.parquet", "no Parquet", [], "cannot be read"),
        ("missing.csv", None, [], "cannot be read"),
        ("q.csv", "action,outcome\nserve,x\n", [], "the answers take that name"),
        ("q.csv", "as_of,as-of\n2026-05-01,2026-05-01\n", [], "it is there twice"),
        ("q.csv", "note,action,note\nfirst,serve,second\n", [], "column 'note': it is there twice"),
        ("q.csv", "action\nserve\n", ["--out", "a.parquet"], "in the format of the questions"),
        ("q.csv", b"action\n\xff\n", [], "cannot be read"),
        # Nothing closes the cell: read to the file's end, it would take the last question with it.
        ("q.csv", 'action,note\nserve,a\nserve,"b\nserve,c\n', [], "in the row that begins in line 3"),
        # A line is held whole, and a row of commas takes eight times its length.
        pytest.param("q.csv", "action\n" + "," * (1 << 20), [], "a line is too long", id="a long line"),
        pytest.param("q.jsonl", b'{"note":"%b"}\n' % (b"x" * (1 << 20)), [], "a line is too long", id="a long object"),
    ],
)
def test_a_file_that_is_none_is_refused_and_nothing_written(
    name: str,
    text: str | bytes | None,
    flags: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    if text is not None:
        Path(name).write_bytes(text.encode() if isinstance(text, str) else text)
    before = set(tmp_path.iterdir())
    assert run(["decide", "--batch", name, *flags]) == 3
    output = capsys.readouterr()
    assert said in " ".join((output.out + output.err).split())
    assert set(tmp_path.iterdir()) == before


# a column's name · the part of a question that it is nearly named as
NEARLY = [
    ("asof", "as_of"),
    ("As_of", "as_of"),
    ("As Of", "as_of"),
    ("Segment", "segment"),
    ("segement", "segment"),
    ("segmetn", "segment"),
    ("products", "product"),
    ("supose", "suppose"),
]


@pytest.mark.parametrize(("column", "part"), NEARLY)
def test_a_column_that_is_nearly_a_part_of_a_question_is_refused(column: str, part: str, tmp_path: Path) -> None:
    """Kept as a column of another name, it asked nothing: the row was answered for today, or for anybody."""
    row = {name: value for name, value in ON_AWS.items() if name != part} | {column: "2026-03-01"}
    remedy = f"Write {part}; or give it a name that is less like it"
    with pytest.raises(InvalidInput, match=remedy):
        decide_file(OPENED, written([row], tmp_path / "q.csv"), tmp_path / "a.csv", {})
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "q.parquet")
    with pytest.raises(InvalidInput, match=remedy):
        decide_file(OPENED, tmp_path / "q.parquet", tmp_path / "a.parquet", {})
    summary = decide_file(OPENED, written([row], tmp_path / "q.jsonl"), tmp_path / "a.jsonl", {})
    assert (summary.outcomes, remedy in summary.problem) == ({"invalid": 1}, True)


@pytest.mark.parametrize("column", ["id", "no", "Reason", "notes", "party_name", "parts", "products"])
def test_a_column_of_any_other_name_is_kept(column: str, tmp_path: Path) -> None:
    """`products` beside `product` is the author's own."""
    row = ON_AWS | {"as_of": "2026-03-01", column: "7"}
    decide_file(OPENED, written([row], tmp_path / "q.csv"), tmp_path / "a.csv", {})
    assert [(answer["outcome"], answer[column]) for answer in read(tmp_path / "a.csv")] == [("forbidden", "7")]


def test_columns_without_a_name_are_kept_apart(tmp_path: Path) -> None:
    """Spreadsheets end a heading with any number of them."""
    asked, out = tmp_path / "asked.csv", tmp_path / "answered.csv"
    asked.write_text("as_of,action,party,product,cloud,,,\n2026-06-01,serve,openai,gpt-5.5,azure,mine,,yours\n")
    assert run(["decide", "--batch", str(asked), "--out", str(out)]) == 0
    heading, row = out.read_text().splitlines()
    assert heading.split(",")[5:8] == ["", "column 7", "column 8"]
    assert row.split(",")[5:8] == ["mine", "", "yours"]


def test_a_file_without_questions_has_no_answers(tmp_path: Path) -> None:
    schema = pa.schema([(name, pa.string()) for name in COLUMNS])
    pq.write_table(schema.empty_table(), tmp_path / "q.parquet")
    assert decide_file(OPENED, tmp_path / "q.parquet", tmp_path / "a.parquet", {}).rows == 0
    assert pq.read_table(tmp_path / "a.parquet").num_rows == 0


def test_more_distinct_texts_than_a_number_can_join(tmp_path: Path) -> None:
    """Thirteen columns of which each has its own text in every row."""
    rows = [{name: f"{name}-{number}" for name in (*COLUMNS, *LISTS)} for number in range(40)]
    rows[7] = dict.fromkeys(rows[0], "") | ON_AWS | {"as_of": "2026-05-01"}
    source = written(rows * 2, tmp_path / "q.csv")
    decide_file(OPENED, source, tmp_path / "a.csv", {})
    outcomes = [row["outcome"] for row in read(tmp_path / "a.csv")]
    assert outcomes == [("permitted" if number % 40 == 7 else "invalid") for number in range(80)]


@pytest.mark.parametrize("name", ["q.jsonl", "q.csv"])
def test_a_pipe_is_answered_line_by_line(name: str, tmp_path: Path) -> None:
    """Whoever asks may wait for an answer before the next question."""
    written([ON_AWS | {"as_of": "2026-03-01"}, ON_AWS | {"as_of": "2026-05-01"}], tmp_path / f"whole-{name}")
    *heading, first, second = (tmp_path / f"whole-{name}").read_bytes().splitlines(keepends=True)
    os.mkfifo(tmp_path / name)
    command = [sys.executable, "-m", "clauseway", "decide", "--batch", str(tmp_path / name)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as asked:
        assert asked.stdout is not None
        with (tmp_path / name).open("wb", buffering=0) as pipe:
            pipe.write(b"".join(heading))
            # A line may come in two pieces, and a blank one behind it.
            for question, outcome in ((first, "forbidden"), (second, "permitted")):
                pipe.write(question[:9])
                pipe.write(question[9:] + b"\n" * (name == "q.jsonl"))
                assert json.loads(asked.stdout.readline())["outcome"] == outcome
        assert asked.wait() == 0


def test_a_file_is_held_in_parts_of_a_megabyte(tmp_path: Path) -> None:
    """However long its lines are."""
    note = "x" * 100_000
    for name in ("q.jsonl", "q.csv"):
        source = written([ON_AWS | {"as_of": "2026-03-01", "note": note}] * 40, tmp_path / name)
        counts = [part.count for part in read_questions(source)()]
        assert sum(counts) == 40
        assert max(counts) <= 11


def test_what_was_forgotten_is_answered_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of texts and questions only so many are kept."""
    note = "x" * 100_000
    rows = [
        ON_AWS | {"product": product, "as_of": f"2026-0{month}-01", "note": note}
        for month in range(1, 10)
        for product in ("gpt-5.5", "research", f"none-{month}", "new-model")
    ]
    source = written(rows, tmp_path / "q.jsonl")
    decide_file(OPENED, source, tmp_path / "kept.jsonl", {})
    monkeypatch.setattr("clauseway.app.agreements.batch._KEPT_MAX", 5)
    decide_file(OPENED, source, tmp_path / "forgotten.jsonl", {})
    assert (tmp_path / "kept.jsonl").read_bytes() == (tmp_path / "forgotten.jsonl").read_bytes()


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_lines_end_as_on_any_system(ends: str, tmp_path: Path) -> None:
    source, note = tmp_path / "q.csv", ends.join(("first", "second"))
    row = f'serve,openai,gpt-5.5,aws,2026-05-01,"{note}"{ends}'
    rows = (1 << 20) // len(row) - 2
    text = f"action,party,product,cloud,as_of,note{ends}" + row * rows
    # A part ends between two characters that end a line.
    text += f"serve,openai,gpt-5.5,aws,2026-05-01,{'x' * ((1 << 20) - len(text) - 37)}{ends}"
    assert text[(1 << 20) - 1 : 1 << 20] == ends[0]
    source.write_bytes((text + row).encode())
    parts = [*read_questions(source)()]
    assert sum(part.count for part in parts) == rows + 2
    assert len(parts) == 2
    assert parts[-1].rows[-1]["note"] == note
    assert not any(part.unread for part in parts)


def test_a_question_alone_needs_its_action_and_party(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["decide", "--product", "gpt-5.5"]) == 3
    assert "--batch" in capsys.readouterr().err


def test_sellers_and_regions_are_columns(tmp_path: Path) -> None:
    """Where terms tell them apart: answered as alone, and a row that names no region is invalid."""
    asked = {"action": "serve", "party": "maker", "product": "app", "cloud": "south", "as_of": "2026-01-01"}
    rows = [
        asked
        | {"to": "", "seller": seller, "segment": "", "region": region, "known_at": "", "reading": "", "suppose": ""}
        for seller in ("", "reseller", "broker")
        for region in ("", "eu", "us", "south-1", "south-9", "elsewhere", "mars")
    ]
    target = tmp_path / "a.jsonl"
    decide_file(housed_data.opened(), written(rows, tmp_path / "q.jsonl"), target, {})
    answered = read(target)
    for row, answer in zip(rows, answered, strict=True):
        assert (answer["outcome"], answer["terms"]) == alone(housed_data.opened(), row), row
        assert (answer["outcome"] == "invalid") == (row["region"] in ("", "mars"))
    assert {answer["outcome"] for answer in answered} == {"invalid", "permitted", "forbidden", "conditional"}


def test_a_file_is_answered_day_by_day_where_supposed_events_have_deadlines(tmp_path: Path) -> None:
    """A notice of 1 June ends the appointment thirty days later; an offer counts as passed after its last day."""
    opened = open_agreement(Path(__file__).with_name("appointment"))
    rows = [
        {
            "id": f"{at}",
            "action": "sell",
            "party": "harbor",
            "product": "beacon",
            "cloud": "harbor-cloud",
            "region": "tokyo",
            "as_of": f"2025-{day}",
            "suppose": "event:notice=2025-06-01",
        }
        for at, day in enumerate(("05-31", "06-30", "07-01", "07-02"))
    ]
    summary = decide_file(opened, written(rows, tmp_path / "q.jsonl"), tmp_path / "a.jsonl", {})
    assert summary.problem == ""
    outcomes = [row["outcome"] for row in read(tmp_path / "a.jsonl")]
    assert outcomes == ["permitted", "permitted", "conditional", "conditional"]

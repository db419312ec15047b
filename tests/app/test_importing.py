"""Usage from elsewhere: every format, once each, what is wrong in quarantine, corrected and replayed."""

import hashlib
import json
import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import delete, insert, select

from clauseway import open_agreement
from clauseway.app.opening.home import Home
from clauseway.app.usage.compacting import compact_lake
from clauseway.app.usage.importing import Imported, ImportSource, drop, import_usage, listed, replay
from clauseway.app.usage.lake_checks import check_lake, refuse_unknown, unknown_files
from clauseway.app.usage.losses import accept_file_loss, accepted_losses
from clauseway.app.usage.sealing import open_lake
from clauseway.exchange.usage.cloudevents import write_cloudevents
from clauseway.metering import Buyer, Deployment, Ruling, Status, Unit, imported_id
from clauseway.storage.books.losses import NOTHING, SUMMED
from clauseway.storage.control import schema
from clauseway.storage.lake import imports
from clauseway.storage.lake.compaction import drop_before
from clauseway.storage.lake.file_list import USAGE, files_of
from clauseway.storage.lake.hourly_sums import usage_by
from clauseway.storage.lake.rollups import scan
from clauseway.values import Interval, InvalidInput, KnownAt, start_of_day_ns
from usage_records import usage_batch, usage_record

OPENED = open_agreement()
YEAR = Interval(date(2026, 1, 1), date(2027, 1, 1))
HEADER = (
    "ChargeCategory,ChargePeriodStart,ChargePeriodEnd,ConsumedQuantity,ConsumedUnit,ProviderName,InvoiceIssuerName,"
    "SubAccountName,RegionId,SkuMeter,BilledCost"
)
BILL = f"""{HEADER}
Usage,2026-05-01T00:00:00Z,2026-05-02T00:00:00Z,1.5,1M Tokens,Microsoft,Microsoft,acme,eastus2,gpt 5.4 Inp glbl,3.75
Usage,2026-05-01T00:00:00Z,2026-05-02T00:00:00Z,200,1K Tokens,Microsoft,Microsoft,acme,eastus2,gpt 5.4 cached Inp,0.05
Usage,2026-05-01T00:00:00Z,2026-05-02T00:00:00Z,-4,1K Tokens,Microsoft,Microsoft,acme,eastus2,gpt 5.4 Outp glbl,-3
Usage,2026-05-01T00:00:00Z,2026-05-02T00:00:00Z,4,1K Tokens,Microsoft,Microsoft,acme,eastus2,gpt 9.4 Outp glbl,3
Tax,2026-05-01T00:00:00Z,2026-05-02T00:00:00Z,4,1K Tokens,Microsoft,Microsoft,acme,eastus2,gpt 9.4 Outp glbl,3
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def put(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def load(home: Home, *paths: Path, form: str = "", **fields: str) -> Imported:
    return import_usage(home, OPENED, paths, ImportSource(format=form, fields=fields), lambda *_: None)


def rows(home: Home) -> list[dict[str, Any]]:
    with open_lake(home) as lake:
        rows = [row for path in lake.files() for row in pq.read_table(path).to_pylist()]
    return sorted(rows, key=lambda row: (row["event_ns"], row["request_id"]))


def figures(home: Home) -> dict[str, tuple[int, int | None, int | None]]:
    """By organisation: what was served, and its tokens in and out. Held against a scan of every row."""
    with open_lake(home) as lake:
        rows = usage_by(lake.control, ["organisation"])
        whole = scan(lake.files(), YEAR)
    assert sum(row.served for row in rows) == sum(row["served"] for row in whole)
    assert sum(row.units.get("input_tokens", 0) for row in rows) == sum(row["input_tokens"] for row in whole)
    return {row.key[0]: (row.served, row.units.get("input_tokens"), row.units.get("output_tokens")) for row in rows}


def reasons(home: Home) -> list[tuple[int, list[tuple[str, str]]]]:
    return [(item.line, [(flaw.field, flaw.reason) for flaw in item.flaws]) for item in listed(home)]


@pytest.mark.parametrize("taker", ["nobody", "as many rows of the day", "fewer rows"])
def test_an_import_since_the_state_that_a_database_went_back_to_stays_until_it_is_known_again(
    home: Home, tmp_path: Path, taker: str
) -> None:
    """Also where the next import, of another bill, takes the number of the lost one."""
    load(home, put(tmp_path, "first.csv", BILL.replace("acme", "first")))
    shutil.copy(home.embedded_control, tmp_path / "control.db")
    bill = put(tmp_path, "bill.csv", BILL)
    load(home, bill)
    (since,) = (path.relative_to(home.lake).as_posix() for path in home.lake.glob("usage/*/import-*2-*.parquet"))
    shutil.copy(tmp_path / "control.db", home.embedded_control)
    if taker != "nobody":
        other = BILL.replace("acme", "other")
        load(home, put(tmp_path, "other.csv", other if taker != "fewer rows" else other[: other.index("\nTax")]))
    assert unknown_files(home) == (since,)
    assert (compact_lake(home).removed, compact_lake(home).unknown) == (0, (since,))
    with open_lake(home) as lake, pytest.raises(InvalidInput, match="the database does not know"):
        refuse_unknown(home, lake, YEAR)
    # As `lake check` says, by the file; the bill has nothing more.
    assert load(home, home.lake / since).imported == 2
    assert unknown_files(home) == ()
    assert load(home, bill).imported == 0


def test_what_was_let_out_since_the_state_that_a_database_went_back_to_stays(home: Home, tmp_path: Path) -> None:
    bill = put(tmp_path, "bill.csv", BILL)
    load(home, bill)
    shutil.copy(home.embedded_control, tmp_path / "control.db")
    (number, _) = (item.number for item in listed(home))
    replay(home, OPENED, [number], {"output_tokens": "4000"})
    (since,) = (path.relative_to(home.lake).as_posix() for path in home.lake.glob("usage/*/quarantine-*.parquet"))
    shutil.copy(tmp_path / "control.db", home.embedded_control)
    assert (compact_lake(home).removed, unknown_files(home)) == (0, (since,))
    # Let out again with the same figures, its usage is in a listed file.
    assert replay(home, OPENED, [number], {"output_tokens": "4000"}).replayed == (number,)
    assert unknown_files(home) == ()


def test_what_a_killed_import_wrote_stays_until_the_bill_is_given_again(home: Home, tmp_path: Path) -> None:
    """Nothing tells its file from one of an import that the database lost: the copy of the database that was put
    back may have been taken while that import ran."""
    load(home, put(tmp_path, "first.csv", BILL.replace("acme", "first")))
    shutil.copy(home.embedded_control, tmp_path / "control.db")
    bill = put(tmp_path, "bill.csv", BILL)
    load(home, bill)
    shutil.copy(tmp_path / "control.db", home.embedded_control)
    with open_lake(home) as lake:
        assert imports.begin(lake.control, [], 1) == 2
    assert (compact_lake(home).removed, len(unknown_files(home))) == (0, 1)
    assert load(home, bill).imported == 2
    assert unknown_files(home) == ()


def test_what_a_killed_import_wrote_is_given_up_by_name_where_nobody_gives_the_bill_again(
    home: Home, tmp_path: Path
) -> None:
    load(home, put(tmp_path, "first.csv", BILL.replace("acme", "first")))
    shutil.copy(home.embedded_control, tmp_path / "control.db")
    bill = put(tmp_path, "bill.csv", BILL)
    load(home, bill)
    shutil.copy(tmp_path / "control.db", home.embedded_control)
    [name] = unknown_files(home)
    digest, why = hashlib.sha256((home.lake / name).read_bytes()).hexdigest(), "the bill was another customer's"
    # No hourly sums have what no list has.
    with pytest.raises(InvalidInput, match="--estimate nothing"):
        accept_file_loss(home, name, SUMMED, why)
    accepted = accept_file_loss(home, name, NOTHING, why)
    assert (accepted.place, accepted.estimate, unknown_files(home)) == (f"file {name}", "nothing", ())
    with open_lake(home) as lake:
        refuse_unknown(home, lake, YEAR)
        [loss] = accepted_losses(lake.control, YEAR, KnownAt.everything())
    assert name in loss.text
    assert digest in loss.text
    assert why in loss.text
    assert check_lake(home).unknown == ()
    # Given again it counts, and what was given up before is no other file's.
    assert load(home, bill).imported == 2
    with pytest.raises(InvalidInput, match="the file is not lost"):
        accept_file_loss(home, name, NOTHING, why)


def test_a_bill_becomes_usage_once_and_its_bad_rows_wait(home: Home, tmp_path: Path) -> None:
    bill = put(tmp_path, "bill.csv", BILL)
    tax = {"a charge of category Tax": 1}
    assert load(home, bill) == Imported(rows=5, imported=2, quarantined=2, skipped=tax)
    # The same again changes nothing; what waits still waits.
    assert load(home, bill) == Imported(rows=5, again=2, quarantined=2, skipped=tax)
    # The bill's meters are disjoint: 1.5 million uncached and 200 thousand cached tokens went in.
    assert figures(home) == {"acme": (2, 1_700_000, None)}
    assert [row["cached_input_tokens"] for row in rows(home)].count(200_000) == 1
    assert reasons(home) == [
        (4, [("units", "output_tokens is -4000, below zero")]),
        (5, [("product", "missing")]),
    ]
    first, second = [item.number for item in listed(home)]
    assert replay(home, OPENED, [first], {"output_tokens": "4000"}).replayed == (first,)
    assert figures(home) == {"acme": (3, 1_700_000, 4_000)}
    assert dict(replay(home, OPENED, [], {}).still)[second][0].reason == "missing"
    assert replay(home, OPENED, [second], {"product": "gpt-5.5"}).replayed == (second,)
    assert figures(home) == {"acme": (4, 1_700_000, 8_000)}
    assert listed(home) == []
    assert [item.state for item in listed(home, with_ended=True)] == ["replayed", "replayed"]


def test_a_meter_that_is_not_ours_is_cleared_and_what_it_counts_is_set(home: Home, tmp_path: Path) -> None:
    """No other field of the row is touched, and a name that no row has is refused."""
    provisioned = BILL.splitlines()[1].replace("Inp", "Provisioned").replace("inp", "provisioned")
    load(home, put(tmp_path, "bill.csv", f"{BILL.splitlines()[0]}\n{provisioned}\n"))
    [row] = listed(home)
    [(meter, reason)] = [(flaw.field, flaw.reason) for flaw in row.flaws]
    assert (meter.startswith("ConsumedQuantity ("), reason) == (True, "no such field")
    with pytest.raises(InvalidInput, match="'SkuMeter' is in none of these rows"):
        replay(home, OPENED, [], {"SkuMeter": ""})
    assert replay(home, OPENED, [], {meter: "", "input_tokens": "1500000"}).replayed == (row.number,)
    assert figures(home) == {"acme": (1, 1_500_000, None)}


# The name of a meter, or what a bill of ours says beside it → the tier
METERS = [
    ("gpt 5.4 Inp glbl", "", ""),
    ("gpt 5.4 Batch Inp glbl", "", "batch"),
    ("USE1-gpt-5.4-input-tokens-batch", "", "batch"),
    ("USE1-gpt-5.4-input-tokens-flex", "", "flex"),
    ("USE1-gpt-5.4-mantle-input-tokens-priority", "", "priority"),
    ("USE1-gpt-5.4-mantle-input-tokens-standard", "", ""),
    ("gpt 5.4 Inp on flexible servers", "", ""),
    ("Input tokens of gpt-5.4", "flex", "flex"),
]


@pytest.mark.parametrize(("meter", "said", "tier"), METERS)
def test_a_meter_of_a_tier_is_usage_of_that_tier(home: Home, tmp_path: Path, meter: str, said: str, tier: str) -> None:
    row = BILL.splitlines()[1].replace("gpt 5.4 Inp glbl", meter)
    assert load(home, put(tmp_path, "bill.csv", f"{HEADER},x_Tier\n{row},{said}\n")).imported == 1
    assert [(row["tier"] or "", row["input_tokens"]) for row in rows(home)] == [(tier, 1_500_000)]


def test_the_same_bill_as_parquet_is_the_same_usage(home: Home, tmp_path: Path) -> None:
    lines = [line.split(",") for line in BILL.splitlines()]
    table = pa.table({name: [line[place] for line in lines[1:]] for place, name in enumerate(lines[0])})
    pq.write_table(table, tmp_path / "bill.parquet")
    load(home, put(tmp_path, "bill.csv", BILL))
    assert load(home, tmp_path / "bill.parquet").again == 2


def test_a_row_with_more_fields_than_columns_waits(home: Home, tmp_path: Path) -> None:
    first = BILL.splitlines()[1]
    assert load(home, put(tmp_path, "wide.csv", f"{HEADER}\n{first},6\n{first}\n")).imported == 1
    assert reasons(home) == [(2, [("row", "the row has more fields than columns")])]


def test_a_bill_that_says_otherwise_of_one_charge_or_says_it_twice_waits(home: Home, tmp_path: Path) -> None:
    first = BILL.splitlines()[1]
    load(home, put(tmp_path, "april.csv", f"{HEADER}\n{first}\n"))
    corrected = first.replace("1.5,1M", "1.6,1M")
    assert load(home, put(tmp_path, "may.csv", f"{HEADER}\n{corrected}\n")).quarantined == 1
    other = first.replace("eastus2", "westus3")
    done = load(home, put(tmp_path, "twice.csv", f"{HEADER}\n{other}\n{other}\n"))
    assert (done.imported, done.quarantined) == (1, 1)
    assert [flaw for _, [flaw] in reasons(home)] == [
        ("id", "it came before with other figures, in row 2 of april.csv"),
        ("id", "the same charge as row 2 of this file"),
    ]


def event(identity: str, **data: object) -> dict[str, Any]:
    usage = {"organisation": "acme", "seller": "openai", "cloud": "aws", "product": "gpt-5.4"}
    return {
        "specversion": "1.0",
        "type": "clauseway.usage.v1",
        "source": "/app",
        "id": identity,
        "time": "2026-05-02T10:00:00.5Z",
        "data": {**usage, "units": {"input_tokens": 10, "output_tokens": 5}, **data},
    }


def test_events_in_lines_in_batches_and_in_an_array_count_once(home: Home, tmp_path: Path) -> None:
    first, second, third = (event(name) for name in "123")
    lines = put(tmp_path, "lines.jsonl", f"{json.dumps(first)}\n{json.dumps([first, second])}\n\nnot json\n")
    assert load(home, lines) == Imported(rows=4, imported=2, again=1, quarantined=1)
    array = put(tmp_path, "array.json", json.dumps([second, third, {"type": "x", "specversion": "1.0"}], indent=1))
    assert load(home, array) == Imported(rows=3, imported=1, again=1, skipped={"an event of type x": 1})
    assert figures(home) == {"acme": (3, 30, 15)}
    assert reasons(home)[0][1][0][0] == "row"
    assert rows(home)[0]["request_id"] in {str(imported_id("/app", name)) for name in "123"}


def test_an_event_comes_back_as_it_was_written(home: Home, tmp_path: Path) -> None:
    load(home, put(tmp_path, "one.jsonl", json.dumps(event("1", region="us-east-2", streamed=True)) + "\n"))
    before = rows(home)
    again = Home(tmp_path / "again")
    put(tmp_path, "written.jsonl", b"".join(write_cloudevents(before)).decode())
    pq.write_table(pa.Table.from_pylist(before), tmp_path / "written.parquet")
    assert load(again, tmp_path / "written.jsonl", tmp_path / "written.parquet") == Imported(
        rows=2, imported=1, again=1
    )
    for row in (*before, *(after := rows(again))):
        row.pop("recorded_ns")
    assert after == before
    assert load(home, tmp_path / "written.parquet").again == 1


def span(identity: str, **attributes: object) -> dict[str, Any]:
    given = {"gen_ai.provider.name": "aws.bedrock", "gen_ai.request.model": "openai.gpt-5.4", **attributes}
    return {
        "traceId": "a" * 32,
        "spanId": identity,
        "name": "chat",
        "startTimeUnixNano": "1777716000000000000",
        "endTimeUnixNano": "1777716001500000000",
        "attributes": list(map(attribute, given.items())),
    }


def attribute(item: tuple[str, object]) -> dict[str, Any]:
    name, value = item
    return {"key": name, "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}}


def test_spans_and_token_metrics(home: Home, tmp_path: Path) -> None:
    tokens = {"gen_ai.usage.input_tokens": 7, "gen_ai.usage.output_tokens": 3}
    spans = [span("01", **tokens), span("02"), span("03", **tokens, **{"clauseway.request.id": "req_1"})]
    resource = {"attributes": list(map(attribute, {"service.name": "shop", "cloud.region": "us-east-2"}.items()))}
    traces = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]}
    path = put(tmp_path, "traces.json", json.dumps(traces) + "\n")
    done = load(home, path, organisation="acme", seller="openai")
    assert (done.imported, sum(done.skipped.values())) == (1, 2)
    [row] = rows(home)
    values = [row[name] for name in ("project", "region", "cloud", "product", "model", "duration_us", "input_tokens")]
    assert values == ["shop", "us-east-2", "aws", "gpt-5.4", "openai.gpt-5.4", 1_500_000, 7]

    def metric(temporality: int) -> str:
        given = {"gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-5.5", "gen_ai.token.type": "output"}
        point = {
            "attributes": list(map(attribute, given.items())),
            "sum": 900,
            "count": 30,
            "startTimeUnixNano": "1777716000000000000",
            "timeUnixNano": "1777716060000000000",
        }
        histogram = {"aggregationTemporality": temporality, "dataPoints": [point]}
        metrics = [{"name": "gen_ai.client.token.usage", "histogram": histogram}]
        return json.dumps({"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"metrics": metrics}]}]})

    metrics = put(tmp_path, "metrics.json", f"{metric(1)}\n{metric(2)}\n")
    done = load(home, metrics, organisation="acme", seller="openai")
    assert (done.imported, done.quarantined) == (1, 1)
    assert reasons(home)[0][1] == [("row", "a cumulative point: export it with delta temporality")]
    assert figures(home) == {"acme": (2, 7, 903)}


@pytest.mark.parametrize(
    ("name", "text", "what", "where"),
    [
        ("bill.csv", "a,b\n1,2\n", "it is not a FOCUS file", "bill.csv"),
        ("usage.txt", "hello\n", "the format is not recognised", "usage.txt"),
        ("usage.parquet", "hello\n", "the file cannot be read", "usage.parquet"),
        ("missing.csv", None, "the file cannot be read", "missing.csv"),
    ],
)
def test_a_file_that_is_none_is_refused(
    home: Home, tmp_path: Path, name: str, text: str | None, what: str, where: str
) -> None:
    if text is not None:
        put(tmp_path, name, text)
    with pytest.raises(InvalidInput) as refused:
        load(home, tmp_path / name)
    [problem] = refused.value.problems
    assert (problem.what, Path(problem.where).name) == (what, where)
    assert not home.root.exists()


def test_numbers_that_are_not_in_quarantine_are_refused_and_dropped_rows_stay_listed(
    home: Home, tmp_path: Path
) -> None:
    load(home, put(tmp_path, "bill.csv", BILL))
    with pytest.raises(InvalidInput, match="99 in quarantine"):
        drop(home, [1, 99])
    assert [record.number for record in drop(home, [1])] == [1]
    with pytest.raises(InvalidInput):
        replay(home, OPENED, [1], {})
    assert [(item.number, item.state) for item in listed(home, with_ended=True)] == [(1, "dropped"), (2, "open")]


def test_a_row_of_days_that_were_dropped_since_waits_and_stops_no_replay(home: Home, tmp_path: Path) -> None:
    load(home, put(tmp_path, "early.csv", BILL))
    load(
        home,
        put(tmp_path, "late.csv", BILL.replace("2026-05-02T", "2026-05-04T").replace("2026-05-01T", "2026-05-03T")),
    )
    with open_lake(home) as lake:
        assert drop_before(lake, date(2026, 5, 2), 9)
    done = replay(home, OPENED, [], {"product": "gpt-5.5", "output_tokens": "4000"})
    assert done.replayed == (3, 4)
    assert {number: [flaw.field for flaw in flaws] for number, flaws in done.still.items()} == {
        1: ["event_ns"],
        2: ["event_ns"],
    }


def test_what_a_cloud_reported_wrongly_is_corrected_and_counts_once(home: Home) -> None:
    units = {Unit.INPUT_TOKENS: 10, Unit.CACHED_INPUT_TOKENS: 11}
    wrong = usage_record(1, start_of_day_ns(date(2026, 5, 1)), units, attempt=2, streamed=True, charge_picodollars=55)
    batch = usage_batch(
        [wrong],
        {1: Buyer("acme", "search", "key_1", "openai", "any")},
        {1: Deployment("aws-1", "aws", "", "us-east-2", "gpt-5.4", "openai.gpt-5.4")},
        {1: Ruling("d1", "permitted", ("A5.any-cloud", "A5.licence"), "r1")},
    )
    with open_lake(home) as lake:
        lake.seal(batch, 4)
    assert figures(home) == {"acme": (0, None, None)}
    [row] = listed(home)
    assert dict(replay(home, OPENED, [row.number], {"cached_input_tokens": "12"}).still)[row.number]
    assert replay(home, OPENED, [row.number], {"cached_input_tokens": "9"}).replayed == (row.number,)
    assert figures(home) == {"acme": (1, 10, None)}
    held, corrected = rows(home)
    assert (held["status"], corrected["status"], corrected["cached_input_tokens"]) == (Status.QUARANTINED, 1, 9)
    same = ("request_id", "attempt", "terms", "charge_picodollars", "upstream_id", "streamed", "project", "decision")
    assert [held[name] for name in same] == [corrected[name] for name in same]


def spread(count: int, days: int) -> str:
    """Events whose days come in no order, as lines."""
    order = [number * 7919 % count for number in range(count)]
    lines = []
    for number in order:
        at = datetime(2026, 4, 1, tzinfo=UTC) + timedelta(days=number % days, seconds=number)
        lines.append(json.dumps(event(str(number)) | {"time": at.isoformat()}) + "\n")
    return "".join(lines)


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks so small that a short file has many."""
    monkeypatch.setattr("clauseway.app.usage.importing._ROWS", 7)


@pytest.mark.usefixtures("small_chunks")
def test_an_import_of_several_files_leaves_one_file_a_day(home: Home, tmp_path: Path) -> None:
    lines = spread(120, 9).splitlines(keepends=True)
    halves = [put(tmp_path, f"{n}.jsonl", "".join(lines[n::2])) for n in range(2)]
    assert load(home, *halves) == Imported(rows=120, imported=120)
    with open_lake(home) as lake:
        held = files_of(lake.control, USAGE)
        batches = lake.control.batches()
    assert [(file.first_day, file.last_day) for file in held] == [
        (day, day) for day in sorted({file.first_day for file in held})
    ]
    assert sum(file.rows for file in held) == 120
    assert [batch.usage_rows for batch in batches] == [120]
    # In a file, rows lie in the order of their requests: a look for one reads little.
    for file in held:
        ids = pq.read_table(home.lake / file.name)["request_id"].to_pylist()
        assert ids == sorted(ids)
    assert figures(home) == {"acme": (120, 1_200, 600)}


@pytest.mark.usefixtures("small_chunks")
def test_an_interrupted_import_changes_nothing_and_is_repeated_whole(home: Home, tmp_path: Path) -> None:
    path = put(tmp_path, "many.jsonl", spread(30, 4) + "not json\n")

    class Interrupted(Exception):
        pass

    def stop(_: str, so_far: Imported) -> None:
        if so_far.rows >= 14:
            raise Interrupted

    with pytest.raises(Interrupted):
        import_usage(home, OPENED, [path], ImportSource(), stop)
    assert rows(home) == []
    assert listed(home) == []
    assert load(home, path) == Imported(rows=31, imported=30, quarantined=1)
    assert load(home, path) == Imported(rows=31, again=30, quarantined=1)
    assert figures(home) == {"acme": (30, 300, 150)}
    assert {row["status"] for row in rows(home)} == {int(Status.COMPLETE)}


@pytest.mark.usefixtures("small_chunks")
def test_a_record_that_comes_again_in_a_later_chunk_or_file_counts_once(home: Home, tmp_path: Path) -> None:
    lines = spread(20, 3).splitlines(keepends=True)
    first = put(tmp_path, "first.jsonl", "".join(lines))
    otherwise = json.dumps(event("3", region="eastus2")) + "\n"
    second = put(tmp_path, "second.jsonl", "".join(lines[::2]) + otherwise)
    assert load(home, first, second) == Imported(rows=31, imported=20, again=10, quarantined=1)
    [(line, [(field, reason)])] = reasons(home)
    said = first.read_text().splitlines().index(lines[[*map(id_of, lines)].index("3")].strip()) + 1
    assert (line, field) == (11, "id")
    assert reason == f"it came before with other figures, in row {said} of first.jsonl"


def id_of(line: str) -> str:
    result: str = json.loads(line)["id"]
    return result


def test_a_name_that_cannot_be_seen_waits(home: Home, tmp_path: Path) -> None:
    names = {"organisation": "ac\u202eme", "project": "a\nb", "model": "x" * 201, "upstream_id": "a\u200bb"}
    events = [event(name, **{name: value}) for name, value in names.items()]
    load(home, put(tmp_path, "names.jsonl", "".join(json.dumps(event) + "\n" for event in events)))
    assert [[field for field, _ in flaws] for _, flaws in reasons(home)] == [[name] for name in names]


def test_an_import_in_which_nothing_was_understood_is_refused(home: Home, tmp_path: Path) -> None:
    others = [{"specversion": "1.0", "type": f"x.{n % 2}", "id": str(n), "source": "/x"} for n in range(3)]
    path = put(tmp_path, "others.jsonl", "".join(json.dumps(event) + "\n" for event in others))
    with pytest.raises(InvalidInput) as refused:
        load(home, path)
    [problem] = refused.value.problems
    assert problem.what == "nothing was imported: all 3 rows were skipped"
    assert not home.is_begun
    assert problem.why == "2 × an event of type x.0; 1 × an event of type x.1"


def test_what_a_home_kept_before_imports_were_counted_is_known(home: Home, tmp_path: Path) -> None:
    path = put(tmp_path, "one.jsonl", json.dumps(event("1")) + "\n")
    load(home, path)
    [request] = [row["request_id"] for row in rows(home)]
    with open_lake(home) as lake, lake.control.writing() as connection:
        [row] = connection.execute(select(schema.imported_records)).all()
        former = {"request_id": request, "attempt": 1, "content": row.content.hex(), "file": "f" * 32, "line": 1}
        connection.execute(insert(schema.imported).values(**former))
        connection.execute(delete(schema.imported_records))
    assert load(home, path) == Imported(rows=1, again=1)
    changed = put(tmp_path, "changed.jsonl", json.dumps(event("1", region="eastus2")) + "\n")
    assert load(home, changed).quarantined == 1
    assert reasons(home)[0][1] == [("id", "it came before with other figures, in row 1 of an earlier file")]


def test_a_sum_keeps_how_many_requests_it_stands_for_where_its_file_says_so(home: Home, tmp_path: Path) -> None:
    """Of a bill its rows of input, of token metrics their points of input: so that no request is counted twice."""
    header = f"{HEADER},x_Requests"
    rows_of_bill = [
        BILL.splitlines()[1] + ",12.0",  # input
        BILL.splitlines()[2] + ",12.0",  # cached input, of the same requests
        BILL.splitlines()[1].replace("eastus2", "westus3") + ",",
    ]
    load(home, put(tmp_path, "bill.csv", "\n".join([header, *rows_of_bill, ""])))
    given = {"gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-5.5"}
    points = [
        {
            "attributes": list(map(attribute, (given | {"gen_ai.token.type": kind}).items())),
            "sum": 900,
            "count": 30,
            "startTimeUnixNano": "1777716000000000000",
        }
        for kind in ("input", "output")
    ]
    histogram = {"aggregationTemporality": 1, "dataPoints": points}
    metrics = [{"name": "gen_ai.client.token.usage", "histogram": histogram}]
    export = {"resourceMetrics": [{"scopeMetrics": [{"metrics": metrics}]}]}
    path = put(tmp_path, "metrics.json", json.dumps(export) + "\n")
    load(home, path, organisation="acme", seller="openai")
    result = [(row["cloud"], row["input_tokens"], row["cached_input_tokens"], row["requests"]) for row in rows(home)]
    assert sorted(result, key=str) == sorted(
        [
            ("azure", 1_500_000, None, 12),
            ("azure", 200_000, 200_000, None),
            ("azure", 1_500_000, None, None),
            ("openai-own", 900, None, 30),
            ("openai-own", None, None, None),
        ],
        key=str,
    )


def test_a_bill_that_names_its_invoice_later_is_the_same_bill(home: Home, tmp_path: Path) -> None:
    header, first = f"{HEADER},InvoiceId,InvoiceDetailId,x_Requests,x_HostCloud", BILL.splitlines()[1]
    assert load(home, put(tmp_path, "early.csv", f"{header}\n{first},,,,aws\n")).imported == 1
    # The hosting cloud and the billing cloud are told apart.
    assert [row["cloud"] for row in rows(home)] == ["aws"]
    assert load(home, put(tmp_path, "late.csv", f"{header}\n{first},INV-7,4,,aws\n")).again == 1


TAGGED = f"{HEADER},Tags"


def tagged(*charges: tuple[str, str]) -> str:
    """A bill of charges that differ in millions of tokens, and in their tags."""
    row = BILL.splitlines()[1]
    return "\n".join([TAGGED, *(f"{row.replace('1.5,1M', f'{millions},1M')},{tags}" for millions, tags in charges)])


# a bill | the same month's later: imported, there before, in quarantine
RETAGGED = [
    ([("1.5", "")], [("1.5", "team: a")], (0, 1, 0)),
    ([("1.5", "team: a")], [("1.5", "team: b")], (0, 1, 0)),
    ([("1.5", "team: a")], [("1.5", "")], (0, 1, 0)),
    # Two charges of a file differ in their tags alone.
    ([("1.5", "team: a"), ("2.5", "team: b"), ("4.5", "")], [("1.5", "team: a"), ("2.5", "team: b")], (0, 2, 0)),
    ([("1.5", "team: a"), ("1.5", "team: b")], [("1.5", "team: c"), ("1.5", "team: d")], (0, 2, 0)),
    # A charge that was split since, or is one more: only somebody who knows the bill can say.
    ([("1.5", "")], [("1.0", "team: a"), ("0.5", "team: b")], (0, 0, 2)),
    ([("1.5", "team: a")], [("1.5", "team: a"), ("2.5", "team: b")], (0, 1, 1)),
]


@pytest.mark.parametrize(("early", "late", "counted"), RETAGGED)
def test_a_charge_whose_tags_changed_is_the_same_charge(
    home: Home, tmp_path: Path, early: list[tuple[str, str]], late: list[tuple[str, str]], counted: tuple[int, int, int]
) -> None:
    """A cloud fills tags in later; the usage is that of one charge."""
    first, second = put(tmp_path, "early.csv", tagged(*early)), put(tmp_path, "late.csv", tagged(*late))
    assert load(home, first).imported == len(early)
    done = load(home, second)
    assert (done.imported, done.again, done.quarantined) == counted
    # The same as when both are given at once.
    together = load(Home(tmp_path / "together"), first, second)
    assert (together.imported, together.again, together.quarantined) == (len(early), *counted[1:])
    for at in (home, Home(tmp_path / "together")):
        assert len(rows(at)) == len(early)
        # Replayed as it is, it counts no second time; with an id of its own, it is a charge of its own.
        assert replay(at, OPENED, [], {}).replayed == ()
        for number in [row.number for row in listed(at)]:
            assert replay(at, OPENED, [number], {"id": f"own-{number}"}).replayed == (number,)
        assert len(rows(at)) == len(early) + counted[2]
    assert load(home, first).again == len(early)


# the columns that name providers, with one row of them | the cloud that hosted
PROVIDERS = [
    ({"ProviderName": "Microsoft"}, "azure"),  # 1.2
    # 1.4: one sells, another hosts.
    ({"ServiceProviderName": "OpenAI", "HostProviderName": "Microsoft"}, "azure"),
    ({"ServiceProviderName": "Microsoft", "HostProviderName": ""}, "azure"),  # the host is not said
    ({"ServiceProviderName": "AWS", "HostProviderName": "Not Applicable"}, "aws"),
    ({"ServiceProviderName": "Oracle"}, "oci"),
    ({"HostProviderName": "Amazon Web Services"}, "aws"),
    # 1.3 has all three: of a marketplace's sale ProviderName is whoever runs the marketplace.
    ({"ProviderName": "Microsoft", "ServiceProviderName": "OpenAI", "HostProviderName": "OpenAI"}, "openai-own"),
]


@pytest.mark.parametrize(("providers", "cloud"), PROVIDERS, ids=[",".join(name) for name, _ in PROVIDERS])
def test_a_bill_of_any_version_says_who_hosted(
    home: Home, tmp_path: Path, providers: dict[str, str], cloud: str
) -> None:
    columns, first = HEADER.split(","), BILL.splitlines()[1].split(",")
    row = dict(zip(columns, first, strict=True))
    del row["ProviderName"]
    row |= providers
    text = f"{','.join(row)}\n{','.join(row.values())}\n"
    assert load(home, put(tmp_path, "bill.csv", text)).imported == 1
    assert [(row["cloud"], row["seller"]) for row in rows(home)] == [(cloud, "microsoft")]


def test_a_bill_that_names_no_provider_is_refused(home: Home, tmp_path: Path) -> None:
    text = BILL.replace("ProviderName", "x_ProviderName")
    with pytest.raises(InvalidInput) as refused:
        load(home, put(tmp_path, "bill.csv", text))
    [problem] = refused.value.problems
    assert problem.why == "it has no ProviderName (since 1.3: HostProviderName, ServiceProviderName)"
    assert "1.0 to 1.4" in problem.remedy


def test_a_file_of_a_day_without_usage_holds_no_row(home: Home, tmp_path: Path) -> None:
    for form, text in (("cloudevents", ""), ("cloudevents", "\n\n"), ("opentelemetry", ""), ("cloudevents", "[]")):
        assert load(home, put(tmp_path, "empty.jsonl", text), form=form) == Imported()
    assert load(home, put(tmp_path, "empty.csv", f"{HEADER}\n")) == Imported()

"""Any file at all: a bad row waits in quarantine and the next one is read; what is none is refused; counts add up.

A file that is right is spoilt at one place: a byte, a value of another type, a number out of all bounds, depth, text
that is no text. Nothing but InvalidInput may come of it, and every row is accounted for.
"""

import copy
import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clauseway import open_agreement
from clauseway.app.opening.home import Home
from clauseway.app.usage.importing import Imported, ImportSource, import_usage, listed, replay
from clauseway.values import InvalidInput
from soak import examples

OPENED = open_agreement()
EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "type": "org.clauseway.usage.v1",
    "source": "/app",
    "id": "1",
    "time": "2026-05-02T10:00:00.5Z",
    "data": {
        "organisation": "acme",
        "seller": "openai",
        "cloud": "aws",
        "product": "gpt-5.4",
        "terms": ["A5.any-cloud"],
        "streamed": True,
        "status": "complete",
        "endpoint": 1,
        "units": {"input_tokens": 10, "output_tokens": 5},
    },
}


def attribute(name: str, **value: object) -> dict[str, Any]:
    return {"key": name, "value": value}


RESOURCE = {"attributes": [attribute("service.name", stringValue="shop")]}
MODEL = [
    attribute("gen_ai.provider.name", stringValue="openai"),
    attribute("gen_ai.request.model", stringValue="gpt-5.4"),
    attribute("clauseway.organisation", stringValue="acme"),
    attribute("clauseway.seller", stringValue="openai"),
]
SPAN = {
    "traceId": "a" * 32,
    "spanId": "b" * 16,
    "startTimeUnixNano": "1777716000000000000",
    "endTimeUnixNano": "1777716001500000000",
    "attributes": [
        *MODEL,
        attribute("gen_ai.usage.input_tokens", intValue="7"),
        attribute("gen_ai.usage.output_tokens", intValue=3),
    ],
}
POINT = {
    "attributes": [*MODEL, attribute("gen_ai.token.type", stringValue="input")],
    "sum": 900,
    "count": 30,
    "startTimeUnixNano": "1777716000000000000",
    "timeUnixNano": "1777716060000000000",
}
METRIC = {"name": "gen_ai.client.token.usage", "histogram": {"aggregationTemporality": 1, "dataPoints": [POINT]}}
EXPORT: dict[str, Any] = {
    "resourceSpans": [{"resource": RESOURCE, "scopeSpans": [{"spans": [SPAN, SPAN | {"spanId": "c" * 16}]}]}],
    "resourceMetrics": [{"resource": RESOURCE, "scopeMetrics": [{"metrics": [METRIC]}]}],
}
BILL = {
    "ChargeCategory": "Usage",
    "ChargePeriodStart": "2026-05-01T00:00:00Z",
    "ChargePeriodEnd": "2026-05-02T00:00:00Z",
    "ConsumedQuantity": "1.5",
    "ConsumedUnit": "1M Tokens",
    "ProviderName": "Microsoft",
    "InvoiceIssuerName": "Microsoft",
    "SubAccountName": "acme",
    "RegionId": "eastus2",
    "SkuMeter": "gpt 5.4 Inp glbl",
    "x_EventTime": "",
    "x_Unit": "",
    "x_Product": "",
    "x_ChargeId": "",
}
OWN: dict[str, Any] = {
    "request_id": "req_" + "0" * 15 + "7" + "0" * 15 + "1",
    "attempt": 1,
    "event_ns": 1777716000000000000,
    "event_day": date(2026, 5, 2),
    "recorded_ns": 1777716000000000000,
    "organisation": "acme",
    "seller": "openai",
    "cloud": "aws",
    "product": "gpt-5.4",
    "terms": ["A5.any-cloud"],
    "status": 1,
    "streamed": False,
    "input_tokens": 10,
}

TEXTS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        [
            "",
            "\x00",
            "\ud800",
            "1e999999999",
            "9" * 5000,
            "-1",
            "1,5",
            "0001-01-01T00:00:00+23:59",
            "9999-12-31T23:59:59-23:59",
            "2026-05-02T10:00:00.0000000001Z",
            "..",
            "Infinity",
            "١٢",
            "k",
            "1e5M",
        ]
    ),
)
PLAIN = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([2**63, 2**64, -(2**63) - 1, 10**400]),
    st.floats(),
    TEXTS,
)
VALUES = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=6
)
DEEP = "[" * 100_000 + "]" * 100_000


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a document, the whole of it first."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, result in inner:
        yield from places(result, (*path, name))


@st.composite
def spoilt(draw: st.DrawFn, document: Any) -> Any:
    """The document with another value at one place, or none there."""
    path = draw(st.sampled_from(list(places(document))))
    if not path:
        return draw(VALUES)
    copied = copy.deepcopy(document)
    owner = copied
    for name in path[:-1]:
        owner = owner[name]
    if draw(st.booleans()):
        owner[path[-1]] = draw(VALUES)
    elif isinstance(owner, dict):
        owner[draw(TEXTS)] = owner.pop(path[-1])
    else:
        del owner[path[-1]]
    return copied


@st.composite
def torn(draw: st.DrawFn, whole: bytes) -> bytes:
    """The bytes with some of them changed, taken out or put in."""
    begin = draw(st.integers(0, len(whole)))
    end = min(len(whole), begin + draw(st.integers(0, 40)))
    return whole[:begin] + draw(st.binary(max_size=8)) + whole[end:]


def lines_of(*documents: Any) -> bytes:
    return b"".join(json.dumps(document).encode() + b"\n" for document in documents)


def events(broken: Any) -> bytes:
    return lines_of(EVENT, broken, EVENT | {"id": "2"})


def csv_of(rows: list[dict[str, Any]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(BILL), extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode(errors="surrogatepass")


def bill_with_notes(*notes: str) -> bytes:
    """A bill with a further column of these texts, as they are."""
    heading, *rows = csv_of([BILL | {"RegionId": f"q{n}"} for n in range(len(notes))]).splitlines()
    noted = [row + b"," + note.encode() for row, note in zip(rows, notes, strict=True)]
    return b"\n".join([heading + b",x_Note", *noted, b""])


def bill_row(cells: dict[str, str]) -> bytes:
    return csv_of([BILL, BILL | {"RegionId": "westus3"} | cells, BILL | {"RegionId": "uksouth"}])


CELLS = st.dictionaries(st.sampled_from(list(BILL)), TEXTS, max_size=3)
TORN = st.one_of(
    torn(lines_of(EVENT, EVENT | {"id": "2"})),
    torn(json.dumps([EVENT, EVENT | {"id": "2"}], indent=1).encode()),
    torn(lines_of(EXPORT)),
    torn(csv_of([BILL, BILL | {"RegionId": "westus3"}])),
    st.binary(max_size=60),
)
# format | the bytes of a file
FILES = st.one_of(
    st.tuples(st.just("cloudevents"), spoilt(EVENT).map(events)),
    st.tuples(st.just("cloudevents"), spoilt(EVENT).map(lambda event: json.dumps([EVENT, event], indent=1).encode())),
    st.tuples(st.just("opentelemetry"), spoilt(EXPORT).map(lambda export: lines_of(export, EXPORT))),
    st.tuples(st.just("focus"), CELLS.map(bill_row)),
    st.tuples(st.sampled_from(["cloudevents", "opentelemetry", "focus", "parquet", ""]), TORN),
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """One home for all files: what is in it already changes no sum."""
    return Home(tmp_path_factory.mktemp("any") / "home")


def put(home: Home, form: str, content: bytes) -> Path:
    home.root.mkdir(exist_ok=True)
    path = home.root / f"any.{'csv' if form == 'focus' else 'json'}"
    path.write_bytes(content)
    return path


def load(home: Home, path: Path, form: str) -> Imported | None:
    try:
        return import_usage(home, OPENED, [path], ImportSource(format=form), lambda *_: None)
    except InvalidInput:
        return None


def accounted(done: Imported) -> bool:
    return done.rows == done.imported + done.again + done.quarantined + sum(done.skipped.values())


SETTINGS = settings(max_examples=examples(40), deadline=None, suppress_health_check=list(HealthCheck))


@SETTINGS
@given(FILES)
def test_any_file_is_accounted_for_or_refused(home: Home, file: tuple[str, bytes]) -> None:
    form, content = file
    done = load(home, put(home, form, content), form)
    assert done is None or accounted(done)
    listed(home)


@SETTINGS
@given(spoilt(EVENT))
def test_an_event_that_is_spoilt_costs_no_other(home: Home, broken: Any) -> None:
    done = load(home, put(home, "cloudevents", events(broken)), "cloudevents")
    assert done is not None
    assert accounted(done)
    assert done.imported + done.again >= 2


@SETTINGS
@given(CELLS)
def test_a_row_of_a_bill_that_is_spoilt_costs_no_other(home: Home, cells: dict[str, str]) -> None:
    done = load(home, put(home, "focus", bill_row(cells)), "focus")
    assert done is not None
    assert (done.rows, accounted(done)) == (3, True)
    assert done.imported + done.again >= 2


def column(values: st.SearchStrategy[Any], kind: pa.DataType) -> st.SearchStrategy[pa.Array]:
    return st.lists(values | st.none(), min_size=2, max_size=2).map(lambda cells: pa.array(cells, kind))


WORDS = st.sampled_from(["acme", "1.5", "", "9" * 400])
COLUMNS = st.one_of(
    column(st.integers(-(2**63), 2**63 - 1), pa.int64()),
    column(st.floats(), pa.float64()),
    column(st.booleans(), pa.bool_()),
    column(st.binary(max_size=6), pa.binary()),
    column(st.integers(-(2**63), 2**63 - 1), pa.timestamp("ns", "UTC")),
    column(st.integers(-(2**63), 2**63 - 1), pa.timestamp("us", "Mars/Phobos")),
    column(st.integers(-(2**31), 2**31 - 1), pa.date32()),
    column(WORDS.map(lambda word: [word]), pa.list_(pa.string())),
    column(WORDS.map(lambda word: {"a": word}), pa.struct([("a", pa.string())])),
    column(WORDS.map(lambda word: [(word, "b")]), pa.map_(pa.string(), pa.string())),
    column(st.decimals(min_value=-(10**9), max_value=10**9, places=3), pa.decimal128(38, 3)),
    # Bytes that say they are text and are not.
    column(st.binary(min_size=1, max_size=4), pa.binary()).map(lambda it: it.cast(pa.binary()).view(pa.string())),
)


@settings(SETTINGS, max_examples=examples(15))  # each example starts a process, which reads the file
@given(st.booleans(), st.dictionaries(st.sampled_from([*BILL, *OWN]), COLUMNS, max_size=3))
def test_any_column_of_a_parquet_file(home: Home, ours: bool, spoilt_columns: dict[str, pa.Array]) -> None:
    good = OWN if ours else BILL
    table = pa.Table.from_pylist([good, good | ({"attempt": 2} if ours else {"RegionId": "x"})])
    for name, cells in spoilt_columns.items():
        at = table.schema.get_field_index(name)
        table = table.set_column(at, name, cells) if at >= 0 else table.append_column(name, cells)
    home.root.mkdir(exist_ok=True)
    path = home.root / "any.parquet"
    pq.write_table(table, path)
    form = "parquet" if ours else "focus"
    done = load(home, path, form)
    assert done is None or (done.rows, accounted(done)) == (2, True)


# a file | what becomes of its rows: rows, imported, quarantined
BY_HAND: list[tuple[str, str, bytes, tuple[int, int, int]]] = [
    ("depth", "cloudevents", lines_of(EVENT | {"id": "d1"}) + f"{DEEP}\n".encode(), (2, 1, 1)),
    (
        "depth in an array",
        "cloudevents",
        b"[\n"
        + json.dumps(EVENT | {"id": "d2"}).encode()
        + f",\n{DEEP},\n".encode()
        + json.dumps(EVENT | {"id": "d3"}).encode()
        + b"]",
        (3, 2, 1),
    ),
    (
        "no value in an array",
        "cloudevents",
        b"[\n"
        + json.dumps(EVENT | {"id": "d4"}).encode()
        + b',\n{"id": oops, "a": [1, "]"]},\n'
        + json.dumps(EVENT | {"id": "d5"}).encode()
        + b"]",
        (3, 2, 1),
    ),
    (
        "a key that is a list",
        "opentelemetry",
        lines_of(
            {
                "resourceSpans": [
                    {
                        "scopeSpans": [
                            {
                                "spans": [
                                    SPAN | {"spanId": "1" * 16},
                                    SPAN | {"attributes": [{"key": ["a"], "value": {}}]},
                                ]
                            }
                        ]
                    }
                ]
            }
        ),
        (2, 1, 1),
    ),
    ("a byte order mark", "cloudevents", b"\xef\xbb\xbf" + lines_of(EVENT | {"id": "d6"}), (1, 1, 0)),
    ("not UTF-8", "cloudevents", lines_of(EVENT | {"id": "d7"}) + b'{"specversion": "1.0", "id": "\xff"}\n', (2, 1, 1)),
    (
        "a field of a megabyte",
        "focus",
        csv_of([BILL | {"RegionId": "d8"}, BILL | {"SkuMeter": "x" * 10**6}, BILL | {"RegionId": "d9"}]),
        (3, 2, 1),
    ),
    (
        "an absurd exponent",
        "focus",
        csv_of([BILL | {"RegionId": "d10"}, BILL | {"ConsumedQuantity": "1e999999999"}]),
        (2, 1, 1),
    ),
    (
        "a comma in a number",
        "focus",
        csv_of([BILL | {"RegionId": "d11"}, BILL | {"ConsumedQuantity": "1,5"}]),
        (2, 1, 1),
    ),
    # In a column that nobody reads, a cell without an end would take the rows after it, or half of one, with it.
    ("a quotation mark that nothing closes", "focus", bill_with_notes("a", '"b', "c", "d"), (2, 1, 1)),
    ("a quotation mark that the next row's closes", "focus", bill_with_notes("a", '"b', '"c"', "d"), (3, 2, 1)),
    (
        "a line of its own length",
        "cloudevents",
        lines_of(EVENT | {"id": "d12"}) + b'"' + b"x" * (20 << 20) + b'"\n' + lines_of(EVENT | {"id": "d13"}),
        (3, 2, 1),
    ),
]


@pytest.mark.parametrize(("form", "content", "expected"), [case[1:] for case in BY_HAND], ids=[c[0] for c in BY_HAND])
def test_what_is_wrong_with_a_row_by_hand(
    tmp_path: Path, form: str, content: bytes, expected: tuple[int, int, int]
) -> None:
    home = Home(tmp_path / "home")
    done = load(home, put(home, form, content), form)
    assert done is not None
    assert (done.rows, done.imported, done.quarantined) == expected


def test_lines_that_a_missing_quotation_mark_takes_are_named(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    load(home, put(home, "focus", bill_with_notes("a", '"b', "c", "d")), "focus")
    assert [(held.line, str(held.flaws[0].reason)) for held in listed(home)] == [
        (3, "lines 3 to 5 are no rows of a CSV file (unexpected end of data): see the quotation marks of line 3")
    ]


def test_a_quantity_that_is_no_number_is_named_and_can_be_corrected(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    load(home, put(home, "focus", csv_of([BILL | {"ConsumedQuantity": "12.5x"}])), "focus")
    [waiting] = listed(home)
    [flaw] = waiting.flaws
    assert (flaw.field, flaw.reason[:41]) == ("input_tokens", "'12.5x (1M Tokens)' is not a whole number")
    assert replay(home, OPENED, [waiting.number], {"input_tokens": "12"}).replayed == (waiting.number,)


def test_values_of_other_types_are_named_by_their_field(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    wrong: list[tuple[str, object]] = [
        ("organisation", ["acme"]),
        ("streamed", [True]),
        ("endpoint", 1.5),
        ("terms", {"a": 1}),
        ("event_ns", None),
        ("charge_picodollars", 2**80),
        ("tier", {"a": []}),
        ("region", True),
    ]
    data = EVENT["data"]
    file = lines_of(*(EVENT | {"id": f"t{n}", "data": data | {name: value}} for n, (name, value) in enumerate(wrong)))
    load(home, put(home, "cloudevents", file.replace(b'"event_ns": null', b'"event_ns": {}')), "cloudevents")
    fields = [held.flaws[0].field for held in listed(home)]
    assert fields == [name for name, _ in wrong if name != "event_ns"]


def test_a_year_that_python_has_no_word_for_spoils_its_row_alone(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    starts = pa.array([2**62, 1777716000000000], pa.timestamp("us", "UTC"))
    table = pa.Table.from_pylist([BILL, BILL | {"RegionId": "x", "ConsumedQuantity": "3"}])
    table = table.set_column(table.schema.get_field_index("ChargePeriodStart"), "ChargePeriodStart", starts)
    table = table.append_column("x_When", pa.array([datetime(2026, 5, 1, tzinfo=UTC), None]))
    table = table.append_column("x_Rate", pa.array([Decimal("1.5"), None]))
    home.root.mkdir()
    pq.write_table(table, home.root / "bill.parquet")
    done = load(home, home.root / "bill.parquet", "focus")
    assert done is not None
    assert (done.imported, done.quarantined) == (1, 1)

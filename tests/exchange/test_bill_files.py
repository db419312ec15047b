"""Bills as clouds write them: gzipped, with nested columns, with the names of an earlier specification."""

import csv
import gzip
import io
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal as D
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clauseway.exchange.focus.bill_rows import read_bill
from clauseway.exchange.focus.cost_rows import cost_rows
from clauseway.exchange.usage.focus import BillNames, read_focus
from clauseway.exchange.usage.usage_files import format_of
from clauseway.values import InvalidInput
from work_done import calls_in

NAMES = BillNames(products=("gpt-5.4",), clouds={}, sellers={})
AT = "2026-05-06T00:00:00.000Z"
ROW = {
    "BilledCost": "2.50",
    "BillingCurrency": "USD",
    "BillingPeriodStart": "2026-05-01T00:00:00Z",
    "BillingPeriodEnd": "2026-06-01T00:00:00Z",
    "ChargeCategory": "Usage",
    "ChargePeriodStart": AT,
    "ConsumedQuantity": "1000",
    "ConsumedUnit": "1K tokens",
    "ContractedCost": "2.50",
    "InvoiceIssuerName": "Amazon Web Services, Inc.",
    "ProviderName": "AWS",
    "RegionId": "us-east-1",
    "SkuMeter": "USE1-gpt-5.4-input-tokens",
    "Tags": '{"team": "search"}',
}
TAX = ROW | {"ChargeCategory": "Tax", "BilledCost": "0.48", "ContractedCost": "0.48"}
# Oracle's FOCUS reports: the columns of the preview, without ContractedCost.
ORACLE = {
    "InvoiceIssuerName": "InvoiceIssuer",
    "ProviderName": "Provider",
    "RegionId": "Region",
    "ConsumedQuantity": "UsageQuantity",
    "ConsumedUnit": "UsageUnit",
}


def csv_text(rows: Sequence[Mapping[str, str]], **how: str) -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), delimiter=how.get("delimiter", ","))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def of_oracle(row: Mapping[str, str]) -> Mapping[str, str]:
    return {ORACLE.get(name, name): value for name, value in row.items()}


def of_google(row: Mapping[str, str]) -> Mapping[str, str]:
    """As BigQuery writes Google's view into CSV."""
    row = {**row, "BillingPeriodEnd": "2026-05-31"}  # its last day, where FOCUS has the day after
    times = {name: value[:10] + " 00:00:00 UTC" for name, value in row.items() if "Period" in name}
    return {**row, **times, "ChargeCategory": row["ChargeCategory"].lower()}


def typed(name: str, value: str) -> object:
    if name.endswith(("Cost", "Quantity")):
        return D(value)
    return datetime.fromisoformat(value).astimezone(UTC) if "Period" in name else value


def parquet(path: Path, tags: pa.DataType, written: list[object], rows: Sequence[Mapping[str, str]]) -> None:
    columns = {name: pa.array([typed(name, row[name]) for row in rows]) for name in ROW if name != "Tags"}
    pq.write_table(pa.table(columns | {"Tags": pa.array(written, tags)}), path)


def aws_map(path: Path, rows: Sequence[Mapping[str, str]]) -> None:
    parquet(path, pa.map_(pa.string(), pa.string()), [[("user:team", "search")], None], rows)


def google_structs(path: Path, rows: Sequence[Mapping[str, str]]) -> None:
    kind = pa.struct([("key", pa.string()), ("value", pa.string()), ("x_inherited", pa.bool_())])
    lower = [{**row, "ChargeCategory": row["ChargeCategory"].lower()} for row in rows]
    parquet(path, pa.list_(kind), [[{"key": "team", "value": "search", "x_inherited": False}], []], lower)


# how a cloud writes the file | its name
FORMS: list[tuple[str, Callable[[Path, Sequence[Mapping[str, str]]], object]]] = [
    ("plain.csv", lambda path, rows: path.write_text(csv_text(rows))),
    ("bom.csv", lambda path, rows: path.write_text(csv_text(rows), "utf-8-sig")),
    ("aws.csv.gz", lambda path, rows: path.write_bytes(gzip.compress(csv_text(rows).encode()))),
    ("aws.snappy.parquet", aws_map),
    ("google.parquet", google_structs),
    ("bigquery.csv", lambda path, rows: path.write_text(csv_text([of_google(row) for row in rows]))),
    ("oracle.csv.gz", lambda path, rows: path.write_bytes(gzip.compress(csv_text([*map(of_oracle, rows)]).encode()))),
]


@pytest.mark.parametrize(("name", "write"), FORMS, ids=[name for name, _ in FORMS])
def test_a_bill_is_read_as_its_cloud_writes_it(
    tmp_path: Path, name: str, write: Callable[[Path, Sequence[Mapping[str, str]]], object]
) -> None:
    path = tmp_path / name
    write(path, [ROW, TAX])
    bill = read_bill(path, NAMES, "BilledCost")
    [row] = bill.rows
    assert (row.day.isoformat(), row.cloud, row.region, row.product) == ("2026-05-06", "aws", "us-east-1", "gpt-5.4")
    assert (row.quantity, row.cost) == (D(1_000_000), D("2.50"))
    assert [(each.kind, each.cost) for each in bill.beside] == [("taxes", D("0.48"))]
    assert bill.unread == ()
    assert bill.period == (date(2026, 5, 1), date(2026, 6, 1))
    assert format_of(path) == "focus"
    assert [row.fields.get("input_tokens") for row in read_focus(path, NAMES)] == [1_000_000, None]


def test_a_gzipped_file_is_read_whatever_its_name(tmp_path: Path) -> None:
    path = tmp_path / "part_0_0001.csv"
    path.write_bytes(gzip.compress(csv_text([ROW]).encode()))
    assert len(read_bill(path, NAMES).rows) == 1


# service and meter of a charge for usage | whether it is no usage of models
SERVICES = [
    ({"ServiceCategory": "Compute", "SkuMeter": "BoxUsage:m5.large"}, "a charge of the service Compute"),
    ({"ServiceCategory": "Storage", "SkuMeter": "Requests-Tier1"}, "a charge of the service Storage"),
    ({"ServiceCategory": "Compute"}, ""),  # a meter of a model is read whatever its service
    ({"ServiceCategory": "AI and Machine Learning", "SkuMeter": "gpt-9 hours"}, ""),
    ({"ServiceCategory": "Other", "SkuMeter": "gpt-9 hours"}, ""),  # a marketplace may sell models
    ({"SkuMeter": "BoxUsage:m5.large"}, ""),
]


def test_charges_of_services_without_models_are_no_usage(tmp_path: Path) -> None:
    path = tmp_path / "bill.csv"
    service = {"ServiceCategory": ""}
    path.write_text(csv_text([{**ROW, **service, **changed} for changed, _ in SERVICES]))
    assert [row.skipped for row in read_focus(path, NAMES)] == [skipped for _, skipped in SERVICES]


# what the file holds | what is said of it, and why
REFUSED = [
    (csv_text([ROW], delimiter=";").encode(), "the bill is not CSV", "semicolons are between its columns, not commas"),
    (csv_text([ROW], delimiter="\t").encode(), "the bill is not CSV", "tabs are between its columns, not commas"),
    (csv_text([ROW]).encode("utf-16"), "the bill is not UTF-8", "it begins as UTF-16 does"),
    (gzip.compress(csv_text([ROW] * 99).encode())[:-20], "the bill cannot be read", "the gzip file is damaged"),
    (gzip.compress(b"x" * (2 << 20)), "a line is too long", "it has more than a million characters"),
]


@pytest.mark.parametrize(("content", "what", "why"), REFUSED, ids=[why for _, _, why in REFUSED])
def test_a_file_of_another_form_is_refused_by_what_it_is(tmp_path: Path, content: bytes, what: str, why: str) -> None:
    path = tmp_path / "bill.csv"
    path.write_bytes(content)
    with pytest.raises(InvalidInput) as refused:
        read_bill(path, NAMES)
    [problem] = refused.value.problems
    assert problem.what == what
    assert why in problem.why
    assert problem.remedy


def test_a_providers_name_and_tags_are_read_once_where_rows_repeat_them(tmp_path: Path) -> None:
    path = tmp_path / "bill.csv"
    rows = [{**ROW, "ConsumedQuantity": str(place)} for place in range(200)]
    path.write_text(csv_text(rows), newline="")
    calls = calls_in(lambda: list(cost_rows(path, NAMES, "BilledCost")))
    assert (calls["_named_by"], calls["_parsed"]) == (1, 1)

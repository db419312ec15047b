"""`usage allocate` as a person calls it: bills of two clouds with different keys, beside the gateway's usage."""

import csv
import json
from collections.abc import Mapping, Sequence
from decimal import Decimal as D
from pathlib import Path

import pytest

from clauseway.app.opening.home import Home
from clauseway.cli import run as run_here
from in_process import answer, run
from metered_months import metered_home

MAY = ("--period", "2026-05")
COLUMNS = (
    "BillingCurrency",
    "ChargeCategory",
    "ChargePeriodStart",
    "EffectiveCost",
    "ProviderName",
    "SubAccountId",
    "Tags",
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """In May the gateway metered Contoso/search on azure 200 and on aws 144, Fabrikam/chat on azure 100."""
    return metered_home(tmp_path_factory.mktemp("months"))


def written(path: Path, provider: str, rows: Sequence[Mapping[str, str]]) -> Path:
    usual = {
        "BillingCurrency": "USD",
        "ChargeCategory": "Usage",
        "ChargePeriodStart": "2026-05-06T00:00:00Z",
        "ProviderName": provider,
        "SubAccountId": "1",
    }
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows({**usual, **row} for row in rows)
    return path


@pytest.fixture(scope="module")
def bills(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("bills")
    aws = written(
        folder / "aws.csv",
        "AWS",
        [
            {"EffectiveCost": "20.00", "Tags": '{"user:team": "search"}'},
            {"EffectiveCost": "1.50", "Tags": '{"user:team": "Search"}'},
            {"EffectiveCost": "150.00", "SubAccountId": "4444", "Tags": "{}"},
            {"EffectiveCost": "3.27", "ChargeCategory": "Tax"},
            {"EffectiveCost": "-1.00", "ChargeCategory": "Credit"},
            {"EffectiveCost": "9.00", "ChargePeriodStart": "2026-04-30T23:00:00Z", "Tags": '{"user:team": "search"}'},
        ],
    )
    oracle = written(
        folder / "oracle.csv",
        "Oracle",
        [
            {"EffectiveCost": "5.00", "Tags": '{"team": "search"}'},
            {"EffectiveCost": "2.00", "Tags": '{"Team": "search"}'},
            {"EffectiveCost": "7.00", "BillingCurrency": "EUR", "Tags": '{"team": "data"}'},
        ],
    )
    return ["--bill", str(aws), "--bill", str(oracle), "--by", "user:team", "--by", "team"]


def test_each_team_is_told_with_what_is_of_none_and_what_to_look_at(home: Home, bills: list[str]) -> None:
    result = run("usage", "allocate", *MAY, *bills, home=home.root)
    assert (result.returncode, result.stderr) == (2, "")
    rows = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert rows[3:12] == [
        "aws oci azure, metered in all",
        "Contoso/search – – 200.00 200.00",
        "Fabrikam/chat – – 100.00 100.00",
        "Search 1.50 – – 1.50",
        "search 20.00 5.00 – 25.00",
        "(no tag: Credit) -1.00 – – -1.00",
        "(no tag: Tax) 3.27 – – 3.27",
        "(no tag: Usage) 150.00 2.00 – 152.00",
        "in all 173.77 7.00 300.00 480.77",
    ]
    said = " ".join(rows)
    assert "data: 7.00 EUR on oci have no rate and are in no amount." in said
    assert f"1 row of {bills[1]} is of other months: 9.00 USD, in no amount." in said
    assert "1 row of no team has the tag Team: --by Team reads it too." in said
    assert "are apart: --team Search=search --team Contoso/search=search join them." in said
    assert "The gateway metered 144.00 USD on aws, which the bills have: it is not added." in said


def test_the_gateways_account_is_split_over_its_projects(home: Home, bills: list[str]) -> None:
    joined = ("--team", "Search=search", "--team", "Contoso/search=search", "--gateway", "SubAccountId=4444")
    result = answer("usage", "allocate", *MAY, *bills, *joined, "--rate", "EUR=1.08", "--by", "Team", home=home.root)
    costs = {(cost["team"], cost["reason"], cost["cloud"]): D(cost["cost"]) for cost in result["costs"] if cost["team"]}
    assert costs == {
        ("data", "", "oci"): D("7.56"),
        ("Fabrikam/chat", "", "azure"): D(100),
        ("search", "", "aws"): D("171.50"),  # 20 + 1.50, and the account's 150: nobody else was metered there
        ("search", "", "azure"): D(200),
        ("search", "", "oci"): D(7),
    }
    assert result["remarks"] == []
    billed = [D(cost["cost"]) for cost in result["costs"] if not cost["is_metered"]]
    assert sum(billed) == D("173.77") + D(7) + D("7.56")


# flags beside the bills | where, and what is refused
REFUSED = [
    (("--by", "team-name"), "--by: no row has 'team-name'", ""),
    (("--by", "usr:team"), "--by: no row has 'usr:team'", "Write --by user:team."),
    (("--gateway", "team=ai-gateway"), "--gateway: no row of the month has team=ai-gateway", ""),
    (("--gateway", "team"), "--gateway: 'team' is not a name and a value", ""),
    (("--team", "a=b", "--team", "a=c"), "--team: 'a' is two teams", ""),
    (("--cost", "Cost"), "--cost: unknown column 'Cost'", "EffectiveCost"),
]


@pytest.mark.parametrize(("flags", "problem", "remedy"), REFUSED)
def test_what_nothing_could_be_counted_by_is_refused(
    home: Home, bills: list[str], flags: tuple[str, ...], problem: str, remedy: str
) -> None:
    result = run("usage", "allocate", *MAY, *bills, *flags, home=home.root)
    assert result.returncode == 3
    assert problem in result.stderr
    assert remedy in result.stderr


def test_a_bill_counts_once_and_rows_of_two_exports_are_told(home: Home, bills: list[str], tmp_path: Path) -> None:
    again = tmp_path / "again.csv"
    again.write_bytes(Path(bills[1]).read_bytes())
    twice = run("usage", "allocate", *MAY, *bills, "--bill", bills[1], home=home.root)
    assert (twice.returncode, "the bill is given twice" in twice.stderr) == (3, True)
    result = answer("usage", "allocate", *MAY, *bills, "--bill", str(again), "--rate", "EUR=1", home=home.root)
    assert any(f"6 rows of {again} are in {bills[1]} too" in remark for remark in result["remarks"])
    # A later export of the same charges may have more tags.
    again.write_text(again.read_text().replace("user:team", "user:group"))
    result = answer("usage", "allocate", *MAY, *bills, "--bill", str(again), "--rate", "EUR=1", home=home.root)
    assert any(f"6 rows of {again} are in {bills[1]} too" in remark for remark in result["remarks"])


def test_a_long_bill_is_seen_to_be_read(
    home: Home, bills: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("clauseway.app.reports.allocating._ROWS_REPORTED", 2)
    run_here(["usage", "allocate", *MAY, *bills, "--home", str(home.root)])
    assert capsys.readouterr().err.splitlines() == [
        *(f"{bills[1]}: {rows} rows read" for rows in (2, 4, 6)),
        f"{bills[3]}: 2 rows read",
    ]
    run_here(["usage", "allocate", *MAY, *bills, "--home", str(home.root), "--json"])
    assert capsys.readouterr().err == ""


def test_a_bill_without_tags_is_counted_by_a_column_or_refused(home: Home, tmp_path: Path) -> None:
    """In a month without usage of the gateway: the bill alone."""
    bill = tmp_path / "bill.csv"
    march = {"ChargePeriodStart": "2026-03-05T00:00:00Z"}
    rows = [march | {"EffectiveCost": "2"}, march | {"EffectiveCost": "x"}]
    lines = written(tmp_path / "tags.csv", "AWS", rows).read_text().splitlines()
    bill.write_text("\n".join(line.rpartition(",")[0] for line in lines))
    flags = ("--period", "2026-03", "--bill", str(bill))
    refused = run("usage", "allocate", *flags, "--by", "team", home=home.root)
    assert (refused.returncode, "Tags is missing" in refused.stderr) == (3, True)
    done = run("usage", "allocate", *flags, "--by", "SubAccountId", "--json", home=home.root)
    assert done.returncode == 2
    result = json.loads(done.stdout)
    assert [(cost["team"], cost["cost"]) for cost in result["costs"]] == [("1", "2")]
    assert [(row["line"], row["field"]) for row in result["unread"]] == [(3, "EffectiveCost")]

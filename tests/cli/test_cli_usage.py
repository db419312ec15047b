"""Usage and the lake by command: what is printed, and with which exit code."""

import fcntl
import json
import subprocess
from pathlib import Path

import pytest

from clauseway.app.opening.home import Home
from clauseway.storage import Control
from in_process import CLAUSEWAY, answer, run

HEADER = (
    "ChargeCategory,ChargePeriodStart,ChargePeriodEnd,ConsumedQuantity,ConsumedUnit,ProviderName,InvoiceIssuerName,"
    "SubAccountName,RegionId,SkuMeter,BilledCost"
)
ROW = "Usage,2026-05-01T00:00:00Z,2026-05-02T00:00:00Z,{},Tokens,Microsoft,Microsoft,acme,eastus2,gpt 5.4 {},1"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with a bill of which one row of three is wrong."""
    rows = [ROW.format(1000, "Inp"), ROW.format(-5, "Outp"), ROW.format(200, "cached Inp")]
    (tmp_path / "bill.csv").write_text("\n".join([HEADER, *rows]) + "\n")
    done = run("usage", "import", str(tmp_path / "bill.csv"), home=tmp_path / "home")
    assert done.returncode == 2
    assert done.stdout.splitlines()[0] == "3 rows: 2 imported, 0 there before, 1 in quarantine"
    return tmp_path / "home"


def test_a_settlement_says_what_waits_in_quarantine(home: Path) -> None:
    settled = run("settle", "--period", "2026-05", "--assume", "share-openai-microsoft", "--assume", "cap", home=home)
    assert settled.returncode == 0
    waits = "1 row of usage waits in quarantine and is in no amount; `clauseway usage quarantine list` shows it."
    assert waits in settled.stderr.splitlines()
    run("usage", "quarantine", "drop", "1", home=home)
    assert "quarantine" not in run("settle", "--period", "2026-05", home=home).stderr


def test_quarantine_listed_shown_corrected_and_dropped(home: Path) -> None:
    assert [line.split(maxsplit=5) for line in run("usage", "quarantine", "list", home=home).stdout.splitlines()] == [
        ["number", "from", "row", "state", "field", "reason"],
        ["1", "bill.csv", "3", "open", "units", "output_tokens is -5, below zero"],
    ]
    shown = run("usage", "quarantine", "show", "1", home=home).stdout.splitlines()
    assert shown[0].startswith("1  bill.csv, row 3: open, since 20")
    assert shown[1] == "  units: output_tokens is -5, below zero"
    assert ["organisation", "acme"] in [line.split() for line in shown[2:]]
    [result] = answer("usage", "quarantine", "list", home=home)
    assert (result["number"], result["row"]["output_tokens"], result["flaws"][0]["field"]) == (1, -5, "units")
    assert "body" not in result
    still = run("usage", "quarantine", "replay", "1", home=home)
    assert still.stdout == "0 imported, 1 still in quarantine\n  1  units: output_tokens is -5, below zero\n"
    assert answer("usage", "quarantine", "replay", "1", code=2, home=home)["replayed"] == []
    corrected = answer("usage", "quarantine", "replay", "1", "--set", "output_tokens=5", home=home)
    assert corrected["replayed"] == [1]
    assert run("usage", "quarantine", "list", home=home).stdout == "Nothing is in quarantine.\n"
    assert " replayed " in run("usage", "quarantine", "list", "--all", home=home).stdout
    assert run("usage", "quarantine", "drop", "1", home=home).returncode == 3


def test_usage_is_judged_by_the_agreement_that_the_home_settles_under(tmp_path: Path) -> None:
    """Without a configuration and without --agreement, and a check that comes again says what is wrong now."""
    home = tmp_path / "home"
    run("agreement", "new", str(tmp_path / "ours"))
    sold = '{{"specversion": "1.0", "type": "org.clauseway.usage.v1", "source": "/app", "id": "{0}", "time": \
"2026-04-10T12:00:00Z", "data": {{"organisation": "acme", "seller": "vendor", "cloud": "vendor-cloud", \
"product": "{0}", "units": {{"input_tokens": 1}}}}}}\n'
    (tmp_path / "april.jsonl").write_text(sold.format("assistant") + sold.format("slip"))
    arguments = ("usage", "import", str(tmp_path / "april.jsonl"))
    assert run(*arguments, home=home).stdout.startswith("2 rows: 0 imported, 0 there before, 2 in quarantine")
    flags = ("--agreement", str(tmp_path / "ours"), "--assume", "share", "--assume", "cap")
    assert run("settle", "--period", "2026-04", *flags, home=home).returncode == 0
    replayed = answer("usage", "quarantine", "replay", code=2, home=home)
    assert replayed["replayed"] == [1]
    [slip] = answer("usage", "quarantine", "list", home=home)
    assert slip["flaws"] == replayed["still"]["2"]
    assert [flaw["field"] for flaw in slip["flaws"]] == ["product"]


def test_usage_shown_handed_on_and_merged(home: Path, tmp_path: Path) -> None:
    [result] = answer("usage", "show", "--by", "organisation", home=home)
    assert result == {
        "organisation": "acme",
        "served": 2,
        "failed": 0,
        "input_tokens": 1200,
        "cached_input_tokens": 200,
    }
    shown = run("usage", "show", "--by", "organisation", "--from", "2026-05-01", home=home).stdout
    assert [" ".join(line.split()) for line in shown.splitlines()] == [
        "organisation served failed input tokens cached input tokens",
        "acme 2 0 1,200 200",
    ]
    out = tmp_path / "out.jsonl"
    assert answer("export", "usage", "--format", "cloudevents", "--out", str(out), home=home)["rows"] == 2
    assert [json.loads(line)["specversion"] for line in out.read_text().splitlines()] == ["1.0", "1.0"]
    assert run("lake", "compact", home=home).stdout == "0 files became 0, with 0 rows; 0 removed\n"
    assert run("lake", "rollups", home=home).stdout == "Every day was as it should be.\n"
    assert run("lake", "show", home=home).stdout.startswith("2 records of 2026-05-01 to 2026-05-01 in 1 file,")
    refused = run("lake", "retain", "--keep-days", "1", home=home)
    assert (refused.returncode, "no period is closed" in refused.stderr) == (3, True)


def test_of_many_rows_in_quarantine_the_rest_is_counted(tmp_path: Path) -> None:
    (tmp_path / "bill.csv").write_text("\n".join([HEADER, *(ROW.format(-n, "Inp") for n in range(1, 54))]) + "\n")
    assert run("usage", "import", str(tmp_path / "bill.csv"), home=tmp_path / "home").returncode == 2
    listed = run("usage", "quarantine", "list", home=tmp_path / "home").stdout.splitlines()
    assert (len(listed), listed[-1]) == (52, "… and 3 more: --json has all of them.")


# the days that are asked for, and what is said where there is no usage
WITHOUT_USAGE = [
    (("--from", "2031-07-01"), 0, "Nothing of these days is sealed."),
    (("--until", "2001-12-31"), 0, "Nothing of these days is sealed."),
    (("--from", "2026-06-01", "--until", "2026-05-01"), 3, "Let --until be no earlier than --from."),
]


@pytest.mark.parametrize(("days", "code", "says"), WITHOUT_USAGE)
def test_days_without_usage_are_told_as_such(home: Path, days: tuple[str, ...], code: int, says: str) -> None:
    shown = run("usage", "show", *days, home=home)
    assert (shown.returncode, says in shown.stdout + shown.stderr) == (code, True), shown


def event(number: int, key: str, day: str, charge: int) -> str:
    """A request of a key, with 100 tokens in and a charge in millionths of a USD."""
    units = {"input_tokens": 100}
    buyer = {"organisation": "acme", "project": "search", "key_id": key, "seller": "openai"}
    place = {"cloud": "azure", "product": "gpt-5.5", "charge_picodollars": charge * 10**6}
    return json.dumps(
        {
            "specversion": "1.0",
            "type": "org.clauseway.usage.v1",
            "source": "/app",
            "id": str(number),
            "time": f"{day}T{number:02}:30:00Z",
            "data": {**buyer, **place, "units": units},
        }
    )


def test_a_key_that_leaked_is_told_from_others_of_its_project(tmp_path: Path) -> None:
    asked = [("key_leaked", "2026-05-01", 250_000), ("key_leaked", "2026-05-01", 500_000)]
    asked += [("key_other", "2026-05-02", 4_000_000), ("key_leaked", "2026-05-02", 1_000_000)]
    (tmp_path / "events.jsonl").write_text("\n".join(event(at, *each) for at, each in enumerate(asked)) + "\n")
    home = tmp_path / "home"
    answer("usage", "import", str(tmp_path / "events.jsonl"), home=home)
    figures = {"served": 3, "failed": 0, "input_tokens": 300, "charged_usd": "1.750000000000"}
    assert answer("usage", "show", "--key", "key_leaked", home=home) == [{"cloud": "azure", **figures}]
    by_hour = ("usage", "show", "--key", "key_leaked", "--by", "hour", "--by", "project")
    (last,) = answer(*by_hour, "--from", "2026-05-02", home=home)
    assert (last["hour"], last["project"], last["charged_usd"]) == ("2026-05-02T03:00Z", "search", "1.000000000000")
    shown = run(*by_hour, home=home).stdout
    headings, *rows = shown.splitlines()
    assert headings.split() == ["hour", "project", "served", "failed", "input", "tokens", "charged", "(USD)"]
    assert [line.split()[-1] for line in rows] == ["0.250000", "0.500000", "1.000000"]
    by_request = answer("usage", "show", "--key", "key_leaked", "--by", "hour", "--by", "request", home=home)
    assert [(row["hour"], row["charged_usd"]) for row in by_request] == [
        ("2026-05-01T00:00Z", "0.250000000000"),
        ("2026-05-01T01:00Z", "0.500000000000"),
        ("2026-05-02T03:00Z", "1.000000000000"),
    ]
    assert len({row["request"] for row in by_request}) == 3
    assert run("usage", "show", "--key", "key_leaked", "--by", "colour", home=home).returncode == 3
    refused = run("usage", "show", "--by", "request", home=home)
    assert (refused.returncode, "--key KEY" in refused.stderr) == (3, True)


def test_a_key_without_usage_is_told_from_one_that_nobody_made(tmp_path: Path) -> None:
    key = answer("key", "create", "--organisation", "acme", "--seller", "openai", home=tmp_path)["key_id"]
    assert run("usage", "show", "--key", key, home=tmp_path).stdout == f"No usage of {key} is sealed.\n"
    mistyped = run("usage", "show", "--key", key[:-1], home=tmp_path)
    assert mistyped.returncode == 3
    assert f"there is no key '{key[:-1]}'" in mistyped.stderr
    assert f"Did you mean '{key}'?" in " ".join(mistyped.stderr.split())
    answer("key", "revoke", key, home=tmp_path)
    assert run("usage", "show", "--key", key, home=tmp_path).returncode == 0


def test_the_event_that_the_help_shows_is_imported(tmp_path: Path) -> None:
    shown = run("usage", "import", "--help").stdout.partition('{"specversion"')[2].partition("}}}")[0]
    (tmp_path / "events.jsonl").write_text('{"specversion"' + " ".join(shown.split()) + "}}}\n")
    flags = ("--set", "organisation=acme", "--set", "seller=openai")
    done = run("usage", "import", str(tmp_path / "events.jsonl"), *flags, home=tmp_path / "home")
    assert done.stdout.splitlines()[0] == "1 row: 1 imported, 0 there before, 0 in quarantine"


def test_an_import_that_waits_for_another_says_so(home: Path) -> None:
    bill = home.parent / "bill.csv"
    for arguments in (["import", str(bill)], ["quarantine", "replay"]):
        command = [str(CLAUSEWAY), "usage", *arguments, "--home", str(home)]
        with (home / "import.lock").open("w") as other:
            fcntl.flock(other, fcntl.LOCK_EX)
            waiting = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            assert waiting.stderr is not None
            said = waiting.stderr.readline()
            assert waiting.poll() is None
        rest = waiting.communicate(timeout=60)[1]
        assert said == f"Another import into {home} is running: this one waits until it has ended.\n"
        assert (waiting.returncode, rest) == (2, "")


def test_an_import_that_is_alone_says_nothing_of_waiting(home: Path) -> None:
    assert run("usage", "import", str(home.parent / "bill.csv"), home=home).stderr == ""


@pytest.mark.parametrize(
    ("arguments", "where"),
    [
        (("usage", "import", "nothing.csv"), "nothing.csv"),
        (("usage", "import", "x.csv", "--set", "seller"), "--set"),
        (("usage", "import", "x.csv", "--set", "colour=red"), "--set"),
        (("export", "usage", "--format", "xls", "--out", "x"), "--format"),
        (("usage", "show", "--by", "colour"), "--by"),
        (("usage", "expand", "--scale", "0"), "--scale"),
        (("usage", "expand", "--from", "2026-05-02", "--until", "2026-05-01"), "--until"),
        (("usage", "quarantine", "show", "9"), "NUMBER"),
        (("usage", "quarantine", "replay", "--set", "colour=red"), "--set"),
    ],
)
def test_what_cannot_be_done_says_where_and_changes_nothing(
    arguments: tuple[str, ...], where: str, tmp_path: Path
) -> None:
    Control.open(Home(tmp_path / ".clauseway").make().control).close()
    problems = answer(*arguments, code=3, cwd=tmp_path)["error"]["problems"]
    assert [problem["where"].endswith(where) for problem in problems] == [True]
    assert all(problem[part] for problem in problems for part in ("what", "why", "remedy"))


def test_real_demand_fills_a_home(tmp_path: Path) -> None:
    arguments = ("usage", "expand", "--scale", "1/50000", "--from", "2026-05-01", "--until", "2026-05-03")
    done = answer(*arguments, home=tmp_path / "home")
    assert done["records"] > 100
    assert answer(*arguments, home=tmp_path / "home") == {**done, "again": done["records"]}
    records, tenants = f"{done['records']:,}", done["tenants"]
    said = run(*arguments, home=tmp_path / "home")
    assert said.stdout == f"{records} records of {tenants} tenants, {records} of them there before\n"
    assert said.stderr.endswith("records\n"), "progress, beside the answer"

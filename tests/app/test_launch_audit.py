"""The launch audit: what the shipped listing history says of products read up in it by hand, and made-up histories."""

import contextlib
import json
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clauseway import open_agreement
from clauseway.app.agreements.launch_audit import AuditRow, AuditView, launch_audit, listed_prices
from clauseway.cli import run
from clauseway.exchange.listings import price_observations, product_of, read_listings
from clauseway.values import InvalidInput

HEADER = (
    "provider,model,committed_at,commit,event,"
    "input_usd_per_mtok,output_usd_per_mtok,cache_read_usd_per_mtok,open_weights"
)


def audited(known_at: str = "2026-07-31", listings: Path | None = None, *supposed: str, **reading: str) -> AuditView:
    return launch_audit(open_agreement().supposing(supposed), listings, known_at, reading)


def rows_of(view: AuditView, product: str) -> list[AuditRow]:
    return [row for row in view.rows if row.product == product]


# --- the history that ships ------------------------------------------------------------------------------------------

# Read up by hand in the CSV and in the register: product, other cloud, order, bound, on Azure by, there by.
BY_HAND = (
    ("gpt-5.4", "aws", "first", "no", "2026-03-07", "2026-04-28"),
    ("gpt-5.5", "aws", "first", "no", "2026-04-24", "2026-04-28"),
    ("gpt-5.5", "oci", "first", "no", "2026-04-24", "2026-06-11"),
    ("codex", "aws", "cannot tell", "no", "", "2026-04-28"),
    ("managed-agents", "aws", "cannot tell", "yes", "", "2026-04-28"),
    ("gpt-5", "", "nowhere else", "no", "2025-08-08", ""),
    ("gpt-5.2", "", "nowhere else", "no", "2025-12-12", ""),
    # Azure lists it hours before its maker does: then the listing came after the launch, by how much nothing says.
    ("gpt-image-2", "", "nowhere else", "cannot tell", "2026-06-17", ""),
    ("gpt-5.5-pro", "", "nowhere else", "cannot tell", "", ""),
    ("gpt-audio", "", "nowhere else", "cannot tell", "", ""),
    ("gpt-oss-120b", "aws", "outside", "no", "", "2025-12-13"),
    ("gpt-oss-120b", "google-cloud", "outside", "no", "", "2025-12-09"),
    ("gpt-oss-120b", "cloudflare", "outside", "no", "", "2025-08-25"),
)


@pytest.mark.parametrize(("product", "cloud", "order", "bound", "on_azure", "there"), BY_HAND)
def test_products_by_hand(product: str, cloud: str, order: str, bound: str, on_azure: str, there: str) -> None:
    [row] = [row for row in rows_of(audited(), product) if row.cloud == cloud]
    days = [str(launches[0].day) if launches else "" for launches in (row.on_first, row.elsewhere)]
    assert [row.order, row.bound, *days] == [order, bound, on_azure, there]
    assert not row.breach


def test_no_breach_is_evidenced() -> None:
    view = audited()
    assert (view.first, view.breaches) == ("azure", 0)
    # Every other cloud but for open weights, and nothing of what resellers list.
    assert {(row.product, row.cloud) for row in view.rows if row.cloud and row.order != "outside"} == {
        ("codex", "aws"),
        ("codex", "oci"),
        ("gpt-5.4", "aws"),
        ("gpt-5.5", "aws"),
        ("gpt-5.5", "oci"),
        ("managed-agents", "aws"),
    }


def test_the_evidence_names_commits_and_times() -> None:
    [row] = [row for row in rows_of(audited(), "gpt-5.4") if row.cloud == "aws"]
    listed = [(launch.evidence, launch.known) for launch in (*row.on_first, *row.elsewhere) if launch.listed]
    assert listed == [
        ("azure gpt-5.4 35c757bad5", "2026-03-07T22:00:43Z"),
        ("amazon-bedrock openai.gpt-5.4 fbaf50d323", "2026-06-03T19:58:05Z"),
    ]
    assert (row.first_seen.seller, str(row.first_seen.day)) == ("openai", "2026-03-05")
    assert row.term == "A5.ship-first (A5.md:51)"


def test_as_known_then() -> None:
    """On 26 April AWS had none, the clause was unknown, and Azure's listing of GPT-5.5 was hours old."""
    [row] = rows_of(audited("2026-04-26"), "gpt-5.5")
    assert (row.cloud, row.order, row.bound) == ("", "nowhere else", "no")
    assert row.why_bound == "no such clause was in force, as known then"
    assert rows_of(audited("2026-04-26"), "managed-agents") == []
    assert [launch.evidence for launch in row.on_first][-1] == "azure-cognitive-services gpt-5.5 1bb50141c2"


def test_under_the_reading_that_binds_every_product() -> None:
    rows = rows_of(audited("2026-07-31", None, R5="all"), "gpt-5.5")
    assert [(row.cloud, row.order, row.bound) for row in rows] == [("aws", "first", "yes"), ("oci", "first", "yes")]


def test_what_resellers_list_is_no_other_host() -> None:
    rows = audited().rows
    sellers = {launch.seller for row in rows for launch in row.elsewhere}
    assert not sellers & {
        "github-models",
        "github-copilot",
        "sap-ai-core",
        "databricks",
        "snowflake-cortex",
        "openrouter",
    }


def test_a_listing_that_may_lag_says_so() -> None:
    [row] = rows_of(audited(), "gpt-image-2")
    assert row.why_bound == (
        "first listed on 2026-06-17 on azure, and by its maker not before 2026-06-18: "
        "the listing may lag, perhaps since before 2026-04-27"
    )


RESELLERS = ("databricks", "github-copilot", "github-models", "openrouter", "sap-ai-core", "snowflake-cortex")


def test_where_resellers_have_their_models_from_is_assumed_by_name() -> None:
    assert [(provider.provider, provider.standing, provider.host) for provider in audited().providers] == [
        (name, "assumed", "") for name in RESELLERS
    ]


# what is said of a provider | what it launches where, by then | the standing of that
SAID = [
    ("databricks=aws", {("gpt-5.2", "aws")}, "chosen"),
    ("databricks=resale", set(), "chosen"),
    ("databricks=unknown", set(), "chosen"),
]


@pytest.mark.parametrize(("said", "launched", "standing"), SAID)
def test_whoever_knows_better_says_so_by_name(said: str, launched: set[tuple[str, str]], standing: str) -> None:
    name, _, host = said.partition("=")
    view = launch_audit(open_agreement(), None, "2026-07-31", hosts={name: host})
    rows = {(row.product, row.cloud) for row in view.rows if any(launch.seller == name for launch in row.elsewhere)}
    assert launched <= rows
    assert bool(launched) == bool(rows)
    assert {provider.provider: provider.standing for provider in view.providers}[name] == standing


@pytest.mark.parametrize(
    ("said", "where", "what"),
    [
        ("nobody=aws", "--provider", "unknown provider 'nobody'"),
        ("databricks=mars", "--provider databricks", "unknown host 'mars'"),
        ("databricks", "--provider", "'databricks' is not a provider's host"),
        ("databricks=aws --provider databricks=azure", "--provider databricks", "databricks is given twice"),
    ],
)
def test_a_host_that_cannot_be(said: str, where: str, what: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["agreement", "listings", "launches", "--provider", *said.split(), "--json"]) == 3
    [problem] = json.loads(capsys.readouterr().out)["error"]["problems"]
    assert (problem["where"], problem["what"]) == (where, what)


# --- prices ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("known_at", "cached", "commit"),
    [
        ("2025-08-07", "", "70397b8045"),
        ("2025-09-01", "0.13", "13b6ab800e"),
        ("2026-01-19", "0.13", "13b6ab800e"),
        ("2026-01-20", "0.125", "b933688a77"),
        ("2026-07-31", "0.125", "b933688a77"),
    ],
)
def test_gpt_5_cached_in_september_2025(known_at: str, cached: str, commit: str) -> None:
    """One day, one price; what was known of it changed on 20 January 2026."""
    rows = listed_prices("gpt-5", None, "2025-09-01", known_at)
    [row] = [row for row in rows if row.provider == "openai"]
    assert (row.cache_read, row.commit) == (cached, commit)


def test_a_correction_keeps_the_day_of_what_it_corrects() -> None:
    rows = [row for row in listed_prices("gpt-5") if row.provider == "openai"]
    assert [(row.cache_read, str(row.effective), row.known, row.corrects) for row in rows] == [
        ("", "2025-08-07", "2025-08-07T17:59:07Z", ""),
        ("0.13", "2025-08-08", "2025-08-08T21:09:56Z", ""),
        ("0.125", "2025-08-08", "2026-01-20T15:06:03Z", "13b6ab800e"),
    ]


def test_another_price_is_no_correction() -> None:
    """On 11 June 2025 o1-mini went from 3.00 and 12.00 to 1.10 and 4.40."""
    rows = [row for row in listed_prices("o1-mini") if row.provider == "openai"]
    assert [(row.input, row.output, row.corrects) for row in rows[:2]] == [("3.0", "12.0", ""), ("1.1", "4.4", "")]
    assert rows[1].effective == date(2025, 6, 11)


# --- made-up histories -----------------------------------------------------------------------------------------------


def history(folder: Path, *events: str) -> Path:
    """A history of `provider model time commit` events, long after its providers came into the catalogue."""
    began = [f"{name},gpt-0,2025-06-01T00:00:00+00:00,c0,listed,,,," for name in ("openai", "azure", "amazon-bedrock")]
    lines = [",".join([*event.split(), "listed", "", "", "", ""]) for event in events]
    path = folder / "listings.csv"
    path.write_text("\n".join([HEADER, *began, *lines]) + "\n", "utf-8")
    return path


AWS_FIRST = ("amazon-bedrock gpt-9 2026-06-02T08:00:00+00:00 c1", "azure gpt-9 2026-06-09T08:00:00+00:00 c2")


@pytest.mark.parametrize(
    ("events", "order", "bound", "why"),
    [
        (AWS_FIRST, "later", "yes", "7 days after aws"),
        (tuple(reversed(AWS_FIRST)), "later", "yes", "7 days after aws"),
        (
            ("azure gpt-9 2026-06-02T08:00:00+00:00 c1", "amazon-bedrock gpt-9 2026-06-09T08:00:00+00:00 c2"),
            "first",
            "yes",
            "7 days before aws",
        ),
        (
            ("azure gpt-9 2026-06-02T08:00:00+00:00 c1", "amazon-bedrock gpt-9 2026-06-02T09:00:00+00:00 c2"),
            "cannot tell",
            "yes",
            "both on one day",
        ),
        # The second is 3 June in UTC: one commit, whatever the clock says.
        (
            ("azure gpt-9 2026-06-02T08:00:00+00:00 c1", "amazon-bedrock gpt-9 2026-06-02T23:00:00-05:00 c1"),
            "cannot tell",
            "yes",
            "one commit lists both",
        ),
        (
            ("openai gpt-9 2026-04-20T08:00:00+00:00 c1", *AWS_FIRST),
            "later",
            "no",
            "7 days after aws",
        ),
        (
            ("openai gpt-9 2026-04-28T08:00:00+00:00 c1", *AWS_FIRST),
            "later",
            "cannot tell",
            "7 days after aws",
        ),
        # A week after 27 April, when the clause began to bind what first ships, a listing lags no more.
        (
            ("openai gpt-9 2026-05-03T08:00:00+00:00 c1", *AWS_FIRST),
            "later",
            "cannot tell",
            "7 days after aws",
        ),
        (
            ("openai gpt-9 2026-05-04T08:00:00+00:00 c1", *AWS_FIRST),
            "later",
            "yes",
            "7 days after aws",
        ),
        # Where observation of Azure began later, nothing says since when it had been there.
        (
            (AWS_FIRST[0], "azure-cognitive-services gpt-9 2026-06-09T08:00:00+00:00 c2"),
            "cannot tell",
            "yes",
            "already listed on azure when observation there began",
        ),
        (AWS_FIRST[:1], "cannot tell", "yes", "on aws, and nothing is on record on azure"),
        # Six days apart, in either order: what is listed later may have shipped first.
        (
            ("amazon-bedrock gpt-9 2026-06-02T08:00:00+00:00 c1", "azure gpt-9 2026-06-08T08:00:00+00:00 c2"),
            "cannot tell",
            "yes",
            "6 days apart, and the listing may lag",
        ),
        (
            ("azure gpt-9 2026-06-02T08:00:00+00:00 c1", "amazon-bedrock gpt-9 2026-06-03T08:00:00+00:00 c2"),
            "cannot tell",
            "yes",
            "one day apart, and the listing may lag",
        ),
        (
            ("google-vertex gpt-9 2026-06-09T08:00:00+00:00 c2", "azure gpt-9 2026-06-02T08:00:00+00:00 c1"),
            "cannot tell",
            "yes",
            "already listed on google-cloud when observation there began",
        ),
    ],
)
def test_what_a_history_tells(tmp_path: Path, events: tuple[str, ...], order: str, bound: str, why: str) -> None:
    [row] = rows_of(audited("2026-07-31", history(tmp_path, *events)), "gpt-9")
    assert (row.order, row.bound, row.why) == (order, bound, why)
    assert row.breach == (order == "later" and bound == "yes")


# Two clouds and two names in one commit, and two commits of one second.
TIED = (
    "amazon-bedrock gpt-9 2026-06-02T08:00:00+00:00 c1",
    "amazon-bedrock openai.gpt-9 2026-06-02T08:00:00+00:00 c1",
    "azure gpt-9 2026-06-02T08:00:00+00:00 c2",
    "azure-cognitive-services gpt-9 2026-06-02T08:00:00+00:00 c2",
)


@settings(max_examples=10)
@given(events=st.permutations(TIED))
def test_what_ties_is_cited_in_one_order(tmp_path_factory: pytest.TempPathFactory, events: list[str]) -> None:
    folder = tmp_path_factory.mktemp("tied")
    first, second = (rows_of(audited("2026-07-31", history(folder, *listings)), "gpt-9") for listings in (TIED, events))
    cited = [[shipment.evidence for shipment in (*row.on_first, *row.elsewhere)] for row in (first[0], second[0])]
    assert cited[0] == cited[1]
    assert (first[0].order, first[0].why, first[0].why_bound) == (second[0].order, second[0].why, second[0].why_bound)


def test_an_answer_lifts_the_clause(tmp_path: Path) -> None:
    """Microsoft's answer before the launch elsewhere; under R1's "or" one that declines is enough."""
    facts = tmp_path / "facts.yaml"
    facts.write_text("- {kind: product, product: gpt-9, class: api.stateless}\n", "utf-8")
    listings = history(tmp_path, *AWS_FIRST)
    opened = open_agreement().with_facts_from(facts)

    def breaches(answer: str, **reading: str) -> int:
        return launch_audit(opened.supposing([answer]), listings, "2026-07-31", reading).breaches

    assert breaches("answer:gpt-9:cannot+declines=2026-06-01") == 0
    assert breaches("answer:gpt-9:cannot+declines=2026-06-03") == 1
    assert breaches("answer:gpt-9:can+declines=2026-06-01") == 1
    assert breaches("answer:gpt-9:can+declines=2026-06-01", R1="or") == 0


def test_before_the_second_listing_was_known(tmp_path: Path) -> None:
    [row] = rows_of(audited("2026-06-08", history(tmp_path, *AWS_FIRST)), "gpt-9")
    assert (row.order, row.breach) == ("cannot tell", False)


@pytest.mark.parametrize(
    ("model", "product"),
    [
        ("openai/gpt-5", "gpt-5"),
        ("openai%2Fgpt-4.1", "gpt-4.1"),
        ("openai.gpt-5.5", "gpt-5.5"),
        ("us-gov.openai.gpt-oss-120b-1:0", "gpt-oss-120b"),
        ("@cf/openai/gpt-oss-20b", "gpt-oss-20b"),
        ("databricks-gpt-5-4-mini", "gpt-5.4-mini"),
        ("databricks-gpt-5-mini", "gpt-5-mini"),
        ("openai-gpt-4.1", "gpt-4.1"),
        ("openai/gpt-oss-120b-maas", "gpt-oss-120b"),
        ("openai/gpt-oss-20b:free", "gpt-oss-20b"),
        ("gpt-5-chat-latest", "gpt-5-chat"),
        ("gpt-4o-2024-05-13", "gpt-4o-2024-05-13"),
        ("o3-mini", "o3-mini"),
    ],
)
def test_one_name_for_a_product(model: str, product: str) -> None:
    assert product_of(model) == product


# --- the commands and bad input --------------------------------------------------------------------------------------


def test_exit_codes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["agreement", "listings", "launches", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["breaches"] == 0
    assert run(["agreement", "listings", "launches", "--listings", str(history(tmp_path, *AWS_FIRST))]) == 2
    assert "One breach is evidenced." in capsys.readouterr().out
    assert run(["agreement", "listings", "launches", "--listings", str(tmp_path / "nowhere.csv")]) == 3
    assert run(["agreement", "listings", "prices", "--model", "gpt-99"]) == 3


def test_people_read_the_order_the_evidence_and_who_is_assumed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = (
        "openai gpt-8 2026-06-09T08:00:00+00:00 c3",
        "azure gpt-7 2026-06-09T08:00:00+00:00 c3",
        "amazon-bedrock gpt-oss-120b 2026-06-09T08:00:00+00:00 c3",
        "databricks gpt-9 2026-06-10T08:00:00+00:00 c4",
    )
    path = history(tmp_path, *AWS_FIRST, *more)
    flags = ["--listings", str(path), "--known-at", "2026-11-01", "--provider", "databricks=aws"]
    assert run(["agreement", "listings", "launches", *flags]) == 2
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [
        "Did it ship on azure first? The OpenAI–Microsoft partnership",
        f"{path} · known at 2026-11-01T23:59:59Z · readings R1=and, R3=a4, R5=new, R6=listed",
    ]
    assert [line.split() for line in lines[2:12] if line.startswith(("product", "gpt-9", "gpt-5.4"))] == [
        ["product", "other", "cloud", "on", "azure", "by", "there", "by", "order", "bound"],
        ["gpt-5.4", "aws", "2026-03-07", "2026-04-28", "first", "no"],
        ["gpt-9", "aws", "2026-06-09", "2026-06-02", "later", "yes"],
    ]
    evidence = lines.index("gpt-9 on aws: 7 days after aws")
    assert lines[evidence + 1 : evidence + 5] == [
        "  azure: by 2026-06-09, azure gpt-9 c2 (known 2026-06-09T08:00:00Z)",
        "  aws: by 2026-06-02, amazon-bedrock gpt-9 c1 (known 2026-06-02T08:00:00Z)",
        "  aws: by 2026-06-10, databricks gpt-9 c4 (known 2026-06-10T08:00:00Z)",
        "  bound: yes: first listed on 2026-06-02, not before 2026-04-27, A5.ship-first (A5.md:51)",
    ]
    assert "  aws: on 2026-04-28, facts.md:18 preview (known 2026-04-28T00:00:00Z)" in lines
    assert [line for line in lines[evidence + 9 :] if line] == [
        "On azure and on no other cloud: gpt-7 (bound: yes).",
        "Seen directly or at resellers only, on no cloud: gpt-8 (bound: yes).",
        "Outside the clause (open weights): gpt-oss-120b.",
        "As chosen with --provider:",
        "  databricks: it hosts on aws",
        "One breach is evidenced. Where the evidence cannot tell: 4.",
    ]


def test_people_read_what_each_provider_asked_then(capsys: pytest.CaptureFixture[str]) -> None:
    day = "2025-09-01"
    assert run(["agreement", "listings", "prices", "--model", "gpt-5", "--as-of", day, "--known-at", day]) == 0
    heading, columns, first, *_ = capsys.readouterr().out.splitlines()
    assert heading == "gpt-5, USD per million tokens"
    assert " ".join(columns.split()) == "provider in out cached in in force by known since commit corrects"
    assert first.split() == ["openai", "1.25", "10.0", "0.13", "2025-08-08", "2025-08-08T21:09:56Z", "13b6ab800e"]


def test_a_bad_history_is_refused_whole(tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    rows = (
        "openai,gpt-9,2026-06-02T08:00:00,c1,listed,,,,",  # no offset from UTC
        "openai,gpt-9,2026-06-02T08:00:00+00:00,c1,sold,,,,",
        "openai,,2026-06-02T08:00:00+00:00,c1,listed,-1,NaN,,",
        'openai,gpt-9,2026-06-02T08:00:00+00:00,c1,listed,,,,"False',  # took the rows after it with it
        "openai,gpt-9,2026-06-03T08:00:00+00:00,c1,removed,,,,",
    )
    path.write_text("\n".join([HEADER, *rows]) + "\n", "utf-8")
    with pytest.raises(InvalidInput) as refused:
        audited("2026-07-31", path)
    assert [(problem.line, problem.what) for problem in refused.value.problems] == [
        (2, "'2026-06-02T08:00:00' is not a time"),
        (3, "unknown event 'sold'"),
        (4, "no model"),
        (4, "'-1' is not a price"),
        (4, "'NaN' is not a price"),
        (5, "not valid CSV"),
    ]


@given(text=st.text() | st.text(alphabet='",\n\r\0 0').map(lambda rest: f"{HEADER}\n{rest}"))
@settings(max_examples=100)
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(InvalidInput):
        price_observations(read_listings("any.csv", text))


def test_another_table_is_no_history(tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    path.write_text("a,b\n1,2\n", "utf-8")
    with pytest.raises(InvalidInput, match="no column 'provider'"):
        audited("2026-07-31", path)

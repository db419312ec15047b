"""`fact`, `agreement` and several agreements from the command line."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from in_process import answer, run, run_installed

ASK = ("decide", "--action", "serve", "--party", "openai", "--product", "new-model", "--cloud", "aws")
DAY = ("--as-of", "2026-05-01")
ANSWER = ("fact", "record", "answer", "--product", "new-model", "--effective", "2026-04-29", "--source", "a letter")


def test_a_fact_recorded_changes_the_answer_from_then_on(tmp_path: Path) -> None:
    """In the default home, beside the caller."""
    before = answer(*ASK, *DAY, code=2, cwd=tmp_path)
    assert before["outcome"] == "conditional"
    assert "answer:new-model:cannot+declines" in before["conditions"][0]["needs"]
    assert list(tmp_path.iterdir()) == []
    recorded = answer(*ANSWER, "--answer", "cannot+declines", cwd=tmp_path)
    assert (recorded["name"], recorded["fact"], recorded["document"]) == ("F1", "answer:new-model", "register")
    assert answer(*ASK, *DAY, cwd=tmp_path)["outcome"] == "permitted"
    assert answer(*ASK, *DAY, "--known-at", "2026-05-01", code=2, cwd=tmp_path)["outcome"] == "conditional"
    corrected = answer(*ANSWER, "--answer", "can+chooses", "--corrects", "F1", cwd=tmp_path)
    assert answer(*ASK, *DAY, code=2, cwd=tmp_path)["outcome"] == "conditional"
    assert answer(*ASK, *DAY, "--known-at", recorded["known_at"][:26], cwd=tmp_path, code=2)["outcome"] == "conditional"
    listed = {fact["name"]: fact for fact in answer("fact", "list", cwd=tmp_path)}
    assert listed["F1"]["hidden_by"] == "F2"
    assert listed["F2"]["known_at"] == corrected["known_at"]
    early = answer("fact", "list", "--known-at", "2026-04-30", cwd=tmp_path)
    assert not [fact for fact in early if fact["document"] == "register"]


def test_a_fact_that_is_known_only_later_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was recorded while the machine's clock was a month ahead."""
    now_ns = time.time_ns()
    with monkeypatch.context() as ahead:
        ahead.setattr("clauseway.app.books.register.time.time_ns", lambda: now_ns + 30 * 86_400 * 10**9)
        answer(*ANSWER, "--answer", "cannot+declines", cwd=tmp_path)
    sentence = "recorded while a clock was ahead: F1"
    assert sentence in " ".join(run("fact", "list", cwd=tmp_path).stdout.split())
    (tmp_path / "clauseway.toml").write_text("")
    checks = answer("doctor", "--config", "clauseway.toml", code=2, cwd=tmp_path)["checks"]
    (check,) = (check for check in checks if check["what"] == "facts")
    assert sentence in check["found"]
    again = (*ANSWER, "--answer", "cannot+declines", "--corrects", "F1")
    assert "--clock-was-ahead" in run(*again, cwd=tmp_path).stderr
    answer(*again, "--clock-was-ahead", cwd=tmp_path)
    assert answer(*ASK, *DAY, cwd=tmp_path)["outcome"] == "permitted"


def test_people_read_what_was_recorded_and_what_it_hides(tmp_path: Path) -> None:
    first = run(*ANSWER, "--answer", "cannot+declines", cwd=tmp_path).stdout.splitlines()
    known = first[1].removeprefix("known from ").removesuffix(" on")
    assert first == ["F1  answer:new-model, effective 2026-04-29", f"known from {known} on"]
    second = run(*ANSWER, "--answer", "can+chooses", "--corrects", "F1", cwd=tmp_path).stdout.splitlines()
    assert second[2:] == ["hides F1 from then on; for any earlier point of knowledge nothing has changed"]
    listed = [" ".join(line.split()) for line in run("fact", "list", cwd=tmp_path).stdout.splitlines()]
    assert listed[0] == "name effective fact says known at source"
    assert "facts.md:12 2026-03-07 launch:gpt-5.4:azure:available" in listed[2]
    assert listed[-3] == (f"F1 2026-04-29 answer:new-model Answered. (2026-04-29) Corrected by F2. {known} a letter")
    assert listed[-1].startswith("A fact of the text is called FACT=DAY")


EVENT = ("fact", "record", "milestone", "--source", "a letter")
LAUNCH = (
    "fact",
    "record",
    "launch",
    "--product",
    "new-model",
    "--cloud",
    "aws",
    "--stage",
    "preview",
    "--source",
    "a post",
)
BEFORE, AHEAD = "before anything of the agreement was in effect, on 2023-01-23", "days after it became known"
# A day mistyped by a century is told; a fact of the world may be older than an agreement, and one may lie ahead.
YEARS = [
    (EVENT, "1926-05-01", BEFORE),
    (EVENT, "2023-01-22", BEFORE),
    (EVENT, "2023-01-23", ""),
    (EVENT, "2126-05-01", AHEAD),
    (LAUNCH, "2022-11-30", ""),
    (LAUNCH, "2126-05-01", AHEAD),
]


@pytest.mark.parametrize(("record", "day", "expected"), YEARS)
def test_a_day_far_from_an_agreement_is_doubted(
    record: tuple[str, ...], day: str, expected: str, tmp_path: Path
) -> None:
    done = run(*record, "--effective", day, home=tmp_path / "home")
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert ("Is the year right?" in said) == bool(expected)
    assert expected in said


def test_a_stage_is_no_word_of_an_agreement(tmp_path: Path) -> None:
    stage = ["GA" if word == "preview" else word for word in LAUNCH]
    done = run(*stage, "--effective", "2026-05-01", home=tmp_path / "home")
    assert done.returncode == 3
    assert "unknown stage 'GA': it means nothing here." in done.stderr
    assert "Write one of: announced, available, preview." in done.stderr


def test_the_facts_of_an_agreements_text_are_listed_without_a_home(tmp_path: Path) -> None:
    listed = answer("fact", "list", "--agreement", "anthropic-clouds", cwd=tmp_path)
    assert {fact["document"] for fact in listed} == {"facts.md"}
    assert list(tmp_path.iterdir()) == []


def test_a_home_is_named_by_its_flag(tmp_path: Path) -> None:
    home = ("--home", str(tmp_path / "here"))
    answer(*ANSWER, "--answer", "cannot+declines", *home)
    assert answer(*ASK, *DAY, *home)["outcome"] == "permitted"
    (tmp_path / "elsewhere").mkdir()
    assert answer(*ASK, *DAY, "--home", str(tmp_path / "elsewhere"), code=2)["outcome"] == "conditional"
    assert answer("agreement", "terms", *DAY, *home)["amendments"][-1] == "A5"


KINDS = {
    "launch": ("--product", "new-model", "--cloud", "azure", "--stage", "preview"),
    "answer": ("--product", "new-model", "--answer", "can+declines"),
    "offer": ("--subject", "compute", "--passed"),
    "milestone": (),
    "grant": ("--party", "google", "--product", "gpt-5.5"),
    "product": ("--product", "gpt-6", "--class", "api.stateless"),
    "party": ("--party", "newcomer"),
    "retraction": ("--corrects", "launch:codex:oci:available=2026-06-11"),
    "withdrawal": ("--party", "google", "--product", "gpt-5.5"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_fact_is_recorded_and_read_back(kind: str, tmp_path: Path) -> None:
    common = ("--effective", "2026-05-01", "--source", "a letter", "--says", "So it was.", "--home", str(tmp_path))
    done = run("fact", "record", kind, *KINDS[kind], *common)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("F1  ")
    last = answer("fact", "list", "--home", str(tmp_path))[-1]
    assert (last["name"], last["fact"].split(":")[0], last["says"]) == ("F1", kind, "So it was. (2026-05-01)")
    assert (last["source"], str(last["effective"])) == ("a letter", "2026-05-01")


def test_a_bad_fact_is_refused_whole(tmp_path: Path) -> None:
    bad = (
        "fact",
        "record",
        "grant",
        "--party",
        "gogle",
        "--product",
        "gpt",
        "--effective",
        "soon",
        "--source",
        "a letter",
    )
    problems = answer(*bad, "--home", str(tmp_path / "h"), code=3)["error"]["problems"]
    assert [problem["where"] for problem in problems] == ["--effective", "--party", "--product"]
    assert not (tmp_path / "h").exists()


def test_a_new_agreement_can_be_asked_at_once(tmp_path: Path) -> None:
    made = answer("agreement", "new", "ours", cwd=tmp_path)
    assert [Path(name).name for name in made["files"]] == ["A1.md", "A2.md", "agreement.md", "facts.md"]
    serve = ("decide", "--agreement", "ours", "--action", "serve", "--party", "vendor", "--product", "assistant")
    asking = (*serve, "--cloud", "vendor-cloud")
    assert answer(*asking, "--as-of", "2025-06-30", code=2, cwd=tmp_path)["outcome"] == "forbidden"
    assert answer(*asking, "--as-of", "2025-07-01", cwd=tmp_path)["outcome"] == "permitted"
    again = run("agreement", "new", "ours", cwd=tmp_path)
    assert again.returncode == 3
    assert "nothing is overwritten" in again.stderr


def test_a_layout_is_checked_and_mended(tmp_path: Path) -> None:
    answer("agreement", "new", "ours", cwd=tmp_path)
    assert answer("agreement", "fmt", "ours", "--check", cwd=tmp_path)["changed"] == []
    amendment = tmp_path / "ours/A2.md"
    text = amendment.read_text()
    amendment.write_text(
        text.replace("ends: [A1.hosting]\nsource: [contract]", "source: [contract]\nends:\n- A1.hosting")
    )
    assert answer("agreement", "fmt", "ours", "--check", code=2, cwd=tmp_path)["changed"] == ["ours/A2.md"]
    assert amendment.read_text() != text
    assert answer("agreement", "fmt", "ours", cwd=tmp_path) == {"changed": ["ours/A2.md"], "written": True}
    assert amendment.read_text() == text


def test_a_document_that_is_a_link_is_laid_out_where_it_lies(tmp_path: Path) -> None:
    """Two agreements may share a document; a copy in the link's place would drift away from it."""
    answer("agreement", "new", "ours", cwd=tmp_path)
    shared, link = tmp_path / "shared.md", tmp_path / "ours/A2.md"
    canonical = link.read_text()
    shared.write_text(canonical.replace("ends: [A1.hosting]", "ends:   [ A1.hosting ]"))
    link.unlink()
    link.symlink_to(shared)
    assert answer("agreement", "fmt", "ours", cwd=tmp_path)["changed"] == ["ours/A2.md"]
    assert (link.is_symlink(), shared.read_text()) == (True, canonical)


def test_a_folder_is_checked_where_it_is_written(tmp_path: Path) -> None:
    answer("agreement", "new", "ours", cwd=tmp_path)
    assert answer("agreement", "check", "ours", cwd=tmp_path) == answer("agreement", "check", "ours", cwd=tmp_path)


def test_the_schema_is_printed_and_written(tmp_path: Path) -> None:
    printed = run("agreement", "schema").stdout
    assert json.loads(printed)["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert run("agreement", "schema", "--out", str(tmp_path / "blocks.json")).returncode == 0
    assert (tmp_path / "blocks.json").read_text() == printed


def test_no_schema_is_written_by_a_python_that_dropped_its_descriptions(tmp_path: Path) -> None:
    out = tmp_path / "blocks.json"
    done = subprocess.run(
        [sys.executable, "-OO", "-m", "clauseway", "agreement", "schema", "--out", str(out)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, out.exists()) == (3, False)
    assert "PYTHONOPTIMIZE: the schema would lack descriptions" in done.stderr


@pytest.mark.parametrize(
    "arguments", [("new", "a-file/ours"), ("schema", "--out", "nowhere/x.json"), ("fmt", "nowhere")]
)
def test_a_place_that_cannot_be_used_is_a_problem_of_the_input(arguments: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "a-file").write_text("")
    [problem] = answer("agreement", *arguments, code=3, cwd=tmp_path)["error"]["problems"]
    assert problem["where"] in arguments


def test_problems_of_an_agreement_and_of_its_facts_come_in_one_refusal(tmp_path: Path) -> None:
    answer("agreement", "new", "ours", cwd=tmp_path)
    for name, sound, mistake in (
        ("A1.md", "holder: partner\nof: vendor", "holder: partnr\nof: vendor"),
        ("facts.md", "product: assistant, cloud: partner-cloud", "product: asistant, cloud: partner-cloud"),
        ("facts.md", "2024-09-01, source: [contract]", "2024-09-01, source: [press]"),
    ):
        text = (tmp_path / "ours" / name).read_text()
        assert sound in text
        (tmp_path / "ours" / name).write_text(text.replace(sound, mistake))
    problems = answer("agreement", "terms", "--agreement", "ours", code=3, cwd=tmp_path)["error"]["problems"]
    assert [(problem["where"], problem["what"]) for problem in problems] == [
        ("A1.md", "unknown party 'partnr'"),
        ("facts.md", "unknown product 'asistant'"),
        ("facts.md", "unknown source 'press'"),
    ]


def test_two_agreements_in_force_at_once(tmp_path: Path) -> None:
    """The second lets anyone sell what the partner may not sell by the first."""
    answer("agreement", "new", "ours", cwd=tmp_path)
    answer("agreement", "new", "theirs", cwd=tmp_path)
    both = ("--agreement", "ours", "--agreement", "theirs")
    sell = ("decide", "--action", "sell", "--party", "partner", "--product", "assistant", "--cloud", "vendor-cloud")
    asking = (*sell, "--as-of", "2025-08-01")
    one_id = answer(*asking, *both, code=3, cwd=tmp_path)["error"]["problems"]
    assert [problem["what"] for problem in one_id] == ["two agreements are 'vendor-partner'"]
    definitions = tmp_path / "theirs/agreement.md"
    definitions.write_text(definitions.read_text().replace("id: vendor-partner", "id: resale"))
    assert answer(*asking, *both, code=2, cwd=tmp_path)["conditions"][0]["term"] == "grant"
    amendment = tmp_path / "theirs/A2.md"
    amendment.write_text(
        amendment.read_text().replace("party: vendor\nactions: [serve, sell]", "party: partner\nactions: [sell]")
    )
    result = answer(*asking, *both, cwd=tmp_path)
    assert result["outcome"] == "permitted"
    assert {reason["agreement"] for reason in result["reasons"]} == {"resale", "vendor-partner"}
    assert result["receipt"]["agreement"].count("+") == 1
    assert "resale A2 A2.any-cloud" in run(*asking, *both, cwd=tmp_path).stdout
    alone = answer(*asking, "--agreement", "ours", code=2, cwd=tmp_path)
    assert {reason["agreement"] for reason in alone["reasons"]} == {""}
    views = answer("agreement", "terms", *both, "--as-of", "2025-08-01", cwd=tmp_path)["agreements"]
    assert [view["title"] for view in views] == ["A vendor and its partner"] * 2
    assert "resale A2.any-cloud" in run(*asking, *both, "--trace", cwd=tmp_path).stdout


def test_the_installed_command_records_and_lists(tmp_path: Path) -> None:
    assert run_installed(*ANSWER, "--answer", "cannot+declines", cwd=tmp_path).stdout.startswith("F1  answer:new-model")
    assert "F1" in run_installed("fact", "list", cwd=tmp_path).stdout


# what is recorded first | what then contradicts it on the same day | where that is told
CONTRADICTING = [
    (
        ("answer", "--product", "new-model", "--answer", "cannot+declines"),
        ("answer", "--product", "new-model", "--answer", "can+declines"),
    ),
    (("offer", "--subject", "compute", "--passed"), ("offer", "--subject", "compute", "--taken")),
]


@pytest.mark.parametrize(("first", "second"), CONTRADICTING)
def test_a_contradiction_is_recorded_as_a_correction_or_not_at_all(
    first: tuple[str, ...], second: tuple[str, ...], tmp_path: Path
) -> None:
    source = ("--source", "a letter", "--home", str(tmp_path))
    common = ("--effective", "2026-05-01", *source)
    answer("fact", "record", *first, *common)
    answer("fact", "record", *first, *common)  # said twice is no contradiction
    [problem] = answer("fact", "record", *second, *common, code=3)["error"]["problems"]
    assert (problem["where"], problem["what"]) == ("--corrects", "it contradicts F1")
    assert "record a correction: --corrects F1" in problem["remedy"]
    answer("fact", "record", *second, *source, "--effective", "2026-05-02")
    answer("fact", "record", "retraction", "--corrects", "F2", *common)
    answer("fact", "record", *second, *common, "--corrects", "F1")


def test_a_product_and_a_party_of_later_days_can_be_asked_about(tmp_path: Path) -> None:
    common = ("--effective", "2026-09-01", "--source", "a blog post", "--home", str(tmp_path))
    right = ("--action", "sell", "--party", "newcomer", "--product", "gpt-6", "--cloud", "aws")
    asking = ("decide", *right, "--as-of", "2026-09-02", "--home", str(tmp_path))
    assert [problem["where"] for problem in answer(*asking, code=3)["error"]["problems"]] == ["--party", "--product"]
    product = answer("fact", "record", "product", "--product", "gpt-6", "--class", "api.stateless", *common)
    assert (product["name"], product["fact"]) == ("F1", "product:gpt-6:api.stateless")
    answer("fact", "record", "party", "--party", "newcomer", *common)
    assert answer(*asking, code=2)["outcome"] == "conditional"
    launch = ("fact", "record", "launch", "--product", "gpt-6", "--stage", "available", *common)
    answer(*launch, "--cloud", "azure")
    answer("fact", "record", "grant", "--party", "newcomer", "--product", "gpt-6", *common)
    assert answer(*asking)["outcome"] == "permitted"
    proof = ("prove", "--always", "permitted", "--action", "serve", "--party", "openai", "--product", "gpt-6")
    assert answer(*proof, "--from", "2026-09-01", "--home", str(tmp_path))["holds"]
    assert "gpt-6" in run("agreement", "timeline", *right, "--home", str(tmp_path)).stdout


# what is recorded | where it is refused | why
NOT_ADDED = [
    (("product", "--product", "gpt-5.5", "--class", "app"), "--product", "'gpt-5.5' is known already"),
    (("product", "--product", "api", "--class", "app"), "--product", "'api' is known already"),
    (("product", "--product", "gpt:6", "--class", "app"), "--product", "'gpt:6' is not a name"),
    (("product", "--product", "gpt-6", "--class", "apps"), "--class", "unknown class 'apps'"),
    (("party", "--party", "openai"), "--party", "'openai' is known already"),
    (("party", "--party", "anyone"), "--party", "'anyone' is known already"),
    (("offer", "--subject", "comput"), "--subject", "unknown subject 'comput'"),
]


@pytest.mark.parametrize(("fact", "where", "what"), NOT_ADDED)
def test_a_name_that_cannot_be_added_is_refused(fact: tuple[str, ...], where: str, what: str, tmp_path: Path) -> None:
    common = ("--effective", "2026-09-01", "--source", "a letter", "--home", str(tmp_path / "h"))
    [problem] = answer("fact", "record", *fact, *common, code=3)["error"]["problems"]
    assert (problem["where"], problem["what"]) == (where, what)
    assert not (tmp_path / "h").exists()


def test_a_name_that_was_added_is_not_taken_back(tmp_path: Path) -> None:
    common = ("--effective", "2026-09-01", "--source", "a letter", "--home", str(tmp_path))
    answer("fact", "record", "party", "--party", "newcomer", *common)
    [problem] = answer("fact", "record", "retraction", "--corrects", "F1", *common, code=3)["error"]["problems"]
    assert problem["what"] == "a name that was added is not taken back"


def test_a_reading_has_one_option(tmp_path: Path) -> None:
    [problem] = answer(*ASK, *DAY, "--reading", "R1=or", "--reading", "R1=and", code=3)["error"]["problems"]
    assert (problem["where"], problem["what"]) == ("--reading R1", "R1 is given twice")
    answer(*ASK, *DAY, "--reading", "R1=or", "--reading", "R1=or", code=2)


@pytest.mark.parametrize(
    "command", [("fact",), ("fact", "record"), ("agreement",), *(("fact", "record", k) for k in KINDS)]
)
def test_help_teaches(command: tuple[str, ...]) -> None:
    done = run(*command, "--help")
    assert done.returncode == 0
    if len(command) == 3:
        assert f"clauseway {' '.join(command)}" in done.stdout


# -- an agreement that the home's configuration names

CLAUDE = ("decide", "--action", "serve", "--party", "anthropic", "--product", "claude-opus-4.7", "--cloud", "aws")
GRANTED = ("fact", "record", "grant", "--party", "microsoft", "--product", "claude-opus-4.7")
OF_A_LETTER = ("--effective", "2026-05-01", "--source", "a letter")


def configured(folder: Path, *agreements: str) -> None:
    (folder / ".clauseway").mkdir()
    (folder / ".clauseway" / "clauseway.toml").write_text(f"agreement = {json.dumps(agreements)}\n")


def test_what_is_asked_and_recorded_is_of_the_agreement_that_the_configuration_names(tmp_path: Path) -> None:
    configured(tmp_path, "anthropic-clouds")
    asked = (*CLAUDE, *DAY, "--known-at", "2026-05-01")
    assert answer(*asked, cwd=tmp_path) == answer(*asked, "--agreement", "anthropic-clouds", cwd=tmp_path)
    assert run(*asked, "--agreement", "openai-microsoft", cwd=tmp_path).returncode == 3
    answer(*GRANTED, *OF_A_LETTER, cwd=tmp_path)
    assert [fact["name"] for fact in answer("fact", "list", cwd=tmp_path) if fact["document"] == "register"] == ["F1"]
    others = answer("fact", "list", "--agreement", "openai-microsoft", cwd=tmp_path)
    assert "F1" not in {fact["name"] for fact in others}


def test_a_fact_is_recorded_for_none_of_several_that_the_configuration_names(tmp_path: Path) -> None:
    configured(tmp_path, "anthropic-clouds", "openai-microsoft")
    assert answer(*GRANTED, *OF_A_LETTER, "--agreement", "anthropic-clouds", cwd=tmp_path)["name"] == "F1"
    for command in ((*GRANTED, *OF_A_LETTER), ("fact", "list"), ("agreement", "brief", "A5")):
        refused = run(*command, cwd=tmp_path)
        assert refused.returncode == 3
        assert "Name it with --agreement: anthropic-clouds, openai-microsoft." in " ".join(refused.stderr.split())


def test_a_retraction_of_an_unknown_fact_has_one_problem(tmp_path: Path) -> None:
    """It was called a retraction of itself too."""
    common = ("--effective", "2026-05-02", "--source", "a letter", "--home", str(tmp_path / "home"))
    [problem] = answer("fact", "record", "retraction", "--corrects", "F99", *common, code=3)["error"]["problems"]
    assert problem["what"] == "unknown fact 'F99'"

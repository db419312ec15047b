"""`decide` and `terms` from the command line: JSON for machines, text for people, exit codes for scripts."""

import json
from pathlib import Path
from typing import Any

import pytest

from in_process import run

SERVE = ("decide", "--action", "serve", "--party", "openai", "--product", "api.stateless", "--cloud", "aws")


def answer(*arguments: str, code: int) -> dict[str, Any]:
    done = run(*arguments, "--json")
    assert done.returncode == code, done.stderr
    result = json.loads(done.stdout)
    assert isinstance(result, dict)
    return result


@pytest.mark.parametrize(
    ("as_of", "outcome", "code", "amendment"),
    [
        ("2022-06-01", "unstated", 2, "agreement"),
        ("2026-03-15", "forbidden", 2, "A4"),
        ("2026-05-01", "conditional", 2, "A5"),
    ],
)
def test_the_outcome_is_the_exit_code(as_of: str, outcome: str, code: int, amendment: str) -> None:
    result = answer(*SERVE, "--as-of", as_of, code=code)
    assert result["outcome"] == outcome
    assert result["reasons"][0]["amendment"] == amendment
    assert bool(result["conditions"]) == (outcome == "conditional")


def test_permitted_is_zero() -> None:
    assert answer(*SERVE[:-1], "azure", "--as-of", "2024-06-01", code=0)["outcome"] == "permitted"


def test_the_json_holds_what_it_takes_to_check_the_answer() -> None:
    result = answer(*SERVE, "--as-of", "2026-03-15", "--known-at", "2026-03-31", code=2)
    assert {"outcome", "reasons", "conditions", "as_of", "known_at", "receipt"} <= result.keys()
    assert (result["as_of"], result["known_at"]) == ("2026-03-15", "2026-03-31T23:59:59Z")
    assert {"term", "amendment", "document", "line", "source", "text"} <= result["reasons"][0].keys()
    assert {"id", "engine", "agreement", "facts", "as_of", "known_at"} <= result["receipt"].keys()


def test_the_same_question_has_the_same_receipt_and_another_day_another() -> None:
    first, again, other = (
        answer(*SERVE, "--as-of", day, "--known-at", "2026-03-31", code=2)["receipt"]["id"]
        for day in ("2026-03-15", "2026-03-15", "2026-03-16")
    )
    assert first == again
    assert first != other


def test_an_invalid_question_names_every_problem_and_exits_with_three() -> None:
    done = run("decide", "--action", "serve", "--party", "opnai", "--product", "api.stateles", "--as-of", "2026-03-15")
    assert done.returncode == 3
    assert "'opnai'" in done.stderr
    assert "'api.stateles'" in done.stderr
    assert "--cloud" in done.stderr
    assert done.stdout == ""


def test_an_invalid_question_in_json() -> None:
    result = answer(*SERVE, "--as-of", "2026-02-30", code=3)
    [problem] = result["error"]["problems"]
    assert problem["where"] == "--as-of"
    assert problem["remedy"]


@pytest.mark.parametrize("arguments", [("decide", "--bogus"), ("--bogus",), ("decide",), ("nothing",), ("settle",)])
def test_a_wrong_flag_is_invalid_input_too(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert done.returncode == 3
    assert "Traceback" not in done.stderr


HAS_HEAD = "`clauseway audit verify` has --head."
# a wrong command line · what is wrong · what to do
STAYS_CLOSED = (
    "A closed month stays closed: settle the open month, which states what came later as corrections: "
    "`clauseway settle --period MONTH`."
)
WRONG_LINES = [
    (("settle",), "Missing option '--period'", "See clauseway settle --help."),
    (("settle", "2026-05"), "Missing option '--period'", "Did you mean `clauseway settle --period 2026-05`?"),
    # A word without a flag is the command's own argument here.
    (
        ("books", "dispute", "resolve", "claim-1"),
        "Missing option '--id'",
        "See clauseway books dispute resolve --help.",
    ),
    (("decide", "--zzz"), "No such option: --zzz", "See clauseway decide --help."),
    (("decide", "--reading"), "Option '--reading' requires an argument", "See clauseway decide --help."),
    (("price",), "Missing argument 'MODEL|check'", "See clauseway price --help."),
    (("nothing",), "No such command 'nothing'", "See clauseway --help."),
    (("books", "reopen", "2026-04"), "No such command 'reopen'", STAYS_CLOSED),
    (("models",), "No such command 'models'", "Did you mean `clauseway gateway models`?"),
    # A flag for what is written without one, and a flag of the command beside it.
    (
        ("books", "close", "--period", "2026-04"),
        "No such option: --period",
        "It takes no flag: `clauseway books close 2026-04`.",
    ),
    (
        ("statement", "verify", "--period=2026-04"),
        "No such option: --period",
        "It takes no flag: `clauseway statement verify 2026-04`.",
    ),
    (("key", "revoke", "--key"), "No such option: --key", "It takes no flag: `clauseway key revoke KEY`."),
    (
        ("books", "journal", "--payer", "openai"),
        "No such option: --payer (Possible options: --party, --period)",
        "`clauseway books invoice` has --payer.",
    ),
    (("audit", "log", "--head", "3"), "No such option: --head (Possible options: --help, --home)", HAS_HEAD),
    (("lake", "check", "--why", "lost"), "No such option: --why", "`clauseway lake accept` has --why."),
]


@pytest.mark.parametrize(("words", "mistake", "remedy"), WRONG_LINES, ids=[" ".join(line[0]) for line in WRONG_LINES])
def test_a_wrong_flag_is_told_to_programs_in_json(words: tuple[str, ...], mistake: str, remedy: str) -> None:
    flags = next((place for place, word in enumerate(words) if word.startswith("-")), len(words))
    done = run(*words[:flags], "--json", *words[flags:])
    error = json.loads(done.stdout)["error"]
    assert (done.returncode, error["type"], len(error["problems"])) == (3, "invalid_input", 1)
    [problem] = error["problems"]
    assert (problem["what"], problem["remedy"], done.stderr) == (mistake, remedy, "")


def test_facts_from_a_file_and_from_a_supposition_answer_alike(tmp_path: Path) -> None:
    facts = tmp_path / "facts.yaml"
    facts.write_text(
        "- {kind: answer, product: new-model, can: false, declines: true,\n"
        "   effective: 2026-04-29, source: [P], says: No.}\n"
    )
    question = ("decide", "--action", "serve", "--party", "openai", "--product", "new-model", "--cloud", "aws")
    day = ("--as-of", "2026-05-01")
    assert answer(*question, *day, code=2)["outcome"] == "conditional"
    assert answer(*question, *day, "--facts", str(facts), code=0)["outcome"] == "permitted"
    supposed = answer(*question, *day, "--suppose", "answer:new-model:cannot+declines=2026-04-29", code=0)
    assert supposed["outcome"] == "permitted"


# Of which product, as known when, supposing what · what would lead to another outcome.
DECLINES = ("--suppose", "answer:new-model:can+declines=2026-04-29")
WOULD_CHANGE = [
    ("gpt-5.5", "2026-03-01", (), "as known at the end of 2026-04-27: permitted"),
    ("new-model", "2026-06-01", (), "with answer:new-model:cannot+declines=2026-05-01: permitted"),
    ("new-model", "2026-06-01", (), "up to 2026-04-26: forbidden"),
    ("new-model", "2026-06-01", DECLINES, "read with R1=or: permitted"),
]


@pytest.mark.parametrize(("product", "known_at", "supposed", "change"), WOULD_CHANGE)
def test_people_read_what_would_change_an_answer(
    product: str, known_at: str, supposed: tuple[str, ...], change: str
) -> None:
    asked = (*SERVE[:6], product, *SERVE[7:], "--as-of", "2026-05-01", "--known-at", known_at, *supposed)
    assert f"  {change}" in run(*asked).stdout.partition("What would change this\n")[2].splitlines()


def test_terms_in_force_differ_by_what_was_known() -> None:
    terms = answer("agreement", "terms", "--as-of", "2026-04-27", code=0)
    expected = answer("agreement", "terms", "--as-of", "2026-04-27", "--known-at", "2026-03-27", code=0)
    assert "A5.any-cloud" in {row["term"] for row in terms["terms"]}
    assert "A4.api" not in {row["term"] for row in terms["terms"]}
    assert "A4.api" in {row["term"] for row in expected["terms"]}
    assert [(clause["amendment"], clause["number"]) for clause in terms["not_formalised"]] == [
        ("A4", "4.1"),
        ("A4", "4.7"),
    ]


def test_people_read_terms_with_their_ends_and_what_is_prose_only() -> None:
    shown = run("agreement", "terms", "--as-of", "2026-04-27", "--known-at", "2026-05-01").stdout.splitlines()
    assert shown[0] == "The OpenAI–Microsoft partnership, as of 2026-04-27 · known at 2026-05-01T23:59:59Z"
    assert shown[1].split() == ["term", "kind", "says", "ends", "clause"]
    (licence,) = [row.split() for row in shown if row.startswith("A5.licence ")]
    assert (licence[1], *licence[-3:]) == ("licence", "through", "2032-12-31", "A5.md:80")
    assert shown[-1] == "not formalised: A4 4.7 Milestone (A4.md:103)"
    before = run("agreement", "terms", "--as-of", "2026-03-01", "--known-at", "2026-05-01").stdout.splitlines()
    assert [row.split()[-3:] for row in before if row.startswith("A4.api ")] == [["until", "milestone", "A4.md:20"]]


def test_flags_hold_for_what_a_row_leaves_out(tmp_path: Path) -> None:
    questions = tmp_path / "questions.csv"
    questions.write_text("action,party,product,cloud\nserve,openai,gpt-5.5,aws\nserve,opnai,gpt-5.5,aws\n")
    # The day, what was known by when, and the outcome of the row that is a question.
    for as_of, known_at, outcome in (
        ("2026-03-15", "2026-05-01", "forbidden"),
        ("2026-05-15", "2026-03-16", "forbidden"),
        ("2026-05-15", "2026-05-15", "permitted"),
    ):
        done = run("decide", "--batch", str(questions), "--as-of", as_of, "--known-at", known_at)
        assert (done.returncode, json.loads(done.stdout.splitlines()[0])["outcome"]) == (3, outcome)
        counts, first = done.stderr.splitlines()
        assert counts == f"2 questions: {', '.join(sorted((f'1 {outcome}', '1 invalid')))}"
        assert first.startswith("the first invalid one: --party: unknown name 'opnai'")


def test_an_agreement_with_mistakes_is_refused_with_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "agreement.md").write_text("---\nid: x\n---\n\n# X\n")
    done = run(*SERVE, "--agreement", str(tmp_path))
    assert done.returncode == 3
    assert "agreement.md:1" in done.stderr
    assert "'title' is missing" in done.stderr


TEACHING = ("up", "decide", "agreement terms", "serve", "gateway sandbox", "gateway replay", "settle", "statement")


@pytest.mark.parametrize("command", TEACHING)
def test_help_teaches_by_example(command: str) -> None:
    done = run(*command.split(), "--help")
    assert done.returncode == 0
    assert f"  clauseway {command}" in done.stdout
    assert "--json" in done.stdout


def test_a_row_that_reads_one_text_in_two_ways_says_so(tmp_path: Path) -> None:
    questions = tmp_path / "questions.csv"
    questions.write_text(
        "action,party,product,cloud,reading\n"
        "serve,openai,gpt-5.5,aws,R1=or;R1=or\n"
        "serve,openai,gpt-5.5,aws,R1=or;R1=and\n"
    )
    done = run("decide", "--batch", str(questions), "--as-of", "2026-05-01")
    first, second = map(json.loads, done.stdout.splitlines())
    assert (done.returncode, first["outcome"], second["outcome"]) == (3, "permitted", "invalid")
    assert "R1 is given twice" in second["problem"]


SELL = ("decide", "--action", "sell", "--party", "openai", "--cloud", "azure", "--as-of", "2026-05-01")


@pytest.mark.parametrize("product", ["gpt-4o-mini", "whisper-1", "gpt-image-1"])
def test_a_product_of_the_shipped_catalogue_is_unstated_where_no_agreement_names_it(product: str) -> None:
    result = answer(*SELL, "--product", product, code=2)
    assert result["outcome"] == "unstated"
    [reason] = result["reasons"]
    assert (reason["term"], reason["note"]) == ("unstated", f"it does not name {product}")


def test_a_share_of_what_is_not_named_is_unstated() -> None:
    share = ("decide", "--action", "share-revenue", "--party", "openai", "--to", "microsoft", "--as-of", "2026-05-01")
    assert answer(*share, "--product", "gpt-4o-mini", code=2)["outcome"] == "unstated"


def test_what_is_not_named_is_told_how_it_is_named() -> None:
    said = run(*SELL, "--product", "gpt-4o-mini").stdout
    assert "fact record product --product gpt-4o-mini --class CLASS" in said
    assert "Nothing recorded or written would change this." not in said


@pytest.mark.parametrize("name", ["gpt-4o-mni", "gpt-4o-mini-2024-07-18", "gpt-5.5-2026-04-23", "openai.gpt-5.5"])
def test_snapshots_aliases_and_slips_are_no_products(name: str) -> None:
    assert "unknown name" in run(*SELL, "--product", name).stderr


def test_several_agreements_are_asked_about_the_catalogue_too(tmp_path: Path) -> None:
    both = ("--agreement", "openai-microsoft", "--agreement", "anthropic-clouds")
    result = answer(*SELL, *both, "--product", "gpt-4o-mini", code=2)
    assert [said["outcome"] for said in result["answers"]] == ["unstated", "unstated"]
    shown = run(*SELL, *both, "--product", "gpt-5.5").stdout
    assert "\nEach for itself\n  anthropic-clouds: unstated\n  openai-microsoft: permitted\n" in shown


def test_a_recorded_class_decides_what_was_unstated(tmp_path: Path) -> None:
    (tmp_path / "facts.yaml").write_text(
        "- {kind: product, product: gpt-4o-mini, class: api.stateless, first-shipped-by: 2024-07-18}\n"
    )
    facts = ("--facts", str(tmp_path / "facts.yaml"))
    assert answer(*SELL, *facts, "--product", "gpt-4o-mini", code=0)["outcome"] == "permitted"


def test_a_receipt_of_what_is_unstated_is_verified(tmp_path: Path) -> None:
    (tmp_path / "receipt.json").write_text(run(*SELL, "--product", "gpt-4o-mini", "--json", "--trace").stdout)
    assert run("verify", str(tmp_path / "receipt.json")).returncode == 0


@pytest.mark.parametrize(
    "said",
    [
        "event:NAME=DAY",
        "withdrawal:PARTY:PRODUCT=DAY",
        "Several readings or suppositions in one cell are separated by ;",
        "Conditional: nothing forbids it, but something must be recorded first (a grant, an offer, a launch).",
    ],
)
def test_help_says_how_to_suppose_and_when_an_answer_is_conditional(said: str) -> None:
    assert said in " ".join(run("decide", "--help", columns=400).stdout.split())

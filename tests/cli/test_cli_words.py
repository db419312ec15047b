"""The words of the command line: groups, flags of one meaning, examples to copy, names in any case, near misses."""

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from command_tree import commands

import clauseway.cli.help
from clauseway.app.opening.home import Home
from clauseway.cli.commands import COMMANDS
from clauseway.cli.help import prepared
from in_process import answer, run
from settled_book import make

TREE: Mapping[str, Any] = dict(commands())
HEADINGS = ["Begin", "Agreement", "Gateway", "Usage", "Money", "Customers"]
SERVE = ("--action", "serve", "--product", "gpt-5.5", "--as-of", "2026-05-01")


def flags_of(command: Any) -> set[str]:
    return {flag for parameter in command.params for flag in (*parameter.opts, *parameter.secondary_opts)}


def test_help_lists_about_two_dozen_words_under_headings() -> None:
    shown = run("--help").stdout
    assert re.findall(r"^(\w+):$", shown, re.MULTILINE) == ["Options", *HEADINGS]
    listed = re.findall(r"^  ([a-z]+)  ", shown, re.MULTILINE)
    assert listed == list(COMMANDS)
    assert len(listed) <= 32


@pytest.mark.parametrize("path", ["", "decide", "person", "person add"])
def test_help_is_shown_by_its_short_flag(path: str) -> None:
    assert run(*path.split(), "-h").stdout == run(*path.split(), "--help").stdout != ""


def test_help_is_as_wide_as_the_terminal() -> None:
    for columns in (60, 110):
        lines = run("usage", "import", "--help", columns=columns).stdout.splitlines()
        prose = [line for line in lines if not line.startswith("    ") and not line.endswith(":")]
        assert columns - 20 < max(map(len, prose)) <= columns


@pytest.mark.parametrize("path", TREE)
def test_examples_in_help_are_whole_lines(path: str) -> None:
    written = TREE[path].help or ""
    examples = [line.strip() for line in written.splitlines() if line.startswith("  clauseway ")]
    assert examples, "a command teaches by example"
    shown = run(*path.split(), "--help", columns=60).stdout.splitlines()
    assert [line for line in examples if f"    {line}" not in shown] == []


@pytest.mark.parametrize("path", ["export parquet", "export focus-invoices"])
def test_an_export_of_several_files_asks_for_a_folder(path: str) -> None:
    assert "--out FOLDER" in run(*path.split(), "--help").stdout


@pytest.mark.parametrize("group", sorted({path.rpartition(" ")[0] for path in TREE} - {""}))
def test_a_group_lists_each_command_with_a_whole_sentence(group: str) -> None:
    shown = run(*group.split(), "--help", columns=60).stdout
    above, _, listed = shown.partition("\nCommands:\n")
    said = above.partition("\nOptions:\n")[0].splitlines()[1:]
    assert any(said), "it says what it is about"
    assert "..." not in listed
    for path in TREE:
        if path.rpartition(" ")[0] == group:
            assert re.search(rf"^  {path.split()[-1]} +[A-Z]", listed, re.MULTILINE), path


# a flag that meant several things · nobody has it any more
@pytest.mark.parametrize("flag", ["--to-day", "--through", "--as-if", "--of-day", "--day", "--at"])
def test_no_command_keeps_a_name_of_many_meanings(flag: str) -> None:
    assert [path for path, command in TREE.items() if flag in flags_of(command)] == []


# a flag · every meaning that its help gives, over all commands
ONE_MEANING = [
    ("--to", {"licensee", "payee"}),
    ("--until", {"last", "Last"}),
    ("--key", {"key"}),
    ("--trace", {"every term"}),
    ("--effective", {"took effect", "day from which"}),
]


# Nobody takes a database's address for a party.
AN_ADDRESS = {("home migrate", "--to"), ("lake move", "--to")}


@pytest.mark.parametrize(("flag", "words"), ONE_MEANING)
def test_a_flag_has_one_meaning(flag: str, words: set[str]) -> None:
    meant = {
        path: parameter.help
        for path, command in TREE.items()
        for parameter in command.params
        if flag in parameter.opts and (path, flag) not in AN_ADDRESS
    }
    assert meant
    assert [path for path, text in meant.items() if not any(word in text for word in words)] == []


def test_a_first_day_has_a_last_day() -> None:
    with_first = {path for path, command in TREE.items() if "--from" in flags_of(command)}
    assert with_first
    assert with_first <= {path for path, command in TREE.items() if "--until" in flags_of(command)}


# it speaks a protocol whose every message is JSON
WITHOUT_JSON = {"mcp"}


def test_every_command_has_json() -> None:
    assert {path for path, command in TREE.items() if "--json" not in flags_of(command)} == WITHOUT_JSON


# The flags that name agreements: none, one, several
NAMED_AGREEMENTS = [
    (),
    ("--agreement", "openai-microsoft"),
    ("--agreement", "openai-microsoft", "--agreement", "anthropic-clouds"),
]


@pytest.mark.parametrize("agreements", NAMED_AGREEMENTS)
def test_names_are_taken_in_any_case(agreements: tuple[str, ...]) -> None:
    asked = answer("decide", *SERVE, "--party", "OpenAI", "--cloud", "AWS", *agreements)
    assert (asked["question"]["party"], asked["question"]["cloud"]) == ("openai", "aws")


@pytest.mark.parametrize("cloud", ["Google Cloud", "google cloud", "GOOGLE-CLOUD"])
def test_names_of_several_words_are_taken_with_spaces(cloud: str) -> None:
    asked = answer("decide", *SERVE, "--party", "OpenAI", "--cloud", cloud)
    assert asked["question"]["cloud"] == "google-cloud"


def test_names_of_a_proof_are_taken_in_any_case() -> None:
    proved = answer(
        "prove",
        "--always",
        "permitted",
        *SERVE[:4],
        "--party",
        "OpenAI",
        "--cloud",
        "AWS",
        "--from",
        "2026-05-01",
        "--until",
        "2026-05-02",
    )
    assert proved["holds"] is True


# the words that stand for a value in help, one for each kind of value
WORDS = set(
    re.findall(
        r"\w+",
        """
    ACCOUNT ACTION ADDRESS AMENDMENT AMOUNT BASE64 CLASS CLOUD COLUMN COUNT CURRENCY DAY DEPLOYMENT DIGEST
    DISPUTE ENDPOINT ENGINE EVENT FACT FIELD FILE FOLDER FORMAT HOME HOST ID INVOICE JOURNAL JSON KEY KIND LINE MASTER
    MODEL MONTH NAME NUMBER OPTION ORGANISATION OUTCOME PARTY PERCENT PERIOD PERSON PLACE PRODUCT PROJECT RATE RATIO
    RECEIPT REGION REQUEST ROLE SEGMENT SPOOL STAGE STRATEGY SURFACE TEAM TEXT TIER UNIT URL VALUE VENDOR VERSION YEAR
""",
    )
)
# Flags of more than one kind of value: a day or a year; a party or an address; tokens a minute or of each unit; a
# file, or a folder for several.
OF_TWO_KINDS = {"--from", "--until", "--to", "--tokens", "--agreement", "--period", "--out"}


def values() -> dict[str, set[str]]:
    """Every flag and argument that takes a value, and the words for it in the help of all commands."""
    shown: dict[str, set[str]] = {}
    for path, command in TREE.items():
        for parameter in prepared(command).params:
            if not getattr(parameter, "is_flag", False):
                name = parameter.opts[0] if parameter.param_type_name == "option" else f"{path} {parameter.name}"
                shown.setdefault(name, set()).add(parameter.make_metavar(ctx=None))
    return shown


def test_every_value_has_a_word_of_one_set() -> None:
    others = {name: words for name, words in values().items() if set(re.findall(r"[^\W_]+", " ".join(words))) - WORDS}
    assert others == {"price product": {"MODEL|check"}}, "take a word of WORDS for the value, or add one there"


def test_a_flag_has_one_word_for_its_value() -> None:
    assert {name for name, words in values().items() if len(words) > 1} <= OF_TWO_KINDS


# what is written · what is meant
MISSES = [
    (("decide", *SERVE, "--party", "opnai", "--cloud", "aws"), "Did you mean 'openai'?"),
    (("decide", *SERVE, "--party", "openai", "--cloud", "aw"), "Did you mean 'aws'?"),
    (("decide", "--acton", "serve"), "--action"),
    (("key", "create", "--organisation", "acme", "--seller", "opnai"), "Did you mean 'openai'?"),
    (("prove", "--always", "permitted", *SERVE[:4], "--party", "openai", "--cloud", "azur"), "Did you mean 'azure'?"),
    (("gateway", "models", "--surface", "bedrock-mantel"), "Did you mean 'bedrock-mantle'?"),
    (("setle",), "settle"),
    (("agreement", "brief", "a5"), "Did you mean 'A5'?"),
    (("person", "add", "anna", "--may", "book"), "Did you mean 'books'?"),
    (("reconcile", "--bill", "x.csv"), "Did you mean `clauseway usage reconcile`?"),
    (("usage", "export", "--out", "x"), "Did you mean `clauseway export usage`?"),
    (("books", "sign", "may.json"), "Did you mean `clauseway statement sign`?"),
    (("record", "launch"), "Did you mean `clauseway fact record`?"),
]


# A name that many groups have, under one that lacks it · the commands that are named.
OF_MANY = [
    (("books", "list"), ["books dispute list"]),
    (("lake", "list"), []),
    (("party", "list"), ["party key list"]),
    (("key", "show"), []),
]


@pytest.mark.parametrize(("words", "named"), OF_MANY)
def test_of_a_name_that_many_groups_have_only_what_is_near_is_suggested(
    words: tuple[str, ...], named: list[str]
) -> None:
    result = run(*words)
    assert (result.returncode, re.findall("Did you mean `clauseway (.*)`", result.stderr)) == (3, named)
    assert f"Try 'clauseway {words[0]} --help'" in result.stderr


@pytest.mark.parametrize(("words", "meant"), MISSES)
def test_a_near_miss_is_suggested(words: tuple[str, ...], meant: str) -> None:
    result = run(*words)
    assert result.returncode == 3
    assert meant in result.stderr


MISSES_OF_A_HOME = [
    (("forecast", "--growth", "5%", "--assume", "capp"), "Did you mean 'cap'?"),
    (("usage", "show", "--by", "organisatio"), "Did you mean 'organisation'?"),
    (("books", "payment", "microsoft-openi-2026-05", "--id", "b"), "None is known yet."),
]


def test_a_near_miss_of_what_a_home_knows_is_suggested(tmp_path: Path) -> None:
    home = make(tmp_path / "home").root
    for words, meant in MISSES_OF_A_HOME:
        result = run(*words, home=home)
        assert (result.returncode, meant in result.stderr) == (3, True), result.stderr


# a command that is written as it is called, and what its flags refuse
WELL_NAMED = [
    ("decide", *SERVE, "--party", "openai", "--cloud", "aws", "--until", "2027"),
    ("decide", "serve", "openai", "gpt-5.5", "aws"),
]


@pytest.mark.parametrize("words", WELL_NAMED)
def test_no_other_command_is_suggested_for_one_that_is_named(words: tuple[str, ...]) -> None:
    refused = run(*words)
    assert refused.returncode == 3
    assert "Did you mean `clauseway" not in refused.stderr


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    long = tmp_path_factory.mktemp("a-folder-of-a-long-name-that-no-line-of-a-hundred-columns-holds" * 2)
    return make(long / "home")


# An amount, a count or a year, with nothing but space around it.
FIGURE = re.compile(r"(?<!\S)[+-]?\d[\d,]*(?:\.\d+)?(?!\S)")
PIPED = [
    ("audit", "log"),
    ("books", "journal"),
    ("statement", "--period", "2026-05"),
    ("basis",),
    ("agreement", "terms"),
    ("usage", "show"),
]


@pytest.mark.parametrize("words", PIPED, ids=" ".join)
def test_a_pipe_gets_whole_lines_without_padding(words: tuple[str, ...], home: Home) -> None:
    printed = run(*words, home=home.root).stdout
    assert printed.strip()
    assert [line for line in printed.splitlines() if line != line.rstrip()] == []
    narrow = run(*words, home=home.root, columns=60).stdout
    assert len(printed.splitlines()) <= len(narrow.splitlines())


WHOLE_USAGE = [word for name in ("organisation", "project", "product", "cloud", "region") for word in ("--by", name)]
WITH_FIGURES: list[tuple[str, ...]] = [
    ("usage", "show"),
    ("usage", "show", *WHOLE_USAGE),
    ("statement", "--period", "2026-05"),
    ("settle", "--period", "2026-05", "--under", "A3", "--under", "share-microsoft-openai"),
    ("forecast", "--growth", "3%..7%", "--assume", "share-openai-microsoft", "--assume", "cap=USD 5000"),
    ("price", "gpt-5.5", "--cloud", "aws", "--as-of", "2026-07-01"),
    ("gateway", "models"),
]


@pytest.mark.parametrize("columns", [80, 64, 40])
@pytest.mark.parametrize("words", WITH_FIGURES, ids=" ".join)
def test_a_figure_is_whole_however_narrow_the_terminal(words: tuple[str, ...], columns: int, home: Home) -> None:
    """Cut at the terminal's end, 1,080,000 was read as 1,080,00, and the columns behind it were not there."""
    figures = [
        Counter(FIGURE.findall(run(*words, "--home", str(home.root), columns=width).stdout))
        for width in (None, columns)
    ]
    assert figures[0] - figures[1] == Counter()


def test_a_path_is_copied_whole(home: Home) -> None:
    assert str(home.root / "control.db") in run("export", "beancount", "--home", str(home.root / "control.db")).stderr


def test_wide_terminals_get_lines_that_can_be_read() -> None:
    widest = max(map(len, run("lake", "check", "--help", columns=300).stdout.splitlines()))
    assert widest <= clauseway.cli.help.WIDTH_MAX


SHARE = ("--action", "share-revenue", "--party", "openai", "--to", "microsoft")
# the day · the word that people read · the outcome that programs read, and whether it is due
SHARES = [
    ("2026-06-01", "DUE", "permitted", True, 0),
    ("2031-06-01", "NOT DUE", "forbidden", False, 2),
]


@pytest.mark.parametrize(("day", "word", "outcome", "due", "code"), SHARES)
def test_a_share_is_due_or_not_due(day: str, word: str, outcome: str, due: bool, code: int) -> None:
    asked = ("decide", *SHARE, "--as-of", day)
    text = run(*asked)
    assert (text.returncode, text.stdout.partition(" openai")[0]) == (code, word)
    decided = answer(*asked, code=code)
    assert (decided["outcome"], decided["due"]) == (outcome, due)
    assert "due" not in answer("decide", *SERVE, "--party", "openai", "--cloud", "aws")


def test_a_share_over_time_is_due_or_not_due() -> None:
    rows = run("agreement", "timeline", *SHARE, "--from", "2030", "--until", "2031").stdout.splitlines()
    assert next(row for row in rows if row.startswith("20")).split()[2] == "due"
    assert not [row for row in rows if re.search(r"\b(permitted|forbidden)\b", row)]

"""The tools as an assistant asks them: the official SDK's client starts the installed command and talks to it."""

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from jsonschema import Draft202012Validator
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS

import settled_book
from clauseway.app.opening.home import Home
from clauseway.mcp.tools import TOOLS
from in_process import CLAUSEWAY, answer

SERVE = {"action": "serve", "party": "openai", "product": "gpt-5.5", "cloud": "aws"}
QUESTION = {**SERVE, "as_of": "2026-05-01"}
SHARE = {"action": "share-revenue", "party": "openai", "to": "microsoft"}
PRICED = {"cloud": "aws", "tokens": "in=1000,cached=400,out=500"}
# All that a price may depend on.
BOUGHT = {
    "cloud": "azure",
    "seller": "microsoft",
    "region": "eastus2",
    "buyer": "Fabrikam",
    "tier": "priority",
    "endpoint": "chat",
    "tokens": "in=1000,out=10",
}
KNOWN = "2026-06-30"


def flags(given: dict[str, str]) -> tuple[str, ...]:
    return tuple(word for name, value in given.items() for word in (f"--{name}", value))


# tool | what it is asked | the command that answers the same as JSON | its exit code
SAME: tuple[tuple[str, dict[str, Any], tuple[str, ...], int], ...] = (
    (
        "decide",
        {**QUESTION, "known_at": KNOWN},
        ("decide", *flags(SERVE), "--as-of", "2026-05-01", "--known-at", KNOWN),
        0,
    ),
    (
        "decide",
        {**QUESTION, "as_of": "2026-04-26", "known_at": KNOWN, "trace": True},
        ("decide", *flags(SERVE), "--as-of", "2026-04-26", "--known-at", KNOWN, "--trace"),
        2,
    ),
    (
        "decide",
        {**SHARE, "as_of": "2027-06-01", "known_at": KNOWN, "suppose": ["milestone=2027-01-01"]},
        ("decide", *flags(SHARE), "--as-of", "2027-06-01", "--suppose", "milestone=2027-01-01", "--known-at", KNOWN),
        0,
    ),
    (
        "price",
        {"product": "gpt-5.5", **PRICED, "as_of": "2026-05-01", "known_at": KNOWN},
        ("price", "gpt-5.5", *flags(PRICED), "--as-of", "2026-05-01", "--known-at", KNOWN),
        0,
    ),
    (
        "price",
        {"product": "gpt-5.4", **BOUGHT, "as_of": "2026-05-01", "known_at": KNOWN},
        ("price", "gpt-5.4", *flags(BOUGHT), "--as-of", "2026-05-01", "--known-at", KNOWN),
        0,
    ),
    (
        "decide",
        {**QUESTION, "readings": ["R1=or"], "known_at": KNOWN},
        ("decide", *flags(SERVE), "--as-of", "2026-05-01", "--reading", "R1=or", "--known-at", KNOWN),
        0,
    ),
    ("statement", {"period": "2026-05"}, ("statement", "--period", "2026-05"), 0),
    (
        "statement",
        {"period": "2026-04", "party": "microsoft"},
        ("statement", "--period", "2026-04", "--party", "microsoft"),
        0,
    ),
)
# tool | what it is asked | what is refused, and the way out
REFUSED: tuple[tuple[str, dict[str, Any], str, str], ...] = (
    ("decide", {**QUESTION, "party": "opnai"}, "unknown name 'opnai'", "openai"),
    ("decide", {**QUESTION, "as_of": "1 May"}, "'1 May'", "YYYY-MM-DD"),
    ("decide", {**QUESTION, "when": "2026-05-01"}, "unknown field `when`", "as_of"),
    ("decide", {"action": "serve"}, "missing required field `party`", "party"),
    ("diff", {"amendments": ["A4"], "as_of": ["2026-05-01"]}, "not two sides", "Name amendments"),
    ("price", {"product": "gpt-5.5", "cloud": "moon"}, "unknown cloud", "price book"),
    ("usage", {"by": ["weather"]}, "'weather' is nothing to sum by", "organisation"),
    ("statement", {"period": "2026-07"}, "2026-07 is not settled", "clauseway settle"),
    ("statement", {"period": "2026-05", "party": "amazon"}, "amazon has no line", "See who has"),
    ("explain", {"line": "zzzzzzzz"}, "zzzzzzzz", "statement"),
    ("explain", {"line": "a", "cent": -1}, "Expected `int` >= 0", "cent"),
)


class Assistant:
    """A client of the SDK that talks to the command in a process of its own."""

    def __init__(self, portal: BlockingPortal, client: Client) -> None:
        self._portal, self.client = portal, client

    def ask(self, tool: str, arguments: dict[str, Any]) -> Any:
        return self._portal.call(self.client.call_tool, tool, arguments)

    def tools(self) -> list[Any]:
        return list(self._portal.call(self.client.list_tools).tools)


@contextmanager
def asking(home: Path, mode: str = "auto") -> Iterator[Assistant]:
    # Without an environment the client hands on a few variables only, and another clone's sources would answer.
    arguments = ["mcp", "--home", str(home)]
    started = StdioServerParameters(command=str(CLAUSEWAY), args=arguments, env=dict(os.environ))
    with start_blocking_portal() as portal:
        opened = Client(stdio_client(started), mode=mode)
        with portal.wrap_async_context_manager(opened) as client:
            yield Assistant(portal, client)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return settled_book.make(tmp_path_factory.mktemp("asked") / "home")


@pytest.fixture(scope="module")
def assistant(home: Home) -> Iterator[Assistant]:
    with asking(home.root) as assistant:
        yield assistant


def test_a_fault_of_the_machine_is_told_as_the_command_tells_it(home: Home, tmp_path: Path) -> None:
    shutil.copytree(home.root, damaged := tmp_path / "home")
    for ending in ("-wal", "-shm"):
        (damaged / f"control.db{ending}").unlink(missing_ok=True)
    (damaged / "control.db").write_bytes(b"no database" * 1000)
    with asking(damaged) as assistant:
        result = assistant.ask("usage", {})
    command = answer("usage", "show", "--home", str(damaged), code=1)
    assert result.is_error
    assert result.structured_content["problems"] == command["error"]["problems"]
    assert "the control data are damaged" in result.content[0].text
    assert "clauseway home restore" in result.content[0].text


# Before July 2026 a client opened with a handshake.
@pytest.mark.parametrize(
    ("mode", "versions"), [("auto", MODERN_PROTOCOL_VERSIONS), ("legacy", HANDSHAKE_PROTOCOL_VERSIONS)]
)
def test_assistants_of_both_generations_are_answered(mode: str, versions: Sequence[str], home: Home) -> None:
    with asking(home.root, mode) as assistant:
        assert assistant.client.protocol_version in versions
        assert assistant.ask("decide", QUESTION).structured_content["outcome"] == "permitted"


def test_each_tool_is_told_as_read_only_with_a_valid_schema(assistant: Assistant) -> None:
    tools = {tool.name: tool for tool in assistant.tools()}
    assert list(tools) == [tool.name for tool in TOOLS]
    for tool in tools.values():
        Draft202012Validator.check_schema(tool.input_schema)
        assert tool.annotations.read_only_hint, tool.name
        assert all("description" in item for item in tool.input_schema["properties"].values()), tool.name
    assert tools["decide"].input_schema["required"] == ["action", "party"]


@pytest.mark.parametrize(("tool", "arguments", "command", "code"), SAME)
def test_a_tool_answers_as_its_command_does(
    tool: str, arguments: dict[str, Any], command: tuple[str, ...], code: int, assistant: Assistant, home: Home
) -> None:
    result = assistant.ask(tool, arguments)
    assert not result.is_error, result
    assert result.structured_content == answer(*command, "--home", str(home.root), code=code)
    assert json.loads(result.content[0].text) == result.structured_content


def test_usage_is_summed_as_the_command_sums_it(assistant: Assistant, home: Home) -> None:
    days = {"first_day": "2026-05-01", "last_day": "2026-05-20"}
    result = assistant.ask("usage", {"by": ["organisation", "cloud"], **days})
    flags = ("--by", "organisation", "--by", "cloud", "--from", "2026-05-01", "--until", "2026-05-20")
    assert result.structured_content["usage"] == answer("usage", "show", *flags, "--home", str(home.root))
    assert {row["organisation"] for row in result.structured_content["usage"]} == {"Contoso", "Fabrikam"}


def test_a_line_is_opened_by_the_name_that_the_statement_tells(assistant: Assistant, home: Home) -> None:
    result = assistant.ask("statement", {"period": "2026-05"}).structured_content
    line = result["lines"][0]["id"]
    for asked, flags in (
        ({"cent": 1}, ("--cent", "1")),
        ({"request": settled_book.request(9)}, ("--request", settled_book.request(9))),
    ):
        opened = assistant.ask("explain", {"line": line, **asked})
        assert opened.structured_content == answer("statement", "explain", line, *flags, "--home", str(home.root))


def test_a_comparison_tells_sentences_and_on_request_every_combination(assistant: Assistant, home: Home) -> None:
    compared = answer("agreement", "diff", "A4", "A5", "--home", str(home.root))
    result = assistant.ask("diff", {"amendments": ["A4", "A5"]}).structured_content
    assert [change["sentence"] for change in result["changes"]] == [group["sentence"] for group in compared["groups"]]
    assert result["answered_otherwise"] == len(compared["changed"])
    assert "changed" not in result
    whole = assistant.ask("diff", {"amendments": ["A4", "A5"], "combinations": True}).structured_content
    assert whole["changed"] == compared["changed"]


# two sides, as an assistant says them | as the command does
SIDES: tuple[tuple[dict[str, Any], tuple[str, ...]], ...] = (
    (
        {"as_of": ["2030-12-31", "2031-01-01"], "known_at": ["2026-11-01"]},
        ("--as-of", "2030-12-31", "--as-of", "2031-01-01", "--known-at", "2026-11-01"),
    ),
    (
        {"as_of": ["2026-05-01"], "known_at": ["2026-04-26", "2026-04-28"], "readings": ["R1=or"]},
        ("--as-of", "2026-05-01", "--known-at", "2026-04-26", "--known-at", "2026-04-28", "--reading", "R1=or"),
    ),
    (
        {"as_of": ["2026-12-31", "2027-01-02"], "suppose": ["milestone=2027-01-01"], "known_at": [KNOWN]},
        (
            *("--as-of", "2026-12-31", "--as-of", "2027-01-02"),
            *("--suppose", "milestone=2027-01-01", "--known-at", KNOWN),
        ),
    ),
)


@pytest.mark.parametrize(("given", "said"), SIDES)
def test_two_sides_are_compared_as_the_command_compares_them(
    given: dict[str, Any], said: tuple[str, ...], assistant: Assistant, home: Home
) -> None:
    compared = answer("agreement", "diff", *said, "--home", str(home.root))
    result = assistant.ask("diff", {**given, "combinations": True}).structured_content
    assert result["changed"] == compared["changed"] != []
    assert (result["before"], result["after"]) == (compared["before"], compared["after"])
    assert [(change["sentence"], change["clause"], change["combinations"]) for change in result["changes"]] == [
        (group["sentence"], group["place"], group["count"]) for group in compared["groups"]
    ]


def test_names_are_those_that_the_other_tools_take(assistant: Assistant) -> None:
    names = assistant.ask("names", {}).structured_content
    assert {"openai", "microsoft"} <= set(names["parties"])
    assert {"aws", "azure"} <= set(names["clouds"])
    assert "serve" in names["actions"]


@pytest.mark.parametrize(("tool", "arguments", "said", "way"), REFUSED)
def test_what_cannot_be_answered_is_refused_with_a_way_out(
    tool: str, arguments: dict[str, Any], said: str, way: str, assistant: Assistant
) -> None:
    result = assistant.ask(tool, arguments)
    assert result.is_error
    text = result.content[0].text
    assert said in text, text
    assert way in text, text
    assert result.structured_content["problems"]


def test_a_home_in_which_nothing_was_recorded_is_no_empty_month(tmp_path: Path) -> None:
    with asking(tmp_path) as assistant:
        usage, decided = assistant.ask("usage", {}), assistant.ask("decide", QUESTION)
    assert usage.is_error
    assert "the folder is no home yet" in usage.content[0].text
    assert decided.structured_content["outcome"] == "permitted"
    assert list(tmp_path.iterdir()) == []


def test_a_fact_recorded_meanwhile_counts(assistant: Assistant, home: Home) -> None:
    question = {**SHARE, "as_of": "2026-07-01"}
    before = assistant.ask("decide", question).structured_content
    recorded = ("--effective", "2026-06-01", "--source", "the panel's report")
    answer("fact", "record", "milestone", *recorded, "--home", str(home.root))
    after = assistant.ask("decide", question).structured_content
    assert before["receipt"]["facts"] != after["receipt"]["facts"]

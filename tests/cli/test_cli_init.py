"""A first configuration from three answers, by flags and on a terminal."""

import os
import pty
import tomllib
from pathlib import Path
from typing import Any

import pytest

from in_process import CLAUSEWAY, answer, run

SECRETS = ("OPENAI_API_KEY", "AZURE_API_KEY", "MISTRAL_API_KEY", "ANTHROPIC_API_KEY")
# the answers | the deployments, each with seller and products | the agreements of the file
BEGUN = [
    (
        ("--vendor", "openai", "--model", "gpt-5.5", "--agreement", "openai-microsoft"),
        {"openai": ("openai", ["gpt-5.5"])},
        ["openai-microsoft"],
    ),
    (
        (
            "--vendor",
            "openai",
            "--vendor",
            "azure",
            "--model",
            "gpt-5.5",
            "--model",
            "text-embedding-3-small",
            "--agreement",
            "openai-microsoft",
        ),
        {
            "openai": ("openai", ["gpt-5.5", "text-embedding-3-small"]),
            "azure-your-resource": ("microsoft", ["gpt-5.5", "text-embedding-3-small"]),
        },
        ["openai-microsoft"],
    ),
    (
        (
            "--vendor",
            "openai",
            "--vendor",
            "mistral",
            "--model",
            "gpt-5.5",
            "--model",
            "mistral-large-latest",
            "--without-agreement",
        ),
        {"openai": ("openai", ["gpt-5.5"]), "mistral": ("mistral", ["mistral-large-latest"])},
        ["names"],
    ),
    (
        (
            "--vendor",
            "anthropic",
            "--vendor",
            "aws",
            "--model",
            "claude-haiku-4.5",
            "--model",
            "gpt-5.5",
            "--agreement",
            "anthropic-clouds",
        ),
        {
            "anthropic": ("anthropic", ["claude-haiku-4.5"]),
            "anthropic-chat": ("anthropic", ["claude-haiku-4.5"]),
            "bedrock-us-east-1": ("amazon", ["claude-haiku-4.5"]),
            "bedrock-us-east-1-2": ("amazon", ["gpt-5.5"]),
        },
        ["anthropic-clouds"],
    ),
]


@pytest.mark.parametrize(("flags", "deployments", "agreements"), BEGUN)
def test_three_answers_make_a_sound_configuration(
    tmp_path: Path, flags: tuple[str, ...], deployments: dict[str, Any], agreements: list[str]
) -> None:
    begun = answer("init", *flags, home=tmp_path / "home")
    written = tomllib.loads((tmp_path / "home" / "clauseway.toml").read_text())
    made = {each["name"]: (each["seller"], list(each["models"])) for each in written["deployment"]}
    assert (made, written["agreement"]) == (deployments, agreements)
    if (tmp_path / "home" / "prices.csv").exists():
        basis = begun["next"][0].split()[1:4]
        assert run(*basis, "--why", "the list", home=tmp_path / "home").returncode == 0
    # Without the secrets, as where a change is checked before it is merged.
    result = run("config", "check", home=tmp_path / "home")
    assert "is not set" in result.stderr
    checked = answer("config", "check", "--without-secrets", home=tmp_path / "home")
    assert checked["deployments"] == list(deployments)
    again = run("init", *flags, home=tmp_path / "home")
    assert again.returncode == 3
    assert "there is a file already" in again.stderr


# the flags | what is told
REFUSED = [
    ((), ["--vendor: it is missing", "--model: it is missing", "Give --agreement or --without-agreement"]),
    (("--vendor", "openai"), ["Give --model, or run it on a terminal, which asks."]),
    (("--vendor", "opneai", "--model", "gpt-5.5", "--without-agreement"), ["Did you mean 'openai'?"]),
    (
        ("--vendor", "openai", "--model", "gpt-9", "--without-agreement"),
        ["none of these vendors serves 'gpt-9'", "clauseway fact record product --product gpt-9"],
    ),
    (
        ("--vendor", "openai", "--vendor", "mistral", "--model", "gpt-5.5", "--without-agreement"),
        ["--vendor: mistral serves none of these models: nothing would be asked there."],
    ),
    # Nothing is told of files and keys that only an import has.
    (
        ("--vendor", "aws", "--model", "claude-sonnet-9.9", "--without-agreement"),
        ["The vendor lists no price by this name. Write a [[deployment]] with"],
    ),
    (
        ("--vendor", "openai", "--model", "gpt-5.5", "--without-agreement", "--agreement", "openai-microsoft"),
        ["Give one of both."],
    ),
]


@pytest.mark.parametrize(("flags", "sentences"), REFUSED)
def test_answers_that_are_missing_or_mean_nothing(tmp_path: Path, flags: tuple[str, ...], sentences: list[str]) -> None:
    done = run("init", *flags, home=tmp_path / "home")
    assert done.returncode == 3
    assert [sentence for sentence in sentences if sentence not in done.stderr] == []
    assert not (tmp_path / "home" / "clauseway.toml").exists()


# a model | Bedrock's id of it: with its date and version, and as the inference profile where it has one
ON_BEDROCK = [
    ("claude-sonnet-4.5", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
    ("claude-sonnet-4-5-20250929", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
    ("claude-opus-4.1", "us.anthropic.claude-opus-4-1-20250805-v1:0"),
    ("claude-opus-4.6", "anthropic.claude-opus-4-6"),
    ("claude-sonnet-5.5", "anthropic.claude-sonnet-5-5"),
    ("gpt-oss-120b", "openai.gpt-oss-120b-1:0"),
    ("gpt-5.5", "openai.gpt-5.5"),
]


def test_models_are_served_by_bedrocks_own_ids_of_them(tmp_path: Path) -> None:
    for number, (model, written) in enumerate(ON_BEDROCK):
        flags = ("--vendor", "aws", "--model", model, "--without-agreement")
        answer("init", *flags, home=tmp_path / str(number))
        configuration = tomllib.loads((tmp_path / str(number) / "clauseway.toml").read_text())
        assert [list(each["models"].values()) for each in configuration["deployment"]] == [[written]]


def test_a_terminal_is_asked(tmp_path: Path) -> None:
    child, terminal = pty.fork()
    if child == 0:
        os.execv(CLAUSEWAY, [str(CLAUSEWAY), "init", "--home", str(tmp_path / "home")])
    os.write(terminal, b"openai, mistral\ngpt-5.5, mistral-large-latest\nnone\n")
    shown = b""
    try:
        while piece := os.read(terminal, 4096):
            shown += piece
    except OSError:
        pass  # the other side has closed
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0, shown.decode()
    assert b"Where do you buy" in shown
    written = tomllib.loads((tmp_path / "home" / "clauseway.toml").read_text())
    assert [each["name"] for each in written["deployment"]] == ["openai", "mistral"]


def test_the_example_is_printed(tmp_path: Path) -> None:
    example = run("config", "example").stdout
    (tmp_path / "clauseway.toml").write_text(example)
    checked = answer("config", "check", str(tmp_path / "clauseway.toml"), "--without-secrets")
    assert checked["deployments"] == ["openai-direct", "azure-sweden", "bedrock-oregon"]


def test_nothing_is_told_of_a_model_at_a_vendor_that_does_not_have_it(tmp_path: Path) -> None:
    begun = answer("init", *BEGUN[2][0], home=tmp_path / "home")
    assert [model["written"] for model in begun["models"]] == ["openai/gpt-5.5", "mistral/mistral-large-latest"]
    assert begun["settings"] == []


def test_people_read_what_was_begun_and_what_comes_next(tmp_path: Path) -> None:
    lines = run("init", *BEGUN[0][0], "--out", "x.toml", cwd=tmp_path).stdout.splitlines()
    file = tmp_path / "x.toml"
    assert [" ".join(line.split()) for line in lines[:2]] == [
        "asked as product deployments standing",
        "gpt-5.5 gpt-5.5 openai permitted",
    ]
    assert lines[2].startswith("gpt-5.5 (openai/gpt-5.5, init:1): openai-microsoft A5.any-cloud: Exclusivity ends.")
    assert lines[3:] == [
        "",
        "Written",
        f"  {file}",
        "",
        "Next",
        "  set OPENAI_API_KEY",
        f"  clauseway config check {file}",
        "  clauseway key create --organisation ours --seller openai --agreement openai-microsoft",
        f"  clauseway serve --config {file}",
    ]
    both = run("init", *BEGUN[2][0], "--out", "y.toml", cwd=tmp_path).stdout.splitlines()
    assert 'What is unstated is served: no agreement in force speaks of it (unstated = "serve").' in both
    assert "A customer's key buys from one seller: make one for each." in both
    assert "Carried over" not in both
    assert "Not carried over" not in both
    assert both[both.index("Next") + 1] == "  set MISTRAL_API_KEY, OPENAI_API_KEY"

"""`clauseway config`: what is wrong with a file, and what is in force."""

from pathlib import Path

import pytest

from clauseway.app.opening.home import Home
from clauseway.app.opening.home_control import open_control
from in_process import answer, run

DEPLOYMENT = """\
[gateway]
head_s = 3

[[deployment]]
name = "direct"
dialect = "openai"
url = "https://api.openai.com/v1"
cloud = "azure"
seller = "openai"
region = "global"
auth = {kind = "bearer", secret_env = "SOME_KEY"}
models = {"gpt-5.5" = "gpt-5.5"}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "clouds.toml"
    path.write_text(DEPLOYMENT)
    return path


def test_a_sound_file_and_one_that_is_not(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = run("config", "check", str(file), home=tmp_path)
    assert missing.returncode == 3
    assert f"{file}:11: direct: SOME_KEY is not set" in missing.stderr
    monkeypatch.setenv("SOME_KEY", "sk-x")
    checked = answer("config", "check", str(file), home=tmp_path)
    assert (checked["deployments"], checked["products"], checked["keys"]) == (["direct"], ["gpt-5.5"], 0)
    shown = run("config", "check", str(file), home=tmp_path).stdout.splitlines()
    assert shown[:3] == [f"{file} is sound.", "deployments: direct", "products: gpt-5.5 · keys: 0"]
    file.write_text(DEPLOYMENT.replace("head_s", "heads_s").replace('"azure"', '"azur"'))
    problems = answer("config", "check", str(file), home=tmp_path, code=3)["error"]["problems"]
    assert [(problem["line"], problem["remedy"]) for problem in problems[:1]] == [(2, "Did you mean 'head_s'?")]
    assert len(problems) == 2


def test_a_file_that_is_checked_without_a_home_says_what_it_was_held_against(file: Path, tmp_path: Path) -> None:
    """A home that holds other prices may refuse it."""
    checking = ("config", "check", str(file), "--without-secrets")
    assert "held against the shipped prices: nothing was recorded in" in run(*checking, cwd=tmp_path).stdout
    assert answer(*checking, cwd=tmp_path)["home"] == ""
    with open_control(Home(tmp_path / "home")):
        pass
    assert "held against" not in run(*checking, home=tmp_path / "home").stdout
    assert answer(*checking, home=tmp_path / "home")["home"] == str(tmp_path / "home")


def test_several_projects_at_one_account_are_a_warning(file: Path, tmp_path: Path) -> None:
    """Nobody makes skills and voices through the gateway, so it does not know whose they are."""
    checking = ("config", "check", str(file), "--without-secrets")
    for number, project in enumerate(("search", "search", "chat"), 1):
        made = run("key", "create", "--organisation", "acme", "--project", project, "--seller", "openai", home=tmp_path)
        assert made.returncode == 0, made.stderr
        warnings = answer(*checking, home=tmp_path)["warnings"]
        assert len(warnings) == (number == 3)
    assert warnings[0].startswith("2 projects may name what lies on the account of direct: skills, voices")


def test_bodies_for_which_the_machine_has_no_memory_are_a_warning(file: Path, tmp_path: Path) -> None:
    file.write_text(DEPLOYMENT.replace("[gateway]\n", f"[gateway]\nbytes_in_flight = {1 << 40}\n"))
    (warning,) = answer("config", "check", str(file), "--without-secrets", home=tmp_path)["warnings"]
    assert warning.startswith("bodies under way may take 1,048,576 MB in each process, and this machine has ")


@pytest.mark.parametrize("tls", ['upstream_ca = "none.pem"', 'certificate = "none.pem"\nkey = "none.pem"'])
def test_a_file_that_holds_no_certificate_does_not_pass(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tls: str
) -> None:
    monkeypatch.setenv("SOME_KEY", "sk-x")
    (tmp_path / "none.pem").write_text("no certificate\n")
    file.write_text(f"{DEPLOYMENT}\n[tls]\n{tls}\n")
    (problem,) = answer("config", "check", str(file), home=tmp_path, code=3)["error"]["problems"]
    assert (problem["where"].partition(".")[0], "cannot be used" in problem["what"]) == ("tls", True)


def test_what_is_in_force_and_where_it_comes_from(file: Path, tmp_path: Path) -> None:
    """Without the secret: to look at a file one need not have it."""
    shown = {setting["key"]: setting for setting in answer("config", "show", str(file))}
    assert (shown["gateway.head_s"]["value"], shown["gateway.head_s"]["source"]) == (3.0, "line 2")
    assert shown["gateway.body_s"]["source"] == "default"
    assert "slow line" in shown["gateway.body_s"]["reason"]
    assert shown["deployment[1].auth.secret_env"]["value"] == "SOME_KEY"
    text = run("config", "show", str(file)).stdout
    (line,) = [line for line in text.splitlines() if line.startswith("gateway.head_s")]
    assert line.split()[1:4] == ["3.0", "line", "2"]


def test_every_price_that_is_missing_is_told(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "sk-x")
    unpriced = DEPLOYMENT.partition("\n\n")[2].replace('"azure"', '"{0}"').replace('"direct"', '"{0}"')
    file.write_text("".join(unpriced.replace("{0}", cloud) for cloud in ("google-cloud", "oci")))
    (problem,) = answer("config", "check", str(file), home=tmp_path, code=3)["error"]["problems"]
    what, *places = problem["what"].split(" on ")
    assert what == "no price for input_tokens and output_tokens of gpt-5.5"
    assert [place.split()[0] for place in places] == ["google-cloud", "oci"]
    assert "clauseway basis prices FILE --why" in problem["remedy"]


@pytest.mark.parametrize("model", ["text-embedding-ada-002", "text-embedding-3-small", "text-embedding-3-large"])
def test_an_embedding_needs_no_price_for_output(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    """Though the public list alone may price it."""
    monkeypatch.setenv("SOME_KEY", "sk-x")
    served = DEPLOYMENT.partition("\n\n")[2].replace('"azure"', '"openai-own"').replace("gpt-5.5", model)
    file.write_text('unstated = "serve"\n' + served)
    assert answer("config", "check", str(file), home=tmp_path)["products"] == [model]


def test_a_mark_at_the_begin_of_a_file_is_no_mistake_in_it(file: Path) -> None:
    """Editors on Windows write one."""
    file.write_text("\ufeff" + DEPLOYMENT)
    assert run("config", "check", str(file), "--without-secrets").returncode == 0

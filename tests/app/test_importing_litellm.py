"""A configuration of LiteLLM becomes one of ours: nothing of it is lost without a word."""

import json
import shlex
import tempfile
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from in_process import answer, run
from litellm_config import TEN


def write(folder: Path, text: str, name: str = "config.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def imported(folder: Path, text: str, *flags: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the command's output and the configuration that it wrote."""
    result = answer("config", "import", "litellm", str(write(folder, text)), *flags, home=folder / "home")
    return result, tomllib.loads((folder / "home" / "clauseway.toml").read_text())


def test_ten_models_each_with_how_its_sale_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output, written = imported(tmp_path, TEN)
    stands = [
        (model["asked_as"], model["product"], model["deployments"], model["standing"]) for model in output["models"]
    ]
    assert stands == [
        ("gpt-5.5", "gpt-5.5", ["openai"], "permitted"),
        ("gpt-5.5", "gpt-5.5", ["azure-contoso-gpt-5.5"], "permitted"),
        ("fast", "gpt-5.4-mini", ["openai"], "unstated"),
        ("gpt-5.4", "gpt-5.4", ["openai"], "permitted"),
        ("gpt-4o", "gpt-4o", ["openai-2"], "unstated"),
        ("text-embedding-3-small", "text-embedding-3-small", ["openai"], "unstated"),
        ("text-embedding-3-large", "text-embedding-3-large", ["openai"], "unstated"),
        ("mistral-large", "mistral-large", ["mistral"], "unstated"),
        ("mistral-embed", "mistral-embed", ["mistral"], "unstated"),
        ("claude-haiku-4-5", "claude-haiku-4.5", ["anthropic", "anthropic-chat"], "unstated"),
    ]
    assert "A5.any-cloud" in output["models"][0]["why"]
    assert written["names"] == {"fast": "gpt-5.4-mini", "chat": "gpt-5.5"}
    assert (written["unstated"], written["agreement"]) == ("serve", ["openai-microsoft", "names"])
    assert written["gateway"] == {"deadline_s": 120.0}
    [_, azure, *_] = written["deployment"]
    assert (azure["url"], azure["settings"], azure["quota_requests_per_minute"]) == (
        "https://contoso.openai.azure.com/openai",
        {"api_version": "2024-10-21"},
        600,
    )
    # Each line that is not carried says what there is instead; no secret is written.
    instead = {setting["key"]: setting["says"] for setting in output["settings"] if not setting["carried"]}
    assert instead.keys() == {
        "fast: temperature",
        "gpt-4o: api_key",
        "mistral-embed: max_input_tokens",
        "litellm_settings.drop_params",
        "litellm_settings.callbacks",
        "litellm_settings.fallbacks",
        "router_settings.routing_strategy",
        "general_settings.master_key",
    }
    assert "clauseway organisation set --strategy fastest" in instead["router_settings.routing_strategy"]
    assert "OPENAI_API_KEY_2" in instead["gpt-4o: api_key"]
    assert not any("context_tokens_max" in deployment for deployment in written["deployment"])
    everything = [path.read_text() for path in (tmp_path / "home").rglob("*") if path.is_file()]
    assert not any("sk-live-123" in text for text in everything)
    # A sound configuration follows.
    for variable in output["secrets"]:
        monkeypatch.setenv(variable, "sk-x")
    basis, *_ = output["next"]
    assert run(*basis.split()[1:4], "--why", "the list", home=tmp_path / "home").returncode == 0
    checked = answer("config", "check", home=tmp_path / "home")
    assert len(checked["products"]) == 9


# litellm_params, model_info | dialect, address, cloud, seller, kind of auth, the model's name there
ACCOUNTS = [
    (
        "{model: azure/gpt-5-5, api_base: 'https://a.openai.azure.com', api_version: v1, tenant_id: t, client_id: c}",
        ("azure", "https://a.openai.azure.com/openai/v1", "azure", "microsoft", "entra", "gpt-5-5"),
    ),
    (
        "{model: bedrock/openai.gpt-5.5, aws_region_name: us-west-2}",
        ("bedrock", "https://bedrock-mantle.us-west-2.api.aws/openai/v1", "aws", "amazon", "aws", "openai.gpt-5.5"),
    ),
    (
        "{model: bedrock/openai.gpt-oss-120b, aws_region_name: us-west-2}",
        ("bedrock", "https://bedrock-mantle.us-west-2.api.aws/v1", "aws", "amazon", "aws", "openai.gpt-oss-120b"),
    ),
    # Names of the runtime alone: one with a version, and one of an inference profile.
    (
        "{model: bedrock/openai.gpt-oss-120b-1:0, aws_region_name: us-west-2}",
        (
            "bedrock",
            "https://bedrock-runtime.us-west-2.amazonaws.com/openai/v1",
            "aws",
            "amazon",
            "aws",
            "openai.gpt-oss-120b-1:0",
        ),
    ),
    (
        "{model: bedrock/us.openai.gpt-5.5, aws_region_name: us-west-2}",
        (
            "bedrock",
            "https://bedrock-runtime.us-west-2.amazonaws.com/openai/v1",
            "aws",
            "amazon",
            "aws",
            "us.openai.gpt-5.5",
        ),
    ),
    (
        "{model: bedrock/converse/us.anthropic.claude-haiku-4-5-20251001-v1:0, aws_region_name: us-east-1, "
        "aws_access_key_id: os.environ/KEY_ID, aws_secret_access_key: os.environ/SECRET}",
        (
            "bedrock",
            "https://bedrock-runtime.us-east-1.amazonaws.com",
            "aws",
            "amazon",
            "sigv4",
            "us.anthropic.claude-haiku-4-5-20251001-v1:0",
        ),
    ),
    (
        "{model: vertex_ai/gemini-2.5-pro, vertex_project: p, vertex_location: global}",
        (
            "vertex",
            "https://aiplatform.googleapis.com/v1/projects/p/locations/global/endpoints/openapi",
            "google-cloud",
            "google",
            "google",
            "google/gemini-2.5-pro",
        ),
    ),
    (
        "{model: vertex_ai/claude-sonnet-4-5@20250929, vertex_project: p, vertex_location: us-east5}",
        (
            "vertex",
            "https://us-east5-aiplatform.googleapis.com/v1/projects/p/locations/us-east5/publishers/anthropic",
            "google-cloud",
            "google",
            "google",
            "claude-sonnet-4-5@20250929",
        ),
    ),
    (
        "{model: gemini/gemini-2.5-flash}",
        (
            "openai",
            "https://generativelanguage.googleapis.com/v1beta/openai",
            "google-cloud",
            "google",
            "bearer",
            "gemini-2.5-flash",
        ),
    ),
    (
        "{model: oci/openai.gpt-oss-120b, oci_region: us-chicago-1, oci_compartment_id: ocid1, "
        "input_cost_per_token: 0.00000015, output_cost_per_token: 6.0e-7}",
        (
            "oci",
            "https://inference.generativeai.us-chicago-1.oci.oraclecloud.com/openai/v1",
            "oci",
            "oracle",
            "oci-user",
            "openai.gpt-oss-120b",
        ),
    ),
    (
        "{model: groq/llama-3.3-70b-versatile}",
        ("openai", "https://api.groq.com/openai/v1", "groq-own", "groq", "bearer", "llama-3.3-70b-versatile"),
    ),
    (
        "{model: openai/facebook/opt-125m, api_base: 'http://10.0.0.7:8000/v1', api_key: none}",
        ("openai", "http://10.0.0.7:8000/v1", "own-servers", "ourselves", "none", "facebook/opt-125m"),
    ),
    (
        "{model: ollama_chat/llama3.1}",
        ("openai", "http://localhost:11434/v1", "own-servers", "ourselves", "none", "llama3.1"),
    ),
    (
        "{model: azure_ai/claude-opus-4-1, api_base: 'https://r.services.ai.azure.com'}",
        (
            "azure",
            "https://r.services.ai.azure.com/anthropic/v1",
            "azure",
            "microsoft",
            "api-key",
            "claude-opus-4-1",
        ),
    ),
]


@pytest.mark.parametrize(("params", "account"), ACCOUNTS)
def test_every_vendor_by_its_address_and_credential(tmp_path: Path, params: str, account: tuple[str, ...]) -> None:
    costs = "" if "cost" in params else ", input_cost_per_token: 1.0e-6, output_cost_per_token: 2.0e-6"
    text = f"model_list:\n  - {{model_name: ours, litellm_params: {params[:-1]}{costs}}}}}\n"
    _, written = imported(tmp_path, text)
    deployment = written["deployment"][0]
    [model] = deployment["models"].values()
    fields = (*(deployment[key] for key in ("dialect", "url", "cloud", "seller")), deployment["auth"]["kind"], model)
    assert fields == account


# litellm_params of a model on Bedrock | the credential that is written, and each variable that it is read from
BEDROCK = "{model: bedrock/us.openai.gpt-5.5, aws_region_name: us-west-2, "
KEYS = "aws_access_key_id: {}, aws_secret_access_key: {}, aws_session_token: {}}}"
CREDENTIALS = [
    (
        KEYS.format("os.environ/ID", "os.environ/SECRET", "os.environ/TOKEN"),
        {"kind": "sigv4", "access_key_env": "ID", "secret_env": "SECRET", "session_token_env": "TOKEN"},
    ),
    (
        KEYS.format("a", "b", "c"),
        {
            "kind": "sigv4",
            "access_key_env": "AWS_ACCESS_KEY_ID",
            "secret_env": "AWS_SECRET_ACCESS_KEY",
            "session_token_env": "AWS_SESSION_TOKEN",
        },
    ),
    ("api_key: os.environ/BEARER}", {"kind": "bearer", "secret_env": "BEARER"}),
    ("aws_profile_name: ours}", {"kind": "aws", "settings": {"profile": "ours"}}),
]


@pytest.mark.parametrize(("params", "auth"), CREDENTIALS)
def test_each_credential_of_bedrock_is_the_same_here(tmp_path: Path, params: str, auth: dict[str, Any]) -> None:
    text = f"model_list: [{{model_name: ours, litellm_params: {BEDROCK}{params}}}]"
    output, written = imported(tmp_path, text)
    assert written["deployment"][0]["auth"] == auth
    assert output["secrets"] == sorted(value for name, value in auth.items() if name.endswith("_env"))


def test_stated_costs_are_a_price_book(tmp_path: Path) -> None:
    params = "{model: xai/grok-9, input_cost_per_token: 0.0000025, output_cost_per_token: 1.0e-5}"
    imported(tmp_path, f"model_list: [{{model_name: grok, litellm_params: {params}}}]")
    lines = (tmp_path / "home" / "prices.csv").read_text().splitlines()
    assert [[*line.split(",")[:5:4], line.split(",")[8]] for line in lines[1:]] == [
        ["grok", "input_tokens", "2.5"],
        ["grok", "output_tokens", "10"],
    ]
    assert answer("price", "check", str(tmp_path / "home" / "prices.csv"))["prices"] == 2


# litellm_params | base_model | where its price stands in the public list
LISTED = [
    ("{model: azure/gpt-4o-eu, api_base: 'https://a.openai.azure.com'}", "azure/gpt-4o", "openai lists gpt-4o"),
    ("{model: azure/ours, api_base: 'https://a.openai.azure.com'}", "gpt-4.1", "openai lists gpt-4.1"),
    ("{model: vertex_ai/gemini-2.5-flash, vertex_project: p}", "", "google lists gemini-2.5-flash"),
]


@pytest.mark.parametrize(("params", "base", "source"), LISTED)
def test_a_listed_price_is_found_by_the_model_and_not_by_the_name_of_its_deployment(
    tmp_path: Path, params: str, base: str, source: str
) -> None:
    info = f", model_info: {{base_model: {base}}}" if base else ""
    output, _ = imported(tmp_path, f"model_list: [{{model_name: ours-1, litellm_params: {params}{info}}}]")
    assert output["models"][0]["standing"] == "unstated"
    prices = (tmp_path / "home" / "prices.csv").read_text()
    assert f"genai-prices: {source}" in prices
    assert {"input_tokens", "output_tokens"} <= {line.split(",")[4] for line in prices.splitlines()[1:]}
    # Microsoft lists few models of OpenAI; another seller's price is never taken in silence.
    taken = [setting["says"] for setting in output["settings"] if setting["key"] == "ours-1: model"]
    assert ["OpenAI's" in says for says in taken] == ([True] if source.startswith("openai") else [])


def test_a_name_of_ones_own_that_the_list_has_for_another_model_does_not_price_it(tmp_path: Path) -> None:
    """Google lists a `gemini-pro`, at a tenth of the price of the model that this entry asks for."""
    params = "{model: vertex_ai/gemini-2.5-pro, vertex_project: p}"
    imported(tmp_path, f"model_list: [{{model_name: gemini-pro, litellm_params: {params}}}]")
    prices = (tmp_path / "home" / "prices.csv").read_text().splitlines()[1:]
    assert {line.partition('"')[2].partition('"')[0] for line in prices} == {
        "genai-prices: google lists gemini-2.5-pro"
    }


@pytest.mark.parametrize(
    "params",
    [
        "{model: bedrock/us.anthropic.claude-haiku-4-5-20251001-v1:0, aws_region_name: us-east-1}",
        "{model: vertex_ai/claude-sonnet-4-5@20250929, vertex_project: p}",
    ],
)
def test_a_model_that_answers_in_its_vendors_format_alone_is_told_to(tmp_path: Path, params: str) -> None:
    output, _ = imported(tmp_path, f"model_list: [{{model_name: claude, litellm_params: {params}}}]")
    assert ["clients ask /v1/messages" in setting["says"] for setting in output["settings"]] == [True]


# litellm_params | why it is left out, and what to do
LEFT_OUT = [
    ("{model: '*'}", "it stands for models that are not named", "one entry each"),
    ("{model: openai/*}", "it stands for models that are not named", "one entry each"),
    ("{model: openai/gpt-9}", "it may be a slip in one they know", "clauseway fact record product --product gpt-9"),
    (
        "{model: azure/prod, api_base: 'https://a.openai.azure.com'}",
        "nobody can tell which model is behind the deployment 'prod'",
        "model_info.base_model",
    ),
    ("{model: azure/gpt-5.5}", "it says no api_base", "import again"),
    (
        "{model: azure/gpt-5.5, api_base: os.environ/NOT_SET_HERE}",
        "api_base is taken from NOT_SET_HERE, which is not set",
        "Set NOT_SET_HERE",
    ),
    ("{model: bedrock/amazon.nova-pro-v1:0, aws_region_name: us-east-1}", "formats of its own", "Keep this one"),
    ("{model: sagemaker/endpoint}", "the format of 'sagemaker' is not spoken here", "Spoken are"),
    ("{model: mistral/never-listed-9}", "it has no price", "input_cost_per_token"),
    ("{model: openai/gpt-5.5, litellm_credential_name: gone}", "it names the credential 'gone'", "credential_list"),
]


@pytest.mark.parametrize(("params", "why", "remedy"), LEFT_OUT)
def test_what_cannot_be_served_is_left_out_with_the_way_to_serve_it(
    tmp_path: Path, params: str, why: str, remedy: str
) -> None:
    beside = "  - {model_name: gpt-5.4, litellm_params: {model: openai/gpt-5.4}}\n"
    alone = f"model_list:\n  - {{model_name: ours, litellm_params: {params}}}\n"
    output, written = imported(tmp_path, alone + beside)
    [left, served] = output["models"]
    assert (left["standing"], served["standing"]) == ("left out", "permitted")
    assert why in left["why"]
    assert remedy in left["remedy"]
    assert [deployment["name"] for deployment in written["deployment"]] == ["openai"]
    assert "# Not served: ours" in (tmp_path / "home" / "clauseway.toml").read_text()
    # Where nothing remains to be served, nothing is written.
    again = tmp_path / "again"
    again.mkdir()
    problems = answer("config", "import", "litellm", str(write(again, alone)), home=again / "home", code=3)["error"][
        "problems"
    ]
    assert why in problems[0]["why"]
    assert not (again / "home").exists()


# the text | what is refused
REFUSED = [
    ("", "it is empty"),
    ("- a\n- b\n", "not a table of settings"),
    ("model_list: 3\n", "model_list is not a list"),
    ("model_list:\n  - {model_name: x}\n", "an entry without a model"),
    ("model_list:\n  - [1, 2]\n", "an entry without a model"),
    ("model_list: [\n", "not valid YAML"),
    ("a: 1\na: 2\n", "not valid YAML"),
    ("router_settings: {timeout: 3}\n", "no model_list"),
    ("include: [missing.yaml]\n", "the file cannot be read"),
    ("a: " + "[" * 2_000 + "]" * 2_000, "not valid YAML"),
    # Each alias nests what stands before it: a thousand levels in as many lines.
    pytest.param(
        "x0: &x0 1\n" + "".join(f"x{n}: &x{n} [*x{n - 1}]\n" for n in range(1, 1_000)),
        "not valid YAML",
        id="nested by aliases",
    ),
    ("a: &a [1]\nb: &b [*a, *a]\nc: &c [*b, *b]\nmodel_list: []\n", "no model_list"),
]


@pytest.mark.parametrize(("text", "problem"), REFUSED)
def test_what_litellm_would_not_take_either_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    file = write(tmp_path, text)
    problems = answer("config", "import", "litellm", str(file), home=tmp_path / "home", code=3)["error"]["problems"]
    assert problem in [problem["what"] for problem in problems]
    assert not (tmp_path / "home").exists()


def test_included_files_and_shared_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHERE", "https://contoso.openai.azure.com")
    write(
        tmp_path,
        "model_list:\n  - model_name: gpt-5.5\n"
        "    litellm_params: {model: azure/gpt-5.5, litellm_credential_name: eu}\n"
        "credential_list:\n  - credential_name: eu\n    credential_values: {api_key: os.environ/EU_KEY, "
        "api_base: os.environ/WHERE}\n",
        "models.yaml",
    )
    output, written = imported(tmp_path, "include: [models.yaml]\nsome_section: {a: 1}\n")
    [deployment] = written["deployment"]
    assert deployment["url"] == "https://contoso.openai.azure.com/openai/v1"
    assert deployment["auth"] == {"kind": "api-key", "secret_env": "EU_KEY"}
    assert [(setting["key"], setting["says"]) for setting in output["settings"]] == [
        ("gpt-5.5: api_base", "it is written as WHERE says now"),
        ("some_section", "nothing here reads it"),
    ]
    assert output["models"][0]["place"] == "models.yaml:2"


def test_files_that_include_each_other_are_read_once(tmp_path: Path) -> None:
    model = "model_list: [{model_name: gpt-5.5, litellm_params: {model: openai/gpt-5.5}}]\n"
    write(tmp_path, f"include: [again.yaml, more.yaml]\n{model}", "more.yaml")
    write(tmp_path, "include: [./more.yaml, config.yaml]\n", "again.yaml")
    output, _ = imported(tmp_path, "include: [more.yaml, again.yaml]\nenvironment_variables: {A_KEY: x}\n")
    assert [model["asked_as"] for model in output["models"]] == ["gpt-5.5"]
    [setting] = [setting for setting in output["settings"] if setting["key"].endswith("A_KEY")]
    assert setting["says"] == "set A_KEY in the environment of the gateway, where something names it"


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    imported(tmp_path, TEN)
    before = (tmp_path / "home" / "clauseway.toml").read_bytes()
    done = run("config", "import", "litellm", str(tmp_path / "config.yaml"), home=tmp_path / "home")
    assert done.returncode == 3
    assert "there is a file already" in done.stderr
    assert (tmp_path / "home" / "clauseway.toml").read_bytes() == before


def test_what_is_advised_for_several_sellers_can_be_done(tmp_path: Path) -> None:
    """The files of the first import stand in the way of the second one."""
    path = write(tmp_path, TEN)
    done = run("config", "import", "litellm", str(path), home=tmp_path / "home")
    assert "remove the files below and import again with --seller PARTY" in done.stdout
    written = done.stdout.partition("\nWritten\n")[2].partition("\n\n")[0].split("\n")
    for file in written:
        Path(file.strip()).unlink()
    result = answer("config", "import", "litellm", str(path), "--seller", "ours", home=tmp_path / "home")
    assert sum(" key create " in command for command in result["next"]) == 1


# An address of an own server · its key · whether its deployment says plain_http
PLAIN = [
    ("http://10.0.0.7:8000/v1", "os.environ/KEY", True),
    ("http://10.0.0.7:8000/v1", "none", False),
    ("http://127.0.0.1:8000/v1", "os.environ/KEY", False),
    ("https://vllm.example/v1", "os.environ/KEY", False),
]


@pytest.mark.parametrize(("url", "key", "plain"), PLAIN)
def test_what_litellm_sent_without_tls_is_sent_on_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, key: str, plain: bool
) -> None:
    monkeypatch.setenv("KEY", "sk-x")
    names = ("llama3.1", "llama3.3")
    models = [
        f"  - {{model_name: {name}, litellm_params: {{model: openai/{name}, api_base: '{url}', api_key: {key}, "
        "input_cost_per_token: 0.000001, output_cost_per_token: 0.000001}}\n"
        for name in names
    ]
    output, written = imported(tmp_path, "model_list:\n" + "".join(models))
    [deployment] = written["deployment"]
    assert set(deployment["models"]) == set(names), "one server is one deployment"
    assert deployment.get("plain_http", False) is plain
    assert ("anybody on the way can read it" in (tmp_path / "home/clauseway.toml").read_text()) is plain
    for command in output["next"][:-1]:
        done = run(*shlex.split(command)[1:], cwd=tmp_path, home=tmp_path / "home")
        assert done.returncode == 0, f"{command}: {done.stderr}"


# further flags of the import, each of which the next steps have to keep
IMPORTS: list[tuple[str, ...]] = [
    (),
    ("--seller", "openai"),
    ("--seller", "ours"),
    ("--seller", "microsoft"),
    ("--home", "elsewhere"),
    ("--out", "apart/gateway.toml"),
    ("--home", "elsewhere", "--out", "apart/gateway.toml"),
]


@pytest.mark.parametrize("flags", IMPORTS, ids=" ".join)
def test_the_next_steps_lead_to_a_sound_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: tuple[str, ...]
) -> None:
    """Followed as they are printed, in the folder in which the import ran."""
    monkeypatch.delenv("CLAUSEWAY_HOME", raising=False)
    write(tmp_path, TEN)
    result = answer("config", "import", "litellm", "config.yaml", *flags, cwd=tmp_path)
    for variable in result["secrets"]:
        monkeypatch.setenv(variable, "sk-x")
    *before, serve = result["next"]
    for command in before:
        done = run(*shlex.split(command)[1:], cwd=tmp_path)
        assert done.returncode == 0, f"{command}: {done.stderr}"
    # The gateway is started on the same file and home: what it needs is there.
    given = dict(zip(shlex.split(serve)[2::2], shlex.split(serve)[3::2], strict=True))
    home = ("--home", given["--home"]) if "--home" in given else ()
    checked = answer("config", "check", *filter(None, [given.get("--config")]), *home, cwd=tmp_path)
    assert (len(checked["products"]), checked["keys"]) == (9, len(before) - 2)


def test_prices_that_are_not_accepted_yet_are_one_problem_with_its_command(tmp_path: Path) -> None:
    imported(tmp_path, TEN)
    done = run("config", "check", "--without-secrets", "--json", home=tmp_path / "home")
    (problem,) = json.loads(done.stdout or done.stderr)["error"]["problems"]
    offers = "claude-haiku-4.5 on anthropic-own in global, gpt-4o on azure in global, "
    offers += "mistral-embed on mistral-own in global and mistral-large on mistral-own in global"
    assert problem["what"] == f"no price for input_tokens and output_tokens of {offers}"
    assert f"clauseway basis prices {tmp_path / 'home' / 'prices.csv'} --why" in problem["remedy"]


def test_one_seller_sells_everything(tmp_path: Path) -> None:
    output, written = imported(tmp_path, TEN, "--seller", "us")
    assert {deployment["seller"] for deployment in written["deployment"]} == {"us"}
    assert {model["standing"] for model in output["models"]} == {"unstated"}


def test_under_an_agreement_that_names_it_a_model_is_that_agreements(tmp_path: Path) -> None:
    both = ("--agreement", "openai-microsoft", "--agreement", "anthropic-clouds")
    text = "model_list: [{model_name: haiku, litellm_params: {model: anthropic/claude-haiku-4-5-20251001}}]"
    output, written = imported(tmp_path, text, *both)
    assert [(model["product"], model["standing"]) for model in output["models"]] == [("claude-haiku-4.5", "permitted")]
    assert written["agreement"] == ["openai-microsoft", "anthropic-clouds"]
    assert written["names"] == {"haiku": "claude-haiku-4.5"}


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(st.from_regex(r"[a-z][a-z_]{0,20}x", fullmatch=True), st.integers() | st.text(max_size=5)),
    st.dictionaries(st.from_regex(r"[a-z][a-z_]{0,20}x", fullmatch=True), st.integers() | st.booleans()),
)
def test_every_key_is_carried_or_told(tmp_path: Path, params: dict[str, Any], sections: dict[str, Any]) -> None:
    """Whatever stands in an entry, in its model_info and in a section comes back with a sentence."""
    content = {
        "model_list": [
            {
                "model_name": "gpt-5.5",
                "litellm_params": {"model": "openai/gpt-5.5", **params},
                "model_info": {f"{name}i": value for name, value in params.items()},
            }
        ],
        "litellm_settings": sections,
        **{f"{name}s": value for name, value in sections.items()},
    }
    folder = Path(tempfile.mkdtemp(dir=tmp_path))
    output, _ = imported(folder, json.dumps(content))
    keys = {setting["key"] for setting in output["settings"]}
    assert keys >= {f"gpt-5.5: {name}" for name in params} | {f"gpt-5.5: {name}i" for name in params}
    assert keys >= {f"litellm_settings.{name}" for name in sections} | {f"{name}s" for name in sections}


def test_an_alias_that_is_another_models_own_name_is_told_once(tmp_path: Path) -> None:
    model = "{model: openai/gpt-5.5, api_key: os.environ/OPENAI_API_KEY}"
    entries = "".join(f"  - {{model_name: {name}, litellm_params: {model}}}\n" for name in ("gpt-5.5", "gpt-5.4"))
    aliases = "router_settings: {model_group_alias: {gpt-5.4: gpt-5.5, gpt-4o: gpt-5.5}}\n"
    output, written = imported(tmp_path, f"model_list:\n{entries}{aliases}")
    says = "is another model's own name: clients ask for gpt-5.5"
    refused = [(setting["key"], setting["says"]) for setting in output["settings"] if not setting["carried"]]
    assert refused == [
        ("model_group_alias: gpt-5.4", f"gpt-5.4 {says}"),
        ("model_group_alias: gpt-4o", f"gpt-4o {says}"),
    ]
    assert "names" not in written

"""Ten models of a LiteLLM configuration, imported and served: real clients before a real gateway, and simulated clouds
in the vendors' places."""

from collections.abc import Iterator

import anthropic
import openai
import pytest

from clauseway.app.opening.home import Home
from clauseway.app.opening.named_agreements import agreements_in
from clauseway.app.opening.several import open_agreements
from clauseway.app.running.serving import ServeOptions, serving
from clauseway.app.running.simulation import sandbox_clouds
from clauseway.sandbox.signatures import credentials
from in_process import answer, run
from litellm_config import TEN

PATIENCE_S = 20.0
# And what Bedrock's runtime serves in OpenAI's format, under its name there.
ON_BEDROCK = """\
model_list:
  - model_name: gpt-oss
    litellm_params:
      model: bedrock/openai.gpt-oss-120b-1:0
      aws_region_name: us-east-1
      api_key: os.environ/AWS_BEARER_TOKEN_BEDROCK
"""
# Variables that hold the keys, as the import names them, and the keys that the simulated clouds take.
SECRETS = {
    "OPENAI_API_KEY": credentials.OPENAI_API_KEY,
    "OPENAI_API_KEY_2": credentials.OPENAI_API_KEY,
    "MISTRAL_API_KEY": credentials.OPENAI_API_KEY,
    "AZURE_API_KEY": credentials.AZURE_API_KEY,
    "ANTHROPIC_API_KEY": credentials.ANTHROPIC_API_KEY,
    "AWS_BEARER_TOKEN_BEDROCK": credentials.BEDROCK_API_KEY,
}


class Served:
    """The gateway's address, and a customer's key for each seller."""

    def __init__(self, url: str, keys: dict[str, str]) -> None:
        self.url, self.keys = url, keys

    def client(self, seller: str) -> openai.OpenAI:
        return openai.OpenAI(base_url=self.url, api_key=self.keys[seller], max_retries=0, timeout=PATIENCE_S)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("litellm")
    home = Home(folder / "home")
    (folder / "config.yaml").write_text(TEN.replace("model_list:\n", ON_BEDROCK))
    result = answer("config", "import", "litellm", str(folder / "config.yaml"), home=home.root)
    with pytest.MonkeyPatch.context() as patched, sandbox_clouds(Home(folder / "clouds")) as clouds:
        for name in result["secrets"]:
            patched.setenv(name, SECRETS[name])
        # The simulated clouds stand in the vendors' places, with the models that they have.
        text = home.configuration.read_text()
        azure = clouds.url("azure").removesuffix("/v1")
        for theirs, simulated in (
            (
                'dialect = "anthropic"\nurl = "https://api.anthropic.com/v1"',
                f'dialect = "anthropic"\nurl = "{clouds.url("anthropic")}"',
            ),
            ('url = "https://api.anthropic.com/v1"', f'url = "{clouds.url("openai")}"'),
            ("https://api.openai.com/v1", clouds.url("openai")),
            ("https://api.mistral.ai/v1", clouds.url("openai")),
            ("https://contoso.openai.azure.com/openai", azure),
            ("https://bedrock-runtime.us-east-1.amazonaws.com/openai/v1", clouds.url("bedrock_runtime")),
            ('"prod-55"', '"gpt-5-5"'),
            ('"mistral-large-latest"', '"gpt-5.4"'),
            ('"mistral-embed"}', '"text-embedding-3-small"}'),
            ('"claude-haiku-4-5"}', '"claude-sonnet-4-5"}'),
            ('gpt-4o = "gpt-4o"', 'gpt-4o = "gpt-5.4"'),
            ("[gateway]", "[gateway]\nport = 0"),
        ):
            assert theirs in text, theirs
            text = text.replace(theirs, simulated)
        home.configuration.write_text(text)
        basis, *commands = result["next"]
        assert run(*basis.split()[1:4], "--why", "the list", home=home.root).returncode == 0
        keys = {
            command.split()[-1]: answer(*command.split()[1:], home=home.root)["secret"]
            for command in commands
            if " key create " in command
        }
        agreements = agreements_in(home.configuration)
        options = ServeOptions(
            home=home,
            opened=open_agreements(agreements),
            configuration=home.configuration,
            agreements=agreements,
            pages_port=0,
        )
        with serving(options) as running:
            yield Served(running.gateway_url, keys)


# who sells | the name that clients use | how its sale stands
CHATS = [
    ("openai", "gpt-5.5", "permitted"),
    ("openai", "chat", "permitted"),
    ("microsoft", "gpt-5.5", "permitted"),
    ("openai", "gpt-5.4", "permitted"),
    ("openai", "fast", "unstated"),
    ("openai", "gpt-4o", "unstated"),
    ("mistral", "mistral-large", "unstated"),
    ("amazon", "gpt-oss", "permitted"),
]


@pytest.mark.parametrize(("seller", "model", "outcome"), CHATS)
def test_chat_by_the_name_that_clients_have(served: Served, seller: str, model: str, outcome: str) -> None:
    raw = served.client(seller).chat.completions.with_raw_response.create(
        model=model, messages=[{"role": "user", "content": "Good day."}]
    )
    assert raw.headers["x-clauseway-outcome"] == outcome
    assert raw.headers["x-clauseway-seller"] == seller
    assert raw.parse().choices[0].message.content


@pytest.mark.parametrize(
    ("seller", "model"),
    [("openai", "text-embedding-3-small"), ("openai", "text-embedding-3-large"), ("mistral", "mistral-embed")],
)
def test_embeddings(served: Served, seller: str, model: str) -> None:
    made = served.client(seller).embeddings.create(model=model, input="Good day.")
    assert made.data[0].embedding
    assert made.usage.prompt_tokens


def test_another_vendor_in_its_own_format(served: Served) -> None:
    client = anthropic.Anthropic(
        base_url=served.url.removesuffix("/v1"), auth_token=served.keys["anthropic"], max_retries=0, timeout=PATIENCE_S
    )
    message = client.messages.create(
        model="claude-haiku-4-5", max_tokens=20, messages=[{"role": "user", "content": "Good day."}]
    )
    assert message.content


def test_each_key_lists_what_it_buys(served: Served) -> None:
    listed = {seller: {model.id for model in served.client(seller).models.list()} for seller in served.keys}
    assert listed["mistral"] == {"mistral-large", "mistral-embed"}
    assert {"gpt-5.5", "chat", "fast", "gpt-4o"} <= listed["openai"]
    assert listed["anthropic"] == {"claude-haiku-4.5", "claude-haiku-4-5", "claude-haiku-4-5-20251001"}

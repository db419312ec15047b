"""The fake clouds: their addresses, their authentication, their errors.

    openai_direct     OpenAI's own API
    anthropic_direct  Anthropic's own API
    azure_openai      an Azure OpenAI resource, with Entra's token endpoint
    bedrock           AWS Bedrock's two endpoints: mantle and runtime
    vertex            Google Vertex AI, with Google's token endpoint
    oracle            Oracle OCI Generative AI
    fake_cloud        what all of them share
    model_server      the simulated model server behind them, over one account

A new fake cloud is a module here and a line in `FAKE_CLOUDS`.
"""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from clauseway.sandbox.clouds import (
    anthropic_direct,
    azure_openai,
    bedrock,
    openai_direct,
    oracle,
    vertex,
)
from clauseway.sandbox.clouds.fake_cloud import FakeCloud
from clauseway.sandbox.signatures import credentials


class FakeCloudKind(NamedTuple):
    """A fake cloud: its label, its usual port, the root of its paths, a valid credential, and its
    factory."""

    title: str
    usual_port: int
    root: str
    credential: Callable[[], str]
    create: Callable[[], FakeCloud]


FAKE_CLOUDS: Final[Mapping[str, FakeCloudKind]] = {
    "openai": FakeCloudKind(
        "OpenAI",
        8410,
        openai_direct.ROOT,
        lambda: credentials.OPENAI_API_KEY,
        openai_direct.OpenAIDirect,
    ),
    "azure": FakeCloudKind(
        "Azure OpenAI",
        8411,
        azure_openai.ROOT,
        lambda: credentials.AZURE_API_KEY,
        azure_openai.AzureOpenAI,
    ),
    "bedrock": FakeCloudKind(
        "AWS Bedrock mantle",
        8412,
        bedrock.ROOT,
        lambda: credentials.BEDROCK_API_KEY,
        bedrock.mantle,
    ),
    "bedrock_runtime": FakeCloudKind(
        "AWS Bedrock runtime",
        8413,
        bedrock.ROOT,
        lambda: credentials.BEDROCK_API_KEY,
        bedrock.runtime,
    ),
    "vertex": FakeCloudKind(
        "Google Vertex AI",
        8414,
        f"/v1/projects/{credentials.GOOGLE_PROJECT}/locations/{credentials.GOOGLE_LOCATION}"
        "/publishers/openai/v1",
        credentials.google_token,
        vertex.VertexAI,
    ),
    "oracle": FakeCloudKind(
        "Oracle OCI Generative AI",
        8415,
        oracle.ROOT,
        lambda: credentials.OCI_API_KEY,
        oracle.OracleGenerativeAI,
    ),
    "anthropic": FakeCloudKind(
        "Anthropic",
        8416,
        anthropic_direct.ROOT,
        lambda: credentials.ANTHROPIC_API_KEY,
        anthropic_direct.AnthropicDirect,
    ),
}

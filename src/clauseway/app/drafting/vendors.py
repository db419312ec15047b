"""Vendors whose servers a configuration may name: who operates what, where it answers, and which
variable of the environment usually holds its key.

Addresses are the vendors' own, in a format that the gateway speaks. `listing` is the name under
which the library of list prices carries the vendor.
"""

from collections.abc import Mapping

import msgspec

# The host of what somebody runs themselves, and who sells it.
OWN_CLOUD, OWN_PARTY = "own-servers", "ourselves"


class Vendor(msgspec.Struct, frozen=True, kw_only=True):
    """A vendor: the party that bills, the cloud that serves, and the address."""

    party: str
    cloud: str
    url: str = ""
    key_env: str = ""
    listing: str = ""
    dialect: str = "openai"


OPENAI = Vendor(
    party="openai",
    # The host: OpenAI's own API runs on Azure.
    cloud="azure",
    url="https://api.openai.com/v1",
    key_env="OPENAI_API_KEY",
    listing="openai",
)
AZURE = Vendor(
    party="microsoft",
    cloud="azure",
    key_env="AZURE_API_KEY",
    listing="azure",
    dialect="azure",
)
AWS = Vendor(party="amazon", cloud="aws", listing="aws", dialect="bedrock")
GOOGLE = Vendor(party="google", cloud="google-cloud", listing="google", dialect="vertex")
ORACLE = Vendor(party="oracle", cloud="oci", dialect="oci")
ANTHROPIC = Vendor(
    party="anthropic",
    cloud="anthropic-own",
    url="https://api.anthropic.com/v1",
    key_env="ANTHROPIC_API_KEY",
    listing="anthropic",
    dialect="anthropic",
)
# Gemini's API speaks OpenAI's format under a root of its own.
GEMINI = Vendor(
    party="google",
    cloud="google-cloud",
    url="https://generativelanguage.googleapis.com/v1beta/openai",
    key_env="GEMINI_API_KEY",
    listing="google",
)


def _compatible(name: str, url: str, key_env: str, listing: str = "") -> Vendor:
    """Return a vendor that speaks OpenAI's format and serves on capacity of its own."""
    return Vendor(party=name, cloud=f"{name}-own", url=url, key_env=key_env, listing=listing)


# Vendors that speak OpenAI's format, by the prefix under which other programs name them.
COMPATIBLE: Mapping[str, Vendor] = {
    "mistral": _compatible("mistral", "https://api.mistral.ai/v1", "MISTRAL_API_KEY", "mistral"),
    "groq": _compatible("groq", "https://api.groq.com/openai/v1", "GROQ_API_KEY", "groq"),
    "deepseek": _compatible(
        "deepseek", "https://api.deepseek.com/v1", "DEEPSEEK_API_KEY", "deepseek"
    ),
    "xai": _compatible("xai", "https://api.x.ai/v1", "XAI_API_KEY", "x-ai"),
    "together_ai": _compatible(
        "together", "https://api.together.xyz/v1", "TOGETHERAI_API_KEY", "together"
    ),
    "fireworks_ai": _compatible(
        "fireworks", "https://api.fireworks.ai/inference/v1", "FIREWORKS_AI_API_KEY", "fireworks"
    ),
    "openrouter": _compatible(
        "openrouter", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY", "openrouter"
    ),
    "perplexity": _compatible(
        "perplexity", "https://api.perplexity.ai", "PERPLEXITYAI_API_KEY", "perplexity"
    ),
    "cerebras": _compatible(
        "cerebras", "https://api.cerebras.ai/v1", "CEREBRAS_API_KEY", "cerebras"
    ),
    "nvidia_nim": _compatible(
        "nvidia", "https://integrate.api.nvidia.com/v1", "NVIDIA_NIM_API_KEY"
    ),
    "deepinfra": _compatible(
        "deepinfra", "https://api.deepinfra.com/v1/openai", "DEEPINFRA_API_KEY"
    ),
    "cohere": _compatible(
        "cohere", "https://api.cohere.ai/compatibility/v1", "COHERE_API_KEY", "cohere"
    ),
    "moonshot": _compatible(
        "moonshot", "https://api.moonshot.ai/v1", "MOONSHOT_API_KEY", "moonshotai"
    ),
}

# The operators of the clouds on which several sell; every other cloud is its seller's own.
OPERATORS: Mapping[str, str] = {
    vendor.cloud: vendor.party for vendor in (AZURE, AWS, GOOGLE, ORACLE)
}


def own_server(url: str) -> Vendor:
    """Return the vendor of a server of one's own that speaks OpenAI's format."""
    return Vendor(party=OWN_PARTY, cloud=OWN_CLOUD, url=url)

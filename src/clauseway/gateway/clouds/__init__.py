"""The clouds: how a request is addressed and authenticated at each, what its surface lacks, and
what usage it reports. All pure: none does I/O or reads a clock; time is an argument.

Each dialect is a module and a line in `DIALECTS`:

    openai         OpenAI, and any server that speaks its format
    azure          Azure OpenAI: an API key or an Entra token
    bedrock        AWS Bedrock: SigV4, or an API key
    vertex         Google Vertex AI: an OAuth token, one of three surfaces
    oci            Oracle OCI Generative AI: a service key, or OCI's request signature
    anthropic      Anthropic, and what its forms at other clouds have in common

They share:

    dialect         what each of them offers, and the head that all of them write
    sigv4, rsa      signatures: AWS's, and OCI's
    usage_reports   reported usage as the clouds shape it; reported_units: the same in ours
    unusual_counts  usage whose counts are written otherwise than as whole numbers
    half_pairs      answers in whose texts half of a surrogate pair stands
    reports         which reader of usage each operation's answer takes
    frames          AWS's binary event streams
"""

from collections.abc import Mapping

from clauseway.gateway.clouds import anthropic, azure, bedrock, oci, openai, vertex
from clauseway.gateway.clouds.dialect import Call, Credential, Dialect, HeadWriter

DIALECTS: Mapping[str, Dialect] = {
    "openai": openai.DIALECT,
    "azure": azure.DIALECT,
    "bedrock": bedrock.DIALECT,
    "vertex": vertex.DIALECT,
    "oci": oci.DIALECT,
    "anthropic": anthropic.DIALECT,
}

__all__ = ["DIALECTS", "Call", "Credential", "HeadWriter"]

"""One pure module per dialect: how a request is addressed and authenticated, and what the surface
lacks. `usage` reads the usage that any of them reports.

A new dialect is a module here and a line in `DIALECTS`. None of them does I/O or reads a clock: time is
an argument.
"""

from collections.abc import Mapping

from clauseway.gateway.clouds import anthropic, azure, bedrock, oci, openai, vertex
from clauseway.gateway.clouds.dialect import OPERATIONS, Call, Credential, Dialect, HeadWriter

DIALECTS: Mapping[str, Dialect] = {
    "openai": openai.DIALECT,
    "azure": azure.DIALECT,
    "bedrock": bedrock.DIALECT,
    "vertex": vertex.DIALECT,
    "oci": oci.DIALECT,
    "anthropic": anthropic.DIALECT,
}

__all__ = ["DIALECTS", "OPERATIONS", "Call", "Credential", "Dialect", "HeadWriter"]

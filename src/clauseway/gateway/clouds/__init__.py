"""One pure module per cloud: how a request to it is addressed and authenticated, and what its usage
means in our units.

A new cloud is a module here and a line in `CLOUDS`. None of them does I/O or reads a clock: time is
an argument.
"""

from collections.abc import Mapping

from clauseway.gateway.clouds import azure, bedrock, oci, openai, vertex
from clauseway.gateway.clouds.dialect import OPERATIONS, Call, Credential, Dialect, Prepare

CLOUDS: Mapping[str, Dialect] = {
    "openai": openai.DIALECT,
    "azure": azure.DIALECT,
    "bedrock": bedrock.DIALECT,
    "vertex": vertex.DIALECT,
    "oci": oci.DIALECT,
}

__all__ = ["CLOUDS", "OPERATIONS", "Call", "Credential", "Dialect", "Prepare"]

"""The names by which others call the clouds: bills, spans and metrics, and the public price list.

A record for each cloud, so that a new one is named in one place. Names of an agreement's own go
before these.
"""

import msgspec


class CloudNames(msgspec.Struct, frozen=True, kw_only=True):
    """The names of a cloud elsewhere.

    `bills`: how a provider's name begins in a FOCUS bill, in lower case. `telemetry`: values of
    `gen_ai.provider.name` in OpenTelemetry's conventions. `listings`: who lists its prices in
    genai-prices; a listing says nothing of other clouds. `operator`: the party that runs it and
    issues its bills.
    """

    cloud: str
    operator: str
    bills: tuple[str, ...] = ()
    telemetry: tuple[str, ...] = ()
    listings: tuple[str, ...] = ()


CLOUD_NAMES = (
    CloudNames(
        cloud="azure",
        operator="microsoft",
        bills=("microsoft", "azure"),
        telemetry=("azure.ai.openai", "az.ai.openai"),
        listings=("azure",),
    ),
    CloudNames(
        cloud="aws",
        operator="amazon",
        bills=("aws", "amazon"),
        telemetry=("aws.bedrock",),
        listings=("aws",),
    ),
    CloudNames(
        cloud="google-cloud",
        operator="google",
        bills=("google",),
        telemetry=("gcp.vertex_ai", "gcp.gen_ai"),
        listings=("google",),
    ),
    CloudNames(
        cloud="oci",
        operator="oracle",
        bills=("oracle", "oci"),
        telemetry=("oci.genai", "oci.generative_ai", "oci"),
    ),
    CloudNames(
        cloud="openai-own",
        operator="openai",
        bills=("openai",),
        telemetry=("openai",),
        listings=("openai",),
    ),
    CloudNames(cloud="anthropic-own", operator="anthropic", telemetry=("anthropic",)),
)

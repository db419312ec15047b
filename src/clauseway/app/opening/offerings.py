"""Models and surfaces that the package knows: the catalog's data, read once, and the surface of
a deployment."""

from datetime import date
from functools import cache
from importlib import resources
from urllib.parse import urlsplit

import msgspec

from clauseway.catalog import (
    Matrix,
    Models,
    Retirement,
    Versions,
    parse_matrix,
    parse_models,
    parse_versions,
)
from clauseway.values import check_known


@cache
def shipped_matrix() -> Matrix:
    """Return the shipped matrix of capabilities.

    Raise InvalidInput where the package's own file is not valid.
    """
    return parse_matrix(_text("capabilities.csv"), "capabilities.csv")


@cache
def shipped_versions() -> Versions:
    """Return the capabilities of each dated API version. Raise InvalidInput as `shipped_matrix`."""
    return parse_versions(_text("versions.csv"), "versions.csv")


@cache
def shipped_models() -> Models:
    """Return the models with their limits, names and retirements.

    Raise InvalidInput as `shipped_matrix`.
    """
    return parse_models(_text("models.csv"), _text("names.csv"), _text("retirements.csv"))


@cache
def shipped_products() -> frozenset[str]:
    """Return the products that the shipped catalogue knows. Raise InvalidInput as
    `shipped_matrix`."""
    return shipped_models().products


class ModelKnown(msgspec.Struct, frozen=True, kw_only=True):
    """A product on a day: what it holds, the other names in use, and where its own name ends or
    has ended."""

    product: str
    kind: str
    context_tokens_max: int
    output_tokens_max: int
    names: tuple[str, ...]
    ends: tuple[Retirement, ...]


class Lacking(msgspec.Struct, frozen=True, kw_only=True):
    """A capability that a surface lacks, for which products (empty: all), and how that is known."""

    capability: str
    product: str
    source: str


def models_on(product: str, day: date) -> list[ModelKnown]:
    """Return the products of the catalog, or one of them, with the names that exist by a day.

    Raise InvalidInput for a product that the catalog does not know.
    """
    models = shipped_models()
    _check_product(product)
    return [
        ModelKnown(
            product=model.product,
            kind=model.kind,
            context_tokens_max=model.context_tokens_max,
            output_tokens_max=model.output_tokens_max,
            names=tuple(
                name.name
                for name in models.names
                if name.product == model.product and name.begin <= day
            ),
            ends=tuple(end for end in models.retirements if end.name == model.product),
        )
        for (name, surface), model in models.models.items()
        if not surface and product in ("", name)
    ]


def _check_product(product: str) -> None:
    """Raise InvalidInput for a product that the catalog does not know; empty stands for all."""
    if product:
        check_known("PRODUCT", [product], shipped_products(), "the catalog has no such product")


def lacking_on(surface: str, product: str, day: date) -> list[Lacking]:
    """Return the capabilities a surface lacks on a day: of a product, or (empty) of all; and
    what some of its versions lack, where they are dated. Raise InvalidInput as `models_on` does."""
    _check_product(product)
    lacking = shipped_matrix().lacking(surface, product, day)
    whole = [
        Lacking(capability=capability, product=entry.product, source=entry.reason)
        for capability, entry in sorted(lacking.items())
    ]
    by_version = [
        Lacking(capability=line.capability, product="", source=line.reason)
        for line in shipped_versions().of(surface)
        if line.capability not in lacking
    ]
    return whole + by_version


def surface_of(dialect: str, url: str, service: str = "") -> str:
    """Return the matrix's surface of an address.

    `service` is the signed service, where it is stated.
    """
    host, path = urlsplit(url).hostname or "", urlsplit(url).path.rstrip("/")
    # Azure and Vertex AI serve Anthropic's format under roots that end in its name.
    if dialect != "anthropic" and path.endswith(("/anthropic/v1", "/publishers/anthropic")):
        return f"{dialect}-messages"
    # Bedrock's root for OpenAI's format has a path; the one for Messages has none.
    if dialect == "bedrock" and not path:
        return "bedrock-messages"
    if dialect == "azure":
        return "azure-v1" if path.endswith("/v1") else "azure-dated"
    if dialect == "bedrock":
        # Behind a private host name only the signed service tells the two apart.
        runtime = service == "bedrock" or (not service and host.startswith("bedrock-runtime"))
        return "bedrock-runtime" if runtime else "bedrock-mantle"
    if dialect == "vertex":
        return "vertex-chat" if path.endswith("/endpoints/openapi") else "vertex-responses"
    if dialect == "openai":
        # Any other host with OpenAI's format: another vendor, or a server of one's own.
        return "openai" if host.endswith("openai.com") else "compatible"
    return dialect


def _text(name: str) -> str:
    return (resources.files("clauseway.catalog") / "data" / name).read_text("utf-8")

"""What the package knows of models and surfaces: the catalog's data, read once, and which surface a deployment is."""

from functools import cache
from importlib import resources
from urllib.parse import urlsplit

from clauseway.catalog import Matrix, Models, parse_matrix, parse_models


@cache
def shipped_matrix() -> Matrix:
    """Who lacks what. Raises InvalidInput where the package's own file is none."""
    return parse_matrix(_text("capabilities.csv"), "capabilities.csv")


@cache
def shipped_models() -> Models:
    """What models can hold, their names and retirements. Raises InvalidInput as `shipped_matrix`."""
    return parse_models(_text("models.csv"), _text("names.csv"), _text("retirements.csv"))


def surface_of(dialect: str, url: str, service: str = "") -> str:
    """Which surface of the matrix an address is. `service` is the one that is signed for, where it is stated."""
    host, path = urlsplit(url).hostname or "", urlsplit(url).path.rstrip("/")
    if dialect == "azure":
        return "azure-v1" if path.endswith("/v1") else "azure-dated"
    if dialect == "bedrock":
        runtime = service == "bedrock" or (not service and host.startswith("bedrock-runtime"))
        return "bedrock-runtime" if runtime else "bedrock-mantle"
    if dialect == "vertex":
        return "vertex-chat" if path.endswith("/endpoints/openapi") else "vertex-responses"
    if dialect == "openai":
        return "openai" if host.endswith("openai.com") else "compatible"
    return dialect


def _text(name: str) -> str:
    return (resources.files("clauseway.catalog") / "data" / name).read_text("utf-8")

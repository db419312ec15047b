"""OpenAI's own OpenAPI description and recorded answers as judges of a simulated answer's shape."""

import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

RECORDINGS = Path(__file__).parent / "recordings"


@cache
def _description() -> dict[str, Any]:
    description: dict[str, Any] = json.loads(gzip.decompress((RECORDINGS / "openapi_answers.json.gz").read_bytes()))
    schemas = description["components"]["schemas"]
    # Where the description is stricter than the API: its own examples of a response have `user: null` and, while it is
    # begun, `usage: null`; the recorded chat answers have no `logprobs`, and null for the fingerprint and for the
    # finish of a stream's choices.
    schemas["ModelResponseProperties"]["properties"]["user"]["type"] = ["string", "null"]
    response = schemas["Response"]["allOf"][-1]["properties"]
    response["usage"] = {"anyOf": [response["usage"], {"type": "null"}]}
    for name in ("CreateChatCompletionResponse", "CreateChatCompletionStreamResponse"):
        fields = schemas[name]["properties"]
        fields["system_fingerprint"]["type"] = ["string", "null"]
        choice = fields["choices"]["items"]
        choice["required"] = [field for field in choice["required"] if field != "logprobs"]
        choice["properties"]["finish_reason"].setdefault("enum", []).append(None)
        choice["properties"]["finish_reason"]["type"] = ["string", "null"]
    return description


@cache
def _validator(schema: str) -> Draft202012Validator:
    return Draft202012Validator({**_description(), "$ref": f"#/components/schemas/{schema}"})


def problems_of(schema: str, value: object) -> list[str]:
    """Return the problems of a value by the vendor's description; empty where it has none."""
    return [f"{error.json_path}: {error.message[:300]}" for error in _validator(schema).iter_errors(value)]


def recorded_body(name: str) -> Any:
    recording = YAML(typ="safe").load(RECORDINGS / f"{name}.yaml")["interactions"][0]["response"]["body"]
    return json.loads(recording)


def paths_of(value: object, prefix: str = "") -> set[str]:
    """Every key of a JSON value by its path, lists passed through."""
    if isinstance(value, dict):
        below = [paths_of(item, f"{prefix}{key}.") for key, item in value.items()]
        return {f"{prefix}{key}" for key in value} | set().union(*below)
    if isinstance(value, list):
        return set().union(*[paths_of(item, prefix) for item in value])
    return set()

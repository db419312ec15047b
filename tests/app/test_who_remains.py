"""Clouds that remain for a request, by the needs of its values: the shipped matrix, compiled and selected by."""

import json
from datetime import date
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from clauseway.app.opening.configuration import read_configuration
from clauseway.app.opening.library import open_agreement
from clauseway.app.running.planning import compile_plan
from clauseway.gateway.wire.bodies.requests import decode_chat, decode_responses
from clauseway.pricing import PriceTable, parse_book
from clauseway.values import KnownAt, start_of_day_ns
from selection_rig import CHAT, HASH_KEY, RESPONSES, Bench, key

KNOWN_AT = KnownAt.recorded_on(date(2026, 11, 20), sequence=0)
PRODUCTS = ("gpt-5.5", "gpt-5.4", "gpt-oss-120b")
AZURE, BEDROCK = "https://contoso.openai.azure.com/openai", "https://bedrock-{}.us-east-2.{}/openai/v1"
GOOGLE = "https://aiplatform.googleapis.com/v1/projects/p/locations/global"
# name, cloud, dialect, address, api_version
DEPLOYMENTS = [
    ("openai", "openai-own", "openai", "https://api.openai.com/v1", ""),
    ("azure", "azure", "azure", f"{AZURE}/v1", ""),
    ("azure-2024-06-01", "azure", "azure", AZURE, "2024-06-01"),
    ("azure-2024-10-21", "azure", "azure", AZURE, "2024-10-21"),
    ("azure-2025-01-01-preview", "azure", "azure", AZURE, "2025-01-01-preview"),
    ("azure-2025-04-01-preview", "azure", "azure", AZURE, "2025-04-01-preview"),
    ("mantle", "aws", "bedrock", BEDROCK.format("mantle", "api.aws"), ""),
    ("runtime", "aws", "bedrock", BEDROCK.format("runtime", "amazonaws.com"), ""),
    ("vertex", "google-cloud", "vertex", f"{GOOGLE}/publishers/openai/v1", ""),
    ("vertex-chat", "google-cloud", "vertex", f"{GOOGLE}/endpoints/openapi", ""),
    ("oci", "oci", "oci", "https://inference.generativeai.us-chicago-1.oci.oraclecloud.com/openai/v1", ""),
]


@cache
def bench() -> Bench:
    """Every product on every surface, so that only the matrix decides."""
    models = "{" + ", ".join(f'"{product}" = "{product}"' for product in PRODUCTS) + "}"
    text = "".join(
        f'[[deployment]]\nname = "{name}"\ncloud = "{cloud}"\ndialect = "{dialect}"\nurl = "{url}"\nseller = "openai"\n'
        f'region = "global"\nauth = {{kind = "bearer", secret_env = "HOME"}}\nmodels = {models}\n'
        + (f'settings = {{api_version = "{version}"}}\n' if version else "")
        for name, cloud, dialect, url, version in DEPLOYMENTS
    )
    book = "product,cloud,seller,region,unit,begin,end,known_at,usd_per_million,source\n" + "".join(
        f"{product},,,,{unit},2024-01-01,,2024-01-01,1.00,test\n"
        for product in PRODUCTS
        for unit in ("input_tokens", "output_tokens")
    )
    with TemporaryDirectory() as folder:
        path = Path(folder) / "clauseway.toml"
        path.write_text(text)
        opened = open_agreement()
        configuration = read_configuration(path, opened.catalog, secrets=False)
        prices = PriceTable(parse_book(book, "book"), KNOWN_AT)
        return Bench(
            compile_plan(opened, configuration, [key()], HASH_KEY, known_at=KNOWN_AT, prices=prices, where=path)
        )


def remaining(members: dict[str, Any], model: str, day: str) -> list[str]:
    """A request for Responses where it has an input, for chat otherwise."""
    event_ns = start_of_day_ns(date.fromisoformat(day))
    if "input" in members:
        body = json.dumps({"model": model, **members}).encode()
        asked: Any = decode_responses(body, b"")
        operation = RESPONSES
    else:
        messages = [{"role": "user", "content": "hello"}]
        body = json.dumps({"model": model, "messages": messages, **members}).encode()
        asked, operation = decode_chat(body, b""), CHAT
    choice = bench().choice(event_ns, model)
    selected = choice.select(operation, asked, needs=asked.needs(body), body_bytes=len(body))
    names = {candidate.target.name for candidate in selected.candidates}
    return [name for name, *_ in DEPLOYMENTS if name in names]


def part(**content: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [{"type": "text", "text": "see"}, content]}]}


def tool(kind: str, **more: Any) -> dict[str, Any]:
    return {"input": "hello", "tools": [{"type": kind, **more}]}


def without(names: list[str], *left_out: str) -> list[str]:
    assert set(left_out) <= set(names)
    return [name for name in names if name not in left_out]


# Deployments that have chat, and those that have Responses at all.
CHATS = without([name for name, *_ in DEPLOYMENTS], "vertex")
RESPONDS = ["openai", "azure", "azure-2025-04-01-preview", "mantle", "runtime", "vertex", "oci"]
DATED = [name for name, *_ in DEPLOYMENTS if name.startswith("azure-")]
OLD, GOOD, PREVIEW, LATE = DATED
SCHEMA = {"response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": {}}}}
STRICT = {"response_format": {"type": "json_schema", "json_schema": {"name": "s", "strict": True, "schema": {}}}}
CALL = {"tools": [{"type": "function", "function": {"name": "f"}}]}
SOUND = part(type="input_audio", input_audio={"data": "AA==", "format": "wav"})
PAPER = part(type="file", file={"file_data": "data:application/pdf;base64,AA=="})
PICTURE = part(type="image_url", image_url={"url": "https://a.test/b.png"})
HELLO = {"input": "hello"}
FIVE, FOUR, OSS = "gpt-5.5", "gpt-5.4", "gpt-oss-120b"
TODAY = "2026-11-20"

# what the request says, model, day → who remains
TABLE: list[tuple[dict[str, Any], str, str, list[str]]] = [
    ({}, FIVE, TODAY, CHATS),
    (HELLO, FIVE, TODAY, RESPONDS),
    # Structured output came to Azure's dated versions with 2024-08-01-preview and 2024-10-21.
    (CALL, FIVE, TODAY, CHATS),
    ({"response_format": {"type": "json_object"}}, FIVE, TODAY, CHATS),
    (SCHEMA, FIVE, TODAY, without(CHATS, OLD)),
    (STRICT, FIVE, TODAY, without(CHATS, OLD)),
    ({**CALL, "parallel_tool_calls": True}, FIVE, TODAY, without(CHATS, OLD)),
    ({"store": True}, FIVE, TODAY, without(CHATS, OLD, GOOD)),
    ({"prediction": {"type": "content", "content": "x"}}, FIVE, TODAY, without(CHATS, OLD, GOOD)),
    ({"prediction": {"type": "content", "content": "x"}}, FOUR, TODAY, without(CHATS, "azure", *DATED)),
    ({"logprobs": True}, FIVE, TODAY, CHATS),
    ({"logprobs": True}, FOUR, TODAY, without(CHATS, "azure", *DATED)),
    ({"n": 2}, FIVE, TODAY, CHATS),
    ({"prompt_cache_key": "tenant-7"}, FIVE, TODAY, without(CHATS, OLD, GOOD, PREVIEW)),
    ({"prompt_cache_retention": "24h"}, FIVE, TODAY, without(CHATS, OLD, GOOD, PREVIEW)),
    # Tiers of service: Azure has flex for gpt-5.6-sol only, Bedrock has none for OpenAI's closed models.
    ({"service_tier": "flex"}, FIVE, TODAY, without(CHATS, "azure", *DATED, "mantle")),
    ({"service_tier": "priority"}, FIVE, TODAY, without(CHATS, OLD, GOOD, PREVIEW, "mantle")),
    ({"service_tier": "flex"}, OSS, TODAY, without(CHATS, "azure", *DATED)),
    # Parts that are not text.
    (PICTURE, FIVE, TODAY, CHATS),
    (PICTURE, OSS, TODAY, without(CHATS, "mantle", "runtime", "vertex-chat", "oci")),
    (SOUND, FIVE, TODAY, ["vertex-chat"]),  # of which nothing is known for this model
    (SOUND, OSS, TODAY, ["openai", "azure", PREVIEW, LATE]),
    (PAPER, FIVE, TODAY, without(CHATS, OLD, GOOD, PREVIEW)),
    ({"modalities": ["text", "audio"]}, OSS, TODAY, ["openai", "azure", PREVIEW, LATE]),
    # Responses: hosted tools, and what the caller runs itself.
    ({**HELLO, "background": True}, FIVE, TODAY, without(RESPONDS, LATE, "runtime")),
    ({**HELLO, "reasoning": {"summary": "auto"}}, FIVE, TODAY, without(RESPONDS, "mantle", "runtime")),
    ({**HELLO, "conversation": "conv_1"}, FIVE, TODAY, RESPONDS),
    ({**HELLO, "prompt": {"id": "p"}}, FIVE, "2026-11-29", RESPONDS),
    ({**HELLO, "prompt": {"id": "p"}}, FIVE, "2026-11-30", without(RESPONDS, "openai")),
    (tool("web_search"), FIVE, "2026-09-30", without(RESPONDS, "mantle", "runtime", "oci")),
    (tool("web_search"), FIVE, "2026-10-01", without(RESPONDS, "runtime", "oci")),
    (tool("computer_use_preview"), FIVE, "2026-09-30", without(RESPONDS, "mantle", "runtime", "oci")),
    (tool("computer_use_preview"), FIVE, "2026-10-01", without(RESPONDS, "oci")),
    (tool("file_search"), FIVE, TODAY, without(RESPONDS, "mantle", "runtime")),
    (tool("code_interpreter"), FIVE, TODAY, without(RESPONDS, "mantle", "runtime")),
    (tool("image_generation"), FIVE, TODAY, without(RESPONDS, LATE, "mantle", "runtime", "oci")),
    (tool("mcp", server_url="https://a.test"), FIVE, TODAY, without(RESPONDS, LATE, "mantle", "runtime")),
    (tool("shell"), FIVE, TODAY, without(RESPONDS, "mantle", "runtime", "oci")),
    (tool("custom", name="c"), FIVE, TODAY, RESPONDS),
    (tool("tool_search"), FIVE, TODAY, without(RESPONDS, LATE, "mantle", "runtime", "oci")),
    (tool("tool_search", execution="client"), FIVE, TODAY, without(RESPONDS, "oci")),
]


@pytest.mark.parametrize(("members", "model", "day", "remain"), TABLE)
def test_who_remains(members: dict[str, Any], model: str, day: str, remain: list[str]) -> None:
    assert remaining(members, model, day) == remain


def test_who_is_passed_over_is_told_by_which_version_and_source() -> None:
    body = json.dumps({"model": FIVE, "messages": [{"role": "user", "content": "hello"}], **SCHEMA}).encode()
    asked = decode_chat(body, b"")
    event_ns = start_of_day_ns(date.fromisoformat(TODAY))
    selection = bench().choice(event_ns, FIVE).select(CHAT, asked, needs=asked.needs(body), body_bytes=len(body))
    (reason,) = [passed.reason for passed in selection.skipped if passed.deployment == OLD]
    assert reason.startswith("lacks json-schema (there from 2024-08-01-preview or 2024-10-21 on; learn.microsoft.com/")

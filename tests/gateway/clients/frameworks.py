"""LangChain, pydantic-ai, the Agents SDK with a session, and `llm`, unmodified: each check prints its name and its
failure. Arguments: the gateway's address, a key, the models as JSON."""

import asyncio
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from agents import Agent, OpenAIProvider, RunConfig, Runner, SQLiteSession, function_tool, set_tracing_disabled
from langchain_core.tools import tool
from langchain_openai import AzureChatOpenAI, ChatOpenAI, OpenAIEmbeddings
from openai import AsyncOpenAI
from pydantic import BaseModel
from pydantic_ai import Agent as TypedAgent
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider as TypedProvider

URL, KEY, MODELS = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
CHAT, EMBEDDING = MODELS["chat"], MODELS["embedding"]
ASKED = "Which cloud is this?"


class Place(BaseModel):
    city: str


@tool
def weather(city: str) -> str:
    """The weather of a city."""
    return f"Fog in {city}."


def langchain_chat() -> None:
    model = ChatOpenAI(model=CHAT, base_url=f"{URL}/v1", api_key=KEY, max_retries=0)
    answer = model.invoke(ASKED)
    assert answer.content
    assert answer.usage_metadata["output_tokens"] > 0
    assert "".join(str(chunk.content) for chunk in model.stream(ASKED)) == answer.content
    assert model.bind_tools([weather]).invoke(ASKED).tool_calls[0]["name"] == "weather"
    assert isinstance(model.with_structured_output(Place).invoke(ASKED), Place)
    assert ChatOpenAI(model=CHAT, base_url=f"{URL}/v1", api_key=KEY, use_responses_api=True).invoke(ASKED).content


def langchain_azure() -> None:
    model = AzureChatOpenAI(
        azure_deployment=CHAT, azure_endpoint=URL, api_key=KEY, api_version="2024-10-21", max_retries=0
    )
    assert model.invoke(ASKED).content
    assert list(model.stream(ASKED))


def langchain_embeddings() -> None:
    model = OpenAIEmbeddings(
        model=EMBEDDING, base_url=f"{URL}/v1", api_key=KEY, check_embedding_ctx_length=False, max_retries=0
    )
    assert len(model.embed_documents(["a", "b"])) == 2


def pydantic_ai() -> None:
    provider = TypedProvider(base_url=f"{URL}/v1", api_key=KEY)
    for kind in (OpenAIChatModel, OpenAIResponsesModel):
        assert TypedAgent(kind(CHAT, provider=provider)).run_sync(ASKED).output
    agent = TypedAgent(OpenAIChatModel(CHAT, provider=provider), output_type=Place)
    assert isinstance(agent.run_sync(ASKED).output, Place)


@function_tool
def clouds(name: str) -> str:
    """Tell of a cloud."""
    return f"{name} is there."


def agents_sdk_with_a_session() -> None:
    set_tracing_disabled(True)
    client = AsyncOpenAI(base_url=f"{URL}/v1", api_key=KEY, max_retries=0)
    config = RunConfig(model_provider=OpenAIProvider(openai_client=client, use_responses=True))
    agent, session = Agent(name="a", model=CHAT, tools=[clouds]), SQLiteSession("s")

    async def talk() -> None:
        for turn in (ASKED, "And now?"):
            assert (await Runner.run(agent, turn, session=session, run_config=config)).final_output
        streamed = Runner.run_streamed(agent, "Once more.", session=session, run_config=config)
        assert [event async for event in streamed.stream_events()]
        assert len(await session.get_items()) >= 6

    asyncio.run(talk())


def llm_command() -> None:
    home = Path.cwd()
    listed = [{"model_id": "ours", "model_name": CHAT, "api_base": f"{URL}/v1", "api_key_name": "ours"}]
    (home / "extra-openai-models.yaml").write_text(json.dumps(listed))  # JSON is YAML
    (home / "keys.json").write_text(json.dumps({"ours": KEY}))
    environment = {**os.environ, "LLM_USER_PATH": str(home)}
    command = [sys.executable, "-m", "llm", "-m", "ours", ASKED]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


CHECKS: dict[str, Callable[[], None]] = {
    "LangChain's chat": langchain_chat,
    "LangChain's Azure class": langchain_azure,
    "LangChain's embeddings": langchain_embeddings,
    "pydantic-ai": pydantic_ai,
    "the Agents SDK with a session": agents_sdk_with_a_session,
    "llm": llm_command,
}

for name, check in CHECKS.items():
    try:
        check()
        print(json.dumps({"name": name, "wrong": ""}), flush=True)
    except Exception:
        print(json.dumps({"name": name, "wrong": traceback.format_exc()[-1500:]}), flush=True)

"""LangChain, pydantic-ai and the Agents SDK, unmodified, told what to ask. Arguments: the gateway's address, and by
their names the keys of those who are to ask, as JSON. A line of input is a list of models; each client answers with a
line of JSON for each of them: who it is, and what came of a whole answer and of a streamed one, the text or the name of
the client's own error."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable

from agents import Agent as SdkAgent
from agents import OpenAIProvider as SdkProvider
from agents import RunConfig, Runner, set_tracing_disabled
from langchain_openai import ChatOpenAI
from openai import AsyncOpenAI
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

URL, KEYS = sys.argv[1], json.loads(sys.argv[2])
ASKED = "Which cloud is this?"
AT_ONCE = 4  # models that each client asks
Asking = Callable[[], Awaitable[str]]

set_tracing_disabled(True)


def langchain(key: str) -> Callable[[str], tuple[Asking, Asking]]:
    def asking(model: str) -> tuple[Asking, Asking]:
        its = ChatOpenAI(model=model, base_url=f"{URL}/v1", api_key=key)

        async def whole() -> str:
            return str((await its.ainvoke(ASKED)).content)

        async def streamed() -> str:
            return "".join([str(chunk.content) async for chunk in its.astream(ASKED)])

        return whole, streamed

    return asking


def pydantic_ai(key: str) -> Callable[[str], tuple[Asking, Asking]]:
    provider = OpenAIProvider(base_url=f"{URL}/v1", api_key=key)

    def asking(model: str) -> tuple[Asking, Asking]:
        agent = Agent(OpenAIChatModel(model, provider=provider))

        async def whole() -> str:
            return str((await agent.run(ASKED)).output)

        async def streamed() -> str:
            async with agent.run_stream(ASKED) as run:
                return str(await run.get_output())

        return whole, streamed

    return asking


def agents_sdk(key: str) -> Callable[[str], tuple[Asking, Asking]]:
    """Over responses; the others ask for chat completions."""
    provider = SdkProvider(openai_client=AsyncOpenAI(base_url=f"{URL}/v1", api_key=key), use_responses=True)
    config = RunConfig(model_provider=provider)

    def asking(model: str) -> tuple[Asking, Asking]:
        agent = SdkAgent(name="a", model=model)

        async def whole() -> str:
            return str((await Runner.run(agent, ASKED, run_config=config)).final_output)

        async def streamed() -> str:
            run = Runner.run_streamed(agent, ASKED, run_config=config)
            async for _ in run.stream_events():
                pass
            return str(run.final_output)

        return whole, streamed

    return asking


async def outcome(ask: Asking) -> dict[str, str]:
    try:
        return {"text": await ask()}
    except Exception as error:
        return {"error": type(error).__name__, "said": str(error)[:500]}


CLIENTS = {"LangChain": langchain, "pydantic-ai": pydantic_ai, "the Agents SDK": agents_sdk}


async def main() -> None:
    clients = {name: (CLIENTS[name](key), asyncio.Semaphore(AT_ONCE)) for name, key in KEYS.items()}

    async def ask(name: str, model: str) -> None:
        asking, turn = clients[name]
        async with turn:
            whole, streamed = asking(model)
            answers = {"whole": await outcome(whole), "streamed": await outcome(streamed)}
        print(json.dumps({"name": name, "model": model, **answers}), flush=True)

    while line := await asyncio.to_thread(sys.stdin.readline):
        await asyncio.gather(*(ask(name, model) for name in clients for model in json.loads(line)))


asyncio.run(main())

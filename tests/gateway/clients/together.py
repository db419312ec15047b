"""LangChain and pydantic-ai, unmodified, told round by round what to ask. Arguments: the gateway's address, a key for
each. A round is a line with the name of a model; each answers with a line of JSON: who it is, and what came of a whole
answer and of a streamed one, the text or the name of the client's own error."""

import asyncio
import json
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from langchain_openai import ChatOpenAI
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

URL, LANGCHAIN_KEY, PYDANTIC_KEY = sys.argv[1:]
ASKED = "Which cloud is this?"
PROVIDER = OpenAIProvider(base_url=f"{URL}/v1", api_key=PYDANTIC_KEY)


def langchain(model: str) -> tuple[Callable[[], str], Callable[[], str]]:
    its = ChatOpenAI(model=model, base_url=f"{URL}/v1", api_key=LANGCHAIN_KEY)
    return (
        lambda: str(its.invoke(ASKED).content),
        lambda: "".join(str(chunk.content) for chunk in its.stream(ASKED)),
    )


def pydantic_ai(model: str) -> tuple[Callable[[], str], Callable[[], str]]:
    agent = Agent(OpenAIChatModel(model, provider=PROVIDER))

    async def whole() -> str:
        return str((await agent.run(ASKED)).output)

    async def streamed() -> str:
        async with agent.run_stream(ASKED) as run:
            return str(await run.get_output())

    return lambda: asyncio.run(whole()), lambda: asyncio.run(streamed())


def outcome(ask: Callable[[], str]) -> dict[str, str]:
    try:
        return {"text": ask()}
    except Exception as error:
        return {"error": type(error).__name__, "said": str(error)[:500]}


CLIENTS = {"LangChain": langchain, "pydantic-ai": pydantic_ai}
with ThreadPoolExecutor(len(CLIENTS)) as pool:

    def asked(name: str, model: str) -> dict[str, object]:
        whole, streamed = CLIENTS[name](model)
        return {"name": name, "whole": outcome(whole), "streamed": outcome(streamed)}

    for line in sys.stdin:
        asking = [pool.submit(asked, name, line.strip()) for name in CLIENTS]
        for answer in asking:
            print(json.dumps(answer.result()), flush=True)

"""Other people's clients that ask for several models at once, each a whole answer and a streamed one."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import openai
from gateway_rig import PATIENCE_S

from client_packages import CLIENTS, NODE, PYTHON, node_and_npm, node_packages, python_packages

ASKED: list[Any] = [{"role": "user", "content": "Which cloud is this?"}]
AT_ONCE = 4  # models that a client asks
OPENAI_PYTHON, AI_SDK = "openai-python", "the AI SDK"
# Client → model → `whole` and `streamed`: the `text`, or the name of the client's own `error` and what it `said`.
Outcomes = dict[str, dict[str, dict[str, Any]]]
Ask = Callable[[Sequence[str]], Outcomes]


def outcome(ask: Callable[[], str]) -> dict[str, str]:
    try:
        return {"text": ask()}
    except Exception as error:
        return {"error": type(error).__name__, "said": str(error)[:500]}


@contextmanager
def openai_python(url: str, secret: str) -> Iterator[Ask]:
    """OpenAI's client, in this process."""
    with (
        openai.OpenAI(base_url=f"{url}/v1", api_key=secret, timeout=PATIENCE_S) as its,
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):

        def answers(model: str) -> dict[str, Any]:
            asked: dict[str, Any] = {"model": model, "messages": ASKED}

            def streamed() -> str:
                chunks = its.chat.completions.create(**asked, stream=True)
                return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)

            whole = outcome(lambda: its.chat.completions.create(**asked).choices[0].message.content or "")
            return {"whole": whole, "streamed": outcome(streamed)}

        yield lambda models: {OPENAI_PYTHON: dict(zip(models, pool.map(answers, models), strict=True))}


@contextmanager
def asked_by_lines(command: list[str], where: Path, names: Sequence[str], environment: dict[str, str]) -> Iterator[Ask]:
    """A process of clients that is told by a line which models to ask, and answers with a line for each of both."""
    with subprocess.Popen(
        command, cwd=where, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment}
    ) as process:

        def ask(models: Sequence[str]) -> Outcomes:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(list(models)) + "\n")
            process.stdin.flush()
            outcomes: Outcomes = {name: {} for name in names}
            for _ in range(len(models) * len(names)):
                answer = json.loads(process.stdout.readline())
                outcomes[answer.pop("name")][answer.pop("model")] = answer
            return outcomes

        try:
            yield ask
        finally:
            process.kill()


@contextmanager
def clients_at_once(url: str, where: Path, secrets: dict[str, str], ai_sdk_retries: int = 2) -> Iterator[list[Ask]]:
    """Those of the clients that have a secret: OpenAI's, Python's frameworks in one process, and the AI SDK, which
    waits seconds before it asks again, whatever the error is."""
    libraries, packages = python_packages("frameworks"), node_packages(NODE / "ai")
    (where / "node_modules").symlink_to(packages / "node_modules")
    shutil.copy(NODE / "ai" / "together.mjs", where)
    frameworks = {name: secret for name, secret in secrets.items() if name not in (OPENAI_PYTHON, AI_SDK)}
    in_python = [PYTHON, str(CLIENTS / "together.py"), url, json.dumps(frameworks)]
    in_node = [node_and_npm()[0], str(where / "together.mjs"), url, secrets[AI_SDK], str(ai_sdk_retries)]
    quiet = {"LANGSMITH_TRACING": "false", "PYTHONPATH": str(libraries), "PYTHONNOUSERSITE": "1"}
    with ExitStack() as stack:
        yield [
            stack.enter_context(openai_python(url, secrets[OPENAI_PYTHON])),
            stack.enter_context(asked_by_lines(in_python, where, list(frameworks), quiet)),
            stack.enter_context(asked_by_lines(in_node, where, [AI_SDK], {})),
        ]

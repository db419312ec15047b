"""A process that `serve` and the sandbox keep running is ended from outside: which, by what, and what to do."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

CLAUSEWAY = Path(sys.executable).parent / "clauseway"
CONFIGURATION = """
[[deployment]]
name = "direct"
dialect = "openai"
url = "http://127.0.0.1:9/v1"
cloud = "azure"
seller = "openai"
region = "global"
auth = {kind = "bearer", secret = "sk-none"}
models = {"gpt-5.5" = "gpt-5.5"}
"""
# the command · the last line that it prints when it is ready · the processes that it keeps running
KEPT = [
    (("gateway", "sandbox", "--openai-port", "0"), "Ctrl-C stops them", ["the sandbox clouds"]),
    (("serve", "--port", "0", "--pages-port", "0", "--config", "clouds.toml"), "curl", ["the gateway", "the pages"]),
]


@pytest.mark.parametrize(("words", "ready", "names"), KEPT, ids=["sandbox", "serve"])
def test_a_process_ended_by_a_signal_is_named(
    words: tuple[str, ...], ready: str, names: list[str], tmp_path: Path
) -> None:
    (tmp_path / "clouds.toml").write_text(CONFIGURATION)
    with subprocess.Popen(
        [CLAUSEWAY, *words, "--home", str(tmp_path / "home")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    ) as command:
        assert command.stdout is not None
        assert command.stderr is not None
        try:
            assert any(ready in line for line in command.stdout), command.stderr.read()
            for child in Path(f"/proc/{command.pid}/task/{command.pid}/children").read_text().split():
                os.kill(int(child), signal.SIGKILL)
            said = command.stderr.read()
            assert command.wait() == 1
        finally:
            command.kill()
    assert "failure of ours" not in said
    assert any(f"the process of {name} was ended by signal 9 (SIGKILL)" in said for name in names), said
    assert "Start the command again." in said

"""Portkey's open gateway on Node, from npm, as its documentation starts it: no database, no cache.

Its HTTP server is pinned to the release with which its streams work; with a later one a streaming answer is a 500.
"""

import json
import shutil
import subprocess
from pathlib import Path

from bench.peers.running import Running, held_port, launch

_PACKAGES = {
    "private": True,
    "dependencies": {"@portkey-ai/gateway": "1.15.2"},
    "overrides": {"@hono/node-server": "1.13.8"},
}


def start(cache: Path, home: Path, cloud: int) -> Running | None:
    """The gateway, told by headers that the cloud is OpenAI at another address."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        return None
    folder = cache / "portkey"
    program = folder / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
    if not program.exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text(json.dumps(_PACKAGES))
        command = [npm, "install", "--no-audit", "--no-fund"]
        if subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode != 0:
            return None
    port = held_port()
    headers = ("x-portkey-provider: openai", f"x-portkey-custom-host: http://127.0.0.1:{cloud}/v1")
    environment = {"NODE_ENV": "production", "TRUSTED_CUSTOM_HOSTS": "127.0.0.1,localhost"}
    arguments: list[str | Path] = [node, program, "--headless", f"--port={port}"]
    return launch(arguments, port, home, headers=headers, environment=environment)

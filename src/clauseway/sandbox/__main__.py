"""`python -m clauseway.sandbox`: the simulated clouds as a process.

Prints one JSON line when it serves, and nothing else: `{"ready": true, "ports": {"openai": …,
"azure": …, "bedrock": …, "bedrock_runtime": …, "vertex": …, "oracle": …, "anthropic": …}}`; or,
started by another process (`--parent-pipe`), why it refuses to start. Ends with 0 on SIGTERM,
SIGINT or when the parent's pipe closes, after answering open requests.
"""

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import uvloop

from clauseway.sandbox.clouds import FAKE_CLOUDS
from clauseway.sandbox.faults import Fault, StartFault
from clauseway.sandbox.server import USUAL_PORTS, Tls, serve, stop_when_parent_ends
from clauseway.values import InvalidInput


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until a signal or the parent's end. Return 3 for invalid arguments."""
    options = _parser().parse_args(arguments)
    try:
        faults = [_fault(text) for text in options.fault]
        ports = {name: getattr(options, f"{name}_port") for name in USUAL_PORTS}
        uvloop.run(_run(options.host, ports, faults, options.parent_pipe, _tls(options)))
    except InvalidInput as error:
        if options.parent_pipe is not None:
            print(
                msgspec.json.encode({"ready": False, "problems": error.problems}).decode(),
                flush=True,
            )
        print(error, file=sys.stderr)
        return 3
    return 0


async def _run(
    host: str,
    ports: Mapping[str, int | None],
    faults: list[tuple[str, Fault]],
    parent_pipe: int | None,
    tls: Tls | None,
) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    if parent_pipe is not None:
        stop_when_parent_ends(parent_pipe, stop)
    await serve(host, ports, faults, _print_ready, stop, tls)


def _print_ready(ports: Mapping[str, int]) -> None:
    print(json.dumps({"ready": True, "ports": dict(ports)}), flush=True)


def _tls(options: argparse.Namespace) -> Tls | None:
    files = (options.tls_certificate, options.tls_key)
    if files == (None, None):
        return None
    missing = [str(file) for file in files if file is None or not file.is_file()]
    if missing:
        raise InvalidInput.of(
            what="https needs a certificate and its key",
            why=f"not a file: {', '.join(missing)}",
            where="--tls-certificate, --tls-key",
            remedy="Give both as PEM files.",
        )
    return Tls(*files)


def _fault(text: str) -> tuple[str, Fault]:
    try:
        rule = msgspec.json.decode(text, type=StartFault)
        if rule.cloud not in FAKE_CLOUDS:
            raise msgspec.ValidationError(f"no cloud is called {rule.cloud!r}")
    except msgspec.DecodeError as error:
        raise InvalidInput.of(
            what=f"{text!r} is not a fault",
            why=str(error),
            where="--fault",
            remedy='Write it as {"cloud": "azure", "kind": "status", "status": 503, "count": 2}.',
        ) from None
    return rule.cloud, rule


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m clauseway.sandbox", description="Simulated clouds."
    )
    parser.add_argument("--host", default="127.0.0.1")
    for name, port in USUAL_PORTS.items():
        parser.add_argument(
            f"--{name.replace('_', '-')}-port",
            type=int,
            help=f"0: any free port; by default {port}, or the next free port above it",
        )
    parser.add_argument(
        "--fault", action="append", default=[], metavar="JSON", help="see clauseway.sandbox.faults"
    )
    parser.add_argument(
        "--tls-certificate", type=Path, metavar="FILE", help="speak https, with this PEM file"
    )
    parser.add_argument("--tls-key", type=Path, metavar="FILE", help="its key, a PEM file")
    parser.add_argument(
        "--parent-pipe", type=int, metavar="FD", help="stop when this pipe's other end closes"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())

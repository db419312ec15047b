"""`python -m clauseway.gateway`: the gateway as a process. Prints one JSON line when it is ready,
then nothing.

Started by another process (`--parent-pipe`), it says in that line too why it refuses to start, and
that it finds no room on its disk.
"""

import argparse
import sys
from pathlib import Path

import msgspec
import uvloop

from clauseway.files.core_dumps import forbid_core_dumps
from clauseway.gateway.process.server import ProcessOptions, Server
from clauseway.gateway.request.shared import Worker
from clauseway.gateway.transport.listener import USUAL_PORT
from clauseway.spool import NO_ROOM, SCARCE
from clauseway.values import InvalidInput

# How long the event loop waits for a thread that runs Python, as the log's and telemetry's do.
_SWITCH_S = 0.0005


def parse_options(arguments: list[str]) -> ProcessOptions:
    parser = argparse.ArgumentParser(
        prog="python -m clauseway.gateway", description="Serve requests by a compiled plan."
    )
    parser.add_argument(
        "--plan", type=Path, required=True, help="the compiled plan; re-read when it is replaced"
    )
    parser.add_argument("--spool", type=Path, required=True, help="directory of the usage journal")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument(
        "--port",
        type=int,
        help=f"0: any free one; by default {USUAL_PORT}, or the next free one above it",
    )
    parser.add_argument(
        "--simulated-clock", type=Path, help="file with the business time, for replays"
    )
    parser.add_argument("--control", type=Path, help="unix socket for GET /counts")
    parser.add_argument(
        "--damages",
        type=Path,
        help="file that counts what is damaged or lost beside the gateway",
    )
    parser.add_argument(
        "--revocations",
        type=Path,
        help="file of the digests of ended secrets; SIGUSR1 has it read, and its time says when "
        "the home last reached its database",
    )
    parser.add_argument(
        "--refused",
        type=Path,
        help="file that keeps requests that no cloud answered, up to some megabytes",
    )
    parser.add_argument(
        "--issued",  # after an upgrade, a parent of the former version starts this one
        dest="resource_index",
        type=Path,
        help="file of the resource index that workers share; by default one beside the journal",
    )
    parser.add_argument(
        "--listener", type=int, help="file descriptor of a socket that listens, instead of --port"
    )
    parser.add_argument(
        "--metrics-listener", type=int, help="the same for figures, instead of the plan's address"
    )
    parser.add_argument(
        "--parent-pipe", type=int, help="file descriptor; the process drains when it reads its end"
    )
    parser.add_argument(
        "--worker",
        type=int,
        nargs=2,
        default=(0, 1),
        metavar=("NUMBER", "COUNT"),
        help="which one it is, from 0, of how many that serve together",
    )
    parser.add_argument(
        "--shares-limits",
        action="store_true",
        help="lease shares of limits by the minute, and share the resource index: gateways "
        "elsewhere keep the same limits and know the same objects",
    )
    options = vars(parser.parse_args(arguments))
    return ProcessOptions(**options | {"worker": Worker(*options["worker"])})


def main(arguments: list[str]) -> int:
    """Exit codes: 0 after a drain, 3 for a bad plan or an address that cannot be had, 1 where the
    journal cannot be opened."""
    forbid_core_dumps()  # also where nobody started it but a shell
    sys.setswitchinterval(_SWITCH_S)
    options = parse_options(arguments)
    try:
        uvloop.run(_run(options))
    except InvalidInput as error:
        if options.parent_pipe is not None:
            print(
                msgspec.json.encode({"ready": False, "problems": error.problems}).decode(),
                flush=True,
            )
        print(error, file=sys.stderr)
        return 3
    except OSError as error:
        if options.parent_pipe is not None and error.errno in NO_ROOM | SCARCE:
            lacking = {"ready": False, "errno": error.errno, "path": str(error.filename or "")}
            print(msgspec.json.encode(lacking).decode(), flush=True)
        print(f"The gateway cannot run: {error}", file=sys.stderr)
        return 1
    return 0


async def _run(options: ProcessOptions) -> None:
    await Server(options).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

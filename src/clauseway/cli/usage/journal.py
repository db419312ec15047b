"""`clauseway journal`: copies of usage journals on another machine."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from clauseway.app.opening.home import home_at
from clauseway.app.running.following import following
from clauseway.app.usage.recovering import CopyFound, copies_in, recover
from clauseway.cli import options
from clauseway.cli.answers import answer
from clauseway.cli.console import console
from clauseway.cli.signals import stop_on_signals
from clauseway.values import counted

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True)
_Folder = Annotated[
    Path | None,
    typer.Option(
        "--dir", metavar="FOLDER", help="Where the copies lie; by default copies in the home."
    ),
]


@app.callback()
def _journal() -> None:
    """Copies of gateways' usage journals, for the day on which a disk is gone.

    With copies = 1 under [journal] of its configuration a gateway sends each commit to a follower,
    and its answers end when the follower has it on its disk.
    """


@app.command()
def follow(
    listen: Annotated[
        str, typer.Option("--listen", metavar="ADDRESS", help="HOST:PORT where gateways find it.")
    ],
    secret_file: Annotated[
        Path,
        typer.Option(
            "--secret-file",
            metavar="FILE",
            help="The secret that gateways know too, of 32 characters or more.",
        ),
    ],
    folder: _Folder = None,
    home: options.HomeMade = None,
    as_json: options.AsJson = False,
) -> int:
    """Keep copies of gateways' journals on this machine's disk, until Ctrl-C.

    One follower takes the journals of any number of gateways; each has a folder of its own. Usage
    that was sealed goes from the copy too. Who does not know the secret is refused, and every
    message is checked by it; nothing is enciphered: where others read the network, go through a
    tunnel.

    \b
    A secret, once, for both sides:
      openssl rand -hex 32 > follower.secret
    On the machine of the copies:
      clauseway journal follow --listen 10.0.0.7:8410 --secret-file follower.secret
    In the gateway's configuration:
      [journal]
      copies = 1
      follower = "10.0.0.7:8410"
      secret_file = "follower.secret"
    """
    until = stop_on_signals()
    where = folder or home_at(home).make().copies

    def report(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    with following(where, listen, secret_file, report) as address:
        listening = {"listening": address, "folder": str(where)}
        said = f"Following journals at {address}; copies in {where} · Ctrl-C stops"
        answer(as_json, listening, lambda: console().print(said, soft_wrap=True))
        # A parent process may wait at a pipe for the address.
        sys.stdout.flush()
        until.wait()
    return 0


@app.command()
def copies(
    folder: _Folder = None, home: options.HomeIfNamed = None, as_json: options.AsJson = False
) -> int:
    """Show the copies that a follower keeps.

    \b
      clauseway journal copies --dir /var/lib/clauseway/copies
    """
    listed = copies_in(folder or home_at(home).copies)

    def show() -> None:
        for copy in listed:
            console().print(_line(copy), soft_wrap=True)
        if not listed:
            console().print("No journal was copied here.")

    answer(as_json, listed, show)
    return 0


@app.command("recover")
def recover_command(
    journal: Annotated[
        str,
        typer.Argument(help="The journal's name, or the beginning of it, as journal copies shows."),
    ],
    why: Annotated[str, typer.Option("--why", help="Why, in a sentence; it is kept.")],
    folder: _Folder = None,
    home: options.HomeMade = None,
    as_json: options.AsJson = False,
) -> int:
    """Take a follower's copy for the journal whose disk is gone, and seal what it holds.

    From then on no gateway continues that journal: one that comes back begins another. Nothing is
    counted twice, also where the lost disk turns up and is sealed as well. Where the gateway may
    have gone on alone, what came after the copy's end is recorded as a loss.

    \b
    On the machine of the copies, in a home with the same database and lake:
      clauseway journal recover 8732aa57 --why "the disk of gateway 2 is gone"
    """
    recovered = recover(home_at(home), folder or home_at(home).copies, journal, why)

    def show() -> None:
        console().print(
            f"Journal {recovered.spool} ({recovered.place}) was recovered: "
            f"{counted(recovered.frames, 'frame')}, {counted(recovered.usage, 'record')} sealed now; lost: "
            f"{counted(recovered.ended, 'attempt')} that ran then.",
            soft_wrap=True,
        )
        for problem in recovered.open:
            console().print(f"open: {problem}", soft_wrap=True)

    answer(as_json, recovered, show)
    return 0


def _line(copy: CopyFound) -> str:
    state = "its gateway is connected" if copy.is_connected else "closed in order"
    if not copy.is_connected and not copy.is_closed:
        state = "its gateway is not connected"
    if copy.recovered_by:
        state = f"recovered by {copy.recovered_by}"
    return f"{copy.spool}  {copy.place}: {counted(copy.frames, 'frame')}, {counted(copy.size, 'byte')}; {state}"

"""`clauseway gateway sandbox`: the simulated clouds alone."""

from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from clauseway.app.opening.home import home_at
from clauseway.app.running.machine_faults import end_of
from clauseway.app.running.simulation import (
    SIMULATED,
    sandbox_clouds,
    write_configuration,
    write_credentials,
)
from clauseway.cli import options
from clauseway.cli.answers import answer
from clauseway.cli.console import console
from clauseway.cli.signals import stop_on_signals


def _port_flag(name: str, title: str, usual: int) -> Any:
    flag = f"--{name.replace('_', '-')}-port"
    option = typer.Option(
        flag,
        parser=options.whole(flag, most=65_535),
        metavar="NUMBER",
        help=f"{title}'s port; by default {usual}, or the next free one above it.",
    )
    return Annotated[int | None, option]


# A flag for each simulated cloud.
_Ports = msgspec.defstruct(
    "_Ports", [(name, _port_flag(name, *about), None) for name, about in SIMULATED.items()]
)


@options.taking(_Ports, first=True)
def command(
    ports: msgspec.Struct,
    fault: Annotated[
        list[str] | None, typer.Option(help="A fault from the start, as JSON. Repeatable.")
    ] = None,
    configuration: Annotated[
        Path | None,
        typer.Option(
            "--config", help="Write here the configuration by which a gateway finds them."
        ),
    ] = None,
    credentials: Annotated[
        Path | None,
        typer.Option(
            help="Write here the credentials, as the files that the vendors' SDKs look for."
        ),
    ] = None,
    home: options.HomeMade = None,
    as_json: options.AsJson = False,
) -> int:
    """Run the simulated clouds until Ctrl-C: OpenAI, Azure OpenAI, AWS Bedrock (mantle and
    runtime), Google Vertex AI, Oracle OCI and Anthropic in their real wire formats.

    They check each cloud's real authentication; the credentials are fixed, printed, and open
    nothing else.

    \b
    All of them:
      clauseway gateway sandbox
    With Azure answering 503 three times first:
      clauseway gateway sandbox --fault '{"cloud": "azure", "kind": "status", "status": 503, "count": 3}'
    With a gateway in front of them, in another terminal:
      clauseway gateway sandbox --config clouds.toml
      clauseway serve --config clouds.toml
    For a vendor's own SDK:
      clauseway gateway sandbox --credentials FOLDER
      export GOOGLE_APPLICATION_CREDENTIALS=FOLDER/google-service-account.json
    """
    until = stop_on_signals()
    at = home_at(home)
    with sandbox_clouds(at, msgspec.structs.asdict(ports), fault or []) as clouds:
        if configuration is not None:
            write_configuration(clouds, configuration)
        if credentials is not None:
            write_credentials(clouds, credentials)

        def show() -> None:
            out = console()
            width = max(len(address.cloud) for address in clouds.addresses)
            for address in clouds.addresses:
                out.print(
                    f"{address.cloud:{width}}  {address.url}   {address.credential}", soft_wrap=True
                )
            for note in clouds.notes:
                out.print(note, style="yellow")
            out.print("Ctrl-C stops them.", style="dim")

        answer(as_json, clouds.addresses, show)
        # Waking up each second shows whether the child still runs.
        while not until.wait(1.0):
            if not clouds.running:
                raise end_of(clouds.child.name, clouds.child.exit_code, at.logs)
    return 0

"""`clauseway serve`: the gateway and the pages."""

import signal
from importlib.util import find_spec
from typing import Annotated

import typer

from clauseway.app.opening.home import home_at
from clauseway.app.opening.several import agreements_with
from clauseway.app.running.frozen_database import left_on_stop
from clauseway.app.running.machine_faults import end_of
from clauseway.app.running.serving import ServeOptions, Signals, keep, seal_the_rest, serving
from clauseway.app.running.snippets import agreement_to_name, curl_snippet, key_command
from clauseway.cli import libraries_of, options
from clauseway.cli.answers import answer
from clauseway.cli.console import console
from clauseway.cli.money.basis import say_recorded
from clauseway.cli.signals import set_on, stop_on_signals


def command(
    configuration: options.ConfigurationFile = None,
    host: Annotated[
        str | None, typer.Option(help="Address the gateway listens on, instead of the file's.")
    ] = None,
    port: options.GatewayPort = None,
    workers: Annotated[
        int,
        typer.Option(
            parser=options.whole("--workers", least=1, most=64),
            metavar="NUMBER",
            help="Processes of the gateway that share its port, at most 64.",
        ),
    ] = 1,
    pages_port: options.PagesPort = None,
    prices: options.PriceBookFlag = None,
    facts: options.FactsFile = None,
    agreement: options.AgreementFolders = None,
    home: options.HomeMade = None,
    as_json: options.AsJson = False,
) -> int:
    """Run the gateway and the pages until Ctrl-C.

    The gateway speaks OpenAI's format. Its deployments and settings stand in a TOML file
    (`clauseway init` writes one, `clauseway config example` prints all there is); secrets come from the
    environment or from files. Keys made, facts recorded, amendments added to an
    agreement's folder and changes of the file hold at once; what is wrong is reported and
    changes nothing. SIGHUP reads everything anew; SIGUSR2
    replaces the gateway's processes, and what they are answering ends first. Prices are
    those that the home holds (`clauseway basis`); --prices may name a book for a home that holds
    none yet.

    \b
    With the configuration in .clauseway/clauseway.toml:
      clauseway serve
    With another one, on another port:
      clauseway serve --config clouds.toml --port 9000
    A deployment in that file:
      [[deployment]]
      name = "openai-direct"
      dialect = "openai"            # openai, azure, bedrock, vertex, oci, anthropic
      url = "https://api.openai.com/v1"
      cloud = "azure"               # the host: OpenAI's own API runs on Azure
      seller = "openai"
      region = "global"
      auth = {kind = "bearer", secret_env = "OPENAI_API_KEY"}
      models = {"gpt-5.5" = "gpt-5.5"}
    """
    # The gateway and the pages load them later: where one is missing, nothing is begun.
    for library in libraries_of("server"):
        if find_spec(library) is None:
            raise ModuleNotFoundError(f"No module named {library!r}", name=library)
    at = home_at(home)
    agreements = options.agreements_for(agreement, configuration, home)
    chosen = ServeOptions(
        home=at,
        opened=agreements_with(agreements, facts),
        configuration=configuration or at.configuration,
        agreements=tuple(agreements),
        facts=facts,
        host=host,
        port=port,
        workers=workers,
        pages_port=pages_port,
    )
    # Before any process is started: a signal that comes meanwhile stops them in order.
    signals = Signals(
        stop=stop_on_signals(), reload=set_on(signal.SIGHUP), replace=set_on(signal.SIGUSR2)
    )
    with left_on_stop(at, signals.stop):
        with serving(chosen, prices) as served:
            say_recorded(served.recorded)

            def show() -> None:
                out = console()
                out.print(
                    f"gateway {served.gateway_url} · pages {served.pages_url} · Ctrl-C stops both",
                    style="bold",
                )
                for note in served.notes:
                    out.print(note, style="yellow")
                named = agreement_to_name(
                    at, chosen.agreements, chosen.opened, served.sample.seller
                )
                make_key = key_command(served.sample, at, named)
                out.print(f"Make a key: {make_key}", style="dim", soft_wrap=True)
                out.print("Ask with it:", style="dim")
                out.print(
                    curl_snippet(served.gateway_url, served.sample, "YOUR-KEY"), soft_wrap=True
                )

            answer(as_json, {"gateway": served.gateway_url, "pages": served.pages_url}, show)
            dead = keep(chosen, served, signals)
        # Usage that was metered until the end counts without another start.
        seal_the_rest(served.home)
    if dead is not None:
        raise end_of(dead.name, dead.exit_code, at.logs)
    return 0

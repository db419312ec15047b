"""`clauseway config`: the configuration, checked and shown."""

import os
import sys
import time
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from clauseway.app.books.basis import basis_of
from clauseway.app.drafting.importing_litellm import ImportOptions, import_litellm
from clauseway.app.opening.configuration import example_text
from clauseway.app.opening.home import home_at
from clauseway.app.opening.several import agreements_with
from clauseway.app.running.configuring import DEFAULT, check_configuration, show_configuration
from clauseway.app.running.serving import ServeOptions
from clauseway.cli import options
from clauseway.cli.answers import answer
from clauseway.cli.console import console
from clauseway.cli.gateway.drafted import print_drafted
from clauseway.values import KnownAt

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True)
File = Annotated[
    Path | None,
    typer.Argument(help="The file; by default clauseway.toml in the home.", metavar="FILE"),
]


@app.callback()
def _config() -> None:
    """The gateway's configuration: is it sound, and what is in force."""


@app.command()
def check(
    file: File = None,
    without_secrets: Annotated[
        bool,
        typer.Option(
            "--without-secrets",
            help="Secrets and certificates may be missing here: for a machine that only checks.",
        ),
    ] = False,
    agreement: options.AgreementFolders = None,
    home: options.HomeIfNamed = None,
    as_json: options.AsJson = False,
) -> int:
    """Check a configuration as `serve` would take it: every problem at once, each with its line.
    Calls no cloud.

    \b
    The home's own:
      clauseway config check
    One that is being written:
      clauseway config check clouds.toml
    Where the secrets are not, before a change is merged:
      clauseway config check clouds.toml --without-secrets
    """
    at = home_at(home)
    agreements = options.agreements_for(agreement, file, home)
    checked = check_configuration(
        ServeOptions(
            home=at,
            opened=agreements_with(agreements, None),
            configuration=file or at.configuration,
            agreements=tuple(agreements),
            secrets=not without_secrets,
        )
    )

    def show() -> None:
        out = console()
        out.print(f"{checked.file} is sound.", style="bold", soft_wrap=True)
        out.print(f"deployments: {', '.join(checked.deployments)}", soft_wrap=True)
        out.print(f"products: {', '.join(checked.products)} · keys: {checked.keys}", soft_wrap=True)
        if not checked.home:
            out.print(
                f"held against the shipped prices: nothing was recorded in {at.root} (--home names another home)",
                soft_wrap=True,
            )
        for warning in checked.warnings:
            out.print(f"Warning: {warning}", soft_wrap=True)
        out.print("`clauseway doctor` asks the clouds, too.", style="dim")

    answer(as_json, checked, show)
    return 0


@app.command()
def show(
    file: File = None,
    agreement: options.AgreementOfConfiguration = None,
    home: options.HomeIfNamed = None,
    as_json: options.AsJson = False,
) -> int:
    """Show what is in force: every setting with where it comes from and why it is there. Secrets
    are masked.

    \b
    All of it:
      clauseway config show
    As data, with the reason of every limit:
      clauseway config show clouds.toml --json
    """
    settings = show_configuration(
        file or home_at(home).configuration, options.catalog_of(agreement, home, file)
    )

    def show() -> None:
        out = console()
        width = max(len(setting.key) for setting in settings)
        for setting in settings:
            value = msgspec.json.encode(setting.value).decode()
            out.print(
                f"{setting.key:{width}}  {value:12}  {setting.source:8}  {setting.reason}".rstrip(),
                style="dim" if setting.source == DEFAULT else "",
                soft_wrap=True,
            )

    answer(as_json, settings, show)
    return 0


@app.command()
def example(as_json: options.AsJson = False) -> int:
    """Print an example of a configuration with every setting, its default and its reason.

    \b
    To begin with:
      clauseway config example > clauseway.toml
    """
    text = example_text()
    answer(as_json, {"example": text}, lambda: sys.stdout.write(text) and None)
    return 0


importing = typer.Typer(rich_markup_mode=None, no_args_is_help=True)
app.add_typer(importing, name="import", help="Make a configuration from another program's.")


@importing.callback()
def _importing() -> None:
    """Make a configuration from another program's."""


@importing.command()
def litellm(
    file: Annotated[Path, typer.Argument(help="LiteLLM's config.yaml.", metavar="FILE")],
    out: Annotated[
        Path | None,
        typer.Option(help="Write it here; by default clauseway.toml in the home."),
    ] = None,
    seller: Annotated[
        str,
        typer.Option(
            help="Whose sales these are, all of them, so that one key buys everything; by default "
            "each vendor's own."
        ),
    ] = "",
    agreement: options.AgreementFolders = None,
    home: options.HomeMade = None,
    as_json: options.AsJson = False,
) -> int:
    """Make a configuration from LiteLLM's: every model and setting is carried over, or told with
    the way to do it here.

    Says model by model how its sale stands: permitted or forbidden by an agreement in force, or
    unstated, and served so by `unstated = "serve"`. Vendors, clouds and models that no agreement
    knows come into a folder `names` beside the file, an agreement that states nothing; prices that
    no book has come into `prices.csv`. Nothing is overwritten, and no secret is written.

    \b
    Into the home's own configuration, and from there to a gateway:
      clauseway config import litellm config.yaml
      clauseway config check
      clauseway serve
    Under two agreements:
      clauseway config import litellm config.yaml --agreement openai-microsoft --agreement anthropic-clouds
    """
    at, known_at = home_at(home), KnownAt(time.time_ns())
    imported = import_litellm(
        ImportOptions(
            file=file,
            out=(out or at.configuration).absolute(),
            home=at,
            agreements=tuple(agreement or ()),
            seller=seller,
            prices=basis_of(at).prices(known_at),
            known_at=known_at,
            environment=os.environ,
        )
    )

    answer(as_json, imported, lambda: print_drafted(imported, is_imported=True))
    return 0

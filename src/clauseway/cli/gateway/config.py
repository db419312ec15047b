"""`clauseway config`: the configuration, checked and shown."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from clauseway.app.opening.home import home_at
from clauseway.app.running.configuring import DEFAULT, check_configuration, show_configuration
from clauseway.app.running.serving import ServeOptions
from clauseway.cli import options
from clauseway.cli.answers import answer
from clauseway.cli.output import console

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
    agreement: options.AgreementFolders = None,
    home: options.HomeFolder = None,
    as_json: options.AsJson = False,
) -> int:
    """Check a configuration as `serve` would take it: every problem at once, each with its line.
    Calls no cloud.

    \b
    The home's own:
      clauseway config check
    One that is being written:
      clauseway config check clouds.toml
    """
    at = home_at(home)
    agreements = options.agreements_for(agreement, file, home)
    checked = check_configuration(
        ServeOptions(
            home=at,
            opened=options.opened_together(agreements, None),
            configuration=file or at.configuration,
            agreements=tuple(agreements),
        )
    )

    def show() -> None:
        out = console()
        out.print(f"{checked.file} is sound.", style="bold", soft_wrap=True)
        out.print(f"deployments: {', '.join(checked.deployments)}", soft_wrap=True)
        out.print(f"products: {', '.join(checked.products)} · keys: {checked.keys}", soft_wrap=True)
        for warning in checked.warnings:
            out.print(f"Warning: {warning}", soft_wrap=True)
        out.print("`clauseway doctor` asks the clouds, too.", style="dim")

    answer(as_json, checked, show)
    return 0


@app.command()
def show(
    file: File = None,
    agreement: options.AgreementFolder = None,
    home: options.HomeFolder = None,
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
                markup=False,
                soft_wrap=True,
            )

    answer(as_json, settings, show)
    return 0

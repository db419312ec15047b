"""`clauseway key`: customers' keys."""

from typing import Annotated

import typer

from clauseway.app.home import home_at
from clauseway.app.keys import create_key
from clauseway.app.library import open_agreement
from clauseway.cli import options
from clauseway.cli.output import console, print_json

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True)


@app.callback()
def _keys() -> None:
    """Customers' keys: made once, shown once, kept as a keyed hash."""


@app.command()
def create(
    organisation: Annotated[str, typer.Option(help="Who buys.")],
    seller: Annotated[str, typer.Option(help="From whom they buy: openai, microsoft, amazon, …")],
    project: Annotated[str, typer.Option(help="A part of the organisation.")] = "default",
    segment: Annotated[str, typer.Option(help="The customer segment that the agreement looks at.")] = "any",
    agreement: options.AgreementFolder = None,
    home: options.HomeFolder = None,
    as_json: options.AsJson = False,
) -> int:
    """Make a key for a customer. The secret is printed once and stored nowhere.

    \b
    A key for an enterprise that buys from OpenAI:
      clauseway key create --organisation acme --seller openai
    One for a customer who buys from Microsoft, for a script:
      clauseway key create --organisation contoso --seller microsoft --json
    """
    made = create_key(
        home_at(home),
        open_agreement(agreement).catalog,
        organisation=organisation,
        project=project,
        seller=seller,
        segment=segment,
    )
    if as_json:
        print_json(made)
    else:
        out = console()
        out.print(f"{made.key_id} for {organisation} ({project}), buying from {seller}")
        out.print(f"secret: {made.secret}", style="bold")
        out.print("This is the only time it is shown. A running gateway accepts it within a few seconds.", style="dim")
    return 0

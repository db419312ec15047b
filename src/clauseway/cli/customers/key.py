"""`clauseway key`: customers' keys."""

import sys
from typing import Annotated

import typer

from clauseway.app.customers.keys import (
    NewKey,
    create_key,
    find_key,
    list_keys,
    revoke_key,
    rotate_key,
)
from clauseway.app.opening.home import home_at
from clauseway.cli import options
from clauseway.cli.answers import answer
from clauseway.cli.console import console, plain_table
from clauseway.values import parse_day
from clauseway.wording.names import listed

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True)
KeyId = Annotated[
    str, typer.Argument(help="The key's id, from `clauseway key list`.", metavar="KEY")
]


@app.callback()
def _keys() -> None:
    """Customers' keys: made once, shown once, kept as a keyed hash; rotated and revoked."""


@app.command()
def create(
    organisation: Annotated[str, typer.Option(help="Who buys.")],
    seller: Annotated[str, typer.Option(help="From whom they buy: openai, microsoft, amazon, …")],
    project: Annotated[str, typer.Option(help="A part of the organisation.")] = "default",
    segment: Annotated[
        str, typer.Option(help="The customer segment that the agreement looks at.")
    ] = "any",
    role: Annotated[
        str,
        typer.Option(
            help="member asks models, and reads what its project asked; auditor only reads."
        ),
    ] = "member",
    expires: Annotated[
        str, typer.Option(help="The day from which it is no longer accepted (UTC).")
    ] = "",
    agreement: options.AgreementOfConfiguration = None,
    home: options.HomeMade = None,
    as_json: options.AsJson = False,
) -> int:
    """Make a key for a customer. The secret is printed once and stored nowhere.

    \b
    A key for an enterprise that buys from OpenAI:
      clauseway key create --organisation acme --seller openai
    One for a customer who buys from Microsoft, for a script:
      clauseway key create --organisation contoso --seller microsoft --json
    One that reads and asks nothing, until the audit is over:
      clauseway key create --organisation acme --seller openai --role auditor --expires 2030-01-01
    """
    made = create_key(
        home_at(home),
        options.catalog_of(agreement, home),
        organisation=organisation,
        project=project,
        seller=seller,
        segment=segment,
        role=role,
        expires=parse_day(expires, "--expires") if expires else None,
    )
    _print_new(made, as_json)
    return 0


@app.command("list")
def list_command(
    with_revoked: Annotated[
        bool, typer.Option("--with-revoked", help="Also those that were revoked.")
    ] = False,
    home: options.HomeRead = None,
    as_json: options.AsJson = False,
) -> int:
    """List the keys: whose they are, and whether they are accepted. Secrets are stored nowhere.

    \b
    Those that were not revoked:
      clauseway key list
    """
    listed = list_keys(home_at(home), with_revoked=with_revoked)

    def show() -> None:
        table = plain_table("id", "organisation", "project", "seller", "segment", "role", "state")
        for key in listed:
            state = key.state + (
                f", until {key.expires}" if key.expires and key.state == "active" else ""
            )
            state += f", former secret until {key.former_until}" if key.former_until else ""
            style = "" if key.state == "active" else "dim"
            table.add_row(
                key.key_id,
                key.organisation,
                key.project,
                key.seller,
                key.segment,
                key.role,
                state,
                style=style,
            )
        console().print(table if listed else "There is no key. `clauseway key create` makes one.")

    answer(as_json, listed, show)
    return 0


@app.command()
def find(home: options.HomeRead = None, as_json: options.AsJson = False) -> int:
    """Find the key that a secret belongs to, for instance one that leaked.

    The secret is read from standard input.

    \b
    Typed, and not shown:
      clauseway key find
    From a file that holds nothing else:
      clauseway key find < leaked.txt
    """
    typed = sys.stdin.isatty()
    secret = typer.prompt("Secret", hide_input=True, err=True) if typed else sys.stdin.read()
    matched = find_key(home_at(home), secret.strip())
    key = matched.key
    which = "a former secret" if matched.is_former else "its present secret"
    text = f"{key.key_id} of {key.organisation} ({key.project}), {key.state}: {which}."
    answer(as_json, matched, text)
    return 0


@app.command()
def rotate(
    key: KeyId,
    grace_hours: Annotated[
        int,
        typer.Option(
            parser=options.whole("--grace-hours"),
            help="How long former secrets are accepted beside the new one.",
            metavar="NUMBER",
        ),
    ] = 24,
    home: options.HomeRead = None,
    as_json: options.AsJson = False,
) -> int:
    """Give a key a new secret, printed once. Limits, budgets and usage stay with the key.

    The hours are for all secrets that it had before; one that ends sooner is not prolonged.

    \b
    With a day to change over:
      clauseway key rotate key_0123456789abcdef
    At once, as the old one has leaked:
      clauseway key rotate key_0123456789abcdef --grace-hours 0
    """
    _print_new(rotate_key(home_at(home), key, grace_hours), as_json)
    return 0


@app.command()
def revoke(key: KeyId, home: options.HomeRead = None, as_json: options.AsJson = False) -> int:
    """Accept a key no longer. A running gateway refuses it within a second.

    \b
    For good:
      clauseway key revoke key_0123456789abcdef
    """
    revoked = revoke_key(home_at(home), key)
    answer(
        as_json,
        revoked,
        f"{revoked.key_id} of {revoked.organisation} ({revoked.project}) is revoked.",
    )
    return 0


def _print_new(made: NewKey, as_json: bool) -> None:
    def show() -> None:
        out = console()
        whose = f"{made.organisation} ({made.project})"
        out.print(f"{made.key_id} for {whose}, buying from {made.seller}")
        out.print(f"secret: {made.secret}", style="bold")
        out.print(
            "This is the only time it is shown. A running gateway accepts it within a second.",
            style="dim",
        )
        if made.nearly_named:
            out.print(
                f"{whose} is new; {made.nearly_named} was there before. If that was meant, revoke "
                f"this key and make another: clauseway key revoke {made.key_id}",
                style="yellow",
                soft_wrap=True,
            )
        if made.sold_by:
            out.print(
                f"No deployment of the configuration in this home is sold by {made.seller}, only by "
                f"{listed(made.sold_by)}: until one is, nothing is sold to this key.",
                style="yellow",
                soft_wrap=True,
            )

    answer(as_json, made, show)

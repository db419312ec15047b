"""`clauseway limit`: requests and tokens a minute."""

from typing import Annotated

import typer

from clauseway.app.customers.allowances import (
    ListedLimit,
    list_limits,
    remove_limit,
    set_limit,
)
from clauseway.app.opening.home import home_at
from clauseway.cli import options
from clauseway.cli.answers import answer
from clauseway.cli.console import console, plain_table
from clauseway.cli.customers import tenancy

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True)


@app.callback()
def _limits() -> None:
    """Limits a minute: requests, and tokens in and out. A request must keep every limit for its
    key.

    Gateways share a limit: together they let through no more than it allows.
    """


@app.command("set")
@options.taking(tenancy.ScopeFlags)
def set_command(
    flags: tenancy.ScopeFlags,
    requests: Annotated[
        int,
        typer.Option(
            parser=options.whole("--requests"),
            help="Requests a minute; 0 is no limit.",
            metavar="NUMBER",
        ),
    ] = 0,
    tokens: Annotated[
        int,
        typer.Option(
            parser=options.whole("--tokens"),
            help="Tokens a minute, at their worst case until answered; 0 is no limit.",
            metavar="NUMBER",
        ),
    ] = 0,
) -> int:
    """Set a limit, or change the one that is there for the same. A running gateway takes it within
    a second.

    \b
    For everything that an organisation asks:
      clauseway limit set --organisation acme --requests 600 --tokens 400000
    For one project and one product:
      clauseway limit set --organisation acme --project search --product gpt-5.5 --tokens 50000
    For a single key:
      clauseway limit set --key key_0123456789abcdef --requests 60
    """
    catalog = options.catalog_of(flags.agreement, flags.home)
    limit = set_limit(home_at(flags.home), catalog, flags.scope, requests, tokens)
    answer(flags.as_json, limit, lambda: _print([limit]))
    tenancy.tell_replaced(limit.replaced, as_json=flags.as_json)
    return 0


@app.command("list")
def list_command(home: options.HomeRead = None, as_json: options.AsJson = False) -> int:
    """List the limits.

    \b
    All of them:
      clauseway limit list
    """
    listed = list_limits(home_at(home))
    answer(as_json, listed, lambda: _print(listed))
    return 0


@app.command()
def remove(
    limit: Annotated[
        str, typer.Argument(help="The limit's id, from `clauseway limit list`.", metavar="ID")
    ],
    home: options.HomeRead = None,
    as_json: options.AsJson = False,
) -> int:
    """Remove a limit.

    \b
    By its id:
      clauseway limit remove lim_0123456789ab
    """
    remove_limit(home_at(home), limit)
    answer(as_json, {"removed": limit}, f"{limit} is removed.")
    return 0


def _print(limits: list[ListedLimit]) -> None:
    limited = ("requests/min", "tokens/min")
    table = plain_table("id", "whose", *limited, figures=limited)
    for limit in limits:
        figures = (limit.requests_per_minute, limit.tokens_per_minute)
        table.add_row(
            limit.id, limit.whose, *(f"{figure:,}" if figure else "–" for figure in figures)
        )
    console().print(table if limits else "No limit is set. `clauseway limit set` sets one.")

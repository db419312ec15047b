"""`clauseway organisation`: who buys."""

from typing import Annotated

import typer

from clauseway.app.customers.tenants import (
    create_tenant,
    list_tenants,
    remove_tenant,
    show_tenant,
)
from clauseway.app.opening.home import home_at
from clauseway.cli import options
from clauseway.cli.answers import answer
from clauseway.cli.customers import tenancy

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True)
OrganisationName = Annotated[str, typer.Argument(help="The organisation.")]


@app.callback()
def _organisations() -> None:
    """Organisations that buy, and how their requests are routed among permitted clouds."""


@app.command()
def create(
    name: OrganisationName, home: options.HomeMade = None, as_json: options.AsJson = False
) -> int:
    """Add an organisation. A key for a new one adds it too.

    \b
    A buyer:
      clauseway organisation create acme
    """
    made = create_tenant(home_at(home), name)
    answer(as_json, made, lambda: tenancy.print_tenant(made))
    return 0


@app.command("list")
def list_command(home: options.HomeRead = None, as_json: options.AsJson = False) -> int:
    """List organisations and their projects with their keys and routing.

    \b
    Everybody:
      clauseway organisation list
    """
    listed = list_tenants(home_at(home))
    answer(as_json, listed, lambda: tenancy.print_tenants(listed))
    return 0


@app.command()
def show(
    name: OrganisationName, home: options.HomeRead = None, as_json: options.AsJson = False
) -> int:
    """Show an organisation: its keys and how its requests are routed.

    \b
    One buyer:
      clauseway organisation show acme
    """
    tenant = show_tenant(home_at(home), name)
    answer(as_json, tenant, lambda: tenancy.print_tenant(tenant))
    return 0


@app.command("set")
@options.taking(tenancy.RoutingFlags)
def set_command(
    flags: tenancy.RoutingFlags,
    name: OrganisationName,
) -> int:
    """Say how an organisation's requests are routed. Earlier settings are replaced; a flag left out
    allows any.

    \b
    Only Azure and AWS, the cheaper one first:
      clauseway organisation set acme --cloud azure --cloud aws --strategy cheapest
    Data stays in the EU:
      clauseway organisation set acme --residency eu
    As it was in the beginning:
      clauseway organisation set acme
    """
    return tenancy.set_routing(flags, name)


@app.command()
def remove(
    name: OrganisationName, home: options.HomeRead = None, as_json: options.AsJson = False
) -> int:
    """Remove an organisation with its projects, limits and budgets. Its keys must be revoked
    before.

    Its usage stays in the lake and in the statements.

    \b
    A buyer that has left:
      clauseway organisation remove acme
    """
    remove_tenant(home_at(home), name)
    answer(as_json, {"removed": name}, f"{name} is removed, with its limits and budgets.")
    return 0

"""`clauseway project`: the parts of an organisation."""

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
Owner = Annotated[str, typer.Argument(help="The organisation.")]
ProjectName = Annotated[str, typer.Argument(help="The project.")]


@app.callback()
def _projects() -> None:
    """The parts of an organisation. A project may narrow what its organisation allows, never widen
    it.
    """


@app.command()
def create(
    organisation: Owner,
    name: ProjectName,
    home: options.HomeRead = None,
    as_json: options.AsJson = False,
) -> int:
    """Add a project to an organisation. A key for a new one adds it too.

    \b
    The search team's:
      clauseway project create acme search
    """
    made = create_tenant(home_at(home), organisation, _named(name))
    answer(as_json, made, lambda: tenancy.print_tenant(made))
    return 0


@app.command("list")
def list_command(
    organisation: Owner, home: options.HomeRead = None, as_json: options.AsJson = False
) -> int:
    """List an organisation's projects with their keys and routing.

    \b
    Those of one buyer:
      clauseway project list acme
    """
    show_tenant(home_at(home), organisation)
    listed = [
        tenant
        for tenant in list_tenants(home_at(home))
        if tenant.organisation == organisation and tenant.project
    ]
    answer(as_json, listed, lambda: tenancy.print_tenants(listed))
    return 0


@app.command()
def show(
    organisation: Owner,
    name: ProjectName,
    home: options.HomeRead = None,
    as_json: options.AsJson = False,
) -> int:
    """Show a project: its keys, how its requests are routed, and what of that it says itself.

    \b
    One project:
      clauseway project show acme search
    """
    tenant = show_tenant(home_at(home), organisation, _named(name))
    answer(as_json, tenant, lambda: tenancy.print_tenant(tenant))
    return 0


@app.command("set")
@options.taking(tenancy.RoutingFlags)
def set_command(
    flags: tenancy.RoutingFlags,
    organisation: Owner,
    name: ProjectName,
) -> int:
    """Say how a project's requests are routed.

    Earlier settings are replaced; for a flag left out, those of its organisation hold.

    \b
    The quickest, wherever it may run:
      clauseway project set acme search --strategy fastest
    Always the same deployment, and exact usage of requests whose client left:
      clauseway project set acme search --strategy pinned --pinned azure-eu --on-leave drain
    """
    return tenancy.set_routing(flags, organisation, _named(name))


@app.command()
def remove(
    organisation: Owner,
    name: ProjectName,
    home: options.HomeRead = None,
    as_json: options.AsJson = False,
) -> int:
    """Remove a project with its limits and budgets. Its keys must be revoked before.

    \b
    A project that is over:
      clauseway project remove acme search
    """
    remove_tenant(home_at(home), organisation, _named(name))
    answer(
        as_json,
        {"removed": f"{organisation}/{name}"},
        f"{organisation}/{name} is removed, with its limits and budgets.",
    )
    return 0


def _named(name: str) -> str:
    """Return a project's name. An empty name stays wrong: it would mean the whole organisation."""
    return name or " "

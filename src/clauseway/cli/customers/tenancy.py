"""Flags and tables that the commands about customers share."""

from decimal import Decimal
from typing import Annotated

import msgspec
import typer

from clauseway.app.customers.allowances import GivenScope, ListedBudget
from clauseway.app.customers.tenants import (
    ReplacedValue,
    TenantRow,
    Wish,
    described,
    set_policy,
)
from clauseway.app.opening.home import home_at
from clauseway.cli import options
from clauseway.cli.answers import answer
from clauseway.cli.console import console, plain_table
from clauseway.values import CENT

_Names = list[str] | None


class ScopeFlags(msgspec.Struct, frozen=True, kw_only=True):
    """The flags of what a limit or budget is for, and those of every command that sets one."""

    organisation: Annotated[str, typer.Option(help="Whose: an organisation.")] = ""
    project: Annotated[str, typer.Option(help="One project of it only.")] = ""
    key: Annotated[
        str, typer.Option(help="One key only, by its id; its organisation need not be named.")
    ] = ""
    cloud: Annotated[str, typer.Option(help="What is asked of one host cloud only.")] = ""
    product: Annotated[str, typer.Option(help="What is asked of one product only.")] = ""
    agreement: options.AgreementOfConfiguration = None
    # What is limited has an organisation or a key, so its home is there.
    home: options.HomeRead = None
    as_json: options.AsJson = False

    @property
    def scope(self) -> GivenScope:
        return GivenScope(**{name: getattr(self, name) for name in GivenScope.__struct_fields__})


class RoutingFlags(msgspec.Struct, frozen=True, kw_only=True):
    """The flags of how requests are routed, and those of every command that sets it."""

    strategy: Annotated[
        str,
        typer.Option(
            help="Which deployment first: primary-first, commitment, cheapest, fastest or pinned."
        ),
    ] = ""
    pinned: Annotated[str, typer.Option(help="The deployment, for the strategy `pinned`.")] = ""
    clouds: Annotated[
        _Names, typer.Option("--cloud", help="A host cloud that is allowed. Repeatable.")
    ] = None
    sellers: Annotated[
        _Names, typer.Option("--seller", help="A seller that is allowed. Repeatable.")
    ] = None
    regions: Annotated[
        _Names, typer.Option("--region", help="A region that is allowed. Repeatable.")
    ] = None
    residency: Annotated[_Names, typer.Option(help="Where data may lie. Repeatable.")] = None
    certifications: Annotated[
        _Names,
        typer.Option("--certification", help="One that a deployment must have. Repeatable."),
    ] = None
    on_leave: Annotated[
        str,
        typer.Option(help="When a client leaves a stream: cancel it at the cloud, or drain it."),
    ] = ""
    agreement: options.AgreementOfConfiguration = None
    home: options.HomeRead = None
    as_json: options.AsJson = False


def set_routing(flags: RoutingFlags, organisation: str, project: str = "") -> int:
    """Say how the requests of an organisation or project are routed, and print it."""
    given = {name: getattr(flags, name) for name in Wish.__struct_fields__}
    lists = {
        name: tuple(names or ()) for name, names in given.items() if not isinstance(names, str)
    }
    catalog = options.catalog_of(flags.agreement, flags.home)
    changed = set_policy(home_at(flags.home), catalog, Wish(**given | lists), organisation, project)
    answer(flags.as_json, changed, lambda: print_tenant(changed))
    tell_replaced(changed.replaced, as_json=flags.as_json)
    return 0


def tell_replaced(replaced: ReplacedValue | msgspec.UnsetType, *, as_json: bool) -> None:
    """Tell whoever changed a setting what it was, and who had set it: perhaps meanwhile."""
    if replaced is not msgspec.UNSET and not as_json:
        console().print(str(replaced), style="yellow", soft_wrap=True)


_BAR = 12  # characters
# The characters of its first instant that name a period: 2026-11-20, 2026-11.
_SHOWN = {"day": 10, "month": 7, "total": 0}


def print_tenants(listed: list[TenantRow]) -> None:
    """Print organisations and projects with the routing in force."""
    out = console()
    table = plain_table("organisation", "project", "keys", "routing", figures=("keys",))
    for tenant in listed:
        table.add_row(
            tenant.organisation, tenant.project, str(tenant.keys), described(tenant.holds)
        )
    out.print(table if listed else "Nobody yet. `clauseway organisation create NAME` begins.")


def print_tenant(tenant: TenantRow) -> None:
    """Print an organisation or project: its routing, and who set it."""
    out = console()
    name = f"{tenant.organisation}/{tenant.project}" if tenant.project else tenant.organisation
    keys = {0: "no active key", 1: "one active key"}.get(tenant.keys, f"{tenant.keys} active keys")
    out.print(f"{name}, {keys}", style="bold")
    out.print(f"routing: {described(tenant.holds)}")
    if tenant.project:
        own = [field for field in tenant.says.__struct_fields__ if getattr(tenant.says, field)]
        said = (
            f"it says itself: {', '.join(own).replace('_', '-')}"
            if own
            else "all of it is the organisation's"
        )
        out.print(said, style="dim")


def print_budgets(budgets: list[ListedBudget]) -> None:
    """Print budgets with a bar each: spent, held by gateways, left."""
    out = console()
    sums = ("amount", "spent", "leased", "left")
    table = plain_table("id", "whose", "period", *sums, "", figures=sums)
    for budget in budgets:
        period = budget.begin[: _SHOWN[budget.period]] or budget.period
        figures = (budget.amount, budget.spent, budget.leased, budget.left)
        style = "red" if budget.left <= 0 else ""
        table.add_row(
            budget.id, budget.whose, period, *map(money, figures), bar(budget), style=style
        )
    out.print(table if budgets else "No budget is set. `clauseway budget set` sets one.")
    if budgets:
        out.print("USD. █ spent, ▒ leased to running gateways, ░ left.", style="dim")


def money(amount: Decimal) -> str:
    """Return an amount to the cent; of less than a cent, its first two figures."""
    if 0 < abs(amount) < CENT:
        return f"{Decimal(f'{amount:.2g}'):f}"
    return f"{amount:,.2f}"


def bar(budget: ListedBudget) -> str:
    """Return a bar of the spent, leased and remaining parts of the amount."""
    if budget.amount <= 0:
        return "█" * _BAR
    spent = min(int(budget.spent * _BAR / budget.amount), _BAR)
    gone = min(int((budget.spent + budget.leased) * _BAR / budget.amount), _BAR)
    return "█" * spent + "▒" * (gone - spent) + "░" * (_BAR - gone)

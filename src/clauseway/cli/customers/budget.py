"""`clauseway budget`: amounts that may be spent."""

from typing import Annotated

import typer

from clauseway.app.customers.allowances import list_budgets, remove_budget, set_budget
from clauseway.app.opening.home import home_at
from clauseway.cli import options
from clauseway.cli.answers import answer
from clauseway.cli.customers import tenancy

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True)


@app.callback()
def _budgets() -> None:
    """Budgets in USD. None is ever overshot: a request's worst case is reserved before it is sent.

    Running gateways lease slices of a budget and give back what they do not use.
    """


@app.command("set")
@options.taking(tenancy.ScopeFlags)
def set_command(
    flags: tenancy.ScopeFlags,
    amount: Annotated[str, typer.Option(help="In USD, as 2500 or 2500.50.")],
    period: Annotated[
        str, typer.Option(help="total, or anew each day or month (UTC).", metavar="PERIOD")
    ] = "month",
) -> int:
    """Set a budget, or change the amount of the one that is there for the same.

    Set below what is spent already, it grants nothing more until its next period.

    \b
    For a month of everything that an organisation asks:
      clauseway budget set --organisation acme --amount 25000
    For a day of one project on one cloud:
      clauseway budget set --organisation acme --project search --cloud aws --period day --amount 200
    For a single key, once:
      clauseway budget set --key key_0123456789abcdef --period total --amount 9.50
    """
    catalog = options.catalog_of(flags.agreement, flags.home)
    budget = set_budget(home_at(flags.home), catalog, flags.scope, amount, period)
    answer(flags.as_json, budget, lambda: tenancy.print_budgets([budget]))
    tenancy.tell_replaced(budget.replaced, as_json=flags.as_json)
    return 0


@app.command("list")
def list_command(home: options.HomeRead = None, as_json: options.AsJson = False) -> int:
    """List the budgets: what is spent of each, what running gateways hold, what is left.

    \b
    All of them:
      clauseway budget list
    """
    listed = list_budgets(home_at(home))
    answer(as_json, listed, lambda: tenancy.print_budgets(listed))
    return 0


@app.command()
def remove(
    budget: Annotated[
        str, typer.Argument(help="The budget's id, from `clauseway budget list`.", metavar="ID")
    ],
    home: options.HomeRead = None,
    as_json: options.AsJson = False,
) -> int:
    """Remove a budget: from then on nothing of it is limited.

    \b
    By its id:
      clauseway budget remove bud_0123456789ab
    """
    remove_budget(home_at(home), budget)
    answer(as_json, {"removed": budget}, f"{budget} is removed.")
    return 0

"""`clauseway export`: the journal in another program's format."""

import sys

import typer

from clauseway.app.exporting import beancount_journal
from clauseway.app.home import home_at
from clauseway.cli import options

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True)


@app.callback()
def _export() -> None:
    """The journal in another program's format."""


@app.command()
def beancount(home: options.HomeFolder = None) -> int:
    """Print the whole journal as beancount text, which bean-check accepts.

    \b
    To a file:
      clauseway export beancount > journal.beancount
    """
    sys.stdout.write(beancount_journal(home_at(home)))
    return 0

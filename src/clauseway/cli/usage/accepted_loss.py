"""An accepted loss, as `spool accept`, `spool write-off` and `lake accept` print it."""

from clauseway.app.books.losses import Accepted, estimate_text
from clauseway.cli.output import console, print_json


def print_accepted(accepted: Accepted, as_json: bool) -> None:
    """Print who accepted which loss and which estimate stands for it."""
    if as_json:
        print_json(accepted)
        return
    text = f"Loss {accepted.number} ({accepted.place}) is accepted by {accepted.who}: {estimate_text(accepted)}."
    console().print(f"{text} Settle its months again.", soft_wrap=True)

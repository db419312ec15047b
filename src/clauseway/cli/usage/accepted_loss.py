"""An accepted loss, as `spool accept`, `spool write-off` and `lake accept` print it."""

from clauseway.app.usage.losses import Accepted, estimate_text
from clauseway.cli.answers import answer


def print_accepted(accepted: Accepted, as_json: bool) -> None:
    """Print who accepted which loss and which estimate stands for it."""
    text = f"Loss {accepted.number} ({accepted.place}) is accepted by {accepted.who}: {estimate_text(accepted)}."
    answer(as_json, accepted, f"{text} Settle its months again.")

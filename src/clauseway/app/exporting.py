"""Exports: our records read from storage, handed to the room that knows the foreign format."""

from clauseway.app.home import Home
from clauseway.exchange.beancount import beancount_text
from clauseway.storage import Control


def beancount_journal(home: Home) -> str:
    """The whole journal as beancount text."""
    control = Control.open(home.make().control)
    try:
        return beancount_text(control.entries(), "Clauseway journal")
    finally:
        control.close()

"""The journals of a home: each is registered by name, so that one that is gone is missed."""

import time
from pathlib import Path

from clauseway import spool
from clauseway.app.opening.home import Home
from clauseway.storage import Control
from clauseway.storage.books.losses import Losses, Spool


def register_spool(home: Home, directory: Path) -> str:
    """Register the spool in a folder of the home; its identity, in hex.

    Before a gateway writes it, and again once that runs: then its newest segment is known.
    """
    control = Control.open(home.make().control)
    try:
        identity = spool.identify(directory).hex()
        newest = spool.newest_segment(directory)
        fresh = Spool(
            spool=identity,
            place=directory.name,
            registered_ns=time.time_ns(),
            segment=newest,
            home=home.identity(),
        )
        Losses(control).register(fresh)
        return identity
    finally:
        control.close()

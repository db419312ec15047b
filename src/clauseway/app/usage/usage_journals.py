"""The journals of a home: each is registered by name, so that one that is gone is missed."""

import time
from pathlib import Path

from clauseway import spool
from clauseway.app.opening.home import Home
from clauseway.app.opening.home_control import open_control
from clauseway.app.usage.missing_ends import note_emptied
from clauseway.app.usage.reused_numbers import renumber_reused
from clauseway.storage.books.losses import Losses, Spool


def register_spool(home: Home, directory: Path) -> str:
    """Register the spool in a folder of the home; its identity, in hex.

    Before a gateway writes it, and again once that runs: then its newest segment is known.
    """
    with open_control(home) as control:
        identity = spool.identify(directory).hex()
        newest, now_ns = spool.newest_segment(directory), time.time_ns()
        losses = Losses(control)
        note_emptied(control, identity, directory, now_ns)
        fresh = Spool(
            spool=identity,
            place=directory.name,
            registered_ns=now_ns,
            segment=newest,
            home=home.identity(),
        )
        registered = losses.register(fresh)
        renumbered = renumber_reused(control, registered, directory)
        if renumbered != registered:
            losses.saw(renumbered)
        # The folder may know less than the register: it was emptied, or an earlier program let its
        # segments go.
        spool.note_number(directory, max(registered.segment + 1, registered.released))
        return identity

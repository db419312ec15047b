"""The control data of a home, opened."""

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress

from clauseway.app.opening.home import Home
from clauseway.files.presence import is_there
from clauseway.storage import Control
from clauseway.storage.control.control import kept_open
from clauseway.values import InvalidInput


@contextmanager
def open_control(home: Home) -> Iterator[Control]:
    """Hold the control data of a home open for as long as this lasts. Raise as `control_of` does."""
    with closing(control_of(home)) as control:
        yield control


def control_of(home: Home) -> Control:
    """Open the control data of a home, for a caller who closes them; begin them where nothing was
    recorded yet. Raise InvalidInput, DBAPIError; FileNotFoundError where they go meanwhile."""
    # Looked at before the home is: of a disk that goes in between, the mount point gets no others.
    may_begin = not (home.served_identity or is_there(home.embedded_control))
    return Control.open(home.make().control, may_begin=may_begin)


@contextmanager
def kept_control(home: Home) -> Iterator[None]:
    """Open the control data of a home once for everything that asks for them within. Where their
    place cannot be told, nothing is kept, and whoever opens them raises why."""
    with ExitStack() as kept:
        with suppress(InvalidInput, OSError):
            kept.enter_context(kept_open(home.control))
        yield

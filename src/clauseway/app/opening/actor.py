"""The actor: the person that a record of the home names. See `storage.control.actor`."""

from clauseway.storage.control.actor import acting

__all__ = ["acting"]

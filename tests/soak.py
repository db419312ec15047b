"""How long property tests look: as many examples as they state, times what `make soak` asks for."""

import os

_TIMES = int(os.environ.get("SOAK", "1"))


def examples(stated: int) -> int:
    """So many examples, or under `make soak` a multiple."""
    return stated * _TIMES

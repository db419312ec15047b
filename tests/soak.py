"""How long tests look: as many examples as they state, times what `make soak` asks for; some walk only then."""

import os

import pytest

_TIMES = int(os.environ.get("SOAK", "1"))


def examples(stated: int) -> int:
    """So many examples, or under `make soak` a multiple."""
    return stated * _TIMES


# What walks over everything takes minutes, and is walked under `make soak` alone; the suite has a share of each.
only_when_soaking = pytest.mark.skipif(_TIMES == 1, reason="it walks over everything: make soak")

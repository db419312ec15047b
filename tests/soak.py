"""How long tests look: as many examples as they state, times what `make soak` asks for; some walk only then."""

import os

import pytest

_TIMES = int(os.environ.get("SOAK", "1"))


def examples(stated: int) -> int:
    """So many examples, or under `make soak` a multiple."""
    return stated * _TIMES


def every(soaking: int, otherwise: int) -> int:
    """Take one in so many under `make soak`, and in the suite."""
    return otherwise if _TIMES == 1 else soaking


# Tests that walk over everything take minutes, and run under `make soak` alone; the suite has a share of each. They are
# left out of the suite (tests/conftest.py), not skipped: where CI is set nothing may be skipped.
only_when_soaking = pytest.mark.soaking

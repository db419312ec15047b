"""Shares of limits as the database keeps them: what one process writes the next one reads, and nothing else moves."""

import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clauseway.storage import Control
from clauseway.storage.control.engines import Place
from clauseway.storage.customers.limit_shares import LimitKind, LimitShare, StoredShares
from clauseway.storage.customers.tenants import Limit, Tenants

LIMITS = ("lim_1", "lim_2")
KINDS: list[LimitKind] = [(kind, limit) for kind in ("requests", "tokens") for limit in LIMITS]
HOLDERS = ("a", "b", "c")


@pytest.fixture
def control(place: Place) -> Iterator[Control]:
    opened = Control.open(place)
    for id in LIMITS:
        Tenants(opened).set_limit(
            Limit(id=id, organisation="acme", project=id, requests_per_minute=60, tokens_per_minute=600, created_ns=1)
        )
    yield opened
    opened.close()


Kept = tuple[dict[LimitKind, dict[str, LimitShare]], dict[LimitKind, float]]


def kept(control: Control, *limits: str) -> Kept:
    with StoredShares(control).changing(limits or LIMITS) as state:
        shares = {of: dict(held) for of, held in state.shares.items() if held}
        return shares, dict(state.short_s)


# Seconds that the database keeps to the nanosecond.
INSTANTS = st.integers(0, 4_000_000).map(lambda quarters: quarters / 4)
SHARES = st.builds(LimitShare, st.integers(0, 10**12), st.integers(0, 10**12), INSTANTS)
# A process's view of a limit: (which, its holders' shares, None for one that goes; when it was short).
HELD = st.dictionaries(st.sampled_from(HOLDERS), st.none() | SHARES)
Change = tuple[LimitKind, dict[str, LimitShare | None], float | None]
CHANGES = st.lists(st.tuples(st.sampled_from(KINDS), HELD, st.none() | INSTANTS), max_size=4)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(steps=st.lists(CHANGES, max_size=4))
def test_what_is_written_is_read_and_nothing_else(control: Control, steps: list[list[Change]]) -> None:
    shares, short_s = kept(control)
    for changes in steps:
        with StoredShares(control).changing([of[1] for of, _, _ in changes]) as state:
            for of, held, short in changes:
                for holder, share in held.items():
                    if share is None:
                        state.shares.get(of, {}).pop(holder, None)
                        shares.get(of, {}).pop(holder, None)
                    else:
                        state.shares.setdefault(of, {})[holder] = share
                        shares.setdefault(of, {})[holder] = share
                if short is not None:
                    state.short_s[of] = short_s[of] = short
        assert kept(control) == ({of: held for of, held in shares.items() if held}, short_s)


def test_only_the_limits_that_are_named_are_read(control: Control) -> None:
    share = LimitShare(10, 1, 60.0)
    with StoredShares(control).changing(LIMITS) as state:
        assert set(state.limits) == set(LIMITS)
        for of in KINDS:
            state.shares[of] = {"a": share}
            state.short_s[of] = 5.0
    ofs = [of for of in KINDS if of[1] == "lim_1"]
    with StoredShares(control).changing(["lim_1"]) as state:
        assert set(state.limits) == {"lim_1"}
        assert (state.shares, state.short_s) == ({of: {"a": share} for of in ofs}, dict.fromkeys(ofs, 5.0))


def test_a_change_that_fails_is_not_kept(control: Control) -> None:
    before = kept(control)
    stack = ExitStack()
    state = stack.enter_context(StoredShares(control).changing(LIMITS))
    state.shares[KINDS[0]] = {"a": LimitShare(10, 1, 60.0)}
    with pytest.raises(ZeroDivisionError), stack:
        raise ZeroDivisionError
    assert kept(control) == before


def test_the_clock_is_in_seconds(control: Control) -> None:
    with StoredShares(control).changing(()) as state:
        assert abs(state.now_s - time.time()) < 60

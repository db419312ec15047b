"""Limits by the minute as one window counts them, and a share of one: what it asks for, reports and takes over."""

from typing import Any

import pytest

from clauseway.gateway.budgets.leases import Ask, GrantedLease
from clauseway.gateway.budgets.limit_shares import SharedWindow
from clauseway.gateway.budgets.slices import DENIED_S
from clauseway.gateway.budgets.windows import Window, header_lines
from clauseway.gateway.plan import RateLimit


def limit(id: str = "l") -> RateLimit:
    return RateLimit(id=id, whose="organisation acme", requests_per_minute=100)


def window(amount: int = 100) -> Window:
    return Window("requests", limit(), amount)


def use(window: Window, second: int, count: int) -> None:
    window.turn(second)
    window.left -= count
    window.fresh += count


# Used in which seconds, asked in which → the usage of that second, or of the one before if that is more.
RECENT: list[tuple[dict[int, int], int, int]] = [
    ({}, 5, 0),
    ({5: 3}, 5, 3),
    ({5: 3}, 6, 3),
    ({5: 3}, 7, 0),
    ({5: 3, 6: 1}, 6, 3),
    ({5: 1, 6: 3}, 6, 3),
    ({5: 3, 7: 1}, 7, 1),
    ({0: 3}, 1, 3),
]


@pytest.mark.parametrize(("used", "now", "recent"), RECENT)
def test_recent_usage_is_of_this_second_or_the_last(used: dict[int, int], now: int, recent: int) -> None:
    tried = window()
    for second, count in used.items():
        use(tried, second, count)
    if now not in used:
        tried.turn(now)
    assert tried.recent == recent


def test_a_step_ends_with_its_second() -> None:
    """Until then nothing turns: a request in a second that began costs no look at the steps."""
    tried = window()
    for now_s, end_s in ((7.0, 8.0), (7.9, 8.0), (8.0, 9.0)):
        tried.turn(now_s)
        assert tried.step_end_s == end_s


def test_a_window_says_its_limit_from_the_first() -> None:
    assert header_lines((window(60),), 0.0).startswith(
        b"x-ratelimit-limit-requests: 60\r\nx-ratelimit-remaining-requests: 60\r\n"
    )


# Of a limit of 10, 4 are used in second 0 and 5 in second 30, and so much is open. Needed in second 31 → how long until
# enough of it is older than a minute.
WAITS = [
    (0, 2, 30.0),
    (0, 5, 30.0),
    (0, 6, 60.0),
    (0, 10, 60.0),
    (0, 11, 0.0),  # it never fits
    (1, 4, 30.0),
    (1, 5, 60.0),
    (1, 9, 60.0),
    (1, 10, 1.0),  # what is open is missing, and nobody knows for how long
]


@pytest.mark.parametrize(("opened", "needed", "wait_s"), WAITS)
def test_how_long_until_enough_is_left(opened: int, needed: int, wait_s: float) -> None:
    tried = window(10)
    use(tried, 0, 4)
    use(tried, 30, 5)
    tried.left -= opened
    tried.turn(31.0)
    short = tried.shortage(needed, 31.0)
    assert (short.left, short.needed, short.retry_after_s) == (1 - opened, needed, wait_s)


def test_headers_count_the_second_that_begins() -> None:
    """9 of 10 are used in second 0, which counts until second 61."""
    tried = window(10)
    use(tried, 0, 9)
    remaining = [header_lines((tried,), now_s).split(b"\r\n")[1] for now_s in (60.5, 61.0)]
    assert remaining == [b"x-ratelimit-remaining-requests: 1", b"x-ratelimit-remaining-requests: 10"]


# Of a limit of 100, so much was used in which seconds, and so much is open in second 31 → until when that counts.
RESETS = [({}, 0, b"0ms"), ({0: 4}, 0, b"30s"), ({0: 4, 30: 5}, 0, b"1m0s"), ({31: 1}, 0, b"1m1s")]
RESETS += [({}, 7, b"1m1s"), ({0: 4, 30: 5}, 7, b"1m1s"), ({31: 1}, 7, b"1m1s")]


@pytest.mark.parametrize(("used", "opened", "reset"), RESETS)
@pytest.mark.parametrize("is_shared", [False, True])
def test_headers_say_until_when_something_counts(
    used: dict[int, int], opened: int, reset: bytes, is_shared: bool
) -> None:
    """Open requests count for a minute from their end on, so nobody is told that all is free while part is missing."""
    tried = SharedWindow("requests", limit(), 100) if is_shared else window()
    if isinstance(tried, SharedWindow):
        tried.leased = tried.left = 50
    for second, count in used.items():
        use(tried, second, count)
    tried.left -= opened
    assert header_lines((tried,), 31.0).endswith(b"x-ratelimit-reset-requests: %b\r\n" % reset)


@pytest.mark.parametrize(("left", "expected"), [(2, 2), (1, 1), (0, 0), (-1, 0)])
def test_headers_never_say_less_than_nothing(left: int, expected: int) -> None:
    tried = window(10)
    tried.left = left
    assert header_lines((tried,), 0.0).split(b"\r\n")[1] == b"x-ratelimit-remaining-requests: %d" % expected


# The rest of the wide limit of 9 and of the narrow one of 5 → the limit that the headers name.
TIGHTEST = [(9, 5, 5), (6, 5, 5), (5, 5, 9), (4, 5, 9), (-1, -1, 9)]


@pytest.mark.parametrize(("left_of_wide", "left_of_narrow", "named"), TIGHTEST)
def test_headers_name_the_first_of_the_limits_with_the_least_left(
    left_of_wide: int, left_of_narrow: int, named: int
) -> None:
    wide, narrow = window(9), window(5)
    wide.left, narrow.left = left_of_wide, left_of_narrow
    assert header_lines((wide, narrow), 0.0).startswith(b"x-ratelimit-limit-requests: %d\r\n" % named)


# -- shares: of a limit of 100 throughout, at second 50

NOW_S = 50.0


def share(**known: Any) -> SharedWindow:
    """A share that was last heard of a second ago, and that lasts."""
    made = SharedWindow("requests", limit(), 100)
    used = known.pop("recent", 0)
    made.turn(NOW_S)
    made.fresh = used
    for name, value in ({"ends_s": 60.0, "said_s": 49.0, "busy_s": 49.0} | known).items():
        setattr(made, name, value)
    return made


def test_a_share_begins_with_nothing() -> None:
    made = SharedWindow("requests", limit(), 100)
    assert (made.leased, made.left, made.waiting) == (0, 0, 0)
    ask = Ask(budget="l", kind="requests", part=0, serial=1, spent=0, least=1, target=17)
    assert made.growth(1) == ask
    # The lease server takes no ask that is older than what it heard.
    assert [made.growth(1).serial, made.give_back().serial, made.over().serial] == [2, 3, 4]


# Leased, left of it, waited for, needed → the least that helps, and what is wished for: what is used, what is needed
# and sixteen more of that size.
GROWTHS = [
    (0, 0, 0, 1, 1, 0 + 1 + 16),
    (10, 4, 0, 2, 6 + 2, 6 + 2 + 32),
    (10, 4, 5, 2, 6 + 2, 6 + 5 + 32),  # others wait too
    (60, 60, 0, 1, 1, 60),  # never less than it holds
    (90, 0, 0, 5, 95, 100),  # never more than the limit
    (90, 0, 0, 20, 110, 110),  # it needs more than there is: it will be refused
    (10, -2, 0, 1, 12 + 1, 12 + 1 + 16),  # charged beyond what was reserved
]


@pytest.mark.parametrize(("leased", "left", "waiting", "needed", "least", "target"), GROWTHS)
def test_a_share_that_is_short_asks_for_more_than_one_request(
    leased: int, left: int, waiting: int, needed: int, least: int, target: int
) -> None:
    ask = share(leased=leased, left=left, waiting=waiting).growth(needed)
    assert (ask.spent, ask.least, ask.target) == (leased - left, least, target)


# The state of a share of 20 → its report: (spent, target), or nothing.
REPORTS: list[tuple[dict[str, Any], tuple[int, int] | None]] = [
    # Idle for two seconds: what is not used goes back.
    ({"left": 5, "busy_s": 48.0}, (15, 15)),
    ({"left": 1, "busy_s": 48.0}, (19, 19)),
    ({"left": 5, "busy_s": 48.5}, None),
    ({"left": 0, "busy_s": 48.0}, None),
    ({"left": 20, "busy_s": 48.0}, (0, 0)),
    # Low: less than what was used in the last second is left.
    ({"left": 5, "recent": 5}, None),
    ({"left": 5, "recent": 6}, (15, 15 + 4 * 6)),
    ({"left": 5, "recent": 6, "denied_until_s": 50.5}, None),
    ({"left": 5, "recent": 6, "denied_until_s": 50.0}, (15, 15 + 4 * 6)),
    ({"left": 5, "recent": 30}, (15, 100)),
    ({"leased": 0, "left": 0, "recent": 1}, (0, 4)),
    # Silent for three seconds: it is still used.
    ({"left": 5, "recent": 5, "said_s": 47.5}, None),
    ({"left": 5, "recent": 5, "said_s": 47.0}, (15, 20)),
    ({"left": 0, "said_s": 47.0}, (20, 20)),
    ({"left": -3}, (23, 23)),  # charged beyond what was reserved
    ({"leased": 0, "left": 0, "said_s": 47.0}, None),
    # Its time is over: what is not used is nobody's already.
    ({"left": 5, "ends_s": 50.0, "said_s": 47.0}, (15, 15)),
]


@pytest.mark.parametrize(("known", "expected"), REPORTS)
def test_what_a_share_reports(known: dict[str, Any], expected: tuple[int, int] | None) -> None:
    reporting = share(**{"leased": 20} | known)
    reporting.step_end_s = NOW_S  # a second is over
    ask = reporting.report(NOW_S)
    assert (ask and (ask.spent, ask.least, ask.target)) == (expected and (expected[0], 0, expected[1]))
    assert reporting.said_s == (NOW_S if expected else known.get("said_s", 49.0))


def test_a_share_is_idle_two_seconds_after_it_was_last_seen_busy() -> None:
    """Used in second 50, so busy in 51 too. In 52 it says that it is here, after three seconds of silence."""
    reporting = share(leased=20, left=5, recent=3, busy_s=0.0)
    asks = [reporting.report(NOW_S + second) for second in range(5)]
    assert [ask and ask.target for ask in asks] == [None, None, 20, 15, None]


# An answer to the ask for 20 to 40 of a share of 15 with 5 left, asked at second 50 → what is leased, left here and
# left elsewhere, and from how much on nothing more is asked for.
ANSWERS = [
    (GrantedLease(leased=40, left=50, amount=100), (40, 30, 50, 0)),
    (GrantedLease(leased=20, left=0, amount=100), (20, 10, 0, 0)),
    (GrantedLease(leased=19, left=3, amount=100), (19, 9, 3, 10)),
    (GrantedLease(leased=15, left=3, amount=100), (15, 5, 3, 10)),
    (GrantedLease(leased=12, left=3, amount=100), (15, 5, 3, 10)),  # it never becomes smaller by an answer
    (GrantedLease(leased=40, left=1 << 62, amount=1 << 62), (40, 30, 60, 0)),  # the limit is gone from the database
    (GrantedLease(leased=110, left=5, amount=120), (110, 100, 0, 0)),  # it was raised there, and not in this plan yet
]


@pytest.mark.parametrize(("slice_", "held"), ANSWERS)
def test_what_is_granted_of_a_share(slice_: GrantedLease, held: tuple[int, int, int, int]) -> None:
    asking = share(leased=15, left=5, unheard=True)
    ask = Ask(budget="l", kind="requests", part=0, serial=1, spent=10, least=20, target=40)
    asking.granted(slice_, ask, NOW_S)
    assert (asking.leased, asking.left, asking.elsewhere, asking.denied_least) == held
    assert asking.denied_until_s == (NOW_S + DENIED_S if held[3] else 0.0)
    assert (asking.ends_s, asking.unheard) == (NOW_S + slice_.ends_in_s, False)


# Asked for so much with 15 held, and 25 came → what is held.
WISHED = [(14, 15), (15, 25), (25, 25)]


@pytest.mark.parametrize(("target", "leased"), WISHED)
def test_who_gives_back_takes_no_more(target: int, leased: int) -> None:
    asking = share(leased=15, left=5)
    ask = Ask(budget="l", kind="requests", part=0, serial=1, spent=10, target=target)
    asking.granted(GrantedLease(leased=25, left=0, amount=100), ask, NOW_S)
    assert (asking.leased, asking.left) == (leased, leased - 10)


# Left of a share of 15 → what is told as used when it is returned; charges may go beyond it.
RETURNED = [(15, 0), (5, 10), (1, 14), (0, 15), (-2, 17)]


@pytest.mark.parametrize(("left", "used"), RETURNED)
def test_a_share_that_is_returned_tells_what_was_used_of_it(left: int, used: int) -> None:
    assert share(leased=15, left=left).give_back().spent == used
    assert share(leased=15, left=left).over().spent == used


def test_what_is_answered_to_the_last_ask_is_nothing() -> None:
    ending = share(leased=15, left=5)
    ask = ending.over()
    assert (ask.spent, ask.over, ending.leased, ending.left) == (10, True, 0, 0)
    ending.granted(GrantedLease(leased=10, left=90, amount=100), ask, NOW_S)
    assert (ending.leased, ending.elsewhere, ending.ends_s) == (0, 0, 60.0)


# 10 and more were denied until second 51. Needed, when → may it be asked for?
DENIED = [
    (9, 50.5, True),
    (10, 50.5, False),
    (11, 50.5, False),
    (10, 51.0, True),
    (100, 51.0, True),
    (101, 51.0, False),
]


@pytest.mark.parametrize(("needed", "now_s", "may_grow"), DENIED)
def test_what_was_denied_is_not_asked_for_at_once(needed: int, now_s: float, may_grow: bool) -> None:
    asking = share(leased=15, left=-2, elsewhere=5, denied_least=10, denied_until_s=51.0)
    short = asking.shortage(needed, now_s)
    assert (short.limit, short.left, short.may_grow) == (100, 3, may_grow)
    asking.unheard = True
    assert asking.shortage(needed, now_s).limit == -1
    asking.elsewhere = 1
    assert asking.shortage(needed, now_s).left == 0

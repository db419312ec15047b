"""Leases of budgets: who is granted what, to the picodollar, and that no more is granted than there is."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from clauseway.storage import Control
from clauseway.storage.control.engines import Place
from clauseway.storage.customers.leases import LeaseRequest, Leases, LeaseState, bounds, granted, picodollars, usd
from clauseway.storage.customers.tenants import BudgetRow, Tenants
from database_connections import queries_asked

NOON_NS = int(datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()) * 10**9
DAY_NS = 86_400 * 10**9


def budget(amount: int, period: str = "total", id: str = "b") -> BudgetRow:
    return BudgetRow(
        id=id, organisation="acme", project=id, period=period, amount=usd(amount), currency="USD", created_ns=1
    )


@pytest.fixture
def control(place: Place) -> Iterator[Control]:
    opened = Control.open(place)
    yield opened
    opened.close()


class Gateway:
    """One process's asks for one budget, numbered as it numbers them."""

    def __init__(self, control: Control, boot: str, part: int = 0, budget: str = "b") -> None:
        self.leases, self.boot, self.part, self.budget = Leases(control), boot, part, budget
        self.serial = 0

    def asks(
        self, least: int, target: int, spent: int = 0, *, over: bool = False, at_ns: int = NOON_NS, serial: int = 0
    ) -> LeaseState:
        self.serial += 1
        wanted = LeaseRequest(
            budget=self.budget,
            boot=self.boot,
            part=self.part,
            pid=1,
            serial=serial or self.serial,
            spent=spent,
            least=least,
            target=target,
            is_over=over,
        )
        return self.leases.lease([wanted], at_ns)[0]


# A budget of 100 and two processes. (process, least, target, spent) → (what it holds then, what is left for all).
ONE_AFTER_THE_OTHER = [
    ("a", 10, 40, 0, 25, 75),  # a quarter of what is free, as it needs less
    ("b", 30, 30, 0, 30, 45),  # what it needs at least
    ("a", 30, 60, 20, 36, 34),  # 25 and a quarter of 45
    ("b", 99, 99, 30, 30, 34),  # 69 more are not there: nothing
    ("b", 64, 99, 30, 64, 0),  # all that is left, as it needs that
    ("a", 37, 37, 36, 36, 0),
    ("b", 0, 40, 31, 40, 24),  # gives back what it does not use
    ("b", 0, 10, 31, 31, 33),  # what is spent cannot be given back
    ("a", 60, 60, 36, 60, 9),
]


def test_two_processes_and_one_budget(control: Control) -> None:
    Tenants(control).set_budget(budget(100))
    gateways = {boot: Gateway(control, boot) for boot in "ab"}
    for boot, least, target, spent, leased, left in ONE_AFTER_THE_OTHER:
        held = gateways[boot].asks(least, target, spent)
        assert (held.leased, held.left, held.amount) == (leased, left, 100), (boot, least, target)
    (standing,) = Leases(control).standings(NOON_NS)
    assert (standing.spent, standing.leased, standing.left) == (36 + 31, 24, 9)
    gateways["a"].asks(0, 0, 50, over=True)
    gateways["b"].asks(0, 0, 31, over=True)
    (standing,) = Leases(control).standings(NOON_NS)
    assert (standing.spent, standing.leased, standing.left) == (81, 0, 19)


# Budget, its period → what is spent of it at noon, after each lost 5 before midnight and 3 since then.
PERIODS_THAT_HOLD = [("total", 8), ("day", 3), ("month", 8)]


def test_all_budgets_are_told_by_one_query(control: Control) -> None:
    for period, _ in PERIODS_THAT_HOLD:
        Tenants(control).set_budget(budget(100, period, id=period))
        for part, (at_ns, spent) in enumerate([(NOON_NS - DAY_NS, 5), (NOON_NS, 3)]):
            Gateway(control, "a", part, budget=period).asks(0, 10, spent, over=True, at_ns=at_ns)
    with queries_asked("leases") as of_leases, queries_asked("budgets") as of_budgets:
        standings = Leases(control).standings(NOON_NS)
    assert [(each.budget.id, each.spent) for each in standings] == sorted(PERIODS_THAT_HOLD)
    assert len(of_leases) + len(of_budgets) == 2


# Held, free, spent, the least that is needed, the wish → held then.
GRANTS = [
    (0, 100, 0, 10, 40, 25),  # a quarter of what is free
    (0, 100, 0, 10, 20, 20),  # what is wished for, where that is less
    (0, 100, 0, 30, 40, 30),  # what is needed, where that is more
    (0, 100, 0, 101, 101, 0),  # what would not do is not granted
    (0, 100, 0, 100, 100, 100),
    (10, 50, 0, 5, 30, 22),  # it has what it needs: a quarter of what is free
    (10, 50, 0, 10, 11, 11),
    (0, 1, 0, 1, 1, 1),
    (0, 4, 0, 0, 5, 1),
    (0, 3, 0, 0, 5, 0),  # a quarter of three is none
    (10, 0, 0, 11, 20, 10),
    (10, -5, 0, 11, 20, 10),  # the budget was lowered: nothing more, and nothing less
    (10, 50, 3, 0, 10, 10),
    (10, 50, 3, 0, 5, 5),  # given back
    (10, 50, 7, 0, 5, 7),  # but for what is spent
    (10, 0, 12, 0, 10, 12),  # it spent more than it held
]


@pytest.mark.parametrize(("held", "free", "spent", "least", "target", "then"), GRANTS)
def test_how_much_is_granted(held: int, free: int, spent: int, least: int, target: int, then: int) -> None:
    assert granted(held, free, spent=spent, least=least, target=target) == then


def test_an_ask_that_was_delayed_takes_nothing_back(control: Control) -> None:
    Tenants(control).set_budget(budget(100))
    gateway = Gateway(control, "a")
    gateway.asks(50, 50)
    gateway.asks(60, 60)
    assert gateway.asks(0, 10, serial=1).leased == 60
    assert gateway.asks(60, 60).leased == 60  # said again, granted once


def test_a_budget_that_is_lowered_grants_nothing_more_and_revokes(control: Control) -> None:
    Tenants(control).set_budget(budget(100))
    gateway = Gateway(control, "a")
    gateway.asks(50, 50)
    Tenants(control).set_budget(budget(30))
    held = gateway.asks(0, 50, 20)
    assert (held.leased, held.left, held.amount, held.is_revoked) == (50, 0, 30, True)
    assert gateway.asks(51, 51, 20).leased == 50
    assert gateway.asks(0, 20, 20).left == 10


def test_who_is_refused_has_the_others_give_back(control: Control) -> None:
    Tenants(control).set_budget(budget(100))
    a, b = Gateway(control, "a"), Gateway(control, "b")
    a.asks(80, 80)
    assert not a.asks(0, 80).is_revoked
    assert b.asks(30, 30).leased == 0
    # An idle process reports every five seconds, at the next look of each second.
    assert a.asks(0, 80, at_ns=NOON_NS + 6 * 10**9).is_revoked
    assert not a.asks(0, 10, at_ns=NOON_NS + 9 * 10**9).is_revoked
    assert b.asks(30, 30).leased == 30


def test_a_day_has_its_own_amount_and_leases_are_of_one_day(control: Control) -> None:
    Tenants(control).set_budget(budget(100, "day"))
    today, tomorrow = NOON_NS, NOON_NS + DAY_NS
    assert Gateway(control, "a").asks(90, 90, at_ns=today).end_ns == NOON_NS + DAY_NS // 2
    late = Gateway(control, "a")
    late.serial = 1
    held = late.asks(95, 95, 60, at_ns=tomorrow)
    assert (held.leased, held.end_ns <= tomorrow) == (90, True)  # of yesterday: it grows no more
    assert Gateway(control, "a", part=1).asks(100, 100, at_ns=tomorrow).leased == 100
    (standing,) = Leases(control).standings(tomorrow)
    assert (standing.spent, standing.leased) == (0, 100)


def test_whoever_is_short_itself_is_not_asked_to_give_back(control: Control) -> None:
    Tenants(control).set_budget(budget(100))
    a, b = Gateway(control, "a"), Gateway(control, "b")
    a.asks(80, 80)
    assert [b.asks(30, 30).is_revoked for _ in range(2)] == [False, False]
    assert not a.asks(90, 90).is_revoked
    assert a.asks(0, 90).is_revoked


def test_yesterdays_lease_that_is_refused_revokes_nothing_of_today(control: Control) -> None:
    Tenants(control).set_budget(budget(100, "day"))
    tomorrow = NOON_NS + DAY_NS
    late, today = Gateway(control, "a"), Gateway(control, "b", part=1)
    late.asks(50, 50, at_ns=NOON_NS)
    assert late.asks(60, 60, at_ns=tomorrow).leased == 50
    assert not today.asks(0, 20, at_ns=tomorrow).is_revoked


def test_a_lease_that_is_over_is_not_opened_again(control: Control) -> None:
    Tenants(control).set_budget(budget(100))
    gateway = Gateway(control, "a")
    gateway.asks(50, 50)
    gateway.asks(0, 0, 20, over=True)
    again = gateway.asks(60, 60, 20)
    assert (again.leased, again.left, again.end_ns) == (20, 80, NOON_NS)
    (standing,) = Leases(control).standings(NOON_NS)
    assert (standing.spent, standing.leased, standing.left) == (20, 0, 80)


def test_another_ask_under_a_number_already_heeded_changes_nothing(control: Control) -> None:
    Tenants(control).set_budget(budget(100))
    gateway = Gateway(control, "a")
    assert gateway.asks(50, 50, serial=7).leased == 50
    assert gateway.asks(70, 70, serial=7).leased == 50


def test_who_spent_more_than_it_held_holds_what_it_spent(control: Control) -> None:
    """100 = 50 of b + 50 of a, which spent 60: 10 more than there are, so that others give back."""
    Tenants(control).set_budget(budget(100))
    a, b = Gateway(control, "a"), Gateway(control, "b")
    a.asks(50, 50)
    b.asks(50, 50)
    assert a.asks(80, 80, 60).leased == 50
    (standing,) = Leases(control).standings(NOON_NS)
    assert (standing.spent, standing.leased, standing.left) == (60, 50, -10)
    assert b.asks(0, 50, at_ns=NOON_NS + 6 * 10**9).is_revoked


def test_of_a_budget_that_was_removed_all_but_what_is_spent_goes_back(control: Control) -> None:
    Tenants(control).set_budget(budget(100))
    gateway = Gateway(control, "a")
    gateway.asks(50, 50)
    Tenants(control).remove_budget("b")
    assert [gateway.asks(0, target, 5).leased for target in (60, 30, 0)] == [50, 30, 5]


def test_what_is_said_of_a_removed_budget_is_kept(control: Control) -> None:
    Tenants(control).set_budget(budget(100))
    gateway = Gateway(control, "a")
    gateway.asks(50, 50)
    Tenants(control).remove_budget("b")
    gateway.asks(0, 30, 5, at_ns=NOON_NS + 1)
    (lease,) = Leases(control).open()
    assert (lease.serial, lease.leased, lease.spent, lease.heard_ns) == (2, 30, 5, NOON_NS + 1)
    assert gateway.asks(0, 0, 7, over=True).leased == 7
    assert Leases(control).open() == []
    (lease,) = Leases(control).of_boot("a")
    assert (lease.serial, lease.leased, lease.spent, lease.is_open) == (3, 7, 7, False)


# How long after a refusal → whether others are to give back what they do not use. The clock of another machine may be
# behind, and a clock may be set back.
REVOCATIONS = [(0, True), (8 * 10**9 - 1, True), (8 * 10**9, False), (-1, True), (-3600 * 10**9, False)]


@pytest.mark.parametrize(("after_ns", "is_revoked"), REVOCATIONS)
def test_for_eight_seconds_after_a_refusal_others_give_back(control: Control, after_ns: int, is_revoked: bool) -> None:
    Tenants(control).set_budget(budget(100))
    a, b = Gateway(control, "a"), Gateway(control, "b")
    a.asks(100, 100)
    assert not a.asks(0, 100).is_revoked, "nothing is left, and nobody is short"
    b.asks(1, 1)
    assert a.asks(0, 100, at_ns=NOON_NS + after_ns).is_revoked is is_revoked


def test_who_is_refused_hears_what_others_hold(control: Control) -> None:
    """Not what it holds itself in another lease, nor leases that are over or of another day or budget."""
    for id in "bc":
        Tenants(control).set_budget(budget(100, "day", id))
    a, over, asking = Gateway(control, "a"), Gateway(control, "over"), Gateway(control, "asking")
    a.asks(40, 40)
    over.asks(20, 20)
    over.asks(0, 0, 10, over=True)
    Gateway(control, "asking", part=1).asks(15, 15)
    Gateway(control, "yesterday").asks(10, 10, at_ns=NOON_NS - DAY_NS)
    Gateway(control, "other", budget="c").asks(10, 10)
    assert asking.asks(20, 20).elsewhere == ()
    refused = asking.asks(90, 90)
    assert [(lease.boot, lease.leased) for lease in refused.elsewhere] == [("a", 40)]


def test_the_lease_of_a_dead_process_ends_alone_and_once(control: Control) -> None:
    for id in "bc":
        Tenants(control).set_budget(budget(100, id=id))
    asked = [("a", 0, "b"), ("a", 1, "b"), ("z", 0, "b"), ("a", 0, "c")]
    for boot, part, id in asked:
        Gateway(control, boot, part, id).asks(10, 10)
    leases = Leases(control)
    dead = leases.open()[0]
    assert leases.end(dead, 4, NOON_NS + 1)
    assert [(lease.boot, lease.part, lease.budget) for lease in leases.open()] == asked[1:]
    (ended,) = [lease for lease in leases.of_boot("a") if not lease.is_open]
    assert (ended.budget, ended.part, ended.spent, ended.heard_ns) == ("b", 0, 4, NOON_NS + 1)
    assert not leases.end(dead, 9, NOON_NS + 2)
    assert [lease.spent for lease in leases.of_boot("a")] == [4, 0, 0]


def test_a_budget_that_is_not_there_leases_nothing(control: Control) -> None:
    assert Gateway(control, "a").asks(1, 1) == LeaseState(leased=0, left=0, amount=0, end_ns=1 << 63, is_revoked=True)


PERIODS = [
    ("day", "2026-11-20T00:00", "2026-11-20", "2026-11-21"),
    ("day", "2026-12-31T23:59", "2026-12-31", "2027-01-01"),
    ("month", "2026-11-20T12:00", "2026-11-01", "2026-12-01"),
    ("month", "2026-12-31T23:59", "2026-12-01", "2027-01-01"),
    ("month", "2028-02-29T00:00", "2028-02-01", "2028-03-01"),
]


@pytest.mark.parametrize(("period", "at", "begin", "end"), PERIODS)
def test_periods_are_utc(period: str, at: str, begin: str, end: str) -> None:
    def instant_ns(text: str) -> int:
        return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**9

    assert bounds(period, instant_ns(at)) == (instant_ns(begin), instant_ns(end))


def test_amounts_beyond_sixty_three_bits(control: Control) -> None:
    amount = picodollars(Decimal("250000000000.000000000001"))  # a partner's commitment over years
    Tenants(control).set_budget(budget(amount))
    assert Gateway(control, "a").asks(amount, amount).leased == amount
    assert Gateway(control, "b").asks(1, 1).leased == 0


class Granting(RuleBasedStateMachine):
    """Three processes that ask for anything, late, twice, after their period and after the budget was changed."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.control = Control.open(Path(self.folder.name) / "control.db")
        self.tenants, self.leases = Tenants(self.control), Leases(self.control)
        self.lowest = self.amount = 50
        self.tenants.set_budget(budget(50))
        self.serials = [0, 0, 0]
        self.spent = [0, 0, 0]
        self.holds = [0, 0, 0]

    def teardown(self) -> None:
        self.control.close()
        self.folder.cleanup()

    @rule(number=st.integers(0, 2), least=st.integers(0, 60), more=st.integers(0, 60), late=st.integers(0, 2))
    def ask(self, number: int, least: int, more: int, late: int) -> None:
        self.serials[number] += 1
        serial = max(self.serials[number] - late, 1)
        wanted = LeaseRequest(
            budget="b",
            boot=str(number),
            part=0,
            pid=1,
            serial=serial,
            spent=self.spent[number],
            least=least,
            target=least + more,
            is_over=False,
        )
        (held,) = self.leases.lease([wanted], NOON_NS)
        self.holds[number] = held.leased

    @rule(number=st.integers(0, 2), share=st.integers(0, 100))
    def spend(self, number: int, share: int) -> None:
        self.spent[number] += (self.holds[number] - self.spent[number]) * share // 100

    @rule(amount=st.integers(0, 80))
    def change(self, amount: int) -> None:
        self.tenants.set_budget(budget(amount))
        self.amount = amount

    @invariant()
    def never_beyond_the_amount(self) -> None:
        gone = sum(lease.gone for lease in self.leases.open())
        assert gone == sum(self.holds)
        assert all(spent <= held for spent, held in zip(self.spent, self.holds, strict=True))
        before, self.gone_before = getattr(self, "gone_before", 0), gone
        assert gone <= max(self.amount, before), "more was granted than there is"


TestGranting = Granting.TestCase
TestGranting.settings = settings(max_examples=15, stateful_step_count=15, deadline=None)

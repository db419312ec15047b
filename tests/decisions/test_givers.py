"""Parties that may give a right on a day: owners, holders of permissions to license, and a right's fate after them."""

from collections.abc import Sequence
from datetime import date

import pytest

from clauseway.agreement import Licence, Ownership, Permission, TermState
from clauseway.agreement.language.actions import LICENSE
from clauseway.agreement.language.terms import AnyTerm
from clauseway.decisions.givers import Givers, LostRight
from clauseway.values import FOREVER, Citation

APP = frozenset({"app", "apps"})


def on(text: str) -> date:
    return date.fromisoformat(f"2026-{text}")


def cited(id: str) -> Citation:
    return Citation(term=id, amendment="A1", document="A1.md", line=1, source="", text="")


def stating(term: AnyTerm, begin: str, end: str, right: AnyTerm | None = None) -> TermState:
    return TermState(
        term=term,
        amendment="A1",
        order=0,
        as_of=on("12-31"),
        begin=on(begin),
        end=on(end) if end else FOREVER,
        ended_by=term.citation,
        right=right,
    )


def owns(party: str, begin: str = "01-01", end: str = "", product: str = "app") -> TermState:
    id = f"{party}-owns-{product}"
    term = Ownership(id=id, citation=cited(id), begins=on(begin), party=party, products=frozenset({product}))
    return stating(term, begin, end)


def may(
    party: str, grantor: str = "", begin: str = "01-01", end: str = "", product: str = "apps", action: str = LICENSE
) -> TermState:
    id = f"{party}-may"
    term = Permission(
        id=id,
        citation=cited(id),
        begins=on(begin),
        party=party,
        grantor=grantor,
        actions=frozenset({action}),
        products=frozenset({product}),
    )
    return stating(term, begin, end)


def among(*states: TermState) -> Givers:
    return Givers.of(states)


# The maker owns the app until 1 June, the heir from 1 July; the agent may license from February on, for the maker.
SOLD = among(owns("maker", end="06-01"), owns("heir", "07-01"), may("agent", "maker", "02-01"))

# On a day → the owner, and whether the maker, the agent and the heir may give a right.
DAYS = [
    ("01-01", "maker", (True, False, False)),
    ("01-31", "maker", (True, False, False)),
    ("02-01", "maker", (True, True, False)),
    ("05-31", "maker", (True, True, False)),
    ("06-01", "", (False, False, False)),
    ("06-30", "", (False, False, False)),
    ("07-01", "heir", (False, False, True)),
]


@pytest.mark.parametrize(("day", "owner", "may_give"), DAYS)
def test_who_may_give_on_a_day(day: str, owner: str, may_give: tuple[bool, ...]) -> None:
    assert SOLD.owner(APP, on(day)) == owner
    assert tuple(SOLD.may_give(party, APP, on(day)) for party in ("maker", "agent", "heir")) == may_give
    assert not SOLD.may_give("maker", frozenset({"goods"}), on(day))


# A grant of a day, seen on another → who recorded it: the owner then, or the first since.
GRANTORS = [
    ("03-01", "12-31", "maker"),
    ("06-10", "12-31", "heir"),
    ("06-10", "07-01", "heir"),
    ("06-10", "06-30", ""),
    ("07-01", "07-01", "heir"),
]


@pytest.mark.parametrize(("granted", "as_of", "grantor"), GRANTORS)
def test_who_recorded_a_grant(granted: str, as_of: str, grantor: str) -> None:
    assert SOLD.grantor(APP, on(granted), on(as_of)) == grantor
    assert among(owns("maker", product="goods")).grantor(APP, on(granted), on(as_of)) == ""


# Permissions beside the maker's ownership → those by which the seller may license it on, its own first.
LINKS: list[tuple[list[TermState], list[str] | None]] = [
    ([], None),
    ([may("seller", action="sell")], None),
    ([may("seller", product="goods")], None),
    ([may("agent")], None),
    ([may("seller")], ["seller-may"]),
    ([may("seller", "maker")], ["seller-may"]),
    ([may("seller", "agent")], None),
    ([may("seller", "agent"), may("agent", "maker")], ["seller-may", "agent-may"]),
    ([may("seller", "agent"), may("agent", "clerk"), may("clerk")], ["seller-may", "agent-may", "clerk-may"]),
    # Two that may because the other says so may not.
    ([may("seller", "agent"), may("agent", "seller")], None),
    ([may("seller", "agent"), may("agent", "clerk"), may("clerk", "agent")], None),
    ([may("seller", "agent"), may("agent", "seller"), may("seller", "maker")], ["seller-may"]),
]


@pytest.mark.parametrize(("permissions", "links"), LINKS)
def test_by_what_a_right_is_passed_on(permissions: Sequence[TermState], links: list[str] | None) -> None:
    givers = among(owns("maker"), *permissions)
    result = givers.links("seller", APP, on("05-01"))
    assert (result and [state.term.id for state in result]) == links
    assert givers.may_give("seller", APP, on("05-01")) is (links is not None)
    assert givers.links("maker", APP, on("05-01")) == ()


# Of a right for days, given by whom → until when it could be given; None if never.
UNTIL = [
    ("maker", "01-01", "05-01", "05-01"),
    ("maker", "01-01", "06-01", "06-01"),
    ("maker", "01-01", "06-02", "06-01"),
    ("maker", "06-01", "12-31", None),
    ("maker", "05-31", "05-31", "05-31"),  # it ends when it begins, and is judged by that day
    ("heir", "01-01", "06-15", None),
    ("heir", "01-01", "12-31", "12-31"),
    ("agent", "01-01", "12-31", "06-01"),
    ("agent", "01-01", "01-31", None),
]


@pytest.mark.parametrize(("giver", "begin", "end", "until"), UNTIL)
def test_until_when_a_right_could_be_given(giver: str, begin: str, end: str, until: str | None) -> None:
    assert SOLD.given_until(giver, APP, on(begin), on(end)) == (until and on(until))


def test_a_giver_that_can_again_has_fallen_twice() -> None:
    givers = among(owns("maker", end="03-01"), owns("heir", "03-01", "05-01"), owns("maker", "05-01", "08-01"))
    assert list(givers.falls("maker", APP, on("01-01"), on("12-31"))) == [
        (on("03-01"), on("05-01")),
        (on("08-01"), None),
    ]
    assert list(givers.falls("maker", APP, on("01-01"), on("03-01"))) == []
    assert list(givers.falls("heir", APP, on("01-01"), on("12-31"))) == [(on("05-01"), None)]
    assert givers.given_until("maker", APP, on("01-01"), on("12-31")) == on("08-01")


def licence(begin: str, end: str = "", licensor: str = "maker") -> TermState:
    term = Licence(
        id="use",
        citation=cited("use"),
        begins=on(begin),
        licensor=licensor,
        licensee="shop",
        products=frozenset({"app"}),
    )
    return stating(term, begin, end)


# A licence of the maker, and the day asked about → since when it holds no more, and whether it fell with the maker.
LOST: list[tuple[TermState, str, tuple[str, bool] | None]] = [
    (licence("02-01"), "01-31", None),  # it has not begun
    (licence("02-01"), "05-31", None),
    (licence("02-01"), "06-01", ("06-01", True)),
    (licence("02-01"), "12-31", ("06-01", True)),
    (licence("02-01", "04-01"), "03-31", None),
    (licence("02-01", "04-01"), "04-01", ("04-01", False)),
    (licence("02-01", "09-01"), "12-31", ("06-01", True)),
    (licence("03-01", "03-01"), "03-01", ("03-01", False)),  # given, and ended on that day
    (licence("06-01"), "12-31", None),  # the maker could never give it
    (licence("06-01", "07-01"), "12-31", None),
    (licence("02-01", licensor="heir"), "12-31", None),
    (may("shop", "", "02-01", "04-01", action="sell"), "12-31", ("04-01", False)),
]


@pytest.mark.parametrize(("state", "as_of", "lost"), LOST)
def test_since_when_a_right_is_lost(state: TermState, as_of: str, lost: tuple[str, bool] | None) -> None:
    expected = lost and LostRight(state, on(lost[0]), fell=lost[1])
    assert SOLD.lost(state, APP, on(as_of)) == expected
    # An exclusivity that the right wrote is lost with it.
    beside = stating(owns("nobody").term, state.begin.strftime("%m-%d"), "", right=state.term)
    if state.end == FOREVER:
        loss = SOLD.lost(beside, APP, on(as_of))
        assert (loss and (loss.day, loss.fell)) == (expected and (expected.day, expected.fell))


def test_of_rights_that_were_lost_the_last_in_time_ranks_highest() -> None:
    early, late = (LostRight(licence("01-01"), on(day), fell=False) for day in ("03-01", "04-01"))
    assert max((late, early), key=lambda lost: lost.rank) is late


# A permission to sell of whom, for which days → since when it is lost. The owner's own gave it nothing.
PERMISSIONS = [
    (may("shop", "", "02-01", "04-01", action="sell"), "04-01"),
    (may("shop", "maker", "02-01", action="sell"), "06-01"),
    (may("maker", "", "02-01", "04-01", action="sell"), None),
    (may("maker", "", "02-01", "06-01", action="sell"), None),
    (may("maker", "", "02-01", "06-02", action="sell"), "06-02"),
    (may("heir", "", "07-01", "07-01", action="sell"), None),
    (licence("02-01", "04-01"), None),
]


@pytest.mark.parametrize(("state", "day"), PERMISSIONS)
def test_since_when_a_permission_is_lost(state: TermState, day: str | None) -> None:
    loss = SOLD.lost_permission(state, APP, on("12-31"))
    assert (loss and loss.day) == (day and on(day))


# Ownership that passed on 1 June: the earlier owner, and the later one, who could give rights from then on.
PASSED = owns("maker", end="06-01"), owns("heir", "06-01")
BROKEN = [
    (PASSED, "maker", "06-01", ["maker-owns-app", "heir-owns-app"]),
    (PASSED, "maker", "06-02", []),
    (PASSED, "heir", "06-01", []),
    ((*PASSED, may("agent", "maker")), "agent", "06-01", ["maker-owns-app", "heir-owns-app", "agent-may"]),
    ((*PASSED, may("agent", "other")), "agent", "06-01", []),
    ((owns("maker"), may("agent", end="06-01")), "agent", "06-01", ["agent-may"]),
    ((owns("maker"), may("agent", "maker", end="06-01")), "agent", "06-01", ["agent-may"]),
    ((owns("maker"), may("agent", "clerk"), may("clerk", end="06-01")), "agent", "06-01", ["clerk-may", "agent-may"]),
    ((owns("maker"), may("agent", "clerk"), may("clerk", "agent")), "agent", "06-01", []),
]


@pytest.mark.parametrize(("states", "giver", "day", "broken"), BROKEN)
def test_what_took_from_a_giver_what_it_could_give(
    states: Sequence[TermState], giver: str, day: str, broken: list[str]
) -> None:
    assert [state.term.id for state in among(*states).broken(giver, APP, on(day))] == broken

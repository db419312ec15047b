"""The control database: what is appended once, what is refused, and what is there after opening it again."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import date
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.engine.interfaces import CacheStats
from sqlalchemy.exc import IntegrityError

from clauseway.ledger import Account, Conflict, Entry, Inputs, Posting, Settlement
from clauseway.storage import ApiKey, Control, Overlap, Sealed
from clauseway.storage.books.books import Books, Closed
from clauseway.storage.control import engines, schema
from clauseway.storage.control.control import kept_open
from clauseway.storage.control.engines import Place
from clauseway.storage.control.sqlite_check import damage_in
from clauseway.storage.lake.file_list import keep_listing, listing_of
from clauseway.values import Citation, Interval
from database_connections import connections_made

KEY = ApiKey(
    digest="d1",
    key_id="key_1",
    organisation="Contoso",
    project="search",
    seller="openai",
    segment="any",
    created_ns=5,
)
CLAUSE = Citation(term="A5.share", amendment="A5", document="A5.md", line=7, source="S2", text="OpenAI pays, “capped”.")
MAY = Interval(date(2026, 5, 1), date(2026, 6, 1))


@pytest.fixture
def control(place: Place) -> Iterator[Control]:
    opened = Control.open(place)
    yield opened
    opened.close()


def sealed(first: int, end: int, spool: str = "s", segment: int = 1, day: str = "2026-05-01") -> Sealed:
    return Sealed(
        spool=spool,
        segment=segment,
        first_frame=first,
        end_frame=end,
        digest="f" * 64,
        usage_rows=1,
        intent_rows=0,
        first_day=date.fromisoformat(day) if day else None,
        last_day=date.fromisoformat(day) if day else None,
        sealed_ns=9,
    )


def entry(identity: str, amount: str) -> Entry:
    legs = [("expense", Decimal(amount)), ("payable", Decimal(amount).copy_negate())]
    return Entry(
        id=identity,
        reference="accrual|line",
        day=date(2026, 5, 31),
        narration="openai to microsoft",
        postings=tuple(
            Posting(Account("openai", kind, "revenue-share", "microsoft"), value, "USD", (CLAUSE,))
            for kind, value in legs
        ),
    )


def settlement(receipt: str) -> Settlement:
    inputs = Inputs(agreement="a", price_book="b", batches=(), known_at="everything", engine="test")
    return Settlement(period=MAY, shares=(), ended=(), assumptions=(), needs_order=(), inputs=inputs, receipt=receipt)


def test_keys_are_added_once_and_revoked_once(control: Control) -> None:
    control.add_key(KEY)
    control.add_key(KEY)
    other = msgspec.structs.replace(KEY, digest="d2", key_id="key_2", created_ns=6)
    control.add_key(other)
    assert control.keys() == [KEY, other]
    assert control.revoke_key("key_1", 10)
    assert not control.revoke_key("key_1", 11)
    assert control.keys() == [other]
    assert control.keys(with_revoked=True) == [msgspec.structs.replace(KEY, revoked_ns=10), other]


@pytest.mark.parametrize("change", [{"digest": "d2"}, {"key_id": "key_2"}, {"seller": "microsoft"}])
def test_no_two_keys_share_an_id_or_a_digest(control: Control, change: dict[str, str]) -> None:
    control.add_key(KEY)
    with pytest.raises(IntegrityError):
        control.add_key(msgspec.structs.replace(KEY, **change))
    assert control.keys() == [KEY]


# Frames 10 ≤ n < 20 of segment 1 of spool s are sealed. Another batch → is it new, the same, or refused?
BATCHES = [
    (sealed(10, 20), "same"),
    (sealed(0, 10), "new"),
    (sealed(20, 30), "new"),
    (sealed(10, 20, segment=2), "new"),
    (sealed(10, 20, spool="t"), "new"),
    (sealed(9, 11), "overlap"),
    (sealed(19, 21), "overlap"),
    (sealed(12, 15), "overlap"),
    (sealed(0, 40), "overlap"),
    (sealed(10, 21), "overlap"),
    (sealed(9, 20), "overlap"),
]


@pytest.mark.parametrize(("batch", "outcome"), BATCHES)
def test_batches_never_overlap(control: Control, batch: Sealed, outcome: str) -> None:
    held = sealed(10, 20)
    assert control.commit_batch(held)
    if outcome == "overlap":
        with pytest.raises(Overlap):
            control.commit_batch(batch)
    else:
        assert control.commit_batch(batch) is (outcome == "new")
    assert control.batches() == ([held, batch] if outcome == "new" else [held])


def test_batches_by_day(control: Control) -> None:
    assert control.first_and_last_day() is None
    for number, day in enumerate(["2026-04-30", "2026-05-01", "2026-05-31", "2026-06-01", ""]):
        control.commit_batch(sealed(number, number + 1, day=day))
    assert [batch.first_frame for batch in control.batches(MAY)] == [1, 2]
    assert len(control.batches()) == 5
    assert control.first_and_last_day() == (date(2026, 4, 30), date(2026, 6, 1))
    assert [control.sealed_to("s", 1), control.sealed_to("s", 2)] == [5, 0]


def test_sealed_usage_is_named_by_day(control: Control) -> None:
    """A name of many batches: another batch of the day changes it, intents alone do not."""
    names = []
    for number, day in enumerate(["2026-05-02", "2026-05-01", "", "2026-05-01"]):
        control.commit_batch(sealed(number, number + 1, day=day))
        names.append({usage.first_day.day: usage.name for usage in listing_of(control).usage})
    assert [list(named) for named in names] == [[2], [2, 1], [2, 1], [2, 1]]
    assert names[1] == names[2] != names[3]
    assert names[0][2] == names[3][2]
    assert names[2][1] != names[3][1]


def test_a_listing_reads_the_batches_since_the_one_that_was_kept(control: Control) -> None:
    for number, day in enumerate(["2026-05-02", "2026-05-01", "", "2026-05-01"]):
        control.commit_batch(sealed(number, number + 1, day=day))
    whole = listing_of(control)
    keep_listing(control, whole)
    control.commit_batch(sealed(4, 5, day="2026-05-02"))
    since = listing_of(control)
    assert listing_of(control, use_kept=False) == since
    assert [before == now for before, now in zip(whole.usage, since.usage, strict=True)] == [False, True]
    # Batches that are named already are not read: if they could change, nobody would see it here.
    keep_listing(control, since)
    with control.unchained() as connection:
        connection.execute(update(schema.manifest).where(schema.manifest.c.first_frame < 4).values(digest="e" * 64))
    assert listing_of(control) == since


def test_a_listing_that_was_kept_of_other_batches_is_not_used(control: Control) -> None:
    """A copy of the database may lack the manifest's rows; later batches then get the same numbers."""
    for number, day in enumerate(["2026-05-02", "2026-05-01"]):
        control.commit_batch(sealed(number, number + 1, day=day))
    keep_listing(control, listing_of(control))
    with control.unchained() as connection:
        connection.execute(delete(schema.manifest))
    assert listing_of(control).usage == ()
    control.commit_batch(sealed(7, 8, day="2026-05-03"))
    assert [usage.first_day for usage in listing_of(control).usage] == [date(2026, 5, 3)]


def test_of_many_writers_one_commits_a_batch(control: Control) -> None:
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(lambda _: control.commit_batch(sealed(0, 5)), range(16)))
    assert sorted(outcomes) == [False] * 15 + [True]
    assert len(control.batches()) == 1


def test_facts_keep_the_order_in_which_they_were_recorded(control: Control) -> None:
    for day in ("2026-05-10", "2026-04-28"):
        control.record_fact(
            kind="launch", effective=date.fromisoformat(day), payload='{"cloud":"aws"}', source="P", recorded_ns=7
        )
    facts = control.facts()
    assert [str(fact.effective) for fact in facts] == ["2026-05-10", "2026-04-28"]
    assert facts[0].sequence < facts[1].sequence


def test_the_journal_is_idempotent_by_id(control: Control) -> None:
    first, second = entry("one", "5.00"), entry("two", "0.01")
    assert control.post([first], 1) == 1
    assert control.post([first, second], 2) == 1
    assert control.entries() == [first, second]


def test_a_conflict_posts_nothing(control: Control) -> None:
    control.post([entry("one", "5.00")], 1)
    with pytest.raises(Conflict):
        control.post([entry("two", "1.00"), entry("one", "5.01")], 2)
    assert [e.id for e in control.entries()] == ["one"]


def test_amounts_keep_every_digit(control: Control) -> None:
    exact = entry("one", "12345678901234567890123456.789012345678")
    control.post([exact], 1)
    assert control.entries() == [exact]


def test_a_settlement_and_its_entries_are_one_transaction(control: Control) -> None:
    control.post([entry("one", "5.00")], 1)
    with pytest.raises(Conflict):
        control.settle(settlement("r1"), [entry("one", "6.00")], 2)
    assert control.settlements() == []
    assert control.settle(settlement("r1"), [entry("two", "6.00")], 3) == 1
    assert control.settle(settlement("r1"), [entry("two", "6.00")], 4) == 0
    assert control.settlements(MAY) == [settlement("r1")]
    assert control.settlements(Interval(date(2026, 4, 1), date(2026, 5, 1))) == []
    with pytest.raises(Conflict):
        control.settle(msgspec.structs.replace(settlement("r1"), needs_order=(date(2026, 5, 2),)), [], 5)


def test_the_latest_settlement_of_a_period_stands_last(control: Control) -> None:
    for number, receipt in enumerate(["r1", "r2", "r2", "r1"]):
        control.settle(settlement(receipt), [], number)
    assert [kept.receipt for kept in control.settlements(MAY)] == ["r1", "r2", "r1"]


def test_what_stands_is_read_without_what_it_took_the_place_of(control: Control) -> None:
    """A month that is settled every night has a settlement for each, and a page shows one of them."""
    april = Interval(date(2026, 4, 1), MAY.begin)
    for number, receipt in enumerate(["r1", "r2", "r3"]):
        control.settle(settlement(receipt), [], number)
        control.settle(msgspec.structs.replace(settlement(f"april {receipt}"), period=april), [], number)
    Books(control).close(Closed(period=april, receipt="april r2", digest="", statement=b"{}", closed_ns=9))
    with control.writing() as connection:
        replaced = schema.settlements.c.receipt.in_(["r1", "r2", "april r1", "april r3"])
        connection.execute(update(schema.settlements).where(replaced).values(body="not to be decoded"))
    books = Books(control)
    assert books.standing_receipts() == {april: "april r2", MAY: "r3"}
    assert [kept and kept.receipt for kept in map(books.standing, (april, MAY))] == ["april r2", "r3"]
    assert books.standing(Interval(date(2026, 6, 1), date(2026, 7, 1))) is None


def test_everything_is_there_after_opening_again(place: Place) -> None:
    first = Control.open(place)
    first.add_key(KEY)
    first.commit_batch(sealed(0, 1))
    first.post([entry("one", "5.00")], 1)
    first.close()
    again = Control.open(place)
    assert (again.keys(), again.batches(), again.entries()) == ([KEY], [sealed(0, 1)], [entry("one", "5.00")])
    again.close()


def test_what_one_home_asked_is_not_compiled_again_for_another(tmp_path: Path) -> None:
    """A home is opened anew for each command, and statements take longer to compile than to execute."""
    asked = select(schema.usage_contents.c.attempts, schema.usage_contents.c.day)
    hits = []
    for name in ("ours", "theirs"):
        control = Control.open(tmp_path / f"{name}.db")
        with control.reading() as connection:
            hits.append(connection.execute(asked).context.cache_hit)
        control.close()
    assert hits[1] is CacheStats.CACHE_HIT


def test_a_database_is_opened_and_read_while_another_writes(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "_BUSY_TIMEOUT_S", 1)  # what waits for the writer ends soon
    control = Control.open(place)
    with control.writing():
        other = Control.open(place)
        assert other.keys() == []
        other.close()
    control.close()


def test_control_data_can_be_had_without_the_engines_of_the_lake() -> None:
    heavy = "{'pyarrow', 'duckdb', 'ibis', 'pandas'}"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys, clauseway.storage; print(sorted({heavy} & set(sys.modules)))"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_a_database_that_is_kept_open_is_opened_once(control: Control, place: Place, tmp_path: Path) -> None:
    with connections_made() as made, kept_open(place):
        for number in range(3):
            with closing(Control.open(place)) as again:
                again.add_key(msgspec.structs.replace(KEY, digest=f"d{number}", key_id=f"key_{number}"))
        with kept_open(place), closing(Control.open(place)) as within:
            assert len(within.keys()) == 3
        with closing(Control.open(place)) as still:
            assert len(still.keys()) == 3
        assert len(made) == 1
        # Another place is opened and closed as ever.
        for _ in range(2):
            with closing(Control.open(tmp_path / "another.db")) as another:
                assert not another.keys()
        assert len(made) == 3
    with closing(Control.open(place)) as after:
        assert len(after.keys()) == 3


@pytest.mark.parametrize("name", ["what?", "a%41", "a#1", "per cent %", "new\nline"])
def test_a_path_may_have_any_character(name: str, tmp_path: Path) -> None:
    """Taken for an address, a path would name another file: two homes would share it, and everybody could read it."""
    path = tmp_path / name / "control.db"
    path.parent.mkdir()
    Control.open(path).close()
    assert [folder.name for folder in tmp_path.iterdir()] == [name]
    assert path.read_bytes().startswith(b"SQLite format 3")
    assert damage_in(path) == ""

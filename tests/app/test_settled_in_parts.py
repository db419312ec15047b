"""A month in parts: each day summed by itself, in any order, is the month counted whole, to the last byte.

`settled_book`: usage on 20, 26, 27 and 28 April and on 2 and 3 May, sealed as one batch; what comes late is another.
"""

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from itertools import permutations
from pathlib import Path

import msgspec
import pytest
from bench.price_tables import open_prices
from sqlalchemy import select, update

import settled_book
from clauseway.app.books.basis import change_prices, change_rates
from clauseway.app.books.settling import settle_days, settle_month
from clauseway.app.opening.home import Home
from clauseway.app.opening.library import open_agreement
from clauseway.app.usage.compacting import compact_lake
from clauseway.app.usage.sealing import open_lake
from clauseway.ledger import Settlement
from clauseway.pricing import PriceTable
from clauseway.storage.control import schema
from in_process import CLAUSEWAY, answer, run

BOOK = open_prices(settled_book.KNOWN)
APRIL = ("2026-04-20", "2026-04-26", "2026-04-27", "2026-04-28")
FIGURES = tuple(flag for figure in settled_book.ACCEPTED for flag in ("--assume", figure))
HEADER = "product,cloud,seller,region,unit,begin,end,known_at,usd_per_million,source\n"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return settled_book.sealed(tmp_path / "home")


def days(home: Home, wanted: Sequence[str], prices: PriceTable = BOOK) -> dict[str, tuple[int, Decimal, bool]]:
    """Days summed: requests, USD, and whether nothing had to be read."""
    done = settle_days(home, open_agreement(), prices, wanted[0][:7], wanted, settled_book.ACCEPTED, {})
    return {str(day.day): (day.requests, day.amount, day.was_kept) for day in done}


def settle(home: Home, *, from_scratch: bool = False, prices: PriceTable = BOOK) -> Settlement:
    return settle_month(home, open_agreement(), prices, "2026-04", settled_book.ACCEPTED, {}, from_scratch=from_scratch)


def both(home: Home, prices: PriceTable = BOOK) -> Settlement:
    """Settle on the days that are kept, and in a copy from scratch: the same, to the last byte."""
    copy = Home(Path(shutil.copytree(home.root, home.root.with_name("copy"))))
    kept = settle(home, prices=prices)
    assert msgspec.json.encode(kept) == msgspec.json.encode(settle(copy, from_scratch=True, prices=prices))
    shutil.rmtree(copy.root)
    return kept


def unread(home: Home) -> Iterator[str]:
    """The days of April whose charges are kept as they are now."""
    return (day for day, (_, _, was_kept) in days(home, APRIL).items() if was_kept)


def hashed_days(home: Home) -> list[str]:
    """The days whose usage is hashed, so that no settlement reads it for that."""
    with open_lake(home) as lake, lake.control.reading() as connection:
        return sorted(map(str, connection.scalars(select(schema.usage_contents.c.day))))


# day · requests · USD (see the table of `settled_book`)
SUMMED = [
    ("2026-04-19", 0, "0"),
    ("2026-04-20", 2, "3.30"),
    ("2026-04-26", 1, "0.90"),
    ("2026-04-27", 1, "0.22"),
    ("2026-04-28", 2, "4.775"),
]


@pytest.mark.parametrize(("day", "requests", "amount"), SUMMED)
def test_a_day_by_hand(home: Home, day: str, requests: int, amount: str) -> None:
    assert days(home, [day]) == {day: (requests, Decimal(amount), False)}
    assert days(home, [day]) == {day: (requests, Decimal(amount), requests > 0)}


def test_people_read_whether_a_day_was_summed_now(home: Home) -> None:
    flags = ("settle", "--period", "2026-04", "--home", str(home.root), *FIGURES, "--part", "2026-04-20")
    for when in ("summed now, and kept", "kept before, unchanged"):
        assert run(*flags).stdout == f"2026-04-20  2 requests, USD 3.30: {when}\n"
    assert run(*flags[:-1], "2026-04-21").stdout == "2026-04-21  no usage that is charged\n"


@pytest.mark.parametrize("order", list(permutations(APRIL))[::5], ids=lambda order: "-".join(day[-2:] for day in order))
def test_days_in_any_order_are_the_month(home: Home, order: tuple[str, ...]) -> None:
    for day in order[:3]:
        days(home, [day])
    both(home)
    assert list(unread(home)) == list(APRIL)


def test_days_side_by_side_are_the_month(home: Home) -> None:
    """Each by a process of its own, as a scheduler starts them; the same day by two of them, and others by nobody."""
    settle_flags = ("settle", "--period", "2026-04", "--home", str(home.root), *FIGURES)

    def summed(day: str) -> int:
        command = [str(CLAUSEWAY), *settle_flags, "--part", day]
        return subprocess.run(command, capture_output=True, check=False).returncode

    with ThreadPoolExecutor(3) as pool:
        assert set(pool.map(summed, (*APRIL[:2], APRIL[0]))) == {0}
    again = answer(*settle_flags, *(flag for day in APRIL for flag in ("--part", day)))
    kept = {day["day"]: day["was_kept"] for day in again["days"]}
    assert kept == {APRIL[0]: True, APRIL[1]: True, APRIL[2]: False, APRIL[3]: False}
    assert answer(*settle_flags) == answer(*settle_flags, "--from-scratch")


def test_a_part_leaves_the_settlement_nothing_to_read(home: Home) -> None:
    """Each part may be another machine's. A statement names its usage by the hash of each day, which is kept too."""
    for day in APRIL:
        days(home, [day])
    assert hashed_days(home) == list(APRIL)
    both(home)


def test_a_late_record_redoes_its_day_alone(home: Home) -> None:
    settle(home)
    settled_book.seal(home, [(50, "04-27", 9, 1, 1, (100_000, 0, 10_000))])
    assert days(home, APRIL) == {
        "2026-04-20": (2, Decimal("3.30"), True),
        "2026-04-26": (1, Decimal("0.90"), True),
        "2026-04-27": (2, Decimal("0.62"), False),  # 0.22, and 0.1 × 2.50 + 0.01 × 15.00
        "2026-04-28": (2, Decimal("4.775"), True),
    }
    both(home)


def test_files_that_are_merged_redo_nothing(home: Home) -> None:
    settled_book.seal(home, [(50, "04-27", 9, 1, 1, (100_000, 0, 10_000))])
    settle(home)
    compact_lake(home)
    assert list(unread(home)) == list(APRIL)


def test_another_price_redoes_every_day(home: Home, tmp_path: Path) -> None:
    """A price that is not in force on a day may still decide how finely the day is summed."""
    settle(home)
    book = tmp_path / "book.csv"
    prices = ("input_tokens", "4.00"), ("output_tokens", "15.00")
    book.write_text(
        HEADER + "".join(f"gpt-5.4,aws,,,{unit},2026-04-28,,2026-04-28,{usd},a notice\n" for unit, usd in prices)
    )
    change_prices(home, "the notice came late", file=book, of_this_version=False, alone=False)
    dearer = open_prices(settled_book.KNOWN, book)
    summed = days(home, APRIL, dearer)
    assert not any(was_kept for _, _, was_kept in summed.values())
    assert summed["2026-04-28"][1] == Decimal("5.95")  # 1 × 4.00 + 0.05 × 15.00, and 0.3 × 2.50 + 0.03 × 15.00
    both(home, dearer)


def test_a_row_that_was_edited_is_not_there(home: Home) -> None:
    settle(home)
    with open_lake(home) as lake, lake.control.writing() as connection:
        columns = schema.kept_sums.c
        row = connection.execute(select(schema.kept_sums).where(columns.place == f"charges of {APRIL[0]}")).one()
        edited = row.body.replace("2.5", "9.5")
        assert edited != row.body
        connection.execute(update(schema.kept_sums).where(columns.place == row.place).values(body=edited))
    assert list(unread(home)) == list(APRIL[1:])


REFUSED = [
    (("--part", "2026-05-04"), "not a day of the month"),
    (("--part", "4 May"), "is not a day"),
    (("--part", "2026-04-20", "--known-at", "2026-06-05"), "--part with"),
    (("--part", "2026-04-20", "--from-scratch"), "--part with"),
    (("--part", "2026-04-20", "--under", "A3"), "--part with"),
    (("--part", "2026-04-20", "--second-opinion", "spark"), "--part with"),
    (("--part", "2026-04-20", "--spark-master", "local[2]"), "--spark-master without Spark"),
    (("--known-at", "2026-06-05", "--from-scratch"), "--known-at with --from-scratch"),
    (("--under", "A3", "--from-scratch"), "--under with --from-scratch"),
]


@pytest.mark.parametrize(
    ("flags", "says"), REFUSED, ids=lambda given: "-".join(given) if isinstance(given, tuple) else ""
)
def test_what_is_no_part_is_refused(home: Home, flags: tuple[str, ...], says: str) -> None:
    done = run("settle", "--period", "2026-04", *flags, "--home", str(home.root))
    assert (done.returncode, done.stdout) == (3, "")
    assert says in done.stderr


def test_a_part_as_it_is_typed(home: Home) -> None:
    asked = ("settle", "--period", "2026-04", "--part", "2026-04-20", "--part", "2026-04-19", "--home", str(home.root))
    done = run(*asked, *FIGURES)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "2026-04-20  2 requests, USD 3.30: summed now, and kept",
        "2026-04-19  no usage that is charged",
    ]
    assert answer(*asked, *FIGURES)["days"][0] == {
        "day": "2026-04-20",
        "lines": 2,
        "requests": 2,
        "amount": "3.300000000000",
        "was_kept": True,
    }


RATES = "day,base,quote,rate\n2026-04-01,EUR,USD,1.05\n2026-04-27,EUR,USD,1.10\n"
# A line of rates that comes later · the days that are summed again
RATES_LATER = [
    ("2026-05-29,EUR,USD,1.20\n", []),
    ("2026-04-27,GBP,USD,1.30\n", ["2026-04-27", "2026-04-28"]),
    ("2026-04-20,EUR,USD,1.06\n", ["2026-04-20", "2026-04-26"]),
]


@pytest.mark.parametrize(("line", "again"), RATES_LATER)
def test_a_rate_redoes_the_days_on_which_it_counts(home: Home, tmp_path: Path, line: str, again: list[str]) -> None:
    rates, book = tmp_path / "rates.csv", tmp_path / "book.csv"
    rates.write_text(RATES)
    units = ("input_tokens", "4.00"), ("cached_input_tokens", "0.40"), ("output_tokens", "20.00")
    rows = [f"gpt-5.4,,,,{unit},2026-04-01,,2026-04-01,{price},a notice,EUR\n" for unit, price in units]
    book.write_text(HEADER.replace("usd_per_million,source", "per_million,source,currency") + "".join(rows))
    prices = open_prices(settled_book.KNOWN, book, rates)
    settle_month(home, open_agreement(), prices, "2026-04", settled_book.ACCEPTED, {})
    rates.write_text(RATES + line)
    change_rates(home, "the bank said so", rates)
    summed = days(home, APRIL, open_prices(settled_book.KNOWN, book, rates))
    assert [day for day, (_, _, was_kept) in summed.items() if not was_kept] == again

"""Settling a month reads that month: what is kept of earlier ones is what a full recount comes to, whatever comes late.

Four months of `settled_book`'s buyers on its clouds, sales on the 5th and 20th of each; a share with a cap that falls
in the third month, and one without.
"""

import hashlib
import json
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import msgspec
import pytest
from bench.price_tables import open_prices
from sqlalchemy import delete, select, update

import settled_book
from clauseway.app.books import bookkeeping
from clauseway.app.books.basis import change_figures, change_prices
from clauseway.app.books.carrying import PriceNames
from clauseway.app.books.closing import close_month
from clauseway.app.books.settling import settle_month
from clauseway.app.opening.home import Home
from clauseway.app.opening.library import open_agreement
from clauseway.app.usage.sealing import open_lake
from clauseway.ledger import Settlement
from clauseway.pricing import PriceTable, parse_book
from clauseway.storage.control import schema
from clauseway.storage.lake.file_list import keep_listing
from clauseway.storage.usage.content import content_name, day_contents
from clauseway.values import Interval, InvalidInput, KnownAt, day_after
from in_process import run

KNOWN_BOOK = open_prices(settled_book.KNOWN)
# July is closed by a settlement that knew every price of it.
LATER_BOOK = open_prices(KnownAt.end_of(date(2026, 9, 30)))
TODAY = date(2026, 12, 1)
MONTHS = ("2026-04", "2026-05", "2026-06", "2026-07")
# April's A5 share is 2.00 at 20 % of 10.00 and so on; a cap of 6.00 is reached in June.
ACCEPTED = ("share-openai-microsoft", "share-microsoft-openai", "cap=6.00")


def rows(month: int, first: int, tokens: int = 500_000) -> list[tuple[int, str, int, int, int, tuple[int, int, int]]]:
    """Four requests of a month: two of openai's on two clouds, two of microsoft's."""
    days = (f"{month:02}-05", f"{month:02}-28")
    return [
        (first + number, day, 60 + number, buyer, deployment, (tokens, 0, 100_000))
        for number, (day, buyer, deployment) in enumerate((day, *who) for day in days for who in ((1, 1), (1, 2)))
    ]


def settle(
    home: Home,
    period: str,
    *,
    from_scratch: bool = False,
    prices: PriceTable = KNOWN_BOOK,
    accepted: tuple[str, ...] = ACCEPTED,
) -> Settlement:
    return settle_month(home, open_agreement(), prices, period, accepted, {}, from_scratch=from_scratch)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """April to June settled and closed; July has usage."""
    home = Home(tmp_path_factory.mktemp("made") / "home").make()
    for number, period in enumerate(MONTHS):
        settled_book.seal(home, rows(4 + number, 1 + 10 * number))
        if period != MONTHS[-1]:
            settle(home, period)
            close_month(home, period, TODAY)
    return home.root


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Home:
    return Home(Path(shutil.copytree(made, tmp_path / "home")))


def both(home: Home, period: str, **said: object) -> Settlement:
    """Settle on what is kept, and in a copy from scratch: the same, to the last byte."""
    copy = Home(Path(shutil.copytree(home.root, home.root.with_name("copy"))))
    kept = settle(home, period, **said)  # type: ignore[arg-type]
    counted = settle(copy, period, from_scratch=True, **said)  # type: ignore[arg-type]
    shutil.rmtree(copy.root)
    assert msgspec.json.encode(kept) == msgspec.json.encode(counted)
    return kept


def late_usage(home: Home) -> None:
    settled_book.seal(home, rows(4, 50, 300_000))


def credited(home: Home) -> None:
    sold = bookkeeping.Sold(request=settled_book.request(11))
    bookkeeping.credit(
        home, lambda: KNOWN_BOOK, bookkeeping.VoucherDraft(id="note-1", sold=sold, amount="1.00", day=TODAY)
    )


def disputed(home: Home) -> None:
    sold = bookkeeping.Sold(request=settled_book.request(2))
    bookkeeping.dispute(home, lambda: KNOWN_BOOK, bookkeeping.VoucherDraft(id="claim-1", sold=sold, day=TODAY))


def nothing(home: Home) -> None:
    assert home.is_begun


CAME: list[Callable[[Home], None]] = [nothing, late_usage, credited, disputed]


@pytest.mark.parametrize("came", CAME, ids=lambda change: change.__name__)
def test_whatever_comes_late_kept_sums_are_a_recount(home: Home, came: Callable[[Home], None]) -> None:
    came(home)
    july = both(home, "2026-07", prices=LATER_BOOK)
    assert bool(july.corrections) == (came is not nothing)
    close_month(home, "2026-07", TODAY)
    settled_book.seal(home, rows(8, 70))
    assert both(home, "2026-08", prices=LATER_BOOK).corrections == ()


def test_a_dispute_that_is_corrected_and_then_rejected_is_seen_again(home: Home) -> None:
    """April's inputs are in the end what they were at first, and what was told of April is not."""
    before = settle(home, "2026-07")
    disputed(home)
    july = both(home, "2026-07", prices=LATER_BOOK)
    assert july.corrections
    close_month(home, "2026-07", TODAY)
    bookkeeping.resolve(home, "answer-1", "claim-1", upheld=False, day=TODAY, reason="")
    august = both(home, "2026-08", prices=LATER_BOOK)
    back = {(correction.period, correction.line): correction.new for correction in august.corrections}
    assert {(correction.period, correction.line) for correction in july.corrections} == set(back)
    first = {(correction.period, correction.line): correction.old for correction in july.corrections}
    assert back == first
    assert not before.corrections


def test_another_figure_and_another_price_make_the_sums_anew(home: Home, tmp_path: Path) -> None:
    change_figures(home, "it was agreed otherwise", ["cap=4.00"])
    both(home, "2026-07", accepted=ACCEPTED[:2])
    book = tmp_path / "book.csv"
    header = "product,cloud,seller,region,unit,begin,end,known_at,usd_per_million,source\n"
    late = "2026-05-01,,2026-05-01"
    prices = ("input_tokens", "4.00"), ("output_tokens", "15.00")
    rows = [f"gpt-5.4,aws,,,{unit},{late},{price},a late notice\n" for unit, price in prices]
    book.write_text(header + "".join(rows), "utf-8")
    change_prices(home, "the notice came late", file=book, of_this_version=False, alone=False)
    july = both(home, "2026-07", prices=open_prices(settled_book.KNOWN, book), accepted=ACCEPTED[:2])
    assert {correction.period.begin for correction in july.corrections} >= {date(2026, 5, 1)}


def test_a_book_that_is_laid_out_anew_keeps_the_names_of_its_prices() -> None:
    """A remark above its lines changes no price, so the sums that were made with them stay."""
    header = "product,cloud,seller,region,unit,begin,end,known_at,usd_per_million,source\n"
    line = "gpt-5.4,aws,,,input_tokens,2026-05-01,,2026-05-01,%s,a notice\n"
    days = Interval(date(2026, 5, 1), date(2026, 6, 1))
    names = [
        PriceNames(PriceTable(parse_book(text, "book.csv"), KnownAt.everything())).in_force(days)
        for text in (header + line % 4, f"# Prices\n{header}{line % 4}", header + line % 5)
    ]
    assert names[0] == names[1] != names[2]


def test_only_the_month_itself_is_read(home: Home) -> None:
    wanted = settle(home, "2026-07")
    with open_lake(home) as lake:
        earlier = [file for file in lake.files() if not file.parent.name.startswith("2026-07")]
    assert earlier
    for file in earlier:
        file.unlink()
    assert settle(home, "2026-07") == wanted
    with pytest.raises((InvalidInput, OSError)):
        settle(home, "2026-07", from_scratch=True)


def kept(home: Home) -> list[tuple[str, str, str]]:
    with open_lake(home) as lake, lake.control.reading() as connection:
        columns = schema.kept_sums.c
        return [tuple(row) for row in connection.execute(select(columns.place, columns.name, columns.body))]


def falsify(home: Home, *, with_digest: bool) -> None:
    """Give every kept base 100.00 more, by hand; whoever knows how also the digest."""
    sums = kept(home)
    with open_lake(home) as lake, lake.control.writing() as connection:
        columns = schema.kept_sums.c
        for place, name, body in sums:
            if '"until"' in body:
                wrong = body.replace('"base":"', '"base":"1000')
                digest = hashlib.sha256(f"{name}\n{wrong}".encode()).hexdigest()
                values = {"body": wrong, **({"digest": digest} if with_digest else {})}
                connection.execute(update(schema.kept_sums).where(columns.place == place).values(**values))


def test_a_damaged_sum_is_not_believed_and_a_forged_one_is_found(home: Home) -> None:
    right = settle(home, "2026-07")
    falsify(home, with_digest=False)
    assert settle(home, "2026-07") == right
    falsify(home, with_digest=True)
    # Something else is settled anew, and so another receipt: July has more usage.
    settled_book.seal(home, rows(7, 90))
    wrong = settle(home, "2026-07")
    result = run("statement", "verify", "2026-07", "--home", str(home.root))
    assert result.returncode == 2, result.stderr
    assert "consumed" in result.stdout or "shares" in result.stdout or "line" in result.stdout
    later = open_prices(KnownAt(settled_book.KNOWN.instant_ns + 1))
    recounted = settle(home, "2026-07", from_scratch=True, prices=later)
    assert recounted.shares != wrong.shares
    assert both(home, "2026-07", prices=later).shares == recounted.shares
    assert run("statement", "verify", "2026-07", "--home", str(home.root)).returncode == 0


def test_a_forged_list_of_what_is_sealed_is_found(home: Home) -> None:
    """It hides the last day's usage from whoever reads it."""
    with open_lake(home) as lake:
        *earlier, july = lake.listing.usage
        hidden = msgspec.structs.replace(july, last_day=date(2026, 7, 27))
        forged = msgspec.structs.replace(lake.listing.sealed, usage=(*earlier, hidden))
        keep_listing(lake.control, msgspec.structs.replace(lake.listing, sealed=forged))
    wrong = settle(home, "2026-07")
    assert run("statement", "verify", "2026-07", "--home", str(home.root)).returncode == 2
    later = open_prices(KnownAt(settled_book.KNOWN.instant_ns + 1))
    recounted = settle(home, "2026-07", from_scratch=True, prices=later)
    assert recounted.shares != wrong.shares
    assert run("statement", "verify", "2026-07", "--home", str(home.root)).returncode == 0


def test_a_correction_that_is_posted_twice_by_a_forged_summary_is_found(home: Home) -> None:
    """July corrected April. Its summary is forged to say that it did not, so August corrects April again."""
    late_usage(home)
    assert settle(home, "2026-07", prices=LATER_BOOK).corrections
    close_month(home, "2026-07", TODAY)
    assert not settle(home, "2026-08", prices=LATER_BOOK).corrections
    assert run("statement", "verify", "2026-08", home=home.root).returncode == 0
    sums = kept(home)
    with open_lake(home) as lake, lake.control.writing() as connection:
        columns = schema.kept_sums.c
        # Months that were looked at on the same inputs are not looked at again.
        connection.execute(delete(schema.kept_sums).where(columns.body == ""))
        for place, name, body in sums:
            summary = json.loads(body) if place.startswith("told ") else {}
            if summary.get("corrections"):
                wrong = json.dumps(summary | {"corrections": []})
                digest = hashlib.sha256(f"{name}\n{wrong}".encode()).hexdigest()
                forged = update(schema.kept_sums).where(columns.place == place)
                connection.execute(forged.values(body=wrong, digest=digest))
    assert settle(home, "2026-08", prices=LATER_BOOK).corrections
    done = run("statement", "verify", "2026-08", home=home.root)
    assert done.returncode == 2
    assert "found as nothing" in done.stdout


def test_an_edited_note_of_usage_is_not_believed_and_a_forged_note_is_found(tmp_path: Path) -> None:
    """A month settled on a forged note does not repeat; settled from scratch, it is as it was."""
    home = settled_book.make(tmp_path / "home")

    def stated() -> str:
        return run("statement", "--period", "2026-05", "--format", "json", home=home.root).stdout

    before = stated()
    with open_lake(home) as lake, lake.control.writing() as connection:
        connection.execute(update(schema.usage_contents).values(attempts=schema.usage_contents.c.attempts + 1))
    assert run("settle", "--period", "2026-05", home=home.root).returncode == 0
    assert stated() == before
    with open_lake(home) as lake:
        for content in day_contents(lake, Interval(date(2026, 5, 1), date(2026, 6, 1))):
            forged = msgspec.structs.replace(content, attempts=content.attempts + 1)
            name = content_name(lake.usage_files(Interval(content.day, day_after(content.day))), forged)
            columns = schema.usage_contents.c
            with lake.control.writing() as connection:
                of_day = update(schema.usage_contents).where(columns.day == content.day)
                connection.execute(of_day.values(files=name, attempts=forged.attempts))
    assert run("statement", "verify", "2026-05", home=home.root).returncode == 0
    assert run("settle", "--period", "2026-05", home=home.root).returncode == 0
    repeated = run("statement", "verify", "2026-05", home=home.root)
    assert repeated.returncode == 2
    assert "it had 7 attempts in the period, and there are 5 here" in " ".join(repeated.stdout.split())
    assert run("settle", "--period", "2026-05", "--from-scratch", home=home.root).returncode == 0
    assert stated() == before

"""The price books that months were settled with, kept in the home by their hash.

The shipped book and the public list change with every version, an operator's own with every edit; a settled month is
explained and repeated with what it was settled with.
"""

import gzip
import os
from pathlib import Path

import msgspec

from clauseway.app.home import Home
from clauseway.app.prices import open_prices
from clauseway.ledger.rates import Rate, Rates
from clauseway.pricing import PriceBook, PriceTable
from clauseway.values import InvalidInput, KnownAt, Problem


class _Kept(msgspec.Struct, frozen=True):
    """Books in their order, and the rates of their currencies."""

    books: tuple[PriceBook, ...]
    rates: tuple[Rate, ...] | None
    rates_digest: str


def keep_prices(home: Home, prices: PriceTable) -> None:
    """Keep the books of a table; those that are kept already stay as they are."""
    path = _path(home, prices.digest)
    if path.exists():
        return
    rates = prices.exchange if isinstance(prices.exchange, Rates) else None
    kept = _Kept(prices.books, rates.all, rates.digest) if rates is not None else _Kept(prices.books, None, "")
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(f".{os.getpid()}")
    beside.write_bytes(gzip.compress(msgspec.json.encode(kept), mtime=0))
    beside.replace(path)


def settled_prices(home: Home, digest: str, known_at: KnownAt, path: Path | None = None) -> PriceTable:
    """The books that a month was settled with, by their hash: a file that is named, else what was kept, else those at
    hand, whose hash says whether they are others. Raises InvalidInput."""
    kept = _path(home, digest)
    if path is not None or not kept.exists():
        return open_prices(known_at, path)
    try:
        found = msgspec.json.decode(gzip.decompress(kept.read_bytes()), type=_Kept)
    except (OSError, EOFError, msgspec.DecodeError) as error:
        what, todo = "the kept price book cannot be read", "Remove the file, and name the book with --prices."
        raise InvalidInput(Problem(what=what, why=str(error), where=str(kept), todo=todo)) from None
    rates = None if found.rates is None else Rates(found.rates, str(kept), found.rates_digest)
    return PriceTable(found.books, known_at, rates)


def _path(home: Home, digest: str) -> Path:
    return home.root / "price-books" / f"{digest}.json.gz"

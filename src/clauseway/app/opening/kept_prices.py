"""The price books of homes from before the register: files named by the digest they settled with.

They are read and never written: `app.books.basis` keeps what is settled with now.
"""

import gzip

import msgspec

from clauseway.app.opening.home import Home
from clauseway.files.presence import is_there
from clauseway.ledger.exchange_rates import Rate, Rates
from clauseway.pricing import PriceBook
from clauseway.values import InvalidInput, cause_of


class _Kept(msgspec.Struct, frozen=True):
    """Price books in their order, and the rates of their currencies."""

    books: tuple[PriceBook, ...]
    rates: tuple[Rate, ...] | None
    rates_digest: str


def former_prices(home: Home, digest: str) -> tuple[tuple[PriceBook, ...], Rates | None] | None:
    """Return the books and rates that an older home kept under a digest; None where it has none.

    Raise InvalidInput where the file cannot be read.
    """
    path = home.root / "price-books" / f"{digest}.json.gz"
    if not is_there(path):
        return None
    try:
        kept = msgspec.json.decode(gzip.decompress(path.read_bytes()), type=_Kept)
    except (OSError, EOFError, msgspec.DecodeError) as error:
        problem = "the kept price book cannot be read"
        remedy = "Remove the file, and accept the book again: clauseway basis prices FILE --why …."
        raise InvalidInput.of(
            what=problem, why=cause_of(error), where=str(path), remedy=remedy
        ) from None
    rates = None if kept.rates is None else Rates(kept.rates, path.name, kept.rates_digest)
    return kept.books, rates

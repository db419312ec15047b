"""The formats of text in which other programs read the journal: the one list of them."""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from clauseway.exchange.journals.beancount import beancount_text
from clauseway.exchange.journals.hledger import hledger_text
from clauseway.ledger import Entry


class JournalFormat(msgspec.Struct, frozen=True):
    """A format: how it writes entries under a title, and the ending of its files."""

    write: Callable[[Sequence[Entry], str], str]
    ending: str


JOURNAL_FORMATS: Mapping[str, JournalFormat] = {
    "beancount": JournalFormat(beancount_text, "beancount"),
    "hledger": JournalFormat(hledger_text, "journal"),
}

"""The journal in the formats of accounting programs.

beancount, hledger  the journal in the text of each of these programs
journal_tables      the journal and the lines of statements as Arrow tables
accounting          the choice of entries and the roots of account names, for all formats

`JOURNAL_FORMATS` is the list of the text formats.
"""

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

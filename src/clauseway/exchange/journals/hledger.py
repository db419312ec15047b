"""The journal as an hledger journal that `hledger check --strict` accepts: accounts and commodities
declared.

    expense → expenses   income → income   receivable → assets   payable → liabilities

Account names include the party, so one file can hold all parties' books. The id and the clauses are
tags in comments. Format: https://hledger.org/hledger.html#journal
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal

from clauseway.exchange.journals.accounting import ROOTS, clauses_of, entries_of, first_uses
from clauseway.ledger import Account, Entry, Posting
from clauseway.values import unit_of


def hledger_text(entries: Iterable[Entry], title: str) -> str:
    """Return the entries as an hledger journal, in the order of their days."""
    in_order = entries_of(entries)
    uses = first_uses(in_order)
    declared = [
        *_commodities(in_order),
        *(f"account {account_name(account)}" for account in uses),
    ]
    parts = [
        f"; {_on_one_line(title)}",
        *(["\n".join(declared)] if declared else []),
        *map(_transaction, in_order),
    ]
    return "\n\n".join(parts) + "\n"


def _commodities(entries: Sequence[Entry]) -> list[str]:
    """Declare each currency with its decimal places, to which hledger rounds what it prints."""
    amounts: dict[str, list[Decimal]] = {}
    for entry in entries:
        for posting in entry.postings:
            amounts.setdefault(posting.currency, []).append(posting.amount)
    return [
        f"commodity {_sample(unit_of(currency, amounts[currency]))} {currency}"
        for currency in sorted(amounts)
    ]


def _sample(unit: Decimal) -> str:
    """Return a number with the decimal places of a unit; hledger needs the point even before
    none."""
    sample = f"{Decimal(1000).quantize(unit):,f}"
    return sample if "." in sample else f"{sample}."


def account_name(account: Account) -> str:
    """Return an account's name there: its kind's root, then party, name and the other party."""
    return ":".join(
        map(
            _component,
            filter(None, (ROOTS[account.kind].lower(), account.party, account.name, account.about)),
        )
    )


def _component(name: str) -> str:
    """Return a component without colon, which divides accounts, brackets, semicolon, or the two
    spaces that end a name."""
    kept = "".join(
        "-" if character in ':;()[]"*!' or not character.isprintable() else character
        for character in name
    )
    return "-".join(kept.split())


def _transaction(entry: Entry) -> str:
    described = _on_one_line(entry.narration).replace(";", ",").replace("|", "/")
    lines = [f"{entry.day} * {described}", f"    ; id: {_tagged(entry.id)}"]
    for posting in entry.postings:
        lines += _posting(posting)
    return "\n".join(lines)


def _posting(posting: Posting) -> list[str]:
    """Return a posting and its clauses."""
    clauses = clauses_of(posting)
    leg = f"    {account_name(posting.account)}  {posting.amount:f} {posting.currency}"
    return [leg, f"    ; clause: {_tagged(clauses)}"] if clauses else [leg]


def _tagged(text: str) -> str:
    """Return a tag's value: a comma would end it, and a date in brackets would be the posting's."""
    return _on_one_line(text).replace(",", " ·").replace("[", "(").replace("]", ")")


def _on_one_line(text: str) -> str:
    return " ".join(text.split())

"""The journal as beancount text. One file can hold all parties' books, because account names
include the party.

    expense → Expenses   income → Income   receivable → Assets   payable → Liabilities

Grammar: beancount's language syntax,
https://beancount.github.io/docs/beancount_language_syntax.html
"""

from collections.abc import Iterable

from clauseway.exchange.journals.accounting import ROOTS, clauses_of, entries_of, first_uses
from clauseway.ledger import Account, Entry, Posting


def beancount_text(entries: Iterable[Entry], title: str) -> str:
    """Return the entries as a beancount file: accounts opened on their first day of use, one
    transaction an entry."""
    in_order = entries_of(entries)
    # beancount refuses a posting to an account before its `open`.
    opens = [
        f"{day} open {account_name(account)} {','.join(sorted(currencies))}"
        for account, (day, currencies) in first_uses(in_order).items()
    ]
    return (
        "\n\n".join(
            [
                f'option "title" {_quoted(title)}',
                *(["\n".join(sorted(opens, key=_name))] if opens else []),
                *map(_transaction, in_order),
            ]
        )
        + "\n"
    )


def account_name(account: Account) -> str:
    """Return an account's name there: its kind's root, then party, name and other party as
    capitalised components."""
    return ":".join(
        (
            ROOTS[account.kind],
            *map(_component, filter(None, (account.party, account.name, account.about))),
        )
    )


def _name(opened: str) -> str:
    return opened.split(" ")[2]


def _component(name: str) -> str:
    """Return a component: it begins with a capital or a digit and holds letters, digits and
    dashes."""
    kept = "".join(
        character if character.isascii() and character.isalnum() else "-" for character in name
    ).strip("-")
    return "-".join(part[:1].upper() + part[1:] for part in kept.split("-"))


def _transaction(entry: Entry) -> str:
    lines = [f"{entry.day} * {_quoted(entry.narration)}", f"  id: {_quoted(entry.id)}"]
    for posting in entry.postings:
        lines += _posting(posting)
    return "\n".join(lines)


def _posting(posting: Posting) -> list[str]:
    """Return a posting and its clauses."""
    clauses = clauses_of(posting)
    leg = f"  {account_name(posting.account)}  {posting.amount:f} {posting.currency}"
    return [leg, f"    clause: {_quoted(clauses)}"] if clauses else [leg]


def _quoted(text: str) -> str:
    """Return a beancount string: quotes and backslashes escaped, on one line."""
    return '"' + " ".join(text.split()).replace("\\", "\\\\").replace('"', '\\"') + '"'

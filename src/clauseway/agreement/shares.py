"""Revenue shares as the ledger needs them: who pays whom, on which base, from when until when, and by which clause.

A share is read off the agreement for one point of knowledge; its interval already ends where an amendment or a
milestone ended it. Rates and caps are names of undisclosed figures, never numbers: only an assumption fills them.
"""

from datetime import date

import msgspec

from clauseway.values import Citation

_NONE: frozenset[str] = frozenset()


class ShareBase(msgspec.Struct, frozen=True, kw_only=True, rename="kebab"):
    """Whose sales a share is taken on.

    `sellers`: their own sales count in full. `wholesale_except`: where `wholesale` is true, what the payer earns from
    every other seller counts too, except from those named. `excludes`: product classes that are in no base.
    """

    sellers: frozenset[str]
    wholesale: bool = False
    wholesale_except: frozenset[str] = _NONE
    excludes: frozenset[str] = _NONE


class RevenueShare(msgspec.Struct, frozen=True, kw_only=True):
    """One direction of a revenue share, in force on the days `begin` ≤ day < `end` of event time.

    The share is due on the cumulative base since `begin`. `rate` and `cap` name undisclosed figures; an empty `cap`
    means there is none. `ended_by` cites what ended it, where something did.
    """

    term: str
    payer: str
    payee: str
    rate: str
    cap: str
    begin: date
    end: date
    base: ShareBase
    citation: Citation
    ended_by: Citation | None = None

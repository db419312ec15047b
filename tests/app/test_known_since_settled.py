"""A month is not closed by a settlement before which something became known that was at hand: an amendment announced
since, a price recorded since."""

from datetime import date
from pathlib import Path

import pytest
from bench.price_tables import open_prices

from clauseway.app.books.closing import close_month
from clauseway.app.books.settling import settle_month
from clauseway.app.opening.home import Home
from clauseway.app.opening.library import open_agreement
from clauseway.pricing import PriceTable
from clauseway.values import InvalidInput, KnownAt
from share_agreements import share_agreement

TODAY = date(2026, 7, 1)
SHARE = "\n```yaml term\nid: A1.share\nfloors: [{amount: USD 25, per: month}]\n"
# Announced on 3 February, in effect since 1 January: 40.00 a month.
RETROACTIVE = """---
id: A2
title: A higher minimum
announced: 2026-02-03
effective: 2026-01-01
sources: [contract]
---

## 2.1 Another minimum

The minimum is 40.00 from the beginning.

```yaml change
id: A2.ends
ends: [A1.share]
source: [contract]
```

```yaml term
id: A2.share
kind: revenue-share
payer: vendor
payee: partner
rate: 10 %
floors: [{amount: USD 40, per: month}]
base: {sellers: [vendor]}
source: [contract]
```
"""
# Verified on 16 January, told on 3 February: the share, and its minimum, ended after 15 of 31 days.
MILESTONE = """---
id: facts
title: What happened
---

```yaml facts
- {kind: milestone, effective: 2026-01-16, recorded: 2026-02-03, source: [contract], says: It was verified.}
```
"""
BOOK = """product,cloud,seller,region,unit,begin,end,known_at,usd_per_million,source
assistant,,,,input_tokens,2026-01-01,,2026-01-01,2.00,ours
assistant,,,,input_tokens,2026-01-15,,2026-02-03,1.00,a late notice
"""


def known(day: str, *books: Path) -> PriceTable:
    return open_prices(KnownAt.end_of(date.fromisoformat(day)), *books)


# known when January is settled → why it cannot be closed in July
CASES = [
    ("amendment", "the agreement changed after it was settled"),
    ("price", "prices or rates changed after"),
    ("fact", "facts"),
]
# The amount of January with each change
AMOUNTS = {"amendment": "40.00", "price": "25.00", "fact": "12.10"}


@pytest.mark.parametrize(("came", "why"), CASES, ids=[case[0] for case in CASES])
def test_what_was_at_hand_and_became_known_since_is_settled_first(tmp_path: Path, came: str, why: str) -> None:
    home, folder, book = Home(tmp_path / "home").make(), tmp_path / "agreement", tmp_path / "book.csv"
    share_agreement(folder, SHARE + ("until: milestone\n" if came == "fact" else ""))
    if came == "amendment":
        (folder / "A2.md").write_text(RETROACTIVE)
    if came == "fact":
        (folder / "facts.md").write_text(MILESTONE)
    book.write_text(BOOK if came == "price" else "\n".join(BOOK.splitlines()[:2]) + "\n")
    opened = open_agreement(folder)
    settled = settle_month(home, opened, known("2026-02-01", book), "2026-01", (), {})
    assert [str(share.amount) for share in settled.shares] == ["25.00"]
    assert settled.inputs.known_at == str(KnownAt.end_of(date(2026, 2, 1))), "what came later was left out"
    with pytest.raises(InvalidInput, match=why):
        close_month(home, "2026-01", TODAY)
    settled = settle_month(home, opened, known("2026-02-04", book), "2026-01", (), {})
    assert [str(share.amount) for share in settled.shares if share.amount] == [AMOUNTS[came]]
    assert settled.inputs.known_at == str(KnownAt.everything())
    close_month(home, "2026-01", TODAY)

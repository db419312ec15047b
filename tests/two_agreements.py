"""Small agreements to be in force at once: in each the maker owns the product, and it says one thing more, or less."""

from datetime import date

from clauseway.agreement import read_with_facts
from clauseway.decisions import AskedAgreement

DAY = date(2026, 6, 1)

# Words of an agreement beside "the maker owns its products", as text and as a term.
SAYS = {
    "nothing more": "",
    "the reseller may sell": """
id: may-sell
kind: permission
party: reseller
actions: [sell]
products: [app]
""",
    "anyone may sell": """
id: anyone
kind: permission
party: anyone
actions: [serve, sell]
products: [app]
""",
    "only the maker sells": """
id: only-maker
kind: exclusivity
actions: [sell]
products: [app]
only: {parties: [maker]}
""",
    "only east hosts": """
id: only-east
kind: exclusivity
actions: [serve]
products: [app]
only: {clouds: [east]}
""",
    "east first": """
id: east-first
kind: precedence
party: maker
first: east
actions: [serve]
products: [app]
binds: {READS: {every: every-product, new: first-shipped-since}}
unless: cannot-and-declines
since: 2020-01-01
""",
    "an offer first": """
id: offer-first
kind: refusal-right
holder: partner
actions: [serve]
products: [app]
subject: hosting
""",
    "a share is due": """
id: share
kind: revenue-share
payer: maker
payee: partner
rate: rate
base: {sellers: [maker]}
""",
}
# An agreement that does not name something, by what it does not name.
WITHOUT = {
    "does not name the product": "item",
    "does not name the reseller": "reseller",
    "does not name west": "west",
}


def agreement(name: str, says: str, effective: str = "2024-01-01") -> AskedAgreement:
    return AskedAgreement(*read_with_facts(documents(name, says, effective)))


def documents(name: str, says: str, effective: str = "2024-01-01") -> dict[str, str]:
    """The texts of an agreement, by file name."""
    unnamed = WITHOUT.get(says, "")
    parties = [party for party in ("maker", "partner", "reseller") if party != unnamed]
    clouds = [cloud for cloud in ("east: partner", "west: maker") if not unnamed or unnamed not in cloud]
    items = "products: {item: {class: app, first-shipped-by: 2019-01-01}}" if unnamed != "item" else "products: {}"
    definitions = f"""---
id: {name}
title: {name}
---

```yaml definitions
sources: {{T: the text}}
parties: [{", ".join(parties)}]
clouds: {{{", ".join(clouds)}}}
segments: [trade]
classes: {{app: {{actions: [serve, sell]}}}}
{items}
rules:
  unstated: Nothing is stated.
  owner: The owner may do what nothing forbids.
  grant: Others need a grant.
  share: A share is due where a term says so.
  licensee: A right ends with its licence.
readings:
  READS: {{says: It reads both ways., source: [T], options: [every, new]}}
figures:
  rate: {{says: The rate., value: 10 %, standing: ours, source: [T]}}
```
"""
    more = f"\n## 1.2 More\n\nMore.\n\n```yaml term{SAYS[says]}source: [T]\n```\n" if SAYS.get(says) else ""
    amendment = f"""---
id: A1
title: The first
announced: {effective}
effective: {effective}
---

## 1.1 Ownership

The maker owns its products.

```yaml term
id: owns
kind: ownership
party: maker
products: [app]
source: [T]
```
{more}"""
    return {"agreement.md": definitions, "A1.md": amendment}

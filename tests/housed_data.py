"""A small agreement about where data may be housed and who may sell: terms that keep to regions and sellers."""

import functools
from datetime import date

from clauseway import Decision, OpenAgreement, Question
from clauseway.agreement import FactRegister, read_agreement

DOCUMENTS = {
    "agreement.md": """---
id: housed
title: Housing and resale
---

```yaml definitions
sources:
  T: the text
parties: [maker, host, reseller, broker]
clouds: {north: host, south: host, own: maker}
regions:
  eu: {north: [north-1], south: [south-9]}
  us: {south: [south-1]}
segments: [state]
classes:
  apps: {actions: [serve, sell]}
products:
  app: {class: apps}
rules:
  unstated: Nothing is stated.
  owner: The owner may do what nothing forbids.
  grant: Others need a grant.
  share: A share is due where a term says so.
  licensee: A right ends with its licence.
```
""",
    "H1.md": """---
id: H1
title: Housing and resale
announced: 2024-01-01
effective: 2024-01-01
sources: [T]
---

## 1.1 The maker owns its applications

All of them.

```yaml term
id: H1.own-products
kind: ownership
party: maker
products: [apps]
source: [T]
```

## 1.2 In the EU only the north cloud serves

Data of the EU stays on one cloud.

```yaml term
id: H1.eu
kind: exclusivity
actions: [serve]
products: [apps]
regions: [eu]
only: {clouds: [north]}
source: [T]
```

## 1.3 What the state buys stays in the EU

Wherever else it might be served.

```yaml term
id: H1.state
kind: exclusivity
actions: [serve]
products: [apps]
segments: [state]
only: {regions: [eu]}
source: [T]
```

## 1.4 The reseller sells in the EU and the US

And needs no other grant for it.

```yaml term
id: H1.reseller
kind: permission
party: reseller
actions: [sell]
products: [apps]
regions: [eu, us]
source: [T]
```

## 1.5 What others sell is served on the hosts' clouds

The maker's own cloud is for its own sales.

```yaml term
id: H1.own
kind: exclusivity
actions: [serve]
products: [apps]
sellers: [reseller, broker]
only: {clouds: [north, south]}
source: [T]
```
""",
    "H2.md": """---
id: H2
title: The south cloud for the state
announced: 2026-06-01
effective: 2026-07-01
sources: [T]
---

## 2.1 What the maker itself sells to the state, the south cloud may serve in the EU too

The rest of 1.2 stands.

```yaml change
id: H2.ends
ends: [H1.eu]
source: [T]
```

```yaml term
id: H2.eu
kind: exclusivity
actions: [serve]
products: [apps]
regions: [eu]
only: {clouds: [north]}
except:
  - {segments: [state], sellers: [maker], regions: [eu]}
source: [T]
```
""",
}


@functools.cache
def opened() -> OpenAgreement:
    agreement = read_agreement(DOCUMENTS)
    return OpenAgreement(agreement, agreement.catalog, FactRegister())


def asking(
    action: str, party: str, cloud: str, seller: str, segment: str, region: str, day: date = date(2026, 1, 1)
) -> Question:
    return opened().question(
        action=action,
        party=party,
        product="app",
        cloud=cloud,
        seller=seller,
        segment=segment,
        region=region,
        as_of=day,
        known_at="2027-01-01",
    )


def answered(
    action: str, party: str, cloud: str, seller: str, segment: str, region: str, day: date = date(2026, 1, 1)
) -> Decision:
    return opened().answer(asking(action, party, cloud, seller, segment, region, day))

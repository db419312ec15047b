"""A small agreement without a mistake, and a way to put mistakes into it. Lines count from 1, as in an editor."""

AGREEMENT = """\
---
id: small
title: A small agreement
---

```yaml definitions
sources:
  T: the text
parties: [maker, buyer]
clouds: {own: maker, other: buyer}
segments: [trade]
classes:
  api: {actions: [serve, sell]}
  api.chat: {within: api, actions: [serve, sell]}
products:
  chat-1: {class: api.chat}
rules:
  unstated: Nothing is stated.
  owner: The owner may do what nothing forbids.
  grant: Others need a grant.
  share: A share is due where a term says so.
  licensee: A right ends with its licence.
readings:
  R1: {says: It reads both ways., source: [T], options: [a, b]}
commentary:
  K1: {says: A remark., source: [T], bears-on: grant, from: A1}
figures:
  rate: {says: The rate., value: 10 %, standing: ours, source: [T]}
```
"""

A1 = """\
---
id: A1
title: The first
announced: 2024-01-01
effective: 2024-01-01
sources: [T]
---

## 1.1 Ownership

The maker owns its products.

```yaml term
id: A1.own
kind: ownership
party: maker
products: [api]
source: [T]
```

## 1.2 One cloud

The products are served on the other cloud alone.

```yaml term
id: A1.only
kind: exclusivity
actions: [serve]
products: [api]
only: {clouds: [other]}
source: [T]
```

## 1.3 A share

The maker pays a share.

```yaml term
id: A1.share
kind: revenue-share
payer: maker
payee: buyer
rate: rate
base: {sellers: [maker]}
through: 2030-12-31
source: [T]
```
"""

A2 = """\
---
id: A2
title: The second
announced: 2025-01-01
effective: 2025-01-01
sources: [T]
---

## 2.1 Any cloud

The products may be served on any cloud.

```yaml change
id: A2.ends
ends: [A1.only]
source: [T]
```

## 2.2 Ship first

New products ship first on the other cloud.

```yaml term
id: A2.first
kind: precedence
party: maker
first: other
actions: [serve]
products: [api]
binds: {R1: {a: first-shipped-since, b: every-product}}
unless: cannot-and-declines
since: 2025-01-01
source: [T]
```
"""

DOCUMENTS = {"agreement.md": AGREEMENT, "A1.md": A1, "A2.md": A2}


def with_edits(*edits: tuple[str, int, str]) -> dict[str, str]:
    """The documents with lines replaced: (file, line, what stands there instead, possibly several lines)."""
    lines = {name: text.split("\n") for name, text in DOCUMENTS.items()}
    for name, line, text in edits:
        lines[name][line - 1] = text
    return {name: "\n".join(split) for name, split in lines.items()}

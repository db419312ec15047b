"""A small agreement to which a test adds a few terms, to be read beside the table of what they decide."""

import functools
from collections.abc import Iterable, Mapping
from datetime import date

from clauseway import Decision, KnownAt, OpenAgreement, Question
from clauseway.agreement import read_with_facts
from clauseway.decisions import ask

DEFINITIONS = """---
id: at-hand
title: A maker, its partner and others
---

```yaml definitions
sources:
  T: the text
parties: [maker, partner, rival, shop]
clouds: {own: maker, north: partner, south: rival}
segments: [state]
classes:
  apps: {actions: [serve, sell]}
  rooms: {actions: [contract-compute]}
  rights: {actions: [license, use-under-licence]}
products:
  app: {class: apps}
  tool: {class: apps}
rules:
  unstated: Nothing is stated.
  owner: The owner may do what nothing forbids.
  grant: Others need a grant.
  share: A share is due where a term says so.
  licensee: A right ends with its licence.
  %s
```
"""
AMENDMENT = """---
id: %s
title: The terms at hand
announced: %s
effective: %s
sources: [T]
---

## 1 Terms

They say what their blocks say.
"""
OWNED = """
id: own
kind: ownership
party: maker
products: [apps, rooms, rights]
"""
FACTS = """---
id: facts
title: What happened
---

```yaml facts
%s
```
"""


@functools.cache
def at_hand(terms: str, facts: tuple[str, ...] = (), rule: str = "", owned: str = OWNED) -> OpenAgreement:
    """The agreement with these terms, separated by empty lines; each fact is a line without its source."""
    return reading(documents(terms, facts, rule, owned))


def documents(terms: str, facts: Iterable[str] = (), rule: str = "", owned: str = OWNED) -> dict[str, str]:
    texts = {"agreement.md": DEFINITIONS % rule, "A1.md": amendment("A1", "2026-01-01", owned + "\n\n" + terms)}
    lines = [f"- {{{fact}, source: [T], says: It happened.}}" for fact in facts]
    return texts | ({"facts.md": FACTS % "\n".join(lines)} if lines else {})


def amendment(name: str, effective: str, blocks: str, announced: str = "") -> str:
    head = AMENDMENT % (name, announced or effective, effective)
    written = [part.strip() for part in blocks.split("\n\n") if part.strip()]
    return head + "".join(_block(block) for block in written)


def _block(text: str) -> str:
    kind = "term" if "kind:" in text else "change"
    return f"\n```yaml {kind}\n{text}\nsource: [T]\n```\n"


def reading(texts: Mapping[str, str]) -> OpenAgreement:
    return OpenAgreement(*read_with_facts(texts))


def asking(opened: OpenAgreement, question: str, as_of: str) -> Question:
    """`serve partner app north`: action, party, product and cloud; then `to=`, `seller=`, …"""
    words = question.split()
    action, party, *rest = (word for word in words if "=" not in word)
    product, cloud = (*rest, "", "")[:2]
    named = dict(word.split("=") for word in words if "=" in word)
    return ask(
        opened.agreement,
        opened.catalog,
        action=action,
        party=party,
        product=product,
        cloud=named.get("cloud", cloud),
        to=named.get("to", ""),
        seller=named.get("seller", ""),
        segment=named.get("segment", "any"),
        region=named.get("region", ""),
        as_of=date.fromisoformat(as_of),
        known_at=KnownAt.everything(),
    )


def decided(opened: OpenAgreement, question: str, as_of: str = "2026-06-01") -> Decision:
    """The answer to a question as `asking` reads it."""
    return opened.answer(asking(opened, question, as_of))


def cited(decision: Decision) -> list[str]:
    """Each reason of a decision as `bearing term: note`, in order."""
    return [f"{reason.bearing} {reason.term}: {reason.note}".removesuffix(": ") for reason in decision.reasons]

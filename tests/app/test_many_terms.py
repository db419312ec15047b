"""A decision compares the terms that name its product, however many an agreement has."""

from datetime import date
from pathlib import Path

import pytest

from clauseway import open_agreement
from clauseway.app.agreements.authoring import new_agreement
from clauseway.decisions import case
from clauseway.decisions.reach import outside

TERMS = 200
HEAD = (
    "---\nid: A3\ntitle: Many\nannounced: 2025-08-01\neffective: 2025-08-01\nsources: [contract]\n---\n\n## 3.1 Many\n"
)
TERM = """
```yaml term
id: A3.t{at}
kind: prohibition
parties: [vendor]
actions: [serve]
products: [p{at}]
source: [contract]
```
"""


def test_terms_on_other_products_are_not_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "many"
    new_agreement(folder)
    defined = folder / "agreement.md"
    last = "  next-assistant: {class: service.api}\n"
    more = "".join(f"  p{at}: {{class: service.api}}\n" for at in range(TERMS))
    defined.write_text(defined.read_text().replace(last, last + more))
    (folder / "A3.md").write_text(HEAD + "".join(TERM.format(at=at) for at in range(TERMS)))
    compared: set[str] = set()

    def noted(*given: object) -> str:
        compared.add(given[0].id)  # type: ignore[attr-defined]
        return outside(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(case, "outside", noted)
    decision = open_agreement(folder).decide(
        action="serve", party="vendor", product="p7", cloud="vendor-cloud", as_of=date(2026, 1, 1)
    )
    assert (decision.outcome, decision.reasons[0].term) == ("forbidden", "A3.t7")
    assert {term for term in compared if term.startswith("A3.")} == {"A3.t7"}

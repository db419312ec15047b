"""The agreement that `agreement new` begins, with shares of one's own in place of its own terms."""

from pathlib import Path

from clauseway.app.opening.library import OpenAgreement, open_agreement
from in_process import run

HEAD = """---
id: A1
title: A contract
announced: 2026-01-01
effective: 2026-01-01
sources: [contract]
---

## 1.1 Ownership

The vendor owns its services.

```yaml term
id: A1.ownership
kind: ownership
party: vendor
products: [service]
source: [contract]
```

## 1.2 Shares

The vendor pays the partner ten percent.
"""
SAYS = """kind: revenue-share
payer: vendor
payee: partner
rate: 10 %
base: {sellers: [vendor]}
source: [contract]
```
"""


def share_agreement(folder: Path, *shares: str, identity: str = "vendor-partner") -> OpenAgreement:
    """The agreement with these shares, each begun as ```` ```yaml term ````, and no amendment."""
    assert run("agreement", "new", str(folder)).returncode == 0
    (folder / "A2.md").unlink()
    (folder / "facts.md").unlink()
    (folder / "A1.md").write_text(HEAD + "".join(share + SAYS for share in shares))
    definitions = folder / "agreement.md"
    definitions.write_text(definitions.read_text().replace("id: vendor-partner\n", f"id: {identity}\n"))
    return open_agreement(folder)

"""The text of a first configuration, with comments for whoever edits it; and of an agreement that
only names what no other agreement names.

Files that exist are never overwritten, and the new files appear all or not at all.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path

import msgspec

from clauseway.app.drafting.vendors import OPERATORS
from clauseway.app.opening.places import A_PLACE, writing
from clauseway.catalog import Catalog
from clauseway.files import PRIVATE, write_first
from clauseway.files.presence import is_there
from clauseway.values import InvalidInput, Problem

# The folder of an agreement that states nothing, beside the configuration.
NAMES_FOLDER = "names"
PRICES_FILE = "prices.csv"
_COMMENT_WIDTH = 118

_READ_ON_ITS_WAY = (
    "The credential goes over http://, so anybody on the way can read it. Write https:// if the "
    "server has it, and leave this line out."
)


class DraftedDeployment(msgspec.Struct, frozen=True, kw_only=True):
    """A deployment to write, with comments above it."""

    name: str
    dialect: str
    url: str
    cloud: str
    seller: str
    auth: Mapping[str, object]
    models: Mapping[str, str]
    region: str
    settings: Mapping[str, str]
    snapshots: Mapping[str, str]
    # Quotas, limits and the like, by their names in the configuration.
    further: Mapping[str, int]
    plain_http: bool
    comments: tuple[str, ...]

    def text(self) -> str:
        lines = [*_commented(self.comments), "[[deployment]]"]
        for key in ("name", "dialect", "url", "cloud", "seller", "region"):
            lines.append(f"{key} = {_value(getattr(self, key))}")
        lines.append(f"auth = {_value(self.auth)}")
        lines.append(f"models = {_value(self.models)}")
        for key in ("settings", "snapshots"):
            if table := getattr(self, key):
                lines.append(f"{key} = {_value(table)}")
        lines += [f"{key} = {_value(value)}" for key, value in self.further.items()]
        if self.plain_http:
            lines += _commented([_READ_ON_ITS_WAY])
            lines.append(f"plain_http = {_value(self.plain_http)}")
        return "\n".join(lines) + "\n"


class LeftOut(msgspec.Struct, frozen=True, kw_only=True):
    """A model that is not served: why, and what makes it served."""

    name: str
    why: str
    remedy: str

    def text(self) -> str:
        sentences = (f"Not served: {self.name}: {self.why}", self.remedy)
        return "\n".join(_commented(filter(None, sentences))) + "\n"


class DraftedConfiguration(msgspec.Struct, frozen=True, kw_only=True):
    """A configuration to write. `sections` are tables of settings by name."""

    head: tuple[str, ...]
    agreements: tuple[str, ...]
    names: Mapping[str, str]
    sections: Mapping[str, Mapping[str, object]]
    deployments: tuple[DraftedDeployment, ...]
    left_out: tuple[LeftOut, ...]

    def text(self) -> str:
        """Return the file's text."""
        parts = ["\n".join(_commented(self.head)) + "\n", self._above()]
        for name, settings in self.sections.items():
            lines = [f"{key} = {_value(value)}" for key, value in settings.items()]
            parts.append("\n".join([f"[{name}]", *lines]) + "\n")
        parts += [deployment.text() for deployment in self.deployments]
        parts += [left.text() for left in self.left_out]
        return "\n".join(parts)

    def _above(self) -> str:
        lines = [
            "# A sale that no agreement in force mentions is served; a sale that an agreement forbids is",
            '# refused either way. "refuse" serves only what an agreement permits.',
            'unstated = "serve"',
        ]
        if self.agreements:
            lines.append("# Agreements in force: folders, or names of those that ship.")
            lines.append(f"agreement = {_value(self.agreements)}")
        if self.names:
            lines += ["", "# Other names that clients may ask for = the product that each means."]
            lines.append("[names]")
            lines += [f"{_key(name)} = {_value(product)}" for name, product in self.names.items()]
        return "\n".join(lines) + "\n"


def unnamed(
    deployments: Iterable[DraftedDeployment], catalog: Catalog, shipped: frozenset[str]
) -> tuple[dict[str, str], list[str], list[str]]:
    """Return the clouds (with their operators), parties and products of deployments that neither
    the catalog of the agreements in force nor the shipped one knows."""
    clouds: dict[str, str] = {}
    parties: dict[str, None] = {}
    products: dict[str, None] = {}
    for deployment in deployments:
        operator = OPERATORS.get(deployment.cloud, deployment.seller)
        if deployment.cloud not in catalog.clouds:
            clouds.setdefault(deployment.cloud, operator)
            # An agreement must define the operators of its clouds, even if another names them too.
            parties[operator] = None
        for party in (deployment.seller, operator):
            if party not in catalog.parties:
                parties[party] = None
        for product in deployment.models:
            if product not in catalog.products and product not in shipped:
                products[product] = None
    return clouds, list(parties), list(products)


def names_agreement(
    clouds: Mapping[str, str], parties: Sequence[str], products: Sequence[str], day: date
) -> dict[str, str]:
    """Return the texts of an agreement that names these and states nothing about them."""
    return {
        "agreement.md": _AGREEMENT.format(
            parties=", ".join(parties),
            clouds="\n".join(f"  {cloud}: {party}" for cloud, party in clouds.items()) or "  {}",
            products="\n".join(f"  {product}: {{class: models}}" for product in products) or "  {}",
        ),
        "A1.md": _AMENDMENT.format(day=day),
    }


def write_new(files: Mapping[Path, str]) -> None:
    """Write new files. Raise InvalidInput with those that exist already; then write none."""
    there = [path for path in files if is_there(path)]
    if there:
        raise InvalidInput(
            *(
                Problem(
                    what="there is a file already",
                    why="nothing is overwritten",
                    where=str(path),
                    remedy="Move it away, or name another place with --out.",
                )
                for path in there
            )
        )
    for path, text in files.items():
        with writing(path, A_PLACE):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_first(path, text.encode(), mode=PRIVATE)


def _commented(sentences: Iterable[str]) -> list[str]:
    """Return sentences as lines of comments; an empty one is an empty comment."""
    lines: list[str] = []
    for sentence in sentences:
        line = "#"
        # One line each: what came from outside must not end a comment.
        for word in sentence.split():
            if len(line) + 1 + len(word) > _COMMENT_WIDTH and line != "#":
                lines.append(line)
                line = "#"
            line += " " + "".join(c if c.isprintable() else "?" for c in word)
        lines.append(line)
    return lines


def _key(name: str) -> str:
    is_bare = name.isascii() and name.replace("-", "").replace("_", "").isalnum()
    return name if is_bare else _value(name)


def _value(value: object) -> str:
    """Return a value as TOML. A basic string of TOML escapes as JSON does, and DEL besides."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        inner = ", ".join(f"{_key(str(key))} = {_value(part)}" for key, part in value.items())
        return f"{{{inner}}}"
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_value, value))}]"
    return str(value)


_AGREEMENT = """\
---
id: names
title: Names that no agreement states anything about
---

# Names that no agreement states anything about

Vendors, their clouds and their models that are bought and served here and stand in no contract that Clauseway reads.
No term speaks of them, so every answer about them is *unstated*, and `unstated = "serve"` serves them. Write a clause
into A1.md, or into an amendment of its own, once there is one; `clauseway agreement check` looks at it.

```yaml definitions
sources: {{ours: our own list}}
parties: [{parties}]
# cloud: who operates it
clouds:
{clouds}
segments: [any]
classes: {{models: {{actions: [serve, sell]}}}}
products:
{products}
rules:
  unstated: No agreement states anything about it.
  owner: The owner may do what no term in force forbids.
  grant: Anyone but the owner needs a grant by the owner.
  share: A revenue share is due only where a term in force makes it due.
  licensee: A right that rested on a licence ends with it.
```
"""
_AMENDMENT = """\
---
id: A1
title: Nothing is stated yet
announced: {day}
effective: {day}
---

# Nothing is stated yet

No clause restricts or permits anything yet.
"""

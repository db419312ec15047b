"""Valid agreements drawn at random: other names, one to four amendments, terms of every kind, changes of earlier ones.
Some tell sellers or regions apart.

Also the built-in agreement under other names.
"""

import re
import tempfile
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path

from hypothesis import strategies as st

from clauseway import OpenAgreement, open_agreement
from clauseway.agreement import builtin

PARTIES = ("maker", "host", "rival", "shop")
CLOUDS = {"own": "maker", "north": "host", "south": "rival"}
CLASSES = {
    "api": "{}",
    "api.chat": "{within: api, actions: [serve, sell]}",
    "api.voice": "{within: api, actions: [serve, sell]}",
    "lab": "{actions: [serve]}",
    "rooms": "{actions: [contract-compute]}",
    "rights": "{actions: [license, use-under-licence]}",
}
PRODUCTS = {"chat-1": "api.chat", "chat-2": "api.chat", "voice-1": "api.voice"}
SCOPES = (*CLASSES, *PRODUCTS)

DEFINITIONS = f"""---
id: generated
title: A generated agreement
---

```yaml definitions
sources:
  T: the text
parties: [{", ".join(PARTIES)}]
clouds: {{{", ".join(f"{cloud}: {operator}" for cloud, operator in CLOUDS.items())}}}
segments: [trade]
classes:
{chr(10).join(f"  {name}: {known}" for name, known in CLASSES.items())}
products:
{chr(10).join(f"  {name}: {{class: {known}}}" for name, known in PRODUCTS.items())}
rules:
  unstated: Nothing is stated.
  owner: The owner may do what nothing forbids.
  grant: Others need a grant.
  share: A share is due where a term says so.
  licensee: A right ends with its licence.
readings:
  R1: {{says: It reads both ways., source: [T], options: [a, b]}}
figures:
  rate: {{says: The rate., value: 10 %, standing: ours, source: [T]}}
  secret: {{says: Nobody knows., value: USD 1000000, standing: reported, source: [T]}}
  hidden: {{says: Nobody knows this either., value: 12 %, standing: reported, source: [T]}}
```
"""


# The kinds of which terms are drawn below.
KINDS_DRAWN: set[str] = set()


def _drawn(lines: str) -> None:
    KINDS_DRAWN.add(lines.partition("\n")[0].removeprefix("kind: "))


def _some(names: Sequence[str]) -> st.SearchStrategy[str]:
    """A list of names as YAML."""
    return st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True).map(
        lambda chosen: f"[{', '.join(chosen)}]"
    )


def _optional(key: str, names: Sequence[str]) -> st.SearchStrategy[str]:
    """A further entry of a mapping as YAML, or none: an empty list is refused."""
    return st.just("") | _some(names).map(lambda listed: f", {key}: {listed}")


def _term(lines: str, **parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    _drawn(lines)
    return st.fixed_dictionaries(parts).map(lambda drawn: lines.format(**drawn))


def _between(lines: str, **parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """A term between two parties, as `one` and `other`: nobody owes or grants itself anything."""
    _drawn(lines)
    two = st.lists(st.sampled_from(PARTIES), min_size=2, max_size=2, unique=True)
    return st.tuples(two, st.fixed_dictionaries(parts)).map(
        lambda drawn: lines.format(one=drawn[0][0], other=drawn[0][1], **drawn[1])
    )


_party = st.sampled_from(PARTIES)
_clouds = tuple(CLOUDS)
# Terms that the reader refuses are not drawn: a licence takes no cloud, capacity has no seller.
HOSTED = ("serve", "sell")
LICENSED = ("license", "use-under-licence")
_only_hosted = st.one_of(
    _some(_clouds).map("{{clouds: {}}}".format),
    _some(PARTIES).map("{{parties: {}}}".format),
    st.sampled_from(("{sellers: [shop]}", "{regions: [inland]}")),
)
_only_licensed = st.one_of(
    _some(PARTIES).map("{{parties: {}}}".format),
    _some(PARTIES).map("{{licensees: {}}}".format),
)
_except = st.sampled_from(
    (
        *("", "except: [{segments: [trade]}]", "except: [{clouds: [own], actions: [serve]}]"),
        "except: [{sellers: [rival], regions: [elsewhere]}]",
    )
)
_where = st.sampled_from(
    (
        *("", "clouds: [south]", "segments: [trade]", "clouds: [own, north]\nsegments: [any]"),
        *("sellers: [shop, host]", "regions: [inland, elsewhere]"),
    )
)
_binds = st.sampled_from(("every-product", "first-shipped-since", "{R1: {a: first-shipped-since, b: every-product}}"))
_unless = st.sampled_from(("cannot-and-declines", "{R1: {a: cannot-and-declines, b: cannot-or-declines}}"))
_hosted = {"actions": _some(HOSTED), "products": _some(SCOPES)}
_placed = {"actions": _some((*HOSTED, "contract-compute")), "products": _some(SCOPES)}
_offered = {"actions": _some(("license",)), "products": _some(SCOPES)}
_licensed = {"actions": _some(LICENSED), "products": _some(SCOPES)}
TERMS = st.one_of(
    _term("kind: ownership\nparty: {party}\nproducts: {products}", party=_party, products=_some(SCOPES)),
    _term(
        "kind: permission\nparty: {party}\nactions: {actions}\nproducts: {products}\n{where}\n{despite}",
        party=st.sampled_from((*PARTIES, "anyone")),
        where=_where,
        despite=st.sampled_from(("", "", "despite: [any]", "despite: [A1.own]")),
        **_hosted,
    ),
    _term(
        "kind: permission\nparty: {party}\nactions: {actions}\nproducts: {products}",
        party=st.sampled_from((*PARTIES, "anyone")),
        **_licensed,
    ),
    _term(
        "kind: exclusivity\nactions: {actions}\nproducts: {products}\nonly: {only}\n{where}\n{carved}",
        only=_only_hosted,
        where=_where,
        carved=_except,
        **_hosted,
    ),
    _term(
        "kind: exclusivity\nactions: {actions}\nproducts: {products}\nonly: {only}",
        only=_only_licensed,
        **_licensed,
    ),
    _term(
        "kind: prohibition\nparties: {parties}\nactions: {actions}\nproducts: {products}\n{where}\n{carved}",
        parties=st.just("[anyone]") | _some(PARTIES),
        where=_where,
        carved=_except,
        **_hosted,
    ),
    _term(
        "kind: precedence\nparty: {party}\nfirst: {first}\nactions: {actions}\nproducts: {products}\n"
        "binds: {binds}\n{unless}\nsince: 2024-06-01",
        party=_party,
        first=st.sampled_from(_clouds),
        binds=_binds,
        unless=_unless.map("unless: {}".format) | st.just("lead-days: 30"),
        **_placed,
    ),
    _term(
        "kind: refusal-right\nholder: {party}\nactions: {actions}\nproducts: {products}\nexcept-clouds: {spared}\n"
        "subject: rooms",
        party=_party,
        spared=_some(_clouds),
        **_placed,
    ),
    _term(
        "kind: refusal-right\nholder: shop\ngrantor: {party}\nactions: {actions}\nproducts: {products}\nsubject: rooms",
        party=st.sampled_from(PARTIES[:3]),
        **_offered,
    ),
    _between(
        "kind: licence\nlicensor: {one}\nlicensee: {other}\nproducts: {products}\n"
        "carries: [{{actions: [serve, sell], products: [api]}}]",
        products=_some(SCOPES),
    ),
    _between(
        "kind: revenue-share\npayer: {one}\npayee: {other}\nrate: {rate}\nbase: {{sellers: [{one}]{excludes}}}\n{cap}",
        rate=st.sampled_from(("rate", "hidden")),
        excludes=_optional("excludes", SCOPES),
        cap=st.sampled_from(("", "cap: secret")),
    ),
    # Only an owner earns from other sellers.
    _term(
        "kind: revenue-share\npayer: maker\npayee: {other}\nrate: rate\n"
        "base: {{sellers: [maker], wholesale: true{apart}}}",
        other=st.sampled_from(PARTIES[1:]),
        apart=_optional("wholesale-except", PARTIES[1:]),
    ),
    _between("kind: commitment\nparty: {one}\nto: {other}\nabout: USD 5"),
    _between("kind: stake\nholder: {one}\nof: {other}\nabout: 5 %"),
    _term("kind: undertaking\nparties: {parties}", parties=_some(PARTIES)),
    _term("kind: context\nparties: {parties}", parties=_some(PARTIES)),
)
_ENDS = (
    "",
    "",
    "until: milestone",
    "through: 2031-12-31",
    "until: milestone\nthrough: 2031-12-31",
    "until: 2029-01-01",
)
_UNDER = ("", "", "", "under: {R1: a}", "under: {R1: b}")


@st.composite
def agreements(draw: st.DrawFn) -> Mapping[str, str]:
    """The documents of a valid agreement."""
    documents = {"agreement.md": DEFINITIONS}
    effective = known = date(2024, 1, 1)
    declared: list[str] = []
    for number in range(1, draw(st.integers(1, 4)) + 1):
        effective += timedelta(days=draw(st.integers(1, 400)))
        # Nothing changes what was concluded after it.
        known = max(known + timedelta(days=1), effective + timedelta(days=draw(st.sampled_from((-30, 0, 0, 0)))))
        blocks = (
            [] if number > 1 else [_block("term", "A1.own", "kind: ownership\nparty: maker\nproducts: [api, rights]")]
        )
        changed = draw(st.lists(st.sampled_from(declared), max_size=3, unique=True)) if declared else []
        for index, name in enumerate(changed):
            what = draw(
                st.sampled_from(
                    ("ends: [{}]", "sets-end: [{}]\nuntil: milestone", "sets-end: [{}]\nthrough: 2030-12-31")
                )
            )
            blocks.append(_block("change", f"A{number}.c{index}", what.format(name)))
        terms = draw(st.lists(TERMS, min_size=1, max_size=4))
        for index, term in enumerate(terms):
            timed = "\n".join((term, draw(st.sampled_from(_ENDS)), draw(st.sampled_from(_UNDER))))
            blocks.append(_block("term", f"A{number}.t{index}", timed))
            declared.append(f"A{number}.t{index}")
        clauses = "\n".join(
            f"## {number}.{clause} Clause {clause}\n\nWhat it says.\n\n{block}"
            for clause, block in enumerate(blocks, start=1)
        )
        dated = f"announced: {known}\neffective: {effective}"
        front = f"---\nid: A{number}\ntitle: Number {number}\n{dated}\nsources: [T]\n---\n"
        documents[f"A{number}.md"] = f"{front}\n{clauses}\n## {number}.99 In prose only\n\nNothing more\n"
    if "regions: [" in "".join(documents.values()):
        documents["agreement.md"] = DEFINITIONS.replace("segments:", "regions: {inland: {north: [n-1]}}\nsegments:")
    return documents


def _block(kind: str, name: str, lines: str) -> str:
    written = "\n".join(line for line in lines.split("\n") if line)
    return f"```yaml {kind}\nid: {name}\n{written}\nsource: [T]\n```\n"


def opened_from(documents: Mapping[str, str]) -> OpenAgreement:
    with tempfile.TemporaryDirectory() as folder:
        for name, text in documents.items():
            (Path(folder) / name).write_text(text, "utf-8")
        return open_agreement(folder)


# --- the built-in agreement under other names ------------------------------------------------------------------------

BUILT_IN = Path(builtin.__path__[0]) / "openai-microsoft"
# In alphabetical order, as the new names are: lists in sentences keep their order.
NAMED = sorted(
    (
        *("openai", "microsoft", "amazon", "google", "oracle", "deployment-venture"),
        *("azure", "aws", "google-cloud", "oci", "openai-own"),
        *("gpt-5.5", "gpt-5.4", "new-model", "stateful-runtime", "managed-agents", "chatgpt", "codex", "frontier"),
        "gpt-oss-120b",
    )
)
NEW_NAMES = {name: f"n{number:02}x" for number, name in enumerate(NAMED)}
# A cloud that the prose never names is written with its party's name; under other names none holds a party's.
_OF_A_PARTY = "OpenAI-own"
# An identifier stands alone: `openai` is not meant in `share-openai-microsoft`. Prose writes `Google Cloud`.
_NAME = re.compile(
    r"(?<![\w.-])("
    + "|".join(re.escape(name).replace(r"\-", "[- ]") for name in sorted(NAMED, key=len, reverse=True))
    + r")(?![\w-]|\.\w)",
    re.IGNORECASE,
)


def renamed(text: str, names: Mapping[str, str] = NEW_NAMES) -> str:
    """Every party, cloud and product under its new name, with a capital where prose has it in another spelling."""

    def new(match: re.Match[str]) -> str:
        name = names[match[1].lower().replace(" ", "-")]
        return name if match[1] in (*names, _OF_A_PARTY) else name.capitalize()

    return _NAME.sub(new, text)


def built_in_documents() -> dict[str, str]:
    return {path.name: path.read_text("utf-8") for path in sorted(BUILT_IN.glob("*.md"))}

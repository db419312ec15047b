"""The parts of a question that are names: the one list of them.

A part stands here in four shapes, and a test holds them equal. `Names` holds one name for each
part, `NamesGiven` the same as keywords, `NameLists` several names. A row of `PARTS` says what else
there is to know of the part. Questions, combinations, claims, tables, files of questions, the
library, the command line, sentences and the lawyer's form take their parts from here.

One other place knows each part by itself: the look-ups of `DecisionTable` (the slots of a leaf,
`look_up`, `verdict`, `_for_another`), too often called to go through a list. Rules of a part of its
own stand where they are applied: `question` says what makes a question invalid, `forbidding` what
lies inside an exclusivity, `asking` which region is asked about, `searches.proof` which names of it
a claim means.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Required, TypedDict, TypeVar, cast

import msgspec

from clauseway.agreement.language.actions import (
    ACTIONS,
    CLOUDS,
    CONTRACT,
    LICENSE,
    REGIONS,
    SEGMENTS,
    SELL,
    SELLERS,
    SERVE,
    SHARE,
)
from clauseway.agreement.language.terms import ANY_SEGMENT
from clauseway.catalog import ELSEWHERE, Catalog

ACTIONS_WITH_OTHER_PARTY = frozenset({LICENSE, SHARE})
ACTIONS_WITH_CLOUD = frozenset({SERVE, SELL, CONTRACT})
ACTIONS_WITH_SELLER = frozenset({SERVE, SELL})


class Names(msgspec.Struct, frozen=True, kw_only=True):
    """The names in a question: who does what, with which product, where, for whom.

    `to` is the licensee or payee. An empty `seller` is the party. `region` is a place, by its name
    on the cloud, or a region of the agreement; any text where the agreement defines no regions.
    """

    action: str
    party: str
    product: str = ""
    cloud: str = ""
    to: str = ""
    seller: str = ""
    segment: str = ANY_SEGMENT
    region: str = ""

    def named(self) -> dict[str, str]:
        """Return each name by its part."""
        return {part.name: getattr(self, part.name) for part in PARTS}

    def given(self) -> "NamesGiven":
        """Return each name by its part, as keywords of a function."""
        return cast("NamesGiven", self.named())

    def as_combination(self) -> dict[str, str]:
        """Return each name by its part, with an empty seller where the party itself sells."""
        return self.named() | ({"seller": ""} if self.seller == self.party else {})


AnyNames = TypeVar("AnyNames", bound=Names)


class NamesGiven(TypedDict, total=False):
    """The names in a question, as keywords."""

    action: Required[str]
    party: Required[str]
    product: str
    cloud: str
    to: str
    seller: str
    segment: str
    region: str


class NameLists(msgspec.Struct, frozen=True, kw_only=True):
    """Several names for each part of a question."""

    actions: tuple[str, ...] = ()
    parties: tuple[str, ...] = ()
    to: tuple[str, ...] = ()
    products: tuple[str, ...] = ()
    clouds: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()
    sellers: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()


def _any_action(_: str) -> bool:
    return True


class Behind(msgspec.Struct, frozen=True):
    """A part's words behind the act: in a line of identifiers (` on aws`), and in a sentence.

    `place` is where they stand among those of other parts.
    """

    place: int
    line: str
    sentence: str


class PartField(msgspec.Struct, frozen=True):
    """A part's field in the lawyer's form.

    A field with a `hint` is typed, any other is chosen from a list, in which the words `nothing`
    stand for no name. `place` is where the field stands in the form's sentence; the fields of
    parts that are asked less often, without a place, stand below it.
    """

    label: str
    place: int = 0
    hint: str = ""
    nothing: str = ""


class Part(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A part of a question.

    `name` is its field in `Names` and its flag; `lists` its field in `NameLists`. A part that terms
    may keep to is `scoped`: `lists` is then a word of the language too (a field of `Scope`, a part in
    `TAKES`). `names` returns the names that a catalog has for it.
    `help` describes the flag of one question, `claim_help` that of a claim. `behind` are the words
    behind an act, None of the parts that make the act itself.
    """

    name: str
    lists: str
    names: Callable[[Catalog], Collection[str]]
    help: str
    claim_help: str
    field: PartField
    behind: Behind | None
    default: str = ""
    # True if a question about an action has the part; a question about another action may name it
    # all the same where it is `idle` there, and it changes nothing.
    belongs_to: Callable[[str], bool] = _any_action
    idle: bool = False
    scoped: bool = False
    # An agreement that does not know the name states nothing about the question. Of other parts
    # it is asked without the name, for none of its terms can name it.
    silences: bool = True
    # Places are written as their cloud writes them; other names are taken in any case.
    any_case: bool = True
    # Groups of changes are joined along the parts with the least number first: those that most
    # often make no difference.
    joined: int = 0

    @property
    def needed(self) -> bool:
        """Return whether every question names the part."""
        return self.name in NamesGiven.__required_keys__

    @property
    def flag(self) -> str:
        return f"--{self.name}"

    def spellings(self, catalog: Catalog) -> Mapping[str, str]:
        """Return the names that are taken in any case, each by its case-folded form, with its
        dashes and with spaces in their place."""
        names = self.names(catalog) if self.any_case else ()
        spaced = {name.replace("-", " ").casefold(): name for name in names}
        return spaced | {name.casefold(): name for name in names}

    def asked(self, catalog: Catalog, action: str) -> tuple[str, ...]:
        """Return the names that distinct questions about an action hold."""
        names = self.in_order(catalog) if self.belongs_to(action) else ()
        return names or (self.default,)

    def allowed(self, catalog: Catalog, action: str) -> tuple[str, ...]:
        """Return every name that a question about an action may hold, where it changes nothing
        too."""
        if self.belongs_to(action) or not self.idle:
            return self.asked(catalog, action)
        return tuple(dict.fromkeys((self.default, *self.in_order(catalog))))

    def in_order(self, catalog: Catalog) -> tuple[str, ...]:
        """Return the names that a catalog has for the part."""
        names = self.names(catalog)
        return names if isinstance(names, tuple) else tuple(sorted(names))


def _parties(catalog: Catalog) -> Collection[str]:
    return catalog.parties


def _regions(catalog: Catalog) -> Collection[str]:
    return (*sorted(catalog.regions), ELSEWHERE) if catalog.regions else ()


# In the order in which combinations are walked.
PARTS = (
    Part(
        name="action",
        joined=3,
        lists="actions",
        names=lambda _: ACTIONS,
        help="serve, sell, license, use-under-licence, contract-compute or share-revenue.",
        claim_help="Only this action; left out, every one. Repeatable, like the other names.",
        field=PartField("do", 2),
        behind=None,
    ),
    Part(
        name="party",
        joined=7,
        lists="parties",
        names=_parties,
        help="Who acts: openai, microsoft, amazon, …",
        claim_help="Only acts of this party.",
        field=PartField("May", 1),
        behind=None,
    ),
    Part(
        name="product",
        joined=6,
        lists="products",
        names=lambda catalog: {*catalog.products, *catalog.classes},
        help="A product (gpt-5.5) or a class (api.stateless).",
        claim_help="Only this product or class.",
        field=PartField("with", 3, hint="gpt-5.5"),
        behind=None,
    ),
    Part(
        name="to",
        joined=8,
        lists="to",
        names=_parties,
        help="The licensee of a licence, the payee of a share.",
        claim_help="Only this licensee or payee.",
        field=PartField("to", 5, nothing="nobody"),
        behind=Behind(1, " to {}", " to {}"),
        belongs_to=ACTIONS_WITH_OTHER_PARTY.__contains__,
    ),
    Part(
        name="cloud",
        joined=4,
        lists=CLOUDS,
        names=lambda catalog: catalog.clouds,
        help="The host cloud: azure, aws, google-cloud, oci, openai-own.",
        claim_help="Only acts on this cloud.",
        field=PartField("on", 4, nothing="no cloud"),
        behind=Behind(2, " on {}", " on {}"),
        belongs_to=ACTIONS_WITH_CLOUD.__contains__,
        idle=True,
        scoped=True,
    ),
    Part(
        name="segment",
        joined=1,
        lists=SEGMENTS,
        names=lambda catalog: catalog.segments,
        help="The customer segment.",
        claim_help="Only this customer segment.",
        field=PartField("for", 6, nothing="anybody"),
        behind=Behind(4, " for {}", " to {} customers"),
        default=ANY_SEGMENT,
        belongs_to=ACTIONS_WITH_CLOUD.__contains__,
        idle=True,
        scoped=True,
        silences=False,
    ),
    Part(
        name="seller",
        joined=5,
        lists=SELLERS,
        names=_parties,
        help="Who sells what the party serves; by default the party.",
        claim_help="Only what this party sells.",
        field=PartField("sold by", nothing="the party itself"),
        behind=Behind(5, ", sold by {}", ", sold by {}"),
        belongs_to=ACTIONS_WITH_SELLER.__contains__,
        idle=True,
        scoped=True,
    ),
    Part(
        name="region",
        joined=2,
        lists=REGIONS,
        names=_regions,
        help="A place as its cloud calls it, or a region of the agreement.",
        claim_help="Only this region of the agreement, or elsewhere.",
        field=PartField("in region", hint="us-east-2"),
        behind=Behind(3, " in {}", " in {}"),
        belongs_to=ACTIONS_WITH_CLOUD.__contains__,
        idle=True,
        scoped=True,
        silences=False,
        any_case=False,
    ),
)
BY_NAME: Mapping[str, Part] = {part.name: part for part in PARTS}
BY_FIELD: Mapping[str, Part] = {**{part.lists: part for part in PARTS}, **BY_NAME}
# The parts that are said behind the act, in the order in which they are.
_SAID = [(part, part.behind) for part in PARTS if part.behind is not None]
BEHIND: Mapping[Part, Behind] = dict(sorted(_SAID, key=lambda said: said[1].place))
# The parts beside action and product, each of which has its names whatever the others are.
FREE = tuple(part for part in PARTS if part.name not in ("action", "product"))
# The parts that terms and facts may keep to.
SCOPED = tuple(part for part in PARTS if part.scoped)

"""The kinds of term that an author writes under a clause: a class for each, with its name as tag.

Written keys are the field names with hyphens. An empty scope means "any". `until` excludes the day
it names, and may name an event (`milestone`); `through` includes its day. With both, the earlier
ends the term.

`sellers` are compared with the seller in a question: the party of `sell`, or the party that sells
what another party serves. `regions` are the regions that the definitions name with their places;
any other place lies in `elsewhere`.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Annotated

import msgspec

from clauseway.agreement.language.actions import (
    CLOUDS,
    CONTRACT,
    LICENSE,
    LICENSEES,
    PARTIES,
    REGIONS,
    SEGMENTS,
    SELLERS,
    TERM_ACTIONS,
    USE,
    takes,
)
from clauseway.agreement.language.figures import CAP_COUNTS, REVENUE_OWNER, WHOLESALE
from clauseway.agreement.language.shares import CORRECTION, Floor, PaymentTerm, ShareBase, Tier
from clauseway.values import Citation

NAMES = frozenset[str]
_NONE: NAMES = frozenset()
# A kind that decides nothing consists of what it says and whom it names: neither may be empty.
_SomeText = Annotated[str, msgspec.Meta(pattern=r"\S")]
_SomeNames = Annotated[NAMES, msgspec.Meta(min_length=1)]

# The event that every agreement knows; a fact of that kind dates it.
MILESTONE = "milestone"
# The party of a permission or prohibition that holds for everyone.
ANYONE = "anyone"
# The ending of the id of an exclusivity that a right writes by `exclusive` or `sole`.
EXCLUSIVE_SUFFIX = ".exclusive"
# The `despite` of a permission that overrides every exclusivity and prohibition.
ANY_TERM = "any"
# The segment of customers who claim none. A scope without segments holds for all customers.
ANY_SEGMENT = "any"


class Choice(msgspec.Struct, frozen=True):
    """A value that may depend on a reading. `reading` is empty if it depends on none."""

    reading: str
    options: Mapping[str, str]

    def under(self, readings: Mapping[str, str]) -> str:
        return self.options[readings[self.reading] if self.reading else ""]


class Scope(msgspec.Struct, frozen=True, kw_only=True, rename="kebab"):
    """A part of what a term covers, for carve-outs and for what a licence carries."""

    actions: NAMES = _NONE
    products: NAMES = _NONE
    clouds: NAMES = _NONE
    sellers: NAMES = _NONE
    segments: NAMES = _NONE
    regions: NAMES = _NONE


class Only(msgspec.Struct, frozen=True, kw_only=True, rename="kebab"):
    """The names to which an exclusivity reserves its scope. Exactly one field is filled."""

    clouds: NAMES = _NONE
    sellers: NAMES = _NONE
    regions: NAMES = _NONE
    parties: NAMES = _NONE
    licensees: NAMES = _NONE

    @property
    def part(self) -> str:
        """Return the part of an act that decides whether the act lies inside."""
        if self.clouds:
            return CLOUDS
        if self.parties:
            return PARTIES
        if self.licensees:
            return LICENSEES
        return SELLERS if self.sellers else REGIONS

    @property
    def names(self) -> NAMES:
        """Return the names to which the scope is reserved."""
        kept: NAMES = getattr(self, self.part)
        return kept


ONLY = (CLOUDS, SELLERS, REGIONS, PARTIES, LICENSEES)


class Term(msgspec.Struct, frozen=True, kw_only=True, rename="kebab", tag_field="kind"):
    """The fields of every term. `under` limits a term to readings: {"R3": "a4"}.

    `from_`, `while_` and `while_no` name events. The term begins with `from_`, and holds while
    `while_` goes on and `while_no` does not.
    """

    id: str
    citation: Citation
    begins: date
    until: str = ""
    through: date | None = None
    from_: str = msgspec.field(default="", name="from")
    while_: str = msgspec.field(default="", name="while")
    while_no: str = ""
    under: Mapping[str, str] = msgspec.field(default_factory=dict)

    @property
    def kind(self) -> str:
        """Return the kind as an author writes it."""
        return str(self.__struct_config__.tag)


LIMITS = (PARTIES, LICENSEES, CLOUDS, SELLERS, SEGMENTS, REGIONS)
PLACES = (CLOUDS, SELLERS, SEGMENTS, REGIONS)
_OWN_KEYS = {part: part for part in PLACES}
_TRADE_KEYS = {part: part for part in (SELLERS, SEGMENTS, REGIONS)}


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of term: whom it binds, its effect, the actions it is about, the parts it may name.

    `keys` says where each part is written; `always` are parts that every term of the kind names.

    `noun` says a term of the kind as something that may end, `sentence` as what holds. In both,
    `{field}` stands for the field in words, and `[…]` is left out where a field in it is empty.
    Further words in braces are those of `wording.terms` (`{do}` and `{doing}` are the actions,
    `{where}` the clouds, `{limits}` customers, sellers and regions, `{except_for}` the carve-outs).
    """

    term: "type[AnyTerm]"
    binds: str
    effect: str
    noun: str
    sentence: str
    # The description of keys that only this kind has, or that mean something else elsewhere.
    described: Mapping[str, str] = msgspec.field(default_factory=dict)
    actions: Sequence[str] = ()
    keys: Mapping[str, str] = msgspec.field(default_factory=dict)
    always: Sequence[str] = ()
    # The keys of the two parties of every term of the kind; the party that gives stands first.
    between: tuple[str, str] | None = None
    # The key that may say `anyone`.
    anyone: str = ""
    # Actions that the kind is never about, with the reason.
    never: Mapping[str, str] = msgspec.field(default_factory=dict)

    @property
    def name(self) -> str:
        """Return the kind as an author writes it."""
        return str(self.term.__struct_config__.tag)

    def refusal(self, action: str, part: str) -> str:
        """Return why a part cannot limit an action in this kind of term; empty if it can."""
        if action in self.never:
            return self.never[action]
        if missing := next((part for part in self.always if not takes(action, part)), ""):
            return f"{action} takes no {missing}"
        if part and part not in self.keys:
            return f"the kind has no {part}"
        return f"{action} takes no {part}" if part and not takes(action, part) else ""


class Ownership(Term, frozen=True, kw_only=True, rename="kebab", tag="ownership"):
    """A party owns products: it may do what no term forbids."""

    party: str
    products: NAMES


_OWNERSHIP = Kind(
    term=Ownership,
    binds="nobody",
    effect="The owner may do what no term in force forbids; anybody else needs a grant.",
    noun="{party}'s ownership of {products}",
    sentence="{party} owns {products}",
)


class Permission(Term, frozen=True, kw_only=True, rename="kebab", tag="permission"):
    """A party, or anyone, may act. For an owner it declares what is free; for others it grants.

    It yields to an exclusivity or prohibition in force, unless `despite` names that term, or `any`.
    `grantor`: who grants it, and must own the product or be permitted to license it. `exclusive`
    and `sole` write an exclusivity beside it (see `reading.exclusive`).
    """

    party: str
    grantor: str = ""
    actions: NAMES
    products: NAMES
    clouds: NAMES = _NONE
    sellers: NAMES = _NONE
    segments: NAMES = _NONE
    regions: NAMES = _NONE
    despite: NAMES = _NONE
    exclusive: bool = False
    sole: bool = False

    def overrides(self, term: str) -> bool:
        """Return whether the permission holds although a term forbids the act."""
        return not self.despite.isdisjoint((term, ANY_TERM))


_PERMISSION = Kind(
    term=Permission,
    anyone="party",
    binds="nobody",
    effect="Grants the act within its scope, where the `grantor` it names (if any) owns "
    "the product or has a permission in force to `license` it. It yields to an "
    "exclusivity or prohibition in force, unless `despite` names that term, or `any`. "
    "`exclusive: true` writes an exclusivity of its scope and days beside it, reserved "
    "to the party; `sole: true` one reserved to the party and the grantor.",
    noun="the express permission for {doing} {products}",
    sentence="{party} may {do} {products}{anywhere}{limits}[, granted by {grantor}]{despite_them}",
    described={
        "party": "The party that may act, or anyone.",
        "grantor": "The party that grants it: it permits where that party owns the product "
        "or may license it.",
        "despite": "The terms that forbid, against which this permission holds, by their ids; or "
        "[any].",
    },
    actions=TERM_ACTIONS,
    keys={PARTIES: "party", **_OWN_KEYS},
)


class Exclusivity(Term, frozen=True, kw_only=True, rename="kebab", tag="exclusivity"):
    """Within its scope, an act outside `only` is forbidden, to the owner too, except in carve-outs.

    Acts inside `only` are neither forbidden nor granted.
    """

    actions: NAMES
    products: NAMES
    only: Only
    clouds: NAMES = _NONE
    sellers: NAMES = _NONE
    segments: NAMES = _NONE
    regions: NAMES = _NONE
    except_: tuple[Scope, ...] = msgspec.field(default=(), name="except")

    def bears_on(self, action: str) -> bool:
        """Return whether it reserves an action; to clouds, only an action that takes clouds."""
        return action in self.actions and takes(action, self.only.part)


_EXCLUSIVITY = Kind(
    term=Exclusivity,
    binds="everyone outside `only`, the owner included",
    effect="Outside `only` the act is forbidden, but for a carve-out. Inside, nothing is "
    "forbidden or granted.",
    noun="the exclusivity in {doing} {products}",
    sentence="{reserved}{except_for}",
    described={
        "only": "To whom or what it is reserved: clouds, sellers, regions, parties or licensees, "
        "one of these.",
    },
    actions=TERM_ACTIONS,
    keys={PARTIES: "only", LICENSEES: "only", **_OWN_KEYS},
)


class Prohibition(Term, frozen=True, kw_only=True, rename="kebab", tag="prohibition"):
    """The parties it names, or anyone, may not act within its scope, except in carve-outs."""

    parties: NAMES
    actions: NAMES
    products: NAMES
    clouds: NAMES = _NONE
    sellers: NAMES = _NONE
    segments: NAMES = _NONE
    regions: NAMES = _NONE
    except_: tuple[Scope, ...] = msgspec.field(default=(), name="except")

    @property
    def barred(self) -> NAMES:
        """Return the parties that may not act, or `anyone`."""
        return self.parties


_PROHIBITION = Kind(
    term=Prohibition,
    anyone="parties",
    binds="the parties it names, or anyone",
    effect="The act is forbidden within its scope, but for a carve-out.",
    noun="the prohibition on {barred} {doing} {products}",
    sentence="{barred_may_not} {do} {products}{where}{limits}{except_for}",
    described={"parties": "Parties that may not act, or [anyone]."},
    actions=TERM_ACTIONS,
    keys={PARTIES: "parties", **_OWN_KEYS},
)


class Precedence(Term, frozen=True, kw_only=True, rename="kebab", tag="precedence"):
    """Ship-first: what it binds goes to the cloud `first` before any other.

    `binds`: `first-shipped-since` (the day in `since`) or `every-product`.
    `unless`: the recorded answer of the first cloud's operator that lifts it: `cannot-and-declines`
    or `cannot-or-declines`. Left out, no answer lifts it.
    `lead_days`: the number of days that the first cloud has a product before any other.
    """

    party: str
    first: str
    actions: NAMES
    products: NAMES
    sellers: NAMES = _NONE
    segments: NAMES = _NONE
    regions: NAMES = _NONE
    binds: Choice
    since: date
    unless: Choice | None = None
    lead_days: int = 0


_PRECEDENCE = Kind(
    term=Precedence,
    binds="the party it names, for its own acts; an owner for what it lets others do, too",
    effect="Conditional until the product was on the first cloud (for as many days as "
    "`lead-days` says), or the exception in `unless` applies.",
    noun="the rule to ship {products} on {first} first",
    sentence="{party} must bring {products} {bound}to {first}{ahead} before any other cloud"
    "{limits}{exception}{read_with}",
    described={
        "first": "The cloud that comes first.",
        "binds": "The products that it binds: first-shipped-since (the day in since) or "
        "every-product; or one by reading.",
        "since": "Products that first shipped on or after this day are bound (YYYY-MM-DD).",
        "unless": "The recorded answer that lifts it: cannot-and-declines or cannot-or-declines; "
        "or one by reading.",
        "lead-days": "How many days the first cloud has a product before any other. Left out: "
        "none.",
    },
    actions=TERM_ACTIONS,
    keys={PARTIES: "party", **_TRADE_KEYS},
    always=(CLOUDS,),
)


class RefusalRight(Term, frozen=True, kw_only=True, rename="kebab", tag="refusal-right"):
    """Right of first refusal: the grantor acts, or lets others act, only after `holder` passed.

    If no grantor is named, the owner is the grantor. `except-clouds` need no offer. The holder
    itself is never bound. Offers are made of the `subject`; if none is named, each product is a
    deal of its own, and offers are made of it by its name.
    """

    holder: str
    grantor: str = ""
    actions: NAMES
    products: NAMES
    except_clouds: NAMES = _NONE
    sellers: NAMES = _NONE
    segments: NAMES = _NONE
    regions: NAMES = _NONE
    subject: str = ""

    def subject_of(self, product: str) -> str:
        """Return what is to be offered before an act about a product."""
        return self.subject or product


_REFUSAL_RIGHT = Kind(
    term=RefusalRight,
    binds="the grantor (the owner where none is named), for its own acts; an owner for what "
    "it lets others do, too; never the holder, nor a licence to it",
    effect="Conditional until the latest offer of its `subject` (left out: of the product "
    "itself, by its name) was passed on, or its last day for an answer is over.",
    noun="{holder}'s right of first refusal on {products}",
    sentence="{holder} has a right of first refusal on {doing} {products}{limits}"
    "[ by {grantor}][, except on {except_clouds}][, offered as “{subject}”]",
    described={
        "grantor": "The party that must offer it first. Left out: the owner.",
        "except-clouds": "Clouds that need no offer.",
    },
    actions=TERM_ACTIONS,
    keys={
        PARTIES: "grantor",
        CLOUDS: "except-clouds",
        **_TRADE_KEYS,
    },
    never={USE: f"{USE} is offered by licensing"},
)


class Licence(Term, frozen=True, kw_only=True, rename="kebab", tag="licence"):
    """A licence to intellectual property, and the acts that it lets its licensee do (`carries`).

    `exclusive` and `sole` write an exclusivity of licensing and use beside it (see
    `reading.exclusive`); what the licence carries is not reserved.
    """

    licensor: str
    licensee: str
    products: NAMES
    carries: tuple[Scope, ...] = ()
    exclusive: bool = False
    sole: bool = False


_LICENCE = Kind(
    term=Licence,
    between=("licensor", "licensee"),
    binds="nobody",
    effect="The licensee may use what it covers, and do what it carries, where the "
    "licensor owns it or may license it on. Whoever was licensed and is no longer is "
    "refused. `exclusive: true` writes an exclusivity of licensing and use beside it, "
    "reserved to the licensee; `sole: true` one reserved to the licensee and the "
    "licensor. A use has no cloud, seller, segment or region: what a licence carries is "
    "kept to them.",
    noun="{licensee}'s licence to {products}",
    sentence="{licensee} has a licence from {licensor} to {products}[ and by it may {carried}]",
    described={
        "licensor": "The party that gives the licence.",
        "licensee": "The party that holds the licence.",
        "carries": "Other acts that the licensee may do by it. All keys of an item must fit.",
    },
    actions=TERM_ACTIONS,
    keys=dict.fromkeys(PLACES, "carries"),
    never=dict.fromkeys((LICENSE, CONTRACT, USE), "a licence carries serving and selling"),
)


class RevenueShareTerm(Term, frozen=True, kw_only=True, rename="kebab", tag="revenue-share"):
    """A share of a base that `payer` owes `payee`. Its rates and amounts are figures or numbers."""

    payer: str
    payee: str
    rate: str
    tiers: tuple[Tier, ...] = ()
    cap: str = ""
    cap_opening: str = ""
    floors: tuple[Floor, ...] = ()
    base: ShareBase
    payment: PaymentTerm | None = None
    withholding: str = ""
    late: str = CORRECTION

    @property
    def figures(self) -> frozenset[str]:
        """Return the rates and amounts, which may be names of figures, and the general figures that
        the share takes."""
        names = {self.rate, self.withholding, self.cap, self.cap_opening, REVENUE_OWNER}
        for tier in self.tiers:
            names |= {tier.above, tier.rate}
        names |= {floor.amount for floor in self.floors}
        if self.base.wholesale:
            names.add(WHOLESALE)
        if self.cap and not self.cap_opening:
            names.add(CAP_COUNTS)
        return frozenset(names)


_REVENUE_SHARE_TERM = Kind(
    term=RevenueShareTerm,
    between=("payer", "payee"),
    binds="the payer",
    effect="Due, or nothing due; the ledger settles it. A base keeps to sellers, products "
    "and clouds, by which sales are summed; it takes no regions or segments.",
    noun="the revenue share that {payer} owes {payee}",
    sentence="{payer} owes {payee} a revenue share on {sales}",
    described={
        "payer": "The party that pays the share.",
        "payee": "The party that gets the share.",
        "tiers": "Bands of the cumulative base: what lies above one is shared at its rate. Below "
        "the first, rate holds.",
        "cap": "The most that is ever due, by the name of a figure; or USD 1000000. Left out: no "
        "cap.",
        "cap-opening": "The amount counted toward the cap before the share began. Left out: as "
        "the figure cap-counts says.",
        "floors": "The least that is due, whatever the base.",
        "base": "The sales that the share is taken on.",
        "payment": "When the share is paid. Left out: every month, without a due day.",
        "withholding": "The part of each payment that the payer withholds as tax, by the name of "
        "a figure; or 10 %.",
        "late": "The effect of late usage on a closed period: correction (left out) in the open "
        "one, or restatement.",
    },
)


class Inoperative(Term, frozen=True, kw_only=True, rename="kebab"):
    """A term that has no effect on what is permitted or due. It is shown and quoted."""


class Commitment(Inoperative, frozen=True, kw_only=True, rename="kebab", tag="commitment"):
    """A party commits to an amount toward another. It changes no answer."""

    party: str
    to: str
    about: _SomeText


_COMMITMENT = Kind(
    term=Commitment,
    between=("party", "to"),
    binds="nobody",
    effect="None on any answer.",
    noun="{party}'s commitment to {to}",
    sentence="{party} commits to {to}: {about}",
)


class Stake(Inoperative, frozen=True, kw_only=True, rename="kebab", tag="stake"):
    """A party holds a stake in another. It changes no answer."""

    holder: str
    of: str
    about: _SomeText


_STAKE = Kind(
    term=Stake,
    between=("holder", "of"),
    binds="nobody",
    effect="None on any answer.",
    noun="the statement of {holder}'s stake in {of}",
    sentence="{holder} holds a stake in {of}: {about}",
)


class Undertaking(Inoperative, frozen=True, kw_only=True, rename="kebab", tag="undertaking"):
    """Parties undertake to cooperate. It changes no answer."""

    parties: _SomeNames


_UNDERTAKING = Kind(
    term=Undertaking,
    binds="nobody",
    effect="None on any answer.",
    noun="the undertaking “{title}”",
    sentence="{parties} {undertake}, with no effect on any decision: “{quoted}”",
)


class Context(Inoperative, frozen=True, kw_only=True, rename="kebab", tag="context"):
    """The text adds a freedom, a reason or a setting. It changes no answer."""

    parties: NAMES = _NONE


_CONTEXT = Kind(
    term=Context,
    binds="nobody",
    effect="None on any answer.",
    noun="the context “{title}”",
    sentence="the text adds, with no effect on any decision: “{quoted}”",
)


# The families of kinds that have an effect. A kind of a family is treated like the others in it
# wherever its own effect does not differ.
# Of those that forbid: the kinds that say who may not act, and reserve nothing. Each has
# `barred`: the parties that a term forbids to act, or `anyone`.
Barring = Prohibition
Forbidding = Exclusivity | Barring
Granting = Permission | Licence
Conditional = RefusalRight | Precedence  # in the order in which answers name them
# Those of them that wait for an offer, of which facts tell.
Offered = RefusalRight
# The kinds whose scope may name sellers, segments and regions.
Traded = Permission | Forbidding | Precedence | RefusalRight
# Those of them whose scope may name clouds too, and scopes within terms.
Located = Scope | Permission | Forbidding
# The kinds that name products or classes of them.
OfProducts = Ownership | Granting | Forbidding | Conditional
# Every kind. With `assert_never`, mypy reports any code that leaves a kind out.
AnyTerm = (
    Ownership
    | Permission
    | Forbidding
    | Precedence
    | RefusalRight
    | Licence
    | RevenueShareTerm
    | Commitment
    | Stake
    | Undertaking
    | Context
)


def exclusivity_of(term: AnyTerm) -> str:
    """Return the id of the exclusivity that an exclusive or sole right writes; else nothing."""
    is_exclusive = isinstance(term, Permission | Licence) and (term.exclusive or term.sole)
    return f"{term.id}{EXCLUSIVE_SUFFIX}" if is_exclusive else ""


# The kinds of which no answer cites a term that has ended.
Uncited = Barring | Conditional | Inoperative


# The values of a precedence's Choice fields.
FIRST_SHIPPED_SINCE = "first-shipped-since"
BINDS = frozenset({FIRST_SHIPPED_SINCE, "every-product"})
UNLESS = frozenset({"cannot-and-declines", "cannot-or-declines"})

KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        _OWNERSHIP,
        _PERMISSION,
        _EXCLUSIVITY,
        _PROHIBITION,
        _PRECEDENCE,
        _REFUSAL_RIGHT,
        _LICENCE,
        _REVENUE_SHARE_TERM,
        _COMMITMENT,
        _STAKE,
        _UNDERTAKING,
        _CONTEXT,
    )
}

# The fields of terms and of scopes within them that hold names, with the noun for what they name.
NOUNS: Mapping[str, str] = {
    **dict.fromkeys(("party", "parties", "to", "of", "holder", "grantor"), "party"),
    **dict.fromkeys(("licensor", "licensee", "licensees", "payer", "payee"), "party"),
    **dict.fromkeys(("sellers", "wholesale_except"), "party"),
    **dict.fromkeys(("products", "excludes"), "product"),
    **dict.fromkeys(("clouds", "first", "except_clouds"), "cloud"),
    "actions": "action",
    "segments": "segment",
    "regions": "region",
}
# The fields of terms that hold scopes.
SCOPES = ("only", "except_", "carries", "base")

"""Sets of names as a person would write them, and places of the text as they are cited.

A name is spelled as the agreement's own prose spells it (`aws` becomes AWS where the text says
AWS); products and classes keep their identifiers. A set is worded from its shorter side: `any cloud
but Azure`.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from types import MappingProxyType

import msgspec

from clauseway.agreement import Agreement, Clause, FactRegister
from clauseway.agreement.language.actions import ACTIONS, CONTRACT, LICENSE, SELL, SERVE, SHARE, USE
from clauseway.agreement.language.terms import ANY_SEGMENT
from clauseway.catalog import ELSEWHERE, Catalog
from clauseway.decisions import AskedAgreement, Question, Reason, joint_catalog
from clauseway.decisions.parts import BEHIND, Behind, NameLists, Names
from clauseway.values import Citation

# "any cloud but A and B" is easier to read than a list of the others; with three exceptions it is
# no longer.
_EXCEPTIONS_MAX = 2
_DEFINITIONS = "agreement"
# The place of an act in none of the regions that an agreement names.
OUTSIDE = "outside the named regions"
NO_SEGMENT = "customers of no named segment"
# An action as done by somebody: the words before and behind the product.
_DOES = {
    SERVE: ("serves", ""),
    SELL: ("sells", ""),
    LICENSE: ("licenses", ""),
    USE: ("uses", " under licence"),
    CONTRACT: ("contracts for", ""),
}
# The parts of which `Wording.where` says several names in words of their own, and `to`, which is said
# before it.
_SAID_APART = frozenset({"to", "cloud", "segment", "seller", "region"})
# An action as a verb.
VERBS = {SERVE: "serve", SELL: "sell", LICENSE: "license", USE: "use", CONTRACT: "contract for"}


def customers(segments: Collection[str]) -> str:
    """Return the customers of segments: `bank customers and customers of no named segment`."""
    named = [f"{segment} customers" for segment in sorted(segments) if segment != ANY_SEGMENT]
    return listed([*named, NO_SEGMENT] if ANY_SEGMENT in segments else named)


class Wording(msgspec.Struct, frozen=True):
    """The written names of agreements, one or several.

    `spelled` holds parties and clouds.
    """

    agreements: tuple[Agreement, ...]
    catalog: Catalog
    spelled: Mapping[str, str]

    @classmethod
    def of(cls, agreements: Sequence[AskedAgreement]) -> "Wording":
        """Return the wording of agreements that are asked together, one or several."""
        catalog = (
            agreements[0].catalog
            if len(agreements) == 1
            else joint_catalog([asked.catalog for asked in agreements])
        )
        prose = "\n".join(
            line for asked in agreements for line in _prose(asked.agreement, asked.facts)
        )
        spelled = _spelled_all(tuple(sorted(catalog.parties)), tuple(sorted(catalog.clouds)), prose)
        return cls(tuple(asked.agreement for asked in agreements), catalog, spelled)

    def name(self, identifier: str) -> str:
        return self.spelled.get(identifier, identifier)

    def spelt(self, text: str) -> str:
        """Return a text that names parties and clouds by their identifiers with their names."""
        if not self.spelled:
            return text
        return _alone(tuple(self.spelled)).sub(lambda named: self.name(named[0]), text)

    def names(self, identifiers: Iterable[str], conjunction: str = "and") -> str:
        return listed([self.name(identifier) for identifier in sorted(identifiers)], conjunction)

    def parties(self, names: Iterable[str], conjunction: str = "and") -> str:
        return self._set(names, self.catalog.parties, "anyone", conjunction)

    def clouds(self, names: Iterable[str], conjunction: str = "and") -> str:
        """` on AWS and OCI`; empty where an action happens on no cloud."""
        named = [cloud for cloud in names if cloud]
        return (
            f" on {self._set(named, self.catalog.clouds, 'any cloud', conjunction)}"
            if named
            else ""
        )

    def segments(self, names: Iterable[str]) -> str:
        """Return the customers, where not all: ` to government customers`."""
        chosen = set(names)
        left = self.catalog.segments - chosen
        if not left:
            return ""
        if ANY_SEGMENT in chosen and len(left) <= _EXCEPTIONS_MAX:
            return f" to all but {listed(sorted(left), 'or')} customers"
        return f" to {customers(chosen)}"

    def sellers(self, names: Iterable[str]) -> str:
        """Return the sellers, where another than the party sells (the empty name is the party
        itself)."""
        chosen = set(names)
        others = self.names(chosen - {""}, "or")
        return f", sold by {'itself or ' if '' in chosen else ''}{others}" if others else ""

    def regions(self, names: Iterable[str], conjunction: str = "and") -> str:
        """` in eu and us`; empty where it is everywhere, or nothing tells regions apart."""
        chosen = {region for region in names if region}
        if not chosen or chosen >= {*self.catalog.regions, ELSEWHERE}:
            return ""
        named = [f"in {region}" for region in sorted(chosen - {ELSEWHERE})]
        return f" {listed([*named, OUTSIDE] if ELSEWHERE in chosen else named, conjunction)}"

    def where(self, names: NameLists, conjunction: str = "and") -> str:
        """Return where an act happens, for whom and by whose sale, as said behind the act."""
        of_cloud = names.clouds != ("",)
        placed = f"{self.clouds(names.clouds, conjunction)}{self.segments(names.segments)}"
        sold = f"{self.sellers(names.sellers)}{self.regions(names.regions, conjunction)}"
        further = [
            behind.sentence.format(self.names(chosen, conjunction))
            for part, behind in BEHIND.items()
            if part.name not in _SAID_APART
            and (chosen := set(getattr(names, part.lists)) - {part.default})
        ]
        return f"{placed if of_cloud else ''}{sold}{''.join(further)}"

    def _set(
        self, names: Iterable[str], every: frozenset[str], whole: str, conjunction: str
    ) -> str:
        chosen = set(names)
        left = every - chosen
        if not left and len(chosen) > 1:
            return whole
        if len(left) <= _EXCEPTIONS_MAX and len(chosen) > len(left):
            return f"{whole} but {self.names(left)}"
        return self.names(chosen, conjunction)

    def products(self, names: Iterable[str], action: str, conjunction: str = "and") -> str:
        """Return products and classes.

        A class alone stands for a new product of it; an empty name for a share as a whole.
        """
        chosen = set(names)
        classes = [class_ for class_ in self.catalog.classes if self._takes(class_, action)]
        classes = self._without_hollow(classes, chosen)
        parts = {class_: self._part(class_, chosen) for class_ in classes}
        whole = self._widest([class_ for class_ in classes if parts[class_].whole], classes)
        new = [class_ for class_ in classes if parts[class_].only_new]
        left = {
            name: self._left_in(name, [class_ for class_ in classes if not parts[class_].whole])
            for name in (*whole, *classes)
        }
        sold = [class_ for class_ in whole if self._is_sold(class_)]
        parts_ = _any_of("any", sold, left) + _any_of("any new", new, left)
        parts_ += [f"{class_}{_outside(left[class_])}" for class_ in whole if class_ not in sold]
        parts_ += [
            name for class_ in classes if not parts[class_].has_new for name in parts[class_].within
        ]
        parts_ += [
            f"any {class_} product{_outside(left[class_])} (except {listed(parts[class_].without)})"
            for class_ in classes
            if parts[class_].mixed
        ]
        return listed(parts_, conjunction)

    def is_hollow(self, name: str) -> bool:
        """Return whether all products of a class lie in the classes within it."""
        catalog = self.catalog
        return (
            name in catalog.classes
            and any(class_.within == name for class_ in catalog.classes.values())
            and all(product.product_class != name for product in catalog.products.values())
        )

    def _without_hollow(self, classes: list[str], chosen: set[str]) -> list[str]:
        """Return the classes without those that stand for no product, if others are chosen."""
        solid = [
            class_
            for class_ in classes
            if not self.is_hollow(class_) or self._all_chosen(class_, classes, chosen)
        ]
        return solid if any(self.catalog.class_of(name) in solid for name in chosen) else classes

    def _all_chosen(self, name: str, classes: list[str], chosen: set[str]) -> bool:
        return all(
            self._part(class_, chosen).whole
            for class_ in classes
            if self.catalog.belongs(class_, name)
        )

    def _left_in(self, name: str, classes: list[str]) -> list[str]:
        """Return the widest of these classes that lie within another."""
        return self.catalog.widest(
            [class_ for class_ in classes if class_ != name and self.catalog.belongs(class_, name)]
        )

    def scope(self, names: Iterable[str]) -> str:
        """Return the subject of a term: classes and products in the order in which they are
        defined."""
        chosen = set(names)
        defined = [
            name for name in (*self.catalog.classes, *self.catalog.products) if name in chosen
        ]
        sold = [name for name in defined if name in self.catalog.classes and self._is_sold(name)]
        named = [name for name in defined if name not in sold]
        return listed([f"{listed(sold)} products", *named] if sold else named)

    def _takes(self, name: str, action: str) -> bool:
        actions = self.catalog.classes[name].actions
        return bool(actions) if action == SHARE else action in actions

    def _is_sold(self, name: str) -> bool:
        """Return whether it is a class of products, rather than of rights or capacity."""
        return any(
            SELL in class_.actions and self.catalog.belongs(member, name)
            for member, class_ in self.catalog.classes.items()
        )

    def _part(self, name: str, chosen: set[str]) -> "_Part":
        members = [
            product.id
            for product in self.catalog.products.values()
            if product.product_class == name
        ]
        return _Part(
            has_new=name in chosen,
            within=[product for product in members if product in chosen],
            without=[product for product in members if product not in chosen],
        )

    def _widest(self, whole: list[str], classes: list[str]) -> list[str]:
        """Return wider classes in the place of the classes in them, where all of these are whole.

        A class that is told without some class in it stands for the others in it too.
        """
        widest = list(dict.fromkeys(self._above(name, whole, classes) for name in whole))
        left = [class_ for class_ in classes if class_ not in whole]
        return [
            name
            for name in widest
            if not any(
                wider != name
                and self.catalog.belongs(name, wider)
                and self.catalog.lineage(name).isdisjoint(self._left_in(wider, left))
                for wider in widest
            )
        ]

    def _above(self, name: str, whole: list[str], classes: list[str]) -> str:
        """Return the class around a class, if all that is in it is whole, and is more than one."""
        wider = self.catalog.classes[name].within
        members = [class_ for class_ in classes if wider and self.catalog.belongs(class_, wider)]
        return wider if len(members) > 1 and {*members} <= {*whole} else name

    # Questions

    def right(self, question: Question) -> str:
        """Return a question as somebody's act: `OpenAI serves gpt-5.5 on AWS`."""
        product = question.product
        if product in self.catalog.classes and self._is_sold(product):
            product = f"a new {product} product"
        to = f" to {self.name(question.to)}" if question.to else ""
        if question.action == SHARE:
            base = f" on {product}" if product else ""
            return f"{self.name(question.party)} owes{to.removeprefix(' to')} a revenue share{base}"
        verb, behind = _DOES[question.action]
        further = [
            f" {OUTSIDE}"
            if self.catalog.regions and name == ELSEWHERE
            else behind.sentence.format(self.name(name))
            for name, behind in _behind(question)
            # Places that no term tells apart change nothing.
            if self.catalog.regions or name != question.region
        ]
        return f"{self.name(question.party)} {verb} {product}{behind}{''.join(further)}"

    def may(self, question: Question) -> str:
        """Return the question itself: `May OpenAI serve gpt-5.5 on AWS?`"""
        doing = self.right(question)
        who = self.name(question.party)
        rest = doing.removeprefix(f"{who} ")
        if question.action == SHARE:
            return f"Does {who} owe {rest.removeprefix('owes ')}?"
        verb, _ = _DOES[question.action]
        return f"May {who} {VERBS[question.action]}{rest.removeprefix(verb)}?"

    # Places

    def place(self, at: Reason | Citation) -> str:
        """`A5 5.3, A5.md:46; S4, S2`; of several agreements, behind the id of its own."""
        sources = ", ".join(self.sources(at.source))
        where = f"{at.document}:{at.line}" if at.line else at.document
        of = f"{at.agreement} " if isinstance(at, Reason) and at.agreement else ""
        return f"{of}{self._clause(at)}{where}{'; ' if sources else ''}{sources}"

    def title(self, at: Reason | Citation) -> str:
        """Return the title of the clause in which something stands."""
        clause = self._clause_above(at)
        return clause.title if clause else ""

    def _clause(self, at: Reason | Citation) -> str:
        if at.amendment in ("", _DEFINITIONS):
            return ""
        clause = self._clause_above(at)
        return f"{at.amendment} {clause.number}, " if clause else f"{at.amendment}, "

    def _clause_above(self, at: Reason | Citation) -> Clause | None:
        # A reason of several agreements names its own; a citation names none, and all are looked
        # through.
        name = at.agreement if isinstance(at, Reason) else ""
        agreements = [agreement for agreement in self.agreements if name in ("", agreement.id)]
        amendments = [
            amendment
            for agreement in agreements
            for amendment in agreement.amendments
            if amendment.id == at.amendment
        ]
        above = [
            clause
            for amendment in amendments
            for clause in amendment.clauses
            if clause.line <= at.line
        ]
        # Clauses stand in the order of their lines: the last that begins above a line holds it.
        return above[-1] if above else None

    def sources(self, source: str) -> list[str]:
        """Return the identifiers of the sources that a citation spells out."""
        sources = [pair for agreement in self.agreements for pair in agreement.sources.items()]
        cited = list(dict.fromkeys(name for name, text in sources if _cites(source, name, text)))
        return cited or ([source] if source else [])


class _Part(msgspec.Struct, frozen=True):
    """The choice within a class: a new product of it (which the class itself stands for), some
    of its products."""

    has_new: bool
    within: list[str]
    without: list[str]

    @property
    def whole(self) -> bool:
        return self.has_new and not self.without

    @property
    def only_new(self) -> bool:
        return self.has_new and bool(self.without) and not self.within

    @property
    def mixed(self) -> bool:
        return self.has_new and bool(self.without) and bool(self.within)


def _any_of(which: str, classes: Sequence[str], left: Mapping[str, Sequence[str]]) -> list[str]:
    """`any a or b product`, and by itself each class of which classes are left out."""
    alike = [class_ for class_ in classes if not left[class_]]
    apart = [
        f"{which} {class_} product{_outside(left[class_])}" for class_ in classes if left[class_]
    ]
    return ([f"{which} {listed(alike, 'or')} product"] if alike else []) + apart


def _outside(classes: Sequence[str]) -> str:
    return f" outside {listed(classes)}" if classes else ""


def act_of(asked: Names) -> str:
    """Return the act that a question asks about, in identifiers: `serve gpt-5.5 on aws`."""
    further = [
        f" {OUTSIDE}" if name == asked.region == ELSEWHERE else behind.line.format(name)
        for name, behind in _behind(asked)
    ]
    return " ".join(filter(None, (asked.action, asked.product))) + "".join(further)


def _behind(asked: Names) -> Iterator[tuple[str, Behind]]:
    """Yield each further name of a question with the words for it."""
    names = asked.as_combination()
    for part, behind in BEHIND.items():
        if names[part.name] != part.default:
            yield names[part.name], behind


def listed(parts: Sequence[str], conjunction: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`."""
    return (
        f"{', '.join(parts[:-1])} {conjunction} {parts[-1]}" if len(parts) > 1 else "".join(parts)
    )


def sentence(text: str) -> str:
    """Return text with a capital at the beginning, unless it begins with an identifier."""
    first = text.split(" ", 1)[0].removesuffix("'s")
    return text[:1].upper() + text[1:] if first.isalpha() else text


def ordered(actions: Iterable[str]) -> list[str]:
    """Return actions in the order in which they are always listed; those that nobody can ask for
    come last."""
    given = set(actions)
    return [action for action in ACTIONS if action in given] + sorted(given - set(ACTIONS))


def _cites(source: str, name: str, text: str) -> bool:
    """Return whether a citation names a source, with or without a passage of it."""
    return f"{name} ({text})" in source or f"{name} ({text}: " in source


def passages_of(cited: str, name: str, sources: Mapping[str, str]) -> list[str]:
    """Return the passages of a source that a citation names."""
    begin = f"{name} ({sources.get(name, '')}: "
    return [
        passage.removeprefix(begin).removesuffix(")")
        for passage in cited.split("; ")
        if passage.startswith(begin)
    ]


@cache
def _alone(identifiers: tuple[str, ...]) -> re.Pattern[str]:
    """Return what finds identifiers that are no part of a longer one: `A1.share-microsoft-openai`."""
    either = "|".join(map(re.escape, sorted(identifiers, reverse=True)))
    return re.compile(rf"(?<![\w.:/-])(?:{either})(?![\w/-]|[.:]\w)")


def _prose(agreement: Agreement, facts: FactRegister) -> Iterator[str]:
    yield agreement.title
    for amendment in agreement.amendments:
        yield amendment.title
        for clause in amendment.clauses:
            yield f"{clause.title}\n{clause.text}"
    yield from (rule.text for rule in agreement.rules.values())
    yield from (reading.citation.text for reading in agreement.readings.values())
    yield from (figure.citation.text for figure in agreement.figures.values())
    yield from (comment.citation.text for comment in agreement.commentary)
    yield from (fact.citation.text for fact in facts.facts)


# Every page asks anew for the wording of the same texts.
@lru_cache(maxsize=8)
def _spelled_all(
    parties: tuple[str, ...], clouds: tuple[str, ...], prose: str
) -> Mapping[str, str]:
    """Return parties and clouds by their identifiers, as the prose writes them."""
    spelled = {name: _spelled(name, prose) for name in parties}
    if any(said != name for name, said in spelled.items()):
        # A party that the prose never names is written like those that it does.
        spelled = {
            name: name.capitalize() if name == said else said for name, said in spelled.items()
        }
    return MappingProxyType({**{name: _cloud(name, prose, spelled) for name in clouds}, **spelled})


def _cloud(name: str, prose: str, parties: Mapping[str, str]) -> str:
    """Return a cloud as the prose writes it; one that it never names is written with the names of
    the parties in it: `OpenAI-own`."""
    spelled = _spelled(name, prose)
    if spelled != name:
        return spelled
    return "-".join(parties.get(part, part) for part in name.split("-"))


def _spelled(name: str, prose: str) -> str:
    """Return a name as the prose writes it; as it is where the prose has it as a common word, or
    not at all."""
    pattern = re.escape(name).replace(r"\-", "[- ]")
    spellings: Counter[str] = Counter(
        re.findall(rf"(?<![\w.-]){pattern}(?![\w-])", prose, re.IGNORECASE)
    )
    if not spellings or name in spellings:
        return name
    return spellings.most_common(1)[0][0]

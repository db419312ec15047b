"""Read and check the definitions in `agreement.md`: parties, clouds, products, readings, ….

They may stand in any number of `yaml definitions` blocks; each name is defined once. If a part
cannot be read, the names it would have defined pass unchecked elsewhere, so that one mistake is
reported once.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from typing import TypeVar

import msgspec

from clauseway.agreement.language.actions import TERM_ACTIONS
from clauseway.agreement.language.definitions import (
    OURS,
    RULES,
    STANDINGS,
    STATED_RULES,
    Commentary,
    ContextNote,
    Defined,
    Event,
    Figure,
    Reading,
)
from clauseway.agreement.language.figures import WHOLESALE, check_general, parse_wholesale
from clauseway.agreement.language.terms import ANY_SEGMENT, ANYONE, MILESTONE
from clauseway.agreement.reading.blocks import (
    Cited,
    CitedSource,
    build,
    check_repeated,
    read_mapping,
)
from clauseway.agreement.reading.front import DefinitionsFront, read_front
from clauseway.agreement.text.entries import Plain, YamlValue
from clauseway.agreement.text.markdown import Block, Document
from clauseway.agreement.text.mistakes import DEFINITIONS, KnownNames, Mistakes
from clauseway.catalog import ELSEWHERE, Catalog, Product, ProductClass
from clauseway.values import BadNumber, Citation, counted, suggestion

# The sections that definitions may have.
SECTIONS = (
    "sources",
    "parties",
    "clouds",
    "regions",
    "segments",
    "classes",
    "products",
    "rules",
    "readings",
    "commentary",
    "figures",
    "context",
    "events",
)
_CITED = frozenset({"says", "source"})
# A definition that names no amendment as its origin is cited as the agreement's own.
_NO_AMENDMENT = "agreement"
# The sections that are lists of names. The others map each name to its definition.
LISTS = ("parties", "segments")


class ClassWritten(msgspec.Struct, frozen=True, kw_only=True):
    within: str = ""
    actions: frozenset[str] = frozenset()


class ProductWritten(msgspec.Struct, frozen=True, kw_only=True, rename="kebab"):
    class_: str = msgspec.field(name="class")
    first_shipped_by: date | None = None


class CitedText(msgspec.Struct, frozen=True, kw_only=True):
    """The words of a definition, and the sources that carry them."""

    says: str
    source: Cited


W = TypeVar("W", bound=msgspec.Struct)
D = TypeVar("D", bound=Defined)


class Definitions(msgspec.Struct, frozen=True, kw_only=True):
    """The definitions as written. `names` and `lines` hold names even of entries with mistakes.

    `names` lists the names of each section, `vocabulary` those that a term may use, by the noun for
    what they name.
    """

    id: str
    title: str
    sources: Mapping[str, str]
    parties: frozenset[str]
    clouds: Mapping[str, str]
    regions: Mapping[str, Mapping[str, frozenset[str]]]
    segments: frozenset[str]
    classes: Mapping[str, ClassWritten]
    products: Mapping[str, ProductWritten]
    rules: Mapping[str, Citation]
    readings: Mapping[str, Reading]
    commentary: Mapping[str, Commentary]
    figures: Mapping[str, Figure]
    context: Mapping[str, ContextNote]
    events: Mapping[str, Event]
    # The events that have a `days`: how long after another event they come about.
    counted: frozenset[str]
    names: Mapping[str, KnownNames]
    vocabulary: Mapping[str, KnownNames]
    lines: Mapping[tuple[str, str], int]

    def event_names(self) -> KnownNames:
        """Return the events that a term may name; None if they could not be read."""
        events = self.names["events"]
        return None if events is None else {*events, MILESTONE}

    def catalog(self) -> Catalog:
        return Catalog(
            parties=self.parties,
            clouds=frozenset(self.clouds),
            operators=self.clouds,
            regions=self.regions,
            segments=self.segments,
            events=frozenset(name for name, event in self.events.items() if event.recorded),
            classes={
                name: ProductClass(id=name, within=written.within, actions=written.actions)
                for name, written in self.classes.items()
            },
            products={
                name: Product(
                    id=name, product_class=written.class_, first_shipped_by=written.first_shipped_by
                )
                for name, written in self.products.items()
            },
        )


def read_definitions(document: Document, mistakes: Mistakes) -> Definitions:
    """Read and check the definitions in `agreement.md`."""
    _, front = read_front(document, DefinitionsFront, mistakes)
    sections = _Sections(document, mistakes)
    names = {section: sections.names(section) for section in SECTIONS}
    definitions = Definitions(
        id=front.id if front else "",
        title=front.title if front else "",
        sources=sections.sources,
        parties=sections.list_of_names("parties"),
        clouds=sections.texts("clouds"),
        regions=sections.regions(),
        # Every agreement has the segment of customers who claim none.
        segments=sections.list_of_names("segments") | {ANY_SEGMENT},
        classes=sections.records("classes", ClassWritten),
        products=sections.records("products", ProductWritten),
        rules=sections.rules(),
        readings=sections.cited("readings", Reading),
        commentary=sections.cited("commentary", Commentary),
        figures=sections.cited("figures", Figure),
        context=sections.cited("context", ContextNote),
        events=sections.cited("events", Event),
        counted=sections.names_with("events", "days"),
        names=names,
        vocabulary=_vocabulary(names),
        lines=sections.lines(),
    )
    # After all sections are read, because definitions name one another.
    for check in CHECKS:
        check(definitions, mistakes)
    return definitions


def _vocabulary(names: Mapping[str, KnownNames]) -> Mapping[str, KnownNames]:
    classes, products, segments = names["classes"], names["products"], names["segments"]
    regions = names["regions"]
    return {
        "party": names["parties"],
        "cloud": names["clouds"],
        "region": {*regions, ELSEWHERE} if regions else regions,
        "segment": segments if segments is None else {*segments, ANY_SEGMENT},
        "product": None if classes is None or products is None else {*classes, *products},
    }


class _Sections:
    """The sections of the definitions, gathered over their blocks."""

    def __init__(self, document: Document, mistakes: Mistakes) -> None:
        self._mistakes = mistakes
        self._entries: dict[str, YamlValue] = {}
        self._hidden = not document.blocks
        if self._hidden:
            why = "the amendments speak of names that stand here"
            remedy = (
                "Write a ```yaml definitions block with sources, parties, clouds, classes, "
                "products and rules."
            )
            mistakes.add(1, "nothing is defined", why, remedy)
        for block in document.blocks:
            self._gather(block)
        self.sources = self.texts("sources")

    def _gather(self, block: Block) -> None:
        entry = read_mapping(block, ("definitions",), self._mistakes)
        self._hidden = self._hidden or entry is None
        for key, member in entry.members.items() if entry else ():
            if key in self._entries:
                problem, line = f"{key!r} is defined twice", self._entries[key].line
                why = f"it is defined on line {line}"
                self._mistakes.add(member.line, problem, why, "Put both into one.")
            else:
                self._mistakes.check_one_of(member.line, "key", key, SECTIONS)
                self._entries[key] = member

    def texts(self, section: str) -> dict[str, str]:
        """Return a section that maps names to texts."""
        texts = {}
        for name, member in self._members(section).items():
            if isinstance(member.value, str):
                texts[name] = member.value
            else:
                part = f"{section}: {name!r}"
                self._misfit(member.line, part, "it is not a text", "Write one text.")
        return texts

    def records(self, section: str, kind: type[W]) -> dict[str, W]:
        """Return a section that maps names to mappings of one kind."""
        records = {}
        for name, member in self._mappings(section).items():
            if (record := build(kind, member, self._mistakes)) is not None:
                records[name] = record
        return records

    def _mappings(self, section: str) -> dict[str, YamlValue]:
        """Return the mappings in a section, by name."""
        mappings = {}
        for name, member in self._members(section).items():
            if member.is_mapping:
                mappings[name] = member
            else:
                part = f"{section}: {name!r}"
                self._misfit(member.line, part, "it is not a mapping", "Write {key: value}.")
        return mappings

    def cited(self, section: str, kind: type[D]) -> dict[str, D]:
        """Return a section that maps names to mappings of one kind, each with its citation."""
        records = {}
        # The words and sources come first, because a record holds them as its citation.
        for name, member in self._mappings(section).items():
            text = build(CitedText, member.only(_CITED), self._mistakes)
            amendment = member.text("from") or _NO_AMENDMENT
            citation = self._citation(section, name, text, amendment) if text else None
            computed = {"id": name, "citation": citation}
            record = build(kind, member, self._mistakes, computed, beside=_CITED)
            if record is not None and text is not None:
                records[name] = record
                for source in text.source:
                    self._mistakes.check_defined(
                        member.line, "source", source.id, self.names("sources")
                    )
        return records

    def names_with(self, section: str, key: str) -> frozenset[str]:
        """Return the names in a section whose definition has a key."""
        entry = self._entries.get(section, YamlValue({}, 0))
        return frozenset(name for name, member in entry.members.items() if key in member.members)

    def rules(self) -> dict[str, Citation]:
        ours = (CitedSource(OURS),)
        return {
            name: self._citation("rules", name, CitedText(says=says, source=ours), _NO_AMENDMENT)
            for name, says in self.texts("rules").items()
        }

    def _citation(self, section: str, name: str, text: CitedText, amendment: str) -> Citation:
        return Citation(
            term=name,
            amendment=amendment,
            document=DEFINITIONS,
            line=self._entries[section].members[name].line,
            source=spelled(text.source, self.sources),
            text=text.says,
        )

    def regions(self) -> dict[str, dict[str, frozenset[str]]]:
        """Return the regions, each with the names of its places on each cloud."""
        regions = {}
        for name, member in self._members("regions").items():
            places = member.plain()
            for cloud, named in member.members.items():
                check_repeated(named, cloud, self._mistakes)
            if isinstance(places, dict) and all(map(_is_list_of_names, places.values())):
                regions[name] = {
                    cloud: frozenset(map(str, names)) for cloud, names in places.items()
                }
            else:
                why = "it should map clouds to lists of places"
                remedy = f"Write {name}: {{CLOUD: [a, b]}}."
                self._misfit(member.line, f"regions: {name!r}", why, remedy)
        return regions

    def list_of_names(self, section: str) -> frozenset[str]:
        """Return a section that is a list of names."""
        entry = self._entries.get(section, YamlValue([], 0))
        names = entry.plain()
        check_repeated(entry, section, self._mistakes)
        if isinstance(names, list) and _is_list_of_names(names):
            return frozenset(str(name) for name in names)
        remedy = f"Write {section}: [a, b]."
        self._misfit(entry.line, repr(section), "it should be a list of names", remedy)
        return frozenset()

    def names(self, section: str) -> KnownNames:
        """Return the names that a section defines; None if they cannot be read."""
        if section not in self._entries:
            return None if self._hidden else ()
        written = self._entries[section].plain()
        if section in LISTS and isinstance(written, list):
            return frozenset(name for name in written if isinstance(name, str))
        return frozenset(written) if isinstance(written, dict) else None

    def lines(self) -> dict[tuple[str, str], int]:
        """Return the line of each name by its section; a section's own line has an empty name."""
        return {(section, ""): entry.line for section, entry in self._entries.items()} | {
            (section, name): member.line
            for section, entry in self._entries.items()
            for name, member in entry.members.items()
        }

    def _members(self, section: str) -> Mapping[str, YamlValue]:
        entry = self._entries.get(section, YamlValue({}, 0))
        if not entry.is_mapping:
            remedy = f"Write {section}: {{name: …}}."
            self._misfit(entry.line, repr(section), "it should map names to values", remedy)
        return entry.members

    def _misfit(self, line: int, part: str, why: str, remedy: str) -> None:
        self._mistakes.add(line, f"{part} does not fit", why, remedy)


def spelled(sources: Iterable[CitedSource], titles: Mapping[str, str]) -> str:
    """Return sources as citations spell them: `S1 (its title: the passage); P (its title)`."""
    return "; ".join(_spelled(source, titles) for source in sources)


def _spelled(source: CitedSource, titles: Mapping[str, str]) -> str:
    said = ": ".join(filter(None, (titles.get(source.id, ""), source.passage)))
    return f"{source.id} ({said})" if said else source.id


def _check_spelling(definitions: Definitions, mistakes: Mistakes) -> None:
    """Check that every defined name can be written, and differs from others of its section."""
    mistakes.check_name(1, definitions.id)
    for section in SECTIONS:
        names = definitions.names[section] or ()
        heading = definitions.lines.get((section, ""), 1)
        for name in sorted(names):
            mistakes.check_name(definitions.lines.get((section, name), heading), name)
        mistakes.check_names_apart(heading, names)


def _is_list_of_names(value: Plain) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _check_catalog(definitions: Definitions, mistakes: Mistakes) -> None:
    lines, names = definitions.lines, definitions.names
    for name, operator in definitions.clouds.items():
        mistakes.check_defined(lines["clouds", name], "operator", operator, names["parties"])
    for name, written_class in definitions.classes.items():
        for action in sorted(written_class.actions):
            mistakes.check_one_of(lines["classes", name], "action", action, TERM_ACTIONS)
        if written_class.within:
            mistakes.check_defined(
                lines["classes", name], "class", written_class.within, names["classes"]
            )
    for name, product in definitions.products.items():
        mistakes.check_defined(lines["products", name], "class", product.class_, names["classes"])
        if name in definitions.classes:
            problem, why = (
                f"{name!r} stands twice",
                f"it is a class, on line {lines['classes', name]}",
            )
            mistakes.add(lines["products", name], problem, why, "Give the product another id.")
    if ANYONE in definitions.parties:
        mistakes.add(
            1,
            f"a party cannot be {ANYONE!r}",
            "that word means every party",
            "Give it another name.",
        )


def _check_regions(definitions: Definitions, mistakes: Mistakes) -> None:
    """Check that a place lies in one region, and does not have another region's name."""
    regions = definitions.regions
    region_of: dict[tuple[str, str], str] = {}
    for name, clouds in regions.items():
        line = definitions.lines["regions", name]
        if name == ELSEWHERE:
            problem, why = f"a region cannot be {name!r}", "that word means the places of no region"
            mistakes.add(line, problem, why, "Give it another name.")
        for cloud, places in clouds.items():
            mistakes.check_defined(line, "cloud", cloud, definitions.names["clouds"])
            for place in sorted(places):
                before = (
                    place
                    if place != name and place in {*regions, ELSEWHERE}
                    else region_of.get((cloud, place), "")
                )
                region_of[cloud, place] = name
                if before:
                    problem = f"{place!r} of {cloud} lies in two regions, {before} and {name}"
                    remedy = "Take it out of one. A term may name several regions."
                    mistakes.add(line, problem, "a place lies in one", remedy)


def _check_circles(definitions: Definitions, mistakes: Mistakes) -> None:
    """Check that classes form a tree. Report each circle once, at its first class."""
    reported: set[str] = set()
    for name in definitions.classes:
        seen: list[str] = []
        at = name
        while at in definitions.classes and at not in seen and at not in reported:
            seen.append(at)
            at = definitions.classes[at].within
        if at in seen:
            problem, why = f"class {at!r} lies within itself", "classes form a tree"
            mistakes.add(
                definitions.lines["classes", at], problem, why, "Break the circle of within:."
            )
        reported.update(seen)


def _check_rules(definitions: Definitions, mistakes: Mistakes) -> None:
    written = definitions.names["rules"]
    for name in definitions.rules:
        mistakes.check_one_of(
            definitions.lines["rules", name], "rule", name, (*RULES, *STATED_RULES)
        )
    for name in RULES if written is not None else ():
        if name not in (written or ()):
            problem, why = f"the rule {name!r} is missing", "silence must be read somehow"
            mistakes.add(1, problem, why, f"Write rules: {{{name}: …}}.")


def _check_readings(definitions: Definitions, mistakes: Mistakes) -> None:
    for name, reading in definitions.readings.items():
        if len(set(reading.options)) < max(2, len(reading.options)):
            line, remedy = definitions.lines["readings", name], "Write options: [default, other]."
            why = "a reading has two options or more, each once"
            mistakes.add(line, f"reading {name!r} leaves no choice", why, remedy)


def _check_figures(definitions: Definitions, mistakes: Mistakes) -> None:
    for name, figure in definitions.figures.items():
        line = definitions.lines["figures", name]
        mistakes.check_one_of(line, "standing", figure.standing, STANDINGS)
        # A term that names a figure reads its value. These hold although no term names them.
        try:
            check_general(name, figure.value)
            if name == WHOLESALE:
                _check_wholesale_seller(figure.value, definitions.names["parties"])
        except BadNumber as error:
            problem = f"the value {figure.value!r} of figure {name} cannot be read"
            mistakes.add(line, problem, error.why, error.remedy)


def _check_wholesale_seller(value: str, parties: KnownNames) -> None:
    """Raise BadNumber if the value is about a seller that is no party: it would hold for no sale."""
    seller, _ = parse_wholesale(value, commas=True)
    if seller and parties is not None and seller not in parties:
        raise BadNumber(f"the agreement has no party {seller!r}", suggestion(seller, parties))


def _check_events(definitions: Definitions, mistakes: Mistakes) -> None:
    """Check that an event is recorded or defined in one way, and rests on events or days."""
    names = definitions.event_names()
    for name, event in definitions.events.items():
        line = definitions.lines["events", name]
        for other_event in sorted(event.waits_for | {event.over_by} - {""}):
            mistakes.check_defined(line, "event", other_event, names)
        for why, remedy in _unclear(event, definitions.events):
            mistakes.add(line, f"the event {name!r} cannot be understood", why, remedy)
        if event.after and name not in definitions.counted:
            remedy = "Write days: with a number; days: 0 is the same day."
            why = f"it does not say how long after {event.after} it comes about"
            mistakes.add(line, f"the event {name!r} has no deadline", why, remedy)
        elif event.after and event.prevented_by and (why := _preventing(event, definitions.events)):
            remedy = "Name another event in prevented-by:, or delete it, or change days:."
            mistakes.add(line, f"prevented-by: of the event {name!r} is void", why, remedy)


def _unclear(event: Event, events: Mapping[str, Event]) -> Iterator[tuple[str, str]]:
    """Yield each reason why an event has no clear meaning, and the remedy."""
    if event.id == MILESTONE:
        yield "every agreement knows it", "Delete it: fact record milestone."
    if event.after and event.on is not None:
        yield "it comes after an event and on a day", "Write after: or on:."
    if event.prevented_by and not event.after:
        yield "prevented-by: has its effect on after: alone", "Write after:."
    if event.extended_by and event.on is None:
        yield "extended-by: puts off the day in on:", "Write on:."
    if bool(event.days) != bool(event.extended_by) and not event.after:
        why = "days: counts from after:, or how long extended-by: puts off"
        yield why, "Write both, or neither."
    if event.over_by == event.id:
        yield "it would be over as soon as it begins", "Name another event in over-by:."
    if event.days < 0:
        yield "days lies below zero", "Write how many days come after."
    if _waits_for_itself(event.id, events):
        why = "nothing could ever bring it about: it waits for itself"
        yield why, "Break the circle of after:, prevented-by: and extended-by:."


def _preventing(event: Event, events: Mapping[str, Event]) -> str:
    """Return why an event is always prevented, or never is; empty if both are possible."""
    if event.days == 0:
        return f"it comes about on the day of {event.after}, and leaves no day to prevent it on"
    if event.prevented_by == event.after:
        return f"each {event.after} would prevent what it begins, so it would never come about"
    by = events.get(event.prevented_by)
    if by and by.after == event.after and not by.prevented_by and 0 <= by.days < event.days:
        return (
            f"{by.id} always comes about {counted(by.days, 'day')} after {event.after}, so this "
            "event would never"
        )
    return ""


def _waits_for_itself(name: str, events: Mapping[str, Event]) -> bool:
    waiting, seen = [name], set[str]()
    while waiting:
        event = events.get(waiting.pop())
        ahead = event.waits_for - seen if event else frozenset()
        if name in ahead:
            return True
        seen |= ahead
        waiting += ahead
    return False


CHECKS: tuple[Callable[[Definitions, Mistakes], None], ...] = (
    _check_spelling,
    _check_catalog,
    _check_regions,
    _check_circles,
    _check_rules,
    _check_readings,
    _check_figures,
    _check_events,
)

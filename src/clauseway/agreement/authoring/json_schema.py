"""The JSON Schema (draft 2020-12) of YAML blocks, for editors. It is made from the records.

The reader takes every scalar as a text, so a number may stand wherever a text may. Only the whole
agreement shows whether a name is defined, so the reader checks names; a schema knows one block.
"""

from collections.abc import Mapping
from datetime import date
from types import UnionType
from typing import Annotated, Any, TypeAlias, get_args, get_origin

import msgspec

from clauseway.agreement.language.actions import TERM_ACTIONS
from clauseway.agreement.language.agreement import Change
from clauseway.agreement.language.definitions import (
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
from clauseway.agreement.language.facts import FACT_KINDS, STAGES
from clauseway.agreement.language.kinds import REFUSED
from clauseway.agreement.language.shares import FLOOR_PERIODS, LATE, PAYMENT_PERIODS
from clauseway.agreement.language.terms import BINDS, KINDS, UNLESS, Choice, Term
from clauseway.agreement.reading.amendments import WrittenFields
from clauseway.agreement.reading.blocks import Cited
from clauseway.agreement.reading.definitions import (
    LISTS,
    SECTIONS,
    CitedText,
    ClassWritten,
    ProductWritten,
)
from clauseway.agreement.reading.registers import AboutFact, AddedParty, AddedProduct

Schema: TypeAlias = dict[str, Any]

DRAFT = "https://json-schema.org/draft/2020-12/schema"
# The words that may follow ```yaml, and the content of each kind of block.
BLOCKS = ("term", "change", "definitions", "facts")

# The description of each key that several records have, and of the keys of changes, definitions and
# facts; "kind.key" if a kind of fact means something else by it. Keys that only one kind of term has,
# or by which it means something else, are described in its record (`terms.KINDS`).
DOCS: Mapping[str, str] = {
    "id": "Names it: unique in the agreement, by custom AMENDMENT.name.",
    "kind": "The kind, which decides the other keys.",
    "source": "The sources that state it, by their names in agreement.md.",
    "begins": "The day from which it holds, where that is later than its amendment's (YYYY-MM-DD).",
    "until": "The first day on which it no longer holds (YYYY-MM-DD), or an event: milestone, "
    "or one of agreement.md. "
    "With through, the earlier ends it.",
    "from": "Of a term, the event with which it begins: the first day, from its own begin on, "
    "on which that goes on; "
    "of commentary, the amendment from which on it is quoted.",
    "while": "The event while which it holds.",
    "while-no": "The event while which it does not hold.",
    "event": "The event that took place, by its name in agreement.md.",
    "event.through": "The last day of the event (YYYY-MM-DD). Left out: it goes on until the "
    "event that ends it.",
    "over-by": "The event with which it is over. Left out: it goes on.",
    "after": "The event so many days after which it comes about.",
    "prevented-by": "The event that prevents it, where it happens from the first event's day on "
    "and before the day on which this one would come about.",
    "on": "The day on which it comes about (YYYY-MM-DD).",
    "extended-by": "The event that puts off its day, each time, by so many days.",
    "days": "How many days after, or by how many days each renewal puts it off. After day D it "
    "comes about at the start of day D + days: for a cure period of 30 days whose last day still "
    "counts, write 31. Days are calendar days.",
    "events": "Events: recorded, or so many days after another event, or on a day.",
    "through": "The last day on which it holds (YYYY-MM-DD).",
    "under": "The readings under which it stands at all: {R1: and}.",
    "party": "A party, by its name in agreement.md.",
    "to": "The other party.",
    "actions": "Actions: serve, sell, license, use-under-licence, contract-compute.",
    "products": "Products or classes of products. A class stands for all in it.",
    "clouds": "Host clouds. Left out: any.",
    "segments": "Customer segments. Left out: all customers; `any`: those of no named segment.",
    "parties": "Parties, by their names in agreement.md.",
    "licensees": "The only parties that may be licensed.",
    "except": "Carve-outs: what a term that forbids does not cover. All keys of one must fit.",
    "rescinds": "Amendments, by their ids, that are not yet in effect and never take it.",
    "exclusive": "True if nobody else may, the grantor included: writes an exclusivity, named "
    "ID.exclusive.",
    "sole": "True if nobody else may but the grantor: writes an exclusivity, named ID.exclusive.",
    "answer-by": "The last day for an answer: after it, silence is a pass (YYYY-MM-DD).",
    "grant.through": "The last day of the grant (YYYY-MM-DD). Left out: it has no end.",
    "grant.cloud": "The host cloud it is kept to. Left out: any.",
    "withdrawal.cloud": "The host cloud on which grants are withdrawn. Left out: any.",
    "region": "The region it is kept to. Left out: any.",
    "segment": "The customer segment it is kept to. Left out: any.",
    "holder": "The party that has the right or stake.",
    "subject": "The subject of an offer, as facts of kind offer name it. A right that names none: "
    "each product by itself.",
    "rate": "The percentage, by the name of a figure in agreement.md; or 15 %.",
    "above": "Where the band begins, by the name of a figure; or USD 1000000.",
    "amount": "The amount, by the name of a figure; or USD 5000.",
    "per": "Over what it is due: month, quarter or year of the calendar, or total (by the end "
    "of the share). A period of which the share is in force on N of M days counts by N/M.",
    "every": "How often: month (left out) or quarter of the calendar.",
    "due-days": "How many days after the last day of the month or quarter it is due.",
    "sellers": "Sellers, by their names in agreement.md. In a scope, left out: any. In a "
    "base: whose sales are in it.",
    "regions": "Regions, by their names in agreement.md; elsewhere is what lies in none of "
    "them. Left out: any.",
    "wholesale": "True if the payer's earnings from other sellers of what it owns are in the base "
    "too.",
    "wholesale-except": "Sellers from whom what is earned stays out of the base.",
    "excludes": "Products or classes that are in no base.",
    "about": "Its subject, in words.",
    "of": "The party that the stake is held in.",
    "ends": "Earlier terms that end with this amendment.",
    "sets-end": "Earlier terms whose end is moved to until or through.",
    "within": "The wider class it lies within.",
    "class": "The class it belongs to.",
    "first-shipped-by": "The latest day by which it had first shipped, where no launch is "
    "recorded (YYYY-MM-DD).",
    "says": "Its content in one sentence, which answers quote.",
    "options": "Two ways to read it or more; the first is the default.",
    "bears-on": "Where it is quoted: grant or precedence.",
    "value": "The figure: 20 %, or USD 1000000.",
    "standing": "reported: used only where accepted by name. placeholder: nobody reported a "
    "value, and this one is "
    "used only where accepted by name. ours: holds by default.",
    "product": "A product.",
    "grant.product": "A product, or a class of products.",
    "cloud": "The host cloud.",
    "stage": "announced, preview or available. What is merely announced has not shipped.",
    "can": "True if the first cloud's operator can support it.",
    "declines": "True if the first cloud's operator declines to.",
    "passed": "True if the holder of the right passed.",
    "effective": "The day on which it took effect (YYYY-MM-DD).",
    "recorded": "Since when it is known, where that is later: a day or an instant (UTC).",
    "corrects": "The fact that it corrects, by id or as KIND:…=DAY.",
    "sources": "Where clauses are stated: name, and what it is.",
    "classes": "Classes of products.",
    "rules": "How silence is read. All five are needed.",
    "readings": "Texts that can be read in several ways.",
    "commentary": "Remarks of sources beyond the terms. They change no answer.",
    "figures": "Figures that no term states.",
    "context": "Reports around the agreement. They change no answer; the brief shows them.",
    "day": "The day of the report (YYYY-MM-DD).",
}
# The descriptions of these keys in definitions, where they differ from the plain meaning.
_DEFINED: Mapping[str, str] = {
    "parties": "The parties.",
    "clouds": "Host clouds, each with the party that operates it.",
    "regions": "Regions that terms tell apart, each with its places on each cloud: {eu: {aws: "
    "[eu-west-1]}}.",
    "segments": "The segments that customers may claim to be in.",
    "products": "Products, each in its class.",
}
_TEXT: Schema = {"$ref": "#/$defs/text"}
_DAY: Schema = {"type": "string", "format": "date", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}
_NAMED: Schema = {"$ref": "#/$defs/name"}
_NAMES: Schema = {"type": "array", "items": _TEXT, "uniqueItems": True}
_SECTIONS: Mapping[str, type[msgspec.Struct]] = {
    "classes": ClassWritten,
    "products": ProductWritten,
    "readings": Reading,
    "commentary": Commentary,
    "figures": Figure,
    "context": ContextNote,
    "events": Event,
}
# Keys with a fixed list of words.
_WORDS: Mapping[str, frozenset[str]] = {
    "stage": STAGES,
    "binds": BINDS,
    "unless": UNLESS,
    "standing": frozenset(STANDINGS),
    "per": FLOOR_PERIODS,
    "every": PAYMENT_PERIODS,
    "late": LATE,
}
# Fields that the reader fills in and that may not be written.
_COMPUTED = frozenset({"citation", "known"})


def block_schema() -> Schema:
    """The schema: `$defs` has one for each kind of block, and the whole fits any of them."""
    facts = {
        f"fact.{name}": _record(kind, name, beside=AboutFact) for name, kind in FACT_KINDS.items()
    }
    # Other facts may correct; a retraction without it says nothing.
    facts["fact.retraction"]["required"].append("corrects")
    return {
        "$schema": DRAFT,
        "title": "Clauseway: blocks of an agreement",
        "description": "The content of the fenced yaml blocks of an agreement's documents.",
        "anyOf": [{"$ref": f"#/$defs/{block}"} for block in BLOCKS],
        "$defs": {
            "term": {
                "description": "```yaml term",
                "oneOf": [{"$ref": f"#/$defs/term.{kind}"} for kind in KINDS],
            },
            "change": {
                **_record(Change, beside=WrittenFields),
                "description": "```yaml change: ends earlier terms, or moves their end.",
            },
            "definitions": _definitions(),
            "facts": {
                "description": "```yaml facts: a list, or one.",
                "anyOf": [
                    {"type": "array", "items": {"$ref": "#/$defs/fact"}},
                    {"$ref": "#/$defs/fact"},
                ],
            },
            "fact": {
                "oneOf": [
                    {"$ref": f"#/$defs/fact.{kind}"} for kind in (*FACT_KINDS, "product", "party")
                ]
            },
            **{
                f"term.{name}": _record(kind.term, name, beside=WrittenFields)
                for name, kind in KINDS.items()
            },
            **facts,
            "text": {"type": ["string", "number", "boolean"]},
            "name": {"type": ["string", "number", "boolean"], "minLength": 1, "pattern": r"\S"},
            "fact.product": _record(AddedProduct, "product"),
            "fact.party": _record(AddedParty, "party"),
        },
    }


def _record(
    kind: type[msgspec.Struct], name: str = "", beside: type[msgspec.Struct] | None = None
) -> Schema:
    """Return the schema of a record as a mapping.

    `name` is the value of its `kind`. `beside` holds the fields that all such records share. The
    first paragraph of the record's docstring becomes the description that editors show.
    """
    properties: Schema = {"kind": {"const": name, "description": DOCS["kind"]}} if name else {}
    required = ["kind"] if name else []
    computed = _COMPUTED | {"id"} if beside is CitedText else _COMPUTED
    described = _described(kind, name)
    for record in (beside, kind) if beside else (kind,):
        for field in msgspec.structs.fields(record):
            key = field.encode_name
            if key in properties or field.name in computed or key in REFUSED.get(kind, {}):
                continue
            properties[key] = {
                **_value(field.type, key),
                "description": described.get(key, ""),
            }
            # A term begins with its amendment unless it says otherwise.
            if field.required and key != "begins":
                required.append(key)
    paragraph = " ".join((kind.__doc__ or "").split("\n\n")[0].split())
    # A record without a docstring gets one from msgspec, which shows its fields.
    has_words = paragraph and not paragraph.startswith(f"{kind.__name__}(")
    return {
        **({"description": paragraph} if has_words else {}),
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _described(kind: type[msgspec.Struct], name: str) -> Mapping[str, str]:
    """Return the description of each key of a record, whose kind has the name `name`."""
    if issubclass(kind, Term):
        return {**DOCS, **KINDS[name].described}
    own = {key.removeprefix(f"{name}."): text for key, text in DOCS.items() if "." in key}
    return {**DOCS, **own}


def _value(wanted: Any, key: str) -> Schema:
    if wanted in (Choice, Choice | None):
        words = {"enum": sorted(_WORDS[key])}
        by_option = {"type": "object", "minProperties": 1, "additionalProperties": words}
        return {"anyOf": [words, _single(by_option)]}
    if wanted == Cited:
        # A source's name, or its name with the passage cited.
        return {
            "type": "array",
            "items": {"anyOf": [dict(_NAMED), _single(_NAMED)]},
            "minItems": 1,
            "uniqueItems": True,
        }
    if get_origin(wanted) is Annotated:
        if get_origin(get_args(wanted)[0]) is frozenset:
            return {**_NAMES, "minItems": 1}
        return dict(_NAMED)
    if key == "actions":
        return {**_NAMES, "items": {"enum": list(TERM_ACTIONS)}}
    if key == "until":
        return {"anyOf": [dict(_DAY), dict(_NAMED)]}
    if key == "options":
        return {**_NAMES, "minItems": 2}
    if key in _WORDS:
        return {"enum": sorted(_WORDS[key])}
    if wanted in (date, date | None):
        return dict(_DAY)
    if isinstance(wanted, UnionType):
        return _record(get_args(wanted)[0])  # a part that may be left out
    if wanted is bool:
        return {"type": "boolean"}
    if wanted is int:
        return {"type": "integer", "minimum": 0}
    if wanted is str:
        return dict(_TEXT)
    if get_origin(wanted) in (tuple, frozenset):
        item = get_args(wanted)[0]
        record = isinstance(item, type) and issubclass(item, msgspec.Struct)
        return (
            {**_NAMES, "items": {**_record(item), "minProperties": 1}} if record else dict(_NAMES)
        )
    if isinstance(wanted, type) and issubclass(wanted, msgspec.Struct):
        return _record(wanted)
    return {"type": "object", "additionalProperties": _TEXT}


def _single(value: Schema) -> Schema:
    """Return the schema of a mapping with a single key."""
    return {
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": value,
    }


def _definitions() -> Schema:
    properties: Schema = {}
    for section in SECTIONS:
        described = {"description": _DEFINED.get(section) or DOCS.get(section, "")}
        if section in LISTS:
            properties[section] = {**_NAMES, **described}
        elif section == "regions":
            places = {"type": "object", "additionalProperties": dict(_NAMES)}
            properties[section] = {"type": "object", "additionalProperties": places, **described}
        else:
            kind = _SECTIONS.get(section)
            cited = CitedText if kind is not None and issubclass(kind, Defined) else None
            item = _record(kind, beside=cited) if kind else _TEXT
            properties[section] = {"type": "object", "additionalProperties": item, **described}
    # Rules are the language's: an agreement cannot name others.
    properties["rules"] |= {"propertyNames": {"enum": [*RULES, *STATED_RULES]}}
    return {
        "description": "```yaml definitions, in agreement.md: what the amendments speak about.",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }

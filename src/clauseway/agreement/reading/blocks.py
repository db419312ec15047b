"""Build a typed record from a block of YAML.

Each field is converted on its own, so that every mistake in a block is reported with its line.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import date
from functools import cache
from types import UnionType
from typing import Annotated, TypeAlias, TypeVar, get_args, get_origin

import msgspec
from msgspec.structs import FieldInfo

from clauseway.agreement.language.kinds import REFUSED
from clauseway.agreement.language.terms import Choice
from clauseway.agreement.text.entries import Plain, YamlValue
from clauseway.agreement.text.markdown import Block
from clauseway.agreement.text.mistakes import Mistakes
from clauseway.agreement.text.yaml_text import read_yaml
from clauseway.values import BadNumber, read_whole

T = TypeVar("T", bound=msgspec.Struct)
# A text that must not be empty or blank: an identifier, a title.
Named: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"\S")]


class CitedSource(msgspec.Struct, frozen=True):
    """A source, and the passage cited, if it is named: a heading or paragraph, in our words."""

    id: Named
    passage: str = ""


# A list of sources that must not be empty.
Cited: TypeAlias = Annotated[tuple[CitedSource, ...], msgspec.Meta(min_length=1)]
# All whole numbers in terms count days.
_DAYS_MAX = 36_500
_NOTHING: Mapping[str, object] = {}
# Lists in which other checks report repetitions.
_REPEATED_ELSEWHERE = frozenset({"ends", "sets-end", "tiers", "floors", "options"})


def read_block(block: Block, kinds: Collection[str], mistakes: Mistakes) -> YamlValue | None:
    """Return the content of a block of one of these kinds, or report a mistake and return None."""
    if block.kind not in kinds:
        remedy = f"Write {' or '.join(f'```yaml {kind}' for kind in kinds)}."
        problem = f"unknown block '{f'yaml {block.kind}'.strip()}'"
        mistakes.add(block.line - 1, problem, "it means nothing here", remedy)
    elif not block.closed:
        remedy = "Close it with ``` on a line."
        mistakes.add(block.line - 1, "the block has no end", "no line closes it", remedy)
    else:
        return read_yaml(block.text, block.line, mistakes)
    return None


def read_mapping(block: Block, kinds: Collection[str], mistakes: Mistakes) -> YamlValue | None:
    """Return the mapping in a block of one of these kinds, or report a mistake and return None."""
    entry = read_block(block, kinds, mistakes)
    if entry is None or entry.is_mapping:
        return entry
    mistakes.add(
        entry.line,
        "the block is not a mapping",
        "it is written as keys and values",
        "Write key: value.",
    )
    return None


def build(
    kind: type[T],
    entry: YamlValue,
    mistakes: Mistakes,
    computed: Mapping[str, object] = _NOTHING,
    beside: frozenset[str] = frozenset(),
) -> T | None:
    """Build a record from a mapping, field by field.

    `computed` fields are filled in here and may not be written. The keys `beside` are read
    elsewhere. Return None if any field is wrong; each wrong field is reported as a mistake.
    """
    before = len(mistakes)
    fields = {key: field for key, field in _fields(kind).items() if field.name not in computed}
    _check_keys(kind, entry, {*fields, *beside}, mistakes)
    values = dict(computed)
    for key, field in fields.items():
        if (member := entry.members.get(key)) is not None:
            values[field.name] = _converted(member, key, field, mistakes)
            check_repeated(member, key, mistakes)
        elif field.required:
            mistakes.add(
                entry.line, f"{key!r} is missing", "it has no default", f"Write {key}: … there."
            )
    return kind(**values) if len(mistakes) == before else None


@cache
def _fields(kind: type[msgspec.Struct]) -> Mapping[str, FieldInfo]:
    """Return a record's fields by the keys that an author writes."""
    return {field.encode_name: field for field in msgspec.structs.fields(kind)}


def _check_keys(
    kind: type[msgspec.Struct], entry: YamlValue, keys: Iterable[str], mistakes: Mistakes
) -> None:
    for key, member in entry.members.items():
        refusal = REFUSED.get(kind, {}).get(key)
        if refusal is not None:
            mistakes.add(member.line, f"{key!r} has no place here", refusal.why, refusal.remedy)
        elif key not in keys and (part := _part_with(kind, key)):
            why = f"it is a key of {part!r}"
            mistakes.add(member.line, f"{key!r} has no place here", why, f"Write it in {part!r}.")
        else:
            mistakes.check_one_of(member.line, "key", key, set(keys))


def _part_with(kind: type[msgspec.Struct], key: str) -> str:
    """Return the part of a record, by its key, whose own key this is; empty if none has it."""
    parts = (
        name
        for name, field in _fields(kind).items()
        if field.type != Cited
        and (part := _record_in(field.type)) is not None
        and key in _fields(part)
    )
    return next(parts, "")


def _record_in(kind: object) -> type[msgspec.Struct] | None:
    """Return the record of a field that is one, or a list of such; None of any other field."""
    for part in (kind, *get_args(kind)):
        if isinstance(part, type) and issubclass(part, msgspec.Struct) and part is not Choice:
            return part
    return None


def check_repeated(entry: YamlValue, key: str, mistakes: Mistakes) -> None:
    """Report items that stand twice in a list: the second adds nothing, and seems to.

    Lists within it have no order: `[a, b]` is `[b, a]`.
    """
    seen: dict[object, int] = {}
    for item in entry.items if key not in _REPEATED_ELSEWHERE else ():
        content = _content(item)
        if content in seen:
            said = repr(item.value) if isinstance(item.value, str) else "the same"
            why = f"it stands on line {seen[content]}, and says nothing more the second time"
            remedy = "Delete one of the two, or write what else is meant."
            mistakes.add(item.line, f"{said} stands twice in {key!r}", why, remedy)
        seen.setdefault(content, item.line)


def _content(entry: YamlValue) -> object:
    if entry.is_mapping:
        return frozenset((key, _content(member)) for key, member in entry.members.items())
    return entry.value if isinstance(entry.value, str) else frozenset(map(_content, entry.items))


def _converted(entry: YamlValue, key: str, field: FieldInfo, mistakes: Mistakes) -> object:
    wanted = get_args(field.type)[0] if get_origin(field.type) is Annotated else field.type
    if isinstance(wanted, UnionType) and issubclass(get_args(wanted)[0], msgspec.Struct):
        wanted = get_args(wanted)[0]  # a part that may be left out
    if field.type == Cited:
        return _sources(entry, key, mistakes)
    if isinstance(wanted, type) and issubclass(wanted, msgspec.Struct) and wanted is not Choice:
        return _part(wanted, entry, key, mistakes)
    if get_origin(wanted) is tuple and issubclass(part := get_args(wanted)[0], msgspec.Struct):
        return _parts(part, entry, key, mistakes)
    plain: object = _choice(entry.plain()) if wanted is Choice else entry.plain()
    if wanted is int and isinstance(plain, str):
        try:
            plain = read_whole(plain, least=-_DAYS_MAX, most=_DAYS_MAX)
        except BadNumber as error:
            mistakes.add(entry.line, f"{key!r} does not fit", error.why, error.remedy)
            return None
    try:
        return msgspec.convert(plain, Choice if wanted is Choice else field.type, strict=False)
    except msgspec.ValidationError:
        _misfit(entry, key, _form(wanted, key), mistakes)
        return None


def _part(kind: type[T], entry: YamlValue, key: str, mistakes: Mistakes) -> T | None:
    """Build a record within a record, such as the `only` of an exclusivity."""
    if entry.is_mapping:
        return build(kind, entry, mistakes)
    _misfit(entry, key, ("not a mapping", f"Write a mapping: {key}: {{name: …}}."), mistakes)
    return None


def _parts(kind: type[T], entry: YamlValue, key: str, mistakes: Mistakes) -> tuple[T | None, ...]:
    """Build records within a record, such as the carve-outs of an exclusivity."""
    if isinstance(entry.value, list):
        return tuple(_part(kind, item, key, mistakes) for item in entry.value)
    _misfit(
        entry,
        key,
        ("not a list of mappings", f"Write a list of mappings: {key}: [{{name: …}}]."),
        mistakes,
    )
    return ()


def _sources(entry: YamlValue, key: str, mistakes: Mistakes) -> object:
    """Read `[S1, {S2: the passage}]`."""
    items = [_source(item) for item in entry.items]
    if not items or None in items:
        _misfit(
            entry,
            key,
            ("not a list of sources", f"Write a list: {key}: [S1, {{S2: the passage}}]."),
            mistakes,
        )
        return None
    return tuple(items)


def _source(item: YamlValue) -> CitedSource | None:
    if isinstance(item.value, str):
        return CitedSource(item.value) if item.value.strip() else None
    if len(item.members) != 1:
        return None
    [(name, passage)] = item.members.items()
    if not isinstance(passage.value, str) or not passage.value.strip():
        return None
    return CitedSource(name, passage.value)


def _misfit(entry: YamlValue, key: str, form: tuple[str, str], mistakes: Mistakes) -> None:
    why, remedy = form
    empty = entry.value == [] or (isinstance(entry.value, str) and not entry.value.strip())
    mistakes.add(
        entry.line, f"{key!r} does not fit", "it is empty" if empty else f"it is {why}", remedy
    )


def _choice(plain: Plain) -> dict[str, Plain]:
    """Return the two fields of a Choice for `{R1: {and: x, or: y}}`, or for a plain `x`."""
    if isinstance(plain, dict) and len(plain) == 1 and "" not in plain:
        [(reading, options)] = plain.items()
        return {"reading": reading, "options": options}
    return {"reading": "", "options": {"": plain}}


# For each type: the misfit to report, and how to write a value.
_DAY = ("not a day", "Write a day as YYYY-MM-DD.")
_FORMS: tuple[tuple[object, tuple[str, str]], ...] = (
    (date, _DAY),
    (date | None, _DAY),
    (str, ("not a text", "Write one text.")),
    (int, ("not a whole number", "Write a number, as in 30.")),
    (bool, ("neither true nor false", "Write true or false.")),
    (
        Choice,
        (
            "neither a text nor a choice by one reading",
            "Write one text, or {READING: {option: text, …}}.",
        ),
    ),
)

# For keys under which authors write several values: how to say the same with one value.
_ONE_OF_SEVERAL: Mapping[str, str] = {
    "from": "Write one event. For both, write from: a with while: b, if b goes on for good; for "
    "the earlier, a term for each.",
    "until": "Write one event. For the earlier of two, write until: a with while-no: b, if b goes "
    "on for good; for the later, a term for each.",
    "while": "Write one event. For both at once, write from: a with while: b, if a goes on for "
    "good; for either, a term for each.",
    "while-no": "Write one event. For the days of neither, write until: a with while-no: b, if a "
    "goes on for good.",
    "prevented-by": "Write one event. For either of two, define an event for each, and write a "
    "term until each.",
    "cap": "Write one amount: it holds over the whole share. For a cap a year, write a share for "
    "each year.",
}


def _form(wanted: object, key: str) -> tuple[str, str]:
    if wanted is str and key in _ONE_OF_SEVERAL:
        return "not a text", _ONE_OF_SEVERAL[key]
    for kind, form in _FORMS:
        if wanted == kind:
            return form
    if get_origin(wanted) in (tuple, frozenset):
        return "not a list of names", f"Write a list: {key}: [a, b]."
    return "not a mapping of names to names", f"Write a mapping: {key}: {{a: b}}."

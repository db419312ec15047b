"""Turn what somebody records into a fact, or report every problem in it at once.

A recorded fact is named by its place in the register: F1, F2, …. The place also orders the facts
that one instant recorded. A launch is an event of the world and counts for every agreement; any
other fact counts for the agreement that it was recorded for. A product or party that is added stays
for good, because decisions may rest on its name.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date

import msgspec

from clauseway.agreement.language.definitions import Event
from clauseway.agreement.language.facts import (
    ADDITIONS,
    ANSWERS,
    FACT_KINDS,
    Fact,
    FactRegister,
    PartyAdded,
    ProductAdded,
    Retraction,
    ends_too_early,
    kept_in_vain,
    names_in,
)
from clauseway.agreement.language.terms import ANYONE
from clauseway.agreement.reading.registers import (
    NAMED,
    RECORD_AGAIN,
    RETRACTED,
    check_named,
    no_such_place,
)
from clauseway.agreement.text.markdown import UNREADABLE
from clauseway.agreement.text.mistakes import Mistakes
from clauseway.catalog import Catalog
from clauseway.values import FOREVER, Citation, InvalidInput, KnownAt, parse_day

_KINDS = {**FACT_KINDS, **ADDITIONS}
_ADDED = tuple(ADDITIONS.values())
# A name stands in suppositions and receipts, between colons and equals signs.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
# The document in citations of recorded facts. Their line is the place in the register.
REGISTER = "register"


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """A fact as it is kept.

    `agreement` is the id of the agreement that it was recorded for. `about` holds the fields of its
    kind. Until it is recorded, `sequence` is 0, and it is always known.
    """

    kind: str
    effective: date
    agreement: str
    source: str
    says: str
    about: Mapping[str, str | bool]
    corrects: str = ""
    sequence: int = 0
    known: KnownAt = KnownAt.always()

    @property
    def id(self) -> str:
        return f"F{self.sequence}"

    def fact(self) -> Fact:
        """The fact. Raises msgspec.ValidationError where `about` does not fit the kind."""
        named = [str(self.about[key]) for key in NAMED if key in self.about]
        citation = Citation(
            term=":".join([self.kind, *named]),
            amendment="facts",
            document=REGISTER,
            line=self.sequence,
            source=self.source,
            text=f"{self.says} ({self.effective})",
        )
        return msgspec.convert(
            {
                **self.about,
                "kind": self.kind,
                "effective": self.effective,
                "known": self.known,
                "citation": citation,
                "id": self.id,
                "corrects": self.corrects,
            },
            _KINDS[self.kind],
            from_attributes=True,
        )


def facts_for(agreement: str, recorded: Iterable[Recorded]) -> list[Fact]:
    """Return the facts that count for an agreement, in the order in which they were recorded."""
    facts: list[Fact] = []
    names = set[str]()
    for record in sorted(recorded, key=lambda record: record.sequence):
        if record.agreement == agreement or record.kind == "launch" or record.corrects in names:
            facts.append(record.fact())
            names.add(facts[-1].name)
    return facts


class UncheckedFact(msgspec.Struct, frozen=True, kw_only=True):
    """A fact that is not checked yet. `about` may hold an answer in one word: `cannot+declines`."""

    kind: str
    effective: str
    source: str
    says: str
    about: Mapping[str, str | bool] = msgspec.field(default_factory=dict)
    corrects: str = ""


def checked(
    given: UncheckedFact,
    agreement: str,
    catalog: Catalog,
    events: Mapping[str, Event],
    earlier: Sequence[Fact],
) -> Recorded:
    """Return a checked fact as a record for an agreement.

    `events` are those that the agreement defines. `earlier` are the facts that a correction may
    name, and that any other fact must not contradict.
    Raises InvalidInput with every problem, each with its flag.
    """
    mistakes = Mistakes(given.kind)
    record = Recorded(
        kind=given.kind,
        effective=_day(given.effective, mistakes.within("--effective")),
        agreement=agreement,
        source=given.source.strip(),
        says=given.says.strip(),
        about=_about(given, mistakes.within("--answer")),
        corrects=given.corrects,
    )
    for flag, text in (("--source", record.source), ("--says", record.says)):
        _check_text(text, mistakes.within(flag))
    if "subject" in given.about and catalog.subjects is None:
        _check_text(str(given.about["subject"]).strip(), mistakes.within("--subject"))
    fact = record.fact()
    for key, name, allowed in names_in(fact, catalog):
        check_named(0, key, name, allowed, events, mistakes.within(f"--{key}"))
    for key, part in kept_in_vain(fact, catalog):
        why, remedy = no_such_place(str(given.about["product"]), part)
        mistakes.within(f"--{key}").add(0, f"the {given.kind} is kept to a {key}", why, remedy)
    if key := ends_too_early(fact):
        why, remedy = f"it took effect on {fact.effective}", "Name a later day."
        mistakes.within(f"--{key}").add(0, f"{key} lies before the fact itself", why, remedy)
    _check_new_name(fact, catalog, mistakes)
    _check_correction(fact, tuple(earlier), mistakes.within("--corrects"))
    _check_agrees(fact, earlier, mistakes)
    if mistakes:
        raise mistakes.refusal()
    return record


def _day(text: str, mistakes: Mistakes) -> date:
    try:
        day = parse_day(text, mistakes.where)
    except InvalidInput as error:
        mistakes.include(error.problems)
        return date.min
    if day == FOREVER:
        mistakes.add(
            0,
            f"{text} is not a day of a fact",
            "it stands for having no end",
            "Name an earlier day.",
        )
    return day


def _about(given: UncheckedFact, mistakes: Mistakes) -> Mapping[str, str | bool]:
    """Return the fields of a kind, with an answer spelt out."""
    if "answer" not in given.about:
        return given.about
    answer = str(given.about["answer"])
    mistakes.check_one_of(0, "answer", answer, ANSWERS)
    can, declines = ANSWERS.get(answer, (False, False))
    return {"product": given.about["product"], "can": can, "declines": declines}


def _check_text(text: str, mistakes: Mistakes) -> None:
    if not text:
        mistakes.add(
            0, "it is empty", "a fact says what happened and where that is stated", "Write it out."
        )
    elif UNREADABLE.search(text):
        mistakes.add(0, "a character that cannot be shown", "somebody has to read it", "Delete it.")


def _check_new_name(fact: Fact, catalog: Catalog, mistakes: Mistakes) -> None:
    """Check that an addition has a new name."""
    match fact:
        case ProductAdded():
            key, name, taken = "product", fact.product, {*catalog.products, *catalog.classes}
        case PartyAdded():
            key, name, taken = "party", fact.party, {*catalog.parties, ANYONE}
        case _:
            return
    within = mistakes.within(f"--{key}")
    if not _NAME.fullmatch(name):
        why = "a name is of letters, digits, dots, dashes and underscores"
        within.add(0, f"{name!r} is not a name", why, "Write it as gpt-6.1.")
    elif name in taken:
        within.add(
            0,
            f"{name!r} is known already",
            "a name is added once",
            "Ask about it, or add another name.",
        )


def _check_agrees(fact: Fact, earlier: Sequence[Fact], mistakes: Mistakes) -> None:
    """Check that a fact contradicts no other. If one of them was wrong, a fact must correct it."""
    for before, after in FactRegister((*earlier, fact)).contradictions():
        if after is fact:
            problem = f"it contradicts {before.name}"
            why = f"that one says otherwise of the same day: {before.citation.text}"
            remedy = (
                f"If it was wrong, record a correction: --corrects {before.name}. "
                "Else name the day of this one."
            )
            mistakes.within("--corrects").add(0, problem, why, remedy)


def _check_correction(fact: Fact, earlier: tuple[Fact, ...], mistakes: Mistakes) -> None:
    if not fact.corrects:
        if isinstance(fact, Retraction):
            mistakes.add(
                0,
                "it is missing",
                "a retraction says which fact did not happen",
                "Name it: --corrects F1.",
            )
        return
    names = {other.name: other for other in earlier}
    if fact.corrects not in names:
        mistakes.check_one_of(0, "fact", fact.corrects, names, "no fact has that name")
        return
    corrected = names[fact.corrects]
    if isinstance(fact, _ADDED) or isinstance(corrected, _ADDED):
        why, remedy = "decisions may rest on the name", "Add the right one under another name."
        mistakes.add(0, "a name that was added is not taken back", why, remedy)
        return
    if isinstance(fact, Retraction) and isinstance(corrected, Retraction):
        mistakes.add(0, f"{fact.corrects} is a retraction", RETRACTED, RECORD_AGAIN)
    elif not isinstance(fact, Retraction) and type(corrected) is not type(fact):
        problem = f"{fact.corrects} is of another kind"
        why = "a correction says the same kind of thing rightly"
        mistakes.add(0, problem, why, "Retract it, and record the other.")

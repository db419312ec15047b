"""Assumptions: the only source of values for undisclosed figures, each accepted by name and named
on every statement.

    --assume share-openai-microsoft          accept the reported value
    --assume cap=25000000000                 take another value
                                             (also `cap='USD 25 billion'`, `share-…=20%`, `=0.2`)
    --assume wholesale=90%                   and `wholesale=amazon:80%` for one seller
    --assume cap-counts=all-payments:1_500_000_000
                                             all payments ever count, with the amount paid before
                                             the share began
    --assume revenue-owner=host              a sale is the revenue of its host cloud's operator,
                                             not its seller's

A *reported* figure must be accepted before a settlement may use it; a figure of *ours* holds by
default. Nobody reported a value for a *placeholder*: the agreement writes a value to calculate
with, and it must be accepted too. A value other than the declared value is *given*, by the person
who settles, and is never called reported. A percentage or sum that a term states itself (`15 %`) is
no figure and needs no acceptance.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal

import msgspec

from clauseway.agreement.language.agreement import Agreement
from clauseway.agreement.language.definitions import Figure
from clauseway.agreement.language.figures import (
    ALL_PAYMENTS,
    CAP_COUNTS,
    REVENUE_OWNER,
    WHOLESALE,
    check_general,
    parse_amount,
    parse_owner,
    parse_paid_before,
    parse_percentage,
    parse_wholesale,
)
from clauseway.agreement.language.shares import RevenueShare
from clauseway.agreement.language.terms import RevenueShareTerm
from clauseway.values import BadNumber, Problem, check_known, refuse_any, suggestion

REPORTED, PLACEHOLDER, OURS, GIVEN = "reported", "placeholder", "ours", "given"
_DECLARED_IN_WORDS = {REPORTED: "was reported", PLACEHOLDER: "was a placeholder", OURS: "is ours"}
# The digits of a sum behind its currency.
_SUM = re.compile(r"(?<=\b[A-Z]{3} )\d+")
# An accepted estimate of lost usage; not a figure of an agreement.
ESTIMATED = "estimated"
# A remark of the books on how they were kept.
STATED = "stated"
# Not a figure of an agreement: the lengths of settled requests are not known.
LENGTHS = "request-lengths"

# All of a sale counts where no figure says how much of it.
_ALL_COUNTS: Mapping[str, Decimal] = {"": Decimal(1)}
# A figure that takes a value for each seller holds them in one text.
_BETWEEN_VALUES = "; "


class Assumption(msgspec.Struct, frozen=True, kw_only=True):
    """A figure's value as used. `accepted` says that somebody named it; `value` is written as a
    person writes it.

    `standing` is `reported`, `placeholder`, `ours` or `given`; or `estimated` or `stated`, if it is
    not a figure of an agreement. A given value replaces the agreement's, which is kept in
    `declared` and `declared_standing`.
    """

    name: str
    value: str
    standing: str
    text: str
    source: str
    accepted: bool
    declared: str = ""
    declared_standing: str = ""

    @property
    def standing_in_words(self) -> str:
        """Return `reported`, `placeholder`, `ours`, or `given (20 % was reported)`."""
        if self.standing != GIVEN:
            return self.standing
        declared = in_thousands(self.declared)
        return f"{GIVEN} ({declared} {_DECLARED_IN_WORDS[self.declared_standing]})"

    @property
    def in_words(self) -> str:
        """Return the value with its standing: `20 % (reported)`, `18 %, given (20 % was
        reported)`."""
        value, words = in_thousands(self.value), self.standing_in_words
        return f"{value}, {words}" if self.standing == GIVEN else f"{value} ({words})"

    @property
    def with_value(self) -> str:
        """Return the figure with its value: `cap = USD 38,000,000,000 (reported)`. The words of its
        name are spelled as its own text spells them, so that every home writes the same."""
        words = (_spelled(word, self.text) for word in self.name.split("-"))
        return f"{' '.join(words)} = {self.in_words}"

    @property
    def standing_of_figure(self) -> str:
        """Return the standing that the agreement gives the figure, whichever value is used."""
        return self.declared_standing or self.standing


def items_of(name: str, value: str) -> list[str]:
    """Return a figure as `--assume` takes it: an item for each of its values."""
    return [f"{name}={part}" for part in value.split(_BETWEEN_VALUES)]


def accepted_items(assumptions: Iterable[Assumption]) -> list[str]:
    """Return the figures that were accepted, as `--assume` takes them."""
    accepted = (assumption for assumption in assumptions if assumption.accepted)
    return [item for figure in accepted for item in items_of(figure.name, figure.value)]


def is_same_value(value: str, other: str) -> bool:
    """Return whether two values of a figure are the same but for spaces: `20%` and `20 %`."""
    return "".join(value.split()) == "".join(other.split())


def replace_items(held: Iterable[str], given: Sequence[str]) -> list[str]:
    """Return the items held, with those given in the place of all that name the same figures."""
    named = {_figure_of(item) for item in given}
    return [*(item for item in held if _figure_of(item) not in named), *given]


def _figure_of(item: str) -> str:
    return item.partition("=")[0].strip()


def in_one_line(assumptions: Iterable[Assumption]) -> str:
    """Return figures with their values: `cap = USD 500 (reported) · wholesale = 100 % (ours)`."""
    return " · ".join(assumption.with_value for assumption in assumptions)


def in_thousands(text: str) -> str:
    """Return a text with the thousands of its sums apart: `USD 38,000,000,000`."""
    return _SUM.sub(lambda digits: f"{int(digits[0]):,}", text)


def _spelled(word: str, text: str) -> str:
    """Return a word as a text spells it; as it is where the text has it so, or not at all."""
    spellings = re.findall(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text, re.IGNORECASE)
    return word if word in spellings or not spellings else spellings[0]


class Assumptions:
    """Every figure with its value, and which figures were accepted. Frozen, with all values checked
    when read."""

    def __init__(
        self, all_: Mapping[str, Assumption], wholesale: Mapping[str, Decimal], opening: Decimal
    ) -> None:
        self._all = all_
        self._wholesale = wholesale
        # USD paid before the share began, where all payments count toward its cap.
        self.opening_balance = opening

    def of(self, share: RevenueShare) -> "Assumptions":
        """Return the assumptions that hold for a share: without the general figures that its own
        agreement does not declare."""
        if not share.undeclared:
            return self
        declared = {
            name: figure for name, figure in self._all.items() if name not in share.undeclared
        }
        wholesale = _ALL_COUNTS if WHOLESALE in share.undeclared else self._wholesale
        opening = Decimal(0) if CAP_COUNTS in share.undeclared else self.opening_balance
        return Assumptions(declared, wholesale, opening)

    def percentage(self, name: str) -> Decimal:
        """Return the rate that a figure names or a term states, as a fraction of one."""
        return parse_percentage(self._all[name].value if name in self._all else name, commas=True)

    def amount(self, name: str) -> Decimal:
        """Return the sum that a figure names or a term states, in USD and whole cents."""
        return parse_amount(self._all[name].value if name in self._all else name, commas=True)

    @property
    def host_owns(self) -> bool:
        """True if a sale is the revenue of its host cloud's operator, false if it is its
        seller's."""
        return REVENUE_OWNER in self._all and self._all[REVENUE_OWNER].value == "host"

    def stated(self) -> dict[str, str]:
        """Return the accepted names with their values as given: reading them again makes the same
        assumptions."""
        return {name: figure.value for name, figure in self._all.items() if figure.accepted}

    def wholesale(self, seller: str) -> Decimal:
        """Return the part of another seller's price that the payer earns, as a fraction of one."""
        return self._wholesale.get(seller, self._wholesale[""])

    def names_of(self, shares: Iterable[RevenueShare]) -> list[str]:
        """Return the names of all figures that settling these shares uses.

        A share names most of them. Three others are declared by their names alone: the owner of a
        sale, the part of others' sales that counts, and the amount counted before toward a cap.
        """
        names: list[str] = []
        for share in shares:
            names += (*share.rates, *share.amounts)
            unnamed = [REVENUE_OWNER]
            if share.base.wholesale:
                unnamed.append(WHOLESALE)
            if share.cap and not share.cap_opening:
                unnamed.append(CAP_COUNTS)
            names += [name for name in unnamed if name in self.of(share)._all]
        return names

    def undisclosed(self, names: Iterable[str]) -> list[Problem]:
        """Return a problem for each of `names` whose value must be accepted and was not; it says
        how to accept it."""
        problems = []
        for name in sorted(set(names)):
            figure = self._all.get(name)
            # A term may state the number itself instead of naming a figure.
            if figure is None and _is_number(name):
                continue
            if figure is None:
                why = "a term of the agreement names it and nothing declares it"
                remedy = "Declare it with the agreement's figures."
                problems.append(
                    Problem(
                        what=f"figure {name} has no value",
                        why=why,
                        where="agreement",
                        remedy=remedy,
                    )
                )
            elif figure.standing in (REPORTED, PLACEHOLDER) and not figure.accepted:
                why = f"{figure.text.rstrip('.')}; {_undisclosed_value(figure)}"
                remedy = (
                    f"Accept it with --assume {name}, "
                    f"or give another value with --assume {name}=VALUE."
                )
                problems.append(
                    Problem(what=f"{name} is undisclosed", why=why, where="--assume", remedy=remedy)
                )
        return problems

    def used(self, names: Iterable[str]) -> tuple[Assumption, ...]:
        """Return the assumptions that a statement must name: all figures of ours, and those among
        `names`."""
        wanted = set(names)
        return tuple(
            a
            for name, a in sorted(self._all.items())
            if name in wanted or a.standing_of_figure == OURS
        )


def read_assumptions(
    items: Sequence[str], figures: Mapping[str, Figure], where: str = "--assume"
) -> Assumptions:
    """Read accepted figures, each `name` or `name=value`. Raise InvalidInput with everything wrong in
    them; `where` is the flag or argument that a problem names."""
    values: dict[str, list[str]] = {}
    problems = []
    for item in items:
        name, equals, value = (part.strip() for part in item.partition("="))
        if name not in figures:
            remedy = suggestion(name, figures, f"Name one of {', '.join(sorted(figures))}.")
            why = "the agreement declares no such figure"
            problems.append(
                Problem(what=f"unknown assumption {name!r}", why=why, where=where, remedy=remedy)
            )
        elif equals and not value:
            missing = BadNumber("no value stands behind the equals sign", "Write the value.")
            problems.append(_refusal(item, missing, figures[name], where))
        elif error := _unreadable(figures[name], value or figures[name].value):
            problems.append(_refusal(item, error, figures[name], where))
        else:
            values.setdefault(name, []).append(value or figures[name].value)
    # A figure takes one value; wholesale takes one for each seller.
    for name, given in values.items():
        by_seller: dict[str, str] = {}
        for value in given:
            seller = value.rpartition(":")[0].strip() if name == WHOLESALE else ""
            if (before := by_seller.setdefault(seller, value)) != value:
                twice = BadNumber(f"it was given as {before} too", "")
                problems.append(_refusal(f"{name}={value}", twice, figures[name], where))
    # Figures of ours that are not named hold by default, so their declared values must be valid
    # too.
    problems += [
        problem
        for name in figures.keys() - values.keys()
        for problem in _badly_declared(figures[name])
    ]
    refuse_any(problems)
    return _filled(values, figures)


def check_sellers(items: Sequence[str], parties: Collection[str], where: str) -> None:
    """Raise InvalidInput where an item says what is earned of a seller that is no party: it would
    hold for no sale."""
    named = (item.partition("=") for item in items)
    sellers = [
        value.rpartition(":")[0].strip() for name, _, value in named if name.strip() == WHOLESALE
    ]
    check_known(where, filter(None, sellers), parties, "no agreement has a party of that name")


def check_taken(items: Sequence[str], agreements: Sequence[Agreement], where: str) -> None:
    """Raise InvalidInput where an item has no effect: no revenue share of the agreements that
    declare its figure takes it, or none takes in others' sales by the seller that it names."""
    shares = [
        (term, agreement.figures)
        for agreement in agreements
        for amendment in agreement.amendments
        for term in amendment.terms
        if isinstance(term, RevenueShareTerm)
    ]
    declared = {name for agreement in agreements for name in agreement.figures}
    problems = []
    for item in items:
        name, _, value = (part.strip() for part in item.partition("="))
        if name not in declared:
            continue  # whoever reads the item refuses it, and suggests a name
        taking = [term for term, figures in shares if name in figures and name in term.figures]
        seller = value.rpartition(":")[0].strip() if name == WHOLESALE else ""
        apart = [term.base.sellers | term.base.wholesale_except for term in taking]
        if taking and not (seller and all(seller in sellers for sellers in apart)):
            continue
        why = "no revenue share takes that figure"
        if taking:
            why = f"no share takes {seller}'s sales as others' sales: they count in full or not at all"
        elif name == WHOLESALE:
            why = "no revenue share has others' sales in its base (wholesale: true)"
        elif name == CAP_COUNTS:
            why = "no revenue share has a cap that begins at nothing"
        problems.append(
            Problem(what=f"{item} has no effect", why=why, where=where, remedy="Leave it out.")
        )
    refuse_any(problems)


def _unreadable(figure: Figure, value: str) -> BadNumber | None:
    """Return why a value does not fit its figure, or None if it does. The declared value may group
    with commas."""
    try:
        _check(figure, value, commas=value == figure.value)
    except BadNumber as error:
        return error
    return None


def _badly_declared(figure: Figure) -> list[Problem]:
    """Return a problem if a default that holds without being named does not fit its use."""
    try:
        check_general(figure.id, figure.value)
    except BadNumber as error:
        place, what = figure.citation, f"figure {figure.id} says {figure.value!r}"
        return [error.problem(what, place.document, place.line)]
    return []


def _undisclosed_value(figure: Assumption) -> str:
    value = in_thousands(figure.value)
    if figure.standing == REPORTED:
        return f"{value} was reported ({figure.source}) and never published"
    return f"no value was reported ({figure.source}), and {value} is a placeholder"


def _is_number(text: str) -> bool:
    """True if a term states this percentage or amount itself and names no figure."""
    for parse in (parse_percentage, parse_amount):
        try:
            parse(text, commas=True)
        except BadNumber:
            continue
        return True
    return False


def _check(figure: Figure, value: str, *, commas: bool) -> None:
    """Raise BadNumber unless the value is written as its figure's values are."""
    if figure.id == WHOLESALE:
        parse_wholesale(value, commas=commas)
    elif figure.id == CAP_COUNTS:
        _opening(figure, value)
    elif figure.id == REVENUE_OWNER:
        parse_owner(value)
    elif "%" in figure.value:
        parse_percentage(value, commas=commas)
    else:
        parse_amount(value, commas=commas)


def _opening(figure: Figure, value: str) -> Decimal:
    """Return the amount paid before that counts toward the cap."""
    declared = value == figure.value
    if not declared and value.partition(":")[0] != ALL_PAYMENTS:
        raise BadNumber(
            "it is neither of the two words",
            f"Write {figure.value}, or {ALL_PAYMENTS}: and what had been paid before.",
        )
    return parse_paid_before(value, commas=declared)


def _refusal(item: str, error: BadNumber, figure: Figure, where: str) -> Problem:
    remedy = f"Or write {figure.id} alone, to accept it as declared ({figure.value})."
    return Problem(
        what=f"{item} cannot be read",
        why=error.why,
        where=where,
        remedy=f"{error.remedy} {remedy}".strip(),
    )


def _filled(values: Mapping[str, Sequence[str]], figures: Mapping[str, Figure]) -> Assumptions:
    filled = {name: _assumption(figure, values.get(name, ())) for name, figure in figures.items()}
    shares = dict(_ALL_COUNTS)
    if WHOLESALE in figures:
        for value in (figures[WHOLESALE].value, *values.get(WHOLESALE, ())):
            seller, part = parse_wholesale(value, commas=True)
            shares[seller] = part
    opening = Decimal(0)
    if CAP_COUNTS in figures:
        opening = _opening(figures[CAP_COUNTS], filled[CAP_COUNTS].value)
    return Assumptions(filled, shares, opening)


def _assumption(figure: Figure, given: Sequence[str]) -> Assumption:
    is_given = any(not _is_declared(figure, value) for value in given)
    return Assumption(
        name=figure.id,
        value=_BETWEEN_VALUES.join(given) or figure.value,
        standing=GIVEN if is_given else figure.standing,
        text=figure.citation.text,
        source=figure.citation.source,
        accepted=bool(given),
        declared=figure.value if is_given else "",
        declared_standing=figure.standing if is_given else "",
    )


def _is_declared(figure: Figure, value: str) -> bool:
    """True if a value equals the declared value, however it is written: accepting `20 %` as `20%`
    gives no other."""
    if value == figure.value:
        return True
    # Words, not plain figures: only the same words are the same value.
    if figure.id in (WHOLESALE, CAP_COUNTS, REVENUE_OWNER):
        return False
    parse = parse_percentage if "%" in figure.value else parse_amount
    try:
        return parse(value) == parse(figure.value, commas=True)
    except BadNumber:
        return False

"""Changes in words: groups of combinations that are answered differently, as sentences with
their clauses."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import assert_never

import msgspec

from clauseway.agreement import (
    Agreement,
    Ownership,
    Precedence,
    RefusalRight,
    in_force,
)
from clauseway.agreement.language.actions import ACTIONS, SHARE, USE
from clauseway.agreement.language.names_in_terms import uses
from clauseway.agreement.language.terms import AnyTerm, Conditional
from clauseway.decisions import AskedAgreement, Decision, Outcome, own_options
from clauseway.decisions.givers import Givers
from clauseway.decisions.joint_answers import JointSide
from clauseway.decisions.parts import Names
from clauseway.decisions.searches.compare import Box, OutcomeChange, Side, grouped
from clauseway.values import KnownAt, counted
from clauseway.wording.names import VERBS, Wording, listed, ordered, sentence
from clauseway.wording.outcomes import outcome_word
from clauseway.wording.rescissions import Rescission


class ComparedSide(msgspec.Struct, frozen=True, kw_only=True):
    """One side: up to which amendment (empty for all that is known), as of a day, as known at a
    point."""

    up_to: str
    as_of: date
    known_at: str

    def __str__(self) -> str:
        up_to = f"{self.up_to}, " if self.up_to else ""
        return f"{up_to}as of {self.as_of}, known at {self.known_at}"


class ChangedAnswer(Names, frozen=True, kw_only=True):
    """A combination that is answered otherwise, and the places that decide it before and after."""

    before: Outcome
    after: Outcome
    was_because: str
    because: str


class ChangeGroup(Box, frozen=True, kw_only=True):
    """Combinations that changed alike: every combination of these members.

    `sentence` says so, `place` cites it.
    """

    sentence: str
    place: str
    count: int

    @property
    def without_outcomes(self) -> str:
        """Return the sentence without the outcomes at its end."""
        return self.sentence.removesuffix(f": {change_of(self)}")


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Two sides and all that is answered otherwise. The groups expand to exactly `changed`.

    `rescissions` tells of the amendments between the sides that another rescinds. Where two
    amendments answer alike on the day of the later, as before and after an extension, `later` is
    the comparison of the first later day on which they differ.
    """

    before: ComparedSide
    after: ComparedSide
    groups: tuple[ChangeGroup, ...]
    changed: tuple[ChangedAnswer, ...]
    rescissions: tuple[Rescission, ...] = ()
    later: "Comparison | None" = None

    @property
    def shown(self) -> "Comparison":
        """Return the comparison whose groups are shown: this one, or that of the later day."""
        return self.later or self

    @property
    def unchanged(self) -> str:
        """Say that nothing changes on the day compared, and on which day something does; empty
        where something changes on that day."""
        if self.changed:
            return ""
        if self.later is None:
            return "Nothing changes."
        return (
            f"Nothing that can be asked of {self.after.as_of} is answered otherwise. "
            f"Of {self.later.after.as_of} something is:"
        )


def comparison_of(
    agreements: Sequence[AskedAgreement],
    changes: Sequence[OutcomeChange],
    sides: Sequence[Side | JointSide],
    labels: Sequence[str],
    rescissions: tuple[Rescission, ...] = (),
) -> Comparison:
    """Return two sides with every change between them, in words.

    `labels` name what each side goes up to.
    """
    # The words are the later side's: its readings, and its owners.
    words = ChangeSentences(Wording.of(agreements), sides[1].readings, Owners.of_side(sides[1]))
    before, after = (
        ComparedSide(up_to=label, as_of=side.as_of, known_at=str(side.known_at))
        for side, label in zip(sides, labels, strict=True)
    )
    return Comparison(
        before=before,
        after=after,
        groups=tuple(map(words.group, words.in_order(grouped(changes)))),
        changed=tuple(
            ChangedAnswer(
                **msgspec.structs.asdict(change.combination),
                before=change.before,
                after=change.after,
                was_because=words.wording.place(change.was_because),
                because=words.wording.place(change.because),
            )
            for change in changes
        ),
        rescissions=rescissions,
    )


# Words for a change, by the outcomes before and after: between party and act, and behind the act.
_CHANGE_WORDS = {
    (Outcome.UNSTATED, Outcome.PERMITTED): ("may", ""),
    (Outcome.FORBIDDEN, Outcome.PERMITTED): ("may now", ""),
    (Outcome.CONDITIONAL, Outcome.PERMITTED): ("may now", " without condition"),
    (Outcome.UNSTATED, Outcome.FORBIDDEN): ("may not", ""),
    (Outcome.PERMITTED, Outcome.FORBIDDEN): ("may no longer", ""),
    (Outcome.CONDITIONAL, Outcome.FORBIDDEN): ("may no longer", ", not even on a condition"),
    (Outcome.UNSTATED, Outcome.CONDITIONAL): ("may", ", if"),
    (Outcome.FORBIDDEN, Outcome.CONDITIONAL): ("may now", ", if"),
    (Outcome.PERMITTED, Outcome.CONDITIONAL): ("may", " only if"),
}


def change_of(box: Box) -> str:
    """Return the outcomes before and after, as people read them."""
    before, after = outcomes_of(box)
    return f"{before} → {after}"


def outcomes_of(box: Box) -> tuple[str, str]:
    """Return the words for the outcomes before and after."""
    return outcome_word(box.before, box.actions), outcome_word(box.after, box.actions)


class Owners(msgspec.Struct, frozen=True):
    """The owners of products under each of several agreements, on a day and as known at a point."""

    folded: tuple[tuple[AskedAgreement, Givers], ...]
    as_of: date

    @classmethod
    def on(
        cls,
        asked: Iterable[AskedAgreement],
        as_of: date,
        known_at: KnownAt,
        readings: Mapping[str, str],
    ) -> "Owners":
        return cls(
            tuple(
                (
                    member,
                    Givers.of(
                        in_force(
                            member.agreement,
                            member.facts.known(known_at),
                            as_of,
                            known_at,
                            own_options(member.agreement, readings),
                        ).states
                    ),
                )
                for member in asked
            ),
            as_of,
        )

    @classmethod
    def of_side(cls, side: Side | JointSide) -> "Owners":
        if isinstance(side, JointSide):
            asked = side.asked
        else:
            asked = (AskedAgreement(side.agreement, side.agreement.catalog, side.facts),)
        return cls.on(asked, side.as_of, side.known_at, side.readings)

    def of(self, products: Iterable[str]) -> list[str]:
        """Return the parties that own these products, each once."""
        names = tuple(products)
        owners = [
            givers.owner(member.catalog.lineage(name), self.as_of)
            for member, givers in self.folded
            for name in names
            if name in member.catalog.products or name in member.catalog.classes
        ]
        return list(dict.fromkeys(filter(None, owners)))


class ChangeSentences(msgspec.Struct, frozen=True):
    """Says what a box of changes means, in the agreements' names.

    Texts that `readings` leaves open are read by default. `owners` are those of the day spoken of.
    """

    wording: Wording
    readings: Mapping[str, str]
    owners: Owners

    def in_order(self, boxes: Sequence[Box]) -> list[Box]:
        """Return the owner's first, then those of others whom the text names; by action, the widest
        first.

        Those that concern no product there is come last: classes whose products all lie in others.
        """
        owners = set(owners_of(self.wording.agreements))
        principals = parties_named(self.wording)

        def rank(box: Box) -> tuple[object, ...]:
            first = ordered(box.actions)[0]
            outside = not owners & set(box.parties), not set(box.parties) <= principals
            hollow = all(map(self.wording.is_hollow, box.products))
            return (hollow, *outside, ACTIONS.index(first), -len(box))

        return sorted(boxes, key=rank)

    def group(self, box: Box) -> ChangeGroup:
        return ChangeGroup(
            sentence=self.sentence(box),
            place=self.wording.place(box.because),
            count=len(box),
            **msgspec.structs.asdict(box),
        )

    def sentence(self, box: Box) -> str:
        text = self._share(box) if SHARE in box.actions else self._act(box)
        conditions = ", and if ".join(self.condition(term, box.products) for term in box.conditions)
        return f"{sentence(text)}{conditions and ' '}{conditions}: {change_of(box)}"

    def _act(self, box: Box) -> str:
        """Return a change of a right: a party may now do something somewhere."""
        words = self.wording
        # Acts that nobody may do are listed with "or", those that somebody may do with "and".
        conjunction = "or" if box.after is Outcome.FORBIDDEN else "and"
        verbs = listed([VERBS[action] for action in ordered(box.actions)], conjunction)
        act = f"{verbs} {words.products(box.products, box.actions[0], conjunction)}"
        act += " under licence" if box.actions == (USE,) else ""
        to = f" to {words.parties(box.to, conjunction)}" if box.to != ("",) else ""
        where = words.where(box, conjunction)
        who = words.parties(box.parties)
        if box.after is Outcome.UNSTATED:
            return f"nothing states any more whether {who} may {act}{to}{where}"
        who = _others(who)
        may, behind = _CHANGE_WORDS[box.before, box.after]
        # "Anyone may not" could be read as "not everyone may".
        if box.after is Outcome.FORBIDDEN and who == "anyone":
            who, may = "nobody", "may"
            behind = behind if box.before is Outcome.UNSTATED else f" any longer{behind}"
        return f"{who} {may} {act}{to}{where}{behind}"

    def _share(self, box: Box) -> str:
        """Return a change of a share: a party owes another a share on a base."""
        words = self.wording
        who, to, on = words.parties(box.parties), words.parties(box.to, "or"), self._base(box)
        who = _others(who)
        owes = "owe" if len(box.parties) > 1 and who != "anyone" else "owes"
        if box.after is Outcome.UNSTATED:
            return f"nothing states any more whether {who} {owes} {to} a revenue share{on}"
        if box.after is Outcome.PERMITTED:
            return f"{who} now {owes} {to} a revenue share{on}"
        if who == "anyone":
            return f"nobody {owes} {to} a revenue share{on}"
        return (
            f"{who} {owes} {to} no revenue "
            f"share{'' if box.before is Outcome.UNSTATED else ' any more'}{on}"
        )

    def _base(self, box: Box) -> str:
        """Return the base of a share, where that is not everything."""
        catalog = self.wording.catalog
        every = {
            *catalog.products,
            *(name for name, class_ in catalog.classes.items() if class_.actions),
        }
        left = every - set(box.products)
        if "" not in box.products:
            return f" on {self.wording.products(box.products, SHARE)}"
        return f" ({self.wording.products(left, SHARE)} apart)" if left else ""

    def conditions(self, decision: Decision, product: str) -> str:
        """Return everything that a conditional decision about a product waits for."""
        return ", and if ".join(
            self.condition(condition.term, [product]) for condition in decision.conditions
        )

    def why(self, decision: Decision, product: str) -> str:
        """Return the deciding clause's words, behind the conditions and before its note (the day
        of an end)."""
        conditions = self.conditions(decision, product)
        only_if = f"Only if {conditions}: " if conditions else ""
        reason = decision.main_reason
        return f"{only_if}{reason.text}{reason.note and f' ({reason.note})'}"

    def condition(self, name: str, products: Iterable[str]) -> str:
        """Return the demand of a condition on products; where terms of several agreements have the
        name, the demand of each of them asks for."""
        words = self.wording
        conditions = [
            said
            for agreement in words.agreements
            for amendment in agreement.amendments
            for term in amendment.terms
            if term.id == name
            and (said := self._waits_for(term, own_options(agreement, self.readings)))
        ]
        return (
            ", and ".join(dict.fromkeys(conditions))
            or f"{words.names(self.owners.of(products), 'or')} grants it"
        )

    def _waits_for(self, term: AnyTerm, readings: Mapping[str, str]) -> str:
        """Return what has to be done before a term lets go; empty of a kind that makes nothing wait."""
        if not isinstance(term, Conditional):
            return ""
        words = self.wording
        match term:
            case Precedence():
                first = f"it ships on {words.name(term.first)} first"
                if term.lead_days:
                    first = f"it shipped on {words.name(term.first)} {counted(term.lead_days, 'day')} before"
                if term.unless is None:
                    return first
                both = term.unless.under(readings) == "cannot-and-declines"
                operator = words.name(words.catalog.operators.get(term.first, term.first))
                return (
                    f"{first}, unless {operator} cannot {'and' if both else 'or'} chooses not "
                    f"to support it"
                )
            case RefusalRight():
                return (
                    f"it was first offered to {words.name(term.holder)} and "
                    f"{words.name(term.holder)} passed"
                )
            case _:
                assert_never(term)


def _others(who: str) -> str:
    """Return `anyone but A` as `parties other than A`: of A itself the sentence says nothing."""
    others = who.removeprefix("anyone but ")
    return who if others == who else f"parties other than {others}"


def parties_named(wording: Wording) -> set[str]:
    """Return the parties that some term names."""
    terms = [
        term
        for agreement in wording.agreements
        for amendment in agreement.amendments
        for term in amendment.terms
    ]
    named = [use for term in terms for use in uses(term)]
    return {name for use in named if use.noun == "party" for name in use.names}


def owners_of(agreements: Iterable[Agreement]) -> list[str]:
    """Return the parties that own something, in the order of the text."""
    owners = [
        term.party
        for agreement in agreements
        for amendment in agreement.amendments
        for term in amendment.terms
        if isinstance(term, Ownership)
    ]
    return list(dict.fromkeys(owners))

"""Terms in words: what holds from now on, and the same as something that ends.

The sentences stand in the records of the kinds (`agreement.language.terms`); here are the words
that fill them.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import date

import msgspec

from clauseway.agreement import (
    Change,
    Exclusivity,
    Licence,
    Permission,
    Precedence,
    RevenueShareTerm,
    Scope,
    Undertaking,
)
from clauseway.agreement.language.actions import CONTRACT, LICENSE, SELL, SERVE, USE
from clauseway.agreement.language.terms import (
    ANY_TERM,
    ANYONE,
    KINDS,
    MILESTONE,
    NOUNS,
    AnyTerm,
    Barring,
    Forbidding,
    Located,
    Traded,
)
from clauseway.decisions.parts import ACTIONS_WITH_CLOUD
from clauseway.values import counted
from clauseway.wording.names import VERBS, Wording, customers, listed, ordered

_DOING = {
    SERVE: "serving",
    SELL: "selling",
    LICENSE: "licensing",
    USE: "using",
    CONTRACT: "contracting for",
}

_SLOT = re.compile(r"\{(?P<name>\w+)\}")
_OPTION_OR_SLOT = re.compile(rf"\[(?P<inside>[^\]]*)\]|{_SLOT.pattern}")


class TermWording(msgspec.Struct, frozen=True):
    """Terms told in one agreement's names, read in one way."""

    words: Wording
    readings: Mapping[str, str]

    def nouns(self, terms: Iterable[AnyTerm]) -> str:
        """Return terms as nouns for what ends; terms that say the same stand once."""
        named: dict[str, list[str]] = {}
        for term in terms:
            named.setdefault(self.noun(term), []).append(term.id)
        return listed([f"{noun} ({', '.join(sorted(ids))})" for noun, ids in named.items()])

    def are_several(self, terms: Iterable[AnyTerm]) -> bool:
        """Return whether terms are told as several: those that say the same stand once."""
        return len({self.noun(term) for term in terms}) > 1

    def noun(self, term: AnyTerm) -> str:
        """Return a term as something that may end."""
        return self._filled(KINDS[term.kind].noun, term)

    def term(self, term: AnyTerm, since: date) -> str:
        """Return a term as what holds from a day on, with its own begin where it is another."""
        begins = f" from {term.begins}" if term.begins != since else ""
        days = [begins, *_on_events(term), until(term)]
        timed = "".join(f",{part}" for part in days if part)
        return f"{self._filled(KINDS[term.kind].sentence, term)}{timed}{under_readings(term.under)}"

    def _filled(self, template: str, term: AnyTerm) -> str:
        """Return a kind's noun or sentence (see `Kind`) with the words of a term."""
        words = self._slots(term)

        def fill(slot: re.Match[str]) -> str:
            return words[slot["name"]]

        def fill_option(option: re.Match[str]) -> str:
            inside = option["inside"]
            if inside is None:
                return fill(option)
            filled = all(words[slot["name"]] for slot in _SLOT.finditer(inside))
            return _SLOT.sub(fill, inside) if filled else ""

        return _OPTION_OR_SLOT.sub(fill_option, template)

    def _slots(self, term: AnyTerm) -> dict[str, str]:
        """Return what stands for each word in braces in a term's noun and sentence."""
        slots = {field: self._field(term, field) for field in term.__struct_fields__}
        slots["title"] = self.words.title(term.citation)
        slots["quoted"] = sentences(term.citation.text).removesuffix(".")
        if isinstance(term, Traded):
            slots["do"], slots["doing"] = self._do(term.actions), self._doing(term.actions)
            slots["limits"] = self._for(term)
        if isinstance(term, Located):
            slots["where"] = self.words.clouds(term.clouds)
        if isinstance(term, Forbidding):
            slots["except_for"] = "".join(
                f", except {self._exception(scope)}" for scope in term.except_
            )
        if isinstance(term, Barring):
            slots["barred"] = who = self._named(term.barred)
            slots["barred_may_not"] = "nobody may" if ANYONE in term.barred else f"{who} may not"
        return slots | self._own_slots(term)

    def _field(self, term: AnyTerm, field: str) -> str:
        """Return a field in words: names as the text spells them, any other value as it is."""
        value, noun = getattr(term, field), NOUNS.get(field, "")
        if noun == "product":
            return self._scope(value)
        if noun in ("party", "cloud"):
            return self._named([value] if isinstance(value, str) and value else value)
        return str(value or "")

    def _own_slots(self, term: AnyTerm) -> dict[str, str]:
        """Return the words that only terms of one kind need."""
        match term:
            case Permission():
                anywhere = " on any cloud" if term.actions & ACTIONS_WITH_CLOUD else ""
                where = self.words.clouds(term.clouds) or anywhere
                return {"anywhere": where, "despite_them": _despite(term)}
            case Exclusivity():
                return {"reserved": self._reserved(term)}
            case Precedence():
                return self._ship_first(term)
            case Licence():
                return {"carried": listed([self._carried(scope) for scope in term.carries])}
            case RevenueShareTerm():
                return {"sales": self._sales(term)}
            case Undertaking():
                return {"undertake": "undertakes" if len(term.parties) == 1 else "undertake"}
            case _:
                return {}

    def _reserved(self, term: Exclusivity) -> str:
        words = self.words
        act = (
            f"{self._doing(term.actions)} "
            f"{self._scope(term.products)}{words.clouds(term.clouds)}{self._for(term)}"
        )
        if term.only.licensees:
            return f"{self._to_anyone(term)} but {words.names(term.only.licensees)} is excluded"
        if term.only.regions:
            return f"{act} is kept{words.regions(term.only.regions)}"
        kept = words.names(term.only.clouds or term.only.sellers or term.only.parties)
        return f"{act} is reserved to {kept}{' as seller' if term.only.sellers else ''}"

    def _to_anyone(self, term: Exclusivity) -> str:
        """Return the licensing of something to anyone, or anyone's use of it, or both."""
        products = self._scope(term.products)
        if term.actions == {USE}:
            return f"the use of {products} under licence by anyone"
        use = ", and use by," if USE in term.actions else ""
        return f"licensing {products} to{use} anyone"

    def _exception(self, scope: Scope) -> str:
        acts = f" {self._doing(scope.actions)}" if scope.actions else ""
        products = f" {self._scope(scope.products)}" if scope.products else ""
        parts = f"{acts}{products}{self.words.clouds(scope.clouds)}{self._for(scope)}"
        return parts.strip() or "everything"

    def _ship_first(self, term: Precedence) -> dict[str, str]:
        words, readings = self.words, self.readings
        unless = ""
        if term.unless is not None:
            operator = words.name(words.catalog.operators.get(term.first, term.first))
            both = "and" if term.unless.under(readings) == "cannot-and-declines" else "or"
            unless = f", unless {operator} cannot {both} chooses not to support them"
        every = term.binds.under(readings) == "every-product"
        # The sentence rests on options that were chosen, so it names them.
        read = [
            f"{choice.reading}={readings[choice.reading]}"
            for choice in (term.unless, term.binds)
            if choice is not None and choice.reading
        ]
        return {
            "bound": "" if every else f"that first ship on or after {term.since} ",
            "ahead": f" {counted(term.lead_days, 'day')}" if term.lead_days else "",
            "exception": unless,
            "read_with": f" (read with {listed(read)})" if read else "",
        }

    def _sales(self, term: RevenueShareTerm) -> str:
        """Return the sales that a share is taken on, and how."""
        words, base = self.words, term.base
        on = f"the sales of {words.names(base.sellers)}"
        if base.wholesale:
            apart = f" except {words.names(base.wholesale_except)}" if base.wholesale_except else ""
            on += f" and what it earns from other sellers{apart}"
        excluded = f" ({self._scope(base.excludes)} apart)" if base.excludes else ""
        kept = f" of {self._scope(base.products)}" if base.products else ""
        where = words.clouds(base.clouds)
        bands = ", by bands of what was sold so far" if term.tiers else ""
        cap = ", under a total cap" if term.cap else ""
        least = ", with a minimum" if term.floors else ""
        return f"{on}{kept}{where}{excluded}{bands}{cap}{least}"

    def _carried(self, scope: Scope) -> str:
        products = self._scope(scope.products) if scope.products else "whatever it covers"
        return (
            f"{self._do(scope.actions)} "
            f"{products}{self.words.clouds(scope.clouds)}{self._for(scope)}"
        )

    def _doing(self, actions: Iterable[str]) -> str:
        return listed([_DOING.get(action, action) for action in ordered(actions)])

    def _do(self, actions: Iterable[str]) -> str:
        return listed([VERBS.get(action, action) for action in ordered(actions)])

    def _scope(self, products: Iterable[str]) -> str:
        return self.words.scope(products)

    def _named(self, parties: Iterable[str]) -> str:
        return "anyone" if ANYONE in parties else self.words.names(parties)

    def _for(self, scope: Scope | Traded) -> str:
        """Return the sellers, customers and regions that a scope names."""
        segments = f" for {customers(scope.segments)}" if scope.segments else ""
        return f"{segments}{self.words.sellers(scope.sellers)}{self.words.regions(scope.regions)}"


def _despite(term: Permission) -> str:
    if ANY_TERM in term.despite:
        return ", whatever else forbids it"
    return f", despite {listed(sorted(term.despite))}" if term.despite else ""


def _on_events(term: AnyTerm) -> list[str]:
    """Say for which events a term waits, and with which it pauses."""
    return [
        f" {word} {event(name)}{on}"
        for word, name, on in (
            ("from", term.from_, " on"),
            ("while", term.while_, " goes on"),
            ("except while", term.while_no, " goes on"),
        )
        if name
    ]


def event(name: str) -> str:
    return "the milestone" if name == MILESTONE else f"“{name}”"


def until(timed: AnyTerm | Change) -> str:
    through = f"through {timed.through}" if timed.through is not None else ""
    if timed.until and not timed.until[:1].isdigit():
        first = f" or {through}, whichever is first" if through else ""
        return f" until {event(timed.until)}{first}"
    if timed.until:
        return f" until {timed.until}"
    return f" {through}" if through else ""


def under_readings(readings: Mapping[str, str]) -> str:
    return (
        f" (only if {listed([f'{name}={option}' for name, option in readings.items()])})"
        if readings
        else ""
    )


def sentences(text: str) -> str:
    """Return prose on one line, with a full stop at its end."""
    flat = " ".join(text.split())
    return flat if flat.endswith((".", "!", "?")) else f"{flat}."

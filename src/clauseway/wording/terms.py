"""Terms in words: what holds from now on, and the same as something that ends."""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import assert_never

import msgspec

from clauseway.agreement import (
    Change,
    Commitment,
    Context,
    Exclusivity,
    Licence,
    Ownership,
    Permission,
    Precedence,
    Prohibition,
    RefusalRight,
    RevenueShareTerm,
    Scope,
    Stake,
    Undertaking,
)
from clauseway.agreement.language.actions import CONTRACT, LICENSE, SELL, SERVE, USE
from clauseway.agreement.language.terms import ANY_TERM, ANYONE, MILESTONE, AnyTerm, Traded
from clauseway.decisions.parts import ACTIONS_WITH_CLOUD
from clauseway.wording.names import Wording, customers, listed, ordered

_DOING = {
    SERVE: "serving",
    SELL: "selling",
    LICENSE: "licensing",
    USE: "using",
    CONTRACT: "contracting for",
}
_DO = {SERVE: "serve", SELL: "sell", LICENSE: "license", USE: "use", CONTRACT: "contract for"}


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
        words = self.words
        match term:
            case Exclusivity():
                return (
                    f"the exclusivity in {self._doing(term.actions)} {self._scope(term.products)}"
                )
            case Prohibition():
                who = self._named(term.parties)
                return (
                    f"the prohibition on {who} {self._doing(term.actions)} "
                    f"{self._scope(term.products)}"
                )
            case Precedence():
                return (
                    f"the rule to ship {self._scope(term.products)} on "
                    f"{words.name(term.first)} first"
                )
            case RefusalRight():
                return (
                    f"{words.name(term.holder)}'s right of first refusal on "
                    f"{self._scope(term.products)}"
                )
            case Licence():
                return f"{words.name(term.licensee)}'s licence to {self._scope(term.products)}"
            case RevenueShareTerm():
                return (
                    f"the revenue share that {words.name(term.payer)} owes {words.name(term.payee)}"
                )
            case Permission():
                return (
                    f"the express permission for {self._doing(term.actions)} "
                    f"{self._scope(term.products)}"
                )
            case Ownership():
                return f"{words.name(term.party)}'s ownership of {self._scope(term.products)}"
            case Stake():
                return (
                    f"the statement of {words.name(term.holder)}'s stake in {words.name(term.of)}"
                )
            case Commitment():
                return f"{words.name(term.party)}'s commitment to {words.name(term.to)}"
            case Context():
                return f"the context “{words.title(term.citation)}”"
            case Undertaking():
                return f"the undertaking “{words.title(term.citation)}”"
            case _:
                assert_never(term)

    def term(self, term: AnyTerm, since: date) -> str:
        """Return a term as what holds from a day on, with its own begin where it is another."""
        begins = f" from {term.begins}" if term.begins != since else ""
        days = [begins, *_on_events(term), until(term)]
        timed = "".join(f",{part}" for part in days if part)
        return f"{self._holds(term)}{timed}{under_readings(term.under)}"

    def _holds(self, term: AnyTerm) -> str:
        words = self.words
        match term:
            case Exclusivity():
                return self._exclusivity(term)
            case Prohibition():
                who, where = self._named(term.parties), words.clouds(term.clouds)
                apart = "".join(f", except {self._exception(scope)}" for scope in term.except_)
                act = (
                    f"{self._do(term.actions)} {self._scope(term.products)}{where}{self._for(term)}"
                )
                if ANYONE in term.parties:
                    return f"nobody may {act}{apart}"
                return f"{who} may not {act}{apart}"
            case Precedence():
                return self._precedence(term)
            case RefusalRight():
                apart = (
                    f", except on {words.names(term.except_clouds)}" if term.except_clouds else ""
                )
                act = f"{self._doing(term.actions)} {self._scope(term.products)}{self._for(term)}"
                by = f" by {words.name(term.grantor)}" if term.grantor else ""
                offered = f", offered as “{term.subject}”" if term.subject else ""
                return (
                    f"{words.name(term.holder)} has a right of first refusal on {act}{by}{apart}"
                    f"{offered}"
                )
            case Licence():
                carried = listed([self._carried(scope) for scope in term.carries])
                by_it = f" and by it may {carried}" if carried else ""
                whose = (
                    f"a licence from {words.name(term.licensor)} to {self._scope(term.products)}"
                )
                return f"{words.name(term.licensee)} has {whose}{by_it}"
            case RevenueShareTerm():
                return self._share(term)
            case Permission():
                who = "anyone" if term.party == ANYONE else words.name(term.party)
                anywhere = " on any cloud" if term.actions & ACTIONS_WITH_CLOUD else ""
                where = words.clouds(term.clouds) or anywhere
                act = (
                    f"{self._do(term.actions)} {self._scope(term.products)}{where}{self._for(term)}"
                )
                by = f", granted by {words.name(term.grantor)}" if term.grantor else ""
                return f"{who} may {act}{by}{_despite(term)}"
            case Ownership():
                return f"{words.name(term.party)} owns {self._scope(term.products)}"
            case Stake():
                return (
                    f"{words.name(term.holder)} holds a stake in {words.name(term.of)}: "
                    f"{term.about}"
                )
            case Commitment():
                return f"{words.name(term.party)} commits to {words.name(term.to)}: {term.about}"
            case Undertaking():
                undertake = "undertakes" if len(term.parties) == 1 else "undertake"
                quoted = sentences(term.citation.text).removesuffix(".")
                return (
                    f"{words.names(term.parties)} {undertake}, with no effect on any decision: "
                    f"“{quoted}”"
                )
            case Context():
                quoted = sentences(term.citation.text).removesuffix(".")
                return f"the text adds, with no effect on any decision: “{quoted}”"
            case _:
                assert_never(term)

    def _exclusivity(self, term: Exclusivity) -> str:
        words = self.words
        act = (
            f"{self._doing(term.actions)} "
            f"{self._scope(term.products)}{words.clouds(term.clouds)}{self._for(term)}"
        )
        apart = "".join(f", except {self._exception(scope)}" for scope in term.except_)
        if term.only.licensees:
            return (
                f"{self._to_anyone(term)} but {words.names(term.only.licensees)} is excluded{apart}"
            )
        if term.only.regions:
            return f"{act} is kept{words.regions(term.only.regions)}{apart}"
        kept = words.names(term.only.clouds or term.only.sellers or term.only.parties)
        return f"{act} is reserved to {kept}{' as seller' if term.only.sellers else ''}{apart}"

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

    def _precedence(self, term: Precedence) -> str:
        words, readings = self.words, self.readings
        first = words.name(term.first)
        operator = words.name(words.catalog.operators.get(term.first, term.first))
        unless = ""
        if term.unless is not None:
            both = "and" if term.unless.under(readings) == "cannot-and-declines" else "or"
            unless = f", unless {operator} cannot {both} chooses not to support them"
        every = term.binds.under(readings) == "every-product"
        ahead = f" {term.lead_days} days" if term.lead_days else ""
        which = "" if every else f"that first ship on or after {term.since} "
        products = f"{self._scope(term.products)} {which}to {first}{ahead}"
        verb = (
            f"{words.name(term.party)} must bring {products} before any other "
            f"cloud{self._for(term)}"
        )
        # The sentence rests on options that were chosen, so it names them.
        read = [
            f"{choice.reading}={readings[choice.reading]}"
            for choice in (term.unless, term.binds)
            if choice is not None and choice.reading
        ]
        under = f" (read with {listed(read)})" if read else ""
        return f"{verb}{unless}{under}"

    def _share(self, term: RevenueShareTerm) -> str:
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
        how = f"{kept}{where}{excluded}{bands}{cap}{least}"
        return (
            f"{words.name(term.payer)} owes {words.name(term.payee)} a revenue share on {on}{how}"
        )

    def _carried(self, scope: Scope) -> str:
        products = self._scope(scope.products) if scope.products else "whatever it covers"
        return (
            f"{self._do(scope.actions)} "
            f"{products}{self.words.clouds(scope.clouds)}{self._for(scope)}"
        )

    def _doing(self, actions: Iterable[str]) -> str:
        return listed([_DOING.get(action, action) for action in ordered(actions)])

    def _do(self, actions: Iterable[str]) -> str:
        return listed([_DO.get(action, action) for action in ordered(actions)])

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

"""An amendment on a page: what happened, why it matters, key numbers, quick answers; each sentence with its place.

Everything is told from the amendment's terms and changes, from what is answered otherwise, and from the facts; nothing
is written about any one agreement. What a term leaves to prose (an undertaking) is quoted.

brief(opened, "A5")   → Brief
markdown_of(brief)    → the page
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta

import msgspec

from clauseway.agreement import (
    Agreement,
    Amendment,
    Answer,
    Change,
    Choice,
    Clause,
    Commitment,
    Exclusivity,
    Fact,
    Grant,
    Launch,
    Licence,
    Offer,
    Ownership,
    Permission,
    Precedence,
    RefusalRight,
    RevenueShareTerm,
    Scope,
    Stake,
    Term,
    TermState,
    Undertaking,
    in_force,
)
from clauseway.agreement.terms import ANYONE, MILESTONE, TERM_KINDS
from clauseway.app.comparing import ChangeSentences, Comparison, amendment_sides, compare_amendments
from clauseway.app.library import OpenAgreement
from clauseway.app.rights import rights_of_interest
from clauseway.app.wording import Wording, listed, ordered, sentence
from clauseway.decisions import Decision, Outcome, Question, Span, decide, timeline
from clauseway.decisions.compare import Side, compare
from clauseway.decisions.question import CLOUD_ACTIONS, CONTRACT, LICENSE, SELL, SERVE, USE
from clauseway.values import FOREVER, Citation

# A page is read; the rest is a command away.
_CHANGES_MAX = 8
_DOING = {SERVE: "serving", SELL: "selling", LICENSE: "licensing", USE: "using", CONTRACT: "contracting for"}
_DO = {SERVE: "serve", SELL: "sell", LICENSE: "license", USE: "use", CONTRACT: "contract for"}
_YES = {
    Outcome.PERMITTED: "yes",
    Outcome.FORBIDDEN: "no",
    Outcome.CONDITIONAL: "on a condition",
    Outcome.UNSTATED: "nothing stated",
}


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """A sentence and the place it rests on."""

    text: str
    place: str


class Number(msgspec.Struct, frozen=True, kw_only=True):
    """A number, a day or a figure; `value` says so where it was never disclosed."""

    what: str
    value: str
    place: str


class QuickAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A question about the day on which the amendment takes effect, and its answer."""

    question: str
    answer: str
    outcome: Outcome
    before: Outcome
    place: str


class Brief(msgspec.Struct, frozen=True, kw_only=True):
    """An amendment on a page. `since_then` holds the facts recorded of the days until the next amendment; `sources`
    those that are cited, by identifier."""

    amendment: str
    title: str
    agreement: str
    announced: date
    effective: date
    known_at: str
    what_happened: tuple[Said, ...]
    why_it_matters: tuple[Said, ...]
    key_numbers: tuple[Number, ...]
    quick_answers: tuple[QuickAnswer, ...]
    since_then: tuple[Said, ...]
    sources: Mapping[str, str]


def brief(opened: OpenAgreement, name: str, reading: Mapping[str, str] | None = None) -> Brief:
    """An amendment of the agreement, in brief. Raises InvalidInput for one that there is not."""
    comparison = compare_amendments(opened, [name], reading)
    (before, after), _ = amendment_sides(opened, [name], reading)
    amendment = after.agreement.amendments[-1]
    telling = _Telling(Wording.of(opened), amendment, before, after)
    told = Brief(
        amendment=amendment.id,
        title=amendment.title,
        agreement=opened.agreement.title,
        announced=amendment.announced,
        effective=amendment.effective,
        known_at=str(after.known_at),
        what_happened=tuple(telling.what_happened()),
        why_it_matters=(*telling.changes(comparison), *telling.readings()),
        key_numbers=tuple(telling.numbers(comparison)),
        quick_answers=tuple(telling.answers(opened)),
        since_then=tuple(telling.since_then(opened)),
        sources={},
    )
    return msgspec.structs.replace(told, sources=_cited(told, opened.agreement))


def _cited(told: Brief, agreement: Agreement) -> dict[str, str]:
    places = [said.place for said in (*told.what_happened, *told.why_it_matters, *told.since_then)]
    places += [number.place for number in told.key_numbers] + [answer.place for answer in told.quick_answers]
    cited = {source for place in places for source in place.partition("; ")[2].split(", ")}
    return {source: text for source, text in agreement.sources.items() if source in cited}


class _Telling(msgspec.Struct, frozen=True):
    """One amendment, told in one agreement's names: the text without it and with it."""

    words: Wording
    amendment: Amendment
    before: Side
    after: Side

    # What happened

    def what_happened(self) -> Iterator[Said]:
        """Clause by clause: what it ends or moves, what it begins, what it leaves to prose."""
        clauses = self.amendment.clauses
        ends = [*(clause.line for clause in clauses[1:]), FOREVER.toordinal()]
        for clause, end in zip(clauses, ends, strict=True):
            changes = [one for one in self.amendment.changes if clause.line <= one.citation.line < end]
            terms = [one for one in self.amendment.terms if clause.line <= one.citation.line < end]
            for change in changes:
                yield from self._change(change, {term.kind for term in terms})
            for term in terms:
                yield self._said(self.term(term), term.citation)
            if not clause.formalised:
                yield self._prose(clause)

    def _said(self, text: str, at: Citation) -> Said:
        return Said(text=f"{sentence(text)}.", place=self.words.place(at))

    def _prose(self, clause: Clause) -> Said:
        place = f"{self.amendment.id} {clause.number}, {self.amendment.document}:{clause.line}"
        return Said(
            text=f"{_sentences(clause.text)} (This stands in prose only; no decision rests on it.)", place=place
        )

    def _change(self, change: Change, replaced_by: set[str]) -> Iterator[Said]:
        under = _under(change.under)
        in_force_before = [state.term for state in self._states_before() if state.in_force]
        ended = [term for term in in_force_before if term.id in change.ends]
        for kind in dict.fromkeys(term.kind for term in ended):
            alike = [term for term in ended if term.kind == kind]
            several = len({self._what(term) for term in alike}) > 1
            replaced = "are replaced" if several else "is replaced"
            ends = replaced if kind in replaced_by else "end" if several else "ends"
            yield self._said(f"{self.nouns(alike)} {ends}{under}", change.citation)
        moved = [term for term in in_force_before if term.id in change.sets_end]
        if moved:
            lasts = "last" if len(moved) > 1 else "lasts"
            yield self._said(f"{self.nouns(moved)} now {lasts}{_until(change)}{under}", change.citation)

    def _states_before(self) -> tuple[TermState, ...]:
        side = self.before
        return in_force(
            side.agreement, side.facts.known(side.known_at), side.as_of, side.known_at, side.readings
        ).states

    def nouns(self, terms: Iterable[Term]) -> str:
        """Terms as something that ends; those that say the same are told once."""
        named: dict[str, list[str]] = {}
        for term in terms:
            named.setdefault(self._what(term), []).append(term.id)
        return listed([f"{what} ({', '.join(sorted(ids))})" for what, ids in named.items()])

    def _what(self, term: Term) -> str:
        words = self.words
        match term:
            case Exclusivity():
                return f"the exclusivity in {self._doing(term.actions)} {self._scope(term.products)}"
            case Precedence():
                return f"the rule to ship {self._scope(term.products)} on {words.name(term.first)} first"
            case RefusalRight():
                return f"{words.name(term.holder)}'s right of first refusal on {self._scope(term.products)}"
            case Licence():
                return f"{words.name(term.licensee)}'s licence to {self._scope(term.products)}"
            case RevenueShareTerm():
                return f"the revenue share that {words.name(term.payer)} owes {words.name(term.payee)}"
            case Permission():
                return f"the express permission for {self._doing(term.actions)} {self._scope(term.products)}"
            case Ownership():
                return f"{words.name(term.party)}'s ownership of {self._scope(term.products)}"
            case Stake():
                return f"the statement of {words.name(term.holder)}'s stake in {words.name(term.of)}"
            case Commitment():
                return f"{words.name(term.party)}'s commitment to {words.name(term.to)}"
            case _:
                return f"the undertaking “{words.title(term.citation)}”"

    def term(self, term: Term) -> str:
        """A term as what holds from now on."""
        until = _until(term)
        return f"{self._holds(term)}{until and ','}{until}{_under(term.under)}"

    def _holds(self, term: Term) -> str:
        words = self.words
        match term:
            case Exclusivity():
                return self._exclusivity(term)
            case Precedence():
                return self._precedence(term)
            case RefusalRight():
                apart = f", except on {words.names(term.except_clouds)}" if term.except_clouds else ""
                what = f"{self._doing(term.actions)} {self._scope(term.products)}{self._for(term)}"
                return f"{words.name(term.holder)} has a right of first refusal on {what}{apart}"
            case Licence():
                carried = listed([self._carried(scope) for scope in term.carries])
                by_it = f" and by it may {carried}" if carried else ""
                whose = f"a licence from {words.name(term.licensor)} to {self._scope(term.products)}"
                return f"{words.name(term.licensee)} has {whose}{by_it}"
            case RevenueShareTerm():
                return self._share(term)
            case Permission():
                who = "anyone" if term.party == ANYONE else words.name(term.party)
                anywhere = " on any cloud" if term.actions & CLOUD_ACTIONS else ""
                where = words.clouds(term.clouds) or anywhere
                return f"{who} may {self._do(term.actions)} {self._scope(term.products)}{where}{self._for(term)}"
            case Ownership():
                return f"{words.name(term.party)} owns {self._scope(term.products)}"
            case Stake():
                return f"{words.name(term.holder)} holds a stake in {words.name(term.of)}: {term.about}"
            case Commitment():
                return f"{words.name(term.party)} commits to {words.name(term.to)}: {term.about}"
            case Undertaking():
                undertake = "undertakes" if len(term.parties) == 1 else "undertake"
                quoted = _sentences(term.citation.text).removesuffix(".")
                return f"{words.names(term.parties)} {undertake}, with no effect on any decision: “{quoted}”"
        raise AssertionError(f"no words for a {term.kind}; kinds are {', '.join(TERM_KINDS)}")

    def _exclusivity(self, term: Exclusivity) -> str:
        words = self.words
        what = f"{self._doing(term.actions)} {self._scope(term.products)}{words.clouds(term.clouds)}{self._for(term)}"
        apart = "".join(f", except {self._exception(scope)}" for scope in term.except_)
        if term.only.licensees:
            return f"{what} to anyone but {words.names(term.only.licensees)} is excluded{apart}"
        if term.only.regions:
            return f"{what} is kept{words.regions(term.only.regions)}{apart}"
        kept = words.names(term.only.clouds or term.only.sellers or term.only.parties)
        return f"{what} is reserved to {kept}{' as seller' if term.only.sellers else ''}{apart}"

    def _exception(self, scope: Scope) -> str:
        acts = f" {self._doing(scope.actions)}" if scope.actions else ""
        what = f" {self._scope(scope.products)}" if scope.products else ""
        parts = f"{acts}{what}{self.words.clouds(scope.clouds)}{self._for(scope)}"
        return parts.strip() or "everything"

    def _precedence(self, term: Precedence) -> str:
        words, readings = self.words, self.after.readings
        first = words.name(term.first)
        operator = words.name(words.catalog.operators.get(term.first, term.first))
        both = "and" if term.unless.under(readings) == "cannot-and-declines" else "or"
        every = term.binds.under(readings) == "every-product"
        which = "" if every else f"that first ship on or after {term.since} "
        verb = (
            f"{words.name(term.party)} must bring {self._scope(term.products)} {which}to {first} before any other cloud"
            f"{self._for(term)}"
        )
        read = [
            f"{choice.reading}={readings[choice.reading]}" for choice in (term.unless, term.binds) if choice.reading
        ]
        under = f" (read with {listed(read)})" if read else ""
        return f"{verb}, unless {operator} cannot {both} chooses not to support them{under}"

    def _share(self, term: RevenueShareTerm) -> str:
        words, base = self.words, term.base
        on = f"the sales of {words.names(base.sellers)}"
        if base.wholesale:
            apart = f" except {words.names(base.wholesale_except)}" if base.wholesale_except else ""
            on += f" and what it earns from other sellers{apart}"
        excluded = f" ({self._scope(base.excludes)} apart)" if base.excludes else ""
        cap = ", under a total cap" if term.cap else ""
        return f"{words.name(term.payer)} owes {words.name(term.payee)} a revenue share on {on}{excluded}{cap}"

    def _carried(self, scope: Scope) -> str:
        what = self._scope(scope.products) if scope.products else "whatever it covers"
        return f"{self._do(scope.actions)} {what}{self.words.clouds(scope.clouds)}{self._for(scope)}"

    def _doing(self, actions: Iterable[str]) -> str:
        return listed([_DOING.get(action, action) for action in ordered(actions)])

    def _do(self, actions: Iterable[str]) -> str:
        return listed([_DO.get(action, action) for action in ordered(actions)])

    def _scope(self, products: Iterable[str]) -> str:
        return self.words.scope(products)

    def _for(self, scope: Scope | Permission | Exclusivity | Precedence | RefusalRight) -> str:
        """Who sells, to whom, and where, as far as a scope says so."""
        told = f" for {listed(sorted(scope.segments))} customers" if scope.segments else ""
        return f"{told}{self.words.sellers(scope.sellers)}{self.words.regions(scope.regions)}"

    # Why it matters

    def changes(self, comparison: Comparison) -> Iterator[Said]:
        """What is answered otherwise, the widest of the named parties' first."""
        for group in comparison.groups[:_CHANGES_MAX]:
            told = group.sentence.removesuffix(f": {group.before} → {group.after}")
            yield Said(text=f"{told}. Before: {group.before}.", place=group.place)
        left = comparison.groups[_CHANGES_MAX:]
        if left:
            count = sum(group.count for group in left)
            also = (
                "One more group of answers changes" if len(left) == 1 else f"{len(left)} more groups of answers change"
            )
            command = f"clauseway diff {self.amendment.id}"
            yield Said(text=f"{also} ({count:,} combinations); `{command}` tells all.", place=self._whole())
        if not comparison.groups:
            yield Said(text="Nothing that can be asked is answered otherwise.", place=self._whole())

    def _whole(self) -> str:
        """The place of what rests on the amendment as a whole."""
        return f"{self.amendment.id}, {self.amendment.document}"

    def readings(self) -> Iterator[Said]:
        """The readings that the amendment's own words leave open, and how many answers each turns."""
        for name in self._readings_open():
            reading = self.after.agreement.readings[name]
            chosen = self.after.readings[name]
            for option in reading.options:
                if option != chosen:
                    read = msgspec.structs.replace(self.after, readings={**self.after.readings, name: option})
                    turned = len(compare(self.after, read, self.words.catalog))
                    says = _sentences(reading.citation.text)
                    place = self.words.place(reading.citation)
                    yield Said(text=f"{says} {_turned(turned, f'{name}={option}', chosen)}", place=place)

    def _readings_open(self) -> list[str]:
        timed: tuple[Term | Change, ...] = (*self.amendment.terms, *self.amendment.changes)
        named = [name for one in timed for name in one.under]
        choices = [getattr(term, field) for term in self.amendment.terms for field in term.__struct_fields__]
        named += [choice.reading for choice in choices if isinstance(choice, Choice) and choice.reading]
        return sorted(set(named))

    # Key numbers

    def numbers(self, comparison: Comparison) -> Iterator[Number]:
        """Days, counts, holdings, and the figures that its terms rest on."""
        whole, read = self._whole(), self.after.readings.items()
        yield Number(what="announced", value=str(self.amendment.announced), place=whole)
        yield Number(what="in effect from", value=str(self.amendment.effective), place=whole)
        begun = sum(1 for term in self.amendment.terms if term.under.items() <= read)
        yield Number(what="terms that begin", value=str(begun), place=whole)
        ended = {term for change in self.amendment.changes if change.under.items() <= read for term in change.ends}
        count = sum(1 for state in self._states_before() if state.in_force and state.term.id in ended)
        yield Number(what="terms that end", value=str(count), place=whole)
        yield Number(what="answers that change", value=f"{len(comparison.changed):,}", place=whole)
        turned = Counter((change.before, change.after) for change in comparison.changed)
        for (before, after), number in sorted(turned.items(), key=lambda item: -item[1]):
            yield Number(what=f"of these, {before} → {after}", value=f"{number:,}", place=whole)
        for term in self.amendment.terms:
            yield from self._figures_of(term)

    def _figures_of(self, term: Term) -> Iterator[Number]:
        place, words = self.words.place(term.citation), self.words
        if term.through is not None:
            yield Number(what=f"last day of {self.nouns([term])}", value=str(term.through), place=place)
        match term:
            case Stake():
                what = f"{words.name(term.holder)}'s stake in {words.name(term.of)}"
                yield Number(what=what, value=term.about, place=place)
            case Commitment():
                what = f"what {words.name(term.party)} commits to {words.name(term.to)}"
                yield Number(what=what, value=term.about, place=place)
            case RevenueShareTerm():
                direction = f"{words.name(term.payer)} to {words.name(term.payee)}"
                yield Number(what=f"percentage, {direction}", value=self._figure(term.rate), place=place)
                if term.cap:
                    yield Number(what=f"total cap, {direction}", value=self._figure(term.cap), place=place)

    def _figure(self, name: str) -> str:
        figure = self.after.agreement.figures.get(name)
        if figure is None:
            return f"not disclosed (`{name}`)"
        if figure.standing == "reported":
            return f"not disclosed; {_readable(figure.value)} was reported (`{name}`)"
        return f"not disclosed; {_readable(figure.value)} is assumed (`{name}`)"

    # Quick answers

    def answers(self, opened: OpenAgreement) -> Iterator[QuickAnswer]:
        """The agreement's main rights, where this amendment changes or decides the answer."""
        text = OpenAgreement(self.after.agreement, opened.catalog, opened.facts)
        for right in rights_of_interest(text, self.after.known_at):
            question = msgspec.structs.replace(right.question, as_of=self.after.as_of, readings=self.after.readings)
            was, now = (self._decided(side, opened, question) for side in (self.before, self.after))
            if was.outcome != now.outcome or now.reasons[0].amendment == self.amendment.id:
                yield QuickAnswer(
                    question=self.words.may(question),
                    answer=self._answer(was, now, self._next(opened, question)),
                    outcome=now.outcome,
                    before=was.outcome,
                    place=self.words.place(now.reasons[0]),
                )

    def _decided(self, side: Side, opened: OpenAgreement, question: Question) -> Decision:
        return decide(side.agreement, opened.catalog, side.facts, question)

    def _next(self, opened: OpenAgreement, question: Question) -> Span | None:
        """When the answer next changes, as known on that day."""
        facts = self.after.facts.known(self.after.known_at)
        spans = timeline(self.after.agreement, opened.catalog, facts, question)
        now = [span.decision.outcome for span in spans if span.begin <= question.as_of < span.end]
        return next((one for one in spans if one.begin > question.as_of and one.decision.outcome != now[0]), None)

    def _answer(self, was: Decision, now: Decision, later: Span | None) -> str:
        telling = ChangeSentences(self.words, self.after.readings)
        conditions = ", and if ".join(telling.condition(one.term) for one in now.conditions)
        answer = {
            Outcome.PERMITTED: "Yes",
            Outcome.FORBIDDEN: "No",
            Outcome.CONDITIONAL: f"Only if {conditions}",
            Outcome.UNSTATED: "Nothing is stated",
        }[now.outcome]
        until = ""
        if later is not None:
            then = {Outcome.PERMITTED: "yes", Outcome.FORBIDDEN: "no"}.get(later.decision.outcome, "otherwise")
            until = f", through {later.begin - timedelta(days=1)}; then {then}"
        before = f" Before: {_YES[was.outcome]}." if was.outcome != now.outcome else " As before."
        turns = "".join(f" With {turn.reading}={turn.option}: {_YES[turn.outcome]}." for turn in now.turns_on)
        return f"{answer}{until}.{before}{turns}"

    # Since then

    def since_then(self, opened: OpenAgreement) -> Iterator[Said]:
        """The facts recorded of the days from this amendment to the next."""
        later = [one.effective for one in opened.agreement.amendments if one.effective > self.amendment.effective]
        until = min(later, default=FOREVER)
        for fact in sorted(opened.facts.facts, key=lambda fact: fact.effective):
            if self.amendment.effective <= fact.effective < until:
                text = f"On {fact.effective} {self._fact(fact)}"
                yield self._said(text, fact.citation)

    def _fact(self, fact: Fact) -> str:
        words = self.words
        match fact:
            case Launch():
                stage = {"announced": "was announced for", "preview": "went into preview on"}
                return f"{fact.product} {stage.get(fact.stage, 'became available on')} {words.name(fact.cloud)}"
            case Answer():
                can, will = "can" if fact.can else "cannot", "declines" if fact.declines else "chooses"
                return f"it was answered that the first cloud {can} support {fact.product} and {will} to"
            case Offer():
                return f"what is called {fact.subject} was offered{' and passed on' if fact.passed else ''}"
            case Grant():
                return f"{words.name(fact.party)} was granted {fact.product}"
        return "the milestone's verification took effect"


def _turned(count: int, read: str, chosen: str) -> str:
    if not count:
        return f"No answer of that day turns on it ({read} instead of {chosen})."
    answers = (
        "one answer of that day would be another" if count == 1 else f"{count:,} answers of that day would be others"
    )
    return f"With {read} instead of {chosen}, {answers}."


def _readable(value: str) -> str:
    """Long numbers in groups of three digits."""
    return re.sub(r"\d{5,}", lambda digits: f"{int(digits[0]):,}", value)


def _until(timed: Term | Change) -> str:
    through = f"through {timed.through}" if timed.through is not None else ""
    if timed.until == MILESTONE:
        return f" until the milestone{' or ' if through else ''}{through}{', whichever is first' if through else ''}"
    if timed.until:
        return f" until {timed.until}"
    return f" {through}" if through else ""


def _under(readings: Mapping[str, str]) -> str:
    return f" (only if {listed([f'{name}={option}' for name, option in readings.items()])})" if readings else ""


def _sentences(text: str) -> str:
    """Prose on one line, with a full stop at its end."""
    flat = " ".join(text.split())
    return flat if flat.endswith((".", "!", "?")) else f"{flat}."


def markdown_of(told: Brief) -> str:
    """The page, as Markdown."""
    lines = [
        f"# {told.amendment}: {told.title}",
        "",
        f"{told.agreement}. Announced on {told.announced}, in effect from {told.effective}; "
        f"told as known at {told.known_at}.",
        "",
        "## What happened",
        "",
        *(f"- {said.text} ({said.place})" for said in told.what_happened),
        "",
        "## Why it matters",
        "",
        *(f"- {said.text} ({said.place})" for said in told.why_it_matters),
        "",
        "## Key numbers",
        "",
        "| what | value | place |",
        "|---|---|---|",
        *(f"| {number.what} | {number.value} | {number.place} |" for number in told.key_numbers),
        "",
        "## Quick answers",
        "",
        *(f"- **{one.question}** {one.answer} ({one.place})" for one in told.quick_answers),
        *([] if told.quick_answers else ["None of the agreement's main rights is touched."]),
        "",
        "## Since then",
        "",
        *(f"- {said.text} ({said.place})" for said in told.since_then),
        *([] if told.since_then else ["No fact is recorded of the days until the next amendment."]),
        "",
        "## Sources",
        "",
        *(f"- {source}: {text}" for source, text in told.sources.items()),
    ]
    return "\n".join(lines) + "\n"

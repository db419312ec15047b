"""The language of terms by the letter of docs/terms.md: simple, slow, and without a line of the engine.

Each function restates a paragraph of that page. Records (terms, facts, the catalog) are read; nothing of `force`,
`decisions` or the compiled table is used. It says the outcome and no reasons.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from functools import cache
from typing import Any, NamedTuple

from clauseway import OpenAgreement
from clauseway.agreement import Amendment, Answer, Fact, Grant, Launch, Milestone, Offer, Ownership, Withdrawal
from clauseway.decisions import Question

ONE = timedelta(days=1)
NEVER = date.max
# Actions that take a cloud and a segment, a seller, a region: the tables of the page.
PLACED, SOLD = ("serve", "sell", "contract-compute"), ("serve", "sell")


class Deed(NamedTuple):
    """An act, and who does it."""

    action: str
    party: str
    product: str
    cloud: str
    to: str
    segment: str
    seller: str
    region: str

    def by(self, party: str) -> "Deed":
        return self._replace(party=party)


@cache
def days_between(first: date, last: date) -> list[date]:
    """Every day from the first to the last; none where the last is before it. The same spans are asked for again and
    again: for each question, term and event."""
    return [first + ONE * at for at in range((last - first).days + 1)]


class World:
    """An agreement as it stands for one question."""

    def __init__(self, opened: OpenAgreement, question: Question) -> None:
        self.catalog, self.question, self.day = opened.catalog, question, question.as_of
        self.rules = opened.agreement.rules
        self.events = opened.agreement.events
        self._goes_on: dict[tuple[str, date], bool] = {}
        known = [fact for fact in opened.facts.facts if fact.known <= question.known_at]
        self.facts = [fact for fact in known if not self.corrected(fact, known)]
        self.amendments = self.not_rescinded(opened.agreement.amendments)
        self.stated = any(amendment.effective <= self.day for amendment in self.amendments)
        self.live: list[Any] = []
        self.over: list[Any] = []
        # Every day up to the question's on which a term held.
        self.days: dict[str, set[date]] = {}
        for amendment in self.amendments:
            for term in amendment.terms:
                if self.reads(term.under):
                    days = self.days[term.id] = self.days_of(term)
                    if self.day in days:
                        self.live.append(term)
                    elif days or self.is_empty(term):
                        self.over.append(term)

    # --- which text stands ---

    @staticmethod
    def corrected(fact: Fact, known: list[Fact]) -> bool:
        """Facts drawn here correct nothing; the register's own tests look at corrections."""
        return any(other.corrects and other.corrects == fact.name for other in known)

    def reads(self, under: Any) -> bool:
        return all(self.question.readings[name] == option for name, option in under.items())

    def not_rescinded(self, amendments: tuple[Amendment, ...]) -> list[Amendment]:
        known = [item for item in amendments if item.known <= self.question.known_at]
        gone: set[str] = set()
        for amendment in sorted(known, key=lambda each: -each.rank):
            for change in amendment.changes if amendment.id not in gone else ():
                gone |= {*change.rescinds} if self.reads(change.under) else set()
        return [item for item in known if item.id not in gone]

    def is_empty(self, term: Any) -> bool:
        """A term that ended on the day on which it began: it is over, though it never held."""
        waits = term.from_ or term.while_ or term.while_no
        return not waits and term.begins <= self.day and self.end_of(term, term.begins) <= self.day

    def days_of(self, term: Any) -> set[date]:
        """Every day up to the question's on which it holds."""
        days = days_between(term.begins, self.day)
        if term.from_:
            begun = next((day for day in days if self.goes_on(term.from_, day)), NEVER)
            days = [day for day in days if day >= begun]
        if not days:
            return set()
        end = self.end_of(term, days[0])
        if not term.while_ and not term.while_no:
            return set(days[: max(0, (end - days[0]).days)])
        return {
            day
            for day in days
            if day < end
            and (not term.while_ or self.goes_on(term.while_, day))
            and (not term.while_no or not self.goes_on(term.while_no, day))
        }

    # --- events ---

    def begins_of(self, name: str) -> list[tuple[date, date]]:
        """The days on which an event comes about, each with the day after its own last."""
        event = self.events.get(name)
        if event is not None and event.after:
            return [
                (day + ONE * event.days, NEVER)
                for day, _ in self.begins_of(event.after)
                if not any(
                    day <= other < day + ONE * event.days
                    for other, _ in (self.begins_of(event.prevented_by) if event.prevented_by else ())
                )
            ]
        if event is not None and event.on:
            day = event.on
            for other, _ in self.begins_of(event.extended_by) if event.extended_by else ():
                day += ONE * event.days if other < day else ONE * 0
            return [(day, NEVER)]
        return sorted(
            (fact.effective, last + ONE if (last := getattr(fact, "through", None)) else NEVER)
            for fact in self.facts
            if getattr(fact, "event", "milestone" if isinstance(fact, Milestone) else "") == name
        )

    def goes_on(self, name: str, day: date) -> bool:
        key = (name, day)
        if key not in self._goes_on:
            over_by = self.events[name].over_by if name in self.events else ""
            ends = [end for end, _ in self.begins_of(over_by)] if over_by else []
            self._goes_on[key] = any(
                begin <= day < over and not any(begin <= end <= day for end in ends)
                for begin, over in self.begins_of(name)
            )
        return self._goes_on[key]

    def end_of(self, term: Any, begin: date) -> date:
        """The first day on which it no longer holds, as the changes in effect on the day say."""
        end = self.written_end_of(term, begin)
        if not term.id.endswith(".exclusive"):
            return end
        right = term.id.removesuffix(".exclusive")
        rights = [each for amendment in self.amendments for each in amendment.terms if each.id == right]
        behind = [right for right in rights if getattr(right, "exclusive", False) or getattr(right, "sole", False)]
        return min([end, *(self.written_end_of(term, begin) for term in behind)])

    def written_end_of(self, term: Any, begin: date) -> date:
        end, set_on = self.written(term, begin), date.min
        for amendment in sorted(self.amendments, key=lambda each: each.rank):
            since = amendment.effective
            for change in amendment.changes:
                # Of two changes of one day the later finds open what the earlier ended.
                if since > self.day or not self.reads(change.under) or end <= since != set_on:
                    continue
                if term.id in change.ends:
                    end, set_on = since, since
                elif term.id in change.sets_end:
                    end, set_on = self.written(change, since), since
        return end

    def written(self, timed: Any, since: date) -> date:
        ends = [NEVER]
        if timed.through:
            ends.append(timed.through + ONE)
        if timed.until[:1].isdigit():
            ends.append(date.fromisoformat(timed.until))
        elif timed.until:
            days = days_between(since, self.day)
            ends += [next((day for day in days if self.goes_on(timed.until, day)), NEVER)]
        return max(min(ends), since)

    def of(self, kind: str, terms: list[Any] | None = None) -> list[Any]:
        return [term for term in (self.live if terms is None else terms) if term.kind == kind]

    # --- scopes ---

    def lies_in(self, product: str, scope: frozenset[str]) -> bool:
        at, seen = product, [product]
        if product in self.catalog.products:
            at = self.catalog.products[product].product_class
        while at:
            seen.append(at)
            at = self.catalog.classes[at].within
        return any(name in scope for name in seen)

    def covers(self, scope: Any, deed: Deed) -> bool:
        named = [
            (getattr(scope, "actions", None), deed.action),
            (getattr(scope, "clouds", None), deed.cloud),
            (scope.sellers, deed.seller),
            (scope.segments, deed.segment),
            (scope.regions, deed.region),
        ]
        if scope.products and not self.lies_in(deed.product, scope.products):
            return False
        return all(not names or value in names for names, value in named)

    def owner(self, product: str, day: date | None = None) -> str:
        """Whoever owns it; of several, as the latest amendment in effect says, the first in its text."""
        for amendment in reversed(self.amendments):
            for term in amendment.terms:
                if isinstance(term, Ownership) and self.stood(term, day) and self.lies_in(product, term.products):
                    return term.party
        return ""

    def stood(self, term: Any, day: date | None) -> bool:
        return term in self.live if day is None else day in self.days.get(term.id, ())

    # --- what happened ---

    def launches(self, product: str) -> list[Launch]:
        return [
            fact
            for fact in self.facts
            if isinstance(fact, Launch) and fact.product == product and fact.stage in ("preview", "available")
        ]

    def latest(self, kind: type, **about: str) -> Any:
        facts = [
            fact
            for fact in self.facts
            if isinstance(fact, kind)
            and fact.effective <= self.day
            and all(getattr(fact, key) == value for key, value in about.items())
        ]
        return max(facts, key=lambda fact: (fact.effective, fact.known)) if facts else None

    def granted(self, deed: Deed) -> bool:
        return any(
            isinstance(fact, Grant)
            and fact.party == deed.party
            and self.lies_in(deed.product, frozenset({fact.product}))
            and fact.effective <= self.day <= (fact.through or NEVER)
            and fact.cloud in ("", deed.cloud)
            and fact.region in ("", deed.region)
            and fact.segment in ("", deed.segment)
            and not any(self.withdrawn(fact, other, deed) for other in self.facts)
            and self.granter_could_give(fact, deed)
            for fact in self.facts
        )

    def granter_could_give(self, grant: Grant, deed: Deed) -> bool:
        """A grant is that of whoever owned the product on its day, or was the first to own it after that."""
        days = [grant.effective + ONE * at for at in range((self.day - grant.effective).days + 1)]
        owner = next((owner for day in days if (owner := self.owner(deed.product, day))), "")
        return not owner or self.could_give(owner, deed.product, {owner})

    def withdrawn(self, grant: Grant, other: Fact, deed: Deed) -> bool:
        return (
            isinstance(other, Withdrawal)
            and other.effective <= self.day
            and grant.party == other.party
            and (grant.effective, grant.known) <= (other.effective, other.known)
            and self.lies_in(deed.product, frozenset({other.product}))
            and other.cloud in ("", deed.cloud)
            and other.region in ("", deed.region)
            and other.segment in ("", deed.segment)
        )

    def shipped(self, product: str, cloud: str, lead: int = 0) -> bool:
        past = [launch for launch in self.launches(product) if launch.effective + timedelta(days=lead) <= self.day]
        return any(launch.cloud == cloud for launch in past)

    # --- how a question is answered ---

    def answer(self) -> str:
        asked = self.question
        outcomes = [self.decide(asked.action, asked.party)]
        if asked.action == "serve" and asked.seller != asked.party:
            outcomes.append(self.decide("sell", asked.seller))
        return next(outcome for outcome in ("forbidden", "unstated", "conditional", "permitted") if outcome in outcomes)

    def deed(self, action: str, party: str) -> Deed:
        asked = self.question
        placed = action in PLACED
        return Deed(
            action=action,
            party=party,
            product=asked.product,
            cloud=asked.cloud if placed else "",
            to=asked.to,
            segment=asked.segment if placed else "",
            seller=asked.seller if action in SOLD else "",
            region=self.catalog.region_of(asked.cloud, asked.region) if placed else "",
        )

    def decide(self, action: str, party: str) -> str:
        deed = self.deed(action, party)
        if not self.stated:
            return "unstated"
        if action == "share-revenue":
            return self.share(deed)
        owner, rights = self.owner(deed.product), self.rights(deed)
        public = [self.permitted(right, "anyone") for right in rights]
        if not owner and not any(public):
            return "unstated"
        needed = list(self.needed(deed, owner))
        if any(self.forbidden(deed, party) for deed in needed):
            return "forbidden"
        if party == owner:
            return self.unless_open(needed, party, owner)
        if all(public):
            return self.unless_open(needed, party, "")
        if not owner:
            return "unstated"
        if action == "use-under-licence" and self.licensed(deed, owner, self.live):
            return self.unless_open([deed], party, "")
        held = [self.right(right, owner) for right, left_to_all in zip(rights, public, strict=True) if not left_to_all]
        if "lost" in held:
            return "forbidden"
        if action == "use-under-licence":
            licensing = deed._replace(action="license", party=owner, to=party)
            if self.forbidden(licensing, owner):
                return "forbidden"
            needed.append(licensing)
        return "conditional" if "none" in held else self.unless_open(needed, party, owner)

    def rights(self, deed: Deed) -> list[Deed]:
        """To serve what one sells oneself takes both rights, where the product's class is ever sold."""
        product = self.catalog.products.get(deed.product)
        sold = "sell" in self.catalog.classes[product.product_class if product else deed.product].actions
        return [deed, deed._replace(action="sell")] if self.sells_itself(deed) and sold else [deed]

    @staticmethod
    def sells_itself(deed: Deed) -> bool:
        return deed.action == "serve" and deed.party == deed.seller

    def right(self, deed: Deed, owner: str) -> str:
        if self.licensed(deed, owner, self.live) or self.permitted(deed, deed.party) or self.granted(deed):
            return "held"
        if self.was_licensed(deed):
            return "lost"
        return "held" if self.launched(deed) else "none"

    def needed(self, deed: Deed, owner: str) -> Iterator[Deed]:
        yield deed
        if deed.action == "sell":
            own = bool(owner) and self.shipped(deed.product, deed.cloud)
            yield deed._replace(action="serve", party=owner if own else self.catalog.operators.get(deed.cloud, ""))
        elif self.sells_itself(deed):
            yield deed._replace(action="sell")
        elif deed.action == "license" and owner and deed.party != owner:
            yield deed._replace(party=owner, to=deed.party)
            yield deed._replace(party=owner)

    def forbidden(self, deed: Deed, asking: str) -> bool:
        return any(
            self.covers(term, deed)
            and self.stands(term, deed)
            and (self.outside(term, deed) if term.kind == "exclusivity" else self.named(term, deed))
            and not any(self.covers(scope, deed) for scope in term.except_)
            and not self.despite(term, deed, asking)
            for term in (*self.of("exclusivity"), *self.of("prohibition"))
        )

    def stands(self, term: Any, deed: Deed) -> bool:
        """Return whether the term that `exclusive` or `sole` wrote stands: while the right may be given."""
        id = term.id.removesuffix(".exclusive")
        rights = [right for right in (*self.of("permission"), *self.of("licence")) if right.id == id != term.id]
        givers = [getattr(right, "licensor", "") or getattr(right, "grantor", "") for right in rights]
        return all(not giver or self.could_give(giver, deed.product, {giver}) for giver in givers)

    @staticmethod
    def named(term: Any, deed: Deed) -> bool:
        return "anyone" in term.parties or deed.party in term.parties

    def outside(self, term: Any, deed: Deed) -> bool:
        only = term.only
        if only.licensees and deed.action == "license":
            return deed.to not in only.licensees and deed.to != self.owner(deed.product)
        values = [
            (only.clouds, deed.cloud),
            (only.sellers, deed.seller),
            (only.regions, deed.region),
            (only.parties, deed.party),
            (only.licensees, deed.party),
        ]
        return any(names and value not in names for names, value in values)

    def despite(self, term: Any, deed: Deed, asking: str) -> bool:
        return any(
            permission.party in ("anyone", asking)
            and self.covers(permission, deed)
            and not permission.despite.isdisjoint({term.id, "any"})
            and self.by_right(permission, deed)
            for permission in self.of("permission")
        )

    def permitted(self, deed: Deed, party: str) -> bool:
        return any(
            right.party == party and self.covers(right, deed) and self.by_right(right, deed)
            for right in self.of("permission")
        )

    def by_right(self, permission: Any, deed: Deed) -> bool:
        """A permission that names a grantor counts where the grantor owns the product or may license it on."""
        return not permission.grantor or self.could_give(permission.grantor, deed.product, {permission.grantor})

    def could_give(self, giver: str, product: str, asked: set[str], day: date | None = None) -> bool:
        if giver == self.owner(product, day):
            return True
        past = [term for each in self.amendments for term in each.terms]
        for right in self.of("permission", self.live if day is None else past):
            if right.party == giver and "license" in right.actions and self.lies_in(product, right.products):
                if not self.stood(right, day):
                    continue
                if not right.grantor:
                    return True
                if right.grantor not in asked and self.could_give(right.grantor, product, asked | {right.grantor}, day):
                    return True
        return False

    def licensed(self, deed: Deed, owner: str, terms: list[Any]) -> bool:
        return any(
            licence.licensee == deed.party and self.carried(licence, deed) and self.gives(licence, deed)
            for licence in self.of("licence", terms)
        )

    def was_licensed(self, deed: Deed) -> bool:
        """A licence that held on a day on which its licensor could give it."""
        return any(
            licence.licensee == deed.party
            and self.carried(licence, deed)
            and self.could_give(licence.licensor, deed.product, {licence.licensor}, day)
            for licence in self.of("licence", [*self.live, *self.over])
            for day in self.days[licence.id] or {licence.begins}
        )

    def carried(self, licence: Any, deed: Deed) -> bool:
        if deed.action == "use-under-licence":
            return self.lies_in(deed.product, licence.products)
        return deed.action in SOLD and any(self.covers(scope, deed) for scope in licence.carries)

    def gives(self, licence: Any, deed: Deed) -> bool:
        return self.could_give(licence.licensor, deed.product, {licence.licensor})

    def launched(self, deed: Deed) -> bool:
        stated = "launch" in self.rules and deed.action in SOLD
        return (
            stated and self.catalog.operators.get(deed.cloud) == deed.party and self.shipped(deed.product, deed.cloud)
        )

    def unless_open(self, needed: list[Deed], asking: str, grantor: str) -> str:
        """Permitted, unless ship-first or first refusal stays open for one of these acts."""
        for deed in needed:
            for bound in {deed, deed.by(grantor)} if grantor else {deed}:
                if any(self.ships_first(term, bound) for term in self.of("precedence")):
                    return "conditional"
                if any(self.to_offer(term, deed, bound, asking) for term in self.of("refusal-right")):
                    return "conditional"
        return "permitted"

    def ships_first(self, term: Any, deed: Deed) -> bool:
        if term.party != deed.party or deed.cloud == term.first or not self.covers(term, deed):
            return False
        readings = self.question.readings
        if term.binds.under(readings) == "first-shipped-since":
            if self.day < term.since:
                return False
            days = [launch.effective for launch in self.launches(deed.product)]
            product = self.catalog.products.get(deed.product)
            days += [product.first_shipped_by] if product and product.first_shipped_by else []
            if days and min(days) < term.since:
                return False
        if self.shipped(deed.product, term.first, term.lead_days):
            return False
        answer = self.latest(Answer, product=deed.product)
        if answer is None or term.unless is None:
            return True
        if term.unless.under(readings) == "cannot-and-declines":
            return bool(answer.can or not answer.declines)
        return bool(answer.can and not answer.declines)

    def to_offer(self, term: Any, deed: Deed, bound: Deed, asking: str) -> bool:
        if term.holder in (asking, self.question.to, deed.party, bound.party) or bound.cloud in term.except_clouds:
            return False
        if bound.party != (term.grantor or self.owner(bound.product)) or not self.covers(term, bound):
            return False
        offer = self.latest(Offer, subject=term.subject or bound.product)
        if offer is None:
            return True
        return not (offer.passed or (offer.answer_by is not None and offer.answer_by < self.day))

    def counts(self, base: Any, product: str, cloud: str) -> bool:
        if product and self.lies_in(product, base.excludes):
            return False
        if product and base.products and not self.lies_in(product, base.products):
            return False
        return not cloud or not base.clouds or cloud in base.clouds

    def share(self, deed: Deed) -> str:
        due = any(
            (term.payer, term.payee) == (deed.party, deed.to)
            and self.counts(term.base, deed.product, self.question.cloud)
            for term in self.of("revenue-share")
        )
        return "permitted" if due else "forbidden"

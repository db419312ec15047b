"""The rights that pages and briefs show, chosen from an agreement's own terms, as questions."""

from collections.abc import Iterator
from datetime import date

from clauseway.agreement import Exclusivity, Licence, Ownership, Precedence, RevenueShareTerm
from clauseway.agreement.language.actions import CONTRACT, LICENSE, SELL, SERVE, SHARE
from clauseway.catalog import ELSEWHERE
from clauseway.decisions import AskedAgreement, Question, ask
from clauseway.decisions.parts import ACTIONS_WITH_CLOUD
from clauseway.values import InvalidInput, KnownAt


def rights_of_interest(asked: AskedAgreement, known_at: KnownAt) -> Iterator[Question]:
    """Yield the owner's rights elsewhere than on the primary cloud, others' rights to sell,
    licences, shares."""

    def right(action: str, party: str, **parts: str) -> Iterator[Question]:
        for region in regions if action in ACTIONS_WITH_CLOUD else [""]:
            try:
                question = ask(
                    asked.agreement,
                    asked.catalog,
                    action=action,
                    party=party,
                    as_of=date.min,
                    known_at=known_at,
                    region=region,
                    readings={},
                    **parts,
                )
            except InvalidInput:
                return  # this agreement's classes do not take that action
            yield question

    # Where terms tell regions apart, a right is one right in each region.
    regions = [*sorted(asked.catalog.regions), ELSEWHERE] if asked.catalog.regions else [""]
    owner = _first(asked, Ownership, "party")
    primary = _first(asked, Precedence, "first")
    licensee = _first(asked, Licence, "licensee")
    elsewhere, seller = _elsewhere(asked, primary, {owner, licensee})
    for name in _classes(asked, SERVE):
        for product in _examples(asked, name):
            yield from right(
                action=SERVE,
                party=owner,
                product=product,
                cloud=elsewhere,
            )
    for product in _classes(asked, CONTRACT):
        yield from right(
            action=CONTRACT,
            party=owner,
            product=product,
            cloud=elsewhere,
        )
    for name in _classes(asked, SELL)[:1]:
        product = _examples(asked, name)[0]
        yield from right(
            action=SELL,
            party=licensee,
            product=product,
            cloud=primary,
        )
        yield from right(
            action=SELL,
            party=seller,
            product=product,
            cloud=elsewhere,
        )
    # A licence to oneself grants nothing: another party than the owner is asked about.
    parties = (seller, licensee, *sorted(asked.catalog.parties))
    to = next((party for party in parties if party not in ("", owner)), "")
    for product in _classes(asked, LICENSE)[:1]:
        yield from right(
            action=LICENSE,
            party=owner,
            to=to,
            product=product,
        )
    for payer, payee in _share_directions(asked):
        yield from right(action=SHARE, party=payer, to=payee)


def _classes(asked: AskedAgreement, action: str) -> list[str]:
    """Return the classes that take an action and that some exclusivity has reserved, in the
    agreement's own order."""
    reserved = {
        scope
        for amendment in asked.agreement.amendments
        for term in amendment.terms
        if isinstance(term, Exclusivity)
        for scope in term.products
    }
    return [
        name
        for name, class_ in asked.catalog.classes.items()
        if action in class_.actions
        and any(asked.catalog.belongs(name, scope) for scope in reserved)
    ]


def _examples(asked: AskedAgreement, name: str) -> list[str]:
    """Return the products to ask about for a class: its first product, where it has one, and a
    new product of it (the class itself)."""
    products = [
        product.id for product in asked.catalog.products.values() if product.product_class == name
    ]
    return [*products[:1], name]


def _elsewhere(asked: AskedAgreement, primary: str, insiders: set[str]) -> tuple[str, str]:
    """Return a cloud that is not the primary one, operated by an outsider where there is one,
    and its operator."""
    others = [pair for pair in sorted(asked.catalog.operators.items()) if pair[0] != primary]
    outside = [pair for pair in others if pair[1] not in insiders]
    return next(iter(outside + others), (primary, asked.catalog.operators.get(primary, "")))


def _first(asked: AskedAgreement, kind: type, field: str) -> str:
    for amendment in asked.agreement.amendments:
        for term in amendment.terms:
            if isinstance(term, kind):
                return str(getattr(term, field))
    return ""


def _share_directions(asked: AskedAgreement) -> list[tuple[str, str]]:
    directions = [
        (term.payer, term.payee)
        for amendment in asked.agreement.amendments
        for term in amendment.terms
        if isinstance(term, RevenueShareTerm)
    ]
    return sorted(set(directions))

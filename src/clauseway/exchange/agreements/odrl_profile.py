"""The profile of an ODRL policy: the meaning of each term beside ODRL's own, for the author of an
evaluator."""

from collections.abc import Iterator, Mapping
from typing import Any

from clauseway.exchange.agreements.odrl_nodes import PROFILE, Node

_NOTICE = (
    "Read with this profile alone. An evaluator of ODRL that does not know it cannot tell what "
    "the agreement permits, and no equivalence is claimed. Permitted: a permission reaches the "
    "act, each of its duties is fulfilled or does not apply, and no prohibition reaches it. "
    "Conditional: the same with an open duty. Forbidden: a prohibition reaches the act; of a "
    "revenue share, that no obligation does. Unstated: no rule reaches it. To serve is "
    "asked with the sale by the seller, unless the party sells itself what is never sold, and the "
    "stricter answer holds. Who sells what it serves is its host."
)
_ACTIONS: Mapping[str, str] = {
    "serve": "To run a product for customers on a cloud.",
    "sell": "To sell customers the use of a product, whoever serves it. The product itself stays.",
    "license": "To license a product to another party, the recipient.",
    "use-under-licence": "To use a product by licence of its owner.",
    "contract-compute": "To contract for new capacity on a cloud.",
    "share-revenue": "To pay another party a share of revenue. Rates and caps are named, "
    "and their sums undisclosed.",
    "ship-first": "To launch a product on one cloud before any other.",
    "offer-first": "To offer something to a party, which passes on it, before others may have it.",
}
# The left operands of constraints.
_OPERANDS: Mapping[str, str] = {
    "cloud": "The cloud on which the act takes place.",
    "seller": "Who sells what is served: the party itself, unless another does.",
    "sellsItself": "Whether the party itself sells what it serves.",
    "segment": "The customers for whom the act is done. "
    "None of a licence, of a use and of a revenue share: no name is theirs.",
    "region": "The region in which the act's place lies (within), "
    "or the region that the act names.",
    "party": "Who acts.",
    "recipient": "To whom the act is done: the licensee.",
    "product": "The product of the act, and every collection that it is part of, "
    "directly or through others.",
    "firstShipped": "The day on which the product was first shipped on any cloud. "
    "Never counts as later than any day.",
    "launchedOn": "The clouds on which the product is launched (launch).",
    "answer": "The answer of the operator of the first cloud, "
    "when asked for what the product needs (says).",
    "passed": "The subject that was offered to the holder of a right of first refusal, who passed on it.",
    "granted": "Whether the owner's grant to the party, of the product or of what it is part of, "
    "is recorded.",
    "host": "Who runs what is sold: the owner where it launched on the cloud, "
    "else the cloud's operator.",
}
# Further members of rules and duties that bear on the answer.
_MEMBERS: Mapping[str, str] = {
    "metBy": "The constraint that meets a duty; "
    "the duty does not apply where its own constraints do not hold.",
    "bearsOn": "The actions of the permissions on which a duty lies.",
    "scope": "The products of the permissions on which a duty lies.",
    "neverSold": "Whether the product, or each product of the collection, is served and never sold.",
    "anyone": "Every party, as the assignee of a rule.",
    "anyone-but-the-owner": "Every party but the rule's assigner, as the assignee of a rule.",
}


def profile_nodes() -> Iterator[Node]:
    """Yield the declarations of the profile."""
    yield {"@id": PROFILE, "rdfs:comment": _NOTICE}
    for action, meaning in _ACTIONS.items():
        included = {"odrl:includedIn": {"@id": "odrl:use"}}
        yield {"@id": PROFILE + action, "@type": "odrl:Action", **included, "rdfs:comment": meaning}
    yield {
        "@id": "odrl:obtainConsent",
        "@type": "odrl:Action",
        "odrl:includedIn": {"@id": "odrl:use"},
    }
    for operand, meaning in _OPERANDS.items():
        yield {"@id": PROFILE + operand, "@type": "odrl:LeftOperand", "rdfs:comment": meaning}
    for member, meaning in _MEMBERS.items():
        yield {"@id": PROFILE + member, "rdfs:comment": meaning}


def profile_terms(value: Any, prefix: str) -> set[str]:
    """Return the names of the profile's terms in a part of the policy: actions, operands, members,
    and kinds of parties."""
    if isinstance(value, list):
        return set[str]().union(*(profile_terms(item, prefix) for item in value))
    if not isinstance(value, dict):
        return set()
    named = {key.removeprefix("cw:") for key in value}
    if identifier := value.get("@id", ""):
        named |= {identifier.removeprefix(PROFILE), identifier.removeprefix(f"{prefix}party:")}
    inside = (profile_terms(member, prefix) for member in value.values())
    return (named & {*_ACTIONS, *_OPERANDS, *_MEMBERS}).union(*inside)

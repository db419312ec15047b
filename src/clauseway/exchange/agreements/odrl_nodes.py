"""Nodes of an ODRL document: parties, assets with their facts, places; and references to them."""

from collections.abc import Iterator
from datetime import date
from typing import Any
from urllib.parse import quote

from clauseway.agreement import Answer, Launch
from clauseway.exchange.agreements.extract import Extract
from clauseway.values import Citation

Node = dict[str, Any]

PROFILE = "urn:clauseway:odrl:"
ANYONE, OTHERS = "anyone", "anyone-but-the-owner"


def party_nodes(extract: Extract) -> Iterator[Node]:
    # Rules for everybody, or for all but the owner, name a collection as their assignee.
    for name in (ANYONE, OTHERS):
        yield {**reference(extract, "party", name), "@type": "odrl:PartyCollection"}
    for name in sorted(extract.catalog.parties):
        yield {
            **reference(extract, "party", name),
            "@type": "odrl:Party",
            "odrl:partOf": reference(extract, "party", ANYONE),
            "cw:operates": [
                reference(extract, "cloud", cloud)
                for cloud in sorted(extract.catalog.own_cloud(name))
            ],
            "cw:granted": [
                reference(extract, "asset", grant.product) for grant in extract.grants(name)
            ],
        }


def asset_nodes(extract: Extract) -> Iterator[Node]:
    unsold = extract.unsold()
    for class_ in sorted(extract.catalog.classes.values(), key=lambda class_: class_.id):
        yield {
            **reference(extract, "asset", class_.id),
            "@type": "odrl:AssetCollection",
            **(
                {"odrl:partOf": reference(extract, "asset", class_.within)} if class_.within else {}
            ),
            **({"cw:neverSold": True} if class_.id in unsold else {}),
        }
    for product in sorted(extract.catalog.products.values(), key=lambda product: product.id):
        first = extract.first_shipped(product.id)
        answer = extract.facts.answer(product.id, extract.as_of)
        yield {
            **reference(extract, "asset", product.id),
            "@type": "odrl:Asset",
            "odrl:partOf": reference(extract, "asset", product.product_class),
            **(
                {"cw:owner": reference(extract, "party", owner)}
                if (owner := extract.owner(product.id))
                else {}
            ),
            **({"cw:neverSold": True} if product.id in unsold else {}),
            **({"cw:firstShipped": day_node(first)} if first else {}),
            "cw:launch": [_launch(extract, launch) for launch in extract.launches(product.id)],
            **({"cw:answer": _answer(answer)} if answer else {}),
        }
    for subject, citation in sorted(extract.offers().items()):
        yield {
            "@id": f"{prefix_of(extract)}offer:{escaped(subject)}",
            "cw:passed": subject,
            **cited(citation),
        }


def place_nodes(extract: Extract) -> Iterator[Node]:
    """Yield the places that lie in regions, each by its name on its cloud."""
    catalog = extract.catalog
    for cloud in sorted(catalog.clouds):
        for place in sorted(catalog.places_of(cloud)):
            yield {
                "@id": f"{prefix_of(extract)}place:{escaped(cloud)}:{escaped(place)}",
                "cw:within": reference(extract, "region", catalog.region_of(cloud, place)),
            }


def _launch(extract: Extract, launch: Launch) -> Node:
    cloud = reference(extract, "cloud", launch.cloud)
    effective = day_node(launch.effective)
    return {
        "cw:cloud": cloud,
        "cw:stage": launch.stage,
        "cw:effective": effective,
        **cited(launch.citation),
    }


def _answer(answer: Answer) -> Node:
    said = f"{'can' if answer.can else 'cannot'}+{'declines' if answer.declines else 'chooses'}"
    return {"cw:says": said, "cw:effective": day_node(answer.effective), **cited(answer.citation)}


def cited(citation: Citation) -> Node:
    return {
        "cw:term": citation.term,
        "cw:amendment": citation.amendment,
        "cw:document": citation.document,
        "cw:line": citation.line,
        "dcterms:source": citation.source,
        "dcterms:description": citation.text,
    }


def reference(extract: Extract, kind: str, name: str) -> Node:
    return {"@id": f"{prefix_of(extract)}{kind}:{escaped(name)}"}


def prefix_of(extract: Extract) -> str:
    return f"urn:clauseway:{escaped(extract.agreement.id)}:"


def escaped(name: str) -> str:
    """Return a name as part of an IRI."""
    return quote(name, safe="")


def day_node(day: date) -> Node:
    return {"@type": "xsd:date", "@value": str(day)}

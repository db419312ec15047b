"""Catalog: parties, clouds and their operators, product classes, products, and which action takes
which class.

Beside it, as dated data with a source per line: the capabilities that each surface lacks
(`capabilities`), the limits of each model, the names under which clients ask for it and the
retirements of names (`models`). Text is an argument; the caller reads the files of `data`.
`cloud_names` has the names by which bills, spans and price lists of others call the clouds.

Knows nothing of agreements' terms. Host cloud and seller are two fields everywhere.
"""

from clauseway.catalog.capabilities import (
    BITS,
    SURFACES,
    Capability,
    CapabilityEntry,
    Matrix,
    Since,
    Versions,
    parse_matrix,
    parse_versions,
)
from clauseway.catalog.catalog import ELSEWHERE, Catalog, Product, ProductClass
from clauseway.catalog.models import ModelLimits, Models, ProductName, Retirement, parse_models

__all__ = [
    "BITS",
    "ELSEWHERE",
    "SURFACES",
    "Capability",
    "CapabilityEntry",
    "Catalog",
    "Matrix",
    "ModelLimits",
    "Models",
    "Product",
    "ProductClass",
    "ProductName",
    "Retirement",
    "Since",
    "Versions",
    "parse_matrix",
    "parse_models",
    "parse_versions",
]

"""Catalog: parties, clouds and their operators, product classes, products, and the actions that each
class takes.

It also reads dated data with a source for each line. The text is an argument: the caller reads the
files in `data`.

    catalog       the parties, clouds, classes and products that an agreement's folder declares
    capabilities  what each surface has or lacks, with the days
    models        limits of models, the names under which clients ask for them, and retirements
    cloud_names   names of the clouds in others' bills, spans and price lists
    rows          the data files as rows, every problem with its line

Knows nothing of agreements' terms. The cloud that hosts a product and the party that sells it are
separate fields everywhere.
"""

from clauseway.catalog.capabilities import (
    BITS,
    CAPABILITY_OF_TIER,
    SURFACES,
    SURFACES_OF_MESSAGES,
    SURFACES_WITH_OBJECTS,
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
    "CAPABILITY_OF_TIER",
    "ELSEWHERE",
    "SURFACES",
    "SURFACES_OF_MESSAGES",
    "SURFACES_WITH_OBJECTS",
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

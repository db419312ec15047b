"""Catalog: parties, clouds and their operators, product classes, products, and which action takes which class.

Beside it, as dated data with a source per line: what each surface lacks (`capabilities`), what each model can hold,
under which names it is asked for and when a name is retired where (`models`). Text is an argument; whoever uses it
reads the files of `data`.

Knows nothing of agreements' terms. Host cloud and seller are two fields everywhere.
"""

from clauseway.catalog.capabilities import (
    BITS,
    SURFACES,
    Capability,
    Entry,
    Matrix,
    Since,
    Versions,
    parse_matrix,
    parse_versions,
)
from clauseway.catalog.catalog import ELSEWHERE, Catalog, Product, ProductClass
from clauseway.catalog.models import Model, Models, Name, Retirement, parse_models

__all__ = [
    "BITS",
    "ELSEWHERE",
    "SURFACES",
    "Capability",
    "Catalog",
    "Entry",
    "Matrix",
    "Model",
    "Models",
    "Name",
    "Product",
    "ProductClass",
    "Retirement",
    "Since",
    "Versions",
    "parse_matrix",
    "parse_models",
    "parse_versions",
]

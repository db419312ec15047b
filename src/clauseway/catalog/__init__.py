"""Catalog: parties, clouds and their operators, product classes, products, and which action takes which class.

Knows nothing of agreements' terms. Host cloud and seller are two fields everywhere.
"""

from clauseway.catalog.catalog import ELSEWHERE, Catalog, Product, ProductClass

__all__ = ["ELSEWHERE", "Catalog", "Product", "ProductClass"]

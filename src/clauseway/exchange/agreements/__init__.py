"""The agreement on a day in the languages of other engines, term by term.

extract       what each of them is written of: terms in force, ended ones, facts in effect
cedar         Cedar policies and entities
rego          a Rego module for Open Policy Agent
odrl          an ODRL 2.2 policy in JSON-LD
odrl_nodes    its parties, assets with their facts, and places
odrl_profile  the meaning of its terms beside ODRL's own

`AGREEMENT_FORMATS` is the list of those of which one file holds all; Cedar has three files.
"""

from collections.abc import Callable, Mapping

from clauseway.exchange.agreements.extract import Extract
from clauseway.exchange.agreements.odrl import odrl_text
from clauseway.exchange.agreements.rego import rego_module

AGREEMENT_FORMATS: Mapping[str, Callable[[Extract], str]] = {"rego": rego_module, "odrl": odrl_text}

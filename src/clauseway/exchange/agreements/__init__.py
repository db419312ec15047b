"""The agreement on a day in the languages of other engines, term by term.

extract  what each of them is written of: terms in force, ended ones, facts in effect
cedar    Cedar policies and entities
rego     a Rego module for Open Policy Agent
odrl     an ODRL 2.2 policy in JSON-LD
"""

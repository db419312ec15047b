"""Remarks on a readable agreement: conflicts, gaps, and terms or definitions that do nothing.

checking ─ the list of checks: rights ─ conflicts │ coverage │ idle │ shares │ sources ─ lives ─
           remarks
"""

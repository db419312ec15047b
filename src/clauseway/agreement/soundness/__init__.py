"""Remarks on a readable agreement: conflicts, gaps, and terms or definitions that do nothing."""

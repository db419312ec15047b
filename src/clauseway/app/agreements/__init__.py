"""Use cases on agreements: decisions explained and proved, texts compared, drawn in time, and
briefed on a page."""

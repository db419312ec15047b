"""Recorded traffic, made-up demand, and the clock that it is replayed by."""

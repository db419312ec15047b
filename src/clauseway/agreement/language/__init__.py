"""All that an agreement can say, as frozen records: terms, facts, events, and the agreement itself.

A kind of term is a class in `terms` and its record in `kinds`. These records know neither how they
are written in a document nor when they are in force.
"""

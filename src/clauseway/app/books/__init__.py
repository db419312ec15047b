"""What a home is settled on and what is settled: the basis, the facts, months settled and closed,
and what follows from them. And a home as a whole: backed up, restored, moved to another database,
filled for a demonstration.
"""

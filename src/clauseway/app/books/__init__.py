"""What a home is settled on and what is settled: the basis, the facts, months settled and closed,
and what follows from them.
"""

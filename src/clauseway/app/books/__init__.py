"""Everything that changes what a home keeps: usage sealed and imported, months settled and closed,
what follows from them, and the customers with their keys, limits and budgets.
"""

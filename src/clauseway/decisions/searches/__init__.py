"""Answers to many questions held against each other: what differs between two sides and why, what
would change an answer, and whether a claim holds of every combination.

    compare  two days, two states of knowledge or two texts; joint: the same over several agreements
    causes   the facts and clauses without which a difference would not be
    change   what would change one answer: days, knowledge, facts, readings
    proof    a claim, tried on every combination and every stretch of days
"""

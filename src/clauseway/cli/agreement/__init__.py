"""Commands that write an agreement, ask it and record its facts: a module for each command, by its
name; `agreement` has `list`, `new`, `fmt` and `schema`. And no command:

    explanation  what would change a decision, printed
    trace_table  the trace of its terms, printed
"""

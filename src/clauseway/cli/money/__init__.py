"""Commands for months and books: settle, state, close, invoice, correct, forecast, audit. A module
for each command, by its name. And no command:

    statement_text     a statement on a terminal
    trace_text         all that is behind a statement's line
    verification_text  a repeated statement, and its signatures
"""

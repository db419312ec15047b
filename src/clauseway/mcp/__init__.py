"""Tools for assistants, over the Model Context Protocol: decisions, changes, prices, usage,
statements.

    tools    each tool: its name, the record of its arguments, the use case that answers
    server   the protocol, by its official SDK, over standard input and output

Every tool reads and none writes. A tool answers with the record that the command of
its name prints as JSON.
"""

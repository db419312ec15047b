"""The process: sockets, signals, replacement of the plan, drain, and what it shows of itself.

    server      the process from its start to its end
    presenting  credentials, handed to the targets that need them
    control     the control socket; reporting: what is worth a line; logs: events as lines
    metrics, telemetry  loaded when asked for; conditions: what is damaged or lost in the home

Knows no request beyond its explanation.
"""

"""The process: sockets, signals, replacement of the plan, drain, and what it shows of itself.

    server          the process from its start to its end
    journals        its journal, opened, and ended where a dead process left it open; journal_copy:
                    its copy
    presenting      credentials, handed to the targets that need them
    control_socket  the control socket; glance: the process at a glance, for the pages
    reporting       what is worth a line; logs: events as lines
    ended_keys      secrets that were ended since the plan was compiled
    refused         requests that no cloud answered, kept in a file
    home_damage     what is damaged or lost in the home
    metrics         for Prometheus; telemetry: for OpenTelemetry; collector_session: its connection
                    to a collector; all are loaded when asked for

Knows no request beyond its explanation.
"""

"""The one place that joins rooms: a module per use case, each with no rules of its own.

Reads files, databases and clocks, hands the core what it needs as arguments, and hands its answers on: compiled plans
to the gateway, typed contexts to the pages, records to the commands. Commands load these modules one by one, so that
asking one question does not import a database.
"""

"""The numbers that a server gives to new rows. A copy of a database may bring its rows without them,
as logical replication does: then a new row would get a number that is taken, or come before older
rows in their order.
"""

from functools import cache

from sqlalchemy import Connection, TextClause, text

from clauseway.storage.control import schema

_IS_LOOKED_AT = "clauseway_numbers"
_CONTINUE = text("SELECT setval(pg_get_serial_sequence(:table, :column), :last)")


def continue_numbers_once(connection: Connection) -> None:
    """Let the numbers go on after the rows there, in a transaction that writes. A connection is
    looked at once, because behind the next one there may be another server."""
    if not connection.info.get(_IS_LOOKED_AT):
        continue_numbers(connection)
        connection.info[_IS_LOOKED_AT] = True


def continue_numbers(connection: Connection) -> None:
    """Let each number that a server gives go on after those of its table's rows, where it is
    behind."""
    if connection.dialect.name != "postgresql":
        return
    for table, column, last in connection.execute(_behind()).all():
        connection.execute(_CONTINUE, {"table": table, "column": column, "last": last})


@cache
def _behind() -> TextClause:
    """Return the query for the tables whose number is behind: name, column, highest number."""
    numbered = [
        (f'"{table.name}"', column.name)
        for table in schema.metadata.sorted_tables
        if (column := table.autoincrement_column) is not None
    ]
    queries = [
        f"SELECT '{table}', '{column}', max({column}) FROM {table} HAVING max({column}) > "
        f"coalesce(pg_sequence_last_value(pg_get_serial_sequence('{table}', '{column}')), 0)"
        for table, column in numbered
    ]
    return text(" UNION ALL ".join(queries))

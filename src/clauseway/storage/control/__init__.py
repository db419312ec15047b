"""The control database: its tables, its transactions, and the hash chain over all that is written
into it.

    control       one object over one engine: every method is one transaction
    schema        the tables
    engines       SQLite in a file, or a PostgreSQL server
    server_address  the address of a server's database, read and shown
    versions      the numbered versions of the tables; migrations: a script for each
    sqlite_check  whether a file from elsewhere is a whole database
    row_numbers   the numbers that a server gives to new rows
    journal       the journal in SQL
    actor         the person whom records name
    chained       the tables whose rows the log chains, and a digest of each row
    audit         the log: a hash chain of every write; announcements: a server tells of each
    people        who may write what, and what two people write together
    passwords     the passwords of whoever reads the pages
    audit_check   the books held against the log; audit_breaks: its breaks on record
    copying       a control database copied into another, and both compared
"""

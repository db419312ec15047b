"""The books of a home: the basis and the facts that settlements rest on, months settled and closed,
and what follows from them. And a home as a whole: backed up, restored, moved to another database,
filled for a demonstration.

    basis          prices, rates, figures, readings and agreements that settlements rest on
    register       the facts of a home, recorded and listed
    settling       a month settled: sealed, priced, shared, posted, kept
    day_charges    each day's charges, kept under all they were made from
    usage_charges  charges for all usage of some days, and credits; carrying: sums kept between settlements
    settled        what was settled, and the journal, as the books tell it
    month_states   how far each month has come, and the balances
    closing        a month closed, for good
    bookkeeping    credits, disputes, invoices and payments
    handing_over   the books, and the usage behind them, in other programs' formats
    audit_log      the log of the books: listed, held against them, begun again
    party_keys     the parties' private keys, and signatures; trusted_keys: public keys vouched for
    curve_points   which bytes can be a public key of Ed25519
    people         who may write what, what two people write together, who reads the pages

    backing_up     a home backed up while it serves; backups: what a backup holds
    restoring      a home restored, beside the other or in its place
    migrating      control data moved between a file and a PostgreSQL server
    demonstration  homes to try commands in; expanding: many records from the demand of real tenants
"""

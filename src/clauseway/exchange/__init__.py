"""Exchange: our records in other people's formats, and theirs in ours. Pure text in, pure text out.

    beancount   the journal as a beancount file, which an outside judge can load and balance
    extract     the agreement on a day: what the next three write, term by term
    cedar       … as Cedar policies and entities
    rego        … as a Rego module
    odrl        … as an ODRL policy in JSON-LD

Each format is a module of its own. Knows nothing of where records are kept.
"""

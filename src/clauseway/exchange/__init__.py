"""Exchange: our records in other people's formats, and theirs in ours. Pure text in, pure text out.

    beancount   the journal as a beancount file, which an outside judge can load and balance

Each format is a module of its own. Knows nothing of where records are kept.
"""

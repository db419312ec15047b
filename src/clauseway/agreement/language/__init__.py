"""All that an agreement can say, as frozen records: terms, facts, events, and the agreement itself.

A kind of term is a class in `terms` and its record in `kinds`. These records know neither how they
are written in a document nor when they are in force.

    agreement       the agreement as read: its definitions, amendments, clauses, terms and changes
    terms           a class for each kind of term; kinds: whom each binds, and what may limit it
    facts           what is recorded beside the text: launches, answers, offers, grants and the rest
    definitions     readings, figures, events, remarks
    actions         what a question can be about, and the parts of a scope that each action takes
    names_in_terms  the parties, clouds, products and the rest that a term uses
    shares          revenue shares as the ledger takes them
    figures         percentages and amounts, read from text
    meaning         a digest of what an agreement means, beside the digest of its text
"""

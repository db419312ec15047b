"""Wording: terms, changes, rights and decisions in English. No other room makes sentences of them.

    names              identifiers as the agreement's prose spells them; sets of names; cited clauses
    terms              a term as a clause that begins, and as a noun for what ends
    facts              a recorded fact as a sentence
    dates              days, months and instants, alone and within a text
    outcomes           the word for an outcome: a share is due or not, an act permitted or forbidden
    decided            a refusal for a caller, and the deciding clause of a stretch of days
    changes            groups of combinations answered differently, and why an answer is given
    amendment_effects  what an amendment does, clause by clause; rescissions: rescinded amendments
    shown_rights       the rights that pages and briefs show, as questions
    brief              an amendment on a page, sentence by sentence
    brief_page         the records of a brief, and its Markdown

The room is pure. It reads agreements, catalogs, facts and decisions that it is given, and decides
only what a brief quotes. It knows nothing of homes, files, pages, usage or money: amounts and
statements are worded where they are made.
"""

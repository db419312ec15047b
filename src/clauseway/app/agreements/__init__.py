"""Use cases on agreements: decisions explained and proved, texts compared, drawn in time, and
briefed on a page.

    explaining    a decision explained, and one repeated from its receipt
    proving       a claim about an agreement, proved or refuted
    batch         a file of questions, answered column by column
    comparing     two amendments, two days or two states of knowledge
    term_rows     terms in force, as rows
    timelines     rights over the years, as rows and as a picture; rights_over_time: on a page
    briefing      an amendment on a page
    checking      the remarks of a check, and the state of its files, for a watch
    supposing     facts that a question supposes, in words
    passages      the clause behind a citation, and its document section by section
    launch_audit  listing histories held against the ship-first clause; launch_lanes: as a picture
    authoring     a folder to begin with, a schema for the editor, one layout
    exporting     the agreement for other engines
"""

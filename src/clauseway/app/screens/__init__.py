"""The content of each screen of the pages, out of reports, agreements and books: typed
contexts, which the pages draw. They change nothing.

    screen_summaries   each screen in a sentence, for the first page
    forecast_page      what is ahead, for the finance screen
    engineer_page      the gateway now, and one request's path
    request_rate       requests a second over the last minute, for the engineer's screen
    lawyer_page        a question asked, and the agreement's documents
    compare_page       two amendments compared
    draft_page         a draft compared and rehearsed
    finance_page       months by what needs attention, balances, files to take away
    clause_places      the clauses of settled months, as the served agreements name their documents
    next_commands      the command that comes next, where a page shows nothing yet
    bill_page          a cloud's bill held against the meter
    line_page          all that is behind a line of a statement
    auditor_page       what was stated and recorded, and checks of it
    decision_page      a decision that somebody handed over
    handed_page        a statement that somebody handed over, and its signatures
"""

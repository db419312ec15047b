"""The content of each screen of the pages, from reports, agreements and books: typed contexts,
which the pages draw. Nothing here changes a home.

    screen_summaries   each screen in a sentence, for the first page
    forecast_page      the forecast of the finance screen
    engineer_page      the gateway now, keys and budgets
    gateway_glances    a gateway's report of itself, and the sum of several workers
    request_path       one request, step by step
    request_rate       requests a second over the last minute, for the engineer's screen
    lawyer_page        a question with its answer, and the agreement's documents
    compare_page       two amendments compared
    draft_page         a draft compared and rehearsed
    finance_page       months by what needs attention, balances, files to download
    clause_places      places of clauses in the documents of the served agreements
    next_commands      the next command, for a page that shows nothing yet
    bill_page          a cloud's bill compared with the meter
    line_page          the evidence behind a line of a statement
    auditor_page       settled months, facts and the log, and checks of them
    decision_page      a decision from outside, asked again
    handed_page        a statement from outside, settled again, and its signatures
"""
